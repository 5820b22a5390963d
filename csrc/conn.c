/*
 * conn.c - see conn.h.
 */
#define _GNU_SOURCE
#include "conn.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "carrier.h"
#include "conn_internal.h"
#include "platform.h"
#include "socket.h"

/* ------------------------------------------------------------ life */

void pop3_conn_options_init(pop3_conn_options *options) {
  memset(options, 0, sizeof *options);
  options->timeout = 60;
  options->connect_timeout = 30;
  pop3_config_init(&options->engine);
}

size_t pop3_conn_size(const pop3_conn_options *options) {
  return sizeof(pop3_conn) + pop3_session_size(&options->engine);
}

pop3_conn *pop3_conn_init(void *memory, const pop3_conn_options *options,
                          const pop3_allocator *allocator) {
  pop3_conn *c = memory;
  memset(c, 0, sizeof *c);
  c->allocator = *allocator;
  c->options = *options;
  c->options.engine.require_tls = options->tls == POP3_TLS_STARTTLS;
  if (options->carried) pop3_carrier_limit(&c->options.engine);
  pop3_stream_init(&c->stream, allocator, options->buffers);
  pop3_client_init(
      &c->client, pop3_session_init(c->session, &c->options.engine), allocator);
  c->client.pipelining = options->pipelining;
  return c;
}

/* Everything but what the caller may still ask for: greeting, failure. */
static void shut(pop3_conn *c) {
  c->phase = PHASE_CLOSED;
  c->establishing = false;
  c->deaf = 0;
  pop3_client_stop(&c->client);
  pop3_session_poison(c->client.session, POP3_E_CLOSED);
  pop3_stream_close(&c->stream);
  pop3_tls_context_release(c->context);
  c->context = NULL;
  pop3_tls_context_release(c->proxy_context);
  c->proxy_context = NULL;
  pop3_race_end(&c->race);
  pop3_service_end(c);
  pop3_lookup_release(c->lookup);
  c->lookup = NULL;
  pop3_dns_lookup_release(c->records);
  c->records = NULL;
}

static void drop_text(pop3_conn *c, char **text) {
  if (*text != NULL) pop3_release(&c->allocator, *text, strlen(*text) + 1);
  *text = NULL;
}

void pop3_conn_close(pop3_conn *c) {
  shut(c);
  c->broken = false;
  pop3_client_free(&c->client);
  drop_text(c, &c->elsewhere);
  drop_text(c, &c->domain);
  c->scheme = NULL;
  /* A command that never left may hold a secret. */
  pop3_session_wipe(c->client.session);
  pop3_session_init(c->session, &c->options.engine);
  pop3_session_poison(c->client.session, POP3_E_CLOSED);
  pop3_fail(&c->failure, POP3_E_CLOSED, NULL); /* for a call that is running */
}

bool pop3_conn_is_closed(const pop3_conn *c) {
  return c->phase == PHASE_CLOSED;
}

pop3_client *pop3_conn_client(pop3_conn *c) { return &c->client; }

const pop3_event *pop3_conn_event(const pop3_conn *c) { return &c->event; }

const pop3_failure *pop3_conn_failure(const pop3_conn *c) {
  return &c->failure;
}

pop3_error pop3_conn_keep(pop3_conn *c, const pop3_span *lead,
                          const pop3_span *text) {
  pop3_span moved = *text;
  if (lead->size > 0 &&
      pop3_stream_insert(&c->stream, *lead, &moved) != POP3_E_OK)
    return POP3_E_MEMORY;
  return pop3_stream_keep(&c->stream, moved);
}

pop3_span pop3_conn_kept(const pop3_conn *c) {
  return pop3_stream_kept(&c->stream);
}

char *pop3_conn_detach(pop3_conn *c) { return pop3_stream_detach(&c->stream); }

void pop3_conn_drop(pop3_conn *c) { pop3_stream_drop(&c->stream); }

void pop3_conn_use_context(pop3_conn *c, pop3_tls_context *context) {
  pop3_tls_context_release(c->context);
  c->context = pop3_tls_context_retain(context);
}

void pop3_conn_use_session(pop3_conn *c, const char *octets, size_t size) {
  c->resumable.data = octets;
  c->resumable.size = size;
}

pop3_error pop3_conn_export_session(const pop3_conn *c, char *octets,
                                    size_t room, size_t *size) {
  if (c->stream.tls == NULL) return POP3_E_AGAIN;
  return pop3_tls_session_export(c->stream.tls, octets, room, size);
}

