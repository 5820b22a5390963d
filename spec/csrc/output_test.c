/*
 * output_test.c - messages go to pipes, sockets and descriptors that are the
 * caller's without a stall or a signal (file.h, platform.h).
 *
 * Build: cc -std=c99 spec/csrc/output_test.c csrc/jobs.c csrc/memory.c
 *           csrc/failure.c csrc/tables.c -lpthread -ldl
 *
 * Pipes, sockets, signals and limits are real. Nothing depends on the time that
 * it takes.
 */
#include "file_world.h"

/* --- signals ------------------------------------------------------------- */

static bool is_pending(int number) {
  sigset_t pending;
  (void)sigpending(&pending);
  return sigismember(&pending, number);
}

static bool is_blocked(int number) {
  sigset_t mask;
  (void)pthread_sigmask(SIG_SETMASK, NULL, &mask);
  return sigismember(&mask, number);
}

static pop3_error write_to_nobody(void) {
  int fds[2];
  size_t written;
  if (pipe(fds)) abort();
  (void)close(fds[0]);
  pop3_file *file = use_fd(fds[1], false);
  pop3_error error = pop3_file_write(file, "x", 1, &written, &failure);
  pop3_file_release(file);
  (void)close(fds[1]);
  return error;
}

/* The default disposition is in force: a signal would end this test. */
static void test_no_signal(void) {
  report(write_to_nobody() == POP3_E_IO &&
             says(EPIPE, "descriptor ", "reader ended"),
         "a pipe whose reader left is an error, not a signal");
  report(!is_blocked(SIGPIPE) && !is_blocked(SIGXFSZ) && !is_pending(SIGPIPE),
         "the mask is as it was");
}

