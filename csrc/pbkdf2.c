/* pbkdf2.c - see pbkdf2.h. */
#include "pbkdf2.h"

#include <assert.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <string.h>

struct pop3_pbkdf2 {
  pop3_allocator allocator;
  EVP_MAC_CTX *mac; /* keyed with the password */
  unsigned left;
  size_t size;
  unsigned char last[POP3_HASH_MAX]; /* U of the last iteration */
  unsigned char key[POP3_HASH_MAX];  /* all of them, exclusive or */
};

static EVP_MAC_CTX *keyed(const char *digest, pop3_span password) {
  char name[32];
  EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
  EVP_MAC_CTX *mac = hmac ? EVP_MAC_CTX_new(hmac) : NULL;
  EVP_MAC_free(hmac); /* the context has its own reference */
  size_t size = strlen(digest) + 1;
  assert(size <= sizeof name);
  memcpy(name, digest, size); /* the parameter is not const */
  OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0),
      OSSL_PARAM_construct_end(),
  };
  const char *key = password.size > 0 ? password.data : "";
  if (mac && EVP_MAC_init(mac, (const unsigned char *)key, password.size,
                          parameters) == 1)
    return mac;
  EVP_MAC_CTX_free(mac);
  return NULL;
}

/* U1 is the MAC of salt and the block's number, which is 1. */
static bool first(pop3_pbkdf2 *p, pop3_span salt) {
  static const unsigned char number[] = {0, 0, 0, 1};
  const unsigned char *octets = (const unsigned char *)salt.data;
  if (salt.size > 0 && EVP_MAC_update(p->mac, octets, salt.size) != 1)
    return false;
  if (EVP_MAC_update(p->mac, number, sizeof number) != 1 ||
      EVP_MAC_final(p->mac, p->last, &p->size, sizeof p->last) != 1)
    return false;
  memcpy(p->key, p->last, p->size);
  return true;
}

static bool next(pop3_pbkdf2 *p) {
  size_t size;
  if (EVP_MAC_init(p->mac, NULL, 0, NULL) != 1 ||
      EVP_MAC_update(p->mac, p->last, p->size) != 1 ||
      EVP_MAC_final(p->mac, p->last, &size, sizeof p->last) != 1)
    return false;
  for (size_t i = 0; i < p->size; i++) p->key[i] ^= p->last[i];
  return true;
}

pop3_error pop3_pbkdf2_new(const pop3_allocator *allocator, const char *digest,
                           pop3_span password, pop3_span salt,
                           unsigned iterations, pop3_pbkdf2 **pbkdf2) {
  if (!pop3_hash_is_known(digest)) return POP3_E_UNSUPPORTED;
  pop3_pbkdf2 *p = pop3_allocate(allocator, sizeof *p);
  if (!p) return POP3_E_MEMORY;
  memset(p, 0, sizeof *p);
  p->allocator = *allocator;
  p->left = iterations - 1;
  p->mac = keyed(digest, password);
  if (!p->mac || !first(p, salt)) {
    ERR_clear_error();
    pop3_pbkdf2_free(p);
    return POP3_E_MEMORY;
  }
  *pbkdf2 = p;
  return POP3_E_OK;
}

pop3_error pop3_pbkdf2_work(pop3_pbkdf2 *p, unsigned count) {
  for (; p->left > 0 && count > 0; count--, p->left--) {
    if (next(p)) continue;
    ERR_clear_error();
    return POP3_E_MEMORY;
  }
  return p->left > 0 ? POP3_E_AGAIN : POP3_E_OK;
}

const unsigned char *pop3_pbkdf2_key(const pop3_pbkdf2 *p, size_t *size) {
  assert(p->left == 0);
  *size = p->size;
  return p->key;
}

void pop3_pbkdf2_free(pop3_pbkdf2 *p) {
  if (!p) return;
  pop3_allocator allocator = p->allocator;
  EVP_MAC_CTX_free(p->mac);
  pop3_wipe(p, sizeof *p);
  pop3_release(&allocator, p, sizeof *p);
}
