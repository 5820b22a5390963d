/* STUB */
#ifndef POP3_FILE_H
#define POP3_FILE_H
#include "conn.h"
typedef struct pop3_file {
  int fd;
  bool own;
  char *path;
} pop3_file;
pop3_error pop3_file_open_path(const char *path, bool threaded,
                               pop3_file **file, pop3_failure *failure);
pop3_error pop3_file_use_fd(int fd, bool threaded, pop3_file **file,
                            pop3_failure *failure);
pop3_error pop3_file_write(pop3_file *f, const char *o, size_t n,
                           size_t *written, pop3_failure *failure);
pop3_error pop3_file_finish(pop3_file *f, pop3_failure *failure);
void pop3_file_interest(pop3_file *f, pop3_interest *interest);
void pop3_file_abandon(pop3_file *f);
#endif
