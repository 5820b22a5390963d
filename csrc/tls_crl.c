/*
 * tls_crl.c - see tls_checks.h: what CAs revoked, in a file.
 *
 * The server's certificate has to be covered by a list of its issuer. Of the
 * CAs above it those are checked whose issuers have a list in the file as well:
 * who fetches one list has that of the CA he knows, and roots often have none.
 */
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pemerr.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <time.h>

#include "tls_internal.h"

/* --- reading ------------------------------------------------------------- */

static pop3_error refuse_file(const char *path, pop3_failure *failure) {
  return pop3_fail(failure, POP3_E_TLS_CONFIG,
                   "crlfile = \"%s\" cannot be used (%s): it should be a file "
                   "with revocation lists (CRL) in PEM",
                   path, pop3_tls_reason());
}

/* All of a file's lists; false: something in it cannot be read, or none. */
static bool read_lists(BIO *file, STACK_OF(X509_CRL) * lists) {
  X509_CRL *list;
  while ((list = PEM_read_bio_X509_CRL(file, NULL, NULL, NULL)) != NULL) {
    if (sk_X509_CRL_push(lists, list) > 0) continue;
    X509_CRL_free(list);
    return false;
  }
  return ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE &&
         sk_X509_CRL_num(lists) > 0;
}

static bool add_lists(SSL_CTX *ssl, const STACK_OF(X509_CRL) * lists) {
  X509_STORE *store = SSL_CTX_get_cert_store(ssl);
  for (int i = 0; i < sk_X509_CRL_num(lists); i++)
    if (X509_STORE_add_crl(store, sk_X509_CRL_value(lists, i)) != 1)
      return false;
  return X509_VERIFY_PARAM_set_flags(
             SSL_CTX_get0_param(ssl),
             X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL) == 1;
}

pop3_error pop3_crl_prepare(SSL_CTX *ssl, pop3_checks *checks, const char *path,
                            pop3_failure *failure) {
  BIO *file = BIO_new_file(path, "r");
  checks->crls = sk_X509_CRL_new_null();
  if (!file || !checks->crls || !read_lists(file, checks->crls)) {
    BIO_free(file);
    return refuse_file(path, failure);
  }
  BIO_free(file);
  ERR_clear_error();
  if (add_lists(ssl, checks->crls)) return POP3_E_OK;
  return pop3_fail(failure, POP3_E_MEMORY, NULL);
}

/* --- why not ------------------------------------------------------------- */

static pop3_error explain_revoked(X509_CRL *list, X509 *certificate,
                                  pop3_failure *failure) {
  char name[POP3_TLS_NAME_ROOM], issuer[POP3_TLS_NAME_ROOM];
  char when[POP3_TLS_TIME_ROOM];
  X509_REVOKED *entry = NULL;
  (void)X509_CRL_get0_by_cert(list, &entry, certificate);
  return pop3_fail(
      failure, POP3_E_REVOKED,
      "certificate %s was revoked on %s, says the list (CRL) of %s: do not "
      "trust this connection",
      pop3_tls_show_name(X509_get_subject_name(certificate), name),
      pop3_tls_show_time(entry ? X509_REVOKED_get0_revocationDate(entry) : NULL,
                         when),
      pop3_tls_show_name(X509_CRL_get_issuer(list), issuer));
}

static pop3_error explain_date(const X509_CRL *list, bool expired,
                               pop3_failure *failure) {
  char issuer[POP3_TLS_NAME_ROOM], when[POP3_TLS_TIME_ROOM];
  const ASN1_TIME *date =
      expired ? X509_CRL_get0_nextUpdate(list) : X509_CRL_get0_lastUpdate(list);
  return pop3_fail(failure, POP3_E_CERTIFICATE,
                   "the revocation list (CRL) of %s in crlfile %s %s: fetch "
                   "a new one%s",
                   pop3_tls_show_name(X509_CRL_get_issuer(list), issuer),
                   expired ? "expired on" : "is of the future, from",
                   pop3_tls_show_time(date, when),
                   expired ? "" : ", or check this computer's clock");
}

static pop3_error explain_missing(const X509 *certificate,
                                  pop3_failure *failure) {
  char name[POP3_TLS_NAME_ROOM], issuer[POP3_TLS_NAME_ROOM];
  return pop3_fail(
      failure, POP3_E_CERTIFICATE,
      "crlfile holds no revocation list (CRL) of %s, which issued "
      "the server's certificate %s: add it",
      pop3_tls_show_name(X509_get_issuer_name(certificate), issuer),
      pop3_tls_show_name(X509_get_subject_name(certificate), name));
}

