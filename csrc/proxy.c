/*
 * proxy.c - see proxy.h.
 *
 * All that we may have to say is composed at once, as up to three messages one
 * behind the other; the replies decide which of them leave. The replies are
 * taken octet by octet by the function of the state.
 */
#include "proxy.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "address.h"
#include "crypto.h"
#include "escape.h"
#include "resolve.h"

typedef enum state {
  SOCKS_VERSION,
  SOCKS_METHOD,
  LOGIN_VERSION,
  LOGIN_STATUS,
  REPLY_VERSION,
  REPLY_CODE,
  REPLY_RESERVED,
  REPLY_TYPE,
  REPLY_LENGTH,
  REPLY_ADDRESS,
  HTTP_STATUS,
  HTTP_HEADER,
  OPEN
} state;

/* Octets of a status line that may be told. */
#define TOLD 128

typedef struct message {
  size_t start, end;
} message;

enum { GREETING, LOGIN, REQUEST, MESSAGES };

struct pop3_proxy {
  pop3_allocator allocator;
  size_t room; /* octets of `octets` */
  state state;
  bool login; /* there is one */
  unsigned method;
  size_t left;       /* octets of the bound address that follow */
  size_t line, head; /* octets of this line, and of all */
  unsigned headers;
  bool interim;  /* another reply follows these headers (1xx) */
  bool named;    /* the header line has its colon */
  bool returned; /* CR: LF has to follow */
  char told[TOLD];
  char target[POP3_HOST_MAX + 16];
  message messages[MESSAGES]; /* what is left of each */
  int message;                /* the one that may leave */
  char octets[];
};

/* ------------------------------------------------------------ composing */

static bool has_control(pop3_span text) {
  static const char controls[] = {'\r', '\n', '\0'};
  for (size_t i = 0; i < sizeof controls; i++) {
    if (text.size > 0 && memchr(text.data, controls[i], text.size) != NULL)
      return true;
  }
  return false;
}

static pop3_error check_socks(const pop3_proxy_login *l,
                              pop3_failure *failure) {
  if (l->user.size <= 255 && l->password.size >= 1 && l->password.size <= 255)
    return POP3_E_OK;
  return pop3_fail(failure, POP3_E_ARGUMENT,
                   "SOCKS5 takes a user and a password of 1 to 255 octets "
                   "each");
}

static pop3_error check_http(const pop3_proxy_login *l, pop3_failure *failure) {
  if (memchr(l->user.data, ':', l->user.size) == NULL) return POP3_E_OK;
  return pop3_fail(failure, POP3_E_ARGUMENT,
                   "HTTP's Basic login ends the user at a colon, so a user "
                   "with one cannot be sent");
}

pop3_error pop3_proxy_check_login(const pop3_proxy_login *l,
                                  pop3_failure *failure) {
  if (l->user.size == 0 && l->password.size == 0) return POP3_E_OK;
  if (l->user.size == 0)
    return pop3_fail(failure, POP3_E_ARGUMENT,
                     "a password for the proxy, but no user");
  if (has_control(l->user) || has_control(l->password))
    return pop3_fail(failure, POP3_E_CONTROL,
                     "a user or password for the proxy contains CR, LF or NUL");
  if (l->user.size + l->password.size > POP3_PROXY_LOGIN)
    return pop3_fail(failure, POP3_E_ARGUMENT,
                     "user and password for the proxy have more than %d octets",
                     POP3_PROXY_LOGIN);
  return (l->kind == POP3_PROXY_HTTP ? check_http : check_socks)(l, failure);
}

/* Letters, digits, "-", "_" and dots: nothing that could end a line, or begin
 * another part of it. */
