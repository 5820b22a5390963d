/*
 * conn_test.c - a connection as a host uses it that must not block: steps,
 * interests, deadlines and budgets, against a server in this same thread, so
 * that nothing depends on time or on who runs first (T06, T37, T41, T62, R22).
 *
 * The clock is the test's own. Names that end in ".test" are looked up until
 * the test ends.
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <math.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "carrier.h"
#include "check.h"
#include "conn.h"

#define PATIENCE 10000 /* milliseconds until the test itself is broken */
#define PIECE 65536

static double now;

/* ------------------------------------------------------------ the world */

static int gate[2];

typedef int resolver(const char *, const char *, const struct addrinfo *,
                     struct addrinfo **);

int getaddrinfo(const char *host, const char *service,
                const struct addrinfo *hints, struct addrinfo **list) {
  static resolver *real;
  size_t size = strlen(host);
  char octet;
  if (real == NULL) *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
  bool ours = size > 5 && strcmp(host + size - 5, ".test") == 0;
  if (!ours || hints->ai_flags & AI_NUMERICHOST)
    return real(host, service, hints, list);
  (void)!read(gate[0], &octet, 1); /* its end, when the test is over */
  return EAI_NONAME;
}

static int count_descriptors(void) {
  int count = 0;
  DIR *folder = opendir("/proc/self/fd");
  must(folder != NULL, "/proc/self/fd");
  while (readdir(folder) != NULL) count++;
  (void)closedir(folder);
  return count;
}

/* An allocator that counts, and fails from its `hunger`-th allocation on. */
static long allocated, hunger;

