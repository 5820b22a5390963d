/*
 * caps.h - what the server said it can do (RFC 2449), as lines in one block.
 */
#ifndef POP3_CAPS_H
#define POP3_CAPS_H

#include <stdbool.h>
#include <stddef.h>

#include "octets.h"
#include "pop3.h"

#pragma GCC visibility push(hidden)

typedef struct pop3_caps {
  pop3_octets text; /* lines, each ended by LF */
  bool known;       /* a whole CAPA reply is here and still holds */
  bool recalled;    /* ... of an earlier connection */
  bool kept;        /* the caller's cache has it, too */
} pop3_caps;

void pop3_caps_init(pop3_caps *caps, const pop3_allocator *allocator);

/* Forget everything: at CAPA, at TLS. Frees. */
void pop3_caps_clear(pop3_caps *caps);

/* Append a part of a line. Errors: MEMORY; MALFORMED for octets that no
 * capability can have (not printable ASCII or blank). */
pop3_error pop3_caps_add(pop3_caps *caps, pop3_span part, bool last);

/* Append whole lines, an LF behind each. Errors as above. */
pop3_error pop3_caps_add_lines(pop3_caps *caps, pop3_span lines);

/*
 * Next line that is not blank; `at` starts at 0. false at the end. The span
 * lives until the capabilities change.
 */
bool pop3_caps_next(const pop3_caps *caps, size_t *at, pop3_span *line);

/* Split off the next word of `rest`; false when there is none. */
bool pop3_next_word(pop3_span *rest, pop3_span *word);

/* Is the word `name`, which is in upper case, without regard to case? */
bool pop3_word_is(pop3_span word, const char *name);

/* Digits alone; above this it is nobody's number of seconds or days, and would
 * have to be looked at again wherever somebody calculates with it. */
#define POP3_WORD_NUMBER_MAX 999999999L
bool pop3_word_number(pop3_span word, long *number);

/* Is there a line whose first word is `name`, without regard to case? */
bool pop3_caps_has(const pop3_caps *caps, const char *name);

/* Seconds between two logins (RFC 2449 6.5), of the last line that makes sense.
 * false: the server has not said. */
bool pop3_caps_login_delay(const pop3_caps *caps, long *seconds);

#pragma GCC visibility pop

#endif
