#define _GNU_SOURCE
#include "floor_scram.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEY = 32, NONCE = 18 };

static char bare[64];
static unsigned char expected[KEY];

static void hmac(const unsigned char *key, const char *text,
                 unsigned char out[KEY]) {
  HMAC(EVP_sha256(), key, KEY, (const unsigned char *)text, strlen(text), out,
       NULL);
}

static char *encode(const void *octets, size_t size, char *out) {
  return out + EVP_EncodeBlock((unsigned char *)out, octets, (int)size);
}

/* With a NUL; as many octets as there are, the padding not counted. */
static int decode(const char *coded, char *out) {
  size_t length = strlen(coded);
  int size = EVP_DecodeBlock((unsigned char *)out, (const unsigned char *)coded,
                             (int)length);
  while (length > 0 && coded[--length] == '=') size--;
  out[size < 0 ? 0 : size] = '\0';
  return size;
}

void floor_scram_first(char *out) {
  unsigned char octets[NONCE];
  char message[80] = "y,,";
  RAND_bytes(octets, NONCE);
  encode(octets, NONCE, stpcpy(bare, "n=u,r="));
  strcat(message, bare);
  out = stpcpy(out, "AUTH SCRAM-SHA-256 ");
  strcpy(encode(message, strlen(message), out), "\r\n");
}

/* RFC 5802 3: the proof; the signature that the server owes is kept. */
static void prove(const char *password, const char *salt, int iterations,
                  const char *message, unsigned char proof[KEY]) {
  unsigned char salted[KEY], client[KEY], stored[KEY], server[KEY];
  char raw[FLOOR_LINE];
  int size = decode(salt, raw);
  PKCS5_PBKDF2_HMAC(password, -1, (const unsigned char *)raw, size, iterations,
                    EVP_sha256(), KEY, salted);
  hmac(salted, "Client Key", client);
  EVP_Digest(client, KEY, stored, NULL, EVP_sha256(), NULL);
  hmac(stored, message, proof);
  for (int i = 0; i < KEY; i++) proof[i] ^= client[i];
  hmac(salted, "Server Key", server);
  hmac(server, message, expected);
}

void floor_scram_final(const char *challenge, char *out) {
  char first[FLOOR_LINE], nonce[FLOOR_LINE], salt[FLOOR_LINE];
  char plain[FLOOR_LINE * 2], all[FLOOR_LINE * 4];
  unsigned char proof[KEY];
  int iterations;
  decode(challenge, first);
  if (sscanf(first, "r=%511[^,],s=%511[^,],i=%d", nonce, salt, &iterations) !=
      3)
    exit(1);
  snprintf(plain, sizeof plain, "c=eSws,r=%s", nonce); /* "y,," */
  snprintf(all, sizeof all, "%s,%s,%s", bare, first, plain);
  prove("p", salt, iterations, all, proof);
  strcpy(encode(proof, KEY, stpcpy(stpcpy(all, plain), ",p=")), "");
  strcpy(encode(all, strlen(all), out), "\r\n");
}

bool floor_scram_check(const char *challenge) {
  char last[FLOOR_LINE], raw[FLOOR_LINE];
  return decode(challenge, last) > 2 && decode(last + 2, raw) == KEY &&
         memcmp(raw, expected, KEY) == 0;
}
