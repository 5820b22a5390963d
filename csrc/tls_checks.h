/*
 * tls_checks.h - whom to trust beside the chain and the name, a file each:
 * tls_pins.c (keys that the caller knows), tls_dane.c (keys that the DNS
 * knows), tls_ocsp.c (what the CA says today, stapled to the handshake),
 * tls_crl.c (what it said in a file); tls_checks.c has them done.
 *
 * What reads and judges knows no connection, and takes whatever octets there
 * are: fuzz/tls_fuzz.c does nothing else.
 */
#ifndef POP3_TLS_CHECKS_H
#define POP3_TLS_CHECKS_H

#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdint.h>

#include "tls.h"

#pragma GCC visibility push(hidden)

/* --- pins ---------------------------------------------------------------- */

#define POP3_PIN_PREFIX "sha256//"
#define POP3_PIN_OCTETS 32
#define POP3_PIN_TEXT 53 /* prefix, 44 of base64, NUL */

/* SHA-256 of a key's SubjectPublicKeyInfo, as RFC 7469 2.4 has it. */
typedef struct pop3_pins {
  size_t count; /* 0: none are wanted */
  unsigned char (*digests)[POP3_PIN_OCTETS];
} pop3_pins;

/*
 * Read curl's syntax: "sha256//BASE64", several separated by ';', blanks
 * around each allowed. Errors: TLS_CONFIG (names the one that is none),
 * MEMORY. `pins` is the caller's to free.
 */
pop3_error pop3_pins_read(const char *text, pop3_pins *pins,
                          pop3_failure *failure);
void pop3_pins_free(pop3_pins *pins);

/* Is the certificate's key one of them? Not without memory. */
bool pop3_pins_match(const pop3_pins *pins, const X509 *certificate);

/* The pin of a certificate's key; "" without memory. Returns `out`. */
const char *pop3_pin_show(const X509 *certificate, char out[POP3_PIN_TEXT]);

/* --- DANE ---------------------------------------------------------------- */

enum { POP3_TLSA_PKIX_TA, POP3_TLSA_PKIX_EE, POP3_TLSA_TA, POP3_TLSA_EE };

typedef struct pop3_tlsa { /* RFC 6698 2.1 */
  unsigned char usage, selector, type;
  size_t size;
  const unsigned char *data; /* in the set's block */
} pop3_tlsa;

typedef struct pop3_tlsa_set {
  size_t count;    /* of those that can be used */
  size_t unusable; /* RFC 6698 4.1: to be ignored */
  pop3_tlsa *records;
} pop3_tlsa_set;

/*
 * Read records as zone files have them: "3 1 1 0123...", separated by ';'; the
 * hexadecimal may hold blanks. What nobody can use (another usage, selector or
 * type, a digest of another length) is counted and left out. Errors:
 * TLS_CONFIG (names the one that is none), MEMORY.
 */
pop3_error pop3_tlsa_read(const char *text, pop3_tlsa_set *set,
                          pop3_failure *failure);
void pop3_tlsa_free(pop3_tlsa_set *set);

/* Does a record of DANE-EE(3) name the certificate or its key? Not without
 * memory. */
bool pop3_tlsa_is_named(const pop3_tlsa_set *set, const X509 *certificate);

/* --- OCSP ---------------------------------------------------------------- */

/* RFC 7633: must the server staple, by its certificate's word? */
bool pop3_ocsp_is_promised(const X509 *certificate);

/*
 * Judge a stapled response (RFC 6960 3.2) for `certificate`, which `issuer`
 * signed, both verified: OK and until when it holds. AGAIN: it says only that
 * the responder had no answer, which anybody could say. Errors: REVOKED; OCSP
 * (not of this certificate, not signed by its issuer or whom that appointed,
 * not of this time, "unknown"), with a text; MEMORY.
 */
pop3_error pop3_ocsp_judge(const unsigned char *octets, size_t size,
                           X509 *certificate, X509 *issuer, int64_t *until,
                           pop3_failure *failure);

