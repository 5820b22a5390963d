/*
 * policy_test.c - what a policy refuses, and how it says so; and that a
 * connection asks about every address before it connects to it (T59).
 *
 * Names that end in ".test" have the addresses that the test gives them. What
 * is connected to is noted.
 */
#define _GNU_SOURCE

#include <dlfcn.h>
#include <netdb.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "conn.h"
#include "loopback.h"
#include "policy.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static pop3_failure failure;

static bool refused(pop3_error error, const char *words) {
  bool good = error == POP3_E_RESTRICTED && failure.error == error &&
              strstr(failure.text, words) != NULL;
  if (!good) printf("# %s: %s\n", pop3_error_name(error), failure.text);
  memset(&failure, 0, sizeof failure);
  return good;
}

/* ------------------------------------------------------------ servers */

static pop3_server servers[8];

static pop3_policy list(size_t count, const char *const *texts) {
  pop3_policy policy = {.strict = true, .listed = true, .servers = servers};
  policy.server_count = count;
  for (size_t i = 0; i < count; i++)
    must(pop3_server_parse(texts[i], strlen(texts[i]), &servers[i]), texts[i]);
  return policy;
}

static pop3_error ask(const pop3_policy *policy, const char *host) {
  return pop3_policy_check_server(policy, host, strlen(host), 110, &failure);
}

static void test_names(void) {
  static const char *const texts[] = {"Mail.Example.org.", "*.example.net"};
  static const char *const allowed[] = {"mail.example.org",  "MAIL.EXAMPLE.ORG",
                                        "mail.example.org.", "a.example.net",
                                        "a.b.EXAMPLE.net.",  "*.example.net"};
  static const char *const none[] = {"",
                                     ".",
                                     "example.org",
                                     "mail.example.orgs",
                                     "xmail.example.org",
                                     "mail.example.org..",
                                     ".mail.example.org",
                                     "mail.example.org:110",
                                     "mail.example.org\n",
                                     "example.net",
                                     ".example.net",
                                     "xexample.net",
                                     "xyexample.net",
                                     "a.example.net.evil",
                                     "127.0.0.1",
                                     "::1"};
  pop3_policy policy = list(COUNT(texts), texts);
  for (size_t i = 0; i < COUNT(allowed); i++)
    CHECK(ask(&policy, allowed[i]) == POP3_E_OK);
  for (size_t i = 0; i < COUNT(none); i++)
    CHECK(refused(ask(&policy, none[i]), "none of its servers"));
  CHECK(refused(pop3_policy_check_server(&policy, "mail.example.org\0", 17, 110,
                                         &failure),
                "server mail.example.org"));
  policy.strict = false;
  CHECK(ask(&policy, "evil.example") == POP3_E_OK);
}

static void test_literals(void) {
  static const char *const texts[] = {"10.0.0.0/8", "192.0.2.7", "fd00::/8",
                                      "mail.example"};
  static const char *const allowed[] = {"10.1.2.3", "192.0.2.7", "[fd00::1]",
                                        "fd12::", "::ffff:10.0.0.1"};
  static const char *const none[] = {"11.0.0.0",   "192.0.2.8", "fc00::1",
                                     "10.0.0.0/8", "10.1",      "[10.0.0.1]",
                                     "0x0a000001", "010.0.0.1", "167772161"};
  pop3_policy policy = list(COUNT(texts), texts);
  for (size_t i = 0; i < COUNT(allowed); i++)
    CHECK(ask(&policy, allowed[i]) == POP3_E_OK);
  for (size_t i = 0; i < COUNT(none); i++)
    CHECK(refused(ask(&policy, none[i]), none[i]));
}

static void test_no_servers(void) {
  static const char *const none[] = {"",
                                     ".",
                                     "*",
                                     "*.",
                                     "*.*.example",
                                     "a..example",
                                     "a b",
                                     "a/b",
                                     "10.0.0.1/8",
                                     "127.1",
                                     "0x7f.1",
                                     "1",
                                     "a.b:1",
                                     "[::1]:110",
                                     "-.1",
                                     "mail.example..",
                                     "fe80::1%lo",
                                     "http://mail.example",
                                     "10.0.0.256"};
  pop3_server server;
  for (size_t i = 0; i < COUNT(none); i++) {
    bool parsed = pop3_server_parse(none[i], strlen(none[i]), &server);
    if (parsed) printf("# \"%s\" is a server\n", none[i]);
    CHECK(!parsed);
  }
  CHECK(!pop3_server_parse("mail\0.example", 13, &server));
  pop3_policy policy = list(0, NULL);
  CHECK(refused(ask(&policy, "mail.example"), "server mail.example"));
}

static void test_ports(void) {
  static const unsigned ports[] = {110, 995};
  pop3_policy policy = {.strict = true, .ports = ports, .port_count = 2};
  CHECK(ask(&policy, "mail.example") == POP3_E_OK);
  CHECK(refused(
      pop3_policy_check_server(&policy, "mail.example", 12, 25, &failure),
      "port 25"));
  policy.port_count = 0;
  CHECK(refused(ask(&policy, "mail.example"), "port 110"));
  policy.ports = NULL;
  CHECK(ask(&policy, "mail.example") == POP3_E_OK);
}

