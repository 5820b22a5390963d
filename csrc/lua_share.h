/*
 * lua_share.h - how much a connection may do before the others of its host have
 * their turn: octets received, and seconds.
 *
 * A connection that waits outside (an event loop's) has a share of its own. A
 * grant is one share for all connections of a Lua state: while it lasts, which
 * is as long as a task's step runs, every connection draws from it, however
 * many calls they make, and none waits in poll(2), whoever made it. Once it is
 * over, each turn asks to wait for nothing (see pop3_lua_turn). The first step
 * under a grant is made in any case, and receives something, so that a grant
 * too short to do anything still gets on.
 *
 * In the blocking mode there is no share: nobody else is there.
 */
#ifndef POP3_LUA_SHARE_H
#define POP3_LUA_SHARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lua_compat.h"

#pragma GCC visibility push(hidden)

/* The state's; it lives as long as the state. */
typedef struct pop3_grant {
  bool active;
  bool used;      /* something was done under it */
  uint64_t spent; /* octets under grants, ever */
  uint64_t limit; /* of `spent` */
  double until;   /* on pop3_now's clock */
} pop3_grant;

/* A connection's. */
typedef struct pop3_share {
  pop3_grant *grant;
  bool outside;  /* the host waits: the connection has a share of its own */
  size_t octets; /* left of it */
  double until;  /* when it ends; 0: not begun */
} pop3_share;

/* Make the state's grant, if it has none yet; it is not active. [-0, +0, m] */
void pop3_open_grant(lua_State *L);
pop3_grant *pop3_find_grant(lua_State *L); /* [-0, +0, -] */

/* Must the connection not wait by itself? */
bool pop3_share_waits_outside(const pop3_share *share);

/* Begin one, unless there is one: before anything is done. */
void pop3_share_begin(pop3_share *share, double now);

/* The others had their turn: the next one is new. */
void pop3_share_end(pop3_share *share);

/* Octets that may be received now: none when they are spent, what is here is
 * looked at all the same; in the blocking mode always some. */
size_t pop3_share_left(const pop3_share *share);

/*
 * The others are to have their turn. Who waits in a way of his own while a step
 * runs comes back in the same step, which does not end by that: he gets on, a
 * little each time.
 */
void pop3_share_pass(pop3_share *share);

/* A step was made, and it received so many. */
void pop3_share_spend(pop3_share *share, size_t octets);

/* Is it the others' turn: by the clock, or, once nothing is left to be looked
 * at, by the octets? */
bool pop3_share_is_over(const pop3_share *share, double now);
bool pop3_share_is_spent(const pop3_share *share);

/*
 * grant(octets, seconds) -> what regrant needs: the grant that is active now,
 * if there is one, is the upper limit of the new one. [-0, +n, v]
 */
int pop3_lua_grant(lua_State *L);

/* regrant(...): the grant is over, the one before it, less what was spent, goes
 * on. [-0, +0, v] */
int pop3_lua_regrant(lua_State *L);

#pragma GCC visibility pop

#endif
