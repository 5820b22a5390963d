/*
 * jobs.h - work that waits (names, disks) on helper threads, so that nothing
 * else has to.
 *
 * A job is a function and its state, in one block of malloc's: it may outlive
 * the Lua state that began it. Its owner is one thread at a time. From submit
 * to DONE the state is the helper's; only what `run` never touches may be
 * changed by the owner meanwhile.
 *
 * The threads end when their queue is empty. They run with all signals
 * blocked, touch nothing of any Lua state, and outlive the module's users:
 * before the first one starts, the code pins itself in memory. A forked child
 * starts with a pool of its own; jobs that its parent had begun are LOST there.
 */
#ifndef POP3_JOBS_H
#define POP3_JOBS_H

#include <stdbool.h>
#include <stddef.h>

#include "errors.h"
#include "failure.h"

#pragma GCC visibility push(hidden)

/*
 * Each kind has a queue and threads of its own, at most so many in a process,
 * the rest of its jobs wait. Were they shared, four names whose servers do not
 * answer would hold up every fsync for half a minute, and a disk that is busy
 * writing back, or a file server that is gone, every connection. Four, because
 * fsyncs that overlap share one commit of the journal, and so do lookups that
 * wait for different name servers.
 */
#define POP3_RESOLVE_THREADS 4
#define POP3_DISK_THREADS 4
#define POP3_DNSSEC_THREADS 4
#define POP3_JOB_KINDS(X)          \
  X(RESOLVE, POP3_RESOLVE_THREADS) \
  X(DISK, POP3_DISK_THREADS)       \
  X(DNSSEC, POP3_DNSSEC_THREADS)

#define POP3_JOB_STACK (256 * 1024) /* glibc's resolver needs 70 KiB */

#define POP3_JOB_KIND_ID(id, threads) POP3_JOB_##id,
typedef enum pop3_job_kind {
  POP3_JOB_KINDS(POP3_JOB_KIND_ID) POP3_JOB_KIND_COUNT
} pop3_job_kind;
#undef POP3_JOB_KIND_ID

typedef struct pop3_job_type {
  pop3_job_kind kind;

  /* On a helper thread, once; may wait as long as it likes. */
  void (*run)(void *state);

  /*
   * Free what the state holds, but not the state: on whichever thread lets go
   * last. In a child forked while `run` was at work it sees what `run` had
   * stored by then: store what has to be freed in one assignment.
   */
  void (*discard)(void *state);

  /* What happens to a job that is released while it waits for a thread: it is
   * never run, and discarded at once (false) or on the helper (true), because
   * its discard may take long. */
  bool discard_on_helper;
} pop3_job_type;

typedef struct pop3_job pop3_job;

typedef enum pop3_job_progress {
  POP3_JOB_WAITING, /* for a thread, or running */
  POP3_JOB_DONE,    /* the state is the owner's again */
  POP3_JOB_LOST     /* this process was forked from the one that runs it */
} pop3_job_progress;

/* A job with `size` octets of state, not cleared; NULL without memory. `type`
 * has to be static. */
pop3_job *pop3_job_new(const pop3_job_type *type, size_t size);

/* Aligned as malloc does; lives as long as the job. */
void *pop3_job_state(pop3_job *job);

/*
 * Hand the job to a helper, once. On failure it is still the owner's, as it
 * was. Error: IO with errno and half a sentence ("no thread (reason)").
 */
pop3_error pop3_job_submit(pop3_job *job, pop3_failure *failure);

/*
 * A descriptor that becomes readable, and stays so, when the job is done: a
 * poll that begins too late returns at once. -1 before submit. Only to be
 * polled; it belongs to the job and is closed by pop3_job_release.
 */
int pop3_job_fd(const pop3_job *job);

/* How far is a submitted job? Look at its state only after DONE: a descriptor
 * that is readable alone does not order memory. */
pop3_job_progress pop3_job_look(const pop3_job *job);

/* Let go of a job, in whatever state; never waits for it. NULL is allowed. */
void pop3_job_release(pop3_job *job);

#pragma GCC visibility pop

#endif
