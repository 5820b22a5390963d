/*
 * sasl_test.c - every mechanism by its RFC's vectors, and what credentials may
 * be (sasl.h). scram_test.c has what a server may say to SCRAM.
 */
#include <openssl/evp.h>

#include "../../csrc/saslprep.h"
#include "sasl_world.h"
#include "scram_vectors.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* --- the table ------------------------------------------------------------ */

static void finds_mechanisms_in_any_case(void) {
  for (size_t i = 0; i < pop3_sasl_mechanism_count; i++) {
    const pop3_sasl_mechanism *m = &pop3_sasl_mechanisms[i];
    CHECK(pop3_sasl_find(span(m->name)) == m);
  }
  CHECK(pop3_sasl_find(span("scram-Sha-256")) ==
        pop3_sasl_find(span("SCRAM-SHA-256")));
  CHECK(pop3_sasl_find(span("SCRAM-SHA-25")) == NULL);
  CHECK(pop3_sasl_find(span("SCRAM-SHA-256-")) == NULL);
  CHECK(pop3_sasl_find(span("")) == NULL);
}

/* An automatic choice goes down the table. */
static void the_strongest_come_first(void) {
  static const char *const order[] = {"SCRAM-SHA-512-PLUS",
                                      "SCRAM-SHA-256-PLUS",
                                      "SCRAM-SHA-1-PLUS",
                                      "SCRAM-SHA-512",
                                      "SCRAM-SHA-256",
                                      "SCRAM-SHA-1",
                                      "OAUTHBEARER",
                                      "XOAUTH2",
                                      "PLAIN",
                                      "LOGIN",
                                      "CRAM-MD5",
                                      "EXTERNAL",
                                      "ANONYMOUS"};
  CHECK(pop3_sasl_mechanism_count == COUNT(order));
  for (size_t i = 0; i < COUNT(order); i++)
    CHECK(strcmp(pop3_sasl_mechanisms[i].name, order[i]) == 0);
}

static unsigned flags_of(const char *name) {
  return pop3_sasl_find(span(name))->flags;
}

static void the_flags_are_true(void) {
  for (size_t i = 0; i < pop3_sasl_mechanism_count; i++) {
    const char *name = pop3_sasl_mechanisms[i].name;
    unsigned flags = pop3_sasl_mechanisms[i].flags;
    bool scram = strncmp(name, "SCRAM", 5) == 0;
    bool oauth = strstr(name, "OAUTH") != NULL;
    CHECK(!!(flags & POP3_SASL_MUTUAL) == scram);
    CHECK(!!(flags & POP3_SASL_BOUND) == (strstr(name, "-PLUS") != NULL));
    CHECK(!!(flags & POP3_SASL_TOKEN) == oauth);
  }
  CHECK(flags_of("PLAIN") == (POP3_SASL_FIRST | POP3_SASL_REVEALS));
  CHECK(flags_of("LOGIN") == POP3_SASL_REVEALS);
  CHECK(flags_of("CRAM-MD5") == POP3_SASL_WEAK);
  CHECK(flags_of("EXTERNAL") == (POP3_SASL_FIRST | POP3_SASL_NO_SECRET));
  CHECK(flags_of("XOAUTH2") & POP3_SASL_REVEALS);
}

/* --- a line or two -------------------------------------------------------- */

/* RFC 4616 4 */
static void plain(void) {
  CHECK(!begin("PLAIN", joe("tim", "tanstaaftanstaaf")));
  CHECK(ANSWERS("", "\0tim\0tanstaaftanstaaf"));
  CHECK(finish() == POP3_E_OK);
  end();
  pop3_sasl_credentials c = joe("Kurt", "xipj3plmq");
  c.authzid = span("Ursel");
  CHECK(!begin("PLAIN", c));
  CHECK(ANSWERS("", "Ursel\0Kurt\0xipj3plmq"));
  end();
}

/* Whatever the prompts are, and no third one. */
static void login(void) {
  CHECK(!begin("LOGIN", joe("joe", "s3cret word")));
  CHECK(ANSWERS("Username:", "joe"));
  CHECK(ANSWERS("", "s3cret word"));
  CHECK(says(step("Password:"), POP3_E_MALFORMED, "LOGIN: "));
  CHECK(finish() == POP3_E_MALFORMED);
  end();
}

