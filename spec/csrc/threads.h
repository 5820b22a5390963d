/*
 * threads.h - have all threads and descriptors of a test come to their end?
 */
#ifndef POP3_THREADS_H
#define POP3_THREADS_H

#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>

/* In a folder, its own two and a reader's descriptor included; -1: none. */
static inline int entries(const char *folder) {
  int n = 0;
  DIR *dir = opendir(folder);
  if (!dir) return -1;
  while (readdir(dir)) n++;
  (void)closedir(dir);
  return n;
}

/* Sanitizers have threads of their own, from the first of ours on. */
static int idle_threads;

static inline void *do_nothing(void *unused) { return unused; }

static inline void count_idle_threads(void) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, do_nothing, NULL)) abort();
  if (pthread_join(thread, NULL)) abort();
  idle_threads = entries("/proc/self/task");
}

static inline bool threads_end(void) {
  for (int turn = 0; turn < 1000000; turn++) {
    if (entries("/proc/self/task") == idle_threads) return true;
    (void)sched_yield();
  }
  return false;
}

#endif
