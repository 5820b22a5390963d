/*
 * scram.h - AUTH (RFC 5034) by SCRAM-SHA-256 or PLAIN, as far as one user with
 * one password needs it: user u, password p. What depends on the password is
 * derived once, so that a login costs the server four digests.
 */
#ifndef BENCH_SCRAM_H
#define BENCH_SCRAM_H

#include <stdbool.h>

enum { SCRAM_REPLY = 256 };

/* The keys, of so many iterations. */
void scram_prepare(unsigned iterations);

typedef enum scram_step {
  SCRAM_IDLE,  /* the next line is a command */
  SCRAM_NAMED, /* AUTH came without its first message */
  SCRAM_FIRST, /* the server's first message is out */
  SCRAM_FINAL  /* its signature is out; an empty response is due */
} scram_step;

/* One exchange; zero is none. */
typedef struct scram {
  scram_step step;
  bool plain;
  char bare[SCRAM_REPLY];  /* the client's first message without its header */
  char first[SCRAM_REPLY]; /* the server's */
} scram;

/* The arguments of AUTH, or a line of the exchange that follows it; the reply
   is a line with its end, which lives until the next call. */
const char *scram_begin(scram *s, char *arguments);
const char *scram_continue(scram *s, char *line);

#endif
