/* policy.c - see policy.h. */
#include "policy.h"

#include <stdio.h>
#include <string.h>

#include "resolve.h"

pop3_error pop3_refuse(pop3_failure *failure, const char *what,
                       const char *rule) {
  return pop3_fail(failure, POP3_E_RESTRICTED, "pop3.restrict refuses %s (%s)",
                   what, rule);
}

pop3_error pop3_policy_permit(const pop3_policy *p, pop3_right right,
                              const char *what, pop3_failure *failure) {
#define RULE(id, rule) rule,
  static const char *const rules[] = {POP3_RIGHTS(RULE)};
#undef RULE
  if (!p->strict || p->granted[right]) return POP3_E_OK;
  return pop3_refuse(failure, what, rules[right]);
}

uint64_t pop3_policy_cap(const pop3_policy *p, uint64_t max_octets) {
  if (!p->strict || p->max_octets == 0) return max_octets;
  bool smaller = max_octets > 0 && max_octets < p->max_octets;
  return smaller ? max_octets : p->max_octets;
}

/* ------------------------------------------------------------ names */

static char fold(char c) {
  return (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

static bool is_same(pop3_span a, pop3_span b) {
  if (a.size != b.size) return false;
  for (size_t i = 0; i < a.size; i++) {
    if (fold(a.data[i]) != fold(b.data[i])) return false;
  }
  return true;
}

static pop3_span without_dot(pop3_span name) {
  if (name.size > 0 && name.data[name.size - 1] == '.') name.size--;
  return name;
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* The last label of a name begins with no digit: "127.1" and "0x7f.1" are
 * addresses for some. */
static bool is_name(pop3_span name) {
  if (name.size == 0 || name.size > POP3_HOST_MAX) return false;
  size_t last = 0;
  for (size_t i = 0; i < name.size; i++) {
    char c = name.data[i];
    bool letter = (fold(c) >= 'a' && fold(c) <= 'z') || is_digit(c);
    bool dot = c == '.' && i > last && i + 1 < name.size;
    if (!letter && !dot && c != '-' && c != '_') return false;
    if (dot) last = i + 1;
  }
  return !is_digit(name.data[last]);
}

bool pop3_server_parse(const char *text, size_t size, pop3_server *server) {
  memset(server, 0, sizeof *server);
  if (pop3_block_parse(text, size, &server->block)) return true;
  server->below = size > 2 && memcmp(text, "*.", 2) == 0;
  server->name.data = server->below ? text + 2 : text;
  server->name.size = server->below ? size - 2 : size;
  server->name = without_dot(server->name);
  return is_name(server->name);
}

static bool is_below(pop3_span host, pop3_span name) {
  if (host.size < name.size + 2) return false;
  pop3_span tail = {host.data + host.size - name.size, name.size};
  return tail.data[-1] == '.' && is_same(tail, name);
}

/* ------------------------------------------------------------ servers */

/* Is the address in one of the blocks? */
static bool is_listed(const pop3_policy *p, const pop3_address *address) {
  for (size_t i = 0; i < p->server_count; i++) {
    const pop3_server *s = &p->servers[i];
    if (s->name.size == 0 && pop3_block_contains(&s->block, address))
      return true;
  }
  return false;
}

static bool is_named(const pop3_policy *p, pop3_span host) {
  for (size_t i = 0; i < p->server_count; i++) {
    const pop3_server *s = &p->servers[i];
    if (s->name.size == 0) continue;
    if (s->below ? is_below(host, s->name) : is_same(host, s->name))
      return true;
  }
  return false;
}

static bool has_port(const pop3_policy *p, unsigned port) {
  for (size_t i = 0; i < p->port_count; i++) {
    if (p->ports[i] == port) return true;
  }
  return false;
}

/* "KIND VALUE", cut to what is read at a glance. */
static pop3_error refuse(pop3_failure *failure, const char *kind,
                         pop3_span value, const char *rule) {
  char what[POP3_HOST_MAX + 128];
  size_t size = value.size < POP3_HOST_MAX ? value.size : POP3_HOST_MAX;
  (void)snprintf(what, sizeof what, "%s %.*s", kind, (int)size, value.data);
  return pop3_refuse(failure, what, rule);
}

static pop3_error refuse_port(pop3_failure *failure, unsigned port) {
  char what[32];
  (void)snprintf(what, sizeof what, "port %u", port);
  return pop3_refuse(failure, what, "none of its ports");
}

pop3_error pop3_policy_check_server(const pop3_policy *p, const char *host,
                                    size_t size, unsigned port,
                                    pop3_failure *failure) {
  if (p->strict && p->ports != NULL && !has_port(p, port))
    return refuse_port(failure, port);
  return pop3_policy_check_name(p, host, size, failure);
}

pop3_error pop3_policy_check_name(const pop3_policy *p, const char *host,
                                  size_t size, pop3_failure *failure) {
  pop3_span asked = {host, size};
  pop3_address address;
  if (!p->strict || !p->listed) return POP3_E_OK;
  bool numeric = pop3_address_parse(host, size, &address);
  if (numeric ? is_listed(p, &address) : is_named(p, without_dot(asked)))
    return POP3_E_OK;
  return refuse(failure, "server", asked, "none of its servers");
}

pop3_error pop3_policy_check_address(const pop3_policy *p, const char *host,
                                     const pop3_address *address,
                                     pop3_failure *failure) {
  pop3_span asked = {host, strlen(host)};
  char text[POP3_ADDRESS_TEXT], what[64], rule[64];
  if (!p->strict || is_listed(p, address)) return POP3_E_OK;
  pop3_address_class kind = pop3_address_classify(address);
  if (kind == POP3_ADDRESS_GLOBAL) return POP3_E_OK;
  pop3_address_show(address, text);
  (void)snprintf(what, sizeof what, "address %s of", text);
  (void)snprintf(rule, sizeof rule, "%s, none of its servers",
                 pop3_address_class_name(kind));
  return refuse(failure, what, asked, rule);
}

/* ------------------------------------------------------------ counting */

pop3_error pop3_policy_enter(pop3_policy *p, pop3_counted counted,
                             pop3_failure *failure) {
  static const char *const things[] = {"one more connection",
                                       "one more TLS context"};
  char rule[64];
  uint64_t most = p->most[counted];
  if (!p->strict || most == 0 || p->live[counted] < most) {
    p->live[counted]++;
    return POP3_E_OK;
  }
  (void)snprintf(rule, sizeof rule, "max_connections = %llu",
                 (unsigned long long)p->most[POP3_CONNECTIONS]);
  return pop3_refuse(failure, things[counted], rule);
}

void pop3_policy_leave(pop3_policy *p, pop3_counted counted) {
  p->live[counted]--;
}
