/*
 * client_test.c - which commands of an operation leave when, and what their
 * replies come to: flights where PIPELINING is known, one at a time where it is
 * not, refusals and failures on the way (RFC 2449 6.6, RFC 1939 7). Replies are
 * fed by hand, in any pieces.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "client.h"

/* Two texts, the first of which is ours. */
#define SAME(text, wanted) same((text), (wanted), __LINE__)
static void same(const char *text, const char *wanted, int line) {
  if (strcmp(text, wanted) != 0 && good)
    printf("# line %d: '%s' instead of '%s'\n", line, text, wanted);
  good = good && strcmp(text, wanted) == 0;
}

/* Numbers that are the same in every run. */
static uint64_t seed;
static size_t below(size_t bound) {
  seed = seed * 6364136223846793005u + 1442695040888963407u;
  return (size_t)(seed >> 33) % bound;
}

/* ------------------------------------------------------------ a client */

enum { ROOM = 65536 };
static pop3_config config;
static pop3_session *session;
static pop3_client client;
static pop3_failure failure;
static char left[ROOM];   /* commands since they were last looked at */
static char events[ROOM]; /* what the caller got to see, likewise */
static size_t piece;      /* octets of the next inputs; 0: any, at random */

static void add(char *log, const char *octets, size_t size) {
  size_t used = strlen(log);
  must(used + size < ROOM, "room for a log");
  memcpy(log + used, octets, size);
  log[used + size] = '\0';
}

static void add_text(char *log, const char *text) {
  add(log, text, strlen(text));
}

/* What was logged since the last time: "USER me|PASS secret|". */
static const char *taken(char *log) {
  static char text[2][ROOM];
  static int turn;
  turn = !turn;
  strcpy(text[turn], log);
  log[0] = '\0';
  return text[turn];
}

static void transmit(void) {
  pop3_span out;
  while ((out = pop3_session_output(session)).size > 0) {
    for (size_t i = 0; i < out.size; i++) {
      if (out.data[i] == '\n') add_text(left, "|");
      if (out.data[i] >= ' ') add(left, out.data + i, 1);
    }
    pop3_session_sent(session, out.size);
  }
}

static const char *commands(void) { return taken(left); }
static const char *seen(void) { return taken(events); }

static void show(const pop3_event *e) {
  if (e->type == POP3_EVENT_NONE) return;
  if (e->type == POP3_EVENT_STATUS) {
    add_text(events, pop3_command_get(e->command)->name);
    add_text(events, e->ok ? "+" : "-");
  } else if (e->type == POP3_EVENT_END) {
    add_text(events, ".");
  } else {
    add(events, e->text.data, e->text.size);
    if (e->type == POP3_EVENT_LINE && e->last) add_text(events, ";");
  }
}

/* Until the input is used up, or the operation has ended. */
static pop3_error take(const char *octets, size_t size) {
  pop3_event event;
  do {
    pop3_error error =
        pop3_client_next(&client, &octets, &size, &event, &failure);
    if (error != POP3_E_OK) return error;
    show(&event);
    if (client.handshake) return POP3_E_OK;
  } while (event.type != POP3_EVENT_NONE || (size > 0 && client.running));
  CHECK(size == 0 || !client.running);
  return POP3_E_OK;
}

/* The server's octets, in pieces; commands leave in between. */
static pop3_error feed(const char *text) {
  size_t size = strlen(text);
  while (size > 0) {
    size_t now = piece > 0 ? piece : 1 + below(size < 12 ? size : 12);
    if (now > size) now = size;
    pop3_error error = take(text, now);
    if (error != POP3_E_OK) return error;
    error = pop3_client_push(&client, &failure);
    if (error != POP3_E_OK) return error;
    transmit();
    text += now;
    size -= now;
  }
  return POP3_E_OK;
}

static pop3_error begin(const pop3_request *request) {
  pop3_error error = pop3_client_begin(&client, request, &failure);
  transmit();
  return error;
}

static void open_client(pop3_pipelining pipelining) {
  static const pop3_request open = {.operation = POP3_OP_OPEN};
  session = malloc(pop3_session_size(&config));
  must(session != NULL, "memory");
  session = pop3_session_init(session, &config);
  pop3_client_init(&client, session, &pop3_allocator_default);
  client.pipelining = pipelining;
  client.cleartext_allowed = true;
  piece = ROOM;
  CHECK(begin(&open) == POP3_E_OK);
  CHECK(feed("+OK\r\n") == POP3_E_OK);
  CHECK(!client.running);
  left[0] = events[0] = '\0';
}

static void close_client(void) {
  pop3_client_free(&client);
  free(session);
}

/* CAPA with or without PIPELINING, as the server in these tests says it. */
#define CAPA_WITH "+OK\r\nPIPELINING\r\nUIDL\r\n.\r\n"
#define CAPA_WITHOUT "+OK\r\nUIDL\r\n.\r\n"

static void learn(const char *reply) {
  static const pop3_request capa = {.operation = POP3_OP_CAPA};
  CHECK(begin(&capa) == POP3_E_OK);
  CHECK(feed(reply) == POP3_E_OK);
  CHECK(!client.running);
  left[0] = events[0] = '\0';
}

