/*
 * policy.h - what a host allows code that it does not trust: which servers,
 * ports and addresses, which other things, how much. Data and the questions
 * about it; lua_restrict.c makes one for each Lua state.
 *
 * A question is answered by OK, or by RESTRICTED and a failure that names the
 * rule and the value. Nothing is refused before `strict` is set.
 */
#ifndef POP3_POLICY_H
#define POP3_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "address.h"
#include "failure.h"
#include "pop3.h"

#pragma GCC visibility push(hidden)

/* Besides the network; and where it says no. */
#define POP3_RIGHTS(X)                                                       \
  X(FILES, "files = false")         /* paths, commands, the environment */   \
  X(FDS, "fds = false")             /* numbers of descriptors */             \
  X(DEBUG, "debug = false")         /* the process's standard error */       \
  X(TRANSPORT, "transport = false") /* streams that are no socket of ours */ \
  X(WAYS, "ways = false")           /* proxies, a local address of choice */

#define POP3_RIGHT_ID(id, rule) POP3_RIGHT_##id,
typedef enum pop3_right {
  POP3_RIGHTS(POP3_RIGHT_ID) POP3_RIGHT_COUNT
} pop3_right;
#undef POP3_RIGHT_ID

/* What is counted, because the memory that it takes is not Lua's. */
typedef enum pop3_counted {
  POP3_CONNECTIONS,
  POP3_CONTEXTS,
  POP3_COUNTED_COUNT
} pop3_counted;

/* One of `servers`: a name, or a block of addresses. */
typedef struct pop3_server {
  pop3_span name; /* without a final dot, "*." taken off; empty: a block */
  bool below;     /* the names below it, at whatever depth; not itself */
  pop3_block block;
} pop3_server;

/*
 * "mail.example.org", "*.example.org", or a block (address.h). false: neither,
 * nor a name that a resolver might take for an address. The name points into
 * `text`.
 */
bool pop3_server_parse(const char *text, size_t size, pop3_server *server);

/* All zero: nothing is refused. */
typedef struct pop3_policy {
  bool strict;
  bool granted[POP3_RIGHT_COUNT];
  bool listed;                /* only these servers; else any name */
  const pop3_server *servers; /* the caller's, as long as the policy lives */
  size_t server_count;
  const unsigned *ports; /* the caller's; NULL: any */
  size_t port_count;
  uint64_t max_octets;               /* of a message; 0: no limit */
  uint64_t most[POP3_COUNTED_COUNT]; /* 0: no limit */
  uint64_t live[POP3_COUNTED_COUNT];
} pop3_policy;

/* May `what`, which takes this right, be done? */
pop3_error pop3_policy_permit(const pop3_policy *policy, pop3_right right,
                              const char *what, pop3_failure *failure);

/* May this name, or address, be asked for? As below, at any port. */
pop3_error pop3_policy_check_name(const pop3_policy *policy, const char *host,
                                  size_t size, pop3_failure *failure);

/* May this host be asked for at this port? A name is compared without case and
 * without one final dot; nothing is resolved. */
pop3_error pop3_policy_check_server(const pop3_policy *policy, const char *host,
                                    size_t size, unsigned port,
                                    pop3_failure *failure);

/* May this address, which `host` stands for, be connected to? It is global, or
 * in one of the servers' blocks. */
pop3_error pop3_policy_check_address(const pop3_policy *policy,
                                     const char *host,
                                     const pop3_address *address,
                                     pop3_failure *failure);

/* The smaller one of both limits, where 0 is none. */
uint64_t pop3_policy_cap(const pop3_policy *policy, uint64_t max_octets);

/* One more of these, if it may be; and one less. */
pop3_error pop3_policy_enter(pop3_policy *policy, pop3_counted counted,
                             pop3_failure *failure);
void pop3_policy_leave(pop3_policy *policy, pop3_counted counted);

/* RESTRICTED: "pop3.restrict refuses WHAT (RULE)". */
pop3_error pop3_refuse(pop3_failure *failure, const char *what,
                       const char *rule);

#pragma GCC visibility pop

#endif
