/* conn_dane.c - see conn_internal.h: whom the DNS says a connection is to. */
#include <string.h>

#include "conn_internal.h"
#include "tls.h"

/* As a name of the DNS: without the root's dot. */
static void copy_domain(const char *domain, char out[POP3_HOST_MAX + 1]) {
  size_t size = strlen(domain);
  if (size > POP3_HOST_MAX) size = POP3_HOST_MAX;
  if (size > 1 && domain[size - 1] == '.') size--;
  memcpy(out, domain, size);
  out[size] = '\0';
}

bool pop3_conn_is_address(const char *host) {
  return host[strspn(host, "0123456789.")] == '\0' || strchr(host, ':');
}

pop3_error pop3_conn_ask_records(pop3_conn *c, pop3_failure *failure) {
  const char *domain, *config;
  char name[POP3_HOST_MAX + 1];
  if (c->records || !c->context ||
      !pop3_tls_wants_records(c->context, &domain, &config))
    return POP3_E_OK;
  if (c->options.carried)
    return pop3_fail(failure, POP3_E_TLS_CONFIG,
                     "dane = \"dns\" waits for a descriptor, which a stream of "
                     "the host's has not: give the records");
  copy_domain(domain ? domain : c->host, name);
  if (pop3_conn_is_address(name))
    return pop3_fail(failure, POP3_E_DANE,
                     "the DNS has no TLSA records of the address %s: use a "
                     "name, or dane_domain",
                     name);
  return pop3_tlsa_lookup_start(name, c->port, domain == NULL, config,
                                &c->records, failure);
}

pop3_error pop3_conn_take_records(pop3_conn *c,
                                  const pop3_tlsa_found **records) {
  pop3_error error = pop3_conn_ask_records(c, &c->failure);
  if (error != POP3_E_OK || !c->records) return error;
  return pop3_tlsa_lookup_result(c->records, records, &c->failure);
}
