/*
 * tls_test.c - the TLS filter against an OpenSSL server in this process, over
 * memory BIOs: sessions that work, what is agreed upon, what is no TLS, records
 * and ends (R14, T03). Whom it trusts is tls_verify_test.c's matter, its lack of
 * memory tls_starve_test.c's.
 */
#define _POSIX_C_SOURCE 200809L

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tls_trial.h"
#include "tls_world.h"

/* --- sessions that work -------------------------------------------------- */

static void test_session(int version, const char *label, size_t chunk) {
  pair p;
  server s = {.identity = &leaf, .protocol = "pop3", .max = version};
  pop3_tls_info info = {0};
  char name[100];
  serve(&p, &s);
  p.chunk = chunk;
  bool good = attach(&p, HOST, true) == POP3_E_OK &&
              said(shake(&p), POP3_E_OK, "") && !p.dirty && answers(&p);
  if (good) pop3_tls_describe(p.client, &info);
  (void)snprintf(name, sizeof name, "%s, %s", label,
                 chunk ? "an octet at a time" : "at once");
  check(good && strcmp(info.version, label) == 0 && info.verified &&
            info.cipher && info.group && strcmp(info.alpn, "pop3") == 0 &&
            strcmp(p.name, "pop.example.org") == 0,
        name);
  stop(&p);
}

static void test_large(void) {
  enum { SIZE = 1 << 20 };
  pair p;
  server s = {.identity = &leaf};
  char *sent = malloc(SIZE), *got = malloc(SIZE);
  size_t used = 0, size, total = 0;
  must(sent && got, "memory");
  for (size_t i = 0; i < SIZE; i++) sent[i] = (char)(i * 31 + i / 255);
  bool good = try_out(&p, &s, HOST) == POP3_E_OK &&
              pop3_tls_write(p.client, sent, SIZE, &failure) == POP3_E_OK;
  p.chunk = 5000; /* so that what is sent is dropped in parts */
  while (good && carry_up(&p)) continue;
  while (good && SSL_read_ex(p.server, got + used, SIZE - used, &size) == 1)
    used += size;
  check(good && used == SIZE && memcmp(sent, got, SIZE) == 0,
        "a mebibyte goes out whole, whatever the transport takes");
  good = good && SSL_write_ex(p.server, sent, SIZE, &size) == 1;
  p.chunk = 0;
  drain(&p);
  memset(got, 0, SIZE);
  while (good && pop3_tls_read(p.client, got + total, 333, &size, &failure) ==
                     POP3_E_OK)
    total += size, good = total + 333 <= SIZE || total == SIZE;
  while (total < SIZE && pop3_tls_read(p.client, got + total, SIZE - total,
                                       &size, &failure) == POP3_E_OK)
    total += size;
  check(total == SIZE && memcmp(sent, got, SIZE) == 0,
        "a mebibyte comes in whole, through small reads");
  free(sent), free(got);
  stop(&p);
}

/* --- protocol ------------------------------------------------------------ */

static void test_versions(void) {
  server old = {.identity = &leaf, .weak = true, .max = TLS1_1_VERSION};
  server new = {.identity = &leaf, .min = TLS1_3_VERSION};
  expect(&old, HOST, POP3_E_HANDSHAKE, "min_version", "a server of TLS 1.1");
  options.security_level = 0;
  expect(&old, HOST, POP3_E_HANDSHAKE, "min_version",
         "a server of TLS 1.1, at any security level");
  options.min_version = "1.0";
  options.security_level = 0;
  expect(&old, HOST, POP3_E_OK, "", "a server of TLS 1.1, by explicit choice");
  options.min_version = "1.3";
  expect(&(server){.identity = &leaf, .max = TLS1_2_VERSION}, HOST,
         POP3_E_HANDSHAKE, "min_version", "min_version is kept");
  options.max_version = "1.2";
  expect(&new, HOST, POP3_E_HANDSHAKE, "max_version", "max_version is kept");
}

static void test_alpn(void) {
  pair p;
  server s = {.identity = &leaf, .protocol = "http/1.1"};
  expect(&s, HOST, POP3_E_ALPN, "right port", "a server that chooses HTTP");
  serve(&p, &s);
  must(attach(&p, HOST, true) == POP3_E_OK, "a filter");
  check(said(shake(&p), POP3_E_ALPN, "right port"),
        "a server that chooses HTTP after STLS (ALPACA)");
  stop(&p);
  s.protocol = "!";
  expect(&s, HOST, POP3_E_ALPN, "alpn = false",
         "a server that refuses \"pop3\"");
  options.alpn = false;
  check(said(try_out(&p, &s, HOST), POP3_E_OK, "") && p.offered == 0,
        "alpn = false offers nothing");
  stop(&p);
  use_defaults();
}

static void test_renegotiation(void) {
  pair p;
  server s = {.identity = &leaf, .max = TLS1_2_VERSION};
  must(try_out(&p, &s, HOST) == POP3_E_OK, "a session");
  (void)SSL_renegotiate(p.server);
  (void)SSL_do_handshake(p.server);
  drain(&p);
  char octet;
  size_t got;
  check(pop3_tls_read(p.client, &octet, 1, &got, &failure) == POP3_E_AGAIN &&
            SSL_get_state(p.client->ssl) == TLS_ST_OK,
        "a renegotiation is not begun");
  ERR_clear_error();
  stop(&p);
}

