/*
 * conn.h - one connection: a non-blocking socket, perhaps TLS, and a client on
 * top, advanced by pop3_conn_step, which never waits.
 *
 * A host calls step until it says DONE or FAILED; at WAIT it waits for one of
 * the interests or the deadline, however it likes to, and calls step again.
 * The blocking mode is that loop with pop3_conn_wait, which is poll(2).
 *
 * Time is a monotonic clock's seconds, passed in by the caller (pop3_now gives
 * one). One thread at a time may use a connection; no signal disposition is
 * touched and no SIGPIPE is raised.
 */
#ifndef POP3_CONN_H
#define POP3_CONN_H

#include <stdbool.h>
#include <stddef.h>

#include "address.h"
#include "buffers.h"
#include "client.h"
#include "failure.h"
#include "interest.h"
#include "memory.h"
#include "pop3.h"
#include "proxy.h"
#include "tls.h"

#pragma GCC visibility push(hidden)

/* Octets that a step may take before it says AGAIN, where nobody waits for
 * a frame to be drawn: long enough to be cheap, short enough for Ctrl-C. */
#define POP3_STEP_OCTETS 1048576

typedef enum pop3_tls_mode {
  POP3_TLS_NONE,
  POP3_TLS_STARTTLS,      /* STLS or nothing */
  POP3_TLS_OPPORTUNISTIC, /* STLS where it is offered, else clear */
  POP3_TLS_IMPLICIT       /* TLS before the greeting (RFC 8314) */
} pop3_tls_mode;

struct sockaddr;

/*
 * May `address`, one of those that `host` (or the proxy) stands for, be
 * connected to? Called
 * inside of step, for each before its socket exists. OK, or an error and its
 * failure: then the next one has its turn, and if no other was tried, that is
 * why the connection fails. Must not step this connection nor close it.
 */
typedef pop3_error pop3_admit(void *state, const char *host,
                              const struct sockaddr *address, unsigned port,
                              pop3_failure *failure);

typedef struct pop3_conn_options {
  double timeout;         /* seconds without an octet; 0: none */
  double connect_timeout; /* seconds from the name to the greeting, and for
                             the handshake of STLS; 0: none */
  double total_timeout;   /* seconds for each operation; 0: none */
  pop3_tls_mode tls;
  bool carried;         /* the host has the stream: see carrier.h */
  bool tls_by_host;     /* ... and the host does TLS as well */
  bool allow_cleartext; /* login in clear to a peer that is not this host */
  pop3_pipelining pipelining;
  pop3_config engine;    /* limits and framing; require_tls follows `tls` */
  pop3_buffers *buffers; /* retained; NULL: none are kept */
  pop3_admit *admit;     /* NULL: every address may */
  void *admit_state;
} pop3_conn_options;

/* 60 s, 30 s, none; no TLS; the engine's defaults. */
void pop3_conn_options_init(pop3_conn_options *options);

typedef struct pop3_conn pop3_conn;

/* Octets of one connection; it lives in memory of the caller's. */
size_t pop3_conn_size(const pop3_conn_options *options);

/* Make one in `memory` (aligned as malloc does). It is closed; cannot fail. */
pop3_conn *pop3_conn_init(void *memory, const pop3_conn_options *options,
                          const pop3_allocator *allocator);

/* A proxy, and how it is reached. */
typedef struct pop3_route_proxy {
  const char *scheme; /* for people, static: "socks5+tls" */
  const char *host;
  unsigned port;
  pop3_tls_context *context; /* of TLS to the proxy; retained; NULL: in clear */
  pop3_proxy_login login;
} pop3_route_proxy;

/* Octets of a Unix socket's path, its NUL included. Some systems take fewer. */
#define POP3_ROUTE_PATH 108

/* The way to the server, where it is not just any. */
typedef struct pop3_route {
  const pop3_route_proxy *proxy; /* NULL: none */
  const char *path; /* of a Unix socket to connect to; NULL: none */
  bool srv; /* the host is a domain, whose signed SRV records name servers and
               ports: the port that is given is not used */
  const char *srv_config; /* for that, unbound.conf; NULL: the context's */
  pop3_address local;     /* to connect from; no bits: any */
  bool keeps_alive;
  unsigned keep_alive; /* seconds; 0: as the system likes */
} pop3_route;

/* Before pop3_conn_open; what `route` points to is needed until that has
 * returned. At most one of a proxy, a path and srv; a carried connection has
 * none of path, srv, local address and keep-alive. */
void pop3_conn_use_route(pop3_conn *conn, const pop3_route *route);

/*
 * Begin to connect and to read the greeting (and STLS, by options->tls).
 * `context` is needed for every mode but NONE, unless the host does TLS, and
 * retained. Step until DONE.
 * Errors (the connection stays closed): ARGUMENT (a host or port that is
 * none, or none that a proxy takes; a path that is too long; an address with
 * srv), those of pop3_resolve_start and pop3_srv_lookup_start, MEMORY.
 */
pop3_error pop3_conn_open(pop3_conn *conn, const char *host, size_t host_size,
                          unsigned port, pop3_tls_context *context, double now);

/*
 * Begin an operation on an open connection; step until DONE. What the server
 * sent before, unasked, is read first and ends the connection (GOODBYE, EOF,
 * UNSOLICITED). Errors as pop3_client_begin; pop3_conn_failure has the text.
 */
pop3_error pop3_conn_begin(pop3_conn *conn, const pop3_request *request,
                           double now);

