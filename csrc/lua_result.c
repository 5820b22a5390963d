/*
 * lua_result.c - see lua_result.h.
 */
#include "lua_result.h"

#include <string.h>

#include "lua_capabilities.h"
#include "lua_error.h"
#include "lua_method.h"

/* [-0, +1, -] */
static void push_number(lua_State *L, const pop3_number *n) {
  lua_Integer whole = (lua_Integer)n->whole;
  if (n->exact && whole == n->whole) {
    lua_pushinteger(L, whole);
  } else {
    lua_pushnumber(L, (lua_Number)n->rough);
  }
}

int pop3_push_stat(lua_State *L, pop3_failure *failure) {
  pop3_number count, octets;
  pop3_span line;
  line.data = lua_tolstring(L, -1, &line.size);
  pop3_error error = pop3_parse_stat(line, &count, &octets, failure);
  lua_pop(L, 1); /* the failure has a copy */
  if (error != POP3_E_OK) return 0;
  push_number(L, &count);
  push_number(L, &octets);
  return 2;
}

/* [-0, +1, m] */
static int push_capabilities(lua_State *L, const pop3_connection *u) {
  bool typed = u->method->operation == POP3_OP_CAPABILITIES;
  pop3_push_capabilities(L, &pop3_conn_client(u->conn)->caps, typed);
  return 1;
}

/* status[, lines, octets] [-0, +n, m] */
static int push_listing(lua_State *L, const pop3_connection *u) {
  lua_rawgeti(L, POP3_AT_ANCHORS, POP3_SLOT_STATUS);
  lua_rawgeti(L, POP3_AT_ANCHORS, POP3_SLOT_LINES);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    return 1;
  }
  compat_pushcount(L, u->octets);
  return 3;
}

/* The connection, open now; its greeting outlives it. [-0, +1, m] */
static int push_self(lua_State *L, const pop3_connection *u) {
  const pop3_client *client = pop3_conn_client(u->conn);
  lua_pushlstring(L, client->welcome, client->welcome_size);
  lua_rawseti(L, POP3_AT_ANCHORS, POP3_SLOT_WELCOME);
  lua_pushvalue(L, POP3_AT_SELF);
  return 1;
}

/* [-0, +1, m] */
static int push_slot(lua_State *L, int slot) {
  lua_rawgeti(L, POP3_AT_ANCHORS, slot);
  return 1;
}

/* One value, and another one if it is there. [-0, +n, m] */
static int push_pair(lua_State *L, int slot, int other) {
  push_slot(L, slot);
  push_slot(L, other);
  if (!lua_isnil(L, -1)) return 2;
  lua_pop(L, 1);
  return 1;
}

/* text, octets[, digest] [-0, +n, m] */
static int push_text(lua_State *L, const pop3_connection *u) {
  push_slot(L, POP3_SLOT_VALUE);
  compat_pushcount(L, u->delivery.octets);
  push_slot(L, POP3_SLOT_DIGEST);
  if (!lua_isnil(L, -1)) return 3;
  lua_pop(L, 1);
  return 2;
}

int pop3_push_results(lua_State *L, pop3_connection *u, pop3_failure *failure) {
  switch (u->method->result) {
    case POP3_RESULT_SELF:
      return push_self(L, u);
    case POP3_RESULT_LISTING:
      return push_listing(L, u);
    case POP3_RESULT_CAPS:
      return push_capabilities(L, u);
    case POP3_RESULT_STAT:
      push_slot(L, POP3_SLOT_STATUS);
      return pop3_push_stat(L, failure);
    case POP3_RESULT_TEXT:
      return push_text(L, u);
    case POP3_RESULT_OCTETS:
      return push_pair(L, POP3_SLOT_VALUE, POP3_SLOT_DIGEST);
    case POP3_RESULT_ROWS:
      return push_slot(L, POP3_SLOT_LISTING);
    case POP3_RESULT_LOGIN:
      return push_pair(L, POP3_SLOT_STATUS, POP3_SLOT_EXTRAS);
    case POP3_RESULT_NOTHING:
      return 0;
    default:
      return push_slot(L, POP3_SLOT_STATUS);
  }
}
