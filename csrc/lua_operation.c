/*
 * lua_operation.c - see lua_operation.h.
 *
 * An operation is marked busy before any Lua may run, and stays so until its
 * turn says done or failed: whatever breaks out of it (Ctrl-C, a memory error,
 * a debug function that raises) leaves a connection whose next call is a clear
 * "busy" error instead of somebody else's reply.
 */
#include "lua_operation.h"

#include <stdio.h>
#include <string.h>

#include "conn.h"
#include "escape.h"
#include "lua_error.h"
#include "lua_options.h"
#include "lua_secret.h"

/* ------------------------------------------------------------ methods */

typedef enum result {
  RESULT_STATUS,  /* the status line */
  RESULT_LISTING, /* status, lines, octets, or the status alone */
  RESULT_STAT,    /* count, octets */
  RESULT_CAPS,    /* name -> list of arguments */
  RESULT_SELF     /* the connection */
} result;

/*
 * Arguments, a letter each: t text, s secret, n message number, b boolean,
 * c TLS context; ? marks the one before as optional.
 */
struct pop3_method {
  const char *name;
  pop3_operation operation;
  pop3_command command;
  const char *arguments;
  result result;
};

static const pop3_method methods[] = {
    {"user", POP3_OP_COMMAND, POP3_USER, "t", RESULT_STATUS},
    {"pass_", POP3_OP_COMMAND, POP3_PASS, "s", RESULT_STATUS},
    {"rpop", POP3_OP_COMMAND, POP3_RPOP, "t", RESULT_STATUS},
    {"apop", POP3_OP_APOP, POP3_APOP, "ts", RESULT_STATUS},
    {"login", POP3_OP_LOGIN, POP3_PASS, "ts", RESULT_STATUS},
    {"stat", POP3_OP_COMMAND, POP3_STAT, "", RESULT_STAT},
    {"list", POP3_OP_COMMAND, POP3_LIST, "n?", RESULT_LISTING},
    {"retr", POP3_OP_COMMAND, POP3_RETR, "n", RESULT_LISTING},
    {"top", POP3_OP_COMMAND, POP3_TOP, "nn", RESULT_LISTING},
    {"dele", POP3_OP_COMMAND, POP3_DELE, "n", RESULT_STATUS},
    {"noop", POP3_OP_COMMAND, POP3_NOOP, "", RESULT_STATUS},
    {"rset", POP3_OP_COMMAND, POP3_RSET, "", RESULT_STATUS},
    {"uidl", POP3_OP_COMMAND, POP3_UIDL, "n?", RESULT_LISTING},
    {"quit", POP3_OP_COMMAND, POP3_QUIT, "", RESULT_STATUS},
    {"capa", POP3_OP_CAPA, POP3_CAPA, "", RESULT_CAPS},
    {"capabilities", POP3_OP_CAPABILITIES, POP3_CAPA, "", RESULT_CAPS},
    {"utf8", POP3_OP_COMMAND, POP3_UTF8, "", RESULT_STATUS},
    {"lang", POP3_OP_COMMAND, POP3_LANG, "t?", RESULT_LISTING},
    {"last", POP3_OP_COMMAND, POP3_LAST, "", RESULT_STATUS},
    {"stls", POP3_OP_STLS, POP3_STLS, "c?", RESULT_STATUS},
    {"command", POP3_OP_LINE, POP3_OTHER, "tb?", RESULT_LISTING},
};

#define METHOD_COUNT (sizeof methods / sizeof *methods)

static const pop3_method open_method = {"POP3", POP3_OP_OPEN, POP3_GREETING, "",
                                        RESULT_SELF};

static void start(pop3_connection *u) {
  u->busy = true;
  u->settled = POP3_STEP_WAIT;
}

void pop3_operation_opened(pop3_connection *u) {
  u->method = &open_method;
  start(u);
}

void pop3_push_methods(lua_State *L) {
  lua_createtable(L, (int)METHOD_COUNT, 0);
  for (size_t i = 0; i < METHOD_COUNT; i++) {
    lua_pushstring(L, methods[i].name);
    lua_rawseti(L, -2, (int)i + 1);
  }
}

