/*
 * equal_test.c - comparing secrets takes as many instructions wherever they
 * differ (T65). A child is stepped through the comparison, one instruction
 * after the other, so nothing depends on time.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "crypto.h"

#define SIZE 64

static unsigned char secret[SIZE], guess[SIZE];
static volatile bool equal;

/* In the child: once before, so that nothing is bound while it is counted. */
static void compare(void) {
  equal = pop3_equal(secret, guess, SIZE);
  (void)raise(SIGSTOP);
  equal = pop3_equal(secret, guess, SIZE);
  (void)raise(SIGSTOP);
  _exit(equal);
}

/* Where the child is: stopped by itself, one step further, or gone. */
static int stop_of(pid_t child) {
  int status;
  must(waitpid(child, &status, 0) == child, "the child");
  return WIFSTOPPED(status) ? WSTOPSIG(status) : 0;
}

/* Instructions from one stop to the next; -1: there is no stepping here. */
static long count(void) {
  long steps = 0;
  pid_t child = fork();
  must(child >= 0, "a child");
  if (child == 0) {
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0) _exit(2);
    compare();
  }
  if (stop_of(child) != SIGSTOP) return -1;
  for (;;) {
    if (ptrace(PTRACE_SINGLESTEP, child, NULL, NULL) != 0) break;
    if (stop_of(child) != SIGTRAP) break;
    steps++;
  }
  (void)kill(child, SIGKILL);
  (void)waitpid(child, NULL, 0);
  return steps;
}

static long count_with(int place, unsigned char change) {
  memset(secret, 's', sizeof secret);
  memcpy(guess, secret, sizeof guess);
  if (place >= 0) guess[place] = (unsigned char)(guess[place] ^ change);
  return count();
}

static void test_instructions(void) {
  long same = count_with(-1, 0);
  if (same < 0) {
    printf("# no process may be traced here\n");
    return;
  }
  CHECK(same > SIZE / 8);
  for (int place = 0; place < SIZE; place += 7) {
    CHECK(count_with(place, 1) == same);
    CHECK(count_with(place, 0xff) == same);
  }
  CHECK(count_with(SIZE - 1, 0x80) == same);
}

static void test_answer(void) {
  for (int place = 0; place < SIZE; place++) {
    memset(secret, 's', sizeof secret);
    memcpy(guess, secret, sizeof guess);
    CHECK(pop3_equal(secret, guess, SIZE));
    guess[place] ^= 1;
    CHECK(!pop3_equal(secret, guess, SIZE));
  }
}

int main(void) {
  static const test tests[] = {
      {"T65 takes the same wherever secrets differ", test_instructions},
      {"T65 finds a difference wherever it is", test_answer},
  };
  return RUN(tests);
}
