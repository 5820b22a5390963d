/*
 * listing_test.c - listings (listing.h) and what they are made of: columns
 * (column.h), piles (pile.h), SipHash (siphash.h). What came out of random
 * lists is compared with a model that is too slow and too simple to be wrong.
 *
 * Build: cc -std=c99 spec/csrc/listing_test.c csrc/listing*.c csrc/column.c
 *           csrc/pile.c csrc/siphash.c csrc/octets.c csrc/memory.c
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../csrc/listing.h"
#include "../../csrc/siphash.h"

static int failures;

static void check(bool claim, const char *name) {
  printf("%s - %s\n", claim ? "ok" : "not ok", name);
  if (!claim) failures++;
}

static uint64_t seed = 88172645463325252u;

static uint64_t random_below(uint64_t limit) {
  seed ^= seed << 13;
  seed ^= seed >> 7;
  seed ^= seed << 17;
  return seed % limit;
}

/* An allocator that counts, checks the sizes that it is told, and fails at the
 * call that `fail_at` says. */
typedef struct counter {
  size_t held, peak, calls, fail_at;
  bool wrong;
} counter;

static void *resize_counted(void *state, void *block, size_t old, size_t size) {
  counter *c = state;
  size_t *head = block ? (size_t *)block - 2 : NULL;
  if (head ? *head != old : old != 0) c->wrong = true;
  if (size > 0 && ++c->calls == c->fail_at) return NULL;
  if (size == 0) {
    c->held -= old;
    free(head);
    return NULL;
  }
  /* Both blocks are there for a moment: as bad as it gets. */
  size_t *fresh = malloc(size + 2 * sizeof *fresh);
  if (!fresh) abort();
  if (c->held + size > c->peak) c->peak = c->held + size;
  if (head) memcpy(fresh + 2, block, old < size ? old : size);
  free(head);
  c->held += size - old;
  *fresh = size;
  return fresh + 2;
}

static pop3_span span(const char *text) {
  return (pop3_span){text, strlen(text)};
}

static bool same(pop3_span a, pop3_span b) {
  return a.size == b.size && (a.size == 0 || !memcmp(a.data, b.data, a.size));
}

/* --- SipHash ------------------------------------------------------------- */

/* Key 00 01 .. 0f, texts of the octets 00 01 .. : the paper's reference. */
static void test_siphash(void) {
  static const struct {
    size_t size;
    uint64_t hash;
  } vectors[] = {
      {0, UINT64_C(0x726fdb47dd0e0e31)},  {1, UINT64_C(0x74f839c593dc67fd)},
      {7, UINT64_C(0xab0200f58b01d137)},  {8, UINT64_C(0x93f5f5799a932462)},
      {15, UINT64_C(0xa129ca6149be45e5)}, {63, UINT64_C(0x958a324ceb064572)},
  };
  const uint64_t key[2] = {UINT64_C(0x0706050403020100),
                           UINT64_C(0x0f0e0d0c0b0a0908)};
  char text[64];
  bool good = true;
  for (int i = 0; i < 64; i++) text[i] = (char)i;
  for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
    pop3_span part = {text, vectors[i].size};
    good = good && pop3_siphash(part, key) == vectors[i].hash;
  }
  check(good, "siphash: the vectors of its authors");
}

/* --- columns ------------------------------------------------------------- */

enum { COLUMN = 3 * POP3_PAGE + 7 };

static uint64_t make_value(int kind, uint64_t i) {
  switch (kind) {
    case 0:
      return i + 1;
    case 1:
      return 7;
    case 2:
      return COLUMN - i;
    case 3:
      return random_below(1000);
    case 4:
      return i % 5000 < 4999 ? i : UINT64_MAX;
    case 5:
      return i == 5 || i == 6 ? UINT32_MAX + i : i * 3;
    case 6:
      return UINT64_C(1) << i % 64;
    default:
      return (UINT64_MAX - 2) * i;
  }
}

