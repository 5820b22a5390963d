/* tls.c - see tls.h: the filter. */
#include "tls.h"

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <string.h>

#include "escape.h"
#include "tls_internal.h"

/* What BIO_read is given to throw octets away into. */
#define WASTE 4096

/* Types of a TLS record that a server may begin with (RFC 8446 5.1). */
#define RECORD_ALERT 0x15
#define RECORD_HANDSHAKE 0x16

/* --- OpenSSL's errors ---------------------------------------------------- */

#define ALERT(number) (SSL_AD_REASON_OFFSET + (number))

#define NO_VERSION                                                          \
  "the server speaks no version of TLS that is allowed here: ask its "      \
  "administrator for TLS 1.2 or newer, or see min_version and max_version " \
  "(below 1.2 security_level = 0, too)"
#define NO_VERSION_LEFT                                                     \
  "no version of TLS is left: see min_version, max_version and, for those " \
  "below 1.2, security_level = 0"
#define WEAK_KEYS                                                 \
  "the server's keys are too weak for security level 2: ask its " \
  "administrator for stronger ones, or lower security_level"
#define NO_COMMON                                                      \
  "the server finds no parameters in common with us: see the options " \
  "min_version, max_version, ciphers, groups and security_level"
#define NO_CERTIFICATE \
  "the server demands a client certificate: use certfile and keyfile"
#define OUR_CERTIFICATE \
  "the server refuses our client certificate: see certfile and keyfile"

/* What OpenSSL's reason means to somebody who wants his mail. */
static const struct explanation {
  int reason;
  pop3_error error;
  const char *text;
} explanations[] = {
    {ALERT(SSL_AD_NO_APPLICATION_PROTOCOL), POP3_E_ALPN,
     "the server refuses the protocol \"pop3\" (ALPN): alpn = false does not "
     "offer it"},
    {ALERT(SSL_AD_CERTIFICATE_REQUIRED), POP3_E_HANDSHAKE, NO_CERTIFICATE},
    {ALERT(SSL_AD_UNRECOGNIZED_NAME), POP3_E_HANDSHAKE,
     "the server does not know the name that we asked for: connect with "
     "another one, or use servername"},
    {ALERT(SSL_AD_PROTOCOL_VERSION), POP3_E_HANDSHAKE, NO_VERSION},
    {SSL_R_UNSUPPORTED_PROTOCOL, POP3_E_HANDSHAKE, NO_VERSION},
    {SSL_R_VERSION_TOO_LOW, POP3_E_HANDSHAKE, NO_VERSION},
    {SSL_R_NO_PROTOCOLS_AVAILABLE, POP3_E_HANDSHAKE, NO_VERSION_LEFT},
    {SSL_R_LEGACY_SIGALG_DISALLOWED_OR_UNSUPPORTED, POP3_E_HANDSHAKE,
     NO_VERSION_LEFT},
    {ALERT(SSL_AD_HANDSHAKE_FAILURE), POP3_E_HANDSHAKE, NO_COMMON},
    {ALERT(SSL_AD_INSUFFICIENT_SECURITY), POP3_E_HANDSHAKE, NO_COMMON},
    {SSL_R_NO_CIPHERS_AVAILABLE, POP3_E_HANDSHAKE,
     "no cipher is left: see ciphers, ciphersuites and security_level"},
    {ALERT(SSL_AD_BAD_CERTIFICATE), POP3_E_HANDSHAKE, OUR_CERTIFICATE},
    {ALERT(SSL_AD_UNSUPPORTED_CERTIFICATE), POP3_E_HANDSHAKE, OUR_CERTIFICATE},
    {ALERT(SSL_AD_CERTIFICATE_REVOKED), POP3_E_HANDSHAKE, OUR_CERTIFICATE},
    {ALERT(SSL_AD_CERTIFICATE_EXPIRED), POP3_E_HANDSHAKE, OUR_CERTIFICATE},
    {ALERT(SSL_AD_CERTIFICATE_UNKNOWN), POP3_E_HANDSHAKE, OUR_CERTIFICATE},
    {ALERT(SSL_AD_UNKNOWN_CA), POP3_E_HANDSHAKE, OUR_CERTIFICATE},
    {ALERT(SSL_AD_ACCESS_DENIED), POP3_E_HANDSHAKE, OUR_CERTIFICATE},
    {SSL_R_UNEXPECTED_EOF_WHILE_READING, POP3_E_HANDSHAKE,
     "the server closed the connection during the TLS handshake: is this the "
     "right port?"},
    {SSL_R_WRONG_VERSION_NUMBER, POP3_E_HANDSHAKE,
     "the server stopped to speak TLS during the handshake: is this the right "
     "port?"},
    {SSL_R_EXCESSIVE_MESSAGE_SIZE, POP3_E_HANDSHAKE,
     "the server's certificates are larger than 100 KiB: ask its "
     "administrator for a smaller chain"},
    {SSL_R_DH_KEY_TOO_SMALL, POP3_E_HANDSHAKE, WEAK_KEYS},
    {SSL_R_EE_KEY_TOO_SMALL, POP3_E_HANDSHAKE, WEAK_KEYS},
    {SSL_R_WRONG_SIGNATURE_TYPE, POP3_E_HANDSHAKE, WEAK_KEYS},
    {SSL_R_UNSAFE_LEGACY_RENEGOTIATION_DISABLED, POP3_E_HANDSHAKE,
     "the server has no secure renegotiation (RFC 5746): ask its "
     "administrator to bring its TLS up to date"},
};

