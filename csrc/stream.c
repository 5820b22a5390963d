/*
 * stream.c - see stream.h.
 */
#include "stream.h"

#include <stdint.h>
#include <string.h>

#include "socket.h"

/* Octets of one receive at most, where a kept message has made more room:
 * fewer system calls, and still in the cache when they are looked at. */
#define MOST_RECEIVED (4 * POP3_BUFFER_SIZE)

/* ------------------------------------------------------------ life */

void pop3_stream_init(pop3_stream *s, const pop3_allocator *allocator,
                      pop3_buffers *buffers) {
  memset(s, 0, sizeof *s);
  s->allocator = *allocator;
  s->buffers = pop3_buffers_retain(buffers);
  s->fd = -1;
}

void pop3_stream_enclose(pop3_stream *s) {
  s->outer = s->tls;
  s->tls = NULL;
}

static void free_buffer(pop3_stream *s) {
  if (s->tls != NULL) pop3_tls_rest(s->tls);
  if (s->outer != NULL) pop3_tls_rest(s->outer);
  if (s->room == POP3_BUFFER_SIZE) {
    pop3_buffers_give(s->buffers, &s->allocator, s->data);
  } else {
    pop3_release(&s->allocator, s->data, s->room);
  }
  s->data = NULL;
  s->room = 0;
  s->kept_start = s->kept_end = s->start = s->end = 0;
}

void pop3_stream_close(pop3_stream *s) {
  free_buffer(s);
  pop3_tls_free(s->tls);
  pop3_tls_free(s->outer);
  pop3_proxy_free(s->proxy);
  s->tls = s->outer = NULL;
  s->proxy = NULL;
  pop3_buffers_release(s->buffers);
  s->buffers = NULL;
  s->incoming.size = 0;
  if (s->fd >= 0) pop3_socket_close(s->fd);
  s->fd = -1;
}

/* ------------------------------------------------------------ the buffer */

static bool resize(pop3_stream *s, size_t room) {
  const pop3_allocator *a = &s->allocator;
  char *data = a->resize(a->state, s->data, s->room, room);
  if (data == NULL) return false;
  s->data = data;
  s->room = room;
  return true;
}

static bool take_buffer(pop3_stream *s) {
  s->data = pop3_buffers_take(s->buffers, &s->allocator);
  s->room = s->data != NULL ? POP3_BUFFER_SIZE : 0;
  return s->data != NULL;
}

/* By a half: a large message's pages are touched once, however often its
 * block is resized, and little is reserved in vain. */
static size_t larger(size_t room) {
  return (room + room / 2 + POP3_BUFFER_SIZE) / 4096 * 4096;
}

/* Everything was consumed: make room for a receive behind what is kept. */
static bool make_room(pop3_stream *s) {
  size_t kept = s->kept_end - s->kept_start;
  if (s->data == NULL && !take_buffer(s)) return false;
  if (s->kept_start > 0 && s->room - s->kept_end < POP3_BUFFER_SIZE) {
    if (kept > 0) memmove(s->data, s->data + s->kept_start, kept);
    s->kept_start = 0;
    s->kept_end = kept;
  }
  s->start = s->end = s->kept_end;
  if (kept == 0 || s->room - s->kept_end >= POP3_BUFFER_SIZE) return true;
  return resize(s, larger(s->room));
}

pop3_span pop3_stream_unread(const pop3_stream *s) {
  pop3_span unread = {s->data + s->start, s->end - s->start};
  if (s->data == NULL) unread.data = "";
  return unread;
}

void pop3_stream_consume(pop3_stream *s, size_t size) { s->start += size; }

/* ------------------------------------------------------------ a message */

static bool in_buffer(const pop3_stream *s, const char *at) {
  uintptr_t first = (uintptr_t)s->data;
  return s->data != NULL && (uintptr_t)at >= first &&
         (uintptr_t)at < first + s->room;
}

/* Move everything from `at` on up by `size` octets. */
static pop3_error open_gap(pop3_stream *s, size_t at, size_t size) {
  if (s->room - s->end < size && !resize(s, larger(s->room + size)))
    return POP3_E_MEMORY;
  memmove(s->data + at + size, s->data + at, s->end - at);
  s->start += size;
  s->end += size;
  return POP3_E_OK;
}

