/*
 * client_test.c - which commands of an operation leave when, and what their
 * replies come to: flights where PIPELINING is known, one at a time where it is
 * not, refusals and failures on the way (RFC 2449 6.6, RFC 1939 7).
 */
#include "client_world.h"

/* ------------------------------------------------------------ flights */

static void all_in_one_flight_where_pipelining_is_known(void) {
  pop3_request request = login;
  open_client(POP3_PIPELINING_AUTO);
  learn(CAPA_WITH);
  request.learning = true;
  request.with |= POP3_WITH_QUIT;
  CHECK(begin(&request) == POP3_E_OK);
  SAME(commands(), "USER me|PASS secret|CAPA|STAT|LIST|UIDL|QUIT|");
  CHECK(feed("+OK\r\n+OK\r\n") == POP3_E_OK);
  SAME(seen(), "USER+PASS+");
  CHECK(client.authenticated && !client.caps.known && client.before.known);
  CHECK(feed(CAPA_WITHOUT "+OK 1 120\r\n+OK\r\n1 120\r\n.\r\n") == POP3_E_OK);
  CHECK(client.caps.known && !pop3_caps_has(&client.caps, "PIPELINING"));
  CHECK(feed("+OK\r\n1 abc\r\n.\r\n") == POP3_E_OK);
  CHECK(client.running);
  CHECK(feed("+OK\r\n") == POP3_E_OK);
  CHECK(!client.running);
  SAME(seen(), "STAT+LIST+1 120;.UIDL+1 abc;.QUIT+");
  SAME(commands(), "");
  close_client();
}

static void one_at_a_time_where_it_is_not(void) {
  pop3_request request = login;
  request.learning = true; /* nothing to ask for behind it: that would cost */
  for (int never = 0; never < 2; never++) {
    open_client(never ? POP3_PIPELINING_NEVER : POP3_PIPELINING_AUTO);
    learn(never ? CAPA_WITH : CAPA_WITHOUT);
    CHECK(begin(&request) == POP3_E_OK);
    SAME(commands(), "USER me|");
    CHECK(feed("+OK\r") == POP3_E_OK);
    SAME(commands(), "");
    CHECK(feed("\n") == POP3_E_OK);
    SAME(commands(), "PASS secret|");
    CHECK(feed("+OK\r\n") == POP3_E_OK);
    SAME(commands(), "STAT|");
    CHECK(feed("+OK 1 120\r\n") == POP3_E_OK);
    SAME(commands(), "LIST|");
    CHECK(feed("+OK\r\n1 120\r\n") == POP3_E_OK);
    SAME(commands(), "");
    CHECK(feed(".\r\n") == POP3_E_OK);
    SAME(commands(), "UIDL|");
    CHECK(feed("+OK\r\n.\r\n") == POP3_E_OK);
    CHECK(!client.running);
    SAME(commands(), "");
    close_client();
  }
}

static void a_login_alone_ends_with_pass(void) {
  pop3_request request = login;
  request.with = 0;
  request.remembered = request.learning = true;
  open_client(POP3_PIPELINING_AUTO);
  learn(CAPA_WITHOUT);
  CHECK(begin(&request) == POP3_E_OK);
  SAME(commands(), "USER me|");
  CHECK(feed("+OK\r\n") == POP3_E_OK);
  SAME(commands(), "PASS secret|");
  CHECK(feed("+OK\r\n") == POP3_E_OK);
  CHECK(!client.running);
  SAME(commands(), "");
  close_client();
}

static void always_asks_nobody(void) {
  open_client(POP3_PIPELINING_ALWAYS);
  CHECK(begin(&login) == POP3_E_OK);
  SAME(commands(), "USER me|PASS secret|STAT|LIST|UIDL|");
  close_client();
}

