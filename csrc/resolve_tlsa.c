/* resolve_tlsa.c - see resolve_tlsa.h. */
#define _GNU_SOURCE
#include "resolve_tlsa.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jobs.h"
#include "platform.h"

/* As long as a DNS name in text, and the answer's error. */
#define NAME_ROOM 280
#define TEXT_ROOM 400

/* The state of a job. */
struct pop3_tlsa_lookup {
  pop3_job *job;
  pop3_error error;
  char text[TEXT_ROOM];
  char *records;
  const char *config; /* behind name's NUL, or NULL */
  char name[];
};

#if defined(POP3_WITH_UNBOUND)

#include <sched.h>
#include <unbound.h>
#include <unistd.h>

#define SONAME "8" /* since unbound 1.8 of 2018 */
#define TLSA 52
#define INTERNET 1
#define SERVER_FAILED 2 /* RCODE */

/* Records of one name: more are no administrator's. */
#define MOST_RECORDS 64

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

/* --- answers ------------------------------------------------------------- */

#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
static void
say(pop3_tlsa_lookup *lookup, pop3_error error, const char *format, ...);

static void say(pop3_tlsa_lookup *lookup, pop3_error error, const char *format,
                ...) {
  va_list arguments;
  lookup->error = error;
  va_start(arguments, format);
  (void)vsnprintf(lookup->text, sizeof lookup->text, format, arguments);
  va_end(arguments);
}

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

/* Joined by ';'; servers turn the order from answer to answer. */
static char *join(char **texts, size_t count) {
  size_t size = 1;
  for (size_t i = 0; i < count; i++) size += strlen(texts[i]) + 1;
  char *joined = malloc(size), *at = joined;
  if (!joined) return NULL;
  qsort(texts, count, sizeof *texts, compare);
  for (size_t i = 0; i < count; i++)
    at += sprintf(at, "%s%s", i > 0 ? ";" : "", texts[i]);
  return joined;
}

static void take_records(pop3_tlsa_lookup *lookup,
                         const struct ub_result *result) {
  char *texts[MOST_RECORDS];
  size_t count = 0;
  for (; count < MOST_RECORDS && result->data[count]; count++) {
    texts[count] =
        write_record(result->data[count], (size_t)result->len[count]);
    if (!texts[count]) break;
  }
  bool whole = count > 0 && !result->data[count];
  char *joined = whole ? join(texts, count) : NULL;
  while (count > 0) free(texts[--count]);
  if (!joined)
    say(lookup, POP3_E_DANE, "the TLSA records of %s cannot be read",
        lookup->name);
  lookup->records = joined;
}

/* Only what was validated counts, for "there are none" as well: else whoever
 * is between would say so. */
static void judge(pop3_tlsa_lookup *lookup, const struct ub_result *result) {
  const char *name = lookup->name;
  if (result->bogus)
    say(lookup, POP3_E_DANE,
        "what the DNS says of %s is forged, or badly signed (%.200s): do not "
        "trust this connection",
        name, result->why_bogus ? result->why_bogus : "DNSSEC");
  else if (!result->secure && result->rcode == SERVER_FAILED)
    say(lookup, POP3_E_TRY_AGAIN,
        "%s: no name server answers; check the network and try again later",
        name);
  else if (!result->secure)
    say(lookup, POP3_E_DANE,
        "what the DNS says of %s is not signed (DNSSEC), so it proves nothing: "
        "leave dane out for this server",
        name);
  else if (!result->havedata)
    say(lookup, POP3_E_DANE,
        "%s has no TLSA records: leave dane out for this server, or, if that "
        "name is an alias, use dane_domain with where it leads",
        name);
  else take_records(lookup, result);
}

/* --- asking -------------------------------------------------------------- */

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

static bool use_system(pop3_tlsa_lookup *lookup, const calls *ub,
                       struct ub_ctx *context) {
  const char *anchor = find_anchor();
  if (!anchor)
    say(lookup, POP3_E_TLS_CONFIG,
        "this system has no trust anchor of the DNS (looked for %s): install "
        "the package dns-root-data, or name a file of unbound's options with "
        "dane_config = \"...\"",
        anchors[0]);
  return anchor && ub->use_servers(context, NULL) == 0 &&
         ub->use_anchor(context, anchor) == 0;
}

static bool prepare(pop3_tlsa_lookup *lookup, const calls *ub,
                    struct ub_ctx *context) {
  (void)ub->quieten(context, NULL); /* standard error is not ours */
  if (!lookup->config) return use_system(lookup, ub, context);
  if (ub->configure(context, lookup->config) == 0) return true;
  say(lookup, POP3_E_TLS_CONFIG,
      "dane_config = \"%.250s\" cannot be used: it should be a file of "
      "unbound's options (unbound.conf)",
      lookup->config);
  return false;
}

