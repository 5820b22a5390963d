/* tls_verify.c - see tls_internal.h: whom we talk to, and why not. */
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "escape.h"
#include "tls_internal.h"

/* Names of a certificate that an error lists, and octets of each: a
 * certificate may hold ten thousand. */
#define SHOWN_NAMES 5
#define SHOWN_OCTETS 80

/* RFC 9525 6: the whole left-most label or nothing, subjectAltName only. */
#define NAME_FLAGS \
  (X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT)

/* --- the name we expect -------------------------------------------------- */

static bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static bool is_name_octet(char c) {
  return is_letter(c) || is_digit(c) || c == '-' || c == '_';
}

/* Labels of 1 to 63 octets; the last one holds a letter, or it is an address
 * that somebody wrote in a short form ("127.1"). */
static bool is_host_name(const char *name) {
  size_t label = 0;
  bool letter = false;
  for (; *name; name++) {
    if (*name == '.' && label == 0) return false;
    if (*name != '.' && !is_name_octet(*name)) return false;
    label = *name == '.' ? 0 : label + 1;
    letter = *name != '.' && (letter || !is_digit(*name));
    if (label > 63) return false;
  }
  return label > 0 && letter;
}

static bool is_address(const char *name) {
  ASN1_OCTET_STRING *address;
  if (name[strspn(name, "0123456789abcdefABCDEF:.")] != '\0') return false;
  address = a2i_IPADDRESS(name);
  ASN1_OCTET_STRING_free(address);
  ERR_clear_error();
  return address != NULL;
}

static void trim(const char **host, size_t *size) {
  const char *zone;
  if (*size >= 2 && (*host)[0] == '[' && (*host)[*size - 1] == ']') {
    ++*host;
    *size -= 2;
  }
  zone = memchr(*host, '%', *size);
  if (zone && memchr(*host, ':', *size)) *size = (size_t)(zone - *host);
  if (*size > 1 && (*host)[*size - 1] == '.') --*size;
}

static bool has_foreign(const char *host, size_t size) {
  for (size_t i = 0; i < size; i++)
    if ((unsigned char)host[i] > 0x7e) return true;
  return false;
}

static pop3_error refuse_name(const char *host, size_t size,
                              pop3_failure *failure) {
  char shown[SHOWN_OCTETS];
  (void)pop3_escape(host, size, shown, sizeof shown);
  if (has_foreign(host, size))
    return pop3_fail(failure, POP3_E_TLS_CONFIG,
                     "\"%s\" is not ASCII: write the name as an A-label "
                     "(\"xn--...\")",
                     shown);
  return pop3_fail(failure, POP3_E_TLS_CONFIG,
                   "\"%s\" is neither a host name nor an address that a "
                   "certificate could be for: use a full one, or servername",
                   shown);
}

pop3_tls_name_kind pop3_tls_name_of(const char *host, size_t size,
                                    char name[POP3_TLS_NAME]) {
  trim(&host, &size);
  if (size >= POP3_TLS_NAME - 2 || memchr(host, '\0', size))
    return POP3_TLS_NO_NAME;
  memcpy(name, host, size);
  name[size] = '\0';
  if (is_address(name)) return POP3_TLS_ADDRESS;
  return is_host_name(name) ? POP3_TLS_HOST : POP3_TLS_NO_NAME;
}

pop3_error pop3_tls_read_name(pop3_tls *tls, const char *host, size_t size,
                              pop3_failure *failure) {
  const pop3_tls_context *context = tls->context;
  tls->kind = pop3_tls_name_of(host, size, tls->name);
  if (tls->kind != POP3_TLS_NO_NAME || !context->check_hostname ||
      context->checks.key_only)
    return POP3_E_OK;
  return refuse_name(host, size, failure);
}

/* --- telling OpenSSL ----------------------------------------------------- */

