/*
 * client_auth.c - the exchange of an AUTH command (RFC 5034 4): challenges are
 * put together and decoded, answered by sasl.h's steps or by the caller, and
 * encoded again.
 */
#include <string.h>

#include "client_internal.h"
#include "crypto.h"

/* RFC 5034 4: a longer command line sends its response behind the server's
 * empty challenge. Octets, CRLF included. */
#define LONGEST_COMMAND 255

/* A challenge as a trace shows it, octets. */
#define LONGEST_SHOWN 1024

/* ------------------------------------------------------------ life */

static void drop_answer(pop3_client *c) {
  pop3_auth *a = &c->auth;
  if (a->answer == NULL) return;
  pop3_wipe(a->answer, a->answer_room);
  pop3_release(&c->allocator, a->answer, a->answer_room);
  a->answer = NULL;
  a->answer_size = a->answer_room = 0;
}

void pop3_auth_clear(pop3_client *c) {
  pop3_auth *a = &c->auth;
  pop3_sasl_free(a->sasl);
  a->sasl = NULL;
  drop_answer(c);
  pop3_release(&c->allocator, a->decoded, a->decoded_room);
  a->decoded = NULL;
  a->decoded_size = a->decoded_room = 0;
  pop3_octets_clear(&a->challenge);
  a->delayed = a->revealed = a->answered = false;
  c->working = c->asking = false;
}

/* In base64, for the wire; "" where it is empty. MEMORY. */
static pop3_error encode(pop3_client *c, pop3_span response,
                         pop3_failure *failure) {
  pop3_auth *a = &c->auth;
  size_t room = POP3_BASE64_SIZE(response.size);
  drop_answer(c);
  a->answer = pop3_allocate(&c->allocator, room);
  if (a->answer == NULL) return pop3_fail(failure, POP3_E_MEMORY, NULL);
  a->answer_room = room;
  a->answer_size = pop3_base64_encode(response.data, response.size, a->answer);
  return POP3_E_OK;
}

/* ------------------------------------------------------------ the command */

static void set_credentials(const pop3_client *c,
                            pop3_sasl_credentials *credentials) {
  const pop3_request *r = &c->request;
  memset(credentials, 0, sizeof *credentials);
  credentials->user = r->arguments[0];
  credentials->secret = r->arguments[1];
  credentials->authzid = r->authzid;
  credentials->host.data = c->host;
  credentials->host.size = c->host == NULL ? 0 : strlen(c->host);
  credentials->port = c->port;
  credentials->binding.data = (const char *)c->binding;
  credentials->binding.size = c->binding_size;
  credentials->binding_type = c->binding_type;
  credentials->binding_offerable = c->stripped;
}

static pop3_error begin_steps(pop3_client *c, pop3_failure *failure) {
  pop3_sasl_credentials credentials;
  pop3_span none = {NULL, 0}, response;
  set_credentials(c, &credentials);
  pop3_error error = pop3_sasl_new(&c->allocator, c->way, &credentials,
                                   &c->auth.sasl, failure);
  if (error != POP3_E_OK || !(c->way->flags & POP3_SASL_FIRST)) return error;
  error = pop3_sasl_step(c->auth.sasl, none, &response, failure);
  return error == POP3_E_OK ? encode(c, response, failure) : error;
}

pop3_error pop3_auth_begin(pop3_client *c, pop3_failure *failure) {
  const pop3_request *r = &c->request;
  pop3_auth_clear(c);
  if (r->operation == POP3_OP_LOGIN) return begin_steps(c, failure);
  return r->initial.data == NULL ? POP3_E_OK : encode(c, r->initial, failure);
}

static pop3_span name_of(const pop3_client *c) {
  if (c->way == NULL) return c->request.arguments[0];
  pop3_span name = {c->way->name, strlen(c->way->name)};
  return name;
}

/*
 * Tokens come in a line of their own, however short they are: Microsoft 365
 * hangs up on "AUTH XOAUTH2 TOKEN", and a server that has no such mechanism
 * says so before it was shown one.
 */
static bool goes_along(const pop3_client *c, pop3_span name) {
  const pop3_auth *a = &c->auth;
  if (a->answer == NULL) return false;
  if (c->way != NULL && (c->way->flags & POP3_SASL_TOKEN)) return false;
  size_t size = strlen("AUTH ") + name.size + strlen(" \r\n") +
                (a->answer_size > 0 ? a->answer_size : 1);
  return size <= LONGEST_COMMAND;
}

