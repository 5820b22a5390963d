/*
 * srv_test.c - SRV records (RFC 2782): their octets, and the order in which
 * their servers are tried.
 */
#include <stdio.h>
#include <string.h>

#include "dice.h"
#include "report.h"
#include "resolve_srv.h"

#define HEAD "\0\1\0\2\3\343" /* priority 1, weight 2, port 995 */

/* ------------------------------------------------------------ octets */

static const struct {
  const char *what;
  size_t size;
  const char *octets;
  const char *host; /* NULL: refused */
} records[] = {
    {"a name", 6 + 18, HEAD "\4mail\7example\3org\0", "mail.example.org"},
    {"a single label", 6 + 11, HEAD "\tlocalhost\0", "localhost"},
    {"letters in both cases, digits, '-' and '_'", 6 + 8, HEAD "\6aZ-_09\0",
     "aZ-_09"},
    {"a label that begins with a digit", 6 + 7, HEAD "\0021m\2co\0", "1m.co"},
    {"the root, which says that there is no service", 6 + 1, HEAD "\0", ""},
    {"the root with port 0", 7, "\0\0\0\0\0\0\0", ""},
    {"a name with port 0", 6 + 3, "\0\0\0\0\0\0\1a\0", NULL},
    {"no octets", 0, "", NULL},
    {"numbers alone", 6, HEAD, NULL},
    {"a name without an end", 6 + 5, HEAD "\4mail", NULL},
    {"a label that is cut", 6 + 4, HEAD "\4mai", NULL},
    {"octets behind the name", 6 + 4, HEAD "\1a\0b", NULL},
    {"a compressed name", 6 + 4, HEAD "\1a\300\14", NULL},
    {"a label with a NUL", 6 + 5, HEAD "\3a\0b\0", NULL},
    {"a label with a dot", 6 + 5, HEAD "\3a.b\0", NULL},
    {"a label with a blank", 6 + 5, HEAD "\3a b\0", NULL},
    {"a label with a line end", 6 + 5, HEAD "\3a\nb\0", NULL},
    {"a label with a letter that is not ASCII", 6 + 5, HEAD "\3a\344b\0", NULL},
    {"a label with a colon", 6 + 5, HEAD "\3a:b\0", NULL},
    {"a label with '@'", 6 + 5, HEAD "\3a@b\0", NULL},
    {"a label with '['", 6 + 5, HEAD "\3a[b\0", NULL},
    {"an address", 6 + 11, HEAD "\003127\0010\0010\0011\0", NULL},
    {"half an address", 6 + 7, HEAD "\003127\0011\0", NULL},
    {"a number", 6 + 4, HEAD "\00342x\0", NULL},
};

static void test_records(void) {
  char name[100];
  pop3_srv srv = {0};
  for (size_t i = 0; i < sizeof records / sizeof records[0]; i++) {
    memset(&srv, 'x', sizeof srv);
    bool read = pop3_srv_read(records[i].octets, records[i].size, &srv);
    bool good = records[i].host == NULL
                    ? !read
                    : read && strcmp(srv.host, records[i].host) == 0;
    snprintf(name, sizeof name, "a record with %s", records[i].what);
    report(good, name);
  }
  report(pop3_srv_read(records[0].octets, records[0].size, &srv) &&
             srv.priority == 1 && srv.weight == 2 && srv.port == 995,
         "a record's numbers are those that it has");
}

/* Of `size` octets on the wire, in labels of at most 63. */
static bool takes_name(size_t size) {
  char octets[6 + 300] = HEAD, *at = octets + 6;
  pop3_srv srv;
  for (size_t left = size - 1; left > 0;) {
    size_t label = left > 64 ? 63 : left - 1;
    if (left - label - 1 == 1) label--;
    *at++ = (char)label;
    memset(at, 'x', label);
    at += label;
    left -= label + 1;
  }
  return pop3_srv_read(octets, 6 + size, &srv) && strlen(srv.host) == size - 2;
}

static void test_long_names(void) {
  report(takes_name(255), "a name may have 255 octets");
  report(!takes_name(256), "a name may not have 256 octets");
  report(!takes_name(290), "a name may not have 290 octets");
}

