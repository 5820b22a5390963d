/*
 * race.c - see race.h.
 */
#define _GNU_SOURCE
#include "race.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "platform.h"
#include "socket.h"

/* ------------------------------------------------------------ addresses */

/* The first of the list whose family is, or is not, this one. */
static const struct addrinfo *find(const struct addrinfo *list, int family,
                                   bool same) {
  while (list != NULL && (list->ai_family == family) != same)
    list = list->ai_next;
  return list;
}

void pop3_race_begin(pop3_race *r, const struct addrinfo *list) {
  r->next[0] = list;
  r->next[1] = find(list, list->ai_family, false);
  r->turn = 0;
}

static bool is_left(const pop3_race *r) {
  return r->next[0] != NULL || r->next[1] != NULL;
}

/* The next address: of the family whose turn it is, if it has one. */
static const struct addrinfo *take_next(pop3_race *r) {
  unsigned family = r->next[r->turn] != NULL ? r->turn : !r->turn;
  const struct addrinfo *address = r->next[family];
  r->next[family] = find(address->ai_next, address->ai_family, true);
  r->turn = !family;
  return address;
}

/* This one and all that have not had their turn. */
static int count_left(const pop3_race *r) {
  int count = 1;
  for (int family = 0; family < 2; family++) {
    const struct addrinfo *a = r->next[family];
    for (; a != NULL; a = find(a->ai_next, a->ai_family, true)) count++;
  }
  return count;
}

/* ------------------------------------------------------------ attempts */

static void fail(pop3_race *r, int system) {
  if (r->failed++ == 0) r->system = system;
}

static void drop(pop3_race *r, size_t i) {
  r->count--;
  memmove(&r->under_way[i], &r->under_way[i + 1],
          (r->count - i) * sizeof *r->under_way);
}

/* An attempt is under way, or failed. */
static void attempt(pop3_race *r, const struct addrinfo *address,
                    double until) {
  struct sockaddr_storage local;
  size_t size = pop3_address_socket(&r->local, &local);
  int fd = -1, system = 0;
  pop3_error error = pop3_socket_connect(
      address, (const struct sockaddr *)&local, size, &fd, &system);
  r->tried++;
  if (error != POP3_E_OK && error != POP3_E_AGAIN) {
    fail(r, system);
    return;
  }
  r->under_way[r->count].fd = fd;
  r->under_way[r->count++].until = until;
}

void pop3_race_begin_at(pop3_race *r, const struct sockaddr *address,
                        size_t size) {
  struct addrinfo only = {0};
  struct sockaddr_storage room;
  memcpy(&room, address, size);
  only.ai_family = address->sa_family;
  only.ai_addr = (struct sockaddr *)&room;
  only.ai_addrlen = (unsigned short)size; /* fits in all systems' types */
  attempt(r, &only, INFINITY);
}

/* Is it of the family that we connect from? */
static bool suits(pop3_race *r, const struct addrinfo *address) {
  int family = r->local.bits == 32 ? AF_INET : AF_INET6;
  if (r->local.bits == 0 || address->ai_family == family) return true;
  r->unsuited = true;
  return false;
}

/* The next address has its turn. */
static void go_on(pop3_race *r, double now, double limit,
                  pop3_race_admit *admit, void *state) {
  const struct addrinfo *address = take_next(r);
  if (!suits(r, address) || !admit(state, address->ai_addr)) return;
  unsigned failed = r->failed;
  attempt(r, address, now + (limit - now) / count_left(r));
  if (r->failed == failed) r->due = now + POP3_RACE_DELAY;
}

/* Look at all of them, in the order in which they began. */
static pop3_error look(pop3_race *r, double now, int *fd, bool *loopback) {
  for (size_t i = 0; i < r->count;) {
    int system = 0;
    pop3_error error =
        pop3_socket_finish(r->under_way[i].fd, loopback, &system);
    if (error == POP3_E_OK) {
      *fd = r->under_way[i].fd;
      drop(r, i);
      pop3_race_end(r);
      return POP3_E_OK;
    }
    if (error == POP3_E_AGAIN) {
      i++;
      continue;
    }
    pop3_socket_close(r->under_way[i].fd);
    drop(r, i);
    fail(r, system);
    r->due = now;
  }
  return POP3_E_AGAIN;
}

static bool is_full(const pop3_race *r) { return r->count == POP3_INTERESTS; }

/* The oldest has had its share. */
static void give_up_oldest(pop3_race *r) {
  pop3_socket_close(r->under_way[0].fd);
  drop(r, 0);
  fail(r, ETIMEDOUT);
}

pop3_error pop3_race_step(pop3_race *r, double now, double limit,
                          pop3_race_admit *admit, void *state, int *fd,
                          bool *loopback) {
  for (;;) {
    if (look(r, now, fd, loopback) == POP3_E_OK) return POP3_E_OK;
    if (!is_left(r)) return r->count > 0 ? POP3_E_AGAIN : POP3_E_IO;
    if (now < pop3_race_due(r)) return POP3_E_AGAIN;
    if (is_full(r)) give_up_oldest(r);
    go_on(r, now, limit, admit, state);
  }
}

double pop3_race_due(const pop3_race *r) {
  if (!is_left(r)) return INFINITY;
  if (r->count == 0) return -INFINITY;
  return is_full(r) ? r->under_way[0].until : r->due;
}

void pop3_race_end(pop3_race *r) {
  for (size_t i = 0; i < r->count; i++) pop3_socket_close(r->under_way[i].fd);
  r->count = 0;
  r->next[0] = r->next[1] = NULL;
}
