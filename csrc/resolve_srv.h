/*
 * resolve_srv.h - where a domain's mail is (RFC 6186): SRV records (RFC 2782)
 * from the DNS without waiting, by dnssec.h. They say to whom passwords go, so
 * only what was signed is believed (RFC 7673 3.1).
 */
#ifndef POP3_RESOLVE_SRV_H
#define POP3_RESOLVE_SRV_H

#include <stdint.h>

#include "dnssec.h"
#include "pop3.h"

#pragma GCC visibility push(hidden)

typedef struct pop3_srv {
  unsigned priority, weight, port;
  char host[POP3_DNS_NAME];
} pop3_srv;

/*
 * Read a record's octets. false: it is malformed, its port is 0, or its target
 * is no host name or looks like an address. The target "." is "".
 */
bool pop3_srv_read(const void *octets, size_t size, pop3_srv *srv);

/* A number below `limit`, by chance. */
typedef uint32_t pop3_srv_dice(void *state, uint32_t limit);

/* Put them into the order in which to try them, as RFC 2782 has it. */
void pop3_srv_order(pop3_srv *list, size_t count, pop3_srv_dice *dice,
                    void *state);

/*
 * Begin to look up SERVICE._tcp.DOMAIN. `config` as in dnssec.h. Errors:
 * NOT_FOUND (too long a name), those of pop3_dns_lookup_start.
 */
pop3_error pop3_srv_lookup_start(const char *service, const char *domain,
                                 const char *config, pop3_dns_lookup **lookup,
                                 pop3_failure *failure);

/* At least one, in the order in which to try them. */
typedef struct pop3_srv_found {
  size_t count;
  pop3_srv list[];
} pop3_srv_found;

/* Errors: NOT_FOUND (there are none, or it is said that there is no such
 * service), DNSSEC (forged, or not signed), those of pop3_dns_lookup_result. */
pop3_error pop3_srv_lookup_result(const pop3_dns_lookup *lookup,
                                  const pop3_srv_found **found,
                                  pop3_failure *failure);

#pragma GCC visibility pop

#endif
