/*
 * conn_test.c - a connection as a host uses it that must not block: steps,
 * interests, deadlines and budgets (T06, T37, T62, R22).
 *
 * Names that end in ".test" are looked up until the test ends.
 */
#include "conn_world.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <math.h>
#include <netdb.h>

/* ------------------------------------------------------------ names */

static int gate[2];

typedef int resolver(const char *, const char *, const struct addrinfo *,
                     struct addrinfo **);

int getaddrinfo(const char *host, const char *service,
                const struct addrinfo *hints, struct addrinfo **list) {
  static resolver *real;
  size_t size = strlen(host);
  char octet;
  if (real == NULL) *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
  bool ours = size > 5 && strcmp(host + size - 5, ".test") == 0;
  if (!ours || hints->ai_flags & AI_NUMERICHOST)
    return real(host, service, hints, list);
  (void)!read(gate[0], &octet, 1); /* its end, when the test is over */
  return EAI_NONAME;
}

/* ------------------------------------------------------------ steps */

static void test_waits(void) {
  const pop3_interest *interests;
  int peer;
  pop3_conn *c = connected(&peer, NULL);
  CHECK(settle(c) == POP3_STEP_WAIT); /* a host may step too often */
  CHECK(pop3_conn_interests(c, &interests) == 1);
  CHECK(interests[0].readable && !interests[0].writable);
  CHECK(!is_ready(c, 0));
  CHECK(pop3_conn_deadline(c) == now + options.connect_timeout);
  say(peer, "+OK re");
  CHECK(settle(c) == POP3_STEP_WAIT);
  say(peer, "ady\r\n");
  CHECK(settle(c) == POP3_STEP_DONE);
  CHECK(settle(c) == POP3_STEP_DONE); /* once too often again */
  destroy(c);
  (void)close(peer);
}

static void test_running(void) {
  int peer;
  pop3_conn *c = greeted(&peer);
  CHECK(begin(c, POP3_OP_COMMAND, POP3_NOOP, NULL) == POP3_E_OK);
  CHECK(begin(c, POP3_OP_COMMAND, POP3_NOOP, NULL) == POP3_E_BUSY);
  CHECK(settle(c) == POP3_STEP_WAIT);
  CHECK(strcmp(hear(peer), "NOOP\r\n") == 0);
  say(peer, "-ERR no\r\n");
  CHECK(finish(c) == POP3_STEP_FAILED && failed_as(c, POP3_E_REFUSED));
  CHECK(begin(c, POP3_OP_COMMAND, POP3_NOOP, NULL) == POP3_E_OK);
  CHECK(settle(c) == POP3_STEP_WAIT);
  say(peer, "+OK\r\n");
  CHECK(finish(c) == POP3_STEP_EVENT && finish(c) == POP3_STEP_DONE);
  destroy(c);
  (void)close(peer);
}

static void test_after_end(void) {
  int peer;
  pop3_conn *c = greeted(&peer);
  (void)close(peer);
  CHECK(begin(c, POP3_OP_COMMAND, POP3_NOOP, NULL) == POP3_E_EOF);
  CHECK(settle(c) == POP3_STEP_FAILED && failed_as(c, POP3_E_EOF));
  CHECK(begin(c, POP3_OP_COMMAND, POP3_NOOP, NULL) == POP3_E_EOF);
  pop3_conn_close(c);
  CHECK(settle(c) == POP3_STEP_FAILED && failed_as(c, POP3_E_CLOSED));
  CHECK(begin(c, POP3_OP_COMMAND, POP3_NOOP, NULL) == POP3_E_CLOSED);
  destroy(c);
}

static void test_events(void) {
  int peer, events = 0;
  static char lines[4 * PIECE + 1];
  pop3_step step;
  pop3_conn *c = greeted(&peer);
  for (size_t i = 0; i < sizeof lines - 1; i += 2) memcpy(lines + i, "\r\n", 2);
  CHECK(begin(c, POP3_OP_COMMAND, POP3_RETR, "1") == POP3_E_OK);
  CHECK(settle(c) == POP3_STEP_WAIT);
  say(peer, "+OK\r\n");
  say(peer, lines);
  say(peer, ".\r\n");
  do {
    step = pop3_conn_step(c, now, 1);
    events += step == POP3_STEP_EVENT;
    if (step == POP3_STEP_WAIT) must(is_ready(c, PATIENCE), "more of it");
  } while (step != POP3_STEP_DONE && step != POP3_STEP_FAILED);
  CHECK(step == POP3_STEP_DONE);
  CHECK(events == 1 + 2 * PIECE + 1);
  destroy(c);
  (void)close(peer);
}

