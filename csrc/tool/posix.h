/*
 * posix.h - what the command uses of luaposix, for the program that has it
 * compiled in. The modules have luaposix' names and its functions' arguments
 * and results; what the command does not use is not there.
 */
#ifndef POP3_TOOL_POSIX_H
#define POP3_TOOL_POSIX_H

struct lua_State;

/* Let `require` find posix.errno, posix.fcntl and the others. [-0, +0, m] */
void pop3_preload_posix(struct lua_State *L);

#endif
