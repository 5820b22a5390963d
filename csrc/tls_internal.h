/*
 * tls_internal.h - what the files of tls.h share: tls_context.c (options made
 * ready), tls_client_cert.c (who we are), tls_keylog.c (secrets told), tls.c
 * (the filter), tls_verify.c (whom we talk to, and why not), tls_service.c (which
 * service), tls_checks.c and those that it names, tls_describe.c (whom we talk to, in text), tls_input.c
 * (ciphertext that arrives), tls_binding.c (what a session is good for),
 * tls_session.c (sessions kept), tls_channel.c (what a login is bound to).
 */
#ifndef POP3_TLS_INTERNAL_H
#define POP3_TLS_INTERNAL_H

#include <openssl/ssl.h>
#include <stdint.h>

#include "tls.h"
#include "tls_checks.h"

#pragma GCC visibility push(hidden)

/* When a session was made; the older name counts in a long, to 2038 in some. */
#if OPENSSL_VERSION_PREREQ(3, 3)
#define pop3_tls_session_time(session) \
  ((int64_t)SSL_SESSION_get_time_ex(session))
#else
#define pop3_tls_session_time(session) ((int64_t)SSL_SESSION_get_time(session))
#endif

/* A DNS name has at most 253 octets; an address in text fewer. */
#define POP3_TLS_NAME 256

/* What is kept of the peer's first octets, to say what it spoke instead. */
#define POP3_TLS_OPENING 48

/* A SHA-256 digest of all that a session is bound to. OpenSSL's own context
 * of a session has exactly its size. */
#define POP3_TLS_BOUND 32

/* Sessions that a context keeps; some twenty kilooctets each, where they do
 * not come from the same connection and share its certificates. */
#define POP3_TLS_KEPT 64

typedef struct pop3_tls_kept {
  SSL_SESSION *session; /* NULL: a free place */
  unsigned char bound[POP3_TLS_BOUND];
  int64_t until; /* when its verification has to be done anew */
  uint64_t used; /* the store's clock when it came or was last offered */
} pop3_tls_kept;

struct pop3_tls_context {
  int references; /* atomic */
  CRYPTO_RWLOCK *lock;
  SSL_CTX *ssl;
  BIO_METHOD *input; /* of the filters' BIOs */
  int keylog;        /* a descriptor, or -1 */
  char *servername;  /* own copy, or NULL */
  bool verify;
  bool check_hostname;
  bool alpn;
  bool resume;
  pop3_checks checks;
  unsigned char bound[POP3_TLS_BOUND]; /* the options' share */
  pop3_tls_kept kept[POP3_TLS_KEPT];   /* guarded by lock, as is */
  uint64_t clock;
};

/* Whom we expect to talk to. */
typedef enum pop3_tls_name_kind {
  POP3_TLS_NO_NAME, /* not a host name, and none is needed */
  POP3_TLS_HOST,
  POP3_TLS_ADDRESS
} pop3_tls_name_kind;

/* Ciphertext that OpenSSL has not taken yet. */
typedef struct pop3_tls_input {
  char *octets; /* NULL while no octets flow */
  size_t room;
  size_t start, end;
  bool ended;   /* nothing will follow */
  bool by_one;  /* a record at a time, while a handshake is made */
  size_t shown; /* octets of the record at hand that OpenSSL may still take */
} pop3_tls_input;

struct pop3_tls {
  pop3_tls_context *context;
  SSL *ssl;
  pop3_tls_input input;
  BIO *out; /* owned by ssl */
  pop3_tls_name_kind kind;
  char name[POP3_TLS_NAME];
  char domain[POP3_TLS_NAME]; /* a name that will do as well, or "" */
  pop3_tls_door door;
  bool secure;     /* handshake done, peer checked */
  pop3_error dead; /* sticky */
  int fault;       /* X509_V_ERR_…: why the chain was refused */
  int fault_depth;
  X509 *culprit; /* the certificate at fault, or NULL */
  int unlogged;  /* errno's value: why keylog's file lacks something, or 0 */
  pop3_checked checked;
  unsigned char bound[POP3_TLS_BOUND];
  bool offered;    /* a session of this very binding */
  bool exportable; /* there is one that nobody has used yet, or may again */
  int64_t until;   /* when its verification has to be done anew */
  size_t opening_size;
  char opening[POP3_TLS_OPENING];
};

/*
 * Read `host` into name and kind: brackets, a zone and one trailing dot are
 * removed. TLS_CONFIG when it is neither a host name nor an address.
 */
