/*
 * sasl_server.h - a POP3 server that does nothing but log people in: what its
 * two programs share. sasl_server.c speaks POP3 and TLS; gsasl_server.c and
 * cyrus_server.c are what it logs in with, each a library that nobody here
 * wrote. sasl_servers.lua builds and starts them.
 */
#ifndef SASL_SERVER_H
#define SASL_SERVER_H

#include <stdbool.h>
#include <stddef.h>

/* From the command line; strings live as long as the program. */
typedef struct settings {
  const char *tls; /* "none", "starttls", "implicit" */
  const char *cert, *key;
  const char *max_tls;    /* "1.2", or NULL */
  const char *mechanisms; /* only these, blanks between; NULL: all */
  const char *user, *password;
  const char *iterations; /* SCRAM's, or NULL */
  const char *folder;     /* for files of its own */
  const char *binding;    /* which to offer: "exporter", "unique", "end-point",
                             "none"; NULL: what suits the version of TLS */
} settings;

/* What a connection can be bound to: by what name, and the octets. */
typedef struct binding {
  const char *type; /* NULL: none */
  unsigned char octets[64];
  size_t size;
  bool certified; /* the client showed a certificate */
} binding;

typedef enum outcome { MORE, DONE, REFUSED } outcome;

/* A library. All are called by one thread at a time. */
extern const char backend_name[];
bool backend_begin(const settings *s);
/* Mechanisms for such a connection, blanks between. */
void backend_list(const binding *bound, char *out, size_t room);
void *backend_start(const binding *bound, const char *mechanism);
/* Decoded octets; *output is malloc's. DONE may come with octets: they are
 * the last challenge. */
outcome backend_step(void *exchange, const char *input, size_t size,
                     char **output, size_t *output_size);
/* Who it is; valid until the end. */
const char *backend_user(void *exchange);
void backend_end(void *exchange);

#endif
