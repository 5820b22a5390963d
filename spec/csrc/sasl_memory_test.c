/*
 * sasl_memory_test.c - what SASL leaves in memory, and what it does without
 * any (sasl.h). The allocator is a spy: it never gives a block out twice, so
 * that whatever was not wiped is still to be found; OpenSSL's can fail.
 */
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include "sasl_world.h"

#if defined(__GLIBC__)
#include <malloc.h>
#endif

#define COUNT(array) (sizeof(array) / sizeof *(array))

#define PASSWORD "correct-horse-battery"
#define NONCE "rOprNGfwEbeRWgbNEkqO"
#define OFFER "r=" NONCE "more,s=c2FsdHNhbHQ=,i=4096"

/* --- the spy -------------------------------------------------------------- */

static char arena[1 << 20];
static size_t used;
static long live;     /* blocks */
static long requests; /* so far */
static long fail_at;  /* 0: never */

static void *spy(void *state, void *block, size_t old, size_t size) {
  (void)state;
  if (size == 0) {
    must(block != NULL && old > 0, "a block to free");
    live--;
    return NULL;
  }
  must(block == NULL, "nothing is resized: the old octets would stay");
  if (++requests == fail_at) return NULL;
  must(size < sizeof arena - used, "the arena is large enough");
  block = arena + used;
  used += (size + 15) / 16 * 16;
  live++;
  return block;
}

static const pop3_allocator spying = {spy, NULL};

static void forget(void) {
  memset(arena, 0, used);
  used = 0;
  live = requests = fail_at = 0;
}

static bool found(const void *octets, size_t size) {
  for (size_t i = 0; i + size <= used; i++)
    if (memcmp(arena + i, octets, size) == 0) return true;
  return false;
}

/* A piece out of the middle, as memory is searched. */
static bool knows(const char *secret) {
  return found(secret + 2, strlen(secret) - 4);
}

/* --- secrets -------------------------------------------------------------- */

static void the_spy_finds_a_copy(void) {
  forget();
  pop3_span part = span(PASSWORD);
  pop3_wiped block = {NULL, 0};
  CHECK(pop3_wiped_join(&spying, &block, &part, 1) && knows(PASSWORD));
  pop3_release(&spying, block.data, block.size); /* unwiped */
  CHECK(live == 0 && knows(PASSWORD));
}

static void a_response_is_wiped(void) {
  static const char *const names[] = {"PLAIN", "LOGIN", "XOAUTH2",
                                      "OAUTHBEARER"};
  for (size_t i = 0; i < COUNT(names); i++) {
    bool two = strcmp(names[i], "LOGIN") == 0;
    forget();
    CHECK(!begin_with(&spying, names[i], joe("joe", PASSWORD)));
    CHECK(!knows(PASSWORD));
    if (two) CHECK(!step("User:") && !knows(PASSWORD));
    CHECK(!step("") && knows(PASSWORD));
    CHECK(!finish() && !knows(PASSWORD));
    end();
    CHECK(live == 0 && !knows(PASSWORD));
  }
}

static void a_next_step_wipes_the_response(void) {
  forget();
  CHECK(!begin_with(&spying, "XOAUTH2", joe("joe", PASSWORD)) && !step(""));
  CHECK(knows(PASSWORD));
  CHECK(!step("{}") && !knows(PASSWORD));
  end();
  forget();
  CHECK(!begin_with(&spying, "PLAIN", joe("joe", PASSWORD)) && !step(""));
  end(); /* right after it */
  CHECK(live == 0 && !knows(PASSWORD));
}

static const char *digest_of(const char *mechanism) {
  return pop3_sasl_find(span(mechanism))->digest;
}

/* What a thief could log in with, besides the password. */
static bool knows_a_key(const char *mechanism) {
  unsigned char salted[64], client[64], server[64];
  size_t size = 0, length;
  const char *digest = digest_of(mechanism);
  const EVP_MD *md = EVP_get_digestbyname(digest);
  int octets = EVP_MD_get_size(md);
  must(PKCS5_PBKDF2_HMAC(PASSWORD, -1, (const unsigned char *)"saltsalt", 8,
                         4096, md, octets, salted) == 1,
       "a salted password");
  size = (size_t)octets;
  must(!pop3_hmac(digest, salted, size, "Client Key", 10, client, &length) &&
           !pop3_hmac(digest, salted, size, "Server Key", 10, server, &length),
       "keys");
  return found(salted, size) || found(client, size) || found(server, size);
}

