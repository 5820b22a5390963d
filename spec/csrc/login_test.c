/*
 * login_test.c - which way in is chosen of what a server offers, and what its
 * refusals mean: rows of situations.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "login.h"

static pop3_span span(const char *text) {
  pop3_span result = {text, strlen(text)};
  return result;
}

/* What a row's letters mean for the facts. */
static void apply(pop3_login_facts *f, const char *letters) {
  f->secure = strchr(letters, 's') != NULL;
  f->cleartext = strchr(letters, 'c') != NULL;
  f->timestamp = strchr(letters, 't') != NULL;
  f->bindable = strchr(letters, 'b') != NULL;
  f->token = strchr(letters, 'o') != NULL;
  f->authzid = strchr(letters, 'z') != NULL;
  f->flight = strchr(letters, 'f') != NULL;
  f->blank = strchr(letters, ' ') != NULL;
  if (strchr(letters, 'R')) f->binding = POP3_BINDING_REQUIRE;
  if (strchr(letters, 'D')) f->binding = POP3_BINDING_DISABLE;
}

static pop3_caps caps;
static pop3_failure failure;

static void announce(const char *lines) {
  pop3_caps_init(&caps, &pop3_allocator_default);
  caps.known = lines != NULL;
  must(lines == NULL || pop3_caps_add_lines(&caps, span(lines)) == POP3_E_OK,
       "capabilities");
}

/* What is chosen, or the error's name. */
static const char *chosen(const char *lines, const char *letters,
                          const char *asked, const char *failed) {
  pop3_login_facts f = {.caps = &caps};
  const pop3_way *way = NULL;
  announce(lines);
  apply(&f, letters);
  if (asked != NULL) f.asked = span(asked);
  if (failed != NULL) f.failed = pop3_way_find(span(failed));
  pop3_error error = pop3_login_choose(&f, &way, &failure);
  pop3_caps_clear(&caps);
  return error == POP3_E_OK ? way->name : pop3_error_name(error);
}

typedef struct row {
  const char *caps;
  const char *letters;
  const char *asked;
  const char *wanted;
} row;

static void try_rows(const row *rows, size_t count) {
  for (size_t i = 0; i < count; i++) {
    const char *got =
        chosen(rows[i].caps, rows[i].letters, rows[i].asked, NULL);
    if (strcmp(got, rows[i].wanted) != 0 && good)
      printf("# row %d: %s instead of %s\n", (int)i, got, rows[i].wanted);
    CHECK(strcmp(got, rows[i].wanted) == 0);
  }
}
#define TRY(rows) try_rows(rows, sizeof rows / sizeof *rows)

#define ALL                                                                  \
  "SASL LOGIN PLAIN CRAM-MD5 SCRAM-SHA-1 SCRAM-SHA-1-PLUS SCRAM-SHA-256 "    \
  "SCRAM-SHA-256-PLUS SCRAM-SHA-512 SCRAM-SHA-512-PLUS XOAUTH2 OAUTHBEARER " \
  "EXTERNAL ANONYMOUS\nUSER\n"

/* T19: the order is ours, not the server's. */
static void the_strongest_is_taken(void) {
  static const row rows[] = {
      {ALL, "sb", NULL, "SCRAM-SHA-512-PLUS"},
      {ALL, "s", NULL, "SCRAM-SHA-512"},
      {ALL, "sbD", NULL, "SCRAM-SHA-512"},
      {"SASL SCRAM-SHA-256 SCRAM-SHA-1-PLUS\n", "sb", NULL, "SCRAM-SHA-1-PLUS"},
      {"SASL PLAIN SCRAM-SHA-1\n", "s", NULL, "SCRAM-SHA-1"},
      {"SASL CRAM-MD5 LOGIN PLAIN\n", "s", NULL, "PLAIN"},
      {"SASL CRAM-MD5 LOGIN\n", "s", NULL, "LOGIN"},
      {"SASL CRAM-MD5\nUSER\n", "st", NULL, "CRAM-MD5"},
      {"USER\n", "st", NULL, "APOP"},
      {"USER\n", "st ", NULL, "USER"},
      {"USER\n", "s", NULL, "USER"},
      {"SASL PLAIN\nsasl scram-sha-256\n", "s", NULL, "SCRAM-SHA-256"},
      {ALL, "so", NULL, "OAUTHBEARER"},
      {"SASL PLAIN XOAUTH2\n", "so", NULL, "XOAUTH2"},
  };
  TRY(rows);
}