static const pop3_method *find_method(const char *name) {
  for (size_t i = 0; i < METHOD_COUNT; i++) {
    if (strcmp(methods[i].name, name) == 0) return &methods[i];
  }
  return NULL;
}

/* ------------------------------------------------------------ arguments */

/* What a call's arguments become. Strings stay anchored on the Lua stack. */
typedef struct call {
  pop3_connection *connection;
  const pop3_method *method;
  pop3_request request;
} call;

static int wrong_type(lua_State *L, const call *c, int argument,
                      const char *wanted) {
  return pop3_argument_error(L, c->method->name, argument,
                             "%s expected, got %s", wanted,
                             luaL_typename(L, argument + 2));
}

/* Every argument is looked at before an octet leaves, by the engine's rule. */
static void check_octets(lua_State *L, const call *c, int argument,
                         pop3_span octets, char kind) {
  pop3_error error = pop3_check_octets(octets, kind == 'n');
  if (error == POP3_E_OK) return;
  bool line_end = kind == 's' && octets.size > 0 &&
                  (octets.data[octets.size - 1] == '\n' ||
                   octets.data[octets.size - 1] == '\r');
  pop3_connection_drop_secret(c->connection);
  pop3_argument_error(L, c->method->name, argument, "%s",
                      line_end
                          ? "the secret ends in a line end: strip it, or use "
                            "pop3.secret, which strips one"
                          : pop3_error_text(error));
}

static void add_argument(call *c, pop3_span octets) {
  c->request.arguments[c->request.count++] = octets;
}

/* [-0, +0, v] */
static void take_text(lua_State *L, call *c, int argument) {
  pop3_span octets;
  if (lua_type(L, argument + 2) != LUA_TSTRING)
    wrong_type(L, c, argument, "string");
  octets.data = lua_tolstring(L, argument + 2, &octets.size);
  check_octets(L, c, argument, octets, 't');
  add_argument(c, octets);
}

/* [-0, +0, v] */
static void take_secret(lua_State *L, call *c, int argument) {
  pop3_connection *u = c->connection;
  pop3_failure failure = {0};
  pop3_span octets;
  if (!pop3_test_secret(L, argument + 2)) {
    if (lua_type(L, argument + 2) != LUA_TSTRING)
      wrong_type(L, c, argument, "string, function or pop3.secret");
    octets.data = lua_tolstring(L, argument + 2, &octets.size);
    check_octets(L, c, argument, octets, 's');
    add_argument(c, octets);
    return;
  }
  pop3_connection_drop_secret(u);
  pop3_error error =
      pop3_secret_read(L, argument + 2, &u->allocator, &u->secret, &octets.size,
                       &u->secret_room, &failure);
  if (error != POP3_E_OK) {
    pop3_push_error(L, &failure);
    lua_error(L);
  }
  octets.data = u->secret;
  check_octets(L, c, argument, octets, 's');
  add_argument(c, octets);
}

/* A message number as decimal digits; false when it is none. */
static bool format_number(lua_State *L, int index, char digits[32]) {
  lua_Number n = lua_tonumber(L, index);
  if (compat_isinteger(L, index)) {
    if (lua_tointeger(L, index) < 0) return false;
    snprintf(digits, 32, "%lld", (long long)lua_tointeger(L, index));
    return true;
  }
  /* Above 2^53 neighbours share a float; not even that is a message. */
  if (!(n >= 0 && n <= 9007199254740992.0)) return false;
  if (n != (lua_Number)(long long)n) return false;
  snprintf(digits, 32, "%lld", (long long)n);
  return true;
}

/* A number becomes a string in its place, anchored like any other: beside a
 * long argument it is borrowed, too. [-0, +0, v] */
static void take_number(lua_State *L, call *c, int argument) {
  int index = argument + 2;
  char digits[32];
  pop3_span octets;
  if (lua_type(L, index) == LUA_TNUMBER) {
    if (!format_number(L, index, digits))
      pop3_argument_error(L, c->method->name, argument,
                          "a message number is a whole number from 0");
    lua_pushstring(L, digits);
    lua_replace(L, index);
  }
  if (lua_type(L, index) != LUA_TSTRING)
    wrong_type(L, c, argument, "message number");
  octets.data = lua_tolstring(L, index, &octets.size);
  check_octets(L, c, argument, octets, 'n');
  add_argument(c, octets);
}

