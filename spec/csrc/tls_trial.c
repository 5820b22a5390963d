/* tls_trial.c - see tls_trial.h. */
#include "tls_trial.h"

#include <openssl/err.h>
#include <string.h>

/* It ended so, in all ways in which it shows. */
static void judge(pair *p, pop3_error got, pop3_error error, const char *phrase,
                  const char *name) {
  bool clean = !p->dirty && ERR_peek_error() == 0;
  bool sticky = got == POP3_E_OK || !p->client ||
                pop3_tls_handshake(p->client, &(pop3_failure){0}) == got;
  if (!clean) printf("# the error queue is not empty\n");
  if (!sticky) printf("# the failure is not sticky\n");
  check(said(got, error, phrase) && clean && sticky, name);
  stop(p);
  use_defaults();
}

void expect(server *s, const char *host, pop3_error error, const char *phrase,
            const char *name) {
  pair p;
  pop3_error got = try_out(&p, s, host);
  judge(&p, got, error, phrase, name);
}

void expect_tampered(server *s, const char *host, void (*tamper)(SSL *),
                     pop3_error error, const char *phrase, const char *name) {
  pair p;
  serve(&p, s);
  must(attach(&p, host, false) == POP3_E_OK, "a filter");
  tamper(p.client->ssl);
  pop3_error got = shake(&p);
  judge(&p, got, error, phrase, name);
}

void expect_config(const char *phrase, const char *name) {
  pop3_tls_context *context = NULL;
  check(said(pop3_tls_context_new(&options, &context, &failure),
             POP3_E_TLS_CONFIG, phrase) &&
            !context && ERR_peek_error() == 0,
        name);
  use_defaults();
}

/* A second connection, by the same context, whose options are `options`. */
typedef struct twice {
  pop3_error first, second;
  bool resumed;
} twice;

static twice connect_twice(server *s, const char *host) {
  twice t = {POP3_E_OK, POP3_E_OK, false};
  pair p;
  pop3_tls_context *context = NULL;
  must(pop3_tls_context_new(&options, &context, &failure) == POP3_E_OK,
       "a context");
  serve(&p, s);
  t.first = filter(context, host, strlen(host), false, &p.client);
  if (t.first == POP3_E_OK) t.first = shake(&p);
  if (t.first == POP3_E_OK) must(answers(&p), "an answer");
  if (t.first == POP3_E_OK) {
    listen_again(&p);
    t.second = filter(context, host, strlen(host), false, &p.client);
    if (t.second == POP3_E_OK) t.second = shake(&p);
    t.resumed = t.second == POP3_E_OK && SSL_session_reused(p.client->ssl) == 1;
  }
  stop(&p);
  pop3_tls_context_release(context);
  use_defaults();
  return t;
}

void expect_twice(server *s, const char *host, bool resumed, const char *name) {
  twice t = connect_twice(s, host);
  check(said(t.first, POP3_E_OK, "") && said(t.second, POP3_E_OK, "") &&
            t.resumed == resumed,
        name);
}

/* Export by `options`, then offer to `s` by what `change` makes of them. */
bool is_bound(server *s, void (*change)(void)) {
  pair p;
  char octets[8192];
  must(try_out(&p, s, HOST) == POP3_E_OK && answers(&p) &&
           pop3_tls_session_export(p.client, octets, sizeof octets,
                                   &given_size) == POP3_E_OK,
       "a session");
  stop(&p);
  given = octets;
  must(try_out(&p, s, HOST) == POP3_E_OK &&
           SSL_session_reused(p.client->ssl) == 1,
       "a session that is resumed");
  stop(&p);
  change();
  pop3_error error = try_out(&p, s, HOST);
  bool bound = error != POP3_E_OK || SSL_session_reused(p.client->ssl) == 0;
  stop(&p);
  given = NULL;
  use_defaults();
  return bound;
}

pop3_tls_info describe(server *s, const char *host) {
  pair p;
  pop3_tls_info info;
  memset(&info, 0, sizeof info);
  must(try_out(&p, s, host) == POP3_E_OK, "a session");
  pop3_tls_describe(p.client, &info);
  stop(&p);
  use_defaults();
  return info;
}

long begin_trials(int count, char **arguments) {
  use_failing_allocator();
  make_world();
  use_defaults();
  return count > 1 && strcmp(arguments[1], "all") == 0 ? 1 : 43;
}

/* A handshake whose `at`-th allocation fails; 0: none does. */
static pop3_error try_hungry(server *s, long at, bool *dirty) {
  pair p;
  serve(&p, s);
  fail_allocation(at, false);
  hungry = true;
  pop3_error error = attach(&p, HOST, false);
  if (error == POP3_E_OK) error = shake(&p);
  hungry = false;
  *dirty = p.dirty;
  stop(&p);
  return error;
}

void starve_with(server *s, void (*choose)(void), bool should, long stride,
                 const char *name) {
  long points = 0, passed = 0, wrong = 0;
  bool dirty;
  choose();
  (void)try_hungry(s, 0, &dirty);
  long total = allocations_seen();
  for (long at = 1; at <= total; at += stride, points++) {
    pop3_error error = try_hungry(s, at, &dirty);
    passed += error == POP3_E_OK;
    wrong += dirty || (error == POP3_E_OK && !should);
  }
  fail_allocation(0, false);
  printf("# %ld points, %ld handshakes passed\n", points, passed);
  check(wrong == 0 && points > 1000 / stride && (passed > 0) == should, name);
  use_defaults();
}