static void *resize(void *state, void *block, size_t old, size_t size) {
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

static int listen_on(int backlog, unsigned *at) {
  struct sockaddr_in address = {.sin_family = AF_INET,
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  must(fd >= 0 && bind(fd, (struct sockaddr *)&address, size) == 0 &&
           listen(fd, backlog) == 0 &&
           getsockname(fd, (struct sockaddr *)&address, &size) == 0,
       "a listener");
  *at = ntohs(address.sin_port);
  return fd;
}

static int accept_one(void) {
  struct pollfd ready = {listener, POLLIN, 0};
  must(poll(&ready, 1, PATIENCE) == 1, "a client");
  return accept4(listener, NULL, NULL, SOCK_CLOEXEC);
}

static void say(int peer, const char *octets) {
  size_t size = strlen(octets);
  must(send(peer, octets, size, MSG_NOSIGNAL) == (ssize_t)size, "to say it");
}

/* All that is there now, and something. */
static const char *hear(int peer) {
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

static pop3_conn *create(void) {
  return pop3_conn_init(malloc(pop3_conn_size(&options)), &options, &allocator);
}

static void destroy(pop3_conn *c) {
  pop3_conn_close(c);
  free(c);
}

static pop3_error open_at(pop3_conn *c, const char *host, unsigned at,
                          pop3_tls_context *context) {
  return pop3_conn_open(c, host, strlen(host), at, context, now);
}

/* Step until something else than AGAIN comes; it never takes more than its
 * share. */
static pop3_step settle(pop3_conn *c) {
  pop3_step step;
  do step = pop3_conn_step(c, now, PIECE);
  while (step == POP3_STEP_AGAIN);
  return step;
}

static bool is_ready(const pop3_conn *c, int milliseconds) {
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
static pop3_step finish(pop3_conn *c) {
  for (;;) {
    pop3_step step = settle(c);
    if (step != POP3_STEP_WAIT) return step;
    must(is_ready(c, PATIENCE), "something to happen");
  }
}

static pop3_error begin(pop3_conn *c, pop3_operation operation,
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

static bool failed_as(const pop3_conn *c, pop3_error error) {
  pop3_error got = pop3_conn_failure(c)->error;
  if (got != error) printf("# failed as %s\n", pop3_error_name(got));
  return got == error;
}

/* Connected; the greeting, or the handshake, is awaited. */
static pop3_conn *connected(int *peer, pop3_tls_context *context) {
  pop3_conn *c = create();
  must(open_at(c, "127.0.0.1", port, context) == POP3_E_OK, "to open");
  must(settle(c) == POP3_STEP_WAIT, "to connect");
  *peer = accept_one();
  return c;
}

/* Connected and greeted; *peer is the server's end. */
static pop3_conn *greeted(int *peer) {
  pop3_conn *c = connected(peer, NULL);
  say(*peer, "+OK ready\r\n");
  must(finish(c) == POP3_STEP_DONE, "a greeting");
  return c;
}

/* ------------------------------------------------------------ steps */

static void test_waits(void) {
  const pop3_interest *interests;
  int peer;
  pop3_conn *c = connected(&peer, NULL);
  CHECK(settle(c) == POP3_STEP_WAIT); /* a host may step too often */
  CHECK(pop3_conn_interests(c, &interests) == 1);
  CHECK(interests[0].readable && !interests[0].writable);
  CHECK(!is_ready(c, 0));
  CHECK(pop3_conn_deadline(c) == now + options.connect_timeout);
  say(peer, "+OK re");
  CHECK(settle(c) == POP3_STEP_WAIT);
  say(peer, "ady\r\n");
  CHECK(settle(c) == POP3_STEP_DONE);
  CHECK(settle(c) == POP3_STEP_DONE); /* once too often again */
  destroy(c);
  (void)close(peer);
}

static void test_running(void) {
  int peer;
  pop3_conn *c = greeted(&peer);
  CHECK(begin(c, POP3_OP_COMMAND, POP3_NOOP, NULL) == POP3_E_OK);
  CHECK(begin(c, POP3_OP_COMMAND, POP3_NOOP, NULL) == POP3_E_BUSY);
  CHECK(settle(c) == POP3_STEP_WAIT);
  CHECK(strcmp(hear(peer), "NOOP\r\n") == 0);
  say(peer, "-ERR no\r\n");
  CHECK(finish(c) == POP3_STEP_FAILED && failed_as(c, POP3_E_REFUSED));
  CHECK(begin(c, POP3_OP_COMMAND, POP3_NOOP, NULL) == POP3_E_OK);
  CHECK(settle(c) == POP3_STEP_WAIT);
  say(peer, "+OK\r\n");
  CHECK(finish(c) == POP3_STEP_EVENT && finish(c) == POP3_STEP_DONE);
  destroy(c);
  (void)close(peer);
}

static void test_after_end(void) {
  int peer;
  pop3_conn *c = greeted(&peer);
  (void)close(peer);
  CHECK(begin(c, POP3_OP_COMMAND, POP3_NOOP, NULL) == POP3_E_EOF);
  CHECK(settle(c) == POP3_STEP_FAILED && failed_as(c, POP3_E_EOF));
  CHECK(begin(c, POP3_OP_COMMAND, POP3_NOOP, NULL) == POP3_E_EOF);
  pop3_conn_close(c);
  CHECK(settle(c) == POP3_STEP_FAILED && failed_as(c, POP3_E_CLOSED));
  CHECK(begin(c, POP3_OP_COMMAND, POP3_NOOP, NULL) == POP3_E_CLOSED);
  destroy(c);
}

static void test_events(void) {
  int peer, events = 0;
  static char lines[4 * PIECE + 1];
  pop3_step step;
  pop3_conn *c = greeted(&peer);
  for (size_t i = 0; i < sizeof lines - 1; i += 2) memcpy(lines + i, "\r\n", 2);
  CHECK(begin(c, POP3_OP_COMMAND, POP3_RETR, "1") == POP3_E_OK);
  CHECK(settle(c) == POP3_STEP_WAIT);
  say(peer, "+OK\r\n");
  say(peer, lines);
  say(peer, ".\r\n");
  do {
    step = pop3_conn_step(c, now, 1);
    events += step == POP3_STEP_EVENT;
    if (step == POP3_STEP_WAIT) must(is_ready(c, PATIENCE), "more of it");
  } while (step != POP3_STEP_DONE && step != POP3_STEP_FAILED);
  CHECK(step == POP3_STEP_DONE);
  CHECK(events == 1 + 2 * PIECE + 1);
  destroy(c);
  (void)close(peer);
}

static void test_early_reply(void) {
  int peer;
  const pop3_interest *interests;
  char *name = malloc(64 << 20);
  memset(name, 'x', 64 << 20);
  name[(64 << 20) - 1] = '\0';
  pop3_conn *c = greeted(&peer);
  CHECK(begin(c, POP3_OP_COMMAND, POP3_USER, name) == POP3_E_OK);
  CHECK(settle(c) == POP3_STEP_WAIT); /* the server's window is full */
  CHECK(pop3_conn_interests(c, &interests) == 1);
  CHECK(interests[0].readable && interests[0].writable);
  say(peer, "+OK\r\n");
  CHECK(finish(c) == POP3_STEP_FAILED && failed_as(c, POP3_E_UNSOLICITED));
  destroy(c);
  (void)close(peer);
  free(name);
}

#define MANY 16

static void test_many(void) {
  pop3_conn *all[MANY];
  int peers[MANY], done = 0;
  for (int i = 0; i < MANY; i++) all[i] = greeted(&peers[i]);
  for (int i = 0; i < MANY; i++)
    CHECK(begin(all[i], POP3_OP_COMMAND, POP3_STAT, NULL) == POP3_E_OK &&
          settle(all[i]) == POP3_STEP_WAIT);
  for (int i = MANY - 1; i >= 0; i--) { /* answered the other way round */
    for (int j = 0; j < MANY; j++) CHECK(!is_ready(all[j], 0));
    say(peers[i], "+OK 1 2\r\n");
    CHECK(is_ready(all[i], PATIENCE));
    CHECK(settle(all[i]) == POP3_STEP_EVENT);
    done += settle(all[i]) == POP3_STEP_DONE;
    CHECK(begin(all[i], POP3_OP_COMMAND, POP3_STAT, NULL) == POP3_E_OK &&
          settle(all[i]) == POP3_STEP_WAIT);
  }
  CHECK(done == MANY);
  for (int i = 0; i < MANY; i++) destroy(all[i]), (void)close(peers[i]);
}

/* ------------------------------------------------------------ deadlines */

static void test_deadlines(void) {
  int peer;
  options.total_timeout = 500;
  pop3_conn *c = greeted(&peer);
  double began = now;
  CHECK(begin(c, POP3_OP_COMMAND, POP3_NOOP, NULL) == POP3_E_OK);
  CHECK(settle(c) == POP3_STEP_WAIT);
  CHECK(pop3_conn_deadline(c) == began + options.timeout);
  now += options.timeout / 2;
  say(peer, "+");
  CHECK(is_ready(c, PATIENCE) && settle(c) == POP3_STEP_WAIT);
  CHECK(pop3_conn_deadline(c) == now + options.timeout);
  now -= 1000; /* a clock that goes back ends nothing */
  CHECK(settle(c) == POP3_STEP_WAIT);
  now += 1000 + options.timeout;
  CHECK(settle(c) == POP3_STEP_FAILED && failed_as(c, POP3_E_IDLE));
  CHECK(begin(c, POP3_OP_COMMAND, POP3_NOOP, NULL) == POP3_E_IDLE);
  destroy(c);
  (void)close(peer);
  now = began;
}

/* What waits to be read is read, however late the host comes. */
static void test_slow_host(void) {
  int peer;
  pop3_conn *c = greeted(&peer);
  CHECK(begin(c, POP3_OP_COMMAND, POP3_NOOP, NULL) == POP3_E_OK);
  CHECK(settle(c) == POP3_STEP_WAIT);
  say(peer, "+OK\r\n");
  CHECK(is_ready(c, PATIENCE));
  now += 100 * options.timeout;
  CHECK(settle(c) == POP3_STEP_EVENT && settle(c) == POP3_STEP_DONE);
  CHECK(begin(c, POP3_OP_COMMAND, POP3_NOOP, NULL) == POP3_E_OK);
  CHECK(settle(c) == POP3_STEP_WAIT);
  destroy(c);
  (void)close(peer);
}

static void test_no_deadline(void) {
  int peer;
  options.timeout = options.connect_timeout = 0;
  pop3_conn *c = greeted(&peer);
  CHECK(begin(c, POP3_OP_COMMAND, POP3_NOOP, NULL) == POP3_E_OK);
  CHECK(settle(c) == POP3_STEP_WAIT && isinf(pop3_conn_deadline(c)));
  destroy(c);
  (void)close(peer);
}

/* ------------------------------------------------------------ TLS */

static SSL_CTX *make_server(int version) {
  SSL_CTX *context = SSL_CTX_new(TLS_server_method());
  EVP_PKEY *key = EVP_EC_gen("P-256");
  X509 *x = X509_new();
  must(context && key && x, "a certificate");
  (void)X509_gmtime_adj(X509_getm_notBefore(x), -3600);
  (void)X509_gmtime_adj(X509_getm_notAfter(x), 3600);
  (void)X509_set_pubkey(x, key);
  must(X509_sign(x, key, EVP_sha256()) > 0, "a signature");
  must(SSL_CTX_use_certificate(context, x) == 1 &&
           SSL_CTX_use_PrivateKey(context, key) == 1,
       "a server");
  (void)SSL_CTX_set_min_proto_version(context, version);
  (void)SSL_CTX_set_max_proto_version(context, version);
  X509_free(x);
  EVP_PKEY_free(key);
  return context;
}

static pop3_tls_context *trusting(void) {
  pop3_tls_context *context;
  pop3_tls_options tls;
  pop3_failure failure;
  pop3_tls_options_init(&tls);
  tls.verify = tls.check_hostname = false;
  must(pop3_tls_context_new(&tls, &context, &failure) == POP3_E_OK,
       "a client's context");
  return context;
}

/* A greeted connection over TLS; its server's end does not block. */
static pop3_conn *secured(SSL_CTX *server, pop3_tls_context *context,
                          SSL **ssl) {
  int peer;
  pop3_conn *c = connected(&peer, context);
  (void)fcntl(peer, F_SETFL, O_NONBLOCK);
  *ssl = SSL_new(server);
  (void)SSL_set_fd(*ssl, peer);
  SSL_set_accept_state(*ssl);
  pop3_step step = settle(c);
  while (step == POP3_STEP_WAIT && SSL_do_handshake(*ssl) != 1) {
    must(is_ready(c, PATIENCE) || settle(c) == POP3_STEP_WAIT, "a handshake");
    step = settle(c);
  }
  must(SSL_write(*ssl, "+OK ready\r\n", 11) == 11, "to greet");
  must(finish(c) == POP3_STEP_DONE, "a greeting");
  return c;
}

static void hang_up(SSL *ssl) {
  (void)close(SSL_get_fd(ssl));
  SSL_free(ssl);
}

/* The server writes records without text until its socket takes no more. */
static long storm(SSL *ssl) {
  long count = 0;
  bool going = true;
  while (going && count < 5000) {
    ERR_clear_error();
    if (SSL_version(ssl) == TLS1_3_VERSION) {
      going = SSL_key_update(ssl, SSL_KEY_UPDATE_NOT_REQUESTED) == 1 &&
              SSL_do_handshake(ssl) == 1;
    } else { /* HelloRequest */
      going = SSL_renegotiate(ssl) == 1 && SSL_do_handshake(ssl) == 1;
    }
    count += going;
  }
  return count;
}

static void test_storm(void) {
  SSL_CTX *server = make_server(TLS1_3_VERSION);
  pop3_tls_context *context = trusting();
  SSL *ssl;
  options.tls = POP3_TLS_IMPLICIT;
  pop3_conn *c = secured(server, context, &ssl);
  CHECK(begin(c, POP3_OP_COMMAND, POP3_NOOP, NULL) == POP3_E_OK);
  CHECK(settle(c) == POP3_STEP_WAIT);
  must(storm(ssl) > 1000, "a storm");
  must(is_ready(c, PATIENCE), "the storm to arrive");
  int steps = 0;
  while (pop3_conn_step(c, now, 1) == POP3_STEP_AGAIN) steps++;
  CHECK(steps > 0);
  CHECK(pop3_conn_step(c, now + options.timeout, 1) == POP3_STEP_FAILED);
  destroy(c);
  hang_up(ssl);
  SSL_CTX_free(server);
  pop3_tls_context_release(context);
}

/* Each HelloRequest is answered by an alert, and the server takes none. */
static pop3_conn *clogged(SSL_CTX *server, pop3_tls_context *context,
                          SSL **ssl) {
  const pop3_interest *interests;
  long answered = 0;
  options.tls = POP3_TLS_IMPLICIT;
  pop3_conn *c = secured(server, context, ssl);
  CHECK(begin(c, POP3_OP_COMMAND, POP3_NOOP, NULL) == POP3_E_OK);
  CHECK(settle(c) == POP3_STEP_WAIT);
  do {
    answered += storm(*ssl);
    must(is_ready(c, PATIENCE), "the storm to arrive");
    CHECK(settle(c) == POP3_STEP_WAIT);
    CHECK(pop3_conn_interests(c, &interests) == 1);
  } while (interests[0].readable && answered < 2000000);
  CHECK(!interests[0].readable && interests[0].writable);
  return c;
}

static void test_clogged(void) {
  SSL_CTX *server = make_server(TLS1_2_VERSION);
  pop3_tls_context *context = trusting();
  SSL *ssl;
  pop3_conn *c = clogged(server, context, &ssl);
  now += options.timeout;
  CHECK(settle(c) == POP3_STEP_FAILED && failed_as(c, POP3_E_IDLE));
  destroy(c);
  hang_up(ssl);
  SSL_CTX_free(server);
  pop3_tls_context_release(context);
}

/* What would have to leave first cannot leave: no deadline is waited for. */
static void test_clogged_and_gone(void) {
  SSL_CTX *server = make_server(TLS1_2_VERSION);
  pop3_tls_context *context = trusting();
  SSL *ssl;
  pop3_conn *c = clogged(server, context, &ssl);
  hang_up(ssl); /* what it did not read makes that a reset */
  must(is_ready(c, PATIENCE), "the reset to arrive");
  CHECK(settle(c) == POP3_STEP_FAILED && failed_as(c, POP3_E_IO));
  destroy(c);
  SSL_CTX_free(server);
  pop3_tls_context_release(context);
}

/* Connected to a proxy by TLS, whose answer to CONNECT is awaited. */
static pop3_conn *proxied(SSL_CTX *server, pop3_tls_context *context,
                          SSL **ssl) {
  pop3_route_proxy proxy = {.scheme = "https",
                            .host = "127.0.0.1",
                            .port = port,
                            .context = context,
                            .login = {.kind = POP3_PROXY_HTTP}};
  pop3_route route = {.proxy = &proxy};
  pop3_conn *c = create();
  pop3_conn_use_route(c, &route);
  must(open_at(c, "mail.example", 110, NULL) == POP3_E_OK, "to open");
  must(settle(c) == POP3_STEP_WAIT, "to connect");
  int peer = accept_one();
  (void)fcntl(peer, F_SETFL, O_NONBLOCK);
  *ssl = SSL_new(server);
  (void)SSL_set_fd(*ssl, peer);
  SSL_set_accept_state(*ssl);
  while (settle(c) == POP3_STEP_WAIT && SSL_do_handshake(*ssl) != 1)
    must(is_ready(c, PATIENCE) || settle(c) == POP3_STEP_WAIT, "a handshake");
  CHECK(settle(c) == POP3_STEP_WAIT);
  return c;
}

static void test_clogged_proxy(void) {
  SSL_CTX *server = make_server(TLS1_2_VERSION);
  pop3_tls_context *context = trusting();
  const pop3_interest *interests;
  long answered = 0;
  SSL *ssl;
  pop3_conn *c = proxied(server, context, &ssl);
  do {
    answered += storm(ssl);
    must(is_ready(c, PATIENCE), "the storm to arrive");
    CHECK(settle(c) == POP3_STEP_WAIT);
    CHECK(pop3_conn_interests(c, &interests) == 1);
  } while (interests[0].readable && answered < 2000000);
  CHECK(!interests[0].readable && interests[0].writable);
  now += options.connect_timeout;
  CHECK(settle(c) == POP3_STEP_FAILED && failed_as(c, POP3_E_CONNECT));
  destroy(c);
  hang_up(ssl);
  SSL_CTX_free(server);
  pop3_tls_context_release(context);
}

/* Between a carried connection and a server that is an SSL only, until nothing
 * moves. */
static pop3_step carry(pop3_conn *c, SSL *ssl) {
  static char octets[PIECE];
  for (;;) {
    pop3_step step = settle(c);
    if (step != POP3_STEP_WAIT) return step;
    if (pop3_carrier_wants(c) == POP3_CARRY_SEND) {
      pop3_span out = pop3_carrier_outgoing(c);
      must(BIO_write(SSL_get_rbio(ssl), out.data, (int)out.size) > 0, "octets");
      pop3_carrier_sent(c, out.size);
      continue;
    }
    if (!SSL_is_init_finished(ssl)) (void)SSL_do_handshake(ssl);
    int got = BIO_read(SSL_get_wbio(ssl), octets, sizeof octets);
    if (got <= 0) return step;
    pop3_carrier_received(c, octets, (size_t)got);
  }
}

static pop3_conn *carried(SSL_CTX *server, pop3_tls_context *context,
                          SSL **ssl) {
  options.carried = true;
  options.tls = POP3_TLS_IMPLICIT;
  pop3_conn *c = create();
  must(open_at(c, "127.0.0.1", 995, context) == POP3_E_OK, "to open");
  must(settle(c) == POP3_STEP_WAIT, "to be asked to connect");
  pop3_carrier_connected(c, false);
  *ssl = SSL_new(server);
  SSL_set_bio(*ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
  SSL_set_accept_state(*ssl);
  return c;
}

/* A goodbye that was there before a command left is not its answer, though TLS
 * has the command already. */
static void test_goodbye_over_tls(void) {
  SSL_CTX *server = make_server(TLS1_3_VERSION);
  pop3_tls_context *context = trusting();
  SSL *ssl;
  pop3_conn *c = carried(server, context, &ssl);
  CHECK(carry(c, ssl) == POP3_STEP_WAIT && SSL_is_init_finished(ssl));
  must(SSL_write(ssl, "+OK ready\r\n", 11) == 11, "to greet");
  CHECK(carry(c, ssl) == POP3_STEP_DONE);
  now += 5;
  CHECK(begin(c, POP3_OP_COMMAND, POP3_NOOP, NULL) == POP3_E_OK);
  must(SSL_write(ssl, "-ERR idle\r\n", 11) == 11, "to say goodbye");
  CHECK(carry(c, ssl) == POP3_STEP_FAILED && failed_as(c, POP3_E_GOODBYE));
  destroy(c);
  SSL_free(ssl);
  SSL_CTX_free(server);
  pop3_tls_context_release(context);
}

/* Before it is over, nothing that the peer says matters. */
static void test_handshake_in_vain(void) {
  SSL_CTX *server = make_server(TLS1_3_VERSION);
  pop3_tls_context *context = trusting();
  SSL *ssl;
  pop3_conn *c = carried(server, context, &ssl);
  CHECK(settle(c) == POP3_STEP_WAIT);
  CHECK(pop3_carrier_wants(c) == POP3_CARRY_SEND);
  pop3_carrier_failed(c, "closed", NULL);
  CHECK(settle(c) == POP3_STEP_FAILED && failed_as(c, POP3_E_IO));
  destroy(c);
  SSL_free(ssl);
  SSL_CTX_free(server);
  pop3_tls_context_release(context);
}

/* HelloRequests, as many as a record holds: to be skipped, for ever. */
static void test_handshake_storm(void) {
  static char record[5 + 16384] = {22, 3, 3, 64, 0};
  pop3_tls_context *context = trusting();
  options.tls = POP3_TLS_IMPLICIT;
  int peer;
  pop3_conn *c = connected(&peer, context);
  (void)fcntl(peer, F_SETFL, O_NONBLOCK);
  while (send(peer, record, sizeof record, MSG_NOSIGNAL) == sizeof record)
    continue;
  must(is_ready(c, PATIENCE), "the storm to arrive");
  CHECK(pop3_conn_step(c, now, 1) == POP3_STEP_AGAIN);
  now += options.connect_timeout;
  CHECK(pop3_conn_step(c, now, 1) == POP3_STEP_FAILED);
  CHECK(failed_as(c, POP3_E_CONNECT));
  destroy(c);
  (void)close(peer);
  pop3_tls_context_release(context);
}

static long resident(void) {
  struct rusage usage;
  (void)getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss; /* KiB */
}

static void test_long_argument(void) {
  SSL_CTX *server = make_server(TLS1_3_VERSION);
  pop3_tls_context *context = trusting();
  SSL *ssl;
  size_t size = 64 << 20;
  char *name = malloc(size + 1);
  memset(name, 'x', size);
  name[size] = '\0';
  options.tls = POP3_TLS_IMPLICIT;
  pop3_conn *c = secured(server, context, &ssl);
  long before = resident();
  CHECK(begin(c, POP3_OP_COMMAND, POP3_USER, name) == POP3_E_OK);
  CHECK(settle(c) == POP3_STEP_WAIT); /* the server reads nothing */
  CHECK(resident() - before < 16 << 10);
  destroy(c);
  hang_up(ssl);
  SSL_CTX_free(server);
  pop3_tls_context_release(context);
  free(name);
}

/* ------------------------------------------------------------ closing */

static void test_close_resolving(void) {
  const pop3_interest *interests;
  pop3_conn *c = create();
  CHECK(open_at(c, "slow.test", port, NULL) == POP3_E_OK);
  CHECK(settle(c) == POP3_STEP_WAIT);
  CHECK(pop3_conn_interests(c, &interests) == 1 && interests[0].readable);
  now += options.connect_timeout;
  CHECK(settle(c) == POP3_STEP_FAILED && failed_as(c, POP3_E_CONNECT));
  destroy(c);
}

/* Clients that nobody accepts, until the kernel answers no more. */
static void test_close_connecting(void) {
  unsigned full;
  int fds[4];
  int closed = listen_on(0, &full);
  struct sockaddr_in address = {.sin_family = AF_INET,
                                .sin_port = htons((unsigned short)full),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  for (int i = 0; i < 4; i++) {
    fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    (void)connect(fds[i], (struct sockaddr *)&address, sizeof address);
  }
  const pop3_interest *interests;
  pop3_conn *c = create();
  CHECK(open_at(c, "127.0.0.1", full, NULL) == POP3_E_OK);
  CHECK(settle(c) == POP3_STEP_WAIT);
  CHECK(pop3_conn_interests(c, &interests) == 1 && interests[0].writable);
  pop3_conn_close(c);
  CHECK(settle(c) == POP3_STEP_FAILED && failed_as(c, POP3_E_CLOSED));
  destroy(c);
  for (int i = 0; i < 4; i++) (void)close(fds[i]);
  (void)close(closed);
}

static void test_close_anywhere(void) {
  pop3_tls_context *context = trusting();
  int peer;
  pop3_conn *c = greeted(&peer);
  CHECK(begin(c, POP3_OP_COMMAND, POP3_RETR, "1") == POP3_E_OK);
  CHECK(settle(c) == POP3_STEP_WAIT);
  say(peer, "+OK\r\nhalf a mess");
  CHECK(finish(c) == POP3_STEP_EVENT);
  destroy(c); /* between two events */
  (void)close(peer);
  options.tls = POP3_TLS_IMPLICIT;
  c = connected(&peer, context); /* waiting for ServerHello */
  destroy(c);
  (void)close(peer);
  pop3_tls_context_release(context);
}

static void test_refused(void) {
  unsigned at;
  (void)close(listen_on(1, &at));
  pop3_conn *c = create();
  CHECK(open_at(c, "127.0.0.1", at, NULL) == POP3_E_OK);
  CHECK(finish(c) == POP3_STEP_FAILED && failed_as(c, POP3_E_IO));
  CHECK(pop3_conn_failure(c)->system != 0);
  destroy(c);
}

/* ------------------------------------------------------------ memory */

/* A session with everything that allocates; the first step that fails. */
static pop3_error play(int *peer) {
  static const char caps[] = "+OK\r\nTOP\r\nUIDL\r\nSASL PLAIN\r\n.\r\n";
  pop3_conn *c = create();
  pop3_error error = open_at(c, "127.0.0.1", port, NULL);
  *peer = -1;
  if (error == POP3_E_OK) {
    (void)settle(c);
    *peer = accept_one();
    say(*peer, "+OK ready\r\n");
    if (finish(c) == POP3_STEP_FAILED) error = pop3_conn_failure(c)->error;
  }
  if (error == POP3_E_OK) error = begin(c, POP3_OP_CAPA, POP3_CAPA, NULL);
  if (error == POP3_E_OK) {
    say(*peer, caps);
    if (settle(c) == POP3_STEP_WAIT) (void)finish(c);
    error = pop3_conn_failure(c)->error;
  }
  destroy(c);
  return error;
}

static void test_hunger(void) {
  pop3_error error = POP3_E_MEMORY;
  long n = 0;
  while (error != POP3_E_OK && n < 100) {
    int peer;
    hunger = ++n;
    error = play(&peer);
    hunger = 0;
    if (peer >= 0) (void)close(peer);
    CHECK(error == POP3_E_OK || error == POP3_E_MEMORY);
    CHECK(allocated == 0);
  }
  CHECK(error == POP3_E_OK && n > 3);
}

/* ------------------------------------------------------------ all of them */

static const struct claim {
  void (*run)(void);
  const char *claim;
} tests[] = {
    {test_waits, "a step that can do nothing says what it waits for"},
    {test_running, "one operation runs at a time, and a refusal ends one"},
    {test_after_end, "a failure is repeated until the connection is closed"},
    {test_events, "the smallest budget delivers a whole message"},
    {test_early_reply, "a reply to a command half sent is unsolicited"},
    {test_many, "connections in one loop do not disturb each other"},
    {test_deadlines, "deadlines follow the host's clock, forward only"},
    {test_slow_host, "a slow host is not taken for a silent server"},
    {test_no_deadline, "no timeouts make no deadline"},
    {test_storm, "T41 records without text do not outlast a step"},
    {test_handshake_storm, "T41 HelloRequests do not outlast a step"},
    {test_clogged, "T41 a peer that takes no answers is not read any more"},
    {test_clogged_proxy, "T41 nor is a proxy"},
    {test_clogged_and_gone, "T41 one that is gone, too, is not waited for"},
    {test_goodbye_over_tls, "an idle goodbye over TLS answers nothing"},
    {test_handshake_in_vain, "a handshake that cannot be sent fails at once"},
    {test_long_argument, "a long argument is encrypted piece by piece"},
    {test_close_resolving, "a name that is never found ends at the deadline"},
    {test_close_connecting, "a connection may be closed while it connects"},
    {test_close_anywhere, "a connection may be closed between two events"},
    {test_refused, "a refused connection says errno"},
    {test_hunger, "T62 every allocation that fails is a clean error"},
};

int main(void) {
  must(pipe2(gate, O_CLOEXEC) == 0, "a pipe");
  listener = listen_on(64, &port);
  (void)count_descriptors();
  int failures = 0;
  for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
    good = true;
    now = 1000;
    pop3_conn_options_init(&options);
    int before = count_descriptors();
    tests[i].run();
    CHECK(count_descriptors() == before);
    CHECK(allocated == 0);
    printf("%s - %s\n", good ? "ok" : "not ok", tests[i].claim);
    failures += !good;
  }
  return failures > 0;
}
