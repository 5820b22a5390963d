/*
 * conn_world.h - a connection for C tests as a host has it that must not block,
 * and its server in this same thread, so that nothing depends on time or on who
 * runs first. The clock is the test's own. To be included once, and first.
 */
#ifndef POP3_CONN_WORLD_H
#define POP3_CONN_WORLD_H

#define _GNU_SOURCE

#include <dirent.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "conn.h"
#include "loopback.h"

#define PATIENCE 10000 /* milliseconds until the test itself is broken */
#define PIECE 65536

static double now;

/* ------------------------------------------------------------ the world */

static inline int count_descriptors(void) {
  int count = 0;
  DIR *folder = opendir("/proc/self/fd");
  must(folder != NULL, "/proc/self/fd");
  while (readdir(folder) != NULL) count++;
  (void)closedir(folder);
  return count;
}

/* An allocator that counts, and fails from its `hunger`-th allocation on. */
static long allocated, hunger;

static inline void *resize(void *state, void *block, size_t old, size_t size) {
  (void)state;
  if (size > 0 && hunger > 0 && --hunger == 0) {
    hunger = 1; /* and from now on */
    return NULL;
  }
  allocated += (long)size - (block != NULL ? (long)old : 0);
  if (size > 0) return realloc(block, size);
  free(block);
  return NULL;
}

static const pop3_allocator allocator = {resize, NULL};

/* ------------------------------------------------------------ a server */

static int listener;
static unsigned port;

static inline int accept_one(void) {
  struct pollfd ready = {listener, POLLIN, 0};
  must(poll(&ready, 1, PATIENCE) == 1, "a client");
  return accept4(listener, NULL, NULL, SOCK_CLOEXEC);
}

static inline void say(int peer, const char *octets) {
  size_t size = strlen(octets);
  must(send(peer, octets, size, MSG_NOSIGNAL) == (ssize_t)size, "to say it");
}

/* All that is there now, and something. */
static inline const char *hear(int peer) {
  static char octets[PIECE];
  struct pollfd ready = {peer, POLLIN, 0};
  must(poll(&ready, 1, PATIENCE) == 1, "to hear something");
  ssize_t size = recv(peer, octets, sizeof octets - 1, 0);
  must(size >= 0, "to hear");
  octets[size] = '\0';
  return octets;
}

/* ------------------------------------------------------------ a client */

static pop3_conn_options options;

static inline pop3_conn *create(void) {
  return pop3_conn_init(malloc(pop3_conn_size(&options)), &options, &allocator);
}

static inline void destroy(pop3_conn *c) {
  pop3_conn_close(c);
  free(c);
}

static inline pop3_error open_at(pop3_conn *c, const char *host, unsigned at,
                                 pop3_tls_context *context) {
  return pop3_conn_open(c, host, strlen(host), at, context, now);
}

/* Step until something else than AGAIN comes; it never takes more than its
 * share. */
static inline pop3_step settle(pop3_conn *c) {
  pop3_step step;
  do step = pop3_conn_step(c, now, PIECE);
  while (step == POP3_STEP_AGAIN);
  return step;
}

static inline bool is_ready(const pop3_conn *c, int milliseconds) {
  const pop3_interest *interests;
  struct pollfd fds[POP3_INTERESTS];
  size_t count = pop3_conn_interests(c, &interests);
  for (size_t i = 0; i < count; i++) {
    fds[i].fd = interests[i].fd;
    fds[i].events = (short)((interests[i].readable ? POLLIN : 0) |
                            (interests[i].writable ? POLLOUT : 0));
  }
  return poll(fds, count, milliseconds) > 0;
}

/* The same, but waiting for the interests as long as that is needed. */
static inline pop3_step finish(pop3_conn *c) {
  for (;;) {
    pop3_step step = settle(c);
    if (step != POP3_STEP_WAIT) return step;
    must(is_ready(c, PATIENCE), "something to happen");
  }
}

static inline pop3_error begin(pop3_conn *c, pop3_operation operation,
                               pop3_command command, const char *argument) {
  pop3_request request = {
      .operation = operation, .command = command, .flags = POP3_AS_LINES};
  if (argument != NULL) {
    request.count = 1;
    request.arguments[0].data = argument;
    request.arguments[0].size = strlen(argument);
  }
  return pop3_conn_begin(c, &request, now);
}

static inline bool failed_as(const pop3_conn *c, pop3_error error) {
  pop3_error got = pop3_conn_failure(c)->error;
  if (got != error) printf("# failed as %s\n", pop3_error_name(got));
  return got == error;
}

/* Connected; the greeting, or the handshake, is awaited. */
static inline pop3_conn *connected(int *peer, pop3_tls_context *context) {
  pop3_conn *c = create();
  must(open_at(c, "127.0.0.1", port, context) == POP3_E_OK, "to open");
  must(settle(c) == POP3_STEP_WAIT, "to connect");
  *peer = accept_one();
  return c;
}

/* Connected and greeted; *peer is the server's end. */
static inline pop3_conn *greeted(int *peer) {
  pop3_conn *c = connected(peer, NULL);
  say(*peer, "+OK ready\r\n");
  must(finish(c) == POP3_STEP_DONE, "a greeting");
  return c;
}
static inline pop3_tls_context *trusting(void) {
  pop3_tls_context *context;
  pop3_tls_options tls;
  pop3_failure failure;
  pop3_tls_options_init(&tls);
  tls.verify = tls.check_hostname = false;
  must(pop3_tls_context_new(&tls, &context, &failure) == POP3_E_OK,
       "a client's context");
  return context;
}

/* ------------------------------------------------------------ all claims */

typedef struct claim {
  void (*run)(void);
  const char *text;
} claim;

/* Each leaves descriptors and memory as they were. */
static inline void run_claim(const claim *c) {
  good = true;
  now = 1000;
  pop3_conn_options_init(&options);
  int before = count_descriptors();
  c->run();
  CHECK(count_descriptors() == before);
  CHECK(allocated == 0);
  printf("%s - %s\n", good ? "ok" : "not ok", c->text);
}

#define RUN_CLAIMS(claims) run_claims(claims, sizeof(claims) / sizeof *(claims))
static inline int run_claims(const claim *claims, size_t count) {
  int failures = 0;
  listener = listen_on(64, &port);
  (void)count_descriptors();
  for (size_t i = 0; i < count; i++) {
    run_claim(&claims[i]);
    failures += !good;
  }
  return failures > 0;
}

#endif
