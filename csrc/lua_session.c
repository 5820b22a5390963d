/*
 * lua_session.c - see lua_session.h.
 */
#include "lua_session.h"

pop3_error pop3_connection_use_session(lua_State *L, int index, int string,
                                       pop3_failure *failure) {
  pop3_connection *u = pop3_connection_check(L, index, "connect");
  size_t size;
  const char *octets = lua_tolstring(L, string, &size);
  pop3_error error = pop3_tls_session_check(octets, size, failure);
  if (error != POP3_E_OK) return error;
  compat_getuservalue(L, index);
  lua_pushvalue(L, string);
  lua_setfield(L, -2, "session");
  lua_pop(L, 1);
  pop3_conn_use_session(u->conn, octets, size);
  return POP3_E_OK;
}

int pop3_lua_session_export(lua_State *L) {
  pop3_connection *u = pop3_connection_check(L, 1, "session_export");
  size_t size = 0;
  pop3_error error = pop3_conn_export_session(u->conn, NULL, 0, &size);
  if (error == POP3_E_OK) {
    char *octets = lua_newuserdata(L, size);
    error = pop3_conn_export_session(u->conn, octets, size, &size);
    if (error == POP3_E_OK) lua_pushlstring(L, octets, size);
    pop3_wipe(octets, size);
  }
  if (error == POP3_E_MEMORY) return luaL_error(L, "not enough memory");
  if (error != POP3_E_OK) lua_pushnil(L);
  return 1;
}
