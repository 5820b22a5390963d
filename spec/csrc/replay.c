/*
 * replay.c - see replay.h.
 */
#include "replay.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------ records */

static void *must(void *block) {
  if (block != NULL) return block;
  fputs("out of memory\n", stderr);
  exit(70);
}

void record_add(record *log, const char *octets, size_t size) {
  if (log->size + size + 1 > log->room) {
    log->room = 2 * (log->size + size + 1);
    log->octets = must(realloc(log->octets, log->room));
  }
  if (size > 0) memcpy(log->octets + log->size, octets, size);
  log->size += size;
  log->octets[log->size] = '\0';
}

void record_print(record *log, const char *format, ...) {
  char text[256];
  va_list arguments;
  va_start(arguments, format);
  int size = vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  if (size > (int)sizeof text - 1) size = (int)sizeof text - 1;
  if (size > 0) record_add(log, text, (size_t)size);
}

static void escape_octet(record *log, unsigned char c) {
  static const char named[] = "\r\n\\";
  const char *at = strchr(named, c);
  if (c == '\0' || at == NULL) {
    record_print(log, "\\x%02x", c);
    return;
  }
  record_add(log, "\\", 1);
  record_add(log, &"rn\\"[at - named], 1);
}

void record_escape(record *log, const char *octets, size_t size) {
  size_t plain = 0;
  for (size_t i = 0; i < size; i++) {
    unsigned char c = (unsigned char)octets[i];
    if (c >= ' ' && c <= '~' && c != '\\') continue;
    record_add(log, octets + plain, i - plain);
    escape_octet(log, c);
    plain = i + 1;
  }
  record_add(log, octets + plain, size - plain);
}

void record_free(record *log) {
  free(log->octets);
  memset(log, 0, sizeof *log);
}

static void record_line(record *log, const char *word, const char *octets,
                        size_t size) {
  record_print(log, "%s ", word);
  record_escape(log, octets, size);
  record_add(log, "\n", 1);
}

#define ERROR_WORD(id, kind, name, protocol, text) #id,
const char *error_word(pop3_error error) {
  static const char *const names[] = {POP3_ERRORS(ERROR_WORD)};
  static char word[32];
  const char *name = names[error];
  size_t i = 0;
  for (; name[i] != '\0' && i < sizeof word - 1; i++)
    word[i] = (char)tolower((unsigned char)name[i]);
  word[i] = '\0';
  return word;
}

/* ------------------------------------------------------------ one play */

enum { TAGS = 16384 };

typedef struct play {
  void *memory;
  size_t memory_size;
  pop3_session *session;
  record *log;
  cutting how;
  unsigned random;
  size_t offset; /* of the server's octets so far */
  bool over;     /* the sticky error was logged */

  /* What is open: a line, a challenge, or the data of a message. */
  record text;
  bool in_line;
  bool in_body;  /* a status line promised more */
  bool secured;  /* a `secure` that was not logged yet */
  uint64_t body; /* octets of this body by our own count */
  size_t spans;  /* DATA events of this input and message, in place */

  uint32_t expected[TAGS]; /* tags, in the order of the commands */
  size_t first;
  size_t last;
} play;

static void complain(play *p, const char *what) {
  record_print(p->log, "!! %s\n", what);
}

static void flush_secure(play *p) {
  if (p->secured) record_add(p->log, "secure\n", 7);
  p->secured = false;
}

static void flush_text(play *p, const char *word) {
  record_line(p->log, word, p->text.octets, p->text.size);
  p->text.size = 0;
  p->in_line = false;
}

/* ------------------------------------------------------------ events */

static void on_status(play *p, const pop3_event *e) {
  const char *name = pop3_command_get(e->command)->name;
  if (e->command == POP3_GREETING) name = "greeting";
  if (e->command == POP3_OTHER) name = "other";
  if (p->in_body) complain(p, "a status line inside a body");
  if (e->more && !e->ok) complain(p, "more follows a refusal");
  if (e->ok != (e->text.size > 0 && e->text.data[0] == '+'))
    complain(p, "ok is not what the line says");
  record_print(p->log, "%s ", e->ok ? "ok" : "err");
  record_line(p->log, name, e->text.data, e->text.size);
  p->in_body = e->more;
  p->body = 0;
  p->spans = 0;
}

