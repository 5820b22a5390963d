/*
 * tls_session_world.h - what the tests of sessions share: each way that TLS has
 * to resume one, and connections that do so or do not.
 */
#ifndef POP3_TLS_SESSION_WORLD_H
#define POP3_TLS_SESSION_WORLD_H

#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>

#include "tls_world.h"

#define HOST "pop.example.org"

static const pop3_tls_peer base = {
    .host = HOST, .host_size = sizeof HOST - 1, .port = 995};

static const struct way {
  const char *label;
  int version;
  bool stateful; /* the server keeps the session, and gives no ticket */
} ways[] = {
    {"TLS 1.2, ticket", TLS1_2_VERSION, false},
    {"TLS 1.2, session ID", TLS1_2_VERSION, true},
    {"TLS 1.3", TLS1_3_VERSION, false},
};
#define WAYS (sizeof ways / sizeof ways[0])

static inline void claim(bool good, const char *label, const char *what) {
  char name[160];
  (void)snprintf(name, sizeof name, "%s: %s", label, what);
  check(good, name);
}

static inline pop3_tls_context *make_context(void) {
  pop3_tls_context *context = NULL;
  must(pop3_tls_context_new(&options, &context, &failure) == POP3_E_OK,
       "a context");
  return context;
}

static inline int count_kept(const pop3_tls_context *context) {
  int count = 0;
  for (int i = 0; i < POP3_TLS_KEPT; i++) count += !!context->kept[i].session;
  return count;
}

static inline void serve_way(pair *p, server *s, const struct way *way) {
  s->max = way->version;
  serve(p, s);
  if (way->stateful) (void)SSL_CTX_set_options(p->context, SSL_OP_NO_TICKET);
  listen_again(p);
}

/* Another connection to the server of `p`, as far as its handshake. */
static inline pop3_error meet(pair *p, pop3_tls_context *context,
                              const pop3_tls_peer *peer) {
  listen_again(p);
  pop3_error error = pop3_tls_new(context, peer, &p->client, &failure);
  return error == POP3_E_OK ? shake(p) : error;
}

static inline bool is_resumed(const pair *p) {
  pop3_tls_info info = {0};
  pop3_tls_describe(p->client, &info);
  return info.resumed && SSL_session_reused(p->server);
}

/* ... with octets in both directions. */
static inline bool resumes(pair *p, pop3_tls_context *context,
                           const pop3_tls_peer *peer) {
  return said(meet(p, context, peer), POP3_E_OK, "") && answers(p) &&
         is_resumed(p);
}

static inline bool is_full(pair *p, pop3_tls_context *context,
                           const pop3_tls_peer *peer) {
  return said(meet(p, context, peer), POP3_E_OK, "") && answers(p) &&
         !is_resumed(p) && !p->client->offered;
}

static inline pop3_error export(pair *p, char octets[8192], size_t *size) {
  return pop3_tls_session_export(p->client, octets, 8192, size);
}

#endif