static void test_plain(void) {
  static const struct {
    const char *octets;
    bool after_stls;
    pop3_error error;
    const char *phrase;
  } rows[] = {
      {"+OK POP3 ready\r\n", false, POP3_E_HANDSHAKE, "+OK POP3 ready\\r\\n"},
      {"+OK POP3 ready\r\n", false, POP3_E_HANDSHAKE, "port 995"},
      {"HTTP/1.0 400\r\n", false, POP3_E_HANDSHAKE, "does not speak TLS"},
      {"+OK injected\r\n", true, POP3_E_INJECTION, "+OK injected"},
      {"-", true, POP3_E_INJECTION, "STLS"},
      {"\x16\x03\x01garbage", true, POP3_E_HANDSHAKE, ""},
      {"\x15\x03\x03\x00\x02\x02\x28", true, POP3_E_HANDSHAKE, "in common"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    pair p;
    char name[64];
    serve(&p, &(server){.identity = &leaf});
    must(attach(&p, HOST, rows[i].after_stls) == POP3_E_OK, "a filter");
    pop3_error first = pop3_tls_handshake(p.client, &failure);
    size_t size = i == 6 ? 7 : strlen(rows[i].octets);
    (void)pop3_tls_feed(p.client, rows[i].octets, size);
    if (i == 5) pop3_tls_eof(p.client);
    (void)snprintf(name, sizeof name, "plain octets instead of TLS: number %d",
                   (int)i);
    check(first == POP3_E_AGAIN &&
              said(pop3_tls_handshake(p.client, &failure), rows[i].error,
                   rows[i].phrase) &&
              ERR_peek_error() == 0,
          name);
    stop(&p);
  }
}

/* --- records ------------------------------------------------------------- */

/* The server's whole flight is there, and still each call takes one record. */
static void test_records(void) {
  pair p;
  pop3_error error = POP3_E_OK;
  int calls = 0;
  serve(&p, &(server){.identity = &leaf});
  must(attach(&p, HOST, false) == POP3_E_OK, "a filter");
  (void)pop3_tls_handshake(p.client, &failure);
  while (carry_up(&p)) continue;
  (void)SSL_do_handshake(p.server);
  while (carry_down(&p, &error)) continue;
  do {
    error = pop3_tls_handshake(p.client, &failure);
    calls++;
  } while (error == POP3_E_AGAIN && pop3_tls_fed(p.client) > 0);
  check(error == POP3_E_OK && calls >= 4,
        "a handshake's certificates and signature are steps of their own");
  check(pop3_tls_fed(p.client) == 0, "nothing is left of it");
  stop(&p);
}

/* --- ends ---------------------------------------------------------------- */

static void test_ends(void) {
  pair p;
  server s = {.identity = &leaf};
  char octets[64];
  size_t got = 99;
  serve(&p, &s);
  must(attach(&p, HOST, false) == POP3_E_OK, "a filter");
  check(said(pop3_tls_read(p.client, octets, 1, &got, &failure),
             POP3_E_TLS_DATA, "not done") &&
            said(pop3_tls_write(p.client, "PASS", 4, &failure), POP3_E_TLS_DATA,
                 "not done") &&
            pop3_tls_output(p.client, &got) == NULL && got == 0,
        "nothing is written or read before the handshake");
  (void)pop3_tls_handshake(p.client, &failure);
  pop3_tls_eof(p.client);
  check(said(pop3_tls_handshake(p.client, &failure), POP3_E_HANDSHAKE,
             "closed the connection") &&
            said(pop3_tls_write(p.client, "PASS", 4, &failure),
                 POP3_E_HANDSHAKE, ""),
        "an end during the handshake, and nothing is written after it");
  stop(&p);

  must(try_out(&p, &s, HOST) == POP3_E_OK, "a session");
  (void)SSL_write_ex(p.server, "+OK\r\n", 5, &got);
  drain(&p);
  pop3_tls_eof(p.client);
  check(pop3_tls_read(p.client, octets, 64, &got, &failure) == POP3_E_OK &&
            got == 5 &&
            said(pop3_tls_read(p.client, octets, 64, &got, &failure),
                 POP3_E_TRUNCATED, "close_notify") &&
            said(pop3_tls_read(p.client, octets, 64, &got, &failure),
                 POP3_E_TRUNCATED, "") &&
            ERR_peek_error() == 0,
        "a stream that ends without close_notify is truncated");
  stop(&p);

  must(try_out(&p, &s, HOST) == POP3_E_OK, "a session");
  (void)SSL_write_ex(p.server, "+OK\r\n", 5, &got);
  (void)SSL_shutdown(p.server);
  drain(&p);
  pop3_tls_eof(p.client);
  check(pop3_tls_read(p.client, octets, 64, &got, &failure) == POP3_E_OK &&
            pop3_tls_read(p.client, octets, 64, &got, &failure) == POP3_E_EOF &&
            ERR_peek_error() == 0,
        "a stream that ends with close_notify has ended");
  pop3_tls_free(p.client);
  p.client = NULL;
  check(BIO_ctrl_pending(SSL_get_rbio(p.server)) == 0,
        "freeing sends nothing, not even close_notify");
  stop(&p);

  must(try_out(&p, &s, HOST) == POP3_E_OK, "a session");
  (void)pop3_tls_feed(p.client, "\x17\x03\x03\x00\x14garbagegarbagegarbag", 25);
  check(said(pop3_tls_read(p.client, octets, 64, &got, &failure),
             POP3_E_TLS_DATA, "") &&
            ERR_peek_error() == 0,
        "octets that were tampered with");
  stop(&p);
}

int main(void) {
  make_world();
  use_defaults();
  test_session(TLS1_3_VERSION, "TLSv1.3", 0);
  test_session(TLS1_3_VERSION, "TLSv1.3", 1);
  test_session(TLS1_2_VERSION, "TLSv1.2", 0);
  test_session(TLS1_2_VERSION, "TLSv1.2", 1);
  test_large();
  test_versions();
  test_alpn();
  test_renegotiation();
  test_plain();
  test_records();
  test_ends();
  end_world();
  return failures > 0;
}
