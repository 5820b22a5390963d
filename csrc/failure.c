/* failure.c - see failure.h. */
#include "failure.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void reset(pop3_failure *failure, pop3_error error) {
  failure->error = error;
  failure->system = 0;
  failure->text[0] = '\0';
  failure->response_size = 0;
  failure->mechanism[0] = '\0';
  failure->detail_size = 0;
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

void pop3_failure_quote(pop3_failure *failure, const char *line, size_t size) {
  if (size > sizeof failure->response) size = sizeof failure->response;
  if (size > 0) memmove(failure->response, line, size);
  failure->response_size = size;
}

void pop3_failure_explain(pop3_failure *failure, const char *octets,
                          size_t size) {
  if (size > sizeof failure->detail) size = sizeof failure->detail;
  if (size > 0) memmove(failure->detail, octets, size);
  failure->detail_size = size;
}

pop3_error pop3_fail_response(pop3_failure *failure, pop3_error error,
                              const char *line, size_t size) {
  reset(failure, error);
  pop3_failure_quote(failure, line, size);
  return error;
}
