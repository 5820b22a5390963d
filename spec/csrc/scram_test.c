/*
 * scram_test.c - what a server may say to SCRAM, and what not (sasl.h; T20):
 * RFC 7677's exchange, and what is made of it by changing one thing.
 */
#include <openssl/crypto.h>

#include "sasl_world.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

#define NONCE "rOprNGfwEbeRWgbNEkqO"
#define MORE "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
#define R "r=" NONCE MORE
#define S "s=W22ZaJ0SNY7soEsUEjb6gQ=="
#define I "i=4096"
#define SIGNATURE "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
#define UNSIGNED "c=biws," R
#define PROOF "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="

static bool starts(const char *text) {
  size_t size = strlen(text);
  return response.size >= size && memcmp(response.data, text, size) == 0;
}

static void greet(void) {
  CHECK(!begin("SCRAM-SHA-256", joe("user", "pencil")));
  CHECK(!pop3_scram_use_nonce(sasl, NONCE, &failure));
  CHECK(ANSWERS("", "n,,n=user,r=" NONCE));
}

/* Up to the server's last message. */
static void prove(void) {
  greet();
  CHECK(ANSWERS(R "," S "," I, UNSIGNED ",p=" PROOF));
}

/* It failed, and stays so: nothing else is said, and no success is one. */
static void stays(pop3_error error) {
  pop3_span before = response;
  CHECK(step(R "," S "," I) == error);
  CHECK(step("v=" SIGNATURE) == error);
  CHECK(pop3_sasl_work(sasl, &failure) == error);
  CHECK(finish() == error);
  CHECK(response.data == before.data && response.size == before.size);
  end();
}

static void the_example_itself(void) {
  prove();
  CHECK(ANSWERS("v=" SIGNATURE, ""));
  CHECK(finish() == POP3_E_OK);
  CHECK(says(step(""), POP3_E_MALFORMED, "too many"));
  CHECK(finish() == POP3_E_MALFORMED);
  end();
}

/* --- its first message ---------------------------------------------------- */

static const char *const first_messages[] = {
    "",
    "r",
    "r=",
    R,
    R "," S,
    R "," I,
    S "," I,
    S "," R "," I, /* out of order */
    R "," I "," S,
    I "," S "," R,
    "x=1," R "," S "," I,
    " " R "," S "," I,
    "R=" NONCE MORE "," S "," I, /* in another case */
    R "," R "," S "," I,         /* twice */
    R "," S "," S "," I,
    R "," S "," I "," I,
    R "," S "," I "," R,
    R "," S "," I "," S,
    R "," S "," I ",v=" SIGNATURE, /* what belongs elsewhere */
    R "," S "," I ",p=" PROOF,
    R "," S "," I ",e=no",
    R "," S "," I ",n=user",
    R "," S "," I ",c=biws",
    R "," S "," I ",a=user",
    R "," S "," I ",", /* nothing where something has to be */
    R "," S "," I ",x",
    R "," S "," I ",x=",
    R "," S "," I ",x=1,",
    R "," S "," I ",x=1,,y=2",
    R "," S "," I ",1=1",
    R "," S "," I ",=",
    R ",," S "," I,
    "," R "," S "," I,
    R "," S "," I " ",
    "m=1," R "," S "," I, /* an extension that has to be known */
    R "," S "," I ",m=1",
    R "," S "," I ",x=1,m=1",
    "v=" SIGNATURE,       /* early */
    UNSIGNED ",p=" PROOF, /* ours, sent back */
    "n,,n=user,r=" NONCE,
};

static void first_messages_that_are_none(void) {
  for (size_t i = 0; i < COUNT(first_messages); i++) {
    greet();
    bool refused =
        says(step(first_messages[i]), POP3_E_MALFORMED, "SCRAM-SHA-256: ");
    if (!refused) printf("# for \"%s\"\n", first_messages[i]);
    CHECK(refused);
    stays(POP3_E_MALFORMED);
  }
}

static const char *const nonces[] = {
    NONCE,                 /* nothing of the server's */
    "rOprNGfwEbeRWgbNEkq", /* shortened */
    "rOprNGfwEbeRWgbNEkq" MORE,
    "fyko+d2lbbFgONRv9qkxdawL" MORE, /* another's */
    "ROprNGfwEbeRWgbNEkqO" MORE,
    MORE,
    MORE NONCE,
    "x" NONCE MORE,
    NONCE " x", /* not printable */
    NONCE "\t",
    NONCE "\x7f",
    NONCE "\xc3\xa9",
};

