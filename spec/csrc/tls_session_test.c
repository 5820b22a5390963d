/*
 * tls_session_test.c - sessions that are resumed: for whom, for whom not, and
 * that a session brings nobody in who would not get in without (R20). What is
 * exported is tls_session_export_test.c's matter.
 */
#define _POSIX_C_SOURCE 200809L

#include <openssl/ssl.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "tls_session_world.h"
#include "tls_world.h"

/* --- resuming ------------------------------------------------------------ */

static void test_resumption(const struct way *way, bool after_stls) {
  pair p;
  server s = {.identity = &leaf, .protocol = "pop3"};
  pop3_tls_peer peer = base;
  pop3_tls_context *context = make_context();
  pop3_tls_info info = {0};
  peer.door = after_stls ? POP3_TLS_AFTER_STLS : POP3_TLS_AT_ONCE;
  serve_way(&p, &s, way);
  bool good = is_full(&p, context, &peer);
  for (int i = 0; good && i < 3; i++) good = resumes(&p, context, &peer);
  if (good) pop3_tls_describe(p.client, &info);
  claim(good && info.verified && strcmp(info.alpn, "pop3") == 0 && !p.dirty,
        way->label, after_stls ? "resumed, by STLS" : "resumed, and again");
  stop(&p);
  pop3_tls_context_release(context);
}

static void test_tickets(void) {
  pair p;
  server s = {.identity = &leaf, .max = TLS1_3_VERSION};
  pop3_tls_context *context = make_context();
  serve(&p, &s);
  must(meet(&p, context, &base) == POP3_E_OK, "a session");
  char octets[8192];
  size_t size = 0;
  check(count_kept(context) == 0 && export(&p, octets, &size) == POP3_E_AGAIN,
        "TLS 1.3: there is no session before something was read");
  must(answers(&p), "octets");
  int before = count_kept(context);
  must(meet(&p, context, &base) == POP3_E_OK, "a session");
  check(before == 2 && count_kept(context) == 1 && is_resumed(&p),
        "TLS 1.3: a ticket leaves the store when it is offered");
  must(answers(&p), "octets");
  check(count_kept(context) == 2, "TLS 1.3: a resumed session brings another");
  for (int i = 0; i < 4; i++) {
    SSL_SESSION *session = SSL_get1_session(p.server);
    must(SSL_new_session_ticket(p.server) == 1, "a ticket");
    must(answers(&p), "octets");
    SSL_SESSION_free(session);
  }
  check(count_kept(context) == 4, "TLS 1.3: four tickets of a peer are kept");
  stop(&p);
  pop3_tls_context_release(context);
}

static void test_others(const struct way *way) {
  static const struct {
    const char *what;
    pop3_tls_peer peer;
  } rows[] = {
      {"not offered to another host",
       {"a.wild.example.org", 18, 995, 0, 0, 0, NULL, NULL, NULL}},
      {"not offered to another port",
       {HOST, 15, 1995, false, NULL, 0, NULL, NULL, NULL}},
      {"not offered through another door",
       {HOST, 15, 995, true, NULL, 0, NULL, NULL, NULL}},
      {"not offered to a domain's server",
       {HOST, 15, 995, false, NULL, 0, NULL, NULL, "example.org"}},
      {"not offered to the end of an alias",
       {HOST, 15, 995, false, NULL, 0, NULL, "a.wild.example.org", NULL}},
      {"not offered to the address",
       {"192.0.2.1", 9, 995, false, NULL, 0, NULL, NULL, NULL}},
  };
  pair p;
  server s = {.identity = &leaf};
  pop3_tls_context *context = make_context(), *other = make_context();
  serve_way(&p, &s, way);
  must(is_full(&p, context, &base), "a session");
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
    claim(is_full(&p, context, &rows[i].peer), way->label, rows[i].what);
  claim(is_full(&p, other, &base), way->label,
        "not offered by another context");
  claim(resumes(&p, context, &base), way->label, "still good for its peer");
  stop(&p);
  pop3_tls_context_release(context), pop3_tls_context_release(other);
}

