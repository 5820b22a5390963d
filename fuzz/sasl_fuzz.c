/*
 * sasl_fuzz.c - libFuzzer target for SASL: a server that says anything.
 *
 * sources: csrc/sasl.c csrc/sasl_simple.c csrc/sasl_oauth.c csrc/sasl_scram.c
 * sources: csrc/saslprep.c csrc/wiped.c csrc/pbkdf2.c csrc/crypto.c
 * sources: csrc/memory.c csrc/failure.c csrc/escape.c
 * libraries: -lcrypto
 *
 * An input is an octet that chooses the mechanism, then challenges that 0xff
 * ends. In a challenge, 0xfe stands for the client's nonce. What has to hold:
 * SCRAM is never a success (nobody guesses the signature), what failed stays
 * so, a response is of this exchange, and a failure has a text that does not
 * hold the secret.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sasl_internal.h"

#define SECRET "Zk3-secret-Q9"
#define NONCE "fyko+d2lbbFgONRv"

/* Of SCRAM's work in an input; more takes too long. */
enum { MOST_SLICES = 40, MOST_OCTETS = 8192 };

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size);

static pop3_failure failure;

static void rule(bool holds, const char *what) {
  if (holds) return;
  fprintf(stderr, "!! %s (%s)\n", what, failure.text);
  abort();
}

static pop3_sasl *begin(const pop3_sasl_mechanism *mechanism) {
  pop3_sasl *sasl = NULL;
  pop3_sasl_credentials c = {.user = POP3_LITERAL("jo,e="),
                             .secret = POP3_LITERAL(SECRET),
                             .host = POP3_LITERAL("mail.example.org"),
                             .port = 995,
                             .binding = POP3_LITERAL("bound"),
                             .binding_type = "tls-exporter"};
  rule(!pop3_sasl_new(&pop3_allocator_default, mechanism, &c, &sasl, &failure),
       "an exchange begins");
  if (mechanism->flags & POP3_SASL_MUTUAL)
    rule(!pop3_scram_use_nonce(sasl, NONCE, &failure), "a nonce is used");
  return sasl;
}

/* The next challenge, its nonces put in, and how much of the input it was. */
static size_t take(const uint8_t *octets, size_t size, char *out,
                   size_t *out_size) {
  const size_t nonce = sizeof NONCE - 1;
  size_t i = 0, n = 0;
  for (; i < size && octets[i] != 0xff && n + nonce < MOST_OCTETS; i++) {
    size_t length = octets[i] == 0xfe ? nonce : 1;
    memcpy(out + n, octets[i] == 0xfe ? NONCE : (const char *)octets + i,
           length);
    n += length;
  }
  *out_size = n;
  return i < size ? i + 1 : i;
}

/* AGAIN: it would take too long. */
static pop3_error step(pop3_sasl *sasl, pop3_span challenge, int *slices) {
  pop3_span response = {NULL, 0};
  pop3_error error = pop3_sasl_step(sasl, challenge, &response, &failure);
  while (error == POP3_E_AGAIN && *slices > 0) {
    (*slices)--;
    error = pop3_sasl_work(sasl, &failure);
    if (!error) error = pop3_sasl_step(sasl, challenge, &response, &failure);
  }
  rule(error || response.size == 0 || response.data[response.size - 1] != '\n',
       "a response can be read");
  return error;
}

/* A server that says the secret by itself is quoted. */
static bool is_told(const uint8_t *octets, size_t size) {
  for (size_t i = 0; i + sizeof SECRET <= size + 1; i++)
    if (memcmp(octets + i, SECRET, sizeof SECRET - 1) == 0) return true;
  return false;
}

static void check_failure(pop3_sasl *sasl, pop3_error error, bool told) {
  pop3_span response;
  rule(failure.error == error && failure.text[0], "a failure has a text");
  rule(told || !strstr(failure.text, SECRET), "a failure tells no secret");
  rule(pop3_sasl_step(sasl, POP3_LITERAL(""), &response, &failure) == error,
       "what failed stays so");
  rule(pop3_sasl_finish(sasl, &failure) == error, "it is no success");
}

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size) {
  static char challenge[MOST_OCTETS];
  int slices = MOST_SLICES;
  if (size == 0) return 0;
  const pop3_sasl_mechanism *mechanism =
      &pop3_sasl_mechanisms[octets[0] % pop3_sasl_mechanism_count];
  pop3_sasl *sasl = begin(mechanism);
  pop3_error error = POP3_E_OK;
  for (size_t at = 1; !error && at < size;) {
    size_t length = 0;
    at += take(octets + at, size - at, challenge, &length);
    error = step(sasl, (pop3_span){challenge, length}, &slices);
  }
  if (error && error != POP3_E_AGAIN)
    check_failure(sasl, error, is_told(octets, size));
  bool success = pop3_sasl_finish(sasl, &failure) == POP3_E_OK;
  rule(!success || !(mechanism->flags & POP3_SASL_MUTUAL),
       "nobody guesses a signature");
  pop3_sasl_free(sasl);
  return 0;
}