static void capabilities_are_asked_for_first(void) {
  static const char *const replies[] = {CAPA_WITH, CAPA_WITHOUT,
                                        "-ERR what?\r\n"};
  for (int i = 0; i < 3; i++) {
    open_client(POP3_PIPELINING_AUTO);
    CHECK(begin(&login) == POP3_E_OK);
    SAME(commands(), "CAPA|");
    CHECK(feed(replies[i]) == POP3_E_OK);
    SAME(seen(), ""); /* nobody but us asked */
    SAME(commands(),
         i == 0 ? "USER me|PASS secret|STAT|LIST|UIDL|" : "USER me|");
    CHECK(client.capa_refused == (i == 2));
    close_client();
  }
}

/* Refused once is refused until the login; what it changed is asked for. */
static void a_refused_capa_is_not_repeated(void) {
  open_client(POP3_PIPELINING_AUTO);
  CHECK(begin(&login) == POP3_E_OK);
  CHECK(feed("-ERR what?\r\n") == POP3_E_OK);
  CHECK(feed("-ERR no\r\n") == POP3_E_DENIED);
  SAME(commands(), "CAPA|USER me|");
  CHECK(!client.running);
  CHECK(begin(&login) == POP3_E_OK);
  SAME(commands(), "USER me|");
  for (int i = 0; i < 3; i++) CHECK(feed("+OK\r\n") == POP3_E_OK);
  for (int i = 0; i < 2; i++) CHECK(feed("+OK\r\n.\r\n") == POP3_E_OK);
  CHECK(!client.running && client.authenticated);
  (void)commands();
  CHECK(begin(&listing) == POP3_E_OK);
  SAME(commands(), "CAPA|");
  close_client();
}

static void a_lonely_command_asks_for_nothing(void) {
  pop3_request request = login;
  request.with = 0;
  open_client(POP3_PIPELINING_AUTO);
  CHECK(begin(&request) == POP3_E_OK);
  SAME(commands(), "USER me|");
  close_client();
  open_client(POP3_PIPELINING_AUTO);
  request = many(POP3_RETR, "7\n");
  CHECK(begin(&request) == POP3_E_OK);
  SAME(commands(), "RETR 7|");
  close_client();
  open_client(POP3_PIPELINING_AUTO);
  request = many(POP3_RETR, "7\n9\n");
  CHECK(begin(&request) == POP3_E_OK);
  SAME(commands(), "CAPA|");
  close_client();
}

/* A login may change what the server can do: before it counts no more. */
static void a_login_ends_what_is_known(void) {
  open_client(POP3_PIPELINING_AUTO);
  learn(CAPA_WITH);
  CHECK(begin(&login) == POP3_E_OK);
  CHECK(feed("+OK\r\n+OK\r\n+OK 0 0\r\n+OK\r\n.\r\n+OK\r\n.\r\n") == POP3_E_OK);
  CHECK(!client.running && !client.caps.known);
  (void)commands();
  CHECK(begin(&listing) == POP3_E_OK);
  SAME(commands(), "CAPA|");
  close_client();
}

/* ------------------------------------------------------------ refusals */

static void the_first_refusal_counts_once_all_is_read(void) {
  open_client(POP3_PIPELINING_ALWAYS);
  CHECK(begin(&login) == POP3_E_OK);
  CHECK(feed("+OK\r\n-ERR [AUTH] no\r\n") == POP3_E_OK);
  CHECK(client.running); /* three are in flight */
  CHECK(feed("-ERR first log in\r\n+OK\r\n1 120\r\n.\r\n") == POP3_E_OK);
  CHECK(client.running);
  CHECK(feed("-ERR again\r\n") == POP3_E_DENIED);
  CHECK(!client.running);
  CHECK(failure.error == POP3_E_DENIED);
  CHECK(failure.response_size == 14 &&
        memcmp(failure.response, "-ERR [AUTH] no", 14) == 0);
  SAME(seen(), "USER+"); /* what came behind concerns nobody */
  CHECK(pop3_session_error(session) == POP3_E_OK);
  CHECK(pop3_session_inflight(session) == 0);
  (void)commands();
  CHECK(begin(&login) == POP3_E_OK); /* and the session may be used */
  SAME(commands(), "USER me|PASS secret|STAT|LIST|UIDL|");
  close_client();
}

