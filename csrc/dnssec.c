/* dnssec.c - see dnssec.h. */
#define _GNU_SOURCE
#include "dnssec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jobs.h"
#include "platform.h"

/* The state of a job. */
struct pop3_dns_lookup {
  pop3_job *job;
  const pop3_dns_task *task;
  pop3_dns_question question;
  pop3_failure failure;
  void *found;
  const char *config; /* behind name's NUL, or NULL */
  char name[];
};

#if defined(POP3_WITH_UNBOUND)

#include <sched.h>
#include <strings.h>
#include <unbound.h>
#include <unistd.h>

#define SONAME "8" /* since unbound 1.8 of 2018 */
#define INTERNET 1
#define SERVER_FAILED 2 /* RCODE */

static const char *const anchors[] = {
    "/usr/share/dns/root.key",
    "/var/lib/unbound/root.key",
    "/etc/unbound/root.key",
};

/* --- the library --------------------------------------------------------- */

/*
 * Loaded when somebody asks for it: linked, it would cost everybody a
 * millisecond and some megabytes at each start.
 */
typedef struct calls {
  struct ub_ctx *(*create)(void);
  void (*destroy)(struct ub_ctx *);
  int (*quieten)(struct ub_ctx *, void *);
  int (*configure)(struct ub_ctx *, const char *);
  int (*use_servers)(struct ub_ctx *, const char *);
  int (*use_anchor)(struct ub_ctx *, const char *);
  int (*resolve)(struct ub_ctx *, const char *, int, int, struct ub_result **);
  void (*forget)(struct ub_result *);
  const char *(*reason)(int);
} calls;

static const struct {
  const char *name;
  size_t offset;
} functions[] = {
    {"ub_ctx_create", offsetof(calls, create)},
    {"ub_ctx_delete", offsetof(calls, destroy)},
    {"ub_ctx_debugout", offsetof(calls, quieten)},
    {"ub_ctx_config", offsetof(calls, configure)},
    {"ub_ctx_resolvconf", offsetof(calls, use_servers)},
    {"ub_ctx_add_ta_file", offsetof(calls, use_anchor)},
    {"ub_resolve", offsetof(calls, resolve)},
    {"ub_resolve_free", offsetof(calls, forget)},
    {"ub_strerror", offsetof(calls, reason)},
};

static bool load(calls *ub) {
  void *library = pop3_os_library("libunbound.so." SONAME);
  for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
    void *function =
        library ? pop3_os_function(library, functions[i].name) : NULL;
    if (!function) return false;
    memcpy((char *)ub + functions[i].offset, &function, sizeof function);
  }
  return true;
}

struct pop3_dnssec {
  calls ub;
  struct ub_ctx *context;
  const pop3_dns_task *task;
};

/* --- its context --------------------------------------------------------- */

/* libunbound's reader of files has one state for all threads. A child that was
 * forked meanwhile has no thread that would unlock: so it is the process's. */
static int locked_by;

