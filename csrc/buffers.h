/*
 * buffers.h - receive buffers, lent to connections while octets flow. Some that
 * came back are kept, so that a call costs no allocation: the block is large
 * enough for the C library to tidy up its heap each time it is freed.
 *
 * One thread at a time: a pool belongs to a Lua state, like its connections.
 */
#ifndef POP3_BUFFERS_H
#define POP3_BUFFERS_H

#include <stddef.h>

#include "memory.h"

#pragma GCC visibility push(hidden)

/* Octets of a buffer. A receive has at least this room. */
#define POP3_BUFFER_SIZE 65536

/* Buffers that are kept though nobody needs them. */
#define POP3_BUFFERS_KEPT 2

typedef struct pop3_buffers {
  pop3_allocator allocator;
  size_t references;
  size_t count;
  char *kept[POP3_BUFFERS_KEPT];
} pop3_buffers;

/* A pool with one reference, or NULL without memory. It lives until the last
 * one is released, and its allocator has to. */
pop3_buffers *pop3_buffers_new(const pop3_allocator *allocator);
pop3_buffers *pop3_buffers_retain(pop3_buffers *buffers);
void pop3_buffers_release(pop3_buffers *buffers); /* NULL is allowed */

/* A buffer of POP3_BUFFER_SIZE, from the allocator if the pool is NULL or
 * empty; NULL without memory. What is given back has that size. */
char *pop3_buffers_take(pop3_buffers *buffers, const pop3_allocator *allocator);
void pop3_buffers_give(pop3_buffers *buffers, const pop3_allocator *allocator,
                       char *buffer);

#pragma GCC visibility pop

#endif
