/*
 * report.h - a claim, as a line of TAP. `failed` counts those that do not hold.
 */
#ifndef POP3_REPORT_H
#define POP3_REPORT_H

#include <stdio.h>

static int failed;

static inline void report(int ok, const char *name) {
  printf("%s - %s\n", ok ? "ok" : "not ok", name);
  if (!ok) failed++;
}

#endif
