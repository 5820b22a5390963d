/*
 * tls_starve_test.c - OpenSSL without memory: one of its allocations fails,
 * each in turn, and nothing may come of it that looks like a success and is
 * none. A handshake that passes has verified its peer and asked for all that it
 * should; a context lets none pass in which something lacks that its options
 * say (OpenSSL may lose a root, say, and nobody is trusted then); what is said
 * of a certificate is all there.
 *
 * Every n-th allocation by default, every one where POP3_WHOLE is set, and then
 * also with all that follow it failing, too; few where a machine is emulated,
 * which is what POP3_CUTS means.
 */
#define _POSIX_C_SOURCE 200809L

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../../csrc/tls_describe.h"
#include "tls_world.h"

#define HOST "pop.example.org"

static bool whole; /* all of it */
static bool slow;

/* Which makes each step take eight times as long. */
#if defined(__SANITIZE_ADDRESS__)
static const bool sanitized = true;
#else
static const bool sanitized = false;
#endif

static bool is_set(const char *name) {
  const char *value = getenv(name);
  return value && *value;
}

/* How far apart the points are, of which there are so many in all. */
static long stride_of(long total, long most) {
  if (whole) return 1;
  return total / (slow || sanitized ? 12 : most) + 1;
}

typedef struct tally {
  long points, passed, wrong, starved; /* starved: said MEMORY */
  long first_wrong;
} tally;

static void note(tally *t, long at, pop3_error error, bool wrong) {
  t->points++;
  t->passed += error == POP3_E_OK;
  t->starved += error == POP3_E_MEMORY;
  if (wrong && t->wrong++ == 0) t->first_wrong = at;
}

static void conclude(const tally *t, bool good, const char *name) {
  printf("# %ld points: %ld passed, %ld said \"memory\"\n", t->points,
         t->passed, t->starved);
  if (t->wrong > 0)
    printf("# %ld wrong, the first at %ld\n", t->wrong, t->first_wrong);
  check(t->wrong == 0 && t->points > 9 && good, name);
}

/* --- handshakes ---------------------------------------------------------- */

typedef struct scene {
  const char *name;
  server *server;
  const char *host;
  bool should;               /* succeed, given the memory */
  long most;                 /* points by default */
  bool thorough;             /* ... and all where the context is made, too */
  SSL_SESSION *stolen;       /* forced upon the filter, or NULL */
  pop3_tls_context *context; /* used again, or NULL: one is made each time */
} scene;

/* A session that is bound to another peer, as if it were to this one. */
static void force(pair *p, SSL_SESSION *stolen) {
  must(SSL_SESSION_set1_id_context(stolen, p->client->bound, POP3_TLS_BOUND) ==
               1 &&
           SSL_set_session(p->client->ssl, stolen) == 1,
       "a stolen session");
  p->client->offered = true;
  p->client->until = (int64_t)time(NULL) + 60;
}

static pop3_error meet(pair *p, const scene *c) {
  pop3_error error;
  listen_again(p);
  p->name[0] = '\0';
  p->offered = 0;
  hungry = starving = true;
  if (c->context)
    error = filter(c->context, c->host, strlen(c->host), false, &p->client);
  else error = attach(p, c->host, false);
  starving = false;
  if (error == POP3_E_OK && c->stolen) force(p, c->stolen);
  if (error == POP3_E_OK) error = shake(p);
  hungry = false;
  return error;
}

/* What was asked for is what the server heard, and octets go both ways. */
static bool is_complete(pair *p, const scene *c) {
  /* a session of TLS 1.2 that goes on has the name already */
  bool named = given || strcmp(p->name, c->host) == 0;
  return named && p->offered == 5 && answers(p);
}

