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
#include "login.h"
#include "memory.h"
#include "pop3.h"
#include "sasl.h"
#include "status.h"
#include "trace.h"

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
  POP3_OP_LOGIN,        /* CAPA, then the best way in that there is */
  POP3_OP_AUTHENTICATE, /* AUTH, whose responses are the caller's */
  POP3_OP_LISTING,      /* LIST and UIDL */
  POP3_OP_MANY          /* one command for each of many messages */
} pop3_operation;

/* What rides in the same flight, behind an operation's own commands. */
enum {
  POP3_WITH_STAT = 1 << 0,    /* OP_LOGIN */
  POP3_WITH_LISTING = 1 << 1, /* OP_LOGIN */
  POP3_WITH_QUIT = 1 << 2     /* OP_LOGIN, OP_LISTING, OP_MANY */
};

/* May several commands be in flight (RFC 2449 6.6)? AUTO asks CAPA once, for
 * an operation of several commands. */
typedef enum pop3_pipelining {
  POP3_PIPELINING_AUTO,
  POP3_PIPELINING_NEVER,
  POP3_PIPELINING_ALWAYS
} pop3_pipelining;

/* An operation and its arguments. Their octets are borrowed until the
 * operation has ended. */
typedef struct pop3_request {
  pop3_operation operation;
  pop3_command command; /* OP_COMMAND; OP_MANY: RETR, TOP or DELE */
  unsigned flags;       /* POP3_AS_... */
  unsigned with;        /* POP3_WITH_... */
  bool unanswered;      /* QUIT whose reply nobody waits for */
  bool remembered;      /* OP_LOGIN: what CAPA says is worth a question */
  bool learning;        /* OP_LOGIN: ask again after the login, in its flight */
  size_t count;
  pop3_span arguments[2]; /* OP_LINE: the line; OP_APOP, OP_LOGIN: user,
                             secret; OP_MANY with TOP: the lines of the body;
                             OP_AUTHENTICATE: the mechanism */
  pop3_span tokens;       /* OP_MANY: the numbers, an LF behind each */

  /* OP_LOGIN */
  pop3_span auth;       /* pop3_login_facts.asked */
  pop3_span authzid;    /* as whom to act, if not as the user */
  bool token;           /* the secret is an OAuth token */
  pop3_binding binding; /* of TLS's channel */

  pop3_span initial; /* OP_AUTHENTICATE: any octets; data NULL: none */
} pop3_request;

/* CAPA, USER, PASS, CAPA, STAT, LIST, UIDL, QUIT */
#define POP3_PLAN_STEPS 8

/* The exchange of an AUTH (client_auth.c). */
typedef struct pop3_auth {
  pop3_sasl *sasl;       /* NULL: the caller makes the responses */
  pop3_octets challenge; /* base64, as far as it has come */
  char *decoded;
  size_t decoded_size;
  size_t decoded_room;
  char *answer; /* base64, wiped as soon as it has left */
  size_t answer_size;
  size_t answer_room;
  bool delayed;  /* it waits for the server to say go ahead */
  bool answered; /* one has been sent */
  bool revealed; /* the server was shown a secret, or perhaps was */
} pop3_auth;

