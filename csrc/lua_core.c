/*
 * lua_core.c - luaopen_pop3_core: what lua/pop3.lua is built on. The module has
 * no state of its own: everything is in the Lua state that opened it.
 */
#include <string.h>

#include "lua_carrier.h"
#include "lua_connection.h"
#include "lua_context.h"
#include "lua_error.h"
#include "lua_listing.h"
#include "lua_method.h"
#include "lua_open.h"
#include "lua_operation.h"
#include "lua_restrict.h"
#include "lua_secret.h"
#include "lua_session.h"
#include "lua_share.h"
#include "lua_tls_info.h"
#include "pop3_lua.h"

/* escape(text) -> text fit for a terminal [-0, +1, v] */
static int escape(lua_State *L) {
  size_t size;
  const char *text = luaL_checklstring(L, 1, &size);
  pop3_push_escaped(L, text, size);
  return 1;
}

/* now() -> seconds of the clock that deadlines are of [-0, +1, -] */
static int now(lua_State *L) {
  lua_pushnumber(L, (lua_Number)pop3_now());
  return 1;
}

static const luaL_Reg functions[] = {
    {"connect", pop3_lua_connect},
    {"begin", pop3_lua_begin},
    {"turn", pop3_lua_turn},
    {"deliver", pop3_lua_deliver},
    {"answer", pop3_lua_answer},
    {"cancel", pop3_lua_cancel},
    {"aborted", pop3_lua_aborted},
    {"save", pop3_lua_save},
    {"carried", pop3_lua_carried},
    {"secured", pop3_lua_secured},
    {"sent", pop3_lua_sent},
    {"received", pop3_lua_received},
    {"where", pop3_lua_where},
    {"takes_files", pop3_lua_takes_files},
    {"misplaced", pop3_lua_misplaced},
    {"set_timeout", pop3_lua_set_timeout},
    {"poll", pop3_lua_poll},
    {"grant", pop3_lua_grant},
    {"regrant", pop3_lua_regrant},
    {"now", now},
    {"close", pop3_lua_close},
    {"trace", pop3_lua_trace},
    {"info", pop3_lua_describe},
    {"tls_info", pop3_lua_tls_info},
    {"session_export", pop3_lua_session_export},
    {"welcome", pop3_lua_welcome},
    {"is_safe", pop3_lua_is_safe},
    {"insecure", pop3_lua_insecure},
    {"is_mechanism", pop3_lua_is_mechanism},
    {"mechanisms", pop3_lua_mechanisms},
    {"restrict", pop3_lua_restrict},
    {"admit", pop3_lua_admit},
    {"context", pop3_lua_context},
    {"secret", pop3_lua_secret},
    {"listing", pop3_lua_listing},
    {"escape", escape},
    {NULL, NULL},
};

/* The OpenSSL that is loaded has to be one that we were built for. */
static void check_library(lua_State *L) {
  pop3_failure failure = {0};
  if (pop3_tls_check_library(&failure) == POP3_E_OK) return;
  luaL_error(L, "%s", failure.text);
}

int luaopen_pop3_core(lua_State *L) {
  check_library(L);
  pop3_open_errors(L);
  pop3_open_restrict(L);
  pop3_open_context(L);
  pop3_open_secret(L);
  pop3_open_listing(L);
  pop3_open_tls_info(L);
  lua_newtable(L);
  compat_setfuncs(L, functions);
  pop3_open_connections(L);
  lua_setfield(L, -2, "methods"); /* the face fills it */
  pop3_push_methods(L);
  lua_setfield(L, -2, "operations");
  pop3_push_error_class(L);
  lua_setfield(L, -2, "error_proto");
  lua_pushinteger(L, POP3_PORT);
  lua_setfield(L, -2, "POP3_PORT");
  lua_pushinteger(L, POP3_SSL_PORT);
  lua_setfield(L, -2, "POP3_SSL_PORT");
  return 1;
}
