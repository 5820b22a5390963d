/*
 * lua_error.c - see lua_error.h.
 */
#define _GNU_SOURCE
#include "lua_error.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "escape.h"
#include "platform.h"
#include "pop3.h"

#define ERROR_TYPE "pop3.error"
#define CLASS_TYPE "pop3.error_proto"

/* errno's names, as <errno.h> spells them, in lower case. */
#define SYSTEM_ERRORS(X) \
  X(ECONNREFUSED)        \
  X(ECONNRESET)          \
  X(ECONNABORTED)        \
  X(EHOSTUNREACH)        \
  X(ENETUNREACH)         \
  X(ENETDOWN)            \
  X(EHOSTDOWN)           \
  X(ETIMEDOUT)           \
  X(EPIPE)               \
  X(EACCES)              \
  X(EPERM)               \
  X(EMFILE)              \
  X(ENFILE)              \
  X(ENOBUFS)             \
  X(ENOMEM)              \
  X(EAGAIN)              \
  X(EADDRNOTAVAIL)       \
  X(EAFNOSUPPORT)        \
  X(EINVAL)              \
  X(EIO)                 \
  X(ENOENT)              \
  X(ENOTDIR)             \
  X(EISDIR)              \
  X(EEXIST)              \
  X(EBUSY)               \
  X(ELOOP)               \
  X(ENAMETOOLONG)        \
  X(EROFS)               \
  X(ENXIO)               \
  X(ENODEV)              \
  X(ESTALE)              \
  X(ENOSPC)              \
  X(EDQUOT)              \
  X(EBADF)               \
  X(EFBIG)               \
  X(ECANCELED)           \
  X(ENOTCONN)

typedef struct system_error {
  int number;
  const char *name;
} system_error;

#define SYSTEM_ERROR(id) {id, #id},
static const system_error system_errors[] = {SYSTEM_ERRORS(SYSTEM_ERROR)};

/* [-0, +1, m] */
static void push_system_name(lua_State *L, int number) {
  char name[16] = "io";
  for (size_t i = 0; i < sizeof system_errors / sizeof *system_errors; i++) {
    const char *from = system_errors[i].name;
    if (system_errors[i].number != number) continue;
    size_t n = 0;
    for (; from[n] != '\0' && n < sizeof name - 1; n++)
      name[n] = (char)(from[n] - 'A' + 'a');
    name[n] = '\0';
    break;
  }
  lua_pushstring(L, name);
}

void pop3_push_escaped(lua_State *L, const char *text, size_t size) {
  char piece[POP3_ESCAPE_ROOM];
  luaL_Buffer buffer;
  luaL_buffinit(L, &buffer);
  while (size > 0) {
    size_t taken = pop3_escape_next(text, size, piece);
    luaL_addstring(&buffer, piece);
    text += taken;
    size -= taken;
  }
  luaL_pushresult(&buffer);
}

/* What tostring says: our sentence, else the server's line, else the row's
 * text. [-0, +1, m] */
static void push_message(lua_State *L, const pop3_failure *f) {
  if (f->text[0] != '\0') {
    pop3_push_escaped(L, f->text, strlen(f->text));
  } else if (f->response_size > 0) {
    pop3_push_escaped(L, f->response, f->response_size);
  } else {
    lua_pushstring(L, pop3_error_text(f->error));
  }
}

/* [-0, +0, m] the table is on top */
static void set_string(lua_State *L, const char *key, const char *value) {
  lua_pushstring(L, value);
  lua_setfield(L, -2, key);
}

