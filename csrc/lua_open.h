/*
 * lua_open.h - what pop3.open needs of C: its options beside the constructors',
 * and whether a secret may be sent.
 */
#ifndef POP3_LUA_OPEN_H
#define POP3_LUA_OPEN_H

#include <stddef.h>

#include "lua_options.h"

#pragma GCC visibility push(hidden)

/* What these rows are read into; the face has what it needs already. */
typedef struct pop3_open_options {
  bool flag;
} pop3_open_options;

/* The options of pop3.open that no constructor has, so that each is known
 * where the others are read. */
extern const pop3_option pop3_open_option_rows[];
extern const size_t pop3_open_option_count;

/*
 * insecure(connection) -> an error object: why no secret may be sent by it;
 * nil: one may, because of TLS, because the peer's address is this host's, or
 * because of `allow_cleartext`. To be asked before anybody is asked for the
 * secret. [-0, +1, v]
 */
int pop3_lua_insecure(lua_State *L);

/* mechanisms() -> what login knows, strongest first: { name, token (true: its
 * secret is one), secret (false: it needs none) }, ... [-0, +1, m] */
int pop3_lua_mechanisms(lua_State *L);

/* is_mechanism(name) -> whether login() can be asked for it [-0, +1, v] */
int pop3_lua_is_mechanism(lua_State *L);

#pragma GCC visibility pop

#endif
