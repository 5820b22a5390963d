/*
 * Messages are letters without a pattern, new ones for every message: an
 * interpreter that keeps one copy of equal strings, or hashes a few of their
 * octets, must not see what mail does not have. Lines are 76 octets long, as
 * those of attachments, and one of 400 begins with a stuffed dot.
 */
#include "mailbox.h"

#include <openssl/evp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE = 78, DOTTED = 400, HEADERS = 256, LINE_ROOM = 64 };

/* Messages beyond this size repeat a block of lines: who keeps one copy of
   equal strings must not get them where strings are made. */
static const size_t UNIQUE = (size_t)512 << 20;
static const size_t BLOCK = (size_t)LINE * 215000; /* 16 MiB, nearly */

static void *must(void *block) {
  if (block != NULL) return block;
  fputs("server: out of memory\n", stderr);
  exit(70);
}

/* ------------------------------------------------------------ lines */

static uint64_t roll(void) {
  static uint64_t state = 88172645463325252u;
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}

/* A line of `size` octets with its CRLF; at least two. */
static void text_line(char *line, size_t size) {
  uint64_t letters = 0;
  for (size_t i = 0; i + 2 < size; i++) {
    if (i % 16 == 0) letters = roll();
    line[i] = (char)('a' + (letters >> i % 16 * 4) % 16);
  }
  memcpy(line + size - 2, "\r\n", 2);
}

static char *text(char *out, size_t size) {
  static long lines; /* of all messages */
  while (size > 0) {
    size_t line = size < LINE + 2 ? size : LINE;
    text_line(out, line);
    if (++lines % DOTTED == 0 && line >= 4) memcpy(out, "..", 2);
    out += line;
    size -= line;
  }
  return out;
}

static char *dots(char *out, size_t size) {
  if (size % 4 != 0) {
    size_t line = size % 4 < 2 ? size % 4 + 4 : size % 4;
    text_line(out, line);
    out += line;
    size -= line;
  }
  for (; size > 0; size -= 4, out += 4) memcpy(out, "..\r\n", 4);
  return out;
}

/* ------------------------------------------------------------ messages */

static int headers(char *out, long number, size_t size) {
  if (size < HEADERS) return 0;
  return sprintf(out,
                 "From: sender@example.org\r\nTo: reader@example.org\r\n"
                 "Subject: Message %ld\r\n"
                 "Date: Thu, 01 Jan 2026 00:00:00 +0000\r\n"
                 "Message-ID: <%ld@example.org>\r\n\r\n",
                 number, number);
}

static char *fill(const mailbox *box, char *out, size_t size) {
  return box->dots ? dots(out, size) : text(out, size);
}

/* Status line, headers and what follows; returns the end. */
static char *open_message(const mailbox *box, char *out, long number,
                          size_t *left) {
  out += sprintf(out, "+OK %zu octets\r\n", box->size);
  int size = headers(out, number, box->size);
  *left = box->size - (size_t)size;
  return out + size;
}

static char *end_message(char *out) {
  memcpy(out, ".\r\n", 3);
  return out + 3;
}

static void make_small(mailbox *box) {
  size_t room = box->size + LINE_ROOM;
  char *out = must(malloc(room * (size_t)box->messages + 1));
  for (long i = 0; i < box->messages; i++) {
    size_t left;
    char *start = out;
    out = open_message(box, out, i + 1, &left);
    out = end_message(fill(box, out, left));
    box->images[i].head = (span){start, (size_t)(out - start)};
  }
}

static void make_large(mailbox *box) {
  char *out = must(malloc(3 * BLOCK + 2 * HEADERS));
  char *start = out;
  size_t left;
  image one = {.repeat = 0};
  out = open_message(box, out, 1, &left);
  one.head = (span){start, (size_t)(out - start)};
  one.block = (span){out, BLOCK};
  one.repeat = (long)(left / BLOCK) - 1; /* a tail of a block and more */
  out = fill(box, out, BLOCK);
  start = out;
  out = end_message(fill(box, out, left - (size_t)one.repeat * BLOCK));
  one.tail = (span){start, (size_t)(out - start)};
  for (long i = 0; i < box->messages; i++) box->images[i] = one;
}

