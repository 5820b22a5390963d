/*
 * session_size_test.c - input of any size to the engine: what is endless ends
 * at its limit, what is long takes time in proportion.
 *
 * build: cc -Icsrc session_size_test.c <engine>
 */
#include "session_world.h"

/* ------------------------------------------------------------ endless */

/* What one stream of equal blocks came to. */
typedef struct stream {
  pop3_error error;
  uint64_t octets;
  uint64_t calls;
  uint64_t text;
} stream;

/* Feed `block` again and again, up to `total` octets or an error. */
static stream pour(fixture *f, const char *block, size_t size, uint64_t total) {
  stream result = {POP3_E_OK, 0, 0, 0};
  while (result.octets < total) {
    const char *at = block;
    size_t left = size;
    pop3_event event;
    do {
      result.error = pop3_session_feed(f->session, &at, &left, &event);
      result.calls++;
      if (result.error != POP3_E_OK) return result;
      result.text += event.text.size;
    } while (event.type != POP3_EVENT_NONE);
    result.octets += size;
  }
  return result;
}

enum { BLOCK = 65536 };
#define GIB (UINT64_C(1) << 30)

static void ask(fixture *f, pop3_command command, const char *argument,
                unsigned flags, const char *reply) {
  pop3_span span_of = {argument, argument == NULL ? 0 : strlen(argument)};
  CHECK(pop3_session_command(f->session, command, &span_of, argument != NULL,
                             flags, NULL) == POP3_E_OK);
  send_all(f);
  receive(f, reply);
}

/* R06: what never ends is refused after its limit, from one buffer. */
static void endless_lines_end_at_their_limit(void) {
  char *block = long_text(BLOCK, 'x');
  static const struct {
    pop3_command command;
    const char *reply;
    pop3_error error;
    uint64_t most;
  } rows[] = {
      {POP3_GREETING, "", POP3_E_LINE, BLOCK},
      {POP3_STAT, "", POP3_E_LINE, BLOCK},
      {POP3_LIST, "+OK\r\n", POP3_E_ITEM, 2 * BLOCK},
      {POP3_UIDL, "+OK\r\n", POP3_E_ITEM, 2 * BLOCK},
      {POP3_CAPA, "+OK\r\n", POP3_E_LINE, BLOCK},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    fixture f;
    pop3_config_init(&f.config);
    open_session(&f);
    if (rows[i].command != POP3_GREETING) {
      receive(&f, "+OK\r\n");
      ask(&f, rows[i].command, NULL, 0, rows[i].reply);
    }
    stream s = pour(&f, block, BLOCK, GIB);
    CHECK(s.error == rows[i].error);
    CHECK(s.octets < rows[i].most);
    close_session(&f);
  }
  free(block);
}

static void an_endless_challenge_ends_at_its_limit(void) {
  char *block = long_text(BLOCK, 'A');
  fixture f;
  greeted(&f);
  ask(&f, POP3_AUTH, "X", 0, "+ ");
  stream s = pour(&f, block, BLOCK, GIB);
  CHECK(s.error == POP3_E_CHALLENGE);
  CHECK(s.octets <= BLOCK);
  close_session(&f);
  free(block);
}

/* T17: a line of a GiB is one line, in parts, under a higher limit. */
static void a_line_of_a_gibibyte(void) {
  char *block = long_text(BLOCK, 'x');
  for (int as_lines = 0; as_lines < 2; as_lines++) {
    fixture f;
    pop3_config_init(&f.config);
    f.config.max_octets = 0;
    open_session(&f);
    receive(&f, "+OK\r\n");
    ask(&f, POP3_RETR, "1", as_lines ? POP3_AS_LINES : 0, "+OK\r\n");
    stream s = pour(&f, block, BLOCK, GIB);
    CHECK(s.error == POP3_E_OK);
    CHECK(s.text == GIB);
    CHECK(s.calls <= 2 * GIB / BLOCK);
    pop3_event end = receive(&f, "\r\n.\r\n");
    CHECK(end.type == POP3_EVENT_END);
    CHECK(end.octets == GIB + 2);
    close_session(&f);
  }
  free(block);
}

