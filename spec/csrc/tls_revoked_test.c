/*
 * tls_revoked_test.c - certificates that somebody took back: stapled OCSP
 * answers and revocation lists, good, bad and hostile, against an OpenSSL
 * server in this process; resumed, and without memory.
 *
 * Run: without an argument a sample of the allocations fails, with "all" each.
 */
#define _POSIX_C_SOURCE 200809L

#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tls_trial.h"
#include "tls_world.h"

/* Servers that the tests share. */
static identity below, self, foreign, other;

static void make_identities(void) {
  below = make(&(form){.subject = "below", .issuer = &intermediate, NAMES});
  self = make(&(form){.subject = "self"});
  foreign = make(&(form){.subject = "foreign", .issuer = &stranger, NAMES});
  other = make(&(form){.subject = "other", .issuer = &root, NAMES});
}

/* --- OCSP ---------------------------------------------------------------- */

typedef struct answer {
  const identity *about, *issuer; /* default: leaf, root */
  const identity *signer;         /* default: the issuer */
  int status, reason;
  long from, to;       /* seconds from now; 0, 0: an hour ago, in a day */
  bool endless;        /* no nextUpdate */
  bool silent;         /* tryLater */
  const EVP_MD *names; /* digest of names; default SHA-1 */
} answer;

typedef struct staple {
  unsigned char octets[4096];
  size_t size;
} staple;

static ASN1_TIME *in_seconds(long seconds) {
  return X509_gmtime_adj(NULL, seconds);
}

static staple make_staple(const answer *a) {
  staple made;
  const identity *about = a->about ? a->about : &leaf;
  const identity *issuer = a->issuer ? a->issuer : &root;
  const identity *signer = a->signer ? a->signer : issuer;
  OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
  OCSP_CERTID *id = OCSP_cert_to_id(a->names ? a->names : EVP_sha1(),
                                    about->certificate, issuer->certificate);
  ASN1_TIME *from = in_seconds(a->from ? a->from : -3600);
  ASN1_TIME *to = a->endless ? NULL : in_seconds(a->to ? a->to : DAY);
  ASN1_TIME *when = in_seconds(-7200);
  must(
      basic && id &&
          OCSP_basic_add1_status(basic, id, a->status, a->reason, when, from,
                                 to) &&
          OCSP_basic_sign(basic, signer->certificate, signer->key, EVP_sha256(),
                          NULL, signer == issuer ? OCSP_NOCERTS : 0) == 1,
      "an answer");
  OCSP_RESPONSE *response =
      OCSP_response_create(a->silent ? OCSP_RESPONSE_STATUS_TRYLATER
                                     : OCSP_RESPONSE_STATUS_SUCCESSFUL,
                           a->silent ? NULL : basic);
  unsigned char *at = made.octets;
  int size = response ? i2d_OCSP_RESPONSE(response, NULL) : 0;
  must(size > 0 && (size_t)size <= sizeof made.octets, "a response");
  made.size = (size_t)i2d_OCSP_RESPONSE(response, &at);
  OCSP_RESPONSE_free(response), OCSP_BASICRESP_free(basic);
  OCSP_CERTID_free(id);
  ASN1_TIME_free(from), ASN1_TIME_free(to), ASN1_TIME_free(when);
  return made;
}

static void expect_staple(const answer *a, pop3_error error, const char *phrase,
                          const char *name) {
  staple made = make_staple(a);
  server s = {
      .identity = &leaf, .staple = made.octets, .staple_size = made.size};
  static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
  for (size_t i = 0; i < 2; i++) {
    s.max = versions[i];
    options.ocsp = POP3_OCSP_REQUEST;
    expect(&s, HOST, error, phrase, name);
  }
}

/* What no server of OpenSSL's sends since its 3.6, which looks at staples itself,
 * a hostile one may: it is judged without a handshake, and by one before 3.6. */
static void expect_bad(const staple *bad, const char *phrase,
                       const char *name) {
  int64_t until = 0;
  check(said(pop3_ocsp_judge(bad->octets, bad->size, leaf.certificate,
                             root.certificate, &until, &failure),
             POP3_E_OCSP, phrase),
        name);
  server s = {
      .identity = &leaf, .staple = bad->octets, .staple_size = bad->size};
  options.ocsp = POP3_OCSP_REQUEST;
  if (OpenSSL_version_num() < 0x30600000L)
    expect(&s, HOST, POP3_E_OCSP, phrase, name);
  use_defaults();
}

