/*
 * embed.c - a program with Lua and the module pop3 inside: one file to ship, no
 * package.path. The script gets at most 16 MiB, what the module needs included.
 *
 *   scripts/amalgamate
 *   cc -Ibuild/amalgamation -I/usr/include/lua5.4 examples/embed.c
 *      build/amalgamation/pop3.c -llua5.4 -lssl -lcrypto -lpthread -ldl -lm
 *   ./a.out HOST PORT USER [CAFILE] < file-with-the-password
 */
#include <stdio.h>
#include <stdlib.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "pop3.h"

#define LARGEST_SCRIPT ((size_t)16 << 20)

static const char script[] =
    "local host, port, user, cafile = ...\n"
    "local pop3 = require 'pop3'\n"
    "local M = pop3.POP3_SSL(host, tonumber(port), { cafile = cafile })\n"
    "M:login(user, pop3.secret { fd = 0 })\n"
    "local count, octets = M:stat()\n"
    "print(count .. ' mails, ' .. octets .. ' octets')\n"
    "for number = 1, count do\n"
    "  local head = M:retr_string(number, { top = 0 })\n"
    "  print(number, head:match('Subject: ([^\\r\\n]*)') or '(no subject)')\n"
    "end\n"
    "M:quit()\n";

/* ------------------------------------------------------------ memory */

/* A lua_Alloc that says no when the state has enough. */
static void *allocate(void *used, void *block, size_t old, size_t size) {
  size_t *total = used;
  if (block == NULL) old = 0; /* Lua tells what it is for */
  if (size > old && size - old > LARGEST_SCRIPT - *total) return NULL;
  void *moved = size > 0 ? realloc(block, size) : (free(block), NULL);
  if (moved != NULL || size == 0) *total += size - old;
  return moved;
}

static lua_State *new_state(size_t *total) {
#if LUA_VERSION_NUM >= 505
  return lua_newstate(allocate, total, luaL_makeseed(NULL));
#else
  return lua_newstate(allocate, total);
#endif
}

/* ------------------------------------------------------------ the script */

/* Called by lua_pcall, because a lack of memory raises an error even here. */
static int run(lua_State *L) {
  int count = lua_gettop(L);
  luaL_openlibs(L);
  pop3_preload(L);
  if (luaL_loadbuffer(L, script, sizeof script - 1, "=script") != 0)
    return lua_error(L);
  lua_insert(L, 1);
  lua_call(L, count, 0);
  return 0;
}

/* An error object of pop3 is a table whose tostring explains it. */
static void complain(lua_State *L) {
  lua_getglobal(L, "tostring");
  lua_insert(L, -2);
  const char *text = NULL;
  if (lua_pcall(L, 1, 1, 0) == 0) text = lua_tostring(L, -1);
  fprintf(stderr, "embed: %s\n", text != NULL ? text : "an error without text");
}

int main(int count, char **arguments) {
  size_t used = 0;
  if (count < 4 || count > 5) {
    fputs("usage: embed HOST PORT USER [CAFILE] < password\n", stderr);
    return 64;
  }
  lua_State *L = new_state(&used);
  if (L == NULL) return 70;
  lua_pushcfunction(L, run);
  for (int i = 1; i < count; i++) lua_pushstring(L, arguments[i]);
  int failed = lua_pcall(L, count - 1, 0, 0);
  if (failed) complain(L);
  lua_close(L);
  if (used != 0) fputs("embed: not all memory came back\n", stderr);
  return failed || used != 0;
}
