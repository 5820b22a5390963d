/* tls_world.c - see tls_world.h. */
#define _POSIX_C_SOURCE 200809L

#include "tls_world.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int failures;
__thread pop3_failure failure;
__thread bool hungry, starving;
const char *given;
size_t given_size;
pop3_tls_options options;
identity root, stranger, intermediate, leaf, client;
char folder[256], root_file[300], client_file[300], sealed_file[300];

void check(bool claim, const char *name) {
  printf("%s - %s\n", claim ? "ok" : "not ok", name);
  if (!claim) failures++;
}

void must(bool claim, const char *what) {
  if (claim) return;
  printf("not ok - the test itself: %s\n", what);
  ERR_print_errors_fp(stdout);
  exit(2);
}

/* The last failure is `error` and its text holds `phrase`. */
bool said(pop3_error got, pop3_error error, const char *phrase) {
  if (got == error && (error == POP3_E_OK || strstr(failure.text, phrase)))
    return true;
  printf("# got %s %s: \"%s\"\n", pop3_error_kind(got), pop3_error_name(got),
         got == POP3_E_OK ? "" : failure.text);
  return false;
}

/* --- certificates -------------------------------------------------------- */

static void extend(X509 *certificate, X509 *issuer, int nid,
                   const char *value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
  X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
  must(extension && X509_add_ext(certificate, extension, -1), "an extension");
  X509_EXTENSION_free(extension);
}

static void set_subject(X509 *certificate, const char *subject) {
  X509_NAME *name = X509_get_subject_name(certificate);
  must(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                                  (const unsigned char *)subject, -1, -1, 0),
       "a subject");
}

identity make(const form *f) {
  static long serial = 1;
  identity made;
  made.key = f->rsa ? EVP_RSA_gen((unsigned)f->rsa) : EVP_EC_gen("P-256");
  made.certificate = X509_new();
  must(made.key && made.certificate, "a key");
  const identity *issuer = f->issuer ? f->issuer : &made;
  X509 *x = made.certificate;
  set_subject(x, f->subject);
  (void)X509_set_version(x, X509_VERSION_3);
  (void)ASN1_INTEGER_set(X509_get_serialNumber(x), serial++);
  (void)X509_set_issuer_name(x, X509_get_subject_name(issuer->certificate));
  (void)X509_gmtime_adj(X509_getm_notBefore(x), (f->from ? f->from : -1) * DAY);
  (void)X509_gmtime_adj(X509_getm_notAfter(x), (f->to ? f->to : 30) * DAY);
  (void)X509_set_pubkey(x, made.key);
  extend(x, issuer->certificate, NID_basic_constraints,
         f->ca ? "critical,CA:TRUE" : "CA:FALSE");
  if (f->names) extend(x, issuer->certificate, NID_subject_alt_name, f->names);
  if (f->usage) extend(x, issuer->certificate, NID_ext_key_usage, f->usage);
  if (f->promises)
    extend(x, issuer->certificate, NID_tlsfeature, "status_request");
  must(X509_sign(x, issuer->key, EVP_sha256()) > 0, "a signature");
  return made;
}

FILE *create(char path[300], const char *name) {
  (void)snprintf(path, 300, "%s/%s", folder, name);
  FILE *file = fopen(path, "wb");
  must(file != NULL, path);
  return file;
}

void create_hashed(char path[300], const char *place) {
  char name[40];
  (void)snprintf(name, sizeof name, "%s%08lx.0", place,
                 X509_NAME_hash_ex(X509_get_subject_name(root.certificate),
                                   NULL, NULL, NULL));
  FILE *file = create(path, name);
  must(PEM_write_X509(file, root.certificate) == 1, "a file");
  (void)fclose(file);
}

void make_world(void) {
  const char *parent = getenv("TMPDIR");
  (void)snprintf(folder, sizeof folder, "%s/tls_test.XXXXXX",
                 parent ? parent : "/tmp");
  must(mkdtemp(folder) != NULL, "a folder");
  root = make(&(form){.subject = "Root", .ca = true});
  stranger = make(&(form){.subject = "Stranger", .ca = true});
  intermediate =
      make(&(form){.subject = "Intermediate", .issuer = &root, .ca = true});
  leaf = make(&(form){.subject = "leaf",
                      .issuer = &root,
                      .names = "DNS:pop.example.org,IP:192.0.2.1,IP:2001:db8::"
                               "1,DNS:*.wild.example.org"});
  client = make(&(form){.subject = "client", .issuer = &root});
  FILE *file = create(root_file, "root.pem");
  must(PEM_write_X509(file, root.certificate) == 1, "a file");
  (void)fclose(file);
  file = create(client_file, "client.pem");
  must(PEM_write_X509(file, client.certificate) == 1 &&
           PEM_write_PrivateKey(file, client.key, NULL, NULL, 0, NULL, NULL),
       "a file");
  (void)fclose(file);
  file = create(sealed_file, "sealed.pem");
  unsigned char pass[] = "open sesame";
  must(PEM_write_PrivateKey(file, client.key, EVP_aes_128_cbc(), pass,
                            sizeof pass - 1, NULL, NULL) == 1,
       "a file");
  (void)fclose(file);
}

