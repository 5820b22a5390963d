/*
 * scan.c - see scan.h.
 *
 * A kernel is a `map`, made of a processor's own instructions; the same map
 * block by block makes its `find`. The instruction sets are asked for function
 * by function, because LuaRocks passes no flags to the compiler.
 */
#include "scan.h"

#include <string.h>

#define ALWAYS /* a kernel that needs nothing */

/* Too few octets for a block: also the last, which nothing follows. */
static const char *find_in_rest(const char *at, const char *end) {
  const char *lf;
  while ((lf = memchr(at, '\n', (size_t)(end - at))) != NULL) {
    at = lf + 1;
    if (at == end || *at == '.') return lf;
  }
  return end;
}

/* Not a function that is given a map: the map has to be inlined. */
#define FIND_BY(kernel, target)                                              \
  target static const char *find_##kernel(const char *at, const char *end) { \
    for (; end - at > POP3_SCAN_BLOCK; at += POP3_SCAN_BLOCK) {              \
      uint64_t map = map_##kernel(at);                                       \
      if (map != 0) return at + __builtin_ctzll(map);                        \
    }                                                                        \
    return find_in_rest(at, end);                                            \
  }

static bool always(void) { return true; }

/* ------------------------------------------------------------ plain C */

#define EACH_OCTET UINT64_C(0x0101010101010101)

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define FIRST_OCTET_LOWEST(word) __builtin_bswap64(word)
#else
#define FIRST_OCTET_LOWEST(word) (word)
#endif

static uint64_t load_word(const char *at) {
  uint64_t word;
  memcpy(&word, at, sizeof word);
  return FIRST_OCTET_LOWEST(word);
}

/*
 * Eight octets at a time: one bit for each that is zero in `octets`. The
 * borrow of one that is zero could make the next look like it, if that was 1;
 * but behind a pair lies its dot, which differs from an LF in more than that.
 */
static inline uint64_t zeros(uint64_t octets) {
  uint64_t high = (octets - EACH_OCTET) & ~octets & EACH_OCTET * 0x80;
  return (high >> 7) * UINT64_C(0x0102040810204080) >> 56;
}

static inline uint64_t map_word(const char *block) {
  uint64_t map = 0;
  for (int i = 0; i < POP3_SCAN_BLOCK; i += 8) {
    uint64_t lf = load_word(block + i) ^ EACH_OCTET * '\n';
    uint64_t dot = load_word(block + i + 1) ^ EACH_OCTET * '.';
    map |= zeros(lf | dot) << i;
  }
  return map;
}

FIND_BY(word, ALWAYS)

#define WORD_ROW {"word", always, find_word, map_word},

/* ------------------------------------------------------------ x86 */

#if defined(__SSE2__)
#include <immintrin.h>

static inline uint64_t pairs_sse2(const char *at) {
  __m128i octets = _mm_loadu_si128((const __m128i *)(const void *)at);
  __m128i next = _mm_loadu_si128((const __m128i *)(const void *)(at + 1));
  __m128i lf = _mm_cmpeq_epi8(octets, _mm_set1_epi8('\n'));
  __m128i dot = _mm_cmpeq_epi8(next, _mm_set1_epi8('.'));
  return (unsigned)_mm_movemask_epi8(_mm_and_si128(lf, dot));
}

static inline uint64_t map_sse2(const char *block) {
  return pairs_sse2(block) | pairs_sse2(block + 16) << 16 |
         pairs_sse2(block + 32) << 32 | pairs_sse2(block + 48) << 48;
}

FIND_BY(sse2, ALWAYS)

#define AVX2 __attribute__((target("avx2")))

AVX2 static inline uint64_t pairs_avx2(const char *at) {
  __m256i octets = _mm256_loadu_si256((const __m256i *)(const void *)at);
  __m256i next = _mm256_loadu_si256((const __m256i *)(const void *)(at + 1));
  __m256i lf = _mm256_cmpeq_epi8(octets, _mm256_set1_epi8('\n'));
  __m256i dot = _mm256_cmpeq_epi8(next, _mm256_set1_epi8('.'));
  return (unsigned)_mm256_movemask_epi8(_mm256_and_si256(lf, dot));
}

AVX2 static inline uint64_t map_avx2(const char *block) {
  return pairs_avx2(block) | pairs_avx2(block + 32) << 32;
}

FIND_BY(avx2, AVX2)

static bool has_avx2(void) { return __builtin_cpu_supports("avx2") != 0; }

#define SSE2_ROW {"sse2", always, find_sse2, map_sse2},
#define AVX2_ROW {"avx2", has_avx2, find_avx2, map_avx2},
#else
#define SSE2_ROW
#define AVX2_ROW
#endif

/* ------------------------------------------------------------ ARM */

/* Big-endian lanes would have to be told apart: no one has such a machine. */
#if defined(__aarch64__) && defined(__ARM_NEON) && !defined(__AARCH64EB__)
#include <arm_neon.h>

static inline uint8x16_t pairs_neon(const char *at) {
  uint8x16_t octets = vld1q_u8((const uint8_t *)at);
  uint8x16_t next = vld1q_u8((const uint8_t *)at + 1);
  return vandq_u8(vceqq_u8(octets, vdupq_n_u8('\n')),
                  vceqq_u8(next, vdupq_n_u8('.')));
}

/* There is no movemask: each lane keeps its bit, and neighbours are added. */
static inline uint64_t map_neon(const char *block) {
  const uint8x16_t bits = {1, 2, 4, 8, 16, 32, 64, 128,
                           1, 2, 4, 8, 16, 32, 64, 128};
  uint8x16_t low = vpaddq_u8(vandq_u8(pairs_neon(block), bits),
                             vandq_u8(pairs_neon(block + 16), bits));
  uint8x16_t high = vpaddq_u8(vandq_u8(pairs_neon(block + 32), bits),
                              vandq_u8(pairs_neon(block + 48), bits));
  uint8x16_t all = vpaddq_u8(low, high);
  return vgetq_lane_u64(vreinterpretq_u64_u8(vpaddq_u8(all, all)), 0);
}

FIND_BY(neon, ALWAYS)

#define NEON_ROW {"neon", always, find_neon, map_neon},
#else
#define NEON_ROW
#endif

/* ------------------------------------------------------------ the choice */

const pop3_scan pop3_scans[] = {AVX2_ROW SSE2_ROW NEON_ROW WORD_ROW};
const size_t pop3_scan_count = sizeof pop3_scans / sizeof *pop3_scans;

static const pop3_scan *choose(void) {
  const pop3_scan *scan = pop3_scans;
  while (!scan->available()) scan++;
  return scan;
}

/*
 * The engine's only variable. Threads that come first at the same time choose
 * the same row, which was there before any thread: no lock, no order needed.
 */
const pop3_scan *pop3_scan_best(void) {
  static const pop3_scan *best;
  const pop3_scan *scan = __atomic_load_n(&best, __ATOMIC_RELAXED);
  if (scan != NULL) return scan;
  scan = choose();
  __atomic_store_n(&best, scan, __ATOMIC_RELAXED);
  return scan;
}
