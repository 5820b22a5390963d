/*
 * lua_lists.h - options that are a string or a list: read as one string, whose
 * parts ';' separates.
 */
#ifndef POP3_LUA_LISTS_H
#define POP3_LUA_LISTS_H

#include <stdbool.h>

#include "lua_compat.h"

#pragma GCC visibility push(hidden)

/*
 * A string takes the place of the value on top: of the list's strings, each as
 * it is. With `records` an element may be a table, too, { 3, 1, 1, octets } or
 * { usage =, selector =, mtype =, data = octets }, which becomes "3 1 1 hex".
 * Raises for other values, as `key` of `method`, and for more than an option
 * may hold. [-0, +0, v]
 */
void pop3_join_list(lua_State *L, const char *method, const char *key,
                    bool records);

#pragma GCC visibility pop

#endif
