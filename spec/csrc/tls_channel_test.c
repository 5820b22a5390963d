/*
 * tls_channel_test.c - what a login is bound to (tls.h), compared with what an
 * OpenSSL server makes of its own end of the same connection.
 *
 * Build: cc -std=c99 spec/csrc/tls_channel_test.c spec/csrc/tls_world.c and the
 * client
 */
#define _POSIX_C_SOURCE 200809L

#include <openssl/err.h>
#include <string.h>

#include "tls_world.h"

#define HOST "pop.example.org"

typedef struct channel {
  unsigned char octets[POP3_TLS_BINDING];
  size_t size;
  const char *type;
} channel;

static pop3_tls_context *context;
static pair p;

static server of(const identity *identity, int version) {
  server s = {
      .identity = identity, .min = version, .max = version, .weak = true};
  return s;
}

static bool connect_again(void) {
  return filter(context, HOST, strlen(HOST), false, &p.client) == POP3_E_OK &&
         shake(&p) == POP3_E_OK;
}

static bool connect_to(server *s, uint64_t more) {
  use_defaults();
  options.security_level = 0; /* for old digests */
  serve(&p, s);
  SSL_set_options(p.server, more);
  must(!pop3_tls_context_new(&options, &context, &failure), "a context");
  return connect_again();
}

static bool is_resumed(void) {
  pop3_tls_info info;
  pop3_tls_describe(p.client, &info);
  return info.resumed;
}

static void hang_up(void) {
  stop(&p);
  pop3_tls_context_release(context);
}

static pop3_error ours(channel *c) {
  memset(c, 0, sizeof *c);
  return pop3_tls_channel_binding(p.client, c->octets, &c->size, &c->type);
}

static bool agree(const char *type, const unsigned char *octets, size_t size) {
  channel c;
  bool good = ours(&c) == POP3_E_OK && strcmp(c.type, type) == 0 &&
              c.size == size && memcmp(c.octets, octets, size) == 0 &&
              ERR_peek_error() == 0;
  if (!good) printf("# %s of %zu octets\n", c.type ? c.type : "none", c.size);
  return good;
}

/* --- the server's end ------------------------------------------------------ */

static bool exporters_agree(void) {
  unsigned char octets[32];
  must(SSL_export_keying_material(p.server, octets, sizeof octets,
                                  "EXPORTER-Channel-Binding", 24,
                                  (const unsigned char *)"", 0, 1) == 1,
       "an exporter");
  return agree("tls-exporter", octets, sizeof octets);
}

/* The first Finished: the client's, or in a resumption the server's. */
static bool finished_agree(void) {
  unsigned char octets[64];
  size_t size = SSL_session_reused(p.server)
                    ? SSL_get_finished(p.server, octets, sizeof octets)
                    : SSL_get_peer_finished(p.server, octets, sizeof octets);
  return size == 12 && agree("tls-unique", octets, size);
}