/* --- what is not kept ---------------------------------------------------- */

static void expect_none(const struct way *way, const char *what) {
  pair p;
  server s = {.identity = &leaf};
  char octets[8192];
  size_t size = 0;
  pop3_tls_context *context = make_context();
  serve_way(&p, &s, way);
  bool good = is_full(&p, context, &base) && count_kept(context) == 0 &&
              export(&p, octets, &size) == POP3_E_AGAIN && size == 0;
  claim(good && is_full(&p, context, &base), way->label, what);
  stop(&p);
  pop3_tls_context_release(context);
  use_defaults();
}

/* OpenSSL loses the name, our own check finds out, and then nothing is left. */
static void test_refused(const struct way *way) {
  pair p;
  server s = {.identity = &leaf};
  pop3_tls_peer peer = {
      "other.example.org", 17, 995, false, NULL, 0, NULL, NULL, NULL};
  pop3_tls_context *context = make_context();
  char octets[8192];
  size_t size = 0;
  serve_way(&p, &s, way);
  must(pop3_tls_new(context, &peer, &p.client, &failure) == POP3_E_OK, "one");
  (void)X509_VERIFY_PARAM_set1_host(SSL_get0_param(p.client->ssl), NULL, 0);
  claim(said(shake(&p), POP3_E_HOSTNAME, "other.example.org") &&
            count_kept(context) == 0 &&
            export(&p, octets, &size) == POP3_E_AGAIN,
        way->label, "nothing is kept of a peer that we refused ourselves");
  stop(&p);
  pop3_tls_context_release(context);
}

static void test_unverified(const struct way *way) {
  options.verify = false;
  expect_none(way, "an unverified chain's session is not kept");
  options.check_hostname = false;
  expect_none(way, "an unverified name's session is not kept");
  options.verify = options.check_hostname = false;
  expect_none(way, "nothing verified, nothing kept");
}

static void test_resume_off(const struct way *way) {
  pair p;
  server s = {.identity = &leaf};
  char octets[8192];
  pop3_tls_peer peer = base;
  options.resume = false;
  pop3_tls_context *context = make_context();
  serve_way(&p, &s, way);
  bool good = is_full(&p, context, &base) && is_full(&p, context, &base) &&
              count_kept(context) == 0;
  claim(good, way->label, "resume = false keeps and offers nothing");
  good = export(&p, octets, &peer.session_size) == POP3_E_OK;
  peer.session = octets;
  claim(good && resumes(&p, context, &peer), way->label,
        "resume = false does not stop who asks by name");
  stop(&p);
  pop3_tls_context_release(context);
  use_defaults();
}

/* --- a session that is forced upon a filter ------------------------------ */

/* Give the filter of `p` a session of somebody else's, as if it were bound. */
static pop3_error force(pair *p, SSL_SESSION *stolen, pop3_tls_context *context,
                        const char *host) {
  pop3_tls_peer peer = {host, strlen(host), 995,  false, NULL,
                        0,    NULL,         NULL, NULL};
  listen_again(p);
  must(pop3_tls_new(context, &peer, &p->client, &failure) == POP3_E_OK &&
           SSL_SESSION_set1_id_context(stolen, p->client->bound,
                                       POP3_TLS_BOUND) == 1 &&
           SSL_set_session(p->client->ssl, stolen) == 1,
       "a stolen session");
  p->client->offered = true;
  p->client->until = (int64_t)time(NULL) + 60;
  pop3_error error = shake(p);
  must(SSL_session_reused(p->client->ssl) == 1, "it is resumed");
  return error;
}

/* The session of a connection by `context`; a copy, for OpenSSL gives up that
 * of a connection that is freed without close_notify. */
static SSL_SESSION *steal(pair *p, pop3_tls_context *context) {
  must(meet(p, context, &base) == POP3_E_OK && answers(p), "a session");
  SSL_SESSION *copy = SSL_SESSION_dup(SSL_get0_session(p->client->ssl));
  must(copy != NULL, "a copy");
  return copy;
}

