/* failure.c - see failure.h. */
#include "failure.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static void reset(pop3_failure *failure, pop3_error error) {
  failure->error = error;
  failure->system = 0;
  failure->text[0] = '\0';
  failure->response_size = 0;
}

pop3_error pop3_fail(pop3_failure *failure, pop3_error error,
                     const char *format, ...) {
  char text[POP3_FAILURE_TEXT]; /* arguments may point into the old one */
  va_list arguments;
  if (!format) {
    reset(failure, error);
    (void)snprintf(failure->text, sizeof failure->text, "%s",
                   pop3_error_text(error));
    return error;
  }
  va_start(arguments, format);
  (void)vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  reset(failure, error);
  memcpy(failure->text, text, strlen(text) + 1);
  return error;
}

pop3_error pop3_fail_response(pop3_failure *failure, pop3_error error,
                              const char *line, size_t size) {
  if (size > sizeof failure->response) size = sizeof failure->response;
  reset(failure, error);
  if (size > 0) memmove(failure->response, line, size);
  failure->response_size = size;
  return error;
}

static bool printable(unsigned char c) {
  return c >= ' ' && c <= '~' && c != '\\';
}

static size_t escaped_width(unsigned char c) {
  return printable(c) ? 1 : sizeof "\\xNN" - 1;
}

static bool fits(size_t room, const char *octets, size_t size) {
  size_t width = 1; /* the NUL */
  for (size_t i = 0; i < size && width <= room; i++)
    width += escaped_width((unsigned char)octets[i]);
  return width <= room;
}

char *pop3_escape(char *out, size_t room, const char *octets, size_t size) {
  static const char digits[] = "0123456789abcdef";
  static const char mark[] = "...";
  size_t reserve = fits(room, octets, size) ? 1 : sizeof mark;
  char *to = out;
  for (size_t i = 0; i < size; i++) {
    unsigned char c = (unsigned char)octets[i];
    if (escaped_width(c) + reserve > room - (size_t)(to - out)) break;
    *to++ = printable(c) ? (char)c : '\\';
    if (printable(c)) continue;
    *to++ = 'x';
    *to++ = digits[c >> 4];
    *to++ = digits[c & 15];
  }
  memcpy(to, reserve > 1 ? mark : "", reserve);
  return out;
}
