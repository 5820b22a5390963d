/*
 * tables.c - the rows of errors.h and commands.h as data.
 */
#include <stddef.h>
#include <string.h>

#include "commands.h"
#include "errors.h"

typedef struct error_row {
  const char *kind;
  const char *name;
  int protocol;
  const char *text;
} error_row;

#define ERROR_ROW(id, kind, name, protocol, text) {kind, name, protocol, text},
static const error_row error_rows[] = {POP3_ERRORS(ERROR_ROW)};

static const error_row *error_get(pop3_error error) {
  size_t index = (size_t)error;
  return &error_rows[index < POP3_ERROR_COUNT ? index : POP3_E_STATE];
}

const char *pop3_error_kind(pop3_error error) { return error_get(error)->kind; }

const char *pop3_error_name(pop3_error error) { return error_get(error)->name; }

const char *pop3_error_text(pop3_error error) { return error_get(error)->text; }

int pop3_error_is_protocol(pop3_error error) {
  return error_get(error)->protocol;
}

#define COMMAND_ROW(name, arguments, reply, flags) \
  {#name, POP3_ARG_##arguments, POP3_REPLY_##reply, flags},
static const pop3_command_row command_rows[] = {
    POP3_COMMANDS(COMMAND_ROW)
    /* POP3_GREETING and POP3_OTHER */
    {"", POP3_ARG_NONE, POP3_REPLY_SHORT, 0},
    {"", POP3_ARG_TEXT, POP3_REPLY_SHORT, 0},
};

const pop3_command_row *pop3_command_get(pop3_command command) {
  size_t index = (size_t)command;
  return &command_rows[index <= POP3_OTHER ? index : POP3_OTHER];
}

/* Not tolower: that depends on the locale, and POP3 is ASCII. */
static char upper(char c) {
  return (char)(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
}

static int is_word(const char *line, size_t size, const char *name) {
  size_t length = strlen(name);
  if (size < length) return 0;
  if (size > length && (unsigned char)line[length] > ' ') return 0;
  for (size_t i = 0; i < length; i++) {
    if (upper(line[i]) != name[i]) return 0;
  }
  return 1;
}

pop3_command pop3_command_find(const char *line, size_t size) {
  for (int i = 0; i < POP3_COMMAND_COUNT; i++) {
    if (is_word(line, size, command_rows[i].name)) return (pop3_command)i;
  }
  return POP3_OTHER;
}