static bool end_points_agree(const EVP_MD *digest) {
  unsigned char octets[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  must(X509_digest(SSL_get_certificate(p.server), digest, octets, &size) == 1,
       "a digest");
  return agree("tls-server-end-point", octets, size);
}

/* --- which, and when ------------------------------------------------------- */

static void test_exporter(void) {
  channel one, other;
  server s = of(&leaf, TLS1_3_VERSION);
  check(connect_to(&s, 0) && exporters_agree(), "TLS 1.3: tls-exporter");
  check(!ours(&one) && one.size == 32 && answers(&p) && exporters_agree(),
        "TLS 1.3: the same during all of the connection");
  listen_again(&p);
  check(connect_again() && is_resumed() && exporters_agree() && !ours(&other) &&
            memcmp(one.octets, other.octets, 32) != 0,
        "TLS 1.3: of its own in a resumed session");
  hang_up();
}

static void test_unique(void) {
  channel one, other;
  server s = of(&leaf, TLS1_2_VERSION);
  check(connect_to(&s, 0) && finished_agree(), "TLS 1.2: tls-unique");
  check(!ours(&one) && answers(&p), "TLS 1.2: the connection goes on");
  listen_again(&p);
  check(connect_again() && is_resumed() && finished_agree() && !ours(&other) &&
            memcmp(one.octets, other.octets, 12) != 0,
        "TLS 1.2: of its own in a resumed session");
  hang_up();
}

/* Triple handshakes (RFC 7627 1) are why. */
static void test_no_master_secret(void) {
  server s = of(&leaf, TLS1_2_VERSION);
  check(connect_to(&s, SSL_OP_NO_EXTENDED_MASTER_SECRET) &&
            end_points_agree(EVP_sha256()),
        "TLS 1.2 without extended master secret: never tls-unique");
  must(answers(&p), "an answer");
  listen_again(&p);
  SSL_set_options(p.server, SSL_OP_NO_EXTENDED_MASTER_SECRET);
  check(connect_again() && is_resumed() && end_points_agree(EVP_sha256()),
        "TLS 1.2 without extended master secret: nor in a resumed session");
  hang_up();
}

static identity signed_with(const EVP_MD *digest) {
  identity made = make(&(form){.subject = "signed", .issuer = &root, NAMES});
  must(X509_sign(made.certificate, root.key, digest) > 0, "a signature");
  return made;
}

static void test_digests(void) {
  const struct {
    const EVP_MD *of_signature, *of_binding;
    const char *name;
  } rows[] = {
      {EVP_sha1(), EVP_sha256(), "end point: SHA-256 in place of SHA-1"},
      {EVP_sha224(), EVP_sha224(), "end point: SHA-224 signs"},
      {EVP_sha256(), EVP_sha256(), "end point: SHA-256 signs"},
      {EVP_sha384(), EVP_sha384(), "end point: SHA-384 signs"},
      {EVP_sha512(), EVP_sha512(), "end point: SHA-512 signs"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    identity one = signed_with(rows[i].of_signature);
    server s = of(&one, TLS1_2_VERSION);
    check(connect_to(&s, SSL_OP_NO_EXTENDED_MASTER_SECRET) &&
              end_points_agree(rows[i].of_binding),
          rows[i].name);
    hang_up();
    discard(&one);
  }
}

/* An RSA root signs; its file is trusted in place of the other's. */
static void trust(const identity *issuer, char path[300]) {
  FILE *file = create(path, "other.pem");
  must(PEM_write_X509(file, issuer->certificate) == 1, "a file");
  (void)fclose(file);
}

static void sign(identity *one, EVP_PKEY *key, const EVP_MD *digest, bool pss) {
  EVP_PKEY_CTX *parameters = NULL;
  EVP_MD_CTX *state = EVP_MD_CTX_new();
  must(EVP_DigestSignInit(state, &parameters, digest, NULL, key) == 1 &&
           (!pss || EVP_PKEY_CTX_set_rsa_padding(parameters,
                                                 RSA_PKCS1_PSS_PADDING) == 1) &&
           X509_sign_ctx(one->certificate, state) > 0,
       "a signature");
  EVP_MD_CTX_free(state);
}

static bool connect_by(const identity *issuer, server *s) {
  char path[300];
  trust(issuer, path);
  use_defaults();
  options.security_level = 0;
  options.cafile = path;
  serve(&p, s);
  SSL_set_options(p.server, SSL_OP_NO_EXTENDED_MASTER_SECRET);
  must(!pop3_tls_context_new(&options, &context, &failure), "a context");
  (void)remove(path);
  return connect_again();
}

static void test_signatures_of_other_kinds(void) {
  channel c;
  identity rsa = make(&(form){.subject = "RSA", .ca = true, .rsa = 2048});
  identity one = make(&(form){.subject = "one", .issuer = &rsa, NAMES});
  server s = of(&one, TLS1_2_VERSION);
  sign(&one, rsa.key, EVP_sha384(), true);
  check(connect_by(&rsa, &s) && end_points_agree(EVP_sha384()),
        "end point: SHA-384 within RSA-PSS");
  hang_up();
  sign(&one, rsa.key, EVP_md5(), false);
  check(connect_by(&rsa, &s) && end_points_agree(EVP_sha256()),
        "end point: SHA-256 in place of MD5");
  hang_up();
  EVP_PKEY_free(rsa.key);
  rsa.key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
  must(rsa.key && X509_set_pubkey(rsa.certificate, rsa.key) == 1, "a key");
  sign(&rsa, rsa.key, NULL, false);
  sign(&one, rsa.key, NULL, false);
  check(connect_by(&rsa, &s) && ours(&c) == POP3_E_UNSUPPORTED && !c.type,
        "end point: none for a signature without a digest of its own");
  hang_up();
  discard(&one), discard(&rsa);
}

static void test_before_the_handshake(void) {
  channel c;
  server s = of(&leaf, TLS1_3_VERSION);
  use_defaults();
  serve(&p, &s);
  check(attach(&p, HOST, false) == POP3_E_OK &&
            ours(&c) == POP3_E_UNSUPPORTED && !c.type,
        "none before the handshake is done");
  stop(&p);
}

/* OpenSSL's handshake is done, but for us the peer is not the right one. */
static void test_refused_peer(void) {
  channel c;
  server s = of(&leaf, TLS1_3_VERSION);
  must(connect_to(&s, 0), "TLS");
  p.client->secure = false;
  check(ours(&c) == POP3_E_UNSUPPORTED && !c.type,
        "none to a peer that was refused");
  hang_up();
}

static void test_unverified(void) {
  server s = of(&leaf, TLS1_3_VERSION);
  use_defaults();
  options.verify = options.check_hostname = false;
  serve(&p, &s);
  must(attach(&p, HOST, false) == POP3_E_OK && shake(&p) == POP3_E_OK, "TLS");
  check(exporters_agree(), "one without verification, too");
  stop(&p);
}

int main(void) {
  make_world();
  test_exporter();
  test_unique();
  test_no_master_secret();
  test_digests();
  test_signatures_of_other_kinds();
  test_before_the_handshake();
  test_refused_peer();
  test_unverified();
  end_world();
  return failures > 0;
}
