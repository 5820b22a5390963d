/* address.c - see address.h. */
#define _GNU_SOURCE
#include "address.h"

#include <string.h>

#include "platform.h"

#define V4_BITS 32u
#define V6_BITS 128u

/* ------------------------------------------------------------ classes */

/* The first row that contains an address has it. */
static const struct {
  const char *block;
  pop3_address_class kind;
  unsigned embedded; /* > 0: where in it the IPv4 address is that it means */
} rows[] = {
    {"0.0.0.0/8", POP3_ADDRESS_UNSPECIFIED, 0}, /* "this" network, RFC 791 */
    {"10.0.0.0/8", POP3_ADDRESS_PRIVATE, 0},    /* RFC 1918 */
    {"100.64.0.0/10", POP3_ADDRESS_SHARED, 0},  /* carriers' NAT, RFC 6598 */
    {"127.0.0.0/8", POP3_ADDRESS_LOOPBACK, 0},
    {"169.254.0.0/16", POP3_ADDRESS_LINK_LOCAL, 0}, /* RFC 3927 */
    {"172.16.0.0/12", POP3_ADDRESS_PRIVATE, 0},
    {"192.0.0.0/24", POP3_ADDRESS_RESERVED, 0},      /* RFC 6890 */
    {"192.0.2.0/24", POP3_ADDRESS_DOCUMENTATION, 0}, /* RFC 5737 */
    {"192.88.99.0/24", POP3_ADDRESS_RESERVED, 0},    /* RFC 7526 */
    {"192.168.0.0/16", POP3_ADDRESS_PRIVATE, 0},
    {"198.18.0.0/15", POP3_ADDRESS_BENCHMARKING, 0}, /* RFC 2544 */
    {"198.51.100.0/24", POP3_ADDRESS_DOCUMENTATION, 0},
    {"203.0.113.0/24", POP3_ADDRESS_DOCUMENTATION, 0},
    {"224.0.0.0/4", POP3_ADDRESS_MULTICAST, 0},
    {"255.255.255.255", POP3_ADDRESS_BROADCAST, 0},
    {"240.0.0.0/4", POP3_ADDRESS_RESERVED, 0},
    {"0.0.0.0/0", POP3_ADDRESS_GLOBAL, 0},

    {"::", POP3_ADDRESS_UNSPECIFIED, 0},
    {"::1", POP3_ADDRESS_LOOPBACK, 0},
    {"64:ff9b::/96", POP3_ADDRESS_GLOBAL, 12},     /* NAT64, RFC 6052 */
    {"2001::/32", POP3_ADDRESS_TEREDO, 0},         /* RFC 4380 */
    {"2001:2::/48", POP3_ADDRESS_BENCHMARKING, 0}, /* RFC 5180 */
    {"2001::/23", POP3_ADDRESS_RESERVED, 0},       /* RFC 2928 */
    {"2001:db8::/32", POP3_ADDRESS_DOCUMENTATION, 0},
    {"2002::/16", POP3_ADDRESS_GLOBAL, 2},        /* 6to4, RFC 3056 */
    {"3fff::/20", POP3_ADDRESS_DOCUMENTATION, 0}, /* RFC 9637 */
    {"2000::/3", POP3_ADDRESS_GLOBAL, 0},         /* RFC 4291 */
    {"fc00::/7", POP3_ADDRESS_UNIQUE_LOCAL, 0},   /* RFC 4193 */
    {"fe80::/10", POP3_ADDRESS_LINK_LOCAL, 0},
    {"fec0::/10", POP3_ADDRESS_SITE_LOCAL, 0}, /* RFC 3879 */
    {"ff00::/8", POP3_ADDRESS_MULTICAST, 0},
};

static pop3_address embedded_in(const pop3_address *address, unsigned at) {
  pop3_address inner = {V4_BITS, {0}};
  memcpy(inner.octets, address->octets + at, 4);
  return inner;
}

pop3_address_class pop3_address_classify(const pop3_address *address) {
  pop3_block block;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    if (!pop3_block_parse(rows[i].block, strlen(rows[i].block), &block) ||
        !pop3_block_contains(&block, address))
      continue;
    if (rows[i].embedded == 0) return rows[i].kind;
    pop3_address inner = embedded_in(address, rows[i].embedded);
    return pop3_address_classify(&inner); /* IPv4 embeds nothing */
  }
  return POP3_ADDRESS_RESERVED;
}

bool pop3_address_is_here(const pop3_address *address) {
  static const unsigned char own[16] = {[15] = 1};
  if (address->bits == V4_BITS) return address->octets[0] == 127;
  return memcmp(address->octets, own, sizeof own) == 0;
}

const char *pop3_address_class_name(pop3_address_class kind) {
#define CLASS_NAME(id, name) name,
  static const char *const names[] = {POP3_ADDRESS_CLASSES(CLASS_NAME)};
#undef CLASS_NAME
  return names[kind];
}

/* ------------------------------------------------------------ addresses */

static bool is_mapped(const unsigned char octets[16]) {
  static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
  return memcmp(octets, mapped, sizeof mapped) == 0;
}

static void take_v6(const void *octets, pop3_address *address) {
  address->bits = V6_BITS;
  memcpy(address->octets, octets, sizeof address->octets);
}

