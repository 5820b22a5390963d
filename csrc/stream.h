/*
 * stream.h - the octets of one connection: a socket, perhaps TLS on it, and
 * the one buffer that is received into. Nothing here waits or knows POP3;
 * conn.c decides when to read and write.
 *
 * A carried stream has no socket: a host that has octets and no descriptors
 * (nginx, an SSH channel) hands them in and takes them out. It looks like a
 * socket that has received what was handed in and takes nothing by itself.
 *
 * On the way there may be a proxy. Until it has connected us its messages are
 * what leaves, in place of the session's; and TLS that ends at the proxy is a
 * filter of its own, around all the rest:
 *
 *     session, or proxy -> tls -> outer -> socket, or the host
 *
 * The buffer exists while octets flow. Plaintext that was received and not
 * consumed is at its end; before it there may be a message that is put
 * together where it arrived (pop3_stream_keep):
 *
 *     data .. kept_start [ message so far ) kept_end .. start [ unread ) end
 */
#ifndef POP3_STREAM_H
#define POP3_STREAM_H

#include <stdbool.h>
#include <stddef.h>

#include "buffers.h"
#include "failure.h"
#include "memory.h"
#include "pop3.h"
#include "proxy.h"
#include "tls.h"

#pragma GCC visibility push(hidden)

typedef struct pop3_stream {
  pop3_allocator allocator;
  pop3_buffers *buffers; /* retained, or NULL */
  int fd;                /* -1: none */
  bool carried;          /* the host moves the octets */
  pop3_span incoming;    /* that it handed in, not taken yet; its memory */
  pop3_error ended;      /* what follows them: OK (more), EOF, IO */
  int system;            /* of IO */
  pop3_tls *tls;         /* NULL in clear */
  pop3_tls *outer;       /* to the proxy, likewise */
  pop3_proxy *proxy;     /* owned; NULL once it has connected us */
  char *data; /* NULL while nothing flows; larger than POP3_BUFFER_SIZE
                 only for a message that is kept */
  size_t room;
  size_t kept_start;
  size_t kept_end;
  size_t start;
  size_t end;
  double now;    /* by the caller's clock, set before each use */
  double active; /* when octets last moved, either way */
  bool asked;    /* something was sent since the last receive */
  size_t budget; /* octets that may still be received, set by the caller */
} pop3_stream;

/* `buffers` may be NULL; else it is retained until the stream is closed. */
void pop3_stream_init(pop3_stream *stream, const pop3_allocator *allocator,
                      pop3_buffers *buffers);

/* Close and free everything; nothing is sent. It stays closed. */
void pop3_stream_close(pop3_stream *stream);

/* TLS as it is now goes around what follows: it was the proxy's. */
void pop3_stream_enclose(pop3_stream *stream);

/*
 * Read more, once all was consumed. OK; AGAIN: nothing there; EOF; IO, with
 * *system; MEMORY and TLS's errors, with `failure`. By TLS there may be
 * nothing unread after OK: there are records without end that hold no text.
 */
pop3_error pop3_stream_receive(pop3_stream *stream, int *system,
                               pop3_failure *failure);

/* Ciphertext into the filter, for a handshake; the end of the stream is OK,
 * too, and the filter's to judge. Errors as above. */
pop3_error pop3_stream_feed(pop3_stream *stream, int *system,
                            pop3_failure *failure);

/* What was received and not consumed; valid until the next receive. */
pop3_span pop3_stream_unread(const pop3_stream *stream);
void pop3_stream_consume(pop3_stream *stream, size_t size);

/*
 * Everything that leaves, leaves here: what the filters hold, and what the
 * session wants to send. AGAIN: the socket takes no more now; IO, with *system;
 * the filters' errors, with `failure`.
 */
pop3_error pop3_stream_transmit(pop3_stream *stream, pop3_session *session,
                                int *system, pop3_failure *failure);
pop3_error pop3_stream_flush(pop3_stream *stream, pop3_session *session,
                             int *system, pop3_failure *failure);

/* Carried streams: what the host has to send before anything else, valid until
 * the next call; and that it sent so much of it. */
pop3_span pop3_stream_outgoing(pop3_stream *stream, pop3_session *session);
void pop3_stream_sent(pop3_stream *stream, pop3_session *session, size_t size);

/* Is too much waiting to leave that TLS itself made up? */
bool pop3_stream_is_clogged(pop3_stream *stream);

/*
 * Add octets to the message that is put together in the buffer. `text` is a
 * span of a DATA event, in the buffer or in static memory; octets move only if
 * there is a gap. MEMORY.
 */
pop3_error pop3_stream_keep(pop3_stream *stream, pop3_span text);

/* Add octets from elsewhere in front of `text`, which is not kept yet and may
 * move. MEMORY. */
pop3_error pop3_stream_insert(pop3_stream *stream, pop3_span lead,
                              pop3_span *text);

/* The message so far; valid until the next receive, keep or drop. */
pop3_span pop3_stream_kept(const pop3_stream *stream);

/* Let go of the message; what is unread stays. */
void pop3_stream_drop(pop3_stream *stream);

/* As pop3_conn_detach. */
char *pop3_stream_detach(pop3_stream *stream);

/* Free the buffer if nothing is in it. */
void pop3_stream_rest(pop3_stream *stream);

#pragma GCC visibility pop

#endif
