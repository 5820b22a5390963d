/*
 * pile.c - see pile.h.
 */
#include "pile.h"

#include <string.h>

/* The first chunk is small, because most piles are; each has twice the room of
 * the one before, up to one of which eight fit into the 128 KiB that LuaJIT's
 * allocator takes from the system, with what it keeps beside them: a gap would
 * be memory for strings that come and go. */
#define FIRST_CHUNK 256
#define LARGE_CHUNK (16384 - 32)

/* Strings from one mark to the next. */
#define STRIDE 16

/* A length octet of this value is followed by the length in eight octets. */
#define LONG 255
#define LONG_HEADER 9

#define LONGEST ((size_t)INT32_MAX)

void pop3_pile_init(pop3_pile *p, const pop3_allocator *allocator) {
  memset(p, 0, sizeof *p);
  p->allocator = *allocator;
  pop3_column_init(&p->marks, allocator);
}

void pop3_pile_clear(pop3_pile *p) {
  for (size_t i = 0; i < p->chunk_count; i++)
    pop3_release(&p->allocator, p->chunks[i].data, p->chunks[i].room);
  pop3_release(&p->allocator, p->chunks, p->chunk_room * sizeof *p->chunks);
  pop3_column_clear(&p->marks);
  p->chunks = NULL;
  p->chunk_count = p->chunk_room = p->count = 0;
}

static bool reserve_chunk(pop3_pile *p) {
  const pop3_allocator *a = &p->allocator;
  if (p->chunk_count < p->chunk_room) return true;
  size_t room = p->chunk_room > 0 ? 2 * p->chunk_room : 2;
  pop3_chunk *chunks =
      a->resize(a->state, p->chunks, p->chunk_room * sizeof *chunks,
                room * sizeof *chunks);
  if (chunks == NULL) return false;
  p->chunks = chunks;
  p->chunk_room = room;
  return true;
}

static bool add_chunk(pop3_pile *p, size_t least) {
  size_t room = FIRST_CHUNK;
  if (!reserve_chunk(p)) return false;
  for (size_t i = 0; i < p->chunk_count && room < LARGE_CHUNK; i++) room *= 2;
  if (room > LARGE_CHUNK) room = LARGE_CHUNK;
  if (room < least) room = least;
  char *data = pop3_allocate(&p->allocator, room);
  if (data == NULL) return false;
  p->chunks[p->chunk_count++] = (pop3_chunk){data, 0, (uint32_t)room};
  return true;
}

/* The last chunk, with room for `size` octets; NULL without memory. */
static pop3_chunk *chunk_for(pop3_pile *p, size_t size) {
  if (p->chunk_count > 0) {
    pop3_chunk *last = &p->chunks[p->chunk_count - 1];
    if (last->room - last->size >= size) return last;
  }
  return add_chunk(p, size) ? &p->chunks[p->chunk_count - 1] : NULL;
}

static bool mark(pop3_pile *p, const pop3_chunk *chunk) {
  uint64_t at = (uint64_t)(chunk - p->chunks) << 32 | chunk->size;
  return p->count % STRIDE != 0 || pop3_column_add(&p->marks, at);
}

static size_t header_of(size_t size) { return size < LONG ? 1 : LONG_HEADER; }

static void write_header(char *to, size_t size) {
  uint64_t length = size;
  to[0] = (char)(size < LONG ? size : LONG);
  if (size >= LONG) memcpy(to + 1, &length, sizeof length);
}

pop3_error pop3_pile_add(pop3_pile *p, pop3_span string) {
  size_t header = header_of(string.size);
  if (string.size > LONGEST) return POP3_E_ITEM;
  pop3_chunk *chunk = chunk_for(p, header + string.size);
  if (chunk == NULL || !mark(p, chunk)) return POP3_E_MEMORY;
  write_header(chunk->data + chunk->size, string.size);
  if (string.size > 0)
    memcpy(chunk->data + chunk->size + header, string.data, string.size);
  chunk->size += (uint32_t)(header + string.size);
  p->count++;
  return POP3_E_OK;
}

static size_t read_header(const char *from) {
  uint64_t length = (unsigned char)from[0];
  if (length == LONG) memcpy(&length, from + 1, sizeof length);
  return (size_t)length;
}

static pop3_span read_next(const pop3_pile *p, pop3_pile_place *at) {
  if (at->offset == p->chunks[at->chunk].size) {
    at->chunk++;
    at->offset = 0;
  }
  const char *from = p->chunks[at->chunk].data + at->offset;
  size_t size = read_header(from);
  size_t header = header_of(size);
  at->offset += (uint32_t)(header + size);
  at->next++;
  return (pop3_span){from + header, size};
}

static void go_to_mark(const pop3_pile *p, pop3_pile_place *at, size_t i) {
  uint64_t where = pop3_column_get(&p->marks, i / STRIDE);
  at->next = i - i % STRIDE;
  at->chunk = (uint32_t)(where >> 32);
  at->offset = (uint32_t)where;
}

pop3_span pop3_pile_read(const pop3_pile *p, pop3_pile_place *at, size_t i) {
  if (at->next > i || i - at->next >= STRIDE) go_to_mark(p, at, i);
  while (at->next < i) (void)read_next(p, at);
  return read_next(p, at);
}