static void sweep(pair *p, const scene *c, bool for_good) {
  tally t = {0};
  char name[160];
  fail_allocation(0, false);
  pop3_error fed = meet(p, c);
  long total = allocations_seen();
  must((fed == POP3_E_OK) == c->should, "fed well, it ends as it should");
  long stride = stride_of(total, c->most);
  for (long at = 1; at <= total; at += stride) {
    fail_allocation(at, for_good);
    pop3_error error = meet(p, c);
    bool wrong = p->dirty;
    if (error == POP3_E_OK) wrong = wrong || !c->should || !is_complete(p, c);
    note(&t, at, error, wrong);
  }
  fail_allocation(0, false);
  (void)snprintf(name, sizeof name, "%s, TLS 1.%d%s%s", c->name,
                 c->server->max == TLS1_2_VERSION ? 2 : 3,
                 c->context ? "" : ", with its context",
                 for_good ? ", for good" : "");
  conclude(&t, c->should || t.passed == 0, name);
}

static pop3_tls_context *make_context(void) {
  pop3_tls_context *context = NULL;
  must(pop3_tls_context_new(&options, &context, &failure) == POP3_E_OK,
       "a context");
  return context;
}

/* With a context that is there, and with one that is made in the midst. */
static void play(scene c) {
  pair p;
  options.resume = false; /* each handshake is the same */
  c.context = make_context();
  if (c.most == 0) c.most = 150;
  serve(&p, c.server);
  sweep(&p, &c, false);
  if (whole) sweep(&p, &c, true);
  pop3_tls_context_release(c.context);
  c.context = NULL;
  c.most = c.thorough ? 100000 : 60;
  sweep(&p, &c, false);
  stop(&p);
  use_defaults();
}

static void test_peers(int version) {
  identity expired = make(
      &(form){.subject = "x", .issuer = &root, NAMES, .from = -9, .to = -8});
  identity foreign = make(&(form){.subject = "x", .issuer = &stranger, NAMES});
  server usual = {.identity = &leaf, .max = version};
  server late = {.identity = &expired, .max = version};
  server other = {.identity = &foreign, .max = version};
  play((scene){.name = "a good peer",
               .server = &usual,
               .host = HOST,
               .should = true,
               .most = 1000,
               .thorough = version == TLS1_3_VERSION});
  /* at few of all places OpenSSL loses the name and says that all is well */
  play((scene){.name = "another host's certificate",
               .server = &usual,
               .host = "other.example.org",
               .most = version == TLS1_3_VERSION ? 100000 : 150});
  play((scene){.name = "another address's certificate",
               .server = &usual,
               .host = "192.0.2.9"});
  play((scene){.name = "an unknown CA", .server = &other, .host = HOST});
  play(
      (scene){.name = "an expired certificate", .server = &late, .host = HOST});
  discard(&expired), discard(&foreign);
}

/* Keys that the caller knows, beside the chain and in its place. */
static void test_pins(int version) {
  char right[POP3_PIN_TEXT], wrong[POP3_PIN_TEXT];
  server s = {.identity = &leaf, .max = version};
  must(*pop3_pin_show(leaf.certificate, right) &&
           *pop3_pin_show(stranger.certificate, wrong),
       "pins");
  options.pins = right;
  play((scene){
      .name = "a right pin", .server = &s, .host = HOST, .should = true});
  options.pins = wrong;
  play((scene){.name = "a wrong pin", .server = &s, .host = HOST});
  options.pins = wrong;
  options.verify = false;
  play((scene){.name = "a wrong pin alone", .server = &s, .host = HOST});
}

/* --- sessions ------------------------------------------------------------ */

/* A session of HOST's, and its export. */
static SSL_SESSION *obtain(server *s, char octets[8192]) {
  pair p;
  must(try_out(&p, s, HOST) == POP3_E_OK && answers(&p) &&
           pop3_tls_session_export(p.client, octets, 8192, &given_size) ==
               POP3_E_OK,
       "a session");
  SSL_SESSION *copy = SSL_SESSION_dup(SSL_get0_session(p.client->ssl));
  must(copy != NULL, "a copy");
  stop(&p);
  return copy;
}

