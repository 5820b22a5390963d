/*
 * tls_service.c - see tls_internal.h: a certificate's names of services (SRV-ID,
 * RFC 4985), "_pop3s.example.org", which OpenSSL does not compare. They are the
 * domain's that led to the server, and no wildcard stands in them (RFC 7817 3).
 */
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include "tls_internal.h"

#define DNS_SRV "1.3.6.1.5.5.7.8.7" /* id-on-dnsSRV */

/* Label by label it is without case, as all names of the DNS. */
static bool is_same(const unsigned char *a, const char *b, size_t size) {
  for (size_t i = 0; i < size; i++) {
    unsigned char x = a[i], y = (unsigned char)b[i];
    if (x >= 'A' && x <= 'Z') x |= 32;
    if (y >= 'A' && y <= 'Z') y |= 32;
    if (x != y) return false;
  }
  return true;
}

static bool is_service(const GENERAL_NAME *name, const char *wanted) {
  ASN1_OBJECT *type;
  ASN1_TYPE *value;
  char number[32];
  if (GENERAL_NAME_get0_otherName(name, &type, &value) != 1 ||
      OBJ_obj2txt(number, sizeof number, type, 1) <= 0 ||
      strcmp(number, DNS_SRV) != 0 || value->type != V_ASN1_IA5STRING)
    return false;
  const ASN1_STRING *text = value->value.ia5string;
  return (size_t)ASN1_STRING_length(text) == strlen(wanted) &&
         is_same(ASN1_STRING_get0_data(text), wanted, strlen(wanted));
}

bool pop3_tls_names_service(const pop3_tls *tls, const X509 *certificate) {
  bool named = false;
  char wanted[POP3_TLS_NAME + 8];
  if (!tls->domain[0]) return false;
  (void)snprintf(wanted, sizeof wanted, "%s.%s",
                 tls->door == POP3_TLS_AT_ONCE ? "_pop3s" : "_pop3",
                 tls->domain);
  GENERAL_NAMES *names =
      X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
  for (int i = 0; !named && i < sk_GENERAL_NAME_num(names); i++)
    named = is_service(sk_GENERAL_NAME_value(names, i), wanted);
  GENERAL_NAMES_free(names);
  ERR_clear_error();
  return named;
}

bool pop3_tls_forgive_service(const pop3_tls *tls, X509_STORE_CTX *store) {
  if (X509_STORE_CTX_get_error(store) != X509_V_ERR_HOSTNAME_MISMATCH ||
      !pop3_tls_names_service(tls, X509_STORE_CTX_get0_cert(store)))
    return false;
  X509_STORE_CTX_set_error(store, X509_V_OK);
  return true;
}
