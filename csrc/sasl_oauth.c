/*
 * sasl_oauth.c - see sasl.h: OAuth's bearer tokens. A server that refuses one
 * says why in a challenge, and then waits for an answer before its -ERR.
 */
#include <stdio.h>

#include "sasl_internal.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static pop3_error say_xoauth2(pop3_sasl *sasl, pop3_span challenge,
                              pop3_failure *failure) {
  const pop3_sasl_credentials *c = &sasl->credentials;
  pop3_span parts[] = {POP3_LITERAL("user="), c->user,
                       POP3_LITERAL("\x01"
                                    "auth=Bearer "),
                       c->secret, POP3_LITERAL("\x01\x01")};
  (void)challenge;
  return pop3_sasl_respond(sasl, parts, COUNT(parts), failure);
}

/* RFC 7628 3.1; the user is the authzid of the GS2 header. */
static pop3_error say_bearer(pop3_sasl *sasl, pop3_span challenge,
                             pop3_failure *failure) {
  const pop3_sasl_credentials *c = &sasl->credentials;
  char port[16];
  pop3_wiped name = {NULL, 0};
  pop3_error error = pop3_sasl_encode_name(
      sasl, c->authzid.size > 0 ? c->authzid : c->user, &name, failure);
  if (error) return error;
  pop3_span none = {NULL, 0}, to = pop3_wiped_span(&name);
  int digits = snprintf(port, sizeof port, "%u", c->port);
  bool host = c->host.size > 0, numbered = c->port > 0;
  pop3_span parts[] = {
      POP3_LITERAL("n,"),
      to.size > 0 ? POP3_LITERAL("a=") : none,
      to,
      POP3_LITERAL(",\x01"),
      host ? POP3_LITERAL("host=") : none,
      c->host,
      host ? POP3_LITERAL("\x01") : none,
      numbered ? POP3_LITERAL("port=") : none,
      numbered ? (pop3_span){port, (size_t)digits} : none,
      numbered ? POP3_LITERAL("\x01") : none,
      POP3_LITERAL("auth=Bearer "),
      c->secret,
      POP3_LITERAL("\x01\x01"),
  };
  (void)challenge;
  error = pop3_sasl_respond(sasl, parts, COUNT(parts), failure);
  pop3_wiped_drop(&sasl->allocator, &name);
  return error;
}

static pop3_error reject(pop3_sasl *sasl, pop3_span challenge, pop3_span answer,
                         pop3_failure *failure) {
  sasl->rejected = true;
  pop3_error error = pop3_sasl_keep(sasl, challenge, failure);
  return error ? error : pop3_sasl_respond(sasl, &answer, 1, failure);
}

static pop3_error end_xoauth2(pop3_sasl *sasl, pop3_span challenge,
                              pop3_failure *failure) {
  return reject(sasl, challenge, (pop3_span){NULL, 0}, failure);
}

/* RFC 7628 3.2.3: a dummy answer. */
static pop3_error end_bearer(pop3_sasl *sasl, pop3_span challenge,
                             pop3_failure *failure) {
  return reject(sasl, challenge, POP3_LITERAL("\x01"), failure);
}

static pop3_error finish(pop3_sasl *sasl, pop3_failure *failure) {
  if (!sasl->rejected) return POP3_E_OK;
  return pop3_sasl_fail(sasl, failure, POP3_E_DENIED,
                        "the server reported an error about the token, and "
                        "then accepted the login");
}

const pop3_sasl_method pop3_sasl_xoauth2 = {
    .steps = {say_xoauth2, end_xoauth2}, .finish = finish, .needs_user = true};
const pop3_sasl_method pop3_sasl_oauthbearer = {
    .steps = {say_bearer, end_bearer}, .finish = finish, .takes_authzid = true};
