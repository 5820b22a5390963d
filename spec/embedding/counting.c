/*
 * counting.c - run a Lua script in a state whose allocator counts, close the
 * state, and tell what did not come back and who else allocated:
 *
 *   counting SCRIPT ARGUMENT...
 *
 *   most OCTETS           that the state held at once
 *   left OCTETS BLOCKS    after lua_close
 *   mistaken N            blocks that were resized or freed by another size
 *   direct FUNCTION ...   who in pop3.c called malloc or realloc, sorted by
 *                         the first time
 *   kept N                blocks of theirs that are still there
 *
 * pop3.c is compiled with spy.h in front.
 */
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "pop3.h"

/* ------------------------------------------------------------ the state's */

static size_t octets, most, mistaken;
static long blocks;

/* In front of each block, so that its size can be compared. */
typedef union header {
  size_t size;
  long double aligned;
} header;

static void *allocate(void *state, void *block, size_t old, size_t size) {
  header *head = block != NULL ? (header *)block - 1 : NULL;
  (void)state;
  if (head == NULL) old = 0;
  if (head != NULL && head->size != old) mistaken++;
  if (size == 0) {
    blocks -= head != NULL;
    octets -= old;
    free(head);
    return NULL;
  }
  header *moved = realloc(head, sizeof *moved + size);
  if (moved == NULL) return NULL;
  blocks += head == NULL;
  octets += size - old;
  if (octets > most) most = octets;
  moved->size = size;
  return moved + 1;
}

/* ------------------------------------------------------------ malloc's */

#define MOST_CALLERS 16

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static const char *callers[MOST_CALLERS];
static long kept;

void *spy_resize(void *block, size_t size, const char *who);
void spy_free(void *block);

static void write_down(const char *who, long more) {
  int i = 0;
  (void)pthread_mutex_lock(&mutex);
  while (i < MOST_CALLERS - 1 && callers[i] && strcmp(callers[i], who) != 0)
    i++;
  callers[i] = who;
  kept += more;
  (void)pthread_mutex_unlock(&mutex);
}

void *spy_resize(void *block, size_t size, const char *who) {
  write_down(who, block == NULL);
  return realloc(block, size);
}

void spy_free(void *block) {
  (void)pthread_mutex_lock(&mutex);
  kept -= block != NULL;
  (void)pthread_mutex_unlock(&mutex);
  free(block);
}

/* A helper thread may be about to free its job. */
static long settled(void) {
  for (int patience = 10000; patience > 0; patience--) {
    (void)pthread_mutex_lock(&mutex);
    long now = kept;
    (void)pthread_mutex_unlock(&mutex);
    if (now == 0) break;
    (void)poll(NULL, 0, 1);
  }
  return kept;
}

/* ------------------------------------------------------------ the host */

static int run(lua_State *L) {
  int count = lua_gettop(L);
  luaL_openlibs(L);
  pop3_preload(L);
  if (luaL_loadfile(L, lua_tostring(L, 1)) != 0) return lua_error(L);
  lua_replace(L, 1);
  lua_call(L, count - 1, 0);
  return 0;
}

static lua_State *new_state(void) {
#if LUA_VERSION_NUM >= 505
  return lua_newstate(allocate, NULL, luaL_makeseed(NULL));
#else
  return lua_newstate(allocate, NULL);
#endif
}

int main(int count, char **arguments) {
  lua_State *L = new_state();
  if (L == NULL) return 70;
  lua_pushcfunction(L, run);
  for (int i = 1; i < count; i++) lua_pushstring(L, arguments[i]);
  int failed = lua_pcall(L, count - 1, 0, 0);
  if (failed) {
    luaL_callmeta(L, -1, "__tostring");
    fprintf(stderr, "counting: %s\n", lua_tostring(L, -1));
  }
  lua_close(L);

  printf("most %lu\nleft %lu %ld\nmistaken %lu\ndirect", (unsigned long)most,
         (unsigned long)octets, blocks, (unsigned long)mistaken);
  long still = settled();
  for (int i = 0; i < MOST_CALLERS && callers[i]; i++)
    printf(" %s", callers[i]);
  printf("\nkept %ld\n", still);
  return failed;
}
