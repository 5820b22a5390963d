/*
 * client.c - see client.h.
 */
#include "client.h"

#include <string.h>

#include "client_internal.h"
#include "crypto.h"

void pop3_client_init(pop3_client *c, pop3_session *session,
                      const pop3_allocator *allocator) {
  memset(c, 0, sizeof *c);
  c->session = session;
  c->allocator = *allocator;
  pop3_caps_init(&c->caps, allocator);
  pop3_caps_init(&c->before, allocator);
  pop3_caps_init(&c->clear, allocator);
  pop3_octets_init(&c->auth.challenge, allocator);
}

void pop3_client_free(pop3_client *c) {
  pop3_client_stop(c);
  pop3_caps_clear(&c->caps);
  pop3_caps_clear(&c->before);
  pop3_caps_clear(&c->clear);
  pop3_release(&c->allocator, c->welcome, c->welcome_size);
  c->welcome = NULL;
  c->welcome_size = 0;
}

void pop3_client_stop(pop3_client *c) {
  pop3_wipe(c->digest, sizeof c->digest);
  pop3_auth_clear(c);
  c->running = false;
  c->ending = POP3_E_OK;
}

/* ------------------------------------------------------------ plans */

/* The commands of an operation, in order. POP3_OTHER ends a row; in the rows
 * that have none the request says which command it is. */
static const struct {
  bool in_flight; /* they may be, where PIPELINING was announced */
  pop3_command commands[4];
} plans[] = {
    [POP3_OP_OPEN] = {false, {POP3_GREETING, POP3_OTHER}},
    [POP3_OP_OPEN_STLS] = {false,
                           {POP3_GREETING, POP3_CAPA, POP3_STLS, POP3_OTHER}},
    [POP3_OP_OPEN_EITHER] = {false,
                             {POP3_GREETING, POP3_CAPA, POP3_STLS, POP3_OTHER}},
    [POP3_OP_COMMAND] = {false, {POP3_OTHER}},
    [POP3_OP_LINE] = {false, {POP3_OTHER}},
    [POP3_OP_CAPA] = {false, {POP3_CAPA, POP3_OTHER}},
    [POP3_OP_CAPABILITIES] = {false, {POP3_CAPA, POP3_OTHER}},
    [POP3_OP_STLS] = {false, {POP3_CAPA, POP3_STLS, POP3_OTHER}},
    [POP3_OP_APOP] = {false, {POP3_APOP, POP3_OTHER}},
    [POP3_OP_LOGIN] = {true, {POP3_OTHER}},
    [POP3_OP_AUTHENTICATE] = {false, {POP3_AUTH, POP3_OTHER}},
    [POP3_OP_LISTING] = {true, {POP3_LIST, POP3_UIDL, POP3_OTHER}},
    [POP3_OP_MANY] = {true, {POP3_OTHER}},
};

static void plan(pop3_client *c, pop3_command command) {
  c->plan[c->plan_size++] = command;
}

/* There may be no messages at all. */
static bool is_empty(const pop3_request *r) {
  return r->operation == POP3_OP_MANY && r->tokens.size == 0;
}

static bool login_needs_caps(const pop3_client *c) {
  return c->request.operation == POP3_OP_LOGIN &&
         pop3_login_needs_caps(c->request.auth, pop3_client_has_timestamp(c));
}

/* One command only, and nothing behind it? Then there is nothing to gain. */
static bool is_lonely(const pop3_client *c) {
  const pop3_request *r = &c->request;
  if (r->operation == POP3_OP_LOGIN)
    return r->with == 0 && !r->remembered && !login_needs_caps(c);
  if (is_empty(r)) return true;
  if (r->operation != POP3_OP_MANY || r->with != 0) return false;
  const char *end = memchr(r->tokens.data, '\n', r->tokens.size);
  return end == r->tokens.data + r->tokens.size - 1;
}

/* Capabilities decide about pipelining, or about the way in, and are not
 * known. */