static void on_text(play *p, const pop3_event *e) {
  bool challenge = e->type == POP3_EVENT_CHALLENGE;
  if (p->in_body == challenge) complain(p, "text outside a body");
  if (e->first == p->in_line) complain(p, "first is wrong");
  p->body += e->text.size + e->line_end;
  if (!e->last && e->line_end > 0) complain(p, "a line end inside a line");
  record_add(&p->text, e->text.data, e->text.size);
  p->in_line = !e->last;
  if (e->last) flush_text(p, challenge ? "challenge" : "line");
}

/* In place an input is one event, but for a CR kept back from the last one. */
static void check_span(play *p, const pop3_event *e) {
  bool kept = p->spans == 0 && e->text.size == 1 && e->text.data[0] == '\r';
  if (!kept && p->spans++ > 0) complain(p, "more than one event of an input");
}

static void on_data(play *p, const pop3_event *e) {
  if (p->how.in_place) check_span(p, e);
  if (!p->in_body) complain(p, "data outside a body");
  if (e->text.size == 0) complain(p, "empty data");
  p->body += e->text.size;
  record_add(&p->text, e->text.data, e->text.size);
}

static void on_end(play *p, const pop3_event *e) {
  if (!p->in_body) complain(p, "an end outside a body");
  if (p->in_line) complain(p, "an end inside a line");
  if (e->octets != p->body) complain(p, "octets are not the sum");
  if (p->text.size > 0) flush_text(p, "data");
  record_print(p->log, "end %llu\n", (unsigned long long)e->octets);
  p->in_body = false;
}

/* Replies come in the order of the commands and carry their tags. */
static void check_tag(play *p, const pop3_event *e) {
  if (e->type == POP3_EVENT_SECURE) return;
  if (e->tag != p->expected[p->first]) complain(p, "wrong tag");
  bool complete =
      e->type == POP3_EVENT_END || (e->type == POP3_EVENT_STATUS && !e->more);
  if (complete && p->first < p->last) p->first++;
}

static void on_event(play *p, const pop3_event *e) {
  if (e->type == POP3_EVENT_NONE) return;
  flush_secure(p);
  check_tag(p, e);
  switch (e->type) {
    case POP3_EVENT_NONE:
      break;
    case POP3_EVENT_STATUS:
      on_status(p, e);
      break;
    case POP3_EVENT_LINE:
    case POP3_EVENT_CHALLENGE:
      on_text(p, e);
      break;
    case POP3_EVENT_DATA:
      on_data(p, e);
      break;
    case POP3_EVENT_END:
      on_end(p, e);
      break;
    case POP3_EVENT_SECURE:
      p->secured = true;
      break;
  }
}

/* ------------------------------------------------------------ errors */

/* After the first error every call returns it, and nothing leaves. */
static void check_sticky(play *p, pop3_error error) {
  pop3_session *s = p->session;
  const char *octets = "+OK\r\n";
  size_t size = 5;
  pop3_event event;
  pop3_span line = {"NOOP", 4};
  bool sticky = pop3_session_error(s) == error &&
                pop3_session_feed(s, &octets, &size, &event) == error &&
                pop3_session_command(s, POP3_QUIT, NULL, 0, 0, NULL) == error &&
                pop3_session_line(s, line, 0, NULL) == error &&
                pop3_session_answer(s, line) == error && size == 5 &&
                (pop3_session_is_over(s) || pop3_session_eof(s) == error);
  if (!sticky) complain(p, "an error that is not sticky");
  if (pop3_session_output(s).size > 0) complain(p, "output after an error");
}

static bool is_limit(pop3_error error) {
  return error == POP3_E_OCTETS || error == POP3_E_ITEM ||
         error == POP3_E_LINE || error == POP3_E_CHALLENGE;
}

static void on_error(play *p, pop3_error error, const pop3_event *e) {
  if (p->over) return;
  p->over = true;
  if (error == POP3_E_INJECTION) p->secured = false;
  flush_secure(p);
  if (p->text.size > 0 && !is_limit(error)) flush_text(p, "part");
  record_print(p->log, "error %s", error_word(error));
  if (error == POP3_E_GOODBYE && e != NULL) {
    record_add(p->log, " ", 1);
    record_escape(p->log, e->text.data, e->text.size);
  }
  record_add(p->log, "\n", 1);
  check_sticky(p, error);
}

/* ------------------------------------------------------------ server */

static size_t next_piece(play *p, size_t left) {
  size_t size = left;
  if (p->how.every > 0 && p->how.every < size) size = p->how.every;
  if (p->how.scramble > 0) {
    p->random = p->random * 1103515245u + 12345u;
    size_t piece = 1 + (p->random >> 16) % 16;
    if (piece < size) size = piece;
  }
  for (int i = 0; i < 2; i++) {
    size_t at = p->how.at[i];
    if (at > p->offset && at - p->offset < size) size = at - p->offset;
  }
  return size;
}

