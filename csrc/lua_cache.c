/*
 * lua_cache.c - see lua_cache.h.
 */
#include "lua_cache.h"

/* The cache, or nil. [-0, +1, m] */
static bool push_cache(lua_State *L, int anchors) {
  lua_rawgeti(L, anchors, POP3_SLOT_CACHE);
  return lua_istable(L, -1);
}

/* "host:port when" [-0, +1, m] */
static void push_key_of(lua_State *L, const pop3_connection *u,
                        const char *when) {
  unsigned port;
  const char *host = pop3_conn_target(u->conn, &port);
  lua_pushfstring(L, "%s:%d %s", host, (int)port, when);
}

/* "host:port tls after login" [-0, +1, m] */
static void push_key(lua_State *L, const pop3_connection *u, bool after) {
  static const char *const when[2][2] = {{"clear", "clear after login"},
                                         {"tls", "tls after login"}};
  push_key_of(L, u, when[pop3_conn_is_secure(u->conn)][after]);
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
  if (!push_cache(L, anchors)) {
    lua_pop(L, 1);
    return true;
  }
  push_key(L, u, true);
  lua_rawget(L, -2);
  bool lacks = lua_isnil(L, -1);
  lua_pop(L, 2);
  return lacks;
}

/* One line after the other, by the rules for what a server sends. */
static void learn(pop3_caps *caps, const char *text, size_t size) {
  pop3_span all = {text, size};
  pop3_caps_clear(caps);
  caps->known = pop3_caps_add_lines(caps, all) == POP3_E_OK;
  caps->kept = caps->known;
  if (!caps->known) pop3_caps_clear(caps);
}

void pop3_cache_recall(lua_State *L, pop3_connection *u, int anchors) {
  pop3_caps *caps = &pop3_conn_client(u->conn)->caps;
  size_t size;
  if (caps->known) return;
  if (push_cache(L, anchors)) {
    push_key(L, u, is_after(u));
    lua_rawget(L, -2);
    if (lua_type(L, -1) == LUA_TSTRING) {
      const char *text = lua_tolstring(L, -1, &size);
      learn(caps, text, size);
    }
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

/* Is there something that the cache was not told yet? Once is enough: a key
 * costs as much as a small reply. */
static bool is_news(const pop3_caps *caps) {
  return caps->known && !caps->kept;
}

/* The key is on the top, the cache below it. [-1, +0, m] */
static void remember(lua_State *L, pop3_caps *caps) {
  lua_pushlstring(L, caps->text.size > 0 ? caps->text.data : "",
                  caps->text.size);
  lua_rawset(L, -3);
  caps->kept = true;
}

/* The cache is on the top. [-0, +0, m] */
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
    push_key_of(L, u, "clear");
    remember(L, &client->clear);
  }
}

void pop3_cache_remember(lua_State *L, pop3_connection *u, int anchors) {
  if (pop3_conn_is_closed(u->conn)) return; /* a closed one is not secure */
  if (push_cache(L, anchors)) remember_news(L, u, pop3_conn_client(u->conn));
  lua_pop(L, 1);
}
