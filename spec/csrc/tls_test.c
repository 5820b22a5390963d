/*
 * tls_test.c - the TLS filter against an OpenSSL server in this process, over
 * memory BIOs: whom it trusts, and what it says when it does not (R14, R15,
 * T03, T35). Its lack of memory is tls_starve_test.c's matter.
 */
#define _POSIX_C_SOURCE 200809L

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tls_world.h"

/* The claim that connecting ends so. */
static void expect(server *s, const char *host, pop3_error error,
                   const char *phrase, const char *name) {
  pair p;
  pop3_error got = try_out(&p, s, host);
  bool clean = !p.dirty && ERR_peek_error() == 0;
  bool sealed = got == POP3_E_OK || !p.client ||
                pop3_tls_handshake(p.client, &(pop3_failure){0}) == got;
  if (!clean) printf("# the error queue is not empty\n");
  if (!sealed) printf("# the failure is not sticky\n");
  check(said(got, error, phrase) && clean && sealed, name);
  stop(&p);
  use_defaults();
}

static void expect_leaf(const form *f, pop3_error error, const char *phrase,
                        const char *name) {
  identity made = make(f);
  expect(&(server){.identity = &made}, "pop.example.org", error, phrase, name);
  discard(&made);
}

/* --- sessions that work -------------------------------------------------- */

static void test_session(int version, const char *label, size_t chunk) {
  pair p;
  server s = {.identity = &leaf, .protocol = "pop3", .max = version};
  pop3_tls_info info = {0};
  char name[100];
  serve(&p, &s);
  p.chunk = chunk;
  bool good = attach(&p, "pop.example.org", true) == POP3_E_OK &&
              said(shake(&p), POP3_E_OK, "") && !p.dirty && answers(&p);
  if (good) pop3_tls_describe(p.client, &info);
  (void)snprintf(name, sizeof name, "%s, %s", label,
                 chunk ? "an octet at a time" : "at once");
  check(good && strcmp(info.version, label) == 0 && info.verified &&
            info.cipher && info.group && strcmp(info.alpn, "pop3") == 0 &&
            strcmp(p.name, "pop.example.org") == 0,
        name);
  stop(&p);
}

