/*
 * scan_test.c - every scan kernel that this processor can run, beside the same
 * question asked octet by octet.
 *
 * build: cc -Icsrc scan_test.c <engine>
 */
#include "scan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dice.h"

enum { ALIGNMENTS = 64, LENGTHS = 301 };

static unsigned failures;

static void claim(bool good, const char *kernel, const char *text) {
  printf("%s - %s %s\n", good ? "ok" : "not ok", kernel, text);
  if (!good) failures++;
}

/* From nothing but what matters to a mail that hardly has any of it. The
 * octets next to LF and '.' are what sloppy arithmetic takes for them. */
static const char *const alphabets[] = {
    "\n.", "\r\n.a", "\n.\v\t-/\x8a\xae", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n.",
    "a",
};
enum { ALPHABETS = sizeof alphabets / sizeof *alphabets };

static void fill(char *text, size_t size, const char *alphabet) {
  uint32_t letters = (uint32_t)strlen(alphabet);
  for (size_t i = 0; i < size; i++) text[i] = alphabet[roll(letters)];
}

/* ------------------------------------------------------------ reference */

static const char *find_slowly(const char *at, const char *end) {
  for (; at < end; at++) {
    if (*at == '\n' && (at + 1 == end || at[1] == '.')) return at;
  }
  return end;
}

static uint64_t map_slowly(const char *block) {
  uint64_t map = 0;
  for (int i = 0; i < POP3_SCAN_BLOCK; i++) {
    if (block[i] == '\n' && block[i + 1] == '.') map |= UINT64_C(1) << i;
  }
  return map;
}

/* ------------------------------------------------------------ comparison */

typedef bool (*comparison)(const pop3_scan *, const char *, const char *);

/* From one find to the next, as the engine asks, down to an empty range. */
static bool finds_the_same(const pop3_scan *scan, const char *at,
                           const char *end) {
  for (;;) {
    const char *wanted = find_slowly(at, end);
    if (scan->find(at, end) != wanted) return false;
    if (wanted == end) return scan->find(end, end) == end;
    at = wanted + 1;
  }
}

static bool maps_the_same(const pop3_scan *scan, const char *at,
                          const char *end) {
  for (; end - at > POP3_SCAN_BLOCK; at++) {
    if (scan->map(at) != map_slowly(at)) return false;
  }
  return true;
}

/* The block ends with the text, so that a sanitizer sees what is read behind
 * it; where the alignment is 0 it also begins with it. */
static bool agrees_at(const pop3_scan *scan, comparison same, size_t alignment,
                      size_t size) {
  char *block = must(malloc(alignment + size + (alignment + size == 0)));
  char *text = block + alignment;
  bool good = true;
  for (size_t i = 0; i < ALPHABETS && good; i++) {
    memset(block, '\n', alignment);
    fill(text, size, alphabets[i]);
    good = same(scan, text, text + size);
    if (good || size == 0) continue;
    printf("# alignment %zu, size %zu, alphabet %zu\n", alignment, size, i);
  }
  free(block);
  return good;
}

static bool agrees(const pop3_scan *scan, comparison same) {
  for (size_t alignment = 0; alignment < ALIGNMENTS; alignment++) {
    for (size_t size = 0; size < LENGTHS; size++) {
      if (!agrees_at(scan, same, alignment, size)) return false;
    }
  }
  return true;
}

/* A single pair at every place: what a random text may never have had. */
static bool finds_one_pair(const pop3_scan *scan) {
  enum { SIZE = 4 * POP3_SCAN_BLOCK + 1 };
  char *text = must(malloc(SIZE));
  bool good = true;
  for (size_t i = 0; i < SIZE; i++) {
    memset(text, 'a', SIZE);
    text[i] = '\n';
    if (i + 1 < SIZE) text[i + 1] = '.';
    good = good && scan->find(text, text + SIZE) == text + i;
  }
  free(text);
  return good;
}

static void check_kernel(const pop3_scan *scan) {
  claim(agrees(scan, finds_the_same), scan->name,
        "finds what a look at each octet finds");
  claim(agrees(scan, maps_the_same), scan->name,
        "maps a block as a look at each octet does");
  claim(finds_one_pair(scan), scan->name, "finds a pair wherever it is");
}

/* ------------------------------------------------------------ the choice */

static void check_choice(void) {
  const pop3_scan *best = pop3_scan_best();
  size_t i = 0;
  while (i < pop3_scan_count && !pop3_scans[i].available()) i++;
  claim(i < pop3_scan_count && best == &pop3_scans[i], best->name,
        "is the first kernel that is available");
  claim(pop3_scan_best() == best, best->name, "is chosen again");
  claim(pop3_scans[pop3_scan_count - 1].available(),
        pop3_scans[pop3_scan_count - 1].name, "is there on any processor");
}

int main(void) {
  for (size_t i = 0; i < pop3_scan_count; i++) {
    if (pop3_scans[i].available()) {
      check_kernel(&pop3_scans[i]);
    } else {
      printf("ok - %s # SKIP not this processor's\n", pop3_scans[i].name);
    }
  }
  check_choice();
  return failures > 0;
}
