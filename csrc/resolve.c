/* resolve.c - see resolve.h. */
#define _GNU_SOURCE /* dladdr, RTLD_NODELETE, EAI_NODATA */

#include "resolve.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

#if defined(__linux__)
#include <sys/auxv.h>
#include <sys/eventfd.h>
#endif

/* A job belongs to its owner and, from its being queued to its being done, to
 * a thread; the last of them frees it. `pool.mutex` guards what changes. */
struct pop3_lookup {
  unsigned references;
  unsigned generation; /* of the pool, so that a forked child can tell */
  int family;
  bool done;
  bool queued;
  int ready[2]; /* polled end, written end; -1 when there is none */
  int code;     /* getaddrinfo's answer */
  int system;   /* errno for EAI_SYSTEM */
  struct addrinfo *list;
  pop3_lookup *next;
  char *service; /* behind host's NUL */
  char host[];
};

static struct {
  pthread_mutex_t mutex;
  pthread_once_t once;
  int prepared; /* errno of the preparations, 0 when they succeeded */
  unsigned generation;
  unsigned threads;
  pop3_lookup *first;
  pop3_lookup *last;
} pool = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_ONCE_INIT, 0, 0, 0, NULL, NULL};

/* --- descriptors ------------------------------------------------------- */

#if defined(__linux__)

static bool open_ready(int ready[2]) {
  ready[0] = ready[1] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  return ready[0] >= 0;
}

#else

static bool open_ready(int ready[2]) {
  int fds[2];
  if (pipe(fds) != 0) return false;
  for (int i = 0; i < 2; i++) {
    (void)fcntl(fds[i], F_SETFD, FD_CLOEXEC);
    (void)fcntl(fds[i], F_SETFL, O_NONBLOCK);
    ready[i] = fds[i];
  }
  return true;
}

#endif

static void close_ready(pop3_lookup *job) {
  if (job->ready[0] >= 0) (void)close(job->ready[0]);
  if (job->ready[1] != job->ready[0]) (void)close(job->ready[1]);
  job->ready[0] = job->ready[1] = -1;
}

static void signal_ready(const pop3_lookup *job) {
  const uint64_t one = 1; /* what an eventfd takes; a pipe does not mind */
  ssize_t written;
  if (job->ready[1] < 0) return;
  do written = write(job->ready[1], &one, sizeof one);
  while (written < 0 && errno == EINTR);
}

/* --- jobs -------------------------------------------------------------- */

static void destroy(pop3_lookup *job) {
  close_ready(job);
  if (job->list) freeaddrinfo(job->list);
  free(job);
}

static pop3_lookup *make_job(const char *host, const char *service,
                             int family) {
  size_t host_size = strlen(host) + 1;
  size_t service_size = strlen(service) + 1;
  pop3_lookup *job = malloc(sizeof *job + host_size + service_size);
  if (!job) return NULL;
  memset(job, 0, sizeof *job);
  memcpy(job->host, host, host_size);
  job->service = job->host + host_size;
  memcpy(job->service, service, service_size);
  job->references = 1;
  job->family = family;
  job->ready[0] = job->ready[1] = -1;
  return job;
}

static int look_up(const pop3_lookup *job, int flags, struct addrinfo **list) {
  struct addrinfo hints;
  memset(&hints, 0, sizeof hints);
  hints.ai_family = job->family;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags | AI_NUMERICSERV;
  return getaddrinfo(job->host, job->service, &hints, list);
}

/* --- the pool; its mutex is held unless said otherwise ------------------ */

static void enqueue(pop3_lookup *job) {
  job->queued = true;
  job->references++;
  if (pool.last) pool.last->next = job;
  else pool.first = job;
  pool.last = job;
}

static pop3_lookup *dequeue(void) {
  pop3_lookup *job = pool.first;
  if (!job) return NULL;
  pool.first = job->next;
  if (!pool.first) pool.last = NULL;
  job->next = NULL;
  job->queued = false;
  return job;
}

