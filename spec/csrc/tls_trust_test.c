/*
 * tls_trust_test.c - keys that somebody knows: pins and TLSA records (DANE),
 * good, bad and hostile, against an OpenSSL server in this process; resumed,
 * and without memory.
 *
 * Run: without an argument a sample of the allocations fails, with "all" each.
 */
#define _POSIX_C_SOURCE 200809L

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tls_trial.h"
#include "tls_world.h"

/* Servers that the tests share. */
static identity below, self, expired, foreign, other;

static void make_identities(void) {
  below = make(&(form){.subject = "below", .issuer = &intermediate, NAMES});
  self = make(&(form){.subject = "self",
                      .names = "DNS:other.example.org",
                      .from = -20,
                      .to = -10});
  expired = make(
      &(form){.subject = "x", .issuer = &root, NAMES, .from = -9, .to = -8});
  foreign = make(&(form){.subject = "foreign", .issuer = &stranger, NAMES});
  other = make(&(form){.subject = "other", .issuer = &root, NAMES});
}

/* --- pins ---------------------------------------------------------------- */

#define NO_PIN "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

static const char *pin_of(const identity *i) {
  static char pins[4][POP3_PIN_TEXT];
  static int at;
  return pop3_pin_show(i->certificate, pins[at++ % 4]);
}

static const char *both(const char *a, const char *b) {
  static char text[2 * POP3_PIN_TEXT + 4];
  (void)snprintf(text, sizeof text, "%s; %s", a, b);
  return text;
}

static void test_pin_syntax(void) {
  static const char *const wrong[] = {
      "",
      "sha256//",
      "sha256//AAAA",
      "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
      "sha1//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
      "SHA256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
      "sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
      "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
      "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==",
      /* bits that nobody counts: the same pin in another text */
      "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB=",
      "sha256//AAAAAAAAAAAAAAAAAAAA AAAAAAAAAAAAAAAAAAAAAA=",
      "sha256//AAAAAAAAAAAAAAAAAAAA\x1b"
      "AAAAAAAAAAAAAAAAAAAAAA=",
      NO_PIN ";",
      ";" NO_PIN,
      NO_PIN ";;" NO_PIN,
      NO_PIN "," NO_PIN,
      NO_PIN "x",
  };
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    char name[40];
    (void)snprintf(name, sizeof name, "not a pin: number %d", (int)i);
    options.pins = wrong[i];
    expect_config("is not a pin", name);
  }
  options.pins = NO_PIN ";sha256//oops";
  expect_config("\"sha256//oops\"", "the pin that is none is named");
  pop3_pins pins;
  check(
      pop3_pins_read(" " NO_PIN " ;\n" NO_PIN, &pins, &failure) == POP3_E_OK &&
          pins.count == 2,
      "blanks around pins are nothing");
  pop3_pins_free(&pins);
}

static void test_pins(int version) {
  server s = {.identity = &below, .chain = &intermediate, .max = version};
  options.pins = pin_of(&below);
  expect(&s, HOST, POP3_E_OK, "", "the server's key is pinned");
  options.pins = pin_of(&intermediate);
  expect(&s, HOST, POP3_E_OK, "", "its CA's key is pinned");
  options.pins = pin_of(&root);
  expect(&s, HOST, POP3_E_OK, "", "the root's key is pinned");
  options.pins = both(NO_PIN, pin_of(&below));
  expect(&s, HOST, POP3_E_OK, "", "one of two keys is pinned");
  options.pins = pin_of(&stranger);
  expect(&s, HOST, POP3_E_PIN, pin_of(&below),
         "another key is pinned: the server's is told");
  options.pins = pin_of(&below);
  expect(&s, "other.example.org", POP3_E_HOSTNAME, "other.example.org",
         "a pinned key does not make another name right");
  options.pins = pin_of(&foreign);
  expect(&(server){.identity = &foreign, .max = version}, HOST,
         POP3_E_CERTIFICATE, "Stranger", "nor another chain");
}

/* A certificate that the server sends and that is no part of what was
 * verified: anybody may send that. */
static void test_pin_beside(void) {
  options.pins = pin_of(&stranger);
  expect(&(server){.identity = &leaf, .chain = &stranger}, HOST, POP3_E_PIN,
         pin_of(&leaf), "a pinned key beside the verified chain is no use");
}

