/*
 * spy.h - put in front of pop3.c (-include): whoever in there allocates by
 * himself, instead of by the allocator that he was given, is written down.
 */
#ifndef SPY_H
#define SPY_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

/* Whatever declares what is replaced below. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *spy_resize(void *block, size_t size, const char *who);
void spy_free(void *block);

#define malloc(size) spy_resize(NULL, size, __func__)
#define realloc(block, size) spy_resize(block, size, __func__)
#define free(block) spy_free(block)

#endif
