/*
 * dice.h - the same random numbers each time, and memory or the end.
 */
#ifndef POP3_DICE_H
#define POP3_DICE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static inline void *must(void *block) {
  if (block != NULL) return block;
  fputs("out of memory\n", stderr);
  exit(70);
}

static uint32_t seed = 1;

/* From 0 to sides - 1. */
static inline uint32_t roll(uint32_t sides) {
  seed = seed * 1664525u + 1013904223u;
  return (seed >> 8) % sides;
}

#endif
