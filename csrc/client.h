/*
 * client.h - what a method is: an operation is a plan of one or more commands,
 * and what their replies mean for what we know of the server. Sans-I/O; sits
 * between the engine (pop3.h) and whoever moves octets (conn.h).
 */
#ifndef POP3_CLIENT_H
#define POP3_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "caps.h"
#include "failure.h"
#include "memory.h"
#include "pop3.h"

#pragma GCC visibility push(hidden)

typedef enum pop3_operation {
  POP3_OP_OPEN,         /* the greeting */
  POP3_OP_OPEN_STLS,    /* the greeting, CAPA, STLS; fails without TLS */
  POP3_OP_OPEN_EITHER,  /* the same; goes on in clear if there is no STLS */
  POP3_OP_COMMAND,      /* one command of POP3_COMMANDS */
  POP3_OP_LINE,         /* one line by hand */
  POP3_OP_CAPA,         /* CAPA, asked now */
  POP3_OP_CAPABILITIES, /* CAPA, unless what it said still holds */
  POP3_OP_STLS,         /* CAPA, STLS, handshake */
  POP3_OP_APOP,         /* APOP with the digest of greeting and secret */
  POP3_OP_LOGIN         /* USER, PASS; in clear only if that is allowed */
} pop3_operation;

/* An operation and its arguments. Their octets are borrowed until the
 * operation has ended. */
typedef struct pop3_request {
  pop3_operation operation;
  pop3_command command; /* OP_COMMAND */
  unsigned flags;       /* POP3_AS_... */
  size_t count;
  pop3_span arguments[2]; /* OP_LINE: the line; OP_APOP, OP_LOGIN: user,
                             secret */
} pop3_request;

/* What a trace shows, as poplib's debug levels; secrets are replaced. */
typedef struct pop3_tracer {
  void (*show)(void *state, int level, const char *label, pop3_span text,
               unsigned line_end);
  void *state;
  int level; /* 0: nothing, 1: commands, 2: every line */
} pop3_tracer;

typedef struct pop3_client {
  pop3_session *session; /* owned by the caller, like its memory */
  pop3_allocator allocator;
  pop3_tracer tracer;
  pop3_caps caps;
  bool cleartext_allowed; /* OP_LOGIN may send a secret in clear */

  char *welcome; /* the greeting, owned; it holds APOP's timestamp */
  size_t welcome_size;
  bool timestamp_trusted; /* the greeting came over the stream we have now */

  pop3_request request;
  size_t step; /* of the operation's plan */
  bool running;
  bool handshake;  /* the caller has to secure the stream now */
  char digest[33]; /* APOP's, wiped when the operation ends */
} pop3_client;

/* `session` is initialised; nothing is sent before the first operation, which
 * has to be one of the three OPENs. */
void pop3_client_init(pop3_client *client, pop3_session *session,
                      const pop3_allocator *allocator);

/* Frees what the client owns, not the session. */
void pop3_client_free(pop3_client *client);

/*
 * Start an operation. On success its first command is queued, or
 * client->running is false because the answer is known already.
 * Errors: those of pop3_session_command; SECURED, UNSUPPORTED (APOP without a
 * timestamp), INSECURE, BUSY. `failure` is filled in on every error.
 */
pop3_error pop3_client_begin(pop3_client *client, const pop3_request *request,
                             pop3_failure *failure);

/*
 * Consume input until one event is of interest to who asked (a STATUS, LINE,
 * DATA or END of the operation's own command), or the operation has ended
 * (client->running is false), or a handshake is due (client->handshake is
 * true), or more input is needed (event NONE). An event and the end may come
 * together. Errors: those of pop3_session_feed (sticky), and REFUSED, DENIED,
 * UNSUPPORTED, MALFORMED, after which the session may be used.
 */
pop3_error pop3_client_next(pop3_client *client, const char **octets,
                            size_t *size, pop3_event *event,
                            pop3_failure *failure);

/* The stream is secure: forget what was learnt in clear and go on. */
void pop3_client_secured(pop3_client *client);

/* The operation ended for a reason of the caller's. */
void pop3_client_stop(pop3_client *client);

/* A number of a STAT reply. */
typedef struct pop3_number {
  bool exact; /* `whole` holds it; else only `rough` does */
  int64_t whole;
  double rough;
} pop3_number;

/*
 * The two numbers of "+OK 2 320 ..." (RFC 1939 5). Servers have been seen
 * to send negative and huge ones; they are handed on. MALFORMED otherwise.
 */
pop3_error pop3_parse_stat(pop3_span line, pop3_number *count,
                           pop3_number *octets, pop3_failure *failure);

#pragma GCC visibility pop

#endif
