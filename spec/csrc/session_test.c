/*
 * session_test.c - the engine's interface where a transcript cannot show it:
 * memory, wiping, windows, tables.
 *
 * build: cc -Icsrc session_test.c <engine>
 */
#include "session_world.h"

/* ------------------------------------------------------------ life */

static void limits_have_defaults(void) {
  pop3_config config;
  memset(&config, 0xff, sizeof config);
  pop3_config_init(&config);
  CHECK(config.max_line == 2048);
  CHECK(config.max_items == 5000000);
  CHECK(config.max_capabilities == 1000);
  CHECK(config.max_challenge == 65536);
  CHECK(config.max_rounds == 32);
  CHECK(config.max_octets == 1073741824);
  CHECK(!config.require_tls);
  CHECK(!config.lenient);
}

static void a_session_is_small(void) {
  pop3_config config;
  pop3_config_init(&config);
  CHECK(pop3_session_size(&config) <= 24576);
  config.max_items = config.max_octets = config.max_item = UINT64_MAX;
  config.max_challenge = config.max_rounds = UINT64_MAX;
  CHECK(pop3_session_size(&config) <= 24576);
  config.max_line = config.max_inflight = UINT64_MAX;
  CHECK(pop3_session_size(&config) <= 8u << 20);
}

static void a_session_needs_no_clean_memory(void) {
  fixture f;
  pop3_config_init(&f.config);
  open_session(&f);
  CHECK(pop3_session_error(f.session) == POP3_E_OK);
  CHECK(pop3_session_pending(f.session) == 0);
  CHECK(pop3_session_output(f.session).size == 0);
  CHECK(pop3_session_inflight(f.session) == 1); /* the greeting */
  CHECK(!pop3_session_is_secure(f.session));
  CHECK(!pop3_session_is_over(f.session));
  close_session(&f);
}

static void sessions_are_independent(void) {
  fixture one;
  fixture two;
  greeted(&one);
  greeted(&two);
  pop3_session_poison(one.session, POP3_E_IDLE);
  CHECK(queue(&one, POP3_NOOP, NULL) == POP3_E_IDLE);
  CHECK(queue(&two, POP3_NOOP, NULL) == POP3_E_OK);
  close_session(&one);
  close_session(&two);
}

static void poison_keeps_the_first_error(void) {
  fixture f;
  greeted(&f);
  pop3_session_poison(f.session, POP3_E_TOTAL);
  pop3_session_poison(f.session, POP3_E_IO);
  CHECK(pop3_session_error(f.session) == POP3_E_TOTAL);
  CHECK(pop3_session_eof(f.session) == POP3_E_TOTAL);
  close_session(&f);
}

/* ------------------------------------------------------------ commands */

static void tags_are_distinct_and_in_order(void) {
  fixture f;
  uint32_t tags[3];
  greeted(&f);
  for (int i = 0; i < 3; i++)
    pop3_session_command(f.session, POP3_NOOP, NULL, 0, 0, &tags[i]);
  CHECK(tags[0] != tags[1] && tags[1] != tags[2] && tags[0] != tags[2]);
  CHECK(tags[0] != 0);
  send_all(&f);
  for (int i = 0; i < 3; i++) CHECK(receive(&f, "+OK\r\n").tag == tags[i]);
  close_session(&f);
}

static void a_refused_command_writes_no_tag(void) {
  fixture f;
  uint32_t tag = 77;
  greeted(&f);
  pop3_span bad = span("1\r\n");
  CHECK(pop3_session_command(f.session, POP3_RETR, &bad, 1, 0, &tag) ==
        POP3_E_CONTROL);
  CHECK(tag == 77);
  CHECK(pop3_session_pending(f.session) == 0);
  CHECK(pop3_session_inflight(f.session) == 0);
  close_session(&f);
}

