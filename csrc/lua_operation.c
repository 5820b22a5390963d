/*
 * lua_operation.c - see lua_operation.h.
 *
 * An operation is marked busy before any Lua may run, and stays so until its
 * turn says done or failed: whatever breaks out of it (Ctrl-C, a memory error,
 * a sink that raises) leaves a connection whose next call is a clear "busy"
 * error instead of somebody else's reply.
 */
#include "lua_operation.h"

#include <string.h>

#include "conn.h"
#include "lua_cache.h"
#include "lua_capabilities.h"
#include "lua_carrier.h"
#include "lua_error.h"
#include "lua_event.h"
#include "lua_method.h"
#include "lua_options.h"
#include "lua_restrict.h"
#include "lua_result.h"
#include "lua_share.h"

/* How long Lua may be kept waiting for its turn while octets flow, seconds: a
 * signal that came between two polls has only set a hook. */
#define TURN_SECONDS 0.1

static void start(pop3_connection *u, double now) {
  u->busy = true;
  u->settled = POP3_STEP_WAIT;
  u->look_at = now + TURN_SECONDS;
  pop3_share_end(&u->share);
}

/*
 * Run `f` with what is on the stack, the connection first, under pcall. While it
 * makes values the collector may run a finaliser, and that may come back into
 * this connection: it finds it at work, and closed it is only afterwards. So a
 * lack of memory, too, leaves a connection that can be closed. pcall's status.
 * [-n, +n, m]
 */
static int protect(lua_State *L, pop3_connection *u, lua_CFunction f,
                   bool stopped) {
  lua_pushcfunction(L, f);
  lua_insert(L, 1);
  u->turning = true;
  int status = lua_pcall(L, lua_gettop(L) - 1, LUA_MULTRET, 0);
  u->turning = false;
  if (stopped) lua_gc(L, LUA_GCRESTART, 0);
  if (u->closing) pop3_connection_release(u);
  else pop3_connection_settle(u);
  return status;
}

/* The same; what was raised is raised on. [-n, +n, v] */
static int guard(lua_State *L, pop3_connection *u, lua_CFunction f,
                 bool stopped) {
  if (protect(L, u, f, stopped) != 0) return lua_error(L);
  return lua_gettop(L);
}

void pop3_operation_opened(pop3_connection *u) {
  u->method = &pop3_method_open;
  start(u, pop3_now());
}

/* ------------------------------------------------------------ begin */

/* begin's stack: connection, name, arguments, then the connection's table. */
enum { AT_TABLE = POP3_FIRST_ARGUMENT + POP3_MOST_ARGUMENTS };

static int refuse_call(lua_State *L, const char *method,
                       const pop3_failure *failure) {
  pop3_failure named = *failure;
  if (failure->error == POP3_E_CLOSED)
    pop3_fail(&named, failure->error, "%s: the connection is closed", method);
  return pop3_push_error(L, &named);
}

static bool is_iterator(const pop3_method *method) {
  return strcmp(method->label, "retr_lines") == 0 ||
         strcmp(method->label, "retr_chunks") == 0;
}

/* One call at a time; what to do about it. [-0, +1, m] */
static int refuse_busy(lua_State *L, const pop3_connection *u,
                       const char *method) {
  pop3_failure failure;
  if (pop3_conn_is_closed(u->conn)) {
    pop3_fail(&failure, POP3_E_CLOSED, NULL);
  } else if (is_iterator(u->method)) {
    pop3_fail(&failure, POP3_E_BUSY,
              "%s: %s is not at its end: read it out, or close() it", method,
              u->method->label);
  } else {
    pop3_fail(&failure, POP3_E_BUSY,
              "%s: another call is running, or was broken off; close the "
              "connection",
              method);
  }
  return refuse_call(L, method, &failure);
}

static bool is_argument_error(pop3_error error) {
  return strcmp(pop3_error_kind(error), "argument") == 0;
}

