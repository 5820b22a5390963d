/*
 * resolve_tlsa.h - TLSA records (RFC 6698) from the DNS without waiting, by
 * dnssec.h. What was not signed, or badly, is an error and no answer.
 *
 * Behind an alias there are two names that may have them (RFC 7671 7). Where
 * the way from the one to the other is signed, the records at its end come
 * first, and if there are none those of the name that was asked for; else only
 * these.
 */
#ifndef POP3_RESOLVE_TLSA_H
#define POP3_RESOLVE_TLSA_H

#include "dnssec.h"

#pragma GCC visibility push(hidden)

/*
 * Begin to look up _PORT._tcp.DOMAIN; `follows` its aliases. `config` as in
 * dnssec.h. Errors: DANE (too long a name), those of pop3_dns_lookup_start.
 */
pop3_error pop3_tlsa_lookup_start(const char *domain, unsigned port,
                                  bool follows, const char *config,
                                  pop3_dns_lookup **lookup,
                                  pop3_failure *failure);

typedef struct pop3_tlsa_found {
  const char *base; /* the alias's end, where they are from; NULL: the name
                       itself */
  char records[];   /* as the option `dane` has them ("3 1 1 hex;..."), in
                       ascending order */
} pop3_tlsa_found;

/* Errors: DANE (forged, not signed, or there are none), those of
 * pop3_dns_lookup_result. */
pop3_error pop3_tlsa_lookup_result(const pop3_dns_lookup *lookup,
                                   const pop3_tlsa_found **found,
                                   pop3_failure *failure);

#pragma GCC visibility pop

#endif
