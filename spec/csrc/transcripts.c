/*
 * transcripts.c - plays the wire transcripts of spec/wire against the engine,
 * each one whole, at every cut into two, short ones at every cut into three,
 * one octet at a time and in scrambled pieces, each time with messages as they
 * are and closed up in place, and compares what happened with what the
 * transcript says.
 *
 * build: cc -Icsrc -Ispec/csrc transcripts.c replay.c <engine>
 * usage: transcripts FILE...            ok / not ok lines, status 1 on failure
 *        transcripts --cuts N FILE...   long ones at so many places only
 *        transcripts --seeds DIR FILE... one fuzz seed for each transcript
 *
 * A file holds transcripts, each begun by its name and claim:
 *
 *   # name: claim
 *   config require_tls max_line=512
 *   S: +OK ready             octets of the server, CRLF added
 *   S: +OK a\r\n+OK b\n      ... but not behind \n, nor behind \ at the end
 *   S*3: line                three times
 *   C: RETR 1                command: sent, and its octets are compared
 *   C lines: RETR 1          its message as LINE events
 *   C queue: STAT            not yet sent
 *   C hand: XYZZY a          a line by hand; C long: with a body
 *   C answer: AGE=           the answer to a challenge
 *   send, secured, eof       on lines of their own
 *   => ok STAT +OK 2 320     what replay.h logs; =>*3 for three times
 *
 * Escapes in octets: \r \n \\ \xNN, and \{N:text} for N times text. A line
 * that begins with // is a comment.
 */
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replay.h"

enum { MOST_STEPS = 512, MOST_SHORT = 120 };

typedef struct transcript {
  char title[160];
  pop3_config config;
  step steps[MOST_STEPS];
  record texts[MOST_STEPS]; /* what the steps' text points to */
  size_t count;
  size_t server; /* octets of the server in all */
  record wanted;
} transcript;

typedef struct source {
  const char *file;
  unsigned line;
} source;

static void give_up(const source *at, const char *what) {
  fprintf(stderr, "%s:%u: %s\n", at->file, at->line, what);
  exit(64);
}

/* ------------------------------------------------------------ octets */

static int digit(char c) {
  const char *digits = "0123456789abcdef";
  const char *at = c == '\0' ? NULL : strchr(digits, c);
  return at == NULL ? -1 : (int)(at - digits);
}

static const char *unescape(const source *at, const char *text, const char *end,
                            record *out);

/* \{N:text} behind its brace. */
static const char *repeat(const source *at, const char *text, record *out) {
  char *rest;
  unsigned long times = strtoul(text, &rest, 10);
  const char *close = strchr(rest, '}');
  if (*rest != ':' || close == NULL) give_up(at, "bad repetition");
  record once = {NULL, 0, 0};
  unescape(at, rest + 1, close, &once);
  for (unsigned long i = 0; i < times; i++)
    record_add(out, once.octets, once.size);
  record_free(&once);
  return close + 1;
}

static const char *escape(const source *at, const char *text, record *out) {
  static const char names[] = "rn\\";
  const char *name = *text == '\0' ? NULL : strchr(names, *text);
  if (name != NULL) {
    record_add(out, &"\r\n\\"[name - names], 1);
    return text + 1;
  }
  if (*text == '{') return repeat(at, text + 1, out);
  if (*text != 'x' || digit(text[1]) < 0 || digit(text[2]) < 0)
    give_up(at, "bad escape");
  char octet = (char)(digit(text[1]) * 16 + digit(text[2]));
  record_add(out, &octet, 1);
  return text + 3;
}

static const char *unescape(const source *at, const char *text, const char *end,
                            record *out) {
  while (text < end) {
    if (*text != '\\') {
      record_add(out, text++, 1);
      continue;
    }
    if (text + 1 == end) break; /* a backslash at the end adds nothing */
    text = escape(at, text + 1, out);
  }
  return text;
}

/* ------------------------------------------------------------ reading */

static void add_step(const source *at, transcript *t, step_kind kind,
                     const char *text, unsigned times) {
  if (t->count == MOST_STEPS) give_up(at, "too many steps");
  record *octets = &t->texts[t->count];
  size_t size = strlen(text);
  bool whole = size > 0 && (text[size - 1] == '\\' ||
                            (size > 1 && !strcmp(text + size - 2, "\\n")));
  for (unsigned i = 0; i < times; i++) {
    unescape(at, text, text + size, octets);
    if (kind == STEP_SERVER && !whole) record_add(octets, "\r\n", 2);
  }
  if (octets->octets == NULL) record_add(octets, "", 0);
  step *now = &t->steps[t->count++];
  now->kind = kind;
  now->text = octets->octets;
  now->size = octets->size;
  if (kind == STEP_SERVER) t->server += octets->size;
}

