/*
 * lua_compat.h - the only place that knows which Lua this is: 5.1 to 5.5 and
 * LuaJIT.
 */
#ifndef POP3_LUA_COMPAT_H
#define POP3_LUA_COMPAT_H

#include <stdint.h>
#include <stdio.h>

#include <lauxlib.h>
#include <limits.h>
#include <lua.h>
#include <lualib.h>

#if LUA_VERSION_NUM < 502

/* luaL_setfuncs without upvalues. [-0, +0, m] */
#define compat_setfuncs(L, functions) luaL_register(L, NULL, functions)

/* NULL unless the value at `index` is a userdata of `type`. [-0, +0, m] */
static inline void *compat_testudata(lua_State *L, int index,
                                     const char *type) {
  void *block = lua_touserdata(L, index);
  if (block == NULL || !lua_getmetatable(L, index)) return NULL;
  luaL_getmetatable(L, type);
  int same = lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  return same ? block : NULL;
}

/* A userdata's own table; in 5.1 its environment. [-0, +1, -] */
#define compat_getuservalue(L, index) lua_getfenv(L, index)
/* [-1, +0, -] */
#define compat_setuservalue(L, index) ((void)lua_setfenv(L, index))

#define compat_rawlen(L, index) lua_objlen(L, index)

#else

#define compat_setfuncs(L, functions) luaL_setfuncs(L, functions, 0)
#define compat_testudata(L, index, type) luaL_testudata(L, index, type)
#define compat_rawlen(L, index) ((size_t)lua_rawlen(L, index))

#if LUA_VERSION_NUM < 504
#define compat_getuservalue(L, index) ((void)lua_getuservalue(L, index))
#define compat_setuservalue(L, index) ((void)lua_setuservalue(L, index))
#else
#define compat_getuservalue(L, index) ((void)lua_getiuservalue(L, index, 1))
#define compat_setuservalue(L, index) ((void)lua_setiuservalue(L, index, 1))
#endif

#endif

/*
 * A string made of a block of `size` octets and a NUL, which was allocated by
 * the allocator and is Lua's now, copied or not. [-0, +1, m]
 */
#if LUA_VERSION_NUM >= 505
#define compat_has_external_strings 1
#define compat_pushexternal(L, block, size, resize, state) \
  ((void)lua_pushexternalstring(L, block, size, resize, state))
#else
#define compat_has_external_strings 0
#define compat_pushexternal(L, block, size, resize, state) \
  ((void)(resize), (void)(state), (void)lua_pushlstring(L, block, size))
#endif

/*
 * The stream of an open Lua file at `index`, or NULL for a closed one or for
 * anything else. [-0, +0, m]
 */
static inline FILE *compat_testfile(lua_State *L, int index) {
#if LUA_VERSION_NUM < 502
  FILE **file = compat_testudata(L, index, LUA_FILEHANDLE);
  return file != NULL ? *file : NULL;
#else
  luaL_Stream *stream = luaL_testudata(L, index, LUA_FILEHANDLE);
  return stream != NULL && stream->closef != NULL ? stream->f : NULL;
#endif
}

/*
 * Call `f`, which finds `pointer` as its light userdata at 1, under pcall: 0, or
 * what was raised is on the stack. Nothing is raised here. [-0, +(0|1), -]
 */
static inline int compat_protect(lua_State *L, lua_CFunction f, void *pointer) {
#if LUA_VERSION_NUM < 502
  return lua_cpcall(L, f, pointer); /* where a C function is an object */
#else
  lua_pushcfunction(L, f);
  lua_pushlightuserdata(L, pointer);
  return lua_pcall(L, 1, 0, 0);
#endif
}

/* Room for so many values more. From 5.2 on luaL_checkstack calls a lack of memory
 * a stack overflow. [-0, +0, m] */
static inline void compat_reserve(lua_State *L, int values) {
  if (!lua_checkstack(L, values)) (void)luaL_error(L, "not enough memory");
}

/* lua_load of text, never of precompiled code. [-0, +1, -] */
#if LUA_VERSION_NUM < 502
#define compat_load(L, reader, state, name) lua_load(L, reader, state, name)
#else
#define compat_load(L, reader, state, name) \
  lua_load(L, reader, state, name, "t")
#endif

/* Is the number at `index` an integer by type? Before 5.3 none is. */
#if LUA_VERSION_NUM < 503
#define compat_isinteger(L, index) 0
#else
#define compat_isinteger(L, index) lua_isinteger(L, index)
#endif

/*
 * A count: an integer where Lua has one that is large enough, which before 5.3
 * has as many bits as a pointer. [-0, +1, -]
 */
static inline void compat_pushcount(lua_State *L, uint64_t count) {
  lua_Integer whole = (lua_Integer)count;
  if (whole >= 0 && (uint64_t)whole == count) {
    lua_pushinteger(L, whole);
  } else {
    lua_pushnumber(L, (lua_Number)count);
  }
}

/*
 * Stop the collector if it is running, and say whether it was. Where Lua
 * cannot tell (PUC 5.1) it is left alone. [-0, +0, -]
 */
#ifdef LUA_GCISRUNNING
static inline int compat_stop_collector(lua_State *L) {
  if (!lua_gc(L, LUA_GCISRUNNING, 0)) return 0;
  lua_gc(L, LUA_GCSTOP, 0);
  return 1;
}
#else
#define compat_stop_collector(L) ((void)(L), 0)
#endif

/*
 * Let the collector do what `octets` more of its own would make it do. One that
 * was stopped stays so, except in PUC 5.1, which cannot tell and goes on.
 * Finalisers may run. [-0, +0, m]
 */
#if LUA_VERSION_NUM >= 505
static inline void compat_charge(lua_State *L, size_t octets) {
  if (!lua_gc(L, LUA_GCISRUNNING)) return;
  if (octets > 0) lua_gc(L, LUA_GCSTEP, octets); /* a size_t, in octets */
}
#else
static inline void compat_charge(lua_State *L, size_t octets) {
  size_t kibibytes = octets / 1024;
#ifdef LUA_GCISRUNNING
  if (!lua_gc(L, LUA_GCISRUNNING, 0)) return;
#endif
  if (kibibytes == 0) return; /* 0 would be a step of Lua's own size */
  lua_gc(L, LUA_GCSTEP, (int)(kibibytes < INT_MAX ? kibibytes : INT_MAX));
}
#endif

#endif
