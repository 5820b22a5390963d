/* jobs.c - see jobs.h. */
#define _GNU_SOURCE
#include "jobs.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "platform.h"

typedef union aligned {
  long long integer;
  double real;
  void *pointer;
  void (*function)(void);
} aligned;

/* A job belongs to its owner and, from its being queued to its being done, to
 * a thread; the last of them frees it. `pool.mutex` guards what changes. */
struct pop3_job {
  const pop3_job_type *type;
  unsigned references;
  unsigned generation; /* of the pool, so that a forked child can tell */
  bool done;
  bool queued;
  int ready[2]; /* polled end, written end; -1 when there is none */
  pop3_job *next;
  aligned state[];
};

typedef struct lane {
  unsigned limit;
  unsigned threads;
  pop3_job *first;
  pop3_job *last;
} lane;

#define LANE(id, threads) {threads, 0, NULL, NULL},

static struct {
  pthread_mutex_t mutex;
  pthread_once_t once;
  int prepared; /* errno of the preparations, 0 when they succeeded */
  unsigned generation;
  lane lanes[POP3_JOB_KIND_COUNT];
} pool = {
    PTHREAD_MUTEX_INITIALIZER, PTHREAD_ONCE_INIT, 0, 0, {POP3_JOB_KINDS(LANE)}};

/* --- the pool; its mutex is held unless said otherwise ------------------ */

static lane *lane_of(const pop3_job *job) {
  return &pool.lanes[job->type->kind];
}

static void enqueue(pop3_job *job) {
  lane *own = lane_of(job);
  job->queued = true;
  job->references++;
  if (own->last) own->last->next = job;
  else own->first = job;
  own->last = job;
}

static pop3_job *dequeue(lane *own) {
  pop3_job *job = own->first;
  if (!job) return NULL;
  own->first = job->next;
  if (!own->first) own->last = NULL;
  job->next = NULL;
  job->queued = false;
  return job;
}

static void withdraw(pop3_job *job) {
  lane *own = lane_of(job);
  pop3_job *before = NULL;
  for (pop3_job *at = own->first; at != job; at = at->next) before = at;
  if (before) before->next = job->next;
  else own->first = job->next;
  if (own->last == job) own->last = before;
  job->queued = false;
  job->references--;
}

/* Not under the mutex. */
static void destroy(pop3_job *job) {
  pop3_os_close_wake(job->ready);
  job->type->discard(job->state);
  free(job);
}

/* Not under the mutex: this is where a thread waits. */
static void serve(pop3_job *job, bool wanted) {
  if (wanted) job->type->run(job->state);

  (void)pthread_mutex_lock(&pool.mutex);
  job->done = true;
  pop3_os_wake(job->ready[1]);
  bool last = --job->references == 0;
  (void)pthread_mutex_unlock(&pool.mutex);
  if (last) destroy(job);
}

static void *run_thread(void *its_lane) {
  lane *own = its_lane;
  for (;;) {
    (void)pthread_mutex_lock(&pool.mutex);
    pop3_job *job = dequeue(own);
    bool wanted = job && job->references > 1;
    if (!job) own->threads--;
    (void)pthread_mutex_unlock(&pool.mutex);
    if (!job) return NULL;
    serve(job, wanted);
  }
}

/* Small stack, detached; errno's value on failure. */
static int create_thread(lane *own) {
  pthread_attr_t attributes;
  pthread_t thread;
  int error = pthread_attr_init(&attributes);
  if (error) return error;
  error = pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  /* A system whose minimum is larger keeps its default size. */
  (void)pthread_attr_setstacksize(&attributes, POP3_JOB_STACK);
  if (!error) error = pthread_create(&thread, &attributes, run_thread, own);
  (void)pthread_attr_destroy(&attributes);
  return error;
}

/* The host's signal handlers must never run on our threads: they inherit a
 * mask in which everything is blocked. */