static void test_columns(void) {
  static uint64_t values[COLUMN];
  bool good = true, freed = true;
  for (int kind = 0; kind < 8; kind++) {
    counter c = {0};
    pop3_allocator allocator = {resize_counted, &c};
    pop3_column column;
    pop3_column_init(&column, &allocator);
    for (size_t i = 0; i < COLUMN; i++) {
      values[i] = make_value(kind, i);
      good = good && pop3_column_add(&column, values[i]);
    }
    for (size_t i = 0; i < COLUMN; i++)
      good = good && pop3_column_get(&column, i) == values[i];
    if (kind < 3) good = good && c.peak < 1024;
    pop3_column_clear(&column);
    freed = freed && c.held == 0 && !c.wrong && column.count == 0;
  }
  check(good, "column: any numbers come back; lines take no room");
  check(freed, "column: is freed, with the sizes that were allocated");
}

/* --- piles --------------------------------------------------------------- */

enum { PILE = 3000 };

static size_t pile_size(size_t i) {
  static const size_t sizes[] = {0, 1, 24, 70, 254, 255, 256, 8193, 70000};
  return i % 50 == 7 ? sizes[i / 50 % 9] : i % 40;
}

static void test_pile(void) {
  static char text[70000];
  counter c = {0};
  pop3_allocator allocator = {resize_counted, &c};
  pop3_pile pile;
  pop3_pile_place place = {0, 0, 0};
  bool good = true;
  for (size_t i = 0; i < sizeof text; i++) text[i] = (char)(i * 7 + i / 256);
  pop3_pile_init(&pile, &allocator);
  for (size_t i = 0; i < PILE; i++)
    good =
        good && pop3_pile_add(&pile, (pop3_span){text + i % 256 * (i % 50 != 7),
                                                 pile_size(i)}) == POP3_E_OK;
  for (size_t n = 0; n < 4 * PILE; n++) {
    size_t i = n < PILE ? n : (size_t)random_below(PILE);
    pop3_span wanted = {text + i % 256 * (i % 50 != 7), pile_size(i)};
    good = good && same(pop3_pile_read(&pile, &place, i), wanted);
  }
  check(good, "pile: strings come back in any order");
  pop3_pile_clear(&pile);
  check(c.held == 0 && !c.wrong, "pile: is freed");
}

/* --- listings beside a model --------------------------------------------- */

enum { MOST = 60, TEXT = 400 };

typedef struct line {
  char text[TEXT];
  bool numbered, sized;
  uint64_t number, size;
  char uid[TEXT];
} line;

typedef struct model {
  size_t list_count, uidl_count, row_count;
  line list[MOST], uidl[MOST], rows[2 * MOST];
} model;

static const char *blanks(bool needed) {
  static const char *const some[] = {" ", "  ", "\t", " \t ", ""};
  return some[random_below(needed ? 4 : 5)];
}

/* The number of line `i` of a list of the kind, as text. */
static void make_number(int kind, size_t i, line *l) {
  static const uint64_t large[] = {UINT32_MAX, UINT64_C(1) << 32,
                                   (UINT64_C(1) << 53) - 1, UINT64_C(1) << 53};
  static const char *const bad[] = {"-",
                                    "-1",
                                    "+3",
                                    "1e9",
                                    "x",
                                    "1.5",
                                    "9007199254740993",
                                    "18446744073709551616"};
  uint64_t n = i + 1;
  if (kind == 1) n = 2 * MOST - i;
  if (kind == 2) n = 1 + 3 * i + random_below(3);
  if (kind == 3) n = random_below(MOST / 2);
  if (kind == 4) n = random_below(2) ? large[random_below(4)] : i;
  l->numbered = random_below(20) > 0;
  l->number = n;
  if (l->numbered) {
    sprintf(l->text, "%s%s%llu", blanks(false), random_below(9) ? "" : "00",
            (unsigned long long)n);
  } else {
    sprintf(l->text, "%s%s", blanks(false), bad[random_below(8)]);
  }
}

