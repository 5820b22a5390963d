/*
 * lua_method.c - see lua_method.h.
 */
#include "lua_method.h"

#include <stddef.h>
#include <string.h>

#include "lua_error.h"
#include "lua_login.h"
#include "lua_options.h"

/* ------------------------------------------------------------ rows */

/* Which options a method's table may hold. */
enum {
  TAKES_PROGRESS = 1 << 0,
  TAKES_SINK = 1 << 1, /* what shapes a message on its way */
  TAKES_QUIT = 1 << 2,
  TAKES_LOGIN = 1 << 3,
  TAKES_WAIT = 1 << 4
};

#define MESSAGE (TAKES_PROGRESS | TAKES_SINK)

/* name, operation, command, arguments, result */
#define SIMPLE(name, operation, command, arguments, result)     \
  {                                                             \
    name, name, POP3_OP_##operation, POP3_##command, arguments, \
        POP3_RESULT_##result, POP3_TO_TABLE, 0                  \
  }

static const pop3_method methods[] = {
    SIMPLE("user", COMMAND, USER, "t", STATUS),
    SIMPLE("pass_", COMMAND, PASS, "s", STATUS),
    SIMPLE("rpop", COMMAND, RPOP, "t", STATUS),
    SIMPLE("apop", APOP, APOP, "ts", STATUS),
    SIMPLE("stat", COMMAND, STAT, "", STAT),
    SIMPLE("list", COMMAND, LIST, "n?", LISTING),
    SIMPLE("dele", COMMAND, DELE, "n", STATUS),
    SIMPLE("noop", COMMAND, NOOP, "", STATUS),
    SIMPLE("rset", COMMAND, RSET, "", STATUS),
    SIMPLE("uidl", COMMAND, UIDL, "n?", LISTING),
    SIMPLE("capa", CAPA, CAPA, "", CAPS),
    SIMPLE("capabilities", CAPABILITIES, CAPA, "", CAPS),
    SIMPLE("utf8", COMMAND, UTF8, "", STATUS),
    SIMPLE("lang", COMMAND, LANG, "t?", LISTING),
    SIMPLE("last", COMMAND, LAST, "", STATUS),
    SIMPLE("stls", STLS, STLS, "c?", STATUS),
    SIMPLE("command", LINE, OTHER, "tb?", LISTING),
    SIMPLE("listing", LISTING, LIST, "", ROWS),
    {"login", "login", POP3_OP_LOGIN, POP3_PASS, "upo?", POP3_RESULT_LOGIN,
     POP3_TO_TABLE, TAKES_LOGIN},
    SIMPLE("authenticate", AUTHENTICATE, AUTH, "mfi?", STATUS),
    {"quit", "quit", POP3_OP_COMMAND, POP3_QUIT, "o?", POP3_RESULT_STATUS,
     POP3_TO_TABLE, TAKES_WAIT},
    {"retr", "retr", POP3_OP_COMMAND, POP3_RETR, "no?", POP3_RESULT_LISTING,
     POP3_TO_TABLE, TAKES_PROGRESS},
    {"top", "top", POP3_OP_COMMAND, POP3_TOP, "nno?", POP3_RESULT_LISTING,
     POP3_TO_TABLE, TAKES_PROGRESS},
    {"retr_string", "retr_string", POP3_OP_COMMAND, POP3_RETR, "no?",
     POP3_RESULT_TEXT, POP3_TO_STRING, MESSAGE},
    {"retr_to", "retr_to", POP3_OP_COMMAND, POP3_RETR, "nko?",
     POP3_RESULT_OCTETS, POP3_TO_LUA, MESSAGE},
    {"retr_lines", "retr_lines", POP3_OP_COMMAND, POP3_RETR, "no?",
     POP3_RESULT_OCTETS, POP3_TO_LINES, MESSAGE},
    {"retr_chunks", "retr_chunks", POP3_OP_COMMAND, POP3_RETR, "no?",
     POP3_RESULT_OCTETS, POP3_TO_LUA, MESSAGE},
    {"retr_many", "retr_many", POP3_OP_MANY, POP3_RETR, "l-o?",
     POP3_RESULT_NOTHING, POP3_TO_STRING, MESSAGE | TAKES_QUIT},
    {"retr_many_into", "retr_many", POP3_OP_MANY, POP3_RETR, "l-o?",
     POP3_RESULT_NOTHING, POP3_TO_SINKS, MESSAGE | TAKES_QUIT},
    {"dele_many", "dele_many", POP3_OP_MANY, POP3_DELE, "l",
     POP3_RESULT_NOTHING, POP3_TO_TABLE, 0},
};

