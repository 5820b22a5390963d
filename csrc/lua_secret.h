/*
 * lua_secret.h - pop3.secret{ fd= | path= | command= | env= }: a password that
 * never becomes a Lua string. It is read in C when it is needed and wiped
 * after use; Lua strings can be neither wiped nor kept from being copied.
 *
 *   fd       a descriptor, read to its end once and not closed
 *   path     a file
 *   command  run by /bin/sh; its standard output, if it exits with 0
 *   env      a variable of the environment
 *
 * One final line end (LF or CRLF) is stripped from fd, path and command.
 */
#ifndef POP3_LUA_SECRET_H
#define POP3_LUA_SECRET_H

#include <stddef.h>

#include <lua.h>

#include "errors.h"
#include "failure.h"
#include "memory.h"

#pragma GCC visibility push(hidden)

/* No password is longer; OAuth tokens have a few KiB. Octets. */
#define POP3_SECRET_MAX 65536

/* Create the metatable. [-0, +0, m] */
void pop3_open_secret(lua_State *L);

/* pop3.secret{...}: nothing is read yet; nil and an error object where the
 * policy refuses the source. [-0, +n, v] */
int pop3_lua_secret(lua_State *L);

/* Is the value at `index` a pop3.secret? [-0, +0, m] */
int pop3_test_secret(lua_State *L, int index);

/*
 * Read the secret at `index`, waiting for a command or descriptor to end. The
 * octets are the caller's, who frees them by pop3_secret_free. What is inside
 * is not judged here: the engine refuses CR, LF and NUL. [-0, +0, m]
 *
 * Errors: IO (source and reason, never content; a failed command's exit
 * status; an fd used twice; more than POP3_SECRET_MAX octets, or none),
 * MEMORY.
 */
pop3_error pop3_secret_read(lua_State *L, int index,
                            const pop3_allocator *allocator, char **octets,
                            size_t *size, size_t *capacity,
                            pop3_failure *failure);

/* Wipe and free. NULL is allowed. */
void pop3_secret_free(const pop3_allocator *allocator, char *octets,
                      size_t capacity);

#pragma GCC visibility pop

#endif
