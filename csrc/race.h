/*
 * race.h - attempts to connect to the addresses of a name, the first of which
 * that is connected wins (Happy Eyeballs, RFC 8305): the families take turns,
 * beginning with the one that getaddrinfo put first; the next attempt begins
 * 250 ms after the last one, or at once when one has failed.
 *
 * No more are under way than a host can be asked to wait for. Where another
 * address has its turn then, the oldest attempt goes on until its share of the
 * time to connect is over: many slow ones in a row must not be cut off by each
 * other.
 */
#ifndef POP3_RACE_H
#define POP3_RACE_H

#include <stdbool.h>
#include <stddef.h>

#include "address.h"
#include "errors.h"
#include "interest.h"

#pragma GCC visibility push(hidden)

struct addrinfo;
struct sockaddr;

/* Seconds between two attempts (RFC 8305 5 and 8). */
#define POP3_RACE_DELAY 0.25

typedef struct pop3_attempt {
  int fd;
  double until; /* it may be given up for another address */
} pop3_attempt;

typedef struct pop3_race {
  pop3_address local;             /* to connect from; no bits: any */
  const struct addrinfo *next[2]; /* of either family; the resolver's */
  unsigned turn;
  pop3_attempt under_way[POP3_INTERESTS]; /* by the time they began */
  size_t count;
  double due;      /* when the next address has its turn */
  unsigned tried;  /* addresses that were connected to */
  unsigned failed; /* of them */
  int system;      /* why the first of them failed */
  bool unsuited;   /* some address is not of the local one's family */
} pop3_race;

/* May this address be connected to? */
typedef bool pop3_race_admit(void *state, const struct sockaddr *address);

/* `list` lives as long as the race. `race->local` is the caller's. */
void pop3_race_begin(pop3_race *race, const struct addrinfo *list);

/* One attempt, at once, to what no resolver knows. */
void pop3_race_begin_at(pop3_race *race, const struct sockaddr *address,
                        size_t size);

/*
 * OK: *fd is connected, the caller's now, and the others are closed; is its
 * peer this host? AGAIN: wait until one of `under_way` is writable, or until
 * pop3_race_due. IO: no address is left, and none answered. `limit` is when all
 * of it has to be over, INFINITY for never.
 */
pop3_error pop3_race_step(pop3_race *race, double now, double limit,
                          pop3_race_admit *admit, void *state, int *fd,
                          bool *loopback);

/* When to step again, whatever happens; INFINITY if that is of no use. */
double pop3_race_due(const pop3_race *race);

/* Close what is under way. As often as you like. */
void pop3_race_end(pop3_race *race);

#pragma GCC visibility pop

#endif
