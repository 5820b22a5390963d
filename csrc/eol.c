/* eol.c - see eol.h. */
#include "eol.h"

#include <string.h>

/* A line below SHORT is taken for one of many: the next OCTETS go one by one.
 * For lines of a letter two calls each cost ten times what they do there. */
#define SHORT 16
#define OCTETS 64

/* Every octet is stored, and one that goes is stored over: a branch would be
 * guessed wrong at every line's end. Reads one octet behind `end`. */
static char *compact(char *to, const char *from, const char *end) {
  for (; from < end; from++) {
    *to = *from;
    to += !((from[0] == '\r') & (from[1] == '\n'));
  }
  return to;
}

/* Up to the next CR; returns how much that was. */
static size_t move_line(char *to, const char *from, const char *last) {
  const char *cr = memchr(from, '\r', (size_t)(last - from));
  size_t size = (size_t)((cr ? cr : last) - from);
  if (to != from && size > 0) memmove(to, from, size);
  return size;
}

/* All octets but the last, of which the next is known. */
static char *filter(char *to, const char *from, const char *last) {
  while (from < last) {
    size_t size = move_line(to, from, last);
    size_t left = (size_t)(last - from) - size;
    to += size;
    from += size;
    /* The CR, and what is behind it while lines are short. */
    if (left > 1 && size >= SHORT) left = 1;
    if (left > OCTETS) left = OCTETS;
    to = compact(to, from, from + left);
    from += left;
  }
  return to;
}

size_t pop3_eol_lf(pop3_eol *eol, char *octets, size_t size, bool *lead) {
  *lead = false;
  if (size == 0) return 0;
  *lead = eol->held && octets[0] != '\n';
  char *last = octets + size - 1;
  char *to = filter(octets, octets, last);
  eol->held = *last == '\r';
  if (!eol->held) *to++ = *last;
  return (size_t)(to - octets);
}

bool pop3_eol_end(pop3_eol *eol) {
  bool held = eol->held;
  eol->held = false;
  return held;
}