static void the_first_of_two_refusals_counts(void) {
  open_client(POP3_PIPELINING_ALWAYS);
  CHECK(begin(&login) == POP3_E_OK);
  CHECK(feed("-ERR who?\r\n-ERR first USER\r\n-ERR\r\n-ERR\r\n") == POP3_E_OK);
  CHECK(feed("-ERR\r\n") == POP3_E_DENIED);
  CHECK(failure.response_size == 9 &&
        memcmp(failure.response, "-ERR who?", 9) == 0);
  SAME(seen(), "");
  close_client();
}

static void a_refused_user_ends_the_login(void) {
  open_client(POP3_PIPELINING_NEVER);
  CHECK(begin(&login) == POP3_E_OK);
  CHECK(feed("-ERR who?\r\n") == POP3_E_DENIED);
  SAME(commands(), "USER me|"); /* the password did not leave */
  CHECK(failure.response_size == 9);
  close_client();
}

static void what_rides_along_may_be_refused(void) {
  open_client(POP3_PIPELINING_ALWAYS);
  CHECK(begin(&login) == POP3_E_OK);
  CHECK(feed("+OK\r\n+OK\r\n-ERR\r\n-ERR\r\n-ERR\r\n") == POP3_E_OK);
  CHECK(!client.running);
  SAME(seen(), "USER+PASS+STAT-LIST-UIDL-");
  close_client();
}

static void uidl_may_be_refused_but_not_list(void) {
  for (int refused = 0; refused < 2; refused++) {
    open_client(POP3_PIPELINING_ALWAYS);
    CHECK(begin(&listing) == POP3_E_OK);
    SAME(commands(), "LIST|UIDL|");
    CHECK(feed(refused ? "-ERR\r\n" : "+OK\r\n.\r\n") == POP3_E_OK);
    CHECK(feed("-ERR\r\n") == (refused ? POP3_E_REFUSED : POP3_E_OK));
    CHECK(!client.running);
    SAME(seen(), refused ? "" : "LIST+.UIDL-");
    close_client();
  }
}

static void a_refused_message_is_one_of_many(void) {
  pop3_request request = many(POP3_DELE, "1\n22\n333\n");
  open_client(POP3_PIPELINING_ALWAYS);
  CHECK(begin(&request) == POP3_E_OK);
  SAME(commands(), "DELE 1|DELE 22|DELE 333|");
  CHECK(feed("-ERR\r\n+OK\r\n-ERR\r\n") == POP3_E_OK);
  CHECK(!client.running);
  SAME(seen(), "DELE-DELE+DELE-");
  CHECK(client.deletions == 1);
  close_client();
  request = many(POP3_TOP, "1\n2\n");
  request.arguments[0].data = "5";
  request.arguments[0].size = request.count = 1;
  open_client(POP3_PIPELINING_NEVER);
  CHECK(begin(&request) == POP3_E_OK);
  CHECK(feed("-ERR\r\n") == POP3_E_OK);
  SAME(commands(), "TOP 1 5|TOP 2 5|");
  CHECK(feed("+OK\r\nx\r\n.\r\n") == POP3_E_OK);
  CHECK(!client.running);
  SAME(seen(), "TOP-TOP+x\r\n.");
  close_client();
}

/* ------------------------------------------------------------ ends */

