/*
 * lua_options.c - see lua_options.h.
 */
#include "lua_options.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "lua_error.h"
#include "lua_lists.h"
#include "lua_restrict.h"
#include "pop3.h"

/* Option names are short; a longer one is compared and shown no further. */
#define NAME_MAX_COMPARED 32

/* The string at `index`, if it has no NUL: nothing that is compared with names
 * of ours may be cut short by one. */
static const char *whole_string(lua_State *L, int index) {
  size_t size;
  const char *text = lua_tolstring(L, index, &size);
  return strlen(text) == size ? text : NULL;
}

/* The same for people, cut. [-0, +1, m] */
static const char *push_shown(lua_State *L, int index) {
  size_t size;
  const char *text = lua_tolstring(L, index, &size);
  if (size > NAME_MAX_COMPARED) size = NAME_MAX_COMPARED;
  pop3_push_escaped(L, text, size);
  return lua_tostring(L, -1);
}

/* The level of the public function's caller: above the first Lua function,
 * however many C functions are below that. */
static int caller(lua_State *L) {
  lua_Debug function;
  int level = 0;
  while (lua_getstack(L, level++, &function)) {
    lua_getinfo(L, "S", &function);
    if (function.what[0] != 'C') break;
  }
  return level;
}

int pop3_argument_error(lua_State *L, const char *method, int argument,
                        const char *format, ...) {
  char text[256];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  luaL_where(L, caller(L));
  lua_pushfstring(L, "bad argument #%d to '%s' (%s)", argument, method, text);
  lua_concat(L, 2);
  return lua_error(L);
}

int pop3_option_error(lua_State *L, const char *method, const char *key,
                      const char *text) {
  luaL_where(L, caller(L));
  lua_pushfstring(L, "bad option '%s' to '%s' (%s)", key, method, text);
  lua_concat(L, 2);
  return lua_error(L);
}

static int option_error(lua_State *L, const char *method, const char *key,
                        const char *wanted, const char *got) {
  lua_pushfstring(L, "%s expected, got %s", wanted, got);
  return pop3_option_error(L, method, key, lua_tostring(L, -1));
}

/* ------------------------------------------------------------ typos */

static int least(int a, int b) { return a < b ? a : b; }

/* Levenshtein's distance; one row of the table at a time. */
static int distance(const char *a, const char *b) {
  int row[NAME_MAX_COMPARED + 1];
  int columns = least((int)strlen(b), NAME_MAX_COMPARED);
  for (int j = 0; j <= columns; j++) row[j] = j;
  for (int i = 0; a[i] != '\0' && i < NAME_MAX_COMPARED; i++) {
    int diagonal = row[0];
    row[0] = i + 1;
    for (int j = 0; j < columns; j++) {
      int change = diagonal + (a[i] != b[j]);
      diagonal = row[j + 1];
      row[j + 1] = least(change, least(row[j], row[j + 1]) + 1);
    }
  }
  return row[columns];
}

static const char *nearest(const char *key, const pop3_option_set *sets,
                           size_t count) {
  const char *best = "";
  int best_distance = NAME_MAX_COMPARED;
  for (size_t i = 0; i < count; i++) {
    for (size_t j = 0; j < sets[i].count; j++) {
      int d = distance(key, sets[i].rows[j].key);
      if (d >= best_distance) continue;
      best_distance = d;
      best = sets[i].rows[j].key;
    }
  }
  return best;
}

/* The key is at -2. [-0, +0, v] */
static int unknown_option(lua_State *L, const char *method,
                          const pop3_option_set *sets, size_t count) {
  const char *key = push_shown(L, -2);
  luaL_where(L, caller(L));
  lua_pushfstring(L, "unknown option '%s' to '%s' (did you mean '%s'?)", key,
                  method, nearest(key, sets, count));
  lua_concat(L, 2);
  return lua_error(L);
}

/* ------------------------------------------------------------ values */

/* The value is on top of the stack in all of these. [-0, +0, v] */