static void nonces_that_are_not_ours(void) {
  for (size_t i = 0; i < COUNT(nonces); i++) {
    char message[256];
    (void)snprintf(message, sizeof message, "r=%s," S "," I, nonces[i]);
    greet();
    CHECK(says(step(message), POP3_E_MALFORMED, "nonce does not extend"));
    stays(POP3_E_MALFORMED);
  }
}

static void a_nul_is_part_of_what_it_is_in(void) {
  static const char nonce[] = R "\0," S "," I, salt[] = R "," S "\0," I,
                    count[] = R "," S "," I "\0";
  const pop3_span messages[] = {{nonce, sizeof nonce - 1},
                                {salt, sizeof salt - 1},
                                {count, sizeof count - 1}};
  for (size_t i = 0; i < COUNT(messages); i++) {
    greet();
    CHECK(step_octets(messages[i]) == POP3_E_MALFORMED);
    end();
  }
}

static const struct {
  const char *text;
  pop3_error error;
} counts[] = {
    {"0", POP3_E_MALFORMED},
    {"-1", POP3_E_MALFORMED},
    {"+4096", POP3_E_MALFORMED},
    {" 4096", POP3_E_MALFORMED},
    {"4096 ", POP3_E_MALFORMED},
    {"04096", POP3_E_MALFORMED},
    {"4e4", POP3_E_MALFORMED},
    {"0x1000", POP3_E_MALFORMED},
    {"4096.0", POP3_E_MALFORMED},
    {"\xd9\xa4", POP3_E_MALFORMED},
    {"1", POP3_E_WEAK_ITERATIONS},
    {"4095", POP3_E_WEAK_ITERATIONS},
    {"5000001", POP3_E_ITERATIONS},
    {"9999999", POP3_E_ITERATIONS},
    {"10000000", POP3_E_ITERATIONS},
    {"2147483648", POP3_E_ITERATIONS},
    {"4294967296", POP3_E_ITERATIONS},
    {"4294971392", POP3_E_ITERATIONS}, /* 4096 in 32 bits */
    {"18446744073709555712", POP3_E_ITERATIONS},
    {"99999999999999999999", POP3_E_ITERATIONS},
};

static void counts_of_iterations(void) {
  for (size_t i = 0; i < COUNT(counts); i++) {
    char message[256];
    (void)snprintf(message, sizeof message, "%s,i=%s", R "," S, counts[i].text);
    greet();
    pop3_error error = step(message);
    if (error != counts[i].error) printf("# for \"%s\"\n", counts[i].text);
    CHECK(error == counts[i].error);
    CHECK(error == POP3_E_MALFORMED || strstr(failure.text, counts[i].text));
    CHECK(slices == 0);
    stays(counts[i].error);
  }
}

/* As many as are allowed begin, and are a slice at a time. */
static void the_most_iterations_begin(void) {
  pop3_span challenge = span(R "," S ",i=5000000");
  greet();
  CHECK(pop3_sasl_step(sasl, challenge, &response, &failure) == POP3_E_AGAIN);
  CHECK(pop3_sasl_work(sasl, &failure) == POP3_E_AGAIN);
  CHECK(pop3_sasl_step(sasl, challenge, &response, &failure) == POP3_E_AGAIN);
  CHECK(says(finish(), POP3_E_UNPROVEN, "did not prove"));
  end(); /* in the middle of it */
}

static const char *const salts[] = {"",
                                    "=",
                                    "====",
                                    "A",
                                    "AA",
                                    "AAA",
                                    "AAAAA",
                                    "A===",
                                    "AA==AA==",
                                    "AA=A",
                                    "AAA-",
                                    "AAA_",
                                    " AAA",
                                    "AAA ",
                                    "A AA",
                                    "AAA\n",
                                    "AAAA\r\n",
                                    "\xc3\xa9"
                                    "AA"};

