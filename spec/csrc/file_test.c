/*
 * file_test.c - messages go to files without a stall or a file that looks
 * complete and is not (file.h).
 *
 * Build: cc -std=c99 spec/csrc/file_test.c csrc/jobs.c csrc/memory.c
 *           csrc/failure.c csrc/tables.c -lpthread -ldl
 *
 * Pipes, sockets, signals and limits are real. Nothing depends on the time that
 * it takes.
 */
#include "file_world.h"

/* --- files by their path ------------------------------------------------- */

static void test_path(bool threaded, const char *name) {
  const char *path = in_folder("new");
  struct stat status;
  reset_script();
  pop3_file *file = open_path(path, threaded);
  bool good = !write_all_of(file, big, sizeof big) && !finish(file) &&
              !pop3_file_finish(file, &failure);
  size_t written;
  report(pop3_file_write(file, "x", 1, &written, &failure) == POP3_E_STATE,
         "nothing is written behind the end");
  pop3_file_release(file);
  report(good && holds(path, big, sizeof big), name);
  report(stat(path, &status) == 0 && (status.st_mode & 0777) == 0600,
         "for its owner only");
  report(strcmp(script.order, threaded ? "FD" : "fd") == 0,
         "the file is made durable, then its name in the folder");
  (void)unlink(path);
  pop3_file_release(NULL);
}

static void test_existing(void) {
  const char *path = in_folder("old"), *link = in_folder("link");
  pop3_file *file = NULL;
  put(path, "precious");
  if (symlink(in_folder("nowhere"), link)) abort();
  report(
      pop3_file_open_path(memory, path, false, &file, &failure) == POP3_E_IO &&
          says(EEXIST, path, "another name") && !file &&
          holds(path, "precious", 8),
      "a file that exists is refused and left as it is");
  report(
      pop3_file_open_path(memory, link, false, &file, &failure) == POP3_E_IO &&
          says(EEXIST, link, "another name") && !exists(in_folder("nowhere")),
      "a symbolic link, too");
  (void)unlink(path);
  (void)unlink(link);
}

static void test_refusals(void) {
  static char lengthy[300], deep[3000];
  const char *loop = in_folder("loop"), *plain = in_folder("plain");
  put(plain, "");
  if (symlink(loop, loop)) abort();
  memset(lengthy, 'a', sizeof lengthy - 1);
  memset(deep, 'a', sizeof deep - 1);
  const struct {
    const char *path;
    int system;
  } rows[] = {
      {"", ENOENT},
      {in_folder("none/x"), ENOENT},
      {"/", EISDIR},
      {"/tmp/", EISDIR},
      {"/dev/null/x", ENOTDIR},
      {lengthy, ENAMETOOLONG},
      {deep, ENAMETOOLONG},
  };
  int descriptors = entries("/proc/self/fd");
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    pop3_file *file = NULL;
    report(pop3_file_open_path(memory, rows[i].path, false, &file, &failure) ==
                   POP3_E_IO &&
               says(rows[i].system, strerror(rows[i].system), "; ") && !file,
           strerror(rows[i].system));
  }
  char through[160];
  pop3_file *file = NULL;
  (void)snprintf(through, sizeof through, "%s/x", loop);
  report(pop3_file_open_path(memory, through, false, &file, &failure) &&
             says(ELOOP, through, "symbolic links"),
         "a loop of symbolic links");
  report(entries("/proc/self/fd") == descriptors, "no descriptor is left");
  (void)unlink(loop);
  (void)unlink(plain);
}

static void test_abandon(void) {
  const char *path = in_folder("new");
  pop3_file *file = open_path(path, false);
  (void)write_all_of(file, "half", 4);
  pop3_file_release(file);
  report(!exists(path), "what is given up is removed");

  file = open_path(path, false);
  put(in_folder("other"), "another");
  if (rename(in_folder("other"), path)) abort();
  pop3_file_release(file);
  report(holds(path, "another", 7), "but nothing that took its name");
  (void)unlink(path);
}

/* A drop box: not root's, whom permissions do not concern. */
static void test_search_only(void) {
  const char *box = in_folder("box"), *path = in_folder("box/new");
  const uid_t before = geteuid();
  reset_script();
  if (mkdir(box, 0700) || chmod(box, 0333) || chmod(folder, 0711)) abort();
  if (before == 0 && seteuid(65534)) abort();
  pop3_file *file = open_path(path, false);
  bool good = file && !write_all_of(file, "x", 1) && !finish(file);
  pop3_file_release(file);
  bool there = exists(path);
  file = open_path(in_folder("box/two"), false);
  pop3_file_release(file);
  bool two = exists(in_folder("box/two"));
  if (before == 0 && seteuid(before)) abort();
  report(good && there && !two, "a folder that may not be read is enough");
  (void)unlink(path);
  (void)rmdir(box);
}

static void test_chdir(void) {
  int home = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (home < 0 || chdir(folder)) abort();
  pop3_file *file = open_path("relative", false);
  if (fchdir(home) || close(home)) abort();
  bool there = exists(in_folder("relative"));
  pop3_file_release(file);
  report(there && !exists(in_folder("relative")),
         "a relative path stays what it was");
}

