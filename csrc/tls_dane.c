/*
 * tls_dane.c - see tls_checks.h: keys that the DNS knows (RFC 6698, 7671),
 * behind SRV, too (RFC 7673). OpenSSL does the work; here records are read,
 * and what it found is looked at again.
 *
 * Who names records wants them to hold: where none can be used the connection
 * fails, and the usages of PKIX are what RFC 6698 says, not left out as in
 * opportunistic mail transport (RFC 7672 3.1.3).
 */
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <string.h>

#include "escape.h"
#include "tls_internal.h"

enum { CERTIFICATE, PUBLIC_KEY };  /* selectors */
enum { FULL, SHA2_256, SHA2_512 }; /* matching types */

/* --- reading ------------------------------------------------------------- */

static const char *skip_blanks(const char *at, const char *end) {
  while (at < end && strchr(" \t\r\n", *at)) at++;
  return at;
}

/* A number of 0 to 255 and what separates it; NULL: there is none. */
static const char *read_number(const char *at, const char *end,
                               unsigned char *number) {
  unsigned value = 0;
  const char *from = at;
  while (at < end && *at >= '0' && *at <= '9' && value <= 255)
    value = value * 10 + (unsigned)(*at++ - '0');
  const char *next = skip_blanks(at, end);
  if (at == from || next == at || value > 255) return NULL;
  *number = (unsigned char)value;
  return next;
}

static int hex_value(char c) {
  static const char digits[] = "0123456789abcdef";
  const char *at = c ? strchr(digits, c >= 'A' && c <= 'F' ? c + 32 : c) : NULL;
  return at ? (int)(at - digits) : -1;
}

/* Octets up to the end; false: not hexadecimal, odd, or none. */
static bool read_hex(const char *at, const char *end, unsigned char *out,
                     size_t *size) {
  size_t count = 0;
  for (; at < end; at = skip_blanks(at + 2, end)) {
    int high = hex_value(at[0]), low = end - at > 1 ? hex_value(at[1]) : -1;
    if (high < 0 || low < 0) return false;
    out[count++] = (unsigned char)(high << 4 | low);
  }
  *size = count;
  return count > 0;
}

static bool read_record(const char *at, const char *end, pop3_tlsa *record,
                        unsigned char *data) {
  at = skip_blanks(at, end);
  at = read_number(at, end, &record->usage);
  if (at) at = read_number(at, end, &record->selector);
  if (at) at = read_number(at, end, &record->type);
  record->data = data;
  return at && read_hex(at, end, data, &record->size);
}

static bool is_certificate(const pop3_tlsa *record) {
  const unsigned char *at = record->data;
  X509 *certificate = d2i_X509(NULL, &at, (long)record->size);
  X509_free(certificate);
  ERR_clear_error();
  return certificate && at == record->data + record->size;
}

static bool is_public_key(const pop3_tlsa *record) {
  const unsigned char *at = record->data;
  EVP_PKEY *key = d2i_PUBKEY(NULL, &at, (long)record->size);
  EVP_PKEY_free(key);
  ERR_clear_error();
  return key && at == record->data + record->size;
}

static bool is_usable(const pop3_tlsa *record) {
  if (record->usage > POP3_TLSA_EE || record->selector > PUBLIC_KEY)
    return false;
  switch (record->type) {
    case FULL:
      return record->selector == CERTIFICATE ? is_certificate(record)
                                             : is_public_key(record);
    case SHA2_256:
      return record->size == 32;
    case SHA2_512:
      return record->size == 64;
    default:
      return false;
  }
}

static pop3_error refuse_record(const char *at, size_t size,
                                pop3_failure *failure) {
  char shown[120];
  (void)pop3_escape(at, size, shown, sizeof shown);
  return pop3_fail(failure, POP3_E_TLS_CONFIG,
                   "dane: \"%s\" is not a TLSA record: one is usage, selector, "
                   "matching type and hexadecimal, as \"3 1 1 0123...\"",
                   shown);
}

/* Records and behind them their octets, which are half of the text at most. */
static bool make_set(const char *text, pop3_tlsa_set *set,
                     unsigned char **data) {
  size_t most = 1;
  for (const char *at = text; *at; at++) most += *at == ';';
  *set = (pop3_tlsa_set){0, 0, NULL};
  set->records =
      OPENSSL_zalloc(most * sizeof(pop3_tlsa) + strlen(text) / 2 + 1);
  if (set->records) *data = (unsigned char *)(set->records + most);
  ERR_clear_error();
  return set->records != NULL;
}

