/*
 * siphash.c - see siphash.h. The letters are the paper's.
 */
#include "siphash.h"

static uint64_t rotate(uint64_t x, unsigned by) {
  return x << by | x >> (64 - by);
}

static void rounds(uint64_t v[4], unsigned count) {
  for (; count > 0; count--) {
    v[0] += v[1];
    v[2] += v[3];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] = rotate(v[0], 32) + v[3];
    v[2] += v[1];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] = rotate(v[2], 32);
  }
}

/* Little-endian, whatever the machine is; compilers know this for one load. */
static uint64_t read_word(const char *text) {
  const unsigned char *t = (const unsigned char *)text;
  return (uint64_t)t[0] | (uint64_t)t[1] << 8 | (uint64_t)t[2] << 16 |
         (uint64_t)t[3] << 24 | (uint64_t)t[4] << 32 | (uint64_t)t[5] << 40 |
         (uint64_t)t[6] << 48 | (uint64_t)t[7] << 56;
}

/* What is left behind the words, and the size's last octet. */
static uint64_t read_tail(pop3_span text) {
  char tail[8] = {0};
  size_t left = text.size % 8;
  for (size_t i = 0; i < left; i++) tail[i] = text.data[text.size - left + i];
  return read_word(tail) | (uint64_t)text.size << 56;
}

static void compress(uint64_t v[4], uint64_t m) {
  v[3] ^= m;
  rounds(v, 2);
  v[0] ^= m;
}

uint64_t pop3_siphash(pop3_span text, const uint64_t key[2]) {
  uint64_t v[4] = {
      key[0] ^ UINT64_C(0x736f6d6570736575),
      key[1] ^ UINT64_C(0x646f72616e646f6d),
      key[0] ^ UINT64_C(0x6c7967656e657261),
      key[1] ^ UINT64_C(0x7465646279746573),
  };
  for (size_t i = 0; i + 8 <= text.size; i += 8)
    compress(v, read_word(text.data + i));
  compress(v, read_tail(text));
  v[2] ^= 0xff;
  rounds(v, 4);
  return v[0] ^ v[1] ^ v[2] ^ v[3];
}
