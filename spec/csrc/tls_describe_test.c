/*
 * tls_describe_test.c - what is said of a connection and of its certificates,
 * hostile ones among them.
 */
#define _POSIX_C_SOURCE 200809L

#include "../../csrc/tls_describe.h"

#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tls_world.h"

/* Of the server's certificate; the caller stops the pair. */
static pop3_tls_certificate meet(pair *p, const identity *who,
                                 const char *host) {
  pop3_tls_certificate c = {0};
  server s = {.identity = who};
  must(try_out(p, &s, host) == POP3_E_OK, failure.text);
  must(pop3_tls_chain_size(p->client, POP3_TLS_SENT) == 1, "a certificate");
  must(pop3_tls_certificate_read(p->client, POP3_TLS_SENT, 0, &c) == POP3_E_OK,
       "memory");
  return c;
}

/* The same without a look at it. */
static pop3_tls_certificate meet_anybody(pair *p, const identity *who) {
  options.verify = options.check_hostname = false;
  options.security_level = 0;
  pop3_tls_certificate c = meet(p, who, "pop.example.org");
  use_defaults();
  return c;
}

static void leave(pair *p, pop3_tls_certificate *c) {
  check(ERR_peek_error() == 0, "the error queue is empty");
  pop3_tls_certificate_free(c);
  stop(p);
}

static bool is(const char *got, const char *wanted) {
  if (strcmp(got, wanted) == 0) return true;
  printf("# got \"%.200s\"\n", got);
  return false;
}

/* --- a good one ---------------------------------------------------------- */

static void test_details(void) {
  pair p;
  pop3_tls_details d;
  server s = {.identity = &leaf, .protocol = "pop3", .max = TLS1_3_VERSION};
  options.ciphersuites = "TLS_AES_128_GCM_SHA256";
  options.groups = "P-256";
  must(try_out(&p, &s, "pop.example.org.") == POP3_E_OK, "a session");
  pop3_tls_detail(p.client, &d);
  check(is(d.version, "TLSv1.3") && is(d.cipher, "TLS_AES_128_GCM_SHA256") &&
            d.bits == 128 && is(d.group, "secp256r1") && is(d.alpn, "pop3") &&
            is(d.servername, "pop.example.org") && d.verified && !d.resumed &&
            is(d.verified_by, "chain+name"),
        "what was agreed upon");
  stop(&p);
  use_defaults();
  must(try_out(&p, &s, "192.0.2.1") == POP3_E_OK, "a session");
  pop3_tls_detail(p.client, &d);
  check(is(d.servername, ""), "no name was sent to an address");
  stop(&p);
}

static void test_verified_by(void) {
  static const struct {
    bool verify, name;
    const char *wanted;
  } rows[] = {
      {true, true, "chain+name"},
      {true, false, "chain"},
      {false, true, "name"},
      {false, false, "nothing"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    pair p;
    pop3_tls_details d;
    server s = {.identity = &leaf};
    options.verify = rows[i].verify;
    options.check_hostname = rows[i].name;
    must(try_out(&p, &s, "pop.example.org") == POP3_E_OK, "a session");
    pop3_tls_detail(p.client, &d);
    size_t verified = pop3_tls_chain_size(p.client, POP3_TLS_VERIFIED);
    check(is(d.verified_by, rows[i].wanted) && d.verified == rows[i].verify &&
              verified == (rows[i].verify ? 2 : 0),
          rows[i].wanted);
    stop(&p);
    use_defaults();
  }
}

/* What else may be looked at, and what it stands for. */
static void test_verified_otherwise(void) {
  char pin[POP3_PIN_TEXT], record[80] = "3 1 1 ";
  unsigned char digest[32];
  pair p;
  pop3_tls_details d;
  server s = {.identity = &leaf};
  options.pins = pop3_pin_show(leaf.certificate, pin);
  must(try_out(&p, &s, "pop.example.org") == POP3_E_OK, "a session");
  pop3_tls_detail(p.client, &d);
  check(is(d.verified_by, "chain+name+pin") && d.verified, "a pin beside");
  stop(&p);
  options.verify = false;
  must(try_out(&p, &s, "192.0.2.9") == POP3_E_OK, "a session");
  pop3_tls_detail(p.client, &d);
  check(is(d.verified_by, "pin") && d.verified, "a pin alone");
  stop(&p);
  use_defaults();
  unsigned char *der = NULL;
  int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(leaf.certificate), &der);
  must(size > 0 &&
           EVP_Digest(der, (size_t)size, digest, NULL, EVP_sha256(), NULL) == 1,
       "a digest");
  OPENSSL_free(der);
  for (int i = 0; i < 32; i++)
    (void)snprintf(record + 6 + 2 * i, 3, "%02x", digest[i]);
  options.dane = record;
  must(try_out(&p, &s, "pop.example.org") == POP3_E_OK, failure.text);
  pop3_tls_detail(p.client, &d);
  check(is(d.verified_by, "dane") && d.verified, "DANE-EE in their place");
  stop(&p);
  use_defaults();
}