/* --- a context's and a connection's share -------------------------------- */

typedef struct pop3_checks {
  pop3_pins pins;
  bool key_only; /* a pin of the server's own key, and nothing else */
  bool dane;
  bool dane_by_dns;   /* a set for each connection */
  pop3_tlsa_set tlsa; /* of all connections */
  char *dane_domain;  /* own copies, or NULL: the host, the system's */
  char *dane_config;
  pop3_tls_ocsp ocsp;
  STACK_OF(X509_CRL) * crls; /* NULL: none are wanted */
} pop3_checks;

typedef struct pop3_checked {
  pop3_failure *failure; /* where OpenSSL's callbacks say why, or NULL */
  pop3_error refusal;    /* what one of them said there */
  bool stapled;          /* what was stapled, or was not, is in order */
  int64_t until;         /* when that ends; 0: no end */
  char dane_name[256];   /* the TLSA base domain, RFC 7671 7, or "" */
  pop3_tlsa_set tlsa;    /* its own, from the DNS */
} pop3_checked;

/* Read the options into a context. TLS_CONFIG, MEMORY. */
pop3_error pop3_checks_prepare(pop3_tls_context *context,
                               const pop3_tls_options *options,
                               pop3_failure *failure);
void pop3_checks_free(pop3_checks *checks);

/* Have OpenSSL do its part on this connection. TLS_CONFIG, DANE, MEMORY. */
pop3_error pop3_checks_expect(pop3_tls *tls, const pop3_tls_peer *peer,
                              pop3_failure *failure);
void pop3_checked_free(pop3_checked *checked);

/* Is a fault of the chain's none to us? Else say why where we know better. */
bool pop3_checks_forgive(pop3_tls *tls, X509_STORE_CTX *store);

/* Are dates and name of the server's own certificate not to be looked at? By
 * a pin alone, and where DANE-EE names it (RFC 7671 5.1). */
bool pop3_checks_replace_name(const pop3_tls *tls, const X509 *certificate);

/*
 * After the handshake, also that of a session: all of it once more, by what
 * was seen to be good and not by what was not seen to be bad. CERTIFICATE,
 * PIN, DANE, OCSP.
 */
pop3_error pop3_checks_peer(const pop3_tls *tls, const X509 *certificate,
                            pop3_failure *failure);

/* The earlier of `until` and the time when what was looked at ends. */
int64_t pop3_checks_until(const pop3_tls *tls, int64_t until);

/* --- what tls_checks.c has each file do ---------------------------------- */

/* Check pins while the certificates are at hand, before ours is shown. */
void pop3_pins_prepare(SSL_CTX *ssl);
pop3_error pop3_pins_check(const pop3_tls *tls, const X509 *certificate,
                           pop3_failure *failure);

pop3_error pop3_dane_prepare(SSL_CTX *ssl, pop3_checks *checks,
                             const pop3_tls_options *options,
                             pop3_failure *failure);
pop3_error pop3_dane_expect(pop3_tls *tls, const pop3_tls_peer *peer,
                            pop3_failure *failure);
const pop3_tlsa_set *pop3_dane_records(const pop3_tls *tls);
pop3_error pop3_dane_check(const pop3_tls *tls, const X509 *certificate,
                           pop3_failure *failure);
/* None of the records is for what the server showed. DANE. */
pop3_error pop3_dane_explain(const X509 *certificate, pop3_failure *failure);

void pop3_ocsp_prepare(SSL_CTX *ssl);
bool pop3_ocsp_expect(pop3_tls *tls);
pop3_error pop3_ocsp_check(const pop3_tls *tls, pop3_failure *failure);

/* TLS_CONFIG, MEMORY. */
pop3_error pop3_crl_prepare(SSL_CTX *ssl, pop3_checks *checks, const char *path,
                            pop3_failure *failure);
bool pop3_crl_forgive(pop3_tls *tls, X509_STORE_CTX *store);
int64_t pop3_crl_until(const pop3_tls *tls, int64_t until);

#pragma GCC visibility pop

#endif