static void what_is_curtailed_queues_nothing_more(void) {
  pop3_request request = many(POP3_RETR, "1\n2\n3\n4\n5\n6\n");
  config.max_inflight = 3;
  open_client(POP3_PIPELINING_ALWAYS);
  CHECK(begin(&request) == POP3_E_OK);
  SAME(commands(), "RETR 1|RETR 2|RETR 3|");
  pop3_client_curtail(&client);
  CHECK(client.running);
  CHECK(feed("+OK\r\na\r\n.\r\n-ERR\r\n") == POP3_E_OK);
  CHECK(client.running);
  CHECK(feed("+OK\r\nc\r\n.\r\n") == POP3_E_OK);
  CHECK(!client.running);
  SAME(seen(), "RETR+a\r\n.RETR-RETR+c\r\n.");
  SAME(commands(), "");
  close_client();
  open_client(POP3_PIPELINING_AUTO);
  CHECK(begin(&request) == POP3_E_OK);
  pop3_client_curtail(&client); /* before the first message was asked for */
  CHECK(feed(CAPA_WITH) == POP3_E_OK);
  SAME(commands(), "CAPA|");
  CHECK(!client.running);
  close_client();
  pop3_config_init(&config);
}

static void the_window_is_filled_again(void) {
  pop3_request request = many(POP3_DELE, "1\n2\n3\n4\n5\n6\n7\n");
  config.max_inflight = 4;
  open_client(POP3_PIPELINING_ALWAYS);
  CHECK(begin(&request) == POP3_E_OK);
  SAME(commands(), "DELE 1|DELE 2|DELE 3|DELE 4|");
  CHECK(feed("+OK\r\n+OK\r\n") == POP3_E_OK);
  SAME(commands(), "DELE 5|DELE 6|");
  CHECK(feed("+OK\r\n+OK\r\n+OK\r\n+OK\r\n") == POP3_E_OK);
  SAME(commands(), "DELE 7|");
  CHECK(feed("+OK\r\n") == POP3_E_OK);
  CHECK(!client.running && client.deletions == 7);
  close_client();
  pop3_config_init(&config);
}

static void quit_rides_behind(void) {
  pop3_request request = many(POP3_RETR, "1\n2\n");
  request.with = POP3_WITH_QUIT;
  open_client(POP3_PIPELINING_ALWAYS);
  CHECK(begin(&request) == POP3_E_OK);
  SAME(commands(), "RETR 1|RETR 2|QUIT|");
  CHECK(feed("+OK\r\n.\r\n-ERR\r\n+OK\r\n") == POP3_E_OK);
  CHECK(!client.running && pop3_session_is_over(session));
  SAME(seen(), "RETR+.RETR-QUIT+");
  close_client();
  request = many(POP3_RETR, ""); /* no messages: QUIT alone */
  request.with = POP3_WITH_QUIT;
  open_client(POP3_PIPELINING_NEVER);
  CHECK(begin(&request) == POP3_E_OK);
  SAME(commands(), "QUIT|");
  close_client();
}

static void quit_with_deletions_is_a_call_of_its_own(void) {
  pop3_request dele = many(POP3_DELE, "1\n");
  pop3_request with = listing, quit = {.operation = POP3_OP_COMMAND};
  with.with = POP3_WITH_QUIT;
  quit.command = POP3_QUIT;
  quit.unanswered = true;
  open_client(POP3_PIPELINING_ALWAYS);
  CHECK(begin(&dele) == POP3_E_OK);
  CHECK(feed("+OK\r\n") == POP3_E_OK);
  (void)commands();
  CHECK(begin(&with) == POP3_E_STATE);
  CHECK(begin(&quit) == POP3_E_STATE);
  pop3_request in = login;
  in.with |= POP3_WITH_QUIT;
  CHECK(begin(&in) == POP3_E_STATE);
  CHECK(strstr(failure.text, "1 messages are marked") != NULL);
  SAME(commands(), "");
  CHECK(!client.running);
  quit.unanswered = false;
  CHECK(begin(&quit) == POP3_E_OK);
  SAME(commands(), "QUIT|");
  close_client();
  open_client(POP3_PIPELINING_ALWAYS);
  quit.unanswered = true;
  CHECK(begin(&quit) == POP3_E_OK); /* nothing can be lost */
  close_client();
}

