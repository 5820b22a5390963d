/* memory.c - see memory.h. */
#include "memory.h"

#include <stdlib.h>
#include <string.h>

static void *resize_default(void *state, void *block, size_t old, size_t size) {
  (void)state;
  (void)old;
  if (size > 0) return realloc(block, size);
  free(block);
  return NULL;
}

const pop3_allocator pop3_allocator_default = {resize_default, NULL};

void *pop3_allocate(const pop3_allocator *allocator, size_t size) {
  return allocator->resize(allocator->state, NULL, 0, size > 0 ? size : 1);
}

void pop3_release(const pop3_allocator *allocator, void *block, size_t size) {
  if (!block) return;
  (void)allocator->resize(allocator->state, block, size > 0 ? size : 1, 0);
}

/* A compiler cannot know what a volatile pointer points to, so it cannot
 * prove that the call changes nothing that is read later. */
static void *(*const volatile overwrite)(void *, int, size_t) = memset;

/* Likewise. */
static void *(*const volatile copy)(void *, const void *, size_t) = memmove;

/*
 * The widest registers still hold what was copied last, 64 octets each, and who
 * calls a function of a library for the first time has the dynamic linker save
 * them on the stack, where they stay. So zeros are copied, as many as take all
 * of the registers that the C library copies by.
 */
static void wipe_registers(void) {
  static const char zeros[1024];
  char sink[sizeof zeros];
  (void)copy(sink, zeros, sizeof zeros);
}

void pop3_wipe(void *block, size_t size) {
  if (size == 0) return;
  (void)overwrite(block, 0, size);
  wipe_registers();
}
