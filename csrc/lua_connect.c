/*
 * lua_connect.c - see lua_connection.h: from a constructor's arguments and options
 * to a connection that is on its way.
 */
#include <stddef.h>
#include <string.h>

#include "carrier.h"
#include "lua_cache.h"
#include "lua_connection.h"
#include "lua_context.h"
#include "lua_error.h"
#include "lua_open.h"
#include "lua_operation.h"
#include "lua_options.h"
#include "lua_session.h"
#include "lua_ways.h"

/* ------------------------------------------------------------ options */

typedef struct connect_options {
  double timeout;
  double connect_timeout;
  double total_timeout;
  int tls;
  int tls_engine;
  int framing;
  bool allow_cleartext;
  int pipelining;
  pop3_span session;
  pop3_config engine;
  pop3_ways_options ways;
  bool tls_given; /* some of TLS's options are there */
} connect_options;

/* In the order of pop3_tls_mode. */
static const char *const tls_words[] = {"none", "starttls", "opportunistic",
                                        "implicit", NULL};
static const char *const engine_words[] = {"openssl", "transport", NULL};
static const char *const framing_words[] = {"strict", "lenient", NULL};

#define OPTION(key, type, words) \
  { #key, POP3_OPTION_##type, offsetof(connect_options, key), words }
#define LIMIT_OPTION(name, value, reason) \
  {#name, POP3_OPTION_COUNT, offsetof(connect_options, engine.name), NULL},

static const pop3_option option_rows[] = {
    OPTION(timeout, SECONDS, NULL),
    OPTION(connect_timeout, SECONDS, NULL),
    OPTION(total_timeout, SECONDS, NULL),
    OPTION(tls, WORD, tls_words),
    OPTION(tls_engine, WORD, engine_words),
    OPTION(framing, WORD, framing_words),
    OPTION(allow_cleartext, BOOLEAN, NULL),
    {"context", POP3_OPTION_ANY, 0, NULL},    /* read by connection_context */
    {"pipelining", POP3_OPTION_ANY, 0, NULL}, /* by read_pipelining */
    {"wait", POP3_OPTION_FUNCTION, 0, NULL},
    {"connector", POP3_OPTION_ANY, 0, NULL}, /* these by take_values */
    {"transport", POP3_OPTION_ANY, 0, NULL},
    {"place", POP3_OPTION_ANY, 0, NULL},
    {"cache", POP3_OPTION_TABLE, 0, NULL},
    OPTION(session, OCTETS, NULL),
    POP3_LIMITS(LIMIT_OPTION)};

static void connect_options_init(connect_options *options, bool implicit) {
  pop3_conn_options defaults;
  pop3_conn_options_init(&defaults);
  memset(options, 0, sizeof *options);
  options->timeout = defaults.timeout;
  options->connect_timeout = defaults.connect_timeout;
  options->total_timeout = defaults.total_timeout;
  options->engine = defaults.engine;
  options->tls = implicit ? POP3_TLS_IMPLICIT : POP3_TLS_NONE;
}

static void conn_options_from(const connect_options *from,
                              pop3_conn_options *to) {
  pop3_conn_options_init(to);
  to->timeout = from->timeout;
  to->connect_timeout = from->connect_timeout;
  to->total_timeout = from->total_timeout;
  to->tls = (pop3_tls_mode)from->tls;
  to->tls_by_host = from->tls_engine == 1;
  to->allow_cleartext = from->allow_cleartext;
  to->engine = from->engine;
  to->engine.lenient = from->framing == 1;
  to->pipelining = (pop3_pipelining)from->pipelining;
}

/* ------------------------------------------------------------ contexts */

/* [-0, +0, v] a context retained, or NULL and a failure */
static pop3_tls_context *context_of_table(lua_State *L, int index,
                                          const char *method,
                                          pop3_failure *failure) {
  pop3_tls_options tls;
  pop3_tls_options_init(&tls);
  pop3_option_set set = {pop3_tls_option_rows, pop3_tls_option_count, &tls,
                         false};
  if (pop3_options_read(L, index, method, &set, 1, failure) != POP3_E_OK)
    return NULL;
  return pop3_lua_context_for(L, &tls, failure);
}

pop3_tls_context *pop3_connection_context(lua_State *L,
                                          const pop3_connection *u, int index,
                                          const char *method,
                                          pop3_failure *failure) {
  pop3_tls_options defaults;
  if (lua_isnoneornil(L, index)) {
    if (u->context != NULL) return u->context;
    pop3_tls_options_init(&defaults);
    return pop3_lua_context_for(L, &defaults, failure);
  }
  pop3_tls_context *context = pop3_test_context(L, index);
  if (context != NULL) return context;
  if (lua_istable(L, index)) return context_of_table(L, index, method, failure);
  pop3_argument_error(L, method, 1,
                      "pop3.context or option table expected, got %s",
                      luaL_typename(L, index));
  return NULL;
}

/* ------------------------------------------------------------ connect */

static int wrong_argument(lua_State *L, const char *class, int argument,
                          const char *wanted, int index) {
  return pop3_argument_error(L, class, argument, "%s expected, got %s", wanted,
                             luaL_typename(L, index));
}

/* Is there room for one more? From here on it counts. [-0, +0, m] */
static pop3_error enter(lua_State *L, pop3_connection *u,
                        pop3_failure *failure) {
  pop3_error error = pop3_enter(L, POP3_CONNECTIONS, failure);
  if (error == POP3_E_OK) u->policy = pop3_policy_of(L);
  return error;
}

/* Arguments of connect, by place. */
enum { AT_CLASS = 1, AT_SAFE, AT_HOST, AT_PORT, AT_OPTIONS, AT_CONNECTION };

static unsigned check_port(lua_State *L, const char *class) {
  if (lua_type(L, AT_PORT) != LUA_TNUMBER)
    wrong_argument(L, class, 2, "port number", AT_PORT);
  lua_Number port = lua_tonumber(L, AT_PORT);
  if (!(port >= 1 && port <= 65535) || port != (lua_Number)(unsigned)port)
    pop3_argument_error(L, class, 2, "a port is 1 to 65535");
  return (unsigned)port;
}

/* Before anybody sees it: what is no host may be a URL that holds a password,
 * for errors to show and for the DNS to be asked for. */
static void check_host(lua_State *L, const char *class) {
  size_t size;
  if (lua_type(L, AT_HOST) != LUA_TSTRING)
    wrong_argument(L, class, 1, "host name", AT_HOST);
  const char *host = lua_tolstring(L, AT_HOST, &size);
  if (memchr(host, '@', size) != NULL || memchr(host, '/', size) != NULL)
    pop3_argument_error(L, class, 1,
                        "a host name or an address alone expected: pop3.open "
                        "takes URLs. It is not shown here, for it may hold a "
                        "password");
}

/* true, false or "auto". [-0, +0, v] */
static int read_pipelining(lua_State *L, const char *class) {
  int pipelining = POP3_PIPELINING_AUTO;
  lua_getfield(L, AT_OPTIONS, "pipelining");
  if (lua_isboolean(L, -1)) {
    pipelining =
        lua_toboolean(L, -1) ? POP3_PIPELINING_ALWAYS : POP3_PIPELINING_NEVER;
  } else if (!lua_isnil(L, -1) && (lua_type(L, -1) != LUA_TSTRING ||
                                   strcmp(lua_tostring(L, -1), "auto") != 0)) {
    pop3_option_error(L, class, "pipelining",
                      "true, false or \"auto\" expected");
  }
  lua_pop(L, 1);
  return pipelining;
}

/* The functions of the face that connect, by what errors call them. */
typedef struct constructor {
  const char *label;
  bool implicit; /* TLS from the first octet by default */
  bool always;   /* ... and no other way */
  bool logs_in;  /* its options are those of a login as well */
} constructor;

static const constructor constructors[] = {{"POP3", false, false, false},
                                           {"POP3_SSL", true, true, false},
                                           {"open", true, false, true}};

static const constructor *find_constructor(const char *label) {
  size_t i = sizeof constructors / sizeof *constructors - 1;
  while (i > 0 && strcmp(constructors[i].label, label) != 0) i--;
  return &constructors[i];
}

/* Read all options, TLS's too, so that a typo in either is found. [-0, +0, v]
 */
static pop3_error read_options(lua_State *L, const constructor *by,
                               connect_options *options, pop3_tls_options *tls,
                               pop3_failure *failure) {
  pop3_open_options of_login;
  connect_options_init(options, by->implicit);
  pop3_tls_options_init(tls);
  pop3_option_set sets[4] = {
      {option_rows, sizeof option_rows / sizeof *option_rows, options, false},
      {pop3_tls_option_rows, pop3_tls_option_count, tls, false},
      {pop3_ways_option_rows, pop3_ways_option_count, &options->ways, false},
      {pop3_open_option_rows, pop3_open_option_count, &of_login, false},
  };
  pop3_error error = pop3_options_read(L, AT_OPTIONS, by->label, sets,
                                       by->logs_in ? 4 : 3, failure);
  options->pipelining = read_pipelining(L, by->label);
  if (by->always && options->tls != POP3_TLS_IMPLICIT)
    pop3_argument_error(L, by->label, 3,
                        "POP3_SSL is tls = \"implicit\"; use "
                        "POP3 for the others");
  options->tls_given = sets[1].used;
  pop3_ways_share_config(&options->ways, tls);
  return error;
}

/* The `context` option, or one of the other TLS options. [-0, +0, v] */
static pop3_error take_context(lua_State *L, const char *class,
                               pop3_connection *u, const pop3_tls_options *tls,
                               pop3_failure *failure) {
  lua_getfield(L, AT_OPTIONS, "context");
  pop3_tls_context *context =
      lua_isnil(L, -1)
          ? pop3_lua_context_for(L, tls, failure)
          : pop3_connection_context(L, u, lua_gettop(L), class, failure);
  if (context == NULL) return failure->error;
  u->context = pop3_tls_context_retain(context);
  lua_pop(L, 1);
  return POP3_E_OK;
}

static bool is_given(lua_State *L, const char *key) {
  lua_getfield(L, AT_OPTIONS, key);
  bool given = !lua_isnil(L, -1);
  lua_pop(L, 1);
  return given;
}

/* Whose stream, and whose TLS? [-0, +0, v] */
static void choose_carrier(lua_State *L, const char *class, bool tls_given,
                           pop3_conn_options *options) {
  options->carried = is_given(L, "transport") || is_given(L, "connector");
  if (!options->tls_by_host) return;
  if (!options->carried)
    pop3_option_error(L, class, "tls_engine",
                      "\"transport\" needs a transport that does TLS");
  if (tls_given || is_given(L, "context") || is_given(L, "session"))
    pop3_option_error(L, class, "tls_engine",
                      "\"transport\" leaves TLS to the host: its options, not "
                      "ours, say whom it trusts");
}

/* What the policy says, before anything is resolved. Where a transport leads
 * nobody knows: its host is only a name. Of a proxy's server a name is all that
 * is known, too. */
static pop3_error permit(lua_State *L, const pop3_connection *u,
                         const pop3_route_proxy *proxy, const char *host,
                         size_t size, unsigned port, pop3_failure *failure) {
  bool named = is_given(L, "transport");
  if (u->carried) {
    pop3_error error =
        pop3_permit(L, POP3_RIGHT_TRANSPORT, "a transport", failure);
    if (error != POP3_E_OK) return error;
  }
  if (u->carried && !named && proxy == NULL)
    return pop3_admit_stream(L, host, size, port, failure);
  pop3_error error =
      pop3_policy_check_server(u->policy, host, size, port, failure);
  if (error != POP3_E_OK || proxy == NULL) return error;
  error = pop3_admit_target(L, host, size, port, failure);
  if (error != POP3_E_OK || !u->carried) return error;
  return pop3_admit_stream(L, proxy->host, strlen(proxy->host), proxy->port,
                           failure);
}

static pop3_error open_connection(lua_State *L, const char *class,
                                  pop3_connection *u,
                                  const pop3_ways_options *options,
                                  pop3_failure *failure) {
  size_t size;
  pop3_ways ways;
  const char *host = lua_tolstring(L, AT_HOST, &size);
  unsigned port = check_port(L, class);
  pop3_error error =
      pop3_ways_read(L, AT_OPTIONS, class, u, options, &ways, failure);
  if (error == POP3_E_OK)
    error = permit(L, u, ways.route.proxy, host, size, port, failure);
  if (error != POP3_E_OK) return error;
  pop3_conn_use_route(u->conn, &ways.route);
  error = pop3_conn_open(u->conn, host, size, port, u->context, pop3_now());
  pop3_connection_drop_secret(u);
  if (error != POP3_E_OK) *failure = *pop3_conn_failure(u->conn);
  if (error == POP3_E_OK && is_given(L, "transport"))
    pop3_carrier_connected(u->conn, false);
  return error;
}

/* TLS now, or options that are meant for stls() later. */
static bool needs_context(lua_State *L, const pop3_conn_options *options) {
  if (options->tls_by_host) return false;
  return options->tls != POP3_TLS_NONE || is_given(L, "context");
}

/* The host's function that waits, the caller's cache: kept in the connection's
 * table. [-0, +0, m] */
static void take_values(lua_State *L, pop3_connection *u) {
  compat_getuservalue(L, AT_CONNECTION);
  lua_getfield(L, AT_OPTIONS, "wait");
  u->share.outside = !lua_isnil(L, -1);
  lua_rawseti(L, -2, POP3_SLOT_WAIT);
  lua_getfield(L, AT_OPTIONS, "cache");
  lua_rawseti(L, -2, POP3_SLOT_CACHE);
  lua_getfield(L, AT_OPTIONS, "connector");
  lua_rawseti(L, -2, POP3_SLOT_CONNECTOR);
  lua_getfield(L, AT_OPTIONS, "transport");
  lua_rawseti(L, -2, POP3_SLOT_TRANSPORT);
  lua_getfield(L, AT_OPTIONS, "place");
  lua_rawseti(L, -2, POP3_SLOT_PLACE);
  lua_getfield(L, AT_OPTIONS, "on_address");
  lua_pushvalue(L, -1);
  lua_rawseti(L, -3, POP3_SLOT_ON_ADDRESS);
  pop3_hook_addresses(L, u); /* or nil, for who was at this place before */
  lua_pop(L, 1);
}

/* A host that makes streams has nothing else to wait for files with, unless it
 * says that it has: by `files`, true, beside `connect`. [-0, +0, e] */
static bool streams_only(lua_State *L) {
  if (!is_given(L, "connector")) return false;
  lua_getfield(L, AT_OPTIONS, "connector");
  lua_getfield(L, -1, "files");
  bool files = lua_toboolean(L, -1);
  lua_pop(L, 2);
  return !files;
}

/* The `session` option. [-0, +0, v] */
static pop3_error take_session(lua_State *L, pop3_failure *failure) {
  lua_getfield(L, AT_OPTIONS, "session");
  pop3_error error =
      pop3_connection_use_session(L, AT_CONNECTION, lua_gettop(L), failure);
  lua_pop(L, 1);
  return error;
}

/* Who connects again and again and holds nothing leaves more to be finalised than
 * an incremental collector (the default in C programs) gets to at its own pace:
 * a step of it for each connection. Finalisers may run. [-0, +0, m] */
static void collect_others(lua_State *L) { lua_gc(L, LUA_GCSTEP, 0); }

/* Was STLS announced before? What is remembered of TLS has its time later.
 * [-0, +0, m] */
static void recall_stls(lua_State *L, pop3_connection *u, pop3_tls_mode tls) {
  if (tls != POP3_TLS_STARTTLS && tls != POP3_TLS_OPPORTUNISTIC) return;
  compat_getuservalue(L, AT_CONNECTION);
  pop3_cache_recall(L, u, lua_gettop(L));
  lua_pop(L, 1);
}

/* Which of poplib's classes the connection is. */
static const char *class_of(const constructor *by,
                            const connect_options *options) {
  if (!by->logs_in) return by->label;
  return options->tls == POP3_TLS_IMPLICIT ? "POP3_SSL" : "POP3";
}

int pop3_lua_connect(lua_State *L) {
  const constructor *by = find_constructor(luaL_checkstring(L, AT_CLASS));
  const char *class = by->label;
  connect_options options;
  pop3_tls_options tls;
  pop3_conn_options conn_options;
  pop3_failure failure = {0};
  lua_settop(L, AT_OPTIONS);
  check_host(L, class);
  check_port(L, class);
  if (!lua_istable(L, AT_OPTIONS))
    wrong_argument(L, class, 3, "option table", AT_OPTIONS);
  pop3_error error = read_options(L, by, &options, &tls, &failure);
  conn_options_from(&options, &conn_options);
  conn_options.engine.max_octets =
      pop3_policy_cap(pop3_policy_of(L), options.engine.max_octets);
  choose_carrier(L, class, options.tls_given, &conn_options);
  collect_others(L);
  pop3_connection *u = pop3_connection_new(L, &conn_options);
  u->class = class_of(by, &options);
  take_values(L, u);
  u->carried = conn_options.carried;
  u->streams_only = streams_only(L);
  u->safe = lua_toboolean(L, AT_SAFE) != 0;
  if (error == POP3_E_OK) error = enter(L, u, &failure);
  if (error == POP3_E_OK &&
      (options.tls_given || needs_context(L, &conn_options)))
    error = take_context(L, class, u, &tls, &failure);
  if (error == POP3_E_OK && options.session.data != NULL)
    error = take_session(L, &failure);
  if (error == POP3_E_OK)
    error = open_connection(L, class, u, &options.ways, &failure);
  if (error == POP3_E_OK && !options.ways.srv)
    recall_stls(L, u, conn_options.tls);
  if (error == POP3_E_ARGUMENT)
    return pop3_argument_error(L, class, 1, "%s", failure.text);
  lua_settop(L, AT_CONNECTION);
  if (error == POP3_E_OK) {
    pop3_operation_opened(u);
    return 1;
  }
  pop3_connection_release(u);
  lua_pushnil(L);
  pop3_push_error(L, &failure);
  return 2;
}