static void test_signal_taken_back(void) {
  sigset_t only, before;
  (void)sigemptyset(&only);
  (void)sigaddset(&only, SIGPIPE);
  (void)pthread_sigmask(SIG_BLOCK, &only, &before);
  (void)write_to_nobody();
  report(!is_pending(SIGPIPE), "our SIGPIPE is taken back");
  (void)raise(SIGPIPE);
  (void)write_to_nobody();
  report(is_pending(SIGPIPE), "the host's own, pending before, is left to it");
  int taken;
  if (is_pending(SIGPIPE)) (void)sigwait(&only, &taken);
  (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static volatile sig_atomic_t alarms;

static void count_alarm(int number) {
  (void)number;
  alarms++;
}

static void *read_all(void *from) {
  static char got[sizeof big];
  int fd = *(int *)from;
  size_t size = 0;
  for (ssize_t n; size < sizeof got; size += (size_t)n) {
    n = read(fd, got + size, sizeof got - size);
    if (n <= 0) break;
  }
  bool good = size == sizeof big && memcmp(got, big, size) == 0;
  return good ? from : NULL;
}

/* With all signals blocked: the storm is the writer's. */
static pthread_t start_reader(int *fd) {
  pthread_t reader;
  sigset_t all, before;
  (void)sigfillset(&all);
  (void)pthread_sigmask(SIG_SETMASK, &all, &before);
  if (pthread_create(&reader, NULL, read_all, fd)) abort();
  (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
  return reader;
}

/* Until a few of them came, however fast this machine is. */
static void test_storm(int fds[2], const char *name) {
  struct itimerval often = {{0, 1000}, {0, 1000}}, never = {{0, 0}, {0, 0}};
  struct sigaction action, before;
  bool good = true;
  memset(&action, 0, sizeof action);
  action.sa_handler = count_alarm; /* without SA_RESTART */
  (void)sigaction(SIGALRM, &action, &before);
  alarms = 0;
  (void)setitimer(ITIMER_REAL, &often, NULL);
  while (good && alarms < 20) {
    void *whole = NULL;
    pthread_t reader = start_reader(&fds[0]);
    pop3_file *file = use_fd(fds[1], false);
    good = !write_all_of(file, big, sizeof big) && !finish(file);
    pop3_file_release(file);
    (void)pthread_join(reader, &whole);
    good = good && whole;
  }
  (void)setitimer(ITIMER_REAL, &never, NULL);
  (void)sigaction(SIGALRM, &before, NULL);
  report(good, name);
}

static void test_storms(void) {
  int fds[2], ends[2];
  if (pipe(fds) || socketpair(AF_UNIX, SOCK_STREAM, 0, ends)) abort();
  test_storm(fds, "a storm of signals changes nothing in a pipe");
  test_storm(ends, "nor in a socket");
  (void)close(fds[0]), (void)close(fds[1]);
  (void)close(ends[0]), (void)close(ends[1]);
}

/* --- descriptors --------------------------------------------------------- */

/* Never waits, and what it took arrives: the reader comes too late on purpose. */
static void test_full(int fds[2], const char *name) {
  static char got[sizeof big];
  int flags = fcntl(fds[1], F_GETFL);
  size_t taken = 0, arrived = 0, written;
  pop3_file *file = use_fd(fds[1], true);
  bool good = true;
  pop3_error error;
  while (arrived < sizeof big) {
    do {
      written = 0;
      error = pop3_file_write(file, big + taken, sizeof big - taken, &written,
                              &failure);
      taken += written;
    } while (!error && taken < sizeof big);
    pop3_interest want = pop3_file_interest(file);
    if (taken < sizeof big && error != POP3_E_AGAIN) good = false;
    if (want.fd != fds[1] || !want.writable || want.readable) good = false;
    ssize_t n = read(fds[0], got + arrived, 5000);
    if (n <= 0) break;
    arrived += (size_t)n;
  }
  good = good && !finish(file) && taken == sizeof big &&
         memcmp(got, big, sizeof big) == 0;
  pop3_file_release(file);
  report(good && fcntl(fds[1], F_GETFL) == flags && flags >= 0, name);
}

static void test_streams(void) {
  int fds[2];
  if (pipe(fds)) abort();
  test_full(fds, "a full pipe in blocking mode is waited for by the caller");
  (void)fcntl(fds[1], F_SETFL, O_NONBLOCK);
  test_full(fds, "one in non-blocking mode, too");
  (void)close(fds[0]), (void)close(fds[1]);
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds)) abort();
  test_full(fds, "and a socket in blocking mode");
  (void)close(fds[0]);
  pop3_file *file = use_fd(fds[1], false);
  report(write_all_of(file, "x", 1) == POP3_E_IO && failure.system == EPIPE,
         "a socket whose peer left is an error");
  pop3_file_release(file);
  (void)close(fds[1]);
}

static void test_devices(void) {
  int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
  int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
  pop3_file *file = use_fd(null, true);
  report(!write_all_of(file, big, sizeof big) && !finish(file),
         "/dev/null takes everything");
  pop3_file_release(file);
  file = use_fd(full, true);
  report(write_all_of(file, "x", 1) == POP3_E_IO &&
             says(ENOSPC, "descriptor ", "make room"),
         "/dev/full takes nothing");
  pop3_file_release(file);
  (void)close(null), (void)close(full);
}

static void test_borrowed(bool threaded, const char *name) {
  const char *path = in_folder("borrowed");
  reset_script();
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (write(fd, "head", 4) != 4) abort();
  pop3_file *file = use_fd(fd, threaded);
  bool good = !write_all_of(file, " tail", 5) && !finish(file);
  pop3_file_release(file);
  report(good && holds(path, "head tail", 9) && script.order[0] == '\0' &&
             write(fd, "!", 1) == 1 && holds(path, "head tail!", 10),
         name);
  file = use_fd(fd, threaded);
  (void)write_all_of(file, "?", 1);
  pop3_file_release(file);
  (void)threads_end();
  report(write(fd, "!", 1) == 1 && exists(path),
         "nor is it closed or removed when it is given up");
  (void)close(fd);
  (void)unlink(path);
}

static void test_bad_descriptors(void) {
  pop3_file *file = NULL;
  int reading = open("/dev/null", O_RDONLY | O_CLOEXEC);
  report(pop3_file_use_fd(memory, -1, false, &file, &failure) == POP3_E_IO &&
             says(EBADF, "descriptor -1", "open for writing") && !file,
         "a descriptor that is none is refused");
  report(
      pop3_file_use_fd(memory, reading, true, &file, &failure) == POP3_E_IO &&
          says(EBADF, "descriptor ", "open for writing") && !file,
      "and one for reading, before anything is fetched");
  (void)close(reading);
}

int main(void) {
  open_world();
  test_no_signal();
  test_signal_taken_back();
  test_storms();
  test_streams();
  test_devices();
  test_borrowed(false, "a caller's file is written to, neither more nor less");
  test_borrowed(true, "by threads, too");
  test_bad_descriptors();
  return close_world();
}
