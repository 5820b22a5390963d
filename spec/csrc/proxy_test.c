/*
 * proxy_test.c - what we say to proxies, and what becomes of what they say,
 * however it is cut: hostile replies end in one typed error (T11, T15), limits
 * hold to the octet, and secrets are gone once they were sent (T22).
 */
#include "proxy.h"

#include <stdlib.h>
#include <string.h>

#include "check.h"

/* ------------------------------------------------------------ the world */

/* The block of the one exchange that there is. */
static char *block;
static size_t block_size;
static bool hungry;

static void *resize(void *state, void *old, size_t before, size_t size) {
  (void)state;
  (void)before;
  if (size == 0) {
    free(old);
    return NULL;
  }
  if (hungry) return NULL;
  block = realloc(old, size);
  block_size = size;
  return block;
}

static const pop3_allocator allocator = {resize, NULL};

static pop3_span span(const char *text) {
  pop3_span s = {text, text != NULL ? strlen(text) : 0};
  return s;
}

static pop3_proxy_login login(pop3_proxy_kind kind, const char *user,
                              const char *password) {
  pop3_proxy_login l = {kind, span(user), span(password)};
  return l;
}

static pop3_failure failure;

static pop3_proxy *ask(pop3_proxy_kind kind, const char *user,
                       const char *password, const char *host, unsigned port) {
  pop3_proxy *p = NULL;
  pop3_proxy_login l = login(kind, user, password);
  pop3_error error = pop3_proxy_new(&allocator, &l, host, port, &p, &failure);
  must(error == POP3_E_OK && p != NULL, "an exchange");
  return p;
}

static bool holds(const char *text) {
  size_t size = strlen(text);
  for (size_t i = 0; i + size <= block_size; i++) {
    if (memcmp(block + i, text, size) == 0) return true;
  }
  return false;
}

/* ------------------------------------------------------------ what we say */

/* It says this now, and it is sent. */
static bool says(pop3_proxy *p, const char *octets, size_t size) {
  pop3_span out = pop3_proxy_output(p);
  bool same = out.size == size && memcmp(out.data, octets, size) == 0;
  pop3_proxy_sent(p, out.size);
  return same && pop3_proxy_output(p).size == 0;
}

#define SAYS(p, octets) says(p, octets, sizeof octets - 1)

static pop3_error hear(pop3_proxy *p, const char *octets, size_t size,
                       size_t *used) {
  return pop3_proxy_receive(p, octets, size, used, &failure);
}

/* It takes all of this, and wants more. */
static bool takes(pop3_proxy *p, const char *octets, size_t size) {
  size_t used;
  return hear(p, octets, size, &used) == POP3_E_AGAIN && used == size;
}

#define TAKES(p, octets) takes(p, octets, sizeof octets - 1)

/* One without a login that knows how: the request is next. */
static pop3_proxy *agreed(const char *host, unsigned port) {
  pop3_proxy *p = ask(POP3_PROXY_SOCKS5, NULL, NULL, host, port);
  CHECK(SAYS(p, "\5\1\0"));
  CHECK(TAKES(p, "\5\0"));
  return p;
}

static void says_socks_names(void) {
  size_t used;
  pop3_proxy *p = agreed("mail.example.org", 995);
  CHECK(SAYS(p, "\5\1\0\3\20mail.example.org\3\xe3"));
  CHECK(hear(p, "\5\0\0\1\1\2\3\4\5\6", 10, &used) == POP3_E_OK && used == 10);
  pop3_proxy_free(p);
}

static void says_socks_addresses(void) {
  pop3_proxy *p = agreed("192.0.2.7", 110);
  CHECK(SAYS(p, "\5\1\0\1\300\0\2\7\0\156"));
  pop3_proxy_free(p);
  p = agreed("2001:db8::1", 110);
  CHECK(SAYS(p, "\5\1\0\4\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\1\0\156"));
  pop3_proxy_free(p);
}

static void says_socks_login(void) {
  pop3_proxy *p = ask(POP3_PROXY_SOCKS5, "joe", "secret", "a.example", 1);
  CHECK(SAYS(p, "\5\2\0\2"));
  CHECK(TAKES(p, "\5\2"));
  CHECK(SAYS(p, "\1\3joe\6secret"));
  CHECK(TAKES(p, "\1\0"));
  CHECK(SAYS(p, "\5\1\0\3\11a.example\0\1"));
  pop3_proxy_free(p);
}

