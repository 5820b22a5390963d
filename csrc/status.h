/*
 * status.h - what status lines say behind their first word: STAT's numbers, a
 * message's size, APOP's timestamp.
 */
#ifndef POP3_STATUS_H
#define POP3_STATUS_H

#include <stdbool.h>
#include <stdint.h>

#include "failure.h"
#include "pop3.h"

#pragma GCC visibility push(hidden)

/* A number that a server sent. */
typedef struct pop3_number {
  bool exact; /* `whole` holds it; else only `rough` does */
  int64_t whole;
  double rough;
} pop3_number;

/*
 * The two numbers of "+OK 2 320 ..." (RFC 1939 5). Servers have been seen
 * to send negative and huge ones; they are handed on. MALFORMED otherwise.
 */
pop3_error pop3_parse_stat(pop3_span line, pop3_number *count,
                           pop3_number *octets, pop3_failure *failure);

/* The size in "+OK 120 octets": a hint, never to be trusted. 0: none. */
uint64_t pop3_parse_announced(pop3_span line);

/*
 * "<local@domain>" of printable ASCII in a greeting, or an empty span. Anything
 * else may be half of an MD5 collision chosen by whoever sits between
 * (CVE-2007-1558). One pass: a greeting of a million "<" costs no more than any
 * (CVE-2018-1060).
 */
pop3_span pop3_find_timestamp(pop3_span greeting);

#pragma GCC visibility pop

#endif
