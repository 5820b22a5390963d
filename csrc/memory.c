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

void pop3_wipe(void *block, size_t size) {
  if (size > 0) (void)overwrite(block, 0, size);
}
