/* saslprep.c - see saslprep.h. */
#include "saslprep.h"

#include <string.h>

#if defined(POP3_WITH_LIBIDN)
#include <openssl/asn1.h>
#include <stdlib.h>
#include <stringprep.h>
#endif

static pop3_error refuse(pop3_failure *failure, const char *what,
                         const char *why) {
  return pop3_fail(failure, POP3_E_ARGUMENT,
                   "the %s cannot be used for SCRAM: %s", what, why);
}

#if defined(POP3_WITH_LIBIDN)

bool pop3_saslprep_complete(void) { return true; }

static const char *explain(int status) {
  switch (status) {
    case STRINGPREP_CONTAINS_UNASSIGNED:
      return "it has a character that Unicode 3.2 did not know (RFC 4013 2.5)";
    case STRINGPREP_CONTAINS_PROHIBITED:
      return "it has a character that SASLprep prohibits (RFC 4013 2.3)";
    case STRINGPREP_BIDI_BOTH_L_AND_RAL:
    case STRINGPREP_BIDI_LEADTRAIL_NOT_RAL:
    case STRINGPREP_BIDI_CONTAINS_PROHIBITED:
      return "it mixes directions of writing in a way that SASLprep prohibits "
             "(RFC 4013 2.4)";
    default:
      return "it is not UTF-8";
  }
}

/* --- code points --- */

typedef struct points {
  pop3_wiped block;
  uint32_t *at; /* in it */
  size_t count;
} points;

/* With room for one more: libidn wants its buffers larger than what is in. */
static bool make_points(const pop3_allocator *allocator, points *p,
                        size_t count) {
  bool made =
      pop3_wiped_make(allocator, &p->block, (count + 1) * sizeof *p->at);
  p->at = (void *)p->block.data;
  p->count = 0;
  return made;
}

static bool decode(pop3_span text, points *out) {
  while (text.size > 0) {
    unsigned long point;
    int room = text.size < 4 ? (int)text.size : 4;
    int size = UTF8_getc((const unsigned char *)text.data, room, &point);
    if (size <= 0 || point == 0 || point > 0x10ffff) return false;
    out->at[out->count++] = (uint32_t)point;
    text.data += size;
    text.size -= (size_t)size;
  }
  return true;
}

static size_t encode_all(const points *p, char *to) {
  size_t size = 0;
  for (size_t i = 0; i < p->count; i++)
    size += (size_t)stringprep_unichar_to_utf8(p->at[i], to ? to + size : NULL);
  return size;
}

static pop3_error encode(const pop3_allocator *allocator, const points *p,
                         const char *what, pop3_wiped *out,
                         pop3_failure *failure) {
  size_t size = encode_all(p, NULL);
  if (size == 0)
    return refuse(failure, what, "nothing is left of it after SASLprep");
  if (!pop3_wiped_make(allocator, out, size))
    return pop3_fail(failure, POP3_E_MEMORY, NULL);
  (void)encode_all(p, out->data);
  return POP3_E_OK;
}

/* --- Unicode's normal form --- */

/*
 * What may change with what is before it, and so cannot begin a piece: all of
 * Unicode 3.2 whose combining class is not 0, or that is the second half of a
 * composition, or becomes such a character; with a few neighbours, which do no
 * harm.
 */
static const struct {
  uint32_t first, last;
} joining[] = {
    {0x0300, 0x034e},   {0x0360, 0x036f},   {0x0483, 0x0486}, {0x0591, 0x05c4},
    {0x064b, 0x0655},   {0x0670, 0x0670},   {0x06d6, 0x06ed}, {0x0711, 0x0711},
    {0x0730, 0x074a},   {0x093c, 0x093c},   {0x094d, 0x0954}, {0x09bc, 0x09be},
    {0x09cd, 0x09d7},   {0x0a3c, 0x0a3c},   {0x0a4d, 0x0a4d}, {0x0abc, 0x0abc},
    {0x0acd, 0x0acd},   {0x0b3c, 0x0b3e},   {0x0b4d, 0x0b57}, {0x0bbe, 0x0bbe},
    {0x0bcd, 0x0bd7},   {0x0c4d, 0x0c56},   {0x0cc2, 0x0cd6}, {0x0d3e, 0x0d3e},
    {0x0d4d, 0x0d57},   {0x0dca, 0x0dcf},   {0x0ddf, 0x0ddf}, {0x0e38, 0x0e3a},
    {0x0e48, 0x0e4b},   {0x0eb8, 0x0eb9},   {0x0ec8, 0x0ecb}, {0x0f18, 0x0f19},
    {0x0f35, 0x0f39},   {0x0f71, 0x0f87},   {0x0fb5, 0x0fb7}, {0x0fc6, 0x0fc6},
    {0x102e, 0x1039},   {0x1161, 0x1175},   {0x11a8, 0x11c2}, {0x1714, 0x1714},
    {0x1734, 0x1734},   {0x17d2, 0x17d2},   {0x18a9, 0x18a9}, {0x20d0, 0x20ea},
    {0x302a, 0x302f},   {0x3099, 0x309a},   {0x3133, 0x313f}, {0x314f, 0x3163},
    {0xfb1e, 0xfb1e},   {0xfe20, 0xfe23},   {0xff9e, 0xffaf}, {0xffc2, 0xffdc},
    {0x1d165, 0x1d18b}, {0x1d1aa, 0x1d1ad},
};

