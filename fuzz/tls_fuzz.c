/*
 * tls_fuzz.c - libFuzzer target for what decides whom to trust: pins, TLSA
 * records, certificates and OCSP responses of somebody else's making.
 *
 * sources: csrc/tls*.c csrc/failure.c csrc/escape.c csrc/crypto.c
 * sources: csrc/platform.c csrc/memory.c
 * libraries: -lssl -lcrypto -lpthread -ldl
 *
 * An input is five pieces, each behind its length in two octets: pins, TLSA
 * records, a certificate, its issuer's, an OCSP response. What is missing is
 * empty. What was read has to be the same when it is written and read again,
 * a verdict the same when it is asked for twice, and OpenSSL's queue of errors
 * empty after each call.
 */
#include <openssl/err.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tls_describe.h"
#include "tls_internal.h"

enum { PINS, TLSA, CERTIFICATE, ISSUER, RESPONSE, PIECES };

typedef struct piece {
  const unsigned char *octets;
  size_t size;
} piece;

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size);

static void hold(bool claim, const char *what) {
  if (claim) return;
  fprintf(stderr, "broken: %s\n", what);
  abort();
}

static void read_pieces(const uint8_t *octets, size_t size,
                        piece pieces[PIECES]) {
  for (int i = 0; i < PIECES; i++) {
    size_t length = size >= 2 ? (size_t)octets[0] << 8 | octets[1] : 0;
    size_t head = size >= 2 ? 2 : size;
    octets += head, size -= head;
    if (length > size) length = size;
    pieces[i] = (piece){octets, length};
    octets += length, size -= length;
  }
}

static char *text_of(piece p) {
  char *text = malloc(p.size + 1);
  hold(text != NULL, "memory");
  memcpy(text, p.octets, p.size);
  text[p.size] = '\0';
  return text;
}

static void try_pins(const char *text, const X509 *certificate) {
  pop3_failure failure;
  pop3_pins pins, own;
  char pin[POP3_PIN_TEXT];
  bool read = pop3_pins_read(text, &pins, &failure) == POP3_E_OK;
  if (read) hold(pins.count * 52 <= strlen(text), "more pins than text");
  if (read && certificate) (void)pop3_pins_match(&pins, certificate);
  if (read) pop3_pins_free(&pins);
  hold(ERR_peek_error() == 0, "pins leave an error");
  if (!certificate || !*pop3_pin_show(certificate, pin)) return;
  hold(pop3_pins_read(pin, &own, &failure) == POP3_E_OK && own.count == 1 &&
           pop3_pins_match(&own, certificate),
       "a certificate's pin is its own");
  pop3_pins_free(&own);
}

/* The records as text, and read again. */
static void write_again(const pop3_tlsa_set *set) {
  for (size_t i = 0; i < set->count; i++) {
    const pop3_tlsa *r = &set->records[i];
    pop3_failure failure;
    pop3_tlsa_set again;
    char *text = malloc(r->size * 2 + 20);
    hold(text != NULL, "memory");
    int used = sprintf(text, "%d %d %d ", r->usage, r->selector, r->type);
    for (size_t k = 0; k < r->size; k++)
      used += sprintf(text + used, "%02x", r->data[k]);
    hold(pop3_tlsa_read(text, &again, &failure) == POP3_E_OK &&
             again.count == 1 && again.records[0].size == r->size &&
             memcmp(again.records[0].data, r->data, r->size) == 0,
         "a record is read as it is written");
    pop3_tlsa_free(&again);
    free(text);
  }
}

static void try_records(const char *text, const X509 *certificate) {
  pop3_failure failure;
  pop3_tlsa_set set;
  if (pop3_tlsa_read(text, &set, &failure) == POP3_E_OK) {
    write_again(&set);
    if (certificate) (void)pop3_tlsa_is_named(&set, certificate);
    pop3_tlsa_free(&set);
  }
  ERR_clear_error(); /* matching is done where somebody else clears it */
}

static void try_response(piece response, X509 *certificate, X509 *issuer) {
  pop3_failure failure;
  int64_t until = 0, again = 0;
  pop3_error error = pop3_ocsp_judge(response.octets, response.size,
                                     certificate, issuer, &until, &failure);
  hold(ERR_peek_error() == 0, "a response leaves an error");
  hold(error != POP3_E_OK || until > (int64_t)time(NULL) - 600,
       "a response that ended is good");
  hold(error == pop3_ocsp_judge(response.octets, response.size, certificate,
                                issuer, &again, &failure),
       "a response has two verdicts");
}

/* Printable, and nothing that is not there. */
static void read_text(const char *text) {
  for (; *text; text++)
    hold(*text == '\t' || ((unsigned char)*text >= ' ' && *text != 127),
         "text is not escaped");
}

static void try_description(const X509 *certificate) {
  pop3_tls_certificate c;
  hold(pop3_tls_certificate_describe(certificate, &c) == POP3_E_OK,
       "a certificate cannot be described");
  const char *texts[] = {c.subject,   c.issuer, c.serial,     c.key_type,
                         c.signature, c.pin,    c.fingerprint};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) read_text(texts[i]);
  for (const char *at = c.names; *at; at += strlen(at) + 1) read_text(at);
  hold(ERR_peek_error() == 0, "a description leaves an error");
  pop3_tls_certificate_free(&c);
}

static X509 *certificate_of(piece p) {
  const unsigned char *at = p.octets;
  X509 *certificate = d2i_X509(NULL, &at, (long)p.size);
  ERR_clear_error();
  return certificate;
}

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size) {
  piece pieces[PIECES];
  char name[POP3_TLS_NAME_ROOM], when[POP3_TLS_TIME_ROOM];
  read_pieces(octets, size, pieces);
  char *pins = text_of(pieces[PINS]), *records = text_of(pieces[TLSA]);
  X509 *certificate = certificate_of(pieces[CERTIFICATE]);
  X509 *issuer = certificate_of(pieces[ISSUER]);
  try_pins(pins, certificate);
  try_records(records, certificate);
  if (certificate) {
    try_description(certificate);
    (void)pop3_ocsp_is_promised(certificate);
    (void)pop3_tls_show_name(X509_get_subject_name(certificate), name);
    (void)pop3_tls_show_time(X509_get0_notAfter(certificate), when);
    ERR_clear_error();
  }
  if (certificate && issuer)
    try_response(pieces[RESPONSE], certificate, issuer);
  X509_free(issuer);
  X509_free(certificate);
  free(records), free(pins);
  return 0;
}
