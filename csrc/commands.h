/*
 * commands.h - every command of POP3, one row each.
 *
 * A row is (name, arguments, reply, flags) and drives encoding, admission,
 * redaction and the parsing of the reply. Adding a command is adding a row.
 *
 *   arguments  NONE    none
 *              TEXT    one argument, any octets but CR, LF and NUL
 *              TEXT2   two of them
 *              TOKEN   one argument, printable and without blanks (a number)
 *              TOKEN2  two of them
 *              OPT     none or one TOKEN
 *              OPTTEXT none, one or two TEXT
 *   reply      SHORT   a status line
 *              LONG    a status line and a listing
 *              ASKED   SHORT with an argument, LONG without (LIST, UIDL, LANG)
 *              MESSAGE a status line and a message (dot-unstuffed, RFC 1939 3)
 *              CAPS    a listing that counts as capabilities (RFC 2449)
 *              SASL    challenges, then a status line (RFC 5034)
 *              TLS     a status line, then a handshake (RFC 2595)
 *   flags      SECRET  never shown in a trace
 *              CLEAR   may leave in clear when TLS is required
 *              ALONE   nothing may be in flight before or after it
 *              LAST    nothing may follow it
 *              LOGIN   its refusal is an authentication error
 */
#ifndef POP3_COMMANDS_H
#define POP3_COMMANDS_H

#include <stddef.h>

#pragma GCC visibility push(hidden)

#define POP3_COMMANDS(X)                                              \
  X(USER, TEXT, SHORT, POP3_F_LOGIN)                                  \
  X(PASS, TEXT, SHORT, POP3_F_LOGIN | POP3_F_SECRET)                  \
  X(APOP, TEXT2, SHORT, POP3_F_LOGIN | POP3_F_SECRET)                 \
  X(RPOP, TEXT, SHORT, POP3_F_LOGIN)                                  \
  X(AUTH, OPTTEXT, SASL, POP3_F_LOGIN | POP3_F_SECRET | POP3_F_ALONE) \
  X(CAPA, NONE, CAPS, POP3_F_CLEAR)                                   \
  X(STLS, NONE, TLS, POP3_F_CLEAR | POP3_F_ALONE)                     \
  X(STAT, NONE, SHORT, 0)                                             \
  X(LIST, OPT, ASKED, 0)                                              \
  X(RETR, TOKEN, MESSAGE, 0)                                          \
  X(TOP, TOKEN2, MESSAGE, 0)                                          \
  X(DELE, TOKEN, SHORT, 0)                                            \
  X(NOOP, NONE, SHORT, 0)                                             \
  X(RSET, NONE, SHORT, 0)                                             \
  X(UIDL, OPT, ASKED, 0)                                              \
  X(QUIT, NONE, SHORT, POP3_F_CLEAR | POP3_F_LAST)                    \
  X(UTF8, NONE, SHORT, 0)                                             \
  X(LANG, OPTTEXT, ASKED, 0)                                          \
  X(LAST, NONE, SHORT, 0)

enum {
  POP3_F_SECRET = 1 << 0,
  POP3_F_CLEAR = 1 << 1,
  POP3_F_ALONE = 1 << 2,
  POP3_F_LAST = 1 << 3,
  POP3_F_LOGIN = 1 << 4
};

typedef enum pop3_arguments {
  POP3_ARG_NONE,
  POP3_ARG_TEXT,
  POP3_ARG_TEXT2,
  POP3_ARG_TOKEN,
  POP3_ARG_TOKEN2,
  POP3_ARG_OPT,
  POP3_ARG_OPTTEXT
} pop3_arguments;

typedef enum pop3_reply {
  POP3_REPLY_SHORT,
  POP3_REPLY_LONG,
  POP3_REPLY_ASKED,
  POP3_REPLY_MESSAGE,
  POP3_REPLY_CAPS,
  POP3_REPLY_SASL,
  POP3_REPLY_TLS
} pop3_reply;

#define POP3_COMMAND_ID(name, arguments, reply, flags) POP3_##name,
typedef enum pop3_command {
  POP3_COMMANDS(POP3_COMMAND_ID) POP3_COMMAND_COUNT,
  /* The greeting is the reply to a command that nobody sends ... */
  POP3_GREETING = POP3_COMMAND_COUNT,
  /* ... and a line by hand may hold a word that no row has. */
  POP3_OTHER
} pop3_command;
#undef POP3_COMMAND_ID

typedef struct pop3_command_row {
  const char *name;
  pop3_arguments arguments;
  pop3_reply reply;
  unsigned flags;
} pop3_command_row;

/* The row of a command; POP3_GREETING and POP3_OTHER have rows too. */
const pop3_command_row *pop3_command_get(pop3_command command);

/*
 * The command whose name is the first word of `line` (ended by a blank, any
 * control octet or the end), without regard to case, or POP3_OTHER.
 */
pop3_command pop3_command_find(const char *line, size_t size);

#pragma GCC visibility pop

#endif