static void test_sessions(int version) {
  char octets[8192];
  server s = {.identity = &leaf, .max = version};
  identity foreign = make(&(form){.subject = "x", .issuer = &stranger, NAMES});
  server replaced = {.identity = &foreign, .max = version, .forgetful = true};
  SSL_SESSION *stolen = obtain(&s, octets);
  given = octets;
  play(
      (scene){.name = "a session", .server = &s, .host = HOST, .should = true});
  play((scene){.name = "a session of another host",
               .server = &s,
               .host = "other.example.org"});
  play((scene){.name = "a session, and another server",
               .server = &replaced,
               .host = HOST});
  given = NULL;
  play((scene){.name = "a session that is resumed under another name",
               .server = &s,
               .host = "other.example.org",
               .stolen = stolen});
  SSL_SESSION_free(stolen);
  discard(&foreign);
}

/* --- contexts ------------------------------------------------------------ */

static identity below; /* the intermediate's */
static char whole_p12[300], log_file[300];

static void make_files(void) {
  below = make(&(form){.subject = "below", .issuer = &intermediate});
  STACK_OF(X509) *others = sk_X509_new_null();
  FILE *file = create(whole_p12, "whole.p12");
  must(others && sk_X509_push(others, intermediate.certificate) > 0, "a stack");
  /* few rounds, because it is opened a thousand times */
  PKCS12 *made = PKCS12_create("open sesame", "joe", below.key,
                               below.certificate, others, 0, 0, 1, 1, 0);
  must(made && i2d_PKCS12_fp(file, made) == 1, "a PKCS#12 file");
  PKCS12_free(made);
  sk_X509_free(others);
  (void)fclose(file);
  (void)snprintf(log_file, sizeof log_file, "%.250s/keys.log", folder);
}

static void use_all_options(const char *certfile, const char *keyfile) {
  use_defaults();
  options.certfile = certfile;
  options.keyfile = keyfile;
  options.keypass = "open sesame";
  options.keylog = log_file;
  options.servername = HOST;
  options.min_version = "1.3";
  options.ciphersuites = "TLS_AES_128_GCM_SHA256";
  options.groups = "P-384";
  options.security_level = 3;
}

/* The pair has made its handshake: by all of the options? (To a certificate that
 * comes alone OpenSSL may add what it trusts itself, or not.) */
static bool is_as_told(const pair *p, const identity *who, int others) {
  pop3_tls_details d;
  const pop3_tls_context *context = p->client->context;
  const X509 *seen = SSL_get0_peer_certificate(p->server);
  pop3_tls_detail(p->client, &d);
  return seen && X509_cmp(seen, who->certificate) == 0 &&
         sk_X509_num(SSL_get_peer_cert_chain(p->server)) >= others &&
         strcmp(d.group, "secp384r1") == 0 && d.bits == 128 && d.verified &&
         p->offered == 5 && strcmp(p->name, HOST) == 0 &&
         context->keylog >= 0 && SSL_CTX_get_keylog_callback(context->ssl) &&
         SSL_CTX_get_security_level(context->ssl) == 3;
}

typedef enum service { REFUSES, SERVES_IN_PART, SERVES } service;

/* What comes of a context with a server that wants to know all? */
static service try_service(pop3_tls_context *context, const identity *who,
                           int others) {
  pair p;
  server s = {.identity = &leaf, .demand_client = true};
  serve(&p, &s);
  bool good =
      filter(context, "192.0.2.99", 10, false, &p.client) == POP3_E_OK &&
      shake(&p) == POP3_E_OK && answers(&p);
  service what = REFUSES;
  if (good) what = is_as_told(&p, who, others) ? SERVES : SERVES_IN_PART;
  stop(&p);
  return what;
}

static pop3_error try_context(pop3_tls_context **context) {
  starving = true;
  pop3_error error = pop3_tls_context_new(&options, context, &failure);
  starving = false;
  return error;
}

