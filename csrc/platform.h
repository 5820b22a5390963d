/*
 * platform.h - what systems do differently: Linux, macOS, the BSDs, Windows.
 * platform.c is for the first three, platform_windows.c for the last; no other
 * file asks which system this is. (lua_compat.h does the same for Lua.)
 *
 * Unless said otherwise functions return -1 or errno's value on failure, as
 * the system call of that name would; on Windows, too, where the errors of
 * Winsock and of files become the errno that a POSIX system would give. EINTR
 * is never seen by the caller, no descriptor is inherited by a program that
 * somebody starts, and no signal is raised.
 *
 * Descriptors are ints. On Windows those of sockets are SOCKETs, which are
 * handles and fit (only their lower 32 bits are used, by Microsoft's promise),
 * and those of files are the C library's, as in Lua's io library: the two are
 * different things there.
 */
#ifndef POP3_PLATFORM_H
#define POP3_PLATFORM_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#define WIN32_LEAN_AND_MEAN
#define NOMINMAX
#include <winsock2.h>
#include <ws2tcpip.h>
#else
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#endif

#if defined(_WIN32)
/* What its C library has no name for keeps Winsock's number. */
#define EDQUOT WSAEDQUOT
#define ESTALE WSAESTALE
#define EHOSTDOWN WSAEHOSTDOWN

#define POP3_OS_LIST_SEPARATOR ';' /* of folders in one text, as OpenSSL's */
typedef SOCKET pop3_os_fd;         /* in a struct pollfd */
#else
#define POP3_OS_LIST_SEPARATOR ':'
typedef int pop3_os_fd;
#endif

#pragma GCC visibility push(hidden)

/* errno's text, a sentence without an end; static, or the thread's until it
 * asks again. */
const char *pop3_os_text(int number);

/* --- sockets ------------------------------------------------------------- */

/* Before anything of the network is used; as often as one likes. */
void pop3_os_begin(void);

/* A stream socket: non-blocking, without Nagle's delay. -1. */
int pop3_os_socket(int family, int protocol);

/* As bind. */
int pop3_os_bind(int fd, const struct sockaddr *address, socklen_t size);

/* Probes after so many seconds without an octet, and as often again if nobody
 * answers; 0: when the system does that. What it cannot do is left out. */
void pop3_os_keep_alive(int fd, unsigned seconds);

/* The address of a socket in the file system, and its octets. 0, with errno. */
socklen_t pop3_os_path_address(const char *path,
                               struct sockaddr_storage *address);

/* 0, or -1 with EINPROGRESS while it is under way. */
int pop3_os_connect(int fd, const struct sockaddr *address, socklen_t size);

/* The error that ended an attempt to connect, 0 for none. */
int pop3_os_connect_error(int fd);

/* As getpeername. */
int pop3_os_peer(int fd, struct sockaddr *address, socklen_t *size);

/* As recv and send; -1 with EAGAIN if nothing can be moved now. */
ptrdiff_t pop3_os_receive(int fd, char *octets, size_t room);
ptrdiff_t pop3_os_send(int fd, const char *octets, size_t size);

void pop3_os_close_socket(int fd);

/* As poll, but that a signal ends it: EINTR is seen here. On Windows only of
 * sockets. */
int pop3_os_poll(struct pollfd *fds, size_t count, int milliseconds);

/* What getaddrinfo's answer means. */
typedef enum pop3_os_answer {
  POP3_OS_NOT_FOUND, /* there is no such name, or it has no address */
  POP3_OS_TRY_AGAIN,
  POP3_OS_NO_MEMORY,
  POP3_OS_SYSTEM, /* errno says why */
  POP3_OS_OTHER
} pop3_os_answer;
pop3_os_answer pop3_os_answer_of(int code);

/* --- threads ------------------------------------------------------------- */

/*
 * A descriptor that one thread polls and another makes readable, for good.
 * ends[0] is polled, ends[1] signalled; they may be the same. False, with
 * errno.
 */
bool pop3_os_open_wake(int ends[2]);
void pop3_os_wake(int end);
void pop3_os_close_wake(int ends[2]); /* -1 from then on */

/* The code around `inside` stays in memory until the process ends, whoever
 * unloads it. `inside` is an object in static memory. */
bool pop3_os_pin(const void *inside);

/* A library of the system's by its name, loaded for good; NULL: there is none.
 * And a function in it, as a pointer to be copied; NULL likewise. */
void *pop3_os_library(const char *name);
void *pop3_os_function(void *library, const char *name);

