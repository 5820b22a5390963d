/*
 * body_test.c - the octets of a message under every scan kernel, as spans and
 * closed up in place, strict and lenient, whole and cut anywhere, beside a
 * reader that takes one octet after the other.
 *
 * build: cc -Icsrc body_test.c <engine>
 */
#include "body.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dice.h"

enum {
  MOST = 4096,  /* octets of one text */
  TEXTS = 120,  /* cut in two everywhere */
  SHREDS = 4000 /* cut into many pieces */
};

/* ------------------------------------------------------------ texts */

/* What texts are made of: dots in every neighbourhood. The last few may become
 * a terminator with what follows, which would end all texts early. */
static const char *const words[] = {
    "\r\n..\r\n", "\r\n..a\r\n", "\r\n.a",   "\r\n...",   "\r\n.\r\r\n",
    "\r\n.\r.",   "\n..\n",      "..\r\n",   "\r",        "\n",
    "a",          "\r\n",        "\r\r\n..", "\n\r\n..",  "abcdefghijklmnop",
    "\r\n.\r",    "\r\n.\n",     "\n.",      "\n.\r\n..", ".",
};
enum { WORDS = sizeof words / sizeof *words, ENDING = 5 };

static size_t add_word(char *text) {
  const char *word = words[roll(WORDS - (roll(16) > 0) * ENDING)];
  size_t size = strlen(word);
  memcpy(text, word, size);
  if (roll(24) > 0) return size;
  size_t run = roll(200); /* longer than any block of a kernel */
  memset(text + size, 'r', run);
  return size + run;
}

/* Dense dots or words; mostly with a terminator and the next reply behind. */
static size_t make_text(char *text, size_t size) {
  static const char end[] = "\r\n.\r\n+OK 2\r\n..\r\n\r\n.\r\n";
  bool dense = roll(4) == 0;
  size_t used = 0;
  while (used < size) {
    if (!dense) used += add_word(text + used);
    if (dense) memcpy(text + used, "..\r\n", 4), used += 4;
    if (dense && roll(100) == 0) used += add_word(text + used);
  }
  if (roll(4) == 0) return used; /* truncated */
  memcpy(text + used, end, sizeof end - 1);
  return used + sizeof end - 1;
}

/* ------------------------------------------------------------ outcome */

typedef struct outcome {
  char text[MOST];
  size_t size;
  size_t consumed; /* up to the end of the terminator, or all */
  bool ended;
} outcome;

/* RFC 1939 3, one octet after the other. */
static void read_slowly(const char *text, size_t size, bool lenient,
                        outcome *out) {
  enum { BEGIN, INSIDE, DOT, DOT_CR } state = BEGIN;
  char before = '\0';
  memset(out, 0, sizeof *out);
  while (out->consumed < size && !out->ended) {
    char c = text[out->consumed++];
    if (state == BEGIN && c == '.') {
      state = DOT;
    } else if (state == DOT && c == '\r') {
      state = DOT_CR;
    } else if ((state == DOT_CR || (state == DOT && lenient)) && c == '\n') {
      out->ended = true;
    } else {
      if (state == DOT_CR) before = out->text[out->size++] = '\r';
      bool over = c == '\n' && (lenient || before == '\r');
      before = out->text[out->size++] = c;
      state = over ? BEGIN : INSIDE;
      if (over) before = '\0';
    }
  }
}

static bool same(const outcome *one, const outcome *other) {
  return one->size == other->size && one->consumed == other->consumed &&
         one->ended == other->ended &&
         memcmp(one->text, other->text, one->size) == 0;
}

/* ------------------------------------------------------------ the body */

static const char *complaint; /* a rule that was broken */

typedef struct mode {
  const pop3_scan *scan;
  bool in_place;
  bool lenient;
} mode;

/* All that one input holds. In place that is one span, and one for a CR that
 * was kept back from the input before. */
