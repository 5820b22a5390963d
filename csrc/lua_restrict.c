/* lua_restrict.c - see lua_restrict.h. */
#define _GNU_SOURCE
#include "lua_restrict.h"

#include <stddef.h>
#include <string.h>

#include "lua_error.h"
#include "lua_options.h"

#define POLICY_TYPE "pop3.policy"

/* TLS contexts that a state may have beside one for each connection: those
 * that option tables share (lua_context.c). */
#define CONTEXTS_BESIDE 16

/* In the policy's table, its user value. */
enum { SLOT_ON_ADDRESS = 1, SLOT_SERVERS, SLOT_PORTS, SLOT_NAMES };

/* Their addresses are keys in the registry: of the policy, and of a table of the
 * connections' own functions, by the connections' addresses. */
static const char policy_key = 0;
static const char hooks_key = 0;

/* [-0, +1, -] */
static void push_policy(lua_State *L) {
  lua_pushlightuserdata(L, (void *)(size_t)&policy_key);
  lua_rawget(L, LUA_REGISTRYINDEX);
}

pop3_policy *pop3_policy_of(lua_State *L) {
  push_policy(L);
  pop3_policy *policy = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return policy;
}

/* Values are weak: connections keep theirs. [-0, +0, m] */
static void open_hooks(lua_State *L) {
  lua_pushlightuserdata(L, (void *)(size_t)&hooks_key);
  lua_newtable(L);
  lua_newtable(L);
  lua_pushliteral(L, "v");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  lua_rawset(L, LUA_REGISTRYINDEX);
}

/* A module that is opened again finds the policy that there is. */
void pop3_open_restrict(lua_State *L) {
  if (pop3_policy_of(L) != NULL) return;
  open_hooks(L);
  lua_pushlightuserdata(L, (void *)(size_t)&policy_key);
  pop3_policy *policy = lua_newuserdata(L, sizeof *policy);
  memset(policy, 0, sizeof *policy);
  luaL_newmetatable(L, POLICY_TYPE);
  lua_pushliteral(L, POLICY_TYPE);
  lua_setfield(L, -2, "__metatable");
  lua_setmetatable(L, -2);
  lua_rawset(L, LUA_REGISTRYINDEX);
}

pop3_error pop3_permit(lua_State *L, pop3_right right, const char *what,
                       pop3_failure *failure) {
  return pop3_policy_permit(pop3_policy_of(L), right, what, failure);
}

pop3_error pop3_enter(lua_State *L, pop3_counted counted,
                      pop3_failure *failure) {
  pop3_policy *policy = pop3_policy_of(L);
  if (pop3_policy_enter(policy, counted, failure) == POP3_E_OK)
    return POP3_E_OK;
  lua_gc(L, LUA_GCCOLLECT, 0);
  return pop3_policy_enter(policy, counted, failure);
}

/* ------------------------------------------------------------ options */

typedef struct restrict_options {
  bool granted[POP3_RIGHT_COUNT];
  uint64_t max_octets;
  uint64_t max_connections;
} restrict_options;

#define RIGHT(key, id)                                                        \
  {                                                                           \
#key, POP3_OPTION_BOOLEAN,                                                \
        offsetof(restrict_options, granted) + POP3_RIGHT_##id * sizeof(bool), \
        NULL                                                                  \
  }

static const pop3_option option_rows[] = {
    {"servers", POP3_OPTION_TABLE, 0, NULL},
    {"ports", POP3_OPTION_TABLE, 0, NULL},
    {"on_address", POP3_OPTION_FUNCTION, 0, NULL},
    RIGHT(files, FILES),
    RIGHT(fds, FDS),
    RIGHT(debug, DEBUG),
    RIGHT(transport, TRANSPORT),
    RIGHT(ways, WAYS),
    {"max_octets", POP3_OPTION_COUNT, offsetof(restrict_options, max_octets),
     NULL},
    {"max_connections", POP3_OPTION_COUNT,
     offsetof(restrict_options, max_connections), NULL},
};

/* Where restrict finds things on its stack. */
enum { AT_OPTIONS = 1, AT_ANCHORS, AT_LIST };

static int bad_option(lua_State *L, const char *key, const char *text) {
  return pop3_option_error(L, "restrict", key, text);
}

