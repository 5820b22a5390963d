/*
 * threads.h - have all threads and descriptors of a test come to their end? And
 * what a forked child makes of them.
 */
#ifndef POP3_THREADS_H
#define POP3_THREADS_H

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

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

/* Threads leave by themselves; there is nothing to join. */
static inline bool threads_end(void) {
  for (int turn = 0; turn < 1000000; turn++) {
    if (entries("/proc/self/task") == idle_threads) return true;
    (void)sched_yield();
  }
  return false;
}

/* An emulator of one program (qemu-s390x) breaks down in a child of a process
 * with threads. */
static inline bool can_fork(void) {
  if (!getenv("POP3_EMULATED")) return true;
  printf("ok - # SKIP a forked child: the emulator cannot\n");
  return false;
}

/* Its status; 0: all was as it should be. */
static inline int status_of(pid_t child) {
  int status = -1;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  if (!WIFEXITED(status) || WEXITSTATUS(status))
    printf("# the child ended with status %d\n", status);
  return status;
}

#endif
