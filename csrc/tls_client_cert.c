/*
 * tls_client_cert.c - see tls_internal.h: the client's own certificate and its
 * key, from files (PEM, PKCS#12), and by URI from whatever OpenSSL has a store
 * for: "file:", and by a provider "pkcs11:" (RFC 7512), say. What is in a file
 * is told by its octets, not by its name. Nobody is ever asked for a
 * passphrase.
 *
 * OpenSSL's store would read files as well, but up to 3.0 at least it does not
 * survive a lack of memory (it goes on with a decoder that is not there).
 */
#define _GNU_SOURCE
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/ssl.h>
#include <openssl/store.h>
#include <openssl/storeerr.h>
#include <openssl/ui.h>
#include <openssl/x509.h>
#include <string.h>

#include "platform.h"
#include "tls_internal.h"

/* A key and the longest chain that TLS lets pass need a fifth of it. */
#define MAX_FILE (1024 * 1024)

/* Objects of a store that are looked at. A token may have many, and a store
 * that fails at each would be read for ever. */
#define MAX_OBJECTS 1000

/* Octets of a path or a URI that an error shows. */
#define SHOWN 256

typedef struct source {
  const char *option; /* "certfile" or "keyfile" */
  const char *place;  /* a path or a URI */
  const char *keypass;
  bool asked;        /* OpenSSL wanted a passphrase */
  char shown[SHOWN]; /* the place for people: a URI's query may hold a PIN */
} source;

typedef struct identity {
  EVP_PKEY *key;
  STACK_OF(X509) * certificates; /* in the order in which they came */
} identity;

/* --- what failed --------------------------------------------------------- */

/* What OpenSSL's queue says, all of it: several readers had a look. */
typedef struct verdict {
  bool silent;
  bool memory;
  bool obsolete;      /* an algorithm that is not loaded by default any more */
  bool locked;        /* a PKCS#12 file, by another passphrase */
  bool no_store;      /* none is for this kind of URI */
  bool explained;     /* `reason` is a reader's */
  const char *reason; /* static, or the thread's */
} verdict;

/* The first reason counts, but that of a reader more than the store's. */
static void weigh(verdict *v, int lib, int code, const char *reason) {
  bool by_store = lib == ERR_LIB_OSSL_STORE;
  if (code == ERR_R_MALLOC_FAILURE) v->memory = true;
  if (lib == ERR_LIB_EVP && code == ERR_R_UNSUPPORTED) v->obsolete = true;
  if (lib == ERR_LIB_PKCS12 && code == PKCS12_R_MAC_VERIFY_FAILURE)
    v->locked = true;
  if (by_store && code == ERR_R_UNSUPPORTED) v->no_store = true;
  if (v->silent || (!v->explained && !by_store)) v->reason = reason;
  if (!by_store) v->explained = true;
  v->silent = false;
}

static verdict judge(void) {
  verdict v = {.silent = true, .reason = "for a reason that is not known"};
  while (ERR_peek_error() != 0) {
    const char *reason = pop3_tls_reason();
    unsigned long code = ERR_get_error();
    weigh(&v, ERR_GET_LIB(code), ERR_GET_REASON(code), reason);
  }
  return v;
}

/* It was read, and `missing` is not among what it holds. */
static pop3_error refuse(const source *s, const char *missing,
                         pop3_failure *failure) {
  verdict v = judge();
  if (v.memory) return pop3_fail(failure, POP3_E_MEMORY, NULL);
  bool locked = v.locked || (s->asked && (!v.silent || !s->keypass));
  if (locked && !s->keypass)
    return pop3_fail(failure, POP3_E_TLS_CONFIG,
                     "%s = \"%s\" is encrypted: it needs keypass, its "
                     "passphrase",
                     s->option, s->shown);
  if (v.obsolete)
    return pop3_fail(failure, POP3_E_TLS_CONFIG,
                     "%s = \"%s\" is encrypted in a way that OpenSSL has given "
                     "up (%s): write it anew (openssl pkcs12 -legacy -in OLD | "
                     "openssl pkcs12 -export -out NEW)",
                     s->option, s->shown, v.reason);
  if (locked)
    return pop3_fail(failure, POP3_E_TLS_CONFIG,
                     "%s = \"%s\" is not opened by this keypass (%s)",
                     s->option, s->shown, v.reason);
  return pop3_fail(failure, POP3_E_TLS_CONFIG,
                   "%s = \"%s\" cannot be used (no %s in it%s%s): it should be "
                   "PEM or PKCS#12, or a URI of one",
                   s->option, s->shown, missing, v.silent ? "" : "; ",
                   v.silent ? "" : v.reason);
}

static bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Octets of the scheme (RFC 3986 3.1), 0 for a path. One letter is a drive of
 * Windows's. */
static size_t scheme_size(const char *place) {
  static const char allowed[] =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.";
  size_t size = strspn(place, allowed);
  return is_letter(place[0]) && size > 1 && place[size] == ':' ? size : 0;
}

static pop3_error refuse_opening(const source *s, pop3_failure *failure) {
  verdict v = judge();
  int scheme = (int)scheme_size(s->place);
  if (v.memory) return pop3_fail(failure, POP3_E_MEMORY, NULL);
  if (v.no_store)
    return pop3_fail(failure, POP3_E_TLS_CONFIG,
                     "%s = \"%s\" cannot be used (%s): OpenSSL knows no "
                     "\"%.*s:\" here; activate the provider that does in its "
                     "configuration, or write \"./%s\" for a file of that name",
                     s->option, s->shown, v.reason, scheme, s->shown, s->shown);
  return pop3_fail(failure, POP3_E_TLS_CONFIG,
                   "%s = \"%s\" cannot be used (%s)", s->option, s->shown,
                   v.reason);
}

/* --- reading a store ----------------------------------------------------- */

/* Without keypass it gives an empty passphrase: of those who hear that there is
 * none some turn to the terminal themselves (pkcs11-provider). */
static int give_passphrase(char *out, int room, int writing, void *data) {
  source *s = data;
  size_t size = s->keypass ? strlen(s->keypass) : 0;
  (void)writing;
  s->asked = true;
  if (size > (size_t)room) return 0;
  if (size > 0) memcpy(out, s->keypass, size);
  return (int)size;
}

/* The first key counts, as it always did in a PEM file. false: MEMORY. */
static bool take(identity *found, const OSSL_STORE_INFO *info) {
  X509 *certificate;
  int type = OSSL_STORE_INFO_get_type(info);
  if (type == OSSL_STORE_INFO_PKEY && !found->key)
    found->key = OSSL_STORE_INFO_get1_PKEY(info);
  if (type != OSSL_STORE_INFO_CERT) return true;
  certificate = OSSL_STORE_INFO_get1_CERT(info);
  if (certificate && sk_X509_push(found->certificates, certificate) > 0)
    return true;
  X509_free(certificate);
  return false;
}

/* What cannot be read is passed over: something else may be what is wanted. */
static bool read_store(OSSL_STORE_CTX *store, identity *found) {
  bool good = true;
  for (int i = 0; good && i < MAX_OBJECTS && !OSSL_STORE_eof(store); i++) {
    OSSL_STORE_INFO *info = OSSL_STORE_load(store);
    if (info) good = take(found, info);
    OSSL_STORE_INFO_free(info);
  }
  (void)OSSL_STORE_close(store);
  return good;
}

/* Where a key is not wanted, the passphrase of one is neither. */
static pop3_error read_opened(const source *s, OSSL_STORE_CTX *store,
                              int expected, identity *found,
                              pop3_failure *failure) {
  if (!store) return refuse_opening(s, failure);
  if (expected != 0) (void)OSSL_STORE_expect(store, expected);
  if (read_store(store, found)) return POP3_E_OK;
  return pop3_fail(failure, POP3_E_MEMORY, NULL);
}

/* --- files --------------------------------------------------------------- */

typedef struct content {
  char *octets; /* with secrets: wiped when freed */
  size_t size;
} content;

static void forget(content *c) { OPENSSL_clear_free(c->octets, c->size); }

static int read_descriptor(int fd, content *c) {
  ptrdiff_t got = 0;
  c->octets = OPENSSL_malloc(MAX_FILE + 1);
  if (!c->octets) return ENOMEM;
  while (c->size <= MAX_FILE &&
         (got = pop3_os_read(fd, c->octets + c->size, MAX_FILE + 1 - c->size)) >
             0)
    c->size += (size_t)got;
  if (got < 0) return errno;
  return c->size > MAX_FILE ? EFBIG : 0;
}

