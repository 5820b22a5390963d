/* tls_context.c - see tls.h: options made ready, trust loaded. */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "platform.h"
#include "tls_internal.h"

/* The certificates of one handshake; OpenSSL's own default, made explicit
 * because it is what bounds a chain or a name list without end. */
#define MAX_CHAIN_OCTETS (100 * 1024)

void pop3_tls_options_init(pop3_tls_options *options) {
  memset(options, 0, sizeof *options);
  options->verify = true;
  options->check_hostname = true;
  options->security_level = 2;
  options->alpn = true;
  options->resume = true;
}

/* Within a major version everything stays, newer ones add. */
static bool serves(unsigned loaded, unsigned built) { return loaded >= built; }

pop3_error pop3_tls_check_library(pop3_failure *failure) {
  if (OPENSSL_version_major() == OPENSSL_VERSION_MAJOR &&
      serves(OPENSSL_version_minor(), OPENSSL_VERSION_MINOR))
    return POP3_E_OK;
  return pop3_fail(failure, POP3_E_TLS_CONFIG,
                   "built for OpenSSL %s, loaded %s: build this module again, "
                   "or let the loader find the other library",
                   OPENSSL_VERSION_STR,
                   OpenSSL_version(OPENSSL_VERSION_STRING));
}

/* OpenSSL's macros and callbacks take what they only read as char *. */
static char *unconst(const char *text) {
  union {
    const char *from;
    char *to;
  } pointer = {text};
  return pointer.to;
}

/* --- protocol ------------------------------------------------------------ */

static const struct version {
  const char *name;
  int number;
} versions[] = {
    {"1.0", TLS1_VERSION},
    {"1.1", TLS1_1_VERSION},
    {"1.2", TLS1_2_VERSION},
    {"1.3", TLS1_3_VERSION},
};

/* -1 for a name that is none. */
static int version_number(const char *name, int missing) {
  if (!name) return missing;
  for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++)
    if (strcmp(versions[i].name, name) == 0) return versions[i].number;
  return -1;
}

static pop3_error bad_version(pop3_failure *failure, const char *option,
                              const char *value) {
  return pop3_fail(failure, POP3_E_TLS_CONFIG,
                   "%s = \"%s\" is not a version of TLS: use \"1.2\" or "
                   "\"1.3\" (\"1.0\" and \"1.1\" are broken)",
                   option, value);
}

static pop3_error set_versions(SSL_CTX *ssl, const pop3_tls_options *options,
                               pop3_failure *failure) {
  int min = version_number(options->min_version, TLS1_2_VERSION);
  int max = version_number(options->max_version, 0);
  if (min < 0) return bad_version(failure, "min_version", options->min_version);
  if (max < 0) return bad_version(failure, "max_version", options->max_version);
  if (max != 0 && max < min)
    return pop3_fail(failure, POP3_E_TLS_CONFIG,
                     "max_version = \"%s\" is below min_version = \"%s\"",
                     options->max_version,
                     options->min_version ? options->min_version : "1.2");
  if (SSL_CTX_set_min_proto_version(ssl, min) == 1 &&
      SSL_CTX_set_max_proto_version(ssl, max) == 1)
    return POP3_E_OK;
  return pop3_tls_fail(failure, POP3_E_TLS_CONFIG,
                       "min_version and max_version cannot be used");
}

static pop3_error refuse_list(pop3_failure *failure, const char *option,
                              const char *value) {
  return pop3_fail(failure, POP3_E_TLS_CONFIG,
                   "%s = \"%s\" is not a list that OpenSSL knows (%s)", option,
                   value, pop3_tls_reason());
}

static pop3_error set_lists(SSL_CTX *ssl, const pop3_tls_options *options,
                            pop3_failure *failure) {
  if (options->ciphers && strstr(options->ciphers, "@SECLEVEL"))
    return pop3_fail(failure, POP3_E_TLS_CONFIG,
                     "ciphers holds @SECLEVEL: use the option security_level");
  if (options->ciphers && SSL_CTX_set_cipher_list(ssl, options->ciphers) != 1)
    return refuse_list(failure, "ciphers", options->ciphers);
  if (options->ciphersuites &&
      SSL_CTX_set_ciphersuites(ssl, options->ciphersuites) != 1)
    return refuse_list(failure, "ciphersuites", options->ciphersuites);
  if (options->groups &&
      SSL_CTX_set1_groups_list(ssl, unconst(options->groups)) != 1)
    return refuse_list(failure, "groups", options->groups);
  return POP3_E_OK;
}

static pop3_error set_alpn(SSL_CTX *ssl, bool offered, pop3_failure *failure) {
  static const unsigned char protocols[] = {4, 'p', 'o', 'p', '3'};
  /* returns 0 for success, unlike its sisters */
  if (offered && SSL_CTX_set_alpn_protos(ssl, protocols, sizeof protocols) != 0)
    return pop3_fail(failure, POP3_E_MEMORY, NULL);
  return POP3_E_OK;
}