static const struct explanation *explain(unsigned long code) {
  size_t count = sizeof explanations / sizeof explanations[0];
  if (ERR_GET_LIB(code) != ERR_LIB_SSL) return NULL;
  for (size_t i = 0; i < count; i++)
    if (explanations[i].reason == ERR_GET_REASON(code)) return &explanations[i];
  return NULL;
}

static const char *reason_text(unsigned long code) {
  const char *text = ERR_reason_error_string(code);
  if (ERR_SYSTEM_ERROR(code)) return strerror(ERR_GET_REASON(code));
  return text ? text : "unknown reason";
}

const char *pop3_tls_reason(void) {
  /* the oldest entry is the cause, later ones are whom it passed */
  return reason_text(ERR_peek_error());
}

pop3_error pop3_tls_fail(pop3_failure *failure, pop3_error error,
                         const char *what) {
  unsigned long code = ERR_peek_error();
  const struct explanation *known = explain(code);
  ERR_clear_error();
  if (ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE)
    return pop3_fail(failure, POP3_E_MEMORY, NULL);
  if (known)
    return pop3_fail(failure, known->error, "%s (%s)", known->text,
                     reason_text(code));
  return pop3_fail(failure, error, "%s (%s)", what, reason_text(code));
}

/* --- making -------------------------------------------------------------- */

static bool make_pipes(pop3_tls *tls) {
  BIO *in = pop3_tls_input_new(tls);
  tls->out = BIO_new(BIO_s_mem());
  if (in && tls->out) {
    SSL_set_bio(tls->ssl, in, tls->out);
    return true;
  }
  BIO_free(in);
  BIO_free(tls->out);
  return false;
}

static bool make_ssl(pop3_tls *tls) {
  tls->ssl = SSL_new(tls->context->ssl);
  if (!tls->ssl || !make_pipes(tls)) return false;
  SSL_set_connect_state(tls->ssl);
  tls->input.by_one = true;
  return pop3_tls_expect_peer(tls) == POP3_E_OK;
}

static void read_domain(pop3_tls *tls, const char *domain) {
  if (domain &&
      pop3_tls_name_of(domain, strlen(domain), tls->domain) != POP3_TLS_HOST)
    tls->domain[0] = '\0';
}

static pop3_error prepare(pop3_tls *tls, const pop3_tls_peer *peer,
                          pop3_failure *failure) {
  const char *name = tls->context->servername;
  pop3_error error =
      name ? pop3_tls_read_name(tls, name, strlen(name), failure)
           : pop3_tls_read_name(tls, peer->host, peer->host_size, failure);
  if (!name) read_domain(tls, peer->domain);
  ERR_clear_error();
  if (error == POP3_E_OK && !make_ssl(tls))
    error = pop3_fail(failure, POP3_E_MEMORY, NULL);
  if (error == POP3_E_OK && peer->door == POP3_TLS_TO_PROXY)
    (void)SSL_set_alpn_protos(tls->ssl, NULL, 0);
  if (error == POP3_E_OK) error = pop3_checks_expect(tls, peer, failure);
  ERR_clear_error();
  if (error == POP3_E_OK) error = pop3_tls_offer_session(tls, peer, failure);
  return error;
}

pop3_error pop3_tls_new(pop3_tls_context *context, const pop3_tls_peer *peer,
                        pop3_tls **tls, pop3_failure *failure) {
  pop3_tls *t = OPENSSL_zalloc(sizeof *t);
  if (!t) {
    ERR_clear_error();
    return pop3_fail(failure, POP3_E_MEMORY, NULL);
  }
  t->context = pop3_tls_context_retain(context);
  t->door = peer->door;
  pop3_error error = prepare(t, peer, failure);
  if (error != POP3_E_OK) {
    pop3_tls_free(t);
    return error;
  }
  *tls = t;
  return POP3_E_OK;
}

