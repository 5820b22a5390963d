/*
 * memory.h - the one allocator of everything but the engine (which needs
 * none): the shape of lua_Alloc, so that a Lua state's own can be used.
 *
 * Exceptions, and their reasons: what must outlive a Lua state (jobs.h) uses
 * malloc; what OpenSSL allocates, and TLS contexts and filters
 * (tls.h), which several states may share, use OpenSSL's own.
 */
#ifndef POP3_MEMORY_H
#define POP3_MEMORY_H

#include <stddef.h>

#pragma GCC visibility push(hidden)

typedef struct pop3_allocator {
  /* As lua_Alloc: resize `block` of `old` octets to `size`, free for 0. */
  void *(*resize)(void *state, void *block, size_t old, size_t size);
  void *state;
} pop3_allocator;

/* malloc's family. */
extern const pop3_allocator pop3_allocator_default;

/* NULL when there is no memory; the block is not cleared. A block of 0 octets
 * is one like any other. NULL may be released. */
void *pop3_allocate(const pop3_allocator *allocator, size_t size);
void pop3_release(const pop3_allocator *allocator, void *block, size_t size);

/* Overwrite secrets in a way that no compiler removes. */
void pop3_wipe(void *block, size_t size);

#pragma GCC visibility pop

#endif
