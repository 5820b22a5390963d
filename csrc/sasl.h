/*
 * sasl.h - SASL mechanisms as pure steps: challenge in, response out.
 *
 * No I/O, no clock, no base64: octets are as the mechanism's RFC writes them,
 * and the caller puts them on the wire (RFC 5034 4). An exchange is
 *
 *   1. pop3_sasl_new: the credentials are checked; nothing was sent so far;
 *   2. pop3_sasl_step for each challenge; while it says POP3_E_AGAIN,
 *      pop3_sasl_work until that is OK, then the same step again;
 *   3. pop3_sasl_finish when the server said +OK: that alone is no success;
 *   4. pop3_sasl_free at any moment.
 *
 * A step that failed ends the exchange: cancel it with "*" (RFC 5034 4), and
 * do not try the same secret by another mechanism. Every later step and finish
 * fail, too.
 *
 * PLAIN RFC 4616, LOGIN draft-murchison-sasl-login-00, CRAM-MD5 RFC 2195,
 * SCRAM RFC 5802 and 7677 (SHA-512 alike), XOAUTH2 Google's and Microsoft's
 * documentation, OAUTHBEARER RFC 7628, EXTERNAL RFC 4422 A, ANONYMOUS RFC 4505.
 */
#ifndef POP3_SASL_H
#define POP3_SASL_H

#include <stdbool.h>
#include <stddef.h>

#include "errors.h"
#include "failure.h"
#include "memory.h"
#include "pop3.h"

#pragma GCC visibility push(hidden)

/* What a mechanism is. */
enum {
  POP3_SASL_FIRST = 1 << 0,   /* the client speaks first: an initial response
                                 exists, though it may be empty ("=") */
  POP3_SASL_REVEALS = 1 << 1, /* sends the secret or a bearer token: TLS */
  POP3_SASL_WEAK = 1 << 2,    /* who listens can guess offline, quickly */
  POP3_SASL_TOKEN = 1 << 3,   /* the secret is an OAuth token */
  POP3_SASL_BOUND = 1 << 4,   /* -PLUS: needs credentials.binding */
  POP3_SASL_MUTUAL = 1 << 5,  /* the server proves that it knows the password */
  POP3_SASL_NO_SECRET = 1 << 6 /* only when asked for by name */
};

/* A row of the table, the strongest first: the order of an automatic choice
 * among those that the credentials are good for. */
typedef struct pop3_sasl_mechanism {
  const char *name; /* as RFC 5034 registers it, upper case */
  unsigned flags;
  const char *digest;                    /* SCRAM's, by OpenSSL's name */
  const struct pop3_sasl_method *method; /* sasl_internal.h */
} pop3_sasl_mechanism;

extern const pop3_sasl_mechanism pop3_sasl_mechanisms[];
extern const size_t pop3_sasl_mechanism_count;

/* In any case of letters; NULL: none of ours. */
const pop3_sasl_mechanism *pop3_sasl_find(pop3_span name);

/*
 * All is borrowed until pop3_sasl_free; what is not there is an empty span.
 *   user     whose secret it is; OAUTHBEARER does without one; ANONYMOUS sends
 *            it as the trace (RFC 4505 2: a mail address or any word)
 *   secret   password, or the token without "Bearer "
 *   authzid  as whom to act, if not as the user: PLAIN, SCRAM, OAUTHBEARER,
 *            EXTERNAL (which sends the user if there is no authzid, and may do
 *            without both: the certificate says who it is); ARGUMENT with others
 *   host, port  OAUTHBEARER tells them to the server; port 0: untold
 *   binding, binding_type  pop3_tls_channel_binding's; used by -PLUS only
 *   binding_offerable  we could bind, but the server offered no -PLUS: it is
 *            told so (gs2 flag "y"), and refuses if somebody else took -PLUS
 *            out of its list (RFC 5802 6). Ignored by -PLUS.
 */
typedef struct pop3_sasl_credentials {
  pop3_span user;
  pop3_span secret;
  pop3_span authzid;
  pop3_span host;
  unsigned port;
  pop3_span binding;
  const char *binding_type;
  bool binding_offerable;
} pop3_sasl_credentials;

/* SCRAM's iteration counts: fewer are refused (RFC 5802 5.1, RFC 7677 4), more
 * would let a server occupy us for long: they are some seconds of work. */
enum { POP3_SASL_ITERATIONS_MIN = 4096, POP3_SASL_ITERATIONS_MAX = 5000000 };

/*
 * An exchange. Its memory is the allocator's, the digests' OpenSSL's own; the
 * struct of the allocator is copied. Each failure has a text.
 * Errors: CONTROL (CR, LF or NUL in any text; any control character in a
 * token, or in the user or host that goes with one), ARGUMENT (no user, no
 * secret, an authzid that cannot be sent, -PLUS without a binding; for SCRAM,
 * a user or password that SASLprep (RFC 4013) prohibits, that is not UTF-8, or
 * that is not ASCII where this library was built without libidn), UNSUPPORTED
 * (OpenSSL offers no such digest here: FIPS), MEMORY, IO (no random octets).
 */
typedef struct pop3_sasl pop3_sasl;
pop3_error pop3_sasl_new(const pop3_allocator *allocator,
                         const pop3_sasl_mechanism *mechanism,
                         const pop3_sasl_credentials *credentials,
                         pop3_sasl **sasl, pop3_failure *failure);

/*
 * The response to one challenge. For a FIRST mechanism the first call has an
 * empty challenge, and its response is the initial one, whether it goes with
 * the command or as an answer to the server's empty challenge. *response may be
 * empty (send an empty line, or "=" for an initial one); it belongs to the
 * exchange, and the next call of any kind wipes it.
 * Errors, all but AGAIN sticky:
 *   AGAIN       work first, then step again with the same challenge
 *   MALFORMED   the challenge is not what the mechanism's RFC allows here, or
 *               one more than it allows
 *   DENIED      SCRAM: the server says why ("e=")
 *   UNPROVEN    SCRAM: the server's signature is wrong: it does not know the
 *               password, and somebody may be in between
 *   WEAK_ITERATIONS, ITERATIONS   SCRAM: fewer or more than the above
 *   MEMORY
 * OAuth's error challenge is no failure: it is kept for pop3_sasl_detail and
 * answered as it has to be (RFC 7628 3.2.3), and the server then refuses.
 */
pop3_error pop3_sasl_step(pop3_sasl *sasl, pop3_span challenge,
                          pop3_span *response, pop3_failure *failure);

/*
 * One slice of SCRAM's key derivation, a quarter of a millisecond or less.
 * AGAIN: there is more; OK: done, or nothing to do. MEMORY.
 */
pop3_error pop3_sasl_work(pop3_sasl *sasl, pop3_failure *failure);

/*
 * The server said +OK. UNPROVEN if a MUTUAL mechanism has not seen the
 * server's signature: it is no success then, close the connection. DENIED if
 * an OAuth error was sent before. Else OK, or the sticky error.
 */
pop3_error pop3_sasl_finish(pop3_sasl *sasl, pop3_failure *failure);

/* The server's own words on a refusal (OAuth's JSON, SCRAM's "e=..."), as they
 * came: escape them. Empty if there are none. Lives as long as the exchange. */
pop3_span pop3_sasl_detail(const pop3_sasl *sasl);

/* Wipes all copies of ours. NULL is allowed. */
void pop3_sasl_free(pop3_sasl *sasl);

#pragma GCC visibility pop

#endif
