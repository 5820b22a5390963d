/*
 * lua_method.h - the methods of a connection as rows, and their arguments as
 * requests. What happens then is in lua_operation.c.
 */
#ifndef POP3_LUA_METHOD_H
#define POP3_LUA_METHOD_H

#include "lua_connection.h"

#pragma GCC visibility push(hidden)

/* What a method returns. */
typedef enum pop3_result {
  POP3_RESULT_STATUS,  /* the status line */
  POP3_RESULT_LISTING, /* status, lines, octets, or the status alone */
  POP3_RESULT_STAT,    /* count, octets */
  POP3_RESULT_CAPS,    /* name -> list of arguments */
  POP3_RESULT_SELF,    /* the connection */
  POP3_RESULT_TEXT,    /* a message, octets[, digest] */
  POP3_RESULT_OCTETS,  /* octets[, digest] */
  POP3_RESULT_ROWS,    /* a listing object */
  POP3_RESULT_LOGIN,   /* the status line[, what rode behind it] */
  POP3_RESULT_NOTHING  /* the face has seen each item */
} pop3_result;

/*
 * Arguments, a letter each; ? marks the one before as optional:
 *   t text, s secret, n message number, l list of message numbers, b boolean,
 *   c TLS context, k sink, o options of `options`, - something of the face's,
 *   u login's user, p login's secret (nil: none), m a mechanism's name,
 *   f function of the face's, i initial response
 */
struct pop3_method {
  const char *name;
  const char *label; /* what errors call it: the public method */
  pop3_operation operation;
  pop3_command command;
  const char *arguments;
  pop3_result result;
  pop3_delivery_mode mode;
  unsigned options; /* POP3_TAKES_... */
};

const pop3_method *pop3_method_find(const char *name);

/* That of the constructor. */
extern const pop3_method pop3_method_open;

/* The names of the public methods, as a list. [-0, +1, m] */
void pop3_push_methods(lua_State *L);

/*
 * The arguments of a call, from index 3 on, as a request, and the delivery that
 * they ask for. Strings stay anchored in the table at `anchors`. Raises for
 * what cannot be an argument, before an octet leaves. [-0, +0, v]
 */
void pop3_take_arguments(lua_State *L, pop3_connection *connection,
                         const pop3_method *method, pop3_request *request,
                         int anchors);

/* Where begin finds things on its stack: no method has more arguments. */
enum { POP3_FIRST_ARGUMENT = 3, POP3_MOST_ARGUMENTS = 3 };

#pragma GCC visibility pop

#endif
