/* tls_describe.c - see tls_describe.h. */
#define _GNU_SOURCE
#include "tls_describe.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "escape.h"
#include "platform.h"
#include "tls_internal.h"

#define SHA256_SIZE 32

/* RFC 4514, its control characters as \XX; what is left of others we escape
 * ourselves, as everywhere. */
#define NAME_FORM (XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB)

/* Octets of an OID in text; more are cut. */
#define OID_ROOM 128

/* --- the connection ------------------------------------------------------ */

static void add_word(char out[64], bool applies, const char *word) {
  if (!applies) return;
  if (out[0]) strcat(out, "+");
  strcat(out, word);
}

/* In the order in which they are looked at; what another replaces is not. */
static void say_how(const pop3_tls *tls, char out[64]) {
  const pop3_tls_context *context = tls->context;
  const pop3_checks *checks = &context->checks;
  const X509 *own = SSL_get0_peer_certificate(tls->ssl);
  bool replaced = own && pop3_checks_replace_name(tls, own);
  out[0] = '\0';
  add_word(out, context->verify && !replaced, "chain");
  add_word(out, context->check_hostname && !replaced, "name");
  add_word(out, checks->dane, "dane");
  add_word(out, checks->pins.count > 0, "pin");
  add_word(out, checks->crls && !replaced, "crl");
  add_word(out, tls->checked.until > 0, "ocsp");
  if (!out[0]) strcpy(out, "nothing");
}

void pop3_tls_detail(const pop3_tls *tls, pop3_tls_details *details) {
  pop3_tls_info info;
  pop3_tls_describe(tls, &info);
  memset(details, 0, sizeof *details);
  details->version = info.version;
  details->cipher = info.cipher;
  details->bits = SSL_get_cipher_bits(tls->ssl, NULL);
  details->alpn = info.alpn;
  details->verified = info.verified || info.pinned;
  details->resumed = info.resumed;
  if (info.group)
    (void)snprintf(details->group, sizeof details->group, "%s", info.group);
  const char *asked = tls->checked.dane_name;
  if (!asked[0] && tls->kind == POP3_TLS_HOST) asked = tls->name;
  memcpy(details->servername, asked, strlen(asked));
  say_how(tls, details->verified_by);
}

void pop3_tls_grounds(const pop3_tls *tls, char verified_by[64],
                      const char **name) {
  say_how(tls, verified_by);
  *name = tls->name;
}

/* --- chains -------------------------------------------------------------- */

/* A session of another process has kept the first of them only. OpenSSL puts a
 * chain together even where nobody asked whether it is good. */
static const struct stack_st_X509 *stack_of(const pop3_tls *tls,
                                            pop3_tls_chain chain) {
  if (chain == POP3_TLS_SENT) return SSL_get_peer_cert_chain(tls->ssl);
  return tls->context->verify ? SSL_get0_verified_chain(tls->ssl) : NULL;
}

size_t pop3_tls_chain_size(const pop3_tls *tls, pop3_tls_chain chain) {
  int count = sk_X509_num(stack_of(tls, chain));
  if (count > 0) return (size_t)count;
  return chain == POP3_TLS_SENT && SSL_get0_peer_certificate(tls->ssl) ? 1 : 0;
}

static X509 *certificate_at(const pop3_tls *tls, pop3_tls_chain chain,
                            size_t index) {
  const STACK_OF(X509) *stack = stack_of(tls, chain);
  if (sk_X509_num(stack) > 0) return sk_X509_value(stack, (int)index);
  return SSL_get0_peer_certificate(tls->ssl);
}

/* --- writing ------------------------------------------------------------- */

/* All of these are false for a lack of memory only. */

static bool write_octets(BIO *out, const void *octets, size_t size) {
  return size == 0 || BIO_write(out, octets, (int)size) == (int)size;
}

static bool write_text(BIO *out, const char *text) {
  return write_octets(out, text, strlen(text));
}

static bool write_escaped(BIO *out, const char *octets, size_t size) {
  char piece[POP3_ESCAPE_ROOM];
  bool good = true;
  for (size_t used; good && size > 0; octets += used, size -= used) {
    used = pop3_escape_next(octets, size, piece);
    good = write_text(out, piece);
  }
  return good;
}

static bool write_hex(BIO *out, const unsigned char *octets, size_t size) {
  static const char digits[] = "0123456789abcdef";
  bool good = true;
  for (size_t i = 0; good && i < size; i++) {
    char pair[2] = {digits[octets[i] >> 4], digits[octets[i] & 15]};
    good = write_octets(out, pair, 2);
  }
  return good;
}

