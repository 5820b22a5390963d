/*
 * output.h - the system calls of a sink, and where systems differ in them.
 * No signal is raised, EINTR is never seen by the caller, no flag of a
 * descriptor is changed. Each function that can fail returns errno's value, 0
 * for success.
 */
#ifndef POP3_OUTPUT_H
#define POP3_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>

#pragma GCC visibility push(hidden)

/*
 * write(2), or for a socket a send(2) that does not wait. The SIGPIPE of a
 * reader that left (EPIPE) and the SIGXFSZ of a file size limit (EFBIG), whose
 * default is to kill the host, stay in this call: they are blocked in the
 * calling thread and taken back, unless one was pending before. Dispositions
 * belong to the host and are left alone.
 */
int pop3_output_write(int fd, bool is_socket, const char *octets, size_t size,
                      size_t *written);

/* Does poll(2) say that a write would find room, or an error? Never waits. */
bool pop3_output_is_ready(int fd);

/* A write to this descriptor never waits (O_NONBLOCK). */
bool pop3_output_is_nonblocking(int fd);

/* What was written is on the disk. */
int pop3_output_sync(int fd);

/*
 * A folder, for openat and its like and for pop3_output_sync_folder; -1 with
 * errno. One that may be searched but not read is enough.
 */
int pop3_output_open_folder(const char *path);

/* The names in it are on the disk. 0 where a folder cannot be synced: because
 * it may not be read, or because its file system does that by itself. */
int pop3_output_sync_folder(int fd);

#pragma GCC visibility pop

#endif