static pop3_error explain_list(const X509_CRL *list, int fault,
                               pop3_failure *failure) {
  char issuer[POP3_TLS_NAME_ROOM];
  return pop3_fail(failure, POP3_E_CERTIFICATE,
                   "the revocation list (CRL) of %s in crlfile cannot be used "
                   "(%s): fetch a new one",
                   pop3_tls_show_name(X509_CRL_get_issuer(list), issuer),
                   X509_verify_cert_error_string(fault));
}

static pop3_error explain(X509_STORE_CTX *store, int fault,
                          pop3_failure *failure) {
  X509 *certificate = X509_STORE_CTX_get_current_cert(store);
  X509_CRL *list = X509_STORE_CTX_get0_current_crl(store);
  if (fault == X509_V_ERR_UNABLE_TO_GET_CRL && certificate)
    return explain_missing(certificate, failure);
  if (!list || !certificate) return POP3_E_OK;
  if (fault == X509_V_ERR_CERT_REVOKED)
    return explain_revoked(list, certificate, failure);
  if (fault == X509_V_ERR_CRL_HAS_EXPIRED)
    return explain_date(list, true, failure);
  if (fault == X509_V_ERR_CRL_NOT_YET_VALID)
    return explain_date(list, false, failure);
  return explain_list(list, fault, failure);
}

static const int faults[] = {
    X509_V_ERR_UNABLE_TO_GET_CRL,
    X509_V_ERR_CERT_REVOKED,
    X509_V_ERR_CRL_HAS_EXPIRED,
    X509_V_ERR_CRL_NOT_YET_VALID,
    X509_V_ERR_CRL_SIGNATURE_FAILURE,
    X509_V_ERR_UNABLE_TO_DECRYPT_CRL_SIGNATURE,
    X509_V_ERR_ERROR_IN_CRL_LAST_UPDATE_FIELD,
    X509_V_ERR_ERROR_IN_CRL_NEXT_UPDATE_FIELD,
    X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER,
    X509_V_ERR_KEYUSAGE_NO_CRL_SIGN,
    X509_V_ERR_UNHANDLED_CRITICAL_CRL_EXTENSION,
    X509_V_ERR_DIFFERENT_CRL_SCOPE,
    X509_V_ERR_CRL_PATH_VALIDATION_ERROR,
};

static bool is_of_lists(int fault) {
  for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
    if (faults[i] == fault) return true;
  return false;
}

bool pop3_crl_forgive(pop3_tls *tls, X509_STORE_CTX *store) {
  int fault = X509_STORE_CTX_get_error(store);
  if (fault == X509_V_ERR_UNABLE_TO_GET_CRL &&
      X509_STORE_CTX_get_error_depth(store) > 0) {
    X509_STORE_CTX_set_error(store, X509_V_OK);
    return true;
  }
  if (is_of_lists(fault) && tls->checked.failure)
    tls->checked.refusal = explain(store, fault, tls->checked.failure);
  return false;
}

/* --- until when ---------------------------------------------------------- */

static int64_t ends_at(const X509_CRL *list) {
  int days = 0, seconds = 0;
  const ASN1_TIME *next = X509_CRL_get0_nextUpdate(list);
  if (!next) return INT64_MAX;
  if (ASN1_TIME_diff(&days, &seconds, NULL, next) != 1) return 0;
  return (int64_t)time(NULL) + (int64_t)days * 86400 + seconds;
}

static bool is_issuer(const STACK_OF(X509) * chain, const X509_NAME *name) {
  for (int i = 0; i < sk_X509_num(chain); i++)
    if (X509_NAME_cmp(X509_get_issuer_name(sk_X509_value(chain, i)), name) == 0)
      return true;
  return false;
}

int64_t pop3_crl_until(const pop3_tls *tls, int64_t until) {
  const STACK_OF(X509) *chain = SSL_get0_verified_chain(tls->ssl);
  const STACK_OF(X509_CRL) *lists = tls->context->checks.crls;
  for (int i = 0; i < sk_X509_CRL_num(lists); i++) {
    const X509_CRL *list = sk_X509_CRL_value(lists, i);
    if (!is_issuer(chain, X509_CRL_get_issuer(list))) continue;
    if (ends_at(list) < until) until = ends_at(list);
  }
  return until;
}
