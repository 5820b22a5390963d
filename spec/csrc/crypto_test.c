/*
 * crypto_test.c - digests, base64, comparison (crypto.h), and the helpers
 * below them (memory.h, failure.h).
 *
 * Build: cc -std=c99 spec/csrc/crypto_test.c csrc/crypto.c csrc/memory.c
 *           csrc/failure.c csrc/escape.c csrc/tables.c -lcrypto
 */
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../csrc/crypto.h"
#include "../../csrc/escape.h"
#include "../../csrc/failure.h"
#include "../../csrc/memory.h"

static int failures;

static void check(bool claim, const char *name) {
  printf("%s - %s\n", claim ? "ok" : "not ok", name);
  if (!claim) failures++;
}

static bool same(const char *got, const char *expected) {
  if (strcmp(got, expected) == 0) return true;
  printf("# got \"%s\", expected \"%s\"\n", got, expected);
  return false;
}

/* --- APOP ---------------------------------------------------------------- */

static void test_apop(void) {
  const char *stamp = "<1896.697170952@dbc.mtview.ca.us>";
  char digest[33];
  pop3_error error =
      pop3_apop_digest(stamp, strlen(stamp), "tanstaaf", 8, digest);
  check(error == POP3_E_OK && same(digest, "c4c9334bac560ecc979e58001b3e22fb"),
        "APOP: the example of RFC 1939");
  error = pop3_apop_digest("", 0, "", 0, digest);
  check(error == POP3_E_OK && same(digest, "d41d8cd98f00b204e9800998ecf8427e"),
        "APOP: nothing at all (RFC 1321)");
  check(ERR_peek_error() == 0, "APOP: leaves OpenSSL's error queue empty");
}

/* --- streaming digests --------------------------------------------------- */

static const struct {
  const char *name, *of_abc;
} digests[] = {
    /* RFC 1321 A.5, FIPS 180-4 */
    {"md5", "900150983cd24fb0d6963f7d28e17f72"},
    {"sha1", "a9993e364706816aba3e25717850c26c9cd0d89d"},
    {"SHA256",
     "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {"sha512",
     "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
     "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"},
};

static void test_digests(void) {
  for (size_t i = 0; i < sizeof digests / sizeof digests[0]; i++) {
    pop3_digest *digest = NULL;
    pop3_failure failure;
    char hex[POP3_DIGEST_HEX], name[64];
    size_t length = 0;
    (void)snprintf(name, sizeof name, "digest: %s in pieces", digests[i].name);
    check(!pop3_digest_new(digests[i].name, &digest, &failure) &&
              !pop3_digest_update(digest, "a", 1) &&
              !pop3_digest_update(digest, "", 0) &&
              !pop3_digest_update(digest, "bc", 2) &&
              !pop3_digest_finish(digest, hex, &length) &&
              same(hex, digests[i].of_abc) && length == strlen(hex),
          name);
    pop3_digest_free(digest);
  }
  pop3_digest_free(NULL);
}

static void test_digest_refusals(void) {
  static const char *const names[] = {"", "sha257", "shake128", "null"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    pop3_digest *digest = NULL;
    pop3_failure failure;
    char name[64], quoted[32];
    (void)snprintf(name, sizeof name, "digest: refuses \"%s\"", names[i]);
    (void)snprintf(quoted, sizeof quoted, "\"%s\"", names[i]);
    check(pop3_digest_new(names[i], &digest, &failure) == POP3_E_ARGUMENT &&
              !digest && strstr(failure.text, quoted) &&
              strstr(failure.text, "sha256") && ERR_peek_error() == 0,
          name);
  }
}

/* --- base64 -------------------------------------------------------------- */

static const struct {
  const char *plain, *coded;
} vectors[] = {
    /* RFC 4648 10 */
    {"", ""},
    {"f", "Zg=="},
    {"fo", "Zm8="},
    {"foo", "Zm9v"},
    {"foob", "Zm9vYg=="},
    {"fooba", "Zm9vYmE="},
    {"foobar", "Zm9vYmFy"},
};
#define VECTORS (sizeof vectors / sizeof vectors[0])

static void test_base64_vectors(void) {
  for (size_t i = 0; i < VECTORS; i++) {
    const char *plain = vectors[i].plain;
    const char *coded = vectors[i].coded;
    char text[POP3_BASE64_SIZE(6)], name[64], back[6];
    size_t size = pop3_base64_encode(plain, strlen(plain), text), got = 99;
    (void)snprintf(name, sizeof name, "base64: RFC 4648 \"%s\"", plain);
    check(
        size == strlen(coded) && same(text, coded) &&
            pop3_base64_decode(coded, strlen(coded), back, &got) == POP3_E_OK &&
            got == strlen(plain) && memcmp(back, plain, got) == 0,
        name);
  }
}