/* A host's stream outlives its connection until a turn says "hangup". */
static bool ends_by_turn(const pop3_connection *u) {
  return u->carried && !u->hung_up && pop3_conn_is_closed(u->conn);
}

/* The connection takes the request, or says why not. [-0, +n, v] */
static int begin(lua_State *L, pop3_connection *u,
                 const pop3_request *request) {
  const char *label = u->method->label;
  const pop3_failure *failure = pop3_conn_failure(u->conn);
  double now = pop3_now();
  pop3_error error = pop3_conn_begin(u->conn, request, now);
  if (error == POP3_E_OK) {
    start(u, now);
    return 0;
  }
  if (ends_by_turn(u)) {
    start(u, now);
    u->settled = POP3_STEP_FAILED;
    return 0;
  }
  pop3_connection_drop_secret(u);
  pop3_delivery_abandon(&u->delivery);
  if (is_argument_error(error))
    return pop3_argument_error(L, label, 1, "%s", failure->text);
  return refuse_call(L, label, failure);
}

/* What the cache knows, and what a login may learn for it. [-0, +0, m] */
static void use_cache(lua_State *L, pop3_connection *u, pop3_request *request) {
  pop3_cache_recall(L, u, AT_TABLE);
  if (request->operation != POP3_OP_LOGIN) return;
  request->remembered = pop3_cache_is_given(L, AT_TABLE);
  bool worth = request->remembered || request->with != 0;
  request->learning = worth && !(request->with & POP3_WITH_QUIT) &&
                      pop3_cache_lacks_login(L, u, AT_TABLE);
}

/* Under guard. [-0, +n, v] */
static int begin_method(lua_State *L) {
  pop3_request request = {0};
  pop3_failure failure;
  pop3_connection *u = lua_touserdata(L, 1);
  const pop3_method *method = pop3_method_find(lua_tostring(L, 2));
  compat_getuservalue(L, 1);
  pop3_take_arguments(L, u, method, &request, AT_TABLE);
  lua_settop(L, AT_TABLE);
  pop3_events_begin(u);
  use_cache(L, u, &request);
  u->method = method;
  if (pop3_delivery_open(L, u, AT_TABLE, &failure) != POP3_E_OK) {
    pop3_connection_drop_secret(u);
    return refuse_call(L, method->label, &failure);
  }
  return begin(L, u, &request);
}

int pop3_lua_begin(lua_State *L) {
  const pop3_method *method = pop3_method_find(luaL_checkstring(L, 2));
  if (method == NULL) return luaL_error(L, "no such method");
  pop3_connection *u = pop3_connection_check(L, 1, method->label);
  if (u->busy || u->turning) return refuse_busy(L, u, method->label);
  lua_settop(L, AT_TABLE - 1);
  int status = protect(L, u, begin_method, false);
  if (status != 0) pop3_connection_drop_secret(u);
  if (status != 0 && !pop3_test_error(L, -1)) return lua_error(L);
  return lua_gettop(L);
}

/* ------------------------------------------------------------ cancel */

/* The receiver's reason in the error's words, as much of it as there is room
 * for. */
static void fail_aborted(lua_State *L, int index, pop3_failure *failure) {
  bool text = lua_type(L, index) == LUA_TSTRING;
  pop3_fail(failure, POP3_E_ABORTED, "%.*s", POP3_FAILURE_TEXT,
            text ? lua_tostring(L, index) : pop3_error_text(POP3_E_ABORTED));
}

int pop3_lua_cancel(lua_State *L) {
  pop3_connection *u = pop3_connection_check(L, 1, "cancel");
  pop3_failure failure;
  if (!u->busy || u->turning) return 0;
  fail_aborted(L, 2, &failure);
  pop3_condemn(u, &failure);
  return 0;
}

int pop3_lua_aborted(lua_State *L) {
  pop3_failure failure;
  fail_aborted(L, 1, &failure);
  return pop3_push_error(L, &failure);
}

