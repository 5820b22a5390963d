/*
 * starve.c - makes the running Lua's allocator say no, for starve.lua.
 *
 *   start(n, times)   the n-th allocation from now on fails, and the ones that
 *                     follow it at once, `times` in all (5.4 collects garbage
 *                     and tries again)
 *   stop() -> count   how many allocations there were, whether one failed
 */
#include <lauxlib.h>
#include <lua.h>

static lua_Alloc original;
static void *original_state;
static long left, times, count;
static int failed;

static int refuses(void) {
  count++;
  if (left > 0) left--;
  if (left > 0 || times == 0) return 0;
  times--;
  failed = 1;
  return 1;
}

static void *allocate(void *state, void *block, size_t old, size_t size) {
  (void)state;
  int more = size > 0 && (block == NULL || size > old);
  if (more && refuses()) return NULL;
  return original(original_state, block, old, size);
}

static int start(lua_State *L) {
  left = (long)luaL_checkinteger(L, 1);
  times = (long)luaL_checkinteger(L, 2);
  count = 0;
  failed = 0;
  original = lua_getallocf(L, &original_state);
  lua_setallocf(L, allocate, NULL);
  return 0;
}

static int stop(lua_State *L) {
  lua_setallocf(L, original, original_state);
  lua_pushinteger(L, (lua_Integer)count);
  lua_pushboolean(L, failed);
  return 2;
}

int luaopen_starve(lua_State *L);
int luaopen_starve(lua_State *L) {
  lua_createtable(L, 0, 2);
  lua_pushcfunction(L, start);
  lua_setfield(L, -2, "start");
  lua_pushcfunction(L, stop);
  lua_setfield(L, -2, "stop");
  return 1;
}