static void keeps_the_login_to_itself(void) {
  pop3_proxy *p = ask(POP3_PROXY_SOCKS5, "joe", "secret", "a.example", 1);
  CHECK(SAYS(p, "\5\2\0\2"));
  CHECK(TAKES(p, "\5\0"));
  CHECK(!holds("secret"));
  CHECK(SAYS(p, "\5\1\0\3\11a.example\0\1"));
  pop3_proxy_free(p);
}

static void says_connect(void) {
  pop3_proxy *p = ask(POP3_PROXY_HTTP, NULL, NULL, "mail.example.org", 995);
  CHECK(SAYS(p,
             "CONNECT mail.example.org:995 HTTP/1.1\r\n"
             "Host: mail.example.org:995\r\n\r\n"));
  pop3_proxy_free(p);
  p = ask(POP3_PROXY_HTTP, "Aladdin", "open sesame", "2001:db8::1", 110);
  CHECK(SAYS(p,
             "CONNECT [2001:db8::1]:110 HTTP/1.1\r\n"
             "Host: [2001:db8::1]:110\r\nProxy-Authorization: Basic "
             "QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n"));
  pop3_proxy_free(p);
}

static bool freed_with_secrets;

static void *watch(void *state, void *old, size_t before, size_t size) {
  if (size == 0 && old != NULL) freed_with_secrets = holds("secret");
  return resize(state, old, before, size);
}

/* What was not sent is secret as well. */
static void frees_nothing_that_is_secret(void) {
  static const pop3_allocator watching = {watch, NULL};
  pop3_proxy_login l = login(POP3_PROXY_SOCKS5, "joe", "secret");
  pop3_proxy *p = NULL;
  CHECK(pop3_proxy_new(&watching, &l, "a.example", 1, &p, &failure) ==
        POP3_E_OK);
  freed_with_secrets = true;
  pop3_proxy_free(p);
  CHECK(!freed_with_secrets);
}

/* Octet by octet, each of which is gone then. */
static void wipes_what_was_sent(void) {
  size_t used;
  pop3_proxy *p = ask(POP3_PROXY_HTTP, "joe", "secret", "a.example", 1);
  CHECK(holds("am9lOnNlY3JldA==") && !holds("secret"));
  while (pop3_proxy_output(p).size > 0) pop3_proxy_sent(p, 1);
  CHECK(!holds("am9lOn") && !holds("NlY3Jl") && !holds("ldA=="));
  pop3_proxy_free(p);
  p = ask(POP3_PROXY_SOCKS5, "joe", "secret", "a.example", 1);
  CHECK(holds("secret"));
  pop3_proxy_sent(p, pop3_proxy_output(p).size);
  CHECK(hear(p, "\5\2", 2, &used) == POP3_E_AGAIN);
  pop3_proxy_sent(p, pop3_proxy_output(p).size);
  CHECK(!holds("secret") && !holds("secre") && !holds("joe"));
  pop3_proxy_free(p);
}

/* ------------------------------------------------------------ what they say */

enum { NONE, JOE };

typedef struct reply {
  pop3_proxy_kind kind;
  int login;
  const char *octets;
  size_t size;
  pop3_error error;
  const char *text; /* a part of the failure's, or what is left over */
} reply;

