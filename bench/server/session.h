/* session.h - POP3 as far as a client under load needs it. */
#ifndef BENCH_SESSION_H
#define BENCH_SESSION_H

#include "connection.h"

typedef struct service {
  mailbox box;
  bool pipelining; /* announced; pipelined commands are taken in any case */
  bool auth;       /* announced: SCRAM-SHA-256 and PLAIN */
} service;

void session_greet(connection *conn, uint64_t now);

/* Answer one command. */
void session_answer(connection *conn, const service *service, char *line,
                    uint64_t now);

#endif
