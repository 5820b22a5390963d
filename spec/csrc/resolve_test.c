/*
 * resolve_test.c - names are looked up without waiting, by few threads, that
 * survive their users (R22, T61, design rule 11).
 *
 * Build: cc -std=c99 spec/csrc/resolve_test.c csrc/jobs.c
 *           csrc/failure.c csrc/tables.c -lpthread -ldl
 * Run in the repository's root; it needs a C compiler ($CC, else cc) once
 * more, for a copy of itself that is loaded and unloaded.
 *
 * getaddrinfo is replaced for names that end in ".test": what it answers is
 * in the name, and "slow" ones wait until the gate is opened. No test depends
 * on a name server, and none on the time that something takes.
 */
#define _GNU_SOURCE

#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

#define getaddrinfo scripted_getaddrinfo
int scripted_getaddrinfo(const char *host, const char *service,
                         const struct addrinfo *hints, struct addrinfo **list);
#include "../../csrc/resolve.c"
#undef getaddrinfo

/* A byte in this pipe lets one slow lookup go on. */
static int gate[2];
static int at_work;
static int most_at_work;
static int signals_open; /* lookups in a thread that could take a signal */
static pthread_mutex_t count_mutex = PTHREAD_MUTEX_INITIALIZER;

static void count(int change) {
  (void)pthread_mutex_lock(&count_mutex);
  at_work += change;
  if (at_work > most_at_work) most_at_work = at_work;
  (void)pthread_mutex_unlock(&count_mutex);
}

static void note_mask(void) {
  sigset_t mask;
  (void)pthread_sigmask(SIG_SETMASK, NULL, &mask);
  (void)pthread_mutex_lock(&count_mutex);
  if (!sigismember(&mask, SIGINT) || !sigismember(&mask, SIGALRM))
    signals_open++;
  (void)pthread_mutex_unlock(&count_mutex);
}

static void wait_at_gate(void) {
  char octet;
  count(+1);
  while (read(gate[0], &octet, 1) < 0) continue;
  count(-1);
}

int scripted_getaddrinfo(const char *host, const char *service,
                         const struct addrinfo *hints, struct addrinfo **list) {
  if ((hints->ai_flags & AI_NUMERICHOST) || !strstr(host, ".test"))
    return getaddrinfo(host, service, hints, list);
  note_mask();
  if (strncmp(host, "slow", 4) == 0) wait_at_gate();
  if (strstr(host, "missing")) return EAI_NONAME;
  if (strstr(host, "again")) return EAI_AGAIN;
  if (strstr(host, "broken")) return EAI_FAIL;
  if (strstr(host, "system")) {
    errno = EMFILE;
    return EAI_SYSTEM;
  }
  return getaddrinfo("127.0.0.1", service, hints, list);
}

#if defined(RESOLVE_PLUGIN)

/* Begin a lookup that waits at `fd`, and give it up. */
int plugin_start(int fd);
int plugin_start(int fd) {
  pop3_lookup *lookup;
  pop3_failure failure;
  gate[0] = fd;
  pop3_error error =
      pop3_resolve_start("slow.test", "110", AF_UNSPEC, &lookup, &failure);
  if (!error) pop3_lookup_release(lookup);
  return (int)error;
}

#else

#include "report.h"
#include "threads.h"

static void open_gate(int times) {
  for (; times > 0; times--)
    if (write(gate[1], "x", 1) != 1) abort();
}

static bool wait_until_ready(const pop3_lookup *lookup) {
  struct pollfd poller = {pop3_lookup_fd(lookup), POLLIN, 0};
  while (poll(&poller, 1, 10000) < 0) continue;
  if (!poller.revents) fprintf(stderr, "# a lookup took ten seconds\n");
  return poller.revents == POLLIN;
}

static void wait_until_at_work(int threads) {
  for (;;) {
    (void)pthread_mutex_lock(&count_mutex);
    int now = at_work;
    (void)pthread_mutex_unlock(&count_mutex);
    if (now >= threads) return;
    (void)sched_yield();
  }
}

static pop3_lookup *start(const char *host) {
  pop3_lookup *lookup = NULL;
  pop3_failure failure;
  if (pop3_resolve_start(host, "110", AF_UNSPEC, &lookup, &failure))
    printf("# %s: %s\n", host, failure.text);
  return lookup;
}

