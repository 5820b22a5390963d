/*
 * lua_connection.c - see lua_connection.h.
 */
#include "lua_connection.h"

#include <string.h>

#include "lua_error.h"
#include "lua_secret.h"
#include "lua_ways.h"

#define CONNECTION_TYPE "pop3.connection"
#define BUFFERS_TYPE "pop3.buffers"

/* The block's second part begins where malloc's alignment allows any type. */
#define CONN_OFFSET ((sizeof(pop3_connection) + 15) / 16 * 16)

/* The state's receive buffers; its address is the key in the registry. */
static const char buffers_key = 0;

/* [-0, +0, -] */
static pop3_buffers *find_buffers(lua_State *L) {
  lua_pushlightuserdata(L, (void *)(size_t)&buffers_key);
  lua_rawget(L, LUA_REGISTRYINDEX);
  pop3_buffers **buffers = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return *buffers;
}

/* ------------------------------------------------------------ the userdata */

pop3_connection *pop3_connection_test(lua_State *L, int index) {
  pop3_connection *u = compat_testudata(L, index, CONNECTION_TYPE);
  return u != NULL && u->conn != NULL ? u : NULL;
}

pop3_connection *pop3_connection_check(lua_State *L, int index,
                                       const char *method) {
  pop3_connection *u = pop3_connection_test(L, index);
  if (u != NULL) return u;
  luaL_where(L, 2);
  lua_pushfstring(L,
                  "bad self to '%s' (pop3 connection expected, got %s: call "
                  "it with a colon)",
                  method, luaL_typename(L, index));
  lua_concat(L, 2);
  lua_error(L);
  return NULL;
}

/* The policy's word on an address, in the midst of a step. */
static pop3_error admit(void *state, const char *host,
                        const struct sockaddr *address, unsigned port,
                        pop3_failure *failure) {
  const pop3_connection *u = state;
  pop3_error error =
      pop3_admit_address(u->stepped, u, host, address, port, failure);
  if (error != POP3_E_OK || !u->closing) return error;
  return pop3_fail(failure, POP3_E_CLOSED, NULL); /* by who was asked */
}

pop3_connection *pop3_connection_new(lua_State *L, pop3_conn_options *options) {
  options->buffers = find_buffers(L);
  options->admit = admit;
  size_t size = CONN_OFFSET + pop3_conn_size(options);
  pop3_connection *u = lua_newuserdata(L, size);
  memset(u, 0, sizeof *u);
  options->admit_state = u;
  u->allocator.resize = lua_getallocf(L, &u->allocator.state);
  luaL_getmetatable(L, CONNECTION_TYPE);
  lua_setmetatable(L, -2);
  lua_createtable(L, POP3_SLOTS, 0);
  compat_setuservalue(L, -2);
  pop3_octets_init(&u->partial, &u->allocator);
  pop3_octets_init(&u->trace, &u->allocator);
  pop3_octets_init(&u->tokens, &u->allocator);
  u->share.grant = pop3_find_grant(L);
  u->max_octets = options->engine.max_octets;
  u->conn = pop3_conn_init((char *)u + CONN_OFFSET, options, &u->allocator);
  return u;
}

void pop3_connection_drop_secret(pop3_connection *u) {
  pop3_secret_free(&u->allocator, u->secret, u->secret_room);
  u->secret = NULL;
  u->secret_room = 0;
}

void pop3_connection_drop_verdict(pop3_connection *u) {
  pop3_release(&u->allocator, u->verdict, sizeof *u->verdict);
  u->verdict = NULL;
}

void pop3_connection_settle(pop3_connection *u) {
  if (u->policy == NULL || !pop3_conn_is_closed(u->conn)) return;
  pop3_policy_leave(u->policy, POP3_CONNECTIONS);
  u->policy = NULL;
  pop3_tls_context_release(u->context);
  u->context = NULL;
}

void pop3_connection_release(pop3_connection *u) {
  if (u->conn == NULL) return;
  u->closing = u->turning;
  if (u->turning) return;
  u->settled = POP3_STEP_FAILED; /* of a call whose trace is shown now */
  pop3_conn_close(u->conn);
  pop3_connection_settle(u);
  pop3_connection_drop_secret(u);
  pop3_connection_drop_verdict(u);
  pop3_delivery_abandon(&u->delivery);
  pop3_octets_clear(&u->partial);
  pop3_octets_clear(&u->tokens);
  pop3_octets_clear(&u->trace);
}

/* [-0, +0, -] a finaliser is given no other value, but a script might */
static int connection_gc(lua_State *L) {
  pop3_connection *u = compat_testudata(L, 1, CONNECTION_TYPE);
  if (u != NULL) pop3_connection_release(u);
  return 0;
}

/* The end of a variable that is to be closed: the face's close, which may have a
 * host's stream to close. [-0, +0, v] */
static int connection_end(lua_State *L) {
  lua_getfield(L, 1, "close");
  lua_pushvalue(L, 1);
  lua_call(L, 1, 0);
  return 0;
}

/* A transport is closed by the face, and by nobody while a turn is at work. */
int pop3_lua_close(lua_State *L) {
  pop3_connection *u = pop3_connection_check(L, 1, "close");
  pop3_connection_release(u);
  bool waiting = u->carried && !u->hung_up && !u->closing;
  if (!waiting) return 0;
  u->hung_up = true;
  compat_getuservalue(L, 1);
  lua_rawgeti(L, -1, POP3_SLOT_TRANSPORT);
  return 1;
}

