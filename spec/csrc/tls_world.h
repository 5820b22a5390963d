/*
 * tls_world.h - what the tests of TLS share: certificates made on the spot, an
 * OpenSSL server in this process, and the octets between it and a filter.
 * Each program has one world.
 */
#ifndef POP3_TLS_WORLD_H
#define POP3_TLS_WORLD_H

#include <stdio.h>

#include "../../csrc/tls_internal.h"

extern int failures;
extern __thread pop3_failure failure;
extern __thread bool hungry,
    starving; /* allocations may fail; now is the time */

/* A line of TAP. */
void check(bool claim, const char *name);

/* The test itself cannot go on without. */
void must(bool claim, const char *what);

/* Is `got` the `error` that is wanted, and `phrase` in the failure's text? */
bool said(pop3_error got, pop3_error error, const char *phrase);

/* --- certificates -------------------------------------------------------- */

#define DAY (24L * 60 * 60)

typedef struct identity {
  X509 *certificate;
  EVP_PKEY *key;
} identity;

typedef struct form {
  const char *subject;    /* CN */
  const identity *issuer; /* NULL: itself */
  const char *names;      /* subjectAltName as openssl.cnf writes it */
  const char *usage;      /* extendedKeyUsage */
  bool promises;          /* to staple (RFC 7633) */
  long from, to;          /* days from now; 0, 0: valid now */
  bool ca;
  int rsa; /* bits; else P-256 */
} form;

#define NAMES .names = "DNS:pop.example.org"

identity make(const form *f);
void discard(identity *i);

/* Made by make_world, with files in a folder of their own below TMPDIR. */
extern identity root, stranger, intermediate, leaf, client;
extern char folder[256], root_file[300], client_file[300], sealed_file[300];
void make_world(void);
void end_world(void);
FILE *create(char path[300], const char *name);

/* The root's certificate below `place` ("" or "NAME/") of the folder, called as
 * OpenSSL looks for it in a capath. */
void create_hashed(char path[300], const char *place);

/* --- a server, and octets between it and the filter ---------------------- */

typedef struct server {
  const identity *identity; /* NULL: none, anonymous */
  const identity *chain;    /* sent after it, or NULL */
  const char *protocol;     /* ALPN to choose; "!" to refuse; NULL: ignore */
  int min, max;
  const char *ciphers;
  bool weak;                   /* security level 0 */
  bool demand_client;          /* a certificate */
  bool forgetful;              /* accepts no ticket of an earlier server */
  const unsigned char *staple; /* an OCSP response, or NULL */
  size_t staple_size;
} server;

typedef struct pair {
  SSL_CTX *context;
  SSL *server;
  pop3_tls *client;
  size_t chunk;     /* octets carried at a time */
  bool dirty;       /* OpenSSL's error queue was left with something */
  char name[100];   /* SNI as the server saw it */
  unsigned offered; /* octets of ALPN */
} pair;

void serve(pair *p, server *s);
void stop(pair *p);

/* Another connection to the same server; the client has gone. */
void listen_again(pair *p);

/* Client to server, server to client; true if something moved. */
bool carry_up(pair *p);
bool carry_down(pair *p, pop3_error *error);

/* Both sides until nothing moves: the client's last word. */
pop3_error shake(pair *p);

/* What the server has left to say reaches the client. */
void drain(pair *p);

/* --- a client ------------------------------------------------------------ */

extern pop3_tls_options options;

/* The defaults, with our root instead of the system's. */
void use_defaults(void);

/* A session to offer, or NULL. */
extern const char *given;
extern size_t given_size;

/* pop3_tls_new for port 995. */
pop3_error filter(pop3_tls_context *context, const char *host, size_t size,
                  bool after_stls, pop3_tls **tls);

/* A filter of a context by `options`. */
pop3_error attach(pair *p, const char *host, bool after_stls);

/* Connect to `s` as `host` by `options`. */
pop3_error try_out(pair *p, server *s, const char *host);

/* A command and its reply, and no more than that. */
bool answers(pair *p);

/*
 * While `starving` is set, the n-th of OpenSSL's allocations fails, and all
 * after it if `for_good`; 0: none does. They are counted from here on. After
 * use_failing_allocator, which comes before all else.
 */
void use_failing_allocator(void);
void fail_allocation(long n, bool for_good);
long allocations_seen(void);

size_t least(size_t a, size_t b);

#endif
