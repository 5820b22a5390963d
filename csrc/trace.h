/*
 * trace.h - what a debug level shows, as poplib prints it: commands as sent,
 * with secrets replaced, and lines as received.
 */
#ifndef POP3_TRACE_H
#define POP3_TRACE_H

#include "pop3.h"

#pragma GCC visibility push(hidden)

typedef struct pop3_tracer {
  void (*show)(void *state, int level, const char *label, pop3_span text,
               unsigned line_end);
  void *state;
  int level; /* 0: nothing, 1: commands, 2: every line */
} pop3_tracer;

void pop3_trace(const pop3_tracer *tracer, int level, const char *label,
                pop3_span text, unsigned line_end);

/* A command and its arguments, or a line by hand, that was queued. */
void pop3_trace_command(const pop3_tracer *tracer, pop3_command command,
                        const pop3_span *arguments, size_t count);
void pop3_trace_line(const pop3_tracer *tracer, pop3_span line);

/* What arrived. */
void pop3_trace_event(const pop3_tracer *tracer, const pop3_event *event);

#pragma GCC visibility pop

#endif
