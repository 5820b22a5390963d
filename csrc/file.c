/* file.c - see file.h. */
#define _GNU_SOURCE
#include "file.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "jobs.h"
#include "platform.h"

#if !defined(PIPE_BUF)
#define PIPE_BUF 512 /* what POSIX asks of every system */
#endif

typedef enum file_stage { OPEN, FINISHING, FINISHED, FAILED } file_stage;

struct pop3_file {
  const pop3_allocator *allocator;
  size_t size; /* of this block */
  pop3_os_kind kind;
  file_stage stage;
  bool threaded;
  bool created;              /* by us, and not complete: to be removed */
  bool closes;               /* fd is ours */
  int fd;                    /* -1: closed, or given to a job */
  int folder;                /* -1: none */
  long creator;              /* the process that may remove it */
  pop3_os_identity identity; /* what we created, whatever its name is now */
  pop3_job *job;             /* the one under way */
  const char *did;           /* what failed */
  int system;                /* and why */
  const char *base;          /* the name in its folder */
  char name[];               /* the path, or "descriptor 7" */
};

/* --- failures ------------------------------------------------------------ */

#define CANNOT_CREATE "cannot create the file"
#define CANNOT_WRITE "cannot write"
#define CANNOT_SYNC "cannot make it durable"
#define CANNOT_START "cannot give the work to a thread"
#define WAS_FORKED "the process was forked while a thread wrote"

static const struct {
  int system;
  const char *advice;
} advices[] = {
    {EEXIST, "give another name, or remove the old file"},
    {ENOENT, "make the folder first"},
    {ENOTDIR, "give a path through folders only"},
    {EISDIR, "give the name of a file, not of a folder"},
    {EACCES, "check the permissions of the folder"},
    {EPERM, "check the permissions of the folder"},
    {EROFS, "give a place that can be written to"},
    {ENAMETOOLONG, "give a shorter name"},
    {ELOOP, "check the symbolic links of the path"},
    {EMFILE, "close descriptors, or raise their limit (ulimit -n)"},
    {ENFILE, "close descriptors"},
    {EBADF, "give a descriptor that is open for writing"},
    {ENOSPC, "make room"},
    {EDQUOT, "make room, or raise the quota"},
    {EFBIG, "raise the limit of a file's size (ulimit -f)"},
    {EPIPE, "see why its reader ended"},
    {ECONNRESET, "see why its reader ended"},
    {EIO, "check the disk"},
};

static const char *advice_for(int system) {
  for (size_t i = 0; i < sizeof advices / sizeof *advices; i++)
    if (advices[i].system == system) return advices[i].advice;
  return "try again";
}

/* Half of the text at most is the name, so that the reason has room. */
static pop3_error tell(const char *name, const char *did, int system,
                       bool begun, pop3_failure *failure) {
  pop3_error error =
      pop3_fail(failure, POP3_E_IO, "%.*s: %s: %s; %s%s", POP3_FAILURE_TEXT / 2,
                name, did, pop3_os_text(system), advice_for(system),
                begun ? "; the message is still on the server" : "");
  failure->system = system;
  return error;
}

static pop3_error tell_again(const pop3_file *file, pop3_failure *failure) {
  return tell(file->name, file->did, file->system, true, failure);
}

/* --- what a helper does -------------------------------------------------- */

/* Owner and helper may look at it at the same time: `run` reads fd, folder,
 * octets and size, and writes fd, did and system; the owner writes the rest. */
typedef struct work {
  int fd;
  int folder;
  bool closes_fd; /* when it is discarded */
  bool closes_folder;
  const char *did;
  int system;
  size_t size;
  char octets[];
} work;

static void close_fd(int *fd) {
  int closed = *fd;
  *fd = -1; /* first: a forked child may look */
  if (closed >= 0) (void)pop3_os_close(closed);
}

