/* resolve_tlsa.c - see resolve_tlsa.h. */
#include "resolve_tlsa.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Records of one name: more are no administrator's. */
#define MOST_RECORDS 64

/* --- records ------------------------------------------------------------- */

static char *write_record(const char *data, size_t size) {
  const unsigned char *at = (const unsigned char *)data;
  char *text = size > 3 ? malloc(size * 2 + 16) : NULL;
  if (!text) return NULL;
  int used = sprintf(text, "%d %d %d ", at[0], at[1], at[2]);
  for (size_t i = 3; i < size; i++) used += sprintf(text + used, "%02x", at[i]);
  return text;
}

static int compare(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Joined by ';', and the base behind them; servers turn the order from answer
 * to answer. */
static pop3_tlsa_found *join(char **texts, size_t count, const char *base) {
  size_t size = sizeof(pop3_tlsa_found) + (base ? strlen(base) : 0) + 2;
  for (size_t i = 0; i < count; i++) size += strlen(texts[i]) + 1;
  pop3_tlsa_found *found = malloc(size);
  if (!found) return NULL;
  char *at = found->records;
  qsort(texts, count, sizeof *texts, compare);
  for (size_t i = 0; i < count; i++)
    at += sprintf(at, "%s%s", i > 0 ? ";" : "", texts[i]);
  found->base = base ? strcpy(at + 1, base) : NULL;
  return found;
}

static pop3_tlsa_found *take_records(const pop3_dns_answer *answer,
                                     const char *name, const char *base,
                                     pop3_failure *failure) {
  char *texts[MOST_RECORDS];
  size_t count = 0;
  while (count < MOST_RECORDS && count < answer->count) {
    texts[count] =
        write_record(answer->data[count], (size_t)answer->sizes[count]);
    if (!texts[count]) break;
    count++;
  }
  bool whole = count == answer->count;
  pop3_tlsa_found *found = whole ? join(texts, count, base) : NULL;
  while (count > 0) free(texts[--count]);
  if (!found)
    pop3_fail(failure, POP3_E_DANE, "the TLSA records of %s cannot be read",
              name);
  return found;
}

/* --- names --------------------------------------------------------------- */

/* false: no name is that long. */
static bool write_name(const pop3_dns_question *question, const char *domain,
                       char name[POP3_DNS_NAME]) {
  int size =
      snprintf(name, POP3_DNS_NAME, "_%u._tcp.%s", question->port, domain);
  return size > 0 && size < POP3_DNS_NAME;
}

/* Where the name leads, without the root's dot, if a server can be there: no
 * certificate holds another name. */
static void take_end(const char *name, char end[POP3_DNS_NAME]) {
  static const char octets[] =
      "-._0123456789abcdefghijklmnopqrstuvwxyz"
      "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  size_t size = strlen(name);
  if (size > 0 && name[size - 1] == '.') size--;
  if (size >= POP3_DNS_NAME || strspn(name, octets) < size) return;
  memcpy(end, name, size);
  end[size] = '\0';
}

/* Where the name leads, if every step is signed; "": nowhere else. */
static pop3_error find_end(pop3_dnssec *dns, const char *domain,
                           char end[POP3_DNS_NAME], pop3_failure *failure) {
  pop3_dns_answer answer;
  end[0] = '\0';
  pop3_error error = pop3_dnssec_ask(dns, domain, POP3_DNS_A, &answer, failure);
  if (error != POP3_E_OK) return error;
  if (answer.secure && answer.end) take_end(answer.end, end);
  pop3_dns_answer_release(dns, &answer);
  return POP3_E_OK;
}

/* --- the task ------------------------------------------------------------ */

/* Those at the alias's end; NULL, and no failure: there are none that count. */
static pop3_tlsa_found *look_at_end(pop3_dnssec *dns,
                                    const pop3_dns_question *question,
                                    const char *end, pop3_failure *failure) {
  char name[POP3_DNS_NAME];
  pop3_dns_answer answer;
  pop3_tlsa_found *found = NULL;
  if (!write_name(question, end, name) ||
      pop3_dnssec_ask(dns, name, POP3_DNS_TLSA, &answer, failure) != POP3_E_OK)
    return NULL;
  if (answer.secure && answer.count > 0)
    found = take_records(&answer, name, end, failure);
  pop3_dns_answer_release(dns, &answer);
  return found;
}

static pop3_tlsa_found *look_at_name(pop3_dnssec *dns,
                                     const pop3_dns_question *question,
                                     const char *end, pop3_failure *failure) {
  char name[POP3_DNS_NAME];
  pop3_dns_answer answer;
  pop3_tlsa_found *found = NULL;
  (void)write_name(question, question->name, name);
  if (pop3_dnssec_prove(dns, name, POP3_DNS_TLSA, &answer, failure) !=
      POP3_E_OK)
    return NULL;
  if (answer.count > 0) found = take_records(&answer, name, NULL, failure);
  else
    pop3_fail(failure, POP3_E_DANE,
              "%s has no TLSA records%s%s%s: leave dane out for this server",
              name, end[0] ? ", nor has " : "", end,
              end[0] ? ", which it is an alias of" : "");
  pop3_dns_answer_release(dns, &answer);
  return found;
}

static void *run(pop3_dnssec *dns, const pop3_dns_question *question,
                 pop3_failure *failure) {
  char end[POP3_DNS_NAME] = "";
  pop3_tlsa_found *found = NULL;
  if (question->follows) (void)find_end(dns, question->name, end, failure);
  if (end[0]) found = look_at_end(dns, question, end, failure);
  if (found || failure->error != POP3_E_OK) return found;
  return look_at_name(dns, question, end, failure);
}

static const pop3_dns_task task = {
    .option = "dane = \"dns\"",
    .instead = "give the records",
    .unproved = "leave dane out for this server",
    .distrust = POP3_E_DANE,
    .run = run,
};

/* --- the interface ------------------------------------------------------- */

pop3_error pop3_tlsa_lookup_start(const char *domain, unsigned port,
                                  bool follows, const char *config,
                                  pop3_dns_lookup **lookup,
                                  pop3_failure *failure) {
  char name[POP3_DNS_NAME];
  const pop3_dns_question question = {domain, port, follows};
  if (!write_name(&question, domain, name))
    return pop3_fail(failure, POP3_E_DANE, "the name is too long for TLSA");
  return pop3_dns_lookup_start(&task, &question, config, lookup, failure);
}

pop3_error pop3_tlsa_lookup_result(const pop3_dns_lookup *lookup,
                                   const pop3_tlsa_found **found,
                                   pop3_failure *failure) {
  const void *block;
  pop3_error error = pop3_dns_lookup_result(lookup, &block, failure);
  if (error == POP3_E_OK) *found = block;
  return error;
}
