/*
 * sasl_internal.h - what the files of sasl.h share: sasl.c (the table and the
 * order of steps), sasl_simple.c, sasl_oauth.c, sasl_scram.c (mechanisms).
 */
#ifndef POP3_SASL_INTERNAL_H
#define POP3_SASL_INTERNAL_H

#include "crypto.h"
#include "pbkdf2.h"
#include "sasl.h"
#include "wiped.h"

#pragma GCC visibility push(hidden)

/* The most responses that any of ours gives. */
#define POP3_SASL_STEPS 3

/* Octets of a nonce of ours: base64 of 24 octets, 192 bits. */
#define POP3_SASL_NONCE 32

typedef pop3_error pop3_sasl_turn(pop3_sasl *sasl, pop3_span challenge,
                                  pop3_failure *failure);
typedef pop3_error pop3_sasl_act(pop3_sasl *sasl, pop3_failure *failure);

/* How a mechanism works: a response to each challenge, in turn. What is NULL
 * has nothing to do. */
typedef struct pop3_sasl_method {
  pop3_sasl_act *begin; /* the credentials are checked already */
  pop3_sasl_turn *steps[POP3_SASL_STEPS];
  pop3_sasl_act *work;
  pop3_sasl_act *finish;
  bool needs_user;
  bool takes_authzid;
} pop3_sasl_method;

typedef struct pop3_scram {
  pop3_wiped user;     /* prepared, and its "," and "=" encoded */
  pop3_wiped password; /* prepared; gone once the derivation has it */
  pop3_wiped gs2;      /* GS2 header, then what it is bound to */
  size_t header;       /* octets of the header in it */
  pop3_wiped bare;     /* client-first-message-bare */
  pop3_wiped server;   /* server-first-message, while keys are derived */
  pop3_pbkdf2 *derivation;
  char nonce[POP3_SASL_NONCE + 1];
  unsigned char signature[POP3_HASH_MAX]; /* what the server has to show */
  size_t size;                            /* of that */
  bool proven;
} pop3_scram;

struct pop3_sasl {
  pop3_allocator allocator;
  const pop3_sasl_mechanism *mechanism;
  pop3_sasl_credentials credentials;
  size_t turn;     /* challenges answered */
  pop3_error dead; /* sticky */
  bool rejected;   /* OAuth: an error came */
  pop3_wiped response;
  pop3_wiped detail;
  pop3_scram scram;
};

extern const pop3_sasl_method pop3_sasl_plain, pop3_sasl_login,
    pop3_sasl_cram_md5, pop3_sasl_external, pop3_sasl_anonymous,
    pop3_sasl_xoauth2, pop3_sasl_oauthbearer, pop3_sasl_scram;

/* A failure whose text begins with the mechanism's name. */
#if defined(__GNUC__)
__attribute__((format(printf, 4, 5)))
#endif
pop3_error
pop3_sasl_fail(const pop3_sasl *sasl, pop3_failure *failure, pop3_error error,
               const char *format, ...);

/* The parts are the response; or the one part is the detail. MEMORY. */
pop3_error pop3_sasl_respond(pop3_sasl *sasl, const pop3_span *parts,
                             size_t count, pop3_failure *failure);
pop3_error pop3_sasl_keep(pop3_sasl *sasl, pop3_span detail,
                          pop3_failure *failure);

/* "," and "=" as "=2C" and "=3D" (saslname of RFC 5801 4). MEMORY. */
pop3_error pop3_sasl_encode_name(pop3_sasl *sasl, pop3_span name,
                                 pop3_wiped *out, pop3_failure *failure);

/* Wipe and free what SCRAM has. */
void pop3_scram_end(pop3_sasl *sasl);

/* For tests with an RFC's nonce, POP3_SASL_NONCE octets or fewer, in place of
 * a random one; before the first step. */
pop3_error pop3_scram_use_nonce(pop3_sasl *sasl, const char *nonce,
                                pop3_failure *failure);

#pragma GCC visibility pop

#endif