/* What listens to a stream in clear learns no secret, unless it may. */
static void in_clear_no_secret_is_shown(void) {
  static const row rows[] = {
      {"SASL PLAIN LOGIN\nUSER\n", "", NULL, "insecure"},
      {"SASL PLAIN LOGIN\nUSER\n", "t", NULL, "insecure"},
      {"SASL PLAIN CRAM-MD5\nUSER\n", "", NULL, "insecure"},
      {"SASL PLAIN SCRAM-SHA-1\nUSER\n", "", NULL, "SCRAM-SHA-1"},
      {"SASL XOAUTH2 OAUTHBEARER\n", "o", NULL, "insecure"},
      {"SASL PLAIN\n", "", "PLAIN\n", "insecure"},
      {"SASL PLAIN\n", "", "USER\n", "insecure"},
      {NULL, "", "USER\n", "insecure"},
      {"SASL CRAM-MD5\n", "", "CRAM-MD5\n", "CRAM-MD5"},
      {"USER\n", "t", "APOP\n", "APOP"},
      {"SASL PLAIN\nUSER\n", "c", NULL, "PLAIN"},
      {"USER\n", "ct", NULL, "USER"},
      {"SASL XOAUTH2\n", "co", NULL, "XOAUTH2"},
  };
  TRY(rows);
}

static void what_is_unknown_is_user_and_pass(void) {
  static const row rows[] = {
      {NULL, "s", NULL, "USER"},
      {NULL, "c", NULL, "USER"},
      {NULL, "", NULL, "insecure"},
      {"UIDL\n", "s", NULL, "USER"},
      {"SASL GSSAPI\n", "s", NULL, "unsupported"},
      {"SASL GSSAPI\nUSER\n", "s", NULL, "USER"},
      {NULL, "so", NULL, "unsupported"},
      {NULL, "so", "XOAUTH2\n", "XOAUTH2"},
      {NULL, "s", "SCRAM-SHA-256\n", "SCRAM-SHA-256"},
  };
  TRY(rows);
}

static void who_asks_is_given_what_he_asks_for(void) {
  static const row rows[] = {
      {ALL, "s", "PLAIN\n", "PLAIN"},
      {ALL, "s", "plain\n", "PLAIN"},
      {ALL, "s", "USER\nPLAIN\n", "USER"},
      {"SASL PLAIN\n", "s", "SCRAM-SHA-256\nPLAIN\nLOGIN\n", "PLAIN"},
      {"SASL PLAIN\n", "s", "SCRAM-SHA-256\n", "unsupported"},
      {"SASL PLAINX XPLAIN\n", "s", "PLAIN\n", "unsupported"},
      {"SASL PLAIN\n", "s", "USER\n", "USER"},
      {ALL, "s", "EXTERNAL\n", "EXTERNAL"},
      {ALL, "s", "ANONYMOUS\n", "ANONYMOUS"},
      {ALL, "s", "APOP\n", "unsupported"},
      {ALL, "so", "XOAUTH2\n", "XOAUTH2"},
      {ALL, "so", "PLAIN\n", "unsupported"},
      {ALL, "s", "XOAUTH2\n", "unsupported"},
      {ALL, "s", "SCRAM-SHA-256-PLUS\n", "unsupported"},
      {ALL, "sb", "SCRAM-SHA-256-PLUS\n", "SCRAM-SHA-256-PLUS"},
      {"SASL ANONYMOUS EXTERNAL\n", "s", NULL, "unsupported"},
  };
  TRY(rows);
}

