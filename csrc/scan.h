/*
 * scan.h - where in what was received could a dot have to go? A line feed and
 * a dot side by side, found at the speed of memory. Internal to the engine;
 * body.c knows what they mean.
 *
 * There is one kernel for each kind of processor, and one in plain C for all
 * others. The best that this processor has is found out at the first use. No
 * kernel reads an octet outside of what it was given.
 */
#ifndef POP3_SCAN_H
#define POP3_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#pragma GCC visibility push(hidden)

enum { POP3_SCAN_BLOCK = 64 };

typedef struct pop3_scan {
  const char *name;

  /* Can this processor run it? */
  bool (*available)(void);

  /*
   * The first LF of [at, end) that a dot follows, or that is its last octet;
   * `end` when there is none.
   */
  const char *(*find)(const char *at, const char *end);

  /*
   * Which of the POP3_SCAN_BLOCK octets at `block` are LFs that a dot follows:
   * bit 0 for the first. Reads the octet behind them, too.
   */
  uint64_t (*map)(const char *block);
} pop3_scan;

/* Every kernel of this build, the best first; the last is always available. */
extern const pop3_scan pop3_scans[];
extern const size_t pop3_scan_count;

/* The first that is available. Any thread may ask at any time. */
const pop3_scan *pop3_scan_best(void);

#pragma GCC visibility pop

#endif