void discard(identity *i) {
  X509_free(i->certificate);
  EVP_PKEY_free(i->key);
}

void end_world(void) {
  discard(&root), discard(&stranger), discard(&intermediate);
  discard(&leaf), discard(&client);
  (void)unlink(root_file), (void)unlink(client_file), (void)unlink(sealed_file);
  (void)rmdir(folder);
}

/* --- a server, and octets between it and the filter ---------------------- */

static int choose(SSL *ssl, const unsigned char **out, unsigned char *size,
                  const unsigned char *offered, unsigned offered_size,
                  void *argument) {
  const server *s = argument;
  pair *p = SSL_get_app_data(ssl);
  (void)offered;
  p->offered = offered_size;
  if (!s->protocol) return SSL_TLSEXT_ERR_NOACK;
  if (s->protocol[0] == '!') return SSL_TLSEXT_ERR_ALERT_FATAL;
  *out = (const unsigned char *)s->protocol;
  *size = (unsigned char)strlen(s->protocol);
  return SSL_TLSEXT_ERR_OK;
}

/* OpenSSL frees what it is given. */
static int staple(SSL *ssl, void *argument) {
  const server *s = argument;
  unsigned char *copy;
  if (!s->staple) return SSL_TLSEXT_ERR_NOACK;
  copy = OPENSSL_memdup(s->staple, s->staple_size);
  must(copy != NULL, "a staple");
  (void)SSL_set_tlsext_status_ocsp_resp(ssl, copy, (long)s->staple_size);
  return SSL_TLSEXT_ERR_OK;
}

static int accept_any(int good, X509_STORE_CTX *store) {
  (void)good;
  (void)store;
  return 1;
}

/* All servers have the same keys for them. */
static void know_old_tickets(SSL_CTX *context) {
  unsigned char keys[80] = "anything";
  must(SSL_CTX_set_tlsext_ticket_keys(context, keys, sizeof keys) == 1 &&
           SSL_CTX_set_session_id_context(context, keys, 1) == 1,
       "keys of tickets");
}

