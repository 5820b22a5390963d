/*
 * lua_context.c - see lua_context.h.
 */
#include "lua_context.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "lua_error.h"
#include "lua_restrict.h"

#define CONTEXT_TYPE "pop3.context"

typedef struct context_userdata {
  pop3_tls_context *context; /* retained; NULL once collected */
  pop3_policy *policy;       /* it is counted there; NULL: it is not */
} context_userdata;

/* What names a file is a PATH: a policy may refuse it. */
#define OPTION(key, type) \
  { #key, POP3_OPTION_##type, offsetof(pop3_tls_options, key), NULL }

/* In the order of pop3_tls_ocsp. */
static const char *const ocsp_words[] = {"none", "request", "require", NULL};

#define OCSP_OPTION \
  { "ocsp", POP3_OPTION_WORD, offsetof(pop3_tls_options, ocsp), ocsp_words }

const pop3_option pop3_tls_option_rows[] = {
    OPTION(cafile, PATH),
    OPTION(capath, PATH),
    OPTION(verify, BOOLEAN),
    OPTION(check_hostname, BOOLEAN),
    OPTION(servername, STRING),
    OPTION(certfile, PATH),
    OPTION(keyfile, PATH),
    OPTION(keypass, STRING),
    OPTION(min_version, STRING),
    OPTION(max_version, STRING),
    OPTION(ciphers, STRING),
    OPTION(ciphersuites, STRING),
    OPTION(groups, STRING),
    OPTION(security_level, LEVEL),
    OPTION(alpn, BOOLEAN),
    OPTION(resume, BOOLEAN),
    OPTION(keylog, PATH),
    OPTION(pins, LIST),
    OPTION(dane, RECORDS),
    OPTION(dane_domain, STRING),
    OPTION(dane_config, PATH),
    OPTION(crlfile, PATH),
    OCSP_OPTION,
};
const size_t pop3_tls_option_count =
    sizeof pop3_tls_option_rows / sizeof *pop3_tls_option_rows;

static context_userdata *test_userdata(lua_State *L, int index) {
  return compat_testudata(L, index, CONTEXT_TYPE);
}

pop3_tls_context *pop3_test_context(lua_State *L, int index) {
  context_userdata *u = test_userdata(L, index);
  return u != NULL ? u->context : NULL;
}

/* [-0, +0, -] */
static int context_gc(lua_State *L) {
  context_userdata *u = test_userdata(L, 1);
  if (u == NULL) return 0;
  pop3_tls_context_release(u->context);
  u->context = NULL;
  if (u->policy != NULL) pop3_policy_leave(u->policy, POP3_CONTEXTS);
  u->policy = NULL;
  return 0;
}

/* [-0, +1, m] */
static int context_to_string(lua_State *L) {
  lua_pushliteral(L, CONTEXT_TYPE);
  return 1;
}

static const luaL_Reg metamethods[] = {
    {"__gc", context_gc},
    {"__tostring", context_to_string},
    {NULL, NULL},
};

/* Contexts by their options; its address is the key in the registry. */
static const char cache_key = 0;

/* Sets of options that one state remembers: a script that makes up new ones
 * for ever costs time, not memory (OpenSSL's is outside of Lua's limit). */
#define CACHE_SIZE 16

/* [-0, +1, -] */
static void push_cache(lua_State *L) {
  lua_pushlightuserdata(L, (void *)(size_t)&cache_key);
  lua_rawget(L, LUA_REGISTRYINDEX);
}

/* Forget all contexts; connections keep theirs. [-0, +0, m] */
static void empty_cache(lua_State *L) {
  lua_pushlightuserdata(L, (void *)(size_t)&cache_key);
  lua_newtable(L);
  lua_rawset(L, LUA_REGISTRYINDEX);
}

void pop3_open_context(lua_State *L) {
  luaL_newmetatable(L, CONTEXT_TYPE);
  compat_setfuncs(L, metamethods);
  lua_pushliteral(L, CONTEXT_TYPE);
  lua_setfield(L, -2, "__name");
  lua_pushliteral(L, CONTEXT_TYPE);
  lua_setfield(L, -2, "__metatable");
  lua_pop(L, 1);
  empty_cache(L);
}

/* It is counted. [-0, +0, m] */
static bool is_admitted(lua_State *L, context_userdata *u,
                        pop3_failure *failure) {
  if (pop3_enter(L, POP3_CONTEXTS, failure) != POP3_E_OK) return false;
  u->policy = pop3_policy_of(L);
  return true;
}

/* A new userdata with a context, or nil. [-0, +1, m] */
static pop3_tls_context *push_new(lua_State *L, const pop3_tls_options *options,
                                  pop3_failure *failure) {
  context_userdata *u = lua_newuserdata(L, sizeof *u);
  u->context = NULL;
  u->policy = NULL;
  luaL_getmetatable(L, CONTEXT_TYPE);
  lua_setmetatable(L, -2);
  if (is_admitted(L, u, failure) &&
      pop3_tls_context_new(options, &u->context, failure) == POP3_E_OK)
    return u->context;
  lua_pop(L, 1);
  lua_pushnil(L);
  return NULL;
}

/* "key=value" of one option, or "key" where there is none. A NUL cannot be in
 * a value, so it separates. [-0, +0, m] appends to the buffer */
static void add_option(luaL_Buffer *b, const pop3_option *row,
                       const pop3_tls_options *options) {
  const char *field = (const char *)options + row->offset;
  const char *string;
  switch (row->type) {
    case POP3_OPTION_STRING:
    case POP3_OPTION_PATH:
    case POP3_OPTION_LIST:
    case POP3_OPTION_RECORDS:
      string = *(const char *const *)(const void *)field;
      if (string != NULL) luaL_addstring(b, "=");
      if (string != NULL) luaL_addstring(b, string);
      break;
    case POP3_OPTION_BOOLEAN:
      luaL_addstring(b, *(const bool *)(const void *)field ? "y" : "n");
      break;
    default: /* a level of one digit, or a word's place */
      luaL_addchar(b, (char)('0' + *(const int *)(const void *)field));
      break;
  }
  luaL_addlstring(b, "", 1);
}

/* [-0, +1, m] */
static void push_cache_key(lua_State *L, const pop3_tls_options *options) {
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  for (size_t i = 0; i < pop3_tls_option_count; i++)
    add_option(&b, &pop3_tls_option_rows[i], options);
  luaL_pushresult(&b);
}

static int count_cached(lua_State *L) {
  int count = 0;
  push_cache(L);
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) count++;
  lua_pop(L, 1);
  return count;
}

