/*
 * opening.c - how a connection comes to its stream: the name, its addresses,
 * attempts to connect, or the host's carrier. The phases before TLS.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "carrier.h"
#include "conn_internal.h"
#include "platform.h"
#include "socket.h"

static const pop3_operation opening[] = {
    [POP3_TLS_NONE] = POP3_OP_OPEN,
    [POP3_TLS_STARTTLS] = POP3_OP_OPEN_STLS,
    [POP3_TLS_OPPORTUNISTIC] = POP3_OP_OPEN_EITHER,
    [POP3_TLS_IMPLICIT] = POP3_OP_OPEN,
};

static pop3_error start_lookup(pop3_conn *c) {
  char service[8];
  snprintf(service, sizeof service, "%u", c->port);
  pop3_error error =
      pop3_resolve_start(c->host, service, AF_UNSPEC, &c->lookup, &c->failure);
  if (error == POP3_E_OK) c->phase = PHASE_RESOLVING;
  return error;
}

static pop3_error start_carrier(pop3_conn *c) {
  c->stream.carried = true;
  c->phase = PHASE_CARRIER;
  return POP3_E_OK;
}

/* "[::1]" is an address's form in URLs; the resolver wants it bare. */
static pop3_error take_host(pop3_conn *c, const char *host, size_t size) {
  if (size >= 2 && host[0] == '[' && host[size - 1] == ']') {
    host++;
    size -= 2;
  }
  if (size == 0 || size > POP3_HOST_MAX || memchr(host, '\0', size) != NULL)
    return pop3_fail(&c->failure, POP3_E_ARGUMENT,
                     "a host name has 1 to %d octets and no NUL",
                     POP3_HOST_MAX);
  memcpy(c->host, host, size);
  c->host[size] = '\0';
  return POP3_E_OK;
}

pop3_error pop3_conn_open(pop3_conn *c, const char *host, size_t host_size,
                          unsigned port, pop3_tls_context *context,
                          double now) {
  pop3_request request = {0};
  pop3_error error = take_host(c, host, host_size);
  if (error != POP3_E_OK) return error;
  if (port < 1 || port > 65535)
    return pop3_fail(&c->failure, POP3_E_ARGUMENT, "a port is 1 to 65535");
  c->port = port;
  error = c->options.carried ? start_carrier(c) : start_lookup(c);
  if (error != POP3_E_OK) return error;
  if (context != NULL) pop3_conn_use_context(c, context);
  pop3_conn_start_clock(c, now, true);
  request.operation = opening[c->options.tls];
  return pop3_client_begin(&c->client, &request, &c->failure);
}

/* What is left of the time to connect, shared by the addresses left. */
static double attempt_deadline(const pop3_conn *c) {
  pop3_error which;
  double left = pop3_conn_limit(c, &which) - c->now;
  int addresses = 1;
  for (const struct addrinfo *a = c->next; a != NULL; a = a->ai_next)
    addresses++;
  return c->now + left / addresses;
}

void pop3_conn_connected(pop3_conn *c, bool loopback) {
  pop3_lookup_release(c->lookup);
  c->lookup = NULL;
  c->client.cleartext_allowed = c->options.allow_cleartext || loopback;
  c->stream.active = c->now;
  c->stream.asked = true; /* the greeting takes a moment */
  c->phase = PHASE_OPEN;
  if (c->options.tls == POP3_TLS_IMPLICIT) c->client.handshake = true;
}

/* The reason is told if it stays the only one: `system` is why an address that
 * was tried did not answer. */
static bool may_connect(pop3_conn *c, const struct addrinfo *address,
                        int system) {
  pop3_failure failure = {0};
  pop3_admit *admit = c->options.admit;
  if (admit == NULL || admit(c->options.admit_state, c->host, address->ai_addr,
                             c->port, &failure) == POP3_E_OK)
    return true;
  if (system == 0) c->failure = failure;
  return false;
}

/* No address is left. */
static pop3_step unconnected(pop3_conn *c, int system) {
  if (system != 0) return pop3_conn_fail_system(c, system);
  pop3_session_poison(c->client.session, c->failure.error);
  return pop3_conn_failed(c);
}

/* Try addresses until one is under way or connected. */
static pop3_step connect_next(pop3_conn *c) {
  int system = c->failure.system;
  while (c->next != NULL) {
    const struct addrinfo *address = c->next;
    c->next = address->ai_next;
    if (!may_connect(c, address, system)) continue;
    c->attempt = attempt_deadline(c);
    pop3_error error = pop3_socket_connect(address, &c->stream.fd, &system);
    if (error != POP3_E_OK && error != POP3_E_AGAIN) continue;
    c->phase = PHASE_CONNECTING;
    return POP3_STEP_ON; /* to a peer on this host it is done already */
  }
  return unconnected(c, system);
}

pop3_step pop3_opening_resolve(pop3_conn *c) {
  const struct addrinfo *list;
  pop3_error error = pop3_lookup_result(c->lookup, &list, &c->failure);
  if (error == POP3_E_AGAIN)
    return pop3_conn_wait_for(c, pop3_lookup_fd(c->lookup), true, false);
  if (error != POP3_E_OK) return pop3_conn_failed(c);
  c->next = list;
  return connect_next(c);
}

pop3_step pop3_opening_connect(pop3_conn *c) {
  int system = ETIMEDOUT;
  bool loopback = false;
  pop3_error error = pop3_socket_finish(c->stream.fd, &loopback, &system);
  if (error == POP3_E_OK) {
    pop3_conn_connected(c, loopback);
    return POP3_STEP_ON;
  }
  bool late = c->next != NULL && c->now >= c->attempt;
  if (error == POP3_E_AGAIN && !late)
    return pop3_conn_wait_for(c, c->stream.fd, false, true);
  pop3_stream_close_socket(&c->stream);
  c->failure.system = system; /* should no address be left */
  return connect_next(c);
}

/* The host connects. */
pop3_step pop3_opening_carried(pop3_conn *c) {
  return pop3_conn_wait_for(c, -1, false, false);
}