static void test_forced(const struct way *way) {
  pair p;
  server s = {.identity = &leaf};
  pop3_tls_context *context = make_context();
  options.verify = false;
  pop3_tls_context *careless = make_context();
  (void)SSL_CTX_clear_options(careless->ssl, SSL_OP_NO_TICKET);
  use_defaults();
  serve_way(&p, &s, way);
  SSL_SESSION *good = steal(&p, context);
  claim(said(force(&p, good, context, "other.example.org"), POP3_E_HOSTNAME,
             "not for \"other.example.org\""),
        way->label, "the name is checked again when a session is resumed");
  SSL_SESSION_free(good);
  s.identity = &stranger;
  stop(&p);
  identity foreign = make(&(form){.subject = "x", .issuer = &stranger, NAMES});
  s.identity = &foreign;
  serve_way(&p, &s, way);
  SSL_SESSION *bad = steal(&p, careless);
  claim(said(force(&p, bad, context, HOST), POP3_E_CERTIFICATE, ""), way->label,
        "a session that was not verified is refused when it is resumed");
  SSL_SESSION_free(bad);
  stop(&p);
  discard(&foreign);
  pop3_tls_context_release(context), pop3_tls_context_release(careless);
}

static void test_foreign_binding(const struct way *way) {
  pair p;
  server s = {.identity = &leaf};
  pop3_tls_context *context = make_context();
  pop3_tls_peer other = {
      "a.wild.example.org", 18, 995, false, NULL, 0, NULL, NULL, NULL};
  serve_way(&p, &s, way);
  SSL_SESSION *stolen = steal(&p, context);
  listen_again(&p);
  must(pop3_tls_new(context, &other, &p.client, &failure) == POP3_E_OK &&
           SSL_set_session(p.client->ssl, stolen) == 1,
       "a stolen session");
  claim(said(shake(&p), POP3_E_HANDSHAKE, "different context"), way->label,
        "OpenSSL itself refuses a session that is bound to something else");
  SSL_SESSION_free(stolen);
  stop(&p);
  pop3_tls_context_release(context);
}

/* --- time ---------------------------------------------------------------- */

/* The clock of everybody here, OpenSSL's, too, goes so many seconds fast. */
static long ahead;

time_t time(time_t *out);
#if defined(SCRIPTED_TIME)
SCRIPTED_TIME
#endif

time_t time(time_t *out) {
  struct timespec t;
  (void)clock_gettime(CLOCK_REALTIME, &t);
  t.tv_sec += ahead;
  if (out) *out = t.tv_sec;
  return t.tv_sec;
}

/* Three things end in a minute: a ticket, a certificate, what we allow. */
typedef struct ending {
  const struct way *way;
  pair ticket, date, day;
  pop3_tls_context *first, *second, *third;
  SSL_SESSION *stolen;
} ending;

static void set_until(pop3_tls_context *context, int64_t until) {
  for (int i = 0; i < POP3_TLS_KEPT; i++) context->kept[i].until = until;
}

static void begin_ending(ending *e, server *usual, server *brief) {
  e->first = make_context(), e->second = make_context();
  e->third = make_context();
  serve_way(&e->ticket, usual, e->way);
  serve_way(&e->date, brief, e->way);
  serve_way(&e->day, usual, e->way);
  (void)SSL_CTX_set_timeout(e->ticket.context, 60);
  must(
      is_full(&e->ticket, e->first, &base) && is_full(&e->day, e->third, &base),
      "two sessions");
  e->stolen = steal(&e->date, e->second);
  set_until(e->third, (int64_t)time(NULL) + 60);
}

