/*
 * saslprep_test.c - a name or password is prepared a piece at a time
 * (saslprep.c), and that makes no difference: libidn itself, given all of it,
 * says the same. sasl_test.c has what RFC 4013 says, memory_spec.lua what is
 * left in memory.
 */
#if !defined(_WIN32)
#define _GNU_SOURCE /* RTLD_DEFAULT */
#include <dlfcn.h>
#endif
#include <stdint.h>
#include <string.h>

#include "check.h"
#include "saslprep.h"

#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
#include <malloc.h>
#define WATCHED 1
#endif

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum { NO_UNASSIGNED = 4, MOST = 20 };

/* libidn's stringprep_profile; the program is linked with it, or not at all. */
typedef int profile(const char *in, char **out, const char *name, int flags);
static profile *whole;

static bool find_whole(void) {
#if !defined(_WIN32)
  void *found = dlsym(RTLD_DEFAULT, "stringprep_profile");
  memcpy(&whole, &found, sizeof whole);
#endif
  return whole != NULL;
}

/* ------------------------------------------------------------ strings */

static char text[MOST * 4 + 1]; /* in UTF-8, for a C library that wants a NUL */
static size_t text_size;

/* In UTF-8; its size. */
static size_t utf8(uint32_t point, char *to) {
  static const unsigned char leads[] = {0, 0, 0xc0, 0xe0, 0xf0};
  size_t size = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
  for (size_t i = size; i-- > 0; point >>= 6)
    to[i] = (char)(i == 0 ? leads[size] | point : 0x80 | (point & 0x3f));
  return size;
}

static void put(uint32_t point) {
  text_size += utf8(point, text + text_size);
  text[text_size] = '\0';
}

static void show(const char *why) {
  if (!good) return;
  printf("# %s:", why);
  for (size_t i = 0; i < text_size; i++) printf(" %02x", text[i] & 0xff);
  printf("\n");
}

/* Are they one? */
static bool agree(bool stored) {
  pop3_failure failure;
  pop3_wiped out = {NULL, 0};
  pop3_saslprep_input input = {{text, text_size}, "password", stored};
  char *expected = NULL;
  int status = whole(text, &expected, "SASLprep", stored ? NO_UNASSIGNED : 0);
  pop3_error error =
      pop3_saslprep(&pop3_allocator_default, &input, &out, &failure);
  bool usable = status == 0 && expected[0] != '\0';
  bool same = usable == (error == POP3_E_OK) &&
              (!usable || (strlen(expected) == out.size &&
                           memcmp(expected, out.data, out.size) == 0));
  pop3_wiped_drop(&pop3_allocator_default, &out);
  free(expected);
  if (!same) show("not what libidn says");
  return same;
}

/* ------------------------------------------------------------ memory */

#if defined(WATCHED)
/* Letters of which any run of three is nowhere else, with a mark among them. */
static const uint32_t letters[] = {0x439, 0x446, 0x443, 0x43a, 0xe9,  0x44e,
                                   0x301, 'Q',   0x448, 0x44f, 0x436, 0x431,
                                   0x444, 0x44b, 0x432, 0x437, 0xfc,  0x44d};
enum { RUN_OF = 3 };

/* Compilers believe that free() looks at nothing of ours, nor at its block. */
static volatile bool watching;
static volatile size_t watched; /* blocks given back */
static volatile size_t kept;    /* runs of letters in them */

static bool holds(const char *block, size_t size, const void *run,
                  size_t length) {
  for (size_t i = 0; i + length <= size; i++) {
    if (memcmp(block + i, run, length) == 0) return true;
  }
  return false;
}

/* Three as UTF-8, two as code points: libidn sees a letter with its mark. */
static void look(const char *block, size_t size) {
  char run[RUN_OF * 4 + 1];
  for (size_t i = 0; i + RUN_OF <= COUNT(letters); i++) {
    size_t length = 0;
    for (size_t j = 0; j < RUN_OF; j++)
      length += utf8(letters[i + j], run + length);
    kept += holds(block, size, run, length) ||
            holds(block, size, letters + i, 2 * sizeof *letters);
  }
}

/* The C library's, for libidn, too. */
extern void __libc_free(void *block);
void free(void *block) {
  if (block != NULL && watching) {
    watched++;
    look(block, malloc_usable_size(block));
  }
  __libc_free(block);
}

static void what_is_given_back_has_no_more_than_a_letter(void) {
  pop3_failure failure;
  pop3_wiped out = {NULL, 0};
  text_size = 0;
  for (size_t i = 0; i < COUNT(letters); i++) put(letters[i]);
  pop3_saslprep_input input = {{text, text_size}, "password", true};
  if (!pop3_saslprep_complete()) return;
  watched = kept = 0;
  watching = true;
  CHECK(!pop3_saslprep(&pop3_allocator_default, &input, &out, &failure));
  pop3_wiped_drop(&pop3_allocator_default, &out);
  watching = false;
  CHECK(watched > COUNT(letters)); /* libidn's were among them */
  CHECK(kept == 0);
}

