/*
 * lua_login.c - see lua_login.h.
 */
#include "lua_login.h"

#include "lua_error.h"
#include "lua_options.h"
#include "lua_secret.h"

#define METHOD "login"

bool pop3_take_secret(lua_State *L, pop3_connection *u, int index,
                      pop3_span *octets) {
  pop3_failure failure = {0};
  if (lua_type(L, index) == LUA_TSTRING) {
    octets->data = lua_tolstring(L, index, &octets->size);
    return true;
  }
  if (!pop3_test_secret(L, index)) return false;
  pop3_connection_drop_secret(u);
  if (pop3_secret_read(L, index, &u->allocator, &u->secret, &octets->size,
                       &u->secret_room, &failure) != POP3_E_OK) {
    pop3_push_error(L, &failure);
    lua_error(L);
  }
  octets->data = u->secret;
  return true;
}

const char *pop3_secret_reproach(pop3_span secret) {
  char last = secret.size > 0 ? secret.data[secret.size - 1] : '\0';
  if (last != '\n' && last != '\r') return pop3_error_text(POP3_E_CONTROL);
  return "the secret ends in a line end: strip it, or use pop3.secret, which "
         "strips one";
}

/* ------------------------------------------------------------ auth */

/* The name on the stack's top, behind those before it. [-0, +0, v] */
static void add_name(lua_State *L, pop3_connection *u) {
  pop3_span name;
  if (lua_type(L, -1) != LUA_TSTRING)
    pop3_option_error(L, METHOD, "auth",
                      "a mechanism's name or a list of names expected");
  name.data = lua_tolstring(L, -1, &name.size);
  if (pop3_way_find(name) == NULL)
    pop3_option_error(L, METHOD, "auth",
                      "no mechanism of ours: SCRAM-SHA-256, PLAIN, XOAUTH2, "
                      "EXTERNAL, APOP, USER and others are; authenticate() "
                      "does any by a function of yours");
  if (!pop3_octets_add(&u->tokens, name.data, name.size) ||
      !pop3_octets_add(&u->tokens, "\n", 1))
    luaL_error(L, "not enough memory");
}

/* A list is read as it is, without metamethods. [-0, +0, v] */
static void add_names(lua_State *L, pop3_connection *u) {
  int count = (int)compat_rawlen(L, -1);
  if (count == 0)
    pop3_option_error(L, METHOD, "auth", "the list of names is empty");
  for (int i = 1; i <= count; i++) {
    lua_rawgeti(L, -1, i);
    add_name(L, u);
    lua_pop(L, 1);
  }
}

/* [-0, +0, v] */
static void take_auth(lua_State *L, pop3_connection *u, int index,
                      pop3_request *request) {
  u->tokens.size = 0;
  lua_pushliteral(L, "auth");
  lua_rawget(L, index);
  if (lua_istable(L, -1)) add_names(L, u);
  else if (!lua_isnil(L, -1)) add_name(L, u);
  lua_pop(L, 1);
  request->auth.data = u->tokens.data;
  request->auth.size = u->tokens.size;
}

/* ------------------------------------------------------------ token */

/* The table holds what is borrowed. [-0, +0, v] */
static void take_token(lua_State *L, pop3_connection *u, int index,
                       bool secret_given, pop3_request *request) {
  pop3_span *token = &request->arguments[1];
  lua_pushliteral(L, "token");
  lua_rawget(L, index);
  request->token = !lua_isnil(L, -1);
  if (request->token && secret_given)
    pop3_option_error(L, METHOD, "token",
                      "a login has a password or a token, not both: pass nil "
                      "for the password");
  if (request->token && !pop3_take_secret(L, u, lua_gettop(L), token))
    pop3_option_error(L, METHOD, "token",
                      "string, function or pop3.secret expected");
  if (request->token && pop3_check_octets(*token, false) != POP3_E_OK)
    pop3_option_error(L, METHOD, "token", pop3_secret_reproach(*token));
  lua_pop(L, 1);
}

/* ------------------------------------------------------------ all of it */

/* Only EXTERNAL, ANONYMOUS and a token go without one. */
static bool needs_secret(const pop3_request *request) {
  pop3_span rest = request->auth, name;
  if (request->token) return false;
  if (rest.size == 0) return true;
  while (pop3_next_name(&rest, &name)) {
    if (!(pop3_way_find(name)->flags & POP3_SASL_NO_SECRET)) return true;
  }
  return false;
}

void pop3_take_login(lua_State *L, pop3_connection *u, int index,
                     pop3_login_given given, pop3_request *request) {
  if (index > 0) take_auth(L, u, index, request);
  if (index > 0) take_token(L, u, index, given.secret, request);
  if (!needs_secret(request)) return;
  if (!given.user)
    pop3_argument_error(L, METHOD, 1, "string expected, got nil");
  if (!given.secret)
    pop3_argument_error(L, METHOD, 2,
                        "string, function or pop3.secret expected, got nil");
}