/* [-0, +1, m] */
static int connection_to_string(lua_State *L) {
  pop3_connection *u = pop3_connection_check(L, 1, "tostring");
  unsigned port;
  const char *host = pop3_conn_target(u->conn, &port);
  lua_pushfstring(L, "pop3.%s (", u->class);
  pop3_push_escaped(L, host, strlen(host));
  lua_pushfstring(L, ":%d%s)", (int)port,
                  pop3_conn_is_closed(u->conn) ? ", closed" : "");
  lua_concat(L, 3);
  return 1;
}

/* Methods first, then poplib's two attributes. [-0, +1, v] */
static int connection_index(lua_State *L) {
  pop3_connection *u = pop3_connection_check(L, 1, "index");
  const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
  unsigned port;
  lua_settop(L, 2);
  lua_pushvalue(L, 2);
  lua_rawget(L, lua_upvalueindex(1));
  if (!lua_isnil(L, -1)) return 1;
  if (strcmp(key, "host") != 0 && strcmp(key, "port") != 0) return 1;
  const char *host = pop3_conn_target(u->conn, &port);
  if (key[0] == 'h') lua_pushstring(L, host);
  if (key[0] == 'p') lua_pushinteger(L, (lua_Integer)port);
  return 1;
}

int pop3_lua_set_timeout(lua_State *L) {
  pop3_connection *u = pop3_connection_check(L, 1, "set_timeout");
  pop3_conn_set_timeout(u->conn, (double)luaL_checknumber(L, 2));
  return 0;
}

int pop3_lua_is_safe(lua_State *L) {
  const char *method = luaL_optstring(L, 2, "safe");
  lua_pushboolean(L, pop3_connection_check(L, 1, method)->safe);
  return 1;
}

int pop3_lua_welcome(lua_State *L) {
  pop3_connection_check(L, 1, "getwelcome");
  compat_getuservalue(L, 1);
  lua_rawgeti(L, -1, POP3_SLOT_WELCOME);
  return 1;
}

/* [-0, +0, m] the table is on top */
static void set_string(lua_State *L, const char *key, const char *value) {
  if (value == NULL) return;
  lua_pushstring(L, value);
  lua_setfield(L, -2, key);
}

static void set_boolean(lua_State *L, const char *key, bool value) {
  lua_pushboolean(L, value);
  lua_setfield(L, -2, key);
}

static void set_integer(lua_State *L, const char *key, lua_Integer value) {
  lua_pushinteger(L, value);
  lua_setfield(L, -2, key);
}

/* [-0, +0, m] the table is on top */
static void set_tls_info(lua_State *L, const pop3_tls_info *tls) {
  lua_createtable(L, 0, 6);
  set_string(L, "version", tls->version);
  set_string(L, "cipher", tls->cipher);
  set_string(L, "group", tls->group);
  set_string(L, "alpn", tls->alpn);
  set_boolean(L, "verified", tls->verified || tls->pinned || tls->dane);
  set_boolean(L, "resumed", tls->resumed);
  lua_setfield(L, -2, "tls");
}

/* May a script know the number of a descriptor? */
static bool may_tell(lua_State *L) {
  pop3_failure failure;
  return pop3_permit(L, POP3_RIGHT_FDS, "fd", &failure) == POP3_E_OK;
}

int pop3_lua_describe(lua_State *L) {
  pop3_connection *u = pop3_connection_check(L, 1, "info");
  pop3_conn_info info;
  pop3_conn_describe(u->conn, &info);
  lua_createtable(L, 0, 8);
  set_string(L, "class", u->class);
  set_string(L, "host", info.host);
  set_integer(L, "port", (lua_Integer)info.port);
  set_boolean(L, "closed", pop3_conn_is_closed(u->conn));
  set_boolean(L, "secure", info.secure);
  if (info.fd >= 0 && may_tell(L)) set_integer(L, "fd", info.fd);
  if (info.address[0] != '\0') set_string(L, "address", info.address);
  pop3_ways_describe(L, &info);
  if (info.tls.version != NULL) set_tls_info(L, &info.tls);
  return 1;
}

static const luaL_Reg metamethods[] = {
    {"__gc", connection_gc},
    {"__close", connection_end},
    {"__tostring", connection_to_string},
    {NULL, NULL},
};

/* [-0, +0, -] */
static int buffers_gc(lua_State *L) {
  pop3_buffers **buffers = compat_testudata(L, 1, BUFFERS_TYPE);
  if (buffers == NULL) return 0;
  pop3_buffers_release(*buffers);
  *buffers = NULL;
  return 0;
}

/* Connections retain them: whichever is finalised last frees them.
 * [-0, +0, m] */
static void open_buffers(lua_State *L) {
  pop3_allocator allocator;
  allocator.resize = lua_getallocf(L, &allocator.state);
  lua_pushlightuserdata(L, (void *)(size_t)&buffers_key);
  pop3_buffers **buffers = lua_newuserdata(L, sizeof *buffers);
  *buffers = NULL;
  luaL_newmetatable(L, BUFFERS_TYPE);
  set_string(L, "__metatable", BUFFERS_TYPE);
  lua_pushcfunction(L, buffers_gc);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  *buffers = pop3_buffers_new(&allocator); /* NULL: every call allocates */
  lua_rawset(L, LUA_REGISTRYINDEX);
}

void pop3_open_connections(lua_State *L) {
  open_buffers(L);
  pop3_open_grant(L);
  luaL_newmetatable(L, CONNECTION_TYPE);
  compat_setfuncs(L, metamethods);
  set_string(L, "__name", CONNECTION_TYPE);
  set_string(L, "__metatable", CONNECTION_TYPE);
  lua_newtable(L); /* the methods */
  lua_pushvalue(L, -1);
  lua_pushcclosure(L, connection_index, 1);
  lua_setfield(L, -3, "__index");
  lua_remove(L, -2);
}
