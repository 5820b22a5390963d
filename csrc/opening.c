/*
 * opening.c - how a connection comes to its stream: the name, attempts to
 * connect to its addresses, a socket in the file system, or the host's carrier;
 * and then, where there is one, the proxy. The phases before our server's TLS.
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

/* ------------------------------------------------------------ whom */

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

static pop3_error take_server(pop3_conn *c, const char *host, size_t size,
                              unsigned port) {
  pop3_error error = take_host(c, host, size);
  if (error != POP3_E_OK) return error;
  if (port < 1 || port > 65535)
    return pop3_fail(&c->failure, POP3_E_ARGUMENT, "a port is 1 to 65535");
  c->port = c->client.port = port;
  c->client.host = c->host;
  return POP3_E_OK;
}

static pop3_error take_elsewhere(pop3_conn *c, const char *text) {
  size_t size = strlen(text) + 1;
  c->elsewhere = pop3_allocate(&c->allocator, size);
  if (c->elsewhere == NULL) return pop3_fail(&c->failure, POP3_E_MEMORY, NULL);
  memcpy(c->elsewhere, text, size);
  return POP3_E_OK;
}

/* The exchange is composed now, while the secrets are there. */
static pop3_error take_proxy(pop3_conn *c, const pop3_route_proxy *proxy) {
  pop3_error error = take_elsewhere(c, proxy->host);
  if (error != POP3_E_OK) return error;
  c->scheme = proxy->scheme;
  c->proxy_port = proxy->port;
  return pop3_proxy_new(&c->allocator, &proxy->login, c->host, c->port,
                        &c->stream.proxy, &c->failure);
}

const char *pop3_conn_peer(const pop3_conn *c, unsigned *port) {
  bool proxied = c->scheme != NULL;
  *port = proxied ? c->proxy_port : c->port;
  return proxied ? c->elsewhere : c->host;
}

const char *pop3_conn_path(const pop3_conn *c) {
  return c->scheme == NULL ? c->elsewhere : NULL;
}

/* ------------------------------------------------------------ beginning */

static pop3_error start_lookup(pop3_conn *c) {
  char service[8];
  unsigned port;
  const char *host = pop3_conn_peer(c, &port);
  snprintf(service, sizeof service, "%u", port);
  pop3_error error =
      pop3_resolve_start(host, service, AF_UNSPEC, &c->lookup, &c->failure);
  if (error == POP3_E_OK) c->phase = PHASE_RESOLVING;
  return error;
}

/* Meanwhile; where TLS comes later, when it does. */
static pop3_error ask_records(pop3_conn *c) {
  bool soon = c->options.tls == POP3_TLS_IMPLICIT ||
              c->options.tls == POP3_TLS_STARTTLS;
  return soon ? pop3_conn_ask_records(c, &c->failure) : POP3_E_OK;
}

pop3_error pop3_opening_begin(pop3_conn *c) {
  pop3_error error = start_lookup(c);
  return error == POP3_E_OK ? ask_records(c) : error;
}

static pop3_error start_carrier(pop3_conn *c) {
  c->stream.carried = true;
  c->phase = PHASE_CARRIER;
  return POP3_E_OK;
}

/* How it ended is for the first step to say. No path at all would be a name of
 * Linux's that whoever is on this host may listen at. */
static pop3_error start_at_path(pop3_conn *c, const char *path) {
  struct sockaddr_storage address;
  socklen_t size = pop3_os_path_address(path, &address);
  if (size == 0 || path[0] == '\0' || strlen(path) >= POP3_ROUTE_PATH)
    return pop3_fail(&c->failure, POP3_E_ARGUMENT,
                     "the path of a Unix socket has 1 to %d octets",
                     POP3_ROUTE_PATH - 1);
  pop3_error error = take_elsewhere(c, path);
  if (error != POP3_E_OK) return error;
  pop3_race_begin_at(&c->race, (const struct sockaddr *)&address, (size_t)size);
  c->phase = PHASE_CONNECTING;
  return POP3_E_OK;
}

static pop3_error start(pop3_conn *c) {
  const pop3_route *route = &c->route;
  pop3_error error =
      route->proxy != NULL ? take_proxy(c, route->proxy) : POP3_E_OK;
  if (error != POP3_E_OK) return error;
  c->race.local = route->local;
  if (route->srv) return pop3_service_start(c);
  if (!c->options.carried && route->path == NULL) return pop3_opening_begin(c);
  error = c->options.carried ? start_carrier(c) : start_at_path(c, route->path);
  return error == POP3_E_OK ? ask_records(c) : error;
}

