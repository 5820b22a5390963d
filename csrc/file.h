/*
 * file.h - where a message is written to: a new file, or a descriptor of the
 * caller's. In constant memory, from C, and without waiting for anything that
 * can be waited for.
 *
 *   open -> { write -> OK | AGAIN (wait for the interest) | error }
 *        -> { finish -> OK | AGAIN | error } -> release
 *
 * pop3_file_release may come at any moment instead, from a finaliser as well.
 * A file is complete only when finish said OK: until then a file that was
 * opened by its path is removed by an error and by release.
 *
 * Which calls wait:
 *   pipes, sockets, terminals  none. They say AGAIN while they are full, also
 *       when the descriptor is in blocking mode: a socket is sent to with
 *       MSG_DONTWAIT, others are polled and take at most PIPE_BUF octets at a
 *       time, for which there is room in a pipe that polls as writable. What
 *       is left: another writer to the same blocking pipe may take that room
 *       first; a terminal that is stopped in the midst of a piece holds the
 *       rest of the piece up. Give an O_NONBLOCK descriptor to rule this out,
 *       and for speed.
 *   regular files  with `threaded`, none: writes (a copy of at most
 *       POP3_FILE_PIECE octets), fsync and close run as jobs (jobs.h), one at
 *       a time for each file. Without it they are done at once, and take what
 *       the disk takes.
 *
 * IO is sticky: every later call says the same. One thread at a time.
 */
#ifndef POP3_FILE_H
#define POP3_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "errors.h"
#include "failure.h"
#include "interest.h"
#include "memory.h"

#pragma GCC visibility push(hidden)

/* Octets of one job: a receive buffer's worth, and a block that malloc keeps
 * for the next one instead of returning it to the system. */
#define POP3_FILE_PIECE 65536

typedef struct pop3_file pop3_file;

/*
 * Create `path`, mode 0600 less the umask. It must not exist, not even as a
 * symbolic link. The folder is kept open: neither chdir nor a renamed folder
 * confuses what is removed or made durable. `allocator` must outlive the file;
 * `path` is copied.
 *
 * Errors: IO with errno (EEXIST, ENOENT, EACCES, EROFS, ENOSPC, ...) and a
 * sentence; MEMORY. Nothing is left behind.
 */
pop3_error pop3_file_open_path(const pop3_allocator *allocator,
                               const char *path, bool threaded,
                               pop3_file **file, pop3_failure *failure);

/*
 * Write to a descriptor of the caller's, from its present offset. It is never
 * closed or made durable, and neither its flags nor those of its open file
 * description are changed. It has to stay open until finish said OK or release
 * (a regular file with `threaded` is duplicated, because a job may outlast
 * that).
 *
 * Errors: IO with EBADF (not open, or not for writing), MEMORY.
 */
pop3_error pop3_file_use_fd(const pop3_allocator *allocator, int fd,
                            bool threaded, pop3_file **file,
                            pop3_failure *failure);

/*
 * Write what can be written now, from the front: `*written` octets, which are
 * not to be offered again. It is less than `size` at will, 0 only for
 * a `size` of 0. The octets may be reused at once.
 *
 * Errors: AGAIN (nothing was taken; failure untouched); IO with errno and a
 * sentence with the path or number, the reason and what to do (EPIPE, ENOSPC,
 * EDQUOT, EFBIG, EIO, ...; with `threaded` perhaps about an earlier piece);
 * STATE after finish; MEMORY.
 */
pop3_error pop3_file_write(pop3_file *file, const char *octets, size_t size,
                           size_t *written, pop3_failure *failure);

/*
 * All is written: make it durable. For a path: fsync, close, and fsync of the
 * folder, so that the name is durable, too (where the folder may be read). For
 * a descriptor: wait for the last job. After AGAIN call it again; after OK it
 * stays OK.
 *
 * Errors: as pop3_file_write. The file is removed.
 */
pop3_error pop3_file_finish(pop3_file *file, pop3_failure *failure);

/* What to wait for after AGAIN; valid until the next call. */
pop3_interest pop3_file_interest(const pop3_file *file);

/*
 * Let go of it. Unless it was finished, a file that we created is removed, if
 * the name is still that file's; in a forked child it stays, being the
 * parent's. Never waits for a job: the descriptor is then the job's, which
 * closes it. NULL is allowed.
 */
void pop3_file_release(pop3_file *file);

#pragma GCC visibility pop

#endif
