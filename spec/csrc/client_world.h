/*
 * client_world.h - a client for C tests, whose replies are fed by hand, in any
 * pieces, and what left and what its caller saw as text.
 */
#ifndef POP3_CLIENT_WORLD_H
#define POP3_CLIENT_WORLD_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "client.h"

/* Two texts, the first of which is ours. */
#define SAME(text, wanted) same((text), (wanted), __LINE__)
static inline void same(const char *text, const char *wanted, int line) {
  if (strcmp(text, wanted) != 0 && good)
    printf("# line %d: '%s' instead of '%s'\n", line, text, wanted);
  good = good && strcmp(text, wanted) == 0;
}

/* Numbers that are the same in every run. */
static uint64_t seed;
static inline size_t below(size_t bound) {
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

static inline void add(char *log, const char *octets, size_t size) {
  size_t used = strlen(log);
  must(used + size < ROOM, "room for a log");
  memcpy(log + used, octets, size);
  log[used + size] = '\0';
}

static inline void add_text(char *log, const char *text) {
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

static inline void transmit(void) {
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

static inline void show(const pop3_event *e) {
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
static inline pop3_error take(const char *octets, size_t size) {
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
static inline pop3_error feed(const char *text) {
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

static inline pop3_error begin(const pop3_request *request) {
  pop3_error error = pop3_client_begin(&client, request, &failure);
  transmit();
  return error;
}

static inline void open_client(pop3_pipelining pipelining) {
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

static inline void close_client(void) {
  pop3_client_free(&client);
  free(session);
}

/* CAPA with or without PIPELINING, as the server in these tests says it. */
#define CAPA_WITH "+OK\r\nPIPELINING\r\nUIDL\r\n.\r\n"
#define CAPA_WITHOUT "+OK\r\nUIDL\r\n.\r\n"

static inline void learn(const char *reply) {
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
    .auth = {"USER\n", 5}, /* the way in is client_auth_test.c's */
};

static const pop3_request listing = {.operation = POP3_OP_LISTING};

static inline pop3_request many(pop3_command command, const char *tokens) {
  pop3_request request = {.operation = POP3_OP_MANY};
  request.command = command;
  request.tokens.data = tokens;
  request.tokens.size = strlen(tokens);
  return request;
}

#endif