static void withdraw(pop3_lookup *job) {
  pop3_lookup *before = NULL;
  for (pop3_lookup *at = pool.first; at != job; at = at->next) before = at;
  if (before) before->next = job->next;
  else pool.first = job->next;
  if (pool.last == job) pool.last = before;
  job->queued = false;
  job->references--;
}

/* Not under the mutex: this is where a thread waits. */
static void serve(pop3_lookup *job) {
  struct addrinfo *list = NULL;
  int code = look_up(job, 0, &list);
  int system = code == EAI_SYSTEM ? errno : 0;

  (void)pthread_mutex_lock(&pool.mutex);
  job->list = list;
  job->code = code;
  job->system = system;
  job->done = true;
  signal_ready(job);
  bool last = --job->references == 0;
  (void)pthread_mutex_unlock(&pool.mutex);
  if (last) destroy(job);
}

static void *run_thread(void *unused) {
  (void)unused;
  for (;;) {
    (void)pthread_mutex_lock(&pool.mutex);
    pop3_lookup *job = dequeue();
    if (!job) pool.threads--;
    (void)pthread_mutex_unlock(&pool.mutex);
    if (!job) return NULL;
    serve(job);
  }
}

/* Small stack, detached; errno's value on failure. */
static int create_thread(void) {
  pthread_attr_t attributes;
  pthread_t thread;
  int error = pthread_attr_init(&attributes);
  if (error) return error;
  error = pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  /* A system whose minimum is larger keeps its default size. */
  (void)pthread_attr_setstacksize(&attributes, POP3_RESOLVE_STACK);
  if (!error) error = pthread_create(&thread, &attributes, run_thread, NULL);
  (void)pthread_attr_destroy(&attributes);
  return error;
}

/* The host's signal handlers must never run on our threads: they inherit a
 * mask in which everything is blocked. */
