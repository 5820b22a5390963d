/*
 * libcurl.c - libcurl as a client of the benchmark; see bench/README.md.
 * libcurl has no pipelining for POP3 and no way to hold a listing: what it
 * delivers goes into the arrays that a C program would have.
 */
#define _GNU_SOURCE
#include <curl/curl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static char **words;

static const char *text_option(const char *name) {
  size_t size = strlen(name);
  for (char **word = words; *word != NULL; word++)
    if (strncmp(*word, name, size) == 0 && (*word)[size] == '=')
      return *word + size + 1;
  return NULL;
}

static long option(const char *name, long otherwise) {
  const char *text = text_option(name);
  return text == NULL ? otherwise : strtol(text, NULL, 10);
}

static double milliseconds(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

static void check(CURLcode code) {
  if (code == CURLE_OK) return;
  fprintf(stderr, "libcurl: %s\n", curl_easy_strerror(code));
  exit(1);
}

/* ------------------------------------------------------------ delivery */

static size_t delivered;
static FILE *out;

static struct {
  char *octets;
  size_t size, room;
} text;

static size_t count(char *octets, size_t one, size_t size, void *unused) {
  (void)one;
  (void)unused;
  delivered += size;
  if (out != NULL) fwrite(octets, 1, size, out);
  return size;
}

static size_t append(char *octets, size_t one, size_t size, void *unused) {
  (void)unused;
  if (text.size + size > text.room) {
    text.room = 2 * (text.size + size);
    text.octets = realloc(text.octets, text.room);
    if (text.octets == NULL) exit(70);
  }
  memcpy(text.octets + text.size, octets, size);
  text.size += size;
  return count(octets, one, size, unused);
}

/* ------------------------------------------------------------ handles */

static const char *url(long number) {
  static char buffer[80];
  snprintf(buffer, sizeof buffer, "pop3%s://127.0.0.1:%ld/",
           text_option("ca") == NULL ? "" : "s", option("port", 0));
  if (number > 0) sprintf(buffer + strlen(buffer), "%ld", number);
  return buffer;
}

static CURL *new_handle(void) {
  CURL *easy = curl_easy_init();
  if (easy == NULL) exit(70);
  curl_easy_setopt(easy, CURLOPT_USERNAME, "u");
  curl_easy_setopt(easy, CURLOPT_PASSWORD, "p");
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, count);
  if (text_option("ca") == NULL) return easy;
  curl_easy_setopt(easy, CURLOPT_CAINFO, text_option("ca"));
  curl_easy_setopt(easy, CURLOPT_SSL_SESSIONID_CACHE, option("resume", 0));
  return easy;
}

static void fetch(void) {
  CURL *easy = new_handle();
  bool string = strcmp(text_option("deliver"), "string") == 0;
  if (strcmp(text_option("deliver"), "lines") == 0) exit(77);
  /* Its best, but a LIST that fits into it as a whole ends in an error. */
  curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, 512L * 1024);
  if (string) curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, append);
  for (long i = 1; i <= option("messages", 1); i++) {
    text.size = 0;
    curl_easy_setopt(easy, CURLOPT_URL, url(i));
    check(curl_easy_perform(easy));
  }
  curl_easy_cleanup(easy);
  printf("{\"octets\": %zu}\n", delivered);
}

/* ------------------------------------------------------------ listing */

typedef struct item {
  long number;
  size_t size;
  char *uid;
} item;

static item *items;

/* The lines of LIST or UIDL; the text stays, UIDs point into it. */
static long parse(bool uids) {
  long n = 0;
  char *at = text.octets, *end = at + text.size;
  for (; at < end; n++) {
    char *line_end = memchr(at, '\r', (size_t)(end - at)), *rest;
    items[n].number = strtol(at, &rest, 10);
    *line_end = '\0';
    if (uids) items[n].uid = rest + 1;
    else items[n].size = strtoul(rest, NULL, 10);
    at = line_end + 2;
  }
  return n;
}

