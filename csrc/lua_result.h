/*
 * lua_result.h - what a method returns, made of what its events left behind in
 * the connection's table (lua_connection.h).
 */
#ifndef POP3_LUA_RESULT_H
#define POP3_LUA_RESULT_H

#include "lua_connection.h"

#pragma GCC visibility push(hidden)

/* Fixed places on turn's stack. */
enum { POP3_AT_SELF = 1, POP3_AT_ANCHORS = 2, POP3_AT_LINES = 3 };

/* The method's results, and how many; 0 and a failure when the server's words
 * make none. [-0, +n, m] */
int pop3_push_results(lua_State *L, pop3_connection *connection,
                      pop3_failure *failure);

/* The two numbers of STAT's status line, which is on the top; 0 and a failure
 * for a malformed one. [-1, +n, m] */
int pop3_push_stat(lua_State *L, pop3_failure *failure);

#pragma GCC visibility pop

#endif
