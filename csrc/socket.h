/*
 * socket.h - the system calls of a stream socket: non-blocking, close-on-exec,
 * without Nagle's delay, without SIGPIPE, EINTR never seen by the caller.
 */
#ifndef POP3_SOCKET_H
#define POP3_SOCKET_H

#include <stdbool.h>
#include <stddef.h>

#include "errors.h"

#pragma GCC visibility push(hidden)

struct addrinfo;
struct sockaddr;

/*
 * Start to connect to `address`, from `local` if that has octets. POP3_E_OK: connected; AGAIN: under way, wait
 * until *fd is writable and ask pop3_socket_finish; IO: *system is errno and
 * there is no descriptor.
 */
pop3_error pop3_socket_connect(const struct addrinfo *address,
                               const struct sockaddr *local, size_t size,
                               int *fd, int *system);

/* How the attempt ended: OK, AGAIN, or IO with *system. Is the peer this host?
 * The address decides, never the name. */
pop3_error pop3_socket_finish(int fd, bool *loopback, int *system);

/* Move what can be moved now. AGAIN; EOF (receive only); IO. */
pop3_error pop3_socket_receive(int fd, char *octets, size_t room, size_t *got,
                               int *system);
pop3_error pop3_socket_send(int fd, const char *octets, size_t size,
                            size_t *sent, int *system);

void pop3_socket_close(int fd);

/* Have the system ask a silent peer whether it is there, after so many seconds,
 * or as it likes for 0. */
void pop3_socket_keep_alive(int fd, unsigned seconds);

/* Is that a numeric address of this host? */
bool pop3_socket_is_loopback(const char *address);

/* The peer's numeric address, "" if there is none: a path is no address. */
void pop3_socket_peer(int fd, char *address, size_t room);

#pragma GCC visibility pop

#endif
