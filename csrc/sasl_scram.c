/*
 * sasl_scram.c - see sasl.h: SCRAM (RFC 5802, RFC 7677). The password is never
 * sent, and the server has to show that it knows it, too.
 *
 *   client  GS2 header, then "n=USER,r=NONCE"
 *   server  "r=NONCE+MORE,s=SALT,i=COUNT"
 *   client  "c=HEADER AND BINDING,r=NONCE+MORE,p=PROOF"
 *   server  "v=SIGNATURE", or "e=REASON"
 */
#include <string.h>

#include "escape.h"
#include "sasl_internal.h"
#include "saslprep.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* Iterations a slice: a quarter of a millisecond where one takes two
 * microseconds, four times what SHA-512 takes on a server of today. */
#define SLICE 128

/* No count of more digits is within the limit. */
#define COUNT_DIGITS 7

/* What the server's first message says; spans point into it. */
typedef struct offer {
  pop3_span nonce;
  pop3_span salt; /* base64 */
  unsigned iterations;
} offer;

static pop3_error malformed(const pop3_sasl *sasl, pop3_failure *failure,
                            const char *what) {
  return pop3_sasl_fail(sasl, failure, POP3_E_MALFORMED, "%s", what);
}

/* --- before anything is sent ---------------------------------------------- */

static pop3_error prepare(pop3_sasl *sasl, pop3_failure *failure) {
  const pop3_sasl_credentials *c = &sasl->credentials;
  pop3_saslprep_input user = {c->user, "user", false};
  pop3_saslprep_input password = {c->secret, "password", true};
  pop3_wiped name = {NULL, 0};
  pop3_error error = pop3_saslprep(&sasl->allocator, &user, &name, failure);
  if (!error)
    error = pop3_sasl_encode_name(sasl, pop3_wiped_span(&name),
                                  &sasl->scram.user, failure);
  pop3_wiped_drop(&sasl->allocator, &name);
  if (error) return error;
  return pop3_saslprep(&sasl->allocator, &password, &sasl->scram.password,
                       failure);
}

/* What we bind to, if anything, follows the header, as it will in "c=". */
static pop3_error make_header(pop3_sasl *sasl, pop3_failure *failure) {
  const pop3_sasl_credentials *c = &sasl->credentials;
  bool bound = (sasl->mechanism->flags & POP3_SASL_BOUND) != 0;
  const char *flag = bound ? "p=" : c->binding_offerable ? "y" : "n";
  const char *type = bound ? c->binding_type : "";
  pop3_wiped name = {NULL, 0};
  pop3_error error = pop3_sasl_encode_name(sasl, c->authzid, &name, failure);
  if (error) return error;
  pop3_span parts[] = {
      {flag, strlen(flag)},
      {type, strlen(type)},
      POP3_LITERAL(","),
      {"a=", name.size > 0 ? 2 : 0},
      pop3_wiped_span(&name),
      POP3_LITERAL(","),
      {c->binding.data, bound ? c->binding.size : 0},
  };
  pop3_scram *s = &sasl->scram;
  bool made = pop3_wiped_join(&sasl->allocator, &s->gs2, parts, COUNT(parts));
  s->header = s->gs2.size - parts[COUNT(parts) - 1].size;
  pop3_wiped_drop(&sasl->allocator, &name);
  return made ? POP3_E_OK : pop3_fail(failure, POP3_E_MEMORY, NULL);
}

pop3_error pop3_scram_use_nonce(pop3_sasl *sasl, const char *nonce,
                                pop3_failure *failure) {
  pop3_scram *s = &sasl->scram;
  size_t size = strlen(nonce);
  memmove(s->nonce, nonce, size + 1);
  pop3_span parts[] = {POP3_LITERAL("n="),
                       pop3_wiped_span(&s->user),
                       POP3_LITERAL(",r="),
                       {s->nonce, size}};
  if (pop3_wiped_join(&sasl->allocator, &s->bare, parts, COUNT(parts)))
    return POP3_E_OK;
  return pop3_fail(failure, POP3_E_MEMORY, NULL);
}

static pop3_error begin(pop3_sasl *sasl, pop3_failure *failure) {
  unsigned char octets[POP3_SASL_NONCE / 4 * 3];
  char nonce[POP3_SASL_NONCE + 1];
  pop3_error error = prepare(sasl, failure);
  if (!error) error = make_header(sasl, failure);
  if (error) return error;
  if (!pop3_random(octets, sizeof octets))
    return pop3_sasl_fail(sasl, failure, POP3_E_IO,
                          "OpenSSL has no random octets for a nonce");
  (void)pop3_base64_encode(octets, sizeof octets, nonce);
  return pop3_scram_use_nonce(sasl, nonce, failure);
}