static bool same_pem(const char *pem, const X509 *wanted) {
  BIO *in = BIO_new_mem_buf(pem, -1);
  X509 *got = PEM_read_bio_X509(in, NULL, NULL, NULL);
  bool same = got && X509_cmp(got, wanted) == 0;
  X509_free(got);
  BIO_free(in);
  ERR_clear_error();
  return same;
}

static void test_certificate(void) {
  static const char names[] =
      "DNS:pop.example.org\0IP:192.0.2.1\0IP:2001:db8::1\0"
      "DNS:*.wild.example.org\0";
  pair p;
  int64_t now = (int64_t)time(NULL);
  pop3_tls_certificate c = meet(&p, &leaf, "pop.example.org");
  check(is(c.subject, "CN=leaf") && is(c.issuer, "CN=Root"), "its names");
  check(memcmp(c.names, names, sizeof names) == 0, "its subjectAltNames");
  check(is(c.key_type, "EC") && c.key_bits == 256, "its key");
  check(is(c.signature, "ecdsa-with-SHA256"), "its signature");
  check(c.not_before > now - DAY - 60 && c.not_before <= now - DAY + 60 &&
            c.not_after > now + 30 * DAY - 60 &&
            c.not_after <= now + 30 * DAY + 60,
        "its dates");
  check(strlen(c.serial) == 2 && strspn(c.serial, "0123456789abcdef") == 2,
        "its serial number");
  check(strlen(c.fingerprint) == 64, "its digest");
  check(strncmp(c.pin, "sha256//", 8) == 0 && strlen(c.pin) == 8 + 44,
        "its public key's digest");
  check(same_pem(c.pem, leaf.certificate), "all of it");
  leave(&p, &c);
}

static void test_rsa(void) {
  pair p;
  identity made =
      make(&(form){.subject = "x", .issuer = &root, NAMES, .rsa = 2048});
  pop3_tls_certificate c = meet(&p, &made, "pop.example.org");
  check(is(c.key_type, "RSA") && c.key_bits == 2048, "an RSA key");
  leave(&p, &c);
  discard(&made);
}

static void test_chains(void) {
  pair p;
  pop3_tls_certificate c;
  identity below =
      make(&(form){.subject = "below", .issuer = &intermediate, NAMES});
  server s = {.identity = &below, .chain = &intermediate};
  must(try_out(&p, &s, "pop.example.org") == POP3_E_OK, "a session");
  check(pop3_tls_chain_size(p.client, POP3_TLS_SENT) == 2 &&
            pop3_tls_chain_size(p.client, POP3_TLS_VERIFIED) == 3,
        "the chain as sent, and as verified");
  must(pop3_tls_certificate_read(p.client, POP3_TLS_SENT, 1, &c) == POP3_E_OK,
       "memory");
  check(is(c.subject, "CN=Intermediate"), "the second that was sent");
  pop3_tls_certificate_free(&c);
  must(pop3_tls_certificate_read(p.client, POP3_TLS_VERIFIED, 2, &c) ==
           POP3_E_OK,
       "memory");
  check(is(c.subject, "CN=Root") && is(c.issuer, c.subject), "the root");
  pop3_tls_certificate_free(&c);
  stop(&p);
  discard(&below);
}

