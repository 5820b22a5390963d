/*
 * pop3_lua.h - the Lua module for programs that have it linked in: nothing is
 * looked for on disks.
 *
 *   lua_State *L = luaL_newstate();
 *   luaL_openlibs(L);
 *   pop3_preload(L);
 *   luaL_dostring(L, "local pop3 = require 'pop3' ...");
 *
 * Any number of states, each used by one thread at a time; they share nothing
 * but the helper threads of jobs.h. For Lua 5.1 to 5.5 and LuaJIT: the program
 * has to be compiled with the headers of the Lua that it is linked with.
 */
#ifndef POP3_LUA_H
#define POP3_LUA_H

#pragma GCC visibility push(hidden)

struct lua_State;

/*
 * Let `require` find every module of this library ("pop3", "pop3.safe",
 * "pop3.core" ...), in package.preload; each is compiled when it is required
 * first. What was there under these names is replaced. Needs the state's
 * package library, and no other; the modules themselves use Lua's standard
 * libraries.
 *
 * Raises a Lua error for a lack of memory or a missing package library. It is
 * a lua_CFunction, too, for hosts that push it and use lua_pcall. Returns 0.
 * [-0, +0, v]
 */
int pop3_preload(struct lua_State *L);

#pragma GCC visibility pop

/* The C part, "pop3.core", as luaL_requiref takes it; the one name that the
 * module shows to the process that loads it. [-0, +1, v] */
#if defined(_WIN32)
__declspec(dllexport)
#elif defined(__GNUC__)
__attribute__((visibility("default")))
#endif
    int luaopen_pop3_core(struct lua_State *L);

#endif