#define BAD(text) \
  { text, sizeof text - 1 }

static const struct {
  const char *text;
  size_t size;
} refused[] = {
    BAD("Z"),        BAD("Zg="),      BAD("Zg==\n"),       BAD(" Zg=="),
    BAD("Zg= "),     BAD("Zm9v\r\n"), BAD("Zm9v\r\n\r\n"), BAD("===="),
    BAD("Z==="),     BAD("Zg==Zg=="), BAD("Zm=vYmFy"),     BAD("=m9v"),
    BAD("Zm9-"),     BAD("Zm9_"),     BAD("Zm\0v"),        BAD("Z\xc3\xa9="),
    BAD("Zg==    "), BAD("-m9v"),     BAD("Zm9v----"),     BAD("Zm9*"),
};

static void test_base64_refusals(void) {
  for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
    const char *text = refused[i].text;
    char out[16], shown[64], name[96];
    size_t got = 99;
    (void)pop3_escape(text, refused[i].size, shown, sizeof shown);
    (void)snprintf(name, sizeof name, "base64: refuses \"%s\"", shown);
    check(pop3_base64_decode(text, refused[i].size, out, &got) ==
                  POP3_E_MALFORMED &&
              got == 99,
          name);
  }
}

/* Sizes around the pieces in which OpenSSL is called. */
static void test_base64_pieces(void) {
  static const size_t sizes[] = {49151, 49152, 49153, 98304, 100001, 200000};
  bool good = true;
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    size_t size = sizes[i], got = 0;
    char *plain = malloc(size), *coded = malloc(POP3_BASE64_SIZE(size));
    char *back = malloc(POP3_BASE64_SIZE(size) / 4 * 3);
    if (!plain || !coded || !back) abort();
    for (size_t k = 0; k < size; k++) plain[k] = (char)(k * 7 + k / 251);
    size_t length = pop3_base64_encode(plain, size, coded);
    good = good && length + 1 == POP3_BASE64_SIZE(size) &&
           strlen(coded) == length &&
           pop3_base64_decode(coded, length, back, &got) == POP3_E_OK &&
           got == size && memcmp(back, plain, size) == 0;
    free(plain), free(coded), free(back);
  }
  check(good, "base64: large texts come back as they were");
}

/* --- the rest ------------------------------------------------------------ */

static void test_equal(void) {
  check(pop3_equal("abc", "abc", 3) && !pop3_equal("abc", "abd", 3) &&
            !pop3_equal("\0a", "\0b", 2) && pop3_equal("a", "b", 0),
        "comparison covers every octet and no more");
}

static void test_wipe(void) {
  char secret[16] = "xsecretsecretx";
  pop3_wipe(secret + 1, 12);
  check(secret[0] == 'x' && secret[13] == 'x' && secret[1] == 0 &&
            memcmp(secret + 1, secret + 2, 11) == 0,
        "wiping clears every octet and no more");
}

static void test_allocator(void) {
  const pop3_allocator *a = &pop3_allocator_default;
  void *none = pop3_allocate(a, 0);
  char *some = pop3_allocate(a, 100);
  check(none && some && memset(some, 1, 100) == some,
        "the allocator gives blocks, of 0 octets too");
  pop3_release(a, none, 0);
  pop3_release(a, some, 100);
  pop3_release(a, NULL, 100);
}

static void test_failure(void) {
  static pop3_failure failure;
  static char line[3000];
  check(pop3_fail(&failure, POP3_E_EOF, NULL) == POP3_E_EOF &&
            same(failure.text, "-ERR EOF"),
        "failure: without a format, the error's own text");
  (void)pop3_fail(&failure, POP3_E_IO, "before: %s", failure.text);
  check(failure.error == POP3_E_IO && same(failure.text, "before: -ERR EOF"),
        "failure: may quote itself");
  memset(line, 'x', sizeof line - 1);
  (void)pop3_fail(&failure, POP3_E_IO, "%s", line);
  check(strlen(failure.text) == POP3_FAILURE_TEXT - 1,
        "failure: a long text is cut");
  (void)pop3_fail_response(&failure, POP3_E_REFUSED, line, sizeof line);
  check(failure.response_size == POP3_FAILURE_RESPONSE && !failure.text[0],
        "failure: a long response is cut");
}

int main(void) {
  test_apop();
  test_digests();
  test_digest_refusals();
  test_base64_vectors();
  test_base64_refusals();
  test_base64_pieces();
  test_equal();
  test_wipe();
  test_allocator();
  test_failure();
  return failures > 0;
}