static int note_fault(int good, X509_STORE_CTX *store) {
  const SSL *ssl =
      X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
  pop3_tls *tls = ssl ? SSL_get_app_data(ssl) : NULL;
  X509 *culprit = X509_STORE_CTX_get_current_cert(store);
  if (good || !tls || tls->fault != X509_V_OK) return good;
  if (pop3_checks_forgive(tls, store) || pop3_tls_forgive_service(tls, store))
    return 1;
  tls->fault = X509_STORE_CTX_get_error(store);
  tls->fault_depth = X509_STORE_CTX_get_error_depth(store);
  if (culprit && X509_up_ref(culprit)) tls->culprit = culprit;
  return 0;
}

static bool expect_name(const pop3_tls *tls, X509_VERIFY_PARAM *param) {
  if (tls->kind == POP3_TLS_ADDRESS)
    return X509_VERIFY_PARAM_set1_ip_asc(param, tls->name) == 1;
  return X509_VERIFY_PARAM_set1_host(param, tls->name, 0) == 1;
}

bool pop3_tls_expect_domain(const pop3_tls *tls) {
  const pop3_tls_context *context = tls->context;
  if (!tls->domain[0] || !context->verify || !context->check_hostname)
    return true;
  return X509_VERIFY_PARAM_add1_host(SSL_get0_param(tls->ssl), tls->domain,
                                     0) == 1;
}

pop3_error pop3_tls_expect_peer(pop3_tls *tls) {
  X509_VERIFY_PARAM *param = SSL_get0_param(tls->ssl);
  const pop3_tls_context *context = tls->context;
  bool told = SSL_set_app_data(tls->ssl, tls) == 1;
  X509_VERIFY_PARAM_set_hostflags(param, NAME_FLAGS);
  if (context->verify || context->checks.key_only)
    SSL_set_verify(tls->ssl, SSL_VERIFY_PEER, note_fault);
  else SSL_set_verify(tls->ssl, SSL_VERIFY_NONE, NULL);
  if (told && context->verify && context->check_hostname)
    told = expect_name(tls, param) && pop3_tls_expect_domain(tls);
  if (told && tls->kind == POP3_TLS_HOST)
    told = SSL_set_tlsext_host_name(tls->ssl, tls->name) == 1;
  return told ? POP3_E_OK : POP3_E_MEMORY;
}

/* --- showing certificates ------------------------------------------------ */

/* X509_NAME_oneline escapes what is not printable ASCII. */
const char *pop3_tls_show_name(const X509_NAME *name,
                               char out[POP3_TLS_NAME_ROOM]) {
  out[0] = '\0';
  if (name) (void)X509_NAME_oneline(name, out, POP3_TLS_NAME_ROOM);
  return out[0] ? out : "(no name)";
}

const char *pop3_tls_show_time(const ASN1_TIME *when,
                               char out[POP3_TLS_TIME_ROOM]) {
  struct tm tm;
  if (!when || ASN1_TIME_to_tm(when, &tm) != 1) return "(no date)";
  if (strftime(out, POP3_TLS_TIME_ROOM, "%Y-%m-%d %H:%M UTC", &tm) == 0)
    return "(no date)";
  return out;
}

typedef struct name_list {
  char text[SHOWN_NAMES * (SHOWN_OCTETS + 8)];
  size_t used;
  int shown;
  int total;
} name_list;

static void add_name(name_list *list, const char *octets, size_t size) {
  char shown[SHOWN_OCTETS];
  list->total++;
  if (list->shown >= SHOWN_NAMES) return;
  (void)pop3_escape(octets, size, shown, sizeof shown);
  int written =
      snprintf(list->text + list->used, sizeof list->text - list->used,
               "%s\"%s\"", list->shown > 0 ? ", " : "", shown);
  list->used += written > 0 ? (size_t)written : 0;
  list->shown++;
}

