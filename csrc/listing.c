/*
 * listing.c - lines in, rows out; see listing.h.
 */
#include "listing.h"

#include <string.h>

/* Twice as many slots, and rows plus one, fit into 32 bits. */
#define MOST_ROWS ((size_t)INT32_MAX)

/* Above 2^53 a Lua without integers has no exact number. */
#define LARGEST (UINT64_C(1) << 53)

#define UNKNOWN_SIZE 0

void pop3_listing_init(pop3_listing *l, const pop3_allocator *allocator) {
  memset(l, 0, sizeof *l);
  l->allocator = *allocator;
  pop3_column_init(&l->numbers, allocator);
  pop3_column_init(&l->sizes, allocator);
  pop3_column_init(&l->order, allocator);
  pop3_column_init(&l->strays, allocator);
  pop3_pile_init(&l->uids, allocator);
  pop3_octets_init(&l->partial, allocator);
}

void pop3_listing_clear(pop3_listing *l) {
  pop3_allocator allocator = l->allocator;
  pop3_column_clear(&l->numbers);
  pop3_column_clear(&l->sizes);
  pop3_column_clear(&l->order);
  pop3_column_clear(&l->strays);
  pop3_pile_clear(&l->uids);
  pop3_octets_clear(&l->partial);
  pop3_release(&allocator, l->slots, l->slot_count * sizeof *l->slots);
  pop3_listing_init(l, &allocator);
}

/* ------------------------------------------------------------ lines */

/* Put a line together; only one that came in parts is copied. `*line` is
 * complete when `last`. */
static pop3_error assemble(pop3_listing *l, pop3_span part, bool first,
                           bool last, pop3_span *line) {
  *line = part;
  if (first && last) return POP3_E_OK;
  if (first) l->partial.size = 0;
  if (!pop3_octets_add(&l->partial, part.data, part.size)) return POP3_E_MEMORY;
  *line = (pop3_span){l->partial.data, l->partial.size};
  return POP3_E_OK;
}

static bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

static void skip_blanks(pop3_span *rest) {
  while (rest->size > 0 && is_blank(rest->data[0])) {
    rest->data++;
    rest->size--;
  }
}

/* Split a number off; false, and any part of the word gone, when there is
 * none. */
static bool take_number(pop3_span *rest, uint64_t *number) {
  skip_blanks(rest);
  const char *at = rest->data;
  const char *end = at + rest->size;
  uint64_t n = 0;
  while (at < end && *at >= '0' && *at <= '9' && n <= LARGEST)
    n = n * 10 + (uint64_t)(*at++ - '0');
  bool good = at > rest->data && n <= LARGEST && (at == end || is_blank(*at));
  rest->data = at;
  rest->size = (size_t)(end - at);
  *number = n;
  return good;
}

/* Everything that is left, without the blanks around it. */
static pop3_span take_uid(pop3_span rest) {
  skip_blanks(&rest);
  while (rest.size > 0 && is_blank(rest.data[rest.size - 1])) rest.size--;
  return rest;
}

/* ------------------------------------------------------------ filling */

static void count_octets(pop3_listing *l, uint64_t size) {
  l->octets = size <= UINT64_MAX - l->octets ? l->octets + size : UINT64_MAX;
}

/* The number comes last, because it is what counts as a row. */
pop3_error pop3_listing_add_row(pop3_listing *l, uint64_t number,
                                uint64_t coded_size) {
  if (pop3_listing_count(l) >= MOST_ROWS) return POP3_E_ITEMS;
  if (!pop3_column_add(&l->sizes, coded_size) ||
      !pop3_column_add(&l->numbers, number))
    return POP3_E_MEMORY;
  if (coded_size != UNKNOWN_SIZE) count_octets(l, coded_size - 1);
  return POP3_E_OK;
}

static pop3_error malformed(pop3_listing *l) {
  l->malformed++;
  return POP3_E_OK;
}

pop3_error pop3_listing_add_list(pop3_listing *l, pop3_span part, bool first,
                                 bool last) {
  pop3_span line;
  uint64_t number, size;
  pop3_error error = assemble(l, part, first, last, &line);
  if (error != POP3_E_OK || !last) return error;
  if (line.size == 0 || !take_number(&line, &number)) return malformed(l);
  bool sized = take_number(&line, &size);
  return pop3_listing_add_row(l, number, sized ? size + 1 : UNKNOWN_SIZE);
}