static void test_key_only(int version) {
  server s = {.identity = &self, .max = version};
  options.verify = false;
  options.pins = pin_of(&self);
  expect(&s, HOST, POP3_E_OK, "",
         "verify = false: the pinned key, whatever else is wrong");
  options.verify = false;
  options.pins = pin_of(&self);
  expect(&s, "not a name", POP3_E_OK, "", "verify = false: by any name");
  options.verify = false;
  options.pins = pin_of(&below);
  expect(&s, HOST, POP3_E_PIN, pin_of(&self), "verify = false: another key");
  options.verify = false;
  options.pins = pin_of(&intermediate);
  expect(&(server){.identity = &below, .chain = &intermediate, .max = version},
         HOST, POP3_E_PIN, pin_of(&below),
         "verify = false: a pinned CA is no use, for nobody looked at it");
  options.verify = false;
  options.pins = pin_of(&self);
  pop3_tls_info info = describe(&s, HOST);
  check(info.pinned && !info.verified && !info.dane,
        "verify = false: says that it is pinned");
}

static void test_pins_resumed(int version) {
  server s = {.identity = &below, .chain = &intermediate, .max = version};
  server own = {.identity = &self, .max = version};
  options.pins = pin_of(&below);
  expect_twice(&s, HOST, true, "a pinned server is resumed");
  options.pins = pin_of(&root);
  expect_twice(&s, HOST, true, "a server with a pinned root is resumed");
  options.verify = false;
  options.pins = pin_of(&self);
  expect_twice(&own, HOST, true, "verify = false: a pinned server is resumed");
}

static void pin_more(void) { options.pins = both(pin_of(&leaf), NO_PIN); }
static void pin_leaf(void) { options.pins = pin_of(&leaf); }
static void pin_none(void) { options.pins = NULL; }
static void change_dane(void);
static void stop_dane(void) { options.dane = NULL; }

static void test_binding(void) {
  server s = {.identity = &leaf, .max = TLS1_2_VERSION};
  check(is_bound(&s, pin_leaf), "a session is bound to pins: none, some");
  options.pins = pin_of(&leaf);
  check(is_bound(&s, pin_more), "a session is bound to pins: some, more");
  options.pins = pin_of(&leaf);
  check(is_bound(&s, pin_none), "a session is bound to pins: some, none");
  check(is_bound(&s, change_dane), "a session is bound to dane: none, some");
  change_dane();
  check(is_bound(&s, stop_dane), "a session is bound to dane: some, none");
}

static int believe(X509_STORE_CTX *store, void *argument) {
  (void)argument;
  return X509_verify_cert(store) > 0;
}

static void have_us_look_at_nothing(SSL *ssl) {
  SSL_CTX_set_cert_verify_callback(SSL_get_SSL_CTX(ssl), believe, NULL);
}

/* What OpenSSL did not have us look at in time is looked at once more. */
static void test_pin_recheck(void) {
  options.pins = NO_PIN;
  expect_tampered(&(server){.identity = &leaf}, HOST, have_us_look_at_nothing,
                  POP3_E_PIN, pin_of(&leaf),
                  "pins are looked at after the handshake as well");
}

/* By the same context, whose pin was another in the meantime: that cannot be,
 * so it is made to be. */
static void test_pin_resumed_again(void) {
  pair p;
  pop3_tls_context *context = NULL;
  server s = {.identity = &self};
  options.verify = false;
  options.pins = pin_of(&self);
  must(pop3_tls_context_new(&options, &context, &failure) == POP3_E_OK,
       "a context");
  serve(&p, &s);
  must(filter(context, HOST, strlen(HOST), false, &p.client) == POP3_E_OK &&
           shake(&p) == POP3_E_OK && answers(&p),
       "a session");
  listen_again(&p);
  must(filter(context, HOST, strlen(HOST), false, &p.client) == POP3_E_OK,
       "a filter");
  context->checks.pins.digests[0][0] ^= 1;
  check(said(shake(&p), POP3_E_PIN, pin_of(&self)) &&
            SSL_session_reused(p.client->ssl) == 1,
        "a pin alone is looked at again when a session is resumed");
  stop(&p);
  pop3_tls_context_release(context);
  use_defaults();
}

/* Who is refused does not learn who asked. */
static void test_pin_before_ours(int version) {
  pair p;
  server s = {.identity = &leaf, .demand_client = true, .max = version};
  options.pins = NO_PIN;
  options.certfile = client_file;
  check(said(try_out(&p, &s, HOST), POP3_E_PIN, pin_of(&leaf)) &&
            !SSL_get0_peer_certificate(p.server),
        "our certificate is not shown to a server that is not pinned");
  stop(&p);
  use_defaults();
}

/* --- DANE ---------------------------------------------------------------- */

