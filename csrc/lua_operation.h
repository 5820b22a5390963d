/*
 * lua_operation.h - what a method is, for lua/pop3.lua: begin starts it, turn
 * carries it on and is the only function that waits (in poll(2), and no longer
 * than to the next signal).
 */
#ifndef POP3_LUA_OPERATION_H
#define POP3_LUA_OPERATION_H

#include "lua_connection.h"

#pragma GCC visibility push(hidden)

/* The connection is being opened: turn it. */
void pop3_operation_opened(pop3_connection *connection);

/*
 * begin(connection, method, arguments ...) -> nil, or the error object; wrong
 * arguments raise. [-0, +n, v]
 */
int pop3_lua_begin(lua_State *L);

/*
 * turn(connection) -> "done", results ... | "failed", error object |
 * "trace", text, function or nil | "again", octets of the body so far: let Lua
 * run (a signal may have arrived), then call once more. [-0, +n, v]
 */
int pop3_lua_turn(lua_State *L);

/* trace(connection, level[, function]) [-0, +0, v] */
int pop3_lua_trace(lua_State *L);

/* The names of all methods that begin knows, as a list. [-0, +1, m] */
void pop3_push_methods(lua_State *L);

#pragma GCC visibility pop

#endif
