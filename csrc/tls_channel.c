/* tls_channel.c - see tls.h: what a login is bound to. */
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "tls_internal.h"

#define EXPORTER_SIZE 32

/* RFC 9266 4.1: no context, which in TLS 1.3 is the same as an empty one. */
static bool exporter(SSL *ssl, unsigned char *octets, size_t *size) {
  static const char label[] = "EXPORTER-Channel-Binding";
  *size = EXPORTER_SIZE;
  return SSL_export_keying_material(ssl, octets, *size, label, sizeof label - 1,
                                    NULL, 0, 0) == 1;
}

/* The first Finished of the handshake: ours, but the server's when an earlier
 * session was resumed (RFC 5929 3.1). */
static bool finished(SSL *ssl, unsigned char *octets, size_t *size) {
  if (SSL_get_extms_support(ssl) != 1) return false;
  *size = SSL_session_reused(ssl)
              ? SSL_get_peer_finished(ssl, octets, POP3_TLS_BINDING)
              : SSL_get_finished(ssl, octets, POP3_TLS_BINDING);
  return *size > 0 && *size <= POP3_TLS_BINDING;
}

/* The digest of the certificate's signature, but SHA-256 in place of MD5 and
 * SHA-1; a signature without one digest (Ed25519) has no such binding. */
static const EVP_MD *digest_of(X509 *certificate) {
  int digest = NID_undef;
  if (X509_get_signature_info(certificate, &digest, NULL, NULL, NULL) != 1)
    return NULL;
  if (digest == NID_md5 || digest == NID_sha1) return EVP_sha256();
  return digest == NID_undef ? NULL : EVP_get_digestbynid(digest);
}

static bool end_point(SSL *ssl, unsigned char *octets, size_t *size) {
  unsigned length = 0;
  X509 *certificate = SSL_get0_peer_certificate(ssl);
  const EVP_MD *digest = certificate ? digest_of(certificate) : NULL;
  if (!digest || EVP_MD_get_size(digest) > POP3_TLS_BINDING) return false;
  if (X509_digest(certificate, digest, octets, &length) != 1) return false;
  *size = length;
  return true;
}

/* In the order of preference. */
static const struct {
  const char *type;
  bool tls13;
  bool (*take)(SSL *ssl, unsigned char *octets, size_t *size);
} bindings[] = {
    {"tls-exporter", true, exporter},
    {"tls-unique", false, finished},
    {"tls-server-end-point", false, end_point},
};

pop3_error pop3_tls_channel_binding(pop3_tls *tls,
                                    unsigned char octets[POP3_TLS_BINDING],
                                    size_t *size, const char **type) {
  pop3_error error = POP3_E_UNSUPPORTED;
  bool tls13 = SSL_version(tls->ssl) >= TLS1_3_VERSION;
  if (!tls->secure) return error;
  for (size_t i = 0; error && i < sizeof bindings / sizeof *bindings; i++) {
    if (bindings[i].tls13 != tls13) continue;
    if (!bindings[i].take(tls->ssl, octets, size)) continue;
    *type = bindings[i].type;
    error = POP3_E_OK;
  }
  ERR_clear_error();
  return error;
}
