/*
 * A POP3 server that is never what is measured: replies are made beforehand
 * and leave in large writes, by one epoll loop for any number of clients.
 *
 *   server [--messages N] [--size OCTETS] [--dots] [--rtt MS]
 *          [--no-pipelining] [--scram ITERATIONS] [--cert FILE --key FILE]
 *          [--no-digest]
 *
 * The first line on stdout tells, in JSON, the ports and what a client must
 * deliver. A line on stdin is answered by what was counted since the line
 * before; the end of stdin, or SIGTERM, ends the server. --rtt delays each
 * direction of plain connections by half of it, without limiting throughput.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "session.h"

enum { EVENTS = 256, CONNECTIONS = 4096, BACKLOG = 4096 };

typedef struct options {
  service service;
  uint64_t delay;
  const char *certificate, *key;
  bool digest;
} options;

typedef struct server {
  options options;
  int poll, timer, plain, tls;
  SSL_CTX *context;
  connection *connections[CONNECTIONS]; /* by descriptor */
} server;

static server self;
static volatile sig_atomic_t stopped;

static void stop(int number) {
  (void)number;
  stopped = 1;
}

static void fail(const char *what) {
  perror(what);
  exit(71);
}

static uint64_t nanoseconds(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/* ------------------------------------------------------------ reports */

static void introduce(void) {
  const mailbox *box = &self.options.service.box;
  char crlf[65] = "", lf[65] = "";
  if (self.options.digest) mailbox_digests(box, crlf, lf);
  printf(
      "{\"port\": %d, \"tls_port\": %d, \"messages\": %ld, \"size\": %zu, "
      "\"delivered\": %zu, \"crlf\": \"%s\", \"lf\": \"%s\", "
      "\"retr\": %zu, \"list\": %zu, \"uidl\": %zu}\n",
      self.plain, self.tls, box->messages, box->size, box->listed, crlf, lf,
      box->messages == 0
          ? 0
          : box->images[0].head.size + box->images[0].tail.size +
                (size_t)box->images[0].repeat * box->images[0].block.size,
      box->list.size, box->uidl.size);
  fflush(stdout);
}

static void report(void) {
  printf(
      "{\"connections\": %ld, \"commands\": %ld, \"in_flight\": %ld, "
      "\"turns\": %ld}\n",
      counted.connections, counted.commands, counted.in_flight, counted.turns);
  fflush(stdout);
  counted = (counters){0};
}

/* A line is a question; false at the end. */
static bool asked(void) {
  char octets[64];
  ssize_t got = read(STDIN_FILENO, octets, sizeof octets);
  if (got < 0 && errno == EINTR) return true;
  if (got <= 0) return false;
  report();
  return true;
}

/* ------------------------------------------------------------ sockets */

static void watch(int fd, uint32_t events, int operation) {
  struct epoll_event event = {.events = events, .data.fd = fd};
  if (epoll_ctl(self.poll, operation, fd, &event) < 0) fail("epoll_ctl");
}

static int listen_somewhere(int *port) {
  struct sockaddr_in address = {.sin_family = AF_INET};
  socklen_t size = sizeof address;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) < 0 ||
      listen(fd, BACKLOG) < 0 ||
      getsockname(fd, (struct sockaddr *)&address, &size) < 0)
    fail("listen");
  *port = ntohs(address.sin_port);
  watch(fd, EPOLLIN, EPOLL_CTL_ADD);
  return fd;
}

static SSL_CTX *tls_context(const options *o) {
  SSL_CTX *context = SSL_CTX_new(TLS_server_method());
  if (context == NULL ||
      SSL_CTX_use_certificate_chain_file(context, o->certificate) != 1 ||
      SSL_CTX_use_PrivateKey_file(context, o->key, SSL_FILETYPE_PEM) != 1) {
    fputs("server: no certificate or no key\n", stderr);
    exit(66);
  }
  SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
  SSL_CTX_set_session_id_context(context, (const unsigned char *)"b", 1);
  return context;
}

static void drop(connection *conn) {
  self.connections[conn->fd] = NULL;
  connection_free(conn);
}

/* We close our direction, and everything when the client has closed its. */
static void say_goodbye(connection *conn) {
  if (conn->tls != NULL && SSL_is_init_finished(conn->tls) && !conn->shut) {
    bool blocked;
    SSL_shutdown(conn->tls);
    connection_write(conn, 0, &blocked);
  }
  if (!conn->shut) shutdown(conn->fd, SHUT_WR);
  conn->shut = true;
}

/* ------------------------------------------------------------ work */

static void take_commands(connection *conn, uint64_t now) {
  char *line;
  while (!conn->ending && !connection_full(conn) &&
         (line = connection_line(conn, now)) != NULL)
    session_answer(conn, &self.options.service, line, now);
}

/* Answer and write until nothing is left to do now; false: it is over. */
static bool work(connection *conn, uint64_t now) {
  bool blocked = false, full;
  do {
    take_commands(conn, now);
    full = connection_full(conn);
    if (!connection_write(conn, now, &blocked)) return false;
  } while (full && !blocked && !connection_full(conn));
  if (blocked != conn->watched) {
    watch(conn->fd, blocked ? EPOLLIN | EPOLLOUT : EPOLLIN, EPOLL_CTL_MOD);
    conn->watched = blocked;
  }
  if (conn->ending && connection_drained(conn)) say_goodbye(conn);
  return true;
}

