/*
 * conn_tls_test.c - a connection over TLS, whose records and answers cost a
 * host that must not block no more than its budget (T41).
 */
#include "conn_world.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/resource.h>

#include "carrier.h"

/* ------------------------------------------------------------ a server */

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

/* Both ends' TLS, while a test runs. */
static SSL_CTX *server;
static pop3_tls_context *context;
static SSL *ssl;

static void make_both(int version) {
  server = make_server(version);
  context = trusting();
}

static void hang_up(void) {
  if (SSL_get_fd(ssl) >= 0) (void)close(SSL_get_fd(ssl));
  SSL_free(ssl);
  ssl = NULL;
}

static void end(pop3_conn *c) {
  destroy(c);
  if (ssl != NULL) hang_up();
  SSL_CTX_free(server);
  pop3_tls_context_release(context);
}

/* With `peer`, which does not block. */
static void shake_hands(pop3_conn *c, int peer) {
  (void)fcntl(peer, F_SETFL, O_NONBLOCK);
  ssl = SSL_new(server);
  (void)SSL_set_fd(ssl, peer);
  SSL_set_accept_state(ssl);
  pop3_step step = settle(c);
  while (step == POP3_STEP_WAIT && SSL_do_handshake(ssl) != 1) {
    must(is_ready(c, PATIENCE) || settle(c) == POP3_STEP_WAIT, "a handshake");
    step = settle(c);
  }
}

/* A greeted connection over TLS. */
static pop3_conn *secured(int version) {
  int peer;
  make_both(version);
  options.tls = POP3_TLS_IMPLICIT;
  pop3_conn *c = connected(&peer, context);
  shake_hands(c, peer);
  must(SSL_write(ssl, "+OK ready\r\n", 11) == 11, "to greet");
  must(finish(c) == POP3_STEP_DONE, "a greeting");
  return c;
}

/* The server writes records without text until its socket takes no more. */
static long storm(void) {
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
  pop3_conn *c = secured(TLS1_3_VERSION);
  CHECK(begin(c, POP3_OP_COMMAND, POP3_NOOP, NULL) == POP3_E_OK);
  CHECK(settle(c) == POP3_STEP_WAIT);
  must(storm() > 1000, "a storm");
  must(is_ready(c, PATIENCE), "the storm to arrive");
  int steps = 0;
  while (pop3_conn_step(c, now, 1) == POP3_STEP_AGAIN) steps++;
  CHECK(steps > 0);
  CHECK(pop3_conn_step(c, now + options.timeout, 1) == POP3_STEP_FAILED);
  end(c);
}

/* Each HelloRequest is answered by an alert, and the server takes none. */
static void clog_up(pop3_conn *c) {
  const pop3_interest *interests;
  long answered = 0;
  do {
    answered += storm();
    must(is_ready(c, PATIENCE), "the storm to arrive");
    CHECK(settle(c) == POP3_STEP_WAIT);
    CHECK(pop3_conn_interests(c, &interests) == 1);
  } while (interests[0].readable && answered < 2000000);
  CHECK(!interests[0].readable && interests[0].writable);
}

static pop3_conn *clogged(void) {
  pop3_conn *c = secured(TLS1_2_VERSION);
  CHECK(begin(c, POP3_OP_COMMAND, POP3_NOOP, NULL) == POP3_E_OK);
  CHECK(settle(c) == POP3_STEP_WAIT);
  clog_up(c);
  return c;
}

static void test_clogged(void) {
  pop3_conn *c = clogged();
  now += options.timeout;
  CHECK(settle(c) == POP3_STEP_FAILED && failed_as(c, POP3_E_IDLE));
  end(c);
}

/* What would have to leave first cannot leave: no deadline is waited for. */
static void test_clogged_and_gone(void) {
  pop3_conn *c = clogged();
  hang_up(); /* what it did not read makes that a reset */
  must(is_ready(c, PATIENCE), "the reset to arrive");
  CHECK(settle(c) == POP3_STEP_FAILED && failed_as(c, POP3_E_IO));
  end(c);
}