static void every_octet_of_an_argument_is_looked_at(void) {
  fixture f;
  greeted(&f);
  for (int octet = 0; octet < 256; octet++) {
    char text[3] = {'a', (char)octet, 'b'};
    pop3_span argument = {text, sizeof text};
    bool control = octet == '\r' || octet == '\n' || octet == 0;
    bool token = octet > ' ' && octet <= '~';
    pop3_error dele = control ? POP3_E_CONTROL
                      : token ? POP3_E_OK
                              : POP3_E_NOT_NUMBER;
    CHECK(pop3_session_command(f.session, POP3_USER, &argument, 1, 0, NULL) ==
          (control ? POP3_E_CONTROL : POP3_E_OK));
    CHECK(pop3_session_command(f.session, POP3_DELE, &argument, 1, 0, NULL) ==
          dele);
    send_all(&f);
    if (!control) receive(&f, "+OK\r\n");
    if (dele == POP3_E_OK) receive(&f, "+OK\r\n");
  }
  CHECK(pop3_session_error(f.session) == POP3_E_OK);
  close_session(&f);
}

static void no_row_is_no_command(void) {
  fixture f;
  greeted(&f);
  CHECK(queue(&f, POP3_GREETING, NULL) == POP3_E_ARGUMENT);
  CHECK(queue(&f, POP3_OTHER, "NOOP") == POP3_E_ARGUMENT);
  CHECK(queue(&f, (pop3_command)999, NULL) == POP3_E_ARGUMENT);
  close_session(&f);
}

static void the_window_fills_and_empties(void) {
  fixture f;
  greeted(&f);
  size_t sent = 0;
  while (queue(&f, POP3_NOOP, NULL) == POP3_E_OK) sent++;
  CHECK(sent == f.config.max_inflight);
  CHECK(pop3_session_inflight(f.session) == sent);
  CHECK(pop3_session_error(f.session) == POP3_E_OK);
  send_all(&f);
  receive(&f, "+OK\r\n");
  CHECK(queue(&f, POP3_NOOP, NULL) == POP3_E_OK);
  CHECK(queue(&f, POP3_NOOP, NULL) == POP3_E_AGAIN);
  close_session(&f);
}

/* What is sent and not answered waits in the kernels' buffers: not too much. */
static void commands_ahead_are_limited(void) {
  fixture f;
  pop3_config_init(&f.config);
  f.config.max_ahead = 20;
  open_session(&f);
  receive(&f, "+OK\r\n");
  CHECK(queue(&f, POP3_LIST, NULL) == POP3_E_OK); /* 6 octets */
  CHECK(queue(&f, POP3_NOOP, NULL) == POP3_E_OK);
  CHECK(queue(&f, POP3_NOOP, NULL) == POP3_E_OK);
  CHECK(queue(&f, POP3_NOOP, NULL) == POP3_E_AGAIN);
  send_all(&f);
  CHECK(queue(&f, POP3_NOOP, NULL) == POP3_E_AGAIN); /* sent is not answered */
  receive(&f, "+OK\r\n1 120\r\n");
  CHECK(queue(&f, POP3_NOOP, NULL) == POP3_E_AGAIN); /* nor is a half */
  receive(&f, ".\r\n");
  CHECK(queue(&f, POP3_NOOP, NULL) == POP3_E_OK);
  CHECK(queue(&f, POP3_NOOP, NULL) == POP3_E_AGAIN);
  send_all(&f);
  receive(&f, "+OK\r\n-ERR\r\n");
  CHECK(queue(&f, POP3_DELE, "1") == POP3_E_OK);  /* 8: 14 octets */
  CHECK(queue(&f, POP3_NOOP, NULL) == POP3_E_OK); /* exactly 20 */
  CHECK(queue(&f, POP3_NOOP, NULL) == POP3_E_AGAIN);
  close_session(&f);
}

static void one_command_may_always_go_ahead(void) {
  fixture f;
  pop3_config_init(&f.config);
  f.config.max_ahead = 1;
  open_session(&f);
  receive(&f, "+OK\r\n");
  for (int i = 0; i < 10; i++) {
    CHECK(queue(&f, POP3_UIDL, NULL) == POP3_E_OK);
    CHECK(queue(&f, POP3_NOOP, NULL) == POP3_E_AGAIN);
    send_all(&f);
    CHECK(queue(&f, POP3_NOOP, NULL) == POP3_E_AGAIN);
    receive(&f, "+OK\r\n.\r\n");
  }
  close_session(&f);
}

