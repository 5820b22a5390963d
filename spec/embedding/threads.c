/*
 * threads.c - several threads, each with Lua states of its own, one after the
 * other, in which a script runs; beside them threads in C, whose connections
 * share one TLS context. For ThreadSanitizer.
 *
 *   threads LUA-THREADS C-THREADS ROUNDS SCRIPT PLAIN TLS CAFILE
 *
 * The script is called with PLAIN, TLS, CAFILE, and the numbers of its thread
 * and round. Prints how many states and C sessions came to a good end.
 */
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "conn.h"
#include "pop3_lua.h"

#define MOST_THREADS 32

static int rounds;
static char **words; /* SCRIPT PLAIN TLS CAFILE */
static pop3_tls_context *shared;

typedef struct worker {
  pthread_t thread;
  int number;
  int good;
} worker;

/* ------------------------------------------------------------ in Lua */

static int run(lua_State *L) {
  int count = lua_gettop(L);
  luaL_openlibs(L);
  pop3_preload(L);
  if (luaL_loadfile(L, lua_tostring(L, 1)) != 0) return lua_error(L);
  lua_replace(L, 1);
  lua_call(L, count - 1, 0);
  return 0;
}

static int run_script(const worker *w, int number) {
  lua_State *L = luaL_newstate();
  lua_pushcfunction(L, run);
  for (int i = 0; i < 4; i++) lua_pushstring(L, words[i]);
  lua_pushinteger(L, w->number);
  lua_pushinteger(L, number);
  int failed = lua_pcall(L, 6, 0, 0);
  if (failed) {
    luaL_callmeta(L, -1, "__tostring");
    fprintf(stderr, "threads: %s\n", lua_tostring(L, -1));
  }
  lua_close(L);
  return !failed;
}

static void *run_scripts(void *argument) {
  worker *w = argument;
  for (int i = 0; i < rounds; i++) w->good += run_script(w, i);
  return NULL;
}

/* ------------------------------------------------------------ in C */

/* Waits as pop3_conn_wait does, until the operation is over. */
static bool complete(pop3_conn *conn) {
  pop3_step step;
  do {
    step = pop3_conn_step(conn, pop3_now(), 65536);
    if (step == POP3_STEP_WAIT) (void)pop3_conn_wait(conn);
  } while (step != POP3_STEP_DONE && step != POP3_STEP_FAILED);
  return step == POP3_STEP_DONE;
}

static bool operate(pop3_conn *conn, pop3_request request) {
  return pop3_conn_begin(conn, &request, pop3_now()) == POP3_E_OK &&
         complete(conn);
}

static bool converse(pop3_conn *conn, const char *host) {
  pop3_request login = {.operation = POP3_OP_LOGIN,
                        .arguments = {{"joe", 3}, {"secret", 6}},
                        .count = 2};
  pop3_request retr = {.operation = POP3_OP_COMMAND,
                       .command = POP3_RETR,
                       .arguments = {{"1", 1}},
                       .count = 1};
  pop3_request quit = {.operation = POP3_OP_COMMAND, .command = POP3_QUIT};
  return pop3_conn_open(conn, host, strlen(host), (unsigned)atoi(words[2]),
                        shared, pop3_now()) == POP3_E_OK &&
         complete(conn) && operate(conn, login) && operate(conn, retr) &&
         operate(conn, quit);
}

static int run_session(int number) {
  pop3_conn_options options;
  pop3_conn_options_init(&options);
  options.tls = POP3_TLS_IMPLICIT;
  void *memory = malloc(pop3_conn_size(&options));
  pop3_conn *conn = pop3_conn_init(memory, &options, &pop3_allocator_default);
  bool good = converse(conn, number % 2 ? "localhost" : "127.0.0.1");
  if (!good) fprintf(stderr, "threads: C: %s\n", pop3_conn_failure(conn)->text);
  pop3_conn_close(conn);
  free(memory);
  return good;
}

static void *run_sessions(void *argument) {
  worker *w = argument;
  for (int i = 0; i < rounds; i++) w->good += run_session(i);
  pop3_tls_context_release(shared);
  return NULL;
}

/* ------------------------------------------------------------ the host */

static int prepare(void) {
  static pop3_failure failure;
  pop3_tls_options options;
  pop3_tls_options_init(&options);
  options.cafile = words[3];
  return pop3_tls_context_new(&options, &shared, &failure) == POP3_E_OK;
}

/* Each thread in C has a reference of its own. */
static int start(worker *w, int number, void *(*body)(void *)) {
  w->number = number;
  if (body == run_sessions) (void)pop3_tls_context_retain(shared);
  return pthread_create(&w->thread, NULL, body, w) == 0;
}

int main(int count, char **arguments) {
  static worker workers[MOST_THREADS];
  if (count != 8) return 64;
  int in_lua = atoi(arguments[1]), in_c = atoi(arguments[2]);
  rounds = atoi(arguments[3]);
  words = arguments + 4;
  if (in_lua + in_c > MOST_THREADS || !prepare()) return 70;

  int good[2] = {0, 0};
  for (int i = 0; i < in_lua + in_c; i++)
    if (!start(&workers[i], i, i < in_lua ? run_scripts : run_sessions))
      return 71;
  pop3_tls_context_release(shared);
  for (int i = 0; i < in_lua + in_c; i++) {
    (void)pthread_join(workers[i].thread, NULL);
    good[i >= in_lua] += workers[i].good;
  }
  printf("%d states, %d sessions in C\n", good[0], good[1]);
  return 0;
}
