/*
 * lua_session.h - TLS sessions for Lua: the option `session` and the method
 * session_export. What they are bound to is tls.h's matter.
 */
#ifndef POP3_LUA_SESSION_H
#define POP3_LUA_SESSION_H

#include "lua_connection.h"

#pragma GCC visibility push(hidden)

/*
 * Offer this session at the handshake of the connection at `index`, whose user
 * value keeps the string, at `string`, alive. TLS_CONFIG when it is not what
 * session_export gives. [-0, +0, m]
 */
pop3_error pop3_connection_use_session(lua_State *L, int index, int string,
                                       pop3_failure *failure);

/* session_export(connection) -> string, or nil when there is none to resume
 * (yet); raises for a lack of memory. [-0, +1, v] */
int pop3_lua_session_export(lua_State *L);

#pragma GCC visibility pop

#endif