static void make_list_line(int kind, size_t i, line *l) {
  static const char *const none[] = {"",      " ",    " -5",
                                     " many", " 12x", " 99999999999999999999"};
  char *end;
  make_number(kind, i, l);
  end = l->text + strlen(l->text);
  l->size = random_below(10) ? random_below(100000) : UINT64_C(1) << 53;
  l->sized = random_below(8) > 0;
  if (l->sized) {
    sprintf(end, "%s%llu%s", blanks(true), (unsigned long long)l->size,
            random_below(9) ? blanks(false) : " more 7");
  } else {
    strcpy(end, none[random_below(6)]);
    l->size = 0;
  }
  l->uid[0] = '\0';
}

static void make_uidl_line(int kind, size_t i, line *l) {
  char *end;
  make_number(kind, i, l);
  end = l->text + strlen(l->text);
  l->sized = false;
  l->size = 0;
  l->uid[0] = '\0';
  if (random_below(10) == 0) {
    strcpy(end, blanks(false));
    return;
  }
  size_t size = random_below(20) ? random_below(30) : random_below(300);
  sprintf(l->uid, "u%d", (int)random_below(MOST));
  for (size_t k = strlen(l->uid); k < size; k += strlen(l->uid + k))
    strcpy(l->uid + k, random_below(9) ? "x" : " y");
  sprintf(end, "%s%s%s", blanks(true), l->uid, blanks(false));
}

/* Fill the model with what the listing has to say, in the slowest way. */
static void make_rows(model *m, size_t *malformed, bool *taken) {
  *malformed = m->row_count = 0;
  for (size_t i = 0; i < m->list_count; i++) {
    if (!m->list[i].numbered) ++*malformed;
    if (m->list[i].numbered) m->rows[m->row_count++] = m->list[i];
  }
  size_t listed = m->row_count;
  for (size_t i = 0; i < m->uidl_count; i++) {
    line *l = &m->uidl[i];
    size_t row = 0;
    if (!l->numbered) ++*malformed;
    if (!l->numbered) continue;
    while (row < listed && (taken[row] || m->rows[row].number != l->number))
      row++;
    if (row == listed) {
      m->rows[m->row_count++] = *l;
    } else {
      strcpy(m->rows[row].uid, l->uid);
      taken[row] = true;
    }
  }
}

typedef pop3_error (*adder)(pop3_listing *, pop3_span, bool, bool);

/* A line, sometimes in parts, each in memory of its own. */
static pop3_error add_line(pop3_listing *l, const char *text, adder add) {
  bool whole = random_below(2), first = true, last = false;
  size_t left = strlen(text);
  pop3_error error = POP3_E_OK;
  while (error == POP3_E_OK && !last) {
    size_t part = whole ? left : (size_t)random_below(left + 1);
    char *copy = malloc(part + 1);
    if (!copy) abort();
    memcpy(copy, text, part);
    text += part;
    left -= part;
    last = left == 0 && (whole || random_below(2));
    error = add(l, (pop3_span){copy, part}, first, last);
    first = false;
    free(copy);
  }
  return error;
}

static pop3_error fill(pop3_listing *l, const model *m) {
  pop3_error error = POP3_E_OK;
  for (size_t i = 0; error == POP3_E_OK && i < m->list_count; i++)
    error = add_line(l, m->list[i].text, pop3_listing_add_list);
  for (size_t i = 0; error == POP3_E_OK && i < m->uidl_count; i++)
    error = add_line(l, m->uidl[i].text, pop3_listing_add_uidl);
  return error == POP3_E_OK ? pop3_listing_finish(l) : error;
}

static bool is_row(const pop3_row *row, const line *wanted) {
  return row->number == wanted->number && row->sized == wanted->sized &&
         row->size == wanted->size && same(row->uid, span(wanted->uid));
}

