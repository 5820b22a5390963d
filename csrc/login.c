/*
 * login.c - see login.h.
 */
#include "login.h"

#include <string.h>

/* ------------------------------------------------------------ ways */

const pop3_way pop3_way_user = {"USER", POP3_SASL_REVEALS, NULL, NULL};
const pop3_way pop3_way_apop = {"APOP", POP3_SASL_WEAK, NULL, NULL};

bool pop3_way_is_sasl(const pop3_way *way) {
  return way != &pop3_way_user && way != &pop3_way_apop;
}

/* Not toupper: that depends on the locale. */
static char upper(char c) {
  return (char)(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
}

static bool is_word(pop3_span word, const char *name) {
  if (word.size != strlen(name)) return false;
  for (size_t i = 0; i < word.size; i++) {
    if (upper(word.data[i]) != upper(name[i])) return false;
  }
  return true;
}

const pop3_way *pop3_way_find(pop3_span name) {
  if (is_word(name, pop3_way_user.name)) return &pop3_way_user;
  if (is_word(name, pop3_way_apop.name)) return &pop3_way_apop;
  return pop3_sasl_find(name);
}

const pop3_way *pop3_way_nth(size_t n) {
  if (n < pop3_sasl_mechanism_count) return &pop3_sasl_mechanisms[n];
  if (n == pop3_sasl_mechanism_count) return &pop3_way_apop;
  return n == pop3_sasl_mechanism_count + 1 ? &pop3_way_user : NULL;
}

bool pop3_next_name(pop3_span *rest, pop3_span *name) {
  if (rest->size == 0) return false;
  const char *end = memchr(rest->data, '\n', rest->size);
  name->data = rest->data;
  name->size = end == NULL ? rest->size : (size_t)(end - rest->data);
  size_t size = name->size + (end != NULL);
  rest->data += size;
  rest->size -= size;
  return true;
}

/* The next of those that were asked for; NULL: no more, or none that we have. */
static const pop3_way *next_asked(pop3_span *rest) {
  pop3_span name;
  return pop3_next_name(rest, &name) ? pop3_way_find(name) : NULL;
}

/* ------------------------------------------------------------ offers */

/* Is a mechanism of that name in CAPA's SASL lines? */
static bool is_announced(const pop3_caps *caps, const char *name) {
  pop3_span line, word;
  size_t at = 0;
  while (pop3_caps_next(caps, &at, &line)) {
    pop3_next_word(&line, &word);
    if (!is_word(word, "SASL")) continue;
    while (pop3_next_word(&line, &word)) {
      if (is_word(word, name)) return true;
    }
  }
  return false;
}

/*
 * USER and PASS are older than CAPA: a server that announces neither them nor
 * SASL has them all the same, or nothing; and so has any for who asks.
 */
static bool is_offered(const pop3_login_facts *f, const pop3_way *way) {
  bool asked = f->asked.size > 0;
  if (way == &pop3_way_apop) return f->timestamp;
  if (pop3_way_is_sasl(way) && f->caps->known)
    return is_announced(f->caps, way->name);
  if (asked || !f->caps->known) return asked || way == &pop3_way_user;
  return pop3_caps_has(f->caps, "USER") || !pop3_caps_has(f->caps, "SASL");
}

static bool is_bound(const pop3_way *way) {
  return (way->flags & POP3_SASL_BOUND) != 0;
}

/* Of a -PLUS that is none of ours there is no telling who put it there; and
 * that one which was announced is unknown all the same, anybody can say. */
bool pop3_login_is_stripped(const pop3_login_facts *f) {
  if (!f->bindable || f->binding == POP3_BINDING_DISABLE) return false;
  if (f->failed != NULL && is_bound(f->failed)) return true;
  for (size_t i = 0; i < pop3_sasl_mechanism_count; i++) {
    const pop3_way *way = &pop3_sasl_mechanisms[i];
    if (is_bound(way) && is_announced(f->caps, way->name)) return false;
  }
  return true;
}

static size_t add(char *text, size_t used, size_t room, const char *more,
                  size_t size) {
  if (size > room - 1 - used) size = room - 1 - used;
  memcpy(text + used, more, size);
  text[used + size] = '\0';
  return used + size;
}

static size_t add_offer(char *text, size_t used, size_t room, pop3_span offer) {
  if (used > 0) used = add(text, used, room, ", ", 2);
  return add(text, used, room, offer.data, offer.size);
}

static size_t add_word(char *text, size_t used, size_t room, const char *word) {
  pop3_span offer = {word, strlen(word)};
  return add_offer(text, used, room, offer);
}

void pop3_login_offers(const pop3_login_facts *f, char *text, size_t room) {
  pop3_span line, word;
  size_t at = 0, used = 0;
  text[0] = '\0';
  while (pop3_caps_next(f->caps, &at, &line)) {
    pop3_span rest = line;
    pop3_next_word(&rest, &word);
    if (is_word(word, "SASL") || is_word(word, "USER"))
      used = add_offer(text, used, room, line);
  }
  if (f->timestamp) used = add_word(text, used, room, "APOP");
  if (used > 0) return;
  (void)add_word(text, 0, room,
                 f->caps->known ? "nothing by name" : "nothing: CAPA failed");
}

/* ------------------------------------------------------------ choice */

/* Why a way is none, the most telling reason last. */
typedef enum obstacle {
  CLEAR_ROAD,
  UNFIT,       /* for what the caller has: token, authzid, no secret */
  NOT_OFFERED, /* or it was, and failed */
  UNBOUND,     /* a binding is required */
  UNBINDABLE,  /* -PLUS needs one */
  INSECURE     /* it shows the secret, in clear */
} obstacle;

static const char *const with_authzid[] = {"PLAIN", "OAUTHBEARER", "EXTERNAL"};

static bool takes_authzid(const pop3_way *way) {
  for (size_t i = 0; i < sizeof with_authzid / sizeof *with_authzid; i++) {
    if (strcmp(way->name, with_authzid[i]) == 0) return true;
  }
  return (way->flags & POP3_SASL_MUTUAL) != 0; /* SCRAM */
}

/* Is it for what the caller has? NO_SECRET, and what is weak in clear, only for
 * who asks for it. */
static bool is_fit(const pop3_login_facts *f, const pop3_way *way) {
  bool asked = f->asked.size > 0;
  bool none = (way->flags & POP3_SASL_NO_SECRET) != 0;
  bool weak = (way->flags & POP3_SASL_WEAK) != 0;
  if (way == &pop3_way_apop && f->blank) return false;
  if (!none && ((way->flags & POP3_SASL_TOKEN) != 0) != f->token) return false;
  if (f->authzid && !takes_authzid(way)) return false;
  return asked || (!none && (!weak || f->secure));
}

static obstacle judge(const pop3_login_facts *f, const pop3_way *way) {
  bool bound = is_bound(way);
  if (!is_fit(f, way)) return UNFIT;
  if (way == f->failed || !is_offered(f, way)) return NOT_OFFERED;
  if (f->binding == POP3_BINDING_REQUIRE && !bound) return UNBOUND;
  if (bound && (!f->bindable || f->binding == POP3_BINDING_DISABLE))
    return UNBINDABLE;
  if ((way->flags & POP3_SASL_REVEALS) && !f->secure && !f->cleartext)
    return INSECURE;
  return CLEAR_ROAD;
}

/* Of a required binding, or of -PLUS that was asked for. */
static pop3_error refuse_binding(const pop3_login_facts *f, const char *offers,
                                 pop3_failure *failure) {
  if (f->binding != POP3_BINDING_REQUIRE)
    return pop3_fail(failure, POP3_E_UNSUPPORTED,
                     "a mechanism ...-PLUS needs TLS that this library does, "
                     "and channel_binding left on; the server offers %s",
                     offers);
  if (!f->bindable)
    return pop3_fail(failure, POP3_E_UNSUPPORTED,
                     "channel_binding = \"require\" needs TLS that this "
                     "library does: this connection has nothing to bind to");
  return pop3_fail(failure, POP3_E_UNSUPPORTED,
                   "channel_binding = \"require\", but the server offers "
                   "nothing that binds, no ...-PLUS: it offers %s",
                   offers);
}

/* Of the names that the caller gave. */
static pop3_error refuse_asked(const pop3_login_facts *f, obstacle worst,
                               const char *offers, pop3_failure *failure) {
  char names[80];
  size_t used = 0;
  pop3_span rest = f->asked, name;
  if (worst == UNFIT)
    return pop3_fail(failure, POP3_E_UNSUPPORTED,
                     "auth does not fit what was given: a token goes with "
                     "OAUTHBEARER and XOAUTH2, a password with all others; "
                     "authzid with PLAIN, SCRAM, OAUTHBEARER and EXTERNAL");
  while (pop3_next_name(&rest, &name))
    used = add_offer(names, used, sizeof names, name);
  return pop3_fail(failure, POP3_E_UNSUPPORTED,
                   "not supported by server: %s; it offers %s; leave auth "
                   "out, or name one of these",
                   names, offers);
}

/* What could have been: the text is about the worst obstacle. */
static pop3_error refuse(const pop3_login_facts *f, obstacle worst,
                         pop3_failure *failure) {
  char offers[256];
  pop3_login_offers(f, offers, sizeof offers);
  if (worst == INSECURE)
    return pop3_fail(failure, POP3_E_INSECURE,
                     "refused to send the %s without TLS: use POP3_SSL, "
                     "stls() or tls = \"starttls\"; allow_cleartext = true "
                     "sends it in clear (the server offers %s)",
                     f->token ? "token" : "password", offers);
  if (worst == UNBINDABLE || f->binding == POP3_BINDING_REQUIRE)
    return refuse_binding(f, offers, failure);
  if (f->asked.size > 0) return refuse_asked(f, worst, offers, failure);
  if (f->token)
    return pop3_fail(failure, POP3_E_UNSUPPORTED,
                     "a token needs OAUTHBEARER or XOAUTH2, but the server "
                     "offers %s",
                     offers);
  return pop3_fail(failure, POP3_E_UNSUPPORTED,
                   "no way in: the server offers %s; authenticate() does any "
                   "mechanism by a function of yours",
                   offers);
}

/*
 * Nothing may be in flight beside AUTH. Where PLAIN would be the choice, USER
 * and PASS show the server no more and no less, and what rides behind them is
 * answered in the same round trip.
 */
static const pop3_way *prefer_flight(const pop3_login_facts *f,
                                     const pop3_way *way) {
  bool same = f->flight && f->asked.size == 0 && pop3_way_is_sasl(way) &&
              (way->flags & POP3_SASL_REVEALS) && !f->token;
  if (!same || !pop3_caps_has(f->caps, "USER")) return way;
  return judge(f, &pop3_way_user) == CLEAR_ROAD ? &pop3_way_user : way;
}

pop3_error pop3_login_choose(const pop3_login_facts *f, const pop3_way **way,
                             pop3_failure *failure) {
  obstacle worst = CLEAR_ROAD;
  pop3_span rest = f->asked;
  bool asked = f->asked.size > 0;
  for (size_t n = 0;; n++) {
    const pop3_way *next = asked ? next_asked(&rest) : pop3_way_nth(n);
    if (next == NULL) return refuse(f, worst, failure);
    obstacle found = judge(f, next);
    if (found == CLEAR_ROAD) {
      *way = prefer_flight(f, next);
      return POP3_E_OK;
    }
    if (found > worst) worst = found;
  }
}

bool pop3_login_needs_caps(pop3_span asked, bool timestamp) {
  const pop3_way *way;
  bool possible = false;
  while ((way = next_asked(&asked)) != NULL) {
    if (pop3_way_is_sasl(way)) return true;
    possible = possible || way == &pop3_way_user || timestamp;
  }
  return !possible;
}

/* ------------------------------------------------------------ refusals */

static bool starts_with(pop3_span text, const char *word) {
  size_t size = strlen(word);
  if (text.size < size) return false;
  text.size = size;
  return is_word(text, word);
}

static bool contains(pop3_span text, const char *word) {
  for (; text.size > 0; text.data++, text.size--) {
    if (starts_with(text, word)) return true;
  }
  return false;
}

/* Dovecot: "Unsupported authentication mechanism."; Exchange: "Unrecognized
 * authentication type"; others in such words. */
static const char *const unsupported[] = {
    "unsupported",  "not supported", "unknown mechanism", "unknown auth",
    "unrecognized", "unrecognised",  "not implemented"};

bool pop3_login_is_unsupported(pop3_span line) {
  if (pop3_response_code(line).size > 0) return false;
  for (size_t i = 0; i < sizeof unsupported / sizeof *unsupported; i++) {
    if (contains(line, unsupported[i])) return true;
  }
  return false;
}

/* By response code: RFC 2449 8.1, RFC 3206. */
static const struct {
  const char *code;
  const char *advice;
} advices[] = {
    {"IN-USE", "another session has the mailbox: try again later"},
    {"LOGIN-DELAY", "the server wants more time between logins"},
    {"SYS/TEMP", "the server has a problem that may pass: try again later"},
    {"SYS/PERM", "the server has a problem that needs its administrator"},
};

/* What is behind a slash only adds to what is before (RFC 2449 8). */
static bool is_code(pop3_span code, const char *known) {
  size_t size = strlen(known);
  return starts_with(code, known) &&
         (code.size == size || code.data[size] == '/');
}

const char *pop3_login_advice(pop3_span line, const pop3_way *way,
                              bool stripped) {
  pop3_span code = pop3_response_code(line);
  for (size_t i = 0; i < sizeof advices / sizeof *advices; i++) {
    if (is_code(code, advices[i].code)) return advices[i].advice;
  }
  if (pop3_way_is_sasl(way) && pop3_login_is_unsupported(line))
    return "the server does not know the mechanism: name another by auth";
  if (way->flags & POP3_SASL_TOKEN)
    return "the token may have expired, or lack the scope of mail: get another";
  if (way->flags & POP3_SASL_NO_SECRET) return "the server does not know you";
  if (stripped && (way->flags & POP3_SASL_MUTUAL))
    return "check user and password; if they are right, somebody in between "
           "may have taken ...-PLUS out of what the server offers";
  if (way->flags & POP3_SASL_WEAK) /* a digest of the password itself */
    return "check user and password; if they are right, the server may keep "
           "only hashes of passwords, and no digest can be compared with "
           "those: auth = \"USER\" by TLS needs none";
  return "check user and password; some servers want one made for programs";
}
