/*
 * check.h - a C test is a table of functions, each of which makes claims: one
 * line of TAP a function, and a line for its first claim that does not hold.
 */
#ifndef POP3_CHECK_H
#define POP3_CHECK_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

static bool good; /* all claims of the function that runs */

#define CHECK(claim) check((claim), #claim, __LINE__)
static inline void check(bool claim, const char *text, int line) {
  if (!claim && good) printf("# line %d: %s\n", line, text);
  good = good && claim;
}

/* What the test itself needs. */
static inline void must(bool claim, const char *what) {
  if (claim) return;
  printf("not ok - the test itself: %s\n", what);
  exit(2);
}

typedef struct test {
  const char *name;
  void (*run)(void);
} test;

#define TEST(name) \
  { #name, name }

#define RUN(tests) run_tests(tests, sizeof(tests) / sizeof *(tests))
static inline int run_tests(const test *tests, size_t count) {
  int failures = 0;
  for (size_t i = 0; i < count; i++) {
    good = true;
    tests[i].run();
    if (!good) failures++;
    printf("%s - %s\n", good ? "ok" : "not ok", tests[i].name);
  }
  return failures > 0;
}

#endif
