/*
 * lua_context.h - pop3.context{...}: a TLS context as a userdata, and the
 * contexts that option tables stand for, one for each set of options.
 */
#ifndef POP3_LUA_CONTEXT_H
#define POP3_LUA_CONTEXT_H

#include "lua_options.h"
#include "tls.h"

#pragma GCC visibility push(hidden)

/* The rows of pop3_tls_options. */
extern const pop3_option pop3_tls_option_rows[];
extern const size_t pop3_tls_option_count;

/* Create the metatable. [-0, +0, m] */
void pop3_open_context(lua_State *L);

/* context([options]) -> context, or nil and an error object. Always reads the
 * files anew, and what it makes takes the place of the one that option tables
 * shared before: so a renewed certificate is taken up. [-0, +n, v] */
int pop3_lua_context(lua_State *L);

/* The context of the userdata at `index`, or NULL; the userdata keeps it
 * alive. [-0, +0, m] */
pop3_tls_context *pop3_test_context(lua_State *L, int index);

/*
 * The context of these options, made once for each set of them in a state, so
 * that trust is loaded once; left on the stack's top, which keeps it alive
 * until somebody retains it. At most 16 sets are remembered. Options with a
 * passphrase are made anew each time, for the passphrase is not kept. NULL
 * and a failure, and nil on the stack. [-0, +1, m]
 */
pop3_tls_context *pop3_lua_context_for(lua_State *L,
                                       const pop3_tls_options *options,
                                       pop3_failure *failure);

#pragma GCC visibility pop

#endif
