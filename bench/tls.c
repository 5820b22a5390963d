/*
 * tls.c - what TLS costs the client: octets through the filter, beside OpenSSL's
 * AES-GCM alone over as many, and handshakes, full and resumed. The server is
 * in this process and not on the clock.
 *
 * build: cc -O2 -Icsrc -Ispec/csrc tls.c spec/csrc/tls_world.c <client> -lssl
 *        -lcrypto
 * usage: tls [MIB]    Markdown tables; 256 MiB by default
 */
#define _POSIX_C_SOURCE 199309L
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tls_world.h"

enum { PIECE = 65536, BATCH = 4 << 20, RECORD = 16384, ROUNDS = 3 };

static const pop3_tls_peer peer = {
    .host = "pop.example.org", .host_size = 15, .port = 995};

static char plain[BATCH], cipher[BATCH + BATCH / 8], buffer[PIECE];

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* As conn.c does it: a read's worth of ciphertext, then all its plaintext. */
static double decrypt(pair *p, size_t size) {
  double seconds = 0;
  for (size_t at = 0; at < size;) {
    size_t used = 0, got, room;
    char *to = pop3_tls_room(p->client, &room);
    must(to != NULL, "room");
    room = least(least(room, PIECE), size - at);
    memcpy(to, cipher + at, room); /* the kernel's work */
    at += room;
    double start = now();
    pop3_tls_received(p->client, room);
    while (pop3_tls_read(p->client, buffer + used, PIECE - used, &got,
                         &failure) == POP3_E_OK)
      used = (used + got) % PIECE;
    seconds += now() - start;
  }
  return seconds;
}

static double stream(int version, const char *suite, int mebibytes) {
  pair p;
  server s = {.identity = &leaf, .min = version, .max = version};
  double seconds = 0;
  size_t size;
  options.ciphersuites = suite;
  must(try_out(&p, &s, peer.host) == POP3_E_OK && answers(&p), "a session");
  for (int left = mebibytes << 20; left > 0; left -= BATCH) {
    must(SSL_write_ex(p.server, plain, BATCH, &size) == 1, "writing");
    size = (size_t)BIO_read(SSL_get_wbio(p.server), cipher, sizeof cipher);
    seconds += decrypt(&p, size);
  }
  stop(&p);
  use_defaults();
  return mebibytes / seconds * 1.048576;
}

/* The least that anybody could do: nothing but the cipher. */
static double floor_of(int mebibytes) {
  unsigned char key[32] = {0}, tag[16] = {0};
  EVP_CIPHER_CTX *state = EVP_CIPHER_CTX_new();
  double start = now();
  int size;
  must(EVP_DecryptInit_ex(state, EVP_aes_256_gcm(), NULL, key, key) == 1,
       "aes");
  for (long i = 0; i < (long)mebibytes * (1 << 20) / RECORD; i++) {
    const unsigned char *in =
        (unsigned char *)cipher + (size_t)(i * RECORD) % BATCH;
    (void)EVP_DecryptInit_ex(state, NULL, NULL, NULL, key);
    (void)EVP_DecryptUpdate(state, (unsigned char *)buffer, &size, in, RECORD);
    (void)EVP_CIPHER_CTX_ctrl(state, EVP_CTRL_AEAD_SET_TAG, 16, tag);
    (void)EVP_DecryptFinal_ex(state, (unsigned char *)buffer, &size);
  }
  double seconds = now() - start;
  EVP_CIPHER_CTX_free(state);
  return mebibytes / seconds * 1.048576;
}

/* The client's share of a handshake and of the first read. */
static double greet(pair *p, pop3_tls_context *context) {
  double start = now(), total;
  pop3_error error = pop3_tls_new(context, &peer, &p->client, &failure);
  total = now() - start;
  while (error == POP3_E_OK || error == POP3_E_AGAIN) {
    pop3_error fed;
    char octet;
    size_t got;
    start = now();
    error = pop3_tls_handshake(p->client, &failure);
    bool done = error == POP3_E_OK;
    if (done) (void)pop3_tls_read(p->client, &octet, 1, &got, &failure);
    total += now() - start;
    bool moved = carry_up(p);
    (void)SSL_do_handshake(p->server);
    start = now();
    moved = carry_down(p, &fed) || moved;
    total += now() - start;
    if (done && !moved) break;
  }
  return total;
}

static double handshake(int version, bool resumed) {
  enum { TIMES = 300 };
  pair p;
  server s = {.identity = &leaf, .min = version, .max = version};
  pop3_tls_context *context = NULL;
  double total = 0;
  options.resume = resumed;
  must(pop3_tls_context_new(&options, &context, &failure) == POP3_E_OK, "one");
  serve(&p, &s);
  (void)greet(&p, context);
  for (int i = 0; i < TIMES; i++) {
    listen_again(&p);
    total += greet(&p, context);
    must(SSL_session_reused(p.client->ssl) == resumed, "resumption");
  }
  stop(&p);
  pop3_tls_context_release(context);
  use_defaults();
  return total / TIMES * 1e6;
}

/* The best of some rounds. */
#define BEST(best, worse, value)                 \
  for (int round = 0; round < ROUNDS; round++) { \
    double v = value;                            \
    if (round == 0 || worse) best = v;           \
  }

int main(int count, char **arguments) {
  int mebibytes = count > 1 ? atoi(arguments[1]) : 256;
  double a, b;
  make_world();
  use_defaults();
  printf("| octets | MB/s | AES-256-GCM alone | times |\n|---|---|---|---|\n");
  BEST(b, v > b, floor_of(mebibytes))
  BEST(a, v > a, stream(TLS1_3_VERSION, NULL, mebibytes))
  printf("| TLS 1.3 | %.0f | %.0f | %.2f |\n", a, b, b / a);
  BEST(a, v > a, stream(TLS1_2_VERSION, NULL, mebibytes))
  printf("| TLS 1.2 | %.0f | %.0f | %.2f |\n", a, b, b / a);
  printf("\n| client's CPU | full, us | resumed, us |\n|---|---|---|\n");
  BEST(a, v < a, handshake(TLS1_3_VERSION, false))
  BEST(b, v < b, handshake(TLS1_3_VERSION, true))
  printf("| TLS 1.3 | %.0f | %.0f |\n", a, b);
  BEST(a, v < a, handshake(TLS1_2_VERSION, false))
  BEST(b, v < b, handshake(TLS1_2_VERSION, true))
  printf("| TLS 1.2 | %.0f | %.0f |\n", a, b);
  end_world();
  return failures > 0;
}
