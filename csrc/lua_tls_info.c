/*
 * lua_tls_info.c - see lua_tls_info.h.
 *
 * Whatever allocates in Lua may run a finaliser, and that may close the
 * connection: so what is read is a copy, and the filter is asked for anew
 * before each reading.
 */
#include "lua_tls_info.h"

#include <stdint.h>
#include <string.h>

#include "lua_connection.h"
#include "tls_describe.h"

#define HOLDER_TYPE "pop3.certificate"

/* [-0, +0, -] */
static int holder_gc(lua_State *L) {
  pop3_tls_certificate *c = compat_testudata(L, 1, HOLDER_TYPE);
  if (c != NULL) pop3_tls_certificate_free(c);
  return 0;
}

void pop3_open_tls_info(lua_State *L) {
  luaL_newmetatable(L, HOLDER_TYPE);
  lua_pushcfunction(L, holder_gc);
  lua_setfield(L, -2, "__gc");
  lua_pushliteral(L, HOLDER_TYPE);
  lua_setfield(L, -2, "__metatable");
  lua_pop(L, 1);
}

/* What frees a certificate, whatever happens. [-0, +1, m] */
static pop3_tls_certificate *push_holder(lua_State *L) {
  pop3_tls_certificate *c = lua_newuserdata(L, sizeof *c);
  c->text = NULL;
  luaL_getmetatable(L, HOLDER_TYPE);
  lua_setmetatable(L, -2);
  return c;
}

/* ------------------------------------------------------------ fields */

/* The table is on top in all of these; nothing is set for what is not there.
 * [-0, +0, m] */

static void set_text(lua_State *L, const char *key, const char *value) {
  if (value == NULL || value[0] == '\0') return;
  lua_pushstring(L, value);
  lua_setfield(L, -2, key);
}

static void set_count(lua_State *L, const char *key, int value) {
  if (value <= 0) return;
  lua_pushinteger(L, value);
  lua_setfield(L, -2, key);
}

static void set_flag(lua_State *L, const char *key, bool value) {
  lua_pushboolean(L, value);
  lua_setfield(L, -2, key);
}

/* It does not fit into the integers of a 32-bit Lua. */
static void set_date(lua_State *L, const char *key, int64_t value) {
  if (value == POP3_TLS_NO_DATE) return;
  if (value == (int64_t)(lua_Integer)value)
    lua_pushinteger(L, (lua_Integer)value);
  else lua_pushnumber(L, (lua_Number)value);
  lua_setfield(L, -2, key);
}

static void set_names(lua_State *L, const char *names) {
  lua_newtable(L);
  for (int i = 1; *names != '\0'; names += strlen(names) + 1, i++) {
    lua_pushstring(L, names);
    lua_rawseti(L, -2, i);
  }
  lua_setfield(L, -2, "sans");
}

/* [-0, +1, m] */
static void push_certificate(lua_State *L, const pop3_tls_certificate *c) {
  lua_createtable(L, 0, 12);
  lua_pushstring(L, c->subject); /* may be empty, as its serial */
  lua_setfield(L, -2, "subject");
  lua_pushstring(L, c->issuer);
  lua_setfield(L, -2, "issuer");
  lua_pushstring(L, c->serial);
  lua_setfield(L, -2, "serial");
  set_names(L, c->names);
  set_date(L, "not_before", c->not_before);
  set_date(L, "not_after", c->not_after);
  set_text(L, "key_type", c->key_type);
  set_count(L, "key_bits", c->key_bits);
  set_text(L, "signature", c->signature);
  set_text(L, "pin", c->pin);
  set_text(L, "fingerprint", c->fingerprint);
  set_text(L, "pem", c->pem);
}

static void push_details(lua_State *L, const pop3_tls_details *details) {
  lua_createtable(L, 0, 11);
  set_text(L, "version", details->version);
  set_text(L, "cipher", details->cipher);
  set_count(L, "bits", details->bits);
  set_text(L, "group", details->group);
  set_text(L, "alpn", details->alpn);
  set_text(L, "servername", details->servername);
  set_text(L, "verified_by", details->verified_by);
  set_flag(L, "verified", details->verified);
  set_flag(L, "resumed", details->resumed);
}

/* ------------------------------------------------------------ chains */

/* Read the next certificate into what is at `holder`. false: there is none.
 * [-0, +0, v] */
static bool read_next(lua_State *L, int holder, pop3_tls_chain chain,
                      size_t index) {
  const pop3_connection *u = pop3_connection_check(L, 1, "tls_info");
  const pop3_tls *tls = pop3_conn_tls(u->conn);
  pop3_tls_certificate *c = lua_touserdata(L, holder);
  if (tls == NULL || index >= pop3_tls_chain_size(tls, chain)) return false;
  if (pop3_tls_certificate_read(tls, chain, index, c) != POP3_E_OK)
    luaL_error(L, "not enough memory");
  return true;
}

/* A list, or nothing if it is empty. The table is on top. [-0, +0, v] */
static void set_chain(lua_State *L, int holder, const char *key,
                      pop3_tls_chain chain) {
  pop3_tls_certificate *c = lua_touserdata(L, holder);
  lua_newtable(L);
  int count = 0;
  for (; read_next(L, holder, chain, (size_t)count); count++) {
    push_certificate(L, c);
    pop3_tls_certificate_free(c);
    lua_rawseti(L, -2, count + 1);
  }
  if (count > 0) lua_setfield(L, -2, key);
  else lua_pop(L, 1);
}

int pop3_lua_tls_info(lua_State *L) {
  const pop3_connection *u = pop3_connection_check(L, 1, "tls_info");
  pop3_tls_details details;
  lua_settop(L, 1);
  push_holder(L);
  const pop3_tls *tls = pop3_conn_tls(u->conn);
  if (tls == NULL) {
    lua_pushnil(L);
    return 1;
  }
  pop3_tls_detail(tls, &details);
  push_details(L, &details);
  set_chain(L, 2, "chain", POP3_TLS_SENT);
  set_chain(L, 2, "verified_chain", POP3_TLS_VERIFIED);
  return 1;
}
