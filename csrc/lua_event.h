/*
 * lua_event.h - what an event of the connection becomes: a value in its table,
 * a string for Lua, octets in a file.
 */
#ifndef POP3_LUA_EVENT_H
#define POP3_LUA_EVENT_H

#include "lua_connection.h"

#pragma GCC visibility push(hidden)

/* A new operation counts from 0. */
void pop3_events_begin(pop3_connection *connection);

/* Take the event of the last step. The words of turn for the face, or 0 if it
 * concerns nobody yet. [-0, +n, m] */
int pop3_take_event(lua_State *L, pop3_connection *connection);

/*
 * Go on with what an event has begun: a file that took only a part. 0 when it
 * is done, or the words of turn; *blocked is what to wait for, fd -1 if there
 * is nothing. [-0, +n, m]
 */
int pop3_continue_event(lua_State *L, pop3_connection *connection,
                        pop3_interest *blocked);

/* Lines that were collected and not handed out, as the words of turn, or 0.
 * [-0, +n, m] */
int pop3_flush_lines(lua_State *L, pop3_connection *connection);

/* The call ends so; what is in flight is read out and thrown away. */
void pop3_condemn(pop3_connection *connection, const pop3_failure *failure);

#pragma GCC visibility pop

#endif