static void a_binding_may_be_required(void) {
  static const row rows[] = {
      {ALL, "sbR", NULL, "SCRAM-SHA-512-PLUS"},
      {"SASL SCRAM-SHA-256 PLAIN\nUSER\n", "sbR", NULL, "unsupported"},
      {ALL, "sR", NULL, "unsupported"},
      {ALL, "sbR", "PLAIN\n", "unsupported"},
      {NULL, "sbR", NULL, "unsupported"},
  };
  TRY(rows);
  CHECK(strcmp(chosen("SASL SCRAM-SHA-256\n", "sbR", NULL, NULL),
               "unsupported") == 0);
  CHECK(strstr(failure.text, "channel_binding") != NULL);
  CHECK(strstr(failure.text, "SCRAM-SHA-256") != NULL);
}

static void an_authzid_needs_a_way_that_takes_it(void) {
  static const row rows[] = {
      {"SASL LOGIN PLAIN\nUSER\n", "sz", NULL, "PLAIN"},
      {"SASL LOGIN\nUSER\n", "sz", NULL, "unsupported"},
      {"SASL LOGIN SCRAM-SHA-1\n", "sz", NULL, "SCRAM-SHA-1"},
      {"SASL XOAUTH2 OAUTHBEARER\n", "szo", NULL, "OAUTHBEARER"},
      {"SASL XOAUTH2\n", "szo", NULL, "unsupported"},
      {"SASL EXTERNAL\n", "sz", "EXTERNAL\n", "EXTERNAL"},
  };
  TRY(rows);
}

/* Both show the same; in a flight USER and PASS cost a round trip less. */
static void a_flight_takes_user_and_pass(void) {
  static const row rows[] = {
      {"SASL PLAIN\nUSER\n", "sf", NULL, "USER"},
      {"SASL PLAIN\nUSER\n", "cf", NULL, "USER"},
      {"SASL PLAIN\nUSER\n", "s", NULL, "PLAIN"},
      {"SASL PLAIN\n", "sf", NULL, "PLAIN"},
      {"SASL PLAIN\nUSER\n", "sfz", NULL, "PLAIN"},
      {"SASL PLAIN\nUSER\n", "sf", "PLAIN\n", "PLAIN"},
      {"SASL SCRAM-SHA-1 PLAIN\nUSER\n", "sf", NULL, "SCRAM-SHA-1"},
      {"SASL XOAUTH2\nUSER\n", "sfo", NULL, "XOAUTH2"},
  };
  TRY(rows);
}

static void what_failed_is_not_taken_again(void) {
  CHECK(strcmp(chosen("SASL SCRAM-SHA-256 PLAIN\n", "s", NULL, "SCRAM-SHA-256"),
               "PLAIN") == 0);
  CHECK(strcmp(chosen("SASL PLAIN\n", "s", "PLAIN\n", "PLAIN"),
               "unsupported") == 0);
  CHECK(strcmp(chosen("SASL SCRAM-SHA-256 PLAIN\n", "", NULL, "SCRAM-SHA-256"),
               "insecure") == 0);
}

