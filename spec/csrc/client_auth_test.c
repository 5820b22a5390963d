/*
 * client_auth_test.c - a login by AUTH (RFC 5034): the initial response and its
 * rule of 255 octets, challenges in pieces, what rides behind, the one other
 * way that is tried, cancelling. SCRAM's arithmetic is sasl_test.c's, its
 * conversation sasl_spec.lua's.
 */
#include "client_world.h"

#define PLAIN_ME "AG1lAHNlY3JldA==" /* NUL me NUL secret */

static pop3_request sasl_login(const char *auth) {
  pop3_request request = {.operation = POP3_OP_LOGIN, .count = 2};
  request.arguments[0].data = "me";
  request.arguments[0].size = 2;
  request.arguments[1].data = "secret";
  request.arguments[1].size = 6;
  request.auth.data = auth;
  request.auth.size = auth == NULL ? 0 : strlen(auth);
  return request;
}

static pop3_request by_hand(const char *name, const char *initial) {
  pop3_request request = {.operation = POP3_OP_AUTHENTICATE, .count = 1};
  request.arguments[0].data = name;
  request.arguments[0].size = strlen(name);
  request.initial.data = initial;
  request.initial.size = initial == NULL ? 0 : strlen(initial);
  return request;
}

#define SAYS(lines) "+OK\r\n" lines "\r\n.\r\n"

/* ------------------------------------------------------------ initial */

static void plain_goes_with_the_command(void) {
  pop3_request request = sasl_login(NULL);
  open_client(POP3_PIPELINING_AUTO);
  CHECK(begin(&request) == POP3_E_OK);
  SAME(commands(), "CAPA|");
  CHECK(feed(SAYS("SASL PLAIN LOGIN")) == POP3_E_OK);
  SAME(commands(), "AUTH PLAIN " PLAIN_ME "|");
  CHECK(client.auth.answer == NULL); /* wiped */
  CHECK(feed("+OK in\r\n") == POP3_E_OK);
  CHECK(!client.running && client.authenticated && !client.caps.known);
  SAME(seen(), "AUTH+");
  CHECK(strcmp(client.mechanism, "PLAIN") == 0);
  close_client();
}

/* RFC 5034 4: 255 octets, CRLF and all. "AUTH PLAIN " and CRLF are 13 of them,
 * and base64 comes in groups of four: 240 fit, 244 do not. */
static void a_long_response_waits_to_be_asked_for(void) {
  static char password[300];
  for (int size = 170; size < 182; size++) {
    pop3_request request = sasl_login("PLAIN\n");
    size_t coded = ((size_t)size + 4 + 2) / 3 * 4;
    memset(password, 'x', sizeof password);
    request.arguments[1].data = password;
    request.arguments[1].size = (size_t)size;
    open_client(POP3_PIPELINING_AUTO);
    learn(SAYS("SASL PLAIN"));
    CHECK(begin(&request) == POP3_E_OK);
    const char *sent = commands();
    bool along = strchr(sent + 5, ' ') != NULL;
    CHECK(along == (coded <= 242));
    if (!along) SAME(sent, "AUTH PLAIN|");
    CHECK(strlen(sent) == (along ? 12 + coded : 11));
    if (!along) {
      CHECK(feed("+ \r\n") == POP3_E_OK);
      CHECK(strlen(commands()) == coded + 1);
    }
    CHECK(feed("+OK\r\n") == POP3_E_OK);
    CHECK(!client.running);
    close_client();
  }
}

