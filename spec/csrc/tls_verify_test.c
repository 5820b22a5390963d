/*
 * tls_verify_test.c - whom the TLS filter trusts: names and chains, and what it
 * says when it does not (R15, T35).
 */
#define _POSIX_C_SOURCE 200809L

#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tls_trial.h"
#include "tls_world.h"

/* --- names --------------------------------------------------------------- */

static const struct {
  const char *names, *host;
  bool accepted;
} matches[] = {
    {"DNS:pop.example.org", "pop.example.org", true},
    {"DNS:pop.example.org", "POP.Example.ORG", true},
    {"DNS:pop.example.org", "pop.example.org.", true},
    {"DNS:pop.example.org", "example.org", false},
    {"DNS:example.org", "pop.example.org", false},
    {"DNS:*.example.org", "pop.example.org", true},
    {"DNS:*.example.org", "a.pop.example.org", false},
    {"DNS:*.example.org", "example.org", false},
    {"DNS:p*.example.org", "pop.example.org", false},
    {"DNS:*p.example.org", "pop.example.org", false},
    {"DNS:pop.*.org", "pop.example.org", false},
    {"DNS:*.*.org", "pop.example.org", false},
    {"DNS:*.org", "example.org", false},
    {"DNS:*", "pop.example.org", false},
    {"DNS:.example.org", "pop.example.org", false},
    {"email:a@pop.example.org", "pop.example.org", false},
    {"IP:192.0.2.7", "192.0.2.7", true},
    {"IP:192.0.2.7", "192.0.2.8", false},
    {"DNS:192.0.2.7", "192.0.2.7", false},
    {"IP:2001:db8::7", "2001:db8:0::7", true},
    {"IP:2001:db8::7", "[2001:db8::7]", true},
    {"IP:2001:db8::7", "2001:db8::8", false},
    {"IP:fe80::7", "fe80::7%eth0", true},
    {"IP:192.0.2.7", "pop.example.org", false},
    {NULL, "pop.example.org", false},
};

static void test_matches(void) {
  for (size_t i = 0; i < sizeof matches / sizeof matches[0]; i++) {
    char name[200];
    /* the subject would match, were it asked */
    identity made = make(&(form){.subject = "pop.example.org",
                                 .issuer = &root,
                                 .names = matches[i].names});
    (void)snprintf(name, sizeof name, "%s for %s: %s",
                   matches[i].names ? matches[i].names : "CN only",
                   matches[i].host,
                   matches[i].accepted ? "accepted" : "refused");
    expect(&(server){.identity = &made}, matches[i].host,
           matches[i].accepted ? POP3_E_OK : POP3_E_HOSTNAME, "", name);
    discard(&made);
  }
}

static void test_host_names(void) {
  static const struct {
    const char *host;
    size_t size;
    const char *phrase;
  } refused[] = {
      {"", 0, "neither"},
      {".", 1, "neither"},
      {".example.org", 12, "neither"},
      {"pop..example.org", 16, "neither"},
      {"pop.example.org..", 17, "neither"},
      {"pop.example.org\0.evil.org", 25, "\\x00"},
      {"p\xc3\xb6p.example.org", 16, "A-label"},
      {"pop.example.org ", 16, "neither"},
      {"pop example.org", 15, "neither"},
      {"*.example.org", 13, "neither"},
      {"pop.example.org\n", 16, "\\n"},
      {"127.1", 5, "neither"},
      {"1.2.3.4.5", 9, "neither"},
      {"[::1", 4, "neither"},
      {"2001:db8::zz", 12, "neither"},
  };
  pop3_tls_context *context = NULL;
  must(pop3_tls_context_new(&options, &context, &failure) == POP3_E_OK,
       "a context");
  for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
    char name[64];
    pop3_tls *tls = NULL;
    (void)snprintf(name, sizeof name, "a host name is refused: number %d",
                   (int)i);
    check(said(filter(context, refused[i].host, refused[i].size, false, &tls),
               POP3_E_TLS_CONFIG, refused[i].phrase) &&
              !tls,
          name);
    pop3_tls_free(tls);
  }
  char label[300];
  pop3_tls *tls = NULL;
  memset(label, 'a', sizeof label);
  check(said(filter(context, label, 64, false, &tls), POP3_E_TLS_CONFIG,
             "neither"),
        "a label of 64 octets is refused");
  check(said(filter(context, label, 300, false, &tls), POP3_E_TLS_CONFIG,
             "neither"),
        "a name of 300 octets is refused");
  pop3_tls_context_release(context);
  options.check_hostname = false;
  expect(&(server){.identity = &leaf}, "not a name", POP3_E_OK, "",
         "any host will do where names are not checked");
  options.servername = "pop.example.org";
  expect(&(server){.identity = &leaf}, "not a name", POP3_E_OK, "",
         "servername stands for the host");
  options.servername = "other.example.org";
  expect(&(server){.identity = &leaf}, HOST, POP3_E_HOSTNAME,
         "\"other.example.org\"", "servername is the name that is checked");
}