static int add_thread(void) {
  sigset_t all, before;
  (void)sigfillset(&all);
  int error = pthread_sigmask(SIG_SETMASK, &all, &before);
  if (error) return error;
  error = create_thread();
  (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (!error) pool.threads++;
  return error;
}

/* --- once in a process --------------------------------------------------- */

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

/* lua_close unloads modules; a thread inside one would go on in unmapped
 * memory. The handle is kept for ever on purpose. */
static bool pin_module(void) {
  Dl_info ours;
  if (!dladdr(&pool, &ours)) return true; /* a static program */
  if (dlopen(ours.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE))
    return true;
  (void)dlerror();
  return in_program(&ours);
}

static void before_fork(void) { (void)pthread_mutex_lock(&pool.mutex); }

static void after_fork(void) { (void)pthread_mutex_unlock(&pool.mutex); }

/* The threads exist in the parent only. Jobs of theirs are left to their
 * owners, who are told apart by the generation. */
static void in_child(void) {
  pool.generation++;
  pool.threads = 0;
  pool.first = pool.last = NULL;
  (void)pthread_mutex_unlock(&pool.mutex);
}

static void prepare(void) {
  if (!pin_module()) {
    pool.prepared = ENOSYS;
    return;
  }
  pool.prepared = pthread_atfork(before_fork, after_fork, in_child);
}

/* --- the interface ------------------------------------------------------- */

static pop3_error fail_system(pop3_failure *failure, const char *host,
                              const char *what, int system) {
  pop3_error error =
      pop3_fail(failure, POP3_E_RESOLVE, "%s: cannot look the name up: %s (%s)",
                host, what, strerror(system));
  failure->system = system;
  return error;
}

static pop3_error fail_answer(pop3_failure *failure, const char *host, int code,
                              int system) {
  const char *reason = gai_strerror(code);
  switch (code) {
    case EAI_NONAME:
#ifdef EAI_NODATA
    case EAI_NODATA:
#endif
#ifdef EAI_ADDRFAMILY
    case EAI_ADDRFAMILY:
#endif
      return pop3_fail(failure, POP3_E_NOT_FOUND,
                       "%s: host name not found (%s); check its spelling, or "
                       "use an address",
                       host, reason);
    case EAI_AGAIN:
      return pop3_fail(failure, POP3_E_TRY_AGAIN,
                       "%s: no name server answers (%s); check the network "
                       "and try again later",
                       host, reason);
    case EAI_MEMORY:
      return pop3_fail(failure, POP3_E_MEMORY, NULL);
    case EAI_SYSTEM:
      return fail_system(failure, host, reason, system);
    default:
      return pop3_fail(failure, POP3_E_RESOLVE,
                       "%s: name resolution failed (%s); check the resolver's "
                       "configuration, or use an address",
                       host, reason);
  }
}

/* A child that was forked while the job was under way has nobody to finish
 * it. */
static bool is_orphan(const pop3_lookup *job) {
  return !job->done && job->generation != pool.generation;
}

static pop3_error submit(pop3_lookup *job, pop3_failure *failure) {
  (void)pthread_once(&pool.once, prepare);
  if (pool.prepared)
    return fail_system(failure, job->host, "cannot prepare for threads",
                       pool.prepared);
  if (!open_ready(job->ready))
    return fail_system(failure, job->host, "no descriptor to wait on", errno);

  int error = 0;
  (void)pthread_mutex_lock(&pool.mutex);
  job->generation = pool.generation;
  if (pool.threads < POP3_RESOLVE_THREADS) error = add_thread();
  /* With a thread at work already, the job can wait for it. */
  if (pool.threads > 0) enqueue(job);
  bool queued = job->queued;
  (void)pthread_mutex_unlock(&pool.mutex);
  if (queued) return POP3_E_OK;
  return fail_system(failure, job->host, "cannot start a thread", error);
}

static pop3_error check_host(const char *host, pop3_failure *failure) {
  if (host[0] == '\0')
    return pop3_fail(failure, POP3_E_NOT_FOUND,
                     "the host name is empty; give the server's name");
  if (strlen(host) > POP3_HOST_MAX)
    return pop3_fail(failure, POP3_E_NOT_FOUND,
                     "the host name is longer than %d octets, which no name "
                     "can be",
                     POP3_HOST_MAX);
  return POP3_E_OK;
}

pop3_error pop3_resolve_start(const char *host, const char *service,
                              int family_hint, pop3_lookup **lookup,
                              pop3_failure *failure) {
  pop3_error error = check_host(host, failure);
  if (error) return error;
  pop3_lookup *job = make_job(host, service, family_hint);
  if (!job) return pop3_fail(failure, POP3_E_MEMORY, NULL);

  job->code = look_up(job, AI_NUMERICHOST, &job->list);
  if (job->code == 0) job->done = true;
  else if (job->code == EAI_NONAME) error = submit(job, failure);
  else error = fail_answer(failure, host, job->code, errno);
  if (error) {
    destroy(job);
    return error;
  }
  *lookup = job;
  return POP3_E_OK;
}

int pop3_lookup_fd(const pop3_lookup *lookup) { return lookup->ready[0]; }

pop3_error pop3_lookup_result(const pop3_lookup *lookup,
                              const struct addrinfo **list,
                              pop3_failure *failure) {
  (void)pthread_mutex_lock(&pool.mutex);
  bool done = lookup->done;
  bool orphan = is_orphan(lookup);
  (void)pthread_mutex_unlock(&pool.mutex);
  if (orphan)
    return pop3_fail(failure, POP3_E_RESOLVE,
                     "%s: the process was forked during name resolution; "
                     "connect again",
                     lookup->host);
  if (!done) return POP3_E_AGAIN;
  if (lookup->code)
    return fail_answer(failure, lookup->host, lookup->code, lookup->system);
  *list = lookup->list;
  return POP3_E_OK;
}

void pop3_lookup_release(pop3_lookup *lookup) {
  if (!lookup) return;
  (void)pthread_mutex_lock(&pool.mutex);
  if (is_orphan(lookup)) lookup->references = 1;
  else if (lookup->queued) withdraw(lookup);
  close_ready(lookup); /* at once, however long the thread still takes */
  bool last = --lookup->references == 0;
  (void)pthread_mutex_unlock(&pool.mutex);
  if (last) destroy(lookup);
}