static bool must_ask(const pop3_client *c) {
  bool decides = login_needs_caps(c) || c->pipelining == POP3_PIPELINING_AUTO;
  return plans[c->request.operation].in_flight && !is_lonely(c) && decides &&
         !c->caps.known && !c->capa_refused;
}

static void plan_way(pop3_client *c) {
  if (pop3_way_is_sasl(c->way)) plan(c, POP3_AUTH);
  if (c->way == &pop3_way_apop) plan(c, POP3_APOP);
  if (c->way != &pop3_way_user) return;
  plan(c, POP3_USER);
  plan(c, POP3_PASS);
}

static void plan_riders(pop3_client *c) {
  const pop3_request *r = &c->request;
  if (r->learning && c->pipelining == POP3_PIPELINING_AUTO) plan(c, POP3_CAPA);
  if (r->with & POP3_WITH_STAT) plan(c, POP3_STAT);
  if (r->with & POP3_WITH_LISTING) {
    plan(c, POP3_LIST);
    plan(c, POP3_UIDL);
  }
  if (r->with & POP3_WITH_QUIT) plan(c, POP3_QUIT);
}

/* A login whose way in is not known before CAPA's answer is here. */
static pop3_error plan_login(pop3_client *c, pop3_failure *failure) {
  pop3_error error = pop3_client_choose(c, failure);
  if (error == POP3_E_AGAIN) plan(c, POP3_CAPA);
  if (error != POP3_E_OK) return error == POP3_E_AGAIN ? POP3_E_OK : error;
  plan_way(c);
  plan_riders(c);
  c->planned = true;
  return POP3_E_OK;
}

static pop3_error make_plan(pop3_client *c, pop3_failure *failure) {
  const pop3_request *r = &c->request;
  const pop3_command *row = plans[r->operation].commands;
  c->plan_size = c->step = c->token = c->outstanding = 0;
  c->planned = r->operation != POP3_OP_LOGIN;
  if (must_ask(c)) plan(c, POP3_CAPA);
  if (!c->planned) return c->plan_size > 0 ? POP3_E_OK : plan_login(c, failure);
  if (*row == POP3_OTHER && !is_empty(r)) plan(c, r->command);
  for (; *row != POP3_OTHER; row++) plan(c, *row);
  plan_riders(c);
  return POP3_E_OK;
}

/* ------------------------------------------------------------ commands */

static pop3_span span(const char *string) {
  pop3_span s = {string, strlen(string)};
  return s;
}

static pop3_error explain(pop3_client *c, pop3_error error,
                          pop3_failure *failure) {
  if (error == POP3_E_INSECURE)
    return pop3_fail(failure, error,
                     "TLS is required: nothing but CAPA, STLS and QUIT leaves "
                     "in clear");
  if (error == POP3_E_STATE && pop3_session_is_over(c->session))
    return pop3_fail(failure, POP3_E_CLOSED, NULL);
  return pop3_fail(failure, error, NULL);
}

pop3_error pop3_client_send(pop3_client *c, pop3_command command,
                            const pop3_span *arguments, size_t count,
                            pop3_failure *failure) {
  pop3_error error = pop3_session_command(c->session, command, arguments, count,
                                          c->request.flags, NULL);
  if (error == POP3_E_AGAIN) return error;
  if (error != POP3_E_OK) return explain(c, error, failure);
  pop3_trace_command(&c->tracer, command, arguments, count);
  return POP3_E_OK;
}

static pop3_error send_line(pop3_client *c, pop3_failure *failure) {
  pop3_span line = c->request.arguments[0];
  pop3_error error =
      pop3_session_line(c->session, line, c->request.flags, NULL);
  if (error == POP3_E_AGAIN) return error;
  if (error == POP3_E_STATE && !pop3_session_is_over(c->session))
    return pop3_fail(failure, error,
                     "STLS and AUTH change the stream itself: use stls() "
                     "and login()");
  if (error == POP3_E_ARGUMENT)
    return pop3_fail(failure, error, "a line begins with a command's name");
  if (error != POP3_E_OK) return explain(c, error, failure);
  pop3_trace_line(&c->tracer, line);
  return POP3_E_OK;
}