/* Octets that are not in the buffer, to a place before `at`, which is made if
 * there is none: one octet that was held back has lost its own. */
static pop3_error keep_foreign(pop3_stream *s, pop3_span text, size_t at) {
  if (s->kept_end == s->kept_start) s->kept_start = s->kept_end = at;
  if (at - s->kept_end < text.size && open_gap(s, at, text.size) != POP3_E_OK)
    return POP3_E_MEMORY;
  memcpy(s->data + s->kept_end, text.data, text.size);
  s->kept_end += text.size;
  return POP3_E_OK;
}

pop3_error pop3_stream_keep(pop3_stream *s, pop3_span text) {
  if (text.size == 0) return POP3_E_OK;
  if (!in_buffer(s, text.data)) return keep_foreign(s, text, s->start);
  if (s->kept_end == s->kept_start)
    s->kept_start = s->kept_end = (size_t)(text.data - s->data);
  char *to = s->data + s->kept_end;
  if (to != text.data) memmove(to, text.data, text.size);
  s->kept_end += text.size;
  return POP3_E_OK;
}

pop3_error pop3_stream_insert(pop3_stream *s, pop3_span lead, pop3_span *text) {
  if (!in_buffer(s, text->data)) return keep_foreign(s, lead, s->start);
  size_t at = (size_t)(text->data - s->data);
  size_t before = s->start;
  pop3_error error = keep_foreign(s, lead, at);
  text->data = s->data + at + (s->start - before);
  return error;
}

pop3_span pop3_stream_kept(const pop3_stream *s) {
  pop3_span kept = {s->data + s->kept_start, s->kept_end - s->kept_start};
  if (s->data == NULL) kept.data = "";
  return kept;
}

/* Give back what a large message needed, at once. */
static void shrink(pop3_stream *s) {
  size_t unread = s->end - s->start;
  size_t room = unread > POP3_BUFFER_SIZE ? unread : POP3_BUFFER_SIZE;
  if (s->room <= MOST_RECEIVED) return;
  memmove(s->data, s->data + s->start, unread);
  s->start = 0;
  s->end = unread;
  (void)resize(s, room); /* a block that cannot shrink serves as well */
}

void pop3_stream_drop(pop3_stream *s) {
  s->kept_start = s->kept_end = 0;
  if (s->start == s->end) {
    pop3_stream_rest(s);
  } else {
    shrink(s);
  }
}

/* A copy of what is unread, as a buffer of its own; false without memory. */
static bool save_unread(const pop3_stream *s, pop3_stream *rest) {
  size_t size = s->end - s->start;
  rest->data = NULL;
  rest->room = rest->kept_start = rest->kept_end = rest->start = rest->end = 0;
  if (size == 0) return true;
  size_t room = size > POP3_BUFFER_SIZE ? size : POP3_BUFFER_SIZE;
  rest->data = pop3_allocate(&s->allocator, room);
  if (rest->data == NULL) return false;
  memcpy(rest->data, s->data + s->start, size);
  rest->room = room;
  rest->end = size;
  return true;
}

char *pop3_stream_detach(pop3_stream *s) {
  size_t size = s->kept_end;
  pop3_stream rest = *s;
  /* A message that the buffer grew for begins at its front. */
  if (s->kept_start > 0 || size == 0 || !save_unread(s, &rest)) return NULL;
  if (!resize(s, size + 1)) {
    pop3_release(&s->allocator, rest.data, rest.room);
    return NULL;
  }
  char *block = s->data;
  block[size] = '\0';
  *s = rest;
  return block;
}

void pop3_stream_rest(pop3_stream *s) {
  if (s->start == s->end && s->kept_start == s->kept_end) free_buffer(s);
}

/* ------------------------------------------------------------ reading */

static size_t room_left(const pop3_stream *s) {
  size_t room = s->room - s->end;
  return room < MOST_RECEIVED ? room : MOST_RECEIVED;
}

static pop3_error take_incoming(pop3_stream *s, char *octets, size_t room,
                                size_t *got, int *system) {
  size_t size = s->incoming.size < room ? s->incoming.size : room;
  *system = s->system;
  if (size == 0) return s->ended != POP3_E_OK ? s->ended : POP3_E_AGAIN;
  memcpy(octets, s->incoming.data, size);
  s->incoming.data += size;
  s->incoming.size -= size;
  *got = size;
  return POP3_E_OK;
}

