/*
 * listing_index.c - finds rows by UID: a hash table with open addressing, half
 * full at most, keyed (siphash.h); see listing.h.
 */
#include <string.h>

#include "listing.h"
#include "siphash.h"

/* Where the search for a UID begins: the hash as a fraction of the table. */
static size_t home(const pop3_listing *l, pop3_span uid) {
  uint64_t hash = pop3_siphash(uid, l->key) >> 32;
  return (size_t)(hash * l->slot_count >> 32);
}

static bool is_uid_of(const pop3_listing *l, size_t row, pop3_span uid) {
  pop3_span own = pop3_listing_get(l, row).uid;
  return own.size == uid.size && memcmp(own.data, uid.data, uid.size) == 0;
}

/* The slot that holds the first row with this UID, or the free one for it. */
static uint32_t *find_slot(const pop3_listing *l, pop3_span uid) {
  size_t at = home(l, uid);
  while (l->slots[at] > 0 && !is_uid_of(l, l->slots[at] - 1, uid)) {
    if (++at == l->slot_count) at = 0;
  }
  return &l->slots[at];
}

/* Equal UIDs share the slot of the first: a server that repeats one for ever
 * does not make the search long. */
static void fill_index(pop3_listing *l) {
  pop3_listing_place place = {0, {0, 0, 0}};
  pop3_row row;
  while (pop3_listing_next(l, &place, &row)) {
    if (row.uid.size == 0) continue;
    uint32_t *slot = find_slot(l, row.uid);
    if (*slot > 0) {
      l->repeats = true;
    } else {
      *slot = (uint32_t)place.next;
    }
  }
}

pop3_error pop3_listing_index(pop3_listing *l, const uint64_t key[2]) {
  if (l->slots != NULL) return POP3_E_OK;
  size_t count = 2 * l->uids.count + 1;
  uint32_t *slots = pop3_allocate(&l->allocator, count * sizeof *slots);
  if (slots == NULL) return POP3_E_MEMORY;
  memset(slots, 0, count * sizeof *slots);
  memcpy(l->key, key, sizeof l->key);
  l->slots = slots;
  l->slot_count = count;
  fill_index(l);
  return POP3_E_OK;
}

bool pop3_listing_find(const pop3_listing *l, pop3_span uid, size_t *row) {
  if (uid.size == 0) return false;
  uint32_t found = *find_slot(l, uid);
  if (found == 0) return false;
  *row = found - 1;
  return true;
}

size_t pop3_listing_marks(const pop3_listing *l) {
  return pop3_listing_count(l) / 8 + 1;
}

void pop3_listing_mark(const pop3_listing *l, unsigned char *marks,
                       pop3_span uid) {
  size_t row;
  if (!pop3_listing_find(l, uid, &row)) return;
  marks[row / 8] = (unsigned char)(marks[row / 8] | 1U << row % 8);
}
