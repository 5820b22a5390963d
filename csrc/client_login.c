/*
 * client_login.c - which way a login takes, what is tried after a mechanism
 * that the server does not have, and what is said when there is no login.
 */
#include <string.h>

#include "client_internal.h"
#include "escape.h"

/* As much of the server's words as a sentence holds, octets. */
#define LONGEST_QUOTED 512

/* May commands be in flight? */
static bool is_flown(const pop3_client *c) {
  if (c->pipelining != POP3_PIPELINING_AUTO)
    return c->pipelining == POP3_PIPELINING_ALWAYS;
  return pop3_caps_has(&c->caps, "PIPELINING");
}

static void gather(const pop3_client *c, pop3_login_facts *f) {
  const pop3_request *r = &c->request;
  memset(f, 0, sizeof *f);
  f->caps = c->caps.known || !c->authenticated ? &c->caps : &c->before;
  f->asked = r->auth;
  f->secure = pop3_session_is_secure(c->session);
  f->cleartext = c->cleartext_allowed;
  f->timestamp = pop3_client_has_timestamp(c);
  f->bindable = c->binding_size > 0;
  f->token = r->token;
  f->authzid = r->authzid.size > 0;
  f->blank = r->arguments[0].size > 0 &&
             memchr(r->arguments[0].data, ' ', r->arguments[0].size) != NULL;
  f->flight = r->with != 0 && is_flown(c);
  f->binding = r->binding;
  f->failed = c->failed;
}

static void name_way(pop3_client *c, const char *name) {
  size_t size = strlen(name);
  if (size > sizeof c->mechanism - 1) size = sizeof c->mechanism - 1;
  memcpy(c->mechanism, name, size);
  c->mechanism[size] = '\0';
}

/*
 * To say that the server offers no -PLUS, or not the one that it refused, on the
 * strength of what it said long ago: a server that has got one since would have
 * to refuse a login that is right.
 */
static bool is_hearsay(const pop3_client *c, const pop3_login_facts *f) {
  unsigned flags = c->way->flags;
  return c->stripped && f->caps->recalled && (flags & POP3_SASL_MUTUAL) &&
         !(flags & POP3_SASL_BOUND);
}

pop3_error pop3_client_choose(pop3_client *c, pop3_failure *failure) {
  pop3_login_facts facts;
  gather(c, &facts);
  pop3_error error = pop3_login_choose(&facts, &c->way, failure);
  if (error != POP3_E_OK) return error;
  name_way(c, c->way->name);
  c->stripped = pop3_login_is_stripped(&facts);
  if (is_hearsay(c, &facts)) return POP3_E_AGAIN;
  if (c->way == &pop3_way_apop) return pop3_client_digest(c, failure);
  return pop3_way_is_sasl(c->way) ? pop3_auth_begin(c, failure) : POP3_E_OK;
}

bool pop3_client_may_turn(pop3_client *c, pop3_span line) {
  pop3_login_facts facts;
  const pop3_way *other;
  pop3_failure ignored;
  if (c->failed != NULL || c->way == NULL || !pop3_way_is_sasl(c->way) ||
      c->auth.revealed || c->auth.answered || !pop3_login_is_unsupported(line))
    return false;
  gather(c, &facts);
  facts.failed = c->way;
  if (pop3_login_choose(&facts, &other, &ignored) != POP3_E_OK) return false;
  c->failed = c->way;
  return true;
}

static void list_offers(const pop3_client *c, char *text, size_t room) {
  pop3_login_facts facts;
  gather(c, &facts);
  pop3_login_offers(&facts, text, room);
}

void pop3_client_explain(const pop3_client *c, pop3_failure *failure) {
  if (c->auth.sasl == NULL) return;
  pop3_span detail = pop3_sasl_detail(c->auth.sasl);
  pop3_failure_explain(failure, detail.data, detail.size);
}

void pop3_client_advise(const pop3_client *c, pop3_failure *failure) {
  char offers[256];
  if (c->way == NULL) return; /* by hand: it was named already */
  list_offers(c, offers, sizeof offers);
  pop3_fail(failure, failure->error,
            "%.*s (the server offers %s: name another by auth, or tell its "
            "administrator)",
            LONGEST_QUOTED, failure->text, offers);
}

pop3_error pop3_client_denied(pop3_client *c, pop3_span line,
                              pop3_failure *failure) {
  char offers[256], quoted[LONGEST_QUOTED + 1];
  list_offers(c, offers, sizeof offers);
  bool before = c->ending == POP3_E_DENIED;
  const char *words =
      before ? failure->text
             : pop3_escape(line.data, line.size, quoted, sizeof quoted);
  pop3_fail(failure, POP3_E_DENIED, "%.*s (login by %s, offered: %s; %s)",
            LONGEST_QUOTED, words, c->way->name, offers,
            pop3_login_advice(line, c->way, c->stripped));
  pop3_failure_quote(failure, line.data, line.size);
  pop3_client_explain(c, failure);
  return POP3_E_DENIED;
}
