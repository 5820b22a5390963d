/*
 * carrier_test.c - a connection over a stream of the host's: what it asks for,
 * and what comes of whatever a host may say. No socket, no time but the test's.
 */
#include "carrier.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "conn.h"

static pop3_conn *conn;
static double now;

static pop3_conn *open_with(const pop3_conn_options *options,
                            const char *host) {
  conn = pop3_conn_init(malloc(pop3_conn_size(options)), options,
                        &pop3_allocator_default);
  now = 1000;
  must(pop3_conn_open(conn, host, strlen(host), 110, NULL, now) == POP3_E_OK,
       "to open");
  return conn;
}

static void end(void) {
  pop3_conn_close(conn);
  free(conn);
}

static pop3_step step(void) { return pop3_conn_step(conn, now, 65536); }

/* On to the next thing that is asked for. */
static bool wants(pop3_carry carry) {
  pop3_step s;
  while ((s = step()) == POP3_STEP_EVENT || s == POP3_STEP_AGAIN) continue;
  return s == POP3_STEP_WAIT && pop3_carrier_wants(conn) == carry;
}

static bool is_done(void) {
  pop3_step s;
  while ((s = step()) == POP3_STEP_EVENT || s == POP3_STEP_AGAIN) continue;
  return s == POP3_STEP_DONE;
}

static bool failed(pop3_error error) {
  pop3_step s;
  while ((s = step()) == POP3_STEP_EVENT || s == POP3_STEP_AGAIN) continue;
  return s == POP3_STEP_FAILED && pop3_conn_failure(conn)->error == error;
}

static void hand_in(const char *octets) {
  pop3_carrier_received(conn, octets, strlen(octets));
}

static void open_plain(void) {
  pop3_conn_options options;
  pop3_conn_options_init(&options);
  options.carried = true;
  open_with(&options, "mail.test");
  must(wants(POP3_CARRY_CONNECT), "to be asked to connect");
  pop3_carrier_connected(conn, true);
  must(wants(POP3_CARRY_RECEIVE), "to be asked for the greeting");
  hand_in("+OK ready\r\n");
  must(is_done(), "the greeting");
}

static void begin(pop3_command command) {
  pop3_request request = {0};
  request.operation = POP3_OP_COMMAND;
  request.command = command;
  must(pop3_conn_begin(conn, &request, now) == POP3_E_OK, "to begin");
}

static bool is_outgoing(const char *octets) {
  pop3_span span = pop3_carrier_outgoing(conn);
  return span.size == strlen(octets) &&
         memcmp(span.data, octets, span.size) == 0;
}

static void send_all(void) {
  pop3_carrier_sent(conn, pop3_carrier_outgoing(conn).size);
}

/* ------------------------------------------------------------ claims */

static void test_one_thing_after_the_other(void) {
  open_plain();
  begin(POP3_NOOP);
  CHECK(wants(POP3_CARRY_SEND));
  CHECK(is_outgoing("NOOP\r\n"));
  pop3_carrier_sent(conn, 2);
  CHECK(wants(POP3_CARRY_SEND));
  CHECK(is_outgoing("OP\r\n"));
  send_all();
  CHECK(wants(POP3_CARRY_RECEIVE));
  hand_in("+O");
  CHECK(wants(POP3_CARRY_RECEIVE));
  hand_in("K\r\n");
  CHECK(is_done());
  end();
}

/* However long a line is, what a host copies each time is not. */
static void test_a_long_line_in_pieces(void) {
  const size_t size = 1000000;
  char *name = calloc(1, size);
  pop3_request request = {.operation = POP3_OP_COMMAND, .command = POP3_USER};
  size_t sent = 0;
  memset(name, 'x', size);
  open_plain();
  request.count = 1;
  request.arguments[0].data = name;
  request.arguments[0].size = size;
  must(pop3_conn_begin(conn, &request, now) == POP3_E_OK, "to begin");
  while (wants(POP3_CARRY_SEND)) {
    CHECK(pop3_carrier_outgoing(conn).size <= POP3_BUFFER_SIZE);
    sent += pop3_carrier_outgoing(conn).size;
    send_all();
  }
  CHECK(sent == strlen("USER ") + size + strlen("\r\n"));
  end();
  free(name);
}

/* Woken for nothing, it asks again; by the deadline it is over. */
static void test_waking_for_nothing(void) {
  open_plain();
  begin(POP3_NOOP);
  CHECK(wants(POP3_CARRY_SEND));
  pop3_carrier_failed(conn, "timeout", NULL);
  CHECK(wants(POP3_CARRY_SEND));
  send_all();
  CHECK(wants(POP3_CARRY_RECEIVE));
  pop3_carrier_failed(conn, "timeout", NULL);
  CHECK(wants(POP3_CARRY_RECEIVE));
  now = pop3_now() + 1000; /* sending is timed by the clock itself */
  CHECK(failed(POP3_E_IDLE));
  end();
}

