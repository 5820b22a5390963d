/*
 * lua_capabilities.c - see lua_capabilities.h.
 */
#include "lua_capabilities.h"

#include <string.h>

/* ------------------------------------------------------------ words */

/* Names compare without case; capa() hands them out as they came, as poplib,
 * capabilities() in upper case. [-0, +1, m] */
static void push_name(lua_State *L, pop3_span name, bool fold) {
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  for (size_t i = 0; i < name.size; i++) {
    char c = name.data[i];
    luaL_addchar(&b, (char)(fold && c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c));
  }
  luaL_pushresult(&b);
}

/* From the first word to the last. */
static pop3_span trimmed(pop3_span rest) {
  pop3_span all = {NULL, 0};
  pop3_span word;
  while (pop3_next_word(&rest, &word)) {
    if (all.data == NULL) all.data = word.data;
    all.size = (size_t)(word.data + word.size - all.data);
  }
  return all;
}

/* ------------------------------------------------------------ typed fields */

/* All of these: the table is on top. [-0, +0, m] */

static void set_flag(lua_State *L, const char *field, pop3_span rest) {
  (void)rest;
  lua_pushboolean(L, 1);
  lua_setfield(L, -2, field);
}

/* The word USER: it is not the same for all users. */
static void set_user_flag(lua_State *L, const char *field, pop3_span rest) {
  pop3_span word;
  bool varies = pop3_next_word(&rest, &word) && pop3_word_is(word, "USER");
  lua_pushfstring(L, "%s_user", field);
  if (varies) {
    lua_pushboolean(L, 1);
  } else {
    lua_pushnil(L); /* an earlier line's */
  }
  lua_rawset(L, -3);
}

static void set_varying(lua_State *L, const char *field, pop3_span rest) {
  set_flag(L, field, rest);
  set_user_flag(L, field, rest);
}

static void set_number(lua_State *L, const char *field, pop3_span rest) {
  pop3_span word;
  long number;
  if (!pop3_next_word(&rest, &word) || !pop3_word_number(word, &number)) return;
  lua_pushinteger(L, (lua_Integer)number);
  lua_setfield(L, -2, field);
  set_user_flag(L, field, rest);
}

static void set_days(lua_State *L, const char *field, pop3_span rest) {
  pop3_span after = rest;
  pop3_span word;
  if (!pop3_next_word(&after, &word) || !pop3_word_is(word, "NEVER")) {
    set_number(L, field, rest);
    return;
  }
  lua_pushliteral(L, "never");
  lua_setfield(L, -2, field);
  set_user_flag(L, field, after);
}

static void set_text(lua_State *L, const char *field, pop3_span rest) {
  pop3_span text = trimmed(rest);
  if (text.size == 0) return;
  lua_pushlstring(L, text.data, text.size);
  lua_setfield(L, -2, field);
}

/* Several lines are one set. */
static void set_names(lua_State *L, const char *field, pop3_span rest) {
  pop3_span word;
  lua_getfield(L, -1, field);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, field);
  }
  while (pop3_next_word(&rest, &word)) {
    push_name(L, word, true);
    lua_pushboolean(L, 1);
    lua_rawset(L, -3);
  }
  lua_pop(L, 1);
}

static const struct {
  const char *name;
  const char *field;
  void (*set)(lua_State *, const char *, pop3_span);
} rows[] = {
    {"TOP", "top", set_flag},
    {"UIDL", "uidl", set_flag},
    {"USER", "user", set_flag},
    {"STLS", "stls", set_flag},
    {"PIPELINING", "pipelining", set_flag},
    {"RESP-CODES", "resp_codes", set_flag},
    {"AUTH-RESP-CODE", "auth_resp_code", set_flag},
    {"LANG", "lang", set_flag},
    {"UTF8", "utf8", set_varying},
    {"LOGIN-DELAY", "login_delay", set_number},
    {"EXPIRE", "expire", set_days},
    {"IMPLEMENTATION", "implementation", set_text},
    {"SASL", "sasl", set_names},
};

static void set_typed(lua_State *L, pop3_span name, pop3_span rest) {
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    if (!pop3_word_is(name, rows[i].name)) continue;
    rows[i].set(L, rows[i].field, rest);
    return;
  }
}

/* ------------------------------------------------------------ the table */

/* name = { arguments } [-0, +0, m] */
static void set_arguments(lua_State *L, pop3_span name, pop3_span rest,
                          bool fold) {
  pop3_span word;
  int count = 0;
  push_name(L, name, fold);
  lua_newtable(L);
  while (pop3_next_word(&rest, &word)) {
    lua_pushlstring(L, word.data, word.size);
    lua_rawseti(L, -2, ++count);
  }
  lua_rawset(L, -3);
}

void pop3_push_capabilities(lua_State *L, const pop3_caps *caps, bool typed) {
  pop3_span line, name;
  size_t at = 0;
  lua_newtable(L);
  while (pop3_caps_next(caps, &at, &line)) {
    pop3_next_word(&line, &name);
    set_arguments(L, name, line, typed);
    if (typed) set_typed(L, name, line);
  }
}

/* ------------------------------------------------------------ errors */

void pop3_add_delay(lua_State *L, const pop3_caps *caps) {
  static const char delayed[] = "LOGIN-DELAY";
  long seconds;
  if (!lua_istable(L, -1)) return; /* a lack of memory is Lua's own error */
  lua_getfield(L, -1, "code");
  bool asked = lua_type(L, -1) == LUA_TSTRING &&
               strcmp(lua_tostring(L, -1), delayed) == 0;
  lua_pop(L, 1);
  if (!asked || !pop3_caps_login_delay(caps, &seconds)) return;
  lua_pushinteger(L, (lua_Integer)seconds);
  lua_setfield(L, -2, "retry_after");
}