static void test_failures(void) {
  const char *path = in_folder("new");
  size_t written = 77;
  reset_script();
  pop3_file *file = open_path(path, false);
  script.write_error = ENOSPC;
  report(pop3_file_write(file, "x", 1, &written, &failure) == POP3_E_IO &&
             says(ENOSPC, path, "make room; the message is still on the") &&
             written == 77 && !exists(path),
         "a failed write removes the file");
  script.write_error = 0;
  report(pop3_file_write(file, "x", 1, &written, &failure) == POP3_E_IO &&
             says(ENOSPC, path, "make room") &&
             pop3_file_finish(file, &failure) == POP3_E_IO &&
             says(ENOSPC, path, "make room"),
         "and stays failed");
  pop3_file_release(file);

  file = open_path(path, false);
  script.sync_error = EIO;
  report(!write_all_of(file, "x", 1) && finish(file) == POP3_E_IO &&
             says(EIO, "durable", "check the disk") && !exists(path),
         "as does a failed fsync");
  pop3_file_release(file);

  file = open_path(path, false);
  script.sync_error = 0;
  script.sync_folder_error = EIO;
  report(!write_all_of(file, "x", 1) && finish(file) == POP3_E_IO &&
             says(EIO, "durable", "check the disk") && !exists(path),
         "of the folder, too");
  pop3_file_release(file);

  file = open_path(path, false);
  script.sync_folder_error = EINVAL;
  report(!write_all_of(file, "x", 1) && !finish(file) && exists(path),
         "unless its file system knows no such thing");
  pop3_file_release(file);
  (void)unlink(path);
}

static void test_size_limit(bool threaded, const char *name) {
  const char *path = in_folder("new");
  struct rlimit before, small;
  reset_script();
  if (getrlimit(RLIMIT_FSIZE, &before)) abort();
  small = before;
  small.rlim_cur = 100000;
  pop3_file *file = open_path(path, threaded);
  if (setrlimit(RLIMIT_FSIZE, &small)) abort();
  pop3_error error = write_all_of(file, big, sizeof big);
  if (setrlimit(RLIMIT_FSIZE, &before)) abort();
  report(error == POP3_E_IO && says(EFBIG, path, "ulimit -f") && !exists(path),
         name);
  pop3_file_release(file);
}

/* --- threads ------------------------------------------------------------- */

static void test_threaded(void) {
  const char *path = in_folder("slow");
  size_t written = 0, more = 0;
  reset_script();
  set_gate(true);
  pop3_file *file = open_path(path, true);
  report(
      pop3_file_write(file, big, sizeof big, &written, &failure) == POP3_E_OK &&
          written == POP3_FILE_PIECE,
      "a write to a slow disk returns");
  pop3_interest want = pop3_file_interest(file);
  report(pop3_file_write(file, big + written, 5, &more, &failure) ==
                 POP3_E_AGAIN &&
             pop3_file_finish(file, &failure) == POP3_E_AGAIN && want.fd >= 0 &&
             want.readable && !want.writable,
         "the next has to wait for a descriptor that tells");
  set_gate(false);
  bool good = !write_all_of(file, big + written, sizeof big - written);
  wait_for(file);
  set_gate(true);
  report(good && pop3_file_finish(file, &failure) == POP3_E_AGAIN &&
             pop3_file_finish(file, &failure) == POP3_E_AGAIN &&
             pop3_file_write(file, "x", 1, &more, &failure) == POP3_E_STATE,
         "an fsync is waited for in the same way");
  set_gate(false);
  good = !finish(file);
  pop3_file_release(file);
  report(good && holds(path, big, sizeof big), "and all is there");
  (void)unlink(path);
}

static void test_threaded_failures(void) {
  const char *path = in_folder("slow");
  size_t written;
  reset_script();
  pop3_file *file = open_path(path, true);
  set_script(&script.write_error, EDQUOT);
  bool taken = !pop3_file_write(file, "x", 1, &written, &failure);
  wait_for(file);
  report(taken &&
             pop3_file_write(file, "x", 1, &written, &failure) == POP3_E_IO &&
             says(EDQUOT, path, "quota") && !exists(path),
         "a thread's error is told by the next write");
  pop3_file_release(file);

  file = open_path(path, true);
  (void)pop3_file_write(file, "x", 1, &written, &failure);
  report(
      finish(file) == POP3_E_IO && says(EDQUOT, path, "quota") && !exists(path),
      "or by finish");
  pop3_file_release(file);

  set_script(&script.write_error, 0);
  set_script(&script.sync_error, EIO);
  file = open_path(path, true);
  (void)write_all_of(file, "x", 1);
  report(finish(file) == POP3_E_IO && says(EIO, "durable", "disk") &&
             !exists(path),
         "which tells of a failed fsync as well");
  pop3_file_release(file);
}