/* A handshake that came to nothing, or octets that were not the peer's: a full
 * handshake is next. An end without close_notify is no such thing. */
static bool is_spoiled(const pop3_tls *tls) {
  return tls->secure ? tls->dead == POP3_E_TLS_DATA : tls->offered;
}

void pop3_tls_free(pop3_tls *tls) {
  if (!tls) return;
  if (is_spoiled(tls)) pop3_tls_forget_sessions(tls);
  SSL_free(tls->ssl);
  OPENSSL_free(tls->input.octets);
  X509_free(tls->culprit);
  pop3_checked_free(&tls->checked);
  pop3_tls_context_release(tls->context);
  OPENSSL_free(tls);
}

/* --- ciphertext that leaves ---------------------------------------------- */

const char *pop3_tls_output(pop3_tls *tls, size_t *size) {
  char *octets = NULL;
  long count = BIO_get_mem_data(tls->out, &octets);
  *size = count > 0 ? (size_t)count : 0;
  return *size > 0 ? octets : NULL;
}

void pop3_tls_sent(pop3_tls *tls, size_t size) {
  char waste[WASTE];
  while (size > 0) {
    int piece = size < sizeof waste ? (int)size : (int)sizeof waste;
    int dropped = BIO_read(tls->out, waste, piece);
    if (dropped <= 0) return;
    size -= (size_t)dropped;
  }
}

/* --- handshake ----------------------------------------------------------- */

static pop3_error die(pop3_tls *tls, pop3_error error) {
  tls->dead = error;
  return error;
}

static pop3_error dead_again(const pop3_tls *tls, pop3_failure *failure) {
  return pop3_fail(failure, tls->dead, "TLS failed before: %s",
                   pop3_error_text(tls->dead));
}

/* Does what the server said first look like anything but TLS? */
static bool speaks_plain(const pop3_tls *tls) {
  unsigned char first = (unsigned char)tls->opening[0];
  if (tls->opening_size == 0) return false;
  return first != RECORD_ALERT && first != RECORD_HANDSHAKE;
}

static pop3_error explain_plain(const pop3_tls *tls, pop3_failure *failure) {
  char shown[2 * POP3_TLS_OPENING];
  (void)pop3_escape(tls->opening, tls->opening_size, shown, sizeof shown);
  if (tls->door == POP3_TLS_AFTER_STLS)
    return pop3_fail(failure, POP3_E_INJECTION,
                     "plain octets (\"%s\") followed the server's reply to "
                     "STLS: somebody may be tampering with the connection",
                     shown);
  return pop3_fail(failure, POP3_E_HANDSHAKE,
                   "the server does not speak TLS on this port; it said "
                   "\"%s\"%s",
                   shown,
                   tls->door == POP3_TLS_TO_PROXY
                       ? ""
                       : ": use port 995 for TLS, or STLS on port 110");
}

/* Before TLS 1.3 the alert for a missing client certificate is the one for
 * everything. */
static bool lacks_certificate(const pop3_tls *tls, int reason) {
  const unsigned char *types;
  return reason == ALERT(SSL_AD_HANDSHAKE_FAILURE) &&
         SSL_get0_certificate_types(tls->ssl, &types) > 0 &&
         !SSL_get_certificate(tls->ssl);
}

static pop3_error refuse(const pop3_tls *tls, pop3_failure *failure) {
  int reason = ERR_GET_REASON(ERR_peek_error());
  if (tls->checked.refusal != POP3_E_OK) return tls->checked.refusal;
  if (tls->fault != X509_V_OK) return pop3_tls_explain_peer(tls, failure);
  if (ERR_peek_error() == 0) /* the end of the input, nothing else */
    return pop3_fail(failure, POP3_E_HANDSHAKE,
                     "the server closed the connection during the TLS "
                     "handshake: is this the right port?");
  if (lacks_certificate(tls, reason))
    return pop3_fail(failure, POP3_E_HANDSHAKE, NO_CERTIFICATE);
  /* newer versions of OpenSSL see a wrong choice before we can */
  if (tls->context->alpn && reason == SSL_R_BAD_EXTENSION)
    return pop3_fail(failure, POP3_E_ALPN,
                     "the server chose another protocol than \"pop3\" (ALPN): "
                     "is this the right port? alpn = false does not ask");
  return pop3_tls_fail(failure, POP3_E_HANDSHAKE, "TLS handshake failed");
}