static void read_input(pop3_body *body, pop3_span *input, outcome *out) {
  pop3_piece piece;
  const char *begin = input->data;
  unsigned spans = 0;
  while (pop3_body_data(body, input, &piece)) {
    bool inside = piece.text.data >= begin &&
                  piece.text.data + piece.text.size <= input->data;
    if (piece.text.size == 0) complaint = "an empty span";
    if (body->state == POP3_BODY_END) complaint = "an end with a span";
    if (inside) spans++;
    if (!inside && memcmp(piece.text.data, "\r", piece.text.size) != 0)
      complaint = "a span outside the input";
    memcpy(out->text + out->size, piece.text.data, piece.text.size);
    out->size += piece.text.size;
  }
  if (body->in_place && spans > 1) complaint = "more than one span";
  if (body->octets != out->size) complaint = "a wrong count of octets";
  out->ended = body->state == POP3_BODY_END;
  if (!out->ended && input->size > 0) complaint = "input left behind";
}

/* One input, in a block of exactly its size. */
static size_t feed(pop3_body *body, const char *text, size_t size,
                   outcome *out) {
  char *copy = must(malloc(size));
  memcpy(copy, text, size);
  pop3_span input = {copy, size};
  read_input(body, &input, out);
  size_t taken = size - input.size;
  size_t spoilt = body->in_place ? taken : 0;
  if (memcmp(copy + spoilt, text + spoilt, size - spoilt) != 0)
    complaint = "octets written to that were not consumed";
  free(copy);
  return taken;
}

/* `cuts` ends with the size of the text. */
static void read_pieces(mode how, const char *text, const size_t *cuts,
                        outcome *out) {
  pop3_body body;
  memset(out, 0, sizeof *out);
  pop3_body_init(&body, how.lenient);
  body.scan = how.scan;
  body.in_place = how.in_place;
  size_t at = 0;
  for (; !out->ended; cuts++) {
    if (*cuts > at) out->consumed += feed(&body, text + at, *cuts - at, out);
    if (*cuts < at) break;
    at = *cuts;
    if (cuts[1] == 0) break;
  }
}

/* ------------------------------------------------------------ cuttings */

static bool agrees(mode how, const char *text, const size_t *cuts,
                   const outcome *wanted) {
  static outcome got;
  complaint = NULL;
  read_pieces(how, text, cuts, &got);
  if (complaint == NULL && same(&got, wanted)) return true;
  printf("# %s; cut at %zu; %zu octets, wanted %zu\n",
         complaint == NULL ? "another text" : complaint, cuts[0], got.size,
         wanted->size);
  return false;
}

static bool agrees_in_two(mode how) {
  static char text[MOST];
  static outcome wanted;
  seed = 1;
  for (int i = 0; i < TEXTS; i++) {
    size_t size = make_text(text, 1 + roll(i % 4 == 0 ? 1200 : 300));
    read_slowly(text, size, how.lenient, &wanted);
    for (size_t cut = 1; cut <= size; cut++) {
      const size_t cuts[] = {cut, size, 0};
      if (!agrees(how, text, cuts, &wanted)) return false;
    }
  }
  return true;
}

static bool agrees_in_shreds(mode how) {
  static char text[MOST];
  static size_t cuts[MOST + 1];
  static outcome wanted;
  seed = 2;
  for (int i = 0; i < SHREDS; i++) {
    size_t size = make_text(text, 1 + roll(3000));
    uint32_t most = roll(4) == 0 ? 4 : 1 + roll(1500);
    size_t count = 0;
    for (size_t at = 0; at < size; count++) {
      at += 1 + roll(most);
      cuts[count] = at < size ? at : size;
    }
    cuts[count] = 0;
    read_slowly(text, size, how.lenient, &wanted);
    if (!agrees(how, text, cuts, &wanted)) return false;
  }
  return true;
}

/* ------------------------------------------------------------ all */

static unsigned failures;

static void claim(bool good, mode how, const char *text) {
  printf("%s - %s: %s data %s, %s\n", good ? "ok" : "not ok", how.scan->name,
         how.lenient ? "lenient" : "strict",
         how.in_place ? "in place" : "as is", text);
  if (!good) failures++;
}

int main(void) {
  for (size_t i = 0; i < 4 * pop3_scan_count; i++) {
    mode how = {&pop3_scans[i / 4], i % 2 == 1, i / 2 % 2 == 1};
    if (!how.scan->available()) continue;
    claim(agrees_in_two(how), how, "at every cut into two");
    claim(agrees_in_shreds(how), how, "cut into many pieces");
  }
  return failures > 0;
}
