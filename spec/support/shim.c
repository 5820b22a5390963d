/*
 * shim.c - preloaded into a process under test, to make what a spec cannot
 * otherwise: names that resolve slowly or to chosen addresses, and a storm of
 * signals. Switched on by environment variables:
 *
 *   SHIM_ALARM=N        SIGALRM every N microseconds, to a handler that does
 *                       nothing and restarts no system call
 *   SHIM_NAMES=A,B,...  every name that is not numeric has these addresses
 *   SHIM_SLOW=N         such a name takes N milliseconds
 *   SHIM_UNKNOWN=NAME   there is no such name
 *   SHIM_STUCK=NAME     it is looked up for ever
 *   SHIM_PEER=A         every peer has the IPv4 address A
 *   SHIM_INTERRUPT=F    SIGINT arrives just before a poll that waits, once the
 *                       file F is there; F is removed
 *   SHIM_PIPE=F         the next send after F is there finds a broken pipe
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

typedef int resolver(const char *, const char *, const struct addrinfo *,
                     struct addrinfo **);
typedef int poller(struct pollfd *, nfds_t, int);
typedef ssize_t sender(int, const void *, size_t, int);
typedef int namer(int, struct sockaddr *, socklen_t *);

static void ignore(int number) { (void)number; }

__attribute__((constructor)) static void start_alarm(void) {
  const char *period = getenv("SHIM_ALARM");
  if (period == NULL) return;
  struct sigaction action = {.sa_handler = ignore};
  sigaction(SIGALRM, &action, NULL);
  struct itimerval timer = {{0, atoi(period)}, {0, atoi(period)}};
  setitimer(ITIMER_REAL, &timer, NULL);
}

/* C has no cast from an object's pointer to a function's. */
static resolver *real_resolver(void) {
  void *found = dlsym(RTLD_NEXT, "getaddrinfo");
  resolver *function;
  memcpy(&function, &found, sizeof function);
  return function;
}

int getpeername(int fd, struct sockaddr *restrict address,
                socklen_t *restrict size) {
  void *found = dlsym(RTLD_NEXT, "getpeername");
  namer *function;
  memcpy(&function, &found, sizeof function);
  int result = function(fd, address, size);
  const char *peer = getenv("SHIM_PEER");
  if (result == 0 && peer != NULL && address->sa_family == AF_INET) {
    struct in_addr *numeric = &((struct sockaddr_in *)address)->sin_addr;
    inet_pton(AF_INET, peer, numeric);
  }
  return result;
}

/* Answered without asking anybody. */
static int is_numeric(const char *host, const struct addrinfo *hints) {
  struct in6_addr address;
  if (host == NULL) return 1;
  if (hints != NULL && hints->ai_flags & AI_NUMERICHOST) return 1;
  return inet_pton(AF_INET, host, &address) == 1 ||
         inet_pton(AF_INET6, host, &address) == 1;
}

static int is_named(const char *host, const char *variable) {
  const char *name = getenv(variable);
  return name != NULL && strcmp(host, name) == 0;
}

/* glibc's freeaddrinfo frees node after node, so lists may be joined. */
static int resolve_list(const char *names, const char *service,
                        const struct addrinfo *hints, struct addrinfo **list) {
  struct addrinfo **tail = list;
  char copy[256];
  strncpy(copy, names, sizeof copy - 1);
  copy[sizeof copy - 1] = '\0';
  *list = NULL;
  char *rest = NULL;
  for (char *one = strtok_r(copy, ",", &rest); one != NULL;
       one = strtok_r(NULL, ",", &rest)) {
    int error = real_resolver()(one, service, hints, tail);
    if (error != 0) return error;
    while (*tail != NULL) tail = &(*tail)->ai_next;
  }
  return 0;
}

int getaddrinfo(const char *host, const char *service,
                const struct addrinfo *hints, struct addrinfo **list) {
  if (is_numeric(host, hints))
    return real_resolver()(host, service, hints, list);
  if (is_named(host, "SHIM_UNKNOWN")) return EAI_NONAME;
  while (is_named(host, "SHIM_STUCK")) pause();
  const char *slow = getenv("SHIM_SLOW");
  if (slow != NULL) poll(NULL, 0, atoi(slow));
  const char *names = getenv("SHIM_NAMES");
  if (names == NULL) return real_resolver()(host, service, hints, list);
  return resolve_list(names, service, hints, list);
}

/* Is it time for what `variable` asks for? Once. */
static int is_due(const char *variable) {
  const char *file = getenv(variable);
  return file != NULL && unlink(file) == 0;
}

int poll(struct pollfd *fds, nfds_t count, int timeout) {
  void *found = dlsym(RTLD_NEXT, "poll");
  poller *function;
  memcpy(&function, &found, sizeof function);
  if (count > 0 && timeout != 0 && is_due("SHIM_INTERRUPT")) raise(SIGINT);
  return function(fds, count, timeout);
}

ssize_t send(int fd, const void *octets, size_t size, int flags) {
  void *found = dlsym(RTLD_NEXT, "send");
  sender *function;
  memcpy(&function, &found, sizeof function);
  if (is_due("SHIM_PIPE")) shutdown(fd, SHUT_WR);
  return function(fd, octets, size, flags);
}