pop3_error pop3_tls_read_name(pop3_tls *tls, const char *host, size_t size,
                              pop3_failure *failure);

/* The same for any name: into `name`, unless there is none. */
pop3_tls_name_kind pop3_tls_name_of(const char *host, size_t size,
                                    char name[POP3_TLS_NAME]);

/* Tell OpenSSL the names and to verify, by the context's options. MEMORY. */
pop3_error pop3_tls_expect_peer(pop3_tls *tls);

/* The domain's, beside the name that it was told. false: MEMORY. */
bool pop3_tls_expect_domain(const pop3_tls *tls);

/* Is the certificate for the domain's service, by name? And was that all that
 * OpenSSL missed? */
bool pop3_tls_names_service(const pop3_tls *tls, const X509 *certificate);
bool pop3_tls_forgive_service(const pop3_tls *tls, X509_STORE_CTX *store);

/* OpenSSL refused the chain or the name: say why. CERTIFICATE, HOSTNAME. */
pop3_error pop3_tls_explain_peer(const pop3_tls *tls, pop3_failure *failure);

/*
 * After the handshake, without trusting what OpenSSL made of our parameters:
 * there is a certificate, its chain was verified, it holds the name, and ALPN
 * is ours; and what tls_checks.h adds. CERTIFICATE, HOSTNAME, PIN, DANE, OCSP,
 * ALPN, MEMORY.
 */
pop3_error pop3_tls_check_peer(const pop3_tls *tls, pop3_failure *failure);

/*
 * Load certfile and keyfile, and show them to servers that ask. TLS_CONFIG (its
 * text names option and place, and never the passphrase), MEMORY.
 */
pop3_error pop3_tls_load_identity(SSL_CTX *ssl, const pop3_tls_options *options,
                                  pop3_failure *failure);

/* Append secrets to the file `path` from now on; NULL: to none. It is open as
 * long as the context is there. TLS_CONFIG. */
pop3_error pop3_tls_open_keylog(pop3_tls_context *context, const char *path,
                                pop3_failure *failure);
void pop3_tls_close_keylog(pop3_tls_context *context);

/* After the handshake: was all written? TLS_CONFIG. */
pop3_error pop3_tls_check_keylog(const pop3_tls *tls, pop3_failure *failure);

#define POP3_TLS_NAME_ROOM 200
#define POP3_TLS_TIME_ROOM 32

/* For people, escaped; both return `out` or a constant. */
const char *pop3_tls_show_name(const X509_NAME *name,
                               char out[POP3_TLS_NAME_ROOM]);
const char *pop3_tls_show_time(const ASN1_TIME *when,
                               char out[POP3_TLS_TIME_ROOM]);

/* Let OpenSSL see one more record, once it took the one before. */
void pop3_tls_show_record(pop3_tls_input *input);

/* A BIO that reads the filter's input; NULL: MEMORY. */
BIO *pop3_tls_input_new(pop3_tls *tls);
BIO_METHOD *pop3_tls_input_method(void);

/* Are sessions of this context verified in full, so that they may be kept? */
bool pop3_tls_may_resume(const pop3_tls_context *context);

/* The directories that are trusted where no option says otherwise, as OpenSSL
 * separates them. */
const char *pop3_tls_system_directories(void);

/* Copy the next directory of such a list, which is moved on behind it; one that
 * does not fit is left out. false: there is none. */
#define POP3_TLS_PATH_ROOM 1024
bool pop3_tls_next_directory(const char **list, char path[POP3_TLS_PATH_ROOM]);

/* Digest what a session is bound to, into `bound`. false: MEMORY. */
bool pop3_tls_bind_context(pop3_tls_context *context,
                           const pop3_tls_options *options);
bool pop3_tls_bind(pop3_tls *tls, const pop3_tls_peer *peer);

/* Have OpenSSL hand us its sessions and keep none itself. */
void pop3_tls_collect_sessions(pop3_tls_context *context);

/* Before the handshake: offer what there is. TLS_CONFIG, MEMORY. */
pop3_error pop3_tls_offer_session(pop3_tls *tls, const pop3_tls_peer *peer,
                                  pop3_failure *failure);

/* The peer was checked: until when that holds, and the session of TLS 1.2;
 * those of TLS 1.3 come with what is read later. */
void pop3_tls_keep_session(pop3_tls *tls);

/* Drop what is kept for this peer: it was no use, or the stream was damaged. */
void pop3_tls_forget_sessions(pop3_tls *tls);

/* Wipe and free the store. */
void pop3_tls_free_sessions(pop3_tls_context *context);

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
