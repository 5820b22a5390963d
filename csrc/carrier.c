/*
 * carrier.c - see carrier.h.
 */
#define _GNU_SOURCE
#include "carrier.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "conn_internal.h"
#include "platform.h"
#include "socket.h"

void pop3_carrier_limit(pop3_config *engine) {
  uint64_t *ahead = &engine->max_ahead;
  if (*ahead == 0 || *ahead > POP3_CARRIED_AHEAD) *ahead = POP3_CARRIED_AHEAD;
}

/* What leaves goes first: the peer may wait for it. */
pop3_carry pop3_carrier_wants(pop3_conn *c) {
  if (c->phase == PHASE_CARRIER) return POP3_CARRY_CONNECT;
  if (c->looking) return POP3_CARRY_LOOK;
  if (c->phase == PHASE_HANDSHAKE && c->stream.tls == NULL)
    return POP3_CARRY_SECURE;
  bool sends = c->deaf == 0 && pop3_carrier_outgoing(c).size > 0;
  return sends ? POP3_CARRY_SEND : POP3_CARRY_RECEIVE;
}

const char *pop3_carrier_peer(const pop3_conn *c, unsigned *port) {
  return pop3_conn_peer(c, port);
}

void pop3_carrier_connected(pop3_conn *c, bool addressed) {
  if (c->phase != PHASE_CARRIER) return;
  pop3_conn_arrived(c, addressed && pop3_socket_is_loopback(c->host));
}

void pop3_carrier_secured(pop3_conn *c) {
  if (c->phase == PHASE_HANDSHAKE) pop3_conn_secured(c);
}

pop3_span pop3_carrier_outgoing(pop3_conn *c) {
  pop3_span span = pop3_stream_outgoing(&c->stream, c->client.session);
  if (span.size > POP3_BUFFER_SIZE) span.size = POP3_BUFFER_SIZE;
  return span;
}

void pop3_carrier_sent(pop3_conn *c, size_t size) {
  if (c->phase == PHASE_CLOSED || size == 0) return;
  c->stream.now = pop3_now();
  pop3_stream_sent(&c->stream, c->client.session, size);
}

void pop3_carrier_received(pop3_conn *c, const char *octets, size_t size) {
  if (c->phase == PHASE_CLOSED) return;
  c->looking = c->deaf != 0 && c->stream.ended == POP3_E_OK; /* until the end */
  c->stream.incoming.data = octets;
  c->stream.incoming.size = size;
}

/* ------------------------------------------------------------ failing */

/* What hosts say in words, mostly strerror's in lower case. */
static const int known[] = {
    ECONNREFUSED, ECONNRESET,   ECONNABORTED, EHOSTUNREACH, ENETUNREACH,
    ENETDOWN,     EHOSTDOWN,    ETIMEDOUT,    EPIPE,        EACCES,
    EPERM,        EMFILE,       ENFILE,       ENOBUFS,      ENOTCONN,
    EINVAL,       EADDRNOTAVAIL};

static int system_error(pop3_conn *c, const char *reason) {
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    if (strcasecmp(pop3_os_text(known[i]), reason) == 0) return known[i];
  }
  snprintf(c->reason, sizeof c->reason, "%s", reason);
  return POP3_CARRIER_ERRNO;
}

typedef struct word {
  const char *reason;
  pop3_error error;
} word;

static const word words[] = {
    {"timeout", POP3_E_CONNECT},   {"not_found", POP3_E_NOT_FOUND},
    {"again", POP3_E_TRY_AGAIN},   {"certificate", POP3_E_CERTIFICATE},
    {"hostname", POP3_E_HOSTNAME}, {"misplaced", POP3_E_MISPLACED},
};

static const word *find_word(const char *reason) {
  for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
    if (strcmp(words[i].reason, reason) == 0) return &words[i];
  }
  return NULL;
}

/* End the connection: one of the words. */
static void fail_by_word(pop3_conn *c, const word *w, const char *detail) {
  pop3_failure failure = {0};
  unsigned port;
  const char *text = detail != NULL ? detail : pop3_error_text(w->error);
  if (w->error == POP3_E_CONNECT) pop3_fail(&failure, w->error, NULL);
  else pop3_fail(&failure, w->error, "%s: %s", pop3_conn_peer(c, &port), text);
  pop3_conn_abort(c, &failure);
}

static void connecting_failed(pop3_conn *c, const char *reason,
                              const char *detail) {
  const word *w = find_word(reason);
  if (w != NULL) fail_by_word(c, w, detail);
  else pop3_conn_fail_system(c, system_error(c, reason));
}

static void securing_failed(pop3_conn *c, const char *reason,
                            const char *detail) {
  pop3_failure failure = {0};
  const word *w = find_word(reason);
  if (w != NULL) {
    fail_by_word(c, w, detail);
    return;
  }
  pop3_fail(&failure, POP3_E_HANDSHAKE, "%s:%u: TLS handshake failed: %s",
            c->host, c->port, reason);
  pop3_conn_abort(c, &failure);
}

/* Whoever waited in vain tries again, until our deadline. */
static bool is_timeout(const char *reason) {
  return strcmp(reason, "timeout") == 0;
}

static void sending_failed(pop3_conn *c, const char *reason,
                           const char *detail) {
  (void)detail;
  if (is_timeout(reason)) return;
  bool closed = strcmp(reason, "closed") == 0;
  int system = closed ? EPIPE : system_error(c, reason);
  if (c->phase == PHASE_HANDSHAKE) {
    pop3_conn_fail_system(c, system); /* as a socket's */
    return;
  }
  c->deaf = system;
  c->looking = true; /* it may have said why */
}

static void receiving_failed(pop3_conn *c, const char *reason,
                             const char *detail) {
  (void)detail;
  c->looking = false;
  if (is_timeout(reason)) return;
  if (strcmp(reason, "closed") == 0) {
    c->stream.ended = POP3_E_EOF;
    return;
  }
  c->stream.ended = POP3_E_IO;
  c->stream.system = system_error(c, reason);
}

typedef void (*failing)(pop3_conn *, const char *, const char *);

static const failing failings[] = {
    [POP3_CARRY_CONNECT] = connecting_failed,
    [POP3_CARRY_SECURE] = securing_failed,
    [POP3_CARRY_SEND] = sending_failed,
    [POP3_CARRY_RECEIVE] = receiving_failed,
    [POP3_CARRY_LOOK] = receiving_failed,
};

void pop3_carrier_failed(pop3_conn *c, const char *reason, const char *detail) {
  if (c->phase == PHASE_CLOSED) return;
  failings[pop3_carrier_wants(c)](c, reason, detail);
}

void pop3_carrier_misbehaved(pop3_conn *c, const char *what) {
  if (c->phase == PHASE_CLOSED) return;
  snprintf(c->reason, sizeof c->reason, "%s", what);
  pop3_conn_fail_system(c, POP3_CARRIER_ERRNO);
}
