/*
 * listing.h - what LIST and UIDL said (RFC 1939 5, 7), for half a million
 * messages and more: 14 MiB for 500,000 with UIDs of 24 octets.
 *
 * A listing is filled line by line while the lines arrive: first LIST's, then
 * UIDL's, either of which may be missing, then finished. After that it has
 * rows, in LIST's order: a number, a size, a UID. Numbers may have gaps, come
 * in any order, and repeat.
 *
 * Lines are data, and no line can do harm to another one:
 *   - A number is decimal digits, up to 2^53, the last one that every Lua
 *     holds exactly; leading zeros mean nothing. A line that does not begin
 *     with one is left out and counted (`malformed`).
 *   - A size that is no such number (missing, negative, 2^64) is unknown. Words
 *     behind it are ignored.
 *   - A UID is everything between the blanks behind the number and those at
 *     the end of the line, blanks inside included; 70 octets is what the RFC
 *     allows, and not what is required here. An empty one identifies nothing:
 *     it is no UID.
 *   - UIDs belong to rows by number: the first line with a number belongs to
 *     the first row with it, the second to the second. UIDL's numbers that no
 *     row has become rows of unknown size at the end, in UIDL's order.
 *   - UIDs may repeat; looking one up finds its first row.
 *
 * Spans that are handed out live until the listing is cleared.
 */
#ifndef POP3_LISTING_H
#define POP3_LISTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "column.h"
#include "memory.h"
#include "octets.h"
#include "pile.h"
#include "pop3.h"

#pragma GCC visibility push(hidden)

typedef struct pop3_listing {
  pop3_allocator allocator;
  bool has_uids;    /* UIDL was answered; the owner may set it: a mailbox
                        without messages has no lines */
  size_t malformed; /* lines without a number */
  uint64_t octets;  /* sum of the sizes that are known; at most 2^64 - 1 */

  pop3_column numbers;
  pop3_column sizes; /* one more than the size; 0: unknown */
  pop3_column order; /* one more than the place of the row's UID in `uids`;
                        0: none. Empty while UID i is row i's. */
  pop3_pile uids;    /* in UIDL's order */

  pop3_octets partial; /* a line that came in parts */
  size_t matched;      /* UIDs whose number is that of the row at their place */
  pop3_column strays;  /* the numbers of the UIDs behind those */

  uint64_t key[2]; /* of the index */
  uint32_t *slots; /* owned: one more than a row; 0: free. NULL: no index */
  size_t slot_count;
  bool repeats; /* a UID is that of several rows */
} pop3_listing;

typedef struct pop3_row {
  uint64_t number;
  uint64_t size; /* 0 unless `sized` */
  bool sized;
  pop3_span uid; /* empty: none */
} pop3_row;

/* A place in a listing, for reading one row after the other; all 0 is the
 * start. */
typedef struct pop3_listing_place {
  size_t next;
  pop3_pile_place uid;
} pop3_listing_place;

void pop3_listing_init(pop3_listing *listing, const pop3_allocator *allocator);

/* Free; the listing is empty then and may be filled anew. */
void pop3_listing_clear(pop3_listing *listing);

/*
 * Add a line of LIST or of UIDL, without its line end, or a part of one:
 * `first` and `last` are those of the engine's LINE events. LIST's lines come
 * before UIDL's. Errors: MEMORY; ITEMS beyond 2^31 - 1 rows; ITEM for a UID of
 * 2 GiB. After an error some lines are missing.
 */
pop3_error pop3_listing_add_list(pop3_listing *listing, pop3_span part,
                                 bool first, bool last);
pop3_error pop3_listing_add_uidl(pop3_listing *listing, pop3_span part,
                                 bool first, bool last);

/* All lines are there: bring UIDs and rows together. Linear where both come in
 * the same or in ascending order, n log n otherwise. Errors: MEMORY, ITEMS;
 * the listing is empty then. */
pop3_error pop3_listing_finish(pop3_listing *listing);

/* ------------------------------------------- the rest: when it is finished */

static inline size_t pop3_listing_count(const pop3_listing *listing) {
  return listing->numbers.count;
}

/* Row `i`, from 0 and below the count. */
pop3_row pop3_listing_get(const pop3_listing *listing, size_t i);

/* The row at `place`, which moves on; false at the end. */
bool pop3_listing_next(const pop3_listing *listing, pop3_listing_place *place,
                       pop3_row *row);

/*
 * Prepare for pop3_listing_find: 8 octets a UID, linear. Nothing when it was
 * done before. UIDs are a server's choice: `key` has to be random, so that no
 * server can choose ones that collide. Errors: MEMORY; the listing is as it
 * was.
 */
pop3_error pop3_listing_index(pop3_listing *listing, const uint64_t key[2]);

/* The first row with this UID; false when there is none. Needs the index. */
bool pop3_listing_find(const pop3_listing *listing, pop3_span uid, size_t *row);

/* Octets of a set of rows, a bit each; all 0 is the empty set. */
size_t pop3_listing_marks(const pop3_listing *listing);

/* Put the row with this UID, if there is one, into a set. Needs the index. */
void pop3_listing_mark(const pop3_listing *listing, unsigned char *marks,
                       pop3_span uid);

/*
 * Fill `rest`, which is empty, with the rows whose UIDs were not marked; rows
 * without a UID are never left out. Needs the index. Errors: MEMORY; some
 * rows are missing then.
 */
pop3_error pop3_listing_without(const pop3_listing *listing,
                                const unsigned char *marks, pop3_listing *rest);

/* ------------------------------------------------ between listing_*.c only */

/* Append a row; the size is coded as in `sizes`. */
pop3_error pop3_listing_add_row(pop3_listing *listing, uint64_t number,
                                uint64_t coded_size);

#pragma GCC visibility pop

#endif
