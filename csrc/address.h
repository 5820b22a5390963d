/*
 * address.h - what kind of network an IP address is of, and blocks of
 * addresses. An IPv4 address that is mapped into IPv6 (::ffff:a.b.c.d) is that
 * IPv4 address here, because the kernel connects to that.
 */
#ifndef POP3_ADDRESS_H
#define POP3_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

#pragma GCC visibility push(hidden)

struct sockaddr;

typedef struct pop3_address {
  unsigned bits; /* 32 or 128 */
  unsigned char octets[16];
} pop3_address;

/* The addresses whose first `prefix` bits are those of `first`. */
typedef struct pop3_block {
  pop3_address first;
  unsigned prefix;
} pop3_block;

/* false: not of IPv4 or IPv6. */
bool pop3_address_of(const struct sockaddr *socket, pop3_address *address);

/* The same for a socket, with port 0: octets of it, 0 for an address without
 * bits. */
struct sockaddr_storage;
size_t pop3_address_socket(const pop3_address *address,
                           struct sockaddr_storage *socket);

/* "192.0.2.1", "2001:db8::1", "[2001:db8::1]". false: anything else; also other
 * forms of addresses that resolvers know, as "127.1" and "fe80::1%lo". */
bool pop3_address_parse(const char *text, size_t size, pop3_address *address);

/* As text that pop3_address_parse takes. */
#define POP3_ADDRESS_TEXT 48
void pop3_address_show(const pop3_address *address,
                       char text[POP3_ADDRESS_TEXT]);

/* An address, which is a block of its own; or "10.0.0.0/8", "fd00::/8". false:
 * anything else, an address with bits behind its prefix included. */
bool pop3_block_parse(const char *text, size_t size, pop3_block *block);

bool pop3_block_contains(const pop3_block *block, const pop3_address *address);

/* By IANA's registries of special addresses (RFC 6890), and their names. */
#define POP3_ADDRESS_CLASSES(X)     \
  X(GLOBAL, "global")               \
  X(UNSPECIFIED, "unspecified")     \
  X(LOOPBACK, "loopback")           \
  X(LINK_LOCAL, "link-local")       \
  X(PRIVATE, "private")             \
  X(SHARED, "shared")               \
  X(UNIQUE_LOCAL, "unique-local")   \
  X(SITE_LOCAL, "site-local")       \
  X(MULTICAST, "multicast")         \
  X(BROADCAST, "broadcast")         \
  X(DOCUMENTATION, "documentation") \
  X(BENCHMARKING, "benchmarking")   \
  X(TEREDO, "Teredo")               \
  X(RESERVED, "reserved")

#define POP3_ADDRESS_ID(id, name) POP3_ADDRESS_##id,
typedef enum pop3_address_class {
  POP3_ADDRESS_CLASSES(POP3_ADDRESS_ID) POP3_ADDRESS_CLASS_COUNT
} pop3_address_class;
#undef POP3_ADDRESS_ID

/*
 * Of what kind is it? One that leads to an IPv4 address (NAT64's well-known
 * prefix, 6to4) is of that one's. IPv6 outside of 2000::/3 is reserved unless
 * it has a name.
 */
pop3_address_class pop3_address_classify(const pop3_address *address);

/* Is it this host's own, 127.0.0.0/8 or ::1? What only leads to such an address,
 * from somewhere else, is not. */
bool pop3_address_is_here(const pop3_address *address);

/* Static memory. */
const char *pop3_address_class_name(pop3_address_class kind);

#pragma GCC visibility pop

#endif