static void check_ending(ending *e) {
  const char *label = e->way->label;
  if (e->way->version == TLS1_3_VERSION)
    claim(is_full(&e->ticket, e->first, &base), label,
          "a ticket that has ended is not offered");
  claim(said(meet(&e->date, e->second, &base), POP3_E_CERTIFICATE, "expired") &&
            !e->date.client->offered,
        label, "a session of a certificate that has ended is not offered");
  claim(said(force(&e->date, e->stolen, e->second, HOST), POP3_E_CERTIFICATE,
             "certificate /CN=x expired on"),
        label, "dates are checked again when a session is resumed");
  claim(is_full(&e->day, e->third, &base), label,
        "a session that was verified too long ago is not offered");
  SSL_SESSION_free(e->stolen);
  stop(&e->ticket), stop(&e->date), stop(&e->day);
  pop3_tls_context_release(e->first), pop3_tls_context_release(e->second);
  pop3_tls_context_release(e->third);
}

static void test_ends(void) {
  ending endings[WAYS];
  server usual = {.identity = &leaf};
  identity brief = make(&(form){.subject = "x", .issuer = &root, NAMES});
  (void)X509_gmtime_adj(X509_getm_notAfter(brief.certificate), 60);
  must(X509_sign(brief.certificate, root.key, EVP_sha256()) > 0, "a signature");
  server dying = {.identity = &brief};
  for (size_t i = 0; i < WAYS; i++) {
    endings[i].way = &ways[i];
    begin_ending(&endings[i], &usual, &dying);
  }
  ahead = 61;
  for (size_t i = 0; i < WAYS; i++) check_ending(&endings[i]);
  ahead = 0;
  discard(&brief);
}

static void test_until(void) {
  pair p;
  server s = {.identity = &leaf};
  int64_t now = (int64_t)time(NULL);
  pop3_tls_context *context = make_context();
  serve(&p, &s);
  must(is_full(&p, context, &base), "a session");
  int64_t until = p.client->until;
  check(until >= now + DAY && until <= now + DAY + 60,
        "a verification holds for a day");
  set_until(context, now + 60);
  must(resumes(&p, context, &base), "a resumption");
  check(p.client->until == now + 60, "resuming does not make it hold longer");
  stop(&p);
  pop3_tls_context_release(context);
}

/* time() may lag behind the clock that OpenSSL has looked at. */
static void test_future(const struct way *way) {
  pair p;
  server s = {.identity = &leaf};
  pop3_tls_context *context = make_context();
  serve_way(&p, &s, way);
  must(is_full(&p, context, &base), "a session");
  ahead = -1;
  claim(said(meet(&p, context, &base), POP3_E_OK, "") && p.client->offered,
        way->label, "a clock that ticks late does not make a session useless");
  must(answers(&p), "octets");
  ahead = -60;
  claim(is_full(&p, context, &base), way->label,
        "a session from the future is not offered");
  ahead = 0;
  stop(&p);
  pop3_tls_context_release(context);
}

/* --- servers that say no ------------------------------------------------- */

static void test_forgotten(const struct way *way) {
  pair p;
  server s = {.identity = &leaf};
  pop3_tls_context *context = make_context();
  identity foreign = make(&(form){.subject = "x", .issuer = &stranger, NAMES});
  serve_way(&p, &s, way);
  must(is_full(&p, context, &base), "a session");
  stop(&p);
  s.forgetful = true;
  serve_way(&p, &s, way);
  claim(said(meet(&p, context, &base), POP3_E_OK, "") && p.client->offered &&
            answers(&p) && !is_resumed(&p) && resumes(&p, context, &base),
        way->label, "a server that has forgotten gets a full handshake");
  stop(&p);
  s.identity = &foreign;
  serve_way(&p, &s, way);
  claim(said(meet(&p, context, &base), POP3_E_CERTIFICATE, "Stranger") &&
            p.client->offered,
        way->label, "... in which all is verified");
  pop3_tls_free(p.client);
  p.client = NULL;
  claim(count_kept(context) == 0, way->label,
        "a handshake that failed ends the sessions of that peer");
  stop(&p);
  discard(&foreign);
  pop3_tls_context_release(context);
}