static void salts_that_are_no_base64(void) {
  for (size_t i = 0; i < COUNT(salts); i++) {
    char message[256];
    (void)snprintf(message, sizeof message, "%s,s=%s," I, R, salts[i]);
    greet();
    bool refused = says(step(message), POP3_E_MALFORMED, "salt");
    if (!refused) printf("# for \"%s\"\n", salts[i]);
    CHECK(refused);
    stays(POP3_E_MALFORMED);
  }
}

/* As much as a challenge may be. */
static void a_salt_of_64_kib(void) {
  static char message[70000];
  size_t size = sizeof R - 1;
  memcpy(message, R ",s=", size + 3);
  memset(message + size + 3, 'A', 65536);
  memcpy(message + size + 3 + 65536, "," I, sizeof "," I);
  greet();
  CHECK(!step(message) && starts(UNSIGNED ",p="));
  CHECK(step("v=" SIGNATURE) == POP3_E_UNPROVEN);
  end();
}

static void extensions_may_follow(void) {
  greet();
  CHECK(!step(R "," S "," I ",x=1,Y=two words,z=a=b"));
  CHECK(starts(UNSIGNED ",p=")); /* it is signed, too */
  CHECK(response.size == strlen(UNSIGNED ",p=" PROOF));
  CHECK(memcmp(response.data + response.size - 44, PROOF, 44) != 0);
  end();
}

/* --- its last message ----------------------------------------------------- */

static const struct {
  const char *text;
  pop3_error error;
} last_messages[] = {
    {"", POP3_E_MALFORMED},
    {"v", POP3_E_MALFORMED},
    {"v=", POP3_E_MALFORMED},
    {SIGNATURE, POP3_E_MALFORMED},
    {"V=" SIGNATURE, POP3_E_MALFORMED},
    {" v=" SIGNATURE, POP3_E_MALFORMED},
    {"x=1,v=" SIGNATURE, POP3_E_MALFORMED},
    {"v=" SIGNATURE ",", POP3_E_MALFORMED},
    {"v=" SIGNATURE ",v=" SIGNATURE, POP3_E_MALFORMED},
    {"v=" SIGNATURE ",m=1", POP3_E_MALFORMED},
    {"v=" SIGNATURE ",e=no", POP3_E_MALFORMED},
    {"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4", POP3_E_MALFORMED},
    {"v=6rriTRBi23WpRR_wtup-mMhUZUn_dB5nLTJRsjl95G4=", POP3_E_MALFORMED},
    {"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4= ", POP3_E_MALFORMED},
    /* wrong: a bit, ours, short, long, none */
    {"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G8=", POP3_E_UNPROVEN},
    {"v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=", POP3_E_UNPROVEN},
    {"v=" PROOF, POP3_E_UNPROVEN},
    {"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95A==", POP3_E_UNPROVEN},
    {"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4A", POP3_E_UNPROVEN},
    {"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4A"
     "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4A",
     POP3_E_UNPROVEN},
    {"v=AAAA", POP3_E_UNPROVEN},
    {R "," S "," I, POP3_E_MALFORMED}, /* once more */
};

static void last_messages_that_prove_nothing(void) {
  for (size_t i = 0; i < COUNT(last_messages); i++) {
    prove();
    pop3_error error = step(last_messages[i].text);
    if (error != last_messages[i].error)
      printf("# for \"%s\"\n", last_messages[i].text);
    CHECK(error == last_messages[i].error);
    stays(last_messages[i].error);
  }
}

static void a_long_signature(void) {
  static char message[65536];
  memset(message, 'A', sizeof message - 1);
  message[0] = 'v', message[1] = '=';
  prove();
  CHECK(says(step(message), POP3_E_UNPROVEN, "signature is wrong"));
  stays(POP3_E_UNPROVEN);
}

/* The comparison's own test is equal_test.c; here, that it is used. */
#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__)
static size_t compared;

int CRYPTO_memcmp(const void *a, const void *b, size_t size) {
  compared += size;
  return memcmp(a, b, size);
}

static void the_signature_is_compared_in_constant_time(void) {
  prove();
  compared = 0;
  CHECK(step("v=" SIGNATURE) == POP3_E_OK && compared == 32);
  end();
}
#else
static void the_signature_is_compared_in_constant_time(void) {}
#endif

static void an_extended_signature(void) {
  prove();
  CHECK(ANSWERS("v=" SIGNATURE ",x=1", "") && finish() == POP3_E_OK);
  end();
}

