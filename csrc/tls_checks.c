/* tls_checks.c - see tls_checks.h: which checks there are, and when. */
#include "tls_checks.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <string.h>

#include "tls_internal.h"

/* --- options ------------------------------------------------------------- */

/* What would be left out without a word is refused instead. */
static pop3_error refuse_unverified(const pop3_tls_options *options,
                                    pop3_failure *failure) {
  const char *option = options->dane      ? "dane"
                       : options->crlfile ? "crlfile"
                                          : "ocsp";
  if (options->verify) return POP3_E_OK;
  if (!options->dane && !options->crlfile && options->ocsp == POP3_OCSP_NONE)
    return POP3_E_OK;
  return pop3_fail(failure, POP3_E_TLS_CONFIG,
                   "%s is no use with verify = false, which believes "
                   "anybody: leave one of them out",
                   option);
}

static pop3_error prepare_pins(pop3_tls_context *context,
                               const pop3_tls_options *options,
                               pop3_failure *failure) {
  pop3_checks *checks = &context->checks;
  pop3_error error = pop3_pins_read(options->pins, &checks->pins, failure);
  checks->key_only = !options->verify;
  if (error == POP3_E_OK) pop3_pins_prepare(context->ssl);
  return error;
}

pop3_error pop3_checks_prepare(pop3_tls_context *context,
                               const pop3_tls_options *options,
                               pop3_failure *failure) {
  SSL_CTX *ssl = context->ssl;
  pop3_checks *checks = &context->checks;
  pop3_error error = refuse_unverified(options, failure);
  if (error == POP3_E_OK && !options->dane &&
      (options->dane_domain || options->dane_config))
    error = pop3_fail(failure, POP3_E_TLS_CONFIG,
                      "dane_domain and dane_config are no use without dane");
  if (error == POP3_E_OK && options->pins)
    error = prepare_pins(context, options, failure);
  if (error == POP3_E_OK && options->dane)
    error = pop3_dane_prepare(ssl, checks, options, failure);
  if (error == POP3_E_OK && options->crlfile)
    error = pop3_crl_prepare(ssl, checks, options->crlfile, failure);
  checks->ocsp = options->ocsp;
  if (checks->ocsp != POP3_OCSP_NONE) pop3_ocsp_prepare(ssl);
  return error;
}

void pop3_checks_free(pop3_checks *checks) {
  pop3_pins_free(&checks->pins);
  pop3_tlsa_free(&checks->tlsa);
  OPENSSL_free(checks->dane_domain);
  OPENSSL_free(checks->dane_config);
  sk_X509_CRL_pop_free(checks->crls, X509_CRL_free);
}

/* --- a connection -------------------------------------------------------- */

pop3_error pop3_checks_expect(pop3_tls *tls, const pop3_tls_peer *peer,
                              pop3_failure *failure) {
  const pop3_checks *checks = &tls->context->checks;
  pop3_error error = POP3_E_OK;
  if (checks->dane) error = pop3_dane_expect(tls, peer, failure);
  if (error == POP3_E_OK && checks->ocsp != POP3_OCSP_NONE &&
      !pop3_ocsp_expect(tls))
    error = pop3_fail(failure, POP3_E_MEMORY, NULL);
  return error;
}

void pop3_checked_free(pop3_checked *checked) {
  pop3_tlsa_free(&checked->tlsa);
}

bool pop3_checks_forgive(pop3_tls *tls, X509_STORE_CTX *store) {
  int fault = X509_STORE_CTX_get_error(store);
  if (fault == X509_V_ERR_DANE_NO_MATCH && tls->checked.failure)
    tls->checked.refusal = pop3_dane_explain(X509_STORE_CTX_get0_cert(store),
                                             tls->checked.failure);
  return pop3_crl_forgive(tls, store);
}

bool pop3_checks_replace_name(const pop3_tls *tls, const X509 *certificate) {
  const pop3_checks *checks = &tls->context->checks;
  if (checks->key_only) return true;
  return checks->dane &&
         pop3_tlsa_is_named(pop3_dane_records(tls), certificate);
}

pop3_error pop3_checks_peer(const pop3_tls *tls, const X509 *certificate,
                            pop3_failure *failure) {
  const pop3_checks *checks = &tls->context->checks;
  pop3_error error = POP3_E_OK;
  if (checks->pins.count > 0)
    error = pop3_pins_check(tls, certificate, failure);
  if (error == POP3_E_OK && checks->dane)
    error = pop3_dane_check(tls, certificate, failure);
  if (error == POP3_E_OK && checks->ocsp != POP3_OCSP_NONE)
    error = pop3_ocsp_check(tls, failure);
  return error;
}

int64_t pop3_checks_until(const pop3_tls *tls, int64_t until) {
  if (tls->checked.until != 0 && tls->checked.until < until)
    until = tls->checked.until;
  return pop3_crl_until(tls, until);
}