static void test_staples(void) {
  identity responder = make(
      &(form){.subject = "responder", .issuer = &root, .usage = "OCSPSigning"});
  identity nobody = make(&(form){.subject = "nobody", .issuer = &root});
  identity forger = make(&(form){
      .subject = "forger", .issuer = &stranger, .usage = "OCSPSigning"});
  expect_staple(&(answer){0}, POP3_E_OK, "", "OCSP: good, signed by the CA");
  expect_staple(&(answer){.names = EVP_sha256()}, POP3_E_OK, "",
                "OCSP: good, named by SHA-256");
  expect_staple(&(answer){.signer = &responder}, POP3_E_OK, "",
                "OCSP: good, signed by whom the CA appointed");
  expect_staple(&(answer){.signer = &nobody}, POP3_E_OCSP, "signed",
                "OCSP: signed by a certificate of the CA that is not for it");
  expect_staple(&(answer){.signer = &leaf}, POP3_E_OCSP, "signed",
                "OCSP: signed by the server");
  expect_staple(&(answer){.signer = &stranger}, POP3_E_OCSP, "signed",
                "OCSP: signed by another CA");
  expect_staple(&(answer){.signer = &forger}, POP3_E_OCSP, "signed",
                "OCSP: signed by whom another CA appointed");
  expect_staple(&(answer){.status = V_OCSP_CERTSTATUS_REVOKED,
                          .reason = OCSP_REVOKED_STATUS_KEYCOMPROMISE},
                POP3_E_REVOKED, "keyCompromise", "OCSP: revoked");
  expect_staple(&(answer){.status = V_OCSP_CERTSTATUS_REVOKED,
                          .reason = OCSP_REVOKED_STATUS_NOSTATUS,
                          .from = -9 * DAY,
                          .to = -8 * DAY},
                POP3_E_REVOKED, "revoked on 2", "OCSP: revoked long ago");
  expect_staple(&(answer){.status = V_OCSP_CERTSTATUS_REVOKED,
                          .reason = OCSP_REVOKED_STATUS_NOSTATUS,
                          .signer = &stranger},
                POP3_E_OCSP, "signed", "OCSP: revoked, says another CA");
  expect_staple(&(answer){.status = V_OCSP_CERTSTATUS_UNKNOWN}, POP3_E_OCSP,
                "does not know", "OCSP: unknown");
  expect_staple(&(answer){.from = -9 * DAY, .to = -8 * DAY}, POP3_E_OCSP,
                "was good until 2", "OCSP: too old");
  expect_staple(&(answer){.from = -600, .to = -200}, POP3_E_OK, "",
                "OCSP: too old by what clocks may differ");
  expect_staple(&(answer){.from = 900, .to = DAY}, POP3_E_OCSP, "future",
                "OCSP: of the future");
  expect_staple(&(answer){.from = 200, .to = DAY}, POP3_E_OK, "",
                "OCSP: of the future by what clocks may differ");
  expect_staple(&(answer){.endless = true}, POP3_E_OCSP, "old",
                "OCSP: without an end");
  expect_staple(&(answer){.about = &leaf, .issuer = &stranger, .signer = &root},
                POP3_E_OCSP, "", "OCSP: about the same number of another CA");
  expect_staple(&(answer){.silent = true}, POP3_E_OK, "",
                "OCSP: no answer today, nor promised");
  discard(&responder), discard(&nobody), discard(&forger);
}

static void test_hostile_staples(void) {
  staple bad = make_staple(&(answer){.about = &other});
  expect_bad(&bad, "another certificate",
             "OCSP: about another certificate of the CA");
  bad = make_staple(&(answer){0});
  size_t whole = bad.size;
  static const size_t sizes[] = {1, 2, 10, 100};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    bad.size = sizes[i];
    expect_bad(&bad, "not an OCSP response", "OCSP: cut short");
  }
  bad.octets[whole] = 0;
  bad.size = whole + 1;
  expect_bad(&bad, "not an OCSP response", "OCSP: something follows");
  bad.octets[whole - 1] ^= 1;
  bad.size = whole;
  expect_bad(&bad, "signed", "OCSP: a bit of the signature");
}

