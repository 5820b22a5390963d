/*
 * listing_match.c - brings the UIDs of UIDL's order to the rows of LIST's
 * order, by number; see listing.h.
 *
 * Nearly always both lists have the same numbers in the same order, and this
 * has nothing to do. Otherwise what is behind the last place at which they
 * agreed is sorted by number, on both sides, and merged.
 */
#include <string.h>

#include "listing.h"

/* Places of rows or of UIDs, and the numbers that they go by. */
typedef struct side {
  uint32_t *items;
  size_t count;
  const pop3_column *numbers; /* NULL: an item is its own number */
  size_t base;                /* the item whose number is the column's first */
} side;

static uint64_t number_of(const side *s, uint32_t item) {
  return s->numbers ? pop3_column_get(s->numbers, item - s->base) : item;
}

/* Equal numbers keep their order, so that the first belongs to the first. */
static bool precedes(const side *s, uint32_t a, uint32_t b) {
  uint64_t x = number_of(s, a), y = number_of(s, b);
  return x != y ? x < y : a < b;
}

static void swap(side *s, size_t a, size_t b) {
  uint32_t item = s->items[a];
  s->items[a] = s->items[b];
  s->items[b] = item;
}

static void sift_down(side *s, size_t root, size_t count) {
  size_t child;
  while ((child = 2 * root + 1) < count) {
    if (child + 1 < count && precedes(s, s->items[child], s->items[child + 1]))
      child++;
    if (!precedes(s, s->items[root], s->items[child])) return;
    swap(s, root, child);
    root = child;
  }
}

static bool is_sorted(const side *s) {
  for (size_t i = 1; i < s->count; i++) {
    if (!precedes(s, s->items[i - 1], s->items[i])) return false;
  }
  return true;
}

/* Heapsort: in place, and n log n whatever a server sends. */
static void sort(side *s) {
  if (is_sorted(s)) return;
  for (size_t i = s->count / 2; i > 0; i--) sift_down(s, i - 1, s->count);
  for (size_t i = s->count; i > 1; i--) {
    swap(s, 0, i - 1);
    sift_down(s, 0, i - 1);
  }
}

static void number_items(side *s, size_t from) {
  for (size_t i = 0; i < s->count; i++) s->items[i] = (uint32_t)(from + i);
}

/*
 * Merge sorted sides: `found`, by row, becomes one more than the UID's place.
 * UIDs without a row stay in their side, and nothing else does.
 */
static void merge(const side *rows, side *uids, uint32_t *found, size_t from) {
  size_t r = 0, lost = 0;
  for (size_t u = 0; u < uids->count; u++) {
    uint32_t uid = uids->items[u];
    uint64_t number = number_of(uids, uid);
    while (r < rows->count && number_of(rows, rows->items[r]) < number) r++;
    if (r < rows->count && number_of(rows, rows->items[r]) == number) {
      found[rows->items[r++] - from] = uid + 1;
    } else {
      uids->items[lost++] = uid;
    }
  }
  uids->count = lost;
}

/* The order of all rows that LIST gave. */
static pop3_error order_rows(pop3_listing *l, const uint32_t *found,
                             size_t count) {
  for (size_t i = 0; i < l->matched; i++) {
    if (!pop3_column_add(&l->order, i + 1)) return POP3_E_MEMORY;
  }
  for (size_t i = 0; i < count; i++) {
    if (!pop3_column_add(&l->order, found[i])) return POP3_E_MEMORY;
  }
  return POP3_E_OK;
}

/* Rows for the UIDs that found none, in UIDL's order. */
static pop3_error add_lost(pop3_listing *l, side *uids) {
  side by_place = {uids->items, uids->count, NULL, 0};
  sort(&by_place);
  for (size_t i = 0; i < uids->count; i++) {
    uint32_t uid = uids->items[i];
    pop3_error error = pop3_listing_add_row(l, number_of(uids, uid), 0);
    if (error != POP3_E_OK) return error;
    if (!pop3_column_add(&l->order, (uint64_t)uid + 1)) return POP3_E_MEMORY;
  }
  return POP3_E_OK;
}

static pop3_error match(pop3_listing *l, side *rows, side *uids,
                        uint32_t *found) {
  number_items(rows, l->matched);
  number_items(uids, l->matched);
  sort(rows);
  sort(uids);
  memset(found, 0, rows->count * sizeof *found);
  merge(rows, uids, found, l->matched);
  pop3_error error = order_rows(l, found, rows->count);
  return error == POP3_E_OK ? add_lost(l, uids) : error;
}

pop3_error pop3_listing_finish(pop3_listing *l) {
  pop3_octets_clear(&l->partial);
  if (l->strays.count == 0) return POP3_E_OK;
  size_t row_count = pop3_listing_count(l) - l->matched;
  size_t size = (2 * row_count + l->strays.count) * sizeof(uint32_t);
  uint32_t *block = pop3_allocate(&l->allocator, size);
  if (block == NULL) return POP3_E_MEMORY;
  uint32_t *found = block + row_count;
  side rows = {block, row_count, &l->numbers, 0};
  side uids = {found + row_count, l->strays.count, &l->strays, l->matched};
  pop3_error error = match(l, &rows, &uids, found);
  pop3_release(&l->allocator, block, size);
  pop3_column_clear(&l->strays);
  if (error != POP3_E_OK) pop3_listing_clear(l); /* its order is half done */
  return error;
}
