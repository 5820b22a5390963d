/*
 * session_fuzz.c - libFuzzer target for the engine. The input is one
 * conversation; cut in several ways, and with messages closed up in place, it
 * has to give one log, and the engine may break none of the rules that
 * replay.c watches.
 *
 * sources: spec/csrc/replay.c
 *
 * scripts/fuzz builds and runs it. New seeds from the wire transcripts:
 * transcripts --seeds fuzz/session_corpus spec/wire/X.txt
 *
 * An input is an octet of configuration, then steps that 0xff ends: a letter
 * of STEPS and the step's text.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replay.h"

enum { MOST_STEPS = 64 };

/* In the order of step_kind. */
#define STEPS "SCLQHBATXE"

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size);

/* Limits so low that a short input meets them. */
static void lower_limits(pop3_config *config) {
  config->max_line = 32;
  config->max_item = 24;
  config->max_items = 4;
  config->max_capabilities = 3;
  config->max_octets = 48;
  config->max_challenge = 16;
  config->max_rounds = 2;
  config->max_inflight = 2;
}

static void configure(pop3_config *config, uint8_t bits) {
  pop3_config_init(config);
  config->require_tls = (bits & 1) != 0;
  config->lenient = (bits & 2) != 0;
  if (bits & 4) lower_limits(config);
}

static size_t read_steps(const char *octets, size_t size, step *steps) {
  size_t count = 0;
  while (size > 0 && count < MOST_STEPS) {
    const char *end = memchr(octets, 0xff, size);
    size_t length = end == NULL ? size : (size_t)(end - octets);
    const char *letter =
        length == 0 ? NULL : memchr(STEPS, octets[0], sizeof STEPS - 1);
    if (letter != NULL) {
      steps[count].kind = (step_kind)(letter - STEPS);
      steps[count].text = octets + 1;
      steps[count++].size = length - 1;
    }
    length += end != NULL;
    octets += length;
    size -= length;
  }
  return count;
}

static void compare(const record *one, const record *other, const char *how) {
  bool same =
      one->size == other->size &&
      (one->size == 0 || memcmp(one->octets, other->octets, one->size) == 0);
  if (same) return;
  fprintf(stderr, "-- whole:\n%s-- %s:\n%s", one->octets, how, other->octets);
  abort();
}

static void check_rules(const record *log) {
  if (log->octets == NULL || strstr(log->octets, "!! ") == NULL) return;
  if (strncmp(log->octets, "!! ", 3) != 0 &&
      strstr(log->octets, "\n!! ") == NULL)
    return;
  fputs(log->octets, stderr);
  abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size) {
  static const cutting ways[] = {
      {{0, 0}, 1, 0, false}, {{0, 0}, 0, 1, false}, {{0, 0}, 7, 0, false},
      {{0, 0}, 0, 0, true},  {{0, 0}, 0, 1, true},
  };
  static const char *const names[] = {"octets", "scrambled", "sevens",
                                      "in place", "scrambled in place"};
  static const cutting whole = {{0, 0}, 0, 0, false};
  step steps[MOST_STEPS];
  pop3_config config;
  if (size == 0) return 0;
  configure(&config, octets[0]);
  size_t count = read_steps((const char *)octets + 1, size - 1, steps);
  record first = {NULL, 0, 0};
  replay(&config, steps, count, whole, &first);
  check_rules(&first);
  for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
    record other = {NULL, 0, 0};
    replay(&config, steps, count, ways[i], &other);
    compare(&first, &other, names[i]);
    record_free(&other);
  }
  record_free(&first);
  return 0;
}