static void test_no_staple(int version) {
  identity promising =
      make(&(form){.subject = "x", .issuer = &root, NAMES, .promises = true});
  staple silent = make_staple(&(answer){.silent = true});
  staple good = make_staple(&(answer){.about = &promising});
  server s = {.identity = &leaf, .max = version};
  server must_staple = {.identity = &promising, .max = version};
  options.ocsp = POP3_OCSP_REQUEST;
  expect(&s, HOST, POP3_E_OK, "", "OCSP: none, nor promised");
  options.ocsp = POP3_OCSP_REQUIRE;
  expect(&s, HOST, POP3_E_OCSP, "ocsp = \"require\"", "OCSP: none, required");
  options.ocsp = POP3_OCSP_REQUEST;
  expect(&must_staple, HOST, POP3_E_OCSP, "must-staple",
         "OCSP: none, but promised");
  expect(&must_staple, HOST, POP3_E_OK, "",
         "OCSP: none, but promised, and nobody asked");
  must_staple.staple = silent.octets, must_staple.staple_size = silent.size;
  options.ocsp = POP3_OCSP_REQUEST;
  expect(&must_staple, HOST, POP3_E_OCSP, "says nothing",
         "OCSP: no answer today, but promised");
  must_staple.staple = good.octets, must_staple.staple_size = good.size;
  options.ocsp = POP3_OCSP_REQUIRE;
  expect(&must_staple, HOST, POP3_E_OK, "", "OCSP: as promised");
  options.ocsp = POP3_OCSP_REQUIRE;
  options.verify = false;
  expect_config("ocsp is no use", "ocsp without verification");
  discard(&promising);
}

/* "usage 1 1 hex" of an identity's key. */
static const char *name_key(const identity *i, int usage) {
  static char text[100];
  unsigned char *key = NULL, digest[32];
  int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(i->certificate), &key);
  must(size > 0 &&
           EVP_Digest(key, (size_t)size, digest, NULL, EVP_sha256(), NULL) == 1,
       "a digest");
  int used = snprintf(text, sizeof text, "%d 1 1 ", usage);
  for (int k = 0; k < 32; k++)
    used +=
        snprintf(text + used, sizeof text - (size_t)used, "%02x", digest[k]);
  OPENSSL_free(key);
  return text;
}

static void test_staple_and_dane(void) {
  server s = {.identity = &self};
  options.ocsp = POP3_OCSP_REQUEST;
  options.dane = name_key(&self, 3);
  expect(&s, HOST, POP3_E_OK, "", "OCSP: DANE-EE has no CA to ask");
  options.ocsp = POP3_OCSP_REQUIRE;
  options.dane = name_key(&self, 3);
  expect(&s, HOST, POP3_E_OCSP, "no CA", "OCSP: required of DANE-EE");
  staple made = make_staple(&(answer){.about = &foreign, .issuer = &stranger});
  s = (server){.identity = &foreign,
               .chain = &stranger,
               .staple = made.octets,
               .staple_size = made.size};
  options.ocsp = POP3_OCSP_REQUIRE;
  options.dane = name_key(&stranger, 2);
  expect(&s, HOST, POP3_E_OK, "", "OCSP: of a CA that DANE-TA trusts");
}

static void test_staple_resumed(int version) {
  staple made = make_staple(&(answer){.to = DAY});
  staple ending = make_staple(&(answer){.from = -7200, .to = -100});
  server s = {.identity = &leaf,
              .max = version,
              .staple = made.octets,
              .staple_size = made.size};
  options.ocsp = POP3_OCSP_REQUIRE;
  expect_twice(&s, HOST, true, "OCSP: a session is resumed");
  s.staple = ending.octets, s.staple_size = ending.size;
  options.ocsp = POP3_OCSP_REQUIRE;
  expect_twice(&s, HOST, false, "OCSP: no longer than the answer holds");
}

static void show_us_nothing(SSL *ssl) {
  (void)SSL_CTX_set_tlsext_status_cb(SSL_get_SSL_CTX(ssl), NULL);
}

static void test_staple_recheck(void) {
  options.ocsp = POP3_OCSP_REQUIRE;
  expect_tampered(&(server){.identity = &leaf}, HOST, show_us_nothing,
                  POP3_E_OCSP, "nobody looked",
                  "an answer that OpenSSL did not show us is missing");
}

/* Who is refused does not learn who asked. */
static void test_staple_before_ours(int version) {
  pair p;
  server s = {.identity = &leaf, .demand_client = true, .max = version};
  options.ocsp = POP3_OCSP_REQUIRE;
  options.certfile = client_file;
  check(said(try_out(&p, &s, HOST), POP3_E_OCSP, "require") &&
            !SSL_get0_peer_certificate(p.server),
        "our certificate is not shown to a server without a staple");
  stop(&p);
  use_defaults();
}