/* RFC 2195 2 */
static void cram_md5(void) {
  CHECK(!begin("CRAM-MD5", joe("tim", "tanstaaftanstaaf")));
  CHECK(ANSWERS("<1896.697170952@postoffice.reston.mci.net>",
                "tim b913a602c7eda7a495b4e6e7334d3890"));
  CHECK(finish() == POP3_E_OK);
  CHECK(says(step("<more>"), POP3_E_MALFORMED, "too many"));
  end();
  CHECK(!begin("CRAM-MD5", joe("tim", "tanstaaftanstaaf")));
  CHECK(says(step(""), POP3_E_MALFORMED, "empty"));
  end();
}

static void external_and_anonymous(void) {
  pop3_sasl_credentials c = {.authzid = span("fred@example.com")};
  CHECK(!begin("EXTERNAL", c)); /* RFC 4422 A.3 */
  CHECK(ANSWERS("", "fred@example.com"));
  CHECK(finish() == POP3_E_OK);
  end();
  c.user = span("joe");
  CHECK(!begin("EXTERNAL", c) && ANSWERS("", "fred@example.com"));
  end();
  c.authzid = span("");
  CHECK(!begin("EXTERNAL", c) && ANSWERS("", "joe"));
  end();
  c.user = span("");
  CHECK(!begin("EXTERNAL", c) && ANSWERS("", ""));
  end();
  CHECK(!begin("ANONYMOUS", joe("sirhc", NULL)) && ANSWERS("", "sirhc"));
  end();
}

/* The client speaks first: what would be answered by a secret is no prompt. */
static void a_first_challenge_is_empty(void) {
  static const char *const names[] = {"PLAIN", "XOAUTH2", "OAUTHBEARER",
                                      "SCRAM-SHA-256"};
  for (size_t i = 0; i < COUNT(names); i++) {
    CHECK(!begin(names[i], joe("joe", "secret")));
    CHECK(says(step("hello"), POP3_E_MALFORMED, names[i]));
    CHECK(step("") == POP3_E_MALFORMED && finish() == POP3_E_MALFORMED);
    end();
  }
}

/* --- OAuth ---------------------------------------------------------------- */

#define TOKEN "vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg=="

/* Google's "OAuth 2.0 Mechanism", and Microsoft's. */
static void xoauth2(void) {
  CHECK(!begin("XOAUTH2", joe("someuser@example.com", "ya29." TOKEN)));
  CHECK(ANSWERS("",
                "user=someuser@example.com\x01"
                "auth=Bearer ya29." TOKEN "\x01\x01"));
  CHECK(finish() == POP3_E_OK);
  CHECK(pop3_sasl_detail(sasl).size == 0);
  end();
}

/* RFC 7628 4.1, 4.2 */
static void oauthbearer(void) {
  pop3_sasl_credentials c = joe("user@example.com", TOKEN);
  c.host = span("server.example.com");
  c.port = 143;
  CHECK(!begin("OAUTHBEARER", c));
  CHECK(ANSWERS("",
                "n,a=user@example.com,\x01host=server.example.com\x01port="
                "143\x01"
                "auth=Bearer " TOKEN "\x01\x01"));
  CHECK(finish() == POP3_E_OK);
  end();
  c = joe(NULL, TOKEN);
  CHECK(!begin("OAUTHBEARER", c));
  CHECK(ANSWERS("",
                "n,,\x01"
                "auth=Bearer " TOKEN "\x01\x01"));
  end();
  c.user = span("joe");
  c.authzid = span("a,b=c");
  CHECK(!begin("OAUTHBEARER", c));
  CHECK(ANSWERS("",
                "n,a=a=2Cb=3Dc,\x01"
                "auth=Bearer " TOKEN "\x01\x01"));
  end();
}

