/*
 * tls_binding.c - see tls_internal.h: what a session is good for.
 *
 * The octets of a session do not say what its verification rested upon, so a
 * digest of that goes with it. Each field goes in with its length before it,
 * so that no two lists of fields make the same octets. What is added here
 * later parts new sessions from old ones, and does no harm.
 */
#define _GNU_SOURCE
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <string.h>
#include <sys/stat.h>

#include "tls_internal.h"

typedef struct digest {
  EVP_MD_CTX *state;
  bool good;
} digest;

static digest begin(void) {
  digest d = {EVP_MD_CTX_new(), false};
  d.good = d.state && EVP_DigestInit_ex(d.state, EVP_sha256(), NULL) == 1;
  return d;
}

static bool end(digest *d, unsigned char out[POP3_TLS_BOUND]) {
  bool good = d->good && EVP_DigestFinal_ex(d->state, out, NULL) == 1;
  EVP_MD_CTX_free(d->state);
  ERR_clear_error();
  return good;
}

static void add(digest *d, const void *octets, size_t size) {
  uint64_t length = size;
  d->good = d->good &&
            EVP_DigestUpdate(d->state, &length, sizeof length) == 1 &&
            (size == 0 || EVP_DigestUpdate(d->state, octets, size) == 1);
}

static void add_number(digest *d, int64_t number) {
  add(d, &number, sizeof number);
}

/* No text differs from an empty one. */
static void add_text(digest *d, const char *text) {
  if (text) add(d, text, strlen(text));
  else add_number(d, -1);
}

static void add_certificate(digest *d, const X509 *certificate) {
  unsigned char print[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (certificate && X509_digest(certificate, EVP_sha256(), print, &size) != 1)
    d->good = false;
  add(d, print, size);
}

static void add_list(digest *d, const X509_CRL *list) {
  unsigned char print[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (list && X509_CRL_digest(list, EVP_sha256(), print, &size) != 1)
    d->good = false;
  add(d, print, size);
}

/*
 * What a file gave is in the store by now, so that is what counts, not the
 * file's octets: nobody can exchange it between two readings of it.
 */
static void add_loaded(digest *d, const SSL_CTX *ssl) {
  const STACK_OF(X509_OBJECT) *trusted =
      X509_STORE_get0_objects(SSL_CTX_get_cert_store(ssl));
  add_number(d, sk_X509_OBJECT_num(trusted));
  for (int i = 0; i < sk_X509_OBJECT_num(trusted); i++) {
    X509_OBJECT *object = sk_X509_OBJECT_value(trusted, i);
    add_certificate(d, X509_OBJECT_get0_X509(object));
    add_list(d, X509_OBJECT_get0_X509_CRL(object));
  }
}

/*
 * A directory is not read before a certificate of it is needed, and a system's
 * holds hundreds. It counts by its path and by the time of its last change:
 * "openssl rehash" and the systems' tools make links anew whenever one comes,
 * goes or changes. One that is overwritten in its place goes unnoticed, for a
 * day at most.
 */
static void add_directory(digest *d, const char *path) {
  struct stat found;
  add_text(d, path);
  if (stat(path, &found) == 0) add_number(d, (int64_t)found.st_mtime);
}

static void add_directories(digest *d, const char *list) {
  char path[POP3_TLS_PATH_ROOM];
  while (pop3_tls_next_directory(&list, path)) add_directory(d, path);
}

static void add_trust(digest *d, const SSL_CTX *ssl,
                      const pop3_tls_options *options) {
  add_loaded(d, ssl);
  add_number(d, options->cafile != NULL);
  if (options->capath) add_directories(d, options->capath);
  else if (!options->cafile) add_directories(d, pop3_tls_system_directories());
}

static void add_protocol(digest *d, SSL_CTX *ssl,
                         const pop3_tls_options *options) {
  add_number(d, SSL_CTX_get_min_proto_version(ssl));
  add_number(d, SSL_CTX_get_max_proto_version(ssl));
  add_number(d, options->security_level);
  add_number(d, options->alpn);
  add_text(d, options->ciphers);
  add_text(d, options->ciphersuites);
  add_text(d, options->groups);
}

static void add_checks(digest *d, const pop3_tls_options *options) {
  add_text(d, options->pins);
  add_text(d, options->dane);
  add_text(d, options->dane_domain);
  add_number(d, options->ocsp);
  add_number(d, options->crlfile != NULL);
}

bool pop3_tls_bind_context(pop3_tls_context *context,
                           const pop3_tls_options *options) {
  if (!pop3_tls_may_resume(context)) return true;
  digest d = begin();
  add_number(&d, options->verify);
  add_number(&d, options->check_hostname);
  add_text(&d, options->servername);
  add_protocol(&d, context->ssl, options);
  add_trust(&d, context->ssl, options);
  add_checks(&d, options);
  add_certificate(&d, SSL_CTX_get0_certificate(context->ssl));
  /* what was told once must not open the octets of those who told nothing */
  add_number(&d, options->keylog != NULL);
  return end(&d, context->bound);
}

bool pop3_tls_bind(pop3_tls *tls, const pop3_tls_peer *peer) {
  digest d = begin();
  add(&d, tls->context->bound, sizeof tls->context->bound);
  add(&d, peer->host, peer->host_size);
  add_number(&d, peer->port);
  add_number(&d, peer->door);
  add_number(&d, tls->kind);
  add_text(&d, tls->name);
  add_text(&d, peer->tlsa);
  add_text(&d, peer->base);
  add_text(&d, peer->domain);
  return end(&d, tls->bound);
}
