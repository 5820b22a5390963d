/* sasl.c - see sasl.h: the table, what credentials may be, order of steps. */
#include "sasl.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "sasl_internal.h"

/* What SCRAM is in all its forms, and what sends the secret itself. */
#define SCRAM (POP3_SASL_FIRST | POP3_SASL_MUTUAL)
#define PLUS (SCRAM | POP3_SASL_BOUND)
#define BEARER (POP3_SASL_FIRST | POP3_SASL_REVEALS | POP3_SASL_TOKEN)
#define NAMED (POP3_SASL_FIRST | POP3_SASL_NO_SECRET)

const pop3_sasl_mechanism pop3_sasl_mechanisms[] = {
    {"SCRAM-SHA-512-PLUS", PLUS, "SHA512", &pop3_sasl_scram},
    {"SCRAM-SHA-256-PLUS", PLUS, "SHA256", &pop3_sasl_scram},
    {"SCRAM-SHA-1-PLUS", PLUS, "SHA1", &pop3_sasl_scram},
    {"SCRAM-SHA-512", SCRAM, "SHA512", &pop3_sasl_scram},
    {"SCRAM-SHA-256", SCRAM, "SHA256", &pop3_sasl_scram},
    {"SCRAM-SHA-1", SCRAM, "SHA1", &pop3_sasl_scram},
    {"OAUTHBEARER", BEARER, NULL, &pop3_sasl_oauthbearer},
    {"XOAUTH2", BEARER, NULL, &pop3_sasl_xoauth2},
    {"PLAIN", POP3_SASL_FIRST | POP3_SASL_REVEALS, NULL, &pop3_sasl_plain},
    {"LOGIN", POP3_SASL_REVEALS, NULL, &pop3_sasl_login},
    {"CRAM-MD5", POP3_SASL_WEAK, "MD5", &pop3_sasl_cram_md5},
    {"EXTERNAL", NAMED, NULL, &pop3_sasl_external},
    {"ANONYMOUS", NAMED, NULL, &pop3_sasl_anonymous},
};

const size_t pop3_sasl_mechanism_count =
    sizeof pop3_sasl_mechanisms / sizeof *pop3_sasl_mechanisms;