static pop3_error say_first(pop3_sasl *sasl, pop3_span challenge,
                            pop3_failure *failure) {
  const pop3_scram *s = &sasl->scram;
  pop3_span parts[] = {{s->gs2.data, s->header}, pop3_wiped_span(&s->bare)};
  (void)challenge;
  return pop3_sasl_respond(sasl, parts, COUNT(parts), failure);
}

/* --- what the server says ------------------------------------------------- */

/* Take "NAME=value" from the front, and the comma if more follows. */
static bool take(pop3_span *rest, char name, pop3_span *value) {
  if (rest->size < 3 || rest->data[0] != name || rest->data[1] != '=')
    return false;
  const char *comma = memchr(rest->data, ',', rest->size);
  size_t size = comma ? (size_t)(comma - rest->data) : rest->size;
  size_t next = comma ? size + 1 : size;
  if (size < 3 || (comma && next == rest->size)) return false;
  value->data = rest->data + 2;
  value->size = size - 2;
  rest->data += next;
  rest->size -= next;
  return true;
}

/* Extensions that nobody has to know may follow; what has a meaning already
 * would have two, and "m=" marks one that one has to know (RFC 5802 5.1). */
static bool skip_extensions(pop3_span rest) {
  while (rest.size > 0) {
    pop3_span value;
    char name = rest.data[0];
    bool letter = (name >= 'a' && name <= 'z') || (name >= 'A' && name <= 'Z');
    if (!letter || strchr("anmrcsipve", name)) return false;
    if (!take(&rest, name, &value)) return false;
  }
  return true;
}

/* "e=REASON", in place of what was to come. */
static pop3_error take_error(pop3_sasl *sasl, pop3_span message,
                             pop3_failure *failure) {
  char shown[128];
  pop3_span rest = message, reason;
  if (!take(&rest, 'e', &reason)) return POP3_E_OK;
  pop3_error error = pop3_sasl_keep(sasl, message, failure);
  if (error) return error;
  return pop3_sasl_fail(
      sasl, failure, POP3_E_DENIED, "the server refused the login: %s",
      pop3_escape(reason.data, reason.size, shown, sizeof shown));
}

static bool is_printable(pop3_span text) {
  for (size_t i = 0; i < text.size; i++)
    if (text.data[i] < 0x21 || text.data[i] > 0x7e) return false;
  return true;
}

/* Ours, and something of the server's behind it: else it is a replay, or a
 * nonce that the server alone chose. */
static bool extends(const char *ours, pop3_span nonce) {
  size_t size = strlen(ours);
  return nonce.size > size && memcmp(nonce.data, ours, size) == 0 &&
         is_printable(nonce);
}

/* Digits, the first of which is no zero; too many are a large number. */
static bool read_count(pop3_span text, unsigned *count) {
  unsigned number = 0;
  if (text.size == 0 || text.data[0] == '0') return false;
  for (size_t i = 0; i < text.size; i++) {
    if (text.data[i] < '0' || text.data[i] > '9') return false;
    if (i < COUNT_DIGITS) number = number * 10 + (unsigned)(text.data[i] - '0');
  }
  *count = text.size > COUNT_DIGITS ? ~0u : number;
  return true;
}

static pop3_error check_count(const pop3_sasl *sasl, pop3_span text,
                              unsigned count, pop3_failure *failure) {
  int digits = text.size > 32 ? 32 : (int)text.size;
  if (count < POP3_SASL_ITERATIONS_MIN)
    return pop3_sasl_fail(
        sasl, failure, POP3_E_WEAK_ITERATIONS,
        "the server asks for %u iterations, which would make the password easy "
        "to guess; %d is the least (RFC 7677)",
        count, POP3_SASL_ITERATIONS_MIN);
  if (count > POP3_SASL_ITERATIONS_MAX)
    return pop3_sasl_fail(sasl, failure, POP3_E_ITERATIONS,
                          "the server asks for %.*s iterations; %d is the most",
                          digits, text.data, POP3_SASL_ITERATIONS_MAX);
  return POP3_E_OK;
}

static pop3_error read_offer(const pop3_sasl *sasl, pop3_span message, offer *o,
                             pop3_failure *failure) {
  pop3_span rest = message, count, extension;
  if (take(&rest, 'm', &extension))
    return malformed(sasl, failure,
                     "the server demands an extension that is not known here");
  if (!take(&rest, 'r', &o->nonce))
    return malformed(sasl, failure, "the server's message has no nonce first");
  if (!extends(sasl->scram.nonce, o->nonce))
    return malformed(sasl, failure,
                     "the server's nonce does not extend the one that was "
                     "sent: its message belongs to another login");
  if (!take(&rest, 's', &o->salt) || !take(&rest, 'i', &count) ||
      !read_count(count, &o->iterations))
    return malformed(sasl, failure,
                     "the server's message has no salt, then no number of "
                     "iterations");
  if (!skip_extensions(rest))
    return malformed(sasl, failure,
                     "what follows in the server's message is no extension");
  return check_count(sasl, count, o->iterations, failure);
}