/* As pop3_client_answer, after an event CHALLENGE; then step on. Without an
 * answer the connection waits for the server, which waits for us. */
pop3_error pop3_conn_answer(pop3_conn *conn, const pop3_span *response,
                            const char *reason);

/* The context that POP3_OP_STLS will use; retained. */
void pop3_conn_use_context(pop3_conn *conn, pop3_tls_context *context);

/* A session to offer at the handshake, as pop3_conn_export_session gave it;
 * the caller keeps the octets until the connection is secure or closed. */
void pop3_conn_use_session(pop3_conn *conn, const char *octets, size_t size);

/* As pop3_tls_session_export; AGAIN without TLS, too. */
pop3_error pop3_conn_export_session(const pop3_conn *conn, char *octets,
                                    size_t room, size_t *size);

/* The filter, for tls_describe.h; NULL while it is not in use, in clear and
 * where the host does TLS. */
const pop3_tls *pop3_conn_tls(const pop3_conn *conn);

typedef enum pop3_step {
  POP3_STEP_DONE,   /* the operation is complete */
  POP3_STEP_FAILED, /* it failed: pop3_conn_failure */
  POP3_STEP_EVENT,  /* pop3_conn_event has something for the caller */
  POP3_STEP_AGAIN,  /* `octets` are spent; call again when it suits */
  POP3_STEP_WAIT    /* nothing to do before an interest or the deadline */
} pop3_step;

/* Advance by at most `octets` octets received, which may be none: what is here
 * is looked at, then it is AGAIN. Never waits. */
pop3_step pop3_conn_step(pop3_conn *conn, double now, size_t octets);

/* Octets that the last step received. */
size_t pop3_conn_taken(const pop3_conn *conn);

/* Of the last step; spans live until the next. */
const pop3_event *pop3_conn_event(const pop3_conn *conn);

/*
 * Keep `text`, a DATA event's or a part of it, in the receive buffer, where the
 * pieces of a message become one span; that lives until the next step, keep or
 * drop. `lead`, which is elsewhere and mostly empty, comes before it. An
 * operation that begins drops what is kept. MEMORY.
 */
pop3_error pop3_conn_keep(pop3_conn *conn, const pop3_span *lead,
                          const pop3_span *text);
pop3_span pop3_conn_kept(const pop3_conn *conn);
void pop3_conn_drop(pop3_conn *conn);

/*
 * What is kept, as a block of its size and a NUL, which is the caller's now, of
 * the connection's allocator; NULL, and nothing happened, if it cannot be given
 * away.
 */
char *pop3_conn_detach(pop3_conn *conn);

/* End what runs for a reason of the caller's, and the connection with it. */
void pop3_conn_abort(pop3_conn *conn, const pop3_failure *failure);

/* Of the last FAILED or of an error returned; lives until the next call. */
const pop3_failure *pop3_conn_failure(const pop3_conn *conn);

/* What to wait for after WAIT, at most POP3_INTERESTS; valid until the next
 * step. */
size_t pop3_conn_interests(const pop3_conn *conn,
                           const pop3_interest **interests);

/* The option `timeout` from now on; 0: none. */
void pop3_conn_set_timeout(pop3_conn *conn, double seconds);

/* When to step again at the latest, on the clock of `now`; INFINITY: never. */
double pop3_conn_deadline(const pop3_conn *conn);

/* The same of total_timeout alone, which counts also while it is not the server
 * that is waited for. */
double pop3_conn_last_moment(const pop3_conn *conn);

/* Wait in poll(2) for an interest, or the deadline, at most a second. false:
 * nothing is ready, or a signal arrived; let the host look for one, then step
 * again. */
bool pop3_wait(const pop3_interest *interests, size_t count, double deadline);
bool pop3_conn_wait(const pop3_conn *conn);

/* CLOCK_MONOTONIC in seconds. */
double pop3_now(void);

/* Free everything but the memory of the connection itself; sends nothing, not
 * even close_notify, and waits for nothing. As often as you like. */
void pop3_conn_close(pop3_conn *conn);

/* Closed by pop3_conn_close, by a failure or after QUIT, or never opened. */
bool pop3_conn_is_closed(const pop3_conn *conn);

/* The operations' state: capabilities, greeting, traces, octets pending. */
pop3_client *pop3_conn_client(pop3_conn *conn);

/* Whom it is to, as it was asked for, and whether by TLS by now; what else there
 * is to know takes a system call. */
const char *pop3_conn_target(const pop3_conn *conn, unsigned *port);
bool pop3_conn_is_secure(const pop3_conn *conn);

typedef struct pop3_conn_info {
  const char *host; /* as it was asked for, or the domain's server */
  unsigned port;
  const char *domain; /* that was asked for in its place, or NULL */
  char address[64];  /* of the peer, the proxy's where there is one, numeric; ""
                       when not connected */
  unsigned attempts; /* addresses that were connected to; 0: none of ours */
  const char *path;  /* of a Unix socket, or NULL */
  const char *scheme; /* of the proxy; NULL: there is none */
  const char *proxy_host;
  unsigned proxy_port;
  int fd; /* -1 when closed */
  bool secure;
  pop3_tls_info tls; /* only when secure */
} pop3_conn_info;
void pop3_conn_describe(const pop3_conn *conn, pop3_conn_info *info);

/* Only host, port, path, scheme and proxy, without a system call. */
void pop3_conn_describe_way(const pop3_conn *conn, pop3_conn_info *info);

#pragma GCC visibility pop

#endif
