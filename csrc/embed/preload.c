/*
 * preload.c - pop3_preload, see pop3_lua.h. No part of the module pop3/core.so,
 * which finds its Lua files on disk.
 */
#include <string.h>

#include "../lua_compat.h"
#include "../pop3_lua.h"
#include "lua_files.h"

/* A lua_Reader: one line after the other. */
static const char *next_line(lua_State *L, void *state, size_t *size) {
  const char *const **line = state;
  (void)L;
  const char *text = **line;
  if (text == NULL) return NULL;
  (*line)++;
  *size = strlen(text);
  return text;
}

/* loader(module, ...) -> what the file returns [-0, +1, e] */
static int load_module(lua_State *L) {
  lua_Integer row = lua_tointeger(L, lua_upvalueindex(1));
  const pop3_lua_file *file = &pop3_lua_files[row];
  const char *const *line = file->lines;
  if (compat_load(L, next_line, &line, file->chunk) != 0) return lua_error(L);
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, 1);
  return 1;
}

/* By the registry: `package` may be hidden from scripts. [-0, +1, v] */
static void push_preload(lua_State *L) {
  lua_getfield(L, LUA_REGISTRYINDEX, "_LOADED");
  if (lua_istable(L, -1)) {
    lua_getfield(L, -1, LUA_LOADLIBNAME);
    if (lua_istable(L, -1)) lua_getfield(L, -1, "preload");
  }
  if (!lua_istable(L, -1))
    luaL_error(L, "pop3_preload: open the package library first");
}

int pop3_preload(lua_State *L) {
  int top = lua_gettop(L);
  luaL_checkstack(L, 5, NULL);
  push_preload(L);
  lua_pushcfunction(L, luaopen_pop3_core);
  lua_setfield(L, -2, "pop3.core");
  for (int row = 0; pop3_lua_files[row].module != NULL; row++) {
    lua_pushinteger(L, row);
    lua_pushcclosure(L, load_module, 1);
    lua_setfield(L, -2, pop3_lua_files[row].module);
  }
  lua_settop(L, top);
  return 0;
}
