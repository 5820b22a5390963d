/*
 * main.c - the command `pop3` as one program: Lua, the module and all Lua files
 * are compiled in, and nothing is looked for on disks but CA certificates.
 */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>

#include "../pop3_lua.h"
#include "posix.h"

#define EX_SOFTWARE 70

/* The table `arg`, as the interpreter makes it. [-0, +0, m] */
static void set_arguments(lua_State *L, int count, char **words) {
  lua_createtable(L, count, 0);
  for (int i = 0; i < count; i++) {
    lua_pushstring(L, words[i]);
    lua_rawseti(L, -2, i);
  }
  lua_setglobal(L, "arg");
}

typedef struct words {
  int count;
  char **list;
} words;

/* -> the exit code [-1, +1, e] */
static int run(lua_State *L) {
  const words *w = lua_touserdata(L, 1);
  luaL_openlibs(L);
  pop3_preload(L);
  pop3_preload_posix(L);
  set_arguments(L, w->count, w->list);
  lua_getglobal(L, "require");
  lua_pushliteral(L, "pop3.cli");
  lua_call(L, 1, 1);
  lua_getfield(L, -1, "main");
  lua_getglobal(L, "arg");
  lua_call(L, 1, 1);
  return 1;
}

int main(int count, char **list) {
  words w = {count, list};
  int code = EX_SOFTWARE;
  lua_State *L = luaL_newstate();
  if (L == NULL) {
    (void)fputs("pop3: there is no memory\n", stderr);
    return EX_SOFTWARE;
  }
  lua_pushcfunction(L, run);
  lua_pushlightuserdata(L, &w);
  if (lua_pcall(L, 1, 1, 0) == 0) {
    code = (int)lua_tointeger(L, -1);
  } else {
    const char *reason = lua_tostring(L, -1);
    (void)fprintf(stderr, "pop3: %s\n", reason != NULL ? reason : "?");
  }
  lua_close(L);
  return code;
}
