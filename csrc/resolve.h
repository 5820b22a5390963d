/*
 * resolve.h - host names to addresses without waiting: getaddrinfo as a job on
 * a helper thread (jobs.h), at most POP3_RESOLVE_THREADS at a time, the rest
 * queue. Lookups that a parent had begun fail in a forked child.
 */
#ifndef POP3_RESOLVE_H
#define POP3_RESOLVE_H

#include "errors.h"
#include "failure.h"

#pragma GCC visibility push(hidden)

struct addrinfo;

#define POP3_HOST_MAX 255 /* octets of a name, RFC 1035 2.3.4 */

/* One name being looked up. Its owner is one thread at a time. */
typedef struct pop3_lookup pop3_lookup;

/*
 * Begin to look `host` up: a name, or a numeric address without brackets,
 * which is ready at once and needs no thread. `service` is a port in decimal.
 * `family_hint` is AF_UNSPEC, AF_INET or AF_INET6. Both strings are copied.
 *
 * Errors: NOT_FOUND (empty or longer than any name), RESOLVE (no thread or no
 * descriptor left, or a bad service), MEMORY.
 */
pop3_error pop3_resolve_start(const char *host, const char *service,
                              int family_hint, pop3_lookup **lookup,
                              pop3_failure *failure);

/*
 * A descriptor that becomes readable, and stays so, when the lookup is
 * finished: a poll that begins too late returns at once. -1 when there was
 * nothing to wait for. Only to be polled; it belongs to the lookup and is
 * closed by pop3_lookup_release.
 */
int pop3_lookup_fd(const pop3_lookup *lookup);

/*
 * The addresses, in the order in which to try them; they live until
 * pop3_lookup_release. POP3_E_AGAIN (failure untouched) while the lookup runs.
 *
 * Errors: NOT_FOUND, TRY_AGAIN (the name servers do not answer), RESOLVE,
 * MEMORY, each with the host, the reason and what to do.
 */
pop3_error pop3_lookup_result(const pop3_lookup *lookup,
                              const struct addrinfo **list,
                              pop3_failure *failure);

/* Let go of a lookup, finished or not; never waits for it. NULL is allowed. */
void pop3_lookup_release(pop3_lookup *lookup);

#pragma GCC visibility pop

#endif
