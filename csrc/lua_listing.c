/*
 * lua_listing.c - see lua_listing.h.
 *
 * A finaliser that was called by hand leaves an empty listing, not a broken
 * one: places in it are compared with its count before they are used.
 */
#include "lua_listing.h"

#include <string.h>

#include "crypto.h"
#include "lua_options.h"

#define LISTING_TYPE "pop3.listing"

typedef struct listing_userdata {
  pop3_listing listing;
  size_t held; /* octets, all of the state's allocator */
  lua_Alloc resize;
  void *state;
} listing_userdata;

/* The state's allocator, counting: userdata never move. */
static void *resize_counted(void *state, void *block, size_t old, size_t size) {
  listing_userdata *u = state;
  void *resized = u->resize(u->state, block, old, size);
  if (resized != NULL || size == 0) u->held += size - (block ? old : 0);
  return resized;
}

static listing_userdata *test_userdata(lua_State *L, int index) {
  return compat_testudata(L, index, LISTING_TYPE);
}

pop3_listing *pop3_test_listing(lua_State *L, int index) {
  listing_userdata *u = test_userdata(L, index);
  return u != NULL ? &u->listing : NULL;
}

/* The receiver of `method`. [-0, +0, v] */
static pop3_listing *check_self(lua_State *L, const char *method) {
  pop3_listing *l = pop3_test_listing(L, 1);
  if (l == NULL)
    luaL_error(L,
               "bad self to '%s' (pop3 listing expected, got %s: call it with "
               "a colon)",
               method, luaL_typename(L, 1));
  return l;
}

static int wrong_argument(lua_State *L, const char *method,
                          const char *wanted) {
  return luaL_error(L, "bad argument #1 to '%s' (%s expected, got %s)", method,
                    wanted, luaL_typename(L, 2));
}

/* [-0, +0, v] */
static void check(lua_State *L, pop3_error error) {
  if (error != POP3_E_OK) luaL_error(L, "%s", pop3_error_text(error));
}

/* ------------------------------------------------------------ making */

pop3_listing *pop3_push_listing(lua_State *L) {
  listing_userdata *u = lua_newuserdata(L, sizeof *u);
  pop3_allocator allocator = {resize_counted, u};
  u->held = 0;
  u->resize = lua_getallocf(L, &u->state);
  pop3_listing_init(&u->listing, &allocator);
  luaL_getmetatable(L, LISTING_TYPE);
  lua_setmetatable(L, -2);
  return &u->listing;
}

/* Tell the collector what the listing holds. [-0, +0, m] */
static void charge(lua_State *L, const pop3_listing *l) {
  const listing_userdata *u = l->allocator.state;
  compat_charge(L, u->held);
}

pop3_error pop3_finish_listing(lua_State *L, pop3_listing *l) {
  pop3_error error = pop3_listing_finish(l);
  if (error == POP3_E_OK) charge(L, l);
  return error;
}

typedef pop3_error (*adder)(pop3_listing *, pop3_span, bool, bool);

/* Lines of the table at `index`, if there is one. [-0, +0, v] */
static void add_lines(lua_State *L, int index, pop3_listing *l, adder add) {
  if (lua_isnoneornil(L, index)) return;
  if (!lua_istable(L, index))
    pop3_argument_error(L, "listing", index, "table of lines expected, got %s",
                        luaL_typename(L, index));
  size_t count = compat_rawlen(L, index);
  for (size_t i = 1; i <= count && i <= INT32_MAX; i++) {
    pop3_span line;
    lua_rawgeti(L, index, (int)i);
    if (lua_type(L, -1) != LUA_TSTRING)
      pop3_argument_error(L, "listing", index, "string expected in it, got %s",
                          luaL_typename(L, -1));
    line.data = lua_tolstring(L, -1, &line.size);
    check(L, add(l, line, true, true));
    lua_pop(L, 1);
  }
}

int pop3_lua_listing(lua_State *L) {
  lua_settop(L, 2);
  pop3_listing *l = pop3_push_listing(L);
  l->has_uids = lua_istable(L, 2);
  add_lines(L, 1, l, pop3_listing_add_list);
  add_lines(L, 2, l, pop3_listing_add_uidl);
  check(L, pop3_finish_listing(L, l));
  return 1;
}

/* ------------------------------------------------------------ rows */

