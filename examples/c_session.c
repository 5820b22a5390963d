/*
 * c_session.c - a POP3 client on the engine alone: its own socket, its own
 * loop, no TLS, no Lua. Prints the mailbox's listing and its first message.
 *
 *   cc -Icsrc examples/c_session.c csrc/session.c csrc/reply.c csrc/body.c csrc/scan.c csrc/tables.c
 *   ./a.out HOST PORT USER < file-with-the-password
 *
 * What is sent here goes over the network in clear: for local servers only.
 */
#define _POSIX_C_SOURCE 200112L
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pop3.h"

typedef struct client {
  int fd;
  pop3_session *session;
  char buffer[16384]; /* what was received; events point into it */
  const char *at;     /* and how much of it is not consumed */
  size_t left;
} client;

static void fail(const char *what) {
  fprintf(stderr, "c_session: %s\n", what);
  exit(1);
}

static int connect_to(const char *host, const char *port) {
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
  struct addrinfo *list;
  if (getaddrinfo(host, port, &hints, &list) != 0) fail("unknown host");
  int fd = -1;
  for (struct addrinfo *a = list; a != NULL && fd < 0; a = a->ai_next) {
    fd = socket(a->ai_family, a->ai_socktype, a->ai_protocol);
    if (fd < 0 || connect(fd, a->ai_addr, a->ai_addrlen) == 0) continue;
    close(fd);
    fd = -1;
  }
  freeaddrinfo(list);
  if (fd < 0) fail("cannot connect");
  return fd;
}

/* Transmit everything that the engine wants transmitted. */
static void transmit(client *c) {
  pop3_span out;
  while ((out = pop3_session_output(c->session)).size > 0) {
    ssize_t sent = send(c->fd, out.data, out.size, MSG_NOSIGNAL);
    if (sent <= 0) fail("cannot send");
    pop3_session_sent(c->session, (size_t)sent);
  }
}

/* The next event, from what is there or what arrives. */
static pop3_event next_event(client *c) {
  pop3_event event;
  for (;;) {
    pop3_error error = pop3_session_feed(c->session, &c->at, &c->left, &event);
    if (error != POP3_E_OK) fail(pop3_error_text(error));
    if (event.type != POP3_EVENT_NONE) return event;
    ssize_t got = recv(c->fd, c->buffer, sizeof c->buffer, 0);
    if (got < 0) fail("cannot receive");
    if (got == 0) fail(pop3_error_text(pop3_session_eof(c->session)));
    c->at = c->buffer;
    c->left = (size_t)got;
  }
}

static void print(pop3_span text, const char *end) {
  fwrite(text.data, 1, text.size, stdout);
  fputs(end, stdout);
}

/* A reply to its end: the status line and what follows it. */
static void print_reply(client *c, const char *label) {
  pop3_event event = next_event(c);
  printf("%s: ", label);
  print(event.text, "\n");
  if (!event.ok) fail("the server refused");
  while (event.more || event.type != POP3_EVENT_STATUS) {
    event = next_event(c);
    if (event.type == POP3_EVENT_END) break;
    print(event.text, event.last ? "\n" : "");
  }
}

/* Send a command with at most one argument and print the reply. */
static void run(client *c, pop3_command command, const char *argument) {
  pop3_span span = {argument, argument == NULL ? 0 : strlen(argument)};
  pop3_error error = pop3_session_command(
      c->session, command, &span, argument != NULL, POP3_AS_LINES, NULL);
  if (error != POP3_E_OK) fail(pop3_error_text(error));
  transmit(c);
  print_reply(c, pop3_command_get(command)->name);
}

int main(int count, char **arguments) {
  static client c;
  char password[256];
  pop3_config config;
  if (count != 4) fail("usage: c_session HOST PORT USER < password");
  if (fgets(password, sizeof password, stdin) == NULL) fail("no password");
  password[strcspn(password, "\r\n")] = '\0';

  pop3_config_init(&config);
  void *memory = malloc(pop3_session_size(&config));
  if (memory == NULL) fail("out of memory");
  c.session = pop3_session_init(memory, &config);
  c.fd = connect_to(arguments[1], arguments[2]);

  print_reply(&c, "greeting");
  run(&c, POP3_USER, arguments[3]);
  run(&c, POP3_PASS, password);
  run(&c, POP3_STAT, NULL);
  run(&c, POP3_LIST, NULL);
  run(&c, POP3_RETR, "1");
  run(&c, POP3_QUIT, NULL);

  memset(password, 0, sizeof password);
  close(c.fd);
  free(memory);
  return 0;
}
