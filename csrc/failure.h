/*
 * failure.h - why something failed: what a pop3_error alone cannot say.
 * Filled in where the reason is known, turned into a Lua error or printed at
 * the top. Holds no pointers, so it may be copied and outlives everything.
 */
#ifndef POP3_FAILURE_H
#define POP3_FAILURE_H

#include <stddef.h>

#include "errors.h"

#pragma GCC visibility push(hidden)

#define POP3_FAILURE_TEXT 1024     /* one or two sentences */
#define POP3_FAILURE_RESPONSE 2048 /* the longest status line by default */
#define POP3_FAILURE_MECHANISM 24  /* RFC 4422 3.1: 20, and a NUL */
#define POP3_FAILURE_DETAIL 512    /* OAuth's JSON has some 100 octets */

typedef struct pop3_failure {
  pop3_error error;
  int system;                   /* errno, or 0 */
  char text[POP3_FAILURE_TEXT]; /* a sentence for people, "" if none */
  size_t response_size;
  char response[POP3_FAILURE_RESPONSE];   /* the server's raw line, if any */
  char mechanism[POP3_FAILURE_MECHANISM]; /* of a login, "" if none */
  size_t detail_size;
  char detail[POP3_FAILURE_DETAIL]; /* what a server said by SASL, raw */
} pop3_failure;

/*
 * Record a failure and return its error, so that failing is one statement.
 * `format` is printf's; NULL takes the error's own text. Overlong text is cut.
 * What the arguments point to may lie in `failure` itself.
 */
#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
pop3_error
pop3_fail(pop3_failure *failure, pop3_error error, const char *format, ...);

/* The server's line is all there is to say; cut at POP3_FAILURE_RESPONSE. */
pop3_error pop3_fail_response(pop3_failure *failure, pop3_error error,
                              const char *line, size_t size);

/* Add the server's line to a failure that has a text of its own. */
void pop3_failure_quote(pop3_failure *failure, const char *line, size_t size);

/* Add what the server said inside of SASL; cut at POP3_FAILURE_DETAIL. */
void pop3_failure_explain(pop3_failure *failure, const char *octets,
                          size_t size);

#pragma GCC visibility pop

#endif