/* The next message number of OP_MANY, and what goes with it. */
static pop3_error send_token(pop3_client *c, pop3_failure *failure) {
  const pop3_request *r = &c->request;
  const char *at = r->tokens.data + c->token;
  const char *end = memchr(at, '\n', r->tokens.size - c->token);
  pop3_span arguments[2] = {{at, (size_t)(end - at)}, r->arguments[0]};
  size_t count = r->command == POP3_TOP ? 2 : 1;
  pop3_error error = pop3_client_send(c, r->command, arguments, count, failure);
  if (error == POP3_E_OK) c->token += arguments[0].size + 1;
  return error;
}

/* The arguments of the plan's current command. */
static pop3_error send_step(pop3_client *c, pop3_failure *failure) {
  const pop3_request *r = &c->request;
  pop3_command command = c->plan[c->step];
  pop3_span digest[2] = {r->arguments[0], span(c->digest)};
  if (r->operation == POP3_OP_LINE) return send_line(c, failure);
  if (command == POP3_GREETING) return POP3_E_OK;
  if (r->operation == POP3_OP_COMMAND)
    return pop3_client_send(c, command, r->arguments, r->count, failure);
  if (r->operation == POP3_OP_MANY && command == r->command)
    return send_token(c, failure);
  if (command == POP3_AUTH) return pop3_auth_send(c, failure);
  if (command == POP3_USER)
    return pop3_client_send(c, command, r->arguments, 1, failure);
  if (command == POP3_PASS)
    return pop3_client_send(c, command, r->arguments + 1, 1, failure);
  if (command == POP3_APOP)
    return pop3_client_send(c, command, digest, 2, failure);
  return pop3_client_send(c, command, NULL, 0, failure);
}

/* ------------------------------------------------------------ windows */

/* PIPELINING does not differ before and behind a login (RFC 2449 6.6): what
 * rides behind AUTH need not ask again. */
static bool is_pipelined(const pop3_client *c) {
  bool login = c->request.operation == POP3_OP_LOGIN && c->authenticated;
  const pop3_caps *caps = login && !c->caps.known ? &c->before : &c->caps;
  if (!plans[c->request.operation].in_flight) return false;
  if (c->pipelining == POP3_PIPELINING_ALWAYS) return true;
  return c->pipelining == POP3_PIPELINING_AUTO && caps->known &&
         pop3_caps_has(caps, "PIPELINING");
}

/* The current step has nothing more to queue. */
static void finish_step(pop3_client *c) {
  bool more = c->request.operation == POP3_OP_MANY &&
              c->plan[c->step] == c->request.command &&
              c->token < c->request.tokens.size;
  if (!more) c->step++;
}

static bool is_planned(const pop3_client *c) {
  return c->step < c->plan_size && c->ending == POP3_E_OK;
}

/* What costs a round trip of its own is asked when it is needed. */
static bool is_afterthought(const pop3_client *c) {
  return c->request.learning && c->step > 0 && c->plan[c->step] == POP3_CAPA;
}

/* Nothing is in flight that it could ride with, nor will be. */
static void skip_afterthoughts(pop3_client *c) {
  bool alone = !is_pipelined(c) || c->step + 1 == c->plan_size;
  while (alone && is_planned(c) && is_afterthought(c)) c->step++;
}

static pop3_error push(pop3_client *c, pop3_failure *failure) {
  bool pipelined = is_pipelined(c);
  while (is_planned(c) && (c->outstanding == 0 || pipelined)) {
    pop3_error error = send_step(c, failure);
    if (error == POP3_E_AGAIN) return POP3_E_OK;
    if (error != POP3_E_OK) return error;
    c->outstanding++;
    finish_step(c);
  }
  return POP3_E_OK;
}

pop3_error pop3_client_push(pop3_client *c, pop3_failure *failure) {
  if (!c->running || !pop3_session_is_roomy(c->session)) return POP3_E_OK;
  pop3_error error = push(c, failure);
  if (error != POP3_E_OK) pop3_client_stop(c);
  return error;
}

