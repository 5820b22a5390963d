/*
 * octets.c - see octets.h.
 */
#include "octets.h"

#include <string.h>

/* A command or a capability list fits without growing. */
#define FIRST_ROOM 256

void pop3_octets_init(pop3_octets *o, const pop3_allocator *allocator) {
  memset(o, 0, sizeof *o);
  o->allocator = *allocator;
}

void pop3_octets_clear(pop3_octets *o) {
  pop3_release(&o->allocator, o->data, o->room);
  o->data = NULL;
  o->size = o->room = 0;
}

/* Doubling, so that appending is linear. */
static bool reserve(pop3_octets *o, size_t more) {
  const pop3_allocator *a = &o->allocator;
  size_t room = o->room > 0 ? o->room : FIRST_ROOM;
  if (more > (size_t)-1 / 2 - o->size) return false;
  while (room < o->size + more) room *= 2;
  if (room == o->room) return true;
  char *data = a->resize(a->state, o->data, o->room, room);
  if (data == NULL) return false;
  o->data = data;
  o->room = room;
  return true;
}

bool pop3_octets_add(pop3_octets *o, const char *data, size_t size) {
  if (size == 0) return true;
  if (!reserve(o, size)) return false;
  memcpy(o->data + o->size, data, size);
  o->size += size;
  return true;
}