static void test_threaded_abandon(void) {
  const char *path = in_folder("slow");
  size_t written;
  (void)threads_end();
  int descriptors = entries("/proc/self/fd");
  reset_script();
  set_gate(true);
  pop3_file *file = open_path(path, true);
  (void)pop3_file_write(file, big, sizeof big, &written, &failure);
  wait_until_at_gate();
  pop3_file_release(file);
  report(!exists(path), "what is given up during a write is gone at once");
  set_gate(false);
  report(threads_end() && entries("/proc/self/fd") == descriptors,
         "and its descriptors with the write");

  file = open_path(path, true);
  (void)write_all_of(file, "x", 1);
  wait_for(file);
  set_gate(true);
  (void)pop3_file_finish(file, &failure);
  wait_until_at_gate();
  pop3_file_release(file);
  report(!exists(path), "the same during an fsync");
  set_gate(false);
  report(threads_end() && entries("/proc/self/fd") == descriptors,
         "nothing is left of that either");

  file = open_path(path, true);
  pop3_file_release(file);
  report(
      !exists(path) && threads_end() && entries("/proc/self/fd") == descriptors,
      "nor before the first write");
}

/* A number that the caller closed may be another file's by now. */
static void test_threaded_closed(void) {
  const char *path = in_folder("first"), *other = in_folder("second");
  int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  size_t written;
  reset_script();
  set_gate(true);
  pop3_file *file = use_fd(fd, true);
  (void)pop3_file_write(file, "mail", 4, &written, &failure);
  wait_until_at_gate();
  (void)close(fd);
  int reused = open(other, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  pop3_file_release(file);
  set_gate(false);
  report(threads_end() && reused == fd && holds(other, "", 0) &&
             holds(path, "mail", 4),
         "a thread never writes to a descriptor that was closed");
  (void)close(reused);
  (void)unlink(path);
  (void)unlink(other);
}

static void test_thread_shortage(void) {
  const char *path = in_folder("slow");
  struct rlimit before, none;
  size_t written = 77;
  if (getrlimit(RLIMIT_NOFILE, &before)) abort();
  none = before;
  none.rlim_cur = 0;
  pop3_file *file = open_path(path, true);
  if (setrlimit(RLIMIT_NOFILE, &none)) abort();
  pop3_error error = pop3_file_write(file, "x", 1, &written, &failure);
  if (setrlimit(RLIMIT_NOFILE, &before)) abort();
  report(error == POP3_E_IO && says(EMFILE, "thread", "ulimit -n") &&
             written == 77 && !exists(path),
         "without a descriptor to wait on, a write fails and does not stall");
  pop3_file_release(file);
}

/* In a child: 0 when everything is as it should be. */
static int child_of_fork(pop3_file *slow, pop3_file *idle) {
  size_t written;
  if (pop3_file_write(slow, "x", 1, &written, &failure) != POP3_E_IO) return 1;
  if (!strstr(failure.text, "forked")) return 2;
  pop3_file_release(slow);
  pop3_file_release(idle);
  return exists(in_folder("slow")) && exists(in_folder("idle")) ? 0 : 3;
}

static void test_fork(void) {
  if (!can_fork()) return;
  size_t written;
  reset_script();
  set_gate(true);
  pop3_file *slow = open_path(in_folder("slow"), true);
  pop3_file *idle = open_path(in_folder("idle"), false);
  (void)pop3_file_write(slow, "mail", 4, &written, &failure);
  wait_until_at_gate();
  (void)fflush(stdout);
  pid_t child = fork();
  if (child == 0) _exit(child_of_fork(slow, idle));
  report(status_of(child) == 0,
         "a forked child removes nothing of its parent's");
  set_gate(false);
  report(!finish(slow) && holds(in_folder("slow"), "mail", 4), "which goes on");
  pop3_file_release(slow);
  pop3_file_release(idle);
  (void)unlink(in_folder("slow"));
}

/* --- memory -------------------------------------------------------------- */

static void *refuse(void *state, void *block, size_t old, size_t size) {
  (void)state, (void)block, (void)old, (void)size;
  return NULL;
}

static void test_memory(void) {
  static const pop3_allocator none = {refuse, NULL};
  pop3_file *file = NULL;
  report(
      pop3_file_open_path(&none, in_folder("new"), false, &file, &failure) ==
              POP3_E_MEMORY &&
          pop3_file_use_fd(&none, 1, false, &file, &failure) == POP3_E_MEMORY &&
          !file && !exists(in_folder("new")),
      "without memory nothing is made");
}

int main(void) {
  open_world();
  test_path(false, "a message is written to a new file");
  test_path(true, "by threads, too");
  test_existing();
  test_refusals();
  test_abandon();
  test_search_only();
  test_chdir();
  test_failures();
  test_size_limit(false, "a limit on file sizes is an error, not a signal");
  test_size_limit(true, "in a thread, too");
  test_threaded();
  test_threaded_failures();
  test_threaded_abandon();
  test_threaded_closed();
  test_thread_shortage();
  test_fork();
  test_memory();
  return close_world();
}