static void test_the_end_of_the_stream(void) {
  open_plain();
  begin(POP3_NOOP);
  CHECK(wants(POP3_CARRY_SEND));
  send_all();
  CHECK(wants(POP3_CARRY_RECEIVE));
  hand_in("+OK half a li");
  pop3_carrier_failed(conn, "closed", NULL);
  CHECK(failed(POP3_E_EOF));
  end();
}

/* A peer that takes nothing has perhaps said why. */
static void test_sending_in_vain(void) {
  open_plain();
  begin(POP3_NOOP);
  CHECK(wants(POP3_CARRY_SEND));
  pop3_carrier_failed(conn, "closed", NULL);
  CHECK(wants(POP3_CARRY_LOOK));
  hand_in("-ERR idle for too long\r\n");
  CHECK(failed(POP3_E_GOODBYE));
  end();
}

static void test_errors_of_the_system(void) {
  open_plain();
  begin(POP3_NOOP);
  CHECK(wants(POP3_CARRY_SEND));
  send_all();
  CHECK(wants(POP3_CARRY_RECEIVE));
  pop3_carrier_failed(conn, "connection RESET by peer", NULL);
  CHECK(failed(POP3_E_IO));
  CHECK(pop3_conn_failure(conn)->system == ECONNRESET);
  end();
}

static void test_errors_in_words(void) {
  open_plain();
  begin(POP3_NOOP);
  CHECK(wants(POP3_CARRY_SEND));
  pop3_carrier_failed(conn, "the %s channel is gone", NULL);
  CHECK(wants(POP3_CARRY_LOOK));
  pop3_carrier_failed(conn, "timeout", NULL);
  CHECK(failed(POP3_E_IO));
  CHECK(pop3_conn_failure(conn)->system == 0);
  CHECK(strcmp(pop3_conn_failure(conn)->text,
               "mail.test:110: the %s channel is gone") == 0);
  end();
}

static void check_connecting(const char *reason, pop3_error error) {
  pop3_conn_options options;
  pop3_conn_options_init(&options);
  options.carried = true;
  open_with(&options, "mail.test");
  CHECK(wants(POP3_CARRY_CONNECT));
  pop3_carrier_failed(conn, reason, NULL);
  CHECK(failed(error));
  CHECK(pop3_conn_is_closed(conn));
  pop3_carrier_connected(conn, true); /* too late */
  CHECK(pop3_conn_is_closed(conn));
  end();
}

static void test_connecting_in_vain(void) {
  check_connecting("timeout", POP3_E_CONNECT);
  check_connecting("not_found", POP3_E_NOT_FOUND);
  check_connecting("again", POP3_E_TRY_AGAIN);
  check_connecting("connection refused", POP3_E_IO);
  check_connecting("no idea", POP3_E_IO);
}

/* Only an address says that the stream stays on this machine. */
static bool may_log_in(const char *host, bool addressed) {
  pop3_conn_options options;
  pop3_request request = {0};
  pop3_conn_options_init(&options);
  options.carried = true;
  open_with(&options, host);
  CHECK(wants(POP3_CARRY_CONNECT));
  pop3_carrier_connected(conn, addressed);
  CHECK(wants(POP3_CARRY_RECEIVE));
  hand_in("+OK ready\r\n");
  CHECK(is_done());
  request.operation = POP3_OP_LOGIN;
  request.auth.data = "USER\n";
  request.auth.size = 5;
  request.count = 2;
  request.arguments[0].data = request.arguments[1].data = "joe";
  request.arguments[0].size = request.arguments[1].size = 3;
  pop3_error error = pop3_conn_begin(conn, &request, now);
  CHECK(error == POP3_E_OK || error == POP3_E_INSECURE);
  end();
  return error == POP3_E_OK;
}

static void test_logins_in_clear(void) {
  CHECK(may_log_in("127.0.0.1", true));
  CHECK(may_log_in("[::1]", true));
  CHECK(may_log_in("::ffff:127.0.0.1", true));
  CHECK(!may_log_in("127.0.0.1", false));
  CHECK(!may_log_in("localhost", true));
  CHECK(!may_log_in("192.0.2.1", true));
}

/* After a rest there may be a goodbye, which is no answer to what is asked
 * then. */
static void test_looking_before_asking(void) {
  open_plain();
  now += 5;
  begin(POP3_NOOP);
  CHECK(wants(POP3_CARRY_LOOK));
  CHECK(pop3_conn_deadline(conn) <= now);
  pop3_carrier_failed(conn, "timeout", NULL);
  CHECK(wants(POP3_CARRY_SEND));
  send_all();
  CHECK(wants(POP3_CARRY_RECEIVE));
  hand_in("+OK\r\n");
  CHECK(is_done());

  now += 5;
  begin(POP3_NOOP);
  CHECK(wants(POP3_CARRY_LOOK));
  hand_in("-ERR idle for too long\r\n");
  CHECK(failed(POP3_E_GOODBYE));
  end();
}