static void test_resumed(int version) {
  pair p;
  char octets[8192], name[64];
  pop3_tls_details d;
  pop3_tls_certificate c;
  server s = {.identity = &leaf, .max = version};
  must(try_out(&p, &s, "pop.example.org") == POP3_E_OK && answers(&p) &&
           pop3_tls_session_export(p.client, octets, sizeof octets,
                                   &given_size) == POP3_E_OK,
       "a session");
  given = octets;
  listen_again(&p);
  must(attach(&p, "pop.example.org", false) == POP3_E_OK &&
           shake(&p) == POP3_E_OK,
       "another");
  given = NULL;
  pop3_tls_detail(p.client, &d);
  (void)snprintf(name, sizeof name, "a resumed session has its server's, %s",
                 d.version);
  bool good =
      d.resumed && d.verified && is(d.verified_by, "chain+name") &&
      pop3_tls_chain_size(p.client, POP3_TLS_SENT) == 1 &&
      pop3_tls_chain_size(p.client, POP3_TLS_VERIFIED) == 0 &&
      pop3_tls_certificate_read(p.client, POP3_TLS_SENT, 0, &c) == POP3_E_OK;
  check(good && is(c.subject, "CN=leaf"), name);
  if (good) pop3_tls_certificate_free(&c);
  stop(&p);
}

/* --- hostile ones -------------------------------------------------------- */

static void add_entry(const identity *i, const char *field, int type,
                      const char *octets, int size) {
  must(X509_NAME_add_entry_by_txt(X509_get_subject_name(i->certificate), field,
                                  type, (const unsigned char *)octets, size, -1,
                                  0) == 1,
       "an entry");
}

static void sign(const identity *i) {
  must(X509_sign(i->certificate, root.key, EVP_sha256()) > 0, "a signature");
}

static void test_subjects(void) {
  static const char rude[] = "a\0b\x1b[2Jc\r\nd,e+f\xe2\x80\xae";
  pair p;
  identity made = make(&(form){.subject = "x", .issuer = &root});
  add_entry(&made, "O", V_ASN1_UTF8STRING, rude, sizeof rude - 1);
  sign(&made);
  pop3_tls_certificate c = meet_anybody(&p, &made);
  check(is(c.subject, "O=a\\00b\\1B[2Jc\\0D\\0Ad\\,e\\+f\\xe2\\x80\\xae,CN=x"),
        "a subject's control characters are escaped");
  leave(&p, &c);
  discard(&made);
}

/* OpenSSL reads no certificate whose strings are not in their encoding, so one
 * that was read is spoilt. */
static void test_unreadable_subject(int type, const char *octets, int size,
                                    const char *wanted) {
  pair p;
  identity made = make(&(form){.subject = "x", .issuer = &root});
  add_entry(&made, "O", type, "\0a\0b", 4);
  sign(&made);
  pop3_tls_certificate c = meet_anybody(&p, &made);
  pop3_tls_certificate_free(&c);
  const X509_NAME *name =
      X509_get_subject_name(SSL_get0_peer_certificate(p.client->ssl));
  must(ASN1_STRING_set(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, 1)),
                       octets, size) == 1,
       "a subject");
  bool good =
      pop3_tls_certificate_read(p.client, POP3_TLS_SENT, 0, &c) == POP3_E_OK;
  check(good && is(c.subject, wanted),
        "a subject that is no text comes all the same");
  if (good) leave(&p, &c);
  else stop(&p);
  discard(&made);
}

static void test_wide_subject(void) {
  pair p;
  identity made = make(&(form){.subject = "x", .issuer = &root});
  add_entry(&made, "O", V_ASN1_BMPSTRING, "\0M\0\xfc\0n", 6);
  sign(&made);
  pop3_tls_certificate c = meet_anybody(&p, &made);
  check(is(c.subject, "O=M\xc3\xbcn,CN=x"),
        "a subject in UCS-2 comes in UTF-8");
  leave(&p, &c);
  discard(&made);
}