/* Under guard. Nothing, once it has an aim or is given up. [-0, +0, v] */
static int deliver(lua_State *L) {
  pop3_connection *u = lua_touserdata(L, 1);
  pop3_failure failure;
  if (u->delivery.mode != POP3_TO_SINKS) return 0;
  compat_getuservalue(L, 1);
  if (!pop3_delivery_aim(L, &u->delivery, 2, 3))
    return luaL_error(L, "bad sink to '%s' (%s or nil expected, got %s)",
                      u->method->label, pop3_delivery_wanted(&u->delivery),
                      luaL_typename(L, 2));
  if (pop3_delivery_open(L, u, 3, &failure) != POP3_E_OK)
    pop3_condemn(u, &failure);
  return 0;
}

int pop3_lua_answer(lua_State *L) {
  pop3_connection *u = pop3_connection_check(L, 1, "answer");
  pop3_span response = {NULL, 0};
  bool given = lua_type(L, 2) == LUA_TSTRING;
  bool asked = u->busy && !u->turning && !pop3_conn_is_closed(u->conn);
  if (!asked) return 0; /* who was asked has closed it */
  if (given) response.data = lua_tolstring(L, 2, &response.size);
  (void)pop3_conn_answer(
      u->conn, given ? &response : NULL,
      lua_type(L, 3) == LUA_TSTRING ? lua_tostring(L, 3) : NULL);
  return 0;
}

int pop3_lua_deliver(lua_State *L) {
  pop3_connection *u = pop3_connection_check(L, 1, "deliver");
  if (!u->busy || u->turning || u->method->mode != POP3_TO_SINKS)
    return luaL_error(L, "nothing to deliver");
  lua_settop(L, 2);
  return guard(L, u, deliver, false);
}

/* ------------------------------------------------------------ the end */

/* The operation is over: let go of what it held. [-0, +0, m] */
static void end_operation(lua_State *L, pop3_connection *u) {
  u->busy = false;
  pop3_cache_remember(L, u, POP3_AT_ANCHORS);
  pop3_connection_drop_secret(u);
  pop3_connection_drop_verdict(u);
  pop3_delivery_abandon(&u->delivery);
  pop3_octets_clear(&u->partial);
  pop3_octets_clear(&u->tokens);
  for (int slot = 1; slot <= POP3_SLOT_CALL; slot++) {
    lua_pushnil(L);
    lua_rawseti(L, POP3_AT_ANCHORS, slot);
  }
}

/* "failed", error object [-0, +2, m] */
static int turn_failed(lua_State *L, pop3_connection *u,
                       const pop3_failure *failure) {
  lua_pushliteral(L, "failed");
  refuse_call(L, u->method->label, failure);
  pop3_add_delay(L, &pop3_conn_client(u->conn)->caps);
  end_operation(L, u);
  return 2;
}

/* "done", results ... [-0, +n, m] */
static int turn_done(lua_State *L, pop3_connection *u) {
  pop3_failure failure;
  failure.error = POP3_E_OK;
  lua_pushliteral(L, "done");
  if (u->listing != NULL) failure.error = pop3_finish_listing(L, u->listing);
  if (failure.error != POP3_E_OK) pop3_fail(&failure, failure.error, NULL);
  int count =
      failure.error == POP3_E_OK ? pop3_push_results(L, u, &failure) : 0;
  if (failure.error != POP3_E_OK) return turn_failed(L, u, &failure);
  end_operation(L, u);
  return count + 1;
}

/* "trace", text, function or nil [-0, +3, m] */
static int turn_trace(lua_State *L, pop3_connection *u) {
  lua_pushliteral(L, "trace");
  lua_pushlstring(L, u->trace.data, u->trace.size);
  pop3_octets_clear(&u->trace);
  lua_rawgeti(L, POP3_AT_ANCHORS, POP3_SLOT_DEBUG);
  return 3;
}