static void test_damage(const struct way *way) {
  pair p;
  server s = {.identity = &leaf};
  pop3_tls_context *context = make_context();
  char octet;
  size_t got;
  serve_way(&p, &s, way);
  must(is_full(&p, context, &base), "a session");
  pop3_tls_eof(p.client);
  must(pop3_tls_read(p.client, &octet, 1, &got, &failure) == POP3_E_TRUNCATED,
       "an end");
  claim(resumes(&p, context, &base), way->label,
        "a stream without close_notify does not end its session");
  (void)pop3_tls_feed(p.client, "\x17\x03\x03\x00\x14garbagegarbagegarbag", 25);
  must(pop3_tls_read(p.client, &octet, 1, &got, &failure) == POP3_E_TLS_DATA,
       "damage");
  claim(is_full(&p, context, &base), way->label,
        "a stream that was damaged ends the sessions of that peer");
  stop(&p);
  pop3_tls_context_release(context);
}

/* --- many ---------------------------------------------------------------- */

static void test_many_hosts(void) {
  pair p;
  server s = {.identity = &leaf, .max = TLS1_2_VERSION};
  pop3_tls_context *context = make_context();
  char name[40];
  pop3_tls_peer peer = base;
  bool good = true;
  serve(&p, &s);
  peer.host = name;
  for (int i = 0; good && i < 1000; i++) {
    peer.host_size =
        (size_t)snprintf(name, sizeof name, "h%d.wild.example.org", i);
    good = meet(&p, context, &peer) == POP3_E_OK && !p.client->offered;
    if (i == 940) good = meet(&p, context, &peer) == POP3_E_OK && good;
  }
  check(good && count_kept(context) == POP3_TLS_KEPT,
        "of a thousand hosts sixty-four are kept");
  check(resumes(&p, context, &peer), "... the last ones");
  (void)snprintf(name, sizeof name, "h900.wild.example.org");
  peer.host_size = strlen(name);
  check(is_full(&p, context, &peer), "... not the first");
  stop(&p);
  pop3_tls_context_release(context);
}

typedef struct work {
  pop3_tls_context *context;
  SSL_CTX *server;
  int resumed, failed;
} work;

static void *keep_meeting(void *argument) {
  work *w = argument;
  pair p = {.context = w->server};
  for (int i = 0; i < 100; i++) {
    bool good = meet(&p, w->context, &base) == POP3_E_OK && answers(&p);
    w->failed += !good;
    w->resumed += good && is_resumed(&p);
  }
  pop3_tls_free(p.client);
  SSL_free(p.server);
  return NULL;
}

static void test_threads(const struct way *way) {
  enum { THREADS = 4 };
  pair p;
  server s = {.identity = &leaf};
  pthread_t threads[THREADS];
  work works[THREADS];
  pop3_tls_context *context = make_context();
  int resumed = 0, failed = 0;
  serve_way(&p, &s, way);
  for (int i = 0; i < THREADS; i++) {
    works[i] = (work){context, p.context, 0, 0};
    must(pthread_create(&threads[i], NULL, keep_meeting, &works[i]) == 0,
         "a thread");
  }
  for (int i = 0; i < THREADS; i++) {
    (void)pthread_join(threads[i], NULL);
    resumed += works[i].resumed;
    failed += works[i].failed;
  }
  claim(failed == 0 && resumed > 300, way->label,
        "four threads share the sessions of a context");
  stop(&p);
  pop3_tls_context_release(context);
}

static void test_way(const struct way *way) {
  test_resumption(way, false);
  test_resumption(way, true);
  test_others(way);
  test_unverified(way);
  test_refused(way);
  test_resume_off(way);
  test_forced(way);
  test_foreign_binding(way);
  test_future(way);
  test_forgotten(way);
  test_damage(way);
  test_threads(way);
}

int main(void) {
  make_world();
  use_defaults();
  for (size_t i = 0; i < WAYS; i++) test_way(&ways[i]);
  test_ends();
  test_tickets();
  test_until();
  test_many_hosts();
  end_world();
  return failures > 0;
}
