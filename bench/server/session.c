#define _GNU_SOURCE
#include "session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

typedef struct context {
  connection *conn;
  const service *service;
  char *arguments;
  uint64_t now;
} context;

typedef void (*handler)(const context *c);

static void say(const context *c, const char *text) {
  connection_copy(c->conn, text, c->now);
}

static void give(const context *c, span octets) {
  connection_send(c->conn, octets, c->now);
}

static const image *chosen(const context *c) {
  long number = strtol(c->arguments, NULL, 10);
  if (number < 1 || number > c->service->box.messages) return NULL;
  return &c->service->box.images[number - 1];
}

static void ok(const context *c) { say(c, "+OK\r\n"); }

static void no_message(const context *c) { say(c, "-ERR no such message\r\n"); }

static void capa(const context *c) {
  char text[120];
  snprintf(text, sizeof text, "+OK\r\nUSER\r\nTOP\r\nUIDL\r\n%s%s.\r\n",
           c->service->auth ? "SASL SCRAM-SHA-256 PLAIN\r\n" : "",
           c->service->pipelining ? "PIPELINING\r\n" : "");
  say(c, text);
}

static void auth(const context *c) {
  say(c, scram_begin(&c->conn->login, c->arguments));
}

static void stat(const context *c) {
  char text[80];
  const mailbox *box = &c->service->box;
  snprintf(text, sizeof text, "+OK %ld %zu\r\n", box->messages, box->listed);
  say(c, text);
}

static void list(const context *c) {
  char text[80];
  const image *one = chosen(c);
  if (*c->arguments == '\0') {
    give(c, c->service->box.list);
    return;
  }
  if (one == NULL) {
    no_message(c);
    return;
  }
  snprintf(text, sizeof text, "+OK %s %zu\r\n", c->arguments, one->listed);
  say(c, text);
}

static void uidl(const context *c) {
  char text[80], uid[17];
  if (*c->arguments == '\0') {
    give(c, c->service->box.uidl);
    return;
  }
  if (chosen(c) == NULL) {
    no_message(c);
    return;
  }
  mailbox_uid(strtol(c->arguments, NULL, 10), uid);
  snprintf(text, sizeof text, "+OK %s %s\r\n", c->arguments, uid);
  say(c, text);
}

static void retr(const context *c) {
  const image *one = chosen(c);
  if (one == NULL) {
    no_message(c);
    return;
  }
  give(c, one->head);
  for (long i = 0; i < one->repeat; i++) give(c, one->block);
  give(c, one->tail);
}

/* The headers, whatever the number of lines. */
static void top(const context *c) {
  const image *one = chosen(c);
  if (one == NULL) {
    no_message(c);
    return;
  }
  size_t room = one->head.size < 512 ? one->head.size : 512;
  const char *end = memmem(one->head.octets, room, "\r\n\r\n", 4);
  size_t size = end == NULL ? one->head.size : (size_t)(end - one->head.octets);
  give(c, (span){one->head.octets, size});
  if (end != NULL) say(c, "\r\n\r\n.\r\n");
}

static void quit(const context *c) {
  ok(c);
  c->conn->ending = true;
}

static const struct {
  const char *name;
  handler handle;
} commands[] = {
    {"RETR", retr}, {"TOP", top},   {"LIST", list}, {"UIDL", uidl},
    {"USER", ok},   {"PASS", ok},   {"STAT", stat}, {"QUIT", quit},
    {"DELE", ok},   {"CAPA", capa}, {"NOOP", ok},   {"RSET", ok},
    {"AUTH", auth},
};

static handler find(const char *name) {
  for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
    if (strcasecmp(name, commands[i].name) == 0) return commands[i].handle;
  return NULL;
}

void session_greet(connection *conn, uint64_t now) {
  connection_copy(conn, "+OK ready\r\n", now);
}

static void answer_command(connection *conn, const service *service, char *line,
                           uint64_t now) {
  size_t word = strcspn(line, " ");
  context c = {conn, service, line + word, now};
  if (*c.arguments == ' ') *c.arguments++ = '\0';
  handler handle = find(line);
  if (handle == NULL) say(&c, "-ERR unknown command\r\n");
  else handle(&c);
}

void session_answer(connection *conn, const service *service, char *line,
                    uint64_t now) {
  if (conn->login.step == SCRAM_IDLE) answer_command(conn, service, line, now);
  else connection_copy(conn, scram_continue(&conn->login, line), now);
  connection_replied(conn);
}