#define SOCKS(login, octets, error, text) \
  { POP3_PROXY_SOCKS5, login, octets, sizeof octets - 1, POP3_E_##error, text }
#define HTTP(login, octets, error, text) \
  { POP3_PROXY_HTTP, login, octets, sizeof octets - 1, POP3_E_##error, text }

static const reply table[] = {
    SOCKS(NONE, "\5\0\5\0\0\1\0\0\0\0\0\0+OK hi\r\n", OK, "+OK hi\r\n"),
    SOCKS(NONE, "\5\0\5\0\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", OK, ""),
    SOCKS(NONE, "\5\0\5\0\0\3\3abc\0\0x", OK, "x"),
    SOCKS(NONE, "\5\0\5\0\0\3\0\0\0x", OK, "x"),
    SOCKS(NONE, "\5\0\5\0\7\1\0\0\0\0\0\0", OK, ""),
    SOCKS(JOE, "\5\2\1\0\5\0\0\1\0\0\0\0\0\0", OK, ""),
    SOCKS(JOE, "\5\0\5\0\0\1\0\0\0\0\0\0", OK, ""),
    SOCKS(NONE, "\5\0\5\0\0\3\377short", AGAIN, ""),
    SOCKS(NONE, "", AGAIN, ""),
    SOCKS(NONE, "\4\0", PROXY, "begins with octet 4"),
    SOCKS(NONE, "\0\132", PROXY, "not SOCKS5's"),
    SOCKS(NONE, "HTTP/1.1 400 Bad Request\r\n\r\n", PROXY, "octet 72"),
    SOCKS(NONE, "+OK POP3 ready\r\n", PROXY, "not SOCKS5's"),
    SOCKS(NONE, "\5\377", PROXY_DENIED, "give user and password"),
    SOCKS(JOE, "\5\377", PROXY_DENIED, "neither"),
    SOCKS(NONE, "\5\2", PROXY, "login method 2, which was not offered"),
    SOCKS(JOE, "\5\1", PROXY, "login method 1, which was not offered"),
    SOCKS(JOE, "\5\200", PROXY, "which was not offered"),
    SOCKS(JOE, "\5\2\5\0", PROXY, "version 5 instead of 1"),
    SOCKS(JOE, "\5\2\1\1", PROXY_DENIED, "refused user or password"),
    SOCKS(JOE, "\5\2\1\377", PROXY_DENIED, "status 255"),
    SOCKS(NONE, "\5\0\1\0", PROXY, "octet 1"),
    SOCKS(NONE, "\5\0\5\1", PROXY_REFUSED, "general failure"),
    SOCKS(NONE, "\5\0\5\2", PROXY_REFUSED, "not allowed by its rules"),
    SOCKS(NONE, "\5\0\5\3", PROXY_REFUSED, "network unreachable"),
    SOCKS(NONE, "\5\0\5\4", PROXY_REFUSED, "host unreachable"),
    SOCKS(NONE, "\5\0\5\5\0\1\0\0\0\0\0\0", PROXY_REFUSED,
          "it did not connect to mail.example.org:995: connection refused"),
    SOCKS(NONE, "\5\0\5\6", PROXY_REFUSED, "TTL expired"),
    SOCKS(NONE, "\5\0\5\7", PROXY_REFUSED, "does not know the command"),
    SOCKS(NONE, "\5\0\5\10", PROXY_REFUSED, "this kind of address"),
    SOCKS(NONE, "\5\0\5\11", PROXY_REFUSED, "unknown reason (SOCKS5 reply 9)"),
    SOCKS(NONE, "\5\0\5\377", PROXY_REFUSED, "reply 255"),
    SOCKS(NONE, "\5\0\5\0\0\0", PROXY, "unknown type 0"),
    SOCKS(NONE, "\5\0\5\0\0\2", PROXY, "unknown type 2"),

    HTTP(NONE, "HTTP/1.1 200 OK\r\n\r\n+OK hi\r\n", OK, "+OK hi\r\n"),
    HTTP(NONE, "HTTP/1.0 200\r\n\r\n", OK, ""),
    HTTP(NONE, "HTTP/1.1 299 \r\nA:b\r\nServer: \xe4\t x\r\n\r\n", OK, ""),
    HTTP(NONE, "HTTP/1.1 200 OK\nA: b\n\nx", OK, "x"),
    HTTP(NONE, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabcd", OK, "abcd"),
    HTTP(NONE, "HTTP/1.1 100 Continue\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\n\r\nx",
         OK, "x"),
    HTTP(JOE, "HTTP/1.1 200 OK\r\n\r\n", OK, ""),
    HTTP(NONE, "HTTP/1.1 200 OK\r\nA: b\r\n", AGAIN, ""),
    HTTP(NONE, "HTTP/1.1 407 Wanted\r\n", PROXY_DENIED,
         "give user and password"),
    HTTP(JOE, "HTTP/1.1 407 am9lOnNlY3JldA==\r\n", PROXY_DENIED,
         "refused user or password (HTTP 407)"),
    HTTP(JOE, "HTTP/1.0 401 Unauthorized\r\n", PROXY_DENIED, "(HTTP 401)"),
    HTTP(NONE, "HTTP/1.1 403 Filtered \33[2J\r\n", PROXY, "octet 27"),
    HTTP(NONE, "HTTP/1.1 403 Filtered\r\n\r\n", PROXY_REFUSED,
         "mail.example.org:995: HTTP 403 Filtered"),
    HTTP(JOE, "HTTP/1.1 403 am9lOnNlY3JldA==\r\n\r\n", PROXY_REFUSED,
         "HTTP 403"),
    HTTP(NONE, "HTTP/1.1 302 Found\r\nLocation: http://evil/\r\n\r\n",
         PROXY_REFUSED, "HTTP 302 Found"),
    HTTP(NONE, "HTTP/1.1 502 Bad Gateway\r\n", PROXY_REFUSED, "Bad Gateway"),
    HTTP(NONE, "HTTP/1.1 101 Switching Protocols\r\n\r\n", PROXY, "HTTP 101"),
    HTTP(NONE, "HTTP/1.1 099 x\r\n", PROXY, "HTTP 99"),
    HTTP(NONE, "HTTP/1.1 20 OK\r\n", PROXY, "not HTTP's"),
    HTTP(NONE, "HTTP/1.1 2000 OK\r\n", PROXY, "not HTTP's"),
    HTTP(NONE, "HTTP/1.1  200 OK\r\n", PROXY, "not HTTP's"),
    HTTP(NONE, "HTTP/2 200\r\n", PROXY, "not HTTP's"),
    HTTP(NONE, "http/1.1 200 OK\r\n", PROXY, "not HTTP's"),
    HTTP(NONE, "\r\nHTTP/1.1 200 OK\r\n", PROXY, "not HTTP's"),
    HTTP(NONE, "+OK POP3 ready\r\n", PROXY, "+OK POP3 ready"),
    HTTP(JOE, "+OK am9lOnNlY3JldA==\r\n", PROXY, "is it an HTTP proxy?"),
    HTTP(NONE, "\5\377", PROXY, "octet 5"),
    HTTP(NONE, "HTTP/1.1 200 OK\0\r\n", PROXY, "octet 0"),
    HTTP(NONE, "HTTP/1.1 200 OK\rX: y\r\n", PROXY, "octet 13"),
    HTTP(NONE, "HTTP/1.1 200 OK\r\r\n", PROXY, "octet 13"),
    HTTP(NONE, "HTTP/1.1 200 OK\r\nA\0: b\r\n", PROXY, "octet 0"),
    HTTP(NONE, "HTTP/1.1 200 OK\r\nno header\r\n", PROXY, "octet 32"),
    HTTP(NONE, "HTTP/1.1 200 OK\r\nheader\r\n", PROXY, "no HTTP header"),
    HTTP(NONE, "HTTP/1.1 200 OK\r\n folded\r\n", PROXY, "octet 32"),
    HTTP(NONE, "HTTP/1.1 200 OK\r\n: b\r\n", PROXY, "octet 58"),
};

/* What came of octets that are cut into pieces; `piece` 0: cut before `at`. */
typedef struct outcome {
  pop3_error error;
  size_t used;
  char text[POP3_FAILURE_TEXT];
} outcome;

static void play(const reply *r, size_t at, size_t piece, outcome *o) {
  bool joe = r->login == JOE;
  pop3_proxy *p = ask(r->kind, joe ? "joe" : NULL, joe ? "secret" : NULL,
                      "mail.example.org", 995);
  memset(&failure, 0, sizeof failure);
  memset(o, 0, sizeof *o);
  o->error = POP3_E_AGAIN;
  while (o->error == POP3_E_AGAIN && o->used < r->size) {
    size_t used = 0, size = piece > 0 ? piece : at - o->used;
    if (o->used >= at && piece == 0) size = r->size - o->used;
    if (size > r->size - o->used) size = r->size - o->used;
    pop3_proxy_sent(p, pop3_proxy_output(p).size);
    o->error = hear(p, r->octets + o->used, size, &used);
    o->used += used;
  }
  memcpy(o->text, failure.text, sizeof o->text);
  pop3_proxy_free(p);
}

static bool is_same(const outcome *a, const outcome *b) {
  return a->error == b->error && a->used == b->used &&
         strcmp(a->text, b->text) == 0;
}

static void hears_the_same_in_any_pieces(void) {
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    outcome whole, other;
    play(&table[i], table[i].size, 0, &whole);
    for (size_t at = 1; at < table[i].size; at++) {
      play(&table[i], at, 0, &other);
      CHECK(is_same(&whole, &other));
    }
    play(&table[i], 0, 1, &other);
    CHECK(is_same(&whole, &other));
  }
}

static void says_what_is_wrong(void) {
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    const reply *r = &table[i];
    outcome o;
    play(r, r->size, 0, &o);
    bool fine = o.error == r->error;
    if (o.error == POP3_E_OK)
      fine = fine && strcmp(r->octets + o.used, r->text) == 0 &&
             o.used + strlen(r->text) == r->size;
    else fine = fine && strstr(o.text, r->text) != NULL;
    if (!fine) printf("# %zu: %s, %s\n", i, pop3_error_text(o.error), o.text);
    CHECK(fine);
    CHECK(strstr(o.text, "secret") == NULL);
    CHECK(strstr(o.text, "am9lOnNlY3JldA") == NULL);
  }
}

static void tells_an_early_end(void) {
  pop3_proxy *p = ask(POP3_PROXY_SOCKS5, NULL, NULL, "a.example", 1);
  CHECK(pop3_proxy_eof(p, &failure) == POP3_E_PROXY);
  CHECK(strstr(failure.text, "before it had connected to a.example:1"));
  pop3_proxy_free(p);
}

/* ------------------------------------------------------------ limits */

static pop3_error hear_all(pop3_proxy *p, const char *piece, size_t times) {
  pop3_error error = POP3_E_AGAIN;
  size_t used;
  while (error == POP3_E_AGAIN && times-- > 0)
    error = hear(p, piece, strlen(piece), &used);
  return error;
}

static pop3_proxy *answered(void) {
  pop3_proxy *p = ask(POP3_PROXY_HTTP, NULL, NULL, "a.example", 1);
  CHECK(hear_all(p, "HTTP/1.1 200 OK\r\n", 1) == POP3_E_AGAIN);
  return p;
}

static void limits_lines(void) {
  pop3_proxy *p = answered();
  CHECK(hear_all(p, "a:", 1) == POP3_E_AGAIN);
  CHECK(hear_all(p, "x", POP3_PROXY_LINE - 2) == POP3_E_AGAIN);
  CHECK(hear_all(p, "\r\n", 1) == POP3_E_AGAIN);
  CHECK(hear_all(p, "a:", 1) == POP3_E_AGAIN);
  CHECK(hear_all(p, "x", POP3_PROXY_LINE - 2) == POP3_E_AGAIN);
  CHECK(hear_all(p, "x", 1) == POP3_E_PROXY);
  CHECK(strstr(failure.text, "8192 octets") != NULL);
  pop3_proxy_free(p);
}

static void limits_headers(void) {
  pop3_proxy *p = answered();
  CHECK(hear_all(p, "a: b\r\n", POP3_PROXY_HEADERS) == POP3_E_AGAIN);
  CHECK(hear_all(p, "\r\n", 1) == POP3_E_OK);
  pop3_proxy_free(p);
  p = answered();
  CHECK(hear_all(p, "a: b\r\n", POP3_PROXY_HEADERS) == POP3_E_AGAIN);
  CHECK(hear_all(p, "a: b\r\n", 1) == POP3_E_PROXY);
  CHECK(strstr(failure.text, "64 header lines") != NULL);
  pop3_proxy_free(p);
}

/* Replies that only announce another one have no headers to be counted. */
static void limits_all(void) {
  static const char interim[] = "HTTP/1.1 100 x\r\n\r\n"; /* 18 */
  pop3_proxy *p = ask(POP3_PROXY_HTTP, NULL, NULL, "a.example", 1);
  CHECK(hear_all(p, interim, POP3_PROXY_HEAD / 18) == POP3_E_AGAIN);
  CHECK(hear_all(p, interim, 1) == POP3_E_PROXY);
  CHECK(strstr(failure.text, "65536 octets") != NULL);
  pop3_proxy_free(p);
}

/* ------------------------------------------------------------ arguments */

static pop3_error judge(pop3_proxy_kind kind, const char *user,
                        const char *password) {
  pop3_proxy_login l = login(kind, user, password);
  return pop3_proxy_check_login(&l, &failure);
}

static const char *repeat(char c, size_t size) {
  static char text[POP3_PROXY_LOGIN + 2];
  memset(text, c, size);
  text[size] = '\0';
  return text;
}

static void refuses_logins(void) {
  static const pop3_proxy_login nul = {
      POP3_PROXY_HTTP, {"joe", 3}, {"a\0b", 3}};
  CHECK(judge(POP3_PROXY_SOCKS5, NULL, NULL) == POP3_E_OK);
  CHECK(judge(POP3_PROXY_SOCKS5, "joe", repeat('x', 255)) == POP3_E_OK);
  CHECK(judge(POP3_PROXY_SOCKS5, "joe", repeat('x', 256)) == POP3_E_ARGUMENT);
  CHECK(strstr(failure.text, "1 to 255 octets") != NULL);
  CHECK(judge(POP3_PROXY_SOCKS5, repeat('x', 255), "x") == POP3_E_OK);
  CHECK(judge(POP3_PROXY_SOCKS5, repeat('x', 256), "x") == POP3_E_ARGUMENT);
  CHECK(judge(POP3_PROXY_SOCKS5, "joe", NULL) == POP3_E_ARGUMENT);
  CHECK(judge(POP3_PROXY_SOCKS5, NULL, "x") == POP3_E_ARGUMENT);
  CHECK(judge(POP3_PROXY_HTTP, NULL, "x") == POP3_E_ARGUMENT);
  CHECK(judge(POP3_PROXY_HTTP, "joe", NULL) == POP3_E_OK);
  CHECK(judge(POP3_PROXY_HTTP, "j:oe", "x") == POP3_E_ARGUMENT);
  CHECK(strstr(failure.text, "colon") != NULL);
  CHECK(judge(POP3_PROXY_HTTP, "joe", "x:y") == POP3_E_OK);
  CHECK(judge(POP3_PROXY_HTTP, "joe", repeat('x', POP3_PROXY_LOGIN - 3)) ==
        POP3_E_OK);
  CHECK(judge(POP3_PROXY_HTTP, "joe", repeat('x', POP3_PROXY_LOGIN - 2)) ==
        POP3_E_ARGUMENT);
  CHECK(judge(POP3_PROXY_HTTP, "joe", "x\n") == POP3_E_CONTROL);
  CHECK(judge(POP3_PROXY_SOCKS5, "j\roe", "x") == POP3_E_CONTROL);
  CHECK(pop3_proxy_check_login(&nul, &failure) == POP3_E_CONTROL);
}

static void refuses_hosts(void) {
  static const char *const hosts[] = {
      "",          "a b",       "a\r\nHost: b", "a/b",      "a:1",
      "user@host", "b\xc3\xbc", "fe80::1%lo",   "[::1]:80", "a\tb"};
  pop3_proxy_login l = login(POP3_PROXY_HTTP, NULL, NULL);
  for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
    pop3_proxy *p = NULL;
    CHECK(pop3_proxy_new(&allocator, &l, hosts[i], 1, &p, &failure) ==
          POP3_E_ARGUMENT);
    CHECK(p == NULL);
  }
}

static void has_no_memory(void) {
  pop3_proxy *p = NULL;
  pop3_proxy_login l = login(POP3_PROXY_HTTP, "joe", "secret");
  hungry = true;
  CHECK(pop3_proxy_new(&allocator, &l, "a.example", 1, &p, &failure) ==
        POP3_E_MEMORY);
  hungry = false;
  CHECK(p == NULL);
  pop3_proxy_free(p);
}

int main(void) {
  static const test tests[] = {
      TEST(says_socks_names),
      TEST(says_socks_addresses),
      TEST(says_socks_login),
      TEST(keeps_the_login_to_itself),
      TEST(says_connect),
      TEST(wipes_what_was_sent),
      TEST(frees_nothing_that_is_secret),
      TEST(says_what_is_wrong),
      TEST(hears_the_same_in_any_pieces),
      TEST(tells_an_early_end),
      TEST(limits_lines),
      TEST(limits_headers),
      TEST(limits_all),
      TEST(refuses_logins),
      TEST(refuses_hosts),
      TEST(has_no_memory),
  };
  return RUN(tests);
}
