/*
 * address_test.c - of which kind an address is, at both borders of every
 * block, in every form that leads to an IPv4 address (T59).
 */
#define _GNU_SOURCE

#include <string.h>

#include "address.h"
#include "check.h"
#include "platform.h"

static pop3_address parse(const char *text) {
  struct sockaddr_in in = {.sin_family = AF_INET};
  struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
  pop3_address address;
  bool v4 = inet_pton(AF_INET, text, &in.sin_addr) == 1;
  must(v4 || inet_pton(AF_INET6, text, &in6.sin6_addr) == 1, text);
  must(pop3_address_of(v4 ? (struct sockaddr *)&in : (struct sockaddr *)&in6,
                       &address),
       text);
  return address;
}

static const char *class_of(const char *text) {
  pop3_address address = parse(text);
  return pop3_address_class_name(pop3_address_classify(&address));
}

static void expect(const char *text, const char *class) {
  const char *got = class_of(text);
  if (strcmp(got, class) != 0) printf("# %s is %s, not %s\n", text, got, class);
  CHECK(strcmp(got, class) == 0);
}

/* The address before the block, its first, its last, the one behind it; the
 * classes outside; "" where there is nothing. */
static const struct {
  const char *before, *outside, *first, *last, *class, *behind, *beyond;
} borders[] = {
    {"", "", "0.0.0.0", "0.255.255.255", "unspecified", "1.0.0.0", "global"},
    {"9.255.255.255", "global", "10.0.0.0", "10.255.255.255", "private",
     "11.0.0.0", "global"},
    {"100.63.255.255", "global", "100.64.0.0", "100.127.255.255", "shared",
     "100.128.0.0", "global"},
    {"126.255.255.255", "global", "127.0.0.0", "127.255.255.255", "loopback",
     "128.0.0.0", "global"},
    {"169.253.255.255", "global", "169.254.0.0", "169.254.255.255",
     "link-local", "169.255.0.0", "global"},
    {"172.15.255.255", "global", "172.16.0.0", "172.31.255.255", "private",
     "172.32.0.0", "global"},
    {"191.255.255.255", "global", "192.0.0.0", "192.0.0.255", "reserved",
     "192.0.1.0", "global"},
    {"192.0.1.255", "global", "192.0.2.0", "192.0.2.255", "documentation",
     "192.0.3.0", "global"},
    {"192.88.98.255", "global", "192.88.99.0", "192.88.99.255", "reserved",
     "192.88.100.0", "global"},
    {"192.167.255.255", "global", "192.168.0.0", "192.168.255.255", "private",
     "192.169.0.0", "global"},
    {"198.17.255.255", "global", "198.18.0.0", "198.19.255.255", "benchmarking",
     "198.20.0.0", "global"},
    {"198.51.99.255", "global", "198.51.100.0", "198.51.100.255",
     "documentation", "198.51.101.0", "global"},
    {"203.0.112.255", "global", "203.0.113.0", "203.0.113.255", "documentation",
     "203.0.114.0", "global"},
    {"223.255.255.255", "global", "224.0.0.0", "239.255.255.255", "multicast",
     "240.0.0.0", "reserved"},
    {"255.255.255.254", "reserved", "255.255.255.255", "255.255.255.255",
     "broadcast", "", ""},

    {"", "", "::", "::", "unspecified", "::1", "loopback"},
    {"::", "unspecified", "::1", "::1", "loopback", "::2", "reserved"},
    /* compatible, translated: nobody has a use for them any more */
    {"::1", "loopback", "::2", "::ffff", "reserved", "::1:0", "reserved"},
    {"::7f00:1", "reserved", "::10.0.0.1", "::127.0.0.1", "reserved",
     "::8.8.8.8", "reserved"},
    {"", "", "::ffff:0:127.0.0.1", "::ffff:0:8.8.8.8", "reserved", "", ""},
    {"64:ff9a:ffff:ffff:ffff:ffff:ffff:ffff", "reserved", "64:ff9b::8.8.8.8",
     "64:ff9b::9.255.255.255", "global", "64:ff9b:0:0:0:1::", "reserved"},
    {"64:ff9b:0:ffff::", "reserved", "64:ff9b:1::", "64:ff9b:1::8.8.8.8",
     "reserved", "64:ff9b:2::", "reserved"},
    {"ff:ffff::", "reserved", "100::", "100::ffff", "reserved",
     "101::", "reserved"},
    {"1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "reserved", "2000::",
     "2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "global", "2001::", "Teredo"},
    {"2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "global", "2001::",
     "2001:0:ffff:ffff:ffff:ffff:ffff:ffff", "Teredo", "2001:1::", "reserved"},
    {"2001:1:ffff:ffff:ffff:ffff:ffff:ffff", "reserved",
     "2001:2::", "2001:2:0:ffff:ffff:ffff:ffff:ffff", "benchmarking",
     "2001:2:1::", "reserved"},
    {"2001:2:0:ffff:ffff:ffff:ffff:ffff", "benchmarking",
     "2001:2:1::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", "reserved",
     "2001:200::", "global"},
    {"2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", "global",
     "2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "documentation",
     "2001:db9::", "global"},
    {"2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "global", "2002:808:808::",
     "2002:9ff:ffff:ffff:ffff:ffff:ffff:ffff", "global", "2003::", "global"},
    {"3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "global",
     "3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", "documentation",
     "3fff:1000::", "global"},
    {"3fff:1000::", "global", "3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
     "3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "global", "4000::", "reserved"},
    {"5f00::", "reserved", "fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
     "unique-local", "fe00::", "reserved"},
    {"fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "reserved",
     "fd00::", "fd12:3456:789a::1", "unique-local", "fe7f:ffff::", "reserved"},
    {"fe7f:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "reserved",
     "fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "link-local",
     "fec0::", "site-local"},
    {"febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "link-local",
     "fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "site-local",
     "ff00::", "multicast"},
    {"feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "site-local",
     "ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "multicast", "", ""},
};

#define COUNT(array) (sizeof(array) / sizeof *(array))

static void test_borders(void) {
  for (size_t i = 0; i < COUNT(borders); i++) {
    if (*borders[i].before) expect(borders[i].before, borders[i].outside);
    expect(borders[i].first, borders[i].class);
    expect(borders[i].last, borders[i].class);
    if (*borders[i].behind) expect(borders[i].behind, borders[i].beyond);
  }
}

/* Every IPv4 address above, in the forms that lead to it. */
static void expect_forms(const char *v4, const char *class) {
  unsigned char a[4];
  char text[64];
  if (inet_pton(AF_INET, v4, a) != 1) return;
  snprintf(text, sizeof text, "::ffff:%s", v4);
  expect(text, class);
  snprintf(text, sizeof text, "64:ff9b::%s", v4);
  expect(text, class);
  snprintf(text, sizeof text, "2002:%02x%02x:%02x%02x:1234::1", a[0], a[1],
           a[2], a[3]);
  expect(text, class);
}

static void test_forms(void) {
  for (size_t i = 0; i < COUNT(borders); i++) {
    expect_forms(borders[i].before, borders[i].outside);
    expect_forms(borders[i].first, borders[i].class);
    expect_forms(borders[i].last, borders[i].class);
    expect_forms(borders[i].behind, borders[i].beyond);
  }
}

static void test_here(void) {
  static const char *const here[] = {"127.0.0.1", "127.255.255.255", "::1",
                                     "::ffff:127.0.0.1"};
  static const char *const elsewhere[] = {"126.255.255.255",
                                          "128.0.0.0",
                                          "0.0.0.0",
                                          "::",
                                          "::2",
                                          "10.0.0.1",
                                          "64:ff9b::127.0.0.1",
                                          "2002:7f00:1::",
                                          "::127.0.0.1"};
  for (size_t i = 0; i < COUNT(here); i++) {
    pop3_address address = parse(here[i]);
    CHECK(pop3_address_is_here(&address));
  }
  for (size_t i = 0; i < COUNT(elsewhere); i++) {
    pop3_address address = parse(elsewhere[i]);
    CHECK(!pop3_address_is_here(&address));
  }
}

static void test_families(void) {
  struct sockaddr_storage other = {.ss_family = AF_UNIX};
  pop3_address address;
  CHECK(!pop3_address_of((struct sockaddr *)&other, &address));
}

/* ------------------------------------------------------------ blocks */

static bool contains(const char *text, const char *address) {
  pop3_block block;
  pop3_address a = parse(address);
  must(pop3_block_parse(text, strlen(text), &block), text);
  return pop3_block_contains(&block, &a);
}

static void test_blocks(void) {
  CHECK(contains("10.0.0.0/8", "10.255.255.255"));
  CHECK(!contains("10.0.0.0/8", "11.0.0.0"));
  CHECK(contains("10.1.2.3", "10.1.2.3"));
  CHECK(!contains("10.1.2.3", "10.1.2.2"));
  CHECK(contains("10.1.2.2/31", "10.1.2.3"));
  CHECK(!contains("10.1.2.2/31", "10.1.2.4"));
  CHECK(contains("0.0.0.0/0", "255.255.255.255"));
  CHECK(!contains("0.0.0.0/0", "::1"));
  CHECK(contains("::/0", "ffff::"));
  CHECK(!contains("::/0", "::ffff:10.0.0.1"));
  CHECK(contains("fd00::/8", "fdff::1"));
  CHECK(!contains("fd00::/8", "fc00::1"));
  CHECK(contains("[::1]", "::1"));
  CHECK(contains("::ffff:10.0.0.0/104", "10.9.9.9"));
  CHECK(contains("10.0.0.0/8", "::ffff:10.9.9.9"));
  CHECK(!contains("10.0.0.0/8", "64:ff9b::10.9.9.9"));
  CHECK(contains("::ffff:10.0.0.1", "10.0.0.1"));
}

static void test_no_blocks(void) {
  static const char *const none[] = {
      "",
      "10",
      "127.1",
      "0x7f000001",
      "010.0.0.1",
      "10.0.0.256",
      "10.0.0.1/33",
      "::1/129",
      "10.0.0.0/",
      "10.0.0.0/x",
      "10.0.0.0/08",
      "10.0.0.0/-1",
      "10.0.0.1/8",
      "fd00::1/8",
      "[10.0.0.1]",
      "[::1",
      "::1]",
      "[fd00::]/8",
      "fe80::1%lo",
      "mail.example",
      "/8",
      "10.0.0.0/8/8",
      "10.0.0.0/0008",
      "10.0.0.1 ",
      "::ffff:10.0.0.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1"};
  pop3_block block;
  for (size_t i = 0; i < COUNT(none); i++) {
    bool parsed = pop3_block_parse(none[i], strlen(none[i]), &block);
    if (parsed) printf("# \"%s\" is a block\n", none[i]);
    CHECK(!parsed);
  }
  CHECK(!pop3_block_parse("10.0.0.1\0/8", 11, &block));
}

int main(void) {
  static const test tests[] = {
      {"T59 every block's borders", test_borders},
      {"T59 what leads to an IPv4 address is what that is", test_forms},
      {"T24 only this host's own addresses are here", test_here},
      {"T59 other families have no address", test_families},
      {"blocks contain what they say", test_blocks},
      {"what is no block is refused", test_no_blocks},
  };
  return RUN(tests);
}
