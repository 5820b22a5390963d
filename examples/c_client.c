/*
 * c_client.c - a POP3 client in C, without Lua: TLS, login, and the first
 * message, in a poll(2) loop of the program's own.
 *
 *   scripts/amalgamate
 *   cc -Ibuild/amalgamation -DPOP3_NO_LUA examples/c_client.c
 *      build/amalgamation/pop3.c -lssl -lcrypto -lpthread -ldl
 *   ./a.out HOST PORT implicit|starttls USER [CAFILE] < file-with-the-password
 */
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pop3.h"

static void fail(const pop3_failure *failure) {
  const char *why = failure->text;
  if (failure->response_size == 0 && why[0] == '\0')
    why = pop3_error_text(failure->error);
  fprintf(stderr, "c_client: %s%.*s\n", why, (int)failure->response_size,
          failure->response);
  exit(1);
}

static void stop(const char *why) {
  fprintf(stderr, "c_client: %s\n", why);
  exit(1);
}

/* ------------------------------------------------------------ the loop */

/* Wait for what the connection waits for; a program that has other descriptors
 * or timers puts them into the same poll. */
static void wait_for(const pop3_conn *conn) {
  const pop3_interest *interests;
  struct pollfd fds[POP3_INTERESTS];
  size_t count = pop3_conn_interests(conn, &interests);
  for (size_t i = 0; i < count; i++) {
    short events = interests[i].readable ? POLLIN : 0;
    if (interests[i].writable) events |= POLLOUT;
    fds[i] = (struct pollfd){interests[i].fd, events, 0};
  }
  double left = pop3_conn_deadline(conn) - pop3_now();
  int most = isinf(left) ? -1 : left > 0 ? (int)(left * 1000) + 1 : 0;
  (void)poll(fds, count, most);
}

/* Until there is an event for us, or the operation is done. */
static pop3_step advance(pop3_conn *conn) {
  for (;;) {
    pop3_step step = pop3_conn_step(conn, pop3_now(), 65536);
    if (step == POP3_STEP_FAILED) fail(pop3_conn_failure(conn));
    if (step == POP3_STEP_DONE || step == POP3_STEP_EVENT) return step;
    if (step == POP3_STEP_WAIT) wait_for(conn);
  }
}

/* Run an operation; the octets of a message go to stdout as they come. */
static uint64_t run(pop3_conn *conn, pop3_request request) {
  uint64_t octets = 0;
  if (pop3_conn_begin(conn, &request, pop3_now()) != POP3_E_OK)
    fail(pop3_conn_failure(conn));
  while (advance(conn) == POP3_STEP_EVENT) {
    const pop3_event *event = pop3_conn_event(conn);
    if (event->type == POP3_EVENT_DATA)
      fwrite(event->text.data, 1, event->text.size, stdout);
    if (event->type == POP3_EVENT_END) octets = event->octets;
    if (event->type == POP3_EVENT_STATUS)
      printf("%s %.*s\n", pop3_command_get(event->command)->name,
             (int)event->text.size, event->text.data);
  }
  return octets; /* the operation is done, so the message is complete */
}

/* ------------------------------------------------------------ a session */

static pop3_span span_of(const char *text) {
  return (pop3_span){text, strlen(text)};
}

static void log_in(pop3_conn *conn, const char *user) {
  char password[256];
  if (fgets(password, sizeof password, stdin) == NULL) stop("no password");
  password[strcspn(password, "\r\n")] = '\0';
  run(conn, (pop3_request){.operation = POP3_OP_LOGIN,
                           .count = 2,
                           .arguments = {span_of(user), span_of(password)}});
  pop3_wipe(password, sizeof password);
}

static void read_mail(pop3_conn *conn) {
  pop3_request stat = {.operation = POP3_OP_COMMAND, .command = POP3_STAT};
  pop3_request retr = {.operation = POP3_OP_COMMAND,
                       .command = POP3_RETR,
                       .arguments = {span_of("1")},
                       .count = 1};
  pop3_request quit = {.operation = POP3_OP_COMMAND, .command = POP3_QUIT};
  run(conn, stat);
  printf("%llu octets\n", (unsigned long long)run(conn, retr));
  run(conn, quit);
}

int main(int count, char **arguments) {
  if (count < 5)
    stop("usage: HOST PORT implicit|starttls USER [CAFILE] < password");
  const char *host = arguments[1];

  /* One context for all connections with the same TLS options. */
  pop3_failure failure;
  pop3_tls_context *context;
  pop3_tls_options tls;
  pop3_tls_options_init(&tls);
  if (count > 5) tls.cafile = arguments[5];
  if (pop3_tls_context_new(&tls, &context, &failure) != POP3_E_OK)
    fail(&failure);

  pop3_conn_options options;
  pop3_conn_options_init(&options);
  options.timeout = 30;
  options.tls = strcmp(arguments[3], "implicit") == 0 ? POP3_TLS_IMPLICIT
                                                      : POP3_TLS_STARTTLS;
  void *memory = malloc(pop3_conn_size(&options));
  if (memory == NULL) stop("out of memory");
  pop3_conn *conn = pop3_conn_init(memory, &options, &pop3_allocator_default);

  if (pop3_conn_open(conn, host, strlen(host), (unsigned)atoi(arguments[2]),
                     context, pop3_now()) != POP3_E_OK)
    fail(pop3_conn_failure(conn));
  while (advance(conn) == POP3_STEP_EVENT) continue; /* the greeting */
  log_in(conn, arguments[4]);
  read_mail(conn);

  pop3_conn_close(conn);
  pop3_tls_context_release(context);
  free(memory);
  return 0;
}