/* "usage selector type hex" for a certificate; a few at a time live. */
static const char *tlsa(const identity *i, int usage, int selector, int type) {
  static char texts[4][8192];
  static int turn;
  char *text = texts[turn++ % 4];
  unsigned char *octets = NULL, digest[EVP_MAX_MD_SIZE];
  unsigned digest_size;
  int size = selector == 0 ? i2d_X509(i->certificate, &octets)
                           : i2d_X509_PUBKEY(
                                 X509_get_X509_PUBKEY(i->certificate), &octets);
  const unsigned char *data = octets;
  must(size > 0, "octets");
  if (type > 0) {
    must(EVP_Digest(octets, (size_t)size, digest, &digest_size,
                    type == 1 ? EVP_sha256() : EVP_sha512(), NULL) == 1,
         "a digest");
    data = digest;
    size = (int)digest_size;
  }
  int used = snprintf(text, 8192, "%d %d %d ", usage, selector, type);
  for (int k = 0; k < size; k++)
    used += snprintf(text + used, 8192 - (size_t)used, "%02X", data[k]);
  OPENSSL_free(octets);
  return text;
}

static const char *records(const char *a, const char *b) {
  static char text[16400];
  (void)snprintf(text, sizeof text, "%s;%s", a, b);
  return text;
}

#define NO_RECORD \
  "3 1 1 0000000000000000000000000000000000000000000000000000000000000000"

static void change_dane(void) { options.dane = tlsa(&leaf, 3, 1, 1); }

static void test_tlsa_syntax(void) {
  static const char *const wrong[] = {
      "",
      "3",
      "3 1 1",
      "3 1 1 ",
      "3 1 1 0",
      "3 1 1 0g",
      "3 1 1 00 0",
      "3 1 256 00",
      "-3 1 1 00",
      "3,1,1,00",
      "a 1 1 00",
      "3 1 1 00;",
      ";3 1 1 00",
      "99999999999999999999 1 1 00",
      "_995._tcp IN TLSA 3 1 1 00",
      "311 00",
      "3 1 1 \x1b[2J",
  };
  static const char *const unusable[] = {
      "3 1 1 00",
      "3 1 1 0000000000000000000000000000000000000000",
      "4 1 1 0000000000000000000000000000000000000000000000000000000000000000",
      "255 1 1 "
      "0000000000000000000000000000000000000000000000000000000000000000",
      "3 2 1 0000000000000000000000000000000000000000000000000000000000000000",
      "3 1 3 0000000000000000000000000000000000000000000000000000000000000000",
      "3 1 2 0000000000000000000000000000000000000000000000000000000000000000",
      "3 0 0 30030101ff",
      "2 1 0 3003020100",
      "2 0 0 00",
  };
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    char name[40];
    (void)snprintf(name, sizeof name, "not a TLSA record: number %d", (int)i);
    options.dane = wrong[i];
    expect_config("is not a TLSA record", name);
  }
  for (size_t i = 0; i < sizeof unusable / sizeof unusable[0]; i++) {
    char name[48];
    (void)snprintf(name, sizeof name, "nobody can use it: number %d", (int)i);
    options.dane = unusable[i];
    expect_config("none of the 1 TLSA records can be used", name);
  }
  options.dane = records("3 1 9 00", tlsa(&leaf, 3, 1, 1));
  expect(&(server){.identity = &leaf}, HOST, POP3_E_OK, "",
         "what nobody can use is ignored beside what can be used");
  options.dane_domain = HOST;
  expect_config("no use without dane", "dane_domain alone");
  options.dane = NO_RECORD;
  options.verify = false;
  expect_config("verify = false", "dane without verification");
}

/* DANE-EE(3): RFC 7671 5.1, no name and no date of the certificate counts. */
static void test_dane_ee(int version) {
  server s = {.identity = &self, .max = version};
  for (int selector = 0; selector <= 1; selector++)
    for (int type = 0; type <= 2; type++) {
      char name[64];
      (void)snprintf(name, sizeof name,
                     "3 %d %d: expired, self-signed, of another name", selector,
                     type);
      options.dane = tlsa(&self, 3, selector, type);
      expect(&s, HOST, POP3_E_OK, "", name);
    }
  options.dane = tlsa(&leaf, 3, 1, 1);
  expect(&s, HOST, POP3_E_DANE, "DANE", "3 1 1 of another key");
}