static void write_all(void *state) {
  work *w = state;
  size_t done = 0, written = 0;
  w->did = CANNOT_WRITE;
  while (done < w->size && w->system == 0) {
    w->system =
        pop3_os_write(w->fd, false, w->octets + done, w->size - done, &written);
    if (w->system == 0) done += written;
  }
}

static int close_checked(int *fd) {
  int closed = *fd;
  *fd = -1;
  return pop3_os_close(closed);
}

static void sync_all(void *state) {
  work *w = state;
  w->did = CANNOT_SYNC;
  w->system = pop3_os_sync(w->fd);
  if (w->system == 0) w->system = close_checked(&w->fd);
  if (w->system == 0) w->system = pop3_os_sync_folder(w->folder);
}

static void discard(void *state) {
  work *w = state;
  if (w->closes_fd) close_fd(&w->fd);
  if (w->closes_folder) close_fd(&w->folder);
}

/* Closing a file that was removed frees all its blocks: on the helper. */
static const pop3_job_type write_type = {POP3_JOB_DISK, write_all, discard,
                                         true};
static const pop3_job_type sync_type = {POP3_JOB_DISK, sync_all, discard, true};

static pop3_job *make_job(const pop3_file *file, const pop3_job_type *type,
                          const char *octets, size_t size) {
  pop3_job *job = pop3_job_new(type, sizeof(work) + size);
  if (!job) return NULL;
  work *w = pop3_job_state(job);
  memset(w, 0, sizeof *w);
  w->fd = file->fd;
  w->folder = file->folder;
  w->size = size;
  if (size > 0) memcpy(w->octets, octets, size);
  return job;
}

/* --- letting go ---------------------------------------------------------- */

/* At once, by whoever gives the file up: a job might not get to it before the
 * process ends. Only the name goes here, which waits for no disk; the blocks
 * go with the last descriptor. */
static void remove_created(pop3_file *file) {
  if (!file->created) return;
  file->created = false;
  if (file->creator == pop3_os_process())
    pop3_os_remove(file->folder, file->base, &file->identity);
}

/* The job under way has the descriptors from here on. */
static void leave_to_job(pop3_file *file) {
  work *w = pop3_job_state(file->job);
  if (file->fd >= 0) w->closes_fd = file->closes;
  w->closes_folder = true;
  file->fd = file->folder = -1;
  pop3_job_release(file->job);
  file->job = NULL;
}

static void close_all(pop3_file *file) {
  if (file->closes) close_fd(&file->fd);
  close_fd(&file->folder);
}

/* A job whose only purpose is to be discarded on a helper. */
static bool close_on_helper(pop3_file *file) {
  pop3_failure nobody_asks;
  pop3_job *job = NULL;
  if (file->threaded && file->closes && file->fd >= 0)
    job = make_job(file, &write_type, NULL, 0);
  if (!job) return false;
  if (pop3_job_submit(job, &nobody_asks)) {
    pop3_job_release(job);
    return false;
  }
  file->job = job;
  leave_to_job(file);
  return true;
}

static void let_go(pop3_file *file) {
  remove_created(file);
  if (file->job) leave_to_job(file);
  else if (!close_on_helper(file)) close_all(file);
}

static pop3_error fail(pop3_file *file, const char *did, int system,
                       pop3_failure *failure) {
  file->stage = FAILED;
  file->did = did;
  file->system = system;
  let_go(file);
  return tell_again(file, failure);
}

/* --- opening ------------------------------------------------------------- */

static pop3_file *make_file(const pop3_allocator *allocator, const char *name,
                            bool threaded) {
  size_t name_size = strlen(name) + 1;
  size_t size = sizeof(pop3_file) + name_size;
  pop3_file *file = pop3_allocate(allocator, size);
  if (!file) return NULL;
  memset(file, 0, sizeof *file);
  memcpy(file->name, name, name_size);
  file->allocator = allocator;
  file->size = size;
  file->threaded = threaded;
  file->base = file->name;
  file->fd = file->folder = -1;
  return file;
}