/* [-0, +1, -] */
static void push_size(lua_State *L, const pop3_row *row) {
  if (row->sized) {
    compat_pushcount(L, row->size);
  } else {
    lua_pushnil(L);
  }
}

/* [-0, +1, m] */
static void push_uid(lua_State *L, const pop3_row *row) {
  if (row->uid.size > 0) {
    lua_pushlstring(L, row->uid.data, row->uid.size);
  } else {
    lua_pushnil(L);
  }
}

/* Row `i` as a table. [-0, +1, m] */
static void push_row(lua_State *L, const pop3_listing *l, size_t i) {
  pop3_row row = pop3_listing_get(l, i);
  lua_createtable(L, 0, 3);
  compat_pushcount(L, row.number);
  lua_setfield(L, -2, "number");
  push_size(L, &row);
  lua_setfield(L, -2, "size");
  push_uid(L, &row);
  lua_setfield(L, -2, "uid");
}

/* The row that the number at 2 means, or nil. [-0, +1, m] */
static int index_number(lua_State *L, const pop3_listing *l) {
  lua_Number n = lua_tonumber(L, 2);
  size_t count = pop3_listing_count(l);
  bool inside = n >= 1 && n <= (lua_Number)count;
  if (inside && (lua_Number)(size_t)n == n) {
    push_row(L, l, (size_t)n - 1);
  } else {
    lua_pushnil(L);
  }
  return 1;
}

/* The attribute that the string at 2 names, or nil. [-0, +1, -] */
static int index_attribute(lua_State *L, const pop3_listing *l) {
  const char *key = lua_tostring(L, 2);
  if (strcmp(key, "uids") == 0) {
    lua_pushboolean(L, l->has_uids);
  } else if (strcmp(key, "malformed") == 0) {
    compat_pushcount(L, l->malformed);
  } else {
    lua_pushnil(L);
  }
  return 1;
}

/* [-0, +1, v] */
static int listing_index(lua_State *L) {
  pop3_listing *l = check_self(L, "index");
  if (lua_type(L, 2) == LUA_TNUMBER) return index_number(L, l);
  if (lua_type(L, 2) != LUA_TSTRING) return 0;
  lua_pushvalue(L, 2);
  lua_rawget(L, lua_upvalueindex(1));
  return lua_isnil(L, -1) ? index_attribute(L, l) : 1;
}

/* ------------------------------------------------------------ each */

/* Upvalues: the listing, a place in it. [-0, +n, m] */
static int each_next(lua_State *L) {
  listing_userdata *u = lua_touserdata(L, lua_upvalueindex(1));
  pop3_listing_place *place = lua_touserdata(L, lua_upvalueindex(2));
  pop3_row row;
  if (!pop3_listing_next(&u->listing, place, &row)) return 0;
  compat_pushcount(L, row.number);
  push_size(L, &row);
  push_uid(L, &row);
  return 3;
}

/* listing:each() -> function -> number, size, uid [-0, +1, v] */
static int listing_each(lua_State *L) {
  check_self(L, "each");
  lua_pushvalue(L, 1);
  pop3_listing_place *place = lua_newuserdata(L, sizeof *place);
  memset(place, 0, sizeof *place);
  lua_pushcclosure(L, each_next, 2);
  return 1;
}

/* ------------------------------------------------------------ UIDs */

/* [-0, +0, v] */
static void ensure_index(lua_State *L, pop3_listing *l) {
  uint64_t key[2];
  if (l->slots != NULL) return;
  if (!pop3_random(key, sizeof key)) luaL_error(L, "no random octets");
  check(L, pop3_listing_index(l, key));
}

/* listing:find(uid) -> index or nil [-0, +1, v] */
static int listing_find(lua_State *L) {
  pop3_listing *l = check_self(L, "find");
  pop3_span uid;
  size_t row;
  if (lua_type(L, 2) != LUA_TSTRING) wrong_argument(L, "find", "string");
  ensure_index(L, l);
  uid.data = lua_tolstring(L, 2, &uid.size);
  if (!pop3_listing_find(l, uid, &row)) return 0;
  compat_pushcount(L, row + 1);
  return 1;
}

/* Mark the UID at `index`; false when it is no string. [-0, +0, -] */
static bool mark_string(lua_State *L, int index, const pop3_listing *l,
                        unsigned char *marks) {
  pop3_span uid;
  if (lua_type(L, index) != LUA_TSTRING) return false;
  uid.data = lua_tolstring(L, index, &uid.size);
  pop3_listing_mark(l, marks, uid);
  return true;
}