const char *pop3_conn_target(const pop3_conn *c, unsigned *port) {
  *port = c->port;
  return c->host;
}

bool pop3_conn_is_secure(const pop3_conn *c) {
  return c->phase == PHASE_OPEN && pop3_session_is_secure(c->client.session);
}

const pop3_tls *pop3_conn_tls(const pop3_conn *c) {
  return pop3_conn_is_secure(c) ? c->stream.tls : NULL;
}

void pop3_conn_describe_way(const pop3_conn *c, pop3_conn_info *info) {
  memset(info, 0, sizeof *info);
  info->host = c->host;
  info->port = c->port;
  info->domain = c->domain;
  info->path = pop3_conn_path(c);
  info->scheme = c->scheme;
  info->proxy_host = c->scheme != NULL ? c->elsewhere : NULL;
  info->proxy_port = c->proxy_port;
}

void pop3_conn_describe(const pop3_conn *c, pop3_conn_info *info) {
  pop3_conn_describe_way(c, info);
  info->fd = c->stream.fd;
  info->attempts = c->race.tried;
  pop3_socket_peer(c->stream.fd, info->address, sizeof info->address);
  info->secure = pop3_conn_is_secure(c);
  if (info->secure && c->stream.tls != NULL)
    pop3_tls_describe(c->stream.tls, &info->tls);
}

/* ------------------------------------------------------------ failing */

static void forget_failure(pop3_conn *c) {
  memset(&c->failure, 0, sizeof c->failure);
}

/* There is no connection yet; STLS by hand has one that its refusal leaves. */
static bool is_opening(const pop3_conn *c) {
  return c->establishing && c->client.request.operation != POP3_OP_STLS;
}

/* QUIT commits deletions, and nobody said that it did. (Somebody did in a line
 * that is too long, for which poplib has a text.) */
static void admit_doubt(pop3_conn *c) {
  unsigned long long marked = (unsigned long long)c->client.deletions;
  const pop3_session *session = c->client.session;
  if (!pop3_session_is_leaving(session) || pop3_session_is_over(session) ||
      marked == 0 || c->failure.error == POP3_E_LINE)
    return;
  pop3_failure before = c->failure;
  pop3_fail(&c->failure, before.error,
            "%s: QUIT was not answered, so the messages marked for deletion "
            "(%llu) may or may not have been deleted",
            before.text, marked);
  c->failure.system = before.system;
}

/* Whose fault is it, while only the proxy is known? */
static void blame_proxy(pop3_conn *c) {
  pop3_failure before = c->failure;
  const char *form = strchr(c->elsewhere, ':') != NULL ? "proxy [%s]:%u: %s"
                                                       : "proxy %s:%u: %s";
  pop3_fail(&c->failure, before.error, form, c->elsewhere, c->proxy_port,
            before.text);
  c->failure.system = before.system;
}

/* By which mechanism? */
static void name_mechanism(pop3_conn *c) {
  memcpy(c->failure.mechanism, c->client.mechanism,
         sizeof c->failure.mechanism);
}

/* The failure is recorded; the session cannot go on unless it is whole. */
pop3_step pop3_conn_failed(pop3_conn *c) {
  if (c->stream.proxy != NULL) blame_proxy(c);
  pop3_service_count(c);
  bool whole = c->phase == PHASE_OPEN && !is_opening(c) &&
               pop3_session_error(c->client.session) == POP3_E_OK;
  pop3_client_stop(&c->client);
  c->establishing = false;
  name_mechanism(c);
  if (!whole) admit_doubt(c);
  if (whole && pop3_session_is_over(c->client.session)) {
    shut(c); /* QUIT was refused: over all the same */
  } else if (!whole) {
    c->broken = true;
    shut(c);
  }
  return POP3_STEP_FAILED;
}

/* Was the operation refused, so that only its last replies are awaited? */
static bool is_refused(const pop3_conn *c) {
  return c->client.ending != POP3_E_OK;
}

pop3_step pop3_conn_fail(pop3_conn *c, pop3_error error) {
  if (!is_refused(c)) pop3_fail(&c->failure, error, NULL);
  pop3_session_poison(c->client.session, error);
  return pop3_conn_failed(c);
}

void pop3_conn_abort(pop3_conn *c, const pop3_failure *failure) {
  c->failure = *failure;
  pop3_session_poison(c->client.session, failure->error);
  (void)pop3_conn_failed(c);
}