#define METHOD_COUNT (sizeof methods / sizeof *methods)

const pop3_method pop3_method_open = SIMPLE("POP3", OPEN, GREETING, "", SELF);

void pop3_push_methods(lua_State *L) {
  int count = 0;
  lua_createtable(L, (int)METHOD_COUNT, 0);
  for (size_t i = 0; i < METHOD_COUNT; i++) {
    if (strcmp(methods[i].name, methods[i].label) != 0) continue;
    lua_pushstring(L, methods[i].name);
    lua_rawseti(L, -2, ++count);
  }
}

const pop3_method *pop3_method_find(const char *name) {
  for (size_t i = 0; i < METHOD_COUNT; i++) {
    if (pop3_is_name(methods[i].name, name)) return &methods[i];
  }
  return NULL;
}

/* ------------------------------------------------------------ arguments */

/* What a call's arguments become. */
typedef struct call {
  pop3_connection *connection;
  const pop3_method *method;
  pop3_request *request;
  int anchors;
  pop3_login_given given;
} call;

/* Lua sees (connection, name, arguments ...). */
static int index_of(int argument) { return argument + POP3_FIRST_ARGUMENT - 1; }

static int wrong_type(lua_State *L, const call *c, int argument,
                      const char *wanted) {
  return pop3_argument_error(L, c->method->label, argument,
                             "%s expected, got %s", wanted,
                             luaL_typename(L, index_of(argument)));
}

/* Every argument is looked at before an octet leaves, by the engine's rule. */
static void check_octets(lua_State *L, const call *c, int argument,
                         pop3_span octets, char kind) {
  pop3_error error = pop3_check_octets(octets, kind == 'n');
  if (error == POP3_E_OK) return;
  const char *text =
      kind == 's' ? pop3_secret_reproach(octets) : pop3_error_text(error);
  pop3_connection_drop_secret(c->connection);
  pop3_argument_error(L, c->method->label, argument, "%s", text);
}

static void add_argument(call *c, pop3_span octets) {
  c->request->arguments[c->request->count++] = octets;
}

/* [-0, +0, v] */
static void take_text(lua_State *L, call *c, int argument) {
  pop3_span octets;
  if (lua_type(L, index_of(argument)) != LUA_TSTRING)
    wrong_type(L, c, argument, "string");
  octets.data = lua_tolstring(L, index_of(argument), &octets.size);
  check_octets(L, c, argument, octets, 't');
  add_argument(c, octets);
}

/* [-0, +0, v] */
static void take_secret(lua_State *L, call *c, int argument) {
  pop3_span octets;
  if (!pop3_take_secret(L, c->connection, index_of(argument), &octets))
    wrong_type(L, c, argument, "string, function or pop3.secret");
  check_octets(L, c, argument, octets, 's');
  add_argument(c, octets);
}

/* ------------------------------------------------------------ logins */

static bool is_nil(lua_State *L, int argument) {
  return lua_isnoneornil(L, index_of(argument));
}

/* Whether there has to be one depends on the options. [-0, +0, v] */
static void take_user(lua_State *L, call *c, int argument) {
  pop3_span none = {NULL, 0};
  c->given.user = !is_nil(L, argument);
  if (c->given.user) take_text(L, c, argument);
  else add_argument(c, none);
}

/* [-0, +0, v] */
static void take_password(lua_State *L, call *c, int argument) {
  pop3_span none = {NULL, 0};
  c->given.secret = !is_nil(L, argument);
  if (c->given.secret) take_secret(L, c, argument);
  else add_argument(c, none);
}

/* RFC 4422 3.1: 20 octets; some are longer, none by much. */
#define LONGEST_MECHANISM 40

/* [-0, +0, v] */
static void take_mechanism(lua_State *L, call *c, int argument) {
  pop3_span name;
  if (lua_type(L, index_of(argument)) != LUA_TSTRING)
    wrong_type(L, c, argument, "a mechanism's name");
  name.data = lua_tolstring(L, index_of(argument), &name.size);
  if (pop3_check_octets(name, true) != POP3_E_OK ||
      name.size > LONGEST_MECHANISM)
    pop3_argument_error(L, c->method->label, argument,
                        "a mechanism's name has 1 to %d printable octets and "
                        "no blanks",
                        LONGEST_MECHANISM);
  add_argument(c, name);
}

/* The face calls it. [-0, +0, v] */
static void take_function(lua_State *L, call *c, int argument) {
  if (lua_type(L, index_of(argument)) != LUA_TFUNCTION)
    wrong_type(L, c, argument, "function");
}

