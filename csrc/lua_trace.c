/*
 * lua_trace.c - set_debuglevel: what is shown is collected while octets flow,
 * and handed to the face, which prints it or calls the function.
 */
#include <string.h>

#include "escape.h"
#include "lua_error.h"
#include "lua_operation.h"
#include "lua_options.h"
#include "lua_restrict.h"

static void add_escaped(pop3_octets *out, pop3_span text) {
  char piece[POP3_ESCAPE_ROOM];
  while (text.size > 0) {
    size_t taken = pop3_escape_next(text.data, text.size, piece);
    pop3_octets_add(out, piece, strlen(piece));
    text.data += taken;
    text.size -= taken;
  }
}

static void add_text(pop3_octets *out, const char *text) {
  pop3_octets_add(out, text, strlen(text));
}

/* "*get* '+OK\r\n'", as poplib prints it. A trace that finds no memory is cut
 * short; the operation is not. */
static void show_trace(void *state, int level, const char *label,
                       pop3_span text, unsigned line_end) {
  static const char *const line_ends[] = {"", "\\n", "\\r\\n"};
  pop3_connection *u = state;
  (void)level;
  add_text(&u->trace, "*");
  add_text(&u->trace, label);
  add_text(&u->trace, "* '");
  add_escaped(&u->trace, text);
  add_text(&u->trace, line_ends[line_end]);
  add_text(&u->trace, "'\n");
}

/* Without a function it goes to the process's standard error. */
static bool refuses(lua_State *L, pop3_failure *failure) {
  if (!lua_isnil(L, 3) || !(lua_tonumber(L, 2) >= 1)) return false;
  return pop3_permit(L, POP3_RIGHT_DEBUG, "set_debuglevel without a function",
                     failure) != POP3_E_OK;
}

/* trace(connection, level[, function]) -> nothing, or an error object
 * [-0, +n, v] */
int pop3_lua_trace(lua_State *L) {
  pop3_failure failure;
  pop3_connection *u = pop3_connection_check(L, 1, "set_debuglevel");
  pop3_tracer *tracer = &pop3_conn_client(u->conn)->tracer;
  if (lua_type(L, 2) != LUA_TNUMBER)
    return pop3_argument_error(L, "set_debuglevel", 1,
                               "number expected, got %s", luaL_typename(L, 2));
  if (!lua_isnoneornil(L, 3) && lua_type(L, 3) != LUA_TFUNCTION)
    return pop3_argument_error(L, "set_debuglevel", 2,
                               "function expected, got %s",
                               luaL_typename(L, 3));
  lua_settop(L, 3);
  if (refuses(L, &failure)) return pop3_push_error(L, &failure);
  compat_getuservalue(L, 1);
  lua_insert(L, 3);
  lua_rawseti(L, 3, POP3_SLOT_DEBUG);
  tracer->show = show_trace;
  tracer->state = u;
  tracer->level = (lua_tonumber(L, 2) >= 1) + (lua_tonumber(L, 2) >= 2);
  return 0;
}
