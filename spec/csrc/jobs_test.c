/*
 * jobs_test.c - work on helper threads: few of them, one kind not in another's
 * way, let go of at any moment (design rule 11).
 *
 * Build: cc -std=c99 spec/csrc/jobs_test.c csrc/failure.c csrc/tables.c
 *           -lpthread -ldl
 *
 * A job waits at a gate until the test opens it; no test depends on the time
 * that something takes.
 */
#define _GNU_SOURCE

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static int threads_refused; /* pthread_create says so many times EAGAIN */

static int scripted_create(pthread_t *thread, const pthread_attr_t *attributes,
                           void *(*run)(void *), void *argument) {
  if (threads_refused > 0) {
    threads_refused--;
    return EAGAIN;
  }
  return pthread_create(thread, attributes, run, argument);
}

#define pthread_create scripted_create
#include "../../csrc/jobs.c"
#undef pthread_create

#include "report.h"
#include "threads.h"

/* --- jobs that wait ------------------------------------------------------ */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static struct {
  int allowed[POP3_JOB_KIND_COUNT]; /* jobs that may pass the gate */
  int at_work[POP3_JOB_KIND_COUNT];
  int most[POP3_JOB_KIND_COUNT];
  int ran, discarded;
  int discarded_by_us; /* on the test's own thread */
  int signals_open;    /* jobs in a thread that could take a signal */
} seen;
static pthread_t us;

typedef struct sum {
  pop3_job_kind kind;
  int a, b, result;
} sum;

static void run_sum(void *state) {
  sum *s = state;
  sigset_t mask;
  (void)pthread_sigmask(SIG_SETMASK, NULL, &mask);
  (void)pthread_mutex_lock(&mutex);
  if (!sigismember(&mask, SIGINT) || !sigismember(&mask, SIGALRM))
    seen.signals_open++;
  seen.ran++;
  if (++seen.at_work[s->kind] > seen.most[s->kind])
    seen.most[s->kind] = seen.at_work[s->kind];
  (void)pthread_cond_broadcast(&changed);
  while (seen.allowed[s->kind] == 0) (void)pthread_cond_wait(&changed, &mutex);
  seen.allowed[s->kind]--;
  seen.at_work[s->kind]--;
  (void)pthread_mutex_unlock(&mutex);
  s->result = s->a + s->b;
}

static void discard_sum(void *state) {
  (void)state;
  (void)pthread_mutex_lock(&mutex);
  seen.discarded++;
  if (pthread_equal(pthread_self(), us)) seen.discarded_by_us++;
  (void)pthread_cond_broadcast(&changed);
  (void)pthread_mutex_unlock(&mutex);
}

static const pop3_job_type types[] = {
    {POP3_JOB_RESOLVE, run_sum, discard_sum, false},
    {POP3_JOB_DISK, run_sum, discard_sum, false},
};
static const pop3_job_type kept = {POP3_JOB_DISK, run_sum, discard_sum, true};

static void open_gate(pop3_job_kind kind, int times) {
  (void)pthread_mutex_lock(&mutex);
  seen.allowed[kind] += times;
  (void)pthread_cond_broadcast(&changed);
  (void)pthread_mutex_unlock(&mutex);
}

static void wait_until_at_work(pop3_job_kind kind, int jobs) {
  (void)pthread_mutex_lock(&mutex);
  while (seen.at_work[kind] < jobs) (void)pthread_cond_wait(&changed, &mutex);
  (void)pthread_mutex_unlock(&mutex);
}

static void wait_until_discarded(int jobs) {
  (void)pthread_mutex_lock(&mutex);
  while (seen.discarded < jobs) (void)pthread_cond_wait(&changed, &mutex);
  (void)pthread_mutex_unlock(&mutex);
}

static int counter(const int *which) {
  (void)pthread_mutex_lock(&mutex);
  int value = *which;
  (void)pthread_mutex_unlock(&mutex);
  return value;
}

static void forget(void) {
  (void)pthread_mutex_lock(&mutex);
  memset(&seen, 0, sizeof seen);
  (void)pthread_mutex_unlock(&mutex);
}