static void add_address(name_list *list, const ASN1_OCTET_STRING *address) {
  const unsigned char *at = ASN1_STRING_get0_data(address);
  char text[64] = "";
  size_t used = 0;
  int size = ASN1_STRING_length(address);
  if (size == 4)
    (void)snprintf(text, sizeof text, "%d.%d.%d.%d", at[0], at[1], at[2],
                   at[3]);
  for (int i = 0; size == 16 && i < size; i += 2)
    used += (size_t)snprintf(text + used, sizeof text - used, "%s%x",
                             i > 0 ? ":" : "", at[i] << 8 | at[i + 1]);
  add_name(list, text, strlen(text));
}

static void list_names(const X509 *certificate, name_list *list) {
  GENERAL_NAMES *names =
      X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
  memset(list, 0, sizeof *list);
  for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
    const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
    int type;
    const void *value = GENERAL_NAME_get0_value(name, &type);
    if (type == GEN_DNS)
      add_name(list, (const char *)ASN1_STRING_get0_data(value),
               (size_t)ASN1_STRING_length(value));
    if (type == GEN_IPADD) add_address(list, value);
  }
  GENERAL_NAMES_free(names);
  ERR_clear_error();
}

/* --- why not ------------------------------------------------------------- */

static pop3_error explain_hostname(const pop3_tls *tls, const X509 *certificate,
                                   pop3_failure *failure) {
  name_list list;
  char others[32] = "";
  list_names(certificate, &list);
  if (list.total == 0)
    return pop3_fail(failure, POP3_E_HOSTNAME,
                     "the server's certificate names no host at all "
                     "(subjectAltName), so not \"%s\" either: ask the "
                     "administrator for a new one",
                     tls->name);
  if (list.total > list.shown)
    (void)snprintf(others, sizeof others, " and %d more",
                   list.total - list.shown);
  return pop3_fail(failure, POP3_E_HOSTNAME,
                   "the server's certificate is for %s%s, not for \"%s\": "
                   "connect with a name that it holds, or use servername if "
                   "you know that it is the right one",
                   list.text, others, tls->name);
}

/* A verdict of OpenSSL's, and what to do about it. */
static const struct verdict {
  int code;
  const char *what;
  const char *remedy;
} verdicts[] = {
    {X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, "is self-signed",
     "if it is the right one, save it to a file and use cafile"},
    {X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN,
     "is a root that is not trusted here (self-signed)",
     "if it should be, use cafile = \"its file\""},
    {X509_V_ERR_INVALID_PURPOSE, "is not for servers (wrong key usage)",
     "ask the administrator for one that is"},
    {X509_V_ERR_INVALID_CA, "may not sign others (not a CA)",
     "ask the administrator for a proper chain"},
    {X509_V_ERR_INVALID_NON_CA, "is a CA's where a server's is expected",
     "ask the administrator for a proper chain"},
    {X509_V_ERR_KEYUSAGE_NO_CERTSIGN, "may not sign others (key usage)",
     "ask the administrator for a proper chain"},
    {X509_V_ERR_PATH_LENGTH_EXCEEDED,
     "allows fewer CAs below it than there are (path length)",
     "ask the administrator for a proper chain"},
    {X509_V_ERR_CERT_CHAIN_TOO_LONG, "has too many others above it",
     "ask the administrator for a proper chain"},
    {X509_V_ERR_CERT_SIGNATURE_FAILURE, "has a wrong signature",
     "do not trust this connection"},
    {X509_V_ERR_CERT_REVOKED, "was revoked", "do not trust this connection"},
    {X509_V_ERR_CERT_REJECTED, "is marked as not trusted here",
     "do not trust this connection"},
    {X509_V_ERR_EE_KEY_TOO_SMALL, "has a key that is too short",
     "ask the administrator for a stronger one, or lower security_level"},
    {X509_V_ERR_CA_KEY_TOO_SMALL, "has a key that is too short",
     "ask the administrator for a stronger one, or lower security_level"},
    {X509_V_ERR_CA_MD_TOO_WEAK, "is signed with a weak digest",
     "ask the administrator for a stronger one, or lower security_level"},
};

#define LEAF "the server's certificate"