/* ------------------------------------------------------------ the rest */

static void test_rights(void) {
  static const char *const rules[] = {"files = false", "fds = false",
                                      "debug = false", "transport = false",
                                      "ways = false"};
  for (int right = 0; right < POP3_RIGHT_COUNT; right++) {
    pop3_policy policy = {0};
    CHECK(pop3_policy_permit(&policy, (pop3_right)right, "it", &failure) ==
          POP3_E_OK);
    policy.strict = true;
    CHECK(
        refused(pop3_policy_permit(&policy, (pop3_right)right, "it", &failure),
                rules[right]));
    policy.granted[right] = true;
    CHECK(pop3_policy_permit(&policy, (pop3_right)right, "it", &failure) ==
          POP3_E_OK);
  }
}

static void test_counts(void) {
  pop3_policy policy = {.strict = true, .most = {2, 0}};
  CHECK(pop3_policy_enter(&policy, POP3_CONNECTIONS, &failure) == POP3_E_OK);
  CHECK(pop3_policy_enter(&policy, POP3_CONNECTIONS, &failure) == POP3_E_OK);
  CHECK(refused(pop3_policy_enter(&policy, POP3_CONNECTIONS, &failure),
                "max_connections = 2"));
  CHECK(pop3_policy_enter(&policy, POP3_CONTEXTS, &failure) == POP3_E_OK);
  pop3_policy_leave(&policy, POP3_CONNECTIONS);
  CHECK(pop3_policy_enter(&policy, POP3_CONNECTIONS, &failure) == POP3_E_OK);
  CHECK(pop3_policy_enter(&policy, POP3_CONNECTIONS, &failure) != POP3_E_OK);
  CHECK(policy.live[POP3_CONNECTIONS] == 2);
}

static void test_cap(void) {
  pop3_policy policy = {.strict = true, .max_octets = 100};
  CHECK(pop3_policy_cap(&policy, 0) == 100);
  CHECK(pop3_policy_cap(&policy, 99) == 99);
  CHECK(pop3_policy_cap(&policy, 101) == 100);
  policy.max_octets = 0;
  CHECK(pop3_policy_cap(&policy, 0) == 0 && pop3_policy_cap(&policy, 7) == 7);
  policy.max_octets = 100;
  policy.strict = false;
  CHECK(pop3_policy_cap(&policy, 101) == 101);
}

/* ------------------------------------------------------------ connecting */

typedef int resolver(const char *, const char *, const struct addrinfo *,
                     struct addrinfo **);
typedef int connector(int, const struct sockaddr *, socklen_t);

static const char *const *addresses; /* of names in ".test"; NULL ends them */
static char connected_to[512];

int getaddrinfo(const char *host, const char *service,
                const struct addrinfo *hints, struct addrinfo **found) {
  static resolver *real;
  size_t size = strlen(host);
  if (real == NULL) *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
  bool ours = size > 5 && strcmp(host + size - 5, ".test") == 0;
  if (!ours || hints->ai_flags & AI_NUMERICHOST)
    return real(host, service, hints, found);
  for (*found = NULL; *addresses != NULL; addresses++) {
    int error = real(*addresses, service, hints, found);
    if (error != 0) return error;
    while (*found != NULL) found = &(*found)->ai_next;
  }
  return 0;
}

int connect(int fd, const struct sockaddr *address, socklen_t size) {
  static connector *real;
  pop3_address a;
  size_t used = strlen(connected_to);
  char text[POP3_ADDRESS_TEXT];
  if (real == NULL) *(void **)&real = dlsym(RTLD_NEXT, "connect");
  if (!pop3_address_of(address, &a)) return real(fd, address, size);
  pop3_address_show(&a, text);
  snprintf(connected_to + used, sizeof connected_to - used, "%s ", text);
  return real(fd, address, size);
}

static unsigned port; /* somebody listens there */

/* What was asked about; what is answered. */
typedef struct judge {
  char asked[512];
  const char *allowed; /* the one that is */
  pop3_error refusal;
} judge;

static pop3_error decide(void *state, const char *host,
                         const struct sockaddr *address, unsigned at,
                         pop3_failure *why) {
  judge *j = state;
  pop3_address a;
  char text[POP3_ADDRESS_TEXT];
  size_t used = strlen(j->asked);
  CHECK(pop3_address_of(address, &a) && at == port);
  pop3_address_show(&a, text);
  snprintf(j->asked + used, sizeof j->asked - used, "%s ", text);
  if (j->allowed != NULL && strcmp(text, j->allowed) == 0) return POP3_E_OK;
  return pop3_fail(why, j->refusal, "not %s of %s", text, host);
}