static bool rows_agree(const pop3_listing *l, const model *m) {
  pop3_listing_place place = {0, {0, 0, 0}};
  pop3_row row;
  size_t i = 0;
  uint64_t octets = 0;
  while (pop3_listing_next(l, &place, &row)) {
    if (i >= m->row_count || !is_row(&row, &m->rows[i])) return false;
    octets += row.size;
    i++;
  }
  for (i = 0; i < m->row_count; i++) {
    size_t any = (size_t)random_below(m->row_count);
    row = pop3_listing_get(l, any);
    if (!is_row(&row, &m->rows[any])) return false;
  }
  return pop3_listing_count(l) == m->row_count && l->octets == octets;
}

static bool finds_agree(pop3_listing *l, const model *m) {
  const uint64_t key[2] = {random_below(99), 7};
  size_t row;
  if (pop3_listing_index(l, key) != POP3_E_OK) return false;
  for (size_t i = 0; i < m->row_count; i++) {
    const char *uid = m->rows[i].uid;
    size_t wanted = 0;
    while (strcmp(m->rows[wanted].uid, uid) != 0) wanted++;
    bool found = pop3_listing_find(l, span(uid), &row);
    if (found != (uid[0] != '\0') || (found && row != wanted)) return false;
  }
  return !pop3_listing_find(l, span("nobody's"), &row);
}

/* Take some UIDs away, from the listing and from the model. */
static bool rests_agree(const pop3_listing *l, const model *m,
                        const pop3_allocator *allocator) {
  static model rest;
  pop3_listing left;
  unsigned char *marks = calloc(1, pop3_listing_marks(l));
  if (!marks) abort();
  rest = *m;
  for (int n = 0; n < 20; n++) {
    char uid[TEXT];
    strcpy(uid, "nobody's");
    if (m->row_count > 0) strcpy(uid, m->rows[random_below(m->row_count)].uid);
    pop3_listing_mark(l, marks, span(uid));
    for (size_t i = 0; i < rest.row_count && uid[0] != '\0';) {
      if (strcmp(rest.rows[i].uid, uid) != 0) {
        i++;
        continue;
      }
      rest.row_count--;
      memmove(&rest.rows[i], &rest.rows[i + 1],
              (rest.row_count - i) * sizeof *rest.rows);
    }
  }
  pop3_listing_init(&left, allocator);
  bool good = pop3_listing_without(l, marks, &left) == POP3_E_OK &&
              left.has_uids == l->has_uids && rows_agree(&left, &rest) &&
              finds_agree(&left, &rest);
  pop3_listing_clear(&left);
  free(marks);
  return good;
}

static void make_model(model *m) {
  int kind = (int)random_below(5), other = (int)random_below(10);
  m->list_count = random_below(6) ? (size_t)random_below(MOST) : 0;
  m->uidl_count = random_below(6) ? (size_t)random_below(MOST) : 0;
  if (random_below(3) == 0) m->uidl_count = m->list_count;
  if (other > 4) other = kind;
  for (size_t i = 0; i < m->list_count; i++)
    make_list_line(kind, i, &m->list[i]);
  for (size_t i = 0; i < m->uidl_count; i++)
    make_uidl_line(other, i, &m->uidl[i]);
}

static void test_model(void) {
  static model m;
  bool good = true, finds = true, rests = true, freed = true, counted = true;
  for (int n = 0; n < 3000; n++) {
    counter c = {0};
    pop3_allocator allocator = {resize_counted, &c};
    bool taken[2 * MOST] = {false};
    size_t malformed;
    pop3_listing l;
    make_model(&m);
    make_rows(&m, &malformed, taken);
    pop3_listing_init(&l, &allocator);
    good = good && fill(&l, &m) == POP3_E_OK && rows_agree(&l, &m);
    counted = counted && l.malformed == malformed;
    finds = finds && finds_agree(&l, &m);
    rests = rests && rests_agree(&l, &m, &allocator);
    pop3_listing_clear(&l);
    freed = freed && c.held == 0 && !c.wrong && pop3_listing_count(&l) == 0;
  }
  check(good, "listing: 3,000 random ones are what the model says");
  check(counted, "listing: lines without a number are counted");
  check(finds, "listing: a UID is found where it is first");
  check(rests, "listing: what is left without some UIDs");
  check(freed, "listing: is freed");
}