/* +OK at each point before the signature. */
static void success_without_a_signature(void) {
  CHECK(!begin("SCRAM-SHA-256", joe("user", "pencil")));
  CHECK(says(finish(), POP3_E_UNPROVEN, "did not prove"));
  stays(POP3_E_UNPROVEN);
  greet();
  CHECK(says(finish(), POP3_E_UNPROVEN, "SCRAM-SHA-256"));
  stays(POP3_E_UNPROVEN);
  prove();
  CHECK(says(finish(), POP3_E_UNPROVEN, "did not prove"));
  stays(POP3_E_UNPROVEN);
}

static void a_reason_is_told(void) {
  prove();
  CHECK(says(step("e=invalid-proof"), POP3_E_DENIED, "invalid-proof"));
  CHECK(is(pop3_sasl_detail(sasl), "e=invalid-proof", 15));
  stays(POP3_E_DENIED);
  greet(); /* early, as some do */
  CHECK(says(step("e=unknown-user,x=1"), POP3_E_DENIED, ": unknown-user"));
  CHECK(!strstr(failure.text, "x=1"));
  stays(POP3_E_DENIED);
  prove();
  CHECK(step("e=\x1b[2Jgone") == POP3_E_DENIED);
  CHECK(strchr(failure.text, '\x1b') == NULL);
  stays(POP3_E_DENIED);
}

/* --- channel binding ------------------------------------------------------ */

static pop3_sasl_credentials bindable(void) {
  pop3_sasl_credentials c = joe("user", "pencil");
  c.binding = span("what TLS gave");
  c.binding_type = "tls-exporter";
  return c;
}

/* What a binding does to the header, and to what is signed. */
static void the_header_tells_of_binding(void) {
  pop3_sasl_credentials c = bindable();
  CHECK(!begin("SCRAM-SHA-256-PLUS", c) && !step(""));
  CHECK(starts("p=tls-exporter,,n=user,r="));
  end();
  CHECK(!begin("SCRAM-SHA-256", c) && !step(""));
  CHECK(starts("n,,n=user,r="));
  end();
  c.binding_offerable = true;
  CHECK(!begin("SCRAM-SHA-256", c) && !step(""));
  CHECK(starts("y,,n=user,r="));
  end();
  CHECK(!begin("SCRAM-SHA-256-PLUS", c) && !step(""));
  CHECK(starts("p=tls-exporter,,n=user,r="));
  end();
}

static void proof_for(const char *binding, char proof[256]) {
  pop3_sasl_credentials c = bindable();
  c.binding = span(binding);
  CHECK(!begin("SCRAM-SHA-256-PLUS", c));
  CHECK(!pop3_scram_use_nonce(sasl, NONCE, &failure));
  CHECK(!step("") && !step(R "," S "," I));
  (void)snprintf(proof, 256, "%.*s", (int)response.size, response.data);
  CHECK(step("v=" SIGNATURE) == POP3_E_UNPROVEN);
  end();
}

static void another_channel_is_another_proof(void) {
  char one[256], other[256];
  proof_for("what TLS gave", one);
  proof_for("what TLS gavE", other);
  CHECK(strcmp(strstr(one, ",p="), strstr(other, ",p=")) != 0);
  /* base64 of the header and the octets */
  CHECK(strstr(one, "c=cD10bHMtZXhwb3J0ZXIsLHdoYXQgVExTIGdhdmU=,r=") == one);
}

int main(void) {
  static const test tests[] = {
      TEST(the_example_itself),
      TEST(first_messages_that_are_none),
      TEST(nonces_that_are_not_ours),
      TEST(a_nul_is_part_of_what_it_is_in),
      TEST(counts_of_iterations),
      TEST(the_most_iterations_begin),
      TEST(salts_that_are_no_base64),
      TEST(a_salt_of_64_kib),
      TEST(extensions_may_follow),
      TEST(last_messages_that_prove_nothing),
      TEST(a_long_signature),
      TEST(the_signature_is_compared_in_constant_time),
      TEST(an_extended_signature),
      TEST(success_without_a_signature),
      TEST(a_reason_is_told),
      TEST(the_header_tells_of_binding),
      TEST(another_channel_is_another_proof),
  };
  return RUN(tests);
}