static bool is_name(const char *host) {
  size_t size = strlen(host);
  return size > 0 && size <= POP3_HOST_MAX &&
         strspn(host,
                "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                "0123456789-_.") == size;
}

static void add(pop3_proxy *p, int to, const void *octets, size_t size) {
  message *m = &p->messages[to];
  if (size > 0) memcpy(p->octets + m->end, octets, size);
  m->end += size;
}

static void add_octet(pop3_proxy *p, int to, unsigned octet) {
  unsigned char c = (unsigned char)octet;
  add(p, to, &c, 1);
}

static void add_text(pop3_proxy *p, int to, const char *text) {
  add(p, to, text, strlen(text));
}

static void add_counted(pop3_proxy *p, int to, pop3_span text) {
  add_octet(p, to, (unsigned)text.size);
  add(p, to, text.data, text.size);
}

/* The next message begins where this one ends. */
static void finish(pop3_proxy *p, int m) {
  if (m + 1 < MESSAGES)
    p->messages[m + 1].start = p->messages[m + 1].end = p->messages[m].end;
}

/* RFC 1928 5: ATYP and DST.ADDR. */
static void add_target(pop3_proxy *p, const char *host,
                       const pop3_address *address) {
  pop3_span name = {host, strlen(host)};
  if (address->bits == 0) {
    add_octet(p, REQUEST, 3);
    add_counted(p, REQUEST, name);
    return;
  }
  add_octet(p, REQUEST, address->bits == 32 ? 1 : 4);
  add(p, REQUEST, address->octets, address->bits / 8);
}

/* Both ways are offered: a proxy that wants no login is not told ours. */
static void compose_socks(pop3_proxy *p, const pop3_proxy_login *l,
                          const char *host, const pop3_address *address,
                          unsigned port) {
  p->state = SOCKS_VERSION;
  add(p, GREETING, p->login ? "\5\2\0\2" : "\5\1\0", p->login ? 4 : 3);
  finish(p, GREETING);
  if (p->login) {
    add_octet(p, LOGIN, 1);
    add_counted(p, LOGIN, l->user);
    add_counted(p, LOGIN, l->password);
  }
  finish(p, LOGIN);
  add(p, REQUEST, "\5\1\0", 3);
  add_target(p, host, address);
  add_octet(p, REQUEST, port >> 8);
  add_octet(p, REQUEST, port & 255);
}

/* "user:password" is encoded where it goes; what was in its place before is
 * overwritten by that, and the rest of it wiped. */
static void add_basic(pop3_proxy *p, const pop3_proxy_login *l) {
  char plain[POP3_PROXY_LOGIN + 1];
  size_t size = l->user.size + 1 + l->password.size;
  message *m = &p->messages[GREETING];
  memcpy(plain, l->user.data, l->user.size);
  plain[l->user.size] = ':';
  if (l->password.size > 0)
    memcpy(plain + l->user.size + 1, l->password.data, l->password.size);
  m->end += pop3_base64_encode(plain, size, p->octets + m->end);
  pop3_wipe(plain, sizeof plain);
}

static void compose_http(pop3_proxy *p, const pop3_proxy_login *l) {
  p->state = HTTP_STATUS;
  add_text(p, GREETING, "CONNECT ");
  add_text(p, GREETING, p->target);
  add_text(p, GREETING, " HTTP/1.1\r\nHost: ");
  add_text(p, GREETING, p->target);
  if (p->login) {
    add_text(p, GREETING, "\r\nProxy-Authorization: Basic ");
    add_basic(p, l);
  }
  add_text(p, GREETING, "\r\n\r\n");
}

/* Room for the longest of either, two targets among them. */
static size_t room_for(const pop3_proxy_login *l) {
  return 1024 + POP3_BASE64_SIZE(l->user.size + 1 + l->password.size);
}

pop3_error pop3_proxy_new(const pop3_allocator *allocator,
                          const pop3_proxy_login *l, const char *host,
                          unsigned port, pop3_proxy **proxy,
                          pop3_failure *failure) {
  pop3_address address = {0, {0}};
  bool numeric = pop3_address_parse(host, strlen(host), &address);
  pop3_error error = pop3_proxy_check_login(l, failure);
  if (error != POP3_E_OK) return error;
  if (!numeric && !is_name(host))
    return pop3_fail(failure, POP3_E_ARGUMENT,
                     "a host that a proxy connects to is an address, or a "
                     "name of letters, digits, \"-\" and dots (of others the "
                     "A-label, xn--...)");
  size_t room = room_for(l);
  pop3_proxy *p = pop3_allocate(allocator, sizeof *p + room);
  if (p == NULL) return pop3_fail(failure, POP3_E_MEMORY, NULL);
  memset(p, 0, sizeof *p + room);
  p->allocator = *allocator;
  p->room = room;
  p->login = l->user.size > 0;
  bool bracketed = numeric && strchr(host, ':') != NULL;
  (void)snprintf(p->target, sizeof p->target, bracketed ? "[%s]:%u" : "%s:%u",
                 host, port);
  if (l->kind == POP3_PROXY_HTTP) compose_http(p, l);
  else compose_socks(p, l, host, &address, port);
  *proxy = p;
  return POP3_E_OK;
}

void pop3_proxy_free(pop3_proxy *p) {
  if (p == NULL) return;
  pop3_allocator allocator = p->allocator;
  size_t size = sizeof *p + p->room;
  pop3_wipe(p, size);
  pop3_release(&allocator, p, size);
}

pop3_span pop3_proxy_output(const pop3_proxy *p) {
  const message *m = &p->messages[p->message];
  pop3_span span = {p->octets + m->start, m->end - m->start};
  return span;
}

void pop3_proxy_sent(pop3_proxy *p, size_t size) {
  message *m = &p->messages[p->message];
  pop3_wipe(p->octets + m->start, size);
  m->start += size;
}

/* What has not left of the messages before `next` will never do. */
static void go_on_with(pop3_proxy *p, int next) {
  for (; p->message < next; p->message++) {
    size_t unsent = pop3_proxy_output(p).size;
    pop3_proxy_sent(p, unsent);
  }
}

/* ------------------------------------------------------------ SOCKS5 */

/* A protocol's name is enough of a hint: the wrong one is what is asked most
 * often. */
static pop3_error no_socks(pop3_failure *failure, unsigned octet) {
  return pop3_fail(failure, POP3_E_PROXY,
                   "its answer is not SOCKS5's (it begins with octet %u): is "
                   "it a SOCKS5 proxy?",
                   octet);
}

static pop3_error take_version(pop3_proxy *p, unsigned octet,
                               pop3_failure *failure) {
  if (octet != 5) return no_socks(failure, octet);
  p->state = SOCKS_METHOD;
  return POP3_E_OK;
}

static pop3_error take_no_method(const pop3_proxy *p, pop3_failure *failure) {
  return pop3_fail(failure, POP3_E_PROXY_DENIED,
                   p->login ? "it takes neither a user with a password nor no "
                              "login at all"
                            : "it wants a login: give user and password");
}

static pop3_error take_method(pop3_proxy *p, unsigned octet,
                              pop3_failure *failure) {
  if (octet == 255) return take_no_method(p, failure);
  if (octet != 0 && (octet != 2 || !p->login))
    return pop3_fail(failure, POP3_E_PROXY,
                     "it chose the login method %u, which was not offered",
                     octet);
  p->state = octet == 0 ? REPLY_VERSION : LOGIN_VERSION;
  go_on_with(p, octet == 0 ? REQUEST : LOGIN);
  return POP3_E_OK;
}

static pop3_error take_login_version(pop3_proxy *p, unsigned octet,
                                     pop3_failure *failure) {
  if (octet != 1)
    return pop3_fail(failure, POP3_E_PROXY,
                     "its answer to the login has version %u instead of 1",
                     octet);
  p->state = LOGIN_STATUS;
  return POP3_E_OK;
}

static pop3_error take_login_status(pop3_proxy *p, unsigned octet,
                                    pop3_failure *failure) {
  if (octet != 0)
    return pop3_fail(failure, POP3_E_PROXY_DENIED,
                     "it refused user or password (status %u)", octet);
  p->state = REPLY_VERSION;
  go_on_with(p, REQUEST);
  return POP3_E_OK;
}

static pop3_error take_reply_version(pop3_proxy *p, unsigned octet,
                                     pop3_failure *failure) {
  if (octet != 5) return no_socks(failure, octet);
  p->state = REPLY_CODE;
  return POP3_E_OK;
}

/* RFC 1928 6. */
static const char *const replies[] = {
    "succeeded",
    "general failure",
    "not allowed by its rules",
    "network unreachable",
    "host unreachable",
    "connection refused",
    "TTL expired",
    "it does not know the command",
    "it does not know this kind of address",
};

static pop3_error take_reply_code(pop3_proxy *p, unsigned octet,
                                  pop3_failure *failure) {
  bool known = octet < sizeof replies / sizeof *replies;
  p->state = REPLY_RESERVED;
  if (octet == 0) return POP3_E_OK;
  return pop3_fail(failure, POP3_E_PROXY_REFUSED,
                   "it did not connect to %s: %s (SOCKS5 reply %u)", p->target,
                   known ? replies[octet] : "unknown reason", octet);
}

/* Whatever it is: RFC 1928 says 0, and some proxies do not. */
static pop3_error take_reserved(pop3_proxy *p, unsigned octet,
                                pop3_failure *failure) {
  (void)octet;
  (void)failure;
  p->state = REPLY_TYPE;
  return POP3_E_OK;
}

/* The bound address and its port are of no use to us. */
static void skip(pop3_proxy *p, size_t address) {
  p->left = address + 2;
  p->state = REPLY_ADDRESS;
}

static pop3_error take_type(pop3_proxy *p, unsigned octet,
                            pop3_failure *failure) {
  if (octet != 1 && octet != 3 && octet != 4)
    return pop3_fail(failure, POP3_E_PROXY,
                     "its reply has an address of the unknown type %u", octet);
  p->state = REPLY_LENGTH;
  if (octet != 3) skip(p, octet == 1 ? 4 : 16);
  return POP3_E_OK;
}

static pop3_error take_length(pop3_proxy *p, unsigned octet,
                              pop3_failure *failure) {
  (void)failure;
  skip(p, octet);
  return POP3_E_OK;
}

static pop3_error take_address(pop3_proxy *p, unsigned octet,
                               pop3_failure *failure) {
  (void)octet;
  (void)failure;
  if (--p->left == 0) p->state = OPEN;
  return POP3_E_OK;
}

/* ------------------------------------------------------------ HTTP */

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* "HTTP/1.x NNN reason" (RFC 9112 4). 0: it is none. */
static unsigned read_code(const char *line, size_t size) {
  if (size < 12 || memcmp(line, "HTTP/1.", 7) != 0) return 0;
  if (!is_digit(line[7]) || line[8] != ' ') return 0;
  if (!is_digit(line[9]) || !is_digit(line[10]) || !is_digit(line[11]))
    return 0;
  if (size > 12 && line[12] != ' ') return 0;
  return (unsigned)(line[9] - '0') * 100 + (unsigned)(line[10] - '0') * 10 +
         (unsigned)(line[11] - '0');
}

/* The proxy's words, unless it knows our password and might repeat it. */
static const char *tell(const pop3_proxy *p, size_t from, char *out,
                        size_t room) {
  size_t size = p->line < TOLD ? p->line : TOLD;
  if (p->login || size <= from) return "";
  return pop3_escape(p->told + from, size - from, out, room);
}

/* Where the reason is. */
#define REASON 12

/* 401 is a server's, and what some proxies say to a wrong password. */
static pop3_error refuse(const pop3_proxy *p, unsigned code,
                         pop3_failure *failure) {
  char words[4 * TOLD + 1];
  if (code == 0)
    return pop3_fail(failure, POP3_E_PROXY,
                     "its answer is not HTTP's: is it an HTTP proxy? %s",
                     tell(p, 0, words, sizeof words));
  if (code != 407 && code != 401)
    return pop3_fail(failure, code < 200 ? POP3_E_PROXY : POP3_E_PROXY_REFUSED,
                     "it did not connect to %s: HTTP %u%s", p->target, code,
                     tell(p, REASON, words, sizeof words));
  return pop3_fail(failure, POP3_E_PROXY_DENIED,
                   p->login ? "it refused user or password (HTTP %u)"
                            : "it wants a login: give user and password "
                              "(HTTP %u)",
                   code);
}

/* 101 and others below 100 answer nothing that we ask. */
static pop3_error end_status(pop3_proxy *p, pop3_failure *failure) {
  unsigned code = read_code(p->told, p->line);
  p->interim = code >= 100 && code < 200 && code != 101;
  if (!p->interim && (code < 200 || code > 299))
    return refuse(p, code, failure);
  p->state = HTTP_HEADER;
  return POP3_E_OK;
}

static pop3_error end_header(pop3_proxy *p, pop3_failure *failure) {
  if (p->line == 0) {
    p->state = p->interim ? HTTP_STATUS : OPEN;
    return POP3_E_OK;
  }
  if (!p->named)
    return pop3_fail(failure, POP3_E_PROXY,
                     "a line of its answer is no HTTP header");
  if (++p->headers <= POP3_PROXY_HEADERS) return POP3_E_OK;
  return pop3_fail(failure, POP3_E_PROXY,
                   "its answer has more than %d header lines",
                   POP3_PROXY_HEADERS);
}

static pop3_error end_line(pop3_proxy *p, pop3_failure *failure) {
  pop3_error error =
      (p->state == HTTP_STATUS ? end_status : end_header)(p, failure);
  p->line = 0;
  p->named = p->returned = false;
  return error;
}

/* RFC 9110 5.6.2: of a field's name. */
static bool is_token(unsigned octet) {
  return octet > ' ' && octet < 127 &&
         strchr("\"(),/:;<=>?@[\\]{}", (int)octet) == NULL;
}

/* A name, and its colon behind it. */
static bool fits_header(pop3_proxy *p, unsigned octet) {
  if (p->named) return true;
  p->named = octet == ':' && p->line > 1;
  return p->named || is_token(octet);
}

static pop3_error keep(pop3_proxy *p, unsigned octet, pop3_failure *failure) {
  bool control = (octet < ' ' && octet != '\t') || octet == 127;
  if (++p->line > POP3_PROXY_LINE)
    return pop3_fail(failure, POP3_E_PROXY,
                     "its answer has a line of more than %d octets",
                     POP3_PROXY_LINE);
  if (p->line <= TOLD) p->told[p->line - 1] = (char)octet;
  if (!control && (p->state == HTTP_STATUS || fits_header(p, octet)))
    return POP3_E_OK;
  return pop3_fail(failure, POP3_E_PROXY,
                   "octet %u has no place in a line of HTTP's: is it an HTTP "
                   "proxy?",
                   octet);
}

static pop3_error take_line(pop3_proxy *p, unsigned octet,
                            pop3_failure *failure) {
  if (++p->head > POP3_PROXY_HEAD)
    return pop3_fail(failure, POP3_E_PROXY,
                     "its answer has more than %d octets", POP3_PROXY_HEAD);
  if (octet == '\n') return end_line(p, failure);
  if (p->returned) return keep(p, '\r', failure); /* one in a line's midst */
  p->returned = octet == '\r';
  return p->returned ? POP3_E_OK : keep(p, octet, failure);
}

/* ------------------------------------------------------------ both */

typedef pop3_error take(pop3_proxy *, unsigned, pop3_failure *);

static take *const takes[] = {
    [SOCKS_VERSION] = take_version,
    [SOCKS_METHOD] = take_method,
    [LOGIN_VERSION] = take_login_version,
    [LOGIN_STATUS] = take_login_status,
    [REPLY_VERSION] = take_reply_version,
    [REPLY_CODE] = take_reply_code,
    [REPLY_RESERVED] = take_reserved,
    [REPLY_TYPE] = take_type,
    [REPLY_LENGTH] = take_length,
    [REPLY_ADDRESS] = take_address,
    [HTTP_STATUS] = take_line,
    [HTTP_HEADER] = take_line,
};

pop3_error pop3_proxy_receive(pop3_proxy *p, const char *octets, size_t size,
                              size_t *used, pop3_failure *failure) {
  for (size_t i = 0;; i++) {
    *used = i;
    if (p->state == OPEN) return POP3_E_OK;
    if (i == size) return POP3_E_AGAIN;
    pop3_error error = takes[p->state](p, (unsigned char)octets[i], failure);
    if (error != POP3_E_OK) return error;
  }
}

pop3_error pop3_proxy_eof(const pop3_proxy *p, pop3_failure *failure) {
  return pop3_fail(failure, POP3_E_PROXY,
                   "it closed the connection before it had connected to %s",
                   p->target);
}
