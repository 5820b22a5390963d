/*
 * lua_operation.h - what a method is, for lua/pop3.lua: begin starts it, turn
 * carries it on. Unless the host waits, turn is the only function that does
 * (in poll(2), and no longer than to the next signal).
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
 * turn(connection) ->
 *   "done", results ...
 *   "failed", error object
 *   "trace", text, function or nil
 *   "again", octets of the message so far, octets announced or nil: let Lua
 *       run (a signal may have arrived)
 *   "wait", function, { {fd, "r" | "w" | "rw"} ... }, deadline: wait outside;
 *       for nothing, by a deadline that is over: let others have their turn
 *   "connect", "secure", "send", "receive", "hangup": see lua_carrier.h
 *   "chunk", string: a piece of the message, for the sink
 *   "lines", table, count: lines of the message, for the iterator
 *   "open": a message begins; of many, deliver() says where it goes
 *   "item", value, digest or nil: one of many is complete
 *   "refused", error object: one of many was refused
 *   "challenge", string: of SASL, decoded; answer() it
 * Call it again until it says "done" or "failed". [-0, +n, v]
 */
int pop3_lua_turn(lua_State *L);

/* deliver(connection, sink): where this one of many goes; nil: nowhere.
 * [-0, +0, v] */
int pop3_lua_deliver(lua_State *L);

/* answer(connection, response, reason): to the challenge that a turn handed
 * out; nil cancels the exchange, for that reason. The next turn says what comes
 * of it. [-0, +0, v] */
int pop3_lua_answer(lua_State *L);

/*
 * cancel(connection, reason or nil): end the running call as "aborted". What is
 * in flight is read out, if it is not too much; else the connection ends.
 * [-0, +0, v]
 */
int pop3_lua_cancel(lua_State *L);

/* aborted(reason or nil) -> the error object of a receiver's refusal.
 * [-0, +1, v] */
int pop3_lua_aborted(lua_State *L);

/* trace(connection, level[, function]) -> nothing, or an error object
 * [-0, +n, v] */
int pop3_lua_trace(lua_State *L);

/* poll(interests, seconds) -> list of those that are ready, by their places.
 * May end early, at a signal or after a second. Raises an error object where
 * the policy refuses descriptors; without interests it only waits.
 * [-0, +1, v] */
int pop3_lua_poll(lua_State *L);

#pragma GCC visibility pop

#endif