static pop3_job *make(const pop3_job_type *type, int a, int b) {
  pop3_job *job = pop3_job_new(type, sizeof(sum));
  if (!job) abort();
  sum *s = pop3_job_state(job);
  memset(s, 0, sizeof *s);
  s->kind = type->kind;
  s->a = a;
  s->b = b;
  return job;
}

static pop3_job *start(const pop3_job_type *type, int a, int b) {
  pop3_job *job = make(type, a, b);
  pop3_failure failure;
  if (pop3_job_submit(job, &failure)) {
    printf("# %s\n", failure.text);
    abort();
  }
  return job;
}

static int result_of(pop3_job *job) {
  return ((sum *)pop3_job_state(job))->result;
}

static bool wait_until_ready(const pop3_job *job) {
  struct pollfd poller = {pop3_job_fd(job), POLLIN, 0};
  while (poll(&poller, 1, 20000) < 0) continue;
  return poller.revents == POLLIN && pop3_job_look(job) == POP3_JOB_DONE;
}

/* --- claims -------------------------------------------------------------- */

static void test_one(void) {
  pop3_job *job = make(&types[POP3_JOB_DISK], 3, 4);
  pop3_failure failure;
  report(pop3_job_fd(job) == -1, "there is nothing to wait for before submit");
  report(pop3_job_submit(job, &failure) == POP3_E_OK &&
             pop3_job_look(job) == POP3_JOB_WAITING,
         "a job is handed over without waiting for it");
  report(fcntl(pop3_job_fd(job), F_GETFD) & FD_CLOEXEC,
         "its descriptor is close-on-exec");
  open_gate(POP3_JOB_DISK, 1);
  report(wait_until_ready(job) && result_of(job) == 7,
         "its descriptor tells when it is done");
  report(wait_until_ready(job), "what is done stays readable");
  pop3_job_release(job);
  report(counter(&seen.discarded_by_us) == 1,
         "a job that is done is discarded by its owner");
  pop3_job_release(NULL);
}

enum { MANY = 50 };

static void start_many(pop3_job *jobs[MANY], pop3_job_kind kind) {
  for (int i = 0; i < MANY; i++) jobs[i] = start(&types[kind], i, 1);
}

static bool collect(pop3_job *jobs[MANY]) {
  bool right = true;
  for (int i = 0; i < MANY; i++) {
    right = wait_until_ready(jobs[i]) && result_of(jobs[i]) == i + 1 && right;
    pop3_job_release(jobs[i]);
  }
  return right;
}

/* One kind of which none comes to an end leaves the other's alone. */
static void test_kinds(pop3_job_kind stuck, pop3_job_kind free_one, int limit,
                       const char *name) {
  pop3_job *jobs[MANY], *others[MANY];
  forget();
  start_many(jobs, stuck);
  wait_until_at_work(stuck, limit);
  start_many(others, free_one);
  open_gate(free_one, MANY);
  report(collect(others), name);
  report(counter(&seen.at_work[stuck]) == limit &&
             counter(&seen.most[stuck]) == limit,
         "and no more than its limit of the first are at work");
  open_gate(stuck, MANY);
  report(collect(jobs), "which all end when they can");
  report(threads_end(), "no thread is left when nothing is to be done");
  report(counter(&seen.signals_open) == 0,
         "signals are blocked in the threads");
}

static void test_release(void) {
  pop3_job *running[POP3_DISK_THREADS];
  int descriptors = entries("/proc/self/fd");
  forget();
  for (int i = 0; i < POP3_DISK_THREADS; i++)
    running[i] = start(&types[POP3_JOB_DISK], 0, 0);
  wait_until_at_work(POP3_JOB_DISK, POP3_DISK_THREADS);
  pop3_job *first = start(&types[POP3_JOB_DISK], 0, 0);
  pop3_job *queued = start(&types[POP3_JOB_DISK], 0, 0);
  pop3_job *later = start(&kept, 0, 0);
  pop3_job_release(queued);
  report(counter(&seen.discarded_by_us) == 1,
         "what is released in the queue is discarded at once");
  pop3_job_release(later);
  report(counter(&seen.discarded) == 1,
         "or on a helper where that may take long");
  pop3_job_release(first);
  for (int i = 0; i < POP3_DISK_THREADS; i++) pop3_job_release(running[i]);
  report(
      counter(&seen.discarded) == 2 && entries("/proc/self/fd") == descriptors,
      "T61 a release closes at once, queued or running");
  open_gate(POP3_JOB_DISK, POP3_DISK_THREADS);
  wait_until_discarded(POP3_DISK_THREADS + 3);
  report(threads_end() && counter(&seen.ran) == POP3_DISK_THREADS &&
             counter(&seen.discarded) == POP3_DISK_THREADS + 3 &&
             counter(&seen.discarded_by_us) == 2,
         "what was released is not run any more");
}

