/*
 * loopback.h - ports of this machine's own, at which somebody listens, or looks
 * as if.
 */
#ifndef POP3_LOOPBACK_H
#define POP3_LOOPBACK_H

#include <arpa/inet.h>
#include <sys/socket.h>

#include "check.h"

static inline int listen_on(int backlog, unsigned *port) {
  struct sockaddr_in address = {.sin_family = AF_INET,
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  must(fd >= 0 && bind(fd, (struct sockaddr *)&address, size) == 0 &&
           listen(fd, backlog) == 0 &&
           getsockname(fd, (struct sockaddr *)&address, &size) == 0,
       "a listener");
  *port = ntohs(address.sin_port);
  return fd;
}

enum { CROWD = 5 };

/* A port with clients that nobody accepts, until the kernel answers no more:
 * who comes next hears nothing. `fds` are its and theirs. */
static inline unsigned crowded_port(int fds[CROWD]) {
  unsigned port;
  fds[0] = listen_on(0, &port);
  struct sockaddr_in address = {.sin_family = AF_INET,
                                .sin_port = htons((unsigned short)port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  for (int i = 1; i < CROWD; i++) {
    fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    (void)connect(fds[i], (struct sockaddr *)&address, sizeof address);
  }
  return port;
}

#endif
