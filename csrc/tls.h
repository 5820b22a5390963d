/*
 * tls.h - TLS as a filter between two byte buffers: OpenSSL over memory BIOs,
 * one policy for implicit TLS (RFC 8314) and STLS (RFC 2595), no descriptor,
 * no waiting. Ciphertext goes in by pop3_tls_feed and out by pop3_tls_output;
 * plaintext by pop3_tls_read and pop3_tls_write.
 *
 * Policy: chain and host name verified (RFC 9525: subjectAltName only, no
 * partial wildcards), TLS 1.2 or newer, security level 2, no renegotiation,
 * SNI for names and never for addresses, ALPN "pop3" offered and nothing else
 * accepted; after every handshake the name is checked once more by ourselves.
 */
#ifndef POP3_TLS_H
#define POP3_TLS_H

#include <stdbool.h>
#include <stddef.h>

#include "errors.h"
#include "failure.h"
#include "memory.h"

#pragma GCC visibility push(hidden)

/* All strings are the caller's and needed only during the call; NULL means
 * the default. */
typedef struct pop3_tls_options {
  const char *cafile;      /* PEM bundle; replaces the system's roots */
  const char *capath;      /* hashed directory; replaces the system's roots */
  bool verify;             /* chain; default true */
  bool check_hostname;     /* default true; does not follow `verify` */
  const char *servername;  /* SNI and expected name instead of the host */
  const char *certfile;    /* client certificate chain, PEM */
  const char *keyfile;     /* its key, PEM; default: certfile */
  const char *keypass;     /* the key's passphrase */
  const char *min_version; /* "1.2" (default) or "1.3"; "1.0", "1.1" by
                               explicit choice */
  const char *max_version;
  const char *ciphers;      /* OpenSSL cipher list without @SECLEVEL,
                               TLS <= 1.2 */
  const char *ciphersuites; /* TLS 1.3 */
  const char *groups;
  int security_level; /* default 2 */
  bool alpn;          /* offer "pop3"; default true */
} pop3_tls_options;

void pop3_tls_options_init(pop3_tls_options *options);

/* Was this library built for the OpenSSL that is loaded? Same major version
 * and not older; else POP3_E_TLS_CONFIG, "built for X, loaded Y". */
pop3_error pop3_tls_check_library(pop3_failure *failure);

/*
 * A context: options made ready, trust loaded; immutable, reference-counted
 * (atomically), shared by any number of filters in any thread.
 * Errors: TLS_CONFIG (text names option, file and reason), MEMORY.
 */
typedef struct pop3_tls_context pop3_tls_context;
pop3_error pop3_tls_context_new(const pop3_tls_options *options,
                                pop3_tls_context **context,
                                pop3_failure *failure);
pop3_tls_context *pop3_tls_context_retain(pop3_tls_context *context);
void pop3_tls_context_release(pop3_tls_context *context);

/*
 * A filter for one connection to `host` (a name, an A-label, or an IP
 * literal, brackets allowed for IPv6). Retains the context. The name is
 * refused (TLS_CONFIG) when it is empty, non-ASCII, starts with a dot or is
 * otherwise not a host name, unless servername or verification options say
 * that it is not needed. One trailing dot is stripped.
 * `after_stls` makes plaintext in place of the handshake POP3_E_INJECTION
 * (octets that were meant to be read as POP3), else POP3_E_HANDSHAKE.
 */
typedef struct pop3_tls pop3_tls;
pop3_error pop3_tls_new(pop3_tls_context *context, const char *host,
                        size_t host_size, bool after_stls, pop3_tls **tls,
                        pop3_failure *failure);

/* Frees without a word to the peer (no close_notify). NULL is allowed. */
void pop3_tls_free(pop3_tls *tls);

/* Ciphertext that arrived; all of it is taken. Errors: MEMORY. */
pop3_error pop3_tls_feed(pop3_tls *tls, const char *octets, size_t size);

/* The transport ended. */
void pop3_tls_eof(pop3_tls *tls);

/* Ciphertext to transmit, owned by the filter until the next call; *size is 0
 * when there is none. `sent` drops what left. */
const char *pop3_tls_output(pop3_tls *tls, size_t *size);
void pop3_tls_sent(pop3_tls *tls, size_t size);

/*
 * Advance the handshake. POP3_E_OK: done and verified. POP3_E_AGAIN: transmit
 * the output, feed more. Errors: HANDSHAKE, CERTIFICATE, HOSTNAME, ALPN,
 * INJECTION, MEMORY, EOF is reported as HANDSHAKE; each with a text that says
 * what was wrong and what to do. The output may hold an alert for the peer.
 */
pop3_error pop3_tls_handshake(pop3_tls *tls, pop3_failure *failure);

/*
 * Decrypt into `octets`. POP3_E_OK with *got > 0; POP3_E_AGAIN: feed more;
 * POP3_E_EOF: the peer sent close_notify; POP3_E_TRUNCATED: the transport
 * ended without it; HANDSHAKE: the peer only now says what it misses (in
 * TLS 1.3, our certificate); TLS_DATA otherwise. All but AGAIN and EOF are
 * sticky, as are those of the handshake: nothing is read or written after.
 */
pop3_error pop3_tls_read(pop3_tls *tls, char *octets, size_t room, size_t *got,
                         pop3_failure *failure);

/* Encrypt; all of `size` is taken. Errors: TLS_DATA, MEMORY. */
pop3_error pop3_tls_write(pop3_tls *tls, const char *octets, size_t size,
                          pop3_failure *failure);

/* What was negotiated; strings live as long as the filter. Only after the
 * handshake. */
typedef struct pop3_tls_info {
  const char *version; /* "TLSv1.3" */
  const char *cipher;
  const char *group; /* key exchange group, or NULL */
  const char *alpn;  /* "pop3" or NULL */
  bool verified;     /* chain and, unless switched off, name */
} pop3_tls_info;
void pop3_tls_describe(const pop3_tls *tls, pop3_tls_info *info);

#pragma GCC visibility pop

#endif
