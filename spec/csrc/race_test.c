/*
 * race_test.c - several addresses, some of them dead (T28): who has a turn
 * when, who wins, what is said of the losers. The clock is the test's own, so
 * nothing depends on time.
 */
#define _GNU_SOURCE
#include "race.h"

#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "loopback.h"

/* ------------------------------------------------------------ addresses */

#define MOST 8

/* A list as the resolver would give it. */
typedef struct list {
  struct addrinfo entries[MOST];
  struct sockaddr_storage addresses[MOST];
  size_t count;
} list;

static void add(list *l, const char *text, unsigned port) {
  struct addrinfo *e = &l->entries[l->count];
  pop3_address address;
  must(pop3_address_parse(text, strlen(text), &address), "an address");
  size_t size = pop3_address_socket(&address, &l->addresses[l->count]);
  memset(e, 0, sizeof *e);
  e->ai_addr = (struct sockaddr *)&l->addresses[l->count];
  e->ai_family = e->ai_addr->sa_family;
  e->ai_addrlen = (socklen_t)size;
  if (e->ai_family == AF_INET)
    ((struct sockaddr_in *)(void *)e->ai_addr)->sin_port =
        htons((unsigned short)port);
  if (l->count > 0) l->entries[l->count - 1].ai_next = e;
  l->count++;
}

static int open_fds[64];
static size_t open_count;

static void add_live(list *l) {
  unsigned port;
  open_fds[open_count++] = listen_on(8, &port);
  add(l, "127.0.0.1", port);
}

static void add_closed(list *l) {
  unsigned port;
  (void)close(listen_on(8, &port));
  add(l, "127.0.0.1", port);
}

static void add_silent(list *l) {
  add(l, "127.0.0.1", crowded_port(open_fds + open_count));
  open_count += CROWD;
}

static void close_all(void) {
  while (open_count > 0) (void)close(open_fds[--open_count]);
}

/* ------------------------------------------------------------ a race */

static int families[MOST];
static size_t asked;

static bool allow(void *state, const struct sockaddr *address) {
  (void)state;
  families[asked++ % MOST] = address->sa_family;
  return true;
}

static bool refuse(void *state, const struct sockaddr *address) {
  return !allow(state, address);
}

static pop3_race race;
static double limit;

static void begin(list *l) {
  memset(&race, 0, sizeof race);
  asked = 0;
  limit = 1030;
  pop3_race_begin(&race, l->entries);
}

static pop3_error step(double now, int *fd) {
  bool loopback = false;
  pop3_error error =
      pop3_race_step(&race, now, limit, allow, NULL, fd, &loopback);
  CHECK(error != POP3_E_OK || loopback);
  return error;
}

static unsigned port_of(int fd) {
  struct sockaddr_in address;
  socklen_t size = sizeof address;
  must(getpeername(fd, (struct sockaddr *)&address, &size) == 0, "a peer");
  return ntohs(address.sin_port);
}

/* Is it connected to that one of the list? */
static bool leads_to(int fd, const list *l, size_t i) {
  const struct sockaddr_in *in = (const void *)&l->addresses[i];
  bool same = port_of(fd) == ntohs(in->sin_port);
  (void)close(fd);
  return same;
}

/* ------------------------------------------------------------ claims */

static bool asks_in_order(list *l, const char *order) {
  int fd;
  bool loopback, same = true;
  begin(l);
  CHECK(pop3_race_step(&race, 1000, limit, refuse, NULL, &fd, &loopback) ==
        POP3_E_IO);
  for (size_t i = 0; i < strlen(order); i++)
    same = same && families[i] == (order[i] == '6' ? AF_INET6 : AF_INET);
  return same && asked == strlen(order) && race.tried == 0 && race.failed == 0;
}

static void families_take_turns(void) {
  list l = {.count = 0};
  add(&l, "2001:db8::1", 0);
  CHECK(asks_in_order(&l, "6"));
  add(&l, "2001:db8::2", 0);
  add(&l, "2001:db8::3", 0);
  CHECK(asks_in_order(&l, "666"));
  add(&l, "192.0.2.1", 0);
  add(&l, "192.0.2.2", 0);
  CHECK(asks_in_order(&l, "64646"));
  list m = {.count = 0};
  add(&m, "192.0.2.1", 0);
  add(&m, "2001:db8::1", 0);
  add(&m, "192.0.2.2", 0);
  add(&m, "192.0.2.3", 0);
  CHECK(asks_in_order(&m, "4644"));
}

static void the_first_that_answers_is_the_only_one(void) {
  list l = {.count = 0};
  int fd = -1;
  add_live(&l);
  add_live(&l);
  begin(&l);
  CHECK(step(1000, &fd) == POP3_E_OK && leads_to(fd, &l, 0));
  CHECK(race.tried == 1 && race.failed == 0 && race.count == 0);
}