/* The list of that name at AT_LIST, and its length; false: there is none. A key
 * that is no place in it would be a rule that nobody sees. [-0, +0, v] */
static bool take_list(lua_State *L, const char *key, size_t *count) {
  size_t keys = 0;
  lua_settop(L, AT_ANCHORS);
  lua_getfield(L, AT_OPTIONS, key);
  if (lua_isnil(L, AT_LIST)) return false;
  *count = compat_rawlen(L, AT_LIST);
  for (lua_pushnil(L); lua_next(L, AT_LIST); lua_pop(L, 1)) keys++;
  if (keys != *count || keys > INT_MAX / 2)
    bad_option(L, key, "a list expected, without other keys");
  return true;
}

/* Memory for a list, anchored. [-0, +0, m] */
static void *make_list(lua_State *L, int slot, size_t size) {
  void *list = lua_newuserdata(L, size > 0 ? size : 1);
  lua_rawseti(L, AT_ANCHORS, slot);
  return list;
}

/* [-0, +0, v] */
static void take_server(lua_State *L, size_t i, pop3_server *server) {
  size_t size;
  lua_rawgeti(L, AT_LIST, (int)i + 1);
  bool string = lua_type(L, -1) == LUA_TSTRING;
  const char *text = string ? lua_tolstring(L, -1, &size) : NULL;
  if (!string || !pop3_server_parse(text, size, server)) {
    lua_pushfstring(L,
                    "a name, \"*.\" and a name, an address or a block "
                    "without bits behind its prefix expected at [%d]",
                    (int)i + 1);
    bad_option(L, "servers", lua_tostring(L, -1));
  }
  lua_rawseti(L, AT_ANCHORS, SLOT_NAMES + (int)i);
}

/* [-0, +0, v] */
static void take_servers(lua_State *L, pop3_policy *policy) {
  policy->listed = take_list(L, "servers", &policy->server_count);
  if (!policy->listed) return;
  pop3_server *servers =
      make_list(L, SLOT_SERVERS, policy->server_count * sizeof *servers);
  for (size_t i = 0; i < policy->server_count; i++)
    take_server(L, i, &servers[i]);
  policy->servers = servers;
}

/* [-0, +0, v] */
static unsigned take_port(lua_State *L, size_t i) {
  lua_rawgeti(L, AT_LIST, (int)i + 1);
  bool number = lua_type(L, -1) == LUA_TNUMBER;
  lua_Number port = lua_tonumber(L, -1);
  lua_pop(L, 1);
  if (!number || !(port >= 1 && port <= 65535) ||
      port != (lua_Number)(unsigned)port)
    bad_option(L, "ports", "a list of numbers from 1 to 65535 expected");
  return (unsigned)port;
}

/* [-0, +0, v] */
static void take_ports(lua_State *L, pop3_policy *policy) {
  if (!take_list(L, "ports", &policy->port_count)) return;
  unsigned *ports =
      make_list(L, SLOT_PORTS, policy->port_count * sizeof *ports);
  for (size_t i = 0; i < policy->port_count; i++) ports[i] = take_port(L, i);
  policy->ports = ports;
}

/* 0 is what limits of connections call none; here it is a mistake. */
static void take_limits(lua_State *L, const restrict_options *options,
                        pop3_policy *policy) {
  static const char none[] = "1 or more expected; leave it out for no limit";
  if (options->max_octets == 0) bad_option(L, "max_octets", none);
  if (options->max_connections == 0) bad_option(L, "max_connections", none);
  if (options->max_octets != UINT64_MAX)
    policy->max_octets = options->max_octets;
  if (options->max_connections == UINT64_MAX) return;
  policy->most[POP3_CONNECTIONS] = options->max_connections;
  policy->most[POP3_CONTEXTS] = options->max_connections + CONTEXTS_BESIDE;
}

/* [-0, +0, m] */
static void take_on_address(lua_State *L) {
  lua_settop(L, AT_ANCHORS);
  lua_getfield(L, AT_OPTIONS, "on_address");
  lua_rawseti(L, AT_ANCHORS, SLOT_ON_ADDRESS);
}

/* All was read: from here on nothing fails. [-0, +0, m] */
static void enact(lua_State *L, const pop3_policy *made) {
  lua_settop(L, AT_ANCHORS);
  push_policy(L);
  pop3_policy *policy = lua_touserdata(L, -1);
  pop3_policy before = *policy;
  lua_pushvalue(L, AT_ANCHORS);
  compat_setuservalue(L, -2);
  *policy = *made;
  policy->strict = true;
  memcpy(policy->live, before.live, sizeof before.live);
}