static char upper(char c) {
  return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

static bool is_named(const char *name, pop3_span text) {
  if (strlen(name) != text.size) return false;
  for (size_t i = 0; i < text.size; i++)
    if (upper(text.data[i]) != name[i]) return false;
  return true;
}

const pop3_sasl_mechanism *pop3_sasl_find(pop3_span name) {
  for (size_t i = 0; i < pop3_sasl_mechanism_count; i++)
    if (is_named(pop3_sasl_mechanisms[i].name, name))
      return &pop3_sasl_mechanisms[i];
  return NULL;
}

/* --- what mechanisms share ------------------------------------------------ */

pop3_error pop3_sasl_fail(const pop3_sasl *sasl, pop3_failure *failure,
                          pop3_error error, const char *format, ...) {
  char text[POP3_FAILURE_TEXT];
  va_list arguments;
  va_start(arguments, format);
  (void)vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  return pop3_fail(failure, error, "%s: %s", sasl->mechanism->name, text);
}

pop3_error pop3_sasl_respond(pop3_sasl *sasl, const pop3_span *parts,
                             size_t count, pop3_failure *failure) {
  if (pop3_wiped_join(&sasl->allocator, &sasl->response, parts, count))
    return POP3_E_OK;
  return pop3_fail(failure, POP3_E_MEMORY, NULL);
}

pop3_error pop3_sasl_keep(pop3_sasl *sasl, pop3_span detail,
                          pop3_failure *failure) {
  if (pop3_wiped_join(&sasl->allocator, &sasl->detail, &detail, 1))
    return POP3_E_OK;
  return pop3_fail(failure, POP3_E_MEMORY, NULL);
}

pop3_error pop3_sasl_encode_name(pop3_sasl *sasl, pop3_span name,
                                 pop3_wiped *out, pop3_failure *failure) {
  size_t size = name.size;
  for (size_t i = 0; i < name.size; i++)
    if (name.data[i] == ',' || name.data[i] == '=') size += 2;
  if (!pop3_wiped_make(&sasl->allocator, out, size))
    return pop3_fail(failure, POP3_E_MEMORY, NULL);
  char *to = out->data;
  for (size_t i = 0; i < name.size; i++) {
    char octet = name.data[i];
    bool plain = octet != ',' && octet != '=';
    *to++ = plain ? octet : '=';
    if (plain) continue;
    memcpy(to, octet == ',' ? "2C" : "3D", 2);
    to += 2;
  }
  return POP3_E_OK;
}

/* --- credentials ---------------------------------------------------------- */

static bool has_control(pop3_span text, bool any) {
  for (size_t i = 0; i < text.size; i++) {
    char c = text.data[i];
    if (c == '\r' || c == '\n' || c == '\0') return true;
    if (any && ((unsigned char)c < 0x20 || c == 0x7f)) return true;
  }
  return false;
}

/* Base64 would hide a line end from the one writer to the wire, but a server
 * that decodes it into a line of its own would not. And \x01 is what ends a
 * field of OAuth's. */
static pop3_error check_octets(const pop3_sasl *sasl, pop3_failure *failure) {
  const pop3_sasl_credentials *c = &sasl->credentials;
  bool token = (sasl->mechanism->flags & POP3_SASL_TOKEN) != 0;
  const struct {
    const char *what;
    pop3_span text;
  } texts[] = {{"user", c->user},
               {token ? "token" : "password", c->secret},
               {"authzid", c->authzid},
               {"host", c->host}};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
    if (has_control(texts[i].text, token))
      return pop3_sasl_fail(sasl, failure, POP3_E_CONTROL, "the %s contains %s",
                            texts[i].what,
                            token ? "a control character" : "CR, LF or NUL");
  return POP3_E_OK;
}

static pop3_error check_presence(const pop3_sasl *sasl, pop3_failure *failure) {
  const pop3_sasl_credentials *c = &sasl->credentials;
  unsigned flags = sasl->mechanism->flags;
  const pop3_sasl_method *method = sasl->mechanism->method;
  if (method->needs_user && c->user.size == 0)
    return pop3_sasl_fail(sasl, failure, POP3_E_ARGUMENT, "needs a user");
  if (!(flags & POP3_SASL_NO_SECRET) && c->secret.size == 0)
    return pop3_sasl_fail(sasl, failure, POP3_E_ARGUMENT, "needs a %s",
                          flags & POP3_SASL_TOKEN ? "token" : "password");
  if (!method->takes_authzid && c->authzid.size > 0)
    return pop3_sasl_fail(sasl, failure, POP3_E_ARGUMENT,
                          "cannot carry an authzid; PLAIN and SCRAM can");
  if (flags & POP3_SASL_BOUND && (c->binding.size == 0 || !c->binding_type))
    return pop3_sasl_fail(sasl, failure, POP3_E_ARGUMENT,
                          "needs TLS that this library does itself, to bind "
                          "the login to");
  return POP3_E_OK;
}

static pop3_error check_digest(const pop3_sasl *sasl, pop3_failure *failure) {
  const char *digest = sasl->mechanism->digest;
  if (!digest || pop3_hash_is_known(digest)) return POP3_E_OK;
  return pop3_sasl_fail(sasl, failure, POP3_E_UNSUPPORTED,
                        "OpenSSL offers no %s here (FIPS bars MD5); choose "
                        "another mechanism",
                        digest);
}

static pop3_error begin(pop3_sasl *sasl, pop3_failure *failure) {
  pop3_sasl_act *act = sasl->mechanism->method->begin;
  pop3_error error = check_octets(sasl, failure);
  if (!error) error = check_presence(sasl, failure);
  if (!error) error = check_digest(sasl, failure);
  return error || !act ? error : act(sasl, failure);
}

/* --- the exchange --------------------------------------------------------- */

pop3_error pop3_sasl_new(const pop3_allocator *allocator,
                         const pop3_sasl_mechanism *mechanism,
                         const pop3_sasl_credentials *credentials,
                         pop3_sasl **sasl, pop3_failure *failure) {
  pop3_sasl *made = pop3_allocate(allocator, sizeof *made);
  if (!made) return pop3_fail(failure, POP3_E_MEMORY, NULL);
  memset(made, 0, sizeof *made);
  made->allocator = *allocator;
  made->mechanism = mechanism;
  made->credentials = *credentials;
  pop3_error error = begin(made, failure);
  if (error) pop3_sasl_free(made);
  else *sasl = made;
  return error;
}

static pop3_error again_dead(const pop3_sasl *sasl, pop3_failure *failure) {
  return pop3_sasl_fail(sasl, failure, sasl->dead,
                        "this exchange has failed already");
}

/* Nothing of ours is needed any more. */
static pop3_error die(pop3_sasl *sasl, pop3_error error) {
  sasl->dead = error;
  pop3_wiped_drop(&sasl->allocator, &sasl->response);
  pop3_scram_end(sasl);
  return error;
}

static pop3_error turn(pop3_sasl *sasl, pop3_span challenge,
                       pop3_failure *failure) {
  const pop3_sasl_mechanism *m = sasl->mechanism;
  bool initial = sasl->turn == 0 && m->flags & POP3_SASL_FIRST;
  if (sasl->turn == POP3_SASL_STEPS || !m->method->steps[sasl->turn])
    return pop3_sasl_fail(sasl, failure, POP3_E_MALFORMED,
                          "the server sent one challenge too many");
  if (initial && challenge.size > 0)
    return pop3_sasl_fail(sasl, failure, POP3_E_MALFORMED,
                          "the server sent a challenge where the client "
                          "speaks first");
  return m->method->steps[sasl->turn](sasl, challenge, failure);
}

pop3_error pop3_sasl_step(pop3_sasl *sasl, pop3_span challenge,
                          pop3_span *response, pop3_failure *failure) {
  if (sasl->dead) return again_dead(sasl, failure);
  pop3_wiped_drop(&sasl->allocator, &sasl->response);
  pop3_error error = turn(sasl, challenge, failure);
  if (error == POP3_E_AGAIN) return error;
  if (error) return die(sasl, error);
  sasl->turn++;
  *response = pop3_wiped_span(&sasl->response);
  return POP3_E_OK;
}

pop3_error pop3_sasl_work(pop3_sasl *sasl, pop3_failure *failure) {
  if (sasl->dead) return again_dead(sasl, failure);
  if (!sasl->mechanism->method->work) return POP3_E_OK;
  pop3_error error = sasl->mechanism->method->work(sasl, failure);
  return error && error != POP3_E_AGAIN ? die(sasl, error) : error;
}

pop3_error pop3_sasl_finish(pop3_sasl *sasl, pop3_failure *failure) {
  if (sasl->dead) return again_dead(sasl, failure);
  pop3_wiped_drop(&sasl->allocator, &sasl->response);
  if (!sasl->mechanism->method->finish) return POP3_E_OK;
  pop3_error error = sasl->mechanism->method->finish(sasl, failure);
  return error ? die(sasl, error) : POP3_E_OK;
}

pop3_span pop3_sasl_detail(const pop3_sasl *sasl) {
  return pop3_wiped_span(&sasl->detail);
}

void pop3_sasl_free(pop3_sasl *sasl) {
  if (!sasl) return;
  pop3_allocator allocator = sasl->allocator;
  pop3_wiped_drop(&allocator, &sasl->response);
  pop3_wiped_drop(&allocator, &sasl->detail);
  pop3_scram_end(sasl);
  pop3_wipe(sasl, sizeof *sasl);
  pop3_release(&allocator, sasl, sizeof *sasl);
}
