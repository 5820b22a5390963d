/*
 * host.c - a program that embeds Lua as a game does: with an allocator that
 * gives only so much, and states that end before the program does (T55, T61).
 *
 *   host SCRIPT [ARGUMENT...]
 *
 * HOST_LIMIT    octets that the state may have at a time; 0: as many as it likes
 * HOST_LINGER   milliseconds that the program goes on after lua_close
 *
 * Prints what the script prints, then "peak N" (octets of the state), "closed N"
 * (microseconds of lua_close), and "left N" (octets that were not given back).
 */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#if LUA_VERSION_NUM >= 505
#define NEW_STATE(f, data) lua_newstate(f, data, 1)
#else
#define NEW_STATE(f, data) lua_newstate(f, data)
#endif

typedef struct budget {
  size_t used, peak, limit;
} budget;

static void *allocate(void *state, void *block, size_t old, size_t size) {
  budget *b = state;
  if (block == NULL) old = 0;
  if (size == 0) {
    free(block);
    b->used -= old;
    return NULL;
  }
  if (size > old && b->limit > 0 && b->used + (size - old) > b->limit)
    return NULL;
  void *resized = realloc(block, size);
  if (resized == NULL) return NULL;
  b->used += size - old;
  if (b->used > b->peak) b->peak = b->used;
  return resized;
}

static long number(const char *variable) {
  const char *text = getenv(variable);
  return text != NULL ? atol(text) : 0;
}

static long long microseconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (long long)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int run(lua_State *L, int argc, char **argv) {
  luaL_openlibs(L);
  if (luaL_loadfile(L, argv[1]) != 0) return 1;
  for (int i = 2; i < argc; i++) lua_pushstring(L, argv[i]);
  return lua_pcall(L, argc - 2, 0, 0);
}

int main(int argc, char **argv) {
  budget b = {0, 0, (size_t)number("HOST_LIMIT")};
  lua_State *L = argc > 1 ? NEW_STATE(allocate, &b) : NULL;
  if (L == NULL) {
    fprintf(stderr, "host: no state\n");
    return 2;
  }
  int status = run(L, argc, argv);
  if (status != 0) fprintf(stderr, "host: %s\n", lua_tostring(L, -1));
  fflush(stdout);
  long long before = microseconds();
  lua_close(L);
  long long took = microseconds() - before;
  poll(NULL, 0, (int)number("HOST_LINGER"));
  printf("peak %lu\nclosed %lld\nleft %lu\n", (unsigned long)b.peak, took,
         (unsigned long)b.used);
  return status != 0;
}
