/*
 * client.c - see client.h.
 */
#include "client.h"

#include <string.h>

#include "crypto.h"

/* A plan is the commands of an operation, in order. POP3_OTHER ends it. */
#define PLAN_STEPS 4

static const pop3_command plans[][PLAN_STEPS] = {
    [POP3_OP_OPEN] = {POP3_GREETING, POP3_OTHER},
    [POP3_OP_OPEN_STLS] = {POP3_GREETING, POP3_CAPA, POP3_STLS, POP3_OTHER},
    [POP3_OP_OPEN_EITHER] = {POP3_GREETING, POP3_CAPA, POP3_STLS, POP3_OTHER},
    [POP3_OP_COMMAND] = {POP3_OTHER}, /* the request says which */
    [POP3_OP_LINE] = {POP3_OTHER},
    [POP3_OP_CAPA] = {POP3_CAPA, POP3_OTHER},
    [POP3_OP_CAPABILITIES] = {POP3_CAPA, POP3_OTHER},
    [POP3_OP_STLS] = {POP3_CAPA, POP3_STLS, POP3_OTHER},
    [POP3_OP_APOP] = {POP3_APOP, POP3_OTHER},
    [POP3_OP_LOGIN] = {POP3_USER, POP3_PASS, POP3_OTHER},
};

void pop3_client_init(pop3_client *c, pop3_session *session,
                      const pop3_allocator *allocator) {
  memset(c, 0, sizeof *c);
  c->session = session;
  c->allocator = *allocator;
  pop3_caps_init(&c->caps, allocator);
}

void pop3_client_free(pop3_client *c) {
  pop3_client_stop(c);
  pop3_caps_clear(&c->caps);
  pop3_release(&c->allocator, c->welcome, c->welcome_size);
  c->welcome = NULL;
  c->welcome_size = 0;
}

void pop3_client_stop(pop3_client *c) {
  pop3_wipe(c->digest, sizeof c->digest);
  c->running = false;
}

/* ------------------------------------------------------------ traces */

static void show(const pop3_client *c, int level, const char *label,
                 pop3_span text, unsigned line_end) {
  if (c->tracer.level >= level)
    c->tracer.show(c->tracer.state, level, label, text, line_end);
}

static size_t append(char *out, size_t used, size_t room, pop3_span text) {
  if (text.size > room - used) text.size = room - used;
  if (text.size > 0) memcpy(out + used, text.data, text.size);
  return used + text.size;
}

static pop3_span span(const char *string) {
  pop3_span s = {string, strlen(string)};
  return s;
}

/* Secrets of a row: all arguments, but for APOP's user, which is none. */
static pop3_span visible(pop3_command command, pop3_span argument, size_t i) {
  bool secret = (pop3_command_get(command)->flags & POP3_F_SECRET) != 0;
  if (!secret || (command == POP3_APOP && i == 0)) return argument;
  return span("***");
}

static void show_sent(const pop3_client *c, pop3_span line) {
  show(c, 1, "cmd", line, 0);
  show(c, 2, "put", line, 2);
}

static void show_command(const pop3_client *c, pop3_command command,
                         const pop3_span *arguments, size_t count) {
  char line[1024];
  if (c->tracer.level < 1) return;
  size_t used =
      append(line, 0, sizeof line, span(pop3_command_get(command)->name));
  for (size_t i = 0; i < count; i++) {
    used = append(line, used, sizeof line, span(" "));
    used = append(line, used, sizeof line, visible(command, arguments[i], i));
  }
  pop3_span shown = {line, used};
  show_sent(c, shown);
}

static void show_line(const pop3_client *c, pop3_span line) {
  pop3_command command = pop3_command_find(line.data, line.size);
  if (c->tracer.level < 1) return;
  if (pop3_command_get(command)->flags & POP3_F_SECRET) {
    pop3_span hidden = span("***");
    show_command(c, command, &hidden, 1);
    return;
  }
  show_sent(c, line);
}

static void show_event(const pop3_client *c, const pop3_event *event) {
  if (event->type == POP3_EVENT_STATUS || event->type == POP3_EVENT_LINE)
    show(c, 2, "get", event->text, event->line_end);
  if (event->type == POP3_EVENT_STATUS) show(c, 2, "resp", event->text, 0);
  if (event->type == POP3_EVENT_END) show(c, 2, "get", span("."), 2);
}

/* ------------------------------------------------------------ commands */

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

static pop3_error send(pop3_client *c, pop3_command command,
                       const pop3_span *arguments, size_t count,
                       pop3_failure *failure) {
  pop3_error error = pop3_session_command(c->session, command, arguments, count,
                                          c->request.flags, NULL);
  if (error != POP3_E_OK) return explain(c, error, failure);
  show_command(c, command, arguments, count);
  return POP3_E_OK;
}

static pop3_command current(const pop3_client *c) {
  if (c->request.operation == POP3_OP_COMMAND) return c->request.command;
  return plans[c->request.operation][c->step];
}