static void scram_keeps_no_key(void) {
  static const char *const names[] = {"SCRAM-SHA-1", "SCRAM-SHA-256",
                                      "SCRAM-SHA-512"};
  for (size_t i = 0; i < COUNT(names); i++) {
    forget();
    CHECK(!begin_with(&spying, names[i], joe("joe", PASSWORD)));
    CHECK(!pop3_scram_use_nonce(sasl, NONCE, &failure) && !step(""));
    CHECK(pop3_sasl_step(sasl, span(OFFER), &response, &failure) ==
          POP3_E_AGAIN);
    CHECK(!knows(PASSWORD)); /* OpenSSL has it, keyed */
    CHECK(!step(OFFER) && !knows(PASSWORD) && !knows_a_key(names[i]));
    CHECK(step("v=AAAA") == POP3_E_UNPROVEN);
    end();
    CHECK(live == 0 && !knows(PASSWORD) && !knows_a_key(names[i]));
  }
}

/* Given up at each point. */
static void what_is_given_up_is_wiped(void) {
  for (int point = 0; point < 4; point++) {
    forget();
    CHECK(!begin_with(&spying, "SCRAM-SHA-256", joe("joe", PASSWORD)));
    CHECK(!pop3_scram_use_nonce(sasl, NONCE, &failure));
    if (point > 0) CHECK(!step(""));
    if (point > 1)
      CHECK(pop3_sasl_step(sasl, span(OFFER), &response, &failure) ==
            POP3_E_AGAIN);
    if (point > 2) /* all but the last step */
      while (pop3_sasl_work(sasl, &failure) == POP3_E_AGAIN) continue;
    CHECK(point < 3 || knows_a_key("SCRAM-SHA-256"));
    end();
    CHECK(live == 0 && !knows(PASSWORD) && !knows_a_key("SCRAM-SHA-256"));
  }
}

static void a_failed_step_wipes_at_once(void) {
  forget();
  CHECK(!begin_with(&spying, "SCRAM-SHA-256", joe("joe", PASSWORD)));
  CHECK(!step("") && knows(PASSWORD));
  CHECK(step("nonsense") == POP3_E_MALFORMED && !knows(PASSWORD));
  end();
  forget();
  CHECK(!begin_with(&spying, "SCRAM-SHA-256", joe("joe", PASSWORD)));
  CHECK(finish() == POP3_E_UNPROVEN && !knows(PASSWORD));
  end();
}

/* --- no memory ------------------------------------------------------------ */

/* A whole exchange, as far as it goes; true if it was a success. */
static bool converse(const char *mechanism) {
  pop3_sasl_credentials c = joe("joe", PASSWORD);
  c.binding = span("octets");
  c.binding_type = "tls-exporter";
  bool scram = strncmp(mechanism, "SCRAM", 5) == 0;
  bool first = (pop3_sasl_find(span(mechanism))->flags & POP3_SASL_FIRST) != 0;
  if (begin_with(&spying, mechanism, c)) return false;
  if (scram && pop3_scram_use_nonce(sasl, NONCE, &failure)) return false;
  if (step(first ? "" : "challenge")) return false;
  if (scram && step(OFFER)) return false;
  if (scram && step("v=AAAA")) return false;
  if (strcmp(mechanism, "LOGIN") == 0 && step("password")) return false;
  if (strcmp(mechanism, "XOAUTH2") == 0 && step("{}")) return false;
  return finish() == POP3_E_OK;
}

static void our_allocations_fail_each_in_turn(void) {
  for (size_t m = 0; m < pop3_sasl_mechanism_count; m++) {
    const char *name = pop3_sasl_mechanisms[m].name;
    forget();
    bool succeeds = converse(name);
    long all = requests;
    end();
    CHECK(all > 0 && live == 0);
    for (long point = 1; point <= all; point++) {
      forget();
      fail_at = point;
      CHECK(!converse(name) && failure.error == POP3_E_MEMORY);
      CHECK(requests >= point);
      if (sasl) CHECK(finish() != POP3_E_OK);
      end();
      CHECK(live == 0 && !knows(PASSWORD) && ERR_peek_error() == 0);
    }
    CHECK(succeeds ==
          (strncmp(name, "SCRAM", 5) != 0 && strcmp(name, "XOAUTH2") != 0));
  }
}