/* Was it memory that OpenSSL lacked, or sense in what it read? */
static bool is_starved(void) {
  bool starved = false;
  unsigned long code;
  while ((code = ERR_get_error()) != 0)
    if (ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE) starved = true;
  return starved;
}

static bool write_oid(BIO *out, const ASN1_OBJECT *object) {
  char text[OID_ROOM] = "";
  if (OBJ_obj2txt(text, sizeof text, object, 0) < 0 && is_starved())
    return false;
  return write_text(out, text);
}

/* --- names --------------------------------------------------------------- */

static bool write_raw_name(BIO *out, const X509_NAME *name) {
  const unsigned char *der = NULL;
  size_t size = 0;
  if (X509_NAME_get0_der(name, &der, &size) != 1 && is_starved()) return false;
  return write_text(out, "#") && write_hex(out, der, der ? size : 0);
}

/* Its strings may be in an encoding that they are not in. */
static bool write_name(BIO *out, const X509_NAME *name) {
  BIO *plain = BIO_new(BIO_s_mem());
  char *text = NULL;
  ERR_clear_error();
  if (!plain) return false;
  bool readable = X509_NAME_print_ex(plain, name, 0, NAME_FORM) >= 0;
  long size = BIO_get_mem_data(plain, &text);
  bool good = readable ? write_escaped(out, text, size > 0 ? (size_t)size : 0)
                       : !is_starved() && write_raw_name(out, name);
  BIO_free(plain);
  return good;
}

static bool write_address(BIO *out, const unsigned char *at, size_t size) {
  char text[64] = "";
  int family = size == 4 ? AF_INET : AF_INET6;
  if (size != 4 && size != 16)
    return write_text(out, "#") && write_hex(out, at, size);
  if (!inet_ntop(family, at, text, sizeof text)) text[0] = '\0';
  return write_text(out, text);
}

static bool write_string(BIO *out, const ASN1_STRING *string) {
  return write_escaped(out, (const char *)ASN1_STRING_get0_data(string),
                       (size_t)ASN1_STRING_length(string));
}

static bool write_value(BIO *out, const GENERAL_NAME *name) {
  switch (name->type) {
    case GEN_DNS:
    case GEN_EMAIL:
    case GEN_URI:
      return write_string(out, name->d.ia5);
    case GEN_IPADD:
      return write_address(out, ASN1_STRING_get0_data(name->d.iPAddress),
                           (size_t)ASN1_STRING_length(name->d.iPAddress));
    case GEN_DIRNAME:
      return write_name(out, name->d.directoryName);
    case GEN_RID:
      return write_oid(out, name->d.registeredID);
    case GEN_OTHERNAME:
      return write_oid(out, name->d.otherName->type_id);
    default:
      return true; /* X.400 and EDI */
  }
}

/* By GENERAL_NAME's types. */
static const char *const prefixes[] = {
    [GEN_OTHERNAME] = "other:", [GEN_EMAIL] = "email:",
    [GEN_DNS] = "DNS:",         [GEN_X400] = "x400:",
    [GEN_DIRNAME] = "dirname:", [GEN_EDIPARTY] = "edi:",
    [GEN_URI] = "URI:",         [GEN_IPADD] = "IP:",
    [GEN_RID] = "RID:",
};

static bool write_names(BIO *out, const X509 *x) {
  bool good = true;
  ERR_clear_error();
  GENERAL_NAMES *names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
  if (!names) return !is_starved();
  for (int i = 0; good && i < sk_GENERAL_NAME_num(names); i++) {
    const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
    good = write_text(out, prefixes[name->type]) && write_value(out, name) &&
           write_octets(out, "", 1);
  }
  GENERAL_NAMES_free(names);
  return good;
}

static bool write_subject(BIO *out, const X509 *x) {
  return write_name(out, X509_get_subject_name(x));
}

static bool write_issuer(BIO *out, const X509 *x) {
  return write_name(out, X509_get_issuer_name(x));
}

/* --- the rest of a certificate ------------------------------------------- */

static bool write_pem(BIO *out, const X509 *x) {
  return PEM_write_bio_X509(out, x) == 1;
}

static bool write_serial(BIO *out, const X509 *x) {
  const ASN1_INTEGER *serial = X509_get0_serialNumber(x);
  bool negative = ASN1_STRING_type(serial) == V_ASN1_NEG_INTEGER;
  return write_text(out, negative ? "-" : "") &&
         write_hex(out, ASN1_STRING_get0_data(serial),
                   (size_t)ASN1_STRING_length(serial));
}