static void serve(connection *conn, uint32_t events) {
  uint64_t now = nanoseconds();
  if ((events & ~(uint32_t)EPOLLOUT) != 0 && !connection_read(conn, now)) {
    drop(conn);
    return;
  }
  if (!work(conn, now)) drop(conn);
}

static void admit_client(int listener, SSL_CTX *context) {
  int fd, one = 1;
  while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
    if (fd >= CONNECTIONS) {
      close(fd);
      continue;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    uint64_t delay = context == NULL ? self.options.delay : 0;
    connection *conn = connection_new(fd, context, delay);
    self.connections[fd] = conn;
    watch(fd, EPOLLIN, EPOLL_CTL_ADD);
    session_greet(conn, nanoseconds());
    if (!work(conn, nanoseconds())) drop(conn);
  }
}

/* The delay line: who is due now, and when is the next one? */
static void release(void) {
  uint64_t now = nanoseconds(), next = UINT64_MAX;
  for (int fd = 0; fd < CONNECTIONS; fd++) {
    connection *conn = self.connections[fd];
    if (conn == NULL) continue;
    if (connection_due(conn) <= now && !conn->watched && !work(conn, now)) {
      drop(conn);
      continue;
    }
    uint64_t due = connection_due(conn);
    if (due < next && !conn->watched) next = due;
  }
  if (next == UINT64_MAX) return;
  struct itimerspec when = {
      .it_value = {(time_t)(next / 1000000000u), (long)(next % 1000000000u)}};
  timerfd_settime(self.timer, TFD_TIMER_ABSTIME, &when, NULL);
}

static bool turn(int plain, int tls) {
  struct epoll_event events[EVENTS];
  int n = epoll_wait(self.poll, events, EVENTS, -1);
  for (int i = 0; i < n; i++) {
    int fd = events[i].data.fd;
    uint64_t expired;
    if (fd == STDIN_FILENO) {
      if (!asked()) return false;
    } else if (fd == self.timer) {
      if (read(fd, &expired, sizeof expired) < 0) continue;
    } else if (fd == plain) {
      admit_client(fd, NULL);
    } else if (fd == tls) {
      admit_client(fd, self.context);
    } else if (self.connections[fd] != NULL) {
      serve(self.connections[fd], events[i].events);
    }
  }
  if (self.options.delay > 0) release();
  return !stopped;
}

/* ------------------------------------------------------------ start */

static const struct option long_options[] = {
    {"messages", required_argument, NULL, 'n'},
    {"size", required_argument, NULL, 's'},
    {"dots", no_argument, NULL, 'd'},
    {"rtt", required_argument, NULL, 'r'},
    {"no-pipelining", no_argument, NULL, 'p'},
    {"scram", required_argument, NULL, 'a'},
    {"cert", required_argument, NULL, 'c'},
    {"key", required_argument, NULL, 'k'},
    {"no-digest", no_argument, NULL, 'x'},
    {NULL, 0, NULL, 0},
};

static void read_options(int count, char **arguments, options *o) {
  int letter;
  *o = (options){
      .service = {.box = {.messages = 1, .size = 4096}, .pipelining = true},
      .digest = true};
  while ((letter = getopt_long(count, arguments, "", long_options, NULL)) > 0) {
    if (letter == 'n') o->service.box.messages = strtol(optarg, NULL, 10);
    if (letter == 's') o->service.box.size = strtoul(optarg, NULL, 10);
    if (letter == 'd') o->service.box.dots = true;
    if (letter == 'r') o->delay = (uint64_t)(strtod(optarg, NULL) * 5e5);
    if (letter == 'p') o->service.pipelining = false;
    if (letter == 'a') {
      o->service.auth = true;
      scram_prepare((unsigned)strtoul(optarg, NULL, 10));
    }
    if (letter == 'c') o->certificate = optarg;
    if (letter == 'k') o->key = optarg;
    if (letter == 'x') o->digest = false;
    if (letter == '?') exit(64);
  }
}

int main(int count, char **arguments) {
  struct sigaction action = {.sa_handler = stop};
  int tls = -1;
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGINT, &action, NULL);
  signal(SIGPIPE, SIG_IGN);
  read_options(count, arguments, &self.options);
  mailbox_make(&self.options.service.box);
  self.poll = epoll_create1(EPOLL_CLOEXEC);
  self.timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
  if (self.poll < 0 || self.timer < 0) fail("epoll_create");
  watch(STDIN_FILENO, EPOLLIN, EPOLL_CTL_ADD);
  watch(self.timer, EPOLLIN, EPOLL_CTL_ADD);
  int plain = listen_somewhere(&self.plain);
  if (self.options.certificate != NULL) {
    self.context = tls_context(&self.options);
    tls = listen_somewhere(&self.tls);
  }
  introduce();
  while (turn(plain, tls)) continue;
  report();
  return 0;
}