static void test_no_more_ahead_than_a_server_takes(void) {
  static char tokens[4 * 5000 + 1];
  pop3_conn_options options;
  pop3_request request = {0};
  pop3_conn_options_init(&options);
  options.carried = true;
  options.pipelining = POP3_PIPELINING_ALWAYS;
  options.engine.max_inflight = 10000;
  options.engine.max_ahead = 0;
  for (int i = 0; i < 5000; i++) memcpy(tokens + 4 * i, "100\n", 4);
  open_with(&options, "mail.test");
  CHECK(wants(POP3_CARRY_CONNECT));
  pop3_carrier_connected(conn, false);
  CHECK(wants(POP3_CARRY_RECEIVE));
  hand_in("+OK ready\r\n");
  CHECK(is_done());
  request.operation = POP3_OP_MANY;
  request.command = POP3_DELE;
  request.tokens.data = tokens;
  request.tokens.size = 4 * 5000;
  must(pop3_conn_begin(conn, &request, now) == POP3_E_OK, "to begin");
  size_t sent = 0;
  while (wants(POP3_CARRY_SEND)) {
    sent += pop3_carrier_outgoing(conn).size;
    send_all();
  }
  CHECK(sent > POP3_CARRIED_AHEAD / 2);
  CHECK(sent <= POP3_CARRIED_AHEAD);
  end();
}

/* ------------------------------------------------------------ the host's TLS */

static void open_starttls(void) {
  pop3_conn_options options;
  pop3_conn_options_init(&options);
  options.carried = options.tls_by_host = true;
  options.tls = POP3_TLS_STARTTLS;
  open_with(&options, "mail.test");
  must(wants(POP3_CARRY_CONNECT), "to be asked to connect");
  pop3_carrier_connected(conn, false);
  must(wants(POP3_CARRY_RECEIVE), "the greeting");
  hand_in("+OK ready\r\n");
  must(wants(POP3_CARRY_SEND), "CAPA");
  send_all();
  must(wants(POP3_CARRY_RECEIVE), "its answer");
  hand_in("+OK\r\nSTLS\r\n.\r\n");
  must(wants(POP3_CARRY_SEND) && is_outgoing("STLS\r\n"), "STLS");
  send_all();
  must(wants(POP3_CARRY_RECEIVE), "its answer");
}

static void test_tls_of_the_host(void) {
  pop3_conn_info info;
  open_starttls();
  hand_in("+OK begin\r\n");
  CHECK(wants(POP3_CARRY_SECURE));
  pop3_conn_describe(conn, &info);
  CHECK(!info.secure);
  pop3_carrier_secured(conn);
  CHECK(is_done());
  pop3_conn_describe(conn, &info);
  CHECK(info.secure);
  end();
}

static void test_tls_of_the_host_that_fails(void) {
  open_starttls();
  hand_in("+OK begin\r\n");
  CHECK(wants(POP3_CARRY_SECURE));
  pop3_carrier_failed(conn, "certificate host mismatch", NULL);
  CHECK(failed(POP3_E_HANDSHAKE));
  CHECK(strstr(pop3_conn_failure(conn)->text, "host mismatch") != NULL);
  end();
}

/* Octets in clear behind STLS's answer, in its segment. */
static void test_injection_before_the_hosts_tls(void) {
  open_starttls();
  hand_in("+OK begin\r\n+OK injected\r\n");
  CHECK(failed(POP3_E_INJECTION));
  end();
}

/* The same, where the step's octets end behind the answer. */
static void test_injection_beyond_a_step(void) {
  open_starttls();
  hand_in("+OK begin\r\n+OK injected\r\n");
  pop3_step s;
  do s = pop3_conn_step(conn, now, strlen("+OK begin\r\n"));
  while (s == POP3_STEP_EVENT || s == POP3_STEP_AGAIN);
  CHECK(s == POP3_STEP_FAILED);
  CHECK(pop3_conn_failure(conn)->error == POP3_E_INJECTION);
  end();
}

/* Octets that came with the end are read, and the end is not asked for again. */
static void test_octets_with_the_end(void) {
  open_plain();
  begin(POP3_NOOP);
  CHECK(wants(POP3_CARRY_SEND));
  pop3_carrier_failed(conn, "closed", NULL);
  CHECK(wants(POP3_CARRY_LOOK));
  pop3_carrier_failed(conn, "closed", NULL);
  hand_in("-ERR idle for t");
  CHECK(failed(POP3_E_EOF));
  end();
}

static const test tests[] = {
    TEST(test_one_thing_after_the_other),
    TEST(test_a_long_line_in_pieces),
    TEST(test_waking_for_nothing),
    TEST(test_the_end_of_the_stream),
    TEST(test_sending_in_vain),
    TEST(test_errors_of_the_system),
    TEST(test_errors_in_words),
    TEST(test_connecting_in_vain),
    TEST(test_logins_in_clear),
    TEST(test_looking_before_asking),
    TEST(test_no_more_ahead_than_a_server_takes),
    TEST(test_tls_of_the_host),
    TEST(test_tls_of_the_host_that_fails),
    TEST(test_injection_before_the_hosts_tls),
    TEST(test_injection_beyond_a_step),
    TEST(test_octets_with_the_end),
};

int main(void) { return RUN(tests); }