static pop3_error send_line(pop3_client *c, pop3_failure *failure) {
  pop3_span line = c->request.arguments[0];
  pop3_error error =
      pop3_session_line(c->session, line, c->request.flags, NULL);
  if (error == POP3_E_STATE && !pop3_session_is_over(c->session))
    return pop3_fail(failure, error,
                     "STLS and AUTH change the stream itself: use stls() "
                     "and login()");
  if (error == POP3_E_ARGUMENT)
    return pop3_fail(failure, error, "a line begins with a command's name");
  if (error != POP3_E_OK) return explain(c, error, failure);
  show_line(c, line);
  return POP3_E_OK;
}

/* The arguments of the plan's current command. */
static pop3_error send_step(pop3_client *c, pop3_failure *failure) {
  const pop3_request *r = &c->request;
  pop3_command command = current(c);
  pop3_span digest[2] = {r->arguments[0], span(c->digest)};
  if (r->operation == POP3_OP_LINE) return send_line(c, failure);
  if (command == POP3_GREETING) return POP3_E_OK;
  if (r->operation == POP3_OP_COMMAND)
    return send(c, command, r->arguments, r->count, failure);
  if (command == POP3_USER) return send(c, command, r->arguments, 1, failure);
  if (command == POP3_PASS)
    return send(c, command, r->arguments + 1, 1, failure);
  if (command == POP3_APOP) return send(c, command, digest, 2, failure);
  return send(c, command, NULL, 0, failure);
}

/* ------------------------------------------------------------ APOP */

static bool printable(const char *from, const char *to) {
  for (; from < to; from++) {
    if (*from <= ' ' || *from > '~' || *from == '<') return false;
  }
  return true;
}

/*
 * "<local@domain>" of printable ASCII, or an empty span. Anything else may be
 * half of an MD5 collision chosen by whoever sits between (CVE-2007-1558).
 * One pass: a greeting of a million "<" costs no more than any (CVE-2018-1060).
 */
static pop3_span find_timestamp(const pop3_client *c) {
  pop3_span none = {NULL, 0};
  if (!c->timestamp_trusted || c->welcome_size == 0) return none;
  const char *end = c->welcome + c->welcome_size;
  const char *open = memchr(c->welcome, '<', c->welcome_size);
  if (open == NULL) return none;
  const char *close = memchr(open, '>', (size_t)(end - open));
  if (close == NULL || !printable(open + 1, close)) return none;
  const char *at = memchr(open, '@', (size_t)(close - open));
  if (at == NULL || at == open + 1 || at + 1 == close) return none;
  if (memchr(at + 1, '@', (size_t)(close - at - 1)) != NULL) return none;
  pop3_span found = {open, (size_t)(close - open) + 1};
  return found;
}

static pop3_error prepare_apop(pop3_client *c, pop3_failure *failure) {
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

/* ------------------------------------------------------------ begin */

static pop3_error check_login(const pop3_client *c, pop3_failure *failure) {
  if (pop3_session_is_secure(c->session) || c->cleartext_allowed)
    return POP3_E_OK;
  return pop3_fail(failure, POP3_E_INSECURE,
                   "refused to send the password without TLS: use POP3_SSL, "
                   "stls() or tls = \"starttls\"; allow_cleartext = true sends "
                   "it in clear");
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
      return prepare_apop(c, failure);
    case POP3_OP_LOGIN:
      return check_login(c, failure);
    default:
      return POP3_E_OK;
  }
}

pop3_error pop3_client_begin(pop3_client *c, const pop3_request *request,
                             pop3_failure *failure) {
  if (c->running) return pop3_fail(failure, POP3_E_BUSY, NULL);
  if (request->operation == POP3_OP_CAPABILITIES && c->caps.known)
    return POP3_E_OK;
  c->request = *request;
  c->step = 0;
  c->handshake = false;
  pop3_error error = check_arguments(c, failure);
  if (error == POP3_E_OK) error = prepare(c, failure);
  if (error == POP3_E_OK) error = send_step(c, failure);
  c->running = error == POP3_E_OK;
  if (error != POP3_E_OK) pop3_client_stop(c);
  return error;
}

/* ------------------------------------------------------------ replies */