static void test_large(void) {
  enum { SIZE = 1 << 20 };
  pair p;
  server s = {.identity = &leaf};
  char *sent = malloc(SIZE), *got = malloc(SIZE);
  size_t used = 0, size, total = 0;
  must(sent && got, "memory");
  for (size_t i = 0; i < SIZE; i++) sent[i] = (char)(i * 31 + i / 255);
  bool good = try_out(&p, &s, "pop.example.org") == POP3_E_OK &&
              pop3_tls_write(p.client, sent, SIZE, &failure) == POP3_E_OK;
  p.chunk = 5000; /* so that what is sent is dropped in parts */
  while (good && carry_up(&p)) continue;
  while (good && SSL_read_ex(p.server, got + used, SIZE - used, &size) == 1)
    used += size;
  check(good && used == SIZE && memcmp(sent, got, SIZE) == 0,
        "a mebibyte goes out whole, whatever the transport takes");
  good = good && SSL_write_ex(p.server, sent, SIZE, &size) == 1;
  p.chunk = 0;
  drain(&p);
  memset(got, 0, SIZE);
  while (good && pop3_tls_read(p.client, got + total, 333, &size, &failure) ==
                     POP3_E_OK)
    total += size, good = total + 333 <= SIZE || total == SIZE;
  while (total < SIZE && pop3_tls_read(p.client, got + total, SIZE - total,
                                       &size, &failure) == POP3_E_OK)
    total += size;
  check(total == SIZE && memcmp(sent, got, SIZE) == 0,
        "a mebibyte comes in whole, through small reads");
  free(sent), free(got);
  stop(&p);
}

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
  expect(&(server){.identity = &leaf}, "pop.example.org", POP3_E_HOSTNAME,
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

static int believe(X509_STORE_CTX *store, void *argument) {
  (void)store;
  (void)argument;
  return 1;
}

/* OpenSSL 3.0 can lose the name while it copies its parameters and still say
 * that all is well: take it away and see. */
static void test_recheck(void) {
  pair p;
  server s = {.identity = &leaf};
  identity foreign = make(&(form){.subject = "x", .issuer = &stranger, NAMES});
  serve(&p, &s);
  must(attach(&p, "other.example.org", false) == POP3_E_OK, "a filter");
  (void)X509_VERIFY_PARAM_set1_host(SSL_get0_param(p.client->ssl), NULL, 0);
  check(said(shake(&p), POP3_E_HOSTNAME, "not for \"other.example.org\""),
        "a name that OpenSSL lost is checked again");
  stop(&p);
  serve(&p, &s);
  must(attach(&p, "192.0.2.9", false) == POP3_E_OK, "a filter");
  (void)X509_VERIFY_PARAM_set1_ip(SSL_get0_param(p.client->ssl), NULL, 0);
  check(said(shake(&p), POP3_E_HOSTNAME, "not for \"192.0.2.9\""),
        "an address that OpenSSL lost is checked again");
  stop(&p);
  serve(&p, &(server){.identity = &stranger});
  must(attach(&p, "pop.example.org", false) == POP3_E_OK, "a filter");
  SSL_set_verify(p.client->ssl, SSL_VERIFY_NONE, NULL);
  check(said(shake(&p), POP3_E_CERTIFICATE, ""),
        "a chain that OpenSSL did not insist on is checked again");
  stop(&p);
  serve(&p, &(server){.identity = &foreign});
  pop3_tls_context *context = NULL;
  must(pop3_tls_context_new(&options, &context, &failure) == POP3_E_OK,
       "a context");
  SSL_CTX_set_cert_verify_callback(context->ssl, believe, NULL);
  must(filter(context, "pop.example.org", 15, false, &p.client) == POP3_E_OK,
       "a filter");
  check(said(shake(&p), POP3_E_CERTIFICATE, ""),
        "a chain that nobody looked at is not one that is good");
  pop3_tls_context_release(context);
  stop(&p);
  discard(&foreign);
}

/* --- chains -------------------------------------------------------------- */

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
  expect(&(server){.identity = &below, .chain = &intermediate},
         "pop.example.org", POP3_E_OK, "", "a chain that is complete");
  expect(&(server){.identity = &foreign, .chain = &stranger}, "pop.example.org",
         POP3_E_CERTIFICATE, "not trusted here", "a chain to an unknown root");
  expect(&(server){.identity = &fake, .chain = &client}, "pop.example.org",
         POP3_E_CERTIFICATE, "not a CA", "a chain through one that is no CA");
  expect(&(server){.identity = &under, .chain = &expired}, "pop.example.org",
         POP3_E_CERTIFICATE, "/CN=Old expired on", "an expired intermediate");
  discard(&below), discard(&foreign), discard(&fake);
  discard(&expired), discard(&under);
}

static void test_weak(void) {
  identity weak =
      make(&(form){.subject = "weak", .issuer = &root, NAMES, .rsa = 1024});
  server s = {.identity = &weak, .weak = true};
  expect(&s, "pop.example.org", POP3_E_CERTIFICATE, "too short",
         "an RSA key of 1024 bits");
  options.security_level = 1;
  expect(&s, "pop.example.org", POP3_E_OK, "",
         "an RSA key of 1024 bits, by explicit choice");
  discard(&weak);
}

