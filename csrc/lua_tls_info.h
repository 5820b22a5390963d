/*
 * lua_tls_info.h - tls_info: what was agreed upon and who the peer is, as a
 * table. What is in it is tls_describe.h's matter.
 */
#ifndef POP3_LUA_TLS_INFO_H
#define POP3_LUA_TLS_INFO_H

#include "lua_compat.h"

#pragma GCC visibility push(hidden)

/* The metatable of what holds a certificate. [-0, +0, m] */
void pop3_open_tls_info(lua_State *L);

/* tls_info(connection) -> table; nil in clear, after the end, and where the
 * transport does TLS. Raises for a lack of memory. [-0, +1, v] */
int pop3_lua_tls_info(lua_State *L);

#pragma GCC visibility pop

#endif
