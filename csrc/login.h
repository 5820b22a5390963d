/*
 * login.h - which way in: of what the server offers and the caller allows, the
 * strongest. Tables and pure functions; client_login.c does what they say.
 *
 * A way is a row of sasl.h's table, or one of two rows of this file's, USER
 * (USER and PASS) and APOP, which are no mechanisms of SASL and come last.
 */
#ifndef POP3_LOGIN_H
#define POP3_LOGIN_H

#include <stdbool.h>
#include <stddef.h>

#include "caps.h"
#include "failure.h"
#include "pop3.h"
#include "sasl.h"

#pragma GCC visibility push(hidden)

typedef pop3_sasl_mechanism pop3_way;

extern const pop3_way pop3_way_user;
extern const pop3_way pop3_way_apop;

/* Is it AUTH with one of SASL's mechanisms? */
bool pop3_way_is_sasl(const pop3_way *way);

/* Ours in order of strength, from 0; NULL behind the last. */
const pop3_way *pop3_way_nth(size_t n);

/* By its name, in any case of letters; NULL: none that we have. */
const pop3_way *pop3_way_find(pop3_span name);

/* Split off the next name of a list that has an LF behind each; false: there is
 * none. */
bool pop3_next_name(pop3_span *rest, pop3_span *name);

/* Shall a mechanism be bound to the TLS channel (-PLUS, RFC 5802 6)? */
typedef enum pop3_binding {
  POP3_BINDING_PREFER,  /* where the server offers it */
  POP3_BINDING_REQUIRE, /* or there is no login */
  POP3_BINDING_DISABLE
} pop3_binding;

/* All that a choice depends on. */
typedef struct pop3_login_facts {
  const pop3_caps *caps; /* not known: CAPA was refused */
  pop3_span asked;       /* names in order of preference, an LF behind each;
                            empty: the choice is ours */
  bool secure;           /* by TLS */
  bool cleartext;        /* a secret may leave in clear all the same */
  bool timestamp;        /* the greeting has APOP's, and came by this stream */
  bool bindable;         /* the TLS channel has a name */
  bool token;            /* the secret is an OAuth token */
  bool authzid;          /* there is one */
  bool blank;            /* in the user's name: APOP has no way to say it */
  bool flight;           /* more rides behind, and PIPELINING was announced */
  pop3_binding binding;
  const pop3_way *failed; /* the server does not have it, or NULL */
} pop3_login_facts;

/*
 * The way to take. Asked for nothing, it is the first of SCRAM-...-PLUS,
 * SCRAM-..., PLAIN and LOGIN, CRAM-MD5, APOP, USER that the server offers; what
 * shows the secret (REVEALS) only where that may leave, what is easily guessed
 * from (WEAK) only by TLS, NO_SECRET never; with a token OAUTHBEARER, XOAUTH2.
 * Where PLAIN and USER are both offered, USER if it saves a round trip.
 * Errors: INSECURE, UNSUPPORTED; their texts say what the server offers and
 * what to change.
 */
pop3_error pop3_login_choose(const pop3_login_facts *facts,
                             const pop3_way **way, pop3_failure *failure);

/* Does a choice depend on what CAPA says? It does, too, where APOP is all that
 * was asked for and the greeting has no timestamp: to say what there is. */
bool pop3_login_needs_caps(pop3_span asked, bool timestamp);

/* Does the server have to be told that it offered no -PLUS of ours, or refused
 * one as unknown (gs2 flag "y")? */
bool pop3_login_is_stripped(const pop3_login_facts *facts);

/* What the server offers, for people: "SASL PLAIN LOGIN, USER". NUL-ended,
 * cut at `room`. */
void pop3_login_offers(const pop3_login_facts *facts, char *text, size_t room);

/*
 * Does a refusal of AUTH say that the mechanism is none of the server's, rather
 * than that the user is not welcome? Only words count that say so, and no
 * response code may say otherwise (RFC 2449 8, RFC 3206).
 */
bool pop3_login_is_unsupported(pop3_span line);

/* What to do about a refusal, by its response code, or by what it says of the
 * mechanism. `stripped`: the server was told that it offered no -PLUS. */
const char *pop3_login_advice(pop3_span line, const pop3_way *way,
                              bool stripped);

#pragma GCC visibility pop

#endif
