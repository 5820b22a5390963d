/*
 * lua_open.c - see lua_open.h.
 */
#include "lua_open.h"

#include "login.h"
#include "lua_connection.h"
#include "lua_error.h"

#define OPEN_OPTION(key, type) \
  { #key, POP3_OPTION_##type, offsetof(pop3_open_options, flag), NULL }

/* Those of ANY type are looked at by the face, or by login. */
const pop3_option pop3_open_option_rows[] = {
    OPEN_OPTION(host, ANY),     OPEN_OPTION(port, ANY),
    OPEN_OPTION(user, ANY),     OPEN_OPTION(password, ANY),
    OPEN_OPTION(token, ANY),    OPEN_OPTION(auth, ANY),
    OPEN_OPTION(authzid, ANY),  OPEN_OPTION(channel_binding, ANY),
    OPEN_OPTION(stat, BOOLEAN), OPEN_OPTION(listing, BOOLEAN),
    OPEN_OPTION(quit, BOOLEAN),
};
const size_t pop3_open_option_count =
    sizeof pop3_open_option_rows / sizeof *pop3_open_option_rows;

int pop3_lua_insecure(lua_State *L) {
  const pop3_connection *u = pop3_connection_check(L, 1, "open");
  const pop3_client *client = pop3_conn_client(u->conn);
  pop3_failure failure = {0};
  if (pop3_session_is_secure(client->session) || client->cleartext_allowed)
    return 0;
  pop3_fail(&failure, POP3_E_INSECURE,
            "refused to send the secret without TLS: use tls = \"implicit\" or "
            "\"starttls\"; allow_cleartext = true sends it in clear, for "
            "everybody on the way to read");
  return pop3_push_error(L, &failure);
}

/* [-0, +0, m] the row is on top */
static void set_flag(lua_State *L, const char *key, bool value) {
  lua_pushboolean(L, value);
  lua_setfield(L, -2, key);
}

int pop3_lua_mechanisms(lua_State *L) {
  const pop3_way *way;
  lua_newtable(L);
  for (int n = 0; (way = pop3_way_nth((size_t)n)) != NULL; n++) {
    lua_createtable(L, 0, 3);
    lua_pushstring(L, way->name);
    lua_setfield(L, -2, "name");
    set_flag(L, "token", (way->flags & POP3_SASL_TOKEN) != 0);
    set_flag(L, "secret", (way->flags & POP3_SASL_NO_SECRET) == 0);
    lua_rawseti(L, -2, n + 1);
  }
  return 1;
}

int pop3_lua_is_mechanism(lua_State *L) {
  pop3_span name;
  name.data = luaL_checklstring(L, 1, &name.size);
  lua_pushboolean(L, pop3_way_find(name) != NULL);
  return 1;
}
