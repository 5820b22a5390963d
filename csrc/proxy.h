/*
 * proxy.h - the exchange with a proxy that connects us to somebody: SOCKS5
 * (RFC 1928, 1929) or HTTP's CONNECT (RFC 9110 9.3.6, RFC 9112). Octets in,
 * octets out; whoever has the stream moves them. No clock, no descriptor.
 *
 * Names are always the proxy's to resolve, addresses go as such. What a proxy
 * says is hostile input: nothing of it is kept but a status line's first
 * octets, however much there is, and pieces of any size give one result.
 */
#ifndef POP3_PROXY_H
#define POP3_PROXY_H

#include <stddef.h>

#include "failure.h"
#include "memory.h"
#include "pop3.h"

#pragma GCC visibility push(hidden)

typedef enum pop3_proxy_kind {
  POP3_PROXY_SOCKS5,
  POP3_PROXY_HTTP
} pop3_proxy_kind;

/* A reply's most: octets of a line, of all lines of all replies, and header
 * lines. */
#define POP3_PROXY_LINE 8192
#define POP3_PROXY_HEAD 65536
#define POP3_PROXY_HEADERS 64

/* Octets of user and password together: a request's line for HTTP that every
 * proxy takes. SOCKS5 has an octet for each one's length. */
#define POP3_PROXY_LOGIN 4096

typedef struct pop3_proxy_login {
  pop3_proxy_kind kind;
  pop3_span user; /* empty: none, and no password */
  pop3_span password;
} pop3_proxy_login;

/*
 * Can it be said in this protocol? ARGUMENT: a user or password too long or
 * missing, a colon in HTTP's user (RFC 7617 2); CONTROL: CR, LF or NUL. Texts
 * name what is wrong and show none of it.
 */
pop3_error pop3_proxy_check_login(const pop3_proxy_login *login,
                                  pop3_failure *failure);

typedef struct pop3_proxy pop3_proxy;

/*
 * Ask for a connection to `host`, a name or an address without brackets, and
 * `port`. All is copied; the copy of a secret is wiped once it was sent.
 * Errors: those of pop3_proxy_check_login; ARGUMENT (a host that is neither a
 * name in ASCII nor an address), MEMORY.
 */
pop3_error pop3_proxy_new(const pop3_allocator *allocator,
                          const pop3_proxy_login *login, const char *host,
                          unsigned port, pop3_proxy **proxy,
                          pop3_failure *failure);

/* Wipe and free. NULL is allowed. */
void pop3_proxy_free(pop3_proxy *proxy);

/* What to send now, valid until the next call; and that so much was sent. */
pop3_span pop3_proxy_output(const pop3_proxy *proxy);
void pop3_proxy_sent(pop3_proxy *proxy, size_t size);

/*
 * What the proxy says. OK: the tunnel stands, and what begins at *used octets
 * is the other side's; AGAIN: all was used, more is needed. Errors, after which
 * it is of no more use: PROXY (no such reply exists, or it is longer than
 * any), PROXY_DENIED (it wants a login, or another one), PROXY_REFUSED (it did
 * not connect, and why).
 */
pop3_error pop3_proxy_receive(pop3_proxy *proxy, const char *octets,
                              size_t size, size_t *used, pop3_failure *failure);

/* Its end came first: PROXY. */
pop3_error pop3_proxy_eof(const pop3_proxy *proxy, pop3_failure *failure);

#pragma GCC visibility pop

#endif