static int add_thread(lane *own) {
  pop3_os_signals before;
  int error = pop3_os_block_signals(&before);
  if (error) return error;
  error = create_thread(own);
  pop3_os_restore_signals(&before);
  if (!error) own->threads++;
  return error;
}

/* A child that was forked while the job was under way has nobody to finish
 * it. */
static bool is_lost(const pop3_job *job) {
  return !job->done && job->generation != pool.generation;
}

/* --- once in a process --------------------------------------------------- */

static void before_fork(void) { (void)pthread_mutex_lock(&pool.mutex); }

static void after_fork(void) { (void)pthread_mutex_unlock(&pool.mutex); }

/* The threads exist in the parent only. Jobs of theirs are left to their
 * owners, who are told apart by the generation. */
static void in_child(void) {
  pool.generation++;
  for (int i = 0; i < POP3_JOB_KIND_COUNT; i++) {
    pool.lanes[i].threads = 0;
    pool.lanes[i].first = pool.lanes[i].last = NULL;
  }
  (void)pthread_mutex_unlock(&pool.mutex);
}

/* lua_close unloads modules; a thread inside one would go on in unmapped
 * memory. */
static void prepare(void) {
  if (!pop3_os_pin(&pool)) {
    pool.prepared = ENOSYS;
    return;
  }
  pool.prepared = pop3_os_at_fork(before_fork, after_fork, in_child);
}

/* --- the interface ------------------------------------------------------- */

static pop3_error fail(pop3_failure *failure, const char *what, int system) {
  pop3_error error =
      pop3_fail(failure, POP3_E_IO, "%s (%s)", what, pop3_os_text(system));
  failure->system = system;
  return error;
}

pop3_job *pop3_job_new(const pop3_job_type *type, size_t size) {
  if (size > SIZE_MAX - sizeof(pop3_job)) return NULL;
  pop3_job *job = malloc(sizeof *job + size);
  if (!job) return NULL;
  memset(job, 0, sizeof *job);
  job->type = type;
  job->references = 1;
  job->ready[0] = job->ready[1] = -1;
  return job;
}

void *pop3_job_state(pop3_job *job) { return job->state; }

int pop3_job_fd(const pop3_job *job) { return job->ready[0]; }

pop3_error pop3_job_submit(pop3_job *job, pop3_failure *failure) {
  (void)pthread_once(&pool.once, prepare);
  if (pool.prepared)
    return fail(failure, "cannot prepare for threads", pool.prepared);
  if (!pop3_os_open_wake(job->ready))
    return fail(failure, "no descriptor to wait on", errno);

  int error = 0;
  lane *own = lane_of(job);
  (void)pthread_mutex_lock(&pool.mutex);
  job->generation = pool.generation;
  if (own->threads < own->limit) error = add_thread(own);
  /* With a thread at work already, the job can wait for it. */
  bool queued = own->threads > 0;
  if (queued) enqueue(job);
  (void)pthread_mutex_unlock(&pool.mutex);
  if (queued) return POP3_E_OK;
  pop3_os_close_wake(job->ready);
  return fail(failure, "cannot start a thread", error);
}

pop3_job_progress pop3_job_look(const pop3_job *job) {
  (void)pthread_mutex_lock(&pool.mutex);
  bool done = job->done;
  bool lost = is_lost(job);
  (void)pthread_mutex_unlock(&pool.mutex);
  if (lost) return POP3_JOB_LOST;
  return done ? POP3_JOB_DONE : POP3_JOB_WAITING;
}

void pop3_job_release(pop3_job *job) {
  if (!job) return;
  (void)pthread_mutex_lock(&pool.mutex);
  if (is_lost(job)) job->references = 1;
  else if (job->queued && !job->type->discard_on_helper) withdraw(job);
  pop3_os_close_wake(
      job->ready); /* at once, however long the thread still takes */
  bool last = --job->references == 0;
  (void)pthread_mutex_unlock(&pool.mutex);
  if (last) destroy(job);
}
