/*
 * floor_scram.h - the client's side of SCRAM-SHA-256 by OpenSSL alone: what
 * any client would have to compute to log in user u with password p, and
 * nothing else. What the server says is trusted to be what the load server
 * says. `out` has room for FLOOR_LINE octets.
 */
#ifndef BENCH_FLOOR_SCRAM_H
#define BENCH_FLOOR_SCRAM_H

#include <stdbool.h>

enum { FLOOR_LINE = 512 };

/* "AUTH SCRAM-SHA-256 ..." with its line end. */
void floor_scram_first(char *out);

/* The proof, to the challenge in base64; a line, too. */
void floor_scram_final(const char *challenge, char *out);

/* Does the server know the password? */
bool floor_scram_check(const char *challenge);

#endif