static void want(const source *at, transcript *t, const char *text,
                 unsigned times) {
  record octets = {NULL, 0, 0};
  unescape(at, text, text + strlen(text), &octets);
  for (unsigned i = 0; i < times; i++) {
    record_escape(&t->wanted, octets.octets, octets.size);
    record_add(&t->wanted, "\n", 1);
  }
  record_free(&octets);
}

#define SET_LIMIT(name, value, reason)                      \
  if (!strncmp(word, #name "=", sizeof #name)) {            \
    config->name = strtoull(word + sizeof #name, NULL, 10); \
    continue;                                               \
  }
static void configure(const source *at, pop3_config *config, char *text) {
  for (char *word = strtok(text, " "); word != NULL; word = strtok(NULL, " ")) {
    if (!strcmp(word, "require_tls")) {
      config->require_tls = true;
      continue;
    }
    if (!strcmp(word, "lenient")) {
      config->lenient = true;
      continue;
    }
    POP3_LIMITS(SET_LIMIT)
    give_up(at, "unknown option");
  }
}

typedef struct directive {
  const char *word;
  int kind; /* a step_kind, or one of these */
} directive;

enum { WANTED = -1, CONFIG = -2 };

static const directive directives[] = {
    {"S", STEP_SERVER},        {"C", STEP_COMMAND},   {"C lines", STEP_LINES},
    {"C queue", STEP_QUEUE},   {"C hand", STEP_HAND}, {"C long", STEP_LONG},
    {"C answer", STEP_ANSWER}, {"send", STEP_SEND},   {"secured", STEP_SECURED},
    {"eof", STEP_EOF},         {"=>", WANTED},        {"config", CONFIG},
};

/* "word*N: text", "word" or "=> text" taken apart; the word's row. */
static const directive *take_apart(char *line, unsigned *times, char **text) {
  bool wanted = !strncmp(line, "=>", 2);
  char *end = wanted ? line + 2 : strchr(line, ':');
  if (!strncmp(line, "config", 6)) end = line + 6;
  if (wanted) end += strcspn(end, " ");
  if (end == NULL) end = line + strlen(line);
  *text = *end == '\0' ? end : end + 1;
  *text += **text == ' ';
  *end = '\0';
  char *star = strchr(line, '*');
  *times = star == NULL ? 1 : (unsigned)strtoul(star + 1, NULL, 10);
  if (star != NULL) *star = '\0';
  for (size_t i = 0; i < sizeof directives / sizeof *directives; i++) {
    if (!strcmp(line, directives[i].word)) return &directives[i];
  }
  return NULL;
}

static void read_directive(const source *at, transcript *t, char *line) {
  unsigned times;
  char *text;
  const directive *found = take_apart(line, &times, &text);
  if (found == NULL) give_up(at, "unknown directive");
  if (found->kind == WANTED) {
    want(at, t, text, times);
  } else if (found->kind == CONFIG) {
    configure(at, &t->config, text);
  } else {
    add_step(at, t, (step_kind)found->kind, text, times);
  }
}

static void begin(transcript *t, const char *title) {
  pop3_config_init(&t->config);
  snprintf(t->title, sizeof t->title, "%s", title);
}

static void forget(transcript *t) {
  for (size_t i = 0; i < t->count; i++) record_free(&t->texts[i]);
  record_free(&t->wanted);
  memset(t, 0, sizeof *t);
}

/* ------------------------------------------------------------ playing */

static unsigned failures;

static bool agrees_once(transcript *t, cutting how, const char *what) {
  record log = {NULL, 0, 0};
  replay(&t->config, t->steps, t->count, how, &log);
  bool same = log.size == t->wanted.size &&
              memcmp(log.octets, t->wanted.octets, log.size) == 0;
  if (!same) {
    failures++;
    printf("not ok - %s\n# %s%s, cut at %zu and %zu\n# wanted:\n%s# got:\n%s",
           t->title, what, how.in_place ? ", in place" : "", how.at[0],
           how.at[1], t->wanted.octets, log.octets == NULL ? "" : log.octets);
  }
  record_free(&log);
  return same;
}

static bool agrees(transcript *t, cutting how, const char *what) {
  if (!agrees_once(t, how, what)) return false;
  how.in_place = true;
  return agrees_once(t, how, what);
}

static size_t most_cuts = 3000;

/* Long streams are cut at every place of their beginning and end only. */
static bool agrees_in_two(transcript *t) {
  for (size_t i = 1; i < t->server; i++) {
    cutting how = {{i, 0}, 0, 0, false};
    if (i == most_cuts / 2 && t->server > most_cuts)
      i = t->server - most_cuts / 2;
    if (t->server > 65536 && i % 64 != 0) continue;
    if (!agrees(t, how, "in two pieces")) return false;
  }
  return true;
}

static bool agrees_in_three(transcript *t) {
  if (t->server > MOST_SHORT) return true;
  for (size_t i = 1; i < t->server; i++) {
    for (size_t j = i + 1; j < t->server; j++) {
      cutting how = {{i, j}, 0, 0, false};
      if (!agrees(t, how, "in three pieces")) return false;
    }
  }
  return true;
}

static bool agrees_in_small_pieces(transcript *t) {
  static const cutting ways[] = {
      {{0, 0}, 1, 0, false}, {{0, 0}, 2, 0, false}, {{0, 0}, 3, 0, false},
      {{0, 0}, 0, 1, false}, {{0, 0}, 0, 2, false}, {{0, 0}, 0, 3, false},
  };
  for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
    if (!agrees(t, ways[i], "in small pieces")) return false;
  }
  return true;
}

static void play_all(transcript *t) {
  cutting whole = {{0, 0}, 0, 0, false};
  if (t->wanted.octets == NULL) record_add(&t->wanted, "", 0);
  if (agrees(t, whole, "whole") && agrees_in_small_pieces(t) &&
      agrees_in_two(t) && agrees_in_three(t))
    printf("ok - %s\n", t->title);
}

/* ------------------------------------------------------------ seeds */

static const char *seeds;

/* A fuzzer works with small inputs: large ones only slow it down. */
static bool is_small(const transcript *t) {
  size_t size = 0;
  for (size_t i = 0; i < t->count; i++) size += t->steps[i].size;
  return size <= 2048;
}

/* The fuzz target's format: an octet that names the step, its text, 0xff. */
static void write_seed(transcript *t) {
  char path[512];
  if (!is_small(t)) return;
  size_t name = strcspn(strstr(t->title, ": ") + 2, ":");
  snprintf(path, sizeof path, "%s/%.*s", seeds, (int)name,
           strstr(t->title, ": ") + 2);
  FILE *file = fopen(path, "wb");
  if (file == NULL) {
    perror(path);
    exit(66);
  }
  fputc((t->config.require_tls ? 1 : 0) | (t->config.lenient ? 2 : 0), file);
  for (size_t i = 0; i < t->count; i++) {
    fputc("SCLQHBATXE"[t->steps[i].kind], file);
    fwrite(t->steps[i].text, 1, t->steps[i].size, file);
    fputc(0xff, file);
  }
  fclose(file);
}

/* ------------------------------------------------------------ files */

static void finish(transcript *t) {
  if (t->title[0] == '\0') return;
  if (seeds != NULL) {
    write_seed(t);
  } else {
    play_all(t);
  }
  forget(t);
}

static void read_line(const source *at, transcript *t, char *line) {
  char title[sizeof t->title];
  const char *name = strrchr(at->file, '/');
  name = name == NULL ? at->file : name + 1;
  if (line[0] == '\0' || !strncmp(line, "//", 2)) return;
  if (line[0] != '#') {
    read_directive(at, t, line);
    return;
  }
  finish(t);
  snprintf(title, sizeof title, "%s: %.120s", name,
           line + 1 + strspn(line + 1, " "));
  begin(t, title);
}

static void read_file(const char *path) {
  static transcript current;
  static char line[65536];
  source at = {path, 0};
  FILE *file = fopen(path, "r");
  if (file == NULL) {
    perror(path);
    exit(66);
  }
  while (fgets(line, sizeof line, file) != NULL) {
    at.line++;
    line[strcspn(line, "\n")] = '\0';
    read_line(&at, &current, line);
  }
  finish(&current);
  fclose(file);
}

int main(int count, char **arguments) {
  int first = 1;
  if (count > 2 && !strcmp(arguments[1], "--seeds")) {
    seeds = arguments[2];
    first = 3;
  }
  if (count > 2 && !strcmp(arguments[1], "--cuts")) {
    most_cuts = strtoul(arguments[2], NULL, 10);
    first = 3;
  }
  for (int i = first; i < count; i++) read_file(arguments[i]);
  return failures > 0;
}
