/*
 * lua_ways.h - the options that say by which way a connection goes to its
 * server: srv, proxy, proxy_tls, unix_socket, local_address, keepalive, on_address.
 */
#ifndef POP3_LUA_WAYS_H
#define POP3_LUA_WAYS_H

#include "lua_connection.h"
#include "lua_options.h"

#pragma GCC visibility push(hidden)

/* What the rows fill; the rest is read by pop3_ways_read. */
typedef struct pop3_ways_options {
  const char *unix_socket;
  const char *local_address;
  bool srv;
  const char *srv_config;
} pop3_ways_options;
extern const pop3_option pop3_ways_option_rows[];
extern const size_t pop3_ways_option_count;

typedef struct pop3_ways {
  pop3_route route;
  pop3_route_proxy proxy;
} pop3_ways;

/* Unbound's options, which are one of TLS's, are for srv as well: without dane
 * for nothing else. */
void pop3_ways_share_config(pop3_ways_options *options, pop3_tls_options *tls);

/*
 * The option table at `index`, checked, as a way; it is good as long as what
 * this leaves on the stack is there, and the connection's secret. Raises for
 * options that do not go together, or that the connection's host has no use
 * for. Errors: RESTRICTED, those of a secret and of TLS options.
 * [-0, +n, v]
 */
pop3_error pop3_ways_read(lua_State *L, int index, const char *method,
                          pop3_connection *connection,
                          const pop3_ways_options *options, pop3_ways *ways,
                          pop3_failure *failure);

/* A proxy in text, without who logs in there: there is one. [-0, +1, m] */
void pop3_ways_push_proxy(lua_State *L, const pop3_conn_info *info);

/* What info tells of it, into the table on top. [-0, +0, m] */
void pop3_ways_describe(lua_State *L, const pop3_conn_info *info);

#pragma GCC visibility pop

#endif
