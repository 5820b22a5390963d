/*
 * lua_restrict.h - pop3.restrict{...}: the policy of a Lua state, for hosts
 * that run scripts which they do not trust. It is C data behind a key of the
 * registry, there from luaopen on, and set once: no function of this module
 * can change it afterwards, whoever calls it.
 */
#ifndef POP3_LUA_RESTRICT_H
#define POP3_LUA_RESTRICT_H

#include "lua_compat.h"
#include "policy.h"

#pragma GCC visibility push(hidden)

struct sockaddr;

/* The state's policy, if it has none yet. [-0, +0, m] */
void pop3_open_restrict(lua_State *L);

/* It lives as long as the state, finalisers at the state's end included.
 * [-0, +0, -] */
pop3_policy *pop3_policy_of(lua_State *L);

/* restrict(options) -> nothing, or an error object; wrong options raise.
 * [-0, +n, v] */
int pop3_lua_restrict(lua_State *L);

/*
 * admit(host, port) -> true, or nil and an error object. For hosts that resolve
 * names by themselves: there an address can be judged, and a name cannot.
 * [-0, +n, v]
 */
int pop3_lua_admit(lua_State *L);

/* As pop3_policy_permit, for the state. [-0, +0, -] */
pop3_error pop3_permit(lua_State *L, pop3_right right, const char *what,
                       pop3_failure *failure);

/* As pop3_policy_enter; at the limit what nobody holds is collected first.
 * Finalisers may run. [-0, +0, m] */
pop3_error pop3_enter(lua_State *L, pop3_counted counted,
                      pop3_failure *failure);

/* May the address be connected to? By the connection's on_address and the
 * host's, which are called here, and the policy. Raises nothing.
 * [-0, +0, -] */
pop3_error pop3_admit_address(lua_State *L, const void *connection,
                              const char *host, const struct sockaddr *address,
                              unsigned port, pop3_failure *failure);

/* The function, or nil, on top is that connection's on_address, which keeps it
 * alive. [-1, +0, m] */
void pop3_hook_addresses(lua_State *L, const void *connection);

/* What a proxy is asked for, by its address if it is one: others know where a
 * name leads. [-0, +0, -] */
pop3_error pop3_admit_target(lua_State *L, const char *host, size_t size,
                             unsigned port, pop3_failure *failure);

/* The same of a stream that is no socket of ours, before it is used: by its
 * name, and by its address if the name is one. [-0, +0, -] */
pop3_error pop3_admit_stream(lua_State *L, const char *host, size_t size,
                             unsigned port, pop3_failure *failure);

#pragma GCC visibility pop

#endif
