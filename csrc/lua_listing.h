/*
 * lua_listing.h - listings (listing.h) as userdata: what LIST and UIDL said,
 * with strings made only for what is looked at.
 *
 * A listing's octets come from the state's allocator, so that a host's memory
 * limit holds, and are freed with the userdata.
 */
#ifndef POP3_LUA_LISTING_H
#define POP3_LUA_LISTING_H

#include "listing.h"
#include "lua_compat.h"

#pragma GCC visibility push(hidden)

/* Create the metatable. [-0, +0, m] */
void pop3_open_listing(lua_State *L);

/*
 * An empty listing on the stack's top, which owns what is returned: fill it
 * with pop3_listing_add_list and _uidl while it is anchored, then call
 * pop3_finish_listing. Nothing else may be done with it before. [-0, +1, m]
 */
pop3_listing *pop3_push_listing(lua_State *L);

/* pop3_listing_finish, and the collector hears of the octets that it did not
 * see, so that it runs as often as if they were its own: finalisers may run
 * here. Errors: MEMORY, ITEMS. [-0, +0, m] */
pop3_error pop3_finish_listing(lua_State *L, pop3_listing *listing);

/* The listing of the userdata at `index`, or NULL. [-0, +0, m] */
pop3_listing *pop3_test_listing(lua_State *L, int index);

/* listing([list_lines[, uidl_lines]]) -> a listing of lines as list() and
 * uidl() return them. [-0, +1, v] */
int pop3_lua_listing(lua_State *L);

#pragma GCC visibility pop

#endif
