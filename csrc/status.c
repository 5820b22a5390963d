/*
 * status.c - see status.h.
 */
#include "status.h"

#include <string.h>

#include "caps.h"

/* ------------------------------------------------------------ numbers */

/* [+-]digits; poplib uses int(), which knows the sign. */
static bool parse_number(pop3_span word, pop3_number *number) {
  size_t i = 0;
  bool negative = word.size > 0 && word.data[0] == '-';
  pop3_number n = {true, 0, 0};
  if (word.size > 0 && (word.data[0] == '-' || word.data[0] == '+')) i = 1;
  if (i == word.size) return false;
  for (; i < word.size; i++) {
    if (word.data[i] < '0' || word.data[i] > '9') return false;
    int digit = word.data[i] - '0';
    n.rough = n.rough * 10 + digit;
    n.exact = n.exact && n.whole <= (INT64_MAX - digit) / 10;
    if (n.exact) n.whole = n.whole * 10 + digit;
  }
  if (negative) n.whole = -n.whole;
  if (negative) n.rough = -n.rough;
  *number = n;
  return true;
}

static pop3_error bad_stat(pop3_failure *failure, const char *text,
                           pop3_span line) {
  pop3_fail(failure, POP3_E_MALFORMED, "%s", text);
  pop3_failure_quote(failure, line.data, line.size);
  return POP3_E_MALFORMED;
}

pop3_error pop3_parse_stat(pop3_span line, pop3_number *count,
                           pop3_number *octets, pop3_failure *failure) {
  pop3_span words[3];
  pop3_span rest = line;
  for (int i = 0; i < 3; i++) {
    if (!pop3_next_word(&rest, &words[i]))
      return bad_stat(failure, "Invalid STAT response format", line);
  }
  if (!parse_number(words[1], count) || !parse_number(words[2], octets))
    return bad_stat(failure, "Invalid STAT response data: non-numeric values",
                    line);
  return POP3_E_OK;
}

uint64_t pop3_parse_announced(pop3_span line) {
  pop3_span ok, size, unit;
  pop3_number n;
  if (!pop3_next_word(&line, &ok) || !pop3_next_word(&line, &size)) return 0;
  if (!pop3_next_word(&line, &unit) || unit.size < 5) return 0;
  if (memcmp(unit.data, "octet", 5) != 0 && memcmp(unit.data, "bytes", 5) != 0)
    return 0;
  if (!parse_number(size, &n) || !n.exact || n.whole < 0) return 0;
  return (uint64_t)n.whole;
}

/* ------------------------------------------------------------ timestamps */

static bool printable(const char *from, const char *to) {
  for (; from < to; from++) {
    if (*from <= ' ' || *from > '~' || *from == '<') return false;
  }
  return true;
}

pop3_span pop3_find_timestamp(pop3_span greeting) {
  pop3_span none = {NULL, 0};
  if (greeting.size == 0) return none;
  const char *end = greeting.data + greeting.size;
  const char *open = memchr(greeting.data, '<', greeting.size);
  if (open == NULL) return none;
  const char *close = memchr(open, '>', (size_t)(end - open));
  if (close == NULL || !printable(open + 1, close)) return none;
  const char *at = memchr(open, '@', (size_t)(close - open));
  if (at == NULL || at == open + 1 || at + 1 == close) return none;
  if (memchr(at + 1, '@', (size_t)(close - at - 1)) != NULL) return none;
  pop3_span found = {open, (size_t)(close - open) + 1};
  return found;
}
