/*
 * carrier.h - connections over a stream of the host's (options->carried): one
 * that sends and receives octets and has no descriptor that we could use, such
 * as nginx's cosockets, an SSH channel, or a test's memory.
 *
 * After POP3_STEP_WAIT the host does what pop3_conn_carry says, tells how that
 * went, and steps again. It may tell nothing when the deadline is over or when
 * it was woken for nothing. It does one thing at a time, so no more than
 * POP3_CARRIED_AHEAD octets of commands are in flight: for them a server that
 * does not read before its replies are taken has room.
 */
#ifndef POP3_CARRIER_H
#define POP3_CARRIER_H

#include <stddef.h>

#include "conn.h"
#include "pop3.h"

#pragma GCC visibility push(hidden)

#define POP3_CARRIED_AHEAD 4096

typedef enum pop3_carry {
  POP3_CARRY_CONNECT, /* to pop3_carrier_peer: pop3_carrier_connected */
  POP3_CARRY_SECURE,  /* TLS, with certificate and name checked:
                         pop3_carrier_secured */
  POP3_CARRY_SEND,    /* pop3_carrier_outgoing: pop3_carrier_sent */
  POP3_CARRY_RECEIVE, /* what is there, or comes by the deadline:
                         pop3_carrier_received */
  POP3_CARRY_LOOK     /* what is there without waiting: the same */
} pop3_carry;
pop3_carry pop3_carrier_wants(pop3_conn *conn);

/* Whom to connect to: the host, or its proxy. Lives as long as the connection. */
const char *pop3_carrier_peer(const pop3_conn *conn, unsigned *port);

/* The stream is there. Does it go to the very address that the host is, if it
 * is one? Only then can it be known to stay on this machine. */
void pop3_carrier_connected(pop3_conn *conn, bool addressed);
void pop3_carrier_secured(pop3_conn *conn);

/* Valid until the next step or sent; at most that much was sent of it. A piece
 * of what is to leave, POP3_BUFFER_SIZE at most: hosts copy it, each time. */
pop3_span pop3_carrier_outgoing(pop3_conn *conn);
void pop3_carrier_sent(pop3_conn *conn, size_t size);

/* The octets have to live until the host is asked for more. None: nothing is
 * there yet. */
void pop3_carrier_received(pop3_conn *conn, const char *octets, size_t size);

/*
 * What the host tried failed. `reason` is for people, but for words that say
 * what a socket would have said: "closed", "timeout" (while sending and
 * receiving it is tried again, until the deadline), and the text of an errno in
 * any case ("connection refused").
 * While it connects or does TLS these are words, too, which `detail`, if it is
 * not NULL, explains to people: "not_found" (the name), "again" (the name
 * servers), "certificate", "hostname", "misplaced" (it does not connect here).
 */
void pop3_carrier_failed(pop3_conn *conn, const char *reason,
                         const char *detail);

/* What the host told cannot be: its code is wrong, not the network, so that
 * nobody looks whether the server has said why. */
void pop3_carrier_misbehaved(pop3_conn *conn, const char *what);

/* Limits of an engine over such a stream. */
void pop3_carrier_limit(pop3_config *engine);

#pragma GCC visibility pop

#endif
