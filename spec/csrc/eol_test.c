/*
 * eol_test.c - CRLF becomes LF, and nothing else changes, wherever the spans
 * end (eol.h).
 *
 * Build: cc -std=c99 spec/csrc/eol_test.c csrc/eol.c
 * With --bench it prints octets per second instead.
 */
#define _POSIX_C_SOURCE 200809L

#include "../../csrc/eol.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int failures;

static void check(bool claim, const char *name) {
  printf("%s - %s\n", claim ? "ok" : "not ok", name);
  if (!claim) failures++;
}

typedef struct text {
  char octets[512];
  size_t size;
} text;

static void append(text *t, const char *octets, size_t size) {
  memcpy(t->octets + t->size, octets, size);
  t->size += size;
}

static bool same(const text *a, const text *b) {
  return a->size == b->size && memcmp(a->octets, b->octets, a->size) == 0;
}

/* The claim itself, as slowly as it can be put. */
static void naive(const text *in, text *out) {
  out->size = 0;
  for (size_t i = 0; i < in->size; i++) {
    bool pair =
        in->octets[i] == '\r' && i + 1 < in->size && in->octets[i + 1] == '\n';
    if (!pair) append(out, in->octets + i, 1);
  }
}

/* In a block of its own of just that size, so that a sanitizer sees an octet
 * too many. */
static void feed(pop3_eol *eol, const char *octets, size_t size, text *out) {
  char *span = malloc(size + 1);
  bool lead;
  if (!span) abort();
  char *at = span + 1; /* not aligned */
  if (size > 0) memcpy(at, octets, size);
  size = pop3_eol_lf(eol, at, size, &lead);
  if (lead) append(out, "\r", 1);
  append(out, at, size);
  free(span);
}

/* Cut at each set bit of `cuts`, then `every` octets. */
static void filter(const text *in, uint64_t cuts, size_t every, text *out) {
  pop3_eol eol = {false};
  size_t begin = 0;
  out->size = 0;
  for (size_t i = 1; i <= in->size; i++) {
    bool cut = i < 64 && (cuts >> i & 1);
    if (every > 0 && i % every == 0) cut = true;
    if (!cut && i < in->size) continue;
    feed(&eol, in->octets + begin, i - begin, out);
    begin = i;
  }
  if (pop3_eol_end(&eol)) append(out, "\r", 1);
}

static void test_examples(void) {
  static const char *const rows[][2] = {
      {"", ""},
      {"a\r\nb\r\n", "a\nb\n"},
      {"\r\n", "\n"},
      {"\r", "\r"},
      {"\n", "\n"},
      {"a\rb\nc", "a\rb\nc"},
      {"\r\r\n", "\r\n"},
      {"\n\r", "\n\r"},
      {"\r\n\r\n", "\n\n"},
  };
  bool good = true;
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    text in = {"", 0}, out;
    append(&in, rows[i][0], strlen(rows[i][0]));
    filter(&in, 0, 0, &out);
    good = good && out.size == strlen(rows[i][1]) &&
           memcmp(out.octets, rows[i][1], out.size) == 0;
  }
  check(good, "CRLF becomes LF; what stands alone stays");
}

static void test_held(void) {
  pop3_eol eol = {false};
  char cr[] = "\r", lf[] = "\n", a[] = "a", more[] = "\r";
  bool lead = true;
  bool good = pop3_eol_lf(&eol, cr, 1, &lead) == 0 && !lead &&
              pop3_eol_lf(&eol, lf, 1, &lead) == 1 && !lead && *lf == '\n';
  check(good && !pop3_eol_end(&eol), "a held CR goes with the LF behind it");
  good = pop3_eol_lf(&eol, cr, 1, &lead) == 0 && !lead &&
         pop3_eol_lf(&eol, a, 0, &lead) == 0 && !lead &&
         pop3_eol_lf(&eol, a, 1, &lead) == 1 && lead;
  check(good && !pop3_eol_end(&eol), "and leads whatever else follows");
  good = pop3_eol_lf(&eol, cr, 1, &lead) == 0 && !lead &&
         pop3_eol_lf(&eol, more, 1, &lead) == 0 && lead;
  check(good && pop3_eol_end(&eol) && !pop3_eol_end(&eol),
        "a held CR comes out at the end of the message, once");
}

/* Every text of CR, LF and "a" up to eight octets, at every set of cuts. */
static void test_all_splits(void) {
  enum { LONGEST = 8 };
  text in, expected, out;
  bool good = true;
  size_t texts = 1;
  for (size_t size = 0; size <= LONGEST; size++, texts *= 3) {
    for (size_t n = 0; n < texts; n++) {
      in.size = 0;
      for (size_t i = 0, rest = n; i < size; i++, rest /= 3)
        append(&in, &"\r\na"[rest % 3], 1);
      naive(&in, &expected);
      for (uint64_t cuts = 0; cuts < (uint64_t)1 << size; cuts++) {
        filter(&in, cuts, 0, &out);
        good = good && same(&out, &expected);
      }
    }
  }
  check(good, "short texts, cut in every way, are as if they were not");
}

static uint64_t random_state = 88172645463325252u;

static uint64_t draw(void) {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  return random_state ^= random_state << 17;
}

static void test_random(void) {
  static const char alphabet[] =
      "\r\n\r\n\x0c\x0e\x8d\xff"
      "abcdefgh";
  text in, expected, out;
  bool good = true;
  for (int round = 0; round < 20000; round++) {
    size_t letters = draw() % (sizeof alphabet - 2) + 1;
    in.size = 0;
    for (size_t size = draw() % 300; in.size < size;)
      append(&in, &alphabet[draw() % letters], 1);
    naive(&in, &expected);
    filter(&in, draw() & draw(), draw() % 40, &out);
    good = good && same(&out, &expected);
  }
  check(good, "long texts of any octets, too");
}

/* --- how fast ------------------------------------------------------------ */

static double now(void) {
  struct timespec t;
  (void)clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void bench(size_t columns, const char *name) {
  enum { SIZE = 65536, ROUNDS = 20000 };
  static char from[SIZE], span[SIZE];
  volatile size_t sum = 0;
  double best = 1e9, copying = 1e9;
  for (size_t i = 0; i < SIZE; i++) from[i] = (char)('a' + i % 26);
  for (size_t i = columns; i + 1 < SIZE; i += columns + 2)
    from[i] = '\r', from[i + 1] = '\n';
  for (int turn = 0; turn < 5; turn++) {
    bool lead;
    double start = now();
    for (int i = 0; i < ROUNDS / 5; i++) {
      pop3_eol eol = {false};
      memcpy(span, from, SIZE);
      sum += pop3_eol_lf(&eol, span, SIZE, &lead);
    }
    double middle = now();
    for (int i = 0; i < ROUNDS / 5; i++) {
      memcpy(span, from, SIZE);
      sum += (size_t)span[draw() % SIZE];
    }
    double end = now();
    if (middle - start < best) best = middle - start;
    if (end - middle < copying) copying = end - middle;
  }
  (void)sum;
  printf("%s: %.1f GB/s\n", name,
         (double)SIZE * (ROUNDS / 5) / (best - copying) / 1e9);
}

int main(int count, char **arguments) {
  if (count > 1 && strcmp(arguments[1], "--bench") == 0) {
    bench(76, "76 columns");
    bench(1, "1 octet");
    bench(0, "empty lines");
    bench(998, "998 octets");
    return 0;
  }
  test_examples();
  test_held();
  test_all_splits();
  test_random();
  return failures > 0;
}
