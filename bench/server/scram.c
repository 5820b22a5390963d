#include "scram.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { KEY = 32, SALT = 16, LONGEST = SCRAM_REPLY / 4 * 3 };

static const char salt[SALT + 1] = "of sixteen bytes";

static struct {
  unsigned iterations;
  unsigned char stored[KEY], server[KEY];
} keys;

static const char no[] = "-ERR no\r\n";
static char reply[SCRAM_REPLY * 2];

/* ------------------------------------------------------------ octets */

static void hmac(const unsigned char *key, const char *text,
                 unsigned char out[KEY]) {
  if (HMAC(EVP_sha256(), key, KEY, (const unsigned char *)text, strlen(text),
           out, NULL) == NULL)
    abort();
}

void scram_prepare(unsigned iterations) {
  unsigned char salted[KEY], client[KEY];
  keys.iterations = iterations;
  if (PKCS5_PBKDF2_HMAC("p", 1, (const unsigned char *)salt, SALT,
                        (int)iterations, EVP_sha256(), KEY, salted) != 1)
    abort();
  hmac(salted, "Client Key", client);
  hmac(salted, "Server Key", keys.server);
  EVP_Digest(client, KEY, keys.stored, NULL, EVP_sha256(), NULL);
}

static void encode(const void *octets, size_t size, char *out) {
  EVP_EncodeBlock((unsigned char *)out, octets, (int)size);
}

/* Base64 as text with a NUL, at most LONGEST octets; false: it is none. */
static bool decode(const char *coded, char *out, size_t *size) {
  size_t length = strlen(coded);
  if (length == 0 || length % 4 != 0 || length >= SCRAM_REPLY) return false;
  int got = EVP_DecodeBlock((unsigned char *)out, (const unsigned char *)coded,
                            (int)length);
  if (got < 0) return false;
  *size = (size_t)got - (coded[length - 1] == '=') - (coded[length - 2] == '=');
  out[*size] = '\0';
  return true;
}

/* ------------------------------------------------------------ messages */

static const char *end(scram *s, const char *text) {
  s->step = SCRAM_IDLE;
  return text;
}

static const char *challenge(scram *s, scram_step step, const char *text) {
  char coded[SCRAM_REPLY * 4 / 3 + 4];
  encode(text, strlen(text), coded);
  snprintf(reply, sizeof reply, "+ %s\r\n", coded);
  s->step = step;
  return reply;
}

static const char *take_plain(scram *s, const char *line) {
  char message[LONGEST + 1];
  size_t size;
  bool good = decode(line, message, &size) && size == 4 &&
              memcmp(message, "\0u\0p", 4) == 0;
  return end(s, good ? "+OK\r\n" : no);
}

/* "y,,n=u,r=NONCE". A nonce that repeats is no danger to a benchmark. */
static const char *take_first(scram *s, const char *line) {
  char message[LONGEST + 1], coded[SALT * 2];
  size_t size;
  if (!decode(line, message, &size) || size > SCRAM_REPLY / 2 ||
      strchr("yn", message[0]) == NULL || strncmp(message + 1, ",,n=u,r=", 8))
    return end(s, no);
  snprintf(s->bare, sizeof s->bare, "%s", message + 3);
  encode(salt, SALT, coded);
  snprintf(s->first, sizeof s->first, "%s0123456789abcdef,s=%s,i=%u",
           strstr(s->bare, "r="), coded, keys.iterations);
  return challenge(s, SCRAM_FIRST, s->first);
}

/* RFC 5802 3: does the proof, taken off its signature, give the client's key? */
static bool is_proven(const char *message, const char *coded) {
  char proof[LONGEST + 1];
  unsigned char signature[KEY], stored[KEY];
  size_t size;
  if (!decode(coded, proof, &size) || size != KEY) return false;
  hmac(keys.stored, message, signature);
  for (size_t i = 0; i < KEY; i++) signature[i] ^= (unsigned char)proof[i];
  EVP_Digest(signature, KEY, stored, NULL, EVP_sha256(), NULL);
  return CRYPTO_memcmp(stored, keys.stored, KEY) == 0;
}

/* "c=eSws,r=NONCE,p=PROOF" */
static const char *take_final(scram *s, const char *line) {
  char message[LONGEST + 1], all[SCRAM_REPLY * 3], text[KEY * 2] = "v=";
  unsigned char signature[KEY];
  size_t size;
  char *proof = decode(line, message, &size) ? strstr(message, ",p=") : NULL;
  if (proof == NULL) return end(s, no);
  *proof = '\0';
  snprintf(all, sizeof all, "%s,%s,%s", s->bare, s->first, message);
  if (!is_proven(all, proof + 3)) return end(s, no);
  hmac(keys.server, all, signature);
  encode(signature, KEY, text + 2);
  return challenge(s, SCRAM_FINAL, text);
}

/* ------------------------------------------------------------ lines */

const char *scram_begin(scram *s, char *arguments) {
  size_t word = strcspn(arguments, " ");
  char *first = arguments + word;
  if (*first == ' ') *first++ = '\0';
  s->plain = strcasecmp(arguments, "PLAIN") == 0;
  if (!s->plain && strcasecmp(arguments, "SCRAM-SHA-256") != 0) return no;
  s->step = SCRAM_NAMED;
  return *first == '\0' ? "+ \r\n" : scram_continue(s, first);
}

const char *scram_continue(scram *s, char *line) {
  if (s->step == SCRAM_FINAL) return end(s, *line == '\0' ? "+OK\r\n" : no);
  if (s->step == SCRAM_FIRST) return take_final(s, line);
  return s->plain ? take_plain(s, line) : take_first(s, line);
}
