/*
 * lua_event.c - see lua_event.h.
 */
#include "lua_event.h"

#include <errno.h>
#include <string.h>

#include "lua_cache.h"
#include "lua_error.h"
#include "lua_method.h"
#include "lua_result.h"

/* What is read out for a call that has ended, octets: as much as a large
 * window takes. More is not worth the connection. */
#define MOST_DRAINED 1048576

/* Lines of one table for an iterator: a call into C for each would cost more
 * than the line. */
#define LINES_AT_ONCE 256

static int no_memory(lua_State *L) {
  return luaL_error(L, "not enough memory");
}

/* ------------------------------------------------------------ beginning */

void pop3_events_begin(pop3_connection *u) {
  u->lines = 0;
  u->octets = 0;
  u->drained = 0;
  u->partial.size = 0;
  u->listing = NULL;
}

/* ------------------------------------------------------------ ending early */

void pop3_condemn(pop3_connection *u, const pop3_failure *failure) {
  pop3_allocator *a = &u->allocator;
  if (u->verdict != NULL) return; /* the first reason stays */
  u->verdict = pop3_allocate(a, sizeof *u->verdict);
  if (u->verdict == NULL) {
    pop3_conn_abort(u->conn, failure);
    return;
  }
  *u->verdict = *failure;
  pop3_delivery_abandon(&u->delivery);
  pop3_conn_drop(u->conn);
  pop3_client_curtail(pop3_conn_client(u->conn));
}

/* Nobody wants it any more; how much of it is still to be had? */
static int drain(pop3_connection *u, const pop3_event *event) {
  u->drained += event->text.size + event->line_end;
  if (u->drained > MOST_DRAINED) pop3_conn_abort(u->conn, u->verdict);
  return 0;
}

/* ------------------------------------------------------------ status lines */

/* The table of what rides behind a login, made when it is needed.
 * [-0, +1, m] */
static void push_extras(lua_State *L) {
  lua_rawgeti(L, POP3_AT_ANCHORS, POP3_SLOT_EXTRAS);
  if (!lua_isnil(L, -1)) return;
  lua_pop(L, 1);
  lua_newtable(L);
  lua_pushvalue(L, -1);
  lua_rawseti(L, POP3_AT_ANCHORS, POP3_SLOT_EXTRAS);
}

/* The server's refusal as an error object. [-0, +1, m] */
static void push_refusal(lua_State *L, const pop3_event *event) {
  pop3_failure failure;
  pop3_fail_response(&failure, POP3_E_REFUSED, event->text.data,
                     event->text.size);
  pop3_push_error(L, &failure);
}

/* extras.errors[name] = error [-1, +0, m] */
static void keep_error(lua_State *L, const char *name) {
  push_extras(L);
  lua_getfield(L, -1, "errors");
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, "errors");
  }
  lua_pushvalue(L, -3);
  lua_setfield(L, -2, name);
  lua_pop(L, 3);
}

/* extras.stat = { count =, octets = } [-0, +0, m] */
static void keep_stat(lua_State *L, const pop3_event *event) {
  pop3_failure failure;
  lua_pushlstring(L, event->text.data, event->text.size);
  if (pop3_push_stat(L, &failure) == 0) {
    pop3_push_error(L, &failure);
    keep_error(L, "stat");
    return;
  }
  push_extras(L);
  lua_createtable(L, 0, 2);
  lua_pushvalue(L, -4);
  lua_setfield(L, -2, "count");
  lua_pushvalue(L, -3);
  lua_setfield(L, -2, "octets");
  lua_setfield(L, -2, "stat");
  lua_pop(L, 3);
}

/* What rides behind a login, by its name in `extras`. */
static const char *extra_name(pop3_command command) {
  if (command == POP3_STAT) return "stat";
  if (command == POP3_QUIT) return "quit";
  return "listing";
}

/* [-0, +0, m] */
static void take_extra(lua_State *L, const pop3_event *event) {
  const char *name = extra_name(event->command);
  if (!event->ok) {
    push_refusal(L, event);
    keep_error(L, event->command == POP3_UIDL ? "uidl" : name);
  } else if (event->command == POP3_STAT) {
    keep_stat(L, event);
  } else if (event->command == POP3_QUIT) {
    push_extras(L);
    lua_pushlstring(L, event->text.data, event->text.size);
    lua_setfield(L, -2, name);
    lua_pop(L, 1);
  }
}