void pop3_client_curtail(pop3_client *c) {
  c->step = c->plan_size;
  c->planned = true;
  if (c->outstanding == 0) pop3_client_stop(c);
}

/* ------------------------------------------------------------ begin */

static pop3_span find_timestamp(const pop3_client *c) {
  pop3_span greeting = {c->welcome, c->timestamp_trusted ? c->welcome_size : 0};
  return pop3_find_timestamp(greeting);
}

bool pop3_client_has_timestamp(const pop3_client *c) {
  return find_timestamp(c).size > 0;
}

pop3_error pop3_client_digest(pop3_client *c, pop3_failure *failure) {
  pop3_span secret = c->request.arguments[1];
  pop3_span timestamp = find_timestamp(c);
  if (timestamp.size == 0)
    return pop3_fail(failure, POP3_E_UNSUPPORTED,
                     "-ERR APOP not supported by server");
  pop3_error error = pop3_apop_digest(timestamp.data, timestamp.size,
                                      secret.data, secret.size, c->digest);
  if (error != POP3_E_OK)
    return pop3_fail(failure, error,
                     "APOP needs MD5, which this OpenSSL does not allow");
  return POP3_E_OK;
}

/* What a mechanism that we do not know shows, nobody knows. */
static pop3_error check_by_hand(const pop3_client *c, pop3_failure *failure) {
  const pop3_way *known = pop3_sasl_find(c->request.arguments[0]);
  bool harmless = known != NULL && !(known->flags & POP3_SASL_REVEALS);
  if (pop3_session_is_secure(c->session) || c->cleartext_allowed || harmless)
    return POP3_E_OK;
  return pop3_fail(failure, POP3_E_INSECURE,
                   "refused to authenticate without TLS by a mechanism that "
                   "may show the secret: use POP3_SSL, stls() or tls = "
                   "\"starttls\"; allow_cleartext = true does it in clear");
}

static pop3_error begin_by_hand(pop3_client *c, pop3_failure *failure) {
  pop3_span name = c->request.arguments[0];
  size_t size = name.size;
  if (size > sizeof c->mechanism - 1) size = sizeof c->mechanism - 1;
  memcpy(c->mechanism, name.data, size);
  c->mechanism[size] = '\0';
  pop3_error error = check_by_hand(c, failure);
  return error == POP3_E_OK ? pop3_auth_begin(c, failure) : error;
}

/* A QUIT that is not waited for could lose what it commits. */
static pop3_error check_quit(const pop3_client *c, pop3_failure *failure) {
  bool hasty = c->request.unanswered || (c->request.with & POP3_WITH_QUIT);
  if (!hasty || c->deletions == 0) return POP3_E_OK;
  return pop3_fail(failure, POP3_E_STATE,
                   "%llu messages are marked for deletion: QUIT has to be a "
                   "call of its own, whose answer counts",
                   (unsigned long long)c->deletions);
}

/* Of a plan: the first command must not leave if a later one cannot. */
static pop3_error check_arguments(const pop3_client *c, pop3_failure *failure) {
  for (size_t i = 0; i < c->request.count; i++) {
    pop3_error error = pop3_check_octets(c->request.arguments[i], false);
    if (error != POP3_E_OK) return pop3_fail(failure, error, NULL);
  }
  return POP3_E_OK;
}

/* What has to hold before the first command leaves. */
static pop3_error prepare(pop3_client *c, pop3_failure *failure) {
  switch (c->request.operation) {
    case POP3_OP_STLS:
      if (pop3_session_is_secure(c->session))
        return pop3_fail(failure, POP3_E_SECURED, NULL);
      return POP3_E_OK;
    case POP3_OP_APOP:
      return pop3_client_digest(c, failure);
    case POP3_OP_AUTHENTICATE:
      return begin_by_hand(c, failure);
    default:
      return POP3_E_OK;
  }
}

/* Nothing to do: the answer is known, or there are no messages and no QUIT. */
static bool is_idle(const pop3_client *c, const pop3_request *r) {
  if (r->operation == POP3_OP_CAPABILITIES) return c->caps.known;
  return is_empty(r) && r->with == 0;
}

