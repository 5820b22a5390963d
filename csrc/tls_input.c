/*
 * tls_input.c - see tls.h: ciphertext on its way to OpenSSL.
 *
 * A BIO of our own instead of a memory BIO: what is received goes where OpenSSL
 * reads it, without a copy between (an eighth of what decrypting costs), and
 * its buffer goes away when no octets flow; a memory BIO only grows.
 */
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <string.h>

#include "tls_internal.h"

/* Four records of the largest size. */
#define ROOM 65536

/* Octets of a record's head, the last two of which are the others' count. */
#define RECORD_HEAD 5

/* --- what OpenSSL sees --------------------------------------------------- */

static size_t waiting(const pop3_tls_input *in) { return in->end - in->start; }

static size_t visible(const pop3_tls_input *in) {
  size_t size = waiting(in);
  return in->by_one && size > in->shown ? in->shown : size;
}

static int take(BIO *bio, char *out, size_t room, size_t *got) {
  pop3_tls_input *in = BIO_get_data(bio);
  size_t size = visible(in);
  BIO_clear_retry_flags(bio);
  if (size > room) size = room;
  if (size == 0 && !in->ended) BIO_set_retry_read(bio);
  if (size == 0) return 0;
  memcpy(out, in->octets + in->start, size);
  in->start += size;
  if (in->by_one) in->shown -= size;
  *got = size;
  return 1;
}

static long control(BIO *bio, int command, long number, void *pointer) {
  const pop3_tls_input *in = BIO_get_data(bio);
  bool empty = waiting(in) == 0;
  (void)number;
  (void)pointer;
  if (command == BIO_CTRL_EOF) return in->ended && empty;
  return command == BIO_CTRL_FLUSH;
}

BIO_METHOD *pop3_tls_input_method(void) {
  BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "pop3 input");
  if (method && BIO_meth_set_read_ex(method, take) == 1 &&
      BIO_meth_set_ctrl(method, control) == 1)
    return method;
  BIO_meth_free(method);
  return NULL;
}

BIO *pop3_tls_input_new(pop3_tls *tls) {
  BIO *bio = BIO_new(tls->context->input);
  if (!bio) return NULL;
  BIO_set_data(bio, &tls->input);
  BIO_set_init(bio, 1);
  return bio;
}

/* --- what the caller sees ------------------------------------------------ */

/* Of the whole record at the front, whose head is there. */
static size_t record_size(const pop3_tls_input *in) {
  const unsigned char *head = (const unsigned char *)in->octets + in->start;
  return RECORD_HEAD + head[3] * 256u + head[4];
}

/* A head that is cut off by the end is shown as it is. */
void pop3_tls_show_record(pop3_tls_input *in) {
  if (in->shown > 0) return;
  if (in->ended && waiting(in) < RECORD_HEAD) in->shown = waiting(in);
  if (waiting(in) >= RECORD_HEAD) in->shown = record_size(in);
}

size_t pop3_tls_fed(const pop3_tls *tls) {
  const pop3_tls_input *in = &tls->input;
  bool fed = in->by_one && in->shown == 0 && waiting(in) >= RECORD_HEAD;
  return fed ? record_size(in) : 0;
}

/* What the peer said first, to tell what it spoke instead of TLS. */
static void keep_opening(pop3_tls *tls, const char *octets, size_t size) {
  size_t room = sizeof tls->opening - tls->opening_size;
  if (size > room) size = room;
  if (size > 0) memcpy(tls->opening + tls->opening_size, octets, size);
  tls->opening_size += size;
}

static void move_up(pop3_tls_input *in) {
  if (in->start == 0) return;
  memmove(in->octets, in->octets + in->start, in->end - in->start);
  in->end -= in->start;
  in->start = 0;
}

/* To nothing, it frees. */
static bool resize(pop3_tls_input *in, size_t size) {
  char *octets = OPENSSL_realloc(in->octets, size);
  ERR_clear_error();
  if (!octets && size > 0) return false;
  in->octets = octets;
  in->room = size;
  return true;
}

static char *make_room(pop3_tls_input *in, size_t room) {
  move_up(in);
  if (in->room - in->end < room && !resize(in, in->end + room)) return NULL;
  return in->octets + in->end;
}

char *pop3_tls_room(pop3_tls *tls, size_t *room) {
  pop3_tls_input *in = &tls->input;
  size_t size = waiting(in);
  char *at = make_room(in, size < ROOM ? ROOM - size : ROOM);
  *room = in->room - in->end;
  return at;
}

void pop3_tls_received(pop3_tls *tls, size_t size) {
  if (!tls->secure) keep_opening(tls, tls->input.octets + tls->input.end, size);
  tls->input.end += size;
}

pop3_error pop3_tls_feed(pop3_tls *tls, const char *octets, size_t size) {
  if (size == 0) return POP3_E_OK;
  char *at = make_room(&tls->input, size);
  if (!at) return POP3_E_MEMORY;
  memcpy(at, octets, size);
  pop3_tls_received(tls, size);
  return POP3_E_OK;
}

void pop3_tls_eof(pop3_tls *tls) { tls->input.ended = true; }

void pop3_tls_rest(pop3_tls *tls) {
  move_up(&tls->input);
  /* tickets may wait there for the next read */
  if (tls->input.octets) (void)resize(&tls->input, tls->input.end);
}