/* Ready at once. */
static void test_numeric(void) {
  static const char *const hosts[] = {"127.0.0.1", "::1", "192.0.2.7"};
  for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
    const struct addrinfo *list = NULL;
    pop3_failure failure;
    pop3_lookup *lookup = start(hosts[i]);
    report(lookup && pop3_lookup_fd(lookup) == -1 &&
               pop3_lookup_result(lookup, &list, &failure) == POP3_E_OK &&
               list && list->ai_socktype == SOCK_STREAM,
           hosts[i]);
    pop3_lookup_release(lookup);
  }
  report(entries("/proc/self/task") == idle_threads,
         "numeric addresses start no thread");
}

static void test_name(void) {
  const struct addrinfo *list = NULL;
  pop3_failure failure;
  pop3_lookup *lookup = start("found.test");
  (void)wait_until_ready(lookup);
  report(pop3_lookup_result(lookup, &list, &failure) == POP3_E_OK && list,
         "a name is found");
  report(wait_until_ready(lookup), "what is finished stays readable");
  report(pop3_lookup_result(lookup, &list, &failure) == POP3_E_OK,
         "a result can be asked for again");
  pop3_lookup_release(lookup);
  pop3_lookup_release(NULL);
}

static void test_failures(void) {
  const struct {
    const char *host;
    pop3_error error;
    const char *says;
  } rows[] = {
      {"missing.test", POP3_E_NOT_FOUND, "check its spelling"},
      {"again.test", POP3_E_TRY_AGAIN, "try again later"},
      {"broken.test", POP3_E_RESOLVE, "resolver's configuration"},
      {"system.test", POP3_E_TRY_AGAIN, strerror(EMFILE)},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    const struct addrinfo *list = NULL;
    pop3_failure failure;
    pop3_lookup *lookup = start(rows[i].host);
    (void)wait_until_ready(lookup);
    report(pop3_lookup_result(lookup, &list, &failure) == rows[i].error &&
               failure.error == rows[i].error && !list &&
               strstr(failure.text, rows[i].host) &&
               strstr(failure.text, rows[i].says),
           rows[i].host);
    pop3_lookup_release(lookup);
  }
}

/* getaddrinfo, which could open no file, has no other word than "no such name".
 * The lookup has its own descriptor by then. */
static void test_no_descriptors(void) {
  const struct addrinfo *list = NULL;
  pop3_failure failure;
  struct rlimit before, none;
  pop3_lookup *lookup = start("slow.missing.test");
  wait_until_at_work(1);
  if (getrlimit(RLIMIT_NOFILE, &before)) abort();
  none = before;
  none.rlim_cur = 1; /* which poll needs */
  if (setrlimit(RLIMIT_NOFILE, &none)) abort();
  open_gate(1);
  (void)wait_until_ready(lookup);
  if (setrlimit(RLIMIT_NOFILE, &before)) abort();
  report(pop3_lookup_result(lookup, &list, &failure) == POP3_E_TRY_AGAIN &&
             failure.system == EMFILE && strstr(failure.text, "raise"),
         "a name is not missing where no descriptor is left to look it up");
  pop3_lookup_release(lookup);
}

/* At once, or on a helper: to musl it is a name like any other. */
static pop3_error other_family(void) {
  pop3_lookup *lookup;
  pop3_failure failure;
  const struct addrinfo *list;
  pop3_error error =
      pop3_resolve_start("::1", "110", AF_INET, &lookup, &failure);
  if (error) return error;
  (void)wait_until_ready(lookup);
  error = pop3_lookup_result(lookup, &list, &failure);
  pop3_lookup_release(lookup);
  return error;
}

static void test_bad_names(void) {
  char lengthy[POP3_HOST_MAX + 2];
  pop3_lookup *lookup = NULL;
  pop3_failure failure;
  memset(lengthy, 'a', sizeof lengthy - 1);
  lengthy[sizeof lengthy - 1] = '\0';
  report(pop3_resolve_start("", "110", AF_UNSPEC, &lookup, &failure) ==
                 POP3_E_NOT_FOUND &&
             !lookup,
         "an empty name is refused");
  report(pop3_resolve_start(lengthy, "110", AF_UNSPEC, &lookup, &failure) ==
                 POP3_E_NOT_FOUND &&
             !lookup,
         "a name of 256 octets is refused");
  report(other_family() == POP3_E_NOT_FOUND,
         "an address of the other family is refused");
}

enum { MANY = 100 };

