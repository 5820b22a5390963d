/*
 * octets.h - a block of octets that grows.
 */
#ifndef POP3_OCTETS_H
#define POP3_OCTETS_H

#include <stdbool.h>
#include <stddef.h>

#include "memory.h"

#pragma GCC visibility push(hidden)

typedef struct pop3_octets {
  pop3_allocator allocator;
  char *data; /* owned; NULL while empty */
  size_t size;
  size_t room;
} pop3_octets;

void pop3_octets_init(pop3_octets *octets, const pop3_allocator *allocator);

/* Free; the block is empty then and may be used again. */
void pop3_octets_clear(pop3_octets *octets);

/* Append. false: no memory, and nothing was appended. */
bool pop3_octets_add(pop3_octets *octets, const char *data, size_t size);

#pragma GCC visibility pop

#endif