/* Octets as they come, mostly short labels, in a block of just their size. */
static void test_noise(void) {
  static const char letters[] = "abc-_.019 \\\n";
  bool good = true;
  int read = 0;
  for (int i = 0; i < 100000; i++) {
    size_t size = roll(2) > 0 ? roll(14) : roll(300);
    unsigned char *octets = must(malloc(size + 1));
    for (size_t k = 0; k < size; k++)
      octets[k] =
          (unsigned char)(roll(4) > 0 ? (int)letters[roll(12)] : (int)roll(8));
    if (size > 0 && roll(2) > 0) octets[size - 1] = 0; /* the root's label */
    pop3_srv srv;
    bool taken = pop3_srv_read(octets, size, &srv);
    read += taken;
    if (taken)
      good = good && strlen(srv.host) < sizeof srv.host &&
             strpbrk(srv.host, " \\\n") == NULL;
    free(octets);
  }
  report(good && read > 100, "what is read of any octets is a name that fits");
}

/* ------------------------------------------------------------ order */

static uint32_t dice(void *state, uint32_t limit) {
  (void)state;
  return roll(limit);
}

/* Always the same face. */
static uint32_t loaded(void *state, uint32_t limit) {
  uint32_t face = *(const uint32_t *)state;
  return face < limit ? face : limit - 1;
}

static void test_priorities(void) {
  pop3_srv list[] = {
      {30, 9, 1, "c"}, {10, 0, 1, "a"}, {65535, 9, 1, "d"}, {20, 0, 1, "b"}};
  pop3_srv_order(list, 4, dice, NULL);
  report(list[0].host[0] == 'a' && list[1].host[0] == 'b' &&
             list[2].host[0] == 'c' && list[3].host[0] == 'd',
         "the lowest priority comes first, whatever the weights");
}

/* The order, by names. */
static const char *order_of(const pop3_srv *of, size_t count, uint32_t face) {
  static char names[8];
  pop3_srv list[8];
  memcpy(list, of, count * sizeof *of);
  pop3_srv_order(list, count, loaded, &face);
  for (size_t i = 0; i < count; i++) names[i] = list[i].host[0];
  names[count] = '\0';
  return names;
}

/* RFC 2782's running sums are 0, 1 and 4 for these. */
static void test_sums(void) {
  const pop3_srv list[] = {{0, 3, 1, "c"}, {0, 1, 1, "b"}, {0, 0, 1, "z"}};
  report(strcmp(order_of(list, 3, 0), "zbc") == 0,
         "one without weight is first where the dice show 0");
  report(order_of(list, 3, 1)[0] == 'b',
         "the sum up to the first weight is it");
  report(order_of(list, 3, 2)[0] == 'c' && order_of(list, 3, 4)[0] == 'c',
         "what is above it is the second one");
  report(strcmp(order_of(list, 3, 4), "cbz") == 0,
         "the others are chosen among those that are left");
}

/* How often out of 4000 is it first? */
static int count_first(const pop3_srv *of, size_t count, char name) {
  pop3_srv list[8];
  int first = 0;
  for (int i = 0; i < 4000; i++) {
    memcpy(list, of, count * sizeof *of);
    pop3_srv_order(list, count, dice, NULL);
    first += list[0].host[0] == name;
  }
  return first;
}

static void test_weights(void) {
  const pop3_srv list[] = {{0, 30, 1, "a"}, {0, 10, 1, "b"}, {1, 99, 1, "c"}};
  const pop3_srv most[] = {{0, 65535, 1, "a"}, {0, 65535, 1, "b"}};
  int a = count_first(list, 3, 'a'), b = count_first(list, 3, 'b');
  report(a > 2800 && a < 3200 && b > 800 && b < 1200,
         "three times the weight is three times as often first");
  a = count_first(most, 2, 'a');
  report(a > 1850 && a < 2150, "the largest weights are half and half");
}

static void test_lonely(void) {
  pop3_srv one = {5, 5, 5, "a"};
  pop3_srv_order(&one, 1, dice, NULL);
  pop3_srv_order(&one, 0, dice, NULL);
  report(one.host[0] == 'a', "one is in order, and so is none");
}

int main(void) {
  test_records();
  test_long_names();
  test_noise();
  test_priorities();
  test_sums();
  test_weights();
  test_lonely();
  return failed > 0;
}