/* A new context, on the stack's top and in the cache. [-0, +1, m] */
static pop3_tls_context *push_cached(lua_State *L,
                                     const pop3_tls_options *options,
                                     pop3_failure *failure) {
  pop3_tls_context *context = push_new(L, options, failure);
  if (context == NULL || options->keypass != NULL) return context;
  if (count_cached(L) >= CACHE_SIZE) empty_cache(L);
  push_cache(L);
  push_cache_key(L, options);
  lua_pushvalue(L, -3);
  lua_rawset(L, -3);
  lua_pop(L, 1);
  return context;
}

/* The DNS is asked for this name in place of the host's, so it is judged in its
 * place. */
static bool is_permitted(lua_State *L, const pop3_tls_options *options,
                         pop3_failure *failure) {
  const char *domain = options->dane_domain;
  if (domain == NULL) return true;
  return pop3_policy_check_name(pop3_policy_of(L), domain, strlen(domain),
                                failure) == POP3_E_OK;
}

pop3_tls_context *pop3_lua_context_for(lua_State *L,
                                       const pop3_tls_options *options,
                                       pop3_failure *failure) {
  if (!is_permitted(L, options, failure)) {
    lua_pushnil(L);
    return NULL;
  }
  if (options->keypass != NULL) return push_new(L, options, failure);
  push_cache(L);
  push_cache_key(L, options);
  lua_rawget(L, -2);
  lua_remove(L, -2);
  pop3_tls_context *context = pop3_test_context(L, -1);
  if (context != NULL) return context;
  lua_pop(L, 1);
  return push_cached(L, options, failure);
}

int pop3_lua_context(lua_State *L) {
  pop3_tls_options options;
  pop3_failure failure = {0};
  pop3_option_set set = {pop3_tls_option_rows, pop3_tls_option_count, &options,
                         false};
  pop3_tls_options_init(&options);
  if (!lua_isnoneornil(L, 1) && !lua_istable(L, 1))
    return pop3_argument_error(L, "context", 1, "option table expected, got %s",
                               luaL_typename(L, 1));
  pop3_error error = POP3_E_OK;
  if (lua_istable(L, 1))
    error = pop3_options_read(L, 1, "context", &set, 1, &failure);
  if (error != POP3_E_OK || !is_permitted(L, &options, &failure))
    lua_pushnil(L);
  else if (push_cached(L, &options, &failure) != NULL) return 1;
  pop3_push_error(L, &failure);
  return 2;
}
