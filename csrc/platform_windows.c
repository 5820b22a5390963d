/*
 * platform_windows.c - see platform.h: Windows, by mingw-w64, whose library of
 * threads brings pthread.h and clock_gettime.
 */
#include "platform.h"

#if defined(_WIN32)

#include <errno.h>
#include <fcntl.h>
#include <io.h>
#include <limits.h>
#include <process.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <windows.h>
/* behind windows.h */
#include <mstcpip.h>
#include <wincrypt.h>

/* A macro of wincrypt.h, a type of OpenSSL's, should they ever meet. */
#undef X509_NAME

/* --- errors -------------------------------------------------------------- */

/* Winsock's errors and the system's are numbers of one space. */
static const struct {
  DWORD code;
  int number;
} numbers[] = {
    {WSAEWOULDBLOCK, EAGAIN},
    {WSAEINPROGRESS, EINPROGRESS},
    {WSAEINVAL, EINVAL},
    {WSAEBADF, EBADF},
    {WSAENOTSOCK, EBADF},
    {WSAEACCES, EACCES},
    {WSAEMFILE, EMFILE},
    {WSAENOBUFS, ENOBUFS},
    {WSAECONNREFUSED, ECONNREFUSED},
    {WSAECONNRESET, ECONNRESET},
    {WSAECONNABORTED, ECONNABORTED},
    {WSAENETRESET, ECONNRESET},
    {WSAESHUTDOWN, EPIPE},
    {WSAENOTCONN, ENOTCONN},
    {WSAETIMEDOUT, ETIMEDOUT},
    {WSAEHOSTUNREACH, EHOSTUNREACH},
    {WSAEHOSTDOWN, EHOSTDOWN},
    {WSAENETUNREACH, ENETUNREACH},
    {WSAENETDOWN, ENETDOWN},
    {WSAEADDRNOTAVAIL, EADDRNOTAVAIL},
    {WSAEAFNOSUPPORT, EAFNOSUPPORT},
    {WSA_NOT_ENOUGH_MEMORY, ENOMEM},
    {ERROR_FILE_NOT_FOUND, ENOENT},
    {ERROR_PATH_NOT_FOUND, ENOENT},
    {ERROR_BAD_NETPATH, ENOENT},
    {ERROR_INVALID_NAME, ENOENT},
    {ERROR_INVALID_DRIVE, ENOENT},
    {ERROR_DIRECTORY, ENOTDIR},
    {ERROR_ACCESS_DENIED, EACCES},
    {ERROR_SHARING_VIOLATION, EACCES},
    {ERROR_WRITE_PROTECT, EROFS},
    {ERROR_FILE_EXISTS, EEXIST},
    {ERROR_ALREADY_EXISTS, EEXIST},
    {ERROR_FILENAME_EXCED_RANGE, ENAMETOOLONG},
    {ERROR_TOO_MANY_OPEN_FILES, EMFILE},
    {ERROR_INVALID_HANDLE, EBADF},
    {ERROR_DISK_FULL, ENOSPC},
    {ERROR_HANDLE_DISK_FULL, ENOSPC},
    {ERROR_BROKEN_PIPE, EPIPE},
    {ERROR_NO_DATA, EPIPE},
    {ERROR_OUTOFMEMORY, ENOMEM},
};

static int number_of(DWORD code) {
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
    if (numbers[i].code == code) return numbers[i].number;
  return EIO;
}

/* -1, with errno. */
static int fail_as(DWORD code) {
  errno = number_of(code);
  return -1;
}

static int fail_last(void) { return fail_as(GetLastError()); }

static int fail_socket(void) { return fail_as((DWORD)WSAGetLastError()); }

