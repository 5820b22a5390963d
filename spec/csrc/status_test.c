/*
 * status_test.c - what a server's words are worth: sizes that it announces,
 * STAT's numbers, APOP's timestamp, lists of capabilities.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "caps.h"
#include "check.h"
#include "status.h"

static pop3_span span(const char *text) {
  pop3_span result = {text, strlen(text)};
  return result;
}

/* Without a NUL behind it, so that a sanitizer sees who reads too far. */
static char *exact;
static pop3_span lone(const char *text) {
  free(exact);
  exact = malloc(strlen(text) + 1);
  if (exact == NULL) exit(70);
  exact = realloc(exact, strlen(text) > 0 ? strlen(text) : 1);
  memcpy(exact, text, strlen(text));
  pop3_span result = {exact, strlen(text)};
  return result;
}

/* ------------------------------------------------------------ sizes */

static void announced_sizes_are_read(void) {
  static const struct {
    const char *line;
    uint64_t size;
  } rows[] = {
      {"+OK 120 octets", 120},
      {"+OK 1 octet", 1},
      {"+OK 120 octets follow", 120},
      {"+OK 120 bytes", 120},
      {"+OK 120 octets.", 120},
      {"+OK\t7 octets", 7},
      {"+OK 0 octets", 0},
      {"+OK 9223372036854775807 octets", INT64_MAX},
      /* no size, or none that can be one */
      {"+OK 9223372036854775808 octets", 0},
      {"+OK 99999999999999999999999 octets", 0},
      {"+OK -120 octets", 0},
      {"+OK 1e3 octets", 0},
      {"+OK 0x10 octets", 0},
      {"+OK + octets", 0},
      {"+OK octets", 0},
      {"+OK 120", 0},
      {"+OK 120 o", 0},
      {"+OK 120 octe", 0},
      {"+OK 120 messages", 0},
      {"+OK message 120 octets", 0},
      {"+OK", 0},
      {"", 0},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    CHECK(pop3_parse_announced(lone(rows[i].line)) == rows[i].size);
}

static void stat_has_two_numbers(void) {
  pop3_number count, octets;
  pop3_failure failure;
  CHECK(pop3_parse_stat(lone("+OK 2 320"), &count, &octets, &failure) ==
        POP3_E_OK);
  CHECK(count.exact && count.whole == 2 && octets.whole == 320);
  CHECK(pop3_parse_stat(lone("+OK -1 +7 x"), &count, &octets, &failure) ==
        POP3_E_OK);
  CHECK(count.whole == -1 && octets.whole == 7);
  CHECK(pop3_parse_stat(lone("+OK 0 18446744073709551616"), &count, &octets,
                        &failure) == POP3_E_OK);
  CHECK(!octets.exact && octets.rough == 18446744073709551616.0);
  CHECK(pop3_parse_stat(lone("+OK 2"), &count, &octets, &failure) ==
        POP3_E_MALFORMED);
  CHECK(failure.response_size == 5);
  CHECK(pop3_parse_stat(lone("+OK 2 3x"), &count, &octets, &failure) ==
        POP3_E_MALFORMED);
  CHECK(pop3_parse_stat(lone("+OK - +"), &count, &octets, &failure) ==
        POP3_E_MALFORMED);
}

static void timestamps_have_one_form(void) {
  static const char *const good_ones[] = {"<1.2@a>", "+OK x <a@b> <c@d>",
                                          "+OK<1896.6971@mail.example>"};
  static const char *const bad_ones[] = {
      "",       "+OK",  "<>",      "<a>",         "<@b>",
      "<a@>",   "<a@b", "<a@b@c>", "<a @b>",      "<a@b\x80>",
      "<a@<b>", "a@b>", "< <a@b>", "<\x01@b> ok", "<a> <a@b>",
  };
  for (size_t i = 0; i < sizeof good_ones / sizeof *good_ones; i++)
    CHECK(pop3_find_timestamp(lone(good_ones[i])).size >= 5);
  for (size_t i = 0; i < sizeof bad_ones / sizeof *bad_ones; i++)
    CHECK(pop3_find_timestamp(lone(bad_ones[i])).size == 0);
}

/* ------------------------------------------------------------ capabilities */

static pop3_error add_lines(pop3_caps *caps, const char *lines) {
  pop3_caps_clear(caps);
  return pop3_caps_add_lines(caps, lone(lines));
}

static void lines_of_capabilities_are_whole(void) {
  pop3_caps caps;
  size_t at = 0;
  pop3_span line;
  pop3_caps_init(&caps, &pop3_allocator_default);
  CHECK(add_lines(&caps, "TOP\nSASL PLAIN LOGIN\n\n pipelining\n") ==
        POP3_E_OK);
  CHECK(pop3_caps_has(&caps, "TOP") && pop3_caps_has(&caps, "SASL"));
  CHECK(pop3_caps_has(&caps, "PIPELINING") && !pop3_caps_has(&caps, "PLAIN"));
  CHECK(!pop3_caps_has(&caps, "TO") && !pop3_caps_has(&caps, "TOPS"));
  CHECK(pop3_caps_next(&caps, &at, &line) && line.size == 3);
  CHECK(pop3_caps_next(&caps, &at, &line) && line.size == 16);
  CHECK(pop3_caps_next(&caps, &at, &line) && line.size == 11);
  CHECK(!pop3_caps_next(&caps, &at, &line));
  CHECK(add_lines(&caps, "") == POP3_E_OK);
  CHECK(!pop3_caps_has(&caps, "TOP"));
  pop3_caps_clear(&caps);
}

static void what_is_no_capability_is_refused(void) {
  static const char *const lines[] = {"TOP", "TOP\nUIDL", "T\x01P\n",
                                      "TOP\n\x7f\n", "T\xc3\xb6P\n"};
  pop3_caps caps;
  pop3_caps_init(&caps, &pop3_allocator_default);
  for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
    CHECK(add_lines(&caps, lines[i]) == POP3_E_MALFORMED);
  pop3_span nul = {"T\0P\n", 4};
  CHECK(pop3_caps_add_lines(&caps, nul) == POP3_E_MALFORMED);
  pop3_caps_clear(&caps);
}

static void *refuse(void *state, void *block, size_t old, size_t size) {
  (void)state, (void)block, (void)old, (void)size;
  return NULL;
}

static void capabilities_need_memory(void) {
  static const pop3_allocator none = {refuse, NULL};
  pop3_caps caps;
  pop3_caps_init(&caps, &none);
  CHECK(pop3_caps_add_lines(&caps, span("TOP\n")) == POP3_E_MEMORY);
  CHECK(pop3_caps_add_lines(&caps, span("")) == POP3_E_OK);
  CHECK(!pop3_caps_has(&caps, "TOP"));
  pop3_caps_clear(&caps);
}

/* ------------------------------------------------------------ all */

static const test tests[] = {
    TEST(announced_sizes_are_read),
    TEST(stat_has_two_numbers),
    TEST(timestamps_have_one_form),
    TEST(lines_of_capabilities_are_whole),
    TEST(what_is_no_capability_is_refused),
    TEST(capabilities_need_memory),
};

int main(void) {
  int status = RUN(tests);
  free(exact);
  return status;
}