pop3_error pop3_tlsa_read(const char *text, pop3_tlsa_set *set,
                          pop3_failure *failure) {
  unsigned char *data;
  pop3_tlsa_set made;
  if (!make_set(text, &made, &data))
    return pop3_fail(failure, POP3_E_MEMORY, NULL);
  for (bool more = true; more;) {
    size_t size = strcspn(text, ";");
    pop3_tlsa *record = &made.records[made.count];
    if (!read_record(text, text + size, record, data)) {
      pop3_tlsa_free(&made);
      return refuse_record(text, size, failure);
    }
    data += record->size;
    if (is_usable(record)) made.count++;
    else made.unusable++;
    more = text[size] == ';';
    text += size + 1;
  }
  *set = made;
  return POP3_E_OK;
}

void pop3_tlsa_free(pop3_tlsa_set *set) {
  OPENSSL_free(set->records);
  *set = (pop3_tlsa_set){0, 0, NULL};
}

/* --- matching ------------------------------------------------------------ */

static int encode(const pop3_tlsa *record, const X509 *certificate,
                  unsigned char **out) {
  if (record->selector == CERTIFICATE) return i2d_X509(certificate, out);
  return i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), out);
}

static bool is_said(const pop3_tlsa *record, const unsigned char *octets,
                    size_t size) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned digest_size;
  const EVP_MD *md = record->type == SHA2_512 ? EVP_sha512() : EVP_sha256();
  if (record->type == FULL)
    return size == record->size && memcmp(octets, record->data, size) == 0;
  return EVP_Digest(octets, size, digest, &digest_size, md, NULL) == 1 &&
         digest_size == record->size &&
         memcmp(digest, record->data, record->size) == 0;
}

static bool is_for(const pop3_tlsa *record, const X509 *certificate) {
  unsigned char *octets = NULL;
  int size = encode(record, certificate, &octets);
  bool same = size > 0 && is_said(record, octets, (size_t)size);
  OPENSSL_free(octets);
  return same;
}

bool pop3_tlsa_is_named(const pop3_tlsa_set *set, const X509 *certificate) {
  for (size_t i = 0; i < set->count; i++)
    if (set->records[i].usage == POP3_TLSA_EE &&
        is_for(&set->records[i], certificate))
      return true;
  return false;
}

/* --- before the handshake ------------------------------------------------ */

static pop3_error refuse_set(const pop3_tlsa_set *set, pop3_error error,
                             pop3_failure *failure) {
  return pop3_fail(failure, error,
                   "dane: none of the %d TLSA records can be used (unknown "
                   "usage, selector or matching type, or wrong size)",
                   (int)set->unusable);
}

static bool keep_text(const char *text, char **copy) {
  if (text) *copy = OPENSSL_strdup(text);
  return !text || *copy;
}

pop3_error pop3_dane_prepare(SSL_CTX *ssl, pop3_checks *checks,
                             const pop3_tls_options *options,
                             pop3_failure *failure) {
  checks->dane = true;
  if (!keep_text(options->dane_domain, &checks->dane_domain) ||
      !keep_text(options->dane_config, &checks->dane_config) ||
      SSL_CTX_dane_enable(ssl) != 1)
    return pop3_fail(failure, POP3_E_MEMORY, NULL);
  checks->dane_by_dns = strcmp(options->dane, "dns") == 0;
  if (checks->dane_by_dns) return POP3_E_OK;
  pop3_error error = pop3_tlsa_read(options->dane, &checks->tlsa, failure);
  if (error == POP3_E_OK && checks->tlsa.count == 0)
    error = refuse_set(&checks->tlsa, POP3_E_TLS_CONFIG, failure);
  return error;
}

bool pop3_tls_wants_records(const pop3_tls_context *context,
                            const char **domain, const char **config) {
  *domain = context->checks.dane_domain;
  *config = context->checks.dane_config;
  return context->checks.dane_by_dns;
}

/* What the DNS says now, for this connection. */
static pop3_error take_records(pop3_tls *tls, const char *records,
                               pop3_failure *failure) {
  pop3_tlsa_set *set = &tls->checked.tlsa;
  if (!tls->context->checks.dane_by_dns) return POP3_E_OK;
  if (!records)
    return pop3_fail(failure, POP3_E_DANE,
                     "nobody looked up the TLSA records that dane = \"dns\" "
                     "wants");
  pop3_error error = pop3_tlsa_read(records, set, failure);
  if (error == POP3_E_TLS_CONFIG) return failure->error = POP3_E_DANE;
  if (error == POP3_E_OK && set->count == 0)
    error = refuse_set(set, POP3_E_DANE, failure);
  return error;
}

const pop3_tlsa_set *pop3_dane_records(const pop3_tls *tls) {
  const pop3_checks *checks = &tls->context->checks;
  return checks->dane_by_dns ? &tls->checked.tlsa : &checks->tlsa;
}

/* The base domain is whom we ask for, and the first name that will do; the one
 * that the caller knows the server by will do, too (RFC 7671 7, 7673 4). */