/* --- keys and proof ------------------------------------------------------- */

static pop3_error decode_salt(pop3_sasl *sasl, pop3_span coded,
                              pop3_wiped *salt, size_t *size,
                              pop3_failure *failure) {
  if (!pop3_wiped_make(&sasl->allocator, salt, coded.size / 4 * 3))
    return pop3_fail(failure, POP3_E_MEMORY, NULL);
  if (!pop3_base64_decode(coded.data, coded.size, salt->data, size))
    return POP3_E_OK;
  return malformed(sasl, failure, "the server's salt is not base64");
}

static pop3_error derive(pop3_sasl *sasl, const offer *o,
                         pop3_failure *failure) {
  pop3_scram *s = &sasl->scram;
  pop3_wiped salt = {NULL, 0};
  size_t size = 0;
  pop3_error error = decode_salt(sasl, o->salt, &salt, &size, failure);
  if (!error) {
    error = pop3_pbkdf2_new(&sasl->allocator, sasl->mechanism->digest,
                            pop3_wiped_span(&s->password),
                            (pop3_span){salt.data, size}, o->iterations,
                            &s->derivation);
    if (error) (void)pop3_fail(failure, error, NULL);
  }
  pop3_wiped_drop(&sasl->allocator, &salt);
  pop3_wiped_drop(&sasl->allocator, &s->password);
  return error;
}

/* RFC 5802 3: the proof for the server, and what it has to answer. */
static pop3_error sign(pop3_sasl *sasl, pop3_span message,
                       unsigned char proof[POP3_HASH_MAX], size_t *size) {
  pop3_scram *s = &sasl->scram;
  const char *digest = sasl->mechanism->digest;
  struct {
    unsigned char client[POP3_HASH_MAX], stored[POP3_HASH_MAX];
    unsigned char server[POP3_HASH_MAX];
  } keys = {{0}, {0}, {0}};
  size_t n;
  const unsigned char *salted = pop3_pbkdf2_key(s->derivation, &n);
  pop3_error error =
      pop3_hmac(digest, salted, n, "Client Key", 10, keys.client, &n);
  if (!error) error = pop3_hash(digest, keys.client, n, keys.stored, &n);
  if (!error)
    error = pop3_hmac(digest, keys.stored, n, message.data, message.size, proof,
                      size);
  if (!error)
    error = pop3_hmac(digest, salted, n, "Server Key", 10, keys.server, &n);
  if (!error)
    error = pop3_hmac(digest, keys.server, n, message.data, message.size,
                      s->signature, &s->size);
  for (size_t i = 0; !error && i < n; i++) proof[i] ^= keys.client[i];
  pop3_wipe(&keys, sizeof keys);
  return error;
}

/* "c=...,r=...", which is signed and then sent with the proof behind. */
static bool make_unsigned(pop3_sasl *sasl, pop3_span nonce, pop3_wiped *out) {
  const pop3_scram *s = &sasl->scram;
  pop3_wiped coded = {NULL, 0};
  if (!pop3_wiped_make(&sasl->allocator, &coded, POP3_BASE64_SIZE(s->gs2.size)))
    return false;
  size_t size = pop3_base64_encode(s->gs2.data, s->gs2.size, coded.data);
  pop3_span parts[] = {
      POP3_LITERAL("c="), {coded.data, size}, POP3_LITERAL(",r="), nonce};
  bool made = pop3_wiped_join(&sasl->allocator, out, parts, COUNT(parts));
  pop3_wiped_drop(&sasl->allocator, &coded);
  return made;
}

static pop3_error respond(pop3_sasl *sasl, pop3_span plain, pop3_span message,
                          pop3_failure *failure) {
  unsigned char proof[POP3_HASH_MAX];
  char coded[POP3_BASE64_SIZE(POP3_HASH_MAX)];
  size_t size = 0;
  pop3_error error = sign(sasl, message, proof, &size);
  if (error) return pop3_fail(failure, error, NULL);
  pop3_span parts[] = {plain,
                       POP3_LITERAL(",p="),
                       {coded, pop3_base64_encode(proof, size, coded)}};
  return pop3_sasl_respond(sasl, parts, COUNT(parts), failure);
}