static void a_message_ends_at_max_octets(void) {
  char *block = long_text(BLOCK, 'x');
  fixture f;
  pop3_config_init(&f.config);
  f.config.max_octets = 10 * BLOCK;
  open_session(&f);
  receive(&f, "+OK\r\n");
  ask(&f, POP3_RETR, "1", 0, "+OK\r\n");
  stream s = pour(&f, block, BLOCK, GIB);
  CHECK(s.error == POP3_E_OCTETS);
  CHECK(s.octets == 10 * BLOCK);
  close_session(&f);
  free(block);
}

/* T18: a mail of ".." lines costs one call a line, never more. */
static void dotted_lines_are_linear(void) {
  enum { LINES = 16384 };
  char *block = get(malloc(4 * LINES + 1));
  for (size_t i = 0; i < LINES; i++) memcpy(block + 4 * i, "..\r\n", 4);
  for (unsigned flags = 0; flags <= POP3_AS_LINES; flags += POP3_AS_LINES) {
    fixture f;
    greeted(&f);
    ask(&f, POP3_RETR, "1", flags, "+OK\r\n");
    stream s = pour(&f, block, 4 * LINES, 64 * 4 * LINES);
    CHECK(s.error == POP3_E_OK);
    CHECK(s.calls <= 64 * (LINES + 1));
    CHECK(receive(&f, ".\r\n").octets == 64 * 3 * LINES);
    close_session(&f);
  }
  free(block);
}

/* ... and in place one call a read, like any other. */
static void dotted_lines_in_place_are_one_span(void) {
  enum { LINES = 16384, ROUNDS = 64 };
  char *block = get(malloc(4 * LINES));
  fixture f;
  greeted(&f);
  ask(&f, POP3_RETR, "1", POP3_IN_PLACE, "+OK\r\n");
  for (size_t round = 0; round < ROUNDS; round++) {
    for (size_t i = 0; i < LINES; i++) memcpy(block + 4 * i, "..\r\n", 4);
    stream s = pour(&f, block, 4 * LINES, 4 * LINES);
    CHECK(s.error == POP3_E_OK);
    CHECK(s.calls == 2);
    CHECK(s.text == 3 * LINES);
    for (size_t i = 0; i < LINES; i++)
      CHECK(memcmp(block + 1 + 3 * i, ".\r\n", 3) == 0);
  }
  CHECK(receive(&f, ".\r\n").octets == ROUNDS * 3 * LINES);
  close_session(&f);
  free(block);
}

/* A mail without dots costs one call a read, however many lines it has. */
static void plain_lines_are_one_span(void) {
  enum { LINES = 8192 };
  char *block = get(malloc(8 * LINES + 1));
  for (size_t i = 0; i < LINES; i++) memcpy(block + 8 * i, "abcdef\r\n", 8);
  fixture f;
  greeted(&f);
  ask(&f, POP3_RETR, "1", 0, "+OK\r\n");
  stream s = pour(&f, block, 8 * LINES, 64 * 8 * LINES);
  CHECK(s.error == POP3_E_OK);
  CHECK(s.calls == 2 * 64);
  close_session(&f);
  free(block);
}

/* A server that sends one octet at a time costs one call an octet. */
static void a_drip_is_linear(void) {
  fixture f;
  greeted(&f);
  ask(&f, POP3_LIST, NULL, 0, "+OK\r\n");
  uint64_t calls = 0;
  for (int i = 0; i < 10000; i++) {
    for (const char *c = "1 120\r\n"; *c != '\0'; c++)
      calls += pour(&f, c, 1, 1).calls;
  }
  CHECK(pop3_session_error(f.session) == POP3_E_OK);
  CHECK(calls <= 2 * 70000);
  close_session(&f);
}

/* ------------------------------------------------------------ all */

static const test tests[] = {
    TEST(endless_lines_end_at_their_limit),
    TEST(an_endless_challenge_ends_at_its_limit),
    TEST(a_line_of_a_gibibyte),
    TEST(a_message_ends_at_max_octets),
    TEST(dotted_lines_are_linear),
    TEST(dotted_lines_in_place_are_one_span),
    TEST(plain_lines_are_one_span),
    TEST(a_drip_is_linear),
};

int main(void) { return RUN(tests); }