static bool expect_names(pop3_tls *tls) {
  char *base = tls->checked.dane_name;
  X509_VERIFY_PARAM *param = SSL_get0_param(tls->ssl);
  bool checked = tls->context->check_hostname;
  if (!base[0])
    return SSL_dane_enable(tls->ssl,
                           tls->kind == POP3_TLS_HOST ? tls->name : NULL) > 0;
  if (SSL_set_tlsext_host_name(tls->ssl, base) != 1 ||
      SSL_dane_enable(tls->ssl, base) <= 0)
    return false;
  if (checked && tls->kind == POP3_TLS_HOST)
    return X509_VERIFY_PARAM_add1_host(param, tls->name, 0) == 1;
  return X509_VERIFY_PARAM_set1_ip(param, NULL, 0) == 1;
}

/* The option's, or what the DNS said for this connection. */
static pop3_error read_base(pop3_tls *tls, const char *base,
                            pop3_failure *failure) {
  const char *option = tls->context->checks.dane_domain;
  const char *domain = option ? option : base;
  char shown[120];
  if (!domain) return POP3_E_OK;
  if (pop3_tls_name_of(domain, strlen(domain), tls->checked.dane_name) ==
      POP3_TLS_HOST)
    return POP3_E_OK;
  (void)pop3_escape(domain, strlen(domain), shown, sizeof shown);
  if (!option)
    return pop3_fail(failure, POP3_E_DANE,
                     "dane: the name is an alias of \"%s\", which is not a "
                     "host name",
                     shown);
  return pop3_fail(failure, POP3_E_TLS_CONFIG,
                   "dane_domain = \"%s\" is not a host name", shown);
}

static bool add_records(const pop3_tls *tls, const pop3_tlsa_set *set,
                        size_t *added) {
  for (size_t i = 0; i < set->count; i++) {
    const pop3_tlsa *r = &set->records[i];
    int done = SSL_dane_tlsa_add(tls->ssl, r->usage, r->selector, r->type,
                                 r->data, r->size);
    if (done < 0) return false;
    *added += done > 0;
  }
  return true;
}

pop3_error pop3_dane_expect(pop3_tls *tls, const pop3_tls_peer *peer,
                            pop3_failure *failure) {
  const pop3_tlsa_set *set = pop3_dane_records(tls);
  size_t added = 0;
  pop3_error error = read_base(tls, peer->base, failure);
  if (error == POP3_E_OK) error = take_records(tls, peer->tlsa, failure);
  if (error != POP3_E_OK) return error;
  bool told = expect_names(tls) && pop3_tls_expect_domain(tls);
  if (told && !tls->context->check_hostname)
    told = X509_VERIFY_PARAM_set1_host(SSL_get0_param(tls->ssl), NULL, 0) == 1;
  /* RFC 7671 5.1: where the DNS names the certificate, its names do not */
  if (told) (void)SSL_dane_set_flags(tls->ssl, DANE_FLAG_NO_DANE_EE_NAMECHECKS);
  if (!told || !add_records(tls, set, &added))
    return pop3_fail(failure, POP3_E_MEMORY, NULL);
  return added > 0 ? POP3_E_OK : refuse_set(set, POP3_E_DANE, failure);
}

/* --- after it ------------------------------------------------------------ */

pop3_error pop3_dane_explain(const X509 *certificate, pop3_failure *failure) {
  const pop3_tlsa key = {POP3_TLSA_EE, PUBLIC_KEY, SHA2_256, 0, NULL};
  unsigned char *octets = NULL, digest[EVP_MAX_MD_SIZE];
  char hex[2 * 32 + 1] = "";
  int size = certificate ? encode(&key, certificate, &octets) : 0;
  if (size > 0 &&
      EVP_Digest(octets, (size_t)size, digest, NULL, EVP_sha256(), NULL) == 1)
    for (int i = 0; i < 32; i++)
      (void)snprintf(hex + 2 * i, 3, "%02x", digest[i]);
  OPENSSL_free(octets);
  return pop3_fail(failure, POP3_E_DANE,
                   "the server's certificate is not what the TLSA records say "
                   "(DANE); a record for its key would be \"3 1 1 %s\": if the "
                   "records are of today, do not trust this connection",
                   hex);
}

/* A session has no chain; it is bound to the records by which one was good. */
pop3_error pop3_dane_check(const pop3_tls *tls, const X509 *certificate,
                           pop3_failure *failure) {
  const pop3_tlsa_set *set = pop3_dane_records(tls);
  if (pop3_tlsa_is_named(set, certificate)) return POP3_E_OK;
  if (SSL_session_reused(tls->ssl) == 1) {
    for (size_t i = 0; i < set->count; i++)
      if (set->records[i].usage != POP3_TLSA_EE) return POP3_E_OK;
  } else if (SSL_get0_dane_authority(tls->ssl, NULL, NULL) >= 0) {
    return POP3_E_OK;
  }
  return pop3_dane_explain(certificate, failure);
}