/* [-0, +0, v] */
static void take_multiline(lua_State *L, call *c, int argument) {
  c->request.flags = POP3_AS_LINES;
  if (lua_toboolean(L, argument + 2)) c->request.flags |= POP3_AS_LONG;
}

/* The context of stls(context): one, an option table, or the constructor's.
 * [-0, +0, v] */
static void take_context(lua_State *L, call *c, int argument) {
  pop3_failure failure = {0};
  pop3_tls_context *context = pop3_connection_context(
      L, c->connection, argument + 2, c->method->name, &failure);
  if (context == NULL) {
    pop3_push_error(L, &failure);
    lua_error(L);
  }
  pop3_conn_use_context(c->connection->conn, context);
}

typedef void (*argument_taker)(lua_State *, call *, int);

static argument_taker taker_of(char kind) {
  switch (kind) {
    case 't':
      return take_text;
    case 's':
      return take_secret;
    case 'n':
      return take_number;
    case 'b':
      return take_multiline;
    default:
      return take_context;
  }
}

/* Lua sees (connection, name, arguments ...): argument 1 is at index 3.
 * [-0, +0, v] */
static void take_arguments(lua_State *L, call *c) {
  int argument = 1;
  for (const char *kind = c->method->arguments; *kind != '\0'; kind++) {
    bool optional = kind[1] == '?';
    bool given = !lua_isnoneornil(L, argument + 2);
    bool handles_nil = *kind == 'b' || *kind == 'c';
    argument_taker take = taker_of(*kind);
    if (given || !optional || handles_nil) take(L, c, argument);
    argument++;
    if (optional) kind++;
  }
}

/* ------------------------------------------------------------ begin */

static int refuse_call(lua_State *L, const char *method,
                       const pop3_failure *failure) {
  pop3_failure named = *failure;
  if (failure->error == POP3_E_CLOSED)
    pop3_fail(&named, failure->error, "%s: the connection is closed", method);
  if (failure->error == POP3_E_BUSY)
    pop3_fail(&named, failure->error,
              "%s: another call is running, or was broken off; close the "
              "connection",
              method);
  return pop3_push_error(L, &named);
}

static bool is_argument_error(pop3_error error) {
  return strcmp(pop3_error_kind(error), "argument") == 0;
}

/* A new operation finds nothing of the one before. [-0, +0, m] */
static void start_results(lua_State *L, pop3_connection *u, int anchors) {
  u->lines = 0;
  u->octets = 0;
  u->partial.size = 0;
  lua_pushnil(L);
  lua_setfield(L, anchors, "status");
  lua_pushnil(L);
  lua_setfield(L, anchors, "lines");
}

/* Long arguments are borrowed until they are sent. [-0, +0, m] */
static void anchor_arguments(lua_State *L, int anchors) {
  for (int i = 1; i <= 2; i++) {
    lua_pushvalue(L, i + 2);
    lua_rawseti(L, anchors, i);
  }
}

int pop3_lua_begin(lua_State *L) {
  call c = {0};
  c.method = find_method(luaL_checkstring(L, 2));
  if (c.method == NULL) return luaL_error(L, "no such method");
  c.connection = pop3_connection_check(L, 1, c.method->name);
  c.request.operation = c.method->operation;
  c.request.command = c.method->command;
  c.request.flags = POP3_AS_LINES;
  if (c.connection->busy) {
    bool closed = pop3_conn_is_closed(c.connection->conn);
    pop3_failure f = {closed ? POP3_E_CLOSED : POP3_E_BUSY, 0, "", 0, ""};
    return refuse_call(L, c.method->name, &f);
  }
  lua_settop(L, 4); /* no method has more than two arguments */
  take_arguments(L, &c);
  lua_settop(L, 4);
  compat_getuservalue(L, 1);
  start_results(L, c.connection, 5);
  anchor_arguments(L, 5);
  c.connection->method = c.method;
  pop3_error error =
      pop3_conn_begin(c.connection->conn, &c.request, pop3_now());
  const pop3_failure *failure = pop3_conn_failure(c.connection->conn);
  if (error != POP3_E_OK) pop3_connection_drop_secret(c.connection);
  if (error != POP3_E_OK && is_argument_error(error))
    return pop3_argument_error(L, c.method->name, 1, "%s", failure->text);
  if (error != POP3_E_OK) return refuse_call(L, c.method->name, failure);
  start(c.connection);
  return 0;
}