/* An answer to a challenge counts with the AUTH that it belongs to. */
static void answers_settle_with_their_command(void) {
  fixture f;
  pop3_config_init(&f.config);
  f.config.max_ahead = 12;
  open_session(&f);
  receive(&f, "+OK\r\n");
  CHECK(queue(&f, POP3_AUTH, "PLAIN") == POP3_E_OK);
  send_all(&f);
  receive(&f, "+ \r\n");
  CHECK(pop3_session_answer(f.session, span("AHRpbQB0YW5zdGFhZg==")) ==
        POP3_E_OK);
  send_all(&f);
  receive(&f, "+OK\r\n");
  CHECK(queue(&f, POP3_NOOP, NULL) == POP3_E_OK);
  CHECK(queue(&f, POP3_NOOP, NULL) == POP3_E_OK);
  CHECK(queue(&f, POP3_NOOP, NULL) == POP3_E_AGAIN);
  close_session(&f);
}

static void nothing_limits_what_goes_ahead(void) {
  fixture f;
  pop3_config_init(&f.config);
  CHECK(f.config.max_ahead == 16384);
  f.config.max_ahead = 0;
  f.config.max_inflight = 10000;
  open_session(&f);
  receive(&f, "+OK\r\n");
  for (int i = 0; i < 10000; i++) {
    CHECK(queue(&f, POP3_NOOP, NULL) == POP3_E_OK);
    send_all(&f);
  }
  close_session(&f);
}

static void the_ring_turns(void) {
  fixture f;
  pop3_config_init(&f.config);
  f.config.max_inflight = 3;
  open_session(&f);
  receive(&f, "+OK\r\n");
  for (int i = 0; i < 1000; i++) {
    CHECK(queue(&f, POP3_STAT, NULL) == POP3_E_OK);
    CHECK(queue(&f, POP3_NOOP, NULL) == POP3_E_OK);
    send_all(&f);
    CHECK(receive(&f, "+OK 1 2\r\n").command == POP3_STAT);
    CHECK(receive(&f, "+OK\r\n").command == POP3_NOOP);
  }
  close_session(&f);
}

static void the_output_fills_and_moves_up(void) {
  char name[301];
  fixture f;
  greeted(&f);
  memset(name, 'n', 300);
  name[300] = '\0';
  size_t queued = 0;
  while (queue(&f, POP3_USER, name) == POP3_E_OK) queued++;
  CHECK(queued > 3);
  CHECK(pop3_session_pending(f.session) == queued * 307);
  CHECK(queue(&f, POP3_USER, name) == POP3_E_AGAIN);
  pop3_session_sent(f.session, 307); /* the first left: room again */
  CHECK(queue(&f, POP3_USER, name) == POP3_E_OK);
  size_t seen = 0;
  pop3_span out;
  while ((out = pop3_session_output(f.session)).size > 0) {
    CHECK(out.data[0] == "USER nnn\r\n"[seen % 307 < 5     ? seen % 307
                                        : seen % 307 < 305 ? 5
                                                           : seen % 307 - 297]);
    pop3_session_sent(f.session, 1);
    seen++;
  }
  CHECK(seen == queued * 307);
  close_session(&f);
}

/* ------------------------------------------------------------ long lines */

/* Collect what leaves in pieces of at most `piece`. */
static size_t collect(fixture *f, char *wire, size_t piece) {
  size_t size = 0;
  pop3_span out;
  while ((out = pop3_session_output(f->session)).size > 0) {
    size_t now = out.size < piece ? out.size : piece;
    memcpy(wire + size, out.data, now);
    size += now;
    pop3_session_sent(f->session, now);
  }
  return size;
}