static pop3_error refused(const pop3_event *event, pop3_failure *failure) {
  unsigned flags = pop3_command_get(event->command)->flags;
  pop3_error error = flags & POP3_F_LOGIN ? POP3_E_DENIED : POP3_E_REFUSED;
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

/* The plan's next command, or its end. */
static pop3_error advance(pop3_client *c, pop3_failure *failure) {
  if (c->request.operation == POP3_OP_COMMAND ||
      c->request.operation == POP3_OP_LINE ||
      plans[c->request.operation][c->step + 1] == POP3_OTHER) {
    pop3_client_stop(c);
    return POP3_E_OK;
  }
  c->step++;
  if (current(c) != POP3_STLS || pop3_caps_has(&c->caps, "STLS"))
    return send_step(c, failure);
  pop3_client_stop(c);
  if (tolerates_clear(c)) return POP3_E_OK;
  return pop3_fail(failure, POP3_E_UNSUPPORTED,
                   "-ERR STLS not supported by server");
}

/* Login may change what the server offers (RFC 2449 5): ask again then. */
static void observe_login(pop3_client *c, const pop3_event *event) {
  unsigned flags = pop3_command_get(event->command)->flags;
  if (event->ok && (flags & POP3_F_LOGIN) && event->command != POP3_USER)
    c->caps.known = false;
}

/* A refusal ends the operation, unless it may go on in clear. */
static pop3_error take_refusal(pop3_client *c, const pop3_event *event,
                               pop3_failure *failure) {
  pop3_client_stop(c);
  bool optional = event->command == POP3_CAPA || event->command == POP3_STLS;
  if (optional && tolerates_clear(c)) return POP3_E_OK;
  if (event->command == POP3_CAPA)
    return capa_failed(POP3_E_UNSUPPORTED, event, failure);
  return refused(event, failure);
}

static pop3_error take_status(pop3_client *c, const pop3_event *event,
                              pop3_failure *failure) {
  observe_login(c, event);
  if (event->command == POP3_CAPA) pop3_caps_clear(&c->caps);
  if (!event->ok) return take_refusal(c, event, failure);
  if (event->command == POP3_GREETING) {
    pop3_error error = keep_welcome(c, event, failure);
    if (error != POP3_E_OK) return error;
  }
  if (event->command == POP3_STAT) show(c, 1, "stat", event->text, 0);
  if (event->more || event->command == POP3_STLS) return POP3_E_OK;
  return advance(c, failure);
}

static pop3_error take_end(pop3_client *c, const pop3_event *event,
                           pop3_failure *failure) {
  if (event->command == POP3_CAPA) c->caps.known = true;
  return advance(c, failure);
}

static pop3_error take_line(pop3_client *c, const pop3_event *event,
                            pop3_failure *failure) {
  if (event->command != POP3_CAPA) return POP3_E_OK;
  pop3_error error = pop3_caps_add(&c->caps, event->text, event->last);
  if (error == POP3_E_OK) return error;
  pop3_session_poison(c->session, error);
  return pop3_fail(failure, error, "malformed CAPA reply");
}

static pop3_error take_event(pop3_client *c, const pop3_event *event,
                             pop3_failure *failure) {
  switch (event->type) {
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
  if (event->command == POP3_CAPA) return c->request.operation == POP3_OP_LINE;
  return event->command != POP3_GREETING && event->type != POP3_EVENT_SECURE;
}

static pop3_error session_failed(pop3_client *c, pop3_error error,
                                 const pop3_event *event,
                                 pop3_failure *failure) {
  bool asking = c->running && current(c) == POP3_CAPA;
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
      show_event(c, event);
      error = take_event(c, event, failure);
    }
    if (error != POP3_E_OK) pop3_client_stop(c);
    if (error != POP3_E_OK || event->type == POP3_EVENT_NONE) return error;
  } while (!concerns_caller(c, event) && c->running && !c->handshake);
  if (!concerns_caller(c, event)) event->type = POP3_EVENT_NONE;
  return POP3_E_OK;
}

void pop3_client_secured(pop3_client *c) {
  pop3_session_secured(c->session);
  c->handshake = false;
  if (c->welcome == NULL) return; /* implicit TLS: nothing was in clear */
  pop3_caps_clear(&c->caps);
  c->timestamp_trusted = false;
  pop3_client_stop(c); /* STLS is the last step of every plan that has it */
}

/* ------------------------------------------------------------ STAT */

/* [+-]digits; poplib uses int(), which knows the sign. */
static bool parse_number(pop3_span word, pop3_number *number) {
  size_t i = 0;
  bool negative = word.size > 0 && word.data[0] == '-';
  pop3_number n = {true, 0, 0};
  if (word.size > 0 && (word.data[0] == '-' || word.data[0] == '+')) i = 1;
  if (i == word.size) return false;
  for (; i < word.size; i++) {
    if (word.data[i] < '0' || word.data[i] > '9') return false;
    int digit = word.data[i] - '0';
    n.rough = n.rough * 10 + digit;
    n.exact = n.exact && n.whole <= (INT64_MAX - digit) / 10;
    if (n.exact) n.whole = n.whole * 10 + digit;
  }
  if (negative) n.whole = -n.whole;
  if (negative) n.rough = -n.rough;
  *number = n;
  return true;
}

static pop3_error bad_stat(pop3_failure *failure, const char *text,
                           pop3_span line) {
  pop3_fail(failure, POP3_E_MALFORMED, "%s", text);
  pop3_failure_quote(failure, line.data, line.size);
  return POP3_E_MALFORMED;
}

pop3_error pop3_parse_stat(pop3_span line, pop3_number *count,
                           pop3_number *octets, pop3_failure *failure) {
  pop3_span words[3];
  pop3_span rest = line;
  for (int i = 0; i < 3; i++) {
    if (!pop3_next_word(&rest, &words[i]))
      return bad_stat(failure, "Invalid STAT response format", line);
  }
  if (!parse_number(words[1], count) || !parse_number(words[2], octets))
    return bad_stat(failure, "Invalid STAT response data: non-numeric values",
                    line);
  return POP3_E_OK;
}