/* What has just been sent is not answered yet: looking would be in vain. */
static pop3_error read_socket(pop3_stream *s, char *octets, size_t room,
                              size_t *got, int *system) {
  if (!s->asked) return pop3_socket_receive(s->fd, octets, room, got, system);
  s->asked = false;
  return POP3_E_AGAIN;
}

static pop3_error read_wire(pop3_stream *s, char *octets, size_t room,
                            size_t *got, int *system) {
  if (room > s->budget) room = s->budget;
  pop3_error error =
      (s->carried ? take_incoming : read_socket)(s, octets, room, got, system);
  if (error != POP3_E_OK) return error;
  s->active = s->now;
  s->budget -= *got < s->budget ? *got : s->budget;
  return POP3_E_OK;
}

/* Ciphertext into one of the filters. */
static pop3_error feed_wire(pop3_stream *s, pop3_tls *tls, int *system,
                            pop3_failure *failure) {
  size_t room, got = 0;
  char *octets = pop3_tls_room(tls, &room);
  if (octets == NULL) return pop3_fail(failure, POP3_E_MEMORY, NULL);
  pop3_error error = read_wire(s, octets, room, &got, system);
  if (error == POP3_E_EOF) {
    pop3_tls_eof(tls);
    return POP3_E_OK;
  }
  if (error == POP3_E_OK) pop3_tls_received(tls, got);
  return error;
}

/* Through TLS to the proxy, if there is one. Nothing, and OK, when the budget
 * ends before a record does. */
static pop3_error read_octets(pop3_stream *s, char *octets, size_t room,
                              size_t *got, int *system, pop3_failure *failure) {
  if (s->outer == NULL) return read_wire(s, octets, room, got, system);
  for (;;) {
    pop3_error error = pop3_tls_read(s->outer, octets, room, got, failure);
    if (error != POP3_E_AGAIN) return error;
    if (s->budget == 0) return POP3_E_OK;
    error = feed_wire(s, s->outer, system, failure);
    if (error != POP3_E_OK) return error;
  }
}

/* How the outer filter ended does not matter to the inner one: it has an end of
 * its own. */
static bool is_end(pop3_error error) {
  return error == POP3_E_EOF || error == POP3_E_TRUNCATED;
}

pop3_error pop3_stream_feed(pop3_stream *s, int *system,
                            pop3_failure *failure) {
  size_t room, got = 0;
  if (s->outer == NULL) return feed_wire(s, s->tls, system, failure);
  char *octets = pop3_tls_room(s->tls, &room);
  if (octets == NULL) return pop3_fail(failure, POP3_E_MEMORY, NULL);
  pop3_error error = read_octets(s, octets, room, &got, system, failure);
  if (is_end(error)) {
    pop3_tls_eof(s->tls);
    return POP3_E_OK;
  }
  if (error == POP3_E_OK && got > 0) pop3_tls_received(s->tls, got);
  return error;
}

/* As much plaintext as there is and fits. */
static pop3_error read_tls(pop3_stream *s, pop3_failure *failure) {
  pop3_error error = POP3_E_OK;
  while (room_left(s) > 0) {
    size_t got = 0;
    error =
        pop3_tls_read(s->tls, s->data + s->end, room_left(s), &got, failure);
    if (error != POP3_E_OK) break;
    s->end += got;
  }
  return s->end > s->start ? POP3_E_OK : error;
}

pop3_error pop3_stream_receive(pop3_stream *s, int *system,
                               pop3_failure *failure) {
  size_t got = 0;
  pop3_error error;
  if (!make_room(s)) return pop3_fail(failure, POP3_E_MEMORY, NULL);
  if (s->tls == NULL) {
    error =
        read_octets(s, s->data + s->end, room_left(s), &got, system, failure);
    s->end += got;
    return error;
  }
  for (;;) {
    error = read_tls(s, failure);
    if (error != POP3_E_AGAIN) return error;
    if (s->budget == 0) return POP3_E_OK;
    error = pop3_stream_feed(s, system, failure);
    if (error != POP3_E_OK) return error;
  }
}

/* ------------------------------------------------------------ writing */

