/*
 * sasl_world.h - what the tests of SASL share: an exchange at a time, driven
 * as a client would.
 */
#ifndef POP3_SASL_WORLD_H
#define POP3_SASL_WORLD_H

#include <string.h>

#include "../../csrc/sasl_internal.h"
#include "check.h"

static pop3_failure failure;
static pop3_sasl *sasl;
static pop3_span response;
static unsigned slices; /* of work, in the last step */

static inline pop3_span span(const char *text) {
  return (pop3_span){text, text ? strlen(text) : 0};
}

static inline pop3_sasl_credentials joe(const char *user, const char *secret) {
  pop3_sasl_credentials c = {.user = span(user), .secret = span(secret)};
  return c;
}

static inline pop3_error begin_with(const pop3_allocator *allocator,
                                    const char *mechanism,
                                    pop3_sasl_credentials credentials) {
  const pop3_sasl_mechanism *m = pop3_sasl_find(span(mechanism));
  must(m != NULL, mechanism);
  sasl = NULL;
  memset(&failure, 0, sizeof failure);
  return pop3_sasl_new(allocator, m, &credentials, &sasl, &failure);
}

static inline pop3_error begin(const char *mechanism,
                               pop3_sasl_credentials credentials) {
  return begin_with(&pop3_allocator_default, mechanism, credentials);
}

static inline void end(void) {
  pop3_sasl_free(sasl);
  sasl = NULL;
}

/* A step, and the work that it asks for. */
static inline pop3_error step_octets(pop3_span challenge) {
  pop3_error error = pop3_sasl_step(sasl, challenge, &response, &failure);
  for (slices = 0; error == POP3_E_AGAIN; slices++) {
    error = pop3_sasl_work(sasl, &failure);
    if (error == POP3_E_AGAIN) continue;
    if (error) return error;
    error = pop3_sasl_step(sasl, challenge, &response, &failure);
  }
  return error;
}

static inline pop3_error step(const char *challenge) {
  return step_octets(span(challenge));
}

static inline bool is(pop3_span got, const char *text, size_t size) {
  bool same =
      got.size == size && (size == 0 || memcmp(got.data, text, size) == 0);
  if (!same && good)
    printf("# got \"%.*s\", not \"%.*s\"\n", (int)got.size,
           got.data ? got.data : "", (int)size, text);
  return same;
}

/* The response to a challenge; a literal may have NULs. */
#define ANSWERS(challenge, text) \
  (step(challenge) == POP3_E_OK && is(response, text, sizeof(text) - 1))

static inline pop3_error finish(void) {
  return pop3_sasl_finish(sasl, &failure);
}

/* Is it this error, and does its text say so? */
static inline bool says(pop3_error got, pop3_error error, const char *phrase) {
  if (got == error && failure.error == error && strstr(failure.text, phrase))
    return true;
  printf("# got %s %s: \"%s\"\n", pop3_error_kind(got), pop3_error_name(got),
         failure.text);
  return false;
}

#endif