static void list(CURL *easy, const char *command) {
  text.size = text.room = 0;
  text.octets = NULL;
  if (command != NULL) curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, command);
  curl_easy_setopt(easy, CURLOPT_URL, url(0));
  check(curl_easy_perform(easy));
}

static void listing(void) {
  if (strcmp(text_option("as"), "iterate") != 0) exit(77);
  CURL *easy = new_handle();
  size_t sum = 0;
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, append);
  items = calloc((size_t)option("messages", 1), sizeof *items);
  list(easy, NULL);
  parse(false);
  free(text.octets);
  list(easy, "UIDL");
  long n = parse(true);
  for (long i = 0; i < n; i++) sum += items[i].size;
  curl_easy_cleanup(easy);
  printf("{\"items\": %ld, \"octets\": %zu}\n", n, sum);
}

/* ------------------------------------------------------------ sessions */

static void session(void) {
  CURL *easy = new_handle();
  curl_easy_setopt(easy, CURLOPT_URL, url(0));
  curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, "STAT");
  curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
  curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L); /* QUIT each time */
  for (long i = 0; i < option("sessions", 1); i++)
    check(curl_easy_perform(easy));
  curl_easy_cleanup(easy);
  puts("{}");
}

/* ------------------------------------------------------------ boxes */

static int by_time(const void *a, const void *b) {
  double one = *(const double *)a, two = *(const double *)b;
  return (one > two) - (one < two);
}

static long *fetched;
static double *times;

/* The next message of the mailbox whose transfer has ended; false: none. */
static bool go_on(CURLM *multi, CURL *easy, double begin) {
  char *which;
  curl_easy_getinfo(easy, CURLINFO_PRIVATE, &which);
  long box = which - (char *)NULL;
  curl_multi_remove_handle(multi, easy);
  if (fetched[box] == option("messages", 1)) {
    times[box] = milliseconds() - begin;
    return false;
  }
  curl_easy_setopt(easy, CURLOPT_URL, url(++fetched[box]));
  curl_multi_add_handle(multi, easy);
  return true;
}

static void boxes(void) {
  CURLM *multi = curl_multi_init();
  long total = option("boxes", 1), left = total;
  double begin = milliseconds();
  fetched = calloc((size_t)total, sizeof *fetched);
  times = calloc((size_t)total, sizeof *times);
  curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, total);
  for (long i = 0; i < total; i++) {
    CURL *easy = new_handle();
    curl_easy_setopt(easy, CURLOPT_PRIVATE, (char *)NULL + i);
    curl_easy_setopt(easy, CURLOPT_URL, url(++fetched[i]));
    curl_multi_add_handle(multi, easy);
  }
  while (left > 0) {
    int running, more;
    CURLMsg *message;
    curl_multi_perform(multi, &running);
    while ((message = curl_multi_info_read(multi, &more)) != NULL) {
      if (message->msg != CURLMSG_DONE) continue;
      check(message->data.result);
      left -= !go_on(multi, message->easy_handle, begin);
    }
    if (left > 0) curl_multi_poll(multi, NULL, 0, 1000, NULL);
  }
  qsort(times, (size_t)total, sizeof *times, by_time);
  curl_multi_cleanup(multi);
  printf("{\"median_ms\": %.2f, \"slowest_ms\": %.2f}\n", times[total / 2],
         times[total - 1]);
}

static void start(void) { curl_easy_cleanup(new_handle()); }

static const struct {
  const char *name;
  void (*run)(void);
} verbs[] = {
    {"start", start},     {"fetch", fetch}, {"listing", listing},
    {"session", session}, {"boxes", boxes},
};

int main(int count, char **arguments) {
  if (count < 2) return 64;
  words = arguments + 2;
  if (option("quit", 0)) return 77;
  if (text_option("out") != NULL) out = fopen(text_option("out"), "wb");
  check(curl_global_init(CURL_GLOBAL_DEFAULT));
  for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
    if (strcmp(verbs[i].name, arguments[1]) != 0) continue;
    verbs[i].run();
    return 0;
  }
  return 77;
}