static void test_serials(void) {
  pair p;
  char hex[4002];
  BIGNUM *number = NULL;
  identity made = make(&(form){.subject = "x", .issuer = &root, NAMES});
  memset(hex, 'a', 4000);
  hex[4000] = '\0';
  must(BN_hex2bn(&number, hex) == 4000 &&
           BN_to_ASN1_INTEGER(number,
                              X509_get_serialNumber(made.certificate)) != NULL,
       "a number");
  sign(&made);
  pop3_tls_certificate c = meet_anybody(&p, &made);
  check(strcmp(c.serial, hex) == 0, "a serial number of 2,000 octets");
  leave(&p, &c);
  BN_set_negative(number, 1);
  must(BN_set_word(number, 255) == 1, "a number");
  BN_set_negative(number, 1);
  must(BN_to_ASN1_INTEGER(number, X509_get_serialNumber(made.certificate)) !=
           NULL,
       "a number");
  sign(&made);
  c = meet_anybody(&p, &made);
  check(is(c.serial, "-ff"), "a serial number below nothing");
  leave(&p, &c);
  BN_free(number);
  discard(&made);
}

static void replace_names(const identity *i, GENERAL_NAMES *names) {
  must(X509_add1_ext_i2d(i->certificate, NID_subject_alt_name, names, 0,
                         X509V3_ADD_REPLACE) == 1,
       "names");
  sign(i);
}

static void add_name(GENERAL_NAMES *names, int type, const char *octets,
                     int size) {
  GENERAL_NAME *name = GENERAL_NAME_new();
  ASN1_STRING *value = type == GEN_IPADD
                           ? (ASN1_STRING *)ASN1_OCTET_STRING_new()
                           : (ASN1_STRING *)ASN1_IA5STRING_new();
  must(name && value && ASN1_STRING_set(value, octets, size) == 1, "a name");
  GENERAL_NAME_set0_value(name, type, value);
  must(sk_GENERAL_NAME_push(names, name) > 0, "a name");
}

static void test_odd_names(void) {
  static const char wanted[] =
      "DNS:a\\x00b.org\0DNS:\\x1b[2J\\xff\0DNS:\0IP:#0102030405\0IP:#\0"
      "email:joe@example.org\0URI:x:\\n\0";
  pair p;
  identity made = make(&(form){.subject = "x", .issuer = &root});
  GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
  add_name(names, GEN_DNS, "a\0b.org", 7);
  add_name(names, GEN_DNS, "\x1b[2J\xff", 5);
  add_name(names, GEN_DNS, "", 0);
  add_name(names, GEN_IPADD, "\1\2\3\4\5", 5);
  add_name(names, GEN_IPADD, "", 0);
  add_name(names, GEN_EMAIL, "joe@example.org", 15);
  add_name(names, GEN_URI, "x:\n", 3);
  replace_names(&made, names);
  pop3_tls_certificate c = meet_anybody(&p, &made);
  check(memcmp(c.names, wanted, sizeof wanted) == 0,
        "names with NUL, control characters, nothing, wrong sizes");
  leave(&p, &c);
  GENERAL_NAMES_free(names);
  discard(&made);
}

static void test_other_names(void) {
  static const char wanted[] =
      "dirname:O=Acme,CN=joe\0RID:1.2.3.4\0other:1.2.3.5\0";
  pair p;
  identity made =
      make(&(form){.subject = "x",
                   .issuer = &root,
                   .names = "RID:1.2.3.4,otherName:1.2.3.5;UTF8:some"});
  GENERAL_NAMES *names =
      X509_get_ext_d2i(made.certificate, NID_subject_alt_name, NULL, NULL);
  GENERAL_NAME *name = GENERAL_NAME_new();
  X509_NAME *directory = X509_NAME_new();
  must(
      names && name && directory &&
          X509_NAME_add_entry_by_txt(directory, "CN", MBSTRING_ASC,
                                     (const unsigned char *)"joe", -1, -1, 0) &&
          X509_NAME_add_entry_by_txt(directory, "O", MBSTRING_ASC,
                                     (const unsigned char *)"Acme", -1, -1, 0),
      "a name");
  GENERAL_NAME_set0_value(name, GEN_DIRNAME, directory);
  must(sk_GENERAL_NAME_insert(names, name, 0) > 0, "a name");
  replace_names(&made, names);
  pop3_tls_certificate c = meet_anybody(&p, &made);
  check(memcmp(c.names, wanted, sizeof wanted) == 0, "names of other kinds");
  leave(&p, &c);
  GENERAL_NAMES_free(names);
  discard(&made);
}

