/*
 * tls_internal.h - what the files of tls.h share: tls_context.c (options made
 * ready), tls.c (the filter), tls_verify.c (whom we talk to, and why not).
 */
#ifndef POP3_TLS_INTERNAL_H
#define POP3_TLS_INTERNAL_H

#include <openssl/ssl.h>

#include "tls.h"

#pragma GCC visibility push(hidden)

/* A DNS name has at most 253 octets; an address in text fewer. */
#define POP3_TLS_NAME 256

/* What is kept of the peer's first octets, to say what it spoke instead. */
#define POP3_TLS_OPENING 48

struct pop3_tls_context {
  int references; /* guarded by lock, or atomic where OpenSSL can */
  CRYPTO_RWLOCK *lock;
  SSL_CTX *ssl;
  char *servername; /* own copy, or NULL */
  bool verify;
  bool check_hostname;
  bool alpn;
};

/* Whom we expect to talk to. */
typedef enum pop3_tls_name_kind {
  POP3_TLS_NO_NAME, /* not a host name, and none is needed */
  POP3_TLS_HOST,
  POP3_TLS_ADDRESS
} pop3_tls_name_kind;

struct pop3_tls {
  pop3_tls_context *context;
  SSL *ssl;
  BIO *in, *out; /* owned by ssl */
  pop3_tls_name_kind kind;
  char name[POP3_TLS_NAME];
  bool after_stls;
  bool secure;     /* handshake done, peer checked */
  pop3_error dead; /* sticky */
  int fault;       /* X509_V_ERR_…: why the chain was refused */
  int fault_depth;
  X509 *culprit; /* the certificate at fault, or NULL */
  size_t opening_size;
  char opening[POP3_TLS_OPENING];
};

/*
 * Read `host` into name and kind: brackets, a zone and one trailing dot are
 * removed. TLS_CONFIG when it is neither a host name nor an address.
 */
pop3_error pop3_tls_read_name(pop3_tls *tls, const char *host, size_t size,
                              pop3_failure *failure);

/* Tell OpenSSL the name and to verify, by the context's options. MEMORY. */
pop3_error pop3_tls_expect_peer(pop3_tls *tls);

/* OpenSSL refused the chain or the name: say why. CERTIFICATE, HOSTNAME. */
pop3_error pop3_tls_explain_peer(const pop3_tls *tls, pop3_failure *failure);

/*
 * After the handshake, without trusting what OpenSSL made of our parameters:
 * there is a certificate, its chain was verified, it holds the name, and ALPN
 * is ours. CERTIFICATE, HOSTNAME, ALPN, MEMORY.
 */
pop3_error pop3_tls_check_peer(const pop3_tls *tls, pop3_failure *failure);

/*
 * Turn OpenSSL's error queue into a failure and empty it: what a row of the
 * table in tls.c explains, else `error` with OpenSSL's reason after `what`.
 */
pop3_error pop3_tls_fail(pop3_failure *failure, pop3_error error,
                         const char *what);

/* OpenSSL's reason of the queue's last entry, as text; "unknown" if none. */
const char *pop3_tls_reason(void);

#pragma GCC visibility pop

#endif