static void long_arguments_are_borrowed(void) {
  enum { LENGTH = 65536 };
  char *token = long_text(LENGTH, 'T');
  char *wire = get(malloc(2 * LENGTH));
  fixture f;
  greeted(&f);
  pop3_span arguments[2] = {{"XOAUTH2", 7}, {token, LENGTH}};
  CHECK(pop3_session_command(f.session, POP3_AUTH, arguments, 2, 0, NULL) ==
        POP3_E_OK);
  CHECK(!holds(&f, "TTTTTTTT"));
  CHECK(pop3_session_pending(f.session) == 5 + 7 + 1 + LENGTH + 2);
  size_t size = collect(&f, wire, 1000);
  CHECK(size == 5 + 7 + 1 + LENGTH + 2);
  CHECK(memcmp(wire, "AUTH XOAUTH2 TTT", 16) == 0);
  CHECK(memcmp(wire + size - 3, "T\r\n", 3) == 0);
  CHECK(pop3_session_pending(f.session) == 0);
  CHECK(!holds(&f, "TTTTTTTT"));
  CHECK(receive(&f, "+OK\r\n").ok);
  close_session(&f);
  free(wire);
  free(token);
}

static void a_long_line_waits_for_the_buffer(void) {
  enum { LENGTH = 10000 };
  char *name = long_text(LENGTH, 'u');
  char *wire = get(malloc(2 * LENGTH));
  fixture f;
  greeted(&f);
  CHECK(queue(&f, POP3_NOOP, NULL) == POP3_E_OK);
  CHECK(queue(&f, POP3_USER, name) == POP3_E_AGAIN);
  send_all(&f);
  CHECK(queue(&f, POP3_USER, name) == POP3_E_OK);
  CHECK(queue(&f, POP3_NOOP, NULL) == POP3_E_AGAIN);
  CHECK(collect(&f, wire, 1) == LENGTH + 7);
  CHECK(queue(&f, POP3_NOOP, NULL) == POP3_E_OK);
  send_all(&f);
  CHECK(receive(&f, "+OK\r\n").command == POP3_NOOP);
  CHECK(receive(&f, "+OK\r\n").command == POP3_USER);
  CHECK(receive(&f, "+OK\r\n").command == POP3_NOOP);
  close_session(&f);
  free(wire);
  free(name);
}

/* ------------------------------------------------------------ secrets */

static void what_was_sent_is_wiped(void) {
  fixture f;
  greeted(&f);
  CHECK(queue(&f, POP3_PASS, "tanstaaf-in-clear") == POP3_E_OK);
  CHECK(holds(&f, "tanstaaf-in-clear")); /* else this proves nothing */
  send_all(&f);
  CHECK(!holds(&f, "tanst"));
  CHECK(!holds(&f, "clear"));
  close_session(&f);
}

static void what_was_sent_piecewise_is_wiped(void) {
  fixture f;
  greeted(&f);
  CHECK(queue(&f, POP3_PASS, "tanstaaf-in-clear") == POP3_E_OK);
  pop3_session_sent(f.session, 5 + 8);
  CHECK(!holds(&f, "tanst"));
  CHECK(holds(&f, "-in-clear"));
  send_all(&f);
  CHECK(!holds(&f, "clear"));
  close_session(&f);
}

/* The rest of the buffer moves up over what was sent: no copy stays behind. */
static void what_moved_up_is_wiped(void) {
  char *name = long_text(1900, 'n');
  char *other = long_text(1000, 'm');
  fixture f;
  greeted(&f);
  CHECK(queue(&f, POP3_USER, name) == POP3_E_OK);
  CHECK(queue(&f, POP3_PASS, "tanstaaf-in-clear") == POP3_E_OK);
  pop3_session_sent(f.session, 1907);
  CHECK(queue(&f, POP3_USER, other) == POP3_E_OK);
  pop3_session_sent(f.session, 5 + 17 + 2);
  CHECK(pop3_session_pending(f.session) == 1007);
  CHECK(!holds(&f, "tanst"));
  CHECK(!holds(&f, "clear"));
  close_session(&f);
  free(other);
  free(name);
}

/* ------------------------------------------------------------ text lives */

