/*
 * on_windows.h - what the C tests use of POSIX and mingw-w64 has not: included
 * before each of them by the Windows lane (cc -include).
 */
#include <direct.h>
#include <io.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utime.h>
#include <time.h>
#include <winsock2.h>
/* behind winsock2.h */
#include <windows.h>

#define mkdir(path, mode) _mkdir(path)

static inline int setenv(const char *name, const char *value, int replace) {
  (void)replace;
  return _putenv_s(name, value);
}

static inline int unsetenv(const char *name) { return _putenv_s(name, ""); }

static inline char *mkdtemp(char *folder) {
  return _mktemp(folder) && _mkdir(folder) == 0 ? folder : NULL;
}

/* A folder's times, the same for both, whole seconds. */
#define AT_FDCWD 0
static inline int utimensat(int at, const char *path,
                            const struct timespec times[2], int flags) {
  ULARGE_INTEGER t = {.QuadPart = ((ULONGLONG)times[1].tv_sec + 11644473600) *
                                  10000000};
  FILETIME written = {t.LowPart, t.HighPart};
  HANDLE h = CreateFileA(path, FILE_WRITE_ATTRIBUTES, 7, NULL, OPEN_EXISTING,
                         FILE_FLAG_BACKUP_SEMANTICS, NULL);
  (void)at, (void)flags;
  BOOL done = SetFileTime(h, NULL, NULL, &written);
  (void)CloseHandle(h);
  return done ? 0 : -1;
}

/* A time() that a test defines is everybody's, the libraries' as well: they call
 * the C library's through this pointer. */
time_t scripted_time(time_t *out);
#define time(out) scripted_time(out)
#define SCRIPTED_TIME time_t (*__imp__time64)(time_t *) = scripted_time;