/* --- no memory ----------------------------------------------------------- */

/* Everything that allocates, once; false when memory ended. */
static bool use_everything(const model *m, const pop3_allocator *allocator) {
  const uint64_t key[2] = {1, 2};
  unsigned char marks[2 * MOST / 8 + 1] = {0};
  pop3_listing l, left;
  pop3_listing_init(&l, allocator);
  pop3_listing_init(&left, allocator);
  bool good = fill(&l, m) == POP3_E_OK;
  /* What is there can be read, whatever failed. */
  for (size_t i = 0; i < pop3_listing_count(&l); i++)
    (void)pop3_listing_get(&l, i);
  good = good && pop3_listing_index(&l, key) == POP3_E_OK &&
         pop3_listing_without(&l, marks, &left) == POP3_E_OK;
  pop3_listing_clear(&l);
  pop3_listing_clear(&left);
  return good;
}

static void test_no_memory(void) {
  static model m;
  bool good = true;
  size_t points = 0;
  for (int n = 0; n < 40; n++) {
    uint64_t before;
    bool failed = true;
    make_model(&m);
    before = seed;
    for (size_t at = 1; failed; at++) {
      counter c = {0};
      pop3_allocator allocator = {resize_counted, &c};
      c.fail_at = at;
      seed = before; /* the same parts each time */
      failed = !use_everything(&m, &allocator);
      good = good && failed == (c.calls >= at) && c.held == 0 && !c.wrong;
      points += failed;
    }
  }
  check(good && points > 400, "listing: every allocation may fail");
}

/* --- size ---------------------------------------------------------------- */

static void add_many(pop3_listing *l, size_t count, bool descending) {
  char text[80];
  for (size_t i = 0; i < count; i++) {
    sprintf(text, "%d %d", (int)i + 1, (int)random_below(100000));
    (void)pop3_listing_add_list(l, span(text), true, true);
  }
  for (size_t i = 0; i < count; i++) {
    size_t row = descending ? count - 1 - i : i;
    sprintf(text, "%d %08x%016llx", (int)row + 1, (unsigned)row,
            (unsigned long long)random_below(UINT64_MAX));
    (void)pop3_listing_add_uidl(l, span(text), true, true);
  }
  (void)pop3_listing_finish(l);
}

static void test_large(void) {
  enum { MANY = 500000 };
  for (int descending = 0; descending < 2; descending++) {
    counter c = {0};
    pop3_allocator allocator = {resize_counted, &c};
    pop3_listing l;
    pop3_listing_init(&l, &allocator);
    add_many(&l, MANY, descending);
    double held = (double)c.held / 1048576, peak = (double)c.peak / 1048576;
    printf("# 500,000 messages: %.2f MiB, %.2f at the peak\n", held, peak);
    check(pop3_listing_count(&l) == MANY && held < 15 &&
              peak < (descending ? 21 : 15),
          descending ? "listing: 500,000 messages, UIDL the other way round"
                     : "listing: 500,000 messages take 15 MiB at most");
    pop3_listing_clear(&l);
  }
}

/* One UID for all, and every length of chain that a server could wish for,
 * must not make the index quadratic: 1,000,000 rows would take hours. */
static void test_repeated(void) {
  const uint64_t key[2] = {3, 4};
  pop3_listing l;
  pop3_listing_init(&l, &pop3_allocator_default);
  bool good = true;
  for (int i = 0; i < 1000000; i++)
    good = good &&
           pop3_listing_add_uidl(&l, span("1 same"), true, true) == POP3_E_OK;
  good = good && pop3_listing_finish(&l) == POP3_E_OK &&
         pop3_listing_index(&l, key) == POP3_E_OK;
  size_t row = 9;
  check(good && l.repeats && pop3_listing_find(&l, span("same"), &row) &&
            row == 0,
        "listing: one UID a million times");
  pop3_listing_clear(&l);
}

int main(void) {
  test_siphash();
  test_columns();
  test_pile();
  test_model();
  test_no_memory();
  test_large();
  test_repeated();
  return failures > 0;
}
