/*
 * engine.c - how fast the engine reads, beside the least that any parser
 * could do: one memchr for each LF of the same octets, in the same run. And how
 * fast each scan kernel of this build finds "newline, dot" in them.
 *
 * build: cc -O2 -Icsrc engine.c <engine>
 * usage: engine [MIB]    Markdown tables; 256 MiB by default
 */
#define _POSIX_C_SOURCE 199309L
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "pop3.h"
#include "scan.h"

enum { BLOCK = 65536, BLOCKS = 64, ROUNDS = 5 };

static void *must(void *block) {
  if (block != NULL) return block;
  fputs("out of memory\n", stderr);
  exit(70);
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* ------------------------------------------------------------ input */

/* Deterministic, so that every run measures the same octets. */
static uint32_t seed = 1;
static uint32_t roll(uint32_t sides) {
  seed = seed * 1664525u + 1013904223u;
  return (seed >> 8) % sides;
}

typedef size_t (*line_maker)(char *line);

/* base64 attachments: 76 octets a line, what most mail is made of. */
static size_t attachment_line(char *line) {
  for (int i = 0; i < 76; i++) line[i] = (char)('A' + roll(26));
  memcpy(line + 76, "\r\n", 2);
  return 78;
}

/* Text: lines of 0 to 79 octets, one of fifty begins with a stuffed dot. */
static size_t text_line(char *line) {
  size_t size = roll(80);
  for (size_t i = 0; i < size; i++) line[i] = (char)('a' + roll(26));
  if (size > 1 && roll(50) == 0) memcpy(line, "..", 2);
  memcpy(line + size, "\r\n", 2);
  return size + 2;
}

static size_t dots_line(char *line) {
  memcpy(line, "..\r\n", 4);
  return 4;
}

static size_t list_line(char *line) {
  return (size_t)sprintf(line, "%u %u\r\n", roll(1000000), roll(100000));
}

static size_t uidl_line(char *line) {
  return (size_t)sprintf(line, "%u %08x%08x%04x\r\n", roll(1000000), roll(~0u),
                         roll(~0u), roll(65536));
}

/* BLOCKS pieces of 64 KiB, cut where they happen to be cut. */
static char *make_input(line_maker make) {
  size_t size = (size_t)BLOCK * BLOCKS;
  char *input = must(malloc(size + 256));
  size_t used = 0;
  while (used < size) used += make(input + used);
  memcpy(input + size - 2, "\r\n", 2); /* the next round begins a line */
  return input;
}

/* ------------------------------------------------------------ jobs */

typedef struct job {
  const char *name;
  line_maker make;
  pop3_command command;
  unsigned flags;
  const char *aim;
} job;

static const job jobs[] = {
    {"message as data, base64", attachment_line, POP3_RETR, 0, "4.0"},
    {"message as data, text", text_line, POP3_RETR, 0, "4.0"},
    {"message as data, all dots", dots_line, POP3_RETR, 0, ""},
    {"message in place, base64", attachment_line, POP3_RETR, POP3_IN_PLACE, ""},
    {"message in place, text", text_line, POP3_RETR, POP3_IN_PLACE, ""},
    {"message in place, all dots", dots_line, POP3_RETR, POP3_IN_PLACE, "2.0"},
    {"message as lines, base64", attachment_line, POP3_RETR, POP3_AS_LINES, ""},
    {"message as lines, text", text_line, POP3_RETR, POP3_AS_LINES, ""},
    {"LIST", list_line, POP3_LIST, 0, "0.5"},
    {"UIDL", uidl_line, POP3_UIDL, 0, "0.5"},
};

static pop3_session *begin(const job *what, void *memory,
                           const pop3_config *config) {
  pop3_session *s = pop3_session_init(memory, config);
  pop3_span number = {"1", 1};
  const char *octets = "+OK\r\n";
  size_t size = 5;
  pop3_event event;
  pop3_session_feed(s, &octets, &size, &event);
  pop3_session_command(s, what->command, &number, what->command == POP3_RETR,
                       what->flags, NULL);
  pop3_session_sent(s, pop3_session_pending(s));
  octets = "+OK\r\n";
  size = 5;
  pop3_session_feed(s, &octets, &size, &event);
  return s;
}

/* What a consumer at least does with an event: look at its size. */
static uint64_t drain(pop3_session *s, const char *octets, size_t size) {
  uint64_t seen = 0;
  pop3_event event;
  do {
    pop3_error error = pop3_session_feed(s, &octets, &size, &event);
    if (error != POP3_E_OK) {
      fprintf(stderr, "engine: %s\n", pop3_error_text(error));
      exit(70);
    }
    seen += event.text.size + event.line_end;
  } while (event.type != POP3_EVENT_NONE);
  return seen;
}

static volatile uint64_t sink; /* keeps the work from being optimised away */

/* Delivery in place spoils the input: it is copied again, off the clock. */
static double read_all(const job *what, const char *input, size_t blocks) {
  pop3_config config;
  pop3_config_init(&config);
  config.max_octets = config.max_items = 0;
  void *memory = must(malloc(pop3_session_size(&config)));
  char *received = must(malloc((size_t)BLOCK * BLOCKS));
  pop3_session *s = begin(what, memory, &config);
  double seconds = 0;
  for (size_t i = 0; i < blocks; i += BLOCKS) {
    memcpy(received, input, (size_t)BLOCK * BLOCKS);
    double start = now();
    for (size_t j = 0; j < BLOCKS; j++)
      sink += drain(s, received + j * BLOCK, BLOCK);
    seconds += now() - start;
  }
  free(received);
  free(memory);
  return seconds;
}

static double scan_all(const char *input, size_t blocks) {
  double start = now();
  for (size_t i = 0; i < blocks; i++) {
    const char *at = input + i % BLOCKS * BLOCK;
    const char *end = at + BLOCK;
    while ((at = memchr(at, '\n', (size_t)(end - at))) != NULL && ++at < end)
      sink++;
  }
  return now() - start;
}

/* The best of a few: what disturbs a measurement only makes it slower. */
static void measure(const job *what, size_t blocks) {
  char *input = make_input(what->make);
  double engine = 1e9;
  double floor = 1e9;
  for (int i = 0; i < ROUNDS; i++) {
    double one = scan_all(input, blocks);
    double other = read_all(what, input, blocks);
    if (one < floor) floor = one;
    if (other < engine) engine = other;
  }
  double gigabytes = (double)(blocks * BLOCK) / 1e9;
  printf("| %s | %.2f | %s | %.2f | %.2f |\n", what->name, gigabytes / engine,
         what->aim, gigabytes / floor, engine / floor);
  free(input);
}

/* ------------------------------------------------------------ scanning */

typedef const char *(*finder)(const char *at, const char *end);

static const char *find_lf(const char *at, const char *end) {
  const char *lf = memchr(at, '\n', (size_t)(end - at));
  return lf == NULL ? end : lf;
}

static double find_all(finder find, const char *input, size_t blocks) {
  double start = now();
  for (size_t i = 0; i < blocks; i++) {
    const char *at = input + i % BLOCKS * BLOCK;
    const char *end = at + BLOCK;
    while ((at = find(at, end)) < end) at++, sink++;
  }
  return now() - start;
}

static const line_maker scanned[] = {attachment_line, text_line, dots_line};
enum { SCANNED = sizeof scanned / sizeof *scanned };

static void measure_scan(const char *name, finder find, char *const *inputs,
                         size_t blocks) {
  printf("| %s |", name);
  for (size_t i = 0; i < SCANNED; i++) {
    double best = 1e9;
    for (int round = 0; round < ROUNDS; round++) {
      double one = find_all(find, inputs[i], blocks);
      if (one < best) best = one;
    }
    printf(" %.2f |", (double)(blocks * BLOCK) / 1e9 / best);
  }
  printf("\n");
}

static void measure_scans(size_t blocks) {
  char *inputs[SCANNED];
  printf("\n| scan, GB/s | base64 | text | all dots |\n|---|---|---|---|\n");
  for (size_t i = 0; i < SCANNED; i++) inputs[i] = make_input(scanned[i]);
  for (size_t i = 0; i < pop3_scan_count; i++) {
    if (pop3_scans[i].available())
      measure_scan(pop3_scans[i].name, pop3_scans[i].find, inputs, blocks);
  }
  measure_scan("memchr", find_lf, inputs, blocks);
  for (size_t i = 0; i < SCANNED; i++) free(inputs[i]);
}

int main(int count, char **arguments) {
  size_t mebibytes = count > 1 ? strtoul(arguments[1], NULL, 10) : 256;
  printf(
      "| engine, %zu MiB in pieces of 64 KiB | GB/s | aim | memchr GB/s | "
      "times memchr |\n|---|---|---|---|---|\n",
      mebibytes);
  for (size_t i = 0; i < sizeof jobs / sizeof *jobs; i++)
    measure(&jobs[i], mebibytes * 16);
  measure_scans(mebibytes * 16);
  return 0;
}