static void text_points_into_the_input(void) {
  fixture f;
  pop3_config_init(&f.config);
  open_session(&f);
  const char *input = "+OK hello\r\n";
  const char *at = input;
  size_t size = strlen(input);
  pop3_event event;
  CHECK(pop3_session_feed(f.session, &at, &size, &event) == POP3_E_OK);
  CHECK(event.text.data == input);
  CHECK(event.text.size == 9);
  CHECK(size == 0 && at == input + 11);
  close_session(&f);
}

static void a_body_is_never_copied(void) {
  fixture f;
  greeted(&f);
  pop3_span number = span("1");
  pop3_session_command(f.session, POP3_RETR, &number, 1, 0, NULL);
  send_all(&f);
  receive(&f, "+OK\r\n");
  const char *input = "a\r\nb\r\nc";
  const char *at = input;
  size_t size = strlen(input);
  pop3_event event;
  CHECK(pop3_session_feed(f.session, &at, &size, &event) == POP3_E_OK);
  CHECK(event.type == POP3_EVENT_DATA);
  CHECK(event.text.data == input && event.text.size == 7);
  close_session(&f);
}

static void response_codes(void) {
  static const struct {
    const char *line;
    const char *code;
  } rows[] = {
      {"-ERR [IN-USE] busy", "IN-USE"},
      {"-ERR [SYS/TEMP] later", "SYS/TEMP"},
      {"-ERR [AUTH]", "AUTH"},
      {"-ERR [] x", ""},
      {"-ERR [X", ""},
      {"-ERR [", ""},
      {"-ERR ", ""},
      {"-ERR", ""},
      {"-ERR x [AUTH]", ""},
      {"-", ""},
      {"", ""},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    pop3_span code = pop3_response_code(span(rows[i].line));
    CHECK(code.size == strlen(rows[i].code));
    if (code.size > 0) CHECK(memcmp(code.data, rows[i].code, code.size) == 0);
  }
}

static void tables_answer_any_value(void) {
  for (int i = -1; i <= POP3_ERROR_COUNT + 1; i++) {
    CHECK(pop3_error_kind((pop3_error)i) != NULL);
    CHECK(pop3_error_name((pop3_error)i) != NULL);
    CHECK(pop3_error_text((pop3_error)i) != NULL);
  }
  for (int i = -1; i <= POP3_OTHER + 1; i++)
    CHECK(pop3_command_get((pop3_command)i) != NULL);
  CHECK(pop3_command_find("retr", 4) == POP3_RETR);
  CHECK(pop3_command_find("ReTr 1", 6) == POP3_RETR);
  CHECK(pop3_command_find("RETRX", 5) == POP3_OTHER);
  CHECK(pop3_command_find("RET", 3) == POP3_OTHER);
  CHECK(pop3_command_find("", 0) == POP3_OTHER);
}

/* ------------------------------------------------------------ all */

static const test tests[] = {
    TEST(limits_have_defaults),
    TEST(a_session_is_small),
    TEST(a_session_needs_no_clean_memory),
    TEST(sessions_are_independent),
    TEST(poison_keeps_the_first_error),
    TEST(tags_are_distinct_and_in_order),
    TEST(a_refused_command_writes_no_tag),
    TEST(every_octet_of_an_argument_is_looked_at),
    TEST(no_row_is_no_command),
    TEST(the_window_fills_and_empties),
    TEST(commands_ahead_are_limited),
    TEST(one_command_may_always_go_ahead),
    TEST(answers_settle_with_their_command),
    TEST(nothing_limits_what_goes_ahead),
    TEST(the_ring_turns),
    TEST(the_output_fills_and_moves_up),
    TEST(long_arguments_are_borrowed),
    TEST(a_long_line_waits_for_the_buffer),
    TEST(what_was_sent_is_wiped),
    TEST(what_was_sent_piecewise_is_wiped),
    TEST(what_moved_up_is_wiped),
    TEST(text_points_into_the_input),
    TEST(a_body_is_never_copied),
    TEST(response_codes),
    TEST(tables_answer_any_value),
};

int main(void) { return RUN(tests); }