/* ------------------------------------------------------------ unstuffing */

typedef void (*line_taker)(void *taker, const char *line, size_t size);

static void each_line(span part, line_taker take, void *taker) {
  const char *at = part.octets, *end = at + part.size;
  while (at < end) {
    const char *next = memchr(at, '\n', (size_t)(end - at)) + 1;
    size_t dot = *at == '.';
    take(taker, at + dot, (size_t)(next - at) - dot);
    at = next;
  }
}

/* Without status line and terminator. */
static void each_message_line(const image *one, line_taker take, void *taker) {
  span head = one->head, tail = one->tail;
  const char *body = memchr(head.octets, '\n', head.size) + 1;
  head.size -= (size_t)(body - head.octets);
  head.octets = body;
  if (tail.size > 0) tail.size -= 3;
  else head.size -= 3;
  each_line(head, take, taker);
  for (long i = 0; i < one->repeat; i++) each_line(one->block, take, taker);
  each_line(tail, take, taker);
}

static void add_size(void *sum, const char *line, size_t size) {
  (void)line;
  *(size_t *)sum += size;
}

static void measure(mailbox *box) {
  bool same = box->images[0].repeat > 0; /* one image for all */
  for (long i = 0; i < box->messages; i++) {
    image *one = &box->images[i];
    if (same && i > 0) one->listed = box->images[0].listed;
    else each_message_line(one, add_size, &one->listed);
    box->listed += one->listed;
  }
}

/* ------------------------------------------------------------ listings */

void mailbox_uid(long number, char uid[17]) {
  sprintf(uid, "%08lx%08lx", number & 0xffffffff,
          (number * 2654435761u) & 0xffffffff);
}

static span listing(const mailbox *box, bool uids) {
  size_t room = (size_t)(box->messages + 2) * 48;
  char *text = must(malloc(room)), *out = text, uid[17];
  out += sprintf(out, "+OK\r\n");
  for (long i = 0; i < box->messages; i++) {
    mailbox_uid(i + 1, uid);
    if (uids) out += sprintf(out, "%ld %s\r\n", i + 1, uid);
    else out += sprintf(out, "%ld %zu\r\n", i + 1, box->images[i].listed);
  }
  out = end_message(out);
  return (span){text, (size_t)(out - text)};
}

void mailbox_make(mailbox *box) {
  box->images = must(calloc((size_t)box->messages + 1, sizeof(image)));
  if (box->size > UNIQUE) make_large(box);
  else make_small(box);
  if (box->messages > 0) measure(box);
  box->list = listing(box, false);
  box->uidl = listing(box, true);
}

/* ------------------------------------------------------------ digests */

typedef struct digests {
  EVP_MD_CTX *crlf, *lf;
} digests;

static void add_digests(void *taker, const char *line, size_t size) {
  digests *both = taker;
  EVP_DigestUpdate(both->crlf, line, size);
  EVP_DigestUpdate(both->lf, line, size - 2);
  EVP_DigestUpdate(both->lf, "\n", 1);
}

static EVP_MD_CTX *start_digest(void) {
  EVP_MD_CTX *digest = must(EVP_MD_CTX_new());
  EVP_DigestInit_ex(digest, EVP_sha256(), NULL);
  return digest;
}

static void end_digest(EVP_MD_CTX *digest, char text[65]) {
  unsigned char octets[EVP_MAX_MD_SIZE];
  EVP_DigestFinal_ex(digest, octets, NULL);
  for (int i = 0; i < 32; i++) sprintf(text + 2 * i, "%02x", octets[i]);
  EVP_MD_CTX_free(digest);
}

void mailbox_digests(const mailbox *box, char crlf[65], char lf[65]) {
  digests both = {start_digest(), start_digest()};
  for (long i = 0; i < box->messages; i++)
    each_message_line(&box->images[i], add_digests, &both);
  end_digest(both.crlf, crlf);
  end_digest(both.lf, lf);
}