typedef struct advice {
  int system;
  const char *text;
} advice;

static const advice advices[] = {
    {ECONNREFUSED, "nothing listens there: check host and port"},
    {EHOSTUNREACH, "check the network or the address"},
    {ENETUNREACH, "check the network or the address"},
    {ETIMEDOUT, "a firewall may swallow the packets: check host and port"},
    {ECONNRESET, "the server, or something between, broke the connection"},
    {EPIPE, "the server, or something between, broke the connection"},
    {EMFILE, "too many open files: raise the limit or close some"},
    {ENOENT, "there is no such socket: check unix_socket"},
    {EADDRNOTAVAIL, "local_address is not one of this host's"},
    {EAGAIN, "it takes no more connections now: try again later"},
};

static const char *advise(const pop3_conn *c, int system) {
  if (system == ECONNREFUSED && pop3_conn_path(c) != NULL)
    return "nothing listens there: check unix_socket";
  for (size_t i = 0; i < sizeof advices / sizeof *advices; i++) {
    if (advices[i].system == system) return advices[i].text;
  }
  return NULL;
}

const char *pop3_conn_place(const pop3_conn *c, char place[POP3_CONN_PLACE]) {
  if (c->stream.proxy != NULL) return "";
  const char *path = pop3_conn_path(c);
  if (path != NULL) (void)snprintf(place, POP3_CONN_PLACE, "%s: ", path);
  else (void)snprintf(place, POP3_CONN_PLACE, "%s:%u: ", c->host, c->port);
  return place;
}

/* How many addresses failed, where one reason is told for all of them. */
static const char *count_failed(const pop3_conn *c, char *text, size_t room) {
  if (c->phase != PHASE_CONNECTING || c->race.failed < 2) return "";
  (void)snprintf(text, room, " (the first of %u addresses; none answered)",
                 c->race.failed);
  return text;
}

pop3_step pop3_conn_fail_system(pop3_conn *c, int system) {
  char place[POP3_CONN_PLACE], count[64];
  bool told = system == POP3_CARRIER_ERRNO;
  const char *todo = advise(c, system);
  pop3_fail(&c->failure, POP3_E_IO, "%s%s%s%s%s", pop3_conn_place(c, place),
            told ? c->reason : pop3_os_text(system),
            count_failed(c, count, sizeof count), todo != NULL ? "; " : "",
            todo != NULL ? todo : "");
  c->failure.system = told ? 0 : system;
  pop3_session_poison(c->client.session, POP3_E_IO);
  return pop3_conn_failed(c);
}

/* ------------------------------------------------------------ deadlines */

static void sooner(double *deadline, pop3_error *which, double seconds,
                   double from, pop3_error error) {
  if (seconds <= 0 || from + seconds >= *deadline) return;
  *deadline = from + seconds;
  *which = error;
}

/* The deadline that ends the operation, and the error that it is then. */
double pop3_conn_limit(const pop3_conn *c, pop3_error *which) {
  const pop3_conn_options *o = &c->options;
  bool connecting = c->phase < PHASE_HANDSHAKE;
  double deadline = INFINITY;
  sooner(&deadline, which, o->total_timeout, c->started, POP3_E_TOTAL);
  if (c->establishing)
    sooner(&deadline, which, o->connect_timeout, c->started, POP3_E_CONNECT);
  sooner(&deadline, which, o->timeout, c->stream.active,
         connecting ? POP3_E_CONNECT : POP3_E_IDLE);
  return deadline;
}

void pop3_conn_set_timeout(pop3_conn *c, double seconds) {
  c->options.timeout = seconds;
}

double pop3_conn_last_moment(const pop3_conn *c) {
  double seconds = c->options.total_timeout;
  return seconds > 0 ? c->started + seconds : INFINITY;
}

double pop3_conn_deadline(const pop3_conn *c) {
  pop3_error which;
  if (c->looking) return c->now;
  double deadline = pop3_conn_limit(c, &which);
  if (c->phase == PHASE_CONNECTING)
    deadline = pop3_sooner(deadline, pop3_race_due(&c->race));
  return pop3_sooner(deadline, pop3_service_due(c));
}

void pop3_conn_start_clock(pop3_conn *c, double now, bool establishing) {
  c->now = c->started = c->stream.now = c->stream.active = now;
  c->establishing = establishing;
}

/* ------------------------------------------------------------ waiting */

