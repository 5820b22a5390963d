/*
 * lua_delivery.h - what becomes of a message: how its octets travel from the
 * receive buffer to whoever asked for them. Lua functions are never called
 * from here: their chunks are handed to the face, which calls them.
 */
#ifndef POP3_LUA_DELIVERY_H
#define POP3_LUA_DELIVERY_H

#include <stdbool.h>
#include <stdint.h>

#include "conn.h"
#include "crypto.h"
#include "eol.h"
#include "file.h"
#include "lua_compat.h"

#pragma GCC visibility push(hidden)

typedef enum pop3_delivery_mode {
  POP3_TO_TABLE,  /* lines in a Lua table, whole: poplib's shape */
  POP3_TO_STRING, /* one string, put together in the receive buffer */
  POP3_TO_LUA,    /* a string for each piece, for a Lua function */
  POP3_TO_LINES,  /* tables of some lines, for an iterator */
  POP3_TO_FILE,   /* a descriptor, written from C */
  POP3_TO_SINKS,  /* the face says where, for each of many messages */
  POP3_TO_NOWHERE /* read and forgotten */
} pop3_delivery_mode;

/* What the receiver gets at once: `lead` is a CR that was held back, or empty
 * (see eol.h); `text` is in the receive buffer. */
typedef struct pop3_pieces {
  pop3_span lead;
  pop3_span text;
} pop3_pieces;

typedef struct pop3_delivery {
  pop3_delivery_mode asked; /* by the method */
  pop3_delivery_mode mode;  /* of the message at hand */
  bool lf;                  /* line ends are LF for the receiver */
  bool streams_only;        /* no files: the host has no way to wait for them */
  bool watched;   /* somebody wants to know what the server announces */
  uint64_t limit; /* octets of a message; 0: none */
  char hash[32];  /* the digest's name, "" for none */

  uint64_t octets;    /* of the message, handed out so far */
  uint64_t announced; /* what the server said it would be; 0: nothing */
  pop3_eol eol;
  pop3_digest *digest;
  bool aimed;      /* at a file that is not opened yet: the table's "sink" */
  bool lua_file;   /* ... which is an open file of Lua's */
  pop3_file *file; /* owned */
  pop3_pieces writing; /* what is not written yet */
  bool finishing;      /* the file is to be made durable */
} pop3_delivery;

struct pop3_connection;

/* A new operation's, of a method with this mode. */
void pop3_delivery_reset(pop3_delivery *delivery, pop3_delivery_mode mode,
                         uint64_t limit);

/* The digest that messages get. ARGUMENT for a name that is none; MEMORY. */
pop3_error pop3_delivery_use_hash(pop3_delivery *delivery, const char *name,
                                  pop3_failure *failure);

/*
 * Aim at what the value at `index` stands for: a function, a Lua file, a
 * descriptor, { path = }, or nil for nowhere; false if for nothing. It is
 * anchored as "sink" in the table at `anchors`. [-0, +0, m]
 */
bool pop3_delivery_aim(lua_State *L, pop3_delivery *delivery, int index,
                       int anchors);

/* What it may be aimed at, for people. */
const char *pop3_delivery_wanted(const pop3_delivery *delivery);

/* Open what it was aimed at; nothing if it is no file. IO. [-0, +0, m] */
pop3_error pop3_delivery_open(lua_State *L, struct pop3_connection *connection,
                              int anchors, pop3_failure *failure);

/* Is a Lua file that was aimed at closed by now? Its number may be another
 * one's. [-0, +0, m] */
bool pop3_delivery_is_lost(lua_State *L, const pop3_delivery *delivery,
                           int anchors);

/* The file is written: free it, and let a Lua file know. [-0, +0, m] */
void pop3_delivery_close(lua_State *L, pop3_delivery *delivery, int anchors);

/* A message begins, of so many octets, or 0 when the server did not say. */
pop3_error pop3_delivery_start(pop3_delivery *delivery, uint64_t announced,
                               pop3_failure *failure);

/*
 * A piece of it: its text, in the writable receive buffer, becomes what the
 * receiver gets. OCTETS beyond the limit, MEMORY.
 */
pop3_error pop3_delivery_take(pop3_delivery *delivery, pop3_pieces *pieces,
                              pop3_failure *failure);

/* A line of it, or a part of one, which keeps its octets. OCTETS. */
pop3_error pop3_delivery_take_line(pop3_delivery *delivery,
                                   const pop3_event *event,
                                   pop3_failure *failure);

/* The digest of the message that is complete, if there is one. */
bool pop3_delivery_finish_digest(pop3_delivery *delivery,
                                 char hex[POP3_DIGEST_HEX]);

/* save(path, octets) -> nil, or an error object: into a new file, durable.
 * [-0, +n, v] */
int pop3_lua_save(lua_State *L);

/* Let go of everything; a file that is not complete is removed. Never waits. */
void pop3_delivery_abandon(pop3_delivery *delivery);

#pragma GCC visibility pop

#endif
