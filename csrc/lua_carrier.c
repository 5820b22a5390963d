/*
 * lua_carrier.c - see lua_carrier.h.
 */
#include "lua_carrier.h"

#include <string.h>

#include "carrier.h"
#include "lua_error.h"
#include "lua_result.h"

/* ------------------------------------------------------------ asking */

/* Octets that are asked for: what a receive buffer takes. */
#define MOST_RECEIVED POP3_BUFFER_SIZE

/* [-0, +1, m] */
static int push_outgoing(lua_State *L, pop3_connection *u) {
  pop3_span octets = pop3_carrier_outgoing(u->conn);
  lua_pushlstring(L, octets.data, octets.size);
  return 1;
}

static int push_room(lua_State *L, pop3_connection *u) {
  (void)u;
  lua_pushinteger(L, MOST_RECEIVED);
  return 1;
}

/* [-0, +1, m] */
static int push_host(lua_State *L, pop3_connection *u) {
  unsigned port;
  lua_pushstring(L, pop3_conn_target(u->conn, &port));
  return 1;
}

/* [-0, +2, m] */
static int push_host_and_port(lua_State *L, pop3_connection *u) {
  unsigned port;
  lua_pushstring(L, pop3_carrier_peer(u->conn, &port));
  lua_pushinteger(L, (lua_Integer)port);
  return 2;
}

typedef struct wish {
  const char *word;
  enum pop3_slot object; /* whose method it is */
  int (*push_arguments)(lua_State *L, pop3_connection *u);
} wish;

static const wish wishes[] = {
    [POP3_CARRY_CONNECT] = {"connect", POP3_SLOT_CONNECTOR, push_host_and_port},
    [POP3_CARRY_SECURE] = {"secure", POP3_SLOT_TRANSPORT, push_host},
    [POP3_CARRY_SEND] = {"send", POP3_SLOT_TRANSPORT, push_outgoing},
    [POP3_CARRY_RECEIVE] = {"receive", POP3_SLOT_TRANSPORT, push_room},
    [POP3_CARRY_LOOK] = {"receive", POP3_SLOT_TRANSPORT, push_room},
};

int pop3_push_carriage(lua_State *L, pop3_connection *u) {
  pop3_carry carry = pop3_carrier_wants(u->conn);
  bool look = carry == POP3_CARRY_LOOK;
  lua_pushstring(L, wishes[carry].word);
  lua_rawgeti(L, POP3_AT_ANCHORS, wishes[carry].object);
  int count = wishes[carry].push_arguments(L, u);
  lua_pushnumber(L, look ? 0 : (lua_Number)pop3_conn_deadline(u->conn));
  return count + 3;
}

int pop3_push_hangup(lua_State *L, pop3_connection *u) {
  if (!u->carried || u->hung_up || !pop3_conn_is_closed(u->conn)) return 0;
  u->hung_up = true;
  lua_rawgeti(L, POP3_AT_ANCHORS, POP3_SLOT_TRANSPORT);
  if (lua_isnil(L, -1)) return 0;
  lua_pushliteral(L, "hangup");
  lua_insert(L, -2);
  return 2;
}

/* ------------------------------------------------------------ being told */

/* The connection, if what is told is what was asked for. */
static pop3_connection *check(lua_State *L, const char *function) {
  pop3_connection *u = pop3_connection_check(L, 1, function);
  if (!u->carried || !u->busy || u->turning)
    luaL_error(L, "nobody asked for '%s'", function);
  return u;
}

static bool is_asked(const pop3_connection *u, pop3_carry carry) {
  return pop3_carrier_wants(u->conn) == carry;
}

#define NO_REASON "the transport failed without a reason"

static bool has_reason(lua_State *L, int index) {
  return lua_type(L, index) == LUA_TSTRING && compat_rawlen(L, index) > 0;
}

/* The reason at `index`, or what is wrong with it. */
static const char *reason_at(lua_State *L, int index) {
  return has_reason(L, index) ? lua_tostring(L, index) : NO_REASON;
}

/* What explains it, or NULL. */
static const char *detail_at(lua_State *L, int index) {
  return lua_type(L, index) == LUA_TSTRING ? lua_tostring(L, index) : NULL;
}

/* Its code is wrong, not the network. */
static int misbehaved(lua_State *L, pop3_connection *u, const char *format,
                      const char *what) {
  lua_pushfstring(L, format, what);
  pop3_carrier_misbehaved(u->conn, lua_tostring(L, -1));
  return 0;
}