static void test_early_reply(void) {
  int peer;
  const pop3_interest *interests;
  char *name = malloc(64 << 20);
  memset(name, 'x', 64 << 20);
  name[(64 << 20) - 1] = '\0';
  pop3_conn *c = greeted(&peer);
  CHECK(begin(c, POP3_OP_COMMAND, POP3_USER, name) == POP3_E_OK);
  CHECK(settle(c) == POP3_STEP_WAIT); /* the server's window is full */
  CHECK(pop3_conn_interests(c, &interests) == 1);
  CHECK(interests[0].readable && interests[0].writable);
  say(peer, "+OK\r\n");
  CHECK(finish(c) == POP3_STEP_FAILED && failed_as(c, POP3_E_UNSOLICITED));
  destroy(c);
  (void)close(peer);
  free(name);
}

#define MANY 16

static void test_many(void) {
  pop3_conn *all[MANY];
  int peers[MANY], done = 0;
  for (int i = 0; i < MANY; i++) all[i] = greeted(&peers[i]);
  for (int i = 0; i < MANY; i++)
    CHECK(begin(all[i], POP3_OP_COMMAND, POP3_STAT, NULL) == POP3_E_OK &&
          settle(all[i]) == POP3_STEP_WAIT);
  for (int i = MANY - 1; i >= 0; i--) { /* answered the other way round */
    for (int j = 0; j < MANY; j++) CHECK(!is_ready(all[j], 0));
    say(peers[i], "+OK 1 2\r\n");
    CHECK(is_ready(all[i], PATIENCE));
    CHECK(settle(all[i]) == POP3_STEP_EVENT);
    done += settle(all[i]) == POP3_STEP_DONE;
    CHECK(begin(all[i], POP3_OP_COMMAND, POP3_STAT, NULL) == POP3_E_OK &&
          settle(all[i]) == POP3_STEP_WAIT);
  }
  CHECK(done == MANY);
  for (int i = 0; i < MANY; i++) destroy(all[i]), (void)close(peers[i]);
}

/* ------------------------------------------------------------ deadlines */

static void test_deadlines(void) {
  int peer;
  options.total_timeout = 500;
  pop3_conn *c = greeted(&peer);
  double began = now;
  CHECK(begin(c, POP3_OP_COMMAND, POP3_NOOP, NULL) == POP3_E_OK);
  CHECK(settle(c) == POP3_STEP_WAIT);
  CHECK(pop3_conn_deadline(c) == began + options.timeout);
  now += options.timeout / 2;
  say(peer, "+");
  CHECK(is_ready(c, PATIENCE) && settle(c) == POP3_STEP_WAIT);
  CHECK(pop3_conn_deadline(c) == now + options.timeout);
  now -= 1000; /* a clock that goes back ends nothing */
  CHECK(settle(c) == POP3_STEP_WAIT);
  now += 1000 + options.timeout;
  CHECK(settle(c) == POP3_STEP_FAILED && failed_as(c, POP3_E_IDLE));
  CHECK(begin(c, POP3_OP_COMMAND, POP3_NOOP, NULL) == POP3_E_IDLE);
  destroy(c);
  (void)close(peer);
  now = began;
}

/* What waits to be read is read, however late the host comes. */
static void test_slow_host(void) {
  int peer;
  pop3_conn *c = greeted(&peer);
  CHECK(begin(c, POP3_OP_COMMAND, POP3_NOOP, NULL) == POP3_E_OK);
  CHECK(settle(c) == POP3_STEP_WAIT);
  say(peer, "+OK\r\n");
  CHECK(is_ready(c, PATIENCE));
  now += 100 * options.timeout;
  CHECK(settle(c) == POP3_STEP_EVENT && settle(c) == POP3_STEP_DONE);
  CHECK(begin(c, POP3_OP_COMMAND, POP3_NOOP, NULL) == POP3_E_OK);
  CHECK(settle(c) == POP3_STEP_WAIT);
  destroy(c);
  (void)close(peer);
}

static void test_no_deadline(void) {
  int peer;
  options.timeout = options.connect_timeout = 0;
  pop3_conn *c = greeted(&peer);
  CHECK(begin(c, POP3_OP_COMMAND, POP3_NOOP, NULL) == POP3_E_OK);
  CHECK(settle(c) == POP3_STEP_WAIT && isinf(pop3_conn_deadline(c)));
  destroy(c);
  (void)close(peer);
}

/* ------------------------------------------------------------ closing */