/* The table's keys are UIDs, unless their value is false, and so are the
 * values in its array. [-0, +0, v] */
static void mark_table(lua_State *L, const pop3_listing *l,
                       unsigned char *marks) {
  for (lua_pushnil(L); lua_next(L, 2); lua_pop(L, 1)) {
    bool listed = lua_type(L, -2) == LUA_TNUMBER;
    if (!listed && !lua_toboolean(L, -1)) continue;
    int uid = listed ? -1 : -2;
    if (!mark_string(L, uid, l, marks))
      luaL_error(L,
                 "bad argument #1 to 'without' (UIDs expected in it, got %s)",
                 luaL_typename(L, uid));
  }
}

static void mark_listing(const pop3_listing *known, const pop3_listing *l,
                         unsigned char *marks) {
  pop3_listing_place place = {0, {0, 0, 0}};
  pop3_row row;
  while (pop3_listing_next(known, &place, &row))
    pop3_listing_mark(l, marks, row.uid);
}

/* listing:without(known) -> listing [-0, +1, v] */
static int listing_without(lua_State *L) {
  pop3_listing *l = check_self(L, "without");
  pop3_listing *known = pop3_test_listing(L, 2);
  if (known == NULL && !lua_istable(L, 2))
    wrong_argument(L, "without", "table or listing");
  lua_settop(L, 2);
  unsigned char *marks = lua_newuserdata(L, pop3_listing_marks(l));
  memset(marks, 0, pop3_listing_marks(l));
  pop3_listing *rest = pop3_push_listing(L);
  ensure_index(L, l);
  if (known != NULL) {
    mark_listing(known, l, marks);
  } else {
    mark_table(L, l, marks);
  }
  check(L, pop3_listing_without(l, marks, rest));
  charge(L, rest);
  return 1;
}

/* ------------------------------------------------------------ the rest */

/* listing:octets() -> sum of the sizes [-0, +1, v] */
static int listing_octets(lua_State *L) {
  compat_pushcount(L, check_self(L, "octets")->octets);
  return 1;
}

/* listing:numbers() -> list of message numbers [-0, +1, v] */
static int listing_numbers(lua_State *L) {
  pop3_listing *l = check_self(L, "numbers");
  size_t count = pop3_listing_count(l);
  lua_createtable(L, (int)count, 0);
  for (size_t i = 0; i < count; i++) {
    compat_pushcount(L, pop3_column_get(&l->numbers, i));
    lua_rawseti(L, -2, (int)i + 1);
  }
  return 1;
}

/* [-0, +1, v] */
static int listing_length(lua_State *L) {
  compat_pushcount(L, pop3_listing_count(check_self(L, "length")));
  return 1;
}

/* [-0, +1, v] */
static int listing_to_string(lua_State *L) {
  size_t count = pop3_listing_count(check_self(L, "tostring"));
  lua_pushfstring(L, LISTING_TYPE " (%d %s)", (int)count,
                  count == 1 ? "message" : "messages");
  return 1;
}

/* [-0, +0, -] */
static int listing_gc(lua_State *L) {
  pop3_listing *l = pop3_test_listing(L, 1);
  if (l != NULL) pop3_listing_clear(l);
  return 0;
}

static const luaL_Reg metamethods[] = {
    {"__len", listing_length},
    {"__tostring", listing_to_string},
    {"__gc", listing_gc},
    {NULL, NULL},
};

static const luaL_Reg methods[] = {
    {"each", listing_each},       {"find", listing_find},
    {"octets", listing_octets},   {"without", listing_without},
    {"numbers", listing_numbers}, {NULL, NULL},
};

void pop3_open_listing(lua_State *L) {
  luaL_newmetatable(L, LISTING_TYPE);
  compat_setfuncs(L, metamethods);
  lua_newtable(L);
  compat_setfuncs(L, methods);
  lua_pushcclosure(L, listing_index, 1);
  lua_setfield(L, -2, "__index");
  lua_pushliteral(L, LISTING_TYPE);
  lua_setfield(L, -2, "__name");
  lua_pushliteral(L, LISTING_TYPE);
  lua_setfield(L, -2, "__metatable");
  lua_pop(L, 1);
}