/* Everything that one read brought, until the engine wants more. `original`
 * is another copy of it: what is not consumed has to stay as it came. */
static void feed(play *p, const char *octets, const char *original,
                 size_t size) {
  pop3_event event;
  const char *end = original + size;
  do {
    size_t before = size;
    pop3_error error = pop3_session_feed(p->session, &octets, &size, &event);
    if (error != POP3_E_OK) {
      on_error(p, error, &event);
      return;
    }
    if (size > before) complain(p, "input grew");
    if (memcmp(octets, end - size, size) != 0)
      complain(p, "octets that were not consumed have changed");
    if (event.type == POP3_EVENT_NONE && size > 0) {
      complain(p, "input left behind");
      return;
    }
    on_event(p, &event);
  } while (event.type != POP3_EVENT_NONE);
}

/* A block of its own, so that a sanitizer sees every octet read outside. */
static void feed_copy(play *p, const char *octets, size_t size) {
  char *copy = must(malloc(size));
  memcpy(copy, octets, size);
  p->spans = 0;
  feed(p, copy, octets, size);
  free(copy);
}

static void serve(play *p, const char *octets, size_t size) {
  while (size > 0 && !p->over) {
    size_t piece = next_piece(p, size);
    feed_copy(p, octets, piece);
    p->offset += piece;
    octets += piece;
    size -= piece;
  }
}

/* ------------------------------------------------------------ client */

static bool contains(const char *block, size_t size, pop3_span what) {
  const char *end = block + size;
  while ((size_t)(end - block) >= what.size) {
    block = memchr(block, what.data[0], (size_t)(end - block) - what.size + 1);
    if (block == NULL) return false;
    if (memcmp(block++, what.data, what.size) == 0) return true;
  }
  return false;
}

/* Hand out all output, in the pieces of the cutting, and say what it was. */
static void transmit(play *p, record *wire) {
  pop3_span out;
  while ((out = pop3_session_output(p->session)).size > 0) {
    size_t size = out.size;
    if (p->how.every > 0 && p->how.every < size) size = p->how.every;
    record_add(wire, out.data, size);
    pop3_session_sent(p->session, size);
  }
  if (!p->over && pop3_session_pending(p->session) > 0)
    complain(p, "octets pending after all were sent");
}

/* The text as it was given, but that the table's names are upper case, and
 * that what else may end a name (pop3_command_find) leaves as a blank. */
static bool is_line(const record *wire, pop3_span text) {
  pop3_command id = pop3_command_find(text.data, text.size);
  const char *name = pop3_command_get(id)->name;
  size_t length = strlen(name);
  size_t rest = length + (length > 0 && text.size > length);
  if (wire->size != text.size + 2) return false;
  if (rest > length && wire->octets[length] != ' ' &&
      wire->octets[length] != text.data[length])
    return false;
  return (memcmp(wire->octets, name, length) == 0 ||
          memcmp(wire->octets, text.data, length) == 0) &&
         memcmp(wire->octets + rest, text.data + rest, text.size - rest) == 0 &&
         memcmp(wire->octets + text.size, "\r\n", 2) == 0;
}

static void check_wire(play *p, const record *wire, pop3_span text) {
  if (is_line(wire, text)) return;
  complain(p, "other octets left than these");
  record_line(p->log, "!!", wire->octets, wire->size);
}

/* What of a step is secret: an answer whole, of a command its arguments. */
static pop3_span secret_of(const step *now) {
  pop3_span text = {now->text, now->size};
  pop3_span none = {NULL, 0};
  if (now->kind == STEP_ANSWER) return text;
  pop3_command id = pop3_command_find(text.data, text.size);
  const pop3_command_row *row = pop3_command_get(id);
  size_t name = strlen(row->name);
  if (!(row->flags & POP3_F_SECRET) || text.size <= name) return none;
  pop3_span rest = {text.data + name, text.size - name};
  return rest;
}

static bool remembers(const play *p, const step *now) {
  pop3_span secret = secret_of(now);
  return secret.size >= 8 && contains(p->memory, p->memory_size, secret);
}