size_t pop3_conn_interests(const pop3_conn *c,
                           const pop3_interest **interests) {
  *interests = c->interests;
  return c->interest_count;
}

pop3_step pop3_conn_wait_for(pop3_conn *c, int fd, bool readable,
                             bool writable) {
  pop3_interest *i = &c->interests[c->interest_count++];
  i->fd = fd;
  i->readable = readable;
  i->writable = writable;
  return POP3_STEP_WAIT;
}

pop3_step pop3_conn_unclog(pop3_conn *c) {
  return c->deaf != 0 ? pop3_conn_fail_system(c, c->deaf)
                      : pop3_conn_wait_for(c, c->stream.fd, false, true);
}

double pop3_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* A signal just before poll does not end it: time to look, milliseconds. */
#define LONGEST_POLL 1000

/* Rounded up, so that the deadline is over when poll says so. */
static int milliseconds_until(double deadline) {
  double left = (deadline - pop3_now()) * 1000;
  if (left <= 0) return 0;
  return left >= LONGEST_POLL ? LONGEST_POLL : (int)left + 1;
}

bool pop3_wait(const pop3_interest *interests, size_t count, double deadline) {
  struct pollfd fds[POP3_INTERESTS];
  for (size_t i = 0; i < count; i++) {
    fds[i].fd = (pop3_os_fd)interests[i].fd;
    fds[i].events = (short)((interests[i].readable ? POLLIN : 0) |
                            (interests[i].writable ? POLLOUT : 0));
    fds[i].revents = 0;
  }
  return pop3_os_poll(fds, count, milliseconds_until(deadline)) > 0;
}

bool pop3_conn_wait(const pop3_conn *c) {
  return pop3_wait(c->interests, c->interest_count, pop3_conn_deadline(c));
}

/* ------------------------------------------------------------ the end */

/* The stream ended, or failed while reading. After QUIT's reply nobody reads
 * any more, so it is always too early. */
pop3_step pop3_conn_end_of_stream(pop3_conn *c, pop3_error error, int system) {
  if (error == POP3_E_IO) return pop3_conn_fail_system(c, system);
  pop3_session_poison(c->client.session, error);
  if (error != POP3_E_EOF) return pop3_conn_failed(c); /* TLS said why */
  const char *none = NULL;
  size_t nothing = 0;
  pop3_client_next(&c->client, &none, &nothing, &c->event, &c->failure);
  return pop3_conn_failed(c);
}

/* ------------------------------------------------------------ running */

static pop3_step complete(pop3_conn *c) {
  c->establishing = false;
  pop3_stream_rest(&c->stream);
  if (pop3_session_is_over(c->client.session)) shut(c);
  return POP3_STEP_DONE;
}

/* Which option raises the limit that was passed? poplib's "line too long"
 * stays as it is. */
static pop3_error name_limit(pop3_conn *c, pop3_error error) {
  const pop3_config *e = &c->options.engine;
  const struct {
    pop3_error error;
    const char *option;
    uint64_t value;
  } limits[] = {
      {POP3_E_ITEM, "max_item", e->max_item},
      {POP3_E_ITEMS, "max_items", e->max_items},
      {POP3_E_OCTETS, "max_octets", e->max_octets},
      {POP3_E_CAPABILITIES, "max_capabilities", e->max_capabilities},
      {POP3_E_CHALLENGE, "max_challenge", e->max_challenge},
      {POP3_E_ROUNDS, "max_rounds", e->max_rounds},
  };
  for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
    if (limits[i].error == error)
      return pop3_fail(&c->failure, error, "%s: the limit is %s = %llu",
                       pop3_error_text(error), limits[i].option,
                       (unsigned long long)limits[i].value);
  }
  return error;
}

/* Consume what is there: an event, or AGAIN for more. */
static pop3_step digest(pop3_conn *c) {
  pop3_span unread = pop3_stream_unread(&c->stream);
  size_t size = unread.size;
  pop3_error error =
      pop3_client_next(&c->client, &unread.data, &size, &c->event, &c->failure);
  pop3_stream_consume(&c->stream, unread.size - size);
  if (name_limit(c, error) != POP3_E_OK) return pop3_conn_failed(c);
  if (c->event.type != POP3_EVENT_NONE) return POP3_STEP_EVENT;
  return c->client.running ? POP3_STEP_AGAIN : complete(c);
}

/* The caller does not want to know how the last command was answered. */
static bool is_left(const pop3_conn *c) {
  return c->client.request.unanswered &&
         pop3_session_pending(c->client.session) == 0;
}