/* What the C library has no text for. */
static const struct {
  int number;
  const char *text;
} texts[] = {
    {EINPROGRESS, "Operation now in progress"},
    {ECONNREFUSED, "Connection refused"},
    {ECONNRESET, "Connection reset by peer"},
    {ECONNABORTED, "Software caused connection abort"},
    {ENOTCONN, "Socket is not connected"},
    {ETIMEDOUT, "Connection timed out"},
    {EHOSTUNREACH, "No route to host"},
    {EHOSTDOWN, "Host is down"},
    {ENETUNREACH, "Network is unreachable"},
    {ENETDOWN, "Network is down"},
    {EADDRNOTAVAIL, "Address not available"},
    {EAFNOSUPPORT, "Address family not supported"},
    {ENOBUFS, "No buffer space available"},
    {ECANCELED, "Operation canceled"},
    {ENOTSUP, "Operation not supported"},
};

const char *pop3_os_text(int number) {
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
    if (texts[i].number == number) return texts[i].text;
  return strerror(number);
}

/* --- sockets ------------------------------------------------------------- */

static void begin_once(void) {
  WSADATA ignored;
  (void)WSAStartup(MAKEWORD(2, 2), &ignored);
}

void pop3_os_begin(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  (void)pthread_once(&once, begin_once);
}

