/*
 * lua_lists.c - see lua_lists.h.
 */
#include "lua_lists.h"

#include <stddef.h>
#include <string.h>

#include "lua_options.h"

/* The element that is wrong is on top. [-0, +0, v] */
static int refuse(lua_State *L, const char *method, const char *key,
                  bool records) {
  lua_pushfstring(L, "string or list of strings%s expected, got %s in the list",
                  records ? " or records" : "", luaL_typename(L, -1));
  return pop3_option_error(L, method, key, lua_tostring(L, -1));
}

static int refuse_record(lua_State *L, const char *method, const char *key) {
  return pop3_option_error(
      L, method, key,
      "a record is { usage, selector, matching type, octets }, the first three "
      "whole numbers of 0 to 255");
}

/* A field of the record on top, by place or by name. [-0, +1, v] */
static void push_field(lua_State *L, int place, const char *name) {
  lua_rawgeti(L, -1, place);
  if (!lua_isnil(L, -1)) return;
  lua_pop(L, 1);
  lua_pushstring(L, name);
  lua_rawget(L, -2);
}

static unsigned char read_octet(lua_State *L, const char *method,
                                const char *key, int place, const char *name) {
  push_field(L, place, name);
  lua_Number n = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : -1;
  if (!(n >= 0 && n <= 255) || n != (lua_Number)(int)n)
    refuse_record(L, method, key);
  lua_pop(L, 1);
  return (unsigned char)n;
}

/* "3 1 1 hex" in place of the table on top. [-0, +0, v] */
static void write_record(lua_State *L, const char *method, const char *key) {
  static const char digits[] = "0123456789abcdef";
  luaL_Buffer b;
  size_t size;
  char head[16];
  unsigned char usage = read_octet(L, method, key, 1, "usage");
  unsigned char selector = read_octet(L, method, key, 2, "selector");
  unsigned char type = read_octet(L, method, key, 3, "mtype");
  (void)snprintf(head, sizeof head, "%d %d %d ", usage, selector, type);
  push_field(L, 4, "data");
  if (lua_type(L, -1) != LUA_TSTRING) refuse_record(L, method, key);
  const char *octets = lua_tolstring(L, -1, &size);
  if (size > POP3_MOST_OPTION / 2) refuse_record(L, method, key);
  luaL_buffinit(L, &b);
  luaL_addstring(&b, head);
  for (size_t i = 0; i < size; i++) {
    luaL_addchar(&b, digits[(unsigned char)octets[i] >> 4]);
    luaL_addchar(&b, digits[(unsigned char)octets[i] & 15]);
  }
  luaL_pushresult(&b);
  lua_replace(L, -3);
  lua_pop(L, 1);
}

/* The element as a string. [-0, +0, v] */
static size_t write_element(lua_State *L, const char *method, const char *key,
                            bool records) {
  size_t size;
  if (records && lua_istable(L, -1)) write_record(L, method, key);
  if (lua_type(L, -1) != LUA_TSTRING) refuse(L, method, key, records);
  (void)lua_tolstring(L, -1, &size);
  return size + 1;
}

void pop3_join_list(lua_State *L, const char *method, const char *key,
                    bool records) {
  luaL_Buffer b;
  size_t total = 0, count;
  int list = lua_gettop(L);
  if (!lua_istable(L, list)) return;
  count = compat_rawlen(L, list);
  if (count == 0) pop3_option_error(L, method, key, "the list is empty");
  /* in 5.1 a buffer keeps up to LUA_MINSTACK / 2 pieces there: this one, and a
   * record's inside of it */
  compat_reserve(L, 2 * LUA_MINSTACK);
  luaL_buffinit(L, &b);
  for (size_t i = 1; i <= count; i++) {
    lua_rawgeti(L, list, (int)i);
    total += write_element(L, method, key, records);
    if (total > POP3_MOST_OPTION)
      pop3_option_error(L, method, key, "more than 64 KiB");
    luaL_addvalue(&b);
    if (i < count) luaL_addchar(&b, ';');
  }
  luaL_pushresult(&b);
  lua_replace(L, list);
}
