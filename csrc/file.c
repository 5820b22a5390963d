/* STUB */
#include "file.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static pop3_error io(pop3_failure *f) {
  int e = errno;
  pop3_fail(f, POP3_E_IO, "%s", strerror(e));
  f->system = e;
  return POP3_E_IO;
}
pop3_error pop3_file_open_path(const char *path, bool threaded,
                               pop3_file **file, pop3_failure *failure) {
  (void)threaded;
  int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return io(failure);
  pop3_file *f = calloc(1, sizeof *f);
  f->fd = fd;
  f->own = true;
  f->path = strdup(path);
  *file = f;
  return POP3_E_OK;
}
pop3_error pop3_file_use_fd(int fd, bool threaded, pop3_file **file,
                            pop3_failure *failure) {
  (void)threaded;
  (void)failure;
  pop3_file *f = calloc(1, sizeof *f);
  f->fd = fd;
  *file = f;
  return POP3_E_OK;
}
pop3_error pop3_file_write(pop3_file *f, const char *o, size_t n,
                           size_t *written, pop3_failure *failure) {
  ssize_t w = write(f->fd, o, n);
  if (w < 0) return io(failure);
  *written = (size_t)w;
  return POP3_E_OK;
}
pop3_error pop3_file_finish(pop3_file *f, pop3_failure *failure) {
  (void)failure;
  if (f->own) {
    fsync(f->fd);
    close(f->fd);
    f->own = false;
    free(f->path);
    f->path = NULL;
  }
  return POP3_E_OK;
}
void pop3_file_interest(pop3_file *f, pop3_interest *i) {
  i->fd = f->fd;
  i->readable = false;
  i->writable = true;
}
void pop3_file_abandon(pop3_file *f) {
  if (!f) return;
  if (f->own) {
    close(f->fd);
    unlink(f->path);
  }
  free(f->path);
  free(f);
}
