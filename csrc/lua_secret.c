/* lua_secret.c - see lua_secret.h. */
#define _GNU_SOURCE
#include "lua_secret.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>

#include "lua_compat.h"
#include "lua_error.h"
#include "lua_options.h"
#include "lua_restrict.h"
#include "platform.h"

#define SECRET "pop3.secret"

/* How each source is spelled and read; one row each. */
#define SOURCES(X)      \
  X(FD, "fd")           \
  X(PATH, "path")       \
  X(COMMAND, "command") \
  X(ENV, "env")

#define SOURCE_ID(id, key) SOURCE_##id,
typedef enum source { SOURCES(SOURCE_ID) SOURCE_COUNT } source;
#undef SOURCE_ID

#define SOURCE_KEY(id, key) key,
static const char *const source_keys[] = {SOURCES(SOURCE_KEY)};
#undef SOURCE_KEY

typedef struct secret {
  source source;
  int fd;
  bool used;   /* an fd has been read to its end */
  char text[]; /* path, command or variable */
} secret;

/* What has been read; every block it ever had is wiped. */
typedef struct collector {
  const pop3_allocator *allocator;
  char *octets;
  size_t size;
  size_t capacity;
} collector;

/* --- collecting ---------------------------------------------------------- */

/* Not the allocator's own resizing: it would leave a copy behind. */
static bool grow(collector *c) {
  size_t capacity = c->capacity ? 2 * c->capacity : 512;
  char *octets = pop3_allocate(c->allocator, capacity);
  if (!octets) return false;
  if (c->size) memcpy(octets, c->octets, c->size);
  pop3_secret_free(c->allocator, c->octets, c->capacity);
  c->octets = octets;
  c->capacity = capacity;
  return true;
}

/* What a text calls its source. A command is not shown: people write secrets
 * into commands. */
#define NAME_MAX_SIZE 512
static const char *name_of(const secret *s, char name[NAME_MAX_SIZE]) {
  switch (s->source) {
    case SOURCE_FD:
      (void)snprintf(name, NAME_MAX_SIZE, "fd %d", s->fd);
      break;
    case SOURCE_COMMAND:
      return "command";
    default:
      (void)snprintf(name, NAME_MAX_SIZE, "%s '%s'", source_keys[s->source],
                     s->text);
  }
  return name;
}

static pop3_error fail(pop3_failure *failure, const secret *s, int system) {
  char name[NAME_MAX_SIZE];
  pop3_error error = pop3_fail(failure, POP3_E_IO, "secret: cannot read %s: %s",
                               name_of(s, name), pop3_os_text(system));
  failure->system = system;
  return error;
}

/* For what no errno describes. */
static pop3_error fail_because(pop3_failure *failure, const secret *s,
                               const char *reason) {
  char name[NAME_MAX_SIZE];
  return pop3_fail(failure, POP3_E_IO, "secret: %s %s", name_of(s, name),
                   reason);
}

static pop3_error fail_size(pop3_failure *failure, const secret *s) {
  return fail_because(failure, s,
                      "gave more than 64 KiB; no password is "
                      "that long");
}

static pop3_error collect_fd(int fd, const secret *s, collector *c,
                             pop3_failure *failure) {
  for (;;) {
    if (c->size == c->capacity && !grow(c))
      return pop3_fail(failure, POP3_E_MEMORY, NULL);
    ptrdiff_t got =
        pop3_os_read(fd, c->octets + c->size, c->capacity - c->size);
    if (got < 0) return fail(failure, s, errno);
    if (got == 0) return POP3_E_OK;
    c->size += (size_t)got;
    if (c->size > POP3_SECRET_MAX + 2) return fail_size(failure, s);
  }
}

static void strip_line_end(collector *c) {
  if (!c->size || c->octets[c->size - 1] != '\n') return;
  c->size--;
  if (c->size && c->octets[c->size - 1] == '\r') c->size--;
}

/* --- the four sources ---------------------------------------------------- */