static void lock(void) {
  int self = (int)getpid(), holder = 0;
  while (!__atomic_compare_exchange_n(&locked_by, &holder, self, false,
                                      __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
    if (holder != self) continue; /* 0, or it was the parent: taken now */
    holder = 0;
    (void)sched_yield();
  }
}

static void unlock(void) { __atomic_store_n(&locked_by, 0, __ATOMIC_RELEASE); }

static const char *find_anchor(void) {
  for (size_t i = 0; i < sizeof anchors / sizeof anchors[0]; i++) {
    FILE *file = fopen(anchors[i], "re");
    if (!file) continue;
    (void)fclose(file);
    return anchors[i];
  }
  return NULL;
}

static pop3_error unusable(pop3_failure *failure, const char *name) {
  return pop3_fail(failure, POP3_E_RESOLVE, "%s: libunbound cannot be used",
                   name);
}

static pop3_error use_system(pop3_dnssec *dns, const pop3_dns_lookup *lookup,
                             pop3_failure *failure) {
  const char *anchor = find_anchor();
  if (!anchor)
    return pop3_fail(failure, POP3_E_TLS_CONFIG,
                     "this system has no trust anchor of the DNS (looked for "
                     "%s): install the package dns-root-data, or name a file "
                     "of unbound's options with dane_config = \"...\"",
                     anchors[0]);
  if (dns->ub.use_servers(dns->context, NULL) == 0 &&
      dns->ub.use_anchor(dns->context, anchor) == 0)
    return POP3_E_OK;
  return unusable(failure, lookup->name);
}

static pop3_error prepare(pop3_dnssec *dns, const pop3_dns_lookup *lookup,
                          pop3_failure *failure) {
  const char *config = lookup->config;
  if (!dns->context) return unusable(failure, lookup->name);
  (void)dns->ub.quieten(dns->context, NULL); /* standard error is not ours */
  if (!config) return use_system(dns, lookup, failure);
  if (dns->ub.configure(dns->context, config) == 0) return POP3_E_OK;
  return pop3_fail(failure, POP3_E_TLS_CONFIG,
                   "dane_config = \"%.250s\" cannot be used: it should be a "
                   "file of unbound's options (unbound.conf)",
                   config);
}

static pop3_error open_context(pop3_dnssec *dns, const pop3_dns_lookup *lookup,
                               pop3_failure *failure) {
  lock();
  dns->context = dns->ub.create();
  pop3_error error = prepare(dns, lookup, failure);
  unlock();
  return error;
}

/* --- asking -------------------------------------------------------------- */

/* Only what was validated counts, for "there are none" as well: else whoever
 * is between would say so. */
static pop3_error judge(const pop3_dnssec *dns, const char *name,
                        const struct ub_result *result, pop3_failure *failure) {
  if (result->bogus)
    return pop3_fail(failure, dns->task->distrust,
                     "what the DNS says of %s is forged, or badly signed "
                     "(%.200s): do not trust this connection",
                     name, result->why_bogus ? result->why_bogus : "DNSSEC");
  if (!result->secure && result->rcode == SERVER_FAILED)
    return pop3_fail(failure, POP3_E_TRY_AGAIN,
                     "%s: no name server answers; check the network and try "
                     "again later",
                     name);
  return POP3_E_OK;
}

static bool is_same(const char *a, const char *b) {
  size_t size = strlen(a);
  if (size > 0 && a[size - 1] == '.') size--;
  return strncasecmp(a, b, size) == 0 && (!b[size] || !strcmp(b + size, "."));
}

static void take_answer(const char *name, struct ub_result *result,
                        pop3_dns_answer *answer) {
  memset(answer, 0, sizeof *answer);
  answer->secure = result->secure != 0;
  if (result->canonname && !is_same(name, result->canonname))
    answer->end = result->canonname;
  answer->data = result->data;
  answer->sizes = result->len;
  while (result->havedata && result->data[answer->count]) answer->count++;
  answer->result = result;
}

pop3_error pop3_dnssec_ask(pop3_dnssec *dns, const char *name,
                           pop3_dns_type type, pop3_dns_answer *answer,
                           pop3_failure *failure) {
  struct ub_result *result = NULL;
  int code = dns->ub.resolve(dns->context, name, (int)type, INTERNET, &result);
  if (code != 0)
    return pop3_fail(failure, POP3_E_RESOLVE,
                     "%s: the DNS cannot be asked (%s)", name,
                     dns->ub.reason(code));
  pop3_error error = judge(dns, name, result, failure);
  if (error == POP3_E_OK) take_answer(name, result, answer);
  else dns->ub.forget(result);
  return error;
}

void pop3_dns_answer_release(pop3_dnssec *dns, pop3_dns_answer *answer) {
  dns->ub.forget(answer->result);
}

pop3_error pop3_dnssec_prove(pop3_dnssec *dns, const char *name,
                             pop3_dns_type type, pop3_dns_answer *answer,
                             pop3_failure *failure) {
  pop3_error error = pop3_dnssec_ask(dns, name, type, answer, failure);
  if (error != POP3_E_OK || answer->secure) return error;
  pop3_dns_answer_release(dns, answer);
  return pop3_fail(failure, dns->task->distrust,
                   "what the DNS says of %s is not signed (DNSSEC), so it "
                   "proves nothing: %s",
                   name, dns->task->unproved);
}

/* --- the job ------------------------------------------------------------- */

static void run(void *state) {
  pop3_dns_lookup *lookup = state;
  pop3_dnssec dns = {.task = lookup->task};
  if (!load(&dns.ub)) {
    pop3_fail(&lookup->failure, POP3_E_TLS_CONFIG,
              "%s needs libunbound: install the package libunbound8, or %s",
              lookup->task->option, lookup->task->instead);
    return;
  }
  if (open_context(&dns, lookup, &lookup->failure) == POP3_E_OK)
    lookup->found =
        lookup->task->run(&dns, &lookup->question, &lookup->failure);
  if (dns.context) dns.ub.destroy(dns.context);
}

static void discard(void *state) {
  pop3_dns_lookup *lookup = state;
  free(lookup->found);
}

static const pop3_job_type lookup_type = {POP3_JOB_DNSSEC, run, discard, false};

static pop3_dns_lookup *make_lookup(const pop3_dns_task *task,
                                    const pop3_dns_question *question,
                                    const char *config) {
  size_t name_size = strlen(question->name) + 1;
  size_t config_size = config ? strlen(config) + 1 : 0;
  pop3_job *job = pop3_job_new(
      &lookup_type, sizeof(pop3_dns_lookup) + name_size + config_size);
  if (!job) return NULL;
  pop3_dns_lookup *lookup = pop3_job_state(job);
  memset(lookup, 0, sizeof *lookup);
  lookup->job = job;
  lookup->task = task;
  lookup->question = *question;
  lookup->question.name = memcpy(lookup->name, question->name, name_size);
  if (config)
    lookup->config = memcpy(lookup->name + name_size, config, config_size);
  return lookup;
}

pop3_error pop3_dns_lookup_start(const pop3_dns_task *task,
                                 const pop3_dns_question *question,
                                 const char *config, pop3_dns_lookup **lookup,
                                 pop3_failure *failure) {
  pop3_dns_lookup *made = make_lookup(task, question, config);
  if (!made) return pop3_fail(failure, POP3_E_MEMORY, NULL);
  if (pop3_job_submit(made->job, failure) != POP3_E_OK) {
    pop3_dns_lookup_release(made);
    return pop3_fail(failure, POP3_E_RESOLVE, "%s: cannot be looked up: %s",
                     question->name, failure->text);
  }
  *lookup = made;
  return POP3_E_OK;
}

#else

/* No look-up is begun, so nobody asks. */
pop3_error pop3_dnssec_ask(pop3_dnssec *dns, const char *name,
                           pop3_dns_type type, pop3_dns_answer *answer,
                           pop3_failure *failure) {
  (void)dns;
  (void)type;
  memset(answer, 0, sizeof *answer);
  return pop3_fail(failure, POP3_E_RESOLVE, "%s: there is no libunbound", name);
}

pop3_error pop3_dnssec_prove(pop3_dnssec *dns, const char *name,
                             pop3_dns_type type, pop3_dns_answer *answer,
                             pop3_failure *failure) {
  return pop3_dnssec_ask(dns, name, type, answer, failure);
}

void pop3_dns_answer_release(pop3_dnssec *dns, pop3_dns_answer *answer) {
  (void)dns;
  (void)answer;
}

pop3_error pop3_dns_lookup_start(const pop3_dns_task *task,
                                 const pop3_dns_question *question,
                                 const char *config, pop3_dns_lookup **lookup,
                                 pop3_failure *failure) {
  (void)config;
  (void)lookup;
  return pop3_fail(failure, POP3_E_TLS_CONFIG,
                   "%s: this module was built without libunbound, so nobody "
                   "can ask the DNS for %s; build it with it, or %s",
                   task->option, question->name, task->instead);
}

#endif

int pop3_dns_lookup_fd(const pop3_dns_lookup *lookup) {
  return pop3_job_fd(lookup->job);
}

pop3_error pop3_dns_lookup_result(const pop3_dns_lookup *lookup,
                                  const void **found, pop3_failure *failure) {
  pop3_job_progress progress = pop3_job_look(lookup->job);
  if (progress == POP3_JOB_WAITING) return POP3_E_AGAIN;
  if (progress == POP3_JOB_LOST)
    return pop3_fail(failure, POP3_E_RESOLVE,
                     "%s: the process was forked while it was looked up; "
                     "connect again",
                     lookup->name);
  if (!lookup->found)
    return pop3_fail(failure, lookup->failure.error, "%s",
                     lookup->failure.text);
  *found = lookup->found;
  return POP3_E_OK;
}

void pop3_dns_lookup_release(pop3_dns_lookup *lookup) {
  if (lookup) pop3_job_release(lookup->job);
}