/* UID `j` comes with `number`. As long as both lists agree there is nothing to
 * note; a UID behind all rows becomes one. */
static pop3_error place_uid(pop3_listing *l, size_t j, uint64_t number) {
  bool agreed = l->matched == j;
  if (agreed && j == pop3_listing_count(l)) {
    pop3_error error = pop3_listing_add_row(l, number, UNKNOWN_SIZE);
    if (error != POP3_E_OK) return error;
  }
  if (agreed && pop3_column_get(&l->numbers, j) == number) {
    l->matched++;
    return POP3_E_OK;
  }
  return pop3_column_add(&l->strays, number) ? POP3_E_OK : POP3_E_MEMORY;
}

pop3_error pop3_listing_add_uidl(pop3_listing *l, pop3_span part, bool first,
                                 bool last) {
  pop3_span line;
  uint64_t number;
  l->has_uids = true;
  pop3_error error = assemble(l, part, first, last, &line);
  if (error != POP3_E_OK || !last) return error;
  if (line.size == 0 || !take_number(&line, &number)) return malformed(l);
  if (l->uids.count >= MOST_ROWS) return POP3_E_ITEMS;
  error = pop3_pile_add(&l->uids, take_uid(line));
  if (error != POP3_E_OK) return error;
  return place_uid(l, l->uids.count - 1, number);
}

/* ------------------------------------------------------------ reading */

/* The UID of row `i`, or an empty one. */
static pop3_span read_uid(const pop3_listing *l, pop3_pile_place *place,
                          size_t i) {
  pop3_span none = {NULL, 0};
  if (l->order.count > 0) {
    uint64_t at = pop3_column_get(&l->order, i);
    return at > 0 ? pop3_pile_read(&l->uids, place, (size_t)at - 1) : none;
  }
  return i < l->uids.count ? pop3_pile_read(&l->uids, place, i) : none;
}

static void read_row(const pop3_listing *l, pop3_pile_place *place, size_t i,
                     pop3_row *row) {
  uint64_t size = pop3_column_get(&l->sizes, i);
  row->number = pop3_column_get(&l->numbers, i);
  row->sized = size != UNKNOWN_SIZE;
  row->size = row->sized ? size - 1 : 0;
  row->uid = read_uid(l, place, i);
}

pop3_row pop3_listing_get(const pop3_listing *l, size_t i) {
  pop3_row row;
  /* No string has this number: the way goes by the marks. */
  pop3_pile_place place = {SIZE_MAX, 0, 0};
  read_row(l, &place, i, &row);
  return row;
}

bool pop3_listing_next(const pop3_listing *l, pop3_listing_place *place,
                       pop3_row *row) {
  if (place->next >= pop3_listing_count(l)) return false;
  read_row(l, &place->uid, place->next++, row);
  return true;
}

/* ------------------------------------------------------------ a part of it */

static pop3_error copy_row(const pop3_listing *l, size_t i, pop3_span uid,
                           pop3_listing *rest) {
  uint64_t number = pop3_column_get(&l->numbers, i);
  uint64_t size = pop3_column_get(&l->sizes, i);
  pop3_error error = pop3_listing_add_row(rest, number, size);
  if (error != POP3_E_OK || l->uids.count == 0) return error;
  return pop3_pile_add(&rest->uids, uid);
}

static bool is_marked(const pop3_listing *l, const unsigned char *marks,
                      size_t i, pop3_span uid) {
  if (uid.size == 0) return false;
  if (l->repeats) (void)pop3_listing_find(l, uid, &i);
  return marks[i / 8] >> i % 8 & 1;
}

pop3_error pop3_listing_without(const pop3_listing *l,
                                const unsigned char *marks,
                                pop3_listing *rest) {
  pop3_pile_place place = {0, 0, 0};
  rest->has_uids = l->has_uids;
  for (size_t i = 0; i < pop3_listing_count(l); i++) {
    pop3_span uid = read_uid(l, &place, i);
    if (is_marked(l, marks, i, uid)) continue;
    pop3_error error = copy_row(l, i, uid, rest);
    if (error != POP3_E_OK) return error;
  }
  return POP3_E_OK;
}