int pop3_lua_restrict(lua_State *L) {
  restrict_options options = {{false}, UINT64_MAX, UINT64_MAX};
  pop3_policy made = {0};
  pop3_failure failure;
  pop3_option_set set = {option_rows, sizeof option_rows / sizeof *option_rows,
                         &options, false};
  if (pop3_policy_of(L)->strict) {
    pop3_refuse(&failure, "another restrict", "once for each Lua state");
    return pop3_push_error(L, &failure);
  }
  if (!lua_istable(L, AT_OPTIONS))
    return pop3_argument_error(L, "restrict", 1, "table expected, got %s",
                               luaL_typename(L, AT_OPTIONS));
  lua_settop(L, AT_OPTIONS);
  (void)pop3_options_read(L, AT_OPTIONS, "restrict", &set, 1, &failure);
  lua_newtable(L);
  take_servers(L, &made);
  take_ports(L, &made);
  take_limits(L, &options, &made);
  take_on_address(L);
  memcpy(made.granted, options.granted, sizeof made.granted);
  enact(L, &made);
  return 0;
}

/* ------------------------------------------------------------ addresses */

typedef enum answer { NO_ANSWER, ALLOWED, REFUSED } answer;

/* What on_address is asked, and what it says: the connection's own, or the
 * policy's. */
typedef struct question {
  const void *connection; /* or NULL */
  const char *host;
  const pop3_address *address;
  unsigned port;
  answer answer;
  char reason[256];
} question;

static void give_reason(question *q, const char *reason) {
  q->answer = REFUSED;
  size_t size = strlen(reason);
  if (size >= sizeof q->reason) size = sizeof q->reason - 1;
  memcpy(q->reason, reason, size);
  q->reason[size] = '\0';
}

/* Its text, if it is one: no metamethod of a script's may run here. */
static const char *text_or(lua_State *L, int index, const char *otherwise) {
  return lua_type(L, index) == LUA_TSTRING ? lua_tostring(L, index) : otherwise;
}

/* on_address -> true; false, perhaps with a reason; nil and a reason; nil. A
 * reason alone will do where nothing else has a word. */
static void take_answer(lua_State *L, question *q) {
  bool said = lua_isboolean(L, -2);
  if (said && lua_toboolean(L, -2)) {
    q->answer = ALLOWED;
  } else if (q->connection != NULL && lua_type(L, -2) == LUA_TSTRING) {
    give_reason(q, lua_tostring(L, -2));
  } else if (said || (lua_isnil(L, -2) && !lua_isnil(L, -1))) {
    give_reason(q, text_or(L, -1, "on_address"));
  } else if (!lua_isnil(L, -2)) {
    give_reason(q, "on_address gave neither true, false nor nil");
  }
}

/* The connection's function, or nil. [-0, +1, -] */
static void push_hook(lua_State *L, const void *connection) {
  lua_pushlightuserdata(L, (void *)(size_t)&hooks_key);
  lua_rawget(L, LUA_REGISTRYINDEX);
  lua_pushlightuserdata(L, (void *)(size_t)connection);
  lua_rawget(L, -2);
  lua_remove(L, -2);
}

/* The policy's, or nil. [-0, +1, -] */
static void push_rule(lua_State *L) {
  push_policy(L);
  compat_getuservalue(L, -1);
  lua_rawgeti(L, -1, SLOT_ON_ADDRESS);
}

/* Protected. [-1, +0, v] */
static int ask(lua_State *L) {
  question *q = lua_touserdata(L, 1);
  char text[POP3_ADDRESS_TEXT];
  if (q->connection != NULL) push_hook(L, q->connection);
  else push_rule(L);
  if (lua_isnil(L, -1)) return 0;
  pop3_address_show(q->address, text);
  lua_pushstring(L, q->host);
  lua_pushstring(L, text);
  lua_pushinteger(L, (lua_Integer)q->port);
  lua_call(L, 3, 2);
  take_answer(L, q);
  return 0;
}