/* The error is kept, answered, and no success can follow (T21). */
static void oauth_error_challenges(void) {
  static const char json[] =
      "{\"status\":\"invalid_token\",\"scope\":\"example_scope\"}";
  CHECK(!begin("OAUTHBEARER", joe("joe", TOKEN)) && !step(""));
  CHECK(ANSWERS(json, "\x01"));
  CHECK(is(pop3_sasl_detail(sasl), json, sizeof json - 1));
  CHECK(says(finish(), POP3_E_DENIED, "OAUTHBEARER: "));
  CHECK(step("") == POP3_E_DENIED);
  end();
  CHECK(!begin("XOAUTH2", joe("joe", TOKEN)) && !step(""));
  CHECK(ANSWERS(json, ""));
  CHECK(is(pop3_sasl_detail(sasl), json, sizeof json - 1));
  CHECK(step(json) == POP3_E_MALFORMED);
  CHECK(is(pop3_sasl_detail(sasl), json, sizeof json - 1));
  end();
}

/* There is no fixed room for a token (R17). */
static void tokens_of_64_kib(void) {
  static char token[65536];
  memset(token, 't', sizeof token);
  pop3_sasl_credentials c = joe("joe", NULL);
  c.secret = (pop3_span){token, sizeof token};
  CHECK(!begin("OAUTHBEARER", c) && !step(""));
  CHECK(response.size > sizeof token);
  end();
  CHECK(!begin("XOAUTH2", c) && !step(""));
  CHECK(response.size > sizeof token);
  end();
}

/* --- SCRAM by vectors ----------------------------------------------------- */

static void run_vector(const scram_vector *v) {
  pop3_sasl_credentials c = joe(v->user, v->password);
  c.authzid = span(v->authzid);
  c.binding = v->binding;
  c.binding_type = v->binding_type;
  c.binding_offerable = v->offerable;
  CHECK(!begin(v->mechanism, c));
  if (!sasl) return;
  CHECK(!pop3_scram_use_nonce(sasl, v->nonce, &failure));
  CHECK(!step("") && is(response, v->first, strlen(v->first)));
  CHECK(!step(v->server_first) && is(response, v->final, strlen(v->final)));
  CHECK(slices > 4096 / 256); /* a quarter of a millisecond each */
  CHECK(!step(v->server_final) && response.size == 0);
  CHECK(finish() == POP3_E_OK);
  end();
}

/* RFC 5802 5, RFC 7677 3, and what Python's hashlib makes of the others. */
static void scram_vectors_come_out(void) {
  CHECK(COUNT(scram_vectors) > 20);
  for (size_t i = 0; i < COUNT(scram_vectors); i++)
    run_vector(&scram_vectors[i]);
}

static void scram_prepares_names_and_passwords(void) {
  for (size_t i = 0; pop3_saslprep_complete() && i < COUNT(scram_prepared); i++)
    run_vector(&scram_prepared[i]);
}

static void a_nonce_is_new_each_time(void) {
  char before[256] = "";
  for (int i = 0; i < 3; i++) {
    CHECK(!begin("SCRAM-SHA-256", joe("joe", "secret")) && !step(""));
    CHECK(response.size == strlen("n,,n=joe,r=") + POP3_SASL_NONCE);
    CHECK(memcmp(response.data, "n,,n=joe,r=", 11) == 0);
    CHECK(memcmp(before, response.data, response.size) != 0);
    memcpy(before, response.data, response.size);
    end();
  }
}

/* --- PBKDF2 in slices ----------------------------------------------------- */

static bool derives(const char *digest, size_t password, size_t salt,
                    unsigned iterations, unsigned slice) {
  static char text[300], grain[300];
  unsigned char expected[POP3_HASH_MAX];
  pop3_pbkdf2 *p = NULL;
  size_t size = 0;
  memset(text, 'p', sizeof text);
  memset(grain, 's', sizeof grain);
  if (pop3_pbkdf2_new(&pop3_allocator_default, digest,
                      (pop3_span){text, password}, (pop3_span){grain, salt},
                      iterations, &p))
    return false;
  unsigned rounds = 1;
  while (pop3_pbkdf2_work(p, slice) == POP3_E_AGAIN) rounds++;
  const unsigned char *key = pop3_pbkdf2_key(p, &size);
  const EVP_MD *md = EVP_get_digestbyname(digest);
  bool same =
      PKCS5_PBKDF2_HMAC(text, (int)password, (const unsigned char *)grain,
                        (int)salt, (int)iterations, md, (int)size,
                        expected) == 1 &&
      (int)size == EVP_MD_get_size(md) && memcmp(key, expected, size) == 0;
  pop3_pbkdf2_free(p);
  return same && rounds >= (iterations - 1) / slice;
}