static bool joins(uint32_t point) {
  for (size_t i = 0; i < sizeof joining / sizeof *joining; i++) {
    if (point >= joining[i].first && point <= joining[i].last) return true;
  }
  return false;
}

/* How many code points it becomes; `to` NULL: they are only counted. 0: there
 * is no memory. */
static size_t normalize_piece(const uint32_t *piece, size_t count,
                              uint32_t *to) {
  size_t made = 0;
  uint32_t *normal = stringprep_ucs4_nfkc_normalize(piece, (ssize_t)count);
  if (normal == NULL) return 0;
  while (normal[made] != 0) made++;
  if (to != NULL) memcpy(to, normal, made * sizeof *to);
  pop3_wipe(normal, made * sizeof *normal);
  free(normal);
  return made;
}

/*
 * The normal form is what libidn copies twice, and it frees its copies as they
 * are: it gets to see one letter at a time with what joins it, and of ASCII
 * nothing, so that no more than that is left of a secret.
 */
static size_t normalize_all(const points *p, uint32_t *to) {
  size_t made = 0;
  for (size_t i = 0, end; i < p->count; i = end) {
    end = i + 1;
    while (end < p->count && joins(p->at[end])) end++;
    size_t size = 1;
    if (end - i > 1 || p->at[i] >= 0x80)
      size = normalize_piece(p->at + i, end - i, to ? to + made : NULL);
    else if (to != NULL) to[made] = p->at[i];
    if (size == 0) return 0;
    made += size;
  }
  return made;
}

static bool normalize(const pop3_allocator *allocator, points *p) {
  points normal = {{NULL, 0}, NULL, 0};
  size_t count = normalize_all(p, NULL);
  if (p->count == 0) return true;
  if (count == 0 || !make_points(allocator, &normal, count)) return false;
  normal.count = normalize_all(p, normal.at);
  pop3_wiped_drop(allocator, &p->block);
  *p = normal;
  return normal.count == count;
}

/* --- the profile --- */

/* In place: what is before the normal form a step at a time, what is behind it,
 * where steps belong together, at once. */
static int apply(const pop3_allocator *allocator, points *p,
                 Stringprep_profile_flags flags) {
  const Stringprep_profile *step = stringprep_saslprep;
  for (; step->operation != STRINGPREP_NFKC; step++) {
    Stringprep_profile alone[2] = {*step};
    int status = stringprep_4i(p->at, &p->count, p->count + 1, flags, alone);
    if (status != STRINGPREP_OK) return status;
  }
  if (!normalize(allocator, p)) return STRINGPREP_MALLOC_ERROR;
  return stringprep_4i(p->at, &p->count, p->count + 1, flags, step + 1);
}

static pop3_error prepare_points(const pop3_allocator *allocator,
                                 const pop3_saslprep_input *input, points *p,
                                 pop3_wiped *out, pop3_failure *failure) {
  if (!make_points(allocator, p, input->text.size))
    return pop3_fail(failure, POP3_E_MEMORY, NULL);
  int status = STRINGPREP_ICONV_ERROR;
  if (decode(input->text, p))
    status = apply(allocator, p, input->stored ? STRINGPREP_NO_UNASSIGNED : 0);
  if (status == STRINGPREP_MALLOC_ERROR)
    return pop3_fail(failure, POP3_E_MEMORY, NULL);
  if (status != STRINGPREP_OK)
    return refuse(failure, input->what, explain(status));
  return encode(allocator, p, input->what, out, failure);
}

static pop3_error prepare(const pop3_allocator *allocator,
                          const pop3_saslprep_input *input, pop3_wiped *out,
                          pop3_failure *failure) {
  points p = {{NULL, 0}, NULL, 0};
  pop3_error error = prepare_points(allocator, input, &p, out, failure);
  pop3_wiped_drop(allocator, &p.block);
  return error;
}

#else

bool pop3_saslprep_complete(void) { return false; }

static pop3_error prepare(const pop3_allocator *allocator,
                          const pop3_saslprep_input *input, pop3_wiped *out,
                          pop3_failure *failure) {
  (void)allocator;
  (void)out;
  return refuse(failure, input->what,
                "it is not ASCII, and this library was built without libidn, "
                "which SASLprep (RFC 4013) needs; build it with libidn, or "
                "choose another mechanism: auth = \"PLAIN\", over TLS");
}

#endif

pop3_error pop3_saslprep(const pop3_allocator *allocator,
                         const pop3_saslprep_input *input, pop3_wiped *out,
                         pop3_failure *failure) {
  for (size_t i = 0; i < input->text.size; i++) {
    unsigned char octet = (unsigned char)input->text.data[i];
    if (octet < 0x20 || octet == 0x7f)
      return refuse(failure, input->what,
                    "it has a control character, which SASLprep prohibits "
                    "(RFC 4013 2.3)");
    if (octet >= 0x80) return prepare(allocator, input, out, failure);
  }
  if (!pop3_wiped_join(allocator, out, &input->text, 1))
    return pop3_fail(failure, POP3_E_MEMORY, NULL);
  return POP3_E_OK;
}
