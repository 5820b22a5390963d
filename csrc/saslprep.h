/*
 * saslprep.h - SASLprep (RFC 4013): the ways to type one password or name
 * become one string of octets. By libidn, where this library was built with it
 * (POP3_WITH_LIBIDN); printable ASCII needs none.
 */
#ifndef POP3_SASLPREP_H
#define POP3_SASLPREP_H

#include "failure.h"
#include "wiped.h"

#pragma GCC visibility push(hidden)

typedef struct pop3_saslprep_input {
  pop3_span text;
  const char *what; /* "password", for a failure's text */
  bool stored;      /* unassigned code points are prohibited (RFC 3454 7) */
} pop3_saslprep_input;

/*
 * Prepare into `out`, which is the caller's to drop.
 * Errors: ARGUMENT (not UTF-8, a prohibited character, nothing left of it, or
 * not ASCII and no libidn; the text says which), MEMORY.
 */
pop3_error pop3_saslprep(const pop3_allocator *allocator,
                         const pop3_saslprep_input *input, pop3_wiped *out,
                         pop3_failure *failure);

/* Is libidn there? */
bool pop3_saslprep_complete(void);

#pragma GCC visibility pop

#endif