/* Any octets: they leave as base64. [-0, +0, v] */
static void take_initial(lua_State *L, call *c, int argument) {
  pop3_span *initial = &c->request->initial;
  if (lua_type(L, index_of(argument)) != LUA_TSTRING)
    wrong_type(L, c, argument, "string");
  initial->data = lua_tolstring(L, index_of(argument), &initial->size);
}

/* Of half a million numbers; printf takes five times as long. */
static void write_digits(uint64_t n, char digits[32]) {
  char reversed[32];
  size_t count = 0;
  do reversed[count++] = (char)('0' + n % 10);
  while ((n /= 10) > 0);
  for (size_t i = 0; i < count; i++) digits[i] = reversed[count - 1 - i];
  digits[count] = '\0';
}

/* A message number as decimal digits; false when it is none. */
static bool format_number(lua_State *L, int index, char digits[32]) {
  lua_Number n = lua_tonumber(L, index);
  if (compat_isinteger(L, index)) {
    if (lua_tointeger(L, index) < 0) return false;
    write_digits((uint64_t)lua_tointeger(L, index), digits);
    return true;
  }
  /* Above 2^53 neighbours share a float; not even that is a message. */
  if (!(n >= 0 && n <= 9007199254740992.0)) return false;
  if (n != (lua_Number)(long long)n) return false;
  write_digits((uint64_t)n, digits);
  return true;
}

/* A number becomes a string in its place, anchored like any other: beside a
 * long argument it is borrowed, too. [-0, +0, v] */