/* Open the folder of the name, and remember the rest of it. */
static int open_folder(pop3_file *file) {
  size_t at = pop3_os_base(file->name);
  char first = file->name[at];
  file->base = file->name + at;
  if (at == 0) return pop3_os_open_folder(".");
  file->name[at] = '\0';
  int fd = pop3_os_open_folder(file->name);
  file->name[at] = first;
  return fd;
}

static int create(pop3_file *file) {
  file->folder = open_folder(file);
  if (file->folder < 0) return errno;
  if (*file->base == '\0') return *file->name == '\0' ? ENOENT : EISDIR;
  file->fd = pop3_os_create(file->folder, file->base, &file->identity);
  if (file->fd < 0) return errno;
  file->closes = true;
  file->creator = pop3_os_process();
  file->created = true;
  return 0;
}

pop3_error pop3_file_open_path(const pop3_allocator *allocator,
                               const char *path, bool threaded,
                               pop3_file **file, pop3_failure *failure) {
  pop3_file *made = make_file(allocator, path, threaded);
  if (!made) return pop3_fail(failure, POP3_E_MEMORY, NULL);
  int system = create(made);
  if (system) {
    pop3_file_release(made);
    return tell(path, CANNOT_CREATE, system, false, failure);
  }
  *file = made;
  return POP3_E_OK;
}

static int borrow(pop3_file *file, int fd) {
  int system = pop3_os_inspect(fd, &file->kind);
  if (system) return system;
  file->fd = fd;
  if (file->kind != POP3_OS_DISK || !file->threaded) return 0;
  file->fd = pop3_os_duplicate(fd);
  file->closes = true;
  return file->fd < 0 ? errno : 0;
}

pop3_error pop3_file_use_fd(const pop3_allocator *allocator, int fd,
                            bool threaded, pop3_file **file,
                            pop3_failure *failure) {
  char name[32];
  (void)snprintf(name, sizeof name, "descriptor %d", fd);
  pop3_file *made = make_file(allocator, name, threaded);
  if (!made) return pop3_fail(failure, POP3_E_MEMORY, NULL);
  int system = borrow(made, fd);
  if (system) {
    pop3_file_release(made);
    return tell(name, CANNOT_WRITE, system, false, failure);
  }
  *file = made;
  return POP3_E_OK;
}

/* --- jobs under way ------------------------------------------------------ */

/* The job is done: what became of it? */
static pop3_error take_result(pop3_file *file, pop3_failure *failure) {
  const work *w = pop3_job_state(file->job);
  const char *did = w->did;
  int system = w->system;
  pop3_job_release(file->job);
  file->job = NULL;
  return system ? fail(file, did, system, failure) : POP3_E_OK;
}

/* Nothing is under way and nothing went wrong, or AGAIN, or what did. */
static pop3_error settle(pop3_file *file, pop3_failure *failure) {
  if (file->stage == FAILED) return tell_again(file, failure);
  if (!file->job) return POP3_E_OK;
  switch (pop3_job_look(file->job)) {
    case POP3_JOB_WAITING:
      return POP3_E_AGAIN;
    case POP3_JOB_LOST:
      return fail(file, WAS_FORKED, ECANCELED, failure);
    default:
      return take_result(file, failure);
  }
}

static pop3_error start(pop3_file *file, pop3_job *job, pop3_failure *failure) {
  if (!job) return pop3_fail(failure, POP3_E_MEMORY, NULL);
  if (pop3_job_submit(job, failure)) {
    int system = failure->system;
    pop3_job_release(job);
    return fail(file, CANNOT_START, system, failure);
  }
  file->job = job;
  return POP3_E_OK;
}

/* --- writing ------------------------------------------------------------- */

static pop3_error write_threaded(pop3_file *file, const char *octets,
                                 size_t size, size_t *written,
                                 pop3_failure *failure) {
  if (size > POP3_FILE_PIECE) size = POP3_FILE_PIECE;
  pop3_job *job = make_job(file, &write_type, octets, size);
  pop3_error error = start(file, job, failure);
  if (!error) *written = size;
  return error;
}

