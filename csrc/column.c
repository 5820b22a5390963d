/*
 * column.c - see column.h.
 */
#include "column.h"

#include <string.h>

/* Room of the first page before it grows; later pages are whole at once. */
#define FIRST_ROOM 16

void pop3_column_init(pop3_column *c, const pop3_allocator *allocator) {
  memset(c, 0, sizeof *c);
  c->allocator = *allocator;
}

static size_t octets_of(const pop3_page *page) {
  return (size_t)page->room * page->width;
}

void pop3_column_clear(pop3_column *c) {
  size_t pages = (c->count + POP3_PAGE - 1) / POP3_PAGE;
  for (size_t i = 0; i < pages; i++)
    pop3_release(&c->allocator, c->pages[i].data, octets_of(&c->pages[i]));
  pop3_release(&c->allocator, c->pages, c->page_room * sizeof *c->pages);
  c->pages = NULL;
  c->page_room = c->count = 0;
}

/* Doubling: a page is small beside what it describes. */
static bool add_page(pop3_column *c, uint64_t first) {
  const pop3_allocator *a = &c->allocator;
  size_t at = c->count / POP3_PAGE;
  if (at == c->page_room) {
    size_t room = at > 0 ? 2 * at : 1;
    pop3_page *pages =
        a->resize(a->state, c->pages, at * sizeof *pages, room * sizeof *pages);
    if (pages == NULL) return false;
    c->pages = pages;
    c->page_room = room;
  }
  c->pages[at] = (pop3_page){NULL, first, 0, 0, 0};
  return true;
}

/* Does `value` lie on the line, as number `k` of the page? Any two do. */
static bool on_line(pop3_page *page, size_t k, uint64_t value) {
  if (k == 1) page->step = value - page->base;
  return value == page->base + page->step * k;
}

static uint32_t width_for(const pop3_column *c, const pop3_page *page,
                          uint64_t value) {
  size_t start = c->count - c->count % POP3_PAGE;
  if (page->width == 8 || value > UINT32_MAX) return 8;
  for (size_t i = start; page->width == 0 && i < c->count; i++) {
    if (pop3_column_get(c, i) > UINT32_MAX) return 8;
  }
  return 4;
}

static uint32_t room_for(const pop3_column *c, size_t k) {
  uint32_t room = FIRST_ROOM;
  if (c->count >= POP3_PAGE) return POP3_PAGE;
  while (room <= k) room *= 2;
  return room;
}

static void store(pop3_page *page, size_t k, uint64_t value) {
  if (page->width == 4) ((uint32_t *)page->data)[k] = (uint32_t)value;
  if (page->width == 8) ((uint64_t *)page->data)[k] = value;
}

/* Give the last page room for its number `k`, which is `value`. */
static bool remake(pop3_column *c, pop3_page *page, size_t k, uint64_t value) {
  pop3_page wide = *page;
  wide.width = width_for(c, page, value);
  wide.room = room_for(c, k);
  wide.data = pop3_allocate(&c->allocator, octets_of(&wide));
  if (wide.data == NULL) return false;
  for (size_t i = 0; i < k; i++)
    store(&wide, i, pop3_column_get(c, c->count - k + i));
  pop3_release(&c->allocator, page->data, octets_of(page));
  *page = wide;
  return true;
}

static bool fits(const pop3_page *page, size_t k, uint64_t value) {
  return k < page->room && (page->width == 8 || value <= UINT32_MAX);
}

bool pop3_column_add(pop3_column *c, uint64_t value) {
  size_t k = c->count % POP3_PAGE;
  if (k == 0 && !add_page(c, value)) return false;
  pop3_page *page = &c->pages[c->count / POP3_PAGE];
  if (page->width > 0 || !on_line(page, k, value)) {
    if (!fits(page, k, value) && !remake(c, page, k, value)) return false;
    store(page, k, value);
  }
  c->count++;
  return true;
}