/* errno's value. */
static int read_file(const char *path, content *c) {
  int fd = pop3_os_open(path);
  if (fd < 0) return errno;
  int system = read_descriptor(fd, c);
  (void)pop3_os_close(fd);
  return system;
}

/* --- PEM and PKCS#12 ----------------------------------------------------- */

/* false: one of them is broken, or MEMORY. */
static bool read_certificates(source *s, BIO *bio, identity *found) {
  X509 *x;
  while ((x = PEM_read_bio_X509_AUX(bio, NULL, give_passphrase, s)) != NULL) {
    if (sk_X509_push(found->certificates, x) > 0) continue;
    X509_free(x);
    return false;
  }
  /* at the end there is nothing that begins */
  if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
    return false;
  ERR_clear_error();
  return true;
}

static bool read_pem(source *s, int expected, const content *c,
                     identity *found) {
  BIO *bio = BIO_new_mem_buf(c->octets, (int)c->size);
  bool good = bio != NULL;
  if (good && expected != OSSL_STORE_INFO_PKEY)
    good = read_certificates(s, bio, found) && BIO_reset(bio) == 1;
  if (good && expected != OSSL_STORE_INFO_CERT)
    found->key = PEM_read_bio_PrivateKey(bio, NULL, give_passphrase, s);
  BIO_free(bio);
  return good;
}

/* All of it is behind one passphrase. NULL and "" are two, and the function
 * tries both. */
static bool open_pkcs12(const source *s, int expected, PKCS12 *file,
                        identity *found) {
  EVP_PKEY *key = NULL;
  X509 *own = NULL;
  STACK_OF(X509) *others = NULL;
  bool good = PKCS12_parse(file, s->keypass, &key, &own, &others) == 1;
  if (good && expected != OSSL_STORE_INFO_CERT) {
    found->key = key;
    key = NULL;
  }
  if (good && own && expected != OSSL_STORE_INFO_PKEY)
    good = X509_add_cert(found->certificates, own, X509_ADD_FLAG_UP_REF) == 1;
  if (good && expected != OSSL_STORE_INFO_PKEY)
    good = !others || X509_add_certs(found->certificates, others,
                                     X509_ADD_FLAG_UP_REF) == 1;
  EVP_PKEY_free(key);
  X509_free(own);
  sk_X509_pop_free(others, X509_free);
  return good;
}

/* DER begins with a byte that no PEM begins with, but a text before it may. */
static bool read_content(source *s, int expected, const content *c,
                         identity *found) {
  const unsigned char *at = (const unsigned char *)c->octets;
  PKCS12 *file = d2i_PKCS12(NULL, &at, (long)c->size);
  if (!file) {
    if (ERR_GET_REASON(ERR_peek_last_error()) != ERR_R_MALLOC_FAILURE)
      ERR_clear_error();
    return read_pem(s, expected, c, found);
  }
  bool good = open_pkcs12(s, expected, file, found);
  PKCS12_free(file);
  return good;
}

static pop3_error refuse_file(const source *s, int system,
                              pop3_failure *failure) {
  if (system == ENOMEM) return pop3_fail(failure, POP3_E_MEMORY, NULL);
  return pop3_fail(failure, POP3_E_TLS_CONFIG,
                   "%s = \"%s\" cannot be used (%s): it should be a file in "
                   "PEM or PKCS#12, or a URI of one",
                   s->option, s->shown, pop3_os_text(system));
}

static pop3_error read_path(source *s, int expected, identity *found,
                            pop3_failure *failure) {
  content c = {NULL, 0};
  int system = read_file(s->place, &c);
  bool good = system == 0 && read_content(s, expected, &c, found);
  forget(&c);
  if (system != 0) return refuse_file(s, system, failure);
  return good ? POP3_E_OK : refuse(s, "certificate", failure);
}

/* --- putting it together -------------------------------------------------- */