/* ------------------------------------------------------------ results */

/* Fixed places on turn's stack. */
enum { AT_SELF = 1, AT_ANCHORS = 2, AT_LINES = 3 };

static int no_memory(lua_State *L) {
  return luaL_error(L, "not enough memory");
}

/* [-0, +0, m] */
static void take_status(lua_State *L, pop3_connection *u,
                        const pop3_event *event) {
  lua_pushlstring(L, event->text.data, event->text.size);
  lua_setfield(L, AT_ANCHORS, "status");
  if (!event->more) return;
  u->lines = 0;
  lua_newtable(L);
  lua_pushvalue(L, -1);
  lua_setfield(L, AT_ANCHORS, "lines");
  lua_replace(L, AT_LINES);
}

/* A line goes straight from the receive buffer into the table; only one that
 * straddles two reads is put together first. [-0, +0, m] */
static void take_line(lua_State *L, pop3_connection *u,
                      const pop3_event *event) {
  u->octets += event->text.size + event->line_end;
  if (event->first && event->last) {
    lua_pushlstring(L, event->text.data, event->text.size);
  } else {
    if (!pop3_octets_add(&u->partial, event->text.data, event->text.size))
      no_memory(L);
    if (!event->last) return;
    lua_pushlstring(L, u->partial.data == NULL ? "" : u->partial.data,
                    u->partial.size);
    u->partial.size = 0;
  }
  lua_rawseti(L, AT_LINES, ++u->lines);
}

/* [-0, +0, m] */
static void take_event(lua_State *L, pop3_connection *u) {
  const pop3_event *event = pop3_conn_event(u->conn);
  if (event->type == POP3_EVENT_STATUS) take_status(L, u, event);
  if (event->type == POP3_EVENT_LINE) take_line(L, u, event);
  if (event->type == POP3_EVENT_END) u->octets = event->octets;
}

/* [-0, +1, -] */
static void push_number(lua_State *L, const pop3_number *n) {
  lua_Integer whole = (lua_Integer)n->whole;
  if (n->exact && whole == n->whole) {
    lua_pushinteger(L, whole);
  } else {
    lua_pushnumber(L, (lua_Number)n->rough);
  }
}

/* The status line's two numbers. [-0, +n, m] */
static int push_stat(lua_State *L, pop3_failure *failure) {
  pop3_number count, octets;
  pop3_span line;
  lua_getfield(L, AT_ANCHORS, "status");
  line.data = lua_tolstring(L, -1, &line.size);
  pop3_error error = pop3_parse_stat(line, &count, &octets, failure);
  lua_pop(L, 1); /* the failure has a copy */
  if (error != POP3_E_OK) return 0;
  push_number(L, &count);
  push_number(L, &octets);
  return 2;
}

/* Names compare without case; capa() hands them out as they came, as poplib,
 * capabilities() in upper case. [-0, +1, m] */
static void push_name(lua_State *L, pop3_span name, bool fold) {
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  for (size_t i = 0; i < name.size; i++) {
    char c = name.data[i];
    luaL_addchar(&b, (char)(fold && c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c));
  }
  luaL_pushresult(&b);
}

/* name -> { arguments }, later lines win, as in poplib. [-0, +1, m] */
static int push_capabilities(lua_State *L, const pop3_connection *u) {
  const pop3_caps *caps = &pop3_conn_client(u->conn)->caps;
  bool fold = u->method->operation == POP3_OP_CAPABILITIES;
  pop3_span line, word;
  size_t at = 0;
  lua_newtable(L);
  while (pop3_caps_next(caps, &at, &line)) {
    int n = 0;
    pop3_next_word(&line, &word);
    push_name(L, word, fold);
    lua_newtable(L);
    while (pop3_next_word(&line, &word)) {
      lua_pushlstring(L, word.data, word.size);
      lua_rawseti(L, -2, ++n);
    }
    lua_rawset(L, -3);
  }
  return 1;
}