/* The go-ahead in every shape that servers give it. */
static void any_go_ahead_will_do(void) {
  static const char *const shapes[] = {
      "+\r\n",   "+ \r\n",        "+\n",       "+ go ahead\r\n",
      "+OK\r\n", "+OK go on\r\n", "+ YQ==\r\n"};
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
    pop3_request request = sasl_login("XOAUTH2\n");
    request.token = true;
    open_client(POP3_PIPELINING_AUTO);
    learn(SAYS("SASL XOAUTH2"));
    CHECK(begin(&request) == POP3_E_OK);
    SAME(commands(), "AUTH XOAUTH2|"); /* Microsoft 365 wants two lines */
    CHECK(feed(shapes[i]) == POP3_E_OK);
    SAME(commands(), "dXNlcj1tZQFhdXRoPUJlYXJlciBzZWNyZXQBAQ==|");
    CHECK(feed("+OK\r\n") == POP3_E_OK);
    CHECK(!client.running && client.authenticated);
    close_client();
  }
}

static void an_empty_response_is_written_as_equals(void) {
  pop3_request request = sasl_login("EXTERNAL\n");
  request.arguments[0].size = request.arguments[1].size = 0;
  open_client(POP3_PIPELINING_AUTO);
  learn(SAYS("SASL EXTERNAL"));
  CHECK(begin(&request) == POP3_E_OK);
  SAME(commands(), "AUTH EXTERNAL =|");
  close_client();
  request = by_hand("X-NIL", "");
  open_client(POP3_PIPELINING_AUTO);
  CHECK(begin(&request) == POP3_E_OK);
  SAME(commands(), "AUTH X-NIL =|");
  close_client();
}

/* ------------------------------------------------------------ challenges */

static void challenges_come_in_any_pieces(void) {
  for (piece = 1; piece < 44; piece++) {
    size_t cut = piece;
    pop3_request request = sasl_login("CRAM-MD5\n");
    request.arguments[0].data = "tim";
    request.arguments[0].size = 3;
    request.arguments[1].data = "tanstaaftanstaaf";
    request.arguments[1].size = 16;
    open_client(POP3_PIPELINING_AUTO);
    learn(SAYS("SASL CRAM-MD5"));
    piece = cut;
    CHECK(begin(&request) == POP3_E_OK);
    CHECK(feed("+ PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+"
               "\r\n") == POP3_E_OK);
    SAME(commands(),
         "AUTH CRAM-MD5|"
         "dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw|");
    CHECK(feed("+OK\r\n") == POP3_E_OK);
    CHECK(!client.running);
    close_client();
    piece = cut;
  }
}

static void login_answers_twice(void) {
  pop3_request request = sasl_login("LOGIN\n");
  open_client(POP3_PIPELINING_AUTO);
  learn(SAYS("SASL LOGIN"));
  CHECK(begin(&request) == POP3_E_OK);
  CHECK(feed("+ VXNlcm5hbWU6\r\n") == POP3_E_OK);
  CHECK(feed("+ UGFzc3dvcmQ6\r\n") == POP3_E_OK);
  SAME(commands(), "AUTH LOGIN|bWU=|c2VjcmV0|");
  CHECK(feed("+OK\r\n") == POP3_E_OK);
  CHECK(!client.running);
  close_client();
}

/* R16: no blanks, no padding inside, no other alphabet, whole groups. */
static void a_challenge_is_strict_base64(void) {
  static const char *const bad[] = {
      "+ VXNlcm5hbWU\r\n",   "+ VXNl=cm5hbWU6\r\n", "+ VXNlcm5h bWU6\r\n",
      "+ VXNlcm5hbWU6=\r\n", "+ ====\r\n",          "+ VXNlcm5-bWU6\r\n",
      "+ V===\r\n",          "+  VXNlcm5hbWU6\r\n", "+ \xc3\xa9\xc3\xa9\r\n"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    pop3_request request = sasl_login("CRAM-MD5\n");
    open_client(POP3_PIPELINING_AUTO);
    learn(SAYS("SASL CRAM-MD5"));
    CHECK(begin(&request) == POP3_E_OK);
    CHECK(feed(bad[i]) == POP3_E_OK);
    SAME(commands(), "AUTH CRAM-MD5|*|");
    CHECK(feed("-ERR cancelled\r\n") == POP3_E_MALFORMED);
    CHECK(strstr(failure.text, "base64") != NULL);
    CHECK(!client.running && !client.authenticated);
    CHECK(pop3_session_error(session) == POP3_E_MALFORMED);
    close_client();
  }
}