typedef struct pop3_client {
  pop3_session *session; /* owned by the caller, like its memory */
  pop3_allocator allocator;
  pop3_tracer tracer;
  pop3_caps caps;
  pop3_caps before;       /* what they were before the login */
  pop3_caps clear;        /* what they were before STLS: for who remembers it
                             for the next connection; nothing here reads it */
  bool cleartext_allowed; /* OP_LOGIN may send a secret in clear */

  const char *host; /* as it was asked for, the caller's; OAUTHBEARER's */
  unsigned port;
  unsigned char binding[64]; /* what TLS's channel is called, if it is */
  size_t binding_size;
  const char *binding_type;

  char *welcome; /* the greeting, owned; it holds APOP's timestamp */
  size_t welcome_size;
  bool timestamp_trusted; /* the greeting came over the stream we have now */

  pop3_pipelining pipelining;
  bool capa_refused;  /* do not ask for capabilities by ourselves again */
  bool authenticated; /* a login succeeded */
  uint64_t deletions; /* marked since the login or RSET */

  pop3_request request;
  pop3_command plan[POP3_PLAN_STEPS];
  size_t plan_size;
  size_t step;        /* the first one of which not all was queued */
  size_t token;       /* OP_MANY: octets of the tokens that were queued */
  size_t outstanding; /* commands queued whose replies are not complete */
  bool running;
  bool handshake;    /* the caller has to secure the stream now */
  bool working;      /* the caller has to call pop3_client_work */
  bool asking;       /* the caller has to call pop3_client_answer */
  bool planned;      /* the plan is complete: OP_LOGIN's may wait for CAPA */
  pop3_error ending; /* the operation failed; its replies are read out */
  char digest[33];   /* APOP's, wiped when the operation ends */

  const pop3_way *way;    /* OP_LOGIN's, once it is chosen */
  const pop3_way *failed; /* one before it, which the server does not have */
  bool stripped;          /* no -PLUS was offered, though we could */
  pop3_auth auth;
  char mechanism[POP3_FAILURE_MECHANISM]; /* of the last login, for errors */
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
 * timestamp; no way in), INSECURE, BUSY, those of pop3_sasl_new. `failure` is
 * filled in on every error.
 */
pop3_error pop3_client_begin(pop3_client *client, const pop3_request *request,
                             pop3_failure *failure);

/*
 * Queue as many of the operation's commands as may go now: call it before
 * pop3_session_output. Errors: those of pop3_session_command but AGAIN.
 */
pop3_error pop3_client_push(pop3_client *client, pop3_failure *failure);

/*
 * Queue nothing more. What was queued is answered and its events come; the
 * operation ends with the last of them.
 */
void pop3_client_curtail(pop3_client *client);

/*
 * Consume input until one event is of interest to who asked (a STATUS, LINE,
 * DATA or END of the operation's own command), or the operation has ended
 * (client->running is false), or a handshake is due (client->handshake is
 * true), or more input is needed (event NONE). An event and the end may come
 * together. It returns, too, when there is work to do (client->working), and
 * with an event CHALLENGE of OP_AUTHENTICATE, decoded and whole, that the caller
 * has to answer. A refusal of one of OP_MANY's commands, or of what rides behind a
 * login, is an event with `ok` false; a refusal of the operation itself is an
 * error once all replies to what was in flight are read. Errors: those of
 * pop3_session_feed (sticky), and REFUSED, DENIED, UNSUPPORTED, MALFORMED, after
 * which the session may be used; by SASL also those of pop3_sasl_step, of which
 * MALFORMED, UNPROVEN and MEMORY end the session.
 */
pop3_error pop3_client_next(pop3_client *client, const char **octets,
                            size_t *size, pop3_event *event,
                            pop3_failure *failure);

/*
 * While client->working: one slice of key derivation, a quarter of a
 * millisecond or less. AGAIN: there is more. Other errors end the operation.
 */
pop3_error pop3_client_work(pop3_client *client, pop3_failure *failure);

/*
 * While client->asking: the response to the challenge, any octets; NULL cancels
 * the exchange ("*"), and the operation ends as ABORTED, with `reason` or a text
 * of ours, once the server has answered that. STATE when nothing is asked;
 * MEMORY.
 */
pop3_error pop3_client_answer(pop3_client *client, const pop3_span *response,
                              const char *reason, pop3_failure *failure);

/* The stream is secure: forget what was learnt in clear and go on. */
void pop3_client_secured(pop3_client *client);

/* The operation ended for a reason of the caller's. */
void pop3_client_stop(pop3_client *client);

#pragma GCC visibility pop

#endif
