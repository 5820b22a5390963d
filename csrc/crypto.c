/* crypto.c - see crypto.h. */
#include "crypto.h"

#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <string.h>

#include "memory.h"

#define MD5_SIZE 16

/* OpenSSL counts in int: encode and decode in pieces that are whole groups. */
#define PLAIN_PIECE 49152
#define CODED_PIECE (PLAIN_PIECE / 3 * 4)

static bool digest_two(EVP_MD_CTX *context, const EVP_MD *md, const char *a,
                       size_t a_size, const char *b, size_t b_size,
                       unsigned char *out) {
  return EVP_DigestInit_ex(context, md, NULL) == 1 &&
         EVP_DigestUpdate(context, a, a_size) == 1 &&
         EVP_DigestUpdate(context, b, b_size) == 1 &&
         EVP_DigestFinal_ex(context, out, NULL) == 1;
}

void pop3_hex(const void *octets, size_t size, char *out) {
  static const char digits[] = "0123456789abcdef";
  const unsigned char *in = octets;
  for (size_t i = 0; i < size; i++) {
    *out++ = digits[in[i] >> 4];
    *out++ = digits[in[i] & 15];
  }
  *out = '\0';
}

pop3_error pop3_apop_digest(const char *timestamp, size_t timestamp_size,
                            const char *secret, size_t secret_size,
                            char digest[33]) {
  unsigned char octets[MD5_SIZE];
  EVP_MD *md = EVP_MD_fetch(NULL, "MD5", NULL);
  EVP_MD_CTX *context = md ? EVP_MD_CTX_new() : NULL;
  bool made = context && digest_two(context, md, timestamp, timestamp_size,
                                    secret, secret_size, octets);
  if (made) pop3_hex(octets, sizeof octets, digest);
  pop3_wipe(octets, sizeof octets);
  EVP_MD_CTX_free(context);
  EVP_MD_free(md);
  ERR_clear_error();
  if (!md) return POP3_E_UNSUPPORTED;
  return made ? POP3_E_OK : POP3_E_MEMORY;
}

bool pop3_random(void *octets, size_t size) {
  bool good = size <= INT_MAX && RAND_bytes(octets, (int)size) == 1;
  ERR_clear_error();
  return good;
}

static bool has_length(const EVP_MD *md) {
  return EVP_MD_get_size(md) > 0 && !(EVP_MD_get_flags(md) & EVP_MD_FLAG_XOF);
}

pop3_error pop3_digest_new(const char *name, pop3_digest **digest,
                           pop3_failure *failure) {
  EVP_MD *md = EVP_MD_fetch(NULL, name, NULL);
  bool known = md && has_length(md);
  EVP_MD_CTX *context = known ? EVP_MD_CTX_new() : NULL;
  bool made = context && EVP_DigestInit_ex(context, md, NULL) == 1;
  EVP_MD_free(md); /* the context has its own reference */
  ERR_clear_error();
  if (!known)
    return pop3_fail(failure, POP3_E_ARGUMENT,
                     "OpenSSL offers no digest \"%.64s\" here; \"sha256\" is "
                     "one that it does",
                     name);
  if (!made) {
    EVP_MD_CTX_free(context);
    return pop3_fail(failure, POP3_E_MEMORY, NULL);
  }
  *digest = context;
  return POP3_E_OK;
}

pop3_error pop3_digest_update(pop3_digest *digest, const void *octets,
                              size_t size) {
  if (EVP_DigestUpdate(digest, octets, size) == 1) return POP3_E_OK;
  ERR_clear_error();
  return POP3_E_MEMORY;
}

pop3_error pop3_digest_finish(pop3_digest *digest, char hex[POP3_DIGEST_HEX],
                              size_t *length) {
  unsigned char octets[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (EVP_DigestFinal_ex(digest, octets, &size) != 1) {
    ERR_clear_error();
    return POP3_E_MEMORY;
  }
  pop3_hex(octets, size, hex);
  *length = (size_t)size * 2;
  return POP3_E_OK;
}

void pop3_digest_free(pop3_digest *digest) { EVP_MD_CTX_free(digest); }

bool pop3_hash_is_known(const char *name) {
  EVP_MD *md = EVP_MD_fetch(NULL, name, NULL);
  bool known = md && has_length(md);
  EVP_MD_free(md);
  ERR_clear_error();
  return known;
}

static pop3_error verdict(const EVP_MD *md, bool made) {
  ERR_clear_error();
  if (!md) return POP3_E_UNSUPPORTED;
  return made ? POP3_E_OK : POP3_E_MEMORY;
}

pop3_error pop3_hash(const char *name, const void *octets, size_t size,
                     unsigned char hash[POP3_HASH_MAX], size_t *length) {
  unsigned got = 0;
  EVP_MD *md = EVP_MD_fetch(NULL, name, NULL);
  bool made = md && EVP_Digest(octets, size, hash, &got, md, NULL) == 1;
  pop3_error error = verdict(md, made);
  EVP_MD_free(md);
  if (!error) *length = got;
  return error;
}

pop3_error pop3_hmac(const char *name, const void *key, size_t key_size,
                     const void *octets, size_t size,
                     unsigned char hash[POP3_HASH_MAX], size_t *length) {
  unsigned got = 0;
  EVP_MD *md = EVP_MD_fetch(NULL, name, NULL);
  /* OpenSSL takes no key at all for "the one of before" */
  bool made = md && key_size <= INT_MAX &&
              HMAC(md, key_size > 0 ? key : "", (int)key_size, octets, size,
                   hash, &got) != NULL;
  pop3_error error = verdict(md, made);
  EVP_MD_free(md);
  if (!error) *length = got;
  return error;
}

bool pop3_equal(const void *a, const void *b, size_t size) {
  return CRYPTO_memcmp(a, b, size) == 0;
}

size_t pop3_base64_encode(const void *octets, size_t size, char *out) {
  const unsigned char *in = octets;
  unsigned char *to = (unsigned char *)out;
  out[0] = '\0';
  while (size > 0) {
    size_t piece = size < PLAIN_PIECE ? size : PLAIN_PIECE;
    to += EVP_EncodeBlock(to, in, (int)piece);
    in += piece;
    size -= piece;
  }
  return (size_t)((char *)to - out);
}

/* OpenSSL's decoder skips blanks and takes "=" anywhere, which would let two
 * parties read one text differently: so what it sees is checked first. */
static bool is_base64(const char *text, size_t size, size_t *padding) {
  static const char alphabet[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  size_t pad = 0;
  if (size % 4 != 0) return false;
  while (pad < 2 && pad < size && text[size - 1 - pad] == '=') pad++;
  for (size_t i = 0; i < size - pad; i++)
    if (!memchr(alphabet, text[i], sizeof alphabet - 1)) return false;
  *padding = pad;
  return true;
}

pop3_error pop3_base64_decode(const char *text, size_t size, void *out,
                              size_t *got) {
  const unsigned char *in = (const unsigned char *)text;
  unsigned char *to = out;
  size_t padding, left = size;
  if (!is_base64(text, size, &padding)) return POP3_E_MALFORMED;
  while (left > 0) {
    size_t piece = left < CODED_PIECE ? left : CODED_PIECE;
    int written = EVP_DecodeBlock(to, in, (int)piece);
    if (written < 0) return POP3_E_MALFORMED;
    to += written;
    in += piece;
    left -= piece;
  }
  *got = size / 4 * 3 - padding;
  return POP3_E_OK;
}
