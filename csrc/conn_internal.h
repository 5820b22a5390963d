/*
 * conn_internal.h - what conn.c and carrier.c share: a connection's inside.
 */
#ifndef POP3_CONN_INTERNAL_H
#define POP3_CONN_INTERNAL_H

#include "conn.h"
#include "resolve.h"
#include "resolve_tlsa.h"
#include "stream.h"

#pragma GCC visibility push(hidden)

typedef enum pop3_phase {
  PHASE_CLOSED,
  PHASE_RESOLVING,
  PHASE_CARRIER, /* the host connects */
  PHASE_CONNECTING,
  PHASE_RECORDS,   /* DANE: what the DNS says of the server's key */
  PHASE_HANDSHAKE, /* ours, or the host's: there is no filter then */
  PHASE_OPEN,
  PHASE_COUNT
} pop3_phase;

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

  pop3_lookup *lookup;
  pop3_tlsa_lookup *records;
  const struct addrinfo *next; /* the address to try after this one */
  char host[POP3_HOST_MAX + 1];
  unsigned port;

  double now;        /* of the step that runs */
  double started;    /* the operation */
  double attempt;    /* when the next address gets its turn */
  bool establishing; /* connect_timeout counts */

  size_t budget; /* of the step */
  pop3_interest interests[POP3_INTERESTS];
  size_t interest_count;
  pop3_event event;
  pop3_failure failure;
  alignment session[]; /* the engine's memory */
};

/* A failure of the carrier's whose text is in `reason`, in place of an errno. */
#define POP3_CARRIER_ERRNO (-1)

/* End the operation and the connection: an errno, or the above. */
void pop3_conn_fail_system(pop3_conn *conn, int system);

/* Begin to look up the TLSA records that the context wants, if any
 * (conn_dane.c); later, what they are: NULL where none are wanted. AGAIN while
 * it runs. */
pop3_error pop3_conn_ask_records(pop3_conn *conn, pop3_failure *failure);
pop3_error pop3_conn_take_records(pop3_conn *conn, const char **records);

/* The stream is there: go on with TLS or the greeting. */
void pop3_conn_connected(pop3_conn *conn, bool loopback);
void pop3_conn_secured(pop3_conn *conn);

#pragma GCC visibility pop

#endif
