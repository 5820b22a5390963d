/*
 * lua_capabilities.h - what CAPA said, as Lua values: poplib's table for
 * capa(), the same with typed fields for capabilities(), and what of it belongs
 * into an error.
 */
#ifndef POP3_LUA_CAPABILITIES_H
#define POP3_LUA_CAPABILITIES_H

#include <stdbool.h>

#include "caps.h"
#include "lua_compat.h"

#pragma GCC visibility push(hidden)

/*
 * name -> list of arguments, as they came; of several lines the last one.
 * With `typed` the names are in upper case, and beside them are fields in lower
 * case, which no name can be: what the standards say that the arguments mean
 * (RFC 2449 6, RFC 2595, RFC 3206, RFC 6856). Arguments that mean nothing leave
 * their field alone. [-0, +1, m]
 */
void pop3_push_capabilities(lua_State *L, const pop3_caps *caps, bool typed);

/* Give the error object on the top, of the code LOGIN-DELAY, its field
 * `retry_after`, where `caps` say how long the delay is. [-0, +0, m] */
void pop3_add_delay(lua_State *L, const pop3_caps *caps);

#pragma GCC visibility pop

#endif