static void pbkdf2_is_openssls(void) {
  static const char *const digests[] = {"SHA1", "SHA256", "SHA512"};
  static const size_t passwords[] = {0, 1, 63, 64, 65, 128, 129, 300};
  static const unsigned counts[] = {1, 2, 127, 128, 129, 1000};
  for (size_t d = 0; d < COUNT(digests); d++)
    for (size_t p = 0; p < COUNT(passwords); p++)
      for (size_t c = 0; c < COUNT(counts); c++)
        for (unsigned slice = 1; slice < 1000; slice = slice * 8 - 1)
          CHECK(derives(digests[d], passwords[p], 300 - passwords[p], counts[c],
                        slice));
}

static void pbkdf2_refuses_what_is_no_digest(void) {
  pop3_pbkdf2 *p = NULL;
  CHECK(pop3_pbkdf2_new(&pop3_allocator_default, "sha257", span("p"), span("s"),
                        2, &p) == POP3_E_UNSUPPORTED);
  CHECK(p == NULL);
  pop3_pbkdf2_free(NULL);
}

/* --- credentials ---------------------------------------------------------- */

static const char *all_names(size_t i) { return pop3_sasl_mechanisms[i].name; }

/* R05: base64 would hide them from the one writer to the wire. */
static void line_ends_are_refused_everywhere(void) {
  static const char octets[] = {'\r', '\n', '\0'};
  static const char *const whose[] = {"user", "", "authzid", "host"};
  for (size_t m = 0; m < pop3_sasl_mechanism_count; m++)
    for (size_t field = 0; field < 4; field++)
      for (size_t o = 0; o < COUNT(octets); o++) {
        char text[] = {'a', octets[o], 'b'};
        pop3_sasl_credentials c = joe("joe", "secret");
        pop3_span *fields[] = {&c.user, &c.secret, &c.authzid, &c.host};
        *fields[field] = (pop3_span){text, sizeof text};
        CHECK(begin(all_names(m), c) == POP3_E_CONTROL);
        CHECK(sasl == NULL && strstr(failure.text, all_names(m)));
        CHECK(strstr(failure.text, whose[field]) || field == 1);
        CHECK(!strstr(failure.text, "secret") && !strchr(failure.text, '\n'));
      }
}

static void oauth_fields_cannot_be_broken_out_of(void) {
  static const char *const names[] = {"XOAUTH2", "OAUTHBEARER"};
  for (size_t m = 0; m < COUNT(names); m++)
    for (size_t field = 0; field < 3; field++) {
      pop3_sasl_credentials c = joe("joe", TOKEN);
      pop3_span *fields[] = {&c.user, &c.secret, &c.host};
      *fields[field] = span("x\x01y");
      CHECK(says(begin(names[m], c), POP3_E_CONTROL, "control character"));
      *fields[field] = span("x\x7fy");
      CHECK(begin(names[m], c) == POP3_E_CONTROL);
    }
  CHECK(!begin("PLAIN", joe("j\x01", "\x01")));
  end();
}

static void what_is_missing_is_named(void) {
  for (size_t m = 0; m < pop3_sasl_mechanism_count; m++) {
    const pop3_sasl_mechanism *one = &pop3_sasl_mechanisms[m];
    if (one->flags & POP3_SASL_NO_SECRET) continue;
    CHECK(says(begin(one->name, joe("joe", NULL)), POP3_E_ARGUMENT,
               one->flags & POP3_SASL_TOKEN ? "a token" : "a password"));
    if (one->method == &pop3_sasl_oauthbearer) continue;
    CHECK(says(begin(one->name, joe(NULL, "x")), POP3_E_ARGUMENT, "a user"));
  }
}

