/*
 * measure.c - run a program and tell what it took: one line of JSON.
 *
 *   measure FILE SECONDS PROGRAM [ARGUMENT]...
 *
 * Small on purpose: a child's peak resident memory begins with what its
 * parent had when it was forked, and the driver has more than some clients.
 * Children that the program waited for are included. After SECONDS the
 * program and its children are killed.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static pid_t child;

static void give_up(int number) {
  (void)number;
  kill(-child, SIGKILL);
}

static double seconds(struct timeval time) {
  return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

int main(int count, char **arguments) {
  struct rusage usage;
  int status;
  if (count < 4) return 64;
  signal(SIGALRM, give_up);
  double before = now();
  child = fork();
  if (child < 0) return 71;
  if (child == 0) {
    setpgid(0, 0);
    execvp(arguments[3], arguments + 3);
    _exit(127);
  }
  alarm((unsigned)atoi(arguments[2]));
  while (wait4(child, &status, 0, &usage) < 0) continue;
  double wall = now() - before;
  FILE *file = fopen(arguments[1], "w");
  if (file == NULL) return 73;
  fprintf(file,
          "{\"wall\": %.6f, \"user\": %.6f, \"system\": %.6f, "
          "\"peak_kib\": %ld, \"status\": %d}\n",
          wall, seconds(usage.ru_utime), seconds(usage.ru_stime),
          usage.ru_maxrss,
          WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
  return fclose(file) == 0 ? 0 : 73;
}
