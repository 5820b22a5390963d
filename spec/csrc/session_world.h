/*
 * session_world.h - a session for C tests of the engine, in memory of its own.
 */
#ifndef POP3_SESSION_WORLD_H
#define POP3_SESSION_WORLD_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "pop3.h"

typedef struct fixture {
  pop3_config config;
  char *memory;
  size_t size;
  pop3_session *session;
} fixture;

static inline void *get(void *block) {
  if (block != NULL) return block;
  fputs("out of memory\n", stderr);
  exit(70);
}

static inline void open_session(fixture *f) {
  f->size = pop3_session_size(&f->config);
  f->memory = get(malloc(f->size));
  memset(f->memory, 0x5a, f->size);
  f->session = pop3_session_init(f->memory, &f->config);
}

static inline void close_session(fixture *f) { free(f->memory); }

static inline pop3_span span(const char *text) {
  pop3_span result = {text, strlen(text)};
  return result;
}

/* Feed all of `text` and return the last event that is one. */
static inline pop3_event receive(fixture *f, const char *text) {
  pop3_event event;
  pop3_event last = {0};
  size_t size = strlen(text);
  while (pop3_session_feed(f->session, &text, &size, &event) == POP3_E_OK &&
         event.type != POP3_EVENT_NONE)
    last = event;
  return last;
}

static inline void greeted(fixture *f) {
  pop3_config_init(&f->config);
  open_session(f);
  receive(f, "+OK\r\n");
}

static inline pop3_error queue(fixture *f, pop3_command command,
                               const char *text) {
  pop3_span argument = {text, text == NULL ? 0 : strlen(text)};
  return pop3_session_command(f->session, command, &argument, text != NULL, 0,
                              NULL);
}

static inline void send_all(fixture *f) {
  pop3_span out;
  while ((out = pop3_session_output(f->session)).size > 0)
    pop3_session_sent(f->session, out.size);
}

static inline bool holds(const fixture *f, const char *text) {
  size_t size = strlen(text);
  for (size_t i = 0; i + size <= f->size; i++) {
    if (memcmp(f->memory + i, text, size) == 0) return true;
  }
  return false;
}

static inline char *long_text(size_t size, char octet) {
  char *text = get(malloc(size + 1));
  memset(text, octet, size);
  text[size] = '\0';
  return text;
}

#endif
