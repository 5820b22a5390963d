/*
 * lua_connection.h - the connection userdata: what it owns, how it is made and
 * how it ends. Its constructors are in lua_connect.c, its operations in
 * lua_operation.c.
 */
#ifndef POP3_LUA_CONNECTION_H
#define POP3_LUA_CONNECTION_H

#include <stdbool.h>

#include "conn.h"
#include "lua_compat.h"
#include "lua_delivery.h"
#include "lua_listing.h"
#include "lua_restrict.h"
#include "lua_share.h"
#include "octets.h"

#pragma GCC visibility push(hidden)

typedef struct pop3_method pop3_method;

/* The connection's table, its user value, holds what has to stay alive. */
enum pop3_slot {
  POP3_SLOT_ARGUMENTS = 1, /* three of them: of the running call */
  POP3_SLOT_TOP = 4,
  POP3_SLOT_SINK,
  POP3_SLOT_STATUS, /* its results so far */
  POP3_SLOT_LINES,
  POP3_SLOT_VALUE,
  POP3_SLOT_DIGEST,
  POP3_SLOT_LISTING,
  POP3_SLOT_EXTRAS,
  POP3_SLOT_CALL = POP3_SLOT_EXTRAS, /* up to here: emptied after each call */
  POP3_SLOT_WELCOME,
  POP3_SLOT_DEBUG, /* functions */
  POP3_SLOT_WAIT,
  POP3_SLOT_CACHE,
  POP3_SLOT_CONNECTOR, /* the host's loop and its stream, or nil */
  POP3_SLOT_TRANSPORT,
  POP3_SLOT_PLACE,    /* the loop that may not be used everywhere, or nil */
  POP3_SLOT_INCOMING, /* octets that came by it */
  POP3_SLOT_ON_ADDRESS,
  POP3_SLOTS = POP3_SLOT_ON_ADDRESS
};

/* The userdata; the connection's memory follows in the same block. */
typedef struct pop3_connection {
  pop3_conn *conn; /* NULL until its options are known */
  pop3_allocator allocator;
  pop3_tls_context *context; /* of the constructor's options, or NULL */
  const char *class;         /* "POP3" or "POP3_SSL" */
  bool safe;                 /* methods return nil, message, err */
  pop3_policy *policy;       /* it is counted there; NULL: not any more */

  uint64_t max_octets; /* of a message, unless the call says otherwise */
  pop3_share share;    /* of the host's time; who waits */
  bool carried;        /* the host has a stream, no descriptor */
  bool streams_only;   /* ... nor any other: files would block it */
  bool hung_up;        /* the host was told to close it */

  const pop3_method *method; /* the last one begun */
  bool busy;
  bool turning;        /* C is at work in it */
  lua_State *stepped;  /* ... for this one; NULL outside of a step */
  bool closing;        /* ... and it was closed meanwhile: release it then */
  pop3_step settled;   /* DONE or FAILED, reported after its trace */
  int lines;           /* in the table so far */
  uint64_t octets;     /* of the body */
  double look_at;      /* when Lua gets its turn next */
  pop3_octets partial; /* a line that straddles two reads */
  pop3_octets tokens;  /* message numbers of an operation on many */
  pop3_delivery delivery;
  pop3_listing *listing; /* being filled; anchored */
  pop3_failure *verdict; /* why the call ends, while its replies are read out */
  uint64_t drained;      /* octets of them */
  pop3_octets trace;     /* to be shown before we go on */
  char *secret;          /* of a pop3.secret, until the operation has ended */
  size_t secret_room;
} pop3_connection;

/* A closed connection with a metatable and an empty user value. Its buffers and
 * its policy's word are filled in into the options. [-0, +1, m] */
pop3_connection *pop3_connection_new(lua_State *L, pop3_conn_options *options);

/* The connection at `index`, or NULL. [-0, +0, -] */
pop3_connection *pop3_connection_test(lua_State *L, int index);

/* The connection at `index`, or an error that names the method. [-0, +0, v] */
pop3_connection *pop3_connection_check(lua_State *L, int index,
                                       const char *method);

/* Free, close, send nothing; while a turn is at work, when it is over. The
 * userdata stays usable as a closed one. */
void pop3_connection_release(pop3_connection *connection);

/* If it has ended, it counts no longer as one that lives. */
void pop3_connection_settle(pop3_connection *connection);

void pop3_connection_drop_secret(pop3_connection *connection);
void pop3_connection_drop_verdict(pop3_connection *connection);

/*
 * The context that the value at `index` stands for: a pop3.context, an option
 * table, or nil for the constructor's. NULL and a failure. [-0, +0, v]
 */
pop3_tls_context *pop3_connection_context(lua_State *L,
                                          const pop3_connection *connection,
                                          int index, const char *method,
                                          pop3_failure *failure);

/* Create the metatable; push the table for the face's methods. [-0, +1, m] */
void pop3_open_connections(lua_State *L);

/*
 * connect(constructor, safe, host, port, options) -> connection, or nil and an
 * error object; turn it until the greeting is there. The constructor is what the
 * face calls itself: POP3, POP3_SSL or open. [-0, +2, v]
 */
int pop3_lua_connect(lua_State *L);

/* close(connection) -> the transport to close, or nil [-0, +1, v] */
int pop3_lua_close(lua_State *L);
int pop3_lua_describe(lua_State *L); /* info(connection) -> table [-0, +1, v] */
int pop3_lua_welcome(lua_State *L);  /* welcome(connection) [-0, +1, v] */
/* is_safe(connection[, method that asks]) [-0, +1, v] */
int pop3_lua_is_safe(lua_State *L);

/* set_timeout(connection, seconds): from now on, as the option `timeout`.
 * [-0, +0, v] */
int pop3_lua_set_timeout(lua_State *L);

#pragma GCC visibility pop

#endif
