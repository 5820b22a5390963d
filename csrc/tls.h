/*
 * tls.h - TLS as a filter between two byte buffers: OpenSSL over its BIOs,
 * one policy for implicit TLS (RFC 8314) and STLS (RFC 2595), no descriptor,
 * no waiting. Ciphertext goes in by pop3_tls_room and out by pop3_tls_output;
 * plaintext by pop3_tls_read and pop3_tls_write.
 *
 * Policy: chain and host name verified (RFC 9525: subjectAltName only, no
 * partial wildcards), TLS 1.2 or newer, security level 2, no renegotiation,
 * SNI for names and never for addresses, ALPN "pop3" offered and nothing else
 * accepted; after every handshake the name is checked once more by ourselves.
 *
 * Sessions are resumed (RFC 8446 2.2, RFC 5077), but only for the very peer,
 * by the very options, for whom they were verified: OpenSSL alone would resume
 * them for any other name and without any CA, and say that all is well.
 */
#ifndef POP3_TLS_H
#define POP3_TLS_H

#include <stdbool.h>
#include <stddef.h>

#include "errors.h"
#include "failure.h"
#include "memory.h"

#pragma GCC visibility push(hidden)

/* What the server's CA says of its certificate today (OCSP stapling). */
typedef enum pop3_tls_ocsp {
  POP3_OCSP_NONE,
  POP3_OCSP_REQUEST, /* judged where there is one, or a certificate promises
                        one (must-staple) */
  POP3_OCSP_REQUIRE
} pop3_tls_ocsp;

/* All strings are the caller's and needed only during the call; NULL means
 * the default. */
typedef struct pop3_tls_options {
  const char *cafile;      /* PEM bundle; replaces the system's roots */
  const char *capath;      /* hashed directory; replaces the system's roots */
  bool verify;             /* chain; default true */
  bool check_hostname;     /* default true; does not follow `verify` */
  const char *servername;  /* SNI and expected name instead of the host */
  const char *certfile;    /* client certificate and its chain: a file in PEM or
                               PKCS#12, or a URI ("pkcs11:...") that OpenSSL has
                               a store for */
  const char *keyfile;     /* its key, likewise; default: certfile */
  const char *keypass;     /* the passphrase of either, a token's PIN */
  const char *keylog;      /* a file for the connections' secrets, made with
                               mode 0600 or appended to; default: none */
  const char *min_version; /* "1.2" (default) or "1.3"; "1.0", "1.1" by
                               explicit choice */
  const char *max_version;
  const char *ciphers;      /* OpenSSL cipher list without @SECLEVEL,
                               TLS <= 1.2 */
  const char *ciphersuites; /* TLS 1.3 */
  const char *groups;
  int security_level; /* default 2 */
  bool alpn;          /* offer "pop3"; default true */
  bool resume;        /* keep sessions and offer them again; default true */
  /* "sha256//BASE64;...": a key of the verified chain is one of these. With
   * verify off the server's own is, and nothing else is looked at. */
  const char *pins;
  const char *dane;        /* TLSA records, "3 1 1 hex;...", or "dns": those
                              of each pop3_tls_peer */
  const char *dane_domain; /* where they are from; default: the host */
  const char *dane_config; /* unbound.conf for "dns" */
  pop3_tls_ocsp ocsp;
  const char *crlfile; /* revocation lists, PEM */
} pop3_tls_options;

void pop3_tls_options_init(pop3_tls_options *options);

/* Was this library built for the OpenSSL that is loaded? Same major version
 * and not older; else POP3_E_TLS_CONFIG, "built for X, loaded Y". */
pop3_error pop3_tls_check_library(pop3_failure *failure);

/*
 * A context: options made ready, trust loaded; reference-counted (atomically),
 * shared by any number of filters in any thread. What changes in it is only
 * the store of sessions, under its lock: at most 64, four of one peer, the
 * least recently used goes first, all are wiped.
 * Errors: TLS_CONFIG (text names option, file and reason), MEMORY.
 */
typedef struct pop3_tls_context pop3_tls_context;
pop3_error pop3_tls_context_new(const pop3_tls_options *options,
                                pop3_tls_context **context,
                                pop3_failure *failure);
pop3_tls_context *pop3_tls_context_retain(pop3_tls_context *context);
void pop3_tls_context_release(pop3_tls_context *context);

/* How TLS is begun. */
typedef enum pop3_tls_door {
  POP3_TLS_AT_ONCE,    /* implicit TLS */
  POP3_TLS_AFTER_STLS, /* RFC 2595 */
  POP3_TLS_TO_PROXY    /* which speaks another protocol: no ALPN */
} pop3_tls_door;

/* Whom a filter is for, and by which way. All strings are the caller's and
 * needed only during the call. */
typedef struct pop3_tls_peer {
  const char *host; /* a name, an A-label, or an IP literal, brackets allowed
                       for IPv6 */
  size_t host_size;
  unsigned port;
  pop3_tls_door door;
  const char *session; /* from pop3_tls_session_export, or NULL */
  size_t session_size;
  const char *tlsa;   /* records, for a context by dane = "dns" */
  const char *base;   /* the name that they are from; NULL: dane_domain, the
                         host */
  const char *domain; /* whose signed SRV record led to the host, or NULL: a
                         name that will do as well as the host's, where no
                         servername is in its place */
} pop3_tls_peer;

/* Has the caller to look up TLSA records, by which options? Both strings are
 * the context's; `domain` is NULL where it is the host's. */