void listen_again(pair *p) {
  pop3_tls_free(p->client);
  /* as if it had ended well, or the server forgets its session */
  if (p->server) SSL_set_shutdown(p->server, SSL_SENT_SHUTDOWN);
  SSL_free(p->server);
  p->client = NULL;
  p->server = SSL_new(p->context);
  must(p->server && SSL_set_app_data(p->server, p) == 1, "a server");
  SSL_set_bio(p->server, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
  SSL_set_accept_state(p->server);
}

void serve(pair *p, server *s) {
  memset(p, 0, sizeof *p);
  p->context = SSL_CTX_new(TLS_server_method());
  must(p->context != NULL, "a server");
  if (s->weak) SSL_CTX_set_security_level(p->context, 0);
  if (s->identity)
    must(SSL_CTX_use_certificate(p->context, s->identity->certificate) == 1 &&
             SSL_CTX_use_PrivateKey(p->context, s->identity->key) == 1,
         "an identity");
  if (s->chain)
    must(SSL_CTX_add1_chain_cert(p->context, s->chain->certificate) == 1,
         "a chain");
  (void)SSL_CTX_set_mode(p->context, SSL_MODE_NO_AUTO_CHAIN);
  (void)SSL_CTX_set_min_proto_version(p->context, s->min);
  (void)SSL_CTX_set_max_proto_version(p->context, s->max);
  SSL_CTX_set_max_cert_list(p->context, 1 << 24);
  if (s->ciphers)
    must(SSL_CTX_set_cipher_list(p->context, s->ciphers) == 1, "ciphers");
  if (s->demand_client)
    SSL_CTX_set_verify(p->context,
                       SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
                       accept_any);
  SSL_CTX_set_alpn_select_cb(p->context, choose, s);
  (void)SSL_CTX_set_tlsext_status_cb(p->context, staple);
  (void)SSL_CTX_set_tlsext_status_arg(p->context, s);
  if (!s->forgetful) know_old_tickets(p->context);
  listen_again(p);
}

void stop(pair *p) {
  pop3_tls_free(p->client);
  SSL_free(p->server);
  SSL_CTX_free(p->context);
  p->client = NULL;
}

size_t least(size_t a, size_t b) { return a < b ? a : b; }

/* Client to server; true if something moved. */
bool carry_up(pair *p) {
  size_t size;
  const char *octets = pop3_tls_output(p->client, &size);
  if (size == 0) return false;
  if (p->chunk) size = least(size, p->chunk);
  must(BIO_write(SSL_get_rbio(p->server), octets, (int)size) == (int)size,
       "carrying");
  pop3_tls_sent(p->client, size);
  return true;
}

bool carry_down(pair *p, pop3_error *error) {
  char octets[16384];
  size_t room = p->chunk ? least(p->chunk, sizeof octets) : sizeof octets;
  int size = BIO_read(SSL_get_wbio(p->server), octets, (int)room);
  if (size <= 0) return false;
  starving = hungry;
  *error = pop3_tls_feed(p->client, octets, (size_t)size);
  starving = false;
  return true;
}

static void note_name(pair *p) {
  const char *name = SSL_get_servername(p->server, TLSEXT_NAMETYPE_host_name);
  if (name) (void)snprintf(p->name, sizeof p->name, "%s", name);
}

/* Both sides until nothing moves: the client's last word. */
pop3_error shake(pair *p) {
  pop3_error error = POP3_E_AGAIN;
  for (bool moved = true; moved && error == POP3_E_AGAIN;) {
    (void)SSL_do_handshake(p->server);
    ERR_clear_error();
    note_name(p);
    pop3_error fed = POP3_E_OK;
    moved = carry_down(p, &fed) || pop3_tls_fed(p->client) > 0;
    starving = hungry;
    error = fed != POP3_E_OK ? fed : pop3_tls_handshake(p->client, &failure);
    starving = false;
    if (ERR_peek_error() != 0) p->dirty = true;
    if (carry_up(p)) moved = true;
  }
  while (carry_up(p)) continue; /* Finished, or an alert */
  (void)SSL_do_handshake(p->server);
  ERR_clear_error();
  return error;
}

/* What the server has left to say reaches the client. */
void drain(pair *p) {
  pop3_error error = POP3_E_OK;
  while (carry_down(p, &error)) continue;
}

/* The defaults, with our root instead of the system's. */
void use_defaults(void) {
  pop3_tls_options_init(&options);
  options.cafile = root_file;
}

pop3_error filter(pop3_tls_context *context, const char *host, size_t size,
                  bool after_stls, pop3_tls **tls) {
  pop3_tls_peer peer = {host,       size, 995,  after_stls, given,
                        given_size, NULL, NULL, NULL};
  return pop3_tls_new(context, &peer, tls, &failure);
}

pop3_error attach(pair *p, const char *host, bool after_stls) {
  pop3_tls_context *context = NULL;
  starving = hungry;
  pop3_error error = pop3_tls_context_new(&options, &context, &failure);
  if (error == POP3_E_OK)
    error = filter(context, host, strlen(host), after_stls, &p->client);
  pop3_tls_context_release(context); /* the filter retains it */
  starving = false;
  return error;
}

/* Connect to `s` as `host` by `options`. */
pop3_error try_out(pair *p, server *s, const char *host) {
  serve(p, s);
  pop3_error error = attach(p, host, false);
  return error == POP3_E_OK ? shake(p) : error;
}

bool answers(pair *p) {
  char got[64];
  size_t size = 0;
  bool up = pop3_tls_write(p->client, "NOOP\r\n", 6, &failure) == POP3_E_OK;
  while (carry_up(p)) continue;
  up = up && SSL_read_ex(p->server, got, sizeof got, &size) == 1 && size == 6 &&
       memcmp(got, "NOOP\r\n", 6) == 0;
  must(SSL_write_ex(p->server, "+OK\r\n", 5, &size) == 1, "an answer");
  drain(p);
  return up &&
         pop3_tls_read(p->client, got, sizeof got, &size, &failure) ==
             POP3_E_OK &&
         size == 5 && memcmp(got, "+OK\r\n", 5) == 0 &&
         pop3_tls_read(p->client, got, sizeof got, &size, &failure) ==
             POP3_E_AGAIN;
}

/* --- a lack of memory ---------------------------------------------------- */

static long allocations, fail_at;
static bool fail_all;

static bool refused(void) {
  if (!starving) return false;
  ++allocations;
  return fail_all && fail_at > 0 ? allocations >= fail_at
                                 : allocations == fail_at;
}

void fail_allocation(long n, bool for_good) {
  allocations = 0;
  fail_at = n;
  fail_all = for_good;
}

long allocations_seen(void) { return allocations; }

static void *take(size_t size, const char *file, int line) {
  (void)file;
  (void)line;
  return refused() ? NULL : malloc(size);
}

static void *change(void *block, size_t size, const char *file, int line) {
  (void)file;
  (void)line;
  return refused() ? NULL : realloc(block, size);
}

static void give(void *block, const char *file, int line) {
  (void)file;
  (void)line;
  free(block);
}

void use_failing_allocator(void) {
  must(CRYPTO_set_mem_functions(take, change, give) == 1, "an allocator");
}