static SOCKET open_socket(int family, int type, int protocol) {
  u_long on = 1;
  pop3_os_begin();
  SOCKET s = WSASocketW(family, type, protocol, NULL, 0,
                        WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
  if (s != INVALID_SOCKET) (void)ioctlsocket(s, (long)FIONBIO, &on);
  return s;
}

int pop3_os_socket(int family, int protocol) {
  const char on[sizeof(BOOL)] = {1};
  SOCKET s = open_socket(family, SOCK_STREAM, protocol);
  if (s == INVALID_SOCKET) return fail_socket();
  /* Commands are small and answered: nothing is gained by collecting them. */
  (void)setsockopt(s, IPPROTO_TCP, TCP_NODELAY, on, sizeof on);
  return (int)s;
}

int pop3_os_bind(int fd, const struct sockaddr *address, socklen_t size) {
  return bind((SOCKET)fd, address, size) == 0 ? 0 : fail_socket();
}

void pop3_os_keep_alive(int fd, unsigned seconds) {
  const char on[sizeof(BOOL)] = {1};
  struct tcp_keepalive times = {1, seconds * 1000, seconds * 1000};
  DWORD ignored;
  (void)setsockopt((SOCKET)fd, SOL_SOCKET, SO_KEEPALIVE, on, sizeof on);
  if (seconds > 0)
    (void)WSAIoctl((SOCKET)fd, SIO_KEEPALIVE_VALS, &times, sizeof times, NULL,
                   0, &ignored, NULL, NULL);
}

/* Since Windows 10; afunix.h is not in every mingw-w64. */
typedef struct path_address {
  ADDRESS_FAMILY family;
  char path[108];
} path_address;

socklen_t pop3_os_path_address(const char *path,
                               struct sockaddr_storage *address) {
  path_address un = {AF_UNIX, ""};
  size_t size = strlen(path) + 1;
  if (size > sizeof un.path) {
    errno = ENAMETOOLONG;
    return 0;
  }
  memcpy(un.path, path, size);
  memcpy(address, &un, sizeof un);
  return (socklen_t)sizeof un;
}

int pop3_os_connect(int fd, const struct sockaddr *address, socklen_t size) {
  if (connect((SOCKET)fd, address, size) == 0) return 0;
  if (WSAGetLastError() != WSAEWOULDBLOCK) return fail_socket();
  errno = EINPROGRESS;
  return -1;
}

int pop3_os_connect_error(int fd) {
  int error = 0;
  socklen_t size = sizeof error;
  if (getsockopt((SOCKET)fd, SOL_SOCKET, SO_ERROR, (char *)&error, &size) != 0)
    error = WSAGetLastError();
  return error ? number_of((DWORD)error) : 0;
}

int pop3_os_peer(int fd, struct sockaddr *address, socklen_t *size) {
  return getpeername((SOCKET)fd, address, size) == 0 ? 0 : fail_socket();
}

static int in_an_int(size_t size) {
  return size < INT_MAX ? (int)size : INT_MAX;
}

ptrdiff_t pop3_os_receive(int fd, char *octets, size_t room) {
  int n = recv((SOCKET)fd, octets, in_an_int(room), 0);
  return n >= 0 ? n : fail_socket();
}

ptrdiff_t pop3_os_send(int fd, const char *octets, size_t size) {
  int n = send((SOCKET)fd, octets, in_an_int(size), 0);
  return n >= 0 ? n : fail_socket();
}

void pop3_os_close_socket(int fd) { (void)closesocket((SOCKET)fd); }

/* Sockets that were closed: POSIX reports them, and a loop has to hear it. */
static int find_closed(struct pollfd *fds, size_t count) {
  int type, found = 0;
  for (size_t i = 0; i < count; i++) {
    socklen_t size = sizeof type;
    bool is_open =
        getsockopt(fds[i].fd, SOL_SOCKET, SO_TYPE, (char *)&type, &size) == 0;
    fds[i].revents = is_open ? 0 : POLLNVAL;
    found += !is_open;
  }
  return found;
}

/* Before Windows 10 2004 WSAPoll does not tell that an attempt to connect has
 * failed: there the deadline ends it. */
int pop3_os_poll(struct pollfd *fds, size_t count, int milliseconds) {
  if (count == 0) {
    Sleep(milliseconds < 0 ? INFINITE : (DWORD)milliseconds);
    return 0;
  }
  int n = WSAPoll(fds, (ULONG)count, milliseconds);
  if (n >= 0) return n;
  int error = fail_socket();
  int closed = find_closed(fds, count);
  return closed > 0 ? closed : error;
}

static const struct {
  int code;
  pop3_os_answer answer;
} answers[] = {
    {WSAHOST_NOT_FOUND, POP3_OS_NOT_FOUND},
    {WSANO_DATA, POP3_OS_NOT_FOUND},
    {WSATRY_AGAIN, POP3_OS_TRY_AGAIN},
    {EAI_MEMORY, POP3_OS_NO_MEMORY},
};

pop3_os_answer pop3_os_answer_of(int code) {
  for (size_t i = 0; i < sizeof answers / sizeof *answers; i++)
    if (answers[i].code == code) return answers[i].answer;
  return POP3_OS_OTHER;
}

/* --- threads ------------------------------------------------------------- */

/* Connected to itself, so nobody else's octets arrive. */
static bool connect_to_itself(SOCKET s) {
  const char on[sizeof(BOOL)] = {1};
  struct sockaddr_in self = {.sin_family = AF_INET};
  struct sockaddr *address = (struct sockaddr *)&self;
  socklen_t size = sizeof self;
  self.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  (void)setsockopt(s, SOL_SOCKET, SO_EXCLUSIVEADDRUSE, on, sizeof on);
  return bind(s, address, size) == 0 && getsockname(s, address, &size) == 0 &&
         connect(s, address, size) == 0;
}

/* WSAPoll knows sockets only: one that sends itself a datagram. */
bool pop3_os_open_wake(int ends[2]) {
  SOCKET s = open_socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP);
  ends[0] = ends[1] = -1;
  if (s == INVALID_SOCKET || !connect_to_itself(s)) {
    (void)fail_socket();
    if (s != INVALID_SOCKET) (void)closesocket(s);
    return false;
  }
  ends[0] = ends[1] = (int)s;
  return true;
}

void pop3_os_wake(int end) {
  if (end >= 0) (void)send((SOCKET)end, "", 1, 0);
}

void pop3_os_close_wake(int ends[2]) {
  if (ends[0] >= 0) (void)closesocket((SOCKET)ends[0]);
  ends[0] = ends[1] = -1;
}

bool pop3_os_pin(const void *inside) {
  HMODULE module;
  return GetModuleHandleExA(GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS |
                                GET_MODULE_HANDLE_EX_FLAG_PIN,
                            inside, &module) != 0;
}

/* Nothing here asks for one. */
void *pop3_os_library(const char *name) {
  (void)name;
  return NULL;
}

void *pop3_os_function(void *library, const char *name) {
  (void)library;
  (void)name;
  return NULL;
}

int pop3_os_at_fork(void (*before)(void), void (*parent)(void),
                    void (*child)(void)) {
  (void)before;
  (void)parent;
  (void)child;
  return 0;
}

