/*
 * dnssec.h - questions to the DNS whose answers are proved (DNSSEC, RFC 4035):
 * libunbound as a job on a helper thread (jobs.h), which believes no resolver
 * between and validates by itself. resolve_tlsa.h and resolve_srv.h ask.
 *
 * Built without POP3_WITH_UNBOUND there is none, and start says so.
 */
#ifndef POP3_DNSSEC_H
#define POP3_DNSSEC_H

#include <stdbool.h>
#include <stddef.h>

#include "errors.h"
#include "failure.h"

#pragma GCC visibility push(hidden)

/* libunbound, ready to be asked; on a helper thread only. */
typedef struct pop3_dnssec pop3_dnssec;

/* Octets of a name in text, without the root's dot, and a NUL. */
#define POP3_DNS_NAME 254

typedef enum pop3_dns_type {
  POP3_DNS_A = 1,
  POP3_DNS_SRV = 33,
  POP3_DNS_TLSA = 52
} pop3_dns_type;

typedef struct pop3_dns_answer {
  bool secure;     /* validated, that there is nothing as well */
  const char *end; /* where the name leads, as an alias, octets that no host
                      has shown as '?'; NULL: it is none */
  size_t count;    /* of records; 0: there are none */
  char **data;
  const int *sizes;
  void *result; /* libunbound's */
} pop3_dns_answer;

/*
 * Ask for records of one type, and wait. OK with an answer that is the
 * caller's to release; what is not `secure` proves nothing. Errors, about
 * `name`: the task's `distrust` (forged, or badly signed), TRY_AGAIN (no
 * server answers), RESOLVE.
 */
pop3_error pop3_dnssec_ask(pop3_dnssec *dns, const char *name,
                           pop3_dns_type type, pop3_dns_answer *answer,
                           pop3_failure *failure);
void pop3_dns_answer_release(pop3_dnssec *dns, pop3_dns_answer *answer);

/* The same, and what is not signed is the task's `distrust`, too. */
pop3_error pop3_dnssec_prove(pop3_dnssec *dns, const char *name,
                             pop3_dns_type type, pop3_dns_answer *answer,
                             pop3_failure *failure);

typedef struct pop3_dns_question {
  const char *name;
  unsigned port;
  bool follows; /* see resolve_tlsa.h */
} pop3_dns_question;

/* What is looked up, and how errors call it. Static. */
typedef struct pop3_dns_task {
  const char *option;   /* that wants it: "dane = \"dns\"" */
  const char *instead;  /* where it cannot be had: "give the records" */
  const char *unproved; /* where it is not signed: "leave dane out" */
  pop3_error distrust;

  /* On the helper: a block of malloc's with what was found; or NULL and a
   * failure. */
  void *(*run)(pop3_dnssec *dns, const pop3_dns_question *question,
               pop3_failure *failure);
} pop3_dns_task;

typedef struct pop3_dns_lookup pop3_dns_lookup;

/*
 * Begin. `config` is a file of unbound's options (unbound.conf(5): trust
 * anchors, forwarders), or NULL: the servers that the system uses, and the
 * root's anchor where Debian and unbound keep it. All strings are copied.
 *
 * Errors: TLS_CONFIG (built without libunbound), RESOLVE (no thread), MEMORY.
 */
pop3_error pop3_dns_lookup_start(const pop3_dns_task *task,
                                 const pop3_dns_question *question,
                                 const char *config, pop3_dns_lookup **lookup,
                                 pop3_failure *failure);

/* As pop3_lookup_fd. */
int pop3_dns_lookup_fd(const pop3_dns_lookup *lookup);

/*
 * What the task found, until pop3_dns_lookup_release. AGAIN (failure untouched)
 * while it runs. Errors: the task's, and those of pop3_dnssec_ask; TLS_CONFIG
 * (`config`, no trust anchor, no libunbound), RESOLVE, MEMORY.
 */
pop3_error pop3_dns_lookup_result(const pop3_dns_lookup *lookup,
                                  const void **found, pop3_failure *failure);

/* Let go, finished or not; never waits. NULL is allowed. */
void pop3_dns_lookup_release(pop3_dns_lookup *lookup);

#pragma GCC visibility pop

#endif