static pop3_error read_fd(secret *s, collector *c, pop3_failure *failure) {
  if (s->used)
    return fail_because(failure, s,
                        "has been read already; make a new secret, or use a "
                        "path");
  s->used = true;
  pop3_error error = collect_fd(s->fd, s, c, failure);
  strip_line_end(c);
  return error;
}

static pop3_error read_path(secret *s, collector *c, pop3_failure *failure) {
  int fd = pop3_os_open(s->text);
  if (fd < 0) return fail(failure, s, errno);
  pop3_error error = collect_fd(fd, s, c, failure);
  (void)pop3_os_close(fd);
  strip_line_end(c);
  return error;
}

static pop3_error read_env(secret *s, collector *c, pop3_failure *failure) {
  const char *value = getenv(s->text);
  if (!value) return fail_because(failure, s, "is not set");
  size_t size = strlen(value);
  if (size > POP3_SECRET_MAX) return fail_size(failure, s);
  while (c->capacity < size)
    if (!grow(c)) return pop3_fail(failure, POP3_E_MEMORY, NULL);
  if (size) memcpy(c->octets, value, size);
  c->size = size;
  return POP3_E_OK;
}

static pop3_error judge_status(const secret *s, int status, int signal,
                               pop3_failure *failure) {
  if (signal != 0)
    return pop3_fail(failure, POP3_E_IO,
                     "secret: command was ended by signal %d", signal);
  if (status == 0) return POP3_E_OK;
  if (status == -1) /* SIGCHLD is ignored, or somebody else waited */
    return fail_because(failure, s,
                        "ended, but its exit status cannot be learnt; do not "
                        "ignore SIGCHLD");
  return pop3_fail(failure, POP3_E_IO,
                   "secret: command failed with exit status %d", status);
}

static pop3_error read_command(secret *s, collector *c, pop3_failure *failure) {
  pop3_os_command command;
  int signal = 0;
  int system = pop3_os_start(s->text, &command);
  if (system) return fail(failure, s, system);
  pop3_error error = collect_fd(command.output, s, c, failure);
  int status = pop3_os_finish(&command, &signal);
  if (error) return error;
  strip_line_end(c);
  return judge_status(s, status, signal, failure);
}

typedef pop3_error reader(secret *, collector *, pop3_failure *);

static reader *const readers[] = {read_fd, read_path, read_command, read_env};

/* --- the interface to the binding ---------------------------------------- */

void pop3_secret_free(const pop3_allocator *allocator, char *octets,
                      size_t capacity) {
  if (!octets) return;
  pop3_wipe(octets, capacity);
  pop3_release(allocator, octets, capacity);
}

int pop3_test_secret(lua_State *L, int index) {
  return compat_testudata(L, index, SECRET) != NULL;
}

pop3_error pop3_secret_read(lua_State *L, int index,
                            const pop3_allocator *allocator, char **octets,
                            size_t *size, size_t *capacity,
                            pop3_failure *failure) {
  secret *s = compat_testudata(L, index, SECRET);
  collector c = {allocator, NULL, 0, 0};
  if (!s)
    return pop3_fail(failure, POP3_E_ARGUMENT, "a pop3.secret is expected");
  pop3_error error = readers[s->source](s, &c, failure);
  if (!error && c.size == 0)
    error = fail_because(failure, s, "is empty; nothing was read");
  if (!error && c.size > POP3_SECRET_MAX) error = fail_size(failure, s);
  if (error) {
    pop3_secret_free(allocator, c.octets, c.capacity);
    return error;
  }
  *octets = c.octets;
  *size = c.size;
  *capacity = c.capacity;
  return POP3_E_OK;
}

/* --- the constructor ------------------------------------------------------ */

#define EXPECTED "one of fd, path, command and env"