/* --- revocation lists ---------------------------------------------------- */

typedef struct list {
  const identity *issuer, *signer; /* default: the issuer */
  const identity *revoked;         /* or NULL */
  long ends;                       /* seconds from now, instead of `to` */
  long from, to;                   /* days from now; 0, 0: valid now */
} list;

static char lists_file[300];

static void write_list(FILE *file, const list *l) {
  X509_CRL *crl = X509_CRL_new();
  const identity *signer = l->signer ? l->signer : l->issuer;
  ASN1_TIME *from = in_seconds((l->from ? l->from : -1) * DAY);
  ASN1_TIME *to = in_seconds(l->ends ? l->ends : (l->to ? l->to : 5) * DAY);
  must(crl && X509_CRL_set_version(crl, X509_CRL_VERSION_2) == 1 &&
           X509_CRL_set_issuer_name(
               crl, X509_get_subject_name(l->issuer->certificate)) == 1 &&
           X509_CRL_set1_lastUpdate(crl, from) == 1 &&
           X509_CRL_set1_nextUpdate(crl, to) == 1,
       "a list");
  if (l->revoked) {
    X509_REVOKED *entry = X509_REVOKED_new();
    must(entry &&
             X509_REVOKED_set_serialNumber(
                 entry, X509_get_serialNumber(l->revoked->certificate)) == 1 &&
             X509_REVOKED_set_revocationDate(entry, from) == 1 &&
             X509_CRL_add0_revoked(crl, entry) == 1,
         "an entry");
  }
  must(X509_CRL_sort(crl) == 1 &&
           X509_CRL_sign(crl, signer->key, EVP_sha256()) > 0 &&
           PEM_write_X509_CRL(file, crl) == 1,
       "a list");
  X509_CRL_free(crl);
  ASN1_TIME_free(from), ASN1_TIME_free(to);
}

static void use_lists(const list *a, const list *b) {
  FILE *file = create(lists_file, "lists.pem");
  write_list(file, a);
  if (b) write_list(file, b);
  (void)fclose(file);
  options.crlfile = lists_file;
}

static void want_lists(void) { use_lists(&(list){.issuer = &root}, NULL); }

static void test_lists(void) {
  server s = {.identity = &leaf};
  server deep = {.identity = &below, .chain = &intermediate};
  const list mine = {.issuer = &intermediate};
  use_lists(&(list){.issuer = &root}, NULL);
  expect(&s, HOST, POP3_E_OK, "", "CRL: not in it");
  use_lists(&(list){.issuer = &root, .revoked = &other}, NULL);
  expect(&s, HOST, POP3_E_OK, "", "CRL: another is in it");
  use_lists(&(list){.issuer = &root, .revoked = &leaf}, NULL);
  expect(&s, HOST, POP3_E_REVOKED, "/CN=leaf was revoked on 2", "CRL: revoked");
  use_lists(&(list){.issuer = &intermediate}, NULL);
  expect(&s, HOST, POP3_E_CERTIFICATE, "no revocation list (CRL) of /CN=Root",
         "CRL: none of the issuer");
  use_lists(&(list){.issuer = &root, .from = -9, .to = -8}, NULL);
  expect(&s, HOST, POP3_E_CERTIFICATE, "in crlfile expired on 2",
         "CRL: expired");
  use_lists(&(list){.issuer = &root, .from = 2}, NULL);
  expect(&s, HOST, POP3_E_CERTIFICATE, "of the future", "CRL: of the future");
  use_lists(&(list){.issuer = &root, .signer = &stranger}, NULL);
  expect(&s, HOST, POP3_E_CERTIFICATE, "cannot be used (CRL signature",
         "CRL: signed by another");
  use_lists(&mine, NULL);
  expect(&deep, HOST, POP3_E_OK, "", "CRL: of the server's CA alone");
  use_lists(&mine, &(list){.issuer = &root, .revoked = &intermediate});
  expect(&deep, HOST, POP3_E_REVOKED, "/CN=Intermediate was revoked",
         "CRL: the CA was revoked");
  use_lists(&mine, &(list){.issuer = &root, .from = -9, .to = -8});
  expect(&deep, HOST, POP3_E_CERTIFICATE, "expired",
         "CRL: that of the CA has expired");
  use_lists(&(list){.issuer = &root}, NULL);
  expect(&deep, HOST, POP3_E_CERTIFICATE, "of /CN=Intermediate",
         "CRL: of the root alone is not enough");
}