void pop3_conn_use_route(pop3_conn *c, const pop3_route *route) {
  c->route = *route;
  if (route->proxy == NULL || route->proxy->context == NULL) return;
  c->proxy_context = pop3_tls_context_retain(route->proxy->context);
}

pop3_error pop3_conn_open(pop3_conn *c, const char *host, size_t host_size,
                          unsigned port, pop3_tls_context *context,
                          double now) {
  pop3_request request = {0};
  pop3_error error = take_server(c, host, host_size, port);
  if (error == POP3_E_OK && context != NULL) pop3_conn_use_context(c, context);
  if (error == POP3_E_OK) error = start(c);
  c->route.proxy = NULL;
  c->route.path = NULL;
  c->route.srv_config = NULL;
  if (error != POP3_E_OK) return error;
  pop3_conn_start_clock(c, now, true);
  request.operation = opening[c->options.tls];
  return pop3_client_begin(&c->client, &request, &c->failure);
}

/* ------------------------------------------------------------ connecting */

void pop3_conn_connected(pop3_conn *c, bool loopback) {
  c->client.cleartext_allowed = c->options.allow_cleartext || loopback;
  c->stream.active = c->now;
  c->stream.asked = true; /* the greeting takes a moment */
  c->phase = PHASE_OPEN;
  if (c->options.tls == POP3_TLS_IMPLICIT) c->client.handshake = true;
}

/* The reason is told if it stays the only one: no address that was tried did
 * not answer. */
static bool may_connect(void *state, const struct sockaddr *address) {
  pop3_conn *c = state;
  pop3_failure failure = {0};
  pop3_admit *admit = c->options.admit;
  unsigned port;
  const char *host = pop3_conn_peer(c, &port);
  if (admit == NULL ||
      admit(c->options.admit_state, host, address, port, &failure) == POP3_E_OK)
    return true;
  c->failure = failure;
  return false;
}

static pop3_step start_proxy(pop3_conn *c) {
  c->stream.active = c->now;
  c->phase = PHASE_PROXY;
  if (c->proxy_context == NULL) return POP3_STEP_ON;
  const pop3_tls_peer peer = {.host = c->elsewhere,
                              .host_size = strlen(c->elsewhere),
                              .port = c->proxy_port,
                              .door = POP3_TLS_TO_PROXY};
  return pop3_conn_start_filter(c, c->proxy_context, &peer);
}

/* A proxy's address says nothing about who is behind it. */
void pop3_conn_arrived(pop3_conn *c, bool loopback) {
  pop3_service_end(c);
  pop3_lookup_release(c->lookup);
  c->lookup = NULL;
  if (c->stream.proxy != NULL) (void)start_proxy(c);
  else pop3_conn_connected(c, loopback);
}

/* No address is left. */
static pop3_step unconnected(pop3_conn *c) {
  char place[POP3_CONN_PLACE];
  bool local = c->race.unsuited && c->failure.error == POP3_E_OK;
  if (pop3_service_go_on(c)) return POP3_STEP_ON;
  if (c->race.failed > 0) return pop3_conn_fail_system(c, c->race.system);
  if (local)
    pop3_fail(&c->failure, POP3_E_IO,
              "%sit has no %s address, and local_address is one",
              pop3_conn_place(c, place),
              c->race.local.bits == 32 ? "IPv4" : "IPv6");
  pop3_session_poison(c->client.session, c->failure.error);
  return pop3_conn_failed(c);
}

/* Has another server its turn? */
static bool is_over(const pop3_conn *c) {
  return c->now >= pop3_service_due(c);
}

pop3_step pop3_opening_connect(pop3_conn *c) {
  pop3_error which;
  bool loopback = false;
  pop3_race *race = &c->race;
  double limit = pop3_sooner(pop3_conn_limit(c, &which), pop3_service_due(c));
  pop3_error error = pop3_race_step(race, c->now, limit, may_connect, c,
                                    &c->stream.fd, &loopback);
  if (error == POP3_E_IO) return unconnected(c);
  if (error == POP3_E_OK) {
    if (c->route.keeps_alive)
      pop3_socket_keep_alive(c->stream.fd, c->route.keep_alive);
    pop3_conn_arrived(c, loopback || pop3_conn_path(c) != NULL);
    return POP3_STEP_ON;
  }
  if (is_over(c)) return unconnected(c);
  for (size_t i = 0; i < race->count; i++)
    pop3_conn_wait_for(c, race->under_way[i].fd, false, true);
  return POP3_STEP_WAIT;
}