static void test_dane_ta(int version) {
  server s = {.identity = &foreign, .chain = &stranger, .max = version};
  options.dane = tlsa(&stranger, 2, 0, 1);
  expect(&s, HOST, POP3_E_OK, "", "2 0 1: the CA that the DNS names");
  options.dane = tlsa(&stranger, 2, 1, 2);
  expect(&s, HOST, POP3_E_OK, "", "2 1 2: its key");
  options.dane = tlsa(&stranger, 2, 0, 0);
  expect(&(server){.identity = &foreign, .max = version}, HOST, POP3_E_OK, "",
         "2 0 0: a CA that the server did not send");
  options.dane = tlsa(&stranger, 2, 0, 1);
  expect(&s, "other.example.org", POP3_E_HOSTNAME, "other.example.org",
         "2 0 1: the name counts");
  options.dane = tlsa(&root, 2, 0, 1);
  expect(&(server){.identity = &expired, .chain = &root, .max = version}, HOST,
         POP3_E_CERTIFICATE, "expired", "2 0 1: the date counts");
  options.dane = tlsa(&root, 2, 0, 1);
  expect(&s, HOST, POP3_E_DANE, "DANE", "2 0 1: another CA");
  options.dane = tlsa(&foreign, 2, 0, 1);
  expect(&s, HOST, POP3_E_DANE, "DANE", "2 0 1 of the server's own");
}

/* PKIX-TA(0), PKIX-EE(1): what DNS says narrows what the roots say. */
static void test_dane_pkix(void) {
  server s = {.identity = &below, .chain = &intermediate};
  options.dane = tlsa(&below, 1, 1, 1);
  expect(&s, HOST, POP3_E_OK, "", "1 1 1: a trusted chain and the key");
  options.dane = tlsa(&foreign, 1, 1, 1);
  expect(&(server){.identity = &foreign, .chain = &stranger}, HOST,
         POP3_E_CERTIFICATE, "not trusted", "1 1 1: the key alone");
  options.dane = tlsa(&leaf, 1, 1, 1);
  expect(&s, HOST, POP3_E_DANE, "DANE", "1 1 1: the chain alone");
  options.dane = tlsa(&intermediate, 0, 0, 1);
  expect(&s, HOST, POP3_E_OK, "", "0 0 1: a trusted chain by that CA");
  options.dane = tlsa(&stranger, 0, 0, 1);
  expect(&s, HOST, POP3_E_DANE, "DANE", "0 0 1: a trusted chain by another");
  options.dane = tlsa(&below, 1, 1, 1);
  expect(&s, "other.example.org", POP3_E_HOSTNAME, "",
         "1 1 1: the name counts");
}

/* RFC 7673 4: the base domain is asked for, both names will do. */
static void test_dane_domain(void) {
  pair p;
  identity target = make(&(form){
      .subject = "x", .issuer = &stranger, .names = "DNS:target.example.net"});
  server s = {.identity = &target, .chain = &stranger};
  options.dane = tlsa(&stranger, 2, 0, 1);
  options.dane_domain = "target.example.net.";
  check(said(try_out(&p, &s, HOST), POP3_E_OK, "") &&
            strcmp(p.name, "target.example.net") == 0,
        "dane_domain is a name that will do, and the one that is asked for");
  stop(&p);
  use_defaults();
  options.dane = tlsa(&stranger, 2, 0, 1);
  options.dane_domain = "target.example.net";
  expect(&(server){.identity = &foreign, .chain = &stranger}, HOST, POP3_E_OK,
         "", "the host's name will do, too");
  options.dane = tlsa(&stranger, 2, 0, 1);
  options.dane_domain = "third.example.net";
  expect(&s, HOST, POP3_E_HOSTNAME, "", "a third name will not");
  options.dane = tlsa(&stranger, 2, 0, 1);
  options.dane_domain = "target.example.net";
  expect(&s, "192.0.2.9", POP3_E_OK, "", "dane_domain names an address");
  options.dane = tlsa(&self, 3, 1, 1);
  options.dane_domain = "not a name";
  expect(&(server){.identity = &self}, HOST, POP3_E_TLS_CONFIG, "dane_domain",
         "a dane_domain that is no name");
  options.dane = tlsa(&self, 3, 1, 1);
  expect(&(server){.identity = &self}, "192.0.2.9", POP3_E_OK, "",
         "3 1 1 for an address");
  options.dane = tlsa(&stranger, 2, 0, 1);
  expect(&s, "192.0.2.9", POP3_E_HOSTNAME, "192.0.2.9",
         "2 0 1 for an address: it counts");
  discard(&target);
}

