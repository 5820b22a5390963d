/*
 * lua_carrier.h - connections over a stream of the host's, in Lua: what turn
 * asks it to do, and how it tells what came of it. The host's functions are
 * called by the face, never from C: they may yield or raise.
 */
#ifndef POP3_LUA_CARRIER_H
#define POP3_LUA_CARRIER_H

#include "lua_connection.h"

#pragma GCC visibility push(hidden)

/*
 * Words of turn, for WAIT in a carried connection [-0, +n, m]:
 *   "connect", connector, host, port, deadline
 *   "secure", transport, host, deadline
 *   "send", transport, octets, deadline
 *   "receive", transport, octets at most, deadline; 0: what is there
 */
int pop3_push_carriage(lua_State *L, pop3_connection *connection);

/* "hangup", transport, once it is over; else nothing. [-0, +n, m] */
int pop3_push_hangup(lua_State *L, pop3_connection *connection);

/*
 * carried(connection, transport) -> true, or false if the connection was closed
 *     meanwhile; carried(connection, nil, reason[, detail])
 * secured(connection, true) or secured(connection, nil, reason[, detail])
 * sent(connection, true or count), or sent(connection, nil, reason[, count])
 * received(connection, octets), or received(connection, nil, reason[, octets])
 * A host that says anything else gets an error for its user: "io".
 * [-0, +n, v]
 */
int pop3_lua_carried(lua_State *L);
int pop3_lua_secured(lua_State *L);
int pop3_lua_sent(lua_State *L);
int pop3_lua_received(lua_State *L);

/* where(value) -> what knows whether the caller may use it here, if it is an
 * open connection: its stream, or the loop that it waits in; nil: anybody may.
 * [-0, +1, -] */
int pop3_lua_where(lua_State *L);

/* takes_files(connection) -> may its messages go into files? [-0, +1, v] */
int pop3_lua_takes_files(lua_State *L);

/* misplaced(text) -> the error object of a call that the host's place does not
 * allow. [-0, +1, v] */
int pop3_lua_misplaced(lua_State *L);

#pragma GCC visibility pop

#endif
