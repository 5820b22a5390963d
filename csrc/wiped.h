/*
 * wiped.h - octets of a fixed size that may be a secret: wiped whenever they
 * are given up, so never grown in place.
 */
#ifndef POP3_WIPED_H
#define POP3_WIPED_H

#include <stdbool.h>
#include <stddef.h>

#include "memory.h"
#include "pop3.h"

#pragma GCC visibility push(hidden)

/* All zero: none. Otherwise `data` is owned, even where `size` is 0. */
typedef struct pop3_wiped {
  char *data;
  size_t size;
} pop3_wiped;

/* Give up what the block had. */
void pop3_wiped_drop(const pop3_allocator *allocator, pop3_wiped *block);

/* New octets, not cleared, in place of the old ones. false: no memory, and the
 * block has none. */
bool pop3_wiped_make(const pop3_allocator *allocator, pop3_wiped *block,
                     size_t size);

/* The parts, one behind the other; none of them may be in the block. */
bool pop3_wiped_join(const pop3_allocator *allocator, pop3_wiped *block,
                     const pop3_span *parts, size_t count);

pop3_span pop3_wiped_span(const pop3_wiped *block);

/* A literal as a span. */
#define POP3_LITERAL(text) \
  (pop3_span) { text, sizeof(text) - 1 }

#pragma GCC visibility pop

#endif