/* ------------------------------------------------------------ behind it */

static void what_rides_behind_waits_for_the_end(void) {
  pop3_request request = sasl_login(NULL);
  request.with = POP3_WITH_STAT | POP3_WITH_LISTING | POP3_WITH_QUIT;
  request.learning = true;
  open_client(POP3_PIPELINING_AUTO);
  CHECK(begin(&request) == POP3_E_OK);
  CHECK(feed(SAYS("PIPELINING\r\nSASL PLAIN")) == POP3_E_OK);
  SAME(commands(), "CAPA|AUTH PLAIN " PLAIN_ME "|");
  CHECK(feed("+OK\r\n") == POP3_E_OK); /* one flight: nobody asks again */
  SAME(commands(), "CAPA|STAT|LIST|UIDL|QUIT|");
  CHECK(client.auth.sasl == NULL); /* the secret is not needed any more */
  CHECK(feed(SAYS("TOP")) == POP3_E_OK);
  CHECK(feed("+OK 0 0\r\n+OK\r\n.\r\n+OK\r\n.\r\n+OK\r\n") == POP3_E_OK);
  CHECK(!client.running && pop3_caps_has(&client.caps, "TOP"));
  SAME(seen(), "AUTH+STAT+LIST+.UIDL+.QUIT+");
  close_client();
}

static void without_pipelining_capa_is_not_asked_again(void) {
  pop3_request request = sasl_login(NULL);
  request.with = POP3_WITH_STAT;
  request.learning = true;
  open_client(POP3_PIPELINING_AUTO);
  CHECK(begin(&request) == POP3_E_OK);
  CHECK(feed(SAYS("SASL PLAIN")) == POP3_E_OK);
  CHECK(feed("+OK\r\n") == POP3_E_OK);
  SAME(commands(), "CAPA|AUTH PLAIN " PLAIN_ME "|STAT|");
  close_client();
}

static void alone_nothing_rides_behind(void) {
  pop3_request request = sasl_login(NULL);
  request.remembered = request.learning = true;
  open_client(POP3_PIPELINING_AUTO);
  CHECK(begin(&request) == POP3_E_OK);
  CHECK(feed(SAYS("PIPELINING\r\nSASL PLAIN")) == POP3_E_OK);
  CHECK(feed("+OK\r\n") == POP3_E_OK);
  CHECK(!client.running);
  SAME(commands(), "CAPA|AUTH PLAIN " PLAIN_ME "|");
  close_client();
}

/* ------------------------------------------------------------ refusals */

static void a_wrong_password_is_tried_once(void) {
  pop3_request request = sasl_login(NULL);
  open_client(POP3_PIPELINING_AUTO);
  learn(SAYS("SASL CRAM-MD5 LOGIN PLAIN\r\nUSER"));
  CHECK(begin(&request) == POP3_E_OK);
  CHECK(feed("-ERR [AUTH] no\r\n") == POP3_E_DENIED);
  SAME(commands(), "AUTH PLAIN " PLAIN_ME "|");
  CHECK(!client.running && pop3_session_error(session) == POP3_E_OK);
  CHECK(strstr(failure.text, "-ERR [AUTH] no (login by PLAIN") != NULL);
  CHECK(strstr(failure.text, "SASL CRAM-MD5 LOGIN PLAIN, USER") != NULL);
  CHECK(failure.response_size == 14);
  SAME(seen(), "");
  close_client();
  request = sasl_login("CRAM-MD5\nUSER\n"); /* which was shown nothing */
  open_client(POP3_PIPELINING_AUTO);
  learn(SAYS("SASL CRAM-MD5\r\nUSER"));
  CHECK(begin(&request) == POP3_E_OK);
  CHECK(feed("-ERR not you\r\n") == POP3_E_DENIED);
  SAME(commands(), "AUTH CRAM-MD5|");
  close_client();
}

