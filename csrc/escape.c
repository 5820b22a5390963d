/*
 * escape.c - see escape.h.
 */
#include "escape.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

typedef struct utf8_form {
  unsigned char mask, lead; /* of the first octet */
  size_t size;
  unsigned long least; /* below: an overlong form */
} utf8_form;

static const utf8_form forms[] = {
    {0xe0, 0xc0, 2, 0xa0}, /* U+0080 to U+009F are C1 controls */
    {0xf0, 0xe0, 3, 0x800},
    {0xf8, 0xf0, 4, 0x10000},
};

static unsigned long decode(const unsigned char *at, const utf8_form *form) {
  unsigned long code = at[0] & (unsigned char)~form->mask;
  for (size_t i = 1; i < form->size; i++) {
    if ((at[i] & 0xc0) != 0x80) return 0;
    code = code << 6 | (at[i] & 0x3fu);
  }
  return code;
}

typedef struct code_range {
  unsigned long first, last;
} code_range;

/* Characters that reorder or hide what follows: bidirectional marks and
 * overrides, line and paragraph separators. */
static const code_range harmful[] = {
    {0x200e, 0x200f}, {0x2028, 0x202e}, {0x2066, 0x2069}, {0xd800, 0xdfff}};

static bool is_harmful(unsigned long code) {
  for (size_t i = 0; i < sizeof harmful / sizeof *harmful; i++) {
    if (code >= harmful[i].first && code <= harmful[i].last) return true;
  }
  return false;
}

/* Octets of the well-formed, harmless UTF-8 character at `at`, 0 if there is none. */
static size_t utf8_size(const unsigned char *at, size_t size) {
  for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
    const utf8_form *form = &forms[i];
    if ((at[0] & form->mask) != form->lead || size < form->size) continue;
    unsigned long code = decode(at, form);
    if (code < form->least || code > 0x10ffff) return 0;
    return is_harmful(code) ? 0 : form->size;
  }
  return 0;
}

size_t pop3_escape_next(const char *text, size_t size,
                        char out[POP3_ESCAPE_ROOM]) {
  static const char controls[] = "\r\n";
  static const char names[] = "rn";
  const unsigned char *at = (const unsigned char *)text;
  const char *named = *at != 0 ? strchr(controls, *text) : NULL;
  bool plain = (*at >= ' ' && *at < 0x7f) || *at == '\t';
  size_t whole = plain ? 1 : utf8_size(at, size);
  if (named != NULL) {
    snprintf(out, POP3_ESCAPE_ROOM, "\\%c", names[named - controls]);
    return 1;
  }
  if (whole == 0) {
    snprintf(out, POP3_ESCAPE_ROOM, "\\x%02x", *at);
    return 1;
  }
  memcpy(out, text, whole);
  out[whole] = '\0';
  return whole;
}

const char *pop3_escape(const char *text, size_t size, char *out, size_t room) {
  char piece[POP3_ESCAPE_ROOM];
  size_t used = 0;
  while (size > 0) {
    size_t taken = pop3_escape_next(text, size, piece);
    size_t length = strlen(piece);
    if (used + length >= room) break;
    memcpy(out + used, piece, length);
    used += length;
    text += taken;
    size -= taken;
  }
  out[used] = '\0';
  return out;
}