/* It left, or will: it was shown to the server. */
static void note_revealed(pop3_client *c) {
  bool reveals = c->way == NULL || (c->way->flags & POP3_SASL_REVEALS);
  c->auth.revealed = c->auth.revealed || reveals;
}

pop3_error pop3_auth_send(pop3_client *c, pop3_failure *failure) {
  pop3_auth *a = &c->auth;
  pop3_span initial = {a->answer, a->answer_size};
  pop3_span arguments[2] = {name_of(c), initial};
  bool along = goes_along(c, arguments[0]);
  if (along && initial.size == 0) {
    arguments[1].data = "=";
    arguments[1].size = 1;
  }
  pop3_error error =
      pop3_client_send(c, POP3_AUTH, arguments, along ? 2 : 1, failure);
  if (error != POP3_E_OK) return error;
  a->delayed = a->answer != NULL && !along;
  if (!along) return POP3_E_OK;
  note_revealed(c);
  drop_answer(c); /* so short that it was copied */
  return POP3_E_OK;
}

/* ------------------------------------------------------------ answers */

static void trace_answer(pop3_client *c, bool cancel) {
  pop3_span shown = {cancel ? "*" : "***", cancel ? 1 : 3};
  pop3_trace(&c->tracer, 2, "put", shown, 2);
}

/* The session is at its end, for a reason of its own. */
static pop3_error broken(pop3_client *c, pop3_error error) {
  pop3_session_poison(c->session, error);
  return error;
}

static pop3_error send_answer(pop3_client *c, pop3_failure *failure) {
  pop3_span answer = {c->auth.answer, c->auth.answer_size};
  pop3_error error = pop3_session_answer(c->session, answer);
  if (error != POP3_E_OK) return broken(c, pop3_fail(failure, error, NULL));
  trace_answer(c, false);
  c->auth.answered = true;
  note_revealed(c);
  return POP3_E_OK;
}

static pop3_error answer(pop3_client *c, pop3_span response,
                         pop3_failure *failure) {
  pop3_error error = encode(c, response, failure);
  if (error != POP3_E_OK) return broken(c, error);
  return send_answer(c, failure);
}

static pop3_error cancel(pop3_client *c, pop3_failure *failure) {
  pop3_span star = {"*", 1};
  pop3_error error = pop3_session_answer(c->session, star);
  if (error != POP3_E_OK) return broken(c, pop3_fail(failure, error, NULL));
  trace_answer(c, true);
  return POP3_E_OK;
}

/* Who lies about the password is not spoken to any more. */
static bool is_fatal(pop3_error error) {
  return error == POP3_E_UNPROVEN || error == POP3_E_MEMORY;
}

/* Of what the server refuses its own words come yet, with a code perhaps. */
static bool is_told(pop3_error error) {
  return error == POP3_E_DENIED || is_fatal(error);
}

/* The exchange cannot go on; why is known, and stays the reason. */
static pop3_error give_up(pop3_client *c, pop3_error error,
                          pop3_failure *failure) {
  if (!is_told(error)) pop3_client_advise(c, failure);
  pop3_client_explain(c, failure);
  if (is_fatal(error)) return broken(c, error);
  pop3_failure unanswered;
  c->ending = error;
  return cancel(c, &unanswered) == POP3_E_OK ? POP3_E_OK : error;
}

static pop3_error step(pop3_client *c, pop3_failure *failure) {
  pop3_span challenge = {c->auth.decoded, c->auth.decoded_size};
  pop3_span response;
  pop3_error error =
      pop3_sasl_step(c->auth.sasl, challenge, &response, failure);
  c->working = error == POP3_E_AGAIN;
  if (c->working) return POP3_E_OK;
  if (error != POP3_E_OK) return give_up(c, error, failure);
  return answer(c, response, failure);
}

pop3_error pop3_client_work(pop3_client *c, pop3_failure *failure) {
  pop3_error error = pop3_sasl_work(c->auth.sasl, failure);
  if (error == POP3_E_AGAIN) return error;
  c->working = false;
  error = error == POP3_E_OK ? step(c, failure) : give_up(c, error, failure);
  if (error != POP3_E_OK) pop3_client_stop(c);
  return error;
}