/* Connected to a proxy by TLS, whose answer to CONNECT is awaited. */
static pop3_conn *proxied(int version) {
  make_both(version);
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
  shake_hands(c, accept_one());
  CHECK(settle(c) == POP3_STEP_WAIT);
  return c;
}

static void test_clogged_proxy(void) {
  pop3_conn *c = proxied(TLS1_2_VERSION);
  clog_up(c);
  now += options.connect_timeout;
  CHECK(settle(c) == POP3_STEP_FAILED && failed_as(c, POP3_E_CONNECT));
  end(c);
}

/* Between a carried connection and a server that is an SSL only, until nothing
 * moves. */
static pop3_step carry(pop3_conn *c) {
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

static pop3_conn *carried(void) {
  make_both(TLS1_3_VERSION);
  options.carried = true;
  options.tls = POP3_TLS_IMPLICIT;
  pop3_conn *c = create();
  must(open_at(c, "127.0.0.1", 995, context) == POP3_E_OK, "to open");
  must(settle(c) == POP3_STEP_WAIT, "to be asked to connect");
  pop3_carrier_connected(c, false);
  ssl = SSL_new(server);
  SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
  SSL_set_accept_state(ssl);
  return c;
}

/* A goodbye that was there before a command left is not its answer, though TLS
 * has the command already. */
static void test_goodbye_over_tls(void) {
  pop3_conn *c = carried();
  CHECK(carry(c) == POP3_STEP_WAIT && SSL_is_init_finished(ssl));
  must(SSL_write(ssl, "+OK ready\r\n", 11) == 11, "to greet");
  CHECK(carry(c) == POP3_STEP_DONE);
  now += 5;
  CHECK(begin(c, POP3_OP_COMMAND, POP3_NOOP, NULL) == POP3_E_OK);
  must(SSL_write(ssl, "-ERR idle\r\n", 11) == 11, "to say goodbye");
  CHECK(carry(c) == POP3_STEP_FAILED && failed_as(c, POP3_E_GOODBYE));
  end(c);
}

/* Before it is over, nothing that the peer says matters. */
static void test_handshake_in_vain(void) {
  pop3_conn *c = carried();
  CHECK(settle(c) == POP3_STEP_WAIT);
  CHECK(pop3_carrier_wants(c) == POP3_CARRY_SEND);
  pop3_carrier_failed(c, "closed", NULL);
  CHECK(settle(c) == POP3_STEP_FAILED && failed_as(c, POP3_E_IO));
  end(c);
}

/* HelloRequests, as many as a record holds: to be skipped, for ever. */
static void test_handshake_storm(void) {
  static char record[5 + 16384] = {22, 3, 3, 64, 0};
  int peer;
  context = trusting();
  options.tls = POP3_TLS_IMPLICIT;
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
  size_t size = 64 << 20;
  char *name = malloc(size + 1);
  memset(name, 'x', size);
  name[size] = '\0';
  pop3_conn *c = secured(TLS1_3_VERSION);
  long before = resident();
  CHECK(begin(c, POP3_OP_COMMAND, POP3_USER, name) == POP3_E_OK);
  CHECK(settle(c) == POP3_STEP_WAIT); /* the server reads nothing */
  CHECK(resident() - before < 16 << 10);
  end(c);
  free(name);
}

/* ------------------------------------------------------------ all of them */

static const claim claims[] = {
    {test_storm, "T41 records without text do not outlast a step"},
    {test_handshake_storm, "T41 HelloRequests do not outlast a step"},
    {test_clogged, "T41 a peer that takes no answers is not read any more"},
    {test_clogged_proxy, "T41 nor is a proxy"},
    {test_clogged_and_gone, "T41 one that is gone, too, is not waited for"},
    {test_goodbye_over_tls, "an idle goodbye over TLS answers nothing"},
    {test_handshake_in_vain, "a handshake that cannot be sent fails at once"},
    {test_long_argument, "a long argument is encrypted piece by piece"},
};

int main(void) { return RUN_CLAIMS(claims); }
