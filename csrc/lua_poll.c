/*
 * lua_poll.c - poll(2) for loops written in Lua: the default loop's and any
 * host's that has none of its own.
 */
#define _GNU_SOURCE
#include <limits.h>
#include <stdbool.h>
#include <string.h>

#include "conn.h"
#include "lua_error.h"
#include "lua_operation.h"
#include "lua_restrict.h"
#include "platform.h"

/* A signal just before poll does not end it: time to look, seconds. */
#define LONGEST_POLL 1.0

static bool is_descriptor(lua_State *L, int index) {
  lua_Number n = lua_tonumber(L, index);
  return lua_isnumber(L, index) && n >= 0 && n <= INT_MAX;
}

/* The interest at `index` of the list, as poll wants it. [-0, +0, v] */
static struct pollfd check_interest(lua_State *L, int index) {
  struct pollfd p = {.events = 0};
  lua_rawgeti(L, 1, index);
  luaL_argcheck(L, lua_istable(L, -1), 1, "a list of {fd, \"r\" | \"w\"}");
  lua_rawgeti(L, -1, 1);
  lua_rawgeti(L, -2, 2);
  luaL_argcheck(L, is_descriptor(L, -2) && lua_type(L, -1) == LUA_TSTRING, 1,
                "a list of {fd, \"r\" | \"w\"}");
  const char *mode = lua_tostring(L, -1);
  p.fd = (pop3_os_fd)lua_tonumber(L, -2);
  p.events = (short)((strchr(mode, 'r') != NULL ? POLLIN : 0) |
                     (strchr(mode, 'w') != NULL ? POLLOUT : 0));
  lua_pop(L, 3);
  return p;
}

static int milliseconds(lua_Number seconds) {
  if (!(seconds > 0)) return 0;
  if (seconds > LONGEST_POLL) seconds = LONGEST_POLL;
  return (int)(seconds * 1000) + 1; /* never too early */
}

static void permit(lua_State *L) {
  pop3_failure failure;
  if (pop3_permit(L, POP3_RIGHT_FDS, "poll", &failure) == POP3_E_OK) return;
  pop3_push_error(L, &failure);
  lua_error(L);
}

/* More than any process may have: its list is a slip, or an attack. */
#define MOST_DESCRIPTORS 1048576

int pop3_lua_poll(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  int timeout = milliseconds(luaL_checknumber(L, 2));
  luaL_argcheck(L, compat_rawlen(L, 1) <= MOST_DESCRIPTORS, 1,
                "too many of them");
  int count = (int)compat_rawlen(L, 1);
  int ready = 0;
  if (count > 0) permit(L);
  struct pollfd *fds = lua_newuserdata(L, sizeof *fds * ((size_t)count + 1));
  for (int i = 0; i < count; i++) fds[i] = check_interest(L, i + 1);
  lua_newtable(L);
  if (pop3_os_poll(fds, (size_t)count, timeout) <= 0) return 1;
  for (int i = 0; i < count; i++) {
    if (fds[i].revents == 0) continue;
    lua_pushinteger(L, i + 1);
    lua_rawseti(L, -2, ++ready);
  }
  return 1;
}