static void take_number(lua_State *L, call *c, int argument) {
  int index = index_of(argument);
  char digits[32];
  pop3_span octets;
  if (lua_type(L, index) == LUA_TNUMBER) {
    if (!format_number(L, index, digits))
      pop3_argument_error(L, c->method->label, argument,
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
  c->request->flags = POP3_AS_LINES;
  if (lua_toboolean(L, index_of(argument))) c->request->flags |= POP3_AS_LONG;
}

/* The context of stls(context): one, an option table, or the constructor's.
 * [-0, +0, v] */
static void take_context(lua_State *L, call *c, int argument) {
  pop3_failure failure = {0};
  pop3_tls_context *context = pop3_connection_context(
      L, c->connection, index_of(argument), c->method->label, &failure);
  if (context == NULL) {
    pop3_push_error(L, &failure);
    lua_error(L);
  }
  pop3_conn_use_context(c->connection->conn, context);
}

/* ------------------------------------------------------------ many numbers */

static void add_token(lua_State *L, call *c, const char *digits, size_t size) {
  pop3_octets *tokens = &c->connection->tokens;
  if (!pop3_octets_add(tokens, digits, size) ||
      !pop3_octets_add(tokens, "\n", 1))
    luaL_error(L, "not enough memory");
}

static int wrong_item(lua_State *L, const call *c, int argument, int i,
                      const char *what) {
  return pop3_argument_error(L, c->method->label, argument, "%s at [%d]", what,
                             i);
}

/* The number on the stack's top, the list's item `i`. [-0, +0, v] */
static void take_item(lua_State *L, call *c, int argument, int i) {
  char digits[32];
  pop3_span octets;
  if (lua_type(L, -1) == LUA_TNUMBER) {
    if (!format_number(L, -1, digits))
      wrong_item(L, c, argument, i,
                 "a message number is a whole number from 0, but not what is");
    add_token(L, c, digits, strlen(digits));
    return;
  }
  if (lua_type(L, -1) != LUA_TSTRING)
    wrong_item(L, c, argument, i, "message number expected");
  octets.data = lua_tolstring(L, -1, &octets.size);
  pop3_error error = pop3_check_octets(octets, true);
  if (error != POP3_E_OK) wrong_item(L, c, argument, i, pop3_error_text(error));
  add_token(L, c, octets.data, octets.size);
}

/* A list is read as it is: no metamethod may change it meanwhile.
 * [-0, +0, v] */
static void take_numbers(lua_State *L, call *c, int argument) {
  int index = index_of(argument);
  if (!lua_istable(L, index))
    wrong_type(L, c, argument, "list of message numbers");
  c->connection->tokens.size = 0;
  int count = (int)compat_rawlen(L, index);
  for (int i = 1; i <= count; i++) {
    lua_rawgeti(L, index, i);
    take_item(L, c, argument, i);
    lua_pop(L, 1);
  }
  c->request->tokens.data = c->connection->tokens.data;
  c->request->tokens.size = c->connection->tokens.size;
}

/* ------------------------------------------------------------ options */

/* What the options of a call may say. */
typedef struct call_options {
  uint64_t max_octets;
  int eol;
  const char *hash;
  bool quit, stat, listing, wait;
  pop3_span authzid;
  int channel_binding;
} call_options;

static const char *const eol_words[] = {"crlf", "lf", NULL};

/* In the order of pop3_binding. */
static const char *const binding_words[] = {"prefer", "require", "disable",
                                            NULL};

#define OPTION(key, type, words) \
  { #key, POP3_OPTION_##type, offsetof(call_options, key), words }

/* `top` is a message number by its rules; the face calls `progress`. */
static const pop3_option progress_rows[] = {
    {"progress", POP3_OPTION_FUNCTION, 0, NULL}};
static const pop3_option sink_rows[] = {
    {"top", POP3_OPTION_ANY, 0, NULL},
    OPTION(eol, WORD, eol_words),
    OPTION(max_octets, COUNT, NULL),
    OPTION(hash, STRING, NULL),
};
static const pop3_option quit_rows[] = {OPTION(quit, BOOLEAN, NULL)};
static const pop3_option login_rows[] = {
    OPTION(stat, BOOLEAN, NULL),
    OPTION(listing, BOOLEAN, NULL),
    OPTION(quit, BOOLEAN, NULL),
    {"auth", POP3_OPTION_ANY, 0, NULL}, /* these by lua_login.c */
    {"token", POP3_OPTION_ANY, 0, NULL},
    OPTION(authzid, OCTETS, NULL),
    OPTION(channel_binding, WORD, binding_words),
};
static const pop3_option wait_rows[] = {OPTION(wait, BOOLEAN, NULL)};

#define ROWS(rows) rows, sizeof(rows) / sizeof *(rows)

static const struct {
  unsigned taken;
  const pop3_option *rows;
  size_t count;
} option_sets[] = {
    {TAKES_PROGRESS, ROWS(progress_rows)}, {TAKES_SINK, ROWS(sink_rows)},
    {TAKES_QUIT, ROWS(quit_rows)},         {TAKES_LOGIN, ROWS(login_rows)},
    {TAKES_WAIT, ROWS(wait_rows)},
};
#define SET_COUNT (sizeof option_sets / sizeof *option_sets)

static void read_options(lua_State *L, const call *c, int index,
                         call_options *options) {
  pop3_option_set sets[SET_COUNT];
  pop3_failure failure;
  size_t count = 0;
  for (size_t i = 0; i < SET_COUNT; i++) {
    if (!(c->method->options & option_sets[i].taken)) continue;
    sets[count].rows = option_sets[i].rows;
    sets[count].count = option_sets[i].count;
    sets[count++].target = options;
  }
  if (pop3_options_read(L, index, c->method->label, sets, count, &failure) ==
      POP3_E_OK)
    return;
  pop3_push_error(L, &failure);
  lua_error(L);
}

/* TOP instead of RETR: the lines of the body stand behind the number.
 * [-0, +0, v] */
static void take_top(lua_State *L, call *c, int index) {
  char digits[32];
  pop3_span lines;
  lua_pushliteral(L, "top");
  lua_rawget(L, index);
  if (!lua_isnil(L, -1)) {
    if (lua_type(L, -1) != LUA_TNUMBER || !format_number(L, -1, digits))
      pop3_option_error(L, c->method->label, "top",
                        "lines of the body expected, a whole number from 0");
    lua_pushstring(L, digits);
    lines.data = lua_tolstring(L, -1, &lines.size);
    lua_rawseti(L, c->anchors, POP3_SLOT_TOP);
    add_argument(c, lines);
    c->request->command = POP3_TOP;
  }
  lua_pop(L, 1);
}

static void take_digest(lua_State *L, call *c, const char *name) {
  pop3_failure failure = {0};
  pop3_error error =
      pop3_delivery_use_hash(&c->connection->delivery, name, &failure);
  if (error == POP3_E_OK) return;
  if (error == POP3_E_MEMORY) luaL_error(L, "not enough memory");
  pop3_option_error(L, c->method->label, "hash", failure.text);
}

static bool is_given(lua_State *L, int index, const char *key) {
  lua_pushstring(L, key);
  lua_rawget(L, index);
  bool given = !lua_isnil(L, -1);
  lua_pop(L, 1);
  return given;
}

static unsigned with_what(const call_options *options) {
  return (options->stat ? POP3_WITH_STAT : 0u) |
         (options->listing ? POP3_WITH_LISTING : 0u) |
         (options->quit ? POP3_WITH_QUIT : 0u);
}

/* [-0, +0, v] */
static void take_options(lua_State *L, call *c, int argument) {
  int index = index_of(argument);
  call_options options = {0};
  options.wait = true;
  options.max_octets = c->connection->delivery.limit;
  if (!lua_istable(L, index)) wrong_type(L, c, argument, "option table");
  read_options(L, c, index, &options);
  c->request->with = with_what(&options);
  c->request->unanswered = !options.wait;
  c->request->authzid = options.authzid;
  c->request->binding = (pop3_binding)options.channel_binding;
  c->connection->delivery.lf = options.eol == 1;
  c->connection->delivery.limit =
      pop3_policy_cap(pop3_policy_of(L), options.max_octets);
  c->connection->delivery.watched = is_given(L, index, "progress");
  if (options.hash != NULL) take_digest(L, c, options.hash);
  if (c->method->options & TAKES_SINK) take_top(L, c, index);
}

/* ------------------------------------------------------------ sinks */

/* [-0, +0, v] */
static void take_sink(lua_State *L, call *c, int argument) {
  pop3_delivery *delivery = &c->connection->delivery;
  if (pop3_delivery_aim(L, delivery, index_of(argument), c->anchors)) return;
  wrong_type(L, c, argument, pop3_delivery_wanted(delivery));
}

/* The face's own business. */
static void take_nothing(lua_State *L, call *c, int argument) {
  (void)L;
  (void)c;
  (void)argument;
}

/* ------------------------------------------------------------ all of them */

typedef void (*argument_taker)(lua_State *, call *, int);

/* By letter; `nil` is handled by the taker itself, not left out. */
static const struct {
  char letter;
  bool handles_nil;
  argument_taker take;
} takers[] = {
    {'t', false, take_text},     {'s', false, take_secret},
    {'n', false, take_number},   {'l', false, take_numbers},
    {'b', true, take_multiline}, {'c', true, take_context},
    {'k', false, take_sink},     {'o', false, take_options},
    {'-', true, take_nothing},   {'u', true, take_user},
    {'p', true, take_password},  {'m', false, take_mechanism},
    {'f', false, take_function}, {'i', false, take_initial},
};

static size_t find_taker(char letter) {
  size_t i = 0;
  while (takers[i].letter != letter) i++;
  return i;
}

/* Long arguments are borrowed until they are sent. [-0, +0, m] */
static void anchor_arguments(lua_State *L, int anchors) {
  for (int i = 0; i < POP3_MOST_ARGUMENTS; i++) {
    lua_pushvalue(L, POP3_FIRST_ARGUMENT + i);
    lua_rawseti(L, anchors, POP3_SLOT_ARGUMENTS + i);
  }
}

/* Lines where lines are wanted; else octets, in the receive buffer, which is
 * ours to write. All but tables are counted by the delivery. */
static unsigned delivery_flags(const pop3_method *method) {
  if (method->mode == POP3_TO_TABLE) return POP3_AS_LINES;
  if (method->mode == POP3_TO_LINES) return POP3_AS_LINES | POP3_UNLIMITED;
  return POP3_IN_PLACE | POP3_UNLIMITED;
}

/* What is put together in memory; streams are as long as they are, but for the
 * policy. */
static uint64_t usual_limit(lua_State *L, const pop3_connection *u,
                            const pop3_method *method) {
  uint64_t limit = method->mode == POP3_TO_STRING ? u->max_octets : 0;
  return pop3_policy_cap(pop3_policy_of(L), limit);
}

void pop3_take_arguments(lua_State *L, pop3_connection *u,
                         const pop3_method *method, pop3_request *request,
                         int anchors) {
  call c = {u, method, request, anchors, {false, false}};
  int argument = 1;
  pop3_delivery_reset(&u->delivery, method->mode, usual_limit(L, u, method));
  u->delivery.streams_only = u->streams_only;
  request->operation = method->operation;
  request->command = method->command;
  request->flags = delivery_flags(method);
  for (const char *letter = method->arguments; *letter != '\0'; letter++) {
    size_t taker = find_taker(*letter);
    bool optional = letter[1] == '?';
    bool given = !lua_isnoneornil(L, index_of(argument));
    if (given || !optional || takers[taker].handles_nil)
      takers[taker].take(L, &c, argument);
    argument++;
    if (optional) letter++;
  }
  if (method->options & TAKES_LOGIN)
    pop3_take_login(L, u, is_nil(L, 3) ? 0 : index_of(3), c.given, request);
  anchor_arguments(L, anchors);
}