int pop3_os_block_signals(pop3_os_signals *before) {
  *before = 0;
  return 0;
}

void pop3_os_restore_signals(const pop3_os_signals *before) { (void)before; }

/* --- sinks --------------------------------------------------------------- */

/* By the C library, which knows of descriptors that append, but octets as they
 * are. A reader that left is EINVAL to it. */
int pop3_os_write(int fd, bool is_socket, const char *octets, size_t size,
                  size_t *written) {
  (void)is_socket;
  int mode = _setmode(fd, _O_BINARY);
  if (mode < 0) return errno;
  int n = _write(fd, octets, (unsigned)in_an_int(size));
  int error = n < 0 ? errno : 0;
  if (error == EINVAL) error = number_of(GetLastError());
  if (mode != _O_BINARY) (void)_setmode(fd, mode);
  if (error) return error;
  if (n == 0 && size > 0) return ENOSPC; /* what it says of a full disk */
  *written = (size_t)n;
  return 0;
}

static HANDLE handle_of(int fd) { return (HANDLE)_get_osfhandle(fd); }

int pop3_os_inspect(int fd, pop3_os_kind *kind) {
  HANDLE handle = handle_of(fd);
  DWORD nothing, type;
  if (handle == INVALID_HANDLE_VALUE) return EBADF;
  type = GetFileType(handle);
  if (type == FILE_TYPE_UNKNOWN) return EBADF;
  *kind = type == FILE_TYPE_DISK ? POP3_OS_DISK : POP3_OS_STREAM;
  if (type != FILE_TYPE_DISK) return 0;
  return WriteFile(handle, "", 0, &nothing, NULL) ? 0 : EBADF;
}

bool pop3_os_is_writable(int fd) {
  (void)fd;
  return true;
}

bool pop3_os_is_nonblocking(int fd) {
  (void)fd;
  return false;
}

int pop3_os_duplicate(int fd) {
  int copy = _dup(fd);
  if (copy < 0) return copy;
  (void)SetHandleInformation(handle_of(copy), HANDLE_FLAG_INHERIT, 0);
  (void)_setmode(copy, _O_BINARY);
  return copy;
}

/* --- the disk ------------------------------------------------------------ */

#define SHARED (FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE)

/* A descriptor for a handle, which is closed if there is none. -1. */
static int describe(HANDLE handle, int flags) {
  if (handle == INVALID_HANDLE_VALUE) return fail_last();
  int fd = _open_osfhandle((intptr_t)handle, flags | _O_BINARY | _O_NOINHERIT);
  if (fd >= 0) return fd;
  (void)CloseHandle(handle);
  errno = EMFILE;
  return -1;
}

static bool is_folder(HANDLE handle) {
  BY_HANDLE_FILE_INFORMATION found;
  return GetFileInformationByHandle(handle, &found) &&
         (found.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY);
}

int pop3_os_open_folder(const char *path) {
  HANDLE handle = CreateFileA(path, FILE_READ_ATTRIBUTES, SHARED, NULL,
                              OPEN_EXISTING, FILE_FLAG_BACKUP_SEMANTICS, NULL);
  if (handle != INVALID_HANDLE_VALUE && !is_folder(handle)) {
    (void)CloseHandle(handle);
    errno = ENOTDIR;
    return -1;
  }
  return describe(handle, _O_RDONLY);
}

size_t pop3_os_base(const char *path) {
  size_t size = strlen(path);
  while (size > 0 && strchr("/\\:", path[size - 1]) == NULL) size--;
  return size;
}

/* There is no openat: the folder's path, whatever it is now, and the name. The
 * path has a prefix that keeps names like NUL from being devices. */
#define MOST_PATH 4096
static bool join(int folder, const char *name, char path[MOST_PATH]) {
  DWORD size = GetFinalPathNameByHandleA(handle_of(folder), path, MOST_PATH,
                                         FILE_NAME_NORMALIZED);
  if (size == 0) return false;
  if (size + strlen(name) + 2 > MOST_PATH) {
    SetLastError(ERROR_FILENAME_EXCED_RANGE);
    return false;
  }
  path[size] = '\\';
  memcpy(path + size + 1, name, strlen(name) + 1);
  return true;
}

