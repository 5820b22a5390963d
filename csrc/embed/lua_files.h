/*
 * lua_files.h - the library's Lua files as C data, which cmake/embed.cmake
 * writes from lua/.
 */
#ifndef POP3_EMBED_LUA_FILES_H
#define POP3_EMBED_LUA_FILES_H

#pragma GCC visibility push(hidden)

typedef struct pop3_lua_file {
  const char *module;       /* as require knows it: "pop3.loop.poll" */
  const char *chunk;        /* as tracebacks show it: "@pop3/loop/poll.lua" */
  const char *const *lines; /* each with its LF; NULL behind the last */
} pop3_lua_file;

/* Sorted by their paths; behind the last comes one whose module is NULL. */
extern const pop3_lua_file pop3_lua_files[];

#pragma GCC visibility pop

#endif
