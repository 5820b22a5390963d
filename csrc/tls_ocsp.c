/*
 * tls_ocsp.c - see tls_checks.h: what the CA says of a certificate today,
 * stapled to the handshake (RFC 6066 8, RFC 6960).
 *
 * A response is believed when the certificate's verified issuer signed it, or
 * somebody whom that issuer itself appointed for it (RFC 6960 4.2.2.2). Trust
 * ends at that issuer: where its own trust comes from (a root, DANE) is settled
 * by then.
 */
#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

#include "tls_internal.h"

/* Seconds that our clock and the responder's may differ by. */
#define SKEW 300

/* TLS's number of the extension (RFC 6066), as RFC 7633 lists it. */
#define STATUS_REQUEST 5

/* --- judging ------------------------------------------------------------- */

static pop3_error refuse(pop3_failure *failure, const char *why) {
  return pop3_fail(failure, POP3_E_OCSP,
                   "what the server's CA said of its certificate (OCSP) cannot "
                   "be used: %s; ask the administrator to look at the server's "
                   "stapling",
                   why);
}

/* Its signer: the issuer itself, or one whose certificate that issuer signed
 * for it. Nothing else is trusted here. */
static bool is_signed(OCSP_BASICRESP *basic, X509 *issuer) {
  X509_STORE *store = X509_STORE_new();
  STACK_OF(X509) *signers = sk_X509_new_null();
  bool good = store && signers && sk_X509_push(signers, issuer) > 0 &&
              X509_STORE_add_cert(store, issuer) == 1 &&
              X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN) == 1 &&
              OCSP_basic_verify(basic, signers, store, 0) == 1;
  sk_X509_free(signers);
  X509_STORE_free(store);
  ERR_clear_error();
  return good;
}

/* Is the answer about this certificate? By whichever digest the responder
 * names it. */
static bool is_about(const OCSP_SINGLERESP *single, const X509 *certificate,
                     const X509 *issuer) {
  OCSP_CERTID *asked = NULL;
  const OCSP_CERTID *given = OCSP_SINGLERESP_get0_id(single);
  ASN1_OBJECT *algorithm = NULL;
  /* what is only read is asked for as if it were to be changed */
  OCSP_CERTID *copy = OCSP_CERTID_dup(given);
  const EVP_MD *md = NULL;
  if (copy && OCSP_id_get0_info(NULL, &algorithm, NULL, NULL, copy) == 1)
    md = EVP_get_digestbyobj(algorithm);
  if (md) asked = OCSP_cert_to_id(md, certificate, issuer);
  bool same = asked && OCSP_id_cmp(asked, copy) == 0;
  OCSP_CERTID_free(asked);
  OCSP_CERTID_free(copy);
  ERR_clear_error();
  return same;
}

static OCSP_SINGLERESP *find_answer(OCSP_BASICRESP *basic,
                                    const X509 *certificate,
                                    const X509 *issuer) {
  for (int i = 0; i < OCSP_resp_count(basic); i++) {
    OCSP_SINGLERESP *single = OCSP_resp_get0(basic, i);
    if (is_about(single, certificate, issuer)) return single;
  }
  return NULL;
}

static pop3_error refuse_time(const ASN1_TIME *when, const char *what,
                              const char *remedy, pop3_failure *failure) {
  char shown[POP3_TLS_TIME_ROOM];
  return pop3_fail(failure, POP3_E_OCSP,
                   "what the server's CA said of its certificate (OCSP) %s "
                   "%s: %s",
                   what, pop3_tls_show_time(when, shown), remedy);
}

/* Without an end the responder has newer ones at any time (RFC 6960 2.4): then
 * what is stapled is old by definition. */
static pop3_error check_time(const ASN1_GENERALIZEDTIME *from,
                             const ASN1_GENERALIZEDTIME *to, int64_t *until,
                             pop3_failure *failure) {
  int days = 0, seconds = 0;
  if (!to) return refuse(failure, "it says of itself that it is old");
  if (!from || ASN1_TIME_diff(&days, &seconds, NULL, from) != 1)
    return refuse(failure, "it has no date");
  if ((int64_t)days * 86400 + seconds > SKEW)
    return refuse_time(from, "is of the future, from",
                       "check this computer's clock", failure);
  if (ASN1_TIME_diff(&days, &seconds, NULL, to) != 1)
    return refuse(failure, "it has no date");
  int64_t left = (int64_t)days * 86400 + seconds;
  if (left <= -SKEW)
    return refuse_time(to, "was good until",
                       "ask the administrator to look at the server's "
                       "stapling, or check this computer's clock",
                       failure);
  *until = (int64_t)time(NULL) + left;
  return POP3_E_OK;
}

static pop3_error refuse_revoked(const ASN1_TIME *when, int reason,
                                 pop3_failure *failure) {
  char shown[POP3_TLS_TIME_ROOM];
  return pop3_fail(failure, POP3_E_REVOKED,
                   "the server's certificate was revoked on %s%s%s, says its "
                   "CA (OCSP): do not trust this connection",
                   pop3_tls_show_time(when, shown), reason >= 0 ? ", " : "",
                   reason >= 0 ? OCSP_crl_reason_str(reason) : "");
}

/* What was revoked stays so, however old the answer is. */
static pop3_error judge_answer(OCSP_SINGLERESP *single, int64_t *until,
                               pop3_failure *failure) {
  int reason = -1;
  ASN1_GENERALIZEDTIME *revoked = NULL, *from = NULL, *to = NULL;
  int status = OCSP_single_get0_status(single, &reason, &revoked, &from, &to);
  if (status == V_OCSP_CERTSTATUS_REVOKED)
    return refuse_revoked(revoked, reason, failure);
  if (status != V_OCSP_CERTSTATUS_GOOD)
    return refuse(failure, "it does not know that certificate");
  return check_time(from, to, until, failure);
}