/* LIST's or UIDL's lines follow: into the listing. [-0, +0, m] */
static void start_listing(lua_State *L, pop3_connection *u,
                          const pop3_event *event) {
  if (u->listing == NULL) {
    u->listing = pop3_push_listing(L);
    lua_pushvalue(L, -1);
    lua_rawseti(L, POP3_AT_ANCHORS, POP3_SLOT_LISTING);
    if (u->method->operation == POP3_OP_LOGIN) {
      push_extras(L);
      lua_pushvalue(L, -2);
      lua_setfield(L, -2, "listing");
      lua_pop(L, 1);
    }
    lua_pop(L, 1);
  }
  if (event->command == POP3_UIDL) u->listing->has_uids = true;
}

static uint64_t announced(const pop3_delivery *d, const pop3_event *event) {
  return d->watched ? pop3_parse_announced(event->text) : 0;
}

/* A message or a list of lines follows. [-0, +n, m] */
static int start_body(lua_State *L, pop3_connection *u,
                      const pop3_event *event) {
  bool message = event->command == POP3_RETR || event->command == POP3_TOP;
  pop3_failure failure;
  if (pop3_delivery_start(&u->delivery, announced(&u->delivery, event),
                          &failure) != POP3_E_OK)
    pop3_condemn(u, &failure);
  if (u->delivery.mode == POP3_TO_TABLE || !message) {
    u->lines = 0;
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_rawseti(L, POP3_AT_ANCHORS, POP3_SLOT_LINES);
    lua_replace(L, POP3_AT_LINES);
    return 0;
  }
  bool said = u->delivery.mode == POP3_TO_SINKS ||
              u->method->mode == POP3_TO_LINES ||
              u->method->mode == POP3_TO_LUA;
  if (!said) return 0;
  lua_pushliteral(L, "open");
  return 1;
}

static bool is_row(pop3_command command) {
  return command == POP3_LIST || command == POP3_UIDL;
}

/* "item", status [-0, +2, m] */
static int push_item_status(lua_State *L, const pop3_event *event) {
  lua_pushliteral(L, "item");
  lua_pushlstring(L, event->text.data, event->text.size);
  return 2;
}

/* Of one command of many. [-0, +n, m] */
static int take_one_status(lua_State *L, pop3_connection *u,
                           const pop3_event *event) {
  if (event->command == POP3_QUIT) return 0;
  if (event->more) return start_body(L, u, event);
  if (event->ok) return push_item_status(L, event);
  lua_pushliteral(L, "refused");
  push_refusal(L, event);
  return 2;
}

/* [-0, +n, m] */
static int take_status(lua_State *L, pop3_connection *u,
                       const pop3_event *event) {
  pop3_operation operation = u->method->operation;
  bool login = operation == POP3_OP_LOGIN;
  bool way = login && (pop3_command_get(event->command)->flags & POP3_F_LOGIN);
  if (operation == POP3_OP_MANY) return take_one_status(L, u, event);
  if (login && !way) take_extra(L, event);
  if ((login || operation == POP3_OP_LISTING) && event->more) {
    start_listing(L, u, event);
    return 0;
  }
  if (way) /* QUIT may close before the end */
    pop3_cache_remember(L, u, POP3_AT_ANCHORS);
  if (login && (!way || event->command == POP3_USER)) return 0;
  lua_pushlstring(L, event->text.data, event->text.size);
  lua_rawseti(L, POP3_AT_ANCHORS, POP3_SLOT_STATUS);
  return event->more ? start_body(L, u, event) : 0;
}

/* ------------------------------------------------------------ lines */

/* A line goes straight from the receive buffer into the table; only one that
 * straddles two reads is put together first. True: it is on the stack.
 * [-0, +?, m] */
static bool push_line(lua_State *L, pop3_connection *u,
                      const pop3_event *event) {
  if (event->first && event->last) {
    lua_pushlstring(L, event->text.data, event->text.size);
    return true;
  }
  if (!pop3_octets_add(&u->partial, event->text.data, event->text.size))
    no_memory(L);
  if (!event->last) return false;
  lua_pushlstring(L, u->partial.data == NULL ? "" : u->partial.data,
                  u->partial.size);
  u->partial.size = 0;
  return true;
}

static pop3_error add_row(pop3_listing *listing, const pop3_event *event) {
  return event->command == POP3_LIST
             ? pop3_listing_add_list(listing, event->text, event->first,
                                     event->last)
             : pop3_listing_add_uidl(listing, event->text, event->first,
                                     event->last);
}