/* What leaves, but for TLS to the proxy. */
static pop3_span inner_outgoing(pop3_stream *s, pop3_session *session) {
  pop3_span span;
  if (s->tls != NULL) {
    span.data = pop3_tls_output(s->tls, &span.size);
    return span;
  }
  return s->proxy != NULL ? pop3_proxy_output(s->proxy)
                          : pop3_session_output(session);
}

static void inner_sent(pop3_stream *s, pop3_session *session, size_t size) {
  if (s->tls != NULL) pop3_tls_sent(s->tls, size);
  else if (s->proxy != NULL) pop3_proxy_sent(s->proxy, size);
  else pop3_session_sent(session, size);
}

pop3_span pop3_stream_outgoing(pop3_stream *s, pop3_session *session) {
  pop3_span span;
  if (s->outer == NULL) return inner_outgoing(s, session);
  span.data = pop3_tls_output(s->outer, &span.size);
  return span;
}

void pop3_stream_sent(pop3_stream *s, pop3_session *session, size_t size) {
  s->active = s->now;
  s->asked = true;
  if (s->outer != NULL) pop3_tls_sent(s->outer, size);
  else inner_sent(s, session, size);
}

/* What the outer filter has sent makes room for more. EOF: there is none. */
static pop3_error wrap(pop3_stream *s, pop3_session *session,
                       pop3_failure *failure) {
  if (s->outer == NULL) return POP3_E_EOF;
  pop3_span span = inner_outgoing(s, session);
  if (span.size == 0) return POP3_E_EOF;
  if (span.size > POP3_BUFFER_SIZE) span.size = POP3_BUFFER_SIZE;
  pop3_error error = pop3_tls_write(s->outer, span.data, span.size, failure);
  if (error == POP3_E_OK) inner_sent(s, session, span.size);
  return error;
}

/* All of the wire's that can be sent. OK: nothing is left of it. */
static pop3_error send_wire(pop3_stream *s, pop3_session *session,
                            int *system) {
  for (;;) {
    pop3_span span = pop3_stream_outgoing(s, session);
    size_t sent;
    if (span.size == 0) return POP3_E_OK;
    if (s->carried) return POP3_E_AGAIN;
    pop3_error error =
        pop3_socket_send(s->fd, span.data, span.size, &sent, system);
    if (error != POP3_E_OK) return error;
    pop3_stream_sent(s, session, sent);
  }
}

pop3_error pop3_stream_transmit(pop3_stream *s, pop3_session *session,
                                int *system, pop3_failure *failure) {
  for (;;) {
    pop3_error error = send_wire(s, session, system);
    if (error != POP3_E_OK) return error;
    error = wrap(s, session, failure);
    if (error == POP3_E_EOF) return POP3_E_OK;
    if (error != POP3_E_OK) return error;
  }
}

/* Commands into the filter, so many octets at a time: it keeps a copy. */
static pop3_error encrypt(pop3_stream *s, pop3_session *session,
                          pop3_failure *failure) {
  pop3_span span = pop3_session_output(session);
  if (span.size == 0) return POP3_E_OK;
  if (span.size > POP3_BUFFER_SIZE) span.size = POP3_BUFFER_SIZE;
  pop3_error error = pop3_tls_write(s->tls, span.data, span.size, failure);
  if (error == POP3_E_OK) pop3_session_sent(session, span.size);
  return error;
}

pop3_error pop3_stream_flush(pop3_stream *s, pop3_session *session, int *system,
                             pop3_failure *failure) {
  for (;;) {
    pop3_error error = pop3_stream_transmit(s, session, system, failure);
    if (error != POP3_E_OK || s->tls == NULL) return error;
    if (pop3_session_pending(session) == 0) return POP3_E_OK;
    error = encrypt(s, session, failure);
    if (error != POP3_E_OK) return error;
  }
}

/* TLS answers some of what it reads. A peer that makes it answer and takes no
 * answer is not read any more: the filter would have to keep them all. */
bool pop3_stream_is_clogged(pop3_stream *s) {
  size_t size = 0, outer = 0;
  if (s->tls != NULL) (void)pop3_tls_output(s->tls, &size);
  if (s->outer != NULL) (void)pop3_tls_output(s->outer, &outer);
  return size + outer > 2 * POP3_BUFFER_SIZE;
}