static void test_close_resolving(void) {
  const pop3_interest *interests;
  pop3_conn *c = create();
  CHECK(open_at(c, "slow.test", port, NULL) == POP3_E_OK);
  CHECK(settle(c) == POP3_STEP_WAIT);
  CHECK(pop3_conn_interests(c, &interests) == 1 && interests[0].readable);
  now += options.connect_timeout;
  CHECK(settle(c) == POP3_STEP_FAILED && failed_as(c, POP3_E_CONNECT));
  destroy(c);
}

static void test_close_connecting(void) {
  int fds[CROWD];
  const pop3_interest *interests;
  pop3_conn *c = create();
  CHECK(open_at(c, "127.0.0.1", crowded_port(fds), NULL) == POP3_E_OK);
  CHECK(settle(c) == POP3_STEP_WAIT);
  CHECK(pop3_conn_interests(c, &interests) == 1 && interests[0].writable);
  pop3_conn_close(c);
  CHECK(settle(c) == POP3_STEP_FAILED && failed_as(c, POP3_E_CLOSED));
  destroy(c);
  for (int i = 0; i < CROWD; i++) (void)close(fds[i]);
}

static void test_close_anywhere(void) {
  pop3_tls_context *context = trusting();
  int peer;
  pop3_conn *c = greeted(&peer);
  CHECK(begin(c, POP3_OP_COMMAND, POP3_RETR, "1") == POP3_E_OK);
  CHECK(settle(c) == POP3_STEP_WAIT);
  say(peer, "+OK\r\nhalf a mess");
  CHECK(finish(c) == POP3_STEP_EVENT);
  destroy(c); /* between two events */
  (void)close(peer);
  options.tls = POP3_TLS_IMPLICIT;
  c = connected(&peer, context); /* waiting for ServerHello */
  destroy(c);
  (void)close(peer);
  pop3_tls_context_release(context);
}

static void test_refused(void) {
  unsigned at;
  (void)close(listen_on(1, &at));
  pop3_conn *c = create();
  CHECK(open_at(c, "127.0.0.1", at, NULL) == POP3_E_OK);
  CHECK(finish(c) == POP3_STEP_FAILED && failed_as(c, POP3_E_IO));
  CHECK(pop3_conn_failure(c)->system != 0);
  destroy(c);
}

/* ------------------------------------------------------------ memory */

/* A session with everything that allocates; the first step that fails. */
static pop3_error play(int *peer) {
  static const char caps[] = "+OK\r\nTOP\r\nUIDL\r\nSASL PLAIN\r\n.\r\n";
  pop3_conn *c = create();
  pop3_error error = open_at(c, "127.0.0.1", port, NULL);
  *peer = -1;
  if (error == POP3_E_OK) {
    (void)settle(c);
    *peer = accept_one();
    say(*peer, "+OK ready\r\n");
    if (finish(c) == POP3_STEP_FAILED) error = pop3_conn_failure(c)->error;
  }
  if (error == POP3_E_OK) error = begin(c, POP3_OP_CAPA, POP3_CAPA, NULL);
  if (error == POP3_E_OK) {
    say(*peer, caps);
    if (settle(c) == POP3_STEP_WAIT) (void)finish(c);
    error = pop3_conn_failure(c)->error;
  }
  destroy(c);
  return error;
}

static void test_hunger(void) {
  pop3_error error = POP3_E_MEMORY;
  long n = 0;
  while (error != POP3_E_OK && n < 100) {
    int peer;
    hunger = ++n;
    error = play(&peer);
    hunger = 0;
    if (peer >= 0) (void)close(peer);
    CHECK(error == POP3_E_OK || error == POP3_E_MEMORY);
    CHECK(allocated == 0);
  }
  CHECK(error == POP3_E_OK && n > 3);
}

/* ------------------------------------------------------------ all of them */

static const claim claims[] = {
    {test_waits, "a step that can do nothing says what it waits for"},
    {test_running, "one operation runs at a time, and a refusal ends one"},
    {test_after_end, "a failure is repeated until the connection is closed"},
    {test_events, "the smallest budget delivers a whole message"},
    {test_early_reply, "a reply to a command half sent is unsolicited"},
    {test_many, "connections in one loop do not disturb each other"},
    {test_deadlines, "deadlines follow the host's clock, forward only"},
    {test_slow_host, "a slow host is not taken for a silent server"},
    {test_no_deadline, "no timeouts make no deadline"},
    {test_close_resolving, "a name that is never found ends at the deadline"},
    {test_close_connecting, "a connection may be closed while it connects"},
    {test_close_anywhere, "a connection may be closed between two events"},
    {test_refused, "a refused connection says errno"},
    {test_hunger, "T62 every allocation that fails is a clean error"},
};

int main(void) {
  must(pipe2(gate, O_CLOEXEC) == 0, "a pipe");
  return RUN_CLAIMS(claims);
}
