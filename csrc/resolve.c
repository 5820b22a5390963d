/* resolve.c - see resolve.h. */
#define _GNU_SOURCE
#include "resolve.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "jobs.h"
#include "platform.h"

/* The state of a job; one that `looked_up` at once is never submitted. */
struct pop3_lookup {
  pop3_job *job;
  int family;
  bool looked_up;
  int code;    /* getaddrinfo's answer */
  int system;  /* errno then */
  int starved; /* why it could open no file; 0: it could */
  struct addrinfo *list;
  char *service; /* behind host's NUL */
  char host[];
};

/* --- the job ------------------------------------------------------------- */

static int look_up(const pop3_lookup *lookup, int flags,
                   struct addrinfo **list) {
  struct addrinfo hints;
  memset(&hints, 0, sizeof hints);
  hints.ai_family = lookup->family;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags | AI_NUMERICSERV;
  return getaddrinfo(lookup->host, lookup->service, &hints, list);
}

/* Why no descriptor can be opened, or 0. Without any, getaddrinfo reads neither
 * /etc/hosts nor asks a name server, and says that there is no such name. */
static int lack_of_descriptors(void) {
  int ends[2];
  if (!pop3_os_open_wake(ends)) return errno;
  pop3_os_close_wake(ends);
  return 0;
}

static void run(void *state) {
  pop3_lookup *lookup = state;
  struct addrinfo *list = NULL;
  lookup->code = look_up(lookup, 0, &list);
  lookup->system = errno;
  if (lookup->code != 0) lookup->starved = lack_of_descriptors();
  lookup->list = list;
}

static void discard(void *state) {
  pop3_lookup *lookup = state;
  if (lookup->list) freeaddrinfo(lookup->list);
}

static const pop3_job_type lookup_type = {POP3_JOB_RESOLVE, run, discard,
                                          false};

static pop3_lookup *make_lookup(const char *host, const char *service,
                                int family) {
  size_t host_size = strlen(host) + 1;
  size_t service_size = strlen(service) + 1;
  pop3_job *job = pop3_job_new(&lookup_type,
                               sizeof(pop3_lookup) + host_size + service_size);
  if (!job) return NULL;
  pop3_lookup *lookup = pop3_job_state(job);
  memset(lookup, 0, sizeof *lookup);
  memcpy(lookup->host, host, host_size);
  lookup->service = lookup->host + host_size;
  memcpy(lookup->service, service, service_size);
  lookup->job = job;
  lookup->family = family;
  return lookup;
}

/* --- failures ------------------------------------------------------------ */

/* What the system lacks now it may have later. */
static pop3_error fail_system(pop3_failure *failure, const char *host,
                              const char *what, int system) {
  bool descriptors = system == EMFILE || system == ENFILE;
  pop3_error error = pop3_fail(
      failure, POP3_E_TRY_AGAIN, "%s: cannot look the name up: %s%s", host,
      what, descriptors ? "; close descriptors, or raise their limit" : "");
  failure->system = system;
  return error;
}

static pop3_error fail_answer(pop3_failure *failure, const char *host, int code,
                              int system) {
  const char *reason = gai_strerror(code);
  switch (pop3_os_answer_of(code)) {
    case POP3_OS_NOT_FOUND:
      return pop3_fail(failure, POP3_E_NOT_FOUND,
                       "%s: host name not found (%s); check its spelling, or "
                       "use an address",
                       host, reason);
    case POP3_OS_TRY_AGAIN:
      return pop3_fail(failure, POP3_E_TRY_AGAIN,
                       "%s: no name server answers (%s); check the network "
                       "and try again later",
                       host, reason);
    case POP3_OS_NO_MEMORY:
      return pop3_fail(failure, POP3_E_MEMORY, NULL);
    case POP3_OS_SYSTEM:
      return fail_system(failure, host, pop3_os_text(system), system);
    default:
      return pop3_fail(failure, POP3_E_RESOLVE,
                       "%s: name resolution failed (%s); check the resolver's "
                       "configuration, or use an address",
                       host, reason);
  }
}

/* --- the interface ------------------------------------------------------- */

static pop3_error submit(pop3_lookup *lookup, pop3_failure *failure) {
  if (pop3_job_submit(lookup->job, failure) == POP3_E_OK) return POP3_E_OK;
  return fail_system(failure, lookup->host, failure->text, failure->system);
}

static pop3_error check_host(const char *host, pop3_failure *failure) {
  if (host[0] == '\0')
    return pop3_fail(failure, POP3_E_NOT_FOUND,
                     "the host name is empty; give the server's name");
  if (strlen(host) > POP3_HOST_MAX)
    return pop3_fail(failure, POP3_E_NOT_FOUND,
                     "the host name is longer than %d octets, which no name "
                     "can be",
                     POP3_HOST_MAX);
  return POP3_E_OK;
}

pop3_error pop3_resolve_start(const char *host, const char *service,
                              int family_hint, pop3_lookup **lookup,
                              pop3_failure *failure) {
  pop3_error error = check_host(host, failure);
  if (error) return error;
  pop3_os_begin();
  pop3_lookup *made = make_lookup(host, service, family_hint);
  if (!made) return pop3_fail(failure, POP3_E_MEMORY, NULL);

  made->code = look_up(made, AI_NUMERICHOST, &made->list);
  if (made->code == 0) made->looked_up = true;
  else if (pop3_os_answer_of(made->code) == POP3_OS_NOT_FOUND)
    error = submit(made, failure);
  else error = fail_answer(failure, host, made->code, errno);
  if (error) {
    pop3_lookup_release(made);
    return error;
  }
  *lookup = made;
  return POP3_E_OK;
}

int pop3_lookup_fd(const pop3_lookup *lookup) {
  return pop3_job_fd(lookup->job);
}

pop3_error pop3_lookup_result(const pop3_lookup *lookup,
                              const struct addrinfo **list,
                              pop3_failure *failure) {
  pop3_job_progress progress =
      lookup->looked_up ? POP3_JOB_DONE : pop3_job_look(lookup->job);
  if (progress == POP3_JOB_WAITING) return POP3_E_AGAIN;
  if (progress == POP3_JOB_LOST)
    return pop3_fail(failure, POP3_E_RESOLVE,
                     "%s: the process was forked during name resolution; "
                     "connect again",
                     lookup->host);
  if (lookup->starved)
    return fail_system(failure, lookup->host, pop3_os_text(lookup->starved),
                       lookup->starved);
  if (lookup->code)
    return fail_answer(failure, lookup->host, lookup->code, lookup->system);
  *list = lookup->list;
  return POP3_E_OK;
}

void pop3_lookup_release(pop3_lookup *lookup) {
  if (lookup) pop3_job_release(lookup->job);
}