/* The name if OpenSSL can read the key, else what it claims to be. */
static bool write_key_type(BIO *out, const X509 *x) {
  const EVP_PKEY *key = X509_get0_pubkey(x);
  const char *name = key ? EVP_PKEY_get0_type_name(key) : NULL;
  ASN1_OBJECT *claimed = NULL;
  if (name) return write_text(out, name);
  (void)X509_PUBKEY_get0_param(&claimed, NULL, NULL, NULL,
                               X509_get_X509_PUBKEY(x));
  return !claimed || write_oid(out, claimed);
}

static bool write_signature(BIO *out, const X509 *x) {
  const ASN1_OBJECT *algorithm = NULL;
  X509_ALGOR_get0(&algorithm, NULL, NULL, X509_get0_tbs_sigalg(x));
  return !algorithm || write_oid(out, algorithm);
}

static bool write_pin(BIO *out, const X509 *x) {
  char pin[POP3_PIN_TEXT];
  const char *shown = pop3_pin_show(x, pin);
  return *shown && write_text(out, shown);
}

static bool write_fingerprint(BIO *out, const X509 *x) {
  unsigned char digest[SHA256_SIZE];
  return X509_digest(x, EVP_sha256(), digest, NULL) == 1 &&
         write_hex(out, digest, sizeof digest);
}

/* Days since 1970-01-01 of a date in the Gregorian calendar. */
static int64_t days_of(int year, int month, int day) {
  int64_t y = month > 2 ? year : (int64_t)year - 1; /* March begins a year */
  int64_t months = month > 2 ? month - 3 : month + 9;
  int64_t leap_days = y / 4 - y / 100 + y / 400;
  return y * 365 + leap_days + (months * 153 + 2) / 5 + day - 1 - 719468;
}

static int64_t read_time(const ASN1_TIME *when) {
  struct tm t;
  if (!when || ASN1_TIME_to_tm(when, &t) != 1) return POP3_TLS_NO_DATE;
  int64_t days = days_of(t.tm_year + 1900, t.tm_mon + 1, t.tm_mday);
  return ((days * 24 + t.tm_hour) * 60 + t.tm_min) * 60 + t.tm_sec;
}

/* --- all of it ----------------------------------------------------------- */

#define FIELD(name) \
  { offsetof(pop3_tls_certificate, name), write_##name }

static const struct field {
  size_t offset;
  bool (*write)(BIO *out, const X509 *x);
} fields[] = {
    FIELD(pem),       FIELD(subject), FIELD(issuer),
    FIELD(names),     FIELD(serial),  FIELD(key_type),
    FIELD(signature), FIELD(pin),     FIELD(fingerprint),
};
#define FIELDS (sizeof fields / sizeof *fields)

/* Where each begins in the text, which moves while it grows. */
static bool write_fields(BIO *out, const X509 *x, size_t starts[FIELDS]) {
  bool good = true;
  for (size_t i = 0; good && i < FIELDS; i++) {
    starts[i] = (size_t)BIO_pending(out);
    good = fields[i].write(out, x) && write_octets(out, "", 1);
  }
  return good;
}

static void point(pop3_tls_certificate *c, const size_t starts[FIELDS]) {
  char *text = NULL;
  (void)BIO_get_mem_data(c->text, &text);
  for (size_t i = 0; i < FIELDS; i++) {
    const char *at = text + starts[i];
    memcpy((char *)c + fields[i].offset, &at, sizeof at);
  }
}

static void read_numbers(pop3_tls_certificate *c, const X509 *x) {
  const EVP_PKEY *key = X509_get0_pubkey(x);
  c->key_bits = key ? EVP_PKEY_get_bits(key) : 0;
  c->not_before = read_time(X509_get0_notBefore(x));
  c->not_after = read_time(X509_get0_notAfter(x));
}

pop3_error pop3_tls_certificate_describe(const X509 *x,
                                         pop3_tls_certificate *certificate) {
  size_t starts[FIELDS];
  pop3_tls_certificate c = {.text = BIO_new(BIO_s_mem())};
  bool good = c.text && write_fields(c.text, x, starts);
  if (good) read_numbers(&c, x);
  ERR_clear_error();
  if (!good) {
    pop3_tls_certificate_free(&c);
    return POP3_E_MEMORY;
  }
  point(&c, starts);
  *certificate = c;
  return POP3_E_OK;
}

pop3_error pop3_tls_certificate_read(const pop3_tls *tls, pop3_tls_chain chain,
                                     size_t index,
                                     pop3_tls_certificate *certificate) {
  const X509 *x = certificate_at(tls, chain, index);
  return pop3_tls_certificate_describe(x, certificate);
}

void pop3_tls_certificate_free(pop3_tls_certificate *certificate) {
  BIO_free(certificate->text);
  certificate->text = NULL;
}
