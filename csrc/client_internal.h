/*
 * client_internal.h - what client.c, client_login.c and client_auth.c share:
 * operations and their plans, which way a login takes, and AUTH's exchange.
 */
#ifndef POP3_CLIENT_INTERNAL_H
#define POP3_CLIENT_INTERNAL_H

#include "client.h"

#pragma GCC visibility push(hidden)

/* ------------------------------------------------------------ client.c */

/* One command of the plan, traced. AGAIN, or an error with its failure. */
pop3_error pop3_client_send(pop3_client *client, pop3_command command,
                            const pop3_span *arguments, size_t count,
                            pop3_failure *failure);

/* The greeting has APOP's timestamp: the digest is made. UNSUPPORTED. */
pop3_error pop3_client_digest(pop3_client *client, pop3_failure *failure);
bool pop3_client_has_timestamp(const pop3_client *client);

/* ------------------------------------------------------------ client_login.c */

/* Choose the way in, and make ready for it; nothing is queued. AGAIN: what CAPA
 * says has to be asked first. Errors: INSECURE, UNSUPPORTED, those of
 * pop3_sasl_new, MEMORY. */
pop3_error pop3_client_choose(pop3_client *client, pop3_failure *failure);

/* After the refusal of an AUTH: is there another way that may be tried? Only
 * once, only if the server knows no such mechanism, and before it was shown
 * a secret. Then the choice is to be made again. */
bool pop3_client_may_turn(pop3_client *client, pop3_span line);

/* Say why there was no login: the server's line, or what it had said inside of
 * the mechanism before (client->ending), the way, what there is. */
pop3_error pop3_client_denied(pop3_client *client, pop3_span line,
                              pop3_failure *failure);

/* A mechanism cannot be gone on with, as the failure says: add what there is,
 * and what to do. */
void pop3_client_advise(const pop3_client *client, pop3_failure *failure);

/* Add what the server said inside of the mechanism, if anything. */
void pop3_client_explain(const pop3_client *client, pop3_failure *failure);

/* ------------------------------------------------------------ client_auth.c */

/* Begin the exchange of client->way, or of a mechanism by hand. Nothing is
 * queued. Errors: those of pop3_sasl_new, MEMORY. */
pop3_error pop3_auth_begin(pop3_client *client, pop3_failure *failure);

/* Queue AUTH, with the initial response if it may go with it. */
pop3_error pop3_auth_send(pop3_client *client, pop3_failure *failure);

/*
 * A challenge or a part of one: answer it, or begin to work, or ask the caller
 * (client->asking, and the event's text is the challenge, decoded), or cancel:
 * then client->ending says why. Errors: UNPROVEN, MEMORY; the session is
 * poisoned.
 */
pop3_error pop3_auth_take(pop3_client *client, pop3_event *event,
                          pop3_failure *failure);

/* The server said +OK: is it a success? UNPROVEN, DENIED; poisoned. */
pop3_error pop3_auth_finish(pop3_client *client, pop3_failure *failure);

/* Forget the exchange, wipe what it held. */
void pop3_auth_clear(pop3_client *client);

#pragma GCC visibility pop

#endif