static void test_sni(void) {
  static const struct {
    const char *host, *sent;
  } rows[] = {
      {"pop.example.org.", "pop.example.org"}, /* RFC 6066 3: no dot */
      {"192.0.2.1", ""},
      {"[2001:db8::1]", ""},
      {"any.wild.example.org", "any.wild.example.org"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    pair p;
    char name[64];
    server s = {.identity = &leaf};
    (void)snprintf(name, sizeof name, "SNI for %s", rows[i].host);
    check(said(try_out(&p, &s, rows[i].host), POP3_E_OK, "") &&
              strcmp(p.name, rows[i].sent) == 0,
          name);
    stop(&p);
  }
}

/* OpenSSL 3.0 can lose the name while it copies its parameters and still say
 * that all is well: take it away and see. */
static void lose_name(SSL *ssl) {
  (void)X509_VERIFY_PARAM_set1_host(SSL_get0_param(ssl), NULL, 0);
}

static void lose_address(SSL *ssl) {
  (void)X509_VERIFY_PARAM_set1_ip(SSL_get0_param(ssl), NULL, 0);
}

static void insist_on_nothing(SSL *ssl) {
  SSL_set_verify(ssl, SSL_VERIFY_NONE, NULL);
}

static int believe(X509_STORE_CTX *store, void *argument) {
  (void)store;
  (void)argument;
  return 1;
}

static void look_at_nothing(SSL *ssl) {
  SSL_CTX_set_cert_verify_callback(SSL_get_SSL_CTX(ssl), believe, NULL);
}

static void test_recheck(void) {
  server s = {.identity = &leaf};
  identity foreign = make(&(form){.subject = "x", .issuer = &stranger, NAMES});
  expect_tampered(&s, "other.example.org", lose_name, POP3_E_HOSTNAME,
                  "not for \"other.example.org\"",
                  "a name that OpenSSL lost is checked again");
  expect_tampered(&s, "192.0.2.9", lose_address, POP3_E_HOSTNAME,
                  "not for \"192.0.2.9\"",
                  "an address that OpenSSL lost is checked again");
  expect_tampered(&(server){.identity = &stranger}, HOST, insist_on_nothing,
                  POP3_E_CERTIFICATE, "",
                  "a chain that OpenSSL did not insist on is checked again");
  expect_tampered(&(server){.identity = &foreign}, HOST, look_at_nothing,
                  POP3_E_CERTIFICATE, "",
                  "a chain that nobody looked at is not one that is good");
  discard(&foreign);
}

/* --- chains -------------------------------------------------------------- */

static void expect_leaf(const form *f, pop3_error error, const char *phrase,
                        const char *name) {
  identity made = make(f);
  expect(&(server){.identity = &made}, HOST, error, phrase, name);
  discard(&made);
}

static void test_chains(void) {
  expect_leaf(&(form){.subject = "x", NAMES}, POP3_E_CERTIFICATE, "self-signed",
              "a self-signed certificate");
  expect_leaf(&(form){.subject = "x", .issuer = &stranger, NAMES},
              POP3_E_CERTIFICATE, "Stranger", "an unknown issuer");
  expect_leaf(&(form){.subject = "x", .issuer = &intermediate, NAMES},
              POP3_E_CERTIFICATE, "left out an intermediate",
              "a missing intermediate");
  expect_leaf(
      &(form){.subject = "x", .issuer = &root, NAMES, .from = -20, .to = -10},
      POP3_E_CERTIFICATE, "expired on 2", "an expired certificate");
  expect_leaf(
      &(form){.subject = "x", .issuer = &root, NAMES, .from = 10, .to = 20},
      POP3_E_CERTIFICATE, "not yet valid, only from 2",
      "a certificate of the future");
  expect_leaf(
      &(form){.subject = "x", .issuer = &root, NAMES, .usage = "clientAuth"},
      POP3_E_CERTIFICATE, "not for servers", "a client's certificate");
  expect_leaf(&(form){.subject = "x", .issuer = &client, NAMES},
              POP3_E_CERTIFICATE, "unknown", "an issuer that is not a CA");
  expect_leaf(&(form){.subject = "e\x1b[2Jvil", .issuer = &stranger, NAMES},
              POP3_E_CERTIFICATE, "\\x1B[2J",
              "control characters of a subject are escaped");
}

static void test_sent_chains(void) {
  identity below =
      make(&(form){.subject = "below", .issuer = &intermediate, NAMES});
  identity foreign =
      make(&(form){.subject = "foreign", .issuer = &stranger, NAMES});
  identity fake = make(&(form){.subject = "fake", .issuer = &client, NAMES});
  identity expired = make(&(form){
      .subject = "Old", .issuer = &root, .ca = true, .from = -20, .to = -10});
  identity under = make(&(form){.subject = "u", .issuer = &expired, NAMES});
  expect(&(server){.identity = &below, .chain = &intermediate}, HOST, POP3_E_OK,
         "", "a chain that is complete");
  expect(&(server){.identity = &foreign, .chain = &stranger}, HOST,
         POP3_E_CERTIFICATE, "not trusted here", "a chain to an unknown root");
  expect(&(server){.identity = &fake, .chain = &client}, HOST,
         POP3_E_CERTIFICATE, "not a CA", "a chain through one that is no CA");
  expect(&(server){.identity = &under, .chain = &expired}, HOST,
         POP3_E_CERTIFICATE, "/CN=Old expired on", "an expired intermediate");
  discard(&below), discard(&foreign), discard(&fake);
  discard(&expired), discard(&under);
}

static void test_weak(void) {
  identity weak =
      make(&(form){.subject = "weak", .issuer = &root, NAMES, .rsa = 1024});
  server s = {.identity = &weak, .weak = true};
  expect(&s, HOST, POP3_E_CERTIFICATE, "too short", "an RSA key of 1024 bits");
  options.security_level = 1;
  expect(&s, HOST, POP3_E_OK, "",
         "an RSA key of 1024 bits, by explicit choice");
  discard(&weak);
}

static void test_choices(void) {
  identity foreign =
      make(&(form){.subject = "foreign", .issuer = &stranger, NAMES});
  server s = {.identity = &foreign};
  options.verify = false;
  expect(&s, HOST, POP3_E_OK, "", "verify = false takes an unknown issuer");
  options.verify = false;
  expect(&s, "other.example.org", POP3_E_HOSTNAME, "other.example.org",
         "verify = false alone still checks the name");
  options.check_hostname = false;
  expect(&s, HOST, POP3_E_CERTIFICATE, "Stranger",
         "check_hostname = false alone still checks the chain");
  options.verify = options.check_hostname = false;
  expect(&s, "other.example.org", POP3_E_OK, "", "both together check nothing");
  pair p;
  pop3_tls_info info;
  options.verify = false;
  must(try_out(&p, &s, HOST) == POP3_E_OK, "a session");
  pop3_tls_describe(p.client, &info);
  check(!info.verified && !info.alpn, "what was not verified does not say so");
  stop(&p);
  discard(&foreign);
  use_defaults();
}

static void test_anonymous(void) {
  server s = {
      .ciphers = "aNULL:@SECLEVEL=0", .weak = true, .max = TLS1_2_VERSION};
  options.verify = options.check_hostname = false;
  options.ciphers = "aNULL";
  options.max_version = "1.2";
  options.security_level = 0;
  expect(&s, HOST, POP3_E_CERTIFICATE, "no certificate",
         "a server without a certificate, whatever was switched off");
  expect(&s, HOST, POP3_E_HANDSHAKE, "in common",
         "a server with anonymous ciphers only");
}

/* A certificate of `count` names, the first of them rude. */
static identity make_crowd(int count) {
  size_t room = (size_t)count * 24 + 64, used = 0;
  char *names = malloc(room);
  must(names != NULL, "memory");
  used += (size_t)snprintf(names, room, "DNS:a\x1b[2Jb");
  for (int i = 1; i < count; i++)
    used += (size_t)snprintf(names + used, room - used, ",DNS:h%05d.test", i);
  identity made =
      make(&(form){.subject = "crowd", .issuer = &root, .names = names});
  free(names);
  return made;
}

static void test_crowds(void) {
  identity three = make_crowd(3000), ten = make_crowd(10000);
  expect(&(server){.identity = &three}, HOST, POP3_E_HOSTNAME,
         "\"a\\x1b[2Jb\", \"h00001.test\", \"h00002.test\", \"h00003.test\", "
         "\"h00004.test\" and 2995 more, not for \"pop.example.org\"",
         "of three thousand names five are shown, escaped");
  expect(&(server){.identity = &three}, "h02999.test", POP3_E_OK, "",
         "of three thousand names the last one counts");
  expect(&(server){.identity = &ten}, "h00001.test", POP3_E_HANDSHAKE,
         "larger than 100 KiB", "ten thousand names are too many");
  discard(&three), discard(&ten);
}

static void test_nul_name(void) {
  static const char rude[] = "pop.example.org\0.evil.org";
  identity made = make(&(form){.subject = "x", .issuer = &root});
  GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
  GENERAL_NAME *name = GENERAL_NAME_new();
  ASN1_IA5STRING *value = ASN1_IA5STRING_new();
  must(names && name && value &&
           ASN1_STRING_set(value, rude, sizeof rude - 1) == 1,
       "a name");
  GENERAL_NAME_set0_value(name, GEN_DNS, value);
  must(sk_GENERAL_NAME_push(names, name) == 1 &&
           X509_add1_ext_i2d(made.certificate, NID_subject_alt_name, names, 0,
                             X509V3_ADD_DEFAULT) == 1 &&
           X509_sign(made.certificate, root.key, EVP_sha256()) > 0,
       "a certificate");
  GENERAL_NAMES_free(names);
  expect(&(server){.identity = &made}, HOST, POP3_E_HOSTNAME,
         "\"pop.example.org\\x00.evil.org\"", "a name with a NUL in it");
  discard(&made);
}

int main(void) {
  make_world();
  use_defaults();
  test_matches();
  test_host_names();
  test_sni();
  test_recheck();
  test_chains();
  test_sent_chains();
  test_weak();
  test_choices();
  test_anonymous();
  test_crowds();
  test_nul_name();
  end_world();
  return failures > 0;
}
