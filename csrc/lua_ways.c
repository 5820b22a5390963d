/*
 * lua_ways.c - see lua_ways.h.
 */
#include "lua_ways.h"

#include <stddef.h>
#include <string.h>

#include "lua_context.h"
#include "lua_secret.h"
#include "resolve.h"

#define OPTION(key, type, offset) \
  { #key, POP3_OPTION_##type, offset, NULL }

const pop3_option pop3_ways_option_rows[] = {
    OPTION(proxy, TABLE, 0), /* a URL to the face */
    OPTION(proxy_tls, ANY, 0),
    OPTION(srv, BOOLEAN, offsetof(pop3_ways_options, srv)),
    OPTION(unix_socket, PATH, offsetof(pop3_ways_options, unix_socket)),
    OPTION(local_address, STRING, offsetof(pop3_ways_options, local_address)),
    OPTION(keepalive, ANY, 0),
    OPTION(on_address, FUNCTION, 0),
};
const size_t pop3_ways_option_count =
    sizeof pop3_ways_option_rows / sizeof *pop3_ways_option_rows;

/* The face's table, and what it is read into. */
typedef struct proxy_options {
  int kind;
  const char *host;
  uint64_t port;
  bool tls;
  pop3_span user;
} proxy_options;

/* In the order of pop3_proxy_kind. */
static const char *const kind_words[] = {"socks5", "http", NULL};

/* By the same, then with TLS. */
static const char *const schemes[][2] = {{"socks5", "socks5+tls"},
                                         {"http", "https"}};

static const pop3_option proxy_rows[] = {
    {"kind", POP3_OPTION_WORD, offsetof(proxy_options, kind), kind_words},
    {"host", POP3_OPTION_STRING, offsetof(proxy_options, host), NULL},
    {"port", POP3_OPTION_COUNT, offsetof(proxy_options, port), NULL},
    {"tls", POP3_OPTION_BOOLEAN, offsetof(proxy_options, tls), NULL},
    {"user", POP3_OPTION_OCTETS, offsetof(proxy_options, user), NULL},
    {"password", POP3_OPTION_ANY, 0, NULL},
};

/* ------------------------------------------------------------ what fits */

/* As keepalive = false, which asks for nothing, is not. */
static bool is_given(lua_State *L, int index, const char *key) {
  lua_getfield(L, index, key);
  bool given = lua_toboolean(L, -1) != 0;
  lua_pop(L, 1);
  return given;
}

/* Two options, or an option and what makes the stream, and why not. */
static const struct {
  const char *key;
  const char *other;
  const char *reason;
} contradictions[] = {
    {"srv", "proxy", "the domain would be looked up here, beside the proxy"},
    {"srv", "unix_socket", "one of srv and unix_socket is the way"},
    {"srv", "connector",
     "the host's streams have no descriptor to wait for the DNS with: give "
     "the server's name"},
    {"srv", "transport", "a transport is connected already"},
    {"proxy", "transport", "a transport is connected already"},
    {"proxy", "unix_socket", "one of proxy and unix_socket is the way"},
    {"local_address", "unix_socket", "a Unix socket has no address"},
    {"on_address", "unix_socket", "a Unix socket has no address"},
    {"unix_socket", "connector", "here the host makes the streams"},
    {"unix_socket", "transport", "a transport is connected already"},
    {"local_address", "connector", "here the host makes the streams"},
    {"local_address", "transport", "a transport is connected already"},
    {"keepalive", "connector", "here the host makes the streams"},
    {"keepalive", "transport", "a transport is connected already"},
    {"on_address", "connector", "here the host resolves names by itself"},
    {"on_address", "transport", "a transport is connected already"},
};

static void check_together(lua_State *L, int index, const char *method) {
  for (size_t i = 0; i < sizeof contradictions / sizeof *contradictions; i++) {
    if (is_given(L, index, contradictions[i].key) &&
        is_given(L, index, contradictions[i].other))
      pop3_option_error(L, method, contradictions[i].key,
                        contradictions[i].reason);
  }
}

/* ------------------------------------------------------------ the proxy */

/* A string, or what is read now and wiped as soon as it was composed. A string
 * stays on the stack. [-0, +1, v] */
static pop3_error take_password(lua_State *L, int index, const char *method,
                                pop3_connection *u, pop3_span *password,
                                pop3_failure *failure) {
  lua_getfield(L, index, "password");
  if (lua_isnil(L, -1)) return POP3_E_OK;
  if (lua_type(L, -1) == LUA_TSTRING) {
    password->data = lua_tolstring(L, -1, &password->size);
    return POP3_E_OK;
  }
  if (!pop3_test_secret(L, -1))
    pop3_option_error(L, method, "proxy",
                      "a password is a string, a function that returns one, or "
                      "a pop3.secret");
  pop3_error error =
      pop3_secret_read(L, lua_gettop(L), &u->allocator, &u->secret,
                       &password->size, &u->secret_room, failure);
  if (error == POP3_E_OK) password->data = u->secret;
  return error;
}

/* The option proxy_tls, or the defaults; never the server's: a certificate of
 * the client's is for who asked for it. [-0, +n, v] */
static pop3_error take_context(lua_State *L, int index, const char *method,
                               pop3_connection *u, pop3_route_proxy *proxy,
                               pop3_failure *failure) {
  pop3_tls_options defaults;
  const char *domain, *config;
  lua_getfield(L, index, "proxy_tls");
  if (lua_isnil(L, -1)) {
    pop3_tls_options_init(&defaults);
    proxy->context = pop3_lua_context_for(L, &defaults, failure);
  } else {
    proxy->context =
        pop3_connection_context(L, u, lua_gettop(L), method, failure);
  }
  if (proxy->context == NULL) return failure->error;
  if (pop3_tls_wants_records(proxy->context, &domain, &config))
    pop3_option_error(L, method, "proxy_tls",
                      "dane = \"dns\" is for servers: give the records");
  return POP3_E_OK;
}

/* The table on top. [-0, +n, v] */
static pop3_error read_proxy(lua_State *L, const char *method,
                             pop3_connection *u, proxy_options *options,
                             pop3_route_proxy *proxy, pop3_failure *failure) {
  int at = lua_gettop(L);
  pop3_option_set set = {proxy_rows, sizeof proxy_rows / sizeof *proxy_rows,
                         options, false};
  memset(options, 0, sizeof *options);
  memset(proxy, 0, sizeof *proxy);
  pop3_error error = pop3_options_read(L, at, method, &set, 1, failure);
  if (error != POP3_E_OK) return error;
  size_t size = options->host != NULL ? strlen(options->host) : 0;
  if (size == 0 || size > POP3_HOST_MAX || options->port < 1 ||
      options->port > 65535)
    pop3_option_error(L, method, "proxy",
                      "a host of 1 to 255 octets and a port are needed");
  proxy->scheme = schemes[options->kind][options->tls];
  proxy->host = options->host;
  proxy->port = (unsigned)options->port;
  proxy->login.kind = (pop3_proxy_kind)options->kind;
  proxy->login.user = options->user;
  return take_password(L, at, method, u, &proxy->login.password, failure);
}

/* Is TLS the host's, on the stream itself? */
static bool is_hosts_tls(lua_State *L, int index) {
  lua_getfield(L, index, "tls_engine");
  bool theirs = lua_type(L, -1) == LUA_TSTRING &&
                strcmp(lua_tostring(L, -1), "transport") == 0;
  lua_pop(L, 1);
  return theirs;
}

/* [-0, +n, v] */
static pop3_error take_proxy(lua_State *L, int index, const char *method,
                             pop3_connection *u, pop3_ways *ways,
                             pop3_failure *failure) {
  proxy_options options;
  pop3_error error = pop3_permit(L, POP3_RIGHT_WAYS, "a proxy", failure);
  if (error != POP3_E_OK) return error;
  lua_getfield(L, index, "proxy");
  error = read_proxy(L, method, u, &options, &ways->proxy, failure);
  if (error != POP3_E_OK) return error;
  error = pop3_proxy_check_login(&ways->proxy.login, failure);
  if (error != POP3_E_OK) pop3_option_error(L, method, "proxy", failure->text);
  ways->route.proxy = &ways->proxy;
  if (options.tls && is_hosts_tls(L, index))
    pop3_option_error(L, method, "proxy",
                      "tls_engine = \"transport\" knows no TLS within TLS");
  if (options.tls)
    return take_context(L, index, method, u, &ways->proxy, failure);
  if (is_given(L, index, "proxy_tls"))
    pop3_option_error(L, method, "proxy_tls", "the proxy is not one of TLS");
  return POP3_E_OK;
}

/* ------------------------------------------------------------ the others */

/* [-0, +0, v] */
static pop3_error take_local(lua_State *L, const char *method, const char *text,
                             pop3_route *route, pop3_failure *failure) {
  if (text == NULL) return POP3_E_OK;
  if (!pop3_address_parse(text, strlen(text), &route->local))
    pop3_option_error(L, method, "local_address",
                      "a numeric address expected, as \"192.0.2.1\"");
  return pop3_permit(L, POP3_RIGHT_WAYS, "local_address", failure);
}

/* A policy's rules are about servers, and here the DNS would choose them.
 * [-0, +0, -] */
static pop3_error take_srv(lua_State *L, const pop3_ways_options *options,
                           pop3_route *route, pop3_failure *failure) {
  route->srv = options->srv;
  route->srv_config = options->srv_config;
  if (!options->srv || !pop3_policy_of(L)->strict) return POP3_E_OK;
  return pop3_refuse(failure, "srv",
                     "the DNS would choose the server: name it");
}

void pop3_ways_share_config(pop3_ways_options *options, pop3_tls_options *tls) {
  if (!options->srv) return;
  options->srv_config = tls->dane_config;
  if (tls->dane == NULL) tls->dane_config = NULL;
}

/* What is not said in octets is the system's to refuse. [-0, +0, v] */
static void take_path(lua_State *L, const char *method, const char *path,
                      pop3_route *route) {
  route->path = path;
  if (path == NULL || (*path != '\0' && strlen(path) < POP3_ROUTE_PATH)) return;
  lua_pushfstring(L, "a path of 1 to %d octets expected", POP3_ROUTE_PATH - 1);
  pop3_option_error(L, method, "unix_socket", lua_tostring(L, -1));
}

/* Linux takes no more. */
#define LONGEST_KEEPALIVE 32767

/* true, or seconds. [-0, +0, v] */
static void take_keepalive(lua_State *L, int index, const char *method,
                           pop3_route *route) {
  lua_getfield(L, index, "keepalive");
  if (lua_type(L, -1) == LUA_TNUMBER) {
    lua_Number n = lua_tonumber(L, -1);
    if (!(n >= 1 && n <= LONGEST_KEEPALIVE))
      pop3_option_error(L, method, "keepalive",
                        "seconds, 1 to 32767, expected");
    route->keeps_alive = true;
    route->keep_alive = (unsigned)n;
  } else if (lua_isboolean(L, -1)) {
    route->keeps_alive = lua_toboolean(L, -1) != 0;
  } else if (!lua_isnil(L, -1)) {
    pop3_option_error(L, method, "keepalive", "true or seconds expected");
  }
  lua_pop(L, 1);
}

pop3_error pop3_ways_read(lua_State *L, int index, const char *method,
                          pop3_connection *u, const pop3_ways_options *options,
                          pop3_ways *ways, pop3_failure *failure) {
  memset(ways, 0, sizeof *ways);
  compat_reserve(L, LUA_MINSTACK);
  check_together(L, index, method);
  take_keepalive(L, index, method, &ways->route);
  take_path(L, method, options->unix_socket, &ways->route);
  pop3_error error =
      take_local(L, method, options->local_address, &ways->route, failure);
  if (error == POP3_E_OK) error = take_srv(L, options, &ways->route, failure);
  if (error == POP3_E_OK && is_given(L, index, "proxy"))
    return take_proxy(L, index, method, u, ways, failure);
  if (error == POP3_E_OK && is_given(L, index, "proxy_tls"))
    pop3_option_error(L, method, "proxy_tls", "there is no proxy");
  return error;
}

/* ------------------------------------------------------------ info */

void pop3_ways_push_proxy(lua_State *L, const pop3_conn_info *info) {
  bool bracketed = strchr(info->proxy_host, ':') != NULL;
  lua_pushfstring(L, bracketed ? "%s://[%s]:%d" : "%s://%s:%d", info->scheme,
                  info->proxy_host, (int)info->proxy_port);
}

void pop3_ways_describe(lua_State *L, const pop3_conn_info *info) {
  if (info->attempts > 0) {
    lua_pushinteger(L, (lua_Integer)info->attempts);
    lua_setfield(L, -2, "attempts");
  }
  if (info->domain != NULL) {
    lua_pushstring(L, info->domain);
    lua_setfield(L, -2, "domain");
  }
  if (info->path != NULL) {
    lua_pushstring(L, info->path);
    lua_setfield(L, -2, "unix_socket");
  }
  if (info->scheme == NULL) return;
  pop3_ways_push_proxy(L, info);
  lua_setfield(L, -2, "proxy");
}