/* The stream failed, by the reason at `index`. */
static void broke(lua_State *L, pop3_connection *u, int index) {
  const char *reason = reason_at(L, index);
  if (has_reason(L, index)) pop3_carrier_failed(u->conn, reason, NULL);
  else pop3_carrier_misbehaved(u->conn, reason);
}

int pop3_lua_carried(lua_State *L) {
  pop3_connection *u = check(L, "carried");
  bool closed = pop3_conn_is_closed(u->conn);
  if (!closed && lua_isnoneornil(L, 2))
    pop3_carrier_failed(u->conn, reason_at(L, 3), detail_at(L, 4));
  if (!closed && !lua_isnoneornil(L, 2) && is_asked(u, POP3_CARRY_CONNECT)) {
    compat_getuservalue(L, 1);
    lua_pushvalue(L, 2);
    lua_rawseti(L, -2, POP3_SLOT_TRANSPORT);
    pop3_carrier_connected(u->conn, true);
  }
  lua_pushboolean(L, !closed);
  return 1;
}

int pop3_lua_secured(lua_State *L) {
  pop3_connection *u = check(L, "secured");
  if (!is_asked(u, POP3_CARRY_SECURE)) return 0;
  if (lua_toboolean(L, 2)) {
    pop3_carrier_secured(u->conn);
  } else {
    pop3_carrier_failed(u->conn, reason_at(L, 3), detail_at(L, 4));
  }
  return 0;
}

/* How many of `size` octets left, by the value at `index`; 0: none that could
 * be. */
static size_t count_at(lua_State *L, int index, size_t size) {
  if (lua_type(L, index) != LUA_TNUMBER) return 0;
  lua_Number count = lua_tonumber(L, index);
  return count >= 1 && count <= (lua_Number)size ? (size_t)count : 0;
}

int pop3_lua_sent(lua_State *L) {
  pop3_connection *u = check(L, "sent");
  if (!is_asked(u, POP3_CARRY_SEND)) return 0;
  size_t size = pop3_carrier_outgoing(u->conn).size;
  if (lua_isnoneornil(L, 2) || lua_isboolean(L, 2)) {
    bool all = lua_toboolean(L, 2);
    pop3_carrier_sent(u->conn, all ? size : count_at(L, 4, size));
    if (!all) broke(L, u, 3);
    return 0;
  }
  size_t count = count_at(L, 2, size);
  if (count == 0)
    return misbehaved(L, u,
                      "the transport's send returned %s, which is not a "
                      "count of the octets that it was given",
                      luaL_typename(L, 2));
  pop3_carrier_sent(u->conn, count);
  return 0;
}

/* Octets at `index`, kept until others come; false: none that could be. */
static bool take_octets(lua_State *L, pop3_connection *u, int index) {
  size_t size;
  if (lua_type(L, index) != LUA_TSTRING) return false;
  const char *octets = lua_tolstring(L, index, &size);
  if (size == 0 || size > MOST_RECEIVED) return false;
  compat_getuservalue(L, 1);
  lua_pushvalue(L, index);
  lua_rawseti(L, -2, POP3_SLOT_INCOMING);
  pop3_carrier_received(u->conn, octets, size);
  return true;
}

int pop3_lua_received(lua_State *L) {
  pop3_connection *u = check(L, "received");
  if (!is_asked(u, POP3_CARRY_RECEIVE) && !is_asked(u, POP3_CARRY_LOOK))
    return 0;
  if (lua_isnoneornil(L, 2)) {
    broke(L, u, 3);
    take_octets(L, u, 4);
    return 0;
  }
  if (take_octets(L, u, 2)) return 0;
  return misbehaved(L, u,
                    "the transport's receive returned %s that is not 1 "
                    "octet to as many as were asked for",
                    luaL_typename(L, 2));
}

/* ------------------------------------------------------------ whose it is */

int pop3_lua_where(lua_State *L) {
  pop3_connection *u = pop3_connection_test(L, 1);
  if (u == NULL || pop3_conn_is_closed(u->conn)) return 0;
  compat_getuservalue(L, 1);
  lua_rawgeti(L, -1, u->carried ? POP3_SLOT_TRANSPORT : POP3_SLOT_PLACE);
  return 1;
}

int pop3_lua_takes_files(lua_State *L) {
  pop3_connection *u = pop3_connection_check(L, 1, "takes_files");
  lua_pushboolean(L, !u->streams_only);
  return 1;
}

int pop3_lua_misplaced(lua_State *L) {
  pop3_failure failure = {0};
  pop3_fail(&failure, POP3_E_MISPLACED, "%s", luaL_checkstring(L, 1));
  return pop3_push_error(L, &failure);
}