static long openssl_requests, openssl_fails_at;

static bool refused(void) { return ++openssl_requests == openssl_fails_at; }

static void *take(size_t size, const char *file, int line) {
  (void)file, (void)line;
  return refused() ? NULL : malloc(size);
}

static void *change(void *block, size_t size, const char *file, int line) {
  (void)file, (void)line;
  return refused() ? NULL : realloc(block, size);
}

/* Where it can be asked how large a block is, those that are freed are looked
 * through. */
#if defined(__GLIBC__)
static const bool can_ask = true;
static size_t size_of(void *block) { return malloc_usable_size(block); }
#else
static const bool can_ask = false;
static size_t size_of(void *block) {
  (void)block;
  return 0;
}
#endif

static const char *wanted; /* in what OpenSSL frees */
static size_t wanted_size;
static long wanted_found;

static void give(void *block, const char *file, int line) {
  size_t size = block && wanted ? size_of(block) : 0;
  (void)file, (void)line;
  for (size_t i = 0; size > 0 && i + wanted_size <= size; i++)
    if (memcmp((const char *)block + i, wanted, wanted_size) == 0)
      wanted_found++;
  free(block);
}

static long freed_with(const void *octets, size_t size, const char *mechanism) {
  forget();
  wanted = octets;
  wanted_size = size;
  wanted_found = 0;
  (void)converse(mechanism);
  end();
  wanted = NULL;
  return wanted_found;
}

static void openssl_frees_no_secret(void) {
  unsigned char salted[32];
  must(PKCS5_PBKDF2_HMAC(PASSWORD, -1, (const unsigned char *)"saltsalt", 8,
                         4096, EVP_sha256(), 32, salted) == 1,
       "a salted password");
  wanted = PASSWORD, wanted_size = sizeof PASSWORD - 1, wanted_found = 0;
  char *planted = OPENSSL_malloc(sizeof PASSWORD);
  memcpy(planted, PASSWORD, sizeof PASSWORD);
  OPENSSL_free(planted);
  CHECK(wanted_found > 0 || !can_ask);
  CHECK(freed_with(PASSWORD, sizeof PASSWORD - 1, "SCRAM-SHA-256") == 0);
  CHECK(freed_with(PASSWORD, sizeof PASSWORD - 1, "CRAM-MD5") == 0);
  CHECK(freed_with(salted, sizeof salted, "SCRAM-SHA-256") == 0);
}

/* Most points are alike, an iteration each. */
static long next_point(long point, long all) {
  if (point < 200 || point > all - 200) return point + 1;
  return point + 211;
}

/* Never a proof by a signature that is wrong, or a wrong proof of ours. */
static void openssls_allocations_fail(void) {
  static const char *const names[] = {"SCRAM-SHA-1", "SCRAM-SHA-512-PLUS",
                                      "CRAM-MD5"};
  for (size_t m = 0; m < COUNT(names); m++) {
    forget();
    (void)converse(names[m]);
    end();
    forget();
    openssl_requests = openssl_fails_at = 0;
    bool succeeds = converse(names[m]);
    pop3_error usual = failure.error;
    end();
    long all = openssl_requests;
    CHECK(all > 0);
    for (long point = 1; point <= all; point = next_point(point, all)) {
      forget();
      openssl_requests = 0;
      openssl_fails_at = point;
      bool success = converse(names[m]);
      openssl_fails_at = 0;
      CHECK(!success || succeeds);
      CHECK(success || failure.error == POP3_E_MEMORY ||
            failure.error == POP3_E_UNSUPPORTED || failure.error == usual ||
            failure.error == POP3_E_IO);
      end();
      CHECK(live == 0 && !knows(PASSWORD) && ERR_peek_error() == 0);
    }
  }
}

int main(void) {
  must(CRYPTO_set_mem_functions(take, change, give) == 1, "an allocator");
  static const test tests[] = {
      TEST(the_spy_finds_a_copy),
      TEST(a_response_is_wiped),
      TEST(a_next_step_wipes_the_response),
      TEST(scram_keeps_no_key),
      TEST(what_is_given_up_is_wiped),
      TEST(a_failed_step_wipes_at_once),
      TEST(our_allocations_fail_each_in_turn),
      TEST(openssls_allocations_fail),
      TEST(openssl_frees_no_secret),
  };
  return RUN(tests);
}
