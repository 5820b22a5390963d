/*
 * trace.c - see trace.h.
 */
#include "trace.h"

#include <string.h>

void pop3_trace(const pop3_tracer *t, int level, const char *label,
                pop3_span text, unsigned line_end) {
  if (t->level >= level) t->show(t->state, level, label, text, line_end);
}

static size_t append(char *out, size_t used, size_t room, pop3_span text) {
  if (text.size > room - used) text.size = room - used;
  if (text.size > 0) memcpy(out + used, text.data, text.size);
  return used + text.size;
}

static pop3_span span(const char *string) {
  pop3_span s = {string, strlen(string)};
  return s;
}

/* Secrets of a row: all arguments, but for APOP's user and AUTH's mechanism,
 * which are none. */
static pop3_span visible(pop3_command command, pop3_span argument, size_t i) {
  bool secret = (pop3_command_get(command)->flags & POP3_F_SECRET) != 0;
  bool first = i == 0 && (command == POP3_APOP || command == POP3_AUTH);
  if (!secret || first) return argument;
  return span("***");
}

static void show_sent(const pop3_tracer *t, pop3_span line) {
  pop3_trace(t, 1, "cmd", line, 0);
  pop3_trace(t, 2, "put", line, 2);
}

void pop3_trace_command(const pop3_tracer *t, pop3_command command,
                        const pop3_span *arguments, size_t count) {
  char line[1024];
  if (t->level < 1) return;
  size_t used =
      append(line, 0, sizeof line, span(pop3_command_get(command)->name));
  for (size_t i = 0; i < count; i++) {
    used = append(line, used, sizeof line, span(" "));
    used = append(line, used, sizeof line, visible(command, arguments[i], i));
  }
  pop3_span shown = {line, used};
  show_sent(t, shown);
}

void pop3_trace_line(const pop3_tracer *t, pop3_span line) {
  pop3_command command = pop3_command_find(line.data, line.size);
  if (t->level < 1) return;
  if (pop3_command_get(command)->flags & POP3_F_SECRET) {
    pop3_span hidden = span("***");
    pop3_trace_command(t, command, &hidden, 1);
    return;
  }
  show_sent(t, line);
}

void pop3_trace_event(const pop3_tracer *t, const pop3_event *event) {
  if (event->type == POP3_EVENT_STATUS || event->type == POP3_EVENT_LINE)
    pop3_trace(t, 2, "get", event->text, event->line_end);
  if (event->type == POP3_EVENT_STATUS)
    pop3_trace(t, 2, "resp", event->text, 0);
  if (event->type == POP3_EVENT_END) pop3_trace(t, 2, "get", span("."), 2);
}