static pop3_error prove(pop3_sasl *sasl, pop3_failure *failure) {
  pop3_scram *s = &sasl->scram;
  pop3_wiped plain = {NULL, 0}, message = {NULL, 0};
  pop3_span rest = pop3_wiped_span(&s->server), nonce = {NULL, 0};
  (void)take(&rest, 'r', &nonce); /* it was there before */
  bool made = make_unsigned(sasl, nonce, &plain);
  pop3_span parts[] = {pop3_wiped_span(&s->bare), POP3_LITERAL(","),
                       pop3_wiped_span(&s->server), POP3_LITERAL(","),
                       pop3_wiped_span(&plain)};
  made =
      made && pop3_wiped_join(&sasl->allocator, &message, parts, COUNT(parts));
  pop3_error error = made ? respond(sasl, pop3_wiped_span(&plain),
                                    pop3_wiped_span(&message), failure)
                          : pop3_fail(failure, POP3_E_MEMORY, NULL);
  pop3_wiped_drop(&sasl->allocator, &plain);
  pop3_wiped_drop(&sasl->allocator, &message);
  pop3_pbkdf2_free(s->derivation);
  s->derivation = NULL;
  return error;
}

static pop3_error start(pop3_sasl *sasl, pop3_span challenge,
                        pop3_failure *failure) {
  offer o = {{NULL, 0}, {NULL, 0}, 0};
  pop3_error error = take_error(sasl, challenge, failure);
  if (!error) error = read_offer(sasl, challenge, &o, failure);
  if (!error &&
      !pop3_wiped_join(&sasl->allocator, &sasl->scram.server, &challenge, 1))
    error = pop3_fail(failure, POP3_E_MEMORY, NULL);
  return error ? error : derive(sasl, &o, failure);
}

static pop3_error work(pop3_sasl *sasl, pop3_failure *failure) {
  if (!sasl->scram.derivation) return POP3_E_OK;
  pop3_error error = pop3_pbkdf2_work(sasl->scram.derivation, SLICE);
  if (error == POP3_E_MEMORY) return pop3_fail(failure, error, NULL);
  return error;
}

/* The first time it is read, and then there is work to do. */
static pop3_error say_final(pop3_sasl *sasl, pop3_span challenge,
                            pop3_failure *failure) {
  pop3_error error;
  if (!sasl->scram.derivation) {
    error = start(sasl, challenge, failure);
    return error ? error : POP3_E_AGAIN;
  }
  error = pop3_pbkdf2_work(sasl->scram.derivation, 0);
  return error ? error : prove(sasl, failure);
}

/* --- the server's proof --------------------------------------------------- */

static pop3_error check_signature(pop3_sasl *sasl, pop3_span coded,
                                  pop3_failure *failure) {
  pop3_scram *s = &sasl->scram;
  unsigned char octets[POP3_HASH_MAX + 2]; /* whole groups of three */
  size_t size = 0;
  bool fits = coded.size / 4 * 3 <= sizeof octets;
  if (fits && pop3_base64_decode(coded.data, coded.size, octets, &size))
    return malformed(sasl, failure, "the server's signature is not base64");
  if (fits && size == s->size && pop3_equal(octets, s->signature, size)) {
    s->proven = true;
    return pop3_sasl_respond(sasl, NULL, 0, failure);
  }
  return pop3_sasl_fail(
      sasl, failure, POP3_E_UNPROVEN,
      "the server's signature is wrong: it does not know the password, so it "
      "is not the server that it claims to be");
}

static pop3_error see_signature(pop3_sasl *sasl, pop3_span challenge,
                                pop3_failure *failure) {
  pop3_span rest = challenge, coded;
  pop3_error error = take_error(sasl, challenge, failure);
  if (error) return error;
  if (!take(&rest, 'v', &coded) || !skip_extensions(rest))
    return malformed(sasl, failure,
                     "the server's last message is no signature");
  return check_signature(sasl, coded, failure);
}

static pop3_error finish(pop3_sasl *sasl, pop3_failure *failure) {
  if (sasl->scram.proven) return POP3_E_OK;
  return pop3_sasl_fail(
      sasl, failure, POP3_E_UNPROVEN,
      "the server accepted the login, but did not prove that it knows the "
      "password: it may not be the server that it claims to be");
}

void pop3_scram_end(pop3_sasl *sasl) {
  pop3_scram *s = &sasl->scram;
  pop3_wiped *blocks[] = {&s->user, &s->password, &s->gs2, &s->bare,
                          &s->server};
  for (size_t i = 0; i < COUNT(blocks); i++)
    pop3_wiped_drop(&sasl->allocator, blocks[i]);
  pop3_pbkdf2_free(s->derivation);
  pop3_wipe(s, sizeof *s);
}

const pop3_sasl_method pop3_sasl_scram = {
    .begin = begin,
    .steps = {say_first, say_final, see_signature},
    .work = work,
    .finish = finish,
    .needs_user = true,
    .takes_authzid = true,
};
