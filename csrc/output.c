/* output.c - see output.h. */
#define _GNU_SOURCE /* O_PATH */

#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#if !defined(MSG_NOSIGNAL)
#define MSG_NOSIGNAL 0 /* the guard below does without */
#endif

#if defined(O_PATH)
#define SEARCH_ONLY O_PATH
#elif defined(O_SEARCH)
#define SEARCH_ONLY O_SEARCH
#else
#define SEARCH_ONLY O_RDONLY
#endif

/* --- signals ------------------------------------------------------------- */

typedef struct guard {
  sigset_t mask;    /* of this thread, before */
  sigset_t pending; /* before */
} guard;

#if defined(__APPLE__) || defined(__OpenBSD__)

static void take_back(int number) {
  sigset_t only, pending;
  int taken;
  (void)sigemptyset(&only);
  (void)sigaddset(&only, number);
  (void)sigpending(&pending);
  if (sigismember(&pending, number)) (void)sigwait(&only, &taken);
}

#else

static void take_back(int number) {
  static const struct timespec now = {0, 0};
  sigset_t only;
  (void)sigemptyset(&only);
  (void)sigaddset(&only, number);
  while (sigtimedwait(&only, NULL, &now) < 0 && errno == EINTR) continue;
}

#endif

static void hold_signals(guard *g) {
  sigset_t ours;
  (void)sigemptyset(&ours);
  (void)sigaddset(&ours, SIGPIPE);
  (void)sigaddset(&ours, SIGXFSZ);
  (void)sigemptyset(&g->pending);
  (void)pthread_sigmask(SIG_BLOCK, &ours, &g->mask);
  /* What was not blocked was delivered, and is not pending. */
  if (sigismember(&g->mask, SIGPIPE) || sigismember(&g->mask, SIGXFSZ))
    (void)sigpending(&g->pending);
}

static void release_signals(const guard *g, int error) {
  int raised = error == EPIPE ? SIGPIPE : error == EFBIG ? SIGXFSZ : 0;
  if (raised && !sigismember(&g->pending, raised)) take_back(raised);
  (void)pthread_sigmask(SIG_SETMASK, &g->mask, NULL);
}

/* --- writing ------------------------------------------------------------- */

static ssize_t write_once(int fd, bool is_socket, const char *octets,
                          size_t size) {
  if (is_socket) return send(fd, octets, size, MSG_DONTWAIT | MSG_NOSIGNAL);
  return write(fd, octets, size);
}

int pop3_output_write(int fd, bool is_socket, const char *octets, size_t size,
                      size_t *written) {
  guard g;
  ssize_t n;
  hold_signals(&g);
  do n = write_once(fd, is_socket, octets, size);
  while (n < 0 && errno == EINTR);
  int error = n < 0 ? errno : 0;
  release_signals(&g, error);
  if (error) return error;
  if (n == 0 && size > 0) return EIO; /* or callers would try for ever */
  *written = (size_t)n;
  return 0;
}

bool pop3_output_is_ready(int fd) {
  struct pollfd poller = {fd, POLLOUT, 0};
  int n;
  do n = poll(&poller, 1, 0);
  while (n < 0 && errno == EINTR);
  return n > 0;
}

bool pop3_output_is_nonblocking(int fd) {
  int flags = fcntl(fd, F_GETFL);
  return flags >= 0 && (flags & O_NONBLOCK);
}

/* --- the disk ------------------------------------------------------------ */

int pop3_output_sync(int fd) {
  int result;
#if defined(F_FULLFSYNC) /* macOS: fsync leaves it in the drive's cache */
  if (fcntl(fd, F_FULLFSYNC) == 0) return 0;
#endif
  do result = fsync(fd);
  while (result != 0 && errno == EINTR);
  return result == 0 ? 0 : errno;
}

int pop3_output_open_folder(const char *path) {
  int flags = O_DIRECTORY | O_CLOEXEC;
  int fd = open(path, O_RDONLY | flags);
  if (fd >= 0 || errno != EACCES) return fd;
  return open(path, SEARCH_ONLY | flags);
}

int pop3_output_sync_folder(int fd) {
  int error = pop3_output_sync(fd);
  /* EBADF: opened for searching only. */
  if (error == EINVAL || error == ENOTSUP || error == EBADF) return 0;
  return error;
}