static void read_string(lua_State *L, const char *method,
                        const pop3_option *row, void *field) {
  size_t size;
  /* before it is asked for: a number would become a string of the stack's,
   * which dies with it */
  if (lua_type(L, -1) != LUA_TSTRING)
    option_error(L, method, row->key, "string", luaL_typename(L, -1));
  const char *string = lua_tolstring(L, -1, &size);
  if (size > POP3_MOST_OPTION)
    option_error(L, method, row->key, "string", "one of more than 64 KiB");
  if (strlen(string) != size)
    option_error(L, method, row->key, "string", "one with a NUL");
  *(const char **)field = string;
}

static void read_list(lua_State *L, const char *method, const pop3_option *row,
                      void *field) {
  pop3_join_list(L, method, row->key, row->type == POP3_OPTION_RECORDS);
  read_string(L, method, row, field);
}

static void read_octets(lua_State *L, const char *method,
                        const pop3_option *row, void *field) {
  pop3_span *octets = field;
  if (lua_type(L, -1) != LUA_TSTRING)
    option_error(L, method, row->key, "string", luaL_typename(L, -1));
  octets->data = lua_tolstring(L, -1, &octets->size);
}

static void read_boolean(lua_State *L, const char *method,
                         const pop3_option *row, void *field) {
  if (lua_type(L, -1) != LUA_TBOOLEAN)
    option_error(L, method, row->key, "boolean", luaL_typename(L, -1));
  *(bool *)field = lua_toboolean(L, -1) != 0;
}

static lua_Number read_number(lua_State *L, const char *method,
                              const pop3_option *row, const char *wanted) {
  if (lua_type(L, -1) != LUA_TNUMBER)
    option_error(L, method, row->key, wanted, luaL_typename(L, -1));
  return lua_tonumber(L, -1);
}

static void read_seconds(lua_State *L, const char *method,
                         const pop3_option *row, void *field) {
  static const char wanted[] = "seconds, more than 0,";
  lua_Number n = read_number(L, method, row, wanted);
  if (n == 0)
    option_error(L, method, row->key, wanted,
                 "0: Non-blocking socket (timeout=0) is not supported");
  if (!(n > 0)) option_error(L, method, row->key, wanted, "another number");
  *(double *)field = (double)n;
}

static void read_count(lua_State *L, const char *method, const pop3_option *row,
                       void *field) {
  lua_Number n = read_number(L, method, row, "whole number");
  if (!(n >= 0 && n <= 9007199254740992.0) || n != (lua_Number)(uint64_t)n)
    option_error(L, method, row->key, "whole number from 0", "another number");
  *(uint64_t *)field = (uint64_t)n;
}

static void read_level(lua_State *L, const char *method, const pop3_option *row,
                       void *field) {
  lua_Number n = read_number(L, method, row, "level 0 to 5");
  if (!(n >= 0 && n <= 5) || n != (lua_Number)(int)n)
    option_error(L, method, row->key, "level 0 to 5", "another number");
  *(int *)field = (int)n;
}

static void read_word(lua_State *L, const char *method, const pop3_option *row,
                      void *field) {
  char wanted[128] = "";
  bool string = lua_type(L, -1) == LUA_TSTRING;
  const char *given = string ? whole_string(L, -1) : NULL;
  for (int i = 0; row->words[i] != NULL; i++) {
    size_t used = strlen(wanted);
    if (given != NULL && strcmp(row->words[i], given) == 0) {
      *(int *)field = i;
      return;
    }
    snprintf(wanted + used, sizeof wanted - used, "%s\"%s\"",
             i > 0 ? " or " : "", row->words[i]);
  }
  option_error(L, method, row->key, wanted,
               string ? push_shown(L, -1) : luaL_typename(L, -1));
}

static void read_function(lua_State *L, const char *method,
                          const pop3_option *row, void *field) {
  (void)field;
  if (lua_type(L, -1) != LUA_TFUNCTION)
    option_error(L, method, row->key, "function", luaL_typename(L, -1));
}