static void a_copy_would_be_found(void) {
  static void (*const volatile give_back)(void *) = free;
  char *copy = malloc(text_size);
  must(copy != NULL, "memory");
  memcpy(copy, text, text_size);
  kept = 0;
  watching = true;
  give_back(copy);
  watching = false;
  CHECK(kept > 0);
}
#else
static void what_is_given_back_has_no_more_than_a_letter(void) {}
static void a_copy_would_be_found(void) {}
#endif

/* ------------------------------------------------------------ claims */

/* What is before may change with it, or not; what is behind it is a letter that
 * takes marks. */
static void try_between(uint32_t before, uint32_t point, uint32_t after) {
  text_size = 0;
  put(before);
  put(point);
  put(after);
  CHECK(agree(false));
}

static void any_letter_joins_what_is_before_or_begins_a_piece(void) {
  if (!pop3_saslprep_complete()) return;
  must(find_whole(), "libidn's own function");
  for (uint32_t point = 0x80; point < 0x1d200; point++) {
    if (point == 0x10400) point = 0x1d100; /* nothing to normalise between */
    if (point >= 0xac20 && point < 0xd780) continue; /* Hangul, all alike */
    if (point >= 0x3400 && point < 0x9f00) continue; /* Han, likewise */
    if (point >= 0xd800 && point < 0xf900) continue; /* nobody's */
    try_between('e', point, 0x301);
  }
  for (uint32_t point = 0x1100; point < 0x1200; point++) {
    try_between(0x1100, point, 0x11a8);
    try_between(0xac00, point, 0x1161);
  }
}

static uint64_t seed = 1;
static uint32_t below(size_t bound) {
  seed = seed * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)((seed >> 33) % bound);
}

/* Letters that take marks, marks of several classes, both halves of what is
 * composed, what becomes several letters or none, both directions. */
static const uint32_t pool[] = {
    'a',    'e',    'O',    ' ',    '1',    0xc5,   0xe9,    0x1b5,  0x323,
    0x301,  0x308,  0x327,  0x345,  0x3b1,  0x438,  0x483,   0x5d0,  0x5b0,
    0x627,  0x653,  0x654,  0x915,  0x93c,  0x9c7,  0x9be,   0xb47,  0xb57,
    0xbc6,  0xbbe,  0xcc6,  0xcd5,  0xd46,  0xd57,  0xdd9,   0xdcf,  0xe33,
    0xf40,  0xfb5,  0xf71,  0xf72,  0xf80,  0x1025, 0x102e,  0x1100, 0x1161,
    0x11a8, 0xac00, 0xac01, 0xac1c, 0x3042, 0x304b, 0x3099,  0x30ab, 0x3133,
    0x314f, 0x4e00, 0xf900, 0xfb01, 0xfb1d, 0xfb1e, 0xfb2c,  0xfdfa, 0xff76,
    0xff9e, 0xff9f, 0xffc2, 0xa0,   0xad,   0x200b, 0x2126,  0x2460, 0x33ff,
    0x221,  0x7f,   0x340,  0x344,  0xf73,  0x958,  0x1d15e, 0x1d165};

static void any_string_is_what_it_is_as_a_whole(void) {
  if (!pop3_saslprep_complete()) return;
  must(find_whole(), "libidn's own function");
  for (int i = 0; i < 20000; i++) {
    size_t count = 1 + below(MOST);
    text_size = 0;
    while (count-- > 0) put(pool[below(COUNT(pool))]);
    CHECK(agree(i % 2 == 0));
  }
}

static void what_is_no_utf8_is_refused(void) {
  static const char *const bad[] = {"\xff",
                                    "\xc3",
                                    "e\xcc",
                                    "\xc0\x80",
                                    "\xe0\x80\x80",
                                    "\xf0\x90",
                                    "\x80",
                                    "\xc3(",
                                    "\xf5\x80\x80\x80",
                                    "\xf4\x90\x80\x80",
                                    "\xe2\x82",
                                    "e\xe2(\xa1",
                                    "\xf8\x88\x80\x80\x80"};
  pop3_failure failure;
  pop3_wiped out = {NULL, 0};
  if (!pop3_saslprep_complete()) return;
  for (size_t i = 0; i < COUNT(bad); i++) {
    pop3_saslprep_input input = {{bad[i], strlen(bad[i])}, "password", false};
    CHECK(pop3_saslprep(&pop3_allocator_default, &input, &out, &failure) ==
          POP3_E_ARGUMENT);
    CHECK(strstr(failure.text, "not UTF-8") != NULL);
  }
}

/* The longest that becomes of one letter is eighteen. */
static void it_may_grow(void) {
  if (!pop3_saslprep_complete()) return;
  must(find_whole(), "libidn's own function");
  text_size = 0;
  for (int i = 0; i < MOST; i++) put(0xfdfa);
  CHECK(agree(true));
}

int main(void) {
  static const test tests[] = {
      TEST(any_letter_joins_what_is_before_or_begins_a_piece),
      TEST(any_string_is_what_it_is_as_a_whole),
      TEST(what_is_no_utf8_is_refused),
      TEST(it_may_grow),
      TEST(what_is_given_back_has_no_more_than_a_letter),
      TEST(a_copy_would_be_found),
  };
  return RUN(tests);
}