/* status[, lines, octets] [-0, +n, m] */
static int push_listing(lua_State *L, const pop3_connection *u) {
  lua_getfield(L, AT_ANCHORS, "status");
  lua_getfield(L, AT_ANCHORS, "lines");
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    return 1;
  }
  lua_pushinteger(L, (lua_Integer)u->octets);
  return 3;
}

/* The connection, open now; its greeting outlives it. [-0, +1, m] */
static int push_self(lua_State *L, const pop3_connection *u) {
  const pop3_client *client = pop3_conn_client(u->conn);
  lua_pushlstring(L, client->welcome, client->welcome_size);
  lua_setfield(L, AT_ANCHORS, "welcome");
  lua_pushvalue(L, AT_SELF);
  return 1;
}

/* What the method returns, behind the word "done". [-0, +n, m] */
static int push_results(lua_State *L, pop3_connection *u,
                        pop3_failure *failure) {
  switch (u->method->result) {
    case RESULT_SELF:
      return push_self(L, u);
    case RESULT_LISTING:
      return push_listing(L, u);
    case RESULT_CAPS:
      return push_capabilities(L, u);
    case RESULT_STAT:
      return push_stat(L, failure);
    default:
      lua_getfield(L, AT_ANCHORS, "status");
      return 1;
  }
}

/* The operation is over: let go of what it held. [-0, +0, m] */
static void end_operation(lua_State *L, pop3_connection *u) {
  static const char *const names[] = {"status", "lines"};
  u->busy = false;
  pop3_connection_drop_secret(u);
  pop3_octets_clear(&u->partial);
  for (int i = 0; i < 2; i++) {
    lua_pushnil(L);
    lua_setfield(L, AT_ANCHORS, names[i]);
    lua_pushnil(L);
    lua_rawseti(L, AT_ANCHORS, i + 1);
  }
}

/* "failed", error object [-0, +2, m] */
static int turn_failed(lua_State *L, pop3_connection *u,
                       const pop3_failure *failure) {
  end_operation(L, u);
  lua_pushliteral(L, "failed");
  refuse_call(L, u->method->name, failure);
  return 2;
}

/* "done", results ... [-0, +n, m] */
static int turn_done(lua_State *L, pop3_connection *u) {
  pop3_failure failure = {0};
  lua_pushliteral(L, "done");
  int count = push_results(L, u, &failure);
  if (failure.error != POP3_E_OK) return turn_failed(L, u, &failure);
  end_operation(L, u);
  return count + 1;
}

/* ------------------------------------------------------------ traces */

static void add_escaped(pop3_octets *out, pop3_span text) {
  char piece[POP3_ESCAPE_ROOM];
  while (text.size > 0) {
    size_t taken = pop3_escape_next(text.data, text.size, piece);
    pop3_octets_add(out, piece, strlen(piece));
    text.data += taken;
    text.size -= taken;
  }
}

static void add_text(pop3_octets *out, const char *text) {
  pop3_octets_add(out, text, strlen(text));
}

/* "*get* '+OK\r\n'", as poplib prints it. A trace that finds no memory is cut
 * short; the operation is not. */
static void show_trace(void *state, int level, const char *label,
                       pop3_span text, unsigned line_end) {
  static const char *const line_ends[] = {"", "\\n", "\\r\\n"};
  pop3_connection *u = state;
  (void)level;
  add_text(&u->trace, "*");
  add_text(&u->trace, label);
  add_text(&u->trace, "* '");
  add_escaped(&u->trace, text);
  add_text(&u->trace, line_ends[line_end]);
  add_text(&u->trace, "'\n");
}

/* "trace", text, function or nil [-0, +3, m] */
static int turn_trace(lua_State *L, pop3_connection *u) {
  lua_pushliteral(L, "trace");
  lua_pushlstring(L, u->trace.data, u->trace.size);
  pop3_octets_clear(&u->trace);
  lua_getfield(L, AT_ANCHORS, "debug");
  return 3;
}