static struct ub_ctx *make_context(pop3_tlsa_lookup *lookup, const calls *ub) {
  lock();
  struct ub_ctx *context = ub->create();
  if (context && !prepare(lookup, ub, context)) {
    ub->destroy(context);
    context = NULL;
  }
  unlock();
  return context;
}

static void ask(pop3_tlsa_lookup *lookup, const calls *ub,
                struct ub_ctx *context) {
  struct ub_result *result = NULL;
  int code = ub->resolve(context, lookup->name, TLSA, INTERNET, &result);
  if (code == 0) judge(lookup, result);
  else
    say(lookup, POP3_E_RESOLVE, "%s: the DNS cannot be asked (%s)",
        lookup->name, ub->reason(code));
  ub->forget(result);
  ub->destroy(context);
}

static void run(void *state) {
  pop3_tlsa_lookup *lookup = state;
  calls ub;
  if (!load(&ub)) {
    say(lookup, POP3_E_TLS_CONFIG,
        "dane = \"dns\" needs libunbound: install the package libunbound8, or "
        "give the records");
    return;
  }
  struct ub_ctx *context = make_context(lookup, &ub);
  if (context) ask(lookup, &ub, context);
  else if (lookup->error == POP3_E_OK)
    say(lookup, POP3_E_RESOLVE, "%s: libunbound cannot be used", lookup->name);
}

static void discard(void *state) {
  pop3_tlsa_lookup *lookup = state;
  free(lookup->records);
}

static const pop3_job_type lookup_type = {POP3_JOB_TLSA, run, discard, false};

/* --- the interface ------------------------------------------------------- */

static pop3_tlsa_lookup *make_lookup(const char *name, const char *config) {
  size_t name_size = strlen(name) + 1;
  size_t config_size = config ? strlen(config) + 1 : 0;
  pop3_job *job = pop3_job_new(
      &lookup_type, sizeof(pop3_tlsa_lookup) + name_size + config_size);
  if (!job) return NULL;
  pop3_tlsa_lookup *lookup = pop3_job_state(job);
  memset(lookup, 0, sizeof *lookup);
  lookup->job = job;
  memcpy(lookup->name, name, name_size);
  if (config)
    lookup->config = memcpy(lookup->name + name_size, config, config_size);
  return lookup;
}

pop3_error pop3_tlsa_lookup_start(const char *domain, unsigned port,
                                  const char *config, pop3_tlsa_lookup **lookup,
                                  pop3_failure *failure) {
  char name[NAME_ROOM];
  int size = snprintf(name, sizeof name, "_%u._tcp.%s", port, domain);
  if (size < 0 || (size_t)size >= sizeof name)
    return pop3_fail(failure, POP3_E_DANE, "the name is too long for TLSA");
  pop3_tlsa_lookup *made = make_lookup(name, config);
  if (!made) return pop3_fail(failure, POP3_E_MEMORY, NULL);
  if (pop3_job_submit(made->job, failure) != POP3_E_OK) {
    pop3_tlsa_lookup_release(made);
    return pop3_fail(failure, POP3_E_RESOLVE, "%s: cannot be looked up: %s",
                     name, failure->text);
  }
  *lookup = made;
  return POP3_E_OK;
}

#else

pop3_error pop3_tlsa_lookup_start(const char *domain, unsigned port,
                                  const char *config, pop3_tlsa_lookup **lookup,
                                  pop3_failure *failure) {
  (void)config;
  (void)lookup;
  return pop3_fail(failure, POP3_E_TLS_CONFIG,
                   "dane = \"dns\": this module was built without libunbound, "
                   "so nobody can ask for the TLSA records of _%u._tcp.%s; "
                   "build it with it, or give the records",
                   port, domain);
}

#endif

int pop3_tlsa_lookup_fd(const pop3_tlsa_lookup *lookup) {
  return pop3_job_fd(lookup->job);
}

pop3_error pop3_tlsa_lookup_result(const pop3_tlsa_lookup *lookup,
                                   const char **records,
                                   pop3_failure *failure) {
  pop3_job_progress progress = pop3_job_look(lookup->job);
  if (progress == POP3_JOB_WAITING) return POP3_E_AGAIN;
  if (progress == POP3_JOB_LOST)
    return pop3_fail(failure, POP3_E_RESOLVE,
                     "%s: the process was forked while it was looked up; "
                     "connect again",
                     lookup->name);
  if (lookup->error != POP3_E_OK)
    return pop3_fail(failure, lookup->error, "%s", lookup->text);
  *records = lookup->records;
  return POP3_E_OK;
}

void pop3_tlsa_lookup_release(pop3_tlsa_lookup *lookup) {
  if (lookup) pop3_job_release(lookup->job);
}