static void the_next_begins_after_a_quarter_second(void) {
  list l = {.count = 0};
  int fd = -1;
  add_silent(&l);
  add_live(&l);
  begin(&l);
  CHECK(step(1000, &fd) == POP3_E_AGAIN && race.tried == 1);
  CHECK(pop3_race_due(&race) == 1000.25);
  CHECK(step(1000.2, &fd) == POP3_E_AGAIN && race.tried == 1);
  CHECK(step(1000.25, &fd) == POP3_E_OK && leads_to(fd, &l, 1));
  CHECK(race.tried == 2 && race.count == 0);
}

static void the_next_begins_at_once_after_a_failure(void) {
  list l = {.count = 0};
  int fd = -1;
  add_closed(&l);
  add_closed(&l);
  add_live(&l);
  begin(&l);
  CHECK(step(1000, &fd) == POP3_E_OK && leads_to(fd, &l, 2));
  CHECK(race.tried == 3 && race.failed == 2 && race.system == ECONNREFUSED);
}

/* Whose share of the time is a fifth of all, then. */
static void no_more_than_a_host_waits_for(void) {
  list l = {.count = 0};
  int fd = -1;
  for (int i = 0; i < 4; i++) add_silent(&l);
  add_live(&l);
  begin(&l);
  for (int i = 0; i <= 4; i++)
    CHECK(step(1000 + i * POP3_RACE_DELAY, &fd) == POP3_E_AGAIN);
  CHECK(race.count == POP3_INTERESTS && race.tried == POP3_INTERESTS);
  int oldest = race.under_way[0].fd;
  CHECK(pop3_race_due(&race) == 1006);
  CHECK(step(1005.9, &fd) == POP3_E_AGAIN && race.under_way[0].fd == oldest);
  CHECK(step(1006, &fd) == POP3_E_AGAIN && race.tried == 4);
  CHECK(race.failed == 1 && race.system == ETIMEDOUT);
  CHECK(race.count == POP3_INTERESTS);
  CHECK(step(1029, &fd) == POP3_E_OK && leads_to(fd, &l, 4));
}

static void the_last_ones_have_all_the_time(void) {
  list l = {.count = 0};
  int fd = -1;
  add_silent(&l);
  begin(&l);
  CHECK(step(1000, &fd) == POP3_E_AGAIN && isinf(pop3_race_due(&race)));
  CHECK(step(1029, &fd) == POP3_E_AGAIN && race.count == 1);
  pop3_race_end(&race);
  CHECK(race.count == 0);
}

static void the_first_reason_stays(void) {
  list l = {.count = 0};
  int fd = -1;
  add_closed(&l);
  add_closed(&l);
  add(&l, "255.255.255.255", 9); /* everybody's */
  begin(&l);
  pop3_error error = step(1000, &fd);
  for (int i = 1; error == POP3_E_AGAIN && i < 9; i++)
    error = step(1000 + 5 * i, &fd);
  CHECK(error == POP3_E_IO && race.system == ECONNREFUSED);
  CHECK(race.tried == 3 && race.failed == 3);
}

static void only_the_local_family_is_tried(void) {
  list l = {.count = 0};
  int fd = -1;
  add(&l, "2001:db8::1", 0);
  begin(&l);
  CHECK(pop3_address_parse("127.0.0.1", 9, &race.local));
  CHECK(step(1000, &fd) == POP3_E_IO && race.unsuited);
  CHECK(race.tried == 0 && asked == 0);
  add_live(&l);
  begin(&l);
  CHECK(pop3_address_parse("127.0.0.9", 9, &race.local));
  CHECK(step(1000, &fd) == POP3_E_OK && race.tried == 1);
  struct sockaddr_in in;
  socklen_t size = sizeof in;
  CHECK(getsockname(fd, (struct sockaddr *)&in, &size) == 0);
  CHECK(in.sin_addr.s_addr == htonl(0x7f000009));
  CHECK(leads_to(fd, &l, 1));
}

static void a_foreign_local_address_is_refused(void) {
  list l = {.count = 0};
  int fd = -1;
  add_live(&l);
  begin(&l);
  CHECK(pop3_address_parse("192.0.2.1", 9, &race.local));
  CHECK(step(1000, &fd) == POP3_E_IO && race.system == EADDRNOTAVAIL);
}

static const test tests[] = {
    TEST(families_take_turns),
    TEST(the_first_that_answers_is_the_only_one),
    TEST(the_next_begins_after_a_quarter_second),
    TEST(the_next_begins_at_once_after_a_failure),
    TEST(no_more_than_a_host_waits_for),
    TEST(the_last_ones_have_all_the_time),
    TEST(the_first_reason_stays),
    TEST(only_the_local_family_is_tried),
    TEST(a_foreign_local_address_is_refused),
};

int main(void) {
  int failures = RUN(tests);
  close_all();
  return failures;
}
