/*
 * lua_share.c - see lua_share.h.
 *
 * Octets spent are counted on and on, and a grant ends at a count: one inside
 * another needs no settling between them.
 */
#include "lua_share.h"

#include <string.h>

#include "conn.h"

/* How long the others of a host that waits are kept waiting, seconds, while
 * octets are always there; and how many octets. A request that comes in needs
 * two turns in nginx, to be accepted and to be read: half a millisecond each,
 * and what cannot be divided, keeps 99 of 100 under two. */
#define SHARE_SECONDS 0.0005
#define SHARE_OCTETS POP3_STEP_OCTETS

/* Nothing new is begun in the last part of a grant, seconds: what cannot be
 * divided, a certificate's check before all, takes as long. At most a half. */
#define LAST_PART 0.0005

/* More than any step receives, and exact as a number of any Lua. */
#define MOST_GRANTED 9007199254740992.0

/* The state's grant; its address is the key in the registry. */
static const char grant_key = 0;

/* A module that is opened again finds the grant that connections point at. */
void pop3_open_grant(lua_State *L) {
  if (pop3_find_grant(L) != NULL) return;
  lua_pushlightuserdata(L, (void *)(size_t)&grant_key);
  pop3_grant *grant = lua_newuserdata(L, sizeof *grant);
  memset(grant, 0, sizeof *grant);
  lua_rawset(L, LUA_REGISTRYINDEX);
}

pop3_grant *pop3_find_grant(lua_State *L) {
  lua_pushlightuserdata(L, (void *)(size_t)&grant_key);
  lua_rawget(L, LUA_REGISTRYINDEX);
  pop3_grant *grant = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return grant;
}

/* ------------------------------------------------------------ a connection's */

bool pop3_share_waits_outside(const pop3_share *s) {
  return s->outside || s->grant->active;
}

void pop3_share_begin(pop3_share *s, double now) {
  if (s->until > 0) return;
  s->until = now + SHARE_SECONDS;
  s->octets = SHARE_OCTETS;
}

void pop3_share_end(pop3_share *s) { s->until = 0; }

void pop3_share_pass(pop3_share *s) {
  if (s->outside) s->grant->used = false;
}

/* As much as any step receives, at most. */
static size_t granted(const pop3_grant *g) {
  uint64_t left = g->limit > g->spent ? g->limit - g->spent : 0;
  if (left == 0 && !g->used) return 1;
  return left < SHARE_OCTETS ? (size_t)left : SHARE_OCTETS;
}

size_t pop3_share_left(const pop3_share *s) {
  if (s->grant->active) return granted(s->grant);
  return s->outside ? s->octets : SHARE_OCTETS;
}

void pop3_share_spend(pop3_share *s, size_t octets) {
  s->octets -= octets < s->octets ? octets : s->octets;
  if (!s->grant->active) return;
  s->grant->spent += octets;
  s->grant->used = true;
}

bool pop3_share_is_over(const pop3_share *s, double now) {
  const pop3_grant *g = s->grant;
  if (g->active) return g->used && now >= g->until;
  return s->outside && now >= s->until;
}

bool pop3_share_is_spent(const pop3_share *s) {
  return pop3_share_left(s) == 0;
}

/* ------------------------------------------------------------ the state's */

static uint64_t whole(lua_Number n) {
  return n < MOST_GRANTED ? (uint64_t)n : (uint64_t)MOST_GRANTED;
}

static double last_start(double seconds) {
  return seconds > 2 * LAST_PART ? seconds - LAST_PART : seconds / 2;
}

int pop3_lua_grant(lua_State *L) {
  lua_Number octets = luaL_checknumber(L, 1);
  lua_Number seconds = luaL_checknumber(L, 2);
  luaL_argcheck(L, octets >= 0, 1, "octets expected");
  luaL_argcheck(L, seconds >= 0, 2, "seconds expected");
  pop3_grant *g = pop3_find_grant(L);
  pop3_grant outer = *g;
  g->limit = g->spent + whole(octets);
  g->until = pop3_now() + last_start((double)seconds);
  g->used = false;
  g->active = true;
  if (!outer.active) return 0;
  if (outer.limit < g->limit) g->limit = outer.limit;
  if (outer.until < g->until) g->until = outer.until;
  lua_pushnumber(L, (lua_Number)outer.limit);
  lua_pushnumber(L, (lua_Number)outer.until);
  return 2;
}

int pop3_lua_regrant(lua_State *L) {
  pop3_grant *g = pop3_find_grant(L);
  g->active = !lua_isnoneornil(L, 1);
  if (!g->active) return 0;
  g->limit = whole(luaL_checknumber(L, 1));
  g->until = (double)luaL_checknumber(L, 2);
  g->used = true; /* the step inside was something */
  return 0;
}