static void test_contexts(const char *certfile, const char *keyfile,
                          const identity *who, int others, const char *name) {
  tally t = {0};
  pop3_tls_context *context = NULL;
  use_all_options(certfile, keyfile);
  fail_allocation(0, false);
  must(try_context(&context) == POP3_E_OK, failure.text);
  long total = allocations_seen(), stride = stride_of(total, 500);
  must(try_service(context, who, others) == SERVES,
       "fed well, it does what it should");
  pop3_tls_context_release(context);
  for (long at = 1; at <= total; at += stride) {
    context = NULL;
    fail_allocation(at, false);
    pop3_error error = try_context(&context);
    fail_allocation(0, false);
    bool known = error == POP3_E_OK || error == POP3_E_MEMORY ||
                 error == POP3_E_TLS_CONFIG;
    bool wrong =
        !known || ERR_peek_error() != 0 ||
        (error == POP3_E_OK) != (context != NULL) ||
        (context && try_service(context, who, others) == SERVES_IN_PART);
    note(&t, at, error, wrong);
    pop3_tls_context_release(context);
  }
  conclude(&t, true, name);
  use_defaults();
}

/* --- certificates, in text ----------------------------------------------- */

static const size_t texts[] = {
    offsetof(pop3_tls_certificate, pem),
    offsetof(pop3_tls_certificate, subject),
    offsetof(pop3_tls_certificate, issuer),
    offsetof(pop3_tls_certificate, serial),
    offsetof(pop3_tls_certificate, key_type),
    offsetof(pop3_tls_certificate, signature),
    offsetof(pop3_tls_certificate, pin),
    offsetof(pop3_tls_certificate, fingerprint),
};

static const char *text_at(const pop3_tls_certificate *c, size_t i) {
  const char *text;
  memcpy(&text, (const char *)c + texts[i], sizeof text);
  return text;
}

static size_t size_of_names(const char *names) {
  const char *at = names;
  while (*at) at += strlen(at) + 1;
  return (size_t)(at - names) + 1;
}

static bool is_same(const pop3_tls_certificate *a,
                    const pop3_tls_certificate *b) {
  size_t size = size_of_names(a->names);
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
    if (strcmp(text_at(a, i), text_at(b, i)) != 0) return false;
  return size_of_names(b->names) == size &&
         memcmp(a->names, b->names, size) == 0 && a->key_bits == b->key_bits &&
         a->not_before == b->not_before && a->not_after == b->not_after;
}

static pop3_error describe(const pair *p, pop3_tls_certificate *c) {
  starving = true;
  pop3_error error = pop3_tls_certificate_read(p->client, POP3_TLS_SENT, 0, c);
  starving = false;
  return error;
}

static void test_descriptions(const identity *who, const char *name) {
  pair p;
  tally t = {0};
  server s = {.identity = who};
  pop3_tls_certificate right, c;
  fail_allocation(0, false);
  options.verify = options.check_hostname = false;
  must(try_out(&p, &s, HOST) == POP3_E_OK && describe(&p, &right) == POP3_E_OK,
       "a certificate");
  long total = allocations_seen();
  for (long at = 1; at <= total; at++) {
    fail_allocation(at, false);
    pop3_error error = describe(&p, &c);
    bool wrong = (error != POP3_E_OK && error != POP3_E_MEMORY) ||
                 (error == POP3_E_OK && !is_same(&c, &right)) ||
                 ERR_peek_error() != 0;
    note(&t, at, error, wrong);
    if (error == POP3_E_OK) pop3_tls_certificate_free(&c);
  }
  fail_allocation(0, false);
  conclude(&t, true, name);
  pop3_tls_certificate_free(&right);
  stop(&p);
  use_defaults();
}

int main(void) {
  slow = is_set("POP3_CUTS");
  whole = is_set("POP3_WHOLE") && !slow && !sanitized;
  use_failing_allocator();
  make_world();
  make_files();
  use_defaults();
  test_peers(TLS1_3_VERSION);
  test_peers(TLS1_2_VERSION);
  test_pins(TLS1_3_VERSION);
  test_pins(TLS1_2_VERSION);
  test_sessions(TLS1_3_VERSION);
  test_sessions(TLS1_2_VERSION);
  test_contexts(client_file, sealed_file, &client, 0,
                "a context with PEM files");
  test_contexts(whole_p12, NULL, &below, 1, "a context with a PKCS#12 file");
  test_descriptions(&leaf, "what is said of a certificate");
  (void)unlink(whole_p12), (void)unlink(log_file);
  discard(&below);
  end_world();
  return failures > 0;
}