pop3_error pop3_client_begin(pop3_client *c, const pop3_request *request,
                             pop3_failure *failure) {
  if (c->running) return pop3_fail(failure, POP3_E_BUSY, NULL);
  if (is_idle(c, request)) return POP3_E_OK;
  c->request = *request;
  c->handshake = false;
  c->way = c->failed = NULL;
  c->mechanism[0] = '\0';
  pop3_error error = check_arguments(c, failure);
  if (error == POP3_E_OK) error = make_plan(c, failure);
  if (error == POP3_E_OK) error = prepare(c, failure);
  if (error == POP3_E_OK) error = check_quit(c, failure);
  if (error == POP3_E_OK) error = push(c, failure);
  c->running = error == POP3_E_OK;
  if (error != POP3_E_OK) pop3_client_stop(c);
  return error;
}

/* ------------------------------------------------------------ replies */

static pop3_error refused(pop3_client *c, const pop3_event *event,
                          pop3_failure *failure) {
  unsigned flags = pop3_command_get(event->command)->flags;
  pop3_error error = flags & POP3_F_LOGIN ? POP3_E_DENIED : POP3_E_REFUSED;
  if (error == POP3_E_DENIED && c->way != NULL)
    return pop3_client_denied(c, event->text, failure);
  return pop3_fail_response(failure, error, event->text.data, event->text.size);
}

/* poplib's capa() has one text for whatever went wrong. */
static pop3_error capa_failed(pop3_error error, const pop3_event *event,
                              pop3_failure *failure) {
  pop3_fail(failure, error, "-ERR CAPA not supported by server");
  pop3_failure_quote(failure, event->text.data, event->text.size);
  return error;
}

static pop3_error keep_welcome(pop3_client *c, const pop3_event *event,
                               pop3_failure *failure) {
  pop3_span text = event->text;
  char *copy = pop3_allocate(&c->allocator, text.size);
  if (copy == NULL) return pop3_fail(failure, POP3_E_MEMORY, NULL);
  memcpy(copy, text.data, text.size);
  c->welcome = copy;
  c->welcome_size = text.size;
  c->timestamp_trusted = true;
  return POP3_E_OK;
}

static bool tolerates_clear(const pop3_client *c) {
  return c->request.operation == POP3_OP_OPEN_EITHER;
}

/* Is it the connection's own plan, and no method of poplib's? */
static bool is_opening(const pop3_client *c) {
  return c->request.operation == POP3_OP_OPEN_STLS || tolerates_clear(c);
}

/* The way in is chosen once CAPA's answer is here. */
static pop3_error complete_plan(pop3_client *c, pop3_failure *failure) {
  bool due = !c->planned && c->step == c->plan_size && c->ending == POP3_E_OK;
  pop3_error error = due ? plan_login(c, failure) : POP3_E_OK;
  if (error != POP3_E_OK) pop3_client_stop(c);
  return error;
}

/* STLS is known to be there, from an earlier connection: no need to ask. If it
 * is not any more, the refusal says so. */
static void skip_question(pop3_client *c) {
  if (is_opening(c) && is_planned(c) && c->plan[c->step] == POP3_CAPA &&
      c->caps.known && pop3_caps_has(&c->caps, "STLS"))
    c->step++;
}

/* A reply is complete: the plan's end, or on with it. */
static pop3_error advance(pop3_client *c, pop3_failure *failure) {
  if (c->outstanding > 0) c->outstanding--; /* a challenge's line is not */
  if (c->outstanding > 0) return POP3_E_OK;
  pop3_error error = complete_plan(c, failure);
  if (error != POP3_E_OK) return error;
  skip_afterthoughts(c);
  skip_question(c);
  if (!is_planned(c)) {
    pop3_error ended = c->ending;
    pop3_client_stop(c);
    /* A challenge that was cancelled; such a server is left. */
    if (ended == POP3_E_MALFORMED) pop3_session_poison(c->session, ended);
    return ended;
  }
  bool securing = c->plan[c->step] == POP3_STLS;
  if (!securing || pop3_caps_has(&c->caps, "STLS")) return push(c, failure);
  pop3_client_stop(c);
  if (tolerates_clear(c)) return POP3_E_OK;
  return pop3_fail(failure, POP3_E_UNSUPPORTED,
                   "-ERR STLS not supported by server");
}