/* A peer that takes nothing more has perhaps said why, or answered before. */
static pop3_error transmit(pop3_conn *c) {
  if (c->deaf != 0) return POP3_E_OK;
  int system = 0;
  pop3_error error =
      pop3_stream_flush(&c->stream, c->client.session, &system, &c->failure);
  if (error != POP3_E_IO) return error;
  c->deaf = system;
  return POP3_E_OK;
}

/* All was read: what kind of an end is it? EPIPE says no more than EOF. */
static pop3_step end_of_reading(pop3_conn *c, pop3_error error, int system) {
  bool told = error == POP3_E_EOF && (c->deaf == 0 || c->deaf == EPIPE);
  if (c->deaf == 0 || told) return pop3_conn_end_of_stream(c, error, system);
  return pop3_conn_fail_system(c, c->deaf);
}

/* What a host found unasked, before anything is sent that it might answer: TLS
 * takes commands early. AGAIN: nothing, or no whole record. */
static pop3_error take_found(pop3_conn *c, int *system) {
  if (c->stream.incoming.size == 0 || c->stream.budget == 0)
    return POP3_E_AGAIN;
  return pop3_stream_receive(&c->stream, system, &c->failure);
}

/* Send what may be sent. AGAIN: go on; is the stream full? */
static pop3_step send_on(pop3_conn *c, bool *full) {
  if (pop3_client_push(&c->client, &c->failure) != POP3_E_OK)
    return pop3_conn_failed(c);
  pop3_error writing = transmit(c);
  if (writing != POP3_E_OK && writing != POP3_E_AGAIN)
    return pop3_conn_end_of_stream(c, writing, 0);
  *full = writing == POP3_E_AGAIN;
  if (*full || c->deaf != 0 || !is_left(c)) return POP3_STEP_AGAIN;
  shut(c);
  return POP3_STEP_DONE;
}

/* Receive what is there. AGAIN: the budget is spent. */
static pop3_step receive_on(pop3_conn *c, bool full) {
  int system = 0;
  if (c->stream.budget == 0) return POP3_STEP_AGAIN;
  if (pop3_stream_is_clogged(&c->stream)) return pop3_conn_unclog(c);
  pop3_error reading = pop3_stream_receive(&c->stream, &system, &c->failure);
  if (reading == POP3_E_OK) return POP3_STEP_ON;
  if (reading == POP3_E_AGAIN && c->deaf == 0)
    return pop3_conn_wait_for(c, c->stream.fd, true, full);
  return end_of_reading(c, reading, system);
}

/* What was found first, then send, then receive. */
static pop3_step exchange(pop3_conn *c) {
  int system = 0;
  bool full = false;
  if (c->looking && c->stream.incoming.size == 0)
    return pop3_conn_wait_for(c, c->stream.fd, true, false);
  pop3_error found = take_found(c, &system);
  if (found == POP3_E_OK) return POP3_STEP_ON;
  if (found != POP3_E_AGAIN) return end_of_reading(c, found, system);
  pop3_step step = send_on(c, &full);
  return step == POP3_STEP_AGAIN ? receive_on(c, full) : step;
}

/* That the last replies do not come ends the connection; what the caller hears
 * is why he was refused. */
static pop3_step read_out(pop3_conn *c) {
  pop3_failure refusal = c->failure;
  pop3_step step = exchange(c);
  if (step != POP3_STEP_FAILED) return step;
  c->failure = refusal;
  name_mechanism(c);
  return step;
}

/* A slice of key derivation; between two of them others may have their turn. */
static pop3_step work(pop3_conn *c) {
  pop3_error error = pop3_client_work(&c->client, &c->failure);
  if (error == POP3_E_AGAIN) return POP3_STEP_AGAIN;
  return error == POP3_E_OK ? POP3_STEP_ON : pop3_conn_failed(c);
}

/* What is here is looked at before anything is sent: replies make room in the
 * window, and one write takes all commands that there is room for. */
static pop3_step run(pop3_conn *c) {
  if (c->client.handshake) return pop3_handshake_start(c);
  if (!c->client.running) return complete(c);
  pop3_step step = digest(c);
  if (step != POP3_STEP_AGAIN) return step;
  if (c->client.handshake) return POP3_STEP_ON;
  if (c->client.working) return work(c);
  return is_refused(c) ? read_out(c) : exchange(c);
}

