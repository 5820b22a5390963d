/*
 * pile.h - many short strings, appended and never changed, in few octets.
 *
 * A string costs one octet more than it has (nine from 255 octets on), and an
 * eighth of a number for finding it. Strings lie in chunks that never move: a
 * span that was read lives until the pile is cleared, and there is no moment
 * at which everything is there twice.
 */
#ifndef POP3_PILE_H
#define POP3_PILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "column.h"
#include "memory.h"
#include "pop3.h"

#pragma GCC visibility push(hidden)

typedef struct pop3_chunk {
  char *data; /* owned */
  uint32_t size, room;
} pop3_chunk;

typedef struct pop3_pile {
  pop3_allocator allocator;
  pop3_chunk *chunks; /* owned */
  size_t chunk_count, chunk_room;
  pop3_column marks; /* where every 16th string is */
  size_t count;      /* strings */
} pop3_pile;

/* A place in a pile, for reading one string after the other; all 0 is the
 * start. */
typedef struct pop3_pile_place {
  size_t next; /* the string that is read next */
  uint32_t chunk, offset;
} pop3_pile_place;

void pop3_pile_init(pop3_pile *pile, const pop3_allocator *allocator);

/* Free; the pile is empty then and may be used again. */
void pop3_pile_clear(pop3_pile *pile);

/* Append. Errors: MEMORY; ITEM for a string of 2 GiB. Nothing was appended
 * then. */
pop3_error pop3_pile_add(pop3_pile *pile, pop3_span string);

/* Read string `i`, which is below `count`. Fast from place to place. */
pop3_span pop3_pile_read(const pop3_pile *pile, pop3_pile_place *place,
                         size_t i);

#pragma GCC visibility pop

#endif