pop3_error pop3_client_answer(pop3_client *c, const pop3_span *response,
                              const char *reason, pop3_failure *failure) {
  if (!c->running || !c->asking)
    return pop3_fail(failure, POP3_E_STATE, "no challenge waits for an answer");
  c->asking = false;
  if (response != NULL) return answer(c, *response, failure);
  c->ending = pop3_fail(failure, POP3_E_ABORTED, "%s",
                        reason != NULL ? reason
                                       : "the login was cancelled by who "
                                         "was to answer its challenge");
  pop3_failure unanswered;
  return cancel(c, &unanswered);
}

/* ------------------------------------------------------------ challenges */

static void trace_challenge(pop3_client *c) {
  const pop3_octets *all = &c->auth.challenge;
  char line[LONGEST_SHOWN] = "+ ";
  size_t size = all->size < sizeof line - 2 ? all->size : sizeof line - 2;
  if (c->tracer.level < 2) return;
  if (size > 0) memcpy(line + 2, all->data, size);
  pop3_span shown = {line, size + 2};
  pop3_trace(&c->tracer, 2, "get", shown, 2);
}

/* Strictly (RFC 4648 3): what two parties read differently is nobody's. */
static pop3_error decode(pop3_client *c, pop3_failure *failure) {
  pop3_auth *a = &c->auth;
  size_t room = a->challenge.size / 4 * 3 + 1;
  pop3_release(&c->allocator, a->decoded, a->decoded_room);
  a->decoded_room = 0;
  a->decoded = pop3_allocate(&c->allocator, room);
  if (a->decoded == NULL) return pop3_fail(failure, POP3_E_MEMORY, NULL);
  a->decoded_room = room;
  if (pop3_base64_decode(a->challenge.size > 0 ? a->challenge.data : "",
                         a->challenge.size, a->decoded,
                         &a->decoded_size) == POP3_E_OK)
    return POP3_E_OK;
  pop3_span name = name_of(c);
  return pop3_fail(failure, POP3_E_MALFORMED,
                   "%.*s: the server's challenge is not base64", (int)name.size,
                   name.data);
}

static pop3_error collect(pop3_client *c, const pop3_event *event,
                          pop3_failure *failure) {
  pop3_octets *all = &c->auth.challenge;
  if (event->first) all->size = 0;
  if (pop3_octets_add(all, event->text.data, event->text.size))
    return POP3_E_OK;
  return pop3_fail(failure, POP3_E_MEMORY, NULL);
}

/* A whole one. What the server wrote into the go-ahead for a response that is
 * made already makes no difference to it: some say "+ go ahead". */
static pop3_error take_whole(pop3_client *c, pop3_event *event,
                             pop3_failure *failure) {
  pop3_auth *a = &c->auth;
  trace_challenge(c);
  if (c->ending != POP3_E_OK) return cancel(c, failure);
  if (a->delayed) {
    a->delayed = false;
    return send_answer(c, failure);
  }
  pop3_error error = decode(c, failure);
  if (error != POP3_E_OK) return give_up(c, error, failure);
  if (a->sasl != NULL) return step(c, failure);
  c->asking = true;
  event->text.data = a->decoded;
  event->text.size = a->decoded_size;
  return POP3_E_OK;
}

pop3_error pop3_auth_take(pop3_client *c, pop3_event *event,
                          pop3_failure *failure) {
  pop3_error error = collect(c, event, failure);
  if (error != POP3_E_OK) return broken(c, error);
  return event->last ? take_whole(c, event, failure) : POP3_E_OK;
}

/* After a "*" of ours there is nothing that could have succeeded. */
pop3_error pop3_auth_finish(pop3_client *c, pop3_failure *failure) {
  if (c->ending != POP3_E_OK) return broken(c, c->ending);
  pop3_error error = c->auth.sasl == NULL
                         ? POP3_E_OK
                         : pop3_sasl_finish(c->auth.sasl, failure);
  if (error != POP3_E_OK) pop3_client_explain(c, failure);
  if (error != POP3_E_OK) return broken(c, error);
  pop3_auth_clear(c); /* what rides behind needs no secret */
  return POP3_E_OK;
}
