/* sasl_simple.c - see sasl.h: the mechanisms of a line or two. */
#include "sasl_internal.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* --- PLAIN (RFC 4616) ----------------------------------------------------- */

static pop3_error say_plain(pop3_sasl *sasl, pop3_span challenge,
                            pop3_failure *failure) {
  const pop3_sasl_credentials *c = &sasl->credentials;
  pop3_span parts[] = {c->authzid, {"", 1}, c->user, {"", 1}, c->secret};
  (void)challenge;
  return pop3_sasl_respond(sasl, parts, COUNT(parts), failure);
}

const pop3_sasl_method pop3_sasl_plain = {
    .steps = {say_plain}, .needs_user = true, .takes_authzid = true};

/* --- LOGIN: two prompts, whose words differ from server to server --------- */

static pop3_error say_user(pop3_sasl *sasl, pop3_span challenge,
                           pop3_failure *failure) {
  (void)challenge;
  return pop3_sasl_respond(sasl, &sasl->credentials.user, 1, failure);
}

static pop3_error say_password(pop3_sasl *sasl, pop3_span challenge,
                               pop3_failure *failure) {
  (void)challenge;
  return pop3_sasl_respond(sasl, &sasl->credentials.secret, 1, failure);
}

const pop3_sasl_method pop3_sasl_login = {.steps = {say_user, say_password},
                                          .needs_user = true};

/* --- CRAM-MD5 (RFC 2195) -------------------------------------------------- */

static pop3_error say_cram(pop3_sasl *sasl, pop3_span challenge,
                           pop3_failure *failure) {
  const pop3_sasl_credentials *c = &sasl->credentials;
  unsigned char mac[POP3_HASH_MAX];
  char hex[2 * POP3_HASH_MAX + 1];
  size_t size = 0;
  if (challenge.size == 0)
    return pop3_sasl_fail(sasl, failure, POP3_E_MALFORMED,
                          "the server's challenge is empty");
  pop3_error error =
      pop3_hmac(sasl->mechanism->digest, c->secret.data, c->secret.size,
                challenge.data, challenge.size, mac, &size);
  if (error) return pop3_fail(failure, error, NULL);
  pop3_hex(mac, size, hex);
  pop3_span parts[] = {c->user, POP3_LITERAL(" "), {hex, 2 * size}};
  return pop3_sasl_respond(sasl, parts, COUNT(parts), failure);
}

const pop3_sasl_method pop3_sasl_cram_md5 = {.steps = {say_cram},
                                             .needs_user = true};

/* --- EXTERNAL (RFC 4422 A), ANONYMOUS (RFC 4505) -------------------------- */

static pop3_error say_identity(pop3_sasl *sasl, pop3_span challenge,
                               pop3_failure *failure) {
  const pop3_sasl_credentials *c = &sasl->credentials;
  const pop3_span *name = c->authzid.size > 0 ? &c->authzid : &c->user;
  (void)challenge;
  return pop3_sasl_respond(sasl, name, 1, failure);
}

const pop3_sasl_method pop3_sasl_external = {.steps = {say_identity},
                                             .takes_authzid = true};
const pop3_sasl_method pop3_sasl_anonymous = {.steps = {say_identity}};