pop3_step pop3_opening_resolve(pop3_conn *c) {
  const struct addrinfo *list;
  pop3_error error = pop3_lookup_result(c->lookup, &list, &c->failure);
  if (error == POP3_E_AGAIN && !is_over(c))
    return pop3_conn_wait_for(c, pop3_lookup_fd(c->lookup), true, false);
  if (error != POP3_E_OK)
    return pop3_service_go_on(c) ? POP3_STEP_ON : pop3_conn_failed(c);
  pop3_race_begin(&c->race, list);
  c->phase = PHASE_CONNECTING;
  return POP3_STEP_ON;
}

/* The host connects. */
pop3_step pop3_opening_carried(pop3_conn *c) {
  return pop3_conn_wait_for(c, -1, false, false);
}

/* ------------------------------------------------------------ the proxy */

static pop3_step proxy_failed(pop3_conn *c, pop3_error error, int system) {
  if (error == POP3_E_IO) return pop3_conn_fail_system(c, system);
  if (error == POP3_E_EOF) error = pop3_proxy_eof(c->stream.proxy, &c->failure);
  pop3_session_poison(c->client.session, error);
  return pop3_conn_failed(c);
}

/* The tunnel stands. What came behind the proxy's answer is the server's; but
 * nobody may speak before our handshake, and a host cannot be given it back. */
static pop3_step enter_tunnel(pop3_conn *c) {
  size_t early = pop3_stream_unread(&c->stream).size + c->stream.incoming.size;
  bool theirs = c->options.tls_by_host && c->options.tls == POP3_TLS_IMPLICIT;
  if (early > 0 && theirs) {
    pop3_error error =
        pop3_fail(&c->failure, POP3_E_PROXY,
                  "octets followed its answer before the handshake");
    return proxy_failed(c, error, 0);
  }
  pop3_proxy_free(c->stream.proxy);
  c->stream.proxy = NULL;
  pop3_conn_connected(c, false);
  c->stream.asked = early == 0;
  return POP3_STEP_ON;
}

/* What it has said. AGAIN: there is nothing more. */
static pop3_error hear_proxy(pop3_conn *c) {
  size_t used = 0;
  pop3_span unread = pop3_stream_unread(&c->stream);
  pop3_error error = pop3_proxy_receive(c->stream.proxy, unread.data,
                                        unread.size, &used, &c->failure);
  pop3_stream_consume(&c->stream, used);
  return error;
}

/* All that we have to say, unless it takes nothing more: then it has perhaps
 * said why. AGAIN: the stream is full. */
static pop3_error tell_proxy(pop3_conn *c) {
  int system = 0;
  if (c->deaf != 0) return POP3_E_OK;
  pop3_error error =
      pop3_stream_transmit(&c->stream, c->client.session, &system, &c->failure);
  if (error != POP3_E_IO) return error;
  c->deaf = system;
  return POP3_E_OK;
}

/* It has connected us, perhaps before it was asked in full. */
static pop3_step leave_proxy(pop3_conn *c, bool full) {
  if (c->deaf != 0) return pop3_conn_fail_system(c, c->deaf);
  return full ? pop3_conn_wait_for(c, c->stream.fd, false, true)
              : enter_tunnel(c);
}

static pop3_step await_proxy(pop3_conn *c, bool full) {
  int system = 0;
  if (c->stream.budget == 0) return POP3_STEP_AGAIN;
  if (pop3_stream_is_clogged(&c->stream)) return pop3_conn_unclog(c);
  pop3_error reading = pop3_stream_receive(&c->stream, &system, &c->failure);
  if (reading == POP3_E_OK) return POP3_STEP_ON;
  if (reading != POP3_E_AGAIN) return proxy_failed(c, reading, system);
  if (c->deaf != 0) return pop3_conn_fail_system(c, c->deaf);
  return pop3_conn_wait_for(c, c->stream.fd, true, full);
}

pop3_step pop3_opening_proxy(pop3_conn *c) {
  pop3_error answer = hear_proxy(c);
  if (answer != POP3_E_OK && answer != POP3_E_AGAIN)
    return proxy_failed(c, answer, 0);
  pop3_error writing = tell_proxy(c);
  if (writing != POP3_E_OK && writing != POP3_E_AGAIN)
    return proxy_failed(c, writing, 0);
  bool full = writing == POP3_E_AGAIN;
  return answer == POP3_E_OK ? leave_proxy(c, full) : await_proxy(c, full);
}