static void an_authzid_is_not_dropped(void) {
  static const char *const names[] = {"LOGIN", "CRAM-MD5", "XOAUTH2",
                                      "ANONYMOUS"};
  pop3_sasl_credentials c = joe("joe", "secret");
  c.authzid = span("admin");
  for (size_t i = 0; i < COUNT(names); i++)
    CHECK(says(begin(names[i], c), POP3_E_ARGUMENT, "authzid"));
}

static void plus_needs_something_to_bind_to(void) {
  pop3_sasl_credentials c = joe("joe", "secret");
  CHECK(says(begin("SCRAM-SHA-256-PLUS", c), POP3_E_ARGUMENT, "TLS"));
  c.binding_type = "tls-exporter";
  CHECK(begin("SCRAM-SHA-256-PLUS", c) == POP3_E_ARGUMENT);
  c.binding = span("octets");
  c.binding_type = NULL;
  CHECK(begin("SCRAM-SHA-256-PLUS", c) == POP3_E_ARGUMENT);
}

static const struct {
  const char *text, *says;
} prohibited[] = {
    {"tab\there", "control"},
    {"\x7f", "control"},
    {"\xff\xfe", "UTF-8"},
    {"\xc3", "UTF-8"},
    {"\xc0\xaf", "UTF-8"},
    {"\xed\xa0\x80", "UTF-8"},
    {"\xc2\x80", "prohibits"},     /* U+0080 */
    {"\xee\x80\x80", "prohibits"}, /* U+E000, private use */
    {"\xe2\x80\xae", "prohibits"}, /* U+202E, turns text around */
    {"\xd8\xa7"
     "1",
     "directions"},                  /* RFC 4013 3 */
    {"\xc8\xa1", "Unicode 3.2"},     /* U+0221 */
    {"\xc2\xad", "nothing is left"}, /* a soft hyphen alone */
};

/* With libidn, what it says; without it, that there is none. */
static void scram_refuses_what_saslprep_prohibits(void) {
  bool complete = pop3_saslprep_complete();
  for (size_t i = 0; i < COUNT(prohibited); i++) {
    const char *text = prohibited[i].text;
    bool ascii = strstr(prohibited[i].says, "control") != NULL;
    const char *why = complete || ascii ? prohibited[i].says : "libidn";
    CHECK(says(begin("SCRAM-SHA-256", joe("joe", text)), POP3_E_ARGUMENT, why));
    CHECK(strstr(failure.text, "password") != NULL);
    if (strstr(why, "Unicode 3.2")) continue; /* a name may have those */
    CHECK(says(begin("SCRAM-SHA-1", joe(text, "x")), POP3_E_ARGUMENT, why));
    CHECK(strstr(failure.text, "user") != NULL);
  }
  CHECK(!begin("PLAIN", joe("jos\xc3\xa9", "\xff\t")));
  end();
}

int main(void) {
  static const test tests[] = {
      TEST(finds_mechanisms_in_any_case),
      TEST(the_strongest_come_first),
      TEST(the_flags_are_true),
      TEST(plain),
      TEST(login),
      TEST(cram_md5),
      TEST(external_and_anonymous),
      TEST(a_first_challenge_is_empty),
      TEST(xoauth2),
      TEST(oauthbearer),
      TEST(oauth_error_challenges),
      TEST(tokens_of_64_kib),
      TEST(scram_vectors_come_out),
      TEST(scram_prepares_names_and_passwords),
      TEST(a_nonce_is_new_each_time),
      TEST(pbkdf2_is_openssls),
      TEST(pbkdf2_refuses_what_is_no_digest),
      TEST(line_ends_are_refused_everywhere),
      TEST(oauth_fields_cannot_be_broken_out_of),
      TEST(what_is_missing_is_named),
      TEST(an_authzid_is_not_dropped),
      TEST(plus_needs_something_to_bind_to),
      TEST(scram_refuses_what_saslprep_prohibits),
  };
  return RUN(tests);
}
