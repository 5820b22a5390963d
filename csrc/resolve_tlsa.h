/*
 * resolve_tlsa.h - TLSA records (RFC 6698) from the DNS without waiting:
 * libunbound as a job on a helper thread (jobs.h), which validates what it is
 * told by DNSSEC. What was not signed, or badly, is an error and no answer.
 * Built without POP3_WITH_UNBOUND there is none, and start says so.
 */
#ifndef POP3_RESOLVE_TLSA_H
#define POP3_RESOLVE_TLSA_H

#include "errors.h"
#include "failure.h"

#pragma GCC visibility push(hidden)

typedef struct pop3_tlsa_lookup pop3_tlsa_lookup;

/*
 * Begin to look up _PORT._tcp.DOMAIN. `config` is a file of unbound's options
 * (unbound.conf(5): trust anchors, forwarders), or NULL: the servers that the
 * system uses, and the root's anchor where Debian and unbound keep it. Both
 * strings are copied.
 *
 * Errors: TLS_CONFIG (built without libunbound), DANE (too long a name),
 * RESOLVE (no thread), MEMORY.
 */
pop3_error pop3_tlsa_lookup_start(const char *domain, unsigned port,
                                  const char *config, pop3_tlsa_lookup **lookup,
                                  pop3_failure *failure);

/* As pop3_lookup_fd. */
int pop3_tlsa_lookup_fd(const pop3_tlsa_lookup *lookup);

/*
 * The records, as the option `dane` has them ("3 1 1 hex;..."), in ascending
 * order; until pop3_tlsa_lookup_release. AGAIN (failure untouched) while the
 * lookup runs.
 *
 * Errors: DANE (forged, not signed, or there are none), TRY_AGAIN (no server
 * answers), TLS_CONFIG (`config`, no trust anchor, no
 * libunbound), RESOLVE, MEMORY.
 */
pop3_error pop3_tlsa_lookup_result(const pop3_tlsa_lookup *lookup,
                                   const char **records, pop3_failure *failure);

/* Let go, finished or not; never waits. NULL is allowed. */
void pop3_tlsa_lookup_release(pop3_tlsa_lookup *lookup);

#pragma GCC visibility pop

#endif