static void a_failure_after_a_refusal_keeps_the_reason(void) {
  static const char *const replies[] = {
      "+OK\r\n-ERR no\r\n+OK 1 2\r\n+OK\r\n.\r\n+OK\r\n.\r\n+OK unasked\r\n",
      "+OK\r\n-ERR no\r\n+OK 1 2\r\n+OK\r\n1",
      "+OK\r\n-ERR no\r\n",
  };
  for (int i = 0; i < 3; i++) {
    const char *none = NULL;
    size_t nothing = 0;
    pop3_event event;
    open_client(POP3_PIPELINING_ALWAYS);
    CHECK(begin(&login) == POP3_E_OK);
    pop3_error error = feed(replies[i]);
    if (error == POP3_E_OK) { /* the stream ends before the last reply */
      pop3_session_poison(session, POP3_E_EOF);
      error = pop3_client_next(&client, &none, &nothing, &event, &failure);
    }
    CHECK(error == POP3_E_DENIED);
    CHECK(failure.error == POP3_E_DENIED && failure.response_size == 7);
    CHECK(!client.running);
    close_client();
  }
}

static void a_line_too_long_after_a_refusal_keeps_the_reason(void) {
  static char octets[4096];
  memset(octets, 'x', sizeof octets - 1);
  memcpy(octets, "+OK\r\n-ERR no\r\n+OK ", 18);
  open_client(POP3_PIPELINING_ALWAYS);
  CHECK(begin(&login) == POP3_E_OK);
  CHECK(feed(octets) == POP3_E_DENIED);
  CHECK(failure.response_size == 7);
  CHECK(pop3_session_error(session) == POP3_E_LINE);
  CHECK(begin(&login) == POP3_E_LINE); /* but it cannot go on */
  close_client();
}

/* What we asked for ourselves may be nonsense: the login goes on. */
static void a_malformed_capa_is_no_answer(void) {
  open_client(POP3_PIPELINING_AUTO);
  CHECK(begin(&login) == POP3_E_OK);
  SAME(commands(), "CAPA|");
  CHECK(feed("+OK\r\nPIPELINING\r\nCaf\xe9\r\nUIDL\r\n.\r\n") == POP3_E_OK);
  CHECK(client.capa_refused && !client.caps.known);
  SAME(commands(), "USER me|");
  CHECK(client.running);
  close_client();
}

static void the_end_while_we_ask_is_the_end(void) {
  const char *none = NULL;
  size_t nothing = 0;
  pop3_event event;
  open_client(POP3_PIPELINING_AUTO);
  CHECK(begin(&login) == POP3_E_OK);
  pop3_session_poison(session, POP3_E_EOF);
  CHECK(pop3_client_next(&client, &none, &nothing, &event, &failure) ==
        POP3_E_EOF);
  CHECK(strcmp(failure.text, "-ERR EOF") == 0);
  close_client();
}

static void a_failure_alone_is_the_reason(void) {
  const char *none = NULL;
  size_t nothing = 0;
  pop3_event event;
  open_client(POP3_PIPELINING_ALWAYS);
  CHECK(begin(&login) == POP3_E_OK);
  CHECK(feed("+OK\r\n+OK\r\n-ERR\r\n") == POP3_E_OK);
  pop3_session_poison(session, POP3_E_EOF);
  CHECK(pop3_client_next(&client, &none, &nothing, &event, &failure) ==
        POP3_E_EOF);
  CHECK(failure.error == POP3_E_EOF);
  close_client();
}

/* An argument that cannot leave keeps everything before it here, too. */
static void a_bad_argument_stops_the_first_command(void) {
  pop3_request request = login;
  request.arguments[1].data = "sec\rt";
  request.arguments[1].size = 5;
  open_client(POP3_PIPELINING_ALWAYS);
  CHECK(begin(&request) == POP3_E_CONTROL);
  SAME(commands(), "");
  CHECK(!client.running);
  close_client();
}

/* ------------------------------------------------------------ STLS */