/* The system's configuration file may have said otherwise: set it all. */
static pop3_error set_protocol(SSL_CTX *ssl, const pop3_tls_options *options,
                               pop3_failure *failure) {
  if (options->security_level < 0 || options->security_level > 5)
    return pop3_fail(failure, POP3_E_TLS_CONFIG,
                     "security_level = %d is not a level from 0 to 5",
                     options->security_level);
  SSL_CTX_set_security_level(ssl, options->security_level);
  (void)SSL_CTX_set_options(ssl,
                            SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  (void)SSL_CTX_clear_options(
      ssl, SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_LEGACY_SERVER_CONNECT |
               SSL_OP_ALLOW_UNSAFE_LEGACY_RENEGOTIATION | SSL_OP_NO_TICKET);
  (void)SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_AUTO_RETRY);
  SSL_CTX_set_max_cert_list(ssl, MAX_CHAIN_OCTETS);
  pop3_error error = set_versions(ssl, options, failure);
  if (error == POP3_E_OK) error = set_lists(ssl, options, failure);
  if (error == POP3_E_OK) error = set_alpn(ssl, options->alpn, failure);
  return error;
}

/* --- trust --------------------------------------------------------------- */

/* Names in a hashed directory are eight hexadecimal digits and a number. */
static bool is_hashed(const char *name) {
  for (int i = 0; i < 8; i++)
    if (!isxdigit((unsigned char)name[i])) return false;
  return name[8] == '.' && isdigit((unsigned char)name[9]);
}

/* 0 when there is a hashed name in it, else errno or ENOENT. */
static int look_into(const char *path) {
  const struct dirent *entry;
  DIR *directory = opendir(path);
  bool found = false;
  if (!directory) return errno;
  while (!found && (entry = readdir(directory)) != NULL)
    found = is_hashed(entry->d_name);
  (void)closedir(directory);
  return found ? 0 : ENOENT;
}

bool pop3_tls_next_directory(const char **list, char path[POP3_TLS_PATH_ROOM]) {
  while (**list != '\0') {
    const char *end = strchr(*list, POP3_OS_LIST_SEPARATOR);
    size_t size = end ? (size_t)(end - *list) : strlen(*list);
    const char *start = *list;
    *list += size + (end ? 1 : 0);
    if (size >= POP3_TLS_PATH_ROOM) continue;
    memcpy(path, start, size);
    path[size] = '\0';
    return true;
  }
  return false;
}

static bool any_hashed(const char *list) {
  char path[POP3_TLS_PATH_ROOM];
  while (pop3_tls_next_directory(&list, path))
    if (look_into(path) == 0) return true;
  return false;
}

static const char *from_environment(const char *name, const char *otherwise) {
  const char *value = getenv(name);
  return value && *value ? value : otherwise;
}

const char *pop3_tls_system_directories(void) {
  return from_environment(X509_get_default_cert_dir_env(),
                          X509_get_default_cert_dir());
}

/* One that OpenSSL cannot read is nobody's root. */
static void add_root(void *store, const unsigned char *der, size_t size) {
  X509 *root = d2i_X509(NULL, &der, (long)size);
  if (root) (void)X509_STORE_add_cert(store, root);
  X509_free(root);
  ERR_clear_error();
}

/*
 * The hashed directory is read a certificate at a time when one is needed
 * (0.4 ms), the bundle all at once (34 ms): so the bundle only where there is
 * no such directory, or where SSL_CERT_FILE asks for it.
 */
static pop3_error trust_system(SSL_CTX *ssl, pop3_failure *failure) {
  const char *file = from_environment(X509_get_default_cert_file_env(), NULL);
  bool hashed = any_hashed(pop3_tls_system_directories());
  bool loaded = true;
  if (hashed) loaded = SSL_CTX_set_default_verify_dir(ssl) == 1;
  if (loaded && (file || !hashed))
    loaded = SSL_CTX_set_default_verify_file(ssl) == 1;
  if (!loaded) return pop3_fail(failure, POP3_E_MEMORY, NULL);
  X509_STORE *store = SSL_CTX_get_cert_store(ssl);
  if (!hashed && !file) pop3_os_each_root(add_root, store);
  if (hashed || sk_X509_OBJECT_num(X509_STORE_get0_objects(store)) > 0)
    return POP3_E_OK;
  return pop3_fail(failure, POP3_E_TLS_CONFIG,
                   "this system has no CA certificates (looked at %s and %s): "
                   "install the package ca-certificates, or name a file with "
                   "cafile = \"...\"",
                   pop3_tls_system_directories(),
                   file ? file : X509_get_default_cert_file());
}

static pop3_error trust_file(SSL_CTX *ssl, const char *path,
                             pop3_failure *failure) {
  if (SSL_CTX_load_verify_file(ssl, path) == 1) return POP3_E_OK;
  return pop3_fail(failure, POP3_E_TLS_CONFIG,
                   "cafile = \"%s\" cannot be used (%s): it should be a file "
                   "with CA certificates in PEM",
                   path, pop3_tls_reason());
}