/* How much may be offered to a stream or a socket now, without waiting? */
static size_t bound(const pop3_file *file, bool nonblocking, size_t size) {
  if (nonblocking) return size;
  if (!pop3_os_is_writable(file->fd)) return 0;
  return size < PIPE_BUF ? size : PIPE_BUF;
}

/* errno, 0, or EAGAIN: it takes no more, though it may have taken some. */
static int fill(const pop3_file *file, const char *octets, size_t size,
                size_t *done) {
  bool nonblocking =
      file->kind != POP3_OS_STREAM || pop3_os_is_nonblocking(file->fd);
  int system = 0;
  while (*done < size && system == 0) {
    size_t written = 0, piece = bound(file, nonblocking, size - *done);
    if (piece == 0) return EAGAIN;
    system = pop3_os_write(file->fd, file->kind == POP3_OS_SOCKET,
                           octets + *done, piece, &written);
    *done += written;
  }
  return system == EWOULDBLOCK ? EAGAIN : system;
}

static pop3_error write_now(pop3_file *file, const char *octets, size_t size,
                            size_t *written, pop3_failure *failure) {
  size_t done = 0;
  int system = fill(file, octets, size, &done);
  if (system == EAGAIN && done == 0) return POP3_E_AGAIN;
  if (system && system != EAGAIN)
    return fail(file, CANNOT_WRITE, system, failure);
  *written = done;
  return POP3_E_OK;
}

pop3_error pop3_file_write(pop3_file *file, const char *octets, size_t size,
                           size_t *written, pop3_failure *failure) {
  if (file->stage == FINISHING || file->stage == FINISHED)
    return pop3_fail(failure, POP3_E_STATE, "%.*s: nothing more can be written",
                     POP3_FAILURE_TEXT / 2, file->name);
  pop3_error error = settle(file, failure);
  if (error) return error;
  if (file->threaded && file->kind == POP3_OS_DISK && size > 0)
    return write_threaded(file, octets, size, written, failure);
  return write_now(file, octets, size, written, failure);
}

/* --- finishing ----------------------------------------------------------- */

/* The name stays: it is the caller's now. */
static pop3_error complete(pop3_file *file) {
  file->stage = FINISHED;
  file->created = false;
  close_all(file);
  return POP3_E_OK;
}

static pop3_error sync_threaded(pop3_file *file, pop3_failure *failure) {
  pop3_job *job = make_job(file, &sync_type, NULL, 0);
  if (job) ((work *)pop3_job_state(job))->closes_fd = true;
  if (job) file->fd = -1; /* the job's, which closes it in any case */
  pop3_error error = start(file, job, failure);
  if (error) return error;
  file->stage = FINISHING;
  return POP3_E_AGAIN;
}

static pop3_error sync_now(pop3_file *file, pop3_failure *failure) {
  work w = {.fd = file->fd, .folder = file->folder};
  sync_all(&w);
  file->fd = w.fd;
  return w.system ? fail(file, w.did, w.system, failure) : complete(file);
}

pop3_error pop3_file_finish(pop3_file *file, pop3_failure *failure) {
  pop3_error error = settle(file, failure);
  if (error) return error;
  if (file->stage == FINISHED) return POP3_E_OK;
  if (file->stage == FINISHING || !file->created) return complete(file);
  if (file->threaded) return sync_threaded(file, failure);
  return sync_now(file, failure);
}

pop3_interest pop3_file_interest(const pop3_file *file) {
  pop3_interest job = {file->job ? pop3_job_fd(file->job) : -1, true, false};
  pop3_interest room = {file->fd, false, true};
  return file->job ? job : room;
}

void pop3_file_release(pop3_file *file) {
  if (!file) return;
  let_go(file);
  pop3_release(file->allocator, file, file->size);
}