static pop3_error read_uri(source *s, int expected, identity *found,
                           pop3_failure *failure) {
  UI_METHOD *ui = UI_UTIL_wrap_read_pem_callback(give_passphrase, 0);
  if (!ui) return pop3_fail(failure, POP3_E_MEMORY, NULL);
  OSSL_STORE_CTX *store =
      OSSL_STORE_open_ex(s->place, NULL, NULL, ui, s, NULL, NULL, NULL);
  pop3_error error = read_opened(s, store, expected, found, failure);
  UI_destroy_method(ui);
  return error;
}

static pop3_error read_source(source *s, int expected, identity *found,
                              pop3_failure *failure) {
  pop3_error error = scheme_size(s->place) > 0
                         ? read_uri(s, expected, found, failure)
                         : read_path(s, expected, found, failure);
  if (error != POP3_E_OK) return error;
  if (expected != OSSL_STORE_INFO_PKEY && sk_X509_num(found->certificates) == 0)
    return refuse(s, "certificate", failure);
  if (expected != OSSL_STORE_INFO_CERT && !found->key)
    return refuse(s, "private key", failure);
  ERR_clear_error();
  return POP3_E_OK;
}

/* The key's certificate leaves the others, which are its chain. NULL: none. */
static X509 *take_leaf(identity *found) {
  X509 *leaf = NULL;
  int count = sk_X509_num(found->certificates);
  for (int i = 0; !leaf && i < count; i++)
    if (X509_check_private_key(sk_X509_value(found->certificates, i),
                               found->key) == 1)
      leaf = sk_X509_delete(found->certificates, i);
  return leaf;
}

static pop3_error use(SSL_CTX *ssl, const source *certificate,
                      const source *key, identity *found,
                      pop3_failure *failure) {
  X509 *leaf = take_leaf(found);
  bool alone = sk_X509_num(found->certificates) == 0;
  bool used = leaf && SSL_CTX_use_cert_and_key(
                          ssl, leaf, found->key,
                          alone ? NULL : found->certificates, 1) == 1;
  bool mismatch = !leaf;
  X509_free(leaf);
  if (used) return POP3_E_OK;
  verdict v = judge();
  if (v.memory) return pop3_fail(failure, POP3_E_MEMORY, NULL);
  if (mismatch)
    return pop3_fail(failure, POP3_E_TLS_CONFIG,
                     "the key in \"%s\" does not belong to the certificate in "
                     "\"%s\"",
                     key->place[0] ? key->shown : certificate->shown,
                     certificate->shown);
  return pop3_fail(failure, POP3_E_TLS_CONFIG,
                   "certfile = \"%s\" cannot be used (%s)", certificate->shown,
                   v.reason);
}

static source make_source(const char *option, const char *place,
                          const pop3_tls_options *options) {
  source s = {option, place ? place : "", options->keypass, false, ""};
  size_t size = strlen(s.place);
  if (scheme_size(s.place) > 0) size = strcspn(s.place, "?");
  if (size >= sizeof s.shown) size = sizeof s.shown - 1;
  memcpy(s.shown, s.place, size);
  return s;
}

static pop3_error load(SSL_CTX *ssl, const pop3_tls_options *options,
                       identity *found, pop3_failure *failure) {
  source certificate = make_source("certfile", options->certfile, options);
  source key = make_source("keyfile", options->keyfile, options);
  int expected = options->keyfile ? OSSL_STORE_INFO_CERT : 0;
  pop3_error error = read_source(&certificate, expected, found, failure);
  if (error == POP3_E_OK && options->keyfile)
    error = read_source(&key, OSSL_STORE_INFO_PKEY, found, failure);
  if (error != POP3_E_OK) return error;
  return use(ssl, &certificate, &key, found, failure);
}

pop3_error pop3_tls_load_identity(SSL_CTX *ssl, const pop3_tls_options *options,
                                  pop3_failure *failure) {
  identity found = {NULL, NULL};
  if (options->keyfile && !options->certfile)
    return pop3_fail(failure, POP3_E_TLS_CONFIG,
                     "keyfile needs certfile: a key is no use without its "
                     "certificate");
  if (!options->certfile) return POP3_E_OK;
  found.certificates = sk_X509_new_null();
  if (!found.certificates) return pop3_fail(failure, POP3_E_MEMORY, NULL);
  pop3_error error = load(ssl, options, &found, failure);
  sk_X509_pop_free(found.certificates, X509_free);
  EVP_PKEY_free(found.key);
  ERR_clear_error();
  return error;
}