/* trace(connection, level[, function]) [-0, +0, v] */
int pop3_lua_trace(lua_State *L) {
  pop3_connection *u = pop3_connection_check(L, 1, "set_debuglevel");
  pop3_tracer *tracer = &pop3_conn_client(u->conn)->tracer;
  if (lua_type(L, 2) != LUA_TNUMBER)
    return pop3_argument_error(L, "set_debuglevel", 1,
                               "number expected, got %s", luaL_typename(L, 2));
  if (!lua_isnoneornil(L, 3) && lua_type(L, 3) != LUA_TFUNCTION)
    return pop3_argument_error(L, "set_debuglevel", 2,
                               "function expected, got %s",
                               luaL_typename(L, 3));
  lua_settop(L, 3);
  compat_getuservalue(L, 1);
  lua_insert(L, 3);
  lua_setfield(L, 3, "debug");
  tracer->show = show_trace;
  tracer->state = u;
  tracer->level = (lua_tonumber(L, 2) >= 1) + (lua_tonumber(L, 2) >= 2);
  return 0;
}

/* ------------------------------------------------------------ turn */

/* What happened, once its trace was shown. [-0, +n, m] */
static int turn_settled(lua_State *L, pop3_connection *u) {
  if (u->trace.size > 0) return turn_trace(L, u);
  if (u->settled == POP3_STEP_DONE) return turn_done(L, u);
  return turn_failed(L, u, pop3_conn_failure(u->conn));
}

static bool is_settled(const pop3_connection *u) {
  return u->settled == POP3_STEP_DONE || u->settled == POP3_STEP_FAILED;
}

/* How long Lua may be kept waiting for its turn while octets flow, seconds:
 * a signal that came between two polls has only set a hook. */
#define TURN_SECONDS 0.1

/* Lines between two looks at the clock, which costs as much as one of them. */
#define EVENTS_PER_LOOK 256

/*
 * A table of this many lines is a large message's. All that is allocated for it
 * is alive, and a collector that looks through it again and again costs more
 * than everything else: from here on it rests while a turn runs.
 */
#define LARGE_TABLE 16384

/* Does the table become a large one during this turn? */
static bool grows_large(const pop3_connection *u, int lines) {
  return u->lines >= LARGE_TABLE && lines < LARGE_TABLE;
}

/* Advance until the operation is settled, there is something to show, or Lua
 * should run; true for the first. Waits in poll. [-0, +0, m] */
static bool advance(lua_State *L, pop3_connection *u) {
  double now = pop3_now();
  double turn_ends = now + TURN_SECONDS;
  int lines = u->lines;
  for (unsigned events = 0; u->trace.size == 0 && now < turn_ends;) {
    u->settled = pop3_conn_step(u->conn, now, POP3_STEP_OCTETS);
    if (u->settled == POP3_STEP_EVENT) take_event(L, u);
    if (is_settled(u)) return true;
    if (u->settled == POP3_STEP_WAIT && !pop3_conn_wait(u->conn)) return false;
    if (u->settled == POP3_STEP_EVENT && ++events % EVENTS_PER_LOOK != 0)
      continue;
    if (grows_large(u, lines)) return false;
    now = pop3_now();
  }
  return false;
}

/* [-0, +n, m] */
static int turn(lua_State *L) {
  pop3_connection *u = lua_touserdata(L, 1);
  lua_settop(L, 1);
  compat_getuservalue(L, 1);
  lua_getfield(L, AT_ANCHORS, "lines");
  if (is_settled(u) || advance(L, u)) return turn_settled(L, u);
  if (u->trace.size > 0) return turn_trace(L, u);
  lua_pushliteral(L, "again");
  lua_pushnumber(L, (lua_Number)u->octets);
  return 2;
}

/*
 * Under pcall, so that a lack of memory, which passes here, leaves the collector
 * running and the connection closable. While results are made the collector may
 * run a finaliser that closes the connection: it is closed when they are.
 */
int pop3_lua_turn(lua_State *L) {
  pop3_connection *u = pop3_connection_check(L, 1, "turn");
  if (!u->busy || u->turning) return luaL_error(L, "nothing to turn");
  lua_settop(L, 1);
  lua_pushcfunction(L, turn);
  lua_pushvalue(L, 1);
  int stopped = u->lines >= LARGE_TABLE && compat_stop_collector(L);
  u->turning = true;
  int status = lua_pcall(L, 1, LUA_MULTRET, 0);
  u->turning = false;
  if (stopped) lua_gc(L, LUA_GCRESTART, 0);
  if (u->closing) pop3_connection_release(u);
  if (status != 0) return lua_error(L);
  return lua_gettop(L) - 1;
}