/* An extension whose octets are `octets`. */
static void spoil_names(const identity *i, const char *octets, int size) {
  ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
  must(value && ASN1_OCTET_STRING_set(value, (const unsigned char *)octets,
                                      size) == 1,
       "octets");
  X509_EXTENSION *extension =
      X509_EXTENSION_create_by_NID(NULL, NID_subject_alt_name, 0, value);
  must(extension && X509_add_ext(i->certificate, extension, -1) == 1,
       "an extension");
  X509_EXTENSION_free(extension);
  ASN1_OCTET_STRING_free(value);
  sign(i);
}

static void test_broken_names(void) {
  pair p;
  identity made = make(&(form){.subject = "x", .issuer = &root});
  spoil_names(&made, "\x30\x7f\x82\x01", 4);
  pop3_tls_certificate c = meet_anybody(&p, &made);
  check(is(c.names, ""), "names that are no DER are none");
  leave(&p, &c);
  spoil_names(&made, "\x30\x03\x82\x01x", 5);
  c = meet_anybody(&p, &made);
  check(is(c.names, ""), "two lists of names are none");
  leave(&p, &c);
  discard(&made);
}

static void test_crowd(void) {
  enum { NAMES_THERE = 5000 };
  pair p;
  size_t room = NAMES_THERE * 16, used = 0;
  char *text = malloc(room);
  must(text != NULL, "memory");
  for (int i = 0; i < NAMES_THERE; i++)
    used += (size_t)snprintf(text + used, room - used, "%sDNS:h%05d.x",
                             i > 0 ? "," : "", i);
  identity made =
      make(&(form){.subject = "crowd", .issuer = &root, .names = text});
  pop3_tls_certificate c = meet_anybody(&p, &made);
  int count = 0;
  for (const char *at = c.names; *at; at += strlen(at) + 1) count++;
  check(count == NAMES_THERE, "five thousand names are all there");
  leave(&p, &c);
  free(text);
  discard(&made);
}

static void test_odd_dates(void) {
  pair p;
  identity made = make(&(form){.subject = "x", .issuer = &root, NAMES});
  ASN1_TIME *from = X509_getm_notBefore(made.certificate);
  ASN1_TIME *to = X509_getm_notAfter(made.certificate);
  must(ASN1_TIME_set_string(from, "00010101000000Z") == 1 &&
           ASN1_TIME_set_string(to, "99991231235959Z") == 1,
       "dates");
  sign(&made);
  pop3_tls_certificate c = meet_anybody(&p, &made);
  check(c.not_before == INT64_C(-62135596800) &&
            c.not_after == INT64_C(253402300799),
        "the first and the last of all dates");
  leave(&p, &c);
  must(ASN1_TIME_set_string(from, "19700101000000Z") == 1 &&
           ASN1_TIME_set_string(to, "20240229120000Z") == 1,
       "dates");
  sign(&made);
  c = meet_anybody(&p, &made);
  check(c.not_before == 0 && c.not_after == 1709208000, "a leap day");
  leave(&p, &c);
  /* newer versions of OpenSSL read no such certificate: spoil one */
  c = meet_anybody(&p, &made);
  pop3_tls_certificate_free(&c);
  X509 *seen = SSL_get0_peer_certificate(p.client->ssl);
  must(ASN1_STRING_set(X509_getm_notAfter(seen), "never", 5) == 1 &&
           pop3_tls_certificate_read(p.client, POP3_TLS_SENT, 0, &c) ==
               POP3_E_OK,
       "no date");
  check(c.not_after == POP3_TLS_NO_DATE, "what is no date is none");
  leave(&p, &c);
  discard(&made);
}

int main(void) {
  make_world();
  use_defaults();
  test_details();
  test_verified_by();
  test_verified_otherwise();
  test_certificate();
  test_rsa();
  test_chains();
  test_resumed(TLS1_2_VERSION);
  test_resumed(TLS1_3_VERSION);
  test_subjects();
  test_unreadable_subject(V_ASN1_UTF8STRING, "\xff\xfe", 2,
                          "O=\\xff\\xfe,CN=x");
  test_unreadable_subject(V_ASN1_BMPSTRING, "\0a\0", 3,
                          "#301b310a300806035504030c0178310d300b060355040a1e04"
                          "00610062");
  test_wide_subject();
  test_serials();
  test_odd_names();
  test_other_names();
  test_broken_names();
  test_crowd();
  test_odd_dates();
  end_world();
  return failures > 0;
}