static void test_many(void) {
  pop3_lookup *lookups[MANY];
  const struct addrinfo *list;
  pop3_failure failure;
  int ok = threads_end(); /* those of the tests before */
  most_at_work = 0;
  for (int i = 0; i < MANY; i++) {
    lookups[i] = start("slow.test");
    if (pop3_lookup_result(lookups[i], &list, &failure) != POP3_E_AGAIN) ok = 0;
    if (pop3_lookup_fd(lookups[i]) < 0) ok = 0;
    if (!(fcntl(pop3_lookup_fd(lookups[i]), F_GETFD) & FD_CLOEXEC)) ok = 0;
  }
  report(ok, "R22 a hundred names wait without waiting, close-on-exec");
  report(entries("/proc/self/task") <= idle_threads + POP3_RESOLVE_THREADS,
         "they have at most four threads");
  open_gate(MANY);
  for (int i = 0; i < MANY; i++) {
    (void)wait_until_ready(lookups[i]);
    if (pop3_lookup_result(lookups[i], &list, &failure)) ok = 0;
    pop3_lookup_release(lookups[i]);
  }
  report(ok, "all hundred are found");
  report(most_at_work <= POP3_RESOLVE_THREADS, "four at a time at most");
  report(threads_end(), "no thread is left when nothing is looked up");
  report(signals_open == 0, "signals are blocked in the threads");
}

static void test_release(void) {
  pop3_lookup *lookups[MANY];
  int before = entries("/proc/self/fd");
  for (int i = 0; i < MANY; i++) lookups[i] = start("slow.test");
  wait_until_at_work(POP3_RESOLVE_THREADS);
  for (int i = MANY - 1; i >= 0; i -= 2) pop3_lookup_release(lookups[i]);
  for (int i = 0; i < MANY; i += 2) pop3_lookup_release(lookups[i]);
  report(entries("/proc/self/fd") == before,
         "T61 a release closes at once, queued or running");
  open_gate(POP3_RESOLVE_THREADS);
  report(threads_end(), "what was released is not looked up any more");
}

/* In a child: 0 when everything is as it should be. */
static int child_of_fork(pop3_lookup *inherited) {
  const struct addrinfo *list;
  pop3_failure failure;
  if (pop3_lookup_result(inherited, &list, &failure) != POP3_E_RESOLVE)
    return 1;
  if (!strstr(failure.text, "forked")) return 2;
  pop3_lookup_release(inherited);
  pop3_lookup *own = start("fast.test");
  (void)wait_until_ready(own);
  if (pop3_lookup_result(own, &list, &failure)) return 3;
  pop3_lookup_release(own);
  return 0;
}

static void test_fork(void) {
  if (!can_fork()) return;
  const struct addrinfo *list;
  pop3_failure failure;
  pop3_lookup *lookup = start("slow.test");
  wait_until_at_work(1);
  (void)fflush(stdout);
  pid_t child = fork();
  if (child == 0) _exit(child_of_fork(lookup));
  report(status_of(child) == 0, "a forked child starts afresh");
  open_gate(1);
  (void)wait_until_ready(lookup);
  report(pop3_lookup_result(lookup, &list, &failure) == POP3_E_OK,
         "its parent's lookup goes on");
  pop3_lookup_release(lookup);
  report(threads_end(), "and nothing else is left");
}

static int build_plugin(char *path, size_t size, const char *folder) {
  char command[1024];
  const char *compiler = getenv("CC");
  (void)snprintf(path, size, "%s/plugin.so", folder);
  (void)snprintf(command, sizeof command,
                 "%s -std=c99 -shared -fPIC -DRESOLVE_PLUGIN -o %s "
                 "spec/csrc/resolve_test.c csrc/jobs.c csrc/failure.c "
                 "csrc/platform.c csrc/tables.c -lpthread -ldl",
                 compiler && *compiler ? compiler : "cc", path);
  return system(command);
}

static int use_plugin(const char *path) {
  count_idle_threads();
  void *plugin = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!plugin) return 1;
  int (*begin)(int);
  void *symbol = dlsym(plugin, "plugin_start");
  memcpy(&begin, &symbol, sizeof begin);
  if (!symbol || begin(gate[0])) return 2;
  (void)dlclose(plugin);
  open_gate(1);
  return threads_end() ? 0 : 3;
}

static void test_unload(void) {
  if (!can_fork()) return;
  char folder[] = "/tmp/resolve_test.XXXXXX";
  char path[64];
  int status = -1;
  if (mkdtemp(folder) && build_plugin(path, sizeof path, folder) == 0) {
    (void)fflush(stdout);
    pid_t child = fork();
    if (child == 0) _exit(use_plugin(path));
    status = status_of(child);
  }
  (void)unlink(path);
  (void)rmdir(folder);
  report(status == 0, "T61 unloading during a lookup crashes nothing");
}

int main(void) {
  if (pipe(gate) != 0) return 1;
  count_idle_threads();
  test_numeric();
  test_name();
  test_failures();
  test_no_descriptors();
  test_bad_names();
  test_many();
  test_release();
  test_fork();
  test_unload();
  return failed != 0;
}

#endif
