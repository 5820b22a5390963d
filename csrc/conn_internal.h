/*
 * conn_internal.h - what conn.c, opening.c, handshake.c and carrier.c share: a
 * connection's inside.
 */
#ifndef POP3_CONN_INTERNAL_H
#define POP3_CONN_INTERNAL_H

#include "conn.h"
#include "race.h"
#include "resolve.h"
#include "resolve_srv.h"
#include "resolve_tlsa.h"
#include "stream.h"

#pragma GCC visibility push(hidden)

typedef enum pop3_phase {
  PHASE_CLOSED,
  PHASE_SERVICE, /* which servers a mail domain has */
  PHASE_RESOLVING,
  PHASE_CARRIER, /* the host connects */
  PHASE_CONNECTING,
  PHASE_PROXY,     /* which connects to the server */
  PHASE_RECORDS,   /* DANE: what the DNS says of the server's key */
  PHASE_HANDSHAKE, /* ours, or the host's: there is no filter then; the proxy's,
                      as long as there is one (stream.proxy) */
  PHASE_OPEN,
  PHASE_COUNT
} pop3_phase;

/* A mail domain's servers, until one is connected to. */
typedef struct pop3_service {
  pop3_dns_lookup *lookup;     /* NULL: the server is known */
  const pop3_srv_found *found; /* in the lookup; NULL: not yet */
  size_t tried;
  double until; /* the one that is tried may take, where others are left */
} pop3_service;

/* As malloc aligns; C99 has no max_align_t. */
typedef union alignment {
  long long integer;
  double number;
  void *pointer;
} alignment;

struct pop3_conn {
  pop3_allocator allocator;
  pop3_conn_options options;
  pop3_client client;
  pop3_tls_context *context; /* retained, or NULL */
  pop3_stream stream;
  pop3_span resumable; /* a session to offer; the caller's */
  pop3_phase phase;
  bool broken;  /* closed by a failure, which every later call repeats */
  int deaf;     /* errno of a write that failed: the peer is only read now */
  bool looking; /* a carrier has to say first what waits there unasked */
  char reason[128]; /* of a carrier's failure that is no errno's */

  pop3_service service;
  pop3_lookup *lookup;
  pop3_dns_lookup *records;
  pop3_race race; /* the attempts to connect */
  char host[POP3_HOST_MAX + 1];
  unsigned port;
  char *domain; /* whose SRV records led to the host; owned; NULL: none did */
  pop3_route route;
  const char *scheme; /* the proxy's; NULL: none */
  char *elsewhere;    /* the proxy's host, or else a Unix socket's path; owned;
                         NULL: neither */
  unsigned proxy_port;
  pop3_tls_context *proxy_context; /* retained; NULL: in clear */

  double now;        /* of the step that runs */
  double started;    /* the operation */
  bool establishing; /* connect_timeout counts */

  size_t budget; /* of the step */
  pop3_interest interests[POP3_INTERESTS];
  size_t interest_count;
  pop3_event event;
  pop3_failure failure;
  alignment session[]; /* the engine's memory */
};

/* Inside step only: the phase changed, go on with the new one. */
#define POP3_STEP_ON ((pop3_step)(POP3_STEP_WAIT + 1))

/* End the operation, and the connection with it unless that is whole: for what
 * `failure` says, or for this error. */
pop3_step pop3_conn_failed(pop3_conn *conn);
pop3_step pop3_conn_fail(pop3_conn *conn, pop3_error error);

/* A failure of the carrier's whose text is in `reason`, in place of an errno. */
#define POP3_CARRIER_ERRNO (-1)

/* End the operation and the connection: an errno, or the above. */
pop3_step pop3_conn_fail_system(pop3_conn *conn, int system);

/* Where it failed, "mail.example:110: ", or "" where a proxy is blamed by
 * whoever hears of it. */
#define POP3_CONN_PLACE (POP3_HOST_MAX + 16)
const char *pop3_conn_place(const pop3_conn *conn, char place[POP3_CONN_PLACE]);

/* Begin to look up the TLSA records that the context wants, if any
 * (conn_dane.c); later, what they are: NULL where none are wanted. AGAIN while
 * it runs. */
pop3_error pop3_conn_ask_records(pop3_conn *conn, pop3_failure *failure);
pop3_error pop3_conn_take_records(pop3_conn *conn,
                                  const pop3_tlsa_found **records);

/* Digits, dots and colons: the DNS has no such names. */
bool pop3_conn_is_address(const char *host);

/* Wait for this, too. */
pop3_step pop3_conn_wait_for(pop3_conn *conn, int fd, bool readable,
                             bool writable);

/* The stream is clogged: nothing is read before something has left. */
pop3_step pop3_conn_unclog(pop3_conn *conn);

/* An operation begins; and when it has to be over, and as which error. */
void pop3_conn_start_clock(pop3_conn *conn, double now, bool establishing);
double pop3_conn_limit(const pop3_conn *conn, pop3_error *which);

static inline double pop3_sooner(double a, double b) { return a < b ? a : b; }

/* conn_service.c: the domain that was asked for in the host's place, and its
 * phase. */
pop3_error pop3_service_start(pop3_conn *conn);
pop3_step pop3_service_step(pop3_conn *conn);

/* The server that was tried is no use: the next one has its turn. false: there
 * is none (left). */
bool pop3_service_go_on(pop3_conn *conn);

/* When that is, at the latest; INFINITY where none is left. */
double pop3_service_due(const pop3_conn *conn);

/* Say in the failure which server it was, if there are several. */
void pop3_service_count(pop3_conn *conn);

/* One is connected to: no other will be. As often as you like. */
void pop3_service_end(pop3_conn *conn);

/* opening.c: look up host's addresses and what the DNS says of its key. */
pop3_error pop3_opening_begin(pop3_conn *conn);

/* The phases of opening.c. */
pop3_step pop3_opening_resolve(pop3_conn *conn);
pop3_step pop3_opening_carried(pop3_conn *conn);
pop3_step pop3_opening_connect(pop3_conn *conn);
pop3_step pop3_opening_proxy(pop3_conn *conn);

/* A Unix socket's path, or NULL. */
const char *pop3_conn_path(const pop3_conn *conn);

/* Whom the stream goes to: the proxy, where there is one. */
const char *pop3_conn_peer(const pop3_conn *conn, unsigned *port);

/* The stream is there: go on with the proxy, or else with TLS or the greeting.
 * Is its peer this host? */
void pop3_conn_arrived(pop3_conn *conn, bool loopback);
void pop3_conn_connected(pop3_conn *conn, bool loopback);

/* The stream ended, or failed while it was read. */
pop3_step pop3_conn_end_of_stream(pop3_conn *conn, pop3_error error,
                                  int system);

/* Begin a handshake; and it is done. */
pop3_step pop3_conn_start_filter(pop3_conn *conn, pop3_tls_context *context,
                                 const pop3_tls_peer *peer);
void pop3_conn_secured(pop3_conn *conn);

/* handshake.c: the server's TLS begins; and its phases. */
pop3_step pop3_handshake_start(pop3_conn *conn);
pop3_step pop3_handshake_filter(pop3_conn *conn);
pop3_step pop3_handshake_step(pop3_conn *conn);

#pragma GCC visibility pop

#endif