/* An error in it refuses. */
static void ask_host(lua_State *L, question *q) {
  int top = lua_gettop(L);
  if (compat_protect(L, ask, q) != 0)
    give_reason(q, text_or(L, -1, "on_address raised an error"));
  lua_settop(L, top);
}

static pop3_error judge(lua_State *L, const pop3_policy *policy,
                        const char *host, const pop3_address *address,
                        unsigned port, pop3_failure *failure) {
  char what[POP3_ADDRESS_TEXT + 16] = "address ";
  question q = {NULL, host, address, port, NO_ANSWER, ""};
  ask_host(L, &q);
  if (q.answer == ALLOWED) return POP3_E_OK;
  if (q.answer == NO_ANSWER)
    return pop3_policy_check_address(policy, host, address, failure);
  pop3_address_show(address, what + strlen(what));
  return pop3_refuse(failure, what, q.reason);
}

/* What the connection's own function says; nothing is yes. */
static pop3_error ask_own(lua_State *L, const void *connection,
                          const char *host, const pop3_address *address,
                          unsigned port, pop3_failure *failure) {
  char text[POP3_ADDRESS_TEXT];
  question q = {connection, host, address, port, NO_ANSWER, ""};
  ask_host(L, &q);
  if (q.answer != REFUSED) return POP3_E_OK;
  pop3_address_show(address, text);
  return pop3_fail(failure, POP3_E_RESTRICTED,
                   "on_address refuses address %s of %s (%s)", text, host,
                   q.reason);
}

pop3_error pop3_admit_address(lua_State *L, const void *connection,
                              const char *host, const struct sockaddr *socket,
                              unsigned port, pop3_failure *failure) {
  const pop3_policy *policy = pop3_policy_of(L);
  pop3_address address;
  if (!pop3_address_of(socket, &address))
    return pop3_refuse(failure, host, "not an address of IPv4 or IPv6");
  pop3_error error = ask_own(L, connection, host, &address, port, failure);
  if (error != POP3_E_OK || !policy->strict) return error;
  return judge(L, policy, host, &address, port, failure);
}

pop3_error pop3_admit_target(lua_State *L, const char *host, size_t size,
                             unsigned port, pop3_failure *failure) {
  const pop3_policy *policy = pop3_policy_of(L);
  pop3_address address;
  if (!policy->strict || !pop3_address_parse(host, size, &address))
    return POP3_E_OK;
  return judge(L, policy, host, &address, port, failure);
}

/* Does it have a function, perhaps one of who was at its place before? */
static bool has_hook(lua_State *L, const void *connection) {
  push_hook(L, connection);
  bool has = !lua_isnil(L, -1);
  lua_pop(L, 1);
  return has;
}

void pop3_hook_addresses(lua_State *L, const void *connection) {
  if (lua_isnil(L, -1) && !has_hook(L, connection)) {
    lua_pop(L, 1); /* mostly: nothing is written */
    return;
  }
  lua_pushlightuserdata(L, (void *)(size_t)&hooks_key);
  lua_rawget(L, LUA_REGISTRYINDEX);
  lua_insert(L, -2);
  lua_pushlightuserdata(L, (void *)(size_t)connection);
  lua_insert(L, -2);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

pop3_error pop3_admit_stream(lua_State *L, const char *host, size_t size,
                             unsigned port, pop3_failure *failure) {
  const pop3_policy *policy = pop3_policy_of(L);
  pop3_address address;
  if (!policy->strict) return POP3_E_OK;
  pop3_error error =
      pop3_policy_check_server(policy, host, size, port, failure);
  if (error != POP3_E_OK) return error;
  if (!pop3_address_parse(host, size, &address))
    return pop3_refuse(failure, "a name",
                       "its address cannot be checked where others resolve it: "
                       "give the address");
  return judge(L, policy, host, &address, port, failure);
}

int pop3_lua_admit(lua_State *L) {
  size_t size;
  pop3_failure failure;
  const char *host = luaL_checklstring(L, 1, &size);
  lua_Number port = luaL_checknumber(L, 2);
  luaL_argcheck(L, port >= 1 && port <= 65535, 2, "a port is 1 to 65535");
  if (pop3_admit_stream(L, host, size, (unsigned)port, &failure) == POP3_E_OK) {
    lua_pushboolean(L, 1);
    return 1;
  }
  lua_pushnil(L);
  pop3_push_error(L, &failure);
  return 2;
}