static void take_v4(const void *octets, pop3_address *address) {
  memset(address, 0, sizeof *address);
  address->bits = V4_BITS;
  memcpy(address->octets, octets, 4);
}

bool pop3_address_of(const struct sockaddr *socket, pop3_address *address) {
  struct sockaddr_in in;
  struct sockaddr_in6 in6;
  if (socket->sa_family == AF_INET) {
    memcpy(&in, socket, sizeof in);
    take_v4(&in.sin_addr, address);
    return true;
  }
  if (socket->sa_family != AF_INET6) return false;
  memcpy(&in6, socket, sizeof in6);
  take_v6(&in6.sin6_addr, address);
  if (is_mapped(address->octets)) take_v4(in6.sin6_addr.s6_addr + 12, address);
  return true;
}

size_t pop3_address_socket(const pop3_address *address,
                           struct sockaddr_storage *socket) {
  struct sockaddr_in in = {0};
  struct sockaddr_in6 in6 = {0};
  if (address->bits == 0) return 0;
  memset(socket, 0, sizeof *socket);
  if (address->bits == V4_BITS) {
    in.sin_family = AF_INET;
    memcpy(&in.sin_addr, address->octets, 4);
    memcpy(socket, &in, sizeof in);
    return sizeof in;
  }
  in6.sin6_family = AF_INET6;
  memcpy(&in6.sin6_addr, address->octets, sizeof address->octets);
  memcpy(socket, &in6, sizeof in6);
  return sizeof in6;
}

void pop3_address_show(const pop3_address *address,
                       char text[POP3_ADDRESS_TEXT]) {
  int family = address->bits == V4_BITS ? AF_INET : AF_INET6;
  (void)inet_ntop(family, address->octets, text, POP3_ADDRESS_TEXT);
}

/* ------------------------------------------------------------ blocks */

/* The octet `i` of a mask of so many bits. */
static unsigned char mask(unsigned prefix, unsigned i) {
  if (prefix >= 8 * (i + 1)) return 0xff;
  if (prefix <= 8 * i) return 0;
  return (unsigned char)(0xff00 >> (prefix - 8 * i));
}

bool pop3_block_contains(const pop3_block *block, const pop3_address *address) {
  if (block->first.bits != address->bits) return false;
  for (unsigned i = 0; i < address->bits / 8; i++) {
    if (((block->first.octets[i] ^ address->octets[i]) &
         mask(block->prefix, i)) != 0)
      return false;
  }
  return true;
}

static bool has_host_bits(const pop3_block *block) {
  for (unsigned i = 0; i < block->first.bits / 8; i++) {
    if ((block->first.octets[i] & ~mask(block->prefix, i) & 0xff) != 0)
      return true;
  }
  return false;
}

/* One to three digits, the first of which is not a 0 for nothing. */
static bool parse_prefix(const char *text, size_t size, unsigned *prefix) {
  unsigned n = 0;
  if (size < 1 || size > 3 || (size > 1 && text[0] == '0')) return false;
  for (size_t i = 0; i < size; i++) {
    if (text[i] < '0' || text[i] > '9') return false;
    n = 10 * n + (unsigned)(text[i] - '0');
  }
  *prefix = n;
  return true;
}

/* As inet_pton, in octets of its size. */
static bool parse(const char *text, size_t size, pop3_address *a) {
  char copy[INET6_ADDRSTRLEN + 1];
  unsigned char octets[16];
  if (size >= sizeof copy || memchr(text, '\0', size) != NULL) return false;
  memcpy(copy, text, size);
  copy[size] = '\0';
  bool v4 = inet_pton(AF_INET, copy, octets) == 1;
  if (!v4 && inet_pton(AF_INET6, copy, octets) != 1) return false;
  if (v4) take_v4(octets, a);
  else take_v6(octets, a);
  return true;
}

/* A block of mapped addresses is a block of IPv4 addresses. */
static void unmap(pop3_block *block) {
  if (block->first.bits != V6_BITS || block->prefix < 96 ||
      !is_mapped(block->first.octets))
    return;
  block->first = embedded_in(&block->first, 12);
  block->prefix -= 96;
}

bool pop3_address_parse(const char *text, size_t size, pop3_address *address) {
  pop3_block block;
  bool bracketed = size >= 2 && text[0] == '[' && text[size - 1] == ']';
  if (bracketed && memchr(text, ':', size) == NULL) return false;
  if (!parse(text + bracketed, size - 2u * bracketed, &block.first))
    return false;
  block.prefix = block.first.bits;
  unmap(&block);
  *address = block.first;
  return true;
}

bool pop3_block_parse(const char *text, size_t size, pop3_block *block) {
  const char *slash = memchr(text, '/', size);
  if (slash == NULL) {
    if (!pop3_address_parse(text, size, &block->first)) return false;
    block->prefix = block->first.bits;
    return true;
  }
  size_t length = (size_t)(slash - text);
  if (!parse(text, length, &block->first) ||
      !parse_prefix(slash + 1, size - length - 1, &block->prefix) ||
      block->prefix > block->first.bits || has_host_bits(block))
    return false;
  unmap(block);
  return true;
}
