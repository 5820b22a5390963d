/*
 * floor.c - the least that any client could pay: it sends the commands of a
 * job and drains the replies unparsed. Where they end it knows beforehand,
 * from what the load server said about itself.
 *
 *   floor VERB port=N [key=value]...
 *
 *   start     nothing, what a process costs
 *   fetch     messages= of reply= octets each, rounds= times; pipelined=1 in
 *             one flight, else one at a time; quit=1 with QUIT in the flight
 *   listing   LIST and UIDL, of list= and uidl= octets
 *   session   sessions= times connect, login, STAT, QUIT; pipelined=1 with
 *             all commands in one flight; resume=1
 *   open      sessions= times connect, login by auth=SCRAM-SHA-256 or PLAIN,
 *             STAT and QUIT, together with pipelined=1; resume=1
 *   boxes     boxes= sessions at once, each fetches as above
 *
 * ca=FILE makes it TLS.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "floor_scram.h"

enum { RECEIVE = 131072, MOST_BOXES = 4096 };

static char **words;

static const char *text_option(const char *name) {
  size_t size = strlen(name);
  for (char **word = words; *word != NULL; word++)
    if (strncmp(*word, name, size) == 0 && (*word)[size] == '=')
      return *word + size + 1;
  return NULL;
}

static size_t option(const char *name, size_t otherwise) {
  const char *text = text_option(name);
  return text == NULL ? otherwise : strtoul(text, NULL, 10);
}

static void fail(const char *what) {
  fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
  exit(1);
}

static double milliseconds(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

/* ------------------------------------------------------------ links */

typedef struct flow {
  int fd;
  SSL *tls;
} flow;

static int connect_plain(void) {
  int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct sockaddr_in address = {.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)option("port", 0))};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
    fail("connect");
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  return fd;
}

/* A BIO over a socket that receives much and gives OpenSSL a little of it. */
static struct {
  char octets[RECEIVE];
  size_t start, end;
} received;

static int bio_read(BIO *bio, char *into, int room) {
  if (received.start == received.end) {
    int fd = (int)(intptr_t)BIO_get_data(bio);
    ssize_t got = recv(fd, received.octets, RECEIVE, 0);
    if (got <= 0) return (int)got;
    received.start = 0;
    received.end = (size_t)got;
  }
  size_t size = received.end - received.start;
  if (size > (size_t)room) size = (size_t)room;
  memcpy(into, received.octets + received.start, size);
  received.start += size;
  return (int)size;
}

static int bio_write(BIO *bio, const char *octets, int size) {
  int fd = (int)(intptr_t)BIO_get_data(bio);
  return (int)send(fd, octets, (size_t)size, MSG_NOSIGNAL);
}

static long bio_control(BIO *bio, int command, long number, void *pointer) {
  (void)bio;
  (void)number;
  (void)pointer;
  return command == BIO_CTRL_FLUSH;
}

static BIO *socket_bio(int fd) {
  static BIO_METHOD *method;
  if (method == NULL) {
    method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "socket");
    BIO_meth_set_read(method, bio_read);
    BIO_meth_set_write(method, bio_write);
    BIO_meth_set_ctrl(method, bio_control);
  }
  BIO *bio = BIO_new(method);
  BIO_set_data(bio, (void *)(intptr_t)fd);
  BIO_set_init(bio, 1);
  return bio;
}

static SSL_SESSION *ticket;

static int keep_ticket(SSL *tls, SSL_SESSION *session) {
  (void)tls;
  SSL_SESSION_free(ticket);
  ticket = session;
  return 1;
}

static SSL_CTX *tls_context(const char *authority) {
  static SSL_CTX *context;
  if (context != NULL) return context;
  context = SSL_CTX_new(TLS_client_method());
  if (SSL_CTX_load_verify_locations(context, authority, NULL) != 1)
    fail(authority);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
  SSL_CTX_set_session_cache_mode(
      context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(context, keep_ticket);
  return context;
}

static SSL *start_tls(int fd, const char *authority) {
  SSL *tls = SSL_new(tls_context(authority));
  BIO *bio = socket_bio(fd);
  received.start = received.end = 0;
  SSL_set_bio(tls, bio, bio);
  X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(tls), "127.0.0.1");
  if (option("resume", 0) && ticket != NULL) SSL_set_session(tls, ticket);
  if (SSL_connect(tls) != 1) fail("handshake");
  return tls;
}

static flow open_flow(void) {
  flow link = {connect_plain(), NULL};
  const char *authority = text_option("ca");
  if (authority != NULL) link.tls = start_tls(link.fd, authority);
  return link;
}

