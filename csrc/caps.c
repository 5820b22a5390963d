/*
 * caps.c - see caps.h.
 */
#include "caps.h"

#include <string.h>

void pop3_caps_init(pop3_caps *caps, const pop3_allocator *allocator) {
  pop3_octets_init(&caps->text, allocator);
  caps->known = caps->recalled = caps->kept = false;
}

void pop3_caps_clear(pop3_caps *caps) {
  pop3_octets_clear(&caps->text);
  caps->known = caps->recalled = caps->kept = false;
}

static bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\v' || c == '\f' || c == '\r';
}

static bool well_formed(pop3_span part) {
  for (size_t i = 0; i < part.size; i++) {
    char c = part.data[i];
    if (!is_blank(c) && (c < '!' || c > '~')) return false;
  }
  return true;
}

pop3_error pop3_caps_add(pop3_caps *caps, pop3_span part, bool last) {
  if (!well_formed(part)) return POP3_E_MALFORMED;
  if (!pop3_octets_add(&caps->text, part.data, part.size) ||
      !pop3_octets_add(&caps->text, "\n", last ? 1 : 0))
    return POP3_E_MEMORY;
  return POP3_E_OK;
}

pop3_error pop3_caps_add_lines(pop3_caps *caps, pop3_span lines) {
  while (lines.size > 0) {
    const char *end = memchr(lines.data, '\n', lines.size);
    if (end == NULL) return POP3_E_MALFORMED;
    pop3_span line = {lines.data, (size_t)(end - lines.data)};
    pop3_error error = pop3_caps_add(caps, line, true);
    if (error != POP3_E_OK) return error;
    lines.data += line.size + 1;
    lines.size -= line.size + 1;
  }
  return POP3_E_OK;
}

bool pop3_next_word(pop3_span *rest, pop3_span *word) {
  while (rest->size > 0 && is_blank(rest->data[0])) {
    rest->data++;
    rest->size--;
  }
  word->data = rest->data;
  word->size = 0;
  while (rest->size > 0 && !is_blank(rest->data[0])) {
    rest->data++;
    rest->size--;
    word->size++;
  }
  return word->size > 0;
}

bool pop3_caps_next(const pop3_caps *caps, size_t *at, pop3_span *line) {
  while (*at < caps->text.size) {
    const char *start = caps->text.data + *at;
    const char *end = memchr(start, '\n', caps->text.size - *at);
    pop3_span found = {start, (size_t)(end - start)};
    pop3_span rest = found;
    pop3_span word;
    *at += found.size + 1;
    if (!pop3_next_word(&rest, &word)) continue;
    *line = found;
    return true;
  }
  return false;
}

static char upper(char c) {
  return (char)(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
}

bool pop3_word_is(pop3_span word, const char *name) {
  if (word.size != strlen(name)) return false;
  for (size_t i = 0; i < word.size; i++) {
    if (upper(word.data[i]) != name[i]) return false;
  }
  return true;
}

bool pop3_word_number(pop3_span word, long *number) {
  int64_t n = 0; /* a long has 32 bits on some systems */
  if (word.size == 0) return false;
  for (size_t i = 0; i < word.size; i++) {
    if (word.data[i] < '0' || word.data[i] > '9') return false;
    n = n * 10 + (word.data[i] - '0');
    if (n > POP3_WORD_NUMBER_MAX) return false;
  }
  *number = (long)n;
  return true;
}

bool pop3_caps_has(const pop3_caps *caps, const char *name) {
  pop3_span line;
  size_t at = 0;
  while (pop3_caps_next(caps, &at, &line)) {
    pop3_span word;
    pop3_next_word(&line, &word);
    if (pop3_word_is(word, name)) return true;
  }
  return false;
}

bool pop3_caps_login_delay(const pop3_caps *caps, long *seconds) {
  pop3_span line, word;
  size_t at = 0;
  bool found = false;
  while (caps->known && pop3_caps_next(caps, &at, &line)) {
    if (!pop3_next_word(&line, &word) || !pop3_word_is(word, "LOGIN-DELAY"))
      continue;
    if (pop3_next_word(&line, &word) && pop3_word_number(word, seconds))
      found = true;
  }
  return found;
}
