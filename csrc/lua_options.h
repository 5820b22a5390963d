/*
 * lua_options.h - option tables, read by rows: a typo is an error that names
 * the nearest option there is. Also the one way to complain about arguments.
 *
 * Errors are ordinary Lua errors whose position is the caller of the public
 * function, which is what called the first Lua function, the face's, from here.
 */
#ifndef POP3_LUA_OPTIONS_H
#define POP3_LUA_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "failure.h"
#include "lua_compat.h"

#pragma GCC visibility push(hidden)

/* As long as a path, a name, a list of ciphers may be: a script's string of a
 * GiB would be copied on its way, more than once. */
#define POP3_MOST_OPTION 65536

typedef enum pop3_option_type {
  POP3_OPTION_STRING,   /* const char *; owned by the option table */
  POP3_OPTION_PATH,     /* the same, of what takes the right to files */
  POP3_OPTION_LIST,     /* the same, or a list of them, joined by ';' */
  POP3_OPTION_RECORDS,  /* the same, or lists of records (lua_lists.h) */
  POP3_OPTION_OCTETS,   /* pop3_span, NULs allowed; as above */
  POP3_OPTION_BOOLEAN,  /* bool */
  POP3_OPTION_SECONDS,  /* double, more than 0 */
  POP3_OPTION_COUNT,    /* uint64_t, a whole number from 0 */
  POP3_OPTION_LEVEL,    /* int, 0 to 5 */
  POP3_OPTION_WORD,     /* int, the index in `words` */
  POP3_OPTION_FUNCTION, /* called by somebody else */
  POP3_OPTION_TABLE,    /* kept by somebody else */
  POP3_OPTION_ANY       /* read by somebody else */
} pop3_option_type;

typedef struct pop3_option {
  const char *key;
  pop3_option_type type;
  size_t offset;            /* in the target */
  const char *const *words; /* WORD: NULL-terminated */
} pop3_option;

/* Rows and the struct that they fill; a table may be read into several. */
typedef struct pop3_option_set {
  const pop3_option *rows;
  size_t count;
  void *target;
  bool used; /* out: one of its rows was there */
} pop3_option_set;

/*
 * Read the table at `index` into the sets' targets; keys that are absent leave
 * them alone. Raises for keys that no row has and for values of a wrong type.
 * A copy takes the table's place at `index` and owns the strings, also those
 * that lists were made: no finaliser
 * that runs meanwhile can take them away. RESTRICTED. [-0, +0, v]
 */
pop3_error pop3_options_read(lua_State *L, int index, const char *method,
                             pop3_option_set *sets, size_t count,
                             pop3_failure *failure);

/* "where: bad argument #N to 'METHOD' (text)"; does not return. [-0, +0, v] */
#if defined(__GNUC__)
__attribute__((format(printf, 4, 5)))
#endif
int pop3_argument_error(lua_State *L, const char *method, int argument,
                        const char *format, ...);

/* Are they the same? Most of a table's differ in the first letter, and a call of
 * strcmp for each row costs more than what is looked for. */
bool pop3_is_name(const char *name, const char *other);

/* "where: bad option 'KEY' to 'METHOD' (text)"; does not return.
 * [-0, +0, v] */
int pop3_option_error(lua_State *L, const char *method, const char *key,
                      const char *text);

#pragma GCC visibility pop

#endif