static void close_flow(flow *link) {
  if (link->tls != NULL) {
    SSL_shutdown(link->tls);
    SSL_free(link->tls);
  }
  close(link->fd);
}

/* ------------------------------------------------------------ octets */

static size_t receive(flow *link, char *into, size_t room) {
  ssize_t got = link->tls != NULL ? SSL_read(link->tls, into, (int)room)
                                  : recv(link->fd, into, room, 0);
  if (got <= 0) fail("receive");
  return (size_t)got;
}

static char buffer[RECEIVE];

static void drain(flow *link, size_t octets) {
  while (octets > 0) octets -= receive(link, buffer, RECEIVE);
}

static void drain_lines(flow *link, size_t lines) {
  while (lines > 0) {
    size_t got = receive(link, buffer, RECEIVE);
    const char *at = buffer, *end = buffer + got;
    while ((at = memchr(at, '\n', (size_t)(end - at))) != NULL) at++, lines--;
  }
}

/* As much as fits; blocks only for a flow that encrypts. */
static size_t send_some(flow *link, const char *octets, size_t size) {
  if (size == 0) return 0;
  if (link->tls != NULL) return (size_t)SSL_write(link->tls, octets, (int)size);
  ssize_t sent = send(link->fd, octets, size, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent < 0 && errno != EAGAIN) fail("send");
  return sent < 0 ? 0 : (size_t)sent;
}

static void say(flow *link, const char *text) {
  send_some(link, text, strlen(text));
}

/* Send a flight while its replies are drained, so that neither side waits. */
static void fly(flow *link, const char *commands, size_t size, size_t octets) {
  while (octets > 0) {
    size_t sent = send_some(link, commands, size);
    commands += sent;
    size -= sent;
    octets -= receive(link, buffer, RECEIVE);
  }
}

/* ------------------------------------------------------------ jobs */

static void ask(flow *link, const char *command) {
  say(link, command);
  drain_lines(link, 1);
}

static void login(flow *link) {
  drain_lines(link, 1);
  if (option("pipelined", 0)) {
    say(link, "USER u\r\nPASS p\r\n");
    drain_lines(link, 2);
    return;
  }
  ask(link, "USER u\r\n");
  ask(link, "PASS p\r\n");
}

/* RETR of every message; returns the end. */
static char *write_flight(char *out, size_t messages) {
  for (size_t i = 1; i <= messages; i++) out += sprintf(out, "RETR %zu\r\n", i);
  return out;
}

static void fetch_flight(flow *link, size_t messages, size_t reply, bool quit) {
  char *commands = malloc(messages * 16 + 16);
  char *end = write_flight(commands, messages);
  size_t expected = messages * reply;
  if (quit) {
    end = stpcpy(end, "QUIT\r\n");
    expected += strlen("+OK\r\n");
  }
  fly(link, commands, (size_t)(end - commands), expected);
  free(commands);
}

static void fetch_each(flow *link, size_t messages, size_t reply) {
  char command[32];
  for (size_t i = 1; i <= messages; i++) {
    sprintf(command, "RETR %zu\r\n", i);
    say(link, command);
    drain(link, reply);
  }
}

static void fetch(void) {
  flow link = open_flow();
  size_t messages = option("messages", 1), reply = option("reply", 0);
  bool quit = option("quit", 0);
  login(&link);
  for (size_t round = option("rounds", 1); round > 0; round--) {
    if (option("pipelined", 0)) fetch_flight(&link, messages, reply, quit);
    else fetch_each(&link, messages, reply);
  }
  if (!quit) ask(&link, "QUIT\r\n");
  close_flow(&link);
}

static void listing(void) {
  flow link = open_flow();
  login(&link);
  say(&link, "LIST\r\nUIDL\r\n");
  drain(&link, option("list", 0) + option("uidl", 0));
  ask(&link, "QUIT\r\n");
  close_flow(&link);
}

static void session(void) {
  for (size_t n = option("sessions", 1); n > 0; n--) {
    flow link = open_flow();
    if (option("pipelined", 0)) {
      drain_lines(&link, 1);
      say(&link, "USER u\r\nPASS p\r\nSTAT\r\nQUIT\r\n");
      drain_lines(&link, 4);
    } else {
      login(&link);
      ask(&link, "STAT\r\n");
      ask(&link, "QUIT\r\n");
    }
    close_flow(&link);
  }
}