/* RFC 2449 8: codes are case-insensitive; ours are upper case. */
static size_t take_code(const pop3_failure *f, char *code, size_t room) {
  pop3_span line = {f->response, f->response_size};
  pop3_span found = pop3_response_code(line);
  if (found.size >= room) return 0;
  for (size_t i = 0; i < found.size; i++) {
    char c = found.data[i];
    if (c < ' ' || c > '~') return 0;
    code[i] = (char)(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
  }
  code[found.size] = '\0';
  return found.size;
}

/* What a code says of the same call, later (RFC 2449 8.1, RFC 3206, RFC 6856
 * 5); taken whether RESP-CODES is announced or not, which a greeting's never
 * can be. */
static const struct {
  const char *code;
  bool passes;
} codes[] = {{"IN-USE", true}, {"LOGIN-DELAY", true}, {"SYS/TEMP", true},
             {"AUTH", false},  {"SYS/PERM", false},   {"UTF8", false}};

/* Kinds that pass, where there is no code that says more. */
static const char *const passing[] = {"timeout", "io", "closed"};

/* RFC 2449 8: who does not know what is behind a slash takes what is before. */
static bool begins_with(const char *code, const char *known) {
  size_t size = strlen(known);
  return strncmp(code, known, size) == 0 &&
         (code[size] == '\0' || code[size] == '/');
}

static bool is_retryable(const pop3_failure *f, const char *code) {
  for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
    if (begins_with(code, codes[i].code)) return codes[i].passes;
  }
  for (size_t i = 0; i < sizeof passing / sizeof *passing; i++) {
    if (strcmp(passing[i], pop3_error_kind(f->error)) == 0) return true;
  }
  return f->error == POP3_E_TRY_AGAIN;
}

/* A refusal has a response, be it an empty line. */
static int has_response(const pop3_failure *f) {
  return f->response_size > 0 || f->error == POP3_E_REFUSED ||
         f->error == POP3_E_DENIED;
}

/* [-0, +0, m] the table is on top */
static void set_reply(lua_State *L, const pop3_failure *f) {
  char code[64] = "";
  if (has_response(f)) {
    lua_pushlstring(L, f->response, f->response_size);
    lua_setfield(L, -2, "response");
    if (take_code(f, code, sizeof code) > 0) set_string(L, "code", code);
  }
  if (f->mechanism[0] != '\0') set_string(L, "mechanism", f->mechanism);
  if (f->detail_size > 0) {
    lua_pushlstring(L, f->detail, f->detail_size);
    lua_setfield(L, -2, "detail");
  }
  lua_pushboolean(L, is_retryable(f, code));
  lua_setfield(L, -2, "retryable");
}

int pop3_push_error(lua_State *L, const pop3_failure *f) {
  if (f->error == POP3_E_MEMORY) {
    lua_pushliteral(L, "not enough memory");
    return 1;
  }
  lua_createtable(L, 0, 8);
  set_string(L, "kind", pop3_error_kind(f->error));
  set_string(L, "name", pop3_error_name(f->error));
  if (f->system != 0) {
    lua_pushinteger(L, f->system);
    lua_setfield(L, -2, "errno");
    push_system_name(L, f->system);
    lua_setfield(L, -2, "name");
  }
  if (pop3_error_is_protocol(f->error)) {
    pop3_push_error_class(L);
    lua_setfield(L, -2, "class");
  }
  set_reply(L, f);
  push_message(L, f);
  lua_setfield(L, -2, "message");
  luaL_getmetatable(L, ERROR_TYPE);
  lua_setmetatable(L, -2);
  return 1;
}

int pop3_test_error(lua_State *L, int index) {
  if (!lua_istable(L, index) || !lua_getmetatable(L, index)) return 0;
  luaL_getmetatable(L, ERROR_TYPE);
  int same = lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  return same;
}

/* [-0, +1, m] */
static int error_to_string(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_pushliteral(L, "message");
  lua_rawget(L, 1);
  if (lua_type(L, -1) != LUA_TSTRING) lua_pushliteral(L, "pop3 error");
  return 1;
}

/* [-0, +1, m] */
static int class_to_string(lua_State *L) {
  lua_pushliteral(L, CLASS_TYPE);
  return 1;
}

static void make_metatable(lua_State *L, const char *type,
                           lua_CFunction to_string) {
  luaL_newmetatable(L, type);
  set_string(L, "__name", type);
  set_string(L, "__metatable", type);
  lua_pushcfunction(L, to_string);
  lua_setfield(L, -2, "__tostring");
}

/* The class is the registry's; every error of every state shares one. */
static const char class_key = 0;

void pop3_push_error_class(lua_State *L) {
  lua_pushlightuserdata(L, (void *)(size_t)&class_key);
  lua_rawget(L, LUA_REGISTRYINDEX);
}

void pop3_open_errors(lua_State *L) {
  make_metatable(L, ERROR_TYPE, error_to_string);
  lua_pop(L, 1);
  lua_pushlightuserdata(L, (void *)(size_t)&class_key);
  lua_newtable(L);
  make_metatable(L, CLASS_TYPE, class_to_string);
  lua_setmetatable(L, -2);
  lua_rawset(L, LUA_REGISTRYINDEX);
}