/* Up to two arguments: a row that takes one takes the rest of the line. */
static size_t split(const pop3_command_row *row, pop3_span rest,
                    pop3_span arguments[2]) {
  bool two = row->arguments == POP3_ARG_TEXT2 ||
             row->arguments == POP3_ARG_TOKEN2 ||
             row->arguments == POP3_ARG_OPTTEXT;
  const char *blank = two ? memchr(rest.data, ' ', rest.size) : NULL;
  arguments[0] = rest;
  if (blank == NULL) return 1;
  arguments[0].size = (size_t)(blank - rest.data);
  arguments[1].data = blank + 1;
  arguments[1].size = rest.size - arguments[0].size - 1;
  return 2;
}

static pop3_error command(play *p, pop3_span text, unsigned flags,
                          uint32_t *tag) {
  pop3_command id = pop3_command_find(text.data, text.size);
  const pop3_command_row *row = pop3_command_get(id);
  pop3_span arguments[2];
  size_t count = 0;
  size_t name = strlen(row->name);
  if (id == POP3_OTHER) return POP3_E_ARGUMENT;
  if (text.size > name) {
    pop3_span rest = {text.data + name + 1, text.size - name - 1};
    count = split(row, rest, arguments);
  }
  return pop3_session_command(p->session, id, arguments, count, flags, tag);
}

static pop3_error submit(play *p, const step *now, uint32_t *tag) {
  pop3_span text = {now->text, now->size};
  unsigned flags = p->how.in_place ? POP3_IN_PLACE : 0;
  switch (now->kind) {
    case STEP_HAND:
      return pop3_session_line(p->session, text, flags, tag);
    case STEP_LONG:
      return pop3_session_line(p->session, text, flags | POP3_AS_LONG, tag);
    case STEP_LINES:
      return command(p, text, flags | POP3_AS_LINES, tag);
    case STEP_ANSWER:
      return pop3_session_answer(p->session, text);
    default:
      return command(p, text, flags, tag);
  }
}

static void on_refusal(play *p, pop3_error error, size_t pending) {
  if (pop3_session_error(p->session) != POP3_E_OK) {
    on_error(p, error, NULL);
    return;
  }
  record_print(p->log, "refused %s\n", error_word(error));
  if (pop3_session_pending(p->session) != pending)
    complain(p, "octets queued by a refused command");
}

static void speak(play *p, const step *now) {
  uint32_t tag = 0;
  size_t pending = pop3_session_pending(p->session);
  bool known = remembers(p, now); /* a server may have said it, too */
  pop3_error error = submit(p, now, &tag);
  if (p->over) return;
  flush_secure(p);
  if (error != POP3_E_OK) {
    on_refusal(p, error, pending);
    return;
  }
  if (now->kind != STEP_ANSWER && p->last < TAGS) p->expected[p->last++] = tag;
  if (now->kind == STEP_QUEUE) return;
  record wire = {NULL, 0, 0};
  pop3_span text = {now->text, now->size};
  transmit(p, &wire);
  if (pending == 0) check_wire(p, &wire, text);
  if (!known && remembers(p, now))
    complain(p, "a secret is still in the session's memory");
  record_free(&wire);
}

static void send_all(play *p) {
  record wire = {NULL, 0, 0};
  transmit(p, &wire);
  record_free(&wire);
}

static void end_stream(play *p) {
  pop3_error error = pop3_session_eof(p->session);
  if (p->over) return;
  if (error != POP3_E_OK) {
    on_error(p, error, NULL);
    return;
  }
  record_add(p->log, "eof ok\n", 7);
}

/* ------------------------------------------------------------ play */

static void perform(play *p, const step *now) {
  switch (now->kind) {
    case STEP_SERVER:
      serve(p, now->text, now->size);
      break;
    case STEP_SEND:
      send_all(p);
      break;
    case STEP_SECURED:
      flush_secure(p);
      pop3_session_secured(p->session);
      break;
    case STEP_EOF:
      end_stream(p);
      break;
    default:
      speak(p, now);
      break;
  }
}

void replay(const pop3_config *config, const step *steps, size_t count,
            cutting how, record *log) {
  play *p = must(calloc(1, sizeof *p));
  p->memory_size = pop3_session_size(config);
  p->memory = must(malloc(p->memory_size));
  memset(p->memory, 0x5a, p->memory_size); /* init must set what it reads */
  p->session = pop3_session_init(p->memory, config);
  p->log = log;
  p->how = how;
  p->random = how.scramble;
  p->last = 1; /* the greeting, tag 0 */
  for (size_t i = 0; i < count; i++) perform(p, &steps[i]);
  flush_secure(p);
  if (!p->over && p->text.size > 0) flush_text(p, "part");
  record_free(&p->text);
  free(p->memory);
  free(p);
}
