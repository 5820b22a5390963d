/* buffers.c - see buffers.h. */
#include "buffers.h"

#include <string.h>

pop3_buffers *pop3_buffers_new(const pop3_allocator *allocator) {
  pop3_buffers *b = pop3_allocate(allocator, sizeof *b);
  if (b == NULL) return NULL;
  memset(b, 0, sizeof *b);
  b->allocator = *allocator;
  b->references = 1;
  return b;
}

pop3_buffers *pop3_buffers_retain(pop3_buffers *b) {
  if (b != NULL) b->references++;
  return b;
}

void pop3_buffers_release(pop3_buffers *b) {
  if (b == NULL || --b->references > 0) return;
  pop3_allocator allocator = b->allocator;
  while (b->count > 0)
    pop3_release(&allocator, b->kept[--b->count], POP3_BUFFER_SIZE);
  pop3_release(&allocator, b, sizeof *b);
}

char *pop3_buffers_take(pop3_buffers *b, const pop3_allocator *allocator) {
  if (b != NULL && b->count > 0) return b->kept[--b->count];
  return pop3_allocate(allocator, POP3_BUFFER_SIZE);
}

void pop3_buffers_give(pop3_buffers *b, const pop3_allocator *allocator,
                       char *buffer) {
  if (buffer == NULL) return;
  if (b != NULL && b->count < POP3_BUFFERS_KEPT) {
    b->kept[b->count++] = buffer;
  } else {
    pop3_release(allocator, buffer, POP3_BUFFER_SIZE);
  }
}