static void what_was_learnt_in_clear_is_forgotten(void) {
  static const pop3_request stls = {.operation = POP3_OP_STLS};
  open_client(POP3_PIPELINING_AUTO);
  learn(CAPA_WITH);
  CHECK(begin(&login) == POP3_E_OK);
  CHECK(feed("+OK\r\n+OK\r\n+OK 0 0\r\n+OK\r\n.\r\n+OK\r\n.\r\n") == POP3_E_OK);
  CHECK(client.before.known && client.timestamp_trusted);
  (void)commands();
  CHECK(begin(&stls) == POP3_E_OK);
  CHECK(feed("+OK\r\nSTLS\r\n.\r\n") == POP3_E_OK);
  SAME(commands(), "CAPA|STLS|"); /* never in one flight */
  CHECK(client.caps.known);
  CHECK(feed("+OK begin\r\n") == POP3_E_OK);
  CHECK(client.handshake);
  pop3_client_secured(&client);
  CHECK(!client.running && !client.handshake);
  CHECK(!client.caps.known && !client.before.known);
  CHECK(!client.timestamp_trusted);
  CHECK(begin(&stls) == POP3_E_SECURED);
  CHECK(begin(&listing) == POP3_E_OK);
  SAME(commands(), "CAPA|");
  close_client();
}

static void a_capa_refused_in_clear_is_asked_again_under_tls(void) {
  static const pop3_request stls = {.operation = POP3_OP_STLS};
  open_client(POP3_PIPELINING_AUTO);
  CHECK(begin(&listing) == POP3_E_OK);
  CHECK(feed("-ERR\r\n") == POP3_E_OK);
  CHECK(feed("+OK\r\n.\r\n") == POP3_E_OK);
  CHECK(feed("+OK\r\n.\r\n") == POP3_E_OK);
  SAME(commands(), "CAPA|LIST|UIDL|");
  CHECK(begin(&stls) == POP3_E_OK);
  CHECK(feed("+OK\r\nSTLS\r\n.\r\n") == POP3_E_OK);
  CHECK(feed("+OK begin\r\n") == POP3_E_OK);
  pop3_client_secured(&client);
  (void)commands();
  CHECK(begin(&listing) == POP3_E_OK);
  SAME(commands(), "CAPA|");
  close_client();
}

/* ------------------------------------------------------------ all */

static const test tests[] = {
    TEST(all_in_one_flight_where_pipelining_is_known),
    TEST(one_at_a_time_where_it_is_not),
    TEST(a_login_alone_ends_with_pass),
    TEST(always_asks_nobody),
    TEST(capabilities_are_asked_for_first),
    TEST(a_refused_capa_is_not_repeated),
    TEST(a_lonely_command_asks_for_nothing),
    TEST(a_login_ends_what_is_known),
    TEST(the_first_refusal_counts_once_all_is_read),
    TEST(the_first_of_two_refusals_counts),
    TEST(a_refused_user_ends_the_login),
    TEST(what_rides_along_may_be_refused),
    TEST(uidl_may_be_refused_but_not_list),
    TEST(a_refused_message_is_one_of_many),
    TEST(what_is_curtailed_queues_nothing_more),
    TEST(the_window_is_filled_again),
    TEST(quit_rides_behind),
    TEST(quit_with_deletions_is_a_call_of_its_own),
    TEST(a_failure_after_a_refusal_keeps_the_reason),
    TEST(a_line_too_long_after_a_refusal_keeps_the_reason),
    TEST(a_malformed_capa_is_no_answer),
    TEST(the_end_while_we_ask_is_the_end),
    TEST(a_failure_alone_is_the_reason),
    TEST(a_bad_argument_stops_the_first_command),
    TEST(what_was_learnt_in_clear_is_forgotten),
    TEST(a_capa_refused_in_clear_is_asked_again_under_tls),
};

int main(void) {
  pop3_config_init(&config);
  return RUN(tests);
}
