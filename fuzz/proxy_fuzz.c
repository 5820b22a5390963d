/*
 * proxy_fuzz.c - libFuzzer target for the exchange with a proxy: what it says,
 * cut in several ways, gives one result.
 *
 * sources: csrc/proxy.c csrc/address.c csrc/escape.c csrc/failure.c csrc/memory.c csrc/crypto.c
 * libraries: -lcrypto
 *
 * An input is an octet of configuration, then the proxy's octets.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy.h"

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size);

typedef struct outcome {
  pop3_error error;
  size_t used;
  char text[POP3_FAILURE_TEXT];
} outcome;

static pop3_proxy *ask(uint8_t bits) {
  pop3_failure failure;
  pop3_proxy *proxy = NULL;
  pop3_proxy_login login = {
      bits & 1 ? POP3_PROXY_HTTP : POP3_PROXY_SOCKS5, {"", 0}, {"", 0}};
  if (bits & 2) {
    login.user = (pop3_span){"joe", 3};
    login.password = (pop3_span){"open sesame", 11};
  }
  if (pop3_proxy_new(&pop3_allocator_default, &login,
                     bits & 4 ? "2001:db8::1" : "mail.example.org", 995, &proxy,
                     &failure) != POP3_E_OK)
    abort();
  return proxy;
}

static void play(uint8_t bits, const char *octets, size_t size, size_t piece,
                 outcome *o) {
  pop3_failure failure = {0};
  pop3_proxy *proxy = ask(bits);
  memset(o, 0, sizeof *o);
  o->error = POP3_E_AGAIN;
  while (o->error == POP3_E_AGAIN && o->used < size) {
    size_t used = 0, left = size - o->used;
    pop3_proxy_sent(proxy, pop3_proxy_output(proxy).size);
    o->error = pop3_proxy_receive(proxy, octets + o->used,
                                  left < piece ? left : piece, &used, &failure);
    if (used > left) abort();
    o->used += used;
  }
  memcpy(o->text, failure.text, sizeof o->text);
  pop3_proxy_free(proxy);
}

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size) {
  static const size_t pieces[] = {1, 2, 7};
  outcome whole, other;
  if (size == 0) return 0;
  const char *said = (const char *)octets + 1;
  play(octets[0], said, size - 1, size, &whole);
  bool known = (octets[0] & 2) != 0;
  if (known && strstr(whole.text, "open sesame") != NULL) abort();
  for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
    play(octets[0], said, size - 1, pieces[i], &other);
    if (whole.error == other.error && whole.used == other.used &&
        strcmp(whole.text, other.text) == 0)
      continue;
    fprintf(stderr, "whole: %s\npieces: %s\n", whole.text, other.text);
    abort();
  }
  return 0;
}
