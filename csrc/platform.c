/*
 * platform.c - see platform.h: Linux, macOS, the BSDs.
 */
#define _GNU_SOURCE /* dladdr, RTLD_NODELETE, pipe2, O_PATH */
#define _FILE_OFFSET_BITS 64

#include "platform.h"

#if !defined(_WIN32)

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#if defined(__linux__)
#include <sys/auxv.h>
#include <sys/eventfd.h>
#endif
#if defined(__APPLE__)
#include <crt_externs.h>
#endif

/* Constant for a known errno in glibc, musl and BSD. */
const char *pop3_os_text(int number) { return strerror(number); }

/* --- sockets ------------------------------------------------------------- */

void pop3_os_begin(void) {}

#if !defined(MSG_NOSIGNAL)
#define MSG_NOSIGNAL 0 /* macOS: SO_NOSIGPIPE, when the socket is made */
#endif

#if defined(SOCK_CLOEXEC) && defined(SOCK_NONBLOCK)

static int open_socket(int family, int protocol) {
  return socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
}

#else /* macOS */

static int open_socket(int family, int protocol) {
  int fd = socket(family, SOCK_STREAM, protocol);
  if (fd < 0) return fd;
  (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
  (void)fcntl(fd, F_SETFL, O_NONBLOCK);
  return fd;
}

#endif

#if defined(SO_NOSIGPIPE)

static void silence(int fd) {
  int on = 1;
  (void)setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
}

#else

static void silence(int fd) { (void)fd; }

#endif

int pop3_os_socket(int family, int protocol) {
  int on = 1;
  int fd = open_socket(family, protocol);
  if (fd < 0) return fd;
  silence(fd);
  /* Commands are small and answered: nothing is gained by collecting them. */
  (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

int pop3_os_bind(int fd, const struct sockaddr *address, socklen_t size) {
  return bind(fd, address, size);
}

#if defined(TCP_KEEPIDLE) && defined(TCP_KEEPINTVL)

static void keep_alive_after(int fd, int seconds) {
  (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof seconds);
  (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &seconds, sizeof seconds);
}

#elif defined(TCP_KEEPALIVE) /* macOS */

static void keep_alive_after(int fd, int seconds) {
  (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPALIVE, &seconds, sizeof seconds);
}

#else /* OpenBSD: for the whole system only */

static void keep_alive_after(int fd, int seconds) {
  (void)fd;
  (void)seconds;
}

#endif

void pop3_os_keep_alive(int fd, unsigned seconds) {
  int on = 1;
  (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  if (seconds > 0) keep_alive_after(fd, (int)seconds);
}

socklen_t pop3_os_path_address(const char *path,
                               struct sockaddr_storage *address) {
  struct sockaddr_un un;
  size_t size = strlen(path) + 1;
  if (size > sizeof un.sun_path) {
    errno = ENAMETOOLONG;
    return 0;
  }
  memset(&un, 0, sizeof un);
  un.sun_family = AF_UNIX;
  memcpy(un.sun_path, path, size);
  memcpy(address, &un, sizeof un);
  return (socklen_t)sizeof un;
}

int pop3_os_connect(int fd, const struct sockaddr *address, socklen_t size) {
  int result = connect(fd, address, size);
  /* The attempt goes on by itself. */
  if (result != 0 && errno == EINTR) errno = EINPROGRESS;
  return result;
}

int pop3_os_connect_error(int fd) {
  int error = 0;
  socklen_t size = sizeof error;
  if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) return errno;
  return error;
}

int pop3_os_peer(int fd, struct sockaddr *address, socklen_t *size) {
  return getpeername(fd, address, size);
}

ptrdiff_t pop3_os_receive(int fd, char *octets, size_t room) {
  ssize_t n;
  do n = recv(fd, octets, room, 0);
  while (n < 0 && errno == EINTR);
  return n;
}

ptrdiff_t pop3_os_send(int fd, const char *octets, size_t size) {
  ssize_t n;
  do n = send(fd, octets, size, MSG_NOSIGNAL);
  while (n < 0 && errno == EINTR);
  return n;
}

void pop3_os_close_socket(int fd) { (void)close(fd); }

int pop3_os_poll(struct pollfd *fds, size_t count, int milliseconds) {
  return poll(fds, (nfds_t)count, milliseconds);
}

static const struct {
  int code;
  pop3_os_answer answer;
} answers[] = {
    {EAI_NONAME, POP3_OS_NOT_FOUND},     {EAI_AGAIN, POP3_OS_TRY_AGAIN},
    {EAI_MEMORY, POP3_OS_NO_MEMORY},     {EAI_SYSTEM, POP3_OS_SYSTEM},
#if defined(EAI_NODATA)
    {EAI_NODATA, POP3_OS_NOT_FOUND},
#endif
#if defined(EAI_ADDRFAMILY)
    {EAI_ADDRFAMILY, POP3_OS_NOT_FOUND},
#endif
};

pop3_os_answer pop3_os_answer_of(int code) {
  for (size_t i = 0; i < sizeof answers / sizeof *answers; i++)
    if (answers[i].code == code) return answers[i].answer;
  return POP3_OS_OTHER;
}

/* --- threads ------------------------------------------------------------- */

#if defined(__linux__) || defined(__FreeBSD__)

static int open_pipe(int fds[2]) { return pipe2(fds, O_CLOEXEC); }

#else

static int open_pipe(int fds[2]) {
  if (pipe(fds) != 0) return -1;
  (void)fcntl(fds[0], F_SETFD, FD_CLOEXEC);
  (void)fcntl(fds[1], F_SETFD, FD_CLOEXEC);
  return 0;
}

#endif

#if defined(__linux__)

bool pop3_os_open_wake(int ends[2]) {
  ends[0] = ends[1] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  return ends[0] >= 0;
}

void pop3_os_wake(int end) {
  if (end >= 0) (void)eventfd_write(end, 1);
}

#else

bool pop3_os_open_wake(int ends[2]) {
  int fds[2];
  if (open_pipe(fds) != 0) return false;
  for (int i = 0; i < 2; i++) {
    (void)fcntl(fds[i], F_SETFL, O_NONBLOCK);
    ends[i] = fds[i];
  }
  return true;
}

void pop3_os_wake(int end) {
  ssize_t written;
  if (end < 0) return;
  do written = write(end, "", 1);
  while (written < 0 && errno == EINTR);
}

#endif

void pop3_os_close_wake(int ends[2]) {
  if (ends[0] >= 0) (void)close(ends[0]);
  if (ends[1] != ends[0]) (void)close(ends[1]);
  ends[0] = ends[1] = -1;
}

#if defined(__linux__)

/* Is this code part of the program itself, which is never unloaded? */
static bool in_program(const Dl_info *ours) {
  Dl_info program;
  const void *headers = (const void *)(uintptr_t)getauxval(AT_PHDR);
  return headers && dladdr(headers, &program) &&
         program.dli_fbase == ours->dli_fbase;
}

#else

static bool in_program(const Dl_info *ours) {
  (void)ours;
  return false;
}

#endif

#if !defined(RTLD_NODELETE)
#define RTLD_NODELETE 0 /* OpenBSD: the handle that is kept does the same */
#endif
#if !defined(RTLD_NOLOAD)
#define RTLD_NOLOAD 0
#endif

/* The handle is kept for ever on purpose. */
bool pop3_os_pin(const void *inside) {
  Dl_info ours;
  if (!dladdr(inside, &ours)) return true; /* a static program */
  if (dlopen(ours.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE))
    return true;
  (void)dlerror();
  return in_program(&ours);
}

void *pop3_os_library(const char *name) {
  void *library = dlopen(name, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (!library) (void)dlerror();
  return library;
}

void *pop3_os_function(void *library, const char *name) {
  void *function = dlsym(library, name);
  if (!function) (void)dlerror();
  return function;
}

int pop3_os_at_fork(void (*before)(void), void (*parent)(void),
                    void (*child)(void)) {
  return pthread_atfork(before, parent, child);
}

int pop3_os_block_signals(pop3_os_signals *before) {
  sigset_t all;
  (void)sigfillset(&all);
  return pthread_sigmask(SIG_SETMASK, &all, &before->mask);
}

void pop3_os_restore_signals(const pop3_os_signals *before) {
  (void)pthread_sigmask(SIG_SETMASK, &before->mask, NULL);
}

/* --- signals of a write -------------------------------------------------- */

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

static void hold_signals(pop3_os_signals *before) {
  sigset_t ours;
  (void)sigemptyset(&ours);
  (void)sigaddset(&ours, SIGPIPE);
  (void)sigaddset(&ours, SIGXFSZ);
  (void)sigemptyset(&before->pending);
  (void)pthread_sigmask(SIG_BLOCK, &ours, &before->mask);
  /* What was not blocked was delivered, and is not pending. */
  if (sigismember(&before->mask, SIGPIPE) ||
      sigismember(&before->mask, SIGXFSZ))
    (void)sigpending(&before->pending);
}

static void release_signals(const pop3_os_signals *before, int error) {
  int raised = error == EPIPE ? SIGPIPE : error == EFBIG ? SIGXFSZ : 0;
  if (raised && !sigismember(&before->pending, raised)) take_back(raised);
  pop3_os_restore_signals(before);
}

/* --- sinks --------------------------------------------------------------- */

static ssize_t write_once(int fd, bool is_socket, const char *octets,
                          size_t size) {
  if (is_socket) return send(fd, octets, size, MSG_DONTWAIT | MSG_NOSIGNAL);
  return write(fd, octets, size);
}

int pop3_os_write(int fd, bool is_socket, const char *octets, size_t size,
                  size_t *written) {
  pop3_os_signals before;
  ssize_t n;
  hold_signals(&before);
  do n = write_once(fd, is_socket, octets, size);
  while (n < 0 && errno == EINTR);
  int error = n < 0 ? errno : 0;
  release_signals(&before, error);
  if (error) return error;
  if (n == 0 && size > 0) return EIO; /* or callers would try for ever */
  *written = (size_t)n;
  return 0;
}

static pop3_os_kind kind_of(mode_t mode) {
  if (S_ISREG(mode) || S_ISBLK(mode)) return POP3_OS_DISK;
  return S_ISSOCK(mode) ? POP3_OS_SOCKET : POP3_OS_STREAM;
}

int pop3_os_inspect(int fd, pop3_os_kind *kind) {
  struct stat status;
  int flags = fcntl(fd, F_GETFL);
  if (flags < 0 || fstat(fd, &status) != 0) return errno;
  if ((flags & O_ACCMODE) == O_RDONLY) return EBADF;
  *kind = kind_of(status.st_mode);
  return 0;
}

bool pop3_os_is_writable(int fd) {
  struct pollfd poller = {fd, POLLOUT, 0};
  int n;
  do n = poll(&poller, 1, 0);
  while (n < 0 && errno == EINTR);
  return n > 0;
}

bool pop3_os_is_nonblocking(int fd) {
  int flags = fcntl(fd, F_GETFL);
  return flags >= 0 && (flags & O_NONBLOCK);
}

int pop3_os_duplicate(int fd) { return fcntl(fd, F_DUPFD_CLOEXEC, 0); }

/* --- the disk ------------------------------------------------------------ */

size_t pop3_os_base(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? (size_t)(slash + 1 - path) : 0;
}

#if defined(O_PATH)
#define SEARCH_ONLY O_PATH
#elif defined(O_SEARCH)
#define SEARCH_ONLY O_SEARCH
#else
#define SEARCH_ONLY O_RDONLY
#endif

int pop3_os_open_folder(const char *path) {
  int flags = O_DIRECTORY | O_CLOEXEC;
  int fd = open(path, O_RDONLY | flags);
  if (fd >= 0 || errno != EACCES) return fd;
  return open(path, SEARCH_ONLY | flags);
}

static bool identify(const struct stat *status, pop3_os_identity *identity) {
  identity->device = (uint64_t)status->st_dev;
  identity->file = (uint64_t)status->st_ino;
  return true;
}

int pop3_os_create(int folder, const char *name, pop3_os_identity *identity) {
  struct stat status;
  int fd = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return fd;
  if (fstat(fd, &status) == 0 && identify(&status, identity)) return fd;
  int error = errno;
  (void)unlinkat(folder, name, 0);
  (void)close(fd);
  errno = error;
  return -1;
}

/* Is it a file of ours? Else errno. */
static bool is_own_file(int fd) {
  struct stat status;
  if (fstat(fd, &status) != 0) return false;
  if (S_ISREG(status.st_mode) && status.st_uid == geteuid()) return true;
  errno = S_ISREG(status.st_mode) ? EPERM : EINVAL;
  return false;
}

int pop3_os_append(const char *path) {
  int fd = open(path,
                O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW |
                    O_NOCTTY | O_NONBLOCK,
                0600);
  if (fd < 0 || is_own_file(fd)) return fd;
  int error = errno;
  (void)close(fd);
  errno = error;
  return -1;
}

static bool is_still(int folder, const char *name,
                     const pop3_os_identity *identity) {
  struct stat status;
  pop3_os_identity found;
  return fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
         identify(&status, &found) && found.device == identity->device &&
         found.file == identity->file;
}

void pop3_os_remove(int folder, const char *name,
                    const pop3_os_identity *identity) {
  if (is_still(folder, name, identity)) (void)unlinkat(folder, name, 0);
}

#if defined(F_FULLFSYNC)

/* macOS: fsync leaves it in the drive's cache. */
static int sync_once(int fd) {
  return fcntl(fd, F_FULLFSYNC) == 0 ? 0 : fsync(fd);
}

#else

static int sync_once(int fd) { return fsync(fd); }

#endif

int pop3_os_sync(int fd) {
  int result;
  do result = sync_once(fd);
  while (result != 0 && errno == EINTR);
  return result == 0 ? 0 : errno;
}

int pop3_os_sync_folder(int fd) {
  int error = pop3_os_sync(fd);
  /* EBADF: opened for searching only. */
  if (error == EINVAL || error == ENOTSUP || error == EBADF) return 0;
  return error;
}

int pop3_os_close(int fd) {
  return close(fd) == 0 || errno == EINTR ? 0 : errno;
}

long pop3_os_process(void) { return (long)getpid(); }

/* --- trust --------------------------------------------------------------- */

void pop3_os_each_root(pop3_os_take_root *take, void *state) {
  (void)take;
  (void)state;
}

/* --- secrets ------------------------------------------------------------- */

int pop3_os_open(const char *path) {
  int fd;
  do fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
  while (fd < 0 && errno == EINTR);
  return fd;
}

static void wait_readable(int fd) {
  struct pollfd poller = {fd, POLLIN, 0};
  (void)poll(&poller, 1, -1);
}

ptrdiff_t pop3_os_read(int fd, char *octets, size_t room) {
  for (;;) {
    ssize_t got = read(fd, octets, room);
    if (got >= 0) return got;
    if (errno == EAGAIN || errno == EWOULDBLOCK) wait_readable(fd);
    else if (errno != EINTR) return got;
  }
}

#if defined(__APPLE__)
#define environ (*_NSGetEnviron()) /* a library has no other way to it */
#else
extern char **environ;
#endif

/* Start the shell with `out` as its standard output; errno's value. */
static int spawn_shell(const char *text, int out, pid_t *child) {
  char shell[] = "/bin/sh";
  char option[] = "-c";
  /* argv's elements are not const, for the sake of main; nobody writes. */
  char *arguments[] = {shell, option, (char *)(size_t)text, NULL};
  posix_spawn_file_actions_t actions;
  int error = posix_spawn_file_actions_init(&actions);
  if (!error) {
    error = posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    if (!error)
      error = posix_spawn(child, shell, &actions, NULL, arguments, environ);
    (void)posix_spawn_file_actions_destroy(&actions);
  }
  return error;
}

int pop3_os_start(const char *text, pop3_os_command *command) {
  int fds[2];
  pid_t child = 0;
  if (open_pipe(fds) != 0) return errno;
  int error = spawn_shell(text, fds[1], &child);
  (void)close(fds[1]);
  if (error) (void)close(fds[0]);
  command->output = fds[0];
  command->child = child;
  return error;
}

int pop3_os_finish(pop3_os_command *command, int *signal) {
  int status = 0;
  (void)close(command->output);
  *signal = 0;
  while (waitpid((pid_t)command->child, &status, 0) < 0)
    if (errno != EINTR) return -1;
  if (WIFSIGNALED(status)) *signal = WTERMSIG(status);
  return WEXITSTATUS(status);
}

#endif