static pop3_error advance(pop3_tls *tls, pop3_failure *failure) {
  if (speaks_plain(tls)) return die(tls, explain_plain(tls, failure));
  ERR_clear_error();
  pop3_tls_show_record(&tls->input);
  tls->checked.failure = failure; /* where callbacks of OpenSSL's say why */
  int result = SSL_do_handshake(tls->ssl);
  int reason = SSL_get_error(tls->ssl, result);
  tls->checked.failure = NULL;
  if (result != 1) {
    bool waits =
        reason == SSL_ERROR_WANT_READ || reason == SSL_ERROR_WANT_WRITE;
    return waits ? POP3_E_AGAIN : die(tls, refuse(tls, failure));
  }
  pop3_error error = pop3_tls_check_peer(tls, failure);
  if (error == POP3_E_OK) error = pop3_tls_check_keylog(tls, failure);
  if (error != POP3_E_OK) return die(tls, error);
  pop3_tls_keep_session(tls);
  tls->secure = true;
  tls->input.by_one = false;
  return POP3_E_OK;
}

pop3_error pop3_tls_handshake(pop3_tls *tls, pop3_failure *failure) {
  if (tls->dead != POP3_E_OK) return dead_again(tls, failure);
  if (tls->secure) return POP3_E_OK;
  pop3_error error = advance(tls, failure);
  ERR_clear_error();
  return error;
}

/* --- plaintext ----------------------------------------------------------- */

/* OpenSSL would begin a handshake by itself, and nobody would check it. */
static pop3_error admit(const pop3_tls *tls, pop3_failure *failure) {
  if (tls->dead != POP3_E_OK) return dead_again(tls, failure);
  if (tls->secure) return POP3_E_OK;
  return pop3_fail(failure, POP3_E_TLS_DATA, "the TLS handshake is not done");
}

static pop3_error truncated(pop3_failure *failure) {
  ERR_clear_error();
  return pop3_fail(failure, POP3_E_TRUNCATED,
                   "the server or somebody between cut the TLS stream (no "
                   "close_notify): what was received may be incomplete");
}

static bool is_truncation(int reason) {
  unsigned long code = ERR_peek_error();
  if (reason == SSL_ERROR_SYSCALL && code == 0) return true;
  return ERR_GET_LIB(code) == ERR_LIB_SSL &&
         ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING;
}

static pop3_error explain_read(pop3_tls *tls, int reason,
                               pop3_failure *failure) {
  if (reason == SSL_ERROR_WANT_READ || reason == SSL_ERROR_WANT_WRITE)
    return POP3_E_AGAIN;
  if (reason == SSL_ERROR_ZERO_RETURN)
    return pop3_fail(failure, POP3_E_EOF, NULL);
  if (is_truncation(reason)) return die(tls, truncated(failure));
  return die(
      tls, pop3_tls_fail(failure, POP3_E_TLS_DATA, "reading from TLS failed"));
}

pop3_error pop3_tls_read(pop3_tls *tls, char *octets, size_t room, size_t *got,
                         pop3_failure *failure) {
  pop3_error error = admit(tls, failure);
  size_t count = 0;
  if (error != POP3_E_OK) return error;
  ERR_clear_error();
  int result = SSL_read_ex(tls->ssl, octets, room, &count);
  int reason = SSL_get_error(tls->ssl, result);
  if (result != 1) error = explain_read(tls, reason, failure);
  ERR_clear_error();
  if (error == POP3_E_OK) *got = count;
  return error;
}

pop3_error pop3_tls_write(pop3_tls *tls, const char *octets, size_t size,
                          pop3_failure *failure) {
  pop3_error error = admit(tls, failure);
  size_t count;
  if (error != POP3_E_OK || size == 0) return error;
  ERR_clear_error();
  /* the memory BIO takes everything: all or an error */
  if (SSL_write_ex(tls->ssl, octets, size, &count) != 1 || count != size)
    error = die(
        tls, pop3_tls_fail(failure, POP3_E_TLS_DATA, "writing to TLS failed"));
  ERR_clear_error();
  return error;
}

void pop3_tls_describe(const pop3_tls *tls, pop3_tls_info *info) {
  const unsigned char *protocol;
  unsigned size;
  int group = (int)SSL_get_negotiated_group(tls->ssl);
  SSL_get0_alpn_selected(tls->ssl, &protocol, &size);
  info->version = SSL_get_version(tls->ssl);
  info->cipher = SSL_get_cipher_name(tls->ssl);
  info->group = group != NID_undef ? SSL_group_to_name(tls->ssl, group) : NULL;
  info->alpn = size > 0 ? "pop3" : NULL; /* nothing else was let pass */
  info->verified = tls->secure && tls->context->verify;
  info->pinned = tls->secure && tls->context->checks.key_only;
  info->dane = tls->secure && tls->context->checks.dane;
  info->resumed = tls->secure && SSL_session_reused(tls->ssl) == 1;
  ERR_clear_error();
}