/* As pthread_atfork; 0 where no process forks. */
int pop3_os_at_fork(void (*before)(void), void (*parent)(void),
                    void (*child)(void));

#if defined(_WIN32)
typedef int pop3_os_signals;
#else
typedef struct pop3_os_signals {
  sigset_t mask;    /* of this thread, before */
  sigset_t pending; /* before */
} pop3_os_signals;
#endif

/* A thread that is started in between takes no signal. errno's value. */
int pop3_os_block_signals(pop3_os_signals *before);
void pop3_os_restore_signals(const pop3_os_signals *before);

/* --- sinks: files, pipes, and sockets of the caller's --------------------- */

typedef enum pop3_os_kind {
  POP3_OS_DISK,   /* a write waits for the disk only */
  POP3_OS_STREAM, /* a pipe, a terminal */
  POP3_OS_SOCKET
} pop3_os_kind;

/* Which file it is, whatever its name. */
typedef struct pop3_os_identity {
  uint64_t device;
  uint64_t file;
} pop3_os_identity;

/*
 * write(2), or for a socket a send(2) that does not wait. The SIGPIPE of a
 * reader that left (EPIPE) and the SIGXFSZ of a file size limit (EFBIG), whose
 * default is to kill the host, stay in this call: they are blocked in the
 * calling thread and taken back, unless one was pending before. Dispositions
 * belong to the host and are left alone. errno's value.
 */
int pop3_os_write(int fd, bool is_socket, const char *octets, size_t size,
                  size_t *written);

/* Is it open for writing, and what? errno's value. */
int pop3_os_inspect(int fd, pop3_os_kind *kind);

/* Does poll(2) say that a write would find room, or an error? Never waits.
 * Windows cannot tell, and says yes. */
bool pop3_os_is_writable(int fd);

/* A write to this descriptor never waits (O_NONBLOCK). */
bool pop3_os_is_nonblocking(int fd);

/* The same open file once more. -1. */
int pop3_os_duplicate(int fd);

/* Where in `path` the last name begins; before it there is the folder, with
 * its separator, or nothing. */
size_t pop3_os_base(const char *path);

/*
 * A folder, for the functions below. -1. One that may be searched but not read
 * is enough, and neither chdir nor its being renamed confuses it.
 */
int pop3_os_open_folder(const char *path);

/* A new file in it, for writing, mode 0600 less the umask (on Windows with what
 * the folder hands down). EEXIST if there is anything of that name, be it a link
 * to nowhere. -1. */
int pop3_os_create(int folder, const char *name, pop3_os_identity *identity);

/* Remove the name if it is still that file's. */
void pop3_os_remove(int folder, const char *name,
                    const pop3_os_identity *identity);

/* What was written is on the disk. errno's value. */
int pop3_os_sync(int fd);

/* The names in it are on the disk. 0 where a folder cannot be synced: because
 * it may not be read, or because its file system does that by itself. */
int pop3_os_sync_folder(int fd);

/* Network file systems tell only here that there is no room. errno's value;
 * closed it is in any case. */
int pop3_os_close(int fd);

/*
 * Open a file to append to, by one write at a time, or make it with mode 0600.
 * A link, another user's file and what is no file are refused: secrets go in.
 * (On Windows whose it is depends on its folder.) -1.
 */
int pop3_os_append(const char *path);

/* This process's number: a forked child has another one. */
long pop3_os_process(void);

/* --- trust --------------------------------------------------------------- */

/* Hand each certificate that the system trusts to `take`, in DER. None where
 * they lie in files that OpenSSL finds. */
typedef void pop3_os_take_root(void *state, const unsigned char *der,
                               size_t size);
void pop3_os_each_root(pop3_os_take_root *take, void *state);

/* --- secrets ------------------------------------------------------------- */

/* A file to be read, of any kind. -1. */
int pop3_os_open(const char *path);

/* As read, but that it waits, also for a descriptor that is non-blocking. */
ptrdiff_t pop3_os_read(int fd, char *octets, size_t room);

/* A command of the shell's, whose standard output is read from `output`. */
typedef struct pop3_os_command {
  int output;
  long long child;
} pop3_os_command;

/* errno's value. */
int pop3_os_start(const char *text, pop3_os_command *command);

/*
 * Close its output and wait for its end: the exit status, or -1 if nobody can
 * tell. *signal is the signal that ended it, or 0.
 */
int pop3_os_finish(pop3_os_command *command, int *signal);

#pragma GCC visibility pop

#endif