/* "lines", table, count [-0, +n, m] */
int pop3_flush_lines(lua_State *L, pop3_connection *u) {
  if (u->delivery.mode != POP3_TO_LINES || u->lines == 0) return 0;
  lua_pushliteral(L, "lines");
  lua_pushvalue(L, POP3_AT_LINES);
  lua_pushinteger(L, u->lines);
  u->lines = 0;
  lua_pushnil(L);
  lua_replace(L, POP3_AT_LINES);
  lua_pushnil(L);
  lua_rawseti(L, POP3_AT_ANCHORS, POP3_SLOT_LINES);
  return 3;
}

/* A table for the next lines. [-0, +0, m] */
static void renew_lines(lua_State *L) {
  lua_createtable(L, LINES_AT_ONCE, 0);
  lua_pushvalue(L, -1);
  lua_rawseti(L, POP3_AT_ANCHORS, POP3_SLOT_LINES);
  lua_replace(L, POP3_AT_LINES);
}

/* Lines for an iterator are a message's octets all the same. */
static bool count_line(pop3_connection *u, const pop3_event *event) {
  pop3_failure failure;
  if (pop3_delivery_take_line(&u->delivery, event, &failure) == POP3_E_OK)
    return true;
  pop3_condemn(u, &failure);
  return false;
}

/* [-0, +n, m] */
static int take_line(lua_State *L, pop3_connection *u,
                     const pop3_event *event) {
  bool some = u->delivery.mode == POP3_TO_LINES;
  u->octets += event->text.size + event->line_end;
  if (u->listing != NULL && is_row(event->command)) {
    if (add_row(u->listing, event) != POP3_E_OK) no_memory(L);
    return 0;
  }
  if (some && !count_line(u, event)) return 0;
  /* One that is not whole yet may never be: those before it do not wait. */
  if (!push_line(L, u, event)) return pop3_flush_lines(L, u);
  if (some && u->lines == 0) renew_lines(L);
  lua_rawseti(L, POP3_AT_LINES, ++u->lines);
  return some && u->lines >= LINES_AT_ONCE ? pop3_flush_lines(L, u) : 0;
}

/* ------------------------------------------------------------ messages */

/* From this size on a string that is not copied is worth its bookkeeping. */
#define LEAST_DETACHED 65536

/* The whole message is where it was received; Lua 5.5 can have the block.
 * [-0, +1, m] */
static void push_kept(lua_State *L, pop3_connection *u) {
  pop3_span kept = pop3_conn_kept(u->conn);
  if (compat_has_external_strings && kept.size >= LEAST_DETACHED) {
    char *block = pop3_conn_detach(u->conn);
    if (block != NULL) {
      compat_pushexternal(L, block, kept.size, u->allocator.resize,
                          u->allocator.state);
      return;
    }
  }
  lua_pushlstring(L, kept.data, kept.size);
  pop3_conn_drop(u->conn);
}

/* What the message has come to: its text, or its octets. [-0, +1, m] */
static void push_value(lua_State *L, pop3_connection *u) {
  if (u->delivery.mode == POP3_TO_STRING) {
    push_kept(L, u);
  } else {
    compat_pushcount(L, u->delivery.octets);
  }
}

/* [-0, +1, m] */
static void push_digest(lua_State *L, pop3_connection *u) {
  char hex[POP3_DIGEST_HEX];
  if (pop3_delivery_finish_digest(&u->delivery, hex)) {
    lua_pushstring(L, hex);
  } else {
    lua_pushnil(L);
  }
}

/* "item", value, digest; of one alone they are the call's results.
 * [-0, +n, m] */
static int complete_message(lua_State *L, pop3_connection *u) {
  push_value(L, u);
  push_digest(L, u);
  if (u->method->operation == POP3_OP_MANY) {
    /* From here on progress is the next message's. */
    u->octets = u->delivery.octets = u->delivery.announced = 0;
    lua_pushliteral(L, "item");
    lua_insert(L, -3);
    return 3;
  }
  lua_rawseti(L, POP3_AT_ANCHORS, POP3_SLOT_DIGEST);
  lua_rawseti(L, POP3_AT_ANCHORS, POP3_SLOT_VALUE);
  return pop3_flush_lines(L, u);
}

/* "chunk", string [-0, +n, m] */
static int push_chunk(lua_State *L, const pop3_pieces *pieces) {
  if (pieces->lead.size + pieces->text.size == 0) return 0;
  lua_pushliteral(L, "chunk");
  lua_pushlstring(L, pieces->text.data, pieces->text.size);
  if (pieces->lead.size == 0) return 2;
  lua_pushlstring(L, pieces->lead.data, pieces->lead.size);
  lua_insert(L, -2);
  lua_concat(L, 2);
  return 2;
}