/* What the answer says about the mailbox and about us. */
static void observe(pop3_client *c, const pop3_event *event) {
  unsigned flags = pop3_command_get(event->command)->flags;
  if (event->command == POP3_CAPA) pop3_caps_clear(&c->caps);
  if (!event->ok) return;
  if (event->command == POP3_CAPA) c->capa_refused = false;
  if (event->command == POP3_DELE) c->deletions++;
  if (event->command == POP3_RSET) c->deletions = 0;
  if (!(flags & POP3_F_LOGIN) || event->command == POP3_USER) return;
  /* Login may change what the server offers (RFC 2449 5): ask again then. */
  pop3_caps_clear(&c->before);
  c->before = c->caps;
  pop3_caps_init(&c->caps, &c->allocator);
  c->capa_refused = false;
  c->authenticated = true;
}

/* Refusals that concern one command, not the operation. */
static bool is_minor(const pop3_client *c, const pop3_event *event) {
  pop3_command command = event->command;
  switch (c->request.operation) {
    case POP3_OP_OPEN_EITHER:
      return command == POP3_CAPA || command == POP3_STLS;
    case POP3_OP_LOGIN:
      return !(pop3_command_get(command)->flags & POP3_F_LOGIN);
    case POP3_OP_LISTING:
      return command != POP3_LIST;
    case POP3_OP_MANY:
      return true;
    default:
      return false;
  }
}

/* STLS in clear that was refused is the end of a plan that tolerates it. */
static pop3_error take_minor(pop3_client *c, const pop3_event *event,
                             pop3_failure *failure) {
  if (event->command == POP3_CAPA) c->capa_refused = true;
  if (tolerates_clear(c)) c->step = c->plan_size;
  return advance(c, failure);
}

/* Another way in: what was planned behind the first one comes behind it. */
static pop3_error turn(pop3_client *c, pop3_failure *failure) {
  pop3_auth_clear(c);
  c->planned = false;
  c->step = c->plan_size = 0;
  return advance(c, failure);
}

/* A refusal ends the operation; what is in flight is read out first. */
static pop3_error take_refusal(pop3_client *c, const pop3_event *event,
                               pop3_failure *failure) {
  if (c->ending == POP3_E_DENIED && event->command == POP3_AUTH)
    pop3_client_denied(c, event->text, failure);
  if (c->ending != POP3_E_OK || is_minor(c, event))
    return take_minor(c, event, failure);
  if (event->command == POP3_AUTH && pop3_client_may_turn(c, event->text))
    return turn(c, failure);
  c->ending = event->command == POP3_CAPA
                  ? capa_failed(POP3_E_UNSUPPORTED, event, failure)
                  : refused(c, event, failure);
  return advance(c, failure);
}

static pop3_error take_status(pop3_client *c, const pop3_event *event,
                              pop3_failure *failure) {
  if (event->command == POP3_AUTH && event->ok) {
    pop3_error error = pop3_auth_finish(c, failure);
    if (error != POP3_E_OK) return error;
  }
  observe(c, event);
  if (!event->ok) return take_refusal(c, event, failure);
  if (event->command == POP3_GREETING) {
    pop3_error error = keep_welcome(c, event, failure);
    if (error != POP3_E_OK) return error;
  }
  if (event->command == POP3_STAT)
    pop3_trace(&c->tracer, 1, "stat", event->text, 0);
  if (event->more || event->command == POP3_STLS) return POP3_E_OK;
  return advance(c, failure);
}

static pop3_error take_end(pop3_client *c, const pop3_event *event,
                           pop3_failure *failure) {
  if (event->command == POP3_CAPA) c->caps.known = !c->capa_refused;
  return advance(c, failure);
}

