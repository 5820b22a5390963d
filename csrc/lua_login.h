/*
 * lua_login.h - what login() is given: a user, a secret or a token, and which
 * ways in the caller asks for.
 */
#ifndef POP3_LUA_LOGIN_H
#define POP3_LUA_LOGIN_H

#include <stdbool.h>

#include "lua_connection.h"

#pragma GCC visibility push(hidden)

/*
 * The secret at `index`: the octets of a string, whose owner is the caller, or
 * of a pop3.secret, which is read now and the connection's until the operation
 * has ended. false: it is neither. Raises an error object where it cannot be
 * read. [-0, +0, v]
 */
bool pop3_take_secret(lua_State *L, pop3_connection *connection, int index,
                      pop3_span *octets);

/* What is wrong with a secret that holds CR, LF or NUL: most often the line end
 * of the file that it is from. */
const char *pop3_secret_reproach(pop3_span secret);

/*
 * The options `auth` and `token` of the table at `index`, whose copy it is, into
 * the request. `given` says whether there is a user, and a secret, as
 * arguments. Raises for names that nobody has, for a secret too many, or one
 * too few. [-0, +0, v]
 */
typedef struct pop3_login_given {
  bool user;
  bool secret;
} pop3_login_given;
void pop3_take_login(lua_State *L, pop3_connection *connection, int index,
                     pop3_login_given given, pop3_request *request);

#pragma GCC visibility pop

#endif
