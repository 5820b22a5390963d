/*
 * handshake.c - see conn_internal.h: how a stream gets its TLS filter, ours, and
 * the handshake is made, with the server or before that with its proxy.
 */
#include <string.h>

#include "conn_internal.h"
#include "tls.h"

pop3_step pop3_conn_start_filter(pop3_conn *c, pop3_tls_context *context,
                                 const pop3_tls_peer *peer) {
  pop3_error error = pop3_tls_new(context, peer, &c->stream.tls, &c->failure);
  if (error != POP3_E_OK) {
    pop3_session_poison(c->client.session, error);
    return pop3_conn_failed(c);
  }
  c->phase = PHASE_HANDSHAKE;
  return POP3_STEP_ON;
}

/* What came behind a proxy's answer is the server's, and no handshake. */
pop3_step pop3_handshake_filter(pop3_conn *c) {
  pop3_tls_peer peer = {.host = c->host,
                        .host_size = strlen(c->host),
                        .port = c->port,
                        .domain = c->domain,
                        .door = c->client.welcome != NULL ? POP3_TLS_AFTER_STLS
                                                          : POP3_TLS_AT_ONCE,
                        .session = c->resumable.data,
                        .session_size = c->resumable.size};
  const pop3_tlsa_found *found = NULL;
  pop3_error error = pop3_conn_take_records(c, &found);
  c->phase = PHASE_RECORDS;
  if (error == POP3_E_AGAIN)
    return pop3_conn_wait_for(c, pop3_dns_lookup_fd(c->records), true, false);
  if (error != POP3_E_OK) {
    pop3_session_poison(c->client.session, error);
    return pop3_conn_failed(c);
  }
  if (found != NULL) {
    peer.tlsa = found->records;
    peer.base = found->base;
  }
  pop3_step step = pop3_conn_start_filter(c, c->context, &peer);
  pop3_span early = pop3_stream_unread(&c->stream);
  if (step != POP3_STEP_ON || early.size == 0) return step;
  pop3_stream_consume(&c->stream, early.size);
  if (pop3_tls_feed(c->stream.tls, early.data, early.size) == POP3_E_OK)
    return step;
  return pop3_conn_fail(c, POP3_E_MEMORY);
}

pop3_step pop3_handshake_start(pop3_conn *c) {
  bool after_stls = c->client.welcome != NULL;
  c->client.handshake = false;
  /* Handed in behind STLS's answer, and beyond the step's octets. */
  if (c->stream.incoming.size > 0 && after_stls)
    return pop3_conn_fail(c, POP3_E_INJECTION);
  if (!c->options.tls_by_host) return pop3_handshake_filter(c);
  c->phase = PHASE_HANDSHAKE;
  return POP3_STEP_ON;
}

void pop3_conn_secured(pop3_conn *c) {
  if (c->stream.proxy != NULL) { /* that far, and no further */
    pop3_stream_enclose(&c->stream);
    c->phase = PHASE_PROXY;
    return;
  }
  pop3_client_secured(&c->client);
  c->phase = PHASE_OPEN;
}

/* Octets of a handshake's record that hold certificates. */
#define CERTIFICATES 512

/* There is another record; the caller may have no time for it, and certificates
 * are a turn of their own: they take more than all the rest. */
static pop3_step pause_handshake(pop3_conn *c, size_t next) {
  if (next >= CERTIFICATES) c->stream.budget = 0;
  return POP3_STEP_AGAIN;
}

/* One record more for the filter. STEP_ON: there is something to look at. */
static pop3_step feed_handshake(pop3_conn *c, bool stuck) {
  int system = 0;
  size_t next = pop3_tls_fed(c->stream.tls);
  if (next > 0) return pause_handshake(c, next);
  if (c->stream.budget == 0) return POP3_STEP_AGAIN;
  if (pop3_stream_is_clogged(&c->stream)) return pop3_conn_unclog(c);
  pop3_error error = pop3_stream_feed(&c->stream, &system, &c->failure);
  if (error == POP3_E_AGAIN)
    return pop3_conn_wait_for(c, c->stream.fd, true, stuck);
  return error == POP3_E_OK ? POP3_STEP_ON
                            : pop3_conn_end_of_stream(c, error, system);
}

pop3_step pop3_handshake_step(pop3_conn *c) {
  if (c->stream.tls == NULL) return pop3_conn_wait_for(c, -1, false, false);
  int system = 0;
  pop3_failure late;
  pop3_error verdict = pop3_tls_handshake(c->stream.tls, &c->failure);
  /* Also after a failure: the peer deserves its alert. */
  pop3_error error =
      pop3_stream_transmit(&c->stream, c->client.session, &system, &late);
  if (verdict != POP3_E_OK && verdict != POP3_E_AGAIN) {
    pop3_session_poison(c->client.session, verdict);
    return pop3_conn_failed(c);
  }
  if (error == POP3_E_IO) return pop3_conn_fail_system(c, system);
  if (error != POP3_E_OK && error != POP3_E_AGAIN)
    return pop3_conn_fail(c, error);
  bool stuck = error == POP3_E_AGAIN;
  if (verdict == POP3_E_AGAIN) return feed_handshake(c, stuck);
  if (stuck) return pop3_conn_wait_for(c, c->stream.fd, false, true);
  pop3_conn_secured(c);
  return POP3_STEP_AGAIN;
}
