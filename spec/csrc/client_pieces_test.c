/*
 * client_pieces_test.c - neither how replies are cut nor how large the window is
 * changes what an operation comes to: any request, any answers.
 */
#include "client_world.h"

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
    TEST(pieces_make_no_difference),
    TEST(windows_make_no_difference),
};

int main(void) {
  pop3_config_init(&config);
  return RUN(tests);
}
