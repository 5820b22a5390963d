#define _GNU_SOURCE
#include "connection.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
  READ = 65536,
  WRITE = 262144,
  VECTORS = 64,
  SEGMENTS = 4096, /* queued: no more commands are taken */
};

counters counted;

/* Octets to send. `replies` end with its last one. */
struct segment {
  const char *octets;
  size_t size;
  uint64_t due;
  long replies;
  char *owned;
};

/* What has arrived and is not due yet, oldest first. */
typedef struct arrival {
  struct arrival *next;
  uint64_t due;
  size_t size;
  char octets[];
} arrival;

struct arrivals {
  arrival *first, **last;
};

static void *must(void *block) {
  if (block != NULL) return block;
  fputs("server: out of memory\n", stderr);
  exit(70);
}

/* ------------------------------------------------------------ life */

static SSL *new_tls(SSL_CTX *context) {
  SSL *tls = must(SSL_new(context));
  SSL_set_bio(tls, must(BIO_new(BIO_s_mem())), must(BIO_new(BIO_s_mem())));
  SSL_set_accept_state(tls);
  return tls;
}

connection *connection_new(int fd, SSL_CTX *context, uint64_t delay) {
  connection *conn = must(calloc(1, sizeof *conn));
  conn->fd = fd;
  conn->delay = delay;
  conn->arrivals = must(calloc(1, sizeof *conn->arrivals));
  conn->arrivals->last = &conn->arrivals->first;
  if (context != NULL) conn->tls = new_tls(context);
  counted.connections++;
  return conn;
}

static segment *nth(const connection *conn, size_t n) {
  return &conn->queue[(conn->first + n) % conn->room];
}

void connection_free(connection *conn) {
  for (size_t i = 0; i < conn->used; i++) free(nth(conn, i)->owned);
  while (conn->arrivals->first != NULL) {
    arrival *one = conn->arrivals->first;
    conn->arrivals->first = one->next;
    free(one);
  }
  SSL_free(conn->tls);
  close(conn->fd);
  free(conn->arrivals);
  free(conn->queue);
  free(conn->in);
  free(conn);
}

/* ------------------------------------------------------------ in */

static void count_commands(connection *conn, const char *octets, size_t size) {
  const char *end = octets + size;
  bool idle = conn->unanswered == 0;
  while ((octets = memchr(octets, '\n', (size_t)(end - octets))) != NULL) {
    octets++;
    conn->unanswered++;
    counted.commands++;
  }
  if (conn->unanswered > counted.in_flight)
    counted.in_flight = conn->unanswered;
  if (idle && conn->unanswered > 0) counted.turns++;
}

/* Room for so many octets of lines, and a NUL. */
static char *room_for(connection *conn, size_t size) {
  if (conn->in_start > 0) {
    conn->in_end -= conn->in_start;
    memmove(conn->in, conn->in + conn->in_start, conn->in_end);
    conn->in_start = 0;
  }
  if (conn->in_end + size + 1 > conn->in_room) {
    conn->in_room = 2 * (conn->in_end + size + 1);
    conn->in = must(realloc(conn->in, conn->in_room));
  }
  return conn->in + conn->in_end;
}

static bool decrypt(connection *conn) {
  for (;;) {
    char *into = room_for(conn, READ);
    int got = SSL_read(conn->tls, into, READ);
    if (got <= 0) {
      int why = SSL_get_error(conn->tls, got);
      return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE;
    }
    count_commands(conn, into, (size_t)got);
    conn->in_end += (size_t)got;
  }
}

/* What is due becomes lines. */
static bool admit(connection *conn, const char *octets, size_t size) {
  if (conn->tls != NULL) {
    BIO_write(SSL_get_rbio(conn->tls), octets, (int)size);
    return decrypt(conn);
  }
  memcpy(room_for(conn, size), octets, size);
  conn->in_end += size;
  return true;
}

static void delay(connection *conn, const char *octets, size_t size,
                  uint64_t now) {
  arrival *one = must(malloc(sizeof *one + size));
  *one = (arrival){NULL, now + conn->delay, size};
  memcpy(one->octets, octets, size);
  *conn->arrivals->last = one;
  conn->arrivals->last = &one->next;
}

bool connection_read(connection *conn, uint64_t now) {
  static char octets[READ];
  ssize_t got = recv(conn->fd, octets, sizeof octets, 0);
  if (got < 0) return errno == EAGAIN || errno == EINTR;
  if (got == 0) return false;
  if (conn->tls == NULL) count_commands(conn, octets, (size_t)got);
  if (conn->delay == 0) return admit(conn, octets, (size_t)got);
  delay(conn, octets, (size_t)got, now);
  return true;
}

static void admit_due(connection *conn, uint64_t now) {
  arrival *one;
  while ((one = conn->arrivals->first) != NULL && one->due <= now) {
    conn->arrivals->first = one->next;
    if (one->next == NULL) conn->arrivals->last = &conn->arrivals->first;
    if (!admit(conn, one->octets, one->size)) conn->ending = true;
    free(one);
  }
}

char *connection_line(connection *conn, uint64_t now) {
  if (conn->delay > 0) admit_due(conn, now);
  if (conn->in_start == conn->in_end) return NULL;
  char *line = conn->in + conn->in_start;
  char *end = memchr(line, '\n', conn->in_end - conn->in_start);
  if (end == NULL) return NULL;
  conn->in_start = (size_t)(end + 1 - conn->in);
  if (end > line && end[-1] == '\r') end--;
  *end = '\0';
  return line;
}