static void test_list_files(void) {
  options.crlfile = "/dev/null";
  expect_config("crlfile", "crlfile without lists");
  options.crlfile = root_file;
  expect_config("crlfile", "crlfile with certificates");
  options.crlfile = "/nonexistent";
  expect_config("No such file", "crlfile that does not exist");
  use_lists(&(list){.issuer = &root}, NULL);
  FILE *file = fopen(lists_file, "a");
  must(file &&
           fputs("-----BEGIN X509 CRL-----\nMIIB\n-----END X509 CRL-----\n",
                 file) >= 0 &&
           fclose(file) == 0,
       "a file");
  expect_config("crlfile", "crlfile with a broken one behind");
  use_lists(&(list){.issuer = &root}, NULL);
  options.verify = false;
  expect_config("crlfile is no use", "crlfile without verification");
}

static void test_lists_resumed(int version) {
  server s = {.identity = &leaf, .max = version};
  use_lists(&(list){.issuer = &root}, NULL);
  expect_twice(&s, HOST, true, "CRL: a session is resumed");
}

/* How long a session's verification holds, in days. */
static int64_t holds(server *s) {
  pair p;
  must(try_out(&p, s, HOST) == POP3_E_OK, "a session");
  int64_t left = p.client->until - (int64_t)time(NULL);
  stop(&p);
  use_defaults();
  return left;
}

static void test_until(void) {
  server s = {.identity = &leaf};
  check(holds(&s) > DAY - 60, "a verification holds for a day");
  FILE *file = create(lists_file, "lists.pem");
  write_list(file, &(list){.issuer = &stranger, .from = -9, .to = -8});
  write_list(file, &(list){.issuer = &root});
  (void)fclose(file);
  options.crlfile = lists_file;
  check(holds(&s) > DAY - 60, "whatever lists of others say");
  use_lists(&(list){.issuer = &root, .ends = 4000}, NULL);
  check(holds(&s) <= 4000, "no longer than the CA's list");
  staple made = make_staple(&(answer){.to = 3000});
  s.staple = made.octets, s.staple_size = made.size;
  options.ocsp = POP3_OCSP_REQUEST;
  int64_t left = holds(&s);
  check(left > 2900 && left <= 3000, "no longer than an OCSP answer");
}

/* --- sessions ------------------------------------------------------------ */

static void want_staple(void) { options.ocsp = POP3_OCSP_REQUEST; }

static void test_binding(void) {
  server s = {.identity = &leaf, .max = TLS1_2_VERSION};
  check(is_bound(&s, want_staple), "a session is bound to ocsp");
  check(is_bound(&s, want_lists), "a session is bound to crlfile");
}

/* --- a lack of memory ---------------------------------------------------- */

static void require_staple(void) { options.ocsp = POP3_OCSP_REQUIRE; }
static void revoke_leaf(void) {
  use_lists(&(list){.issuer = &root, .revoked = &leaf}, NULL);
}

static void test_starving(long stride) {
  server s = {.identity = &leaf};
  staple made = make_staple(&(answer){0});
  staple revoked =
      make_staple(&(answer){.status = V_OCSP_CERTSTATUS_REVOKED,
                            .reason = OCSP_REVOKED_STATUS_NOSTATUS});
  starve_with(&s, require_staple, false, stride,
              "out of memory, without a staple");
  s.staple = made.octets, s.staple_size = made.size;
  starve_with(&s, require_staple, true, stride, "out of memory, stapled");
  s.staple = revoked.octets, s.staple_size = revoked.size;
  starve_with(&s, want_staple, false, stride,
              "out of memory, stapled and revoked");
  s.staple = NULL;
  starve_with(&s, revoke_leaf, false, stride, "out of memory, on a list");
}

int main(int count, char **arguments) {
  long stride = begin_trials(count, arguments);
  static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
  make_identities();
  test_staples();
  test_hostile_staples();
  test_staple_and_dane();
  test_staple_recheck();
  test_lists();
  test_list_files();
  test_until();
  test_binding();
  for (size_t i = 0; i < 2; i++) {
    test_no_staple(versions[i]);
    test_staple_before_ours(versions[i]);
    test_staple_resumed(versions[i]);
    test_lists_resumed(versions[i]);
  }
  test_starving(stride);
  discard(&below), discard(&self), discard(&foreign), discard(&other);
  (void)unlink(lists_file);
  end_world();
  return failures > 0;
}