/* Nothing is going on: step was called once too often. */
static pop3_step rest(pop3_conn *c) {
  return c->failure.error == POP3_E_OK ? POP3_STEP_DONE : POP3_STEP_FAILED;
}

typedef pop3_step (*phase_step)(pop3_conn *);

static const phase_step phases[PHASE_COUNT] = {
    [PHASE_CLOSED] = rest,
    [PHASE_SERVICE] = pop3_service_step,
    [PHASE_RESOLVING] = pop3_opening_resolve,
    [PHASE_CARRIER] = pop3_opening_carried,
    [PHASE_CONNECTING] = pop3_opening_connect,
    [PHASE_PROXY] = pop3_opening_proxy,
    [PHASE_RECORDS] = pop3_handshake_filter,
    [PHASE_HANDSHAKE] = pop3_handshake_step,
    [PHASE_OPEN] = run,
};

/* A deadline only counts when there was nothing to do: a slow caller is not
 * the server's fault. But not even steady octets outlast the total ones. */
static bool is_late(const pop3_conn *c, pop3_step step, pop3_error *which) {
  if (step == POP3_STEP_DONE || step == POP3_STEP_FAILED) return false;
  if (c->now < pop3_conn_limit(c, which)) return false;
  return step == POP3_STEP_WAIT || *which != POP3_E_IDLE;
}

pop3_step pop3_conn_step(pop3_conn *c, double now, size_t octets) {
  pop3_step step;
  pop3_error which = POP3_E_OK;
  c->now = c->stream.now = now;
  /* What the caller did with the last event took him as long as he liked. */
  if (c->event.type != POP3_EVENT_NONE) c->stream.active = now;
  c->budget = c->stream.budget = octets;
  c->event.type = POP3_EVENT_NONE;
  do {
    c->interest_count = 0;
    step = phases[c->phase](c);
  } while (step == POP3_STEP_ON);
  return is_late(c, step, &which) ? pop3_conn_fail(c, which) : step;
}

size_t pop3_conn_taken(const pop3_conn *c) {
  return c->budget - c->stream.budget;
}

/* ------------------------------------------------------------ begin */

/* A carrier cannot tell what waits there but by receiving, which may take a
 * moment: it is asked after a rest so long that a server may have said goodbye,
 * seconds. */
#define LOOK_AFTER 1.0

/* Read before writing: what waits now answers nothing that we will ask. */
static pop3_step read_uninvited(pop3_conn *c) {
  int system = 0;
  if (pop3_stream_unread(&c->stream).size == 0) {
    pop3_error error = pop3_stream_receive(&c->stream, &system, &c->failure);
    if (error == POP3_E_AGAIN) return POP3_STEP_DONE;
    if (error != POP3_E_OK) return pop3_conn_end_of_stream(c, error, system);
  }
  return digest(c);
}

/* A login may be bound to the TLS channel, where that is ours. */
static void name_channel(pop3_conn *c) {
  pop3_client *client = &c->client;
  client->binding_size = 0;
  if (c->stream.tls == NULL) return;
  if (pop3_tls_channel_binding(c->stream.tls, client->binding,
                               &client->binding_size,
                               &client->binding_type) != POP3_E_OK)
    client->binding_size = 0;
}

pop3_error pop3_conn_answer(pop3_conn *c, const pop3_span *response,
                            const char *reason) {
  return pop3_client_answer(&c->client, response, reason, &c->failure);
}

pop3_error pop3_conn_begin(pop3_conn *c, const pop3_request *request,
                           double now) {
  if (c->broken) return c->failure.error;
  forget_failure(c);
  if (c->phase == PHASE_CLOSED)
    return pop3_fail(&c->failure, POP3_E_CLOSED, NULL);
  if (c->client.running) return pop3_fail(&c->failure, POP3_E_BUSY, NULL);
  c->now = c->stream.now = now;
  c->stream.budget = POP3_STEP_OCTETS;
  pop3_stream_drop(&c->stream);
  c->looking = c->stream.carried && now - c->stream.active >= LOOK_AFTER;
  if (read_uninvited(c) == POP3_STEP_FAILED) return c->failure.error;
  pop3_conn_start_clock(c, now, request->operation == POP3_OP_STLS);
  if (request->operation == POP3_OP_LOGIN) name_channel(c);
  pop3_error error = pop3_client_begin(&c->client, request, &c->failure);
  if (error != POP3_E_OK) pop3_conn_failed(c);
  return error;
}
