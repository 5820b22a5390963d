/*
 * lua_cache.h - capabilities remembered per server, in a table that the caller
 * keeps: a second connection need not ask before it pipelines.
 *
 * What was said in clear, by TLS, to whom it was verified and how, before and
 * after the login, by which proxy are entries of their own. Nothing about trust
 * comes from there: an STLS that is remembered is tried without asking, and one
 * that is not is asked for.
 */
#ifndef POP3_LUA_CACHE_H
#define POP3_LUA_CACHE_H

#include "lua_connection.h"

#pragma GCC visibility push(hidden)

/* Know what the cache knows; the connection's table is at `anchors`.
 * [-0, +0, m] */
void pop3_cache_recall(lua_State *L, pop3_connection *connection, int anchors);

/* Is there a cache? Does it lack what is said after a login? [-0, +0, m] */
bool pop3_cache_is_given(lua_State *L, int anchors);
bool pop3_cache_lacks_login(lua_State *L, pop3_connection *connection,
                            int anchors);

/* Let the cache know what we know. [-0, +0, m] */
void pop3_cache_remember(lua_State *L, pop3_connection *connection,
                         int anchors);

#pragma GCC visibility pop

#endif
