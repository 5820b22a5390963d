/* tls_pins.c - see tls_checks.h: keys that the caller knows. */
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <string.h>

#include "crypto.h"
#include "escape.h"
#include "tls_internal.h"

#define PREFIX_SIZE (sizeof POP3_PIN_PREFIX - 1)
#define BASE64_SIZE 44 /* of 32 octets */

/* --- reading ------------------------------------------------------------- */

static size_t count_pins(const char *text) {
  size_t count = 1;
  for (; *text; text++) count += *text == ';';
  return count;
}

static bool read_pin(const char *pin, size_t size,
                     unsigned char out[POP3_PIN_OCTETS]) {
  unsigned char octets[BASE64_SIZE / 4 * 3];
  char again[BASE64_SIZE + 1];
  size_t got;
  if (size != PREFIX_SIZE + BASE64_SIZE ||
      memcmp(pin, POP3_PIN_PREFIX, PREFIX_SIZE) != 0)
    return false;
  pin += PREFIX_SIZE;
  if (pop3_base64_decode(pin, BASE64_SIZE, octets, &got) != POP3_E_OK ||
      got != POP3_PIN_OCTETS)
    return false;
  /* two bits of the last character mean nothing: one text for one pin */
  (void)pop3_base64_encode(octets, got, again);
  if (memcmp(again, pin, BASE64_SIZE) != 0) return false;
  memcpy(out, octets, POP3_PIN_OCTETS);
  return true;
}

static pop3_error refuse_pin(const char *pin, size_t size,
                             pop3_failure *failure) {
  char shown[120];
  (void)pop3_escape(pin, size, shown, sizeof shown);
  return pop3_fail(failure, POP3_E_TLS_CONFIG,
                   "pins: \"%s\" is not a pin: one is \"" POP3_PIN_PREFIX
                   "\" and the 44 characters of a key's SHA-256 in base64",
                   shown);
}

pop3_error pop3_pins_read(const char *text, pop3_pins *pins,
                          pop3_failure *failure) {
  size_t most = count_pins(text), count = 0;
  unsigned char(*digests)[POP3_PIN_OCTETS] =
      OPENSSL_zalloc(most * sizeof *digests);
  ERR_clear_error();
  if (!digests) return pop3_fail(failure, POP3_E_MEMORY, NULL);
  for (; count < most; count++) {
    text += strspn(text, " \t\r\n");
    size_t length = strcspn(text, ";"), size = length;
    while (size > 0 && strchr(" \t\r\n", text[size - 1])) size--;
    if (!read_pin(text, size, digests[count])) {
      OPENSSL_free(digests);
      return refuse_pin(text, size, failure);
    }
    text += length + 1;
  }
  *pins = (pop3_pins){count, digests};
  return POP3_E_OK;
}

void pop3_pins_free(pop3_pins *pins) {
  OPENSSL_free(pins->digests);
  *pins = (pop3_pins){0, NULL};
}

/* --- matching ------------------------------------------------------------ */

static bool digest_key(const X509 *certificate,
                       unsigned char out[POP3_PIN_OCTETS]) {
  unsigned char *key = NULL;
  int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &key);
  bool good = size > 0 &&
              EVP_Digest(key, (size_t)size, out, NULL, EVP_sha256(), NULL) == 1;
  OPENSSL_free(key);
  return good;
}

bool pop3_pins_match(const pop3_pins *pins, const X509 *certificate) {
  unsigned char digest[POP3_PIN_OCTETS];
  if (!digest_key(certificate, digest)) return false;
  for (size_t i = 0; i < pins->count; i++)
    if (memcmp(pins->digests[i], digest, sizeof digest) == 0) return true;
  return false;
}

const char *pop3_pin_show(const X509 *certificate, char out[POP3_PIN_TEXT]) {
  unsigned char digest[POP3_PIN_OCTETS];
  out[0] = '\0';
  if (!digest_key(certificate, digest)) return out;
  memcpy(out, POP3_PIN_PREFIX, PREFIX_SIZE);
  (void)pop3_base64_encode(digest, sizeof digest, out + PREFIX_SIZE);
  return out;
}

/* --- checking ------------------------------------------------------------ */

static bool is_pinned(const pop3_pins *pins, const STACK_OF(X509) * chain) {
  for (int i = 0; i < sk_X509_num(chain); i++)
    if (pop3_pins_match(pins, sk_X509_value(chain, i))) return true;
  return false;
}

static pop3_error refuse_keys(const pop3_checks *checks,
                              const X509 *certificate, pop3_failure *failure) {
  char pin[POP3_PIN_TEXT];
  return pop3_fail(failure, POP3_E_PIN,
                   "%s is pinned; the server's key is \"%s\" now: if the "
                   "administrator says that it was changed, put that into "
                   "pins, else do not trust this connection",
                   checks->key_only ? "another key than the server's"
                                    : "no key of the server's chain",
                   pop3_pin_show(certificate, pin));
}

/* In place of OpenSSL's own verification: where it is done, and the chain is
 * known, the keys are looked at as well; or nothing but the server's key. */
static int verify(X509_STORE_CTX *store, void *unused) {
  const SSL *ssl =
      X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
  pop3_tls *tls = ssl ? SSL_get_app_data(ssl) : NULL;
  const X509 *certificate = X509_STORE_CTX_get0_cert(store);
  (void)unused;
  if (!tls || !certificate) return 0;
  const pop3_checks *checks = &tls->context->checks;
  if (!checks->key_only && X509_verify_cert(store) <= 0) return 0;
  if (checks->key_only
          ? pop3_pins_match(&checks->pins, certificate)
          : is_pinned(&checks->pins, X509_STORE_CTX_get0_chain(store)))
    return 1;
  X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
  if (tls->checked.failure)
    tls->checked.refusal =
        refuse_keys(checks, certificate, tls->checked.failure);
  return 0;
}

void pop3_pins_prepare(SSL_CTX *ssl) {
  SSL_CTX_set_cert_verify_callback(ssl, verify, NULL);
}

/* A session has no chain. It exists because one was pinned, by the very pins
 * that it is bound to; where the server's own key has to be, it is here. */
pop3_error pop3_pins_check(const pop3_tls *tls, const X509 *certificate,
                           pop3_failure *failure) {
  const pop3_checks *checks = &tls->context->checks;
  bool resumed = SSL_session_reused(tls->ssl) == 1;
  bool good = pop3_pins_match(&checks->pins, certificate);
  if (!good && !checks->key_only)
    good =
        resumed || is_pinned(&checks->pins, SSL_get0_verified_chain(tls->ssl));
  return good ? POP3_E_OK : refuse_keys(checks, certificate, failure);
}