/* What happened, once its trace was shown and the host has closed its stream. A
 * call that was ended early says why, however its replies ended.
 * [-0, +n, m] */
static int turn_settled(lua_State *L, pop3_connection *u) {
  if (u->trace.size > 0) return turn_trace(L, u);
  int count = pop3_push_hangup(L, u);
  if (count > 0) return count;
  if (u->verdict != NULL) return turn_failed(L, u, u->verdict);
  if (u->settled == POP3_STEP_DONE) return turn_done(L, u);
  return turn_failed(L, u, pop3_conn_failure(u->conn));
}

/* ------------------------------------------------------------ turn */

static bool is_settled(const pop3_connection *u) {
  return u->settled == POP3_STEP_DONE || u->settled == POP3_STEP_FAILED;
}

/* Lines between two looks at the clock, which costs as much as one of them: a
 * power of two. */
#define EVENTS_PER_LOOK 64

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

/* "again", octets, octets announced [-0, +3, m] */
static int turn_again(lua_State *L, pop3_connection *u, double now) {
  const pop3_delivery *d = &u->delivery;
  uint64_t octets = d->octets > u->octets ? d->octets : u->octets;
  u->look_at = now + TURN_SECONDS;
  lua_pushliteral(L, "again");
  lua_pushnumber(L, (lua_Number)octets);
  if (d->announced > 0) {
    lua_pushnumber(L, (lua_Number)d->announced);
  } else {
    lua_pushnil(L);
  }
  return 3;
}

/* { fd, "r" | "w" | "rw" } [-0, +1, m] */
static void push_interest(lua_State *L, const pop3_interest *interest) {
  static const char *const modes[] = {"", "r", "w", "rw"};
  lua_createtable(L, 2, 0);
  lua_pushinteger(L, interest->fd);
  lua_rawseti(L, -2, 1);
  lua_pushstring(L, modes[interest->readable + 2 * interest->writable]);
  lua_rawseti(L, -2, 2);
}

/* Who may not know descriptors looks again so often, seconds. */
#define LOOKS_AGAIN 0.01

/* The right to wait for them. */
static bool may_watch(lua_State *L) {
  pop3_failure failure;
  return pop3_permit(L, POP3_RIGHT_FDS, "wait", &failure) == POP3_E_OK;
}

/* "wait", function, interests, deadline [-0, +4, m] */
static int turn_wait(lua_State *L, pop3_connection *u,
                     const pop3_interest *interests, size_t count,
                     double deadline) {
  pop3_share_end(&u->share);
  if (!may_watch(L)) {
    double soon = pop3_now() + LOOKS_AGAIN;
    if (soon < deadline) deadline = soon;
    count = 0;
  }
  lua_pushliteral(L, "wait");
  lua_rawgeti(L, POP3_AT_ANCHORS, POP3_SLOT_WAIT);
  lua_createtable(L, (int)count, 0);
  for (size_t i = 0; i < count; i++) {
    push_interest(L, &interests[i]);
    lua_rawseti(L, -2, (int)i + 1);
  }
  lua_pushnumber(L, (lua_Number)deadline);
  return 4;
}

/* Nothing to do before an interest: wait here, or tell who waits, and now and
 * then how far it is. 0: go on. [-0, +n, m] */
static int wait(lua_State *L, pop3_connection *u,
                const pop3_interest *interests, size_t count, double deadline) {
  if (pop3_share_waits_outside(&u->share)) {
    double now = pop3_now();
    if (now >= u->look_at) return turn_again(L, u, now);
    return turn_wait(L, u, interests, count, deadline);
  }
  if (pop3_wait(interests, count, deadline)) return 0;
  return turn_again(L, u, pop3_now());
}

/* The host has to do something first; now and then Lua hears how far it is. */
static int wait_for_carrier(lua_State *L, pop3_connection *u) {
  double now = pop3_now();
  return now >= u->look_at ? turn_again(L, u, now) : pop3_push_carriage(L, u);
}