static pop3_error explain_date(const X509 *x, int fault, const char *whose,
                               pop3_failure *failure) {
  char name[POP3_TLS_NAME_ROOM], when[POP3_TLS_TIME_ROOM];
  (void)pop3_tls_show_name(X509_get_subject_name(x), name);
  if (fault == X509_V_ERR_CERT_NOT_YET_VALID)
    return pop3_fail(failure, POP3_E_CERTIFICATE,
                     "%s %s is not yet valid, only from %s on: check this "
                     "computer's clock, else ask the administrator",
                     whose, name,
                     pop3_tls_show_time(X509_get0_notBefore(x), when));
  return pop3_fail(failure, POP3_E_CERTIFICATE,
                   "%s %s expired on %s: ask the administrator to renew it "
                   "(or check this computer's clock)",
                   whose, name,
                   pop3_tls_show_time(X509_get0_notAfter(x), when));
}

/* The server sent its certificate alone: perhaps something is missing. */
static const char *why_unknown(const pop3_tls *tls) {
  const STACK_OF(X509) *sent = SSL_get_peer_cert_chain(tls->ssl);
  if (tls->fault_depth > 0 || sk_X509_num(sent) > 1) return "";
  return "the server may have left out an intermediate certificate (then ask "
         "the administrator), or ";
}

static pop3_error explain_issuer(const pop3_tls *tls, const char *whose,
                                 pop3_failure *failure) {
  char name[POP3_TLS_NAME_ROOM], issuer[POP3_TLS_NAME_ROOM];
  return pop3_fail(
      failure, POP3_E_CERTIFICATE,
      "the issuer of %s %s is unknown here: %sits root is not trusted; if it "
      "should be, use cafile = \"file with %s\"",
      whose, pop3_tls_show_name(X509_get_subject_name(tls->culprit), name),
      why_unknown(tls),
      pop3_tls_show_name(X509_get_issuer_name(tls->culprit), issuer));
}

static pop3_error explain_verdict(const pop3_tls *tls, const char *whose,
                                  pop3_failure *failure) {
  size_t count = sizeof verdicts / sizeof verdicts[0];
  char name[POP3_TLS_NAME_ROOM];
  (void)pop3_tls_show_name(X509_get_subject_name(tls->culprit), name);
  for (size_t i = 0; i < count; i++)
    if (verdicts[i].code == tls->fault)
      return pop3_fail(failure, POP3_E_CERTIFICATE, "%s %s %s: %s", whose, name,
                       verdicts[i].what, verdicts[i].remedy);
  return pop3_fail(failure, POP3_E_CERTIFICATE,
                   "%s %s cannot be trusted (%s, depth %d): ask the "
                   "administrator",
                   whose, name, X509_verify_cert_error_string(tls->fault),
                   tls->fault_depth);
}

pop3_error pop3_tls_explain_peer(const pop3_tls *tls, pop3_failure *failure) {
  const char *whose =
      tls->fault_depth == 0 ? LEAF : "the server's chain: certificate";
  if (!tls->culprit)
    return pop3_fail(failure, POP3_E_CERTIFICATE,
                     "the server's certificate cannot be trusted (%s)",
                     X509_verify_cert_error_string(tls->fault));
  switch (tls->fault) {
    case X509_V_ERR_OUT_OF_MEM:
      return pop3_fail(failure, POP3_E_MEMORY, NULL);
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return explain_hostname(tls, tls->culprit, failure);
    case X509_V_ERR_CERT_NOT_YET_VALID:
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return explain_date(tls->culprit, tls->fault, whose, failure);
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
      return explain_issuer(tls, whose, failure);
    default:
      return explain_verdict(tls, whose, failure);
  }
}

/* --- checking again ------------------------------------------------------ */

/* The chain is not in a session: what is left of it are the dates of the
 * server's own certificate and the time until which all of it was good. */