static void test_dane_resumed(int version) {
  server s = {.identity = &foreign, .chain = &stranger, .max = version};
  identity odd = make(&(form){.subject = "odd", .from = 5, .to = 50});
  options.dane = tlsa(&stranger, 2, 0, 1);
  expect_twice(&s, HOST, true, "what DANE-TA trusts is resumed");
  options.dane = tlsa(&foreign, 3, 1, 1);
  expect_twice(&s, HOST, true, "what DANE-EE trusts is resumed");
  options.dane = tlsa(&odd, 3, 1, 1);
  expect_twice(&(server){.identity = &odd, .max = version}, HOST, true,
               "with DANE-EE whatever its date and name");
  options.dane = tlsa(&foreign, 3, 1, 1);
  pop3_tls_info info = describe(&s, HOST);
  check(info.dane && info.verified && !info.pinned, "DANE is told");
  discard(&odd);
}

static int accept_all(int good, X509_STORE_CTX *store) {
  (void)good;
  X509_STORE_CTX_set_error(store, X509_V_OK);
  return 1;
}

static void believe_all(SSL *ssl) {
  SSL_set_verify(ssl, SSL_VERIFY_PEER, accept_all);
}

static void test_dane_recheck(void) {
  options.dane = tlsa(&other, 3, 1, 1);
  expect_tampered(&(server){.identity = &leaf}, HOST, believe_all, POP3_E_DANE,
                  "DANE", "records are looked at after the handshake as well");
}

/* As tls_verify_test.c does with names that OpenSSL lost. */
static void lose_name(SSL *ssl) {
  (void)X509_VERIFY_PARAM_set1_host(SSL_get0_param(ssl), NULL, 0);
}

static void test_dane_name_recheck(void) {
  server s = {.identity = &foreign, .chain = &stranger};
  options.dane = tlsa(&stranger, 2, 0, 1);
  expect_tampered(&s, "other.example.org", lose_name, POP3_E_HOSTNAME,
                  "not for \"other.example.org\"",
                  "a name that OpenSSL lost is checked again with DANE-TA");
}

static void test_dane_and_pins(void) {
  server s = {.identity = &self};
  options.dane = tlsa(&self, 3, 1, 1);
  options.pins = pin_of(&self);
  expect(&s, HOST, POP3_E_OK, "", "a pin and DANE-EE");
  options.dane = tlsa(&self, 3, 1, 1);
  options.pins = pin_of(&leaf);
  expect(&s, HOST, POP3_E_PIN, pin_of(&self), "DANE-EE does not replace a pin");
}

/* --- a lack of memory ---------------------------------------------------- */

static void pin_other(void) { options.pins = NO_PIN; }
static void pin_self(void) {
  options.verify = false;
  options.pins = pin_of(&self);
}
static void pin_self_wrongly(void) {
  options.verify = false;
  options.pins = NO_PIN;
}
static void name_self(void) { options.dane = tlsa(&self, 3, 1, 1); }
static void name_other(void) { options.dane = tlsa(&other, 3, 1, 1); }

static void test_starving(long stride) {
  server good = {.identity = &leaf}, own = {.identity = &self};
  starve_with(&good, pin_leaf, true, stride, "out of memory, pinned");
  starve_with(&good, pin_other, false, stride, "out of memory, pinned wrong");
  starve_with(&own, pin_self, true, stride, "out of memory, by a pin alone");
  starve_with(&own, pin_self_wrongly, false, stride,
              "out of memory, by a wrong pin alone");
  starve_with(&own, name_self, true, stride, "out of memory, DANE-EE");
  starve_with(&own, name_other, false, stride, "out of memory, DANE-EE, wrong");
}

int main(int count, char **arguments) {
  long stride = begin_trials(count, arguments);
  static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
  make_identities();
  test_pin_syntax();
  test_pin_beside();
  test_pin_recheck();
  test_pin_resumed_again();
  test_binding();
  test_tlsa_syntax();
  test_dane_pkix();
  test_dane_domain();
  test_dane_recheck();
  test_dane_name_recheck();
  test_dane_and_pins();
  for (size_t i = 0; i < 2; i++) {
    test_pins(versions[i]);
    test_pin_before_ours(versions[i]);
    test_key_only(versions[i]);
    test_pins_resumed(versions[i]);
    test_dane_ee(versions[i]);
    test_dane_ta(versions[i]);
    test_dane_resumed(versions[i]);
  }
  test_starving(stride);
  discard(&below), discard(&self), discard(&expired), discard(&foreign);
  discard(&other);
  end_world();
  return failures > 0;
}
