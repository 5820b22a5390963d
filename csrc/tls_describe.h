/*
 * tls_describe.h - who is at the other end of a filter, in text, for people and
 * for scripts: what was agreed upon, and the certificates.
 *
 * A certificate is hostile input, whoever signed it. Reading one fails for a
 * lack of memory only. Its text is escaped as escape.h says (a NUL in a name is
 * \x00); what cannot be read as text is shown in hexadecimal after a "#"; and
 * what is not there is "". All of it is bounded by the 100 KiB that a chain
 * may have.
 */
#ifndef POP3_TLS_DESCRIBE_H
#define POP3_TLS_DESCRIBE_H

#include <stddef.h>
#include <stdint.h>

#include "tls.h"

#pragma GCC visibility push(hidden)

typedef struct pop3_tls_details {
  const char *version; /* static, as all but the arrays */
  const char *cipher;
  int bits;             /* of its key */
  char group[64];       /* of the key exchange, or "" */
  const char *alpn;     /* "pop3" or NULL */
  char servername[256]; /* SNI as it was sent, or "" */
  bool verified;        /* the chain, or what stands for it: a key's pin */
  char verified_by[64]; /* "chain+name", then "+dane", "+pin", "+crl", "+ocsp"
                           (stapled); or only some of these; or "nothing" */
  bool resumed;
} pop3_tls_details;

/* Only after the handshake. */
void pop3_tls_detail(const pop3_tls *tls, pop3_tls_details *details);

/* Likewise; verified_by alone, and the name that was looked for, which is not
 * the host's where the option servername says so. It lives as long as the
 * filter. */
void pop3_tls_grounds(const pop3_tls *tls, char verified_by[64],
                      const char **name);

/* The certificates as the server sent them, its own first; or the chain that
 * was verified, from the server's certificate to the root. */
typedef enum pop3_tls_chain { POP3_TLS_SENT, POP3_TLS_VERIFIED } pop3_tls_chain;

/* How many there are. Of a session that was resumed, what OpenSSL has kept: at
 * least the server's own, and no chain that was verified. */
size_t pop3_tls_chain_size(const pop3_tls *tls, pop3_tls_chain chain);

#define POP3_TLS_NO_DATE INT64_MIN

struct bio_st;  /* OpenSSL's */
struct x509_st; /* likewise */

typedef struct pop3_tls_certificate {
  const char *pem;
  const char *subject;     /* RFC 4514: "CN=mail.example.org,O=Example" */
  const char *issuer;      /* likewise */
  const char *names;       /* of subjectAltName: "DNS:mail.example.org", each
                              with a NUL behind it; after the last another */
  const char *serial;      /* hexadecimal, lower case, "-" before a negative */
  const char *key_type;    /* "RSA", "EC", "ED25519", or an OID */
  const char *signature;   /* its algorithm: "ecdsa-with-SHA256" */
  const char *pin;         /* "sha256//...": base64 of its public key's digest
                              (RFC 7469 2.4) */
  const char *fingerprint; /* SHA-256 of all of it, hexadecimal */
  int key_bits;            /* 0: unknown */
  int64_t not_before;      /* seconds since 1970 in UTC, or POP3_TLS_NO_DATE */
  int64_t not_after;
  struct bio_st *text; /* all of these point into it */
} pop3_tls_certificate;

/*
 * Read one of a chain, index < its size; or any of OpenSSL's. Free it; it needs
 * neither the filter nor the other. MEMORY.
 */
pop3_error pop3_tls_certificate_read(const pop3_tls *tls, pop3_tls_chain chain,
                                     size_t index,
                                     pop3_tls_certificate *certificate);
pop3_error pop3_tls_certificate_describe(const struct x509_st *x,
                                         pop3_tls_certificate *certificate);
void pop3_tls_certificate_free(pop3_tls_certificate *certificate);

#pragma GCC visibility pop

#endif
