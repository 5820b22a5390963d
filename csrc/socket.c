/*
 * socket.c - see socket.h.
 */
#define _GNU_SOURCE
#include "socket.h"

#include <errno.h>
#include <string.h>

#include "address.h"
#include "platform.h"

static pop3_error failed(int *system) {
  if (errno == EAGAIN || errno == EWOULDBLOCK) return POP3_E_AGAIN;
  *system = errno;
  return POP3_E_IO;
}

/* 0 when connected; -1 and errno. */
static int begin(int s, const struct addrinfo *address,
                 const struct sockaddr *local, size_t size) {
  if (size > 0 && pop3_os_bind(s, local, (socklen_t)size) != 0) return -1;
  return pop3_os_connect(s, address->ai_addr, (socklen_t)address->ai_addrlen);
}

pop3_error pop3_socket_connect(const struct addrinfo *address,
                               const struct sockaddr *local, size_t size,
                               int *fd, int *system) {
  int s = pop3_os_socket(address->ai_family, address->ai_protocol);
  if (s < 0) {
    *system = errno;
    return POP3_E_IO;
  }
  *fd = s;
  if (begin(s, address, local, size) == 0) return POP3_E_OK;
  if (errno == EINPROGRESS) return POP3_E_AGAIN;
  *system = errno;
  *fd = -1;
  pop3_os_close_socket(s);
  return POP3_E_IO;
}

typedef union peer {
  struct sockaddr any;
  struct sockaddr_storage room;
} peer;

static bool get_peer(int fd, peer *p, socklen_t *size) {
  *size = sizeof *p;
  return fd >= 0 && pop3_os_peer(fd, &p->any, size) == 0;
}

bool pop3_socket_is_loopback(const char *text) {
  pop3_address address;
  return pop3_address_parse(text, strlen(text), &address) &&
         pop3_address_is_here(&address);
}

static pop3_error find_peer(int fd, bool *loopback) {
  peer p;
  socklen_t size;
  if (!get_peer(fd, &p, &size)) return POP3_E_AGAIN;
  pop3_address address;
  *loopback =
      pop3_address_of(&p.any, &address) && pop3_address_is_here(&address);
  return POP3_E_OK;
}

/* A peer is there when the connection is; the error is asked for only when poll
 * says that the attempt has ended. */
pop3_error pop3_socket_finish(int fd, bool *loopback, int *system) {
  struct pollfd ready = {.fd = (pop3_os_fd)fd, .events = POLLOUT};
  if (find_peer(fd, loopback) == POP3_E_OK) return POP3_E_OK;
  if (pop3_os_poll(&ready, 1, 0) <= 0) return POP3_E_AGAIN;
  int error = pop3_os_connect_error(fd);
  if (error == 0) return find_peer(fd, loopback);
  *system = error;
  return POP3_E_IO;
}

pop3_error pop3_socket_receive(int fd, char *octets, size_t room, size_t *got,
                               int *system) {
  ptrdiff_t n = pop3_os_receive(fd, octets, room);
  if (n < 0) return failed(system);
  if (n == 0) return POP3_E_EOF;
  *got = (size_t)n;
  return POP3_E_OK;
}

pop3_error pop3_socket_send(int fd, const char *octets, size_t size,
                            size_t *sent, int *system) {
  ptrdiff_t n = pop3_os_send(fd, octets, size);
  if (n < 0) return failed(system);
  *sent = (size_t)n;
  return POP3_E_OK;
}

void pop3_socket_close(int fd) { pop3_os_close_socket(fd); }

void pop3_socket_keep_alive(int fd, unsigned seconds) {
  pop3_os_keep_alive(fd, seconds);
}

void pop3_socket_peer(int fd, char *address, size_t room) {
  peer p;
  socklen_t size;
  address[0] = '\0';
  pop3_address numeric;
  if (!get_peer(fd, &p, &size) || !pop3_address_of(&p.any, &numeric)) return;
  if (getnameinfo(&p.any, size, address, (unsigned)room, NULL, 0,
                  NI_NUMERICHOST) != 0)
    address[0] = '\0';
}