/* Until somebody has accepted, or it failed. */
static pop3_step open_with(judge *j, const char *const *list,
                           pop3_failure *why) {
  pop3_conn_options options;
  pop3_conn_options_init(&options);
  options.admit = decide;
  options.admit_state = j;
  addresses = list;
  connected_to[0] = j->asked[0] = '\0';
  pop3_conn *c = pop3_conn_init(malloc(pop3_conn_size(&options)), &options,
                                &pop3_allocator_default);
  must(pop3_conn_open(c, "mail.test", 9, port, NULL, 0) == POP3_E_OK, "open");
  pop3_step step;
  while ((step = pop3_conn_step(c, 0, 65536)) == POP3_STEP_WAIT) {
    pop3_conn_info info;
    pop3_conn_describe(c, &info);
    if (info.address[0] != '\0') break;
    const pop3_interest *interests;
    size_t count = pop3_conn_interests(c, &interests);
    pop3_wait(interests, count, pop3_now() + 1);
  }
  *why = *pop3_conn_failure(c);
  pop3_conn_close(c);
  free(c);
  return step;
}

static void test_each_address(void) {
  static const char *const list[] = {"127.0.0.9", "::1", "127.0.0.1",
                                     "127.0.0.8", NULL};
  judge j = {"", "127.0.0.1", POP3_E_RESTRICTED};
  pop3_failure why;
  CHECK(open_with(&j, list, &why) == POP3_STEP_WAIT);
  CHECK(strcmp(j.asked, "127.0.0.9 ::1 127.0.0.1 ") == 0);
  CHECK(strcmp(connected_to, "127.0.0.1 ") == 0);
}

static void test_no_address(void) {
  static const char *const list[] = {"127.0.0.1", "127.0.0.2", NULL};
  judge j = {"", NULL, POP3_E_RESTRICTED};
  pop3_failure why;
  CHECK(open_with(&j, list, &why) == POP3_STEP_FAILED);
  CHECK(why.error == POP3_E_RESTRICTED);
  CHECK(strcmp(why.text, "not 127.0.0.2 of mail.test") == 0);
  CHECK(connected_to[0] == '\0');
}

static void test_tried_address(void) {
  /* Nobody listens at the one that may be tried: that is why, whatever was
   * refused before it and after it. */
  static const char *const list[] = {"127.0.0.1", "127.0.0.2", "127.0.0.3",
                                     NULL};
  judge j = {"", "127.0.0.2", POP3_E_RESTRICTED};
  pop3_failure why;
  CHECK(open_with(&j, list, &why) == POP3_STEP_FAILED);
  CHECK(why.error == POP3_E_IO && why.system != 0);
  CHECK(strcmp(j.asked, "127.0.0.1 127.0.0.2 127.0.0.3 ") == 0);
  CHECK(strcmp(connected_to, "127.0.0.2 ") == 0);
}

static void test_rebinding(void) {
  /* The same name, asked twice: each answer is judged by itself. */
  static const char *const first[] = {"127.0.0.1", NULL};
  static const char *const then[] = {"127.0.0.2", NULL};
  judge j = {"", "127.0.0.1", POP3_E_RESTRICTED};
  pop3_failure why;
  CHECK(open_with(&j, first, &why) == POP3_STEP_WAIT);
  CHECK(open_with(&j, then, &why) == POP3_STEP_FAILED);
  CHECK(strcmp(j.asked, "127.0.0.2 ") == 0 && connected_to[0] == '\0');
}

static void test_literal(void) {
  pop3_conn_options options;
  judge j = {"", NULL, POP3_E_MEMORY};
  pop3_conn_options_init(&options);
  options.admit = decide;
  options.admit_state = &j;
  connected_to[0] = '\0';
  pop3_conn *c = pop3_conn_init(malloc(pop3_conn_size(&options)), &options,
                                &pop3_allocator_default);
  CHECK(pop3_conn_open(c, "127.1", 5, port, NULL, 0) == POP3_E_OK);
  CHECK(pop3_conn_step(c, 0, 65536) == POP3_STEP_FAILED);
  CHECK(pop3_conn_failure(c)->error == POP3_E_MEMORY);
  CHECK(strcmp(j.asked, "127.0.0.1 ") == 0 && connected_to[0] == '\0');
  pop3_conn_close(c);
  free(c);
}

int main(void) {
  static const test tests[] = {
      {"T58 names: without case, one final dot, \"*.\"", test_names},
      {"T58 T59 literals and blocks", test_literals},
      {"T58 what is no server is refused", test_no_servers},
      {"T58 ports", test_ports},
      {"T58 rights", test_rights},
      {"T58 counts", test_counts},
      {"T58 the smaller limit counts", test_cap},
      {"T59 every address is asked about before its socket connects",
       test_each_address},
      {"T59 refused addresses are not connected to", test_no_address},
      {"T59 the address that was tried says why", test_tried_address},
      {"T59 a name that leads elsewhere is asked about again", test_rebinding},
      {"T59 a literal in another form is asked about", test_literal},
  };
  (void)listen_on(16, &port); /* until the end */
  return RUN(tests);
}
