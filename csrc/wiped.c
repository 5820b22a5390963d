/* wiped.c - see wiped.h. */
#include "wiped.h"

#include <string.h>

void pop3_wiped_drop(const pop3_allocator *allocator, pop3_wiped *block) {
  if (block->data) pop3_wipe(block->data, block->size);
  pop3_release(allocator, block->data, block->size);
  block->data = NULL;
  block->size = 0;
}

bool pop3_wiped_make(const pop3_allocator *allocator, pop3_wiped *block,
                     size_t size) {
  pop3_wiped_drop(allocator, block);
  block->data = pop3_allocate(allocator, size);
  if (block->data) block->size = size;
  return block->data != NULL;
}

bool pop3_wiped_join(const pop3_allocator *allocator, pop3_wiped *block,
                     const pop3_span *parts, size_t count) {
  size_t size = 0;
  for (size_t i = 0; i < count; i++) size += parts[i].size;
  if (!pop3_wiped_make(allocator, block, size)) return false;
  char *to = block->data;
  for (size_t i = 0; i < count; i++) {
    if (parts[i].size > 0) memcpy(to, parts[i].data, parts[i].size);
    to += parts[i].size;
  }
  return true;
}

pop3_span pop3_wiped_span(const pop3_wiped *block) {
  return (pop3_span){block->data, block->size};
}