static void a_missing_plus_is_told(void) {
  static const struct {
    const char *caps, *letters;
    bool told;
    const char *failed;
  } rows[] = {
      {"SASL SCRAM-SHA-256\n", "sb", true, NULL},
      {"SASL SCRAM-SHA-256 SCRAM-SHA-256-PLUS\n", "sb", false, NULL},
      {"SASL SCRAM-SHA-256 scram-sha-1-plus\n", "sb", false, NULL},
      {"SASL SCRAM-SHA-256\n", "s", false, NULL},
      {"SASL SCRAM-SHA-256\n", "sbD", false, NULL},
      {NULL, "sb", true, NULL},
      {"X-PLUS\nSASL SCRAM-SHA-1\n", "sb", true, NULL},
      /* one that nobody has, in the place of those that were taken out */
      {"SASL SCRAM-SHA-256 X-PLUS\n", "sb", true, NULL},
      {"SASL SCRAM-SHA-256 SCRAM-SHA-999-PLUS\n", "sb", true, NULL},
      /* offered, and then somebody said that there is none */
      {"SASL SCRAM-SHA-256 SCRAM-SHA-256-PLUS\n", "sb", true,
       "SCRAM-SHA-256-PLUS"},
      {"SASL SCRAM-SHA-1-PLUS SCRAM-SHA-256 SCRAM-SHA-256-PLUS\n", "sb", true,
       "SCRAM-SHA-256-PLUS"},
      {"SASL SCRAM-SHA-1 SCRAM-SHA-256 SCRAM-SHA-256-PLUS\n", "sb", false,
       "SCRAM-SHA-256"},
      {"SASL SCRAM-SHA-256 SCRAM-SHA-256-PLUS\n", "sbD", false,
       "SCRAM-SHA-256-PLUS"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    pop3_login_facts f = {.caps = &caps};
    announce(rows[i].caps);
    apply(&f, rows[i].letters);
    if (rows[i].failed) f.failed = pop3_way_find(span(rows[i].failed));
    CHECK(pop3_login_is_stripped(&f) == rows[i].told);
    pop3_caps_clear(&caps);
  }
}

static void texts_say_what_there_is(void) {
  (void)chosen("SASL GSSAPI NTLM\nTOP\n", "s", NULL, NULL);
  CHECK(strstr(failure.text, "SASL GSSAPI NTLM") != NULL);
  CHECK(strstr(failure.text, "authenticate()") != NULL);
  (void)chosen("SASL PLAIN\nUSER\n", "st", "SCRAM-SHA-1\n", NULL);
  CHECK(strstr(failure.text, "SCRAM-SHA-1") != NULL);
  CHECK(strstr(failure.text, "SASL PLAIN, USER, APOP") != NULL);
  (void)chosen("SASL PLAIN\n", "s", "SCRAM-SHA-1\nLOGIN\n", NULL);
  CHECK(strstr(failure.text, "server: SCRAM-SHA-1, LOGIN; it offers") != NULL);
  (void)chosen("SASL PLAIN\n", "", NULL, NULL);
  CHECK(strstr(failure.text, "allow_cleartext") != NULL);
  CHECK(strstr(failure.text, "the password") != NULL);
  (void)chosen("SASL XOAUTH2\n", "o", NULL, NULL);
  CHECK(strstr(failure.text, "the token") != NULL);
  (void)chosen(NULL, "so", NULL, NULL);
  CHECK(strstr(failure.text, "CAPA failed") != NULL);
  (void)chosen("UIDL\n", "so", NULL, NULL);
  CHECK(strstr(failure.text, "OAUTHBEARER or XOAUTH2") != NULL);
}

/* Offers are cut, not overrun. */
static void offers_fit(void) {
  static char lines[20000] = "SASL";
  char text[64];
  for (int i = 0; i < 1500; i++) strcat(lines, " MECHANISM");
  strcat(lines, "\n");
  pop3_login_facts f = {.caps = &caps, .timestamp = true};
  announce(lines);
  memset(text, 'x', sizeof text);
  pop3_login_offers(&f, text, 32);
  CHECK(strlen(text) == 31 && text[32] == 'x');
  pop3_login_offers(&f, text, 1);
  CHECK(text[0] == '\0');
  pop3_caps_clear(&caps);
}

static void refusals_are_told_apart(void) {
  static const struct {
    const char *line;
    bool unsupported;
  } rows[] = {
      {"-ERR Unsupported authentication mechanism.", true},
      {"-ERR Unrecognized authentication type", true},
      {"-ERR unknown mechanism", true},
      {"-ERR Authentication method not supported", true},
      {"-ERR AUTH not implemented", true},
      {"-ERR [AUTH] Unsupported authentication mechanism", false},
      {"-ERR [SYS/TEMP] not supported at the moment", false},
      {"-ERR [AUTH] Authentication failed.", false},
      {"-ERR Authentication failed.", false},
      {"-ERR Logon failure: unknown user name or bad password.", false},
      {"-ERR unknown user", false},
      {"-ERR", false},
      {"", false},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    CHECK(pop3_login_is_unsupported(span(rows[i].line)) == rows[i].unsupported);
}

static void advice_goes_by_the_code(void) {
  const pop3_way *plain = pop3_way_find(span("PLAIN"));
  const pop3_way *scram = pop3_way_find(span("SCRAM-SHA-256"));
  const pop3_way *xoauth2 = pop3_way_find(span("XOAUTH2"));
  CHECK(strstr(pop3_login_advice(span("-ERR [in-use] x"), plain, false),
               "later"));
  CHECK(strstr(pop3_login_advice(span("-ERR [SYS/TEMP/DISK] x"), plain, false),
               "later"));
  CHECK(strstr(pop3_login_advice(span("-ERR [SYS/TEMPX] x"), plain, false),
               "password"));
  CHECK(strstr(pop3_login_advice(span("-ERR [AUTH] x"), plain, false),
               "password"));
  CHECK(strstr(pop3_login_advice(span("-ERR unknown mechanism"), plain, false),
               "auth"));
  CHECK(strstr(pop3_login_advice(span("-ERR x"), xoauth2, false), "token"));
  CHECK(strstr(pop3_login_advice(span("-ERR [SYS/PERM] x"), xoauth2, false),
               "admin"));
  CHECK(!strstr(pop3_login_advice(span("-ERR x"), plain, true), "-PLUS"));
  CHECK(strstr(pop3_login_advice(span("-ERR x"), scram, true), "-PLUS"));
}

/* A server with hashes only, whose greeting has a timestamp all the same. */
static void a_digest_may_be_none_that_the_server_can_check(void) {
  static const char *const names[] = {"APOP", "CRAM-MD5"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    const pop3_way *way = pop3_way_find(span(names[i]));
    CHECK(strstr(pop3_login_advice(span("-ERR [AUTH] x"), way, true),
                 "auth = \"USER\""));
    CHECK(
        !strstr(pop3_login_advice(span("-ERR [IN-USE] x"), way, true), "USER"));
  }
  CHECK(!strstr(pop3_login_advice(span("-ERR x"), &pop3_way_user, true),
                "auth ="));
}

static void caps_are_needed_for_mechanisms(void) {
  CHECK(pop3_login_needs_caps(span(""), true));
  CHECK(pop3_login_needs_caps(span("USER\nPLAIN\n"), false));
  CHECK(!pop3_login_needs_caps(span("USER\n"), false));
  CHECK(!pop3_login_needs_caps(span("apop\nuser\n"), false));
  CHECK(!pop3_login_needs_caps(span("apop\n"), true));
  CHECK(pop3_login_needs_caps(span("apop\n"), false)); /* to say what is */
}

static const test tests[] = {
    TEST(the_strongest_is_taken),
    TEST(in_clear_no_secret_is_shown),
    TEST(what_is_unknown_is_user_and_pass),
    TEST(who_asks_is_given_what_he_asks_for),
    TEST(a_binding_may_be_required),
    TEST(an_authzid_needs_a_way_that_takes_it),
    TEST(a_flight_takes_user_and_pass),
    TEST(what_failed_is_not_taken_again),
    TEST(a_missing_plus_is_told),
    TEST(texts_say_what_there_is),
    TEST(offers_fit),
    TEST(refusals_are_told_apart),
    TEST(advice_goes_by_the_code),
    TEST(a_digest_may_be_none_that_the_server_can_check),
    TEST(caps_are_needed_for_mechanisms),
};

int main(void) { return RUN(tests); }