static int submit_without_descriptors(pop3_job *job, pop3_failure *failure) {
  struct rlimit before, none;
  if (getrlimit(RLIMIT_NOFILE, &before)) abort();
  none = before;
  none.rlim_cur = 0;
  if (setrlimit(RLIMIT_NOFILE, &none)) abort();
  pop3_error error = pop3_job_submit(job, failure);
  if (setrlimit(RLIMIT_NOFILE, &before)) abort();
  return (int)error;
}

static void test_shortage(void) {
  pop3_failure failure;
  pop3_job *job = make(&types[POP3_JOB_DISK], 1, 1);
  forget();
  report(submit_without_descriptors(job, &failure) == POP3_E_IO &&
             failure.system == EMFILE &&
             strstr(failure.text, "no descriptor to wait on"),
         "without a descriptor a job is refused");
  threads_refused = 1;
  report(pop3_job_submit(job, &failure) == POP3_E_IO &&
             failure.system == EAGAIN && strstr(failure.text, "thread") &&
             pop3_job_fd(job) == -1,
         "nor without any thread");
  report(pop3_job_submit(job, &failure) == POP3_E_OK,
         "but may be handed over again");
  wait_until_at_work(POP3_JOB_DISK, 1);
  threads_refused = 1;
  pop3_job *second = start(&types[POP3_JOB_DISK], 2, 2);
  open_gate(POP3_JOB_DISK, 2);
  report(wait_until_ready(second) && result_of(second) == 4,
         "one thread is enough for two");
  pop3_job_release(second);
  pop3_job_release(job);
  (void)threads_end();
}

/* In a child: 0 when everything is as it should be. */
static int child_of_fork(pop3_job *inherited, pop3_job *done) {
  /* The one inherited waits for a thread that is not here. */
  if (pthread_cond_init(&changed, NULL)) return 6;
  if (pop3_job_look(inherited) != POP3_JOB_LOST) return 1;
  if (pop3_job_look(done) != POP3_JOB_DONE || result_of(done) != 11) return 2;
  pop3_job_release(inherited);
  if (seen.discarded != 1) return 3;
  pop3_job_release(done);
  pop3_job *own = start(&types[POP3_JOB_DISK], 5, 6);
  open_gate(POP3_JOB_DISK, 1);
  if (!wait_until_ready(own) || result_of(own) != 11) return 4;
  pop3_job_release(own);
  return seen.discarded == 3 ? 0 : 5;
}

static void test_fork(void) {
  if (!can_fork()) return;
  forget();
  pop3_job *done = start(&types[POP3_JOB_RESOLVE], 5, 6);
  open_gate(POP3_JOB_RESOLVE, 1);
  (void)wait_until_ready(done);
  pop3_job *job = start(&types[POP3_JOB_DISK], 8, 9);
  wait_until_at_work(POP3_JOB_DISK, 1);
  (void)fflush(stdout);
  pid_t child = fork();
  if (child == 0) _exit(child_of_fork(job, done));
  report(status_of(child) == 0, "a forked child starts afresh");
  open_gate(POP3_JOB_DISK, 1);
  report(wait_until_ready(job) && result_of(job) == 17,
         "its parent's job goes on");
  pop3_job_release(job);
  pop3_job_release(done);
  report(threads_end(), "and nothing else is left");
}

int main(void) {
  us = pthread_self();
  count_idle_threads();
  test_one();
  test_kinds(POP3_JOB_RESOLVE, POP3_JOB_DISK, POP3_RESOLVE_THREADS,
             "names that nobody answers do not hold up the disk");
  test_kinds(POP3_JOB_DISK, POP3_JOB_RESOLVE, POP3_DISK_THREADS,
             "a disk that is stuck does not hold up names");
  test_release();
  test_shortage();
  test_fork();
  return failed != 0;
}
