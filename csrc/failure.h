/*
 * failure.h - why something failed: what a pop3_error alone cannot say.
 * Filled in where the reason is known, turned into a Lua error or printed at
 * the top. Holds no pointers, so it may be copied and outlives everything.
 */
#ifndef POP3_FAILURE_H
#define POP3_FAILURE_H

#include <stddef.h>

#include "errors.h"

#define POP3_FAILURE_TEXT 1024     /* one or two sentences */
#define POP3_FAILURE_RESPONSE 2048 /* the longest status line by default */

typedef struct pop3_failure {
  pop3_error error;
  int system; /* errno, or 0 */
  char text[POP3_FAILURE_TEXT]; /* a sentence for people, "" if none */
  size_t response_size;
  char response[POP3_FAILURE_RESPONSE]; /* the server's raw line, if any */
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

/* The same with the server's line, cut at POP3_FAILURE_RESPONSE octets. */
pop3_error pop3_fail_response(pop3_failure *failure, pop3_error error,
                              const char *line, size_t size);

#endif
