/* resolve_srv.c - see resolve_srv.h. */
#include "resolve_srv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto.h"

/* Records of one name: more are no administrator's. */
#define MOST_RECORDS 64

/* --- reading ------------------------------------------------------------- */

/* Letters, digits, hyphens; underscores, because some have them. */
static bool is_host_label(const unsigned char *at, size_t size) {
  static const char others[] = "-_0123456789";
  for (size_t i = 0; i < size; i++) {
    unsigned char lower = at[i] | 32;
    if ((lower < 'a' || lower > 'z') && (!at[i] || !strchr(others, at[i])))
      return false;
  }
  return true;
}

/* Labels, each behind its length, to a name in text. The octets end with it. */
static bool read_target(const unsigned char *at, size_t size,
                        char out[POP3_DNS_NAME]) {
  size_t used = 0;
  while (size > 0 && at[0] > 0) {
    size_t label = at[0];
    if (label >= size || label > 63 || used + label + 1 > POP3_DNS_NAME ||
        !is_host_label(at + 1, label))
      return false;
    memcpy(out + used, at + 1, label);
    used += label;
    out[used++] = '.';
    at += label + 1;
    size -= label + 1;
  }
  out[used > 0 ? used - 1 : 0] = '\0';
  return size == 1;
}

/* Resolvers take "127.1" for an address; no top-level domain is a number. */
static bool is_numeric(const char *host) {
  const char *dot = strrchr(host, '.');
  const char *top = dot ? dot + 1 : host;
  return *top >= '0' && *top <= '9';
}

static unsigned read_number(const unsigned char *at) {
  return (unsigned)at[0] << 8 | at[1];
}

bool pop3_srv_read(const void *octets, size_t size, pop3_srv *srv) {
  const unsigned char *at = octets;
  if (size < 7 || !read_target(at + 6, size - 6, srv->host)) return false;
  srv->priority = read_number(at);
  srv->weight = read_number(at + 2);
  srv->port = read_number(at + 4);
  bool none = srv->host[0] == '\0';
  return none || (srv->port > 0 && !is_numeric(srv->host));
}

/* --- the order ----------------------------------------------------------- */

/* By priority, those without weight first; then any, but always the same. */
static int compare(const void *a, const void *b) {
  const pop3_srv *x = a, *y = b;
  if (x->priority != y->priority) return x->priority < y->priority ? -1 : 1;
  if (!x->weight != !y->weight) return x->weight ? 1 : -1;
  if (x->port != y->port) return x->port < y->port ? -1 : 1;
  return strcmp(x->host, y->host);
}

/* The one whose share of the weights the dice have hit. */
static size_t choose(const pop3_srv *list, size_t count, pop3_srv_dice *dice,
                     void *state) {
  uint32_t sum = 0, so_far = list[0].weight;
  size_t i = 0;
  for (size_t k = 0; k < count; k++) sum += list[k].weight;
  uint32_t hit = dice(state, sum + 1);
  while (so_far < hit) so_far += list[++i].weight;
  return i;
}

/* Of the same priority. */
static void shuffle(pop3_srv *list, size_t count, pop3_srv_dice *dice,
                    void *state) {
  for (; count > 1; list++, count--) {
    size_t i = choose(list, count, dice, state);
    pop3_srv chosen = list[i];
    memmove(list + 1, list, i * sizeof *list);
    list[0] = chosen;
  }
}

void pop3_srv_order(pop3_srv *list, size_t count, pop3_srv_dice *dice,
                    void *state) {
  qsort(list, count, sizeof *list, compare);
  for (size_t from = 0, to; from < count; from = to) {
    to = from + 1;
    while (to < count && list[to].priority == list[from].priority) to++;
    shuffle(list + from, to - from, dice, state);
  }
}

/* Without chance the load is shared badly, and that is all. */
static uint32_t roll(void *state, uint32_t limit) {
  uint32_t number = 0;
  (void)state;
  (void)pop3_random(&number, sizeof number);
  return number % limit;
}

/* --- the task ------------------------------------------------------------ */

static void *refuse(const char *name, const char *what, pop3_failure *failure) {
  pop3_fail(failure, POP3_E_NOT_FOUND,
            "%s %s: give the server's name in place of the domain, and leave "
            "srv out",
            name, what);
  return NULL;
}

/* "Decidedly not available" (RFC 2782), where it is all that is said. */
static void *refuse_service(const char *name, pop3_failure *failure) {
  const char *domain = strstr(name, "._tcp.") + 6;
  pop3_fail(failure, POP3_E_NOT_FOUND,
            "%s has no such service, as its SRV record %s says", domain, name);
  return NULL;
}

static pop3_srv_found *take_records(const pop3_dns_answer *answer,
                                    const char *name, pop3_failure *failure) {
  bool none = false;
  pop3_srv_found *found =
      malloc(sizeof(pop3_srv_found) + answer->count * sizeof(pop3_srv));
  if (!found) {
    pop3_fail(failure, POP3_E_MEMORY, NULL);
    return NULL;
  }
  found->count = 0;
  for (size_t i = 0; i < answer->count; i++) {
    pop3_srv *srv = &found->list[found->count];
    if (!pop3_srv_read(answer->data[i], (size_t)answer->sizes[i], srv))
      continue;
    if (srv->host[0]) found->count++;
    else none = true;
  }
  if (found->count > 0) return found;
  free(found);
  return none ? refuse_service(name, failure)
              : refuse(name, "has SRV records that cannot be used", failure);
}

static void *run(pop3_dnssec *dns, const pop3_dns_question *question,
                 pop3_failure *failure) {
  const char *name = question->name;
  pop3_dns_answer answer;
  pop3_srv_found *found = NULL;
  if (pop3_dnssec_prove(dns, name, POP3_DNS_SRV, &answer, failure) != POP3_E_OK)
    return NULL;
  if (answer.count == 0) refuse(name, "has no SRV records", failure);
  else if (answer.count > MOST_RECORDS)
    refuse(name, "has more SRV records than anybody needs", failure);
  else found = take_records(&answer, name, failure);
  pop3_dns_answer_release(dns, &answer);
  if (found) pop3_srv_order(found->list, found->count, roll, NULL);
  return found;
}

static const pop3_dns_task task = {
    .option = "srv = true",
    .instead = "give the server's name and leave srv out",
    .unproved =
        "whoever is between could choose where passwords go; give the "
        "server's name in place of the domain, and leave srv out",
    .distrust = POP3_E_DNSSEC,
    .run = run,
};

/* --- the interface ------------------------------------------------------- */

pop3_error pop3_srv_lookup_start(const char *service, const char *domain,
                                 const char *config, pop3_dns_lookup **lookup,
                                 pop3_failure *failure) {
  char name[POP3_DNS_NAME];
  const pop3_dns_question question = {name, 0, false};
  int size = snprintf(name, sizeof name, "%s._tcp.%s", service, domain);
  if (size < 0 || (size_t)size >= sizeof name)
    return pop3_fail(failure, POP3_E_NOT_FOUND,
                     "the domain's name is too long for SRV records");
  return pop3_dns_lookup_start(&task, &question, config, lookup, failure);
}

pop3_error pop3_srv_lookup_result(const pop3_dns_lookup *lookup,
                                  const pop3_srv_found **found,
                                  pop3_failure *failure) {
  const void *block;
  pop3_error error = pop3_dns_lookup_result(lookup, &block, failure);
  if (error == POP3_E_OK) *found = block;
  return error;
}
