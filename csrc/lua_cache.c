/*
 * lua_cache.c - see lua_cache.h.
 */
#include "lua_cache.h"

#include "lua_ways.h"
#include "tls_describe.h"

/* The cache, or nil. [-0, +1, m] */
static bool push_cache(lua_State *L, int anchors) {
  lua_rawgeti(L, anchors, POP3_SLOT_CACHE);
  return lua_istable(L, -1);
}

/* How the connection gets to its host, if not straight. [-0, +1, m] */
static void push_way(lua_State *L, const pop3_connection *u, int anchors,
                     const pop3_conn_info *info) {
  lua_rawgeti(L, anchors, POP3_SLOT_CONNECTOR); /* goes straight */
  bool transport = u->carried && lua_isnil(L, -1) && info->scheme == NULL;
  lua_pop(L, 1);
  if (info->scheme != NULL) pop3_ways_push_proxy(L, info);
  else if (info->path != NULL) lua_pushstring(L, info->path);
  else lua_pushstring(L, transport ? "transport" : "");
}

/* "host:port", "host:port via proxy"; all keys begin so. [-0, +1, m] */
static void push_place(lua_State *L, const pop3_connection *u, int anchors) {
  pop3_conn_info info;
  pop3_conn_describe_way(u->conn, &info);
  push_way(L, u, anchors, &info);
  const char *way = lua_tostring(L, -1);
  lua_pushfstring(L, *way ? "%s:%d via %s" : "%s:%d%s", info.host,
                  (int)info.port, way);
  lua_remove(L, -2);
}

/*
 * "clear", "tls by chain+name", "tls by nothing": what was said by somebody
 * whom nobody verified is not what a verified server said, nor the other way
 * round. [-0, +1, m]
 */
static void push_trust(lua_State *L, const pop3_connection *u) {
  char by[64];
  const char *name;
  const pop3_tls *tls = pop3_conn_tls(u->conn);
  if (!pop3_conn_is_secure(u->conn)) {
    lua_pushliteral(L, "clear");
  } else if (tls == NULL) {
    lua_pushliteral(L, "tls by transport");
  } else {
    pop3_tls_grounds(tls, by, &name);
    lua_pushfstring(L, "tls by %s as %s", by, name);
  }
}

/* The cache and the place, or nothing. [-0, +0 or 2, m] */
static bool look_up(lua_State *L, const pop3_connection *u, int anchors) {
  bool given = push_cache(L, anchors);
  if (given) push_place(L, u, anchors);
  else lua_pop(L, 1);
  return given;
}

/* Of the place on the top, in clear. [-0, +1, m] */
static void push_clear_key(lua_State *L) {
  lua_pushfstring(L, "%s clear", lua_tostring(L, -1));
}

/* Of the place on the top, as the connection is now. [-0, +1, m] */
static void push_key(lua_State *L, const pop3_connection *u, bool after) {
  push_trust(L, u);
  lua_pushfstring(L, "%s %s%s", lua_tostring(L, -2), lua_tostring(L, -1),
                  after ? " after login" : "");
  lua_remove(L, -2);
}

static bool is_after(const pop3_connection *u) {
  return pop3_conn_client(u->conn)->authenticated;
}

bool pop3_cache_is_given(lua_State *L, int anchors) {
  bool given = push_cache(L, anchors);
  lua_pop(L, 1);
  return given;
}

bool pop3_cache_lacks_login(lua_State *L, pop3_connection *u, int anchors) {
  if (!look_up(L, u, anchors)) return true;
  push_key(L, u, true);
  lua_rawget(L, -3);
  bool lacks = lua_isnil(L, -1);
  lua_pop(L, 3);
  return lacks;
}

/* One line after the other, by the rules for what a server sends. */
static void learn(pop3_caps *caps, const char *text, size_t size) {
  pop3_span all = {text, size};
  pop3_caps_clear(caps);
  caps->known = pop3_caps_add_lines(caps, all) == POP3_E_OK;
  caps->recalled = caps->kept = caps->known;
  if (!caps->known) pop3_caps_clear(caps);
}

void pop3_cache_recall(lua_State *L, pop3_connection *u, int anchors) {
  pop3_caps *caps = &pop3_conn_client(u->conn)->caps;
  size_t size;
  if (caps->known || !look_up(L, u, anchors)) return;
  push_key(L, u, is_after(u));
  lua_rawget(L, -3);
  if (lua_type(L, -1) == LUA_TSTRING) {
    const char *text = lua_tolstring(L, -1, &size);
    learn(caps, text, size);
  }
  lua_pop(L, 3);
}

/* Is there something that the cache was not told yet? Once is enough: a key
 * costs as much as a small reply. */
static bool is_news(const pop3_caps *caps) {
  return caps->known && !caps->kept;
}

/* Under the key on the top; below it are the place and the cache.
 * [-1, +0, m] */
static void remember(lua_State *L, pop3_caps *caps) {
  lua_pushlstring(L, caps->text.size > 0 ? caps->text.data : "",
                  caps->text.size);
  lua_rawset(L, -4);
  caps->kept = true;
}

/* The place is on the top, the cache below it. [-0, +0, m] */
static void remember_news(lua_State *L, const pop3_connection *u,
                          pop3_client *client) {
  if (is_news(&client->caps)) {
    push_key(L, u, client->authenticated);
    remember(L, &client->caps);
  }
  if (is_news(&client->before)) {
    push_key(L, u, false);
    remember(L, &client->before);
  }
  if (is_news(&client->clear)) {
    push_clear_key(L);
    remember(L, &client->clear);
  }
}

static bool has_news(const pop3_client *client) {
  return is_news(&client->caps) || is_news(&client->before) ||
         is_news(&client->clear);
}

void pop3_cache_remember(lua_State *L, pop3_connection *u, int anchors) {
  pop3_client *client = pop3_conn_client(u->conn);
  if (pop3_conn_is_closed(u->conn)) return; /* a closed one is not secure */
  if (!has_news(client) || !look_up(L, u, anchors)) return;
  remember_news(L, u, client);
  lua_pop(L, 2);
}