static const pop3_request login = {
    .operation = POP3_OP_LOGIN,
    .with = POP3_WITH_STAT | POP3_WITH_LISTING,
    .count = 2,
    .arguments = {{"me", 2}, {"secret", 6}},
};

static const pop3_request listing = {.operation = POP3_OP_LISTING};

static pop3_request many(pop3_command command, const char *tokens) {
  pop3_request request = {.operation = POP3_OP_MANY};
  request.command = command;
  request.tokens.data = tokens;
  request.tokens.size = strlen(tokens);
  return request;
}

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

/* ------------------------------------------------------------ any pieces */

/* What a server may say. */
static const char *const statuses[] = {"+OK\r\n", "-ERR no\r\n"};
static const char *const listings[] = {"+OK\r\n1 120\r\n2 x.y\r\n.\r\n",
                                       "-ERR no\r\n", "+OK\r\n.\r\n"};
static const char *const messages[] = {"+OK\r\n..x\r\n\r\n.\r\n", "-ERR\r\n",
                                       "+OK\r\n.\r\n"};

/* The same command gets the same answer, whenever it comes. */
static const char *answer(const char *command, uint64_t dice) {
  for (const char *at = command; *at != '|'; at++)
    dice = (dice ^ (uint64_t)*at) * 6364136223846793005u + 1442695040888963407u;
  size_t number = (size_t)(dice >> 40) % 3;
  if (strncmp(command, "CAPA", 4) == 0)
    return number == 0 ? CAPA_WITH : number == 1 ? CAPA_WITHOUT : "-ERR\r\n";
  if (strncmp(command, "LIST", 4) == 0 || strncmp(command, "UIDL", 4) == 0)
    return listings[number];
  if (strncmp(command, "RETR", 4) == 0) return messages[number];
  return statuses[(size_t)(number == 2 && (dice >> 35) % 2)];
}

/* All commands and events of one operation, and how it ended. */
static void converse(const pop3_request *request, uint64_t dice, char *log) {
  char replies[ROOM] = "";
  size_t looked_at = 0;
  pop3_error error = begin(request);
  while (error == POP3_E_OK && client.running) {
    char *bar;
    while ((bar = strchr(left + looked_at, '|')) != NULL) {
      add_text(replies, answer(left + looked_at, dice));
      looked_at = (size_t)(bar - left) + 1;
    }
    must(replies[0] != '\0', "a command to answer");
    size_t size = strlen(replies);
    size_t now = piece > 0 ? piece : 1 + below(9);
    if (now > size) now = size;
    error = take(replies, now);
    memmove(replies, replies + now, size - now + 1);
    if (error == POP3_E_OK) error = pop3_client_push(&client, &failure);
    transmit();
  }
  CHECK(pop3_session_inflight(session) == 0 || !good);
  CHECK(replies[0] == '\0');
  add_text(log, commands());
  add_text(log, seen());
  add_text(log, pop3_error_name(error));
}

static void play(const pop3_request *request, pop3_pipelining pipelining,
                 uint64_t dice, size_t pieces, char *log) {
  log[0] = '\0';
  open_client(pipelining);
  piece = pieces;
  converse(request, dice, log);
  close_client();
}

static void any_request(uint64_t round, pop3_request *request) {
  pop3_request requests[4] = {login, listing,
                              many(POP3_RETR, "1\n2\n3\n4\n5\n6\n7\n8\n"),
                              many(POP3_DELE, "1\n2\n3\n4\n5\n")};
  requests[2].with = POP3_WITH_QUIT;
  requests[0].learning = true;
  *request = requests[round % 4];
}

static void pieces_make_no_difference(void) {
  static char whole[ROOM], cut[ROOM];
  pop3_request request;
  for (uint64_t round = 0; good && round < 3000; round++) {
    pop3_pipelining pipelining = (pop3_pipelining)(round / 4 % 3);
    uint64_t dice = (round + 1) * 11400714819323198485u;
    any_request(round, &request);
    seed = round;
    play(&request, pipelining, dice, ROOM, whole);
    play(&request, pipelining, dice, round % 5 == 0 ? 1 : 0, cut);
    SAME(cut, whole);
  }
}

/* Whether it is asked first is what differs. */
static void leave_capa_out(char *log) {
  char *at;
  while ((at = strstr(log, "CAPA|")) != NULL)
    memmove(at, at + 5, strlen(at + 5) + 1);
}

/* However many may be in flight: each message is asked for, answered, shown. */
static void windows_make_no_difference(void) {
  static char wide[ROOM], narrow[ROOM];
  pop3_request request;
  for (uint64_t round = 0; good && round < 3000; round++) {
    uint64_t dice = (round + 1) * 11400714819323198485u;
    any_request(round | 2, &request); /* OP_MANY: no refusal ends it */
    seed = round;
    play(&request, POP3_PIPELINING_ALWAYS, dice, ROOM, wide);
    config.max_inflight = 1 + below(5);
    config.max_ahead = below(3) * 9;
    play(&request, (pop3_pipelining)(round / 4 % 3), dice, 0, narrow);
    pop3_config_init(&config);
    leave_capa_out(wide);
    leave_capa_out(narrow);
    SAME(narrow, wide);
  }
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
    TEST(pieces_make_no_difference),
    TEST(windows_make_no_difference),
};

int main(void) {
  pop3_config_init(&config);
  return RUN(tests);
}
