/*
 * connection.h - one client: its socket, its TLS, its delay line.
 *
 * Octets come in, wait half a round trip, and are handed out as lines; spans
 * are queued, wait half a round trip, and go out in large writes. Nothing
 * here knows POP3 but that a line is a command and that a reply has an end,
 * because somebody has to count the commands that are not answered yet.
 */
#ifndef BENCH_CONNECTION_H
#define BENCH_CONNECTION_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mailbox.h"
#include "scram.h"

/* Of all connections, since the last time they were asked for. */
typedef struct counters {
  long connections, commands, in_flight; /* the most at any moment */
  long turns; /* commands came, and none was unanswered: a round trip */
} counters;
extern counters counted;

typedef struct segment segment;

typedef struct connection {
  int fd;
  SSL *tls;        /* NULL on a plain connection */
  uint64_t delay;  /* of each direction, nanoseconds */
  bool ending;     /* close when everything is sent */
  bool shut;       /* we have closed our direction */
  bool watched;    /* epoll tells when it can be written */
  long unanswered; /* commands */
  scram login;     /* the exchange of AUTH, if one goes on */
  struct arrivals *arrivals;
  char *in; /* lines not yet handed out */
  size_t in_start, in_end, in_room;
  segment *queue; /* a ring */
  size_t first, used, room;
} connection;

connection *connection_new(int fd, SSL_CTX *context, uint64_t delay);
void connection_free(connection *conn);

/* Read what is there; false at the end of the stream or an error. */
bool connection_read(connection *conn, uint64_t now);

/* The next whole line that is due, without its end and with a NUL in its
   place; NULL when there is none. Valid until the next read. */
char *connection_line(connection *conn, uint64_t now);

/* Queue octets that live long enough, or a copy of them. */
void connection_send(connection *conn, span octets, uint64_t now);
void connection_copy(connection *conn, const char *text, uint64_t now);

/* All that was queued so far ends a reply. */
void connection_replied(connection *conn);

/* Enough is queued: no more commands until it has gone. */
bool connection_full(const connection *conn);

/* Write what is due; false after an error. *blocked: the socket is full. */
bool connection_write(connection *conn, uint64_t now, bool *blocked);

/* Everything has been written. */
bool connection_drained(const connection *conn);

/* When the next octet of either direction is due; UINT64_MAX for never. */
uint64_t connection_due(const connection *conn);

#endif
