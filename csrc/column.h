/*
 * column.h - a long list of whole numbers in few octets.
 *
 * Numbers are kept in pages of POP3_PAGE. A page whose numbers lie on a line
 * (1, 2, 3 …; 7, 7, 7 …; 9, 8, 7 …) is nothing but that line; others take four
 * octets each, or eight once one of them needs it. Pages never move and only
 * the first one grows, so that there is no moment at which everything is there
 * twice.
 */
#ifndef POP3_COLUMN_H
#define POP3_COLUMN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "memory.h"

#pragma GCC visibility push(hidden)

#define POP3_PAGE 4096 /* numbers; a power of two, so that pages divide fast */

typedef struct pop3_page {
  void *data;          /* owned; NULL while the numbers lie on a line */
  uint64_t base, step; /* the line, in arithmetic that wraps around */
  uint32_t width;      /* octets of a number in `data`: 0, 4 or 8 */
  uint32_t room;       /* numbers that fit into `data` */
} pop3_page;

typedef struct pop3_column {
  pop3_allocator allocator;
  pop3_page *pages; /* owned */
  size_t page_room;
  size_t count; /* numbers */
} pop3_column;

void pop3_column_init(pop3_column *column, const pop3_allocator *allocator);

/* Free; the column is empty then and may be used again. */
void pop3_column_clear(pop3_column *column);

/* Append. false: no memory, and nothing was appended. */
bool pop3_column_add(pop3_column *column, uint64_t value);

/* The number at `i`, which is below `count`. */
static inline uint64_t pop3_column_get(const pop3_column *column, size_t i) {
  const pop3_page *page = &column->pages[i / POP3_PAGE];
  size_t k = i % POP3_PAGE;
  if (page->width == 0) return page->base + page->step * k;
  if (page->width == 4) return ((const uint32_t *)page->data)[k];
  return ((const uint64_t *)page->data)[k];
}

#pragma GCC visibility pop

#endif