/* Is CAPA our own idea, so that nothing about it concerns the caller? */
static bool asks_for_itself(const pop3_client *c) {
  return plans[c->request.operation].in_flight;
}

static pop3_error take_line(pop3_client *c, const pop3_event *event,
                            pop3_failure *failure) {
  if (event->command != POP3_CAPA || c->capa_refused) return POP3_E_OK;
  pop3_error error = pop3_caps_add(&c->caps, event->text, event->last);
  if (error == POP3_E_OK) return error;
  if (error == POP3_E_MALFORMED && asks_for_itself(c)) {
    pop3_caps_clear(&c->caps);
    c->capa_refused = true; /* as good as no answer */
    return POP3_E_OK;
  }
  pop3_session_poison(c->session, error);
  return pop3_fail(failure, error, "malformed CAPA reply");
}

static pop3_error take_event(pop3_client *c, pop3_event *event,
                             pop3_failure *failure) {
  switch (event->type) {
    case POP3_EVENT_CHALLENGE:
      return pop3_auth_take(c, event, failure);
    case POP3_EVENT_STATUS:
      return take_status(c, event, failure);
    case POP3_EVENT_LINE:
      return take_line(c, event, failure);
    case POP3_EVENT_END:
      return take_end(c, event, failure);
    case POP3_EVENT_SECURE:
      c->handshake = true;
      return POP3_E_OK;
    default:
      return POP3_E_OK;
  }
}

/* Events of commands that an operation needs on its way concern nobody else;
 * CAPA by hand is a listing like any other. */
static bool concerns_caller(const pop3_client *c, const pop3_event *event) {
  if (c->ending != POP3_E_OK) return false;
  if (event->type == POP3_EVENT_CHALLENGE) return c->asking;
  if (event->command == POP3_CAPA) return c->request.operation == POP3_OP_LINE;
  if (event->command == POP3_AUTH && !event->ok) return false; /* turned */
  return event->command != POP3_GREETING && event->type != POP3_EVENT_SECURE;
}

static pop3_error session_failed(pop3_client *c, pop3_error error,
                                 const pop3_event *event,
                                 pop3_failure *failure) {
  bool asking = c->running && !asks_for_itself(c) && !is_opening(c) &&
                pop3_session_awaited(c->session) == POP3_CAPA &&
                c->request.operation != POP3_OP_LINE;
  if (c->ending != POP3_E_OK) return c->ending; /* it said why */
  if (asking && pop3_error_is_protocol(error) && error != POP3_E_INJECTION)
    return capa_failed(error, event, failure);
  if (error == POP3_E_GOODBYE)
    return pop3_fail_response(failure, error, event->text.data,
                              event->text.size);
  return pop3_fail(failure, error, NULL);
}

pop3_error pop3_client_next(pop3_client *c, const char **octets, size_t *size,
                            pop3_event *event, pop3_failure *failure) {
  do {
    pop3_error error = pop3_session_feed(c->session, octets, size, event);
    if (error != POP3_E_OK) {
      error = session_failed(c, error, event, failure);
    } else if (event->type != POP3_EVENT_NONE) {
      pop3_trace_event(&c->tracer, event);
      error = take_event(c, event, failure);
    }
    if (error != POP3_E_OK) pop3_client_stop(c);
    if (error != POP3_E_OK || event->type == POP3_EVENT_NONE) return error;
  } while (!concerns_caller(c, event) && c->running && !c->handshake &&
           !c->working);
  if (!concerns_caller(c, event)) event->type = POP3_EVENT_NONE;
  return POP3_E_OK;
}

void pop3_client_secured(pop3_client *c) {
  pop3_session_secured(c->session);
  c->handshake = false;
  if (c->welcome == NULL) return; /* implicit TLS: nothing was in clear */
  pop3_caps_clear(&c->clear);
  c->clear = c->caps;
  pop3_caps_init(&c->caps, &c->allocator);
  pop3_caps_clear(&c->before);
  c->timestamp_trusted = false;
  pop3_client_stop(c); /* STLS is the last step of every plan that has it */
}