static pop3_error trust_directory(SSL_CTX *ssl, const char *path,
                                  pop3_failure *failure) {
  int missing = look_into(path);
  if (missing != 0)
    return pop3_fail(failure, POP3_E_TLS_CONFIG,
                     "capath = \"%s\" cannot be used (%s): it should be a "
                     "directory prepared with \"openssl rehash\"",
                     path,
                     missing == ENOENT ? "no hashed certificates there"
                                       : pop3_os_text(missing));
  if (SSL_CTX_load_verify_dir(ssl, path) == 1) return POP3_E_OK;
  return pop3_fail(failure, POP3_E_MEMORY, NULL);
}

/*
 * What OpenSSL notes in a certificate when it looks at it first, it notes now,
 * while the context is one thread's. (Later it has a lock for that, but those
 * who find it done read without one, trusting in the order of its writes.)
 */
static void look_at_roots(SSL_CTX *ssl) {
  const STACK_OF(X509_OBJECT) *roots =
      X509_STORE_get0_objects(SSL_CTX_get_cert_store(ssl));
  for (int i = 0; i < sk_X509_OBJECT_num(roots); i++) {
    X509 *root = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(roots, i));
    if (root) (void)X509_check_purpose(root, -1, 0);
  }
  ERR_clear_error();
}

static pop3_error set_trust(SSL_CTX *ssl, const pop3_tls_options *options,
                            pop3_failure *failure) {
  pop3_error error = POP3_E_OK;
  if (options->cafile) error = trust_file(ssl, options->cafile, failure);
  if (error == POP3_E_OK && options->capath)
    error = trust_directory(ssl, options->capath, failure);
  if (options->cafile || options->capath || !options->verify) return error;
  error = trust_system(ssl, failure);
  /* DANE may do without any */
  return options->dane && error == POP3_E_TLS_CONFIG ? POP3_E_OK : error;
}

/* --- contexts ------------------------------------------------------------ */

static pop3_tls_context *make_context(const pop3_tls_options *options) {
  pop3_tls_context *c = OPENSSL_zalloc(sizeof *c);
  if (!c) return NULL;
  c->references = 1;
  c->keylog = -1;
  c->verify = options->verify;
  c->check_hostname = options->check_hostname;
  c->alpn = options->alpn;
  c->resume = options->resume;
  c->lock = CRYPTO_THREAD_lock_new();
  c->input = pop3_tls_input_method();
  c->ssl = SSL_CTX_new(TLS_client_method());
  if (options->servername) c->servername = OPENSSL_strdup(options->servername);
  if (c->lock && c->input && c->ssl && (c->servername || !options->servername))
    return c;
  pop3_tls_context_release(c);
  return NULL;
}

static pop3_error apply(SSL_CTX *ssl, const pop3_tls_options *options,
                        pop3_failure *failure) {
  pop3_error error = set_protocol(ssl, options, failure);
  if (error == POP3_E_OK) error = set_trust(ssl, options, failure);
  if (error == POP3_E_OK) look_at_roots(ssl);
  if (error == POP3_E_OK) error = pop3_tls_load_identity(ssl, options, failure);
  return error;
}

/* OpenSSL's own configuration may leave it without any algorithm. */
static pop3_error refuse_library(pop3_failure *failure) {
  if (ERR_peek_error() == 0) return pop3_fail(failure, POP3_E_MEMORY, NULL);
  return pop3_tls_fail(failure, POP3_E_TLS_CONFIG,
                       "OpenSSL cannot be used: see its configuration file");
}

pop3_error pop3_tls_context_new(const pop3_tls_options *options,
                                pop3_tls_context **context,
                                pop3_failure *failure) {
  ERR_clear_error();
  pop3_tls_context *c = make_context(options);
  if (!c) return refuse_library(failure);
  pop3_error error = apply(c->ssl, options, failure);
  if (error == POP3_E_OK)
    error = pop3_tls_open_keylog(c, options->keylog, failure);
  if (error == POP3_E_OK) error = pop3_checks_prepare(c, options, failure);
  pop3_tls_collect_sessions(c);
  if (error == POP3_E_OK && !pop3_tls_bind_context(c, options))
    error = pop3_fail(failure, POP3_E_MEMORY, NULL);
  ERR_clear_error();
  if (error != POP3_E_OK) {
    pop3_tls_context_release(c);
    return error;
  }
  *context = c;
  return POP3_E_OK;
}

pop3_tls_context *pop3_tls_context_retain(pop3_tls_context *context) {
  if (context)
    (void)__atomic_add_fetch(&context->references, 1, __ATOMIC_RELAXED);
  return context;
}

void pop3_tls_context_release(pop3_tls_context *context) {
  if (!context) return;
  /* What others did with it is done before it is freed. */
  if (__atomic_sub_fetch(&context->references, 1, __ATOMIC_ACQ_REL) > 0) return;
  pop3_tls_free_sessions(context);
  pop3_tls_close_keylog(context);
  pop3_checks_free(&context->checks);
  SSL_CTX_free(context->ssl);
  BIO_meth_free(context->input);
  CRYPTO_THREAD_lock_free(context->lock);
  OPENSSL_free(context->servername);
  OPENSSL_free(context);
}