static void read_table(lua_State *L, const char *method, const pop3_option *row,
                       void *field) {
  (void)field;
  if (!lua_istable(L, -1))
    option_error(L, method, row->key, "table", luaL_typename(L, -1));
}

static void read_any(lua_State *L, const char *method, const pop3_option *row,
                     void *field) {
  (void)L;
  (void)method;
  (void)row;
  (void)field;
}

typedef void (*value_reader)(lua_State *, const char *, const pop3_option *,
                             void *);

static const value_reader readers[] = {
    [POP3_OPTION_STRING] = read_string,
    [POP3_OPTION_PATH] = read_string,
    [POP3_OPTION_LIST] = read_list,
    [POP3_OPTION_RECORDS] = read_list,
    [POP3_OPTION_OCTETS] = read_octets,
    [POP3_OPTION_BOOLEAN] = read_boolean,
    [POP3_OPTION_SECONDS] = read_seconds,
    [POP3_OPTION_COUNT] = read_count,
    [POP3_OPTION_LEVEL] = read_level,
    [POP3_OPTION_WORD] = read_word,
    [POP3_OPTION_FUNCTION] = read_function,
    [POP3_OPTION_TABLE] = read_table,
    [POP3_OPTION_ANY] = read_any,
};

/* ------------------------------------------------------------ tables */

bool pop3_is_name(const char *name, const char *other) {
  return name[0] == other[0] && strcmp(name, other) == 0;
}

/* The row of a key, and its set; NULL: there is none. */
static const pop3_option *find_row(const char *key, pop3_option_set *sets,
                                   size_t count, pop3_option_set **set) {
  for (*set = sets; *set < sets + count; ++*set) {
    for (size_t i = 0; i < (*set)->count; i++) {
      if (pop3_is_name((*set)->rows[i].key, key)) return &(*set)->rows[i];
    }
  }
  return NULL;
}

/* What an option takes that a policy may refuse. */
static pop3_error permit(lua_State *L, const pop3_option *row,
                         pop3_failure *failure) {
  if (row->type != POP3_OPTION_PATH) return POP3_E_OK;
  return pop3_permit(L, POP3_RIGHT_FILES, row->key, failure);
}

/* [-0, +0, v] key and value are on top */
static pop3_error read_pair(lua_State *L, const char *method,
                            pop3_option_set *sets, size_t count,
                            pop3_failure *failure) {
  pop3_option_set *set;
  if (lua_type(L, -2) != LUA_TSTRING) {
    luaL_where(L, caller(L));
    lua_pushfstring(L, "options of '%s' have names (string expected, got %s)",
                    method, luaL_typename(L, -3));
    lua_concat(L, 2);
    lua_error(L);
  }
  const char *key = whole_string(L, -2);
  const pop3_option *row =
      key != NULL ? find_row(key, sets, count, &set) : NULL;
  if (row == NULL) {
    unknown_option(L, method, sets, count);
    return POP3_E_ARGUMENT;
  }
  set->used = true;
  readers[row->type](L, method, row, (char *)set->target + row->offset);
  return permit(L, row, failure);
}

/* How many options are usual, so that their copy need not grow. */
#define USUAL_OPTIONS 16

/* [-0, +1, m] */
static void push_copy(lua_State *L, int index) {
  lua_createtable(L, 0, USUAL_OPTIONS);
  for (lua_pushnil(L); lua_next(L, index);) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, -4);
  }
}

pop3_error pop3_options_read(lua_State *L, int index, const char *method,
                             pop3_option_set *sets, size_t count,
                             pop3_failure *failure) {
  pop3_error error = POP3_E_OK;
  if (index < 0) index = lua_gettop(L) + 1 + index;
  push_copy(L, index);
  lua_replace(L, index);
  for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
    pop3_error refusal = read_pair(L, method, sets, count, failure);
    if (error == POP3_E_OK) error = refusal;
    lua_pushvalue(L, -2); /* what the reader made of it */
    lua_pushvalue(L, -2);
    lua_rawset(L, index);
  }
  return error;
}