/* [-0, +0, m] */
static void keep(lua_State *L, pop3_connection *u, const pop3_pieces *pieces) {
  if (pop3_conn_keep(u->conn, &pieces->lead, &pieces->text) != POP3_E_OK)
    no_memory(L);
}

/* [-0, +n, m] */
static int take_data(lua_State *L, pop3_connection *u,
                     const pop3_event *event) {
  pop3_failure failure;
  pop3_pieces pieces = {{NULL, 0}, event->text};
  if (pop3_delivery_take(&u->delivery, &pieces, &failure) != POP3_E_OK) {
    pop3_condemn(u, &failure);
    return 0;
  }
  switch (u->delivery.mode) {
    case POP3_TO_STRING:
      keep(L, u, &pieces);
      return 0;
    case POP3_TO_LUA:
      return push_chunk(L, &pieces);
    case POP3_TO_FILE:
      u->delivery.writing = pieces;
      return 0;
    default:
      return 0;
  }
}

/* [-0, +n, m] */
static int take_end(lua_State *L, pop3_connection *u, const pop3_event *event) {
  u->octets = event->octets;
  if (u->listing != NULL && is_row(event->command)) return 0;
  if (event->command != POP3_RETR && event->command != POP3_TOP) return 0;
  if (u->method->mode == POP3_TO_TABLE) return 0;
  u->delivery.finishing = u->delivery.mode == POP3_TO_FILE;
  if (u->delivery.finishing) return 0;
  return complete_message(L, u);
}

/* "challenge", string [-0, +n, m] */
static int take_challenge(lua_State *L, pop3_connection *u,
                          const pop3_event *event) {
  (void)u;
  lua_pushliteral(L, "challenge");
  lua_pushlstring(L, event->text.data, event->text.size);
  return 2;
}

/* ------------------------------------------------------------ files */

/* AGAIN: the file takes no more now. */
static pop3_error write_span(pop3_file *file, pop3_span *span,
                             pop3_failure *failure) {
  while (span->size > 0) {
    size_t written = 0;
    pop3_error error =
        pop3_file_write(file, span->data, span->size, &written, failure);
    if (error != POP3_E_OK) return error;
    span->data += written;
    span->size -= written;
  }
  return POP3_E_OK;
}

static pop3_error write_on(pop3_delivery *d, pop3_failure *failure) {
  pop3_error error = write_span(d->file, &d->writing.lead, failure);
  if (error == POP3_E_OK)
    error = write_span(d->file, &d->writing.text, failure);
  if (error != POP3_E_OK || !d->finishing) return error;
  return pop3_file_finish(d->file, failure);
}

static bool is_writing(const pop3_delivery *d) {
  return d->finishing || d->writing.lead.size + d->writing.text.size > 0;
}

int pop3_continue_event(lua_State *L, pop3_connection *u,
                        pop3_interest *blocked) {
  pop3_delivery *d = &u->delivery;
  pop3_failure failure;
  if (!is_writing(d)) return 0;
  if (pop3_delivery_is_lost(L, d, POP3_AT_ANCHORS)) {
    pop3_fail(&failure, POP3_E_IO, "the file was closed before its message");
    failure.system = EBADF;
    pop3_condemn(u, &failure);
    return 0;
  }
  pop3_error error = write_on(d, &failure);
  if (error == POP3_E_AGAIN) {
    *blocked = pop3_file_interest(d->file);
    return 0;
  }
  if (error != POP3_E_OK) {
    pop3_condemn(u, &failure);
    return 0;
  }
  if (!d->finishing) return 0;
  pop3_delivery_close(L, d, POP3_AT_ANCHORS);
  return complete_message(L, u);
}

/* ------------------------------------------------------------ all of them */

typedef int (*event_taker)(lua_State *, pop3_connection *, const pop3_event *);

int pop3_take_event(lua_State *L, pop3_connection *u) {
  static const event_taker takers[] = {
      [POP3_EVENT_STATUS] = take_status,
      [POP3_EVENT_LINE] = take_line,
      [POP3_EVENT_DATA] = take_data,
      [POP3_EVENT_END] = take_end,
      [POP3_EVENT_SECURE] = NULL,
      [POP3_EVENT_CHALLENGE] = take_challenge,
  };
  const pop3_event *event = pop3_conn_event(u->conn);
  if (u->verdict != NULL) return drain(u, event);
  event_taker take = takers[event->type];
  return take != NULL ? take(L, u, event) : 0;
}