static bool identify(HANDLE handle, pop3_os_identity *identity) {
  BY_HANDLE_FILE_INFORMATION found;
  if (!GetFileInformationByHandle(handle, &found)) return false;
  identity->device = found.dwVolumeSerialNumber;
  identity->file = (uint64_t)found.nFileIndexHigh << 32 | found.nFileIndexLow;
  return true;
}

/* Who may read it is what the folder hands down. */
int pop3_os_create(int folder, const char *name, pop3_os_identity *identity) {
  char path[MOST_PATH];
  if (!join(folder, name, path)) return fail_last();
  HANDLE handle = CreateFileA(
      path, GENERIC_WRITE, FILE_SHARE_READ | FILE_SHARE_DELETE, NULL,
      CREATE_NEW, FILE_ATTRIBUTE_NORMAL | FILE_FLAG_OPEN_REPARSE_POINT, NULL);
  if (handle == INVALID_HANDLE_VALUE || identify(handle, identity))
    return describe(handle, _O_WRONLY);
  (void)fail_last();
  (void)CloseHandle(handle);
  (void)DeleteFileA(path);
  return -1;
}

void pop3_os_remove(int folder, const char *name,
                    const pop3_os_identity *identity) {
  char path[MOST_PATH];
  pop3_os_identity found;
  FILE_DISPOSITION_INFO gone = {TRUE};
  if (!join(folder, name, path)) return;
  HANDLE handle =
      CreateFileA(path, DELETE | FILE_READ_ATTRIBUTES, SHARED, NULL,
                  OPEN_EXISTING, FILE_FLAG_OPEN_REPARSE_POINT, NULL);
  if (handle == INVALID_HANDLE_VALUE) return;
  if (identify(handle, &found) && found.device == identity->device &&
      found.file == identity->file)
    (void)SetFileInformationByHandle(handle, FileDispositionInfo, &gone,
                                     sizeof gone);
  (void)CloseHandle(handle);
}

int pop3_os_sync(int fd) { return _commit(fd) == 0 ? 0 : errno; }

/* NTFS journals names by itself. */
int pop3_os_sync_folder(int fd) {
  (void)fd;
  return 0;
}

int pop3_os_close(int fd) { return _close(fd) == 0 ? 0 : errno; }

int pop3_os_append(const char *path) {
  return _open(path,
               _O_WRONLY | _O_APPEND | _O_CREAT | _O_BINARY | _O_NOINHERIT,
               _S_IREAD | _S_IWRITE);
}

long pop3_os_process(void) { return (long)GetCurrentProcessId(); }

/* --- trust --------------------------------------------------------------- */

void pop3_os_each_root(pop3_os_take_root *take, void *state) {
  HCERTSTORE store = CertOpenSystemStoreA(0, "ROOT");
  const CERT_CONTEXT *root = NULL;
  if (store == NULL) return;
  while ((root = CertEnumCertificatesInStore(store, root)) != NULL)
    take(state, root->pbCertEncoded, root->cbCertEncoded);
  (void)CertCloseStore(store, 0);
}

/* --- secrets ------------------------------------------------------------- */

int pop3_os_open(const char *path) {
  return _open(path, _O_RDONLY | _O_BINARY | _O_NOINHERIT);
}

ptrdiff_t pop3_os_read(int fd, char *octets, size_t room) {
  return _read(fd, octets, (unsigned)in_an_int(room));
}

int pop3_os_start(const char *text, pop3_os_command *command) {
  FILE *pipe = _popen(text, "rb");
  if (pipe == NULL) return errno != 0 ? errno : ENOMEM;
  command->output = _fileno(pipe);
  command->child = (long long)(intptr_t)pipe;
  return 0;
}

int pop3_os_finish(pop3_os_command *command, int *signal) {
  *signal = 0;
  return _pclose((FILE *)(intptr_t)command->child);
}

#endif