static void an_unknown_mechanism_is_followed_by_one_other(void) {
  pop3_request request = sasl_login("LOGIN\nCRAM-MD5\nPLAIN\n");
  open_client(POP3_PIPELINING_AUTO);
  learn(SAYS("SASL CRAM-MD5 LOGIN PLAIN"));
  CHECK(begin(&request) == POP3_E_OK);
  SAME(commands(), "AUTH LOGIN|");
  CHECK(feed("-ERR Unsupported authentication mechanism.\r\n") == POP3_E_OK);
  SAME(commands(), "AUTH CRAM-MD5|");
  SAME(seen(), ""); /* the refusal concerns nobody */
  CHECK(feed("-ERR Unsupported authentication mechanism.\r\n") ==
        POP3_E_DENIED);
  SAME(commands(), "");
  CHECK(!client.running);
  close_client();
}

/* Nor after anything that may have shown a secret: "nor twice". */
static void a_shown_secret_is_not_shown_again(void) {
  pop3_request request = sasl_login("PLAIN\nUSER\n");
  open_client(POP3_PIPELINING_AUTO);
  learn(SAYS("SASL PLAIN\r\nUSER"));
  CHECK(begin(&request) == POP3_E_OK);
  CHECK(feed("-ERR unsupported mechanism\r\n") == POP3_E_DENIED);
  SAME(commands(), "AUTH PLAIN " PLAIN_ME "|");
  close_client();
  request = sasl_login("CRAM-MD5\nUSER\n");
  open_client(POP3_PIPELINING_AUTO);
  learn(SAYS("SASL CRAM-MD5\r\nUSER"));
  CHECK(begin(&request) == POP3_E_OK);
  CHECK(feed("+ YUBi\r\n") == POP3_E_OK);
  (void)commands();
  CHECK(feed("-ERR unsupported mechanism\r\n") == POP3_E_DENIED);
  SAME(commands(), "");
  close_client();
}

static void the_other_way_keeps_what_rides_behind(void) {
  pop3_request request = sasl_login("LOGIN\nUSER\n");
  request.with = POP3_WITH_STAT;
  open_client(POP3_PIPELINING_AUTO);
  learn(SAYS("PIPELINING\r\nSASL LOGIN\r\nUSER"));
  CHECK(begin(&request) == POP3_E_OK);
  CHECK(feed("-ERR unknown mechanism\r\n") == POP3_E_OK);
  SAME(commands(), "AUTH LOGIN|USER me|PASS secret|STAT|");
  CHECK(feed("+OK\r\n+OK\r\n+OK 0 0\r\n") == POP3_E_OK);
  CHECK(!client.running && client.authenticated);
  SAME(seen(), "USER+PASS+STAT+");
  CHECK(strcmp(client.mechanism, "USER") == 0);
  close_client();
}

static void a_server_may_cancel(void) {
  pop3_request request = sasl_login("LOGIN\n");
  open_client(POP3_PIPELINING_AUTO);
  learn(SAYS("SASL LOGIN"));
  CHECK(begin(&request) == POP3_E_OK);
  CHECK(feed("+ VXNlcm5hbWU6\r\n") == POP3_E_OK);
  CHECK(feed("-ERR [SYS/TEMP] try later\r\n") == POP3_E_DENIED);
  CHECK(strstr(failure.text, "later)") != NULL);
  CHECK(!client.running && pop3_session_error(session) == POP3_E_OK);
  close_client();
}