static int wait_for_server(lua_State *L, pop3_connection *u) {
  const pop3_interest *interests;
  if (u->carried) return wait_for_carrier(L, u);
  size_t count = pop3_conn_interests(u->conn, &interests);
  return wait(L, u, interests, count, pop3_conn_deadline(u->conn));
}

/* A sink that takes no more is waited for as long as it likes, if nobody said
 * how long the call may take. */
static int wait_for_sink(lua_State *L, pop3_connection *u,
                         const pop3_interest *blocked, double now) {
  double last_moment = pop3_conn_last_moment(u->conn);
  pop3_failure failure;
  u->settled = POP3_STEP_WAIT;
  if (now < last_moment) return wait(L, u, blocked, 1, last_moment);
  pop3_fail(&failure, POP3_E_TOTAL, NULL);
  pop3_conn_abort(u->conn, &failure);
  pop3_delivery_abandon(&u->delivery);
  return 0;
}

/* One step of the connection: words for the face, or 0. [-0, +n, m] */
static int step(lua_State *L, pop3_connection *u, double now) {
  pop3_interest blocked = {-1, false, false};
  int count = pop3_continue_event(L, u, &blocked);
  if (count > 0) return count;
  if (blocked.fd >= 0) return wait_for_sink(L, u, &blocked, now);
  u->stepped = L;
  u->settled = pop3_conn_step(u->conn, now, pop3_share_left(&u->share));
  u->stepped = NULL;
  pop3_share_spend(&u->share, pop3_conn_taken(u->conn));
  if (u->settled == POP3_STEP_EVENT) return pop3_take_event(L, u);
  if (u->settled != POP3_STEP_WAIT) return 0;
  count = pop3_flush_lines(L, u); /* before anybody waits for more */
  return count > 0 ? count : wait_for_server(L, u);
}

/* Have the others their turn now? What is here is looked at before octets
 * count. */
static bool is_theirs(const pop3_connection *u, double now) {
  if (pop3_share_is_over(&u->share, now)) return true;
  return u->settled == POP3_STEP_AGAIN && pop3_share_is_spent(&u->share);
}

/* [-0, +4, m] */
static int give_way(lua_State *L, pop3_connection *u, double now) {
  pop3_share_pass(&u->share);
  return turn_wait(L, u, NULL, 0, now);
}

/* Advance until there are words for the face. [-0, +n, m] */
static int advance(lua_State *L, pop3_connection *u) {
  double now = pop3_now();
  int lines = u->lines;
  pop3_share_begin(&u->share, now);
  if (pop3_share_is_over(&u->share, now)) return give_way(L, u, now);
  for (unsigned events = 1;; events++) {
    int count = step(L, u, now);
    if (u->trace.size > 0 && count == 0) return turn_trace(L, u);
    if (count > 0) return count;
    if (is_settled(u)) return turn_settled(L, u);
    if (u->settled == POP3_STEP_EVENT && events % EVENTS_PER_LOOK != 0)
      continue;
    now = pop3_now();
    if (now >= u->look_at || grows_large(u, lines))
      return turn_again(L, u, now);
    if (is_theirs(u, now)) return give_way(L, u, now);
  }
}

/* [-0, +n, m] */
static int turn(lua_State *L) {
  pop3_connection *u = lua_touserdata(L, 1);
  lua_settop(L, 1);
  compat_getuservalue(L, 1);
  lua_rawgeti(L, POP3_AT_ANCHORS, POP3_SLOT_LINES);
  if (u->trace.size > 0) return turn_trace(L, u);
  return is_settled(u) ? turn_settled(L, u) : advance(L, u);
}

int pop3_lua_turn(lua_State *L) {
  pop3_connection *u = pop3_connection_check(L, 1, "turn");
  if (!u->busy || u->turning) return luaL_error(L, "nothing to turn");
  lua_settop(L, 1);
  return guard(L, u, turn, u->lines >= LARGE_TABLE && compat_stop_collector(L));
}