/* ------------------------------------------------------------ out */

static segment *last_segment(const connection *conn) {
  return conn->used == 0 ? NULL : nth(conn, conn->used - 1);
}

static void grow(connection *conn) {
  size_t room = conn->room == 0 ? 16 : 2 * conn->room;
  segment *queue = must(malloc(room * sizeof *queue));
  for (size_t i = 0; i < conn->used; i++) queue[i] = *nth(conn, i);
  free(conn->queue);
  conn->queue = queue;
  conn->first = 0;
  conn->room = room;
}

static void push(connection *conn, segment one) {
  if (conn->used == conn->room) grow(conn);
  conn->used++;
  *last_segment(conn) = one;
}

void connection_send(connection *conn, span octets, uint64_t now) {
  uint64_t due = now + conn->delay;
  segment *last = last_segment(conn);
  if (octets.size == 0) return;
  if (last != NULL && last->due == due && last->owned == NULL &&
      last->octets + last->size == octets.octets &&
      last->size + octets.size <= WRITE) {
    last->size += octets.size;
    return;
  }
  push(conn, (segment){octets.octets, octets.size, due, 0, NULL});
}

void connection_copy(connection *conn, const char *text, uint64_t now) {
  char *copy = must(strdup(text));
  push(conn, (segment){copy, strlen(copy), now + conn->delay, 0, copy});
}

void connection_replied(connection *conn) { last_segment(conn)->replies++; }

bool connection_full(const connection *conn) { return conn->used >= SEGMENTS; }

bool connection_drained(const connection *conn) {
  return conn->used == 0 &&
         (conn->tls == NULL || BIO_pending(SSL_get_wbio(conn->tls)) == 0);
}

/* So many octets of the queue are gone. */
static void consume(connection *conn, size_t size) {
  while (size > 0) {
    segment *one = nth(conn, 0);
    size_t part = size < one->size ? size : one->size;
    one->octets += part;
    one->size -= part;
    size -= part;
    if (one->size > 0) return;
    conn->unanswered -= one->replies;
    free(one->owned);
    conn->first = (conn->first + 1) % conn->room;
    conn->used--;
  }
}

static bool failed(ssize_t sent, bool *blocked) {
  *blocked = sent < 0 && (errno == EAGAIN || errno == EINTR);
  return sent < 0 && !*blocked;
}

static bool write_plain(connection *conn, uint64_t now, bool *blocked) {
  for (;;) {
    struct iovec vectors[VECTORS];
    struct msghdr message = {.msg_iov = vectors};
    size_t n = 0, size = 0;
    for (; n < conn->used && n < VECTORS && size < WRITE; n++) {
      segment *one = nth(conn, n);
      if (one->due > now) break;
      vectors[n] = (struct iovec){(void *)one->octets, one->size};
      size += one->size;
    }
    if (n == 0) return true;
    message.msg_iovlen = n;
    ssize_t sent = sendmsg(conn->fd, &message, MSG_NOSIGNAL);
    if (failed(sent, blocked)) return false;
    if (*blocked) return true;
    consume(conn, (size_t)sent);
  }
}

/* Records of what is queued, until there are enough of them. */
static void encrypt(connection *conn) {
  BIO *out = SSL_get_wbio(conn->tls);
  static char joined[WRITE]; /* short replies share a record */
  if (!SSL_is_init_finished(conn->tls)) return;
  while (conn->used > 0 && BIO_pending(out) < WRITE) {
    size_t size = 0;
    for (size_t n = 0; n < conn->used && size < WRITE; n++) {
      segment *one = nth(conn, n);
      size_t part = one->size < WRITE - size ? one->size : WRITE - size;
      memcpy(joined + size, one->octets, part);
      size += part;
    }
    SSL_write(conn->tls, joined, (int)size);
    consume(conn, size);
  }
}

static bool write_tls(connection *conn, bool *blocked) {
  BIO *out = SSL_get_wbio(conn->tls);
  for (;;) {
    char *records;
    encrypt(conn);
    long size = BIO_get_mem_data(out, &records);
    if (size == 0) return true;
    ssize_t sent = send(conn->fd, records, (size_t)size, MSG_NOSIGNAL);
    if (failed(sent, blocked)) return false;
    if (*blocked) return true;
    char rest[16384]; /* a memory BIO forgets what is read from it */
    for (ssize_t gone = 0, part; gone < sent; gone += part) {
      part = sent - gone < (ssize_t)sizeof rest ? sent - gone
                                                : (ssize_t)sizeof rest;
      BIO_read(out, rest, (int)part);
    }
  }
}

bool connection_write(connection *conn, uint64_t now, bool *blocked) {
  *blocked = false;
  if (conn->tls != NULL) return write_tls(conn, blocked);
  return write_plain(conn, now, blocked);
}

uint64_t connection_due(const connection *conn) {
  uint64_t due = UINT64_MAX;
  if (conn->delay == 0) return due;
  if (conn->arrivals->first != NULL) due = conn->arrivals->first->due;
  if (conn->used > 0 && nth(conn, 0)->due < due) due = nth(conn, 0)->due;
  return due;
}