/* A challenge without "+ " and its line end. */
static const char *challenge(flow *link) {
  size_t size = 0;
  do size += receive(link, buffer + size, FLOOR_LINE - size);
  while (size < FLOOR_LINE && buffer[size - 1] != '\n');
  if (size < 4 || buffer[0] != '+' || buffer[1] != ' ') fail("challenge");
  buffer[size - 2] = '\0';
  return buffer + 2;
}

static void login_scram(flow *link) {
  char line[FLOOR_LINE];
  floor_scram_first(line);
  say(link, line);
  floor_scram_final(challenge(link), line);
  say(link, line);
  if (!floor_scram_check(challenge(link))) fail("signature");
  ask(link, "\r\n");
}

static void open_session(void) {
  const char *auth = text_option("auth");
  for (size_t n = option("sessions", 1); n > 0; n--) {
    flow link = open_flow();
    drain_lines(&link, 1);
    if (strcmp(auth, "PLAIN") == 0) ask(&link, "AUTH PLAIN AHUAcA==\r\n");
    else login_scram(&link);
    if (option("pipelined", 0)) {
      say(&link, "STAT\r\nQUIT\r\n");
      drain_lines(&link, 2);
    } else {
      ask(&link, "STAT\r\n");
      ask(&link, "QUIT\r\n");
    }
    close_flow(&link);
  }
}

static void start(void) {
  if (text_option("ca") != NULL) tls_context(text_option("ca"));
}

/* ------------------------------------------------------------ boxes */

/* What one mailbox waits for: lines, then octets, then the next flight. */
typedef struct box {
  flow link;
  int flight;
  size_t lines, octets;
  double end;
} box;

static box boxes[MOST_BOXES];
static char *retrs;

static bool next_flight(box *one) {
  size_t messages = option("messages", 1);
  switch (one->flight++) {
    case 0:
      say(&one->link, "USER u\r\nPASS p\r\nSTAT\r\n");
      one->lines = 3;
      return true;
    case 1:
      say(&one->link, retrs);
      one->octets = messages * option("reply", 0);
      return true;
    case 2:
      say(&one->link, "QUIT\r\n");
      one->lines = 1;
      return true;
  }
  return false;
}

static void take(box *one, size_t got) {
  if (one->octets > 0) {
    one->octets -= got;
    return;
  }
  const char *at = buffer, *end = buffer + got;
  while ((at = memchr(at, '\n', (size_t)(end - at))) != NULL)
    at++, one->lines--;
}

static int by_time(const void *a, const void *b) {
  double one = *(const double *)a, two = *(const double *)b;
  return (one > two) - (one < two);
}

static void print_times(size_t count) {
  double times[MOST_BOXES];
  for (size_t i = 0; i < count; i++) times[i] = boxes[i].end;
  qsort(times, count, sizeof *times, by_time);
  printf("{\"median_ms\": %.2f, \"slowest_ms\": %.2f}\n", times[count / 2],
         times[count - 1]);
}

static void run_boxes(void) {
  size_t count = option("boxes", 1), left = count;
  int poll = epoll_create1(EPOLL_CLOEXEC);
  double begin = milliseconds();
  retrs = malloc(option("messages", 1) * 16 + 1);
  *write_flight(retrs, option("messages", 1)) = '\0';
  for (size_t i = 0; i < count; i++) {
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = i};
    boxes[i] = (box){.link = open_flow(), .lines = 1};
    epoll_ctl(poll, EPOLL_CTL_ADD, boxes[i].link.fd, &event);
  }
  while (left > 0) {
    struct epoll_event events[64];
    int n = epoll_wait(poll, events, 64, -1);
    for (int i = 0; i < n; i++) {
      box *one = &boxes[events[i].data.u64];
      take(one, receive(&one->link, buffer, RECEIVE));
      if (one->lines > 0 || one->octets > 0 || next_flight(one)) continue;
      one->end = milliseconds() - begin;
      close_flow(&one->link);
      left--;
    }
  }
  print_times(count);
}

/* ------------------------------------------------------------ start */

static const struct {
  const char *name;
  void (*run)(void);
} verbs[] = {
    {"start", start},     {"fetch", fetch},       {"listing", listing},
    {"session", session}, {"open", open_session}, {"boxes", run_boxes},
};

int main(int count, char **arguments) {
  if (count < 2) return 64;
  words = arguments + 2;
  for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
    if (strcmp(verbs[i].name, arguments[1]) != 0) continue;
    verbs[i].run();
    return 0;
  }
  fprintf(stderr, "floor: there is no %s\n", arguments[1]);
  return 77;
}
