/*
 * interest.h - what to wait for before going on: a descriptor and a direction.
 */
#ifndef POP3_INTEREST_H
#define POP3_INTEREST_H

#include <stdbool.h>

/* The most that a host is asked to wait for at a time. */
#define POP3_INTERESTS 3

typedef struct pop3_interest {
  int fd;
  bool readable;
  bool writable;
} pop3_interest;

#endif
