/*
 * lua_error.h - failures as Lua error objects.
 *
 * A table with the fields kind, name, class (pop3.error_proto or nil), code,
 * response, retryable, errno, message, and retry_after where a caller adds it;
 * its metatable is shared, and tostring gives `message`, in which control
 * characters of the server's are escaped.
 */
#ifndef POP3_LUA_ERROR_H
#define POP3_LUA_ERROR_H

#include "failure.h"
#include "lua_compat.h"

#pragma GCC visibility push(hidden)

/* Prepare the metatable and the class. [-0, +0, m] */
void pop3_open_errors(lua_State *L);

/* pop3.error_proto. [-0, +1, -] */
void pop3_push_error_class(lua_State *L);

/* The error object of `failure`; for a lack of memory, Lua's own message.
 * Returns 1. [-0, +1, m] */
int pop3_push_error(lua_State *L, const pop3_failure *failure);

/* Is the value at `index` such an object? [-0, +0, m] */
int pop3_test_error(lua_State *L, int index);

/* `text` with control characters escaped. [-0, +1, m] */
void pop3_push_escaped(lua_State *L, const char *text, size_t size);

#pragma GCC visibility pop

#endif
