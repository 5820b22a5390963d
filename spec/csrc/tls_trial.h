/*
 * tls_trial.h - claims about a connection by `options`, which are the defaults
 * again afterwards.
 */
#ifndef POP3_TLS_TRIAL_H
#define POP3_TLS_TRIAL_H

#include "tls_world.h"

#define HOST "pop.example.org"

/* Connecting to `s` as `host` ends so, for good, and leaves OpenSSL's queue
 * empty. */
void expect(server *s, const char *host, pop3_error error, const char *phrase,
            const char *name);

/* The same, though OpenSSL was told otherwise before it shook hands. */
void expect_tampered(server *s, const char *host, void (*tamper)(SSL *),
                     pop3_error error, const char *phrase, const char *name);

/* No context is made of them. */
void expect_config(const char *phrase, const char *name);

/* Two connections by one context succeed, and the second is resumed or not. */
void expect_twice(server *s, const char *host, bool resumed, const char *name);

/* Is a session by `options` left alone where `change` was made to them? */
bool is_bound(server *s, void (*change)(void));

/* What a connection says of itself. */
pop3_tls_info describe(server *s, const char *host);

/* The world, in which OpenSSL's allocations can fail: each of them in turn if
 * the program's argument is "all", else a sample. The stride of starve_with. */
long begin_trials(int count, char **arguments);

/* A handshake by the options that `choose` makes, in which an allocation of
 * OpenSSL's fails, each `stride`-th in turn: none may succeed that should not. */
void starve_with(server *s, void (*choose)(void), bool should, long stride,
                 const char *name);

#endif