/* The source that the key at `index` names. [-0, +0, v] */
static source check_key(lua_State *L, int index) {
  if (lua_type(L, index) == LUA_TSTRING) {
    const char *key = lua_tostring(L, index);
    bool whole = strlen(key) == compat_rawlen(L, index);
    for (int i = 0; i < SOURCE_COUNT; i++)
      if (whole && strcmp(key, source_keys[i]) == 0) return (source)i;
    pop3_argument_error(L, "secret", 1,
                        "unknown key '%.32s', " EXPECTED " expected", key);
  }
  pop3_argument_error(L, "secret", 1, "a %s as key, " EXPECTED " expected",
                      luaL_typename(L, index));
  return SOURCE_COUNT;
}

/* The value on the top, a descriptor. [-0, +1, v] */
static void make_fd(lua_State *L) {
  lua_Number number = lua_tonumber(L, -1);
  if (lua_type(L, -1) != LUA_TNUMBER || !(number >= 0 && number <= INT_MAX) ||
      number != (lua_Number)(int)number)
    pop3_argument_error(L, "secret", 1, "fd is not a descriptor's number");
  secret *s = lua_newuserdata(L, sizeof *s);
  s->source = SOURCE_FD;
  s->fd = (int)number;
  s->used = false;
}

/* The value on the top, a path, command or variable. [-0, +1, v] */
static void make_text(lua_State *L, source from) {
  size_t size = 0;
  if (lua_type(L, -1) != LUA_TSTRING)
    pop3_argument_error(L, "secret", 1, "%s is not a string (got %s)",
                        source_keys[from], luaL_typename(L, -1));
  const char *text = lua_tolstring(L, -1, &size);
  if (size == 0 || size > POP3_MOST_OPTION || strlen(text) != size)
    pop3_argument_error(L, "secret", 1, "%s is empty, too long or holds a NUL",
                        source_keys[from]);
  secret *s = lua_newuserdata(L, sizeof *s + size + 1);
  s->source = from;
  s->fd = -1;
  s->used = false;
  memcpy(s->text, text, size + 1);
}

/* Only here: a secret that the host made is the script's to use. */
static pop3_error permit(lua_State *L, source from, pop3_failure *failure) {
  pop3_right right = from == SOURCE_FD ? POP3_RIGHT_FDS : POP3_RIGHT_FILES;
  char what[32];
  (void)snprintf(what, sizeof what, "a secret's %s", source_keys[from]);
  return pop3_permit(L, right, what, failure);
}

int pop3_lua_secret(lua_State *L) {
  pop3_failure failure;
  if (lua_type(L, 1) != LUA_TTABLE)
    return pop3_argument_error(L, "secret", 1, "table expected, got %s",
                               luaL_typename(L, 1));
  lua_settop(L, 1);
  lua_pushnil(L);
  if (!lua_next(L, 1))
    return pop3_argument_error(L, "secret", 1, EXPECTED " expected");
  source from = check_key(L, 2);
  lua_pushvalue(L, 2);
  if (lua_next(L, 1)) {
    (void)check_key(L, 4);
    return pop3_argument_error(L, "secret", 1,
                               "exactly " EXPECTED " expected, got %s and %s",
                               lua_tostring(L, 2), lua_tostring(L, 4));
  }
  if (permit(L, from, &failure) != POP3_E_OK) {
    lua_pushnil(L);
    pop3_push_error(L, &failure);
    return 2;
  }
  if (from == SOURCE_FD) make_fd(L);
  else make_text(L, from);
  luaL_getmetatable(L, SECRET);
  lua_setmetatable(L, -2);
  return 1;
}

static int secret_tostring(lua_State *L) {
  lua_pushliteral(L, SECRET);
  return 1;
}

void pop3_open_secret(lua_State *L) {
  if (luaL_newmetatable(L, SECRET)) {
    lua_pushliteral(L, SECRET);
    lua_setfield(L, -2, "__name");
    lua_pushliteral(L, SECRET);
    lua_setfield(L, -2, "__metatable");
    lua_pushcfunction(L, secret_tostring);
    lua_setfield(L, -2, "__tostring");
  }
  lua_pop(L, 1);
}