static pop3_error judge_basic(OCSP_BASICRESP *basic, X509 *certificate,
                              X509 *issuer, int64_t *until,
                              pop3_failure *failure) {
  if (!is_signed(basic, issuer))
    return refuse(failure, "neither the CA nor anybody it appointed signed it");
  OCSP_SINGLERESP *single = find_answer(basic, certificate, issuer);
  if (!single) return refuse(failure, "it is about another certificate");
  return judge_answer(single, until, failure);
}

pop3_error pop3_ocsp_judge(const unsigned char *octets, size_t size,
                           X509 *certificate, X509 *issuer, int64_t *until,
                           pop3_failure *failure) {
  const unsigned char *at = octets;
  OCSP_RESPONSE *response = d2i_OCSP_RESPONSE(NULL, &at, (long)size);
  OCSP_BASICRESP *basic = NULL;
  pop3_error error = POP3_E_OCSP;
  if (!response || at != octets + size)
    (void)refuse(failure, "it is not an OCSP response");
  else if (OCSP_response_status(response) != OCSP_RESPONSE_STATUS_SUCCESSFUL)
    error = POP3_E_AGAIN;
  else if ((basic = OCSP_response_get1_basic(response)) == NULL)
    (void)refuse(failure, "it is of an unknown type");
  else error = judge_basic(basic, certificate, issuer, until, failure);
  OCSP_BASICRESP_free(basic);
  OCSP_RESPONSE_free(response);
  ERR_clear_error();
  return error;
}

/* --- asking for it ------------------------------------------------------- */

bool pop3_ocsp_is_promised(const X509 *certificate) {
  int critical = -1;
  TLS_FEATURE *features =
      X509_get_ext_d2i(certificate, NID_tlsfeature, &critical, NULL);
  /* one that cannot be read, or is there twice, may have said so */
  bool promised = !features && critical != -1;
  for (int i = 0; i < sk_ASN1_INTEGER_num(features); i++)
    if (ASN1_INTEGER_get(sk_ASN1_INTEGER_value(features, i)) == STATUS_REQUEST)
      promised = true;
  TLS_FEATURE_free(features);
  ERR_clear_error();
  return promised;
}

static pop3_error judge_none(const pop3_tls *tls, bool promised,
                             const char *what, pop3_failure *failure) {
  if (!promised && tls->context->checks.ocsp != POP3_OCSP_REQUIRE)
    return POP3_E_OK;
  return pop3_fail(failure, POP3_E_OCSP,
                   "the server %s (OCSP stapling), and %s: ask the "
                   "administrator to look at the server's stapling%s",
                   what,
                   promised ? "its certificate promises one (must-staple)"
                            : "ocsp = \"require\" wants one",
                   promised ? "" : ", or use ocsp = \"request\"");
}

/* DANE-EE trusts a key without any CA: whose word would it be? */
static X509 *find_issuer(const pop3_tls *tls) {
  const STACK_OF(X509) *chain = SSL_get0_verified_chain(tls->ssl);
  return sk_X509_num(chain) > 1 ? sk_X509_value(chain, 1) : NULL;
}

static pop3_error judge_staple(pop3_tls *tls, X509 *certificate,
                               pop3_failure *failure) {
  unsigned char *octets = NULL;
  long size = SSL_get_tlsext_status_ocsp_resp(tls->ssl, &octets);
  X509 *issuer = find_issuer(tls);
  if (!issuer)
    return judge_none(tls, false, "has no CA that could give an answer",
                      failure);
  bool promised = pop3_ocsp_is_promised(certificate);
  if (!octets || size <= 0)
    return judge_none(tls, promised, "gave no answer of its CA", failure);
  pop3_error error = pop3_ocsp_judge(octets, (size_t)size, certificate, issuer,
                                     &tls->checked.until, failure);
  if (error != POP3_E_AGAIN) return error;
  return judge_none(tls, promised, "gave an answer of its CA that says nothing",
                    failure);
}

/* OpenSSL has the server's certificate, and a staple if there is one; ours was
 * not shown yet. With TLS 1.3 it asks for sessions as well, which have neither.
 * Returns 0 to end the handshake. */
static int look_at_staple(SSL *ssl, void *unused) {
  pop3_tls *tls = SSL_get_app_data(ssl);
  X509 *certificate = SSL_get0_peer_certificate(ssl);
  (void)unused;
  if (SSL_session_reused(ssl) == 1) return 1;
  if (!tls || !certificate || !tls->checked.failure) return 0;
  pop3_error error = judge_staple(tls, certificate, tls->checked.failure);
  tls->checked.stapled = error == POP3_E_OK;
  tls->checked.refusal = error;
  return error == POP3_E_OK;
}

void pop3_ocsp_prepare(SSL_CTX *ssl) {
  (void)SSL_CTX_set_tlsext_status_cb(ssl, look_at_staple);
}

bool pop3_ocsp_expect(pop3_tls *tls) {
  return SSL_set_tlsext_status_type(tls->ssl, TLSEXT_STATUSTYPE_ocsp) == 1;
}

/* A session came of a handshake in which it was in order, and is kept no
 * longer than that holds. */
pop3_error pop3_ocsp_check(const pop3_tls *tls, pop3_failure *failure) {
  if (tls->checked.stapled || SSL_session_reused(tls->ssl) == 1)
    return POP3_E_OK;
  return refuse(failure, "nobody looked at it");
}