bool pop3_tls_wants_records(const pop3_tls_context *context,
                            const char **domain, const char **config);

/*
 * A filter for one connection. Retains the context. The host is refused
 * (TLS_CONFIG) when it is empty, non-ASCII, starts with a dot or is otherwise
 * not a host name, unless servername or verification options say that it is
 * not needed. One trailing dot is stripped.
 * AFTER_STLS makes plaintext in place of the handshake POP3_E_INJECTION
 * (octets that were meant to be read as POP3), else POP3_E_HANDSHAKE.
 * `session` is offered to the server if it is bound to this peer and these
 * options, else the context's newest one for them; TLS_CONFIG when it is not
 * what an export gave. A server may refuse: then the handshake is a full one.
 */
typedef struct pop3_tls pop3_tls;
pop3_error pop3_tls_new(pop3_tls_context *context, const pop3_tls_peer *peer,
                        pop3_tls **tls, pop3_failure *failure);

/* Frees without a word to the peer (no close_notify). NULL is allowed. */
void pop3_tls_free(pop3_tls *tls);

/*
 * Ciphertext that arrives. Without a copy: receive at most *room octets at
 * pop3_tls_room, which is the filter's and NULL for a lack of memory, and say
 * how many came, before any other call. `feed` takes all of what lies
 * elsewhere; MEMORY. `rest` gives the buffer back while no octets flow.
 */
char *pop3_tls_room(pop3_tls *tls, size_t *room);
void pop3_tls_received(pop3_tls *tls, size_t size);
pop3_error pop3_tls_feed(pop3_tls *tls, const char *octets, size_t size);
void pop3_tls_rest(pop3_tls *tls);

/* The transport ended. */
void pop3_tls_eof(pop3_tls *tls);

/* Ciphertext to transmit, owned by the filter until the next call; *size is 0
 * when there is none. `sent` drops what left. */
const char *pop3_tls_output(pop3_tls *tls, size_t *size);
void pop3_tls_sent(pop3_tls *tls, size_t size);

/*
 * Advance the handshake by one record, so that a caller who has a frame to draw
 * can do that between the server's certificates and its signature: all at once
 * take a millisecond. POP3_E_OK: done and verified. POP3_E_AGAIN: transmit the
 * output; call it again if it is `fed`, else feed more. Errors: HANDSHAKE,
 * CERTIFICATE, HOSTNAME, PIN, DANE, REVOKED, OCSP, ALPN, INJECTION, MEMORY, EOF
 * is reported as HANDSHAKE;
 * each with a text that says what was wrong and what to do. The output may hold
 * an alert for the peer.
 */
pop3_error pop3_tls_handshake(pop3_tls *tls, pop3_failure *failure);

/* Octets of the next record that it has for a handshake that is not done, or 0:
 * certificates are in a large one. */
size_t pop3_tls_fed(const pop3_tls *tls);

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

/*
 * The session, for a connection of another process: opaque octets that hold
 * its secrets, so keep them as you would keep a password. They are good only
 * for the same host, port, door (implicit or STLS), expected name, CA set,
 * client certificate and TLS options, and for a day at most.
 * Writes *size octets, or just *size when `octets` is NULL. POP3_E_AGAIN:
 * there is none (yet): not verified in chain and name, none offered by the
 * server, or, in TLS 1.3, nothing read yet. ARGUMENT: `room` is too small.
 * MEMORY. A ticket of TLS 1.3 leaves the context's store: it is the caller's
 * to use, and is meant to be used once.
 */
pop3_error pop3_tls_session_export(pop3_tls *tls, char *octets, size_t room,
                                   size_t *size);

/* Are these octets what an export gave, whoever they are for? TLS_CONFIG when
 * they are not, or were damaged; MEMORY. */
pop3_error pop3_tls_session_check(const char *octets, size_t size,
                                  pop3_failure *failure);

/* What was negotiated; strings live as long as the filter. Only after the
 * handshake. */
typedef struct pop3_tls_info {
  const char *version; /* "TLSv1.3" */
  const char *cipher;
  const char *group; /* key exchange group, or NULL */
  const char *alpn;  /* "pop3" or NULL */
  bool verified;     /* chain and, unless switched off, name */
  bool pinned;       /* not that, but the server's key is pinned */
  bool dane;         /* by TLSA records */
  bool resumed;      /* an earlier session, whose verification still holds */
} pop3_tls_info;
void pop3_tls_describe(const pop3_tls *tls, pop3_tls_info *info);

/* The longest digest of a certificate is SHA-512's. */
#define POP3_TLS_BINDING 64

/*
 * What a SASL mechanism binds a login to, so that nobody in between can pass
 * it on: *size octets, and *type, a static string:
 *   "tls-exporter" (RFC 9266) for TLS 1.3;
 *   "tls-unique" (RFC 5929 3) for TLS 1.2 and older: the one that every server
 *   with channel binding has to know there (RFC 5802 6.1), but only with an
 *   extended master secret (RFC 7627): without one, two connections can be made
 *   to have the same;
 *   "tls-server-end-point" (RFC 5929 4) there otherwise. It binds to the
 *   server's certificate, not to the connection.
 * Only after the handshake. UNSUPPORTED: none of them is to be had; MEMORY.
 */
pop3_error pop3_tls_channel_binding(pop3_tls *tls,
                                    unsigned char octets[POP3_TLS_BINDING],
                                    size_t *size, const char **type);

#pragma GCC visibility pop

#endif