/* T21: the server's JSON, the answer that it has to get, and the refusal. */
static void oauth_errors_are_answered_and_kept(void) {
  static const struct {
    const char *name, *answer;
  } rows[] = {{"XOAUTH2\n", "|"}, {"OAUTHBEARER\n", "AQ==|"}};
  for (int i = 0; i < 2; i++) {
    pop3_request request = sasl_login(rows[i].name);
    request.token = true;
    open_client(POP3_PIPELINING_AUTO);
    learn(SAYS("SASL XOAUTH2 OAUTHBEARER"));
    CHECK(begin(&request) == POP3_E_OK);
    CHECK(feed("+ \r\n") == POP3_E_OK);
    (void)commands();
    CHECK(feed("+ eyJzdGF0dXMiOiI0MDEifQ==\r\n") == POP3_E_OK);
    SAME(commands(), rows[i].answer);
    CHECK(feed("-ERR [AUTH] no\r\n") == POP3_E_DENIED);
    CHECK(failure.detail_size == 16 &&
          memcmp(failure.detail, "{\"status\":\"401\"}", 16) == 0);
    CHECK(strstr(failure.text, "token") != NULL);
    close_client();
  }
}

/* ------------------------------------------------------------ by hand */

static void challenges_by_hand_are_the_callers(void) {
  static const pop3_span response = {"a\0b", 3};
  pop3_request request = by_hand("X-ECHO", "hello");
  open_client(POP3_PIPELINING_AUTO);
  CHECK(begin(&request) == POP3_E_OK);
  SAME(commands(), "AUTH X-ECHO aGVsbG8=|");
  CHECK(feed("+ Zm9v\r\n") == POP3_E_OK);
  SAME(seen(), "foo");
  CHECK(client.asking && client.running);
  CHECK(pop3_client_answer(&client, &response, NULL, &failure) == POP3_E_OK);
  CHECK(pop3_client_answer(&client, &response, NULL, &failure) == POP3_E_STATE);
  transmit();
  SAME(commands(), "YQBi|");
  CHECK(feed("+ \r\n") == POP3_E_OK);
  CHECK(client.asking);
  SAME(seen(), "");
  pop3_span empty = {NULL, 0};
  CHECK(pop3_client_answer(&client, &empty, NULL, &failure) == POP3_E_OK);
  transmit();
  SAME(commands(), "|");
  CHECK(feed("+OK in\r\n") == POP3_E_OK);
  CHECK(!client.running && client.authenticated);
  SAME(seen(), "AUTH+");
  close_client();
}

static void by_hand_it_may_be_cancelled(void) {
  pop3_request request = by_hand("X-ECHO", NULL);
  open_client(POP3_PIPELINING_AUTO);
  CHECK(begin(&request) == POP3_E_OK);
  CHECK(feed("+ Zm9v\r\n") == POP3_E_OK);
  CHECK(pop3_client_answer(&client, NULL, "no card", &failure) == POP3_E_OK);
  transmit();
  SAME(commands(), "AUTH X-ECHO|*|");
  CHECK(client.running);
  CHECK(feed("+ YmFy\r\n") == POP3_E_OK); /* it did not understand */
  SAME(commands(), "*|");
  CHECK(feed("-ERR cancelled\r\n") == POP3_E_ABORTED);
  CHECK(strcmp(failure.text, "no card") == 0);
  CHECK(!client.running && pop3_session_error(session) == POP3_E_OK);
  close_client();
}

/* What cannot have succeeded did not. */
static void a_cancelled_login_cannot_succeed(void) {
  pop3_request request = by_hand("X-ECHO", NULL);
  open_client(POP3_PIPELINING_AUTO);
  CHECK(begin(&request) == POP3_E_OK);
  CHECK(feed("+ Zm9v\r\n") == POP3_E_OK);
  CHECK(pop3_client_answer(&client, NULL, NULL, &failure) == POP3_E_OK);
  transmit();
  CHECK(feed("+OK in\r\n") == POP3_E_ABORTED);
  CHECK(!client.authenticated);
  CHECK(pop3_session_error(session) != POP3_E_OK);
  close_client();
}