static pop3_error check_dates(const X509 *certificate, pop3_failure *failure) {
  int fault = X509_V_OK;
  if (X509_cmp_current_time(X509_get0_notAfter(certificate)) != 1)
    fault = X509_V_ERR_CERT_HAS_EXPIRED;
  if (X509_cmp_current_time(X509_get0_notBefore(certificate)) != -1)
    fault = X509_V_ERR_CERT_NOT_YET_VALID;
  if (fault != X509_V_OK)
    return explain_date(certificate, fault, LEAF, failure);
  return POP3_E_OK;
}

static pop3_error check_session(const pop3_tls *tls, const X509 *certificate,
                                pop3_failure *failure) {
  if (tls->until <= (int64_t)time(NULL))
    return pop3_fail(failure, POP3_E_CERTIFICATE,
                     "the session was verified too long ago: connect again");
  if (pop3_checks_replace_name(tls, certificate)) return POP3_E_OK;
  return check_dates(certificate, failure);
}

static pop3_error check_chain(const pop3_tls *tls, const X509 *certificate,
                              pop3_failure *failure) {
  bool resumed = SSL_session_reused(tls->ssl) == 1;
  if (!tls->context->verify && !tls->context->checks.key_only) return POP3_E_OK;
  /* the result alone is X509_V_OK, too, when nothing was verified */
  if (SSL_get_verify_result(tls->ssl) != X509_V_OK ||
      (!resumed && tls->context->verify &&
       sk_X509_num(SSL_get0_verified_chain(tls->ssl)) <= 0))
    return pop3_fail(failure, POP3_E_CERTIFICATE, NULL);
  return resumed ? check_session(tls, certificate, failure) : POP3_E_OK;
}

/* A name that will do, too: the one that the TLSA records are from, the domain
 * that led to the host. */
static bool holds(X509 *certificate, const char *name) {
  return name[0] && X509_check_host(certificate, name, strlen(name), NAME_FLAGS,
                                    NULL) == 1;
}

static pop3_error check_name(const pop3_tls *tls, X509 *certificate,
                             pop3_failure *failure) {
  int match;
  if (!tls->context->check_hostname ||
      pop3_checks_replace_name(tls, certificate) ||
      holds(certificate, tls->checked.dane_name) ||
      holds(certificate, tls->domain) ||
      pop3_tls_names_service(tls, certificate))
    return POP3_E_OK;
  match = tls->kind == POP3_TLS_ADDRESS
              ? X509_check_ip_asc(certificate, tls->name, NAME_FLAGS)
              : X509_check_host(certificate, tls->name, strlen(tls->name),
                                NAME_FLAGS, NULL);
  if (match == 1) return POP3_E_OK;
  if (match < 0) return pop3_fail(failure, POP3_E_MEMORY, NULL);
  return explain_hostname(tls, certificate, failure);
}

static pop3_error check_alpn(const pop3_tls *tls, pop3_failure *failure) {
  const unsigned char *protocol;
  unsigned size;
  char shown[SHOWN_OCTETS];
  SSL_get0_alpn_selected(tls->ssl, &protocol, &size);
  if (size == 0 || (size == 4 && memcmp(protocol, "pop3", 4) == 0))
    return POP3_E_OK;
  (void)pop3_escape((const char *)protocol, size, shown, sizeof shown);
  return pop3_fail(failure, POP3_E_ALPN,
                   "the server chose the protocol \"%s\" instead of \"pop3\" "
                   "(ALPN): is this the right port? alpn = false does not ask",
                   shown);
}

pop3_error pop3_tls_check_peer(const pop3_tls *tls, pop3_failure *failure) {
  X509 *certificate = SSL_get0_peer_certificate(tls->ssl);
  pop3_error error;
  if (!certificate)
    return pop3_fail(failure, POP3_E_CERTIFICATE,
                     "the server showed no certificate: ask its "
                     "administrator for one");
  error = check_chain(tls, certificate, failure);
  if (error == POP3_E_OK) error = pop3_checks_peer(tls, certificate, failure);
  if (error == POP3_E_OK) error = check_name(tls, certificate, failure);
  if (error == POP3_E_OK) error = check_alpn(tls, failure);
  return error;
}