static void test_choices(void) {
  identity foreign =
      make(&(form){.subject = "foreign", .issuer = &stranger, NAMES});
  server s = {.identity = &foreign};
  options.verify = false;
  expect(&s, "pop.example.org", POP3_E_OK, "",
         "verify = false takes an unknown issuer");
  options.verify = false;
  expect(&s, "other.example.org", POP3_E_HOSTNAME, "other.example.org",
         "verify = false alone still checks the name");
  options.check_hostname = false;
  expect(&s, "pop.example.org", POP3_E_CERTIFICATE, "Stranger",
         "check_hostname = false alone still checks the chain");
  options.verify = options.check_hostname = false;
  expect(&s, "other.example.org", POP3_E_OK, "", "both together check nothing");
  pair p;
  pop3_tls_info info;
  options.verify = false;
  must(try_out(&p, &s, "pop.example.org") == POP3_E_OK, "a session");
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
  expect(&s, "pop.example.org", POP3_E_CERTIFICATE, "no certificate",
         "a server without a certificate, whatever was switched off");
  expect(&s, "pop.example.org", POP3_E_HANDSHAKE, "in common",
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
  expect(&(server){.identity = &three}, "pop.example.org", POP3_E_HOSTNAME,
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
  expect(&(server){.identity = &made}, "pop.example.org", POP3_E_HOSTNAME,
         "\"pop.example.org\\x00.evil.org\"", "a name with a NUL in it");
  discard(&made);
}

/* --- protocol ------------------------------------------------------------ */

static void test_versions(void) {
  server old = {.identity = &leaf, .weak = true, .max = TLS1_1_VERSION};
  server new = {.identity = &leaf, .min = TLS1_3_VERSION};
  expect(&old, "pop.example.org", POP3_E_HANDSHAKE, "min_version",
         "a server of TLS 1.1");
  options.security_level = 0;
  expect(&old, "pop.example.org", POP3_E_HANDSHAKE, "min_version",
         "a server of TLS 1.1, at any security level");
  options.min_version = "1.0";
  options.security_level = 0;
  expect(&old, "pop.example.org", POP3_E_OK, "",
         "a server of TLS 1.1, by explicit choice");
  options.min_version = "1.3";
  expect(&(server){.identity = &leaf, .max = TLS1_2_VERSION}, "pop.example.org",
         POP3_E_HANDSHAKE, "min_version", "min_version is kept");
  options.max_version = "1.2";
  expect(&new, "pop.example.org", POP3_E_HANDSHAKE, "max_version",
         "max_version is kept");
}

static void test_alpn(void) {
  pair p;
  server s = {.identity = &leaf, .protocol = "http/1.1"};
  expect(&s, "pop.example.org", POP3_E_ALPN, "right port",
         "a server that chooses HTTP");
  serve(&p, &s);
  must(attach(&p, "pop.example.org", true) == POP3_E_OK, "a filter");
  check(said(shake(&p), POP3_E_ALPN, "right port"),
        "a server that chooses HTTP after STLS (ALPACA)");
  stop(&p);
  s.protocol = "!";
  expect(&s, "pop.example.org", POP3_E_ALPN, "alpn = false",
         "a server that refuses \"pop3\"");
  options.alpn = false;
  check(
      said(try_out(&p, &s, "pop.example.org"), POP3_E_OK, "") && p.offered == 0,
      "alpn = false offers nothing");
  stop(&p);
  use_defaults();
}

static void test_renegotiation(void) {
  pair p;
  server s = {.identity = &leaf, .max = TLS1_2_VERSION};
  must(try_out(&p, &s, "pop.example.org") == POP3_E_OK, "a session");
  (void)SSL_renegotiate(p.server);
  (void)SSL_do_handshake(p.server);
  drain(&p);
  char octet;
  size_t got;
  check(pop3_tls_read(p.client, &octet, 1, &got, &failure) == POP3_E_AGAIN &&
            SSL_get_state(p.client->ssl) == TLS_ST_OK,
        "a renegotiation is not begun");
  ERR_clear_error();
  stop(&p);
}

static void test_plain(void) {
  static const struct {
    const char *octets;
    bool after_stls;
    pop3_error error;
    const char *phrase;
  } rows[] = {
      {"+OK POP3 ready\r\n", false, POP3_E_HANDSHAKE, "+OK POP3 ready\\r\\n"},
      {"+OK POP3 ready\r\n", false, POP3_E_HANDSHAKE, "port 995"},
      {"HTTP/1.0 400\r\n", false, POP3_E_HANDSHAKE, "does not speak TLS"},
      {"+OK injected\r\n", true, POP3_E_INJECTION, "+OK injected"},
      {"-", true, POP3_E_INJECTION, "STLS"},
      {"\x16\x03\x01garbage", true, POP3_E_HANDSHAKE, ""},
      {"\x15\x03\x03\x00\x02\x02\x28", true, POP3_E_HANDSHAKE, "in common"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    pair p;
    char name[64];
    serve(&p, &(server){.identity = &leaf});
    must(attach(&p, "pop.example.org", rows[i].after_stls) == POP3_E_OK,
         "a filter");
    pop3_error first = pop3_tls_handshake(p.client, &failure);
    size_t size = i == 6 ? 7 : strlen(rows[i].octets);
    (void)pop3_tls_feed(p.client, rows[i].octets, size);
    if (i == 5) pop3_tls_eof(p.client);
    (void)snprintf(name, sizeof name, "plain octets instead of TLS: number %d",
                   (int)i);
    check(first == POP3_E_AGAIN &&
              said(pop3_tls_handshake(p.client, &failure), rows[i].error,
                   rows[i].phrase) &&
              ERR_peek_error() == 0,
          name);
    stop(&p);
  }
}

/* --- records ------------------------------------------------------------- */

/* The server's whole flight is there, and still each call takes one record. */
static void test_records(void) {
  pair p;
  pop3_error error = POP3_E_OK;
  int calls = 0;
  serve(&p, &(server){.identity = &leaf});
  must(attach(&p, "pop.example.org", false) == POP3_E_OK, "a filter");
  (void)pop3_tls_handshake(p.client, &failure);
  while (carry_up(&p)) continue;
  (void)SSL_do_handshake(p.server);
  while (carry_down(&p, &error)) continue;
  do {
    error = pop3_tls_handshake(p.client, &failure);
    calls++;
  } while (error == POP3_E_AGAIN && pop3_tls_fed(p.client) > 0);
  check(error == POP3_E_OK && calls >= 4,
        "a handshake's certificates and signature are steps of their own");
  check(pop3_tls_fed(p.client) == 0, "nothing is left of it");
  stop(&p);
}

/* --- ends ---------------------------------------------------------------- */

static void test_ends(void) {
  pair p;
  server s = {.identity = &leaf};
  char octets[64];
  size_t got = 99;
  serve(&p, &s);
  must(attach(&p, "pop.example.org", false) == POP3_E_OK, "a filter");
  check(said(pop3_tls_read(p.client, octets, 1, &got, &failure),
             POP3_E_TLS_DATA, "not done") &&
            said(pop3_tls_write(p.client, "PASS", 4, &failure), POP3_E_TLS_DATA,
                 "not done") &&
            pop3_tls_output(p.client, &got) == NULL && got == 0,
        "nothing is written or read before the handshake");
  (void)pop3_tls_handshake(p.client, &failure);
  pop3_tls_eof(p.client);
  check(said(pop3_tls_handshake(p.client, &failure), POP3_E_HANDSHAKE,
             "closed the connection") &&
            said(pop3_tls_write(p.client, "PASS", 4, &failure),
                 POP3_E_HANDSHAKE, ""),
        "an end during the handshake, and nothing is written after it");
  stop(&p);

  must(try_out(&p, &s, "pop.example.org") == POP3_E_OK, "a session");
  (void)SSL_write_ex(p.server, "+OK\r\n", 5, &got);
  drain(&p);
  pop3_tls_eof(p.client);
  check(pop3_tls_read(p.client, octets, 64, &got, &failure) == POP3_E_OK &&
            got == 5 &&
            said(pop3_tls_read(p.client, octets, 64, &got, &failure),
                 POP3_E_TRUNCATED, "close_notify") &&
            said(pop3_tls_read(p.client, octets, 64, &got, &failure),
                 POP3_E_TRUNCATED, "") &&
            ERR_peek_error() == 0,
        "a stream that ends without close_notify is truncated");
  stop(&p);

  must(try_out(&p, &s, "pop.example.org") == POP3_E_OK, "a session");
  (void)SSL_write_ex(p.server, "+OK\r\n", 5, &got);
  (void)SSL_shutdown(p.server);
  drain(&p);
  pop3_tls_eof(p.client);
  check(pop3_tls_read(p.client, octets, 64, &got, &failure) == POP3_E_OK &&
            pop3_tls_read(p.client, octets, 64, &got, &failure) == POP3_E_EOF &&
            ERR_peek_error() == 0,
        "a stream that ends with close_notify has ended");
  pop3_tls_free(p.client);
  p.client = NULL;
  check(BIO_ctrl_pending(SSL_get_rbio(p.server)) == 0,
        "freeing sends nothing, not even close_notify");
  stop(&p);

  must(try_out(&p, &s, "pop.example.org") == POP3_E_OK, "a session");
  (void)pop3_tls_feed(p.client, "\x17\x03\x03\x00\x14garbagegarbagegarbag", 25);
  check(said(pop3_tls_read(p.client, octets, 64, &got, &failure),
             POP3_E_TLS_DATA, "") &&
            ERR_peek_error() == 0,
        "octets that were tampered with");
  stop(&p);
}

/* --- client certificates ------------------------------------------------- */

static pop3_error first_read(pair *p) {
  char octets[64];
  size_t got;
  drain(p);
  pop3_error error =
      pop3_tls_read(p->client, octets, sizeof octets, &got, &failure);
  return error;
}

static void test_client_certificates(void) {
  pair p;
  server s = {.identity = &leaf, .demand_client = true};
  check(try_out(&p, &s, "pop.example.org") == POP3_E_OK &&
            said(first_read(&p), POP3_E_HANDSHAKE, "certfile"),
        "TLS 1.3: a client certificate is demanded and there is none");
  stop(&p);
  s.max = TLS1_2_VERSION;
  expect(&s, "pop.example.org", POP3_E_HANDSHAKE, "certfile",
         "TLS 1.2: a client certificate is demanded and there is none");
  options.certfile = client_file;
  check(try_out(&p, &s, "pop.example.org") == POP3_E_OK &&
            SSL_get0_peer_certificate(p.server),
        "a client certificate is shown");
  stop(&p);
  options.keyfile = sealed_file;
  options.keypass = "open sesame";
  check(try_out(&p, &s, "pop.example.org") == POP3_E_OK &&
            SSL_get0_peer_certificate(p.server),
        "a key with a passphrase");
  stop(&p);
  options.keypass = "wrong";
  check(said(attach(&p, "pop.example.org", false), POP3_E_TLS_CONFIG,
             sealed_file) &&
            !strstr(failure.text, "wrong"),
        "a wrong passphrase is told without showing it");
  options.keypass = NULL;
  check(said(attach(&p, "pop.example.org", false), POP3_E_TLS_CONFIG,
             "needs keypass"),
        "a missing passphrase is told, not asked for");
  use_defaults();
}

/* --- options ------------------------------------------------------------- */

static void expect_config(const char *phrase, const char *name) {
  pop3_tls_context *context = NULL;
  check(said(pop3_tls_context_new(&options, &context, &failure),
             POP3_E_TLS_CONFIG, phrase) &&
            !context && ERR_peek_error() == 0,
        name);
  use_defaults();
}

static void test_options(void) {
  char missing[300];
  (void)snprintf(missing, sizeof missing, "%s/missing", folder);
  options.cafile = missing;
  expect_config("No such file", "cafile that does not exist");
  options.cafile = "/dev/null";
  expect_config("cafile", "cafile without certificates");
  options.capath = missing;
  expect_config("capath", "capath that does not exist");
  options.capath = folder;
  expect_config("openssl rehash", "capath that is not hashed");
  options.certfile = missing;
  expect_config("certfile", "certfile that does not exist");
  options.certfile = root_file;
  options.keyfile = client_file;
  expect_config("does not belong", "a key of somebody else");
  options.keyfile = client_file;
  expect_config("needs certfile", "a key alone");
  options.min_version = "1.4";
  expect_config("\"1.4\"", "a version that does not exist");
  options.min_version = "";
  expect_config("min_version", "a version without a name");
  options.min_version = "1.3";
  options.max_version = "1.2";
  expect_config("below", "versions the wrong way round");
  options.ciphers = "NONSENSE";
  expect_config("ciphers", "ciphers that do not exist");
  options.ciphers = "DEFAULT:@SECLEVEL=0";
  expect_config("security_level", "a level that hides in ciphers");
  options.ciphersuites = "NONSENSE";
  expect_config("ciphersuites", "ciphersuites that do not exist");
  options.groups = "NONSENSE";
  expect_config("groups", "groups that do not exist");
  options.security_level = 6;
  expect_config("security_level", "a level that does not exist");
  options.groups = "P-384";
  options.ciphersuites = "TLS_AES_128_GCM_SHA256";
  pair p;
  pop3_tls_info info = {0};
  server s = {.identity = &leaf};
  must(try_out(&p, &s, "pop.example.org") == POP3_E_OK, "a session");
  pop3_tls_describe(p.client, &info);
  check(strcmp(info.cipher, "TLS_AES_128_GCM_SHA256") == 0 &&
            strcmp(info.group, "secp384r1") == 0,
        "ciphersuites and groups are used");
  stop(&p);
  use_defaults();
}

static void test_system_trust(void) {
  server s = {.identity = &leaf};
  char hashed[300], name[32];
  must(setenv("SSL_CERT_DIR", folder, 1) == 0 &&
           setenv("SSL_CERT_FILE", "/dev/null", 1) == 0,
       "an environment");
  options.cafile = NULL;
  expect_config("ca-certificates", "a system without CA certificates");
  must(setenv("SSL_CERT_FILE", root_file, 1) == 0, "an environment");
  options.cafile = NULL;
  expect(&s, "pop.example.org", POP3_E_OK, "",
         "the system's bundle, where no directory is hashed");
  must(setenv("SSL_CERT_FILE", "/dev/null", 1) == 0, "an environment");
  (void)snprintf(name, sizeof name, "%08lx.0",
                 X509_NAME_hash_ex(X509_get_subject_name(root.certificate),
                                   NULL, NULL, NULL));
  FILE *file = create(hashed, name);
  must(PEM_write_X509(file, root.certificate) == 1, "a file");
  (void)fclose(file);
  options.cafile = NULL;
  expect(&s, "pop.example.org", POP3_E_OK, "", "the system's directory");
  options.cafile = NULL;
  options.capath = folder;
  expect(&s, "pop.example.org", POP3_E_OK, "", "capath");
  options.cafile = NULL;
  options.verify = false;
  expect(&s, "pop.example.org", POP3_E_OK, "", "no trust, none needed");
  (void)unlink(hashed);
  (void)unsetenv("SSL_CERT_DIR"), (void)unsetenv("SSL_CERT_FILE");
}

static void test_contexts(void) {
  pop3_tls_context *context = NULL;
  pair p;
  server s = {.identity = &leaf};
  must(pop3_tls_context_new(&options, &context, &failure) == POP3_E_OK,
       "a context");
  check(pop3_tls_context_retain(context) == context && context->references == 2,
        "a context is counted");
  pop3_tls_context_release(context);
  serve(&p, &s);
  must(filter(context, "pop.example.org", 15, false, &p.client) == POP3_E_OK,
       "a filter");
  pop3_tls_context_release(context);
  check(shake(&p) == POP3_E_OK, "a filter keeps its context");
  stop(&p);
  pop3_tls_context_release(NULL);
  pop3_tls_free(NULL);
  check(pop3_tls_check_library(&failure) == POP3_E_OK,
        "the library is the one that this was built for");
}

int main(void) {
  make_world();
  use_defaults();
  test_session(TLS1_3_VERSION, "TLSv1.3", 0);
  test_session(TLS1_3_VERSION, "TLSv1.3", 1);
  test_session(TLS1_2_VERSION, "TLSv1.2", 0);
  test_session(TLS1_2_VERSION, "TLSv1.2", 1);
  test_large();
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
  test_versions();
  test_alpn();
  test_renegotiation();
  test_plain();
  test_records();
  test_ends();
  test_client_certificates();
  test_options();
  test_system_trust();
  test_contexts();
  end_world();
  return failures > 0;
}
