/*
 * conn_service.c - see conn_internal.h: the servers of a mail domain, found by
 * its SRV records, and tried one after the other until one is connected to.
 */
#include <math.h>
#include <string.h>

#include "conn_internal.h"

/* RFC 6186 3.3, in the order of pop3_tls_mode. */
static const char *const services[] = {"_pop3", "_pop3", "_pop3", "_pop3s"};

/* ------------------------------------------------------------ the domain */

/* The host that was asked for is none, but a domain. */
static pop3_error take_domain(pop3_conn *c) {
  size_t size = strlen(c->host);
  if (pop3_conn_is_address(c->host))
    return pop3_fail(&c->failure, POP3_E_ARGUMENT,
                     "srv = true looks a domain's servers up, and an address "
                     "has none");
  if (size > 1 && c->host[size - 1] == '.') c->host[--size] = '\0';
  c->domain = pop3_allocate(&c->allocator, size + 1);
  if (c->domain == NULL) return pop3_fail(&c->failure, POP3_E_MEMORY, NULL);
  memcpy(c->domain, c->host, size + 1);
  return POP3_E_OK;
}

pop3_error pop3_service_start(pop3_conn *c) {
  const char *base, *config = c->route.srv_config;
  if (config == NULL && c->context != NULL)
    (void)pop3_tls_wants_records(c->context, &base, &config);
  pop3_error error = take_domain(c);
  if (error == POP3_E_OK)
    error = pop3_srv_lookup_start(services[c->options.tls], c->domain, config,
                                  &c->service.lookup, &c->failure);
  if (error == POP3_E_OK) c->phase = PHASE_SERVICE;
  return error;
}

void pop3_service_end(pop3_conn *c) {
  pop3_dns_lookup_release(c->service.lookup);
  memset(&c->service, 0, sizeof c->service);
}

/* ------------------------------------------------------------ its servers */

static bool has_next(const pop3_conn *c) {
  const pop3_srv_found *found = c->service.found;
  return found != NULL && c->service.tried < found->count;
}

double pop3_service_due(const pop3_conn *c) {
  return has_next(c) ? c->service.until : INFINITY;
}

/* What was done for the one before; how many addresses is still told. */
static void forget_server(pop3_conn *c) {
  pop3_race_end(&c->race);
  const pop3_race again = {.local = c->race.local, .tried = c->race.tried};
  c->race = again;
  memset(&c->failure, 0, sizeof c->failure);
  pop3_lookup_release(c->lookup);
  c->lookup = NULL;
  pop3_dns_lookup_release(c->records);
  c->records = NULL;
}

/* Each of those that are left has the same share of the time. */
static void use_next(pop3_conn *c) {
  pop3_error which;
  const pop3_srv_found *found = c->service.found;
  size_t left = found->count - c->service.tried;
  const pop3_srv *srv = &found->list[c->service.tried++];
  memcpy(c->host, srv->host, sizeof srv->host);
  c->port = c->client.port = srv->port;
  c->service.until =
      c->now + (pop3_conn_limit(c, &which) - c->now) / (double)left;
}

bool pop3_service_go_on(pop3_conn *c) {
  while (has_next(c)) {
    forget_server(c);
    use_next(c);
    if (pop3_opening_begin(c) == POP3_E_OK) return true;
  }
  return false;
}

pop3_step pop3_service_step(pop3_conn *c) {
  pop3_error error =
      pop3_srv_lookup_result(c->service.lookup, &c->service.found, &c->failure);
  if (error == POP3_E_AGAIN)
    return pop3_conn_wait_for(c, pop3_dns_lookup_fd(c->service.lookup), true,
                              false);
  if (error == POP3_E_OK && pop3_service_go_on(c)) return POP3_STEP_ON;
  return pop3_conn_failed(c);
}

/* Which of several was it? */
void pop3_service_count(pop3_conn *c) {
  const pop3_srv_found *found = c->service.found;
  pop3_failure before = c->failure;
  if (found == NULL || found->count < 2) return;
  pop3_fail(&c->failure, before.error, "%s (server %u of %u of %s)",
            before.text, (unsigned)c->service.tried, (unsigned)found->count,
            c->domain);
  c->failure.system = before.system;
}
