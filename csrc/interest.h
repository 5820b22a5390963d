/*
 * interest.h - what to wait for before going on: a descriptor and a direction.
 */
#ifndef POP3_INTEREST_H
#define POP3_INTEREST_H

#include <stdbool.h>

typedef struct pop3_interest {
  int fd;
  bool readable;
  bool writable;
} pop3_interest;

#endif