static void by_hand_in_clear_only_what_shows_nothing(void) {
  static const struct {
    const char *name;
    bool allowed;
  } rows[] = {{"CRAM-MD5", true}, {"SCRAM-SHA-256", true}, {"PLAIN", false},
              {"X-ECHO", false},  {"plain", false},        {"xoauth2", false},
              {"EXTERNAL", true}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    pop3_request request = by_hand(rows[i].name, "x");
    open_client(POP3_PIPELINING_AUTO);
    client.cleartext_allowed = false;
    CHECK(begin(&request) == (rows[i].allowed ? POP3_E_OK : POP3_E_INSECURE));
    CHECK((strlen(commands()) > 0) == rows[i].allowed);
    CHECK(client.running == rows[i].allowed);
    close_client();
  }
}

/* ------------------------------------------------------------ in clear */

static void in_clear_capa_is_all_that_leaves(void) {
  pop3_request request = sasl_login(NULL);
  open_client(POP3_PIPELINING_AUTO);
  client.cleartext_allowed = false;
  CHECK(begin(&request) == POP3_E_OK);
  CHECK(feed(SAYS("SASL PLAIN LOGIN CRAM-MD5\r\nUSER")) == POP3_E_INSECURE);
  SAME(commands(), "CAPA|");
  CHECK(!client.running && pop3_session_error(session) == POP3_E_OK);
  request.auth.data = "USER\n";
  request.auth.size = 5;
  CHECK(begin(&request) == POP3_E_INSECURE);
  SAME(commands(), "");
  close_client();
}

/* R05: nothing that ends a line, although base64 would hide it. */
static void control_characters_are_refused(void) {
  static const char *const names[] = {"PLAIN\n", "LOGIN\n", "CRAM-MD5\n",
                                      "SCRAM-SHA-256\n", "USER\n"};
  static const char octets[] = {'\r', '\n', '\0'};
  for (size_t i = 0; i < 5; i++) {
    for (size_t j = 0; j < 6; j++) {
      char text[3] = {'a', octets[j % 3], 'b'};
      pop3_request request = sasl_login(names[i]);
      request.arguments[j / 3].data = text;
      request.arguments[j / 3].size = 3;
      open_client(POP3_PIPELINING_AUTO);
      learn(SAYS("SASL PLAIN LOGIN CRAM-MD5 SCRAM-SHA-256\r\nUSER"));
      CHECK(begin(&request) == POP3_E_CONTROL);
      SAME(commands(), "");
      close_client();
    }
  }
}

static const test tests[] = {
    TEST(plain_goes_with_the_command),
    TEST(a_long_response_waits_to_be_asked_for),
    TEST(any_go_ahead_will_do),
    TEST(an_empty_response_is_written_as_equals),
    TEST(challenges_come_in_any_pieces),
    TEST(login_answers_twice),
    TEST(a_challenge_is_strict_base64),
    TEST(what_rides_behind_waits_for_the_end),
    TEST(without_pipelining_capa_is_not_asked_again),
    TEST(alone_nothing_rides_behind),
    TEST(a_wrong_password_is_tried_once),
    TEST(an_unknown_mechanism_is_followed_by_one_other),
    TEST(a_shown_secret_is_not_shown_again),
    TEST(the_other_way_keeps_what_rides_behind),
    TEST(a_server_may_cancel),
    TEST(oauth_errors_are_answered_and_kept),
    TEST(challenges_by_hand_are_the_callers),
    TEST(by_hand_it_may_be_cancelled),
    TEST(a_cancelled_login_cannot_succeed),
    TEST(by_hand_in_clear_only_what_shows_nothing),
    TEST(in_clear_capa_is_all_that_leaves),
    TEST(control_characters_are_refused),
};

int main(void) {
  pop3_config_init(&config);
  return RUN(tests);
}
