/*
 * file_world.h - what file_test.c and output_test.c share: file.c and output.c,
 * in which write(2) and fsync(2) fail or wait when a test says so, a folder,
 * and a file's operations waited for. To be included once, and first.
 */
#ifndef POP3_FILE_WORLD_H
#define POP3_FILE_WORLD_H

#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- system calls by script ---------------------------------------------- */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static struct {
  bool shut;   /* writes and fsyncs of other threads wait */
  int waiting; /* so many do */
  int write_error;
  int sync_error;        /* of a file */
  int sync_folder_error; /* of a folder */
  char order[16];        /* 'f' and 'd' for each fsync, in capitals where
                            another thread did it */
} script;
static pthread_t us;

static inline bool on_helper(void) {
  return !pthread_equal(pthread_self(), us);
}

static inline void wait_at_gate(void) {
  if (!on_helper()) return;
  script.waiting++;
  (void)pthread_cond_broadcast(&changed);
  while (script.shut) (void)pthread_cond_wait(&changed, &mutex);
  script.waiting--;
}

static inline ssize_t scripted_write(int fd, const void *octets, size_t size) {
  (void)pthread_mutex_lock(&mutex);
  wait_at_gate();
  int error = script.write_error;
  (void)pthread_mutex_unlock(&mutex);
  errno = error;
  return error ? -1 : write(fd, octets, size);
}

static inline int scripted_fsync(int fd) {
  struct stat status;
  if (fstat(fd, &status) != 0) return -1;
  bool folder = S_ISDIR(status.st_mode);
  (void)pthread_mutex_lock(&mutex);
  wait_at_gate();
  char mark[2] = {folder ? 'd' : 'f', '\0'};
  if (on_helper()) mark[0] = (char)(mark[0] - 'a' + 'A');
  if (strlen(script.order) + 1 < sizeof script.order)
    strcat(script.order, mark);
  int error = folder ? script.sync_folder_error : script.sync_error;
  (void)pthread_mutex_unlock(&mutex);
  errno = error;
  return error ? -1 : fsync(fd);
}

#define write scripted_write
#define fsync scripted_fsync
#include "../../csrc/file.c"
#include "../../csrc/platform.c"
#undef write
#undef fsync

#include "report.h"
#include "threads.h"

static inline void reset_script(void) {
  (void)pthread_mutex_lock(&mutex);
  memset(&script, 0, sizeof script);
  (void)pthread_cond_broadcast(&changed);
  (void)pthread_mutex_unlock(&mutex);
}

static inline void set_script(int *which, int value) {
  (void)pthread_mutex_lock(&mutex);
  *which = value;
  (void)pthread_mutex_unlock(&mutex);
}

static inline void set_gate(bool shut) {
  (void)pthread_mutex_lock(&mutex);
  script.shut = shut;
  (void)pthread_cond_broadcast(&changed);
  (void)pthread_mutex_unlock(&mutex);
}

static inline void wait_until_at_gate(void) {
  (void)pthread_mutex_lock(&mutex);
  while (script.waiting == 0) (void)pthread_cond_wait(&changed, &mutex);
  (void)pthread_mutex_unlock(&mutex);
}

/* --- helpers ------------------------------------------------------------- */

static pop3_failure failure;
static char folder[] = "/tmp/file_test.XXXXXX";
static const pop3_allocator *const memory = &pop3_allocator_default;

static const char *in_folder(const char *name) {
  static char path[4][128];
  static int turn;
  turn = (turn + 1) % 4;
  (void)snprintf(path[turn], sizeof path[turn], "%s/%s", folder, name);
  return path[turn];
}

static inline bool exists(const char *path) {
  struct stat status;
  return lstat(path, &status) == 0;
}

static inline bool holds(const char *path, const char *octets, size_t size) {
  static char found[1 << 20];
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  size_t got = 0;
  ssize_t n;
  if (fd < 0) return false;
  while ((n = read(fd, found + got, sizeof found - got)) > 0) got += (size_t)n;
  (void)close(fd);
  return got == size && memcmp(found, octets, size) == 0;
}

static inline void put(const char *path, const char *octets) {
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  size_t size = strlen(octets);
  if (fd < 0 || write(fd, octets, size) != (ssize_t)size || close(fd)) abort();
}

static inline pop3_file *open_path(const char *path, bool threaded) {
  pop3_file *file = NULL;
  if (pop3_file_open_path(memory, path, threaded, &file, &failure))
    printf("# %s\n", failure.text);
  return file;
}

static inline pop3_file *use_fd(int fd, bool threaded) {
  pop3_file *file = NULL;
  if (pop3_file_use_fd(memory, fd, threaded, &file, &failure))
    printf("# %s\n", failure.text);
  return file;
}

static inline void wait_for(const pop3_file *file) {
  pop3_interest want = pop3_file_interest(file);
  struct pollfd poller = {want.fd, want.readable ? POLLIN : POLLOUT, 0};
  while (poll(&poller, 1, -1) < 0) continue;
}

static inline pop3_error write_all_of(pop3_file *file, const char *octets,
                                      size_t size) {
  pop3_error error = POP3_E_OK;
  while (size > 0 && !error) {
    size_t written = 0;
    error = pop3_file_write(file, octets, size, &written, &failure);
    octets += written;
    size -= written;
    if (error != POP3_E_AGAIN) continue;
    wait_for(file);
    error = POP3_E_OK;
  }
  return error;
}

static inline pop3_error finish(pop3_file *file) {
  pop3_error error;
  while ((error = pop3_file_finish(file, &failure)) == POP3_E_AGAIN)
    wait_for(file);
  return error;
}

static inline bool says(int system, const char *what, const char *advice) {
  bool good = failure.error == POP3_E_IO && failure.system == system &&
              strstr(failure.text, what) && strstr(failure.text, advice);
  if (!good) printf("# %d: %s\n", failure.system, failure.text);
  return good;
}

static char big[300000];

/* Before the first claim, and behind the last one. */
static inline void open_world(void) {
  us = pthread_self();
  for (size_t i = 0; i < sizeof big; i++) big[i] = (char)(i * 7 + i / 251);
  if (!mkdtemp(folder)) exit(1);
  count_idle_threads();
}

static inline int close_world(void) {
  report(threads_end() && entries(folder) == 2, "nothing is left behind");
  (void)rmdir(folder);
  return failed != 0;
}

#endif
