/*
 * server.c - serves one large message, fast enough not to be what is measured.
 *
 * build: cc -O2 server.c
 * usage: server MIB CONNECTIONS    prints "PORT N", serves so many
 *                                  connections one after the other, ends
 *
 * Every command but RETR and QUIT is answered "+OK". The message is text with
 * lines of 76 octets and a few stuffed dots.
 */
#define _POSIX_C_SOURCE 200112L
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LINE = 78, LINES = 13440, BLOCK = LINE * LINES }; /* 1 MiB, nearly */

static char block[BLOCK];

/*
 * Letters without a pattern, new ones for every block: an interpreter that
 * keeps one copy of equal strings, or hashes a few of their octets, must not
 * see what mail does not have.
 */
static void fill_block(void) {
  static uint64_t state = 88172645463325252u;
  for (size_t i = 0; i < BLOCK; i++) {
    if (i % 16 == 0) {
      state ^= state << 13;
      state ^= state >> 7;
      state ^= state << 17;
    }
    block[i] = (char)('a' + (state >> i % 16 * 4) % 16);
  }
  for (size_t i = 0; i < LINES; i++) {
    char *line = block + i * LINE;
    if (i % 50 == 0) memcpy(line, "..", 2);
    memcpy(line + LINE - 2, "\r\n", 2);
  }
}

static int send_all(int fd, const char *octets, size_t size) {
  while (size > 0) {
    ssize_t sent = send(fd, octets, size, MSG_NOSIGNAL);
    if (sent <= 0) return -1;
    octets += sent;
    size -= (size_t)sent;
  }
  return 0;
}

static int say(int fd, const char *text) {
  return send_all(fd, text, strlen(text));
}

static int send_message(int fd, long blocks) {
  if (say(fd, "+OK\r\n") < 0) return -1;
  for (long i = 0; i < blocks; i++) {
    fill_block();
    if (send_all(fd, block, sizeof block) < 0) return -1;
  }
  return say(fd, ".\r\n");
}

static int answer(int fd, const char *command, long blocks) {
  if (!strncmp(command, "RETR", 4)) return send_message(fd, blocks);
  if (say(fd, "+OK\r\n") < 0) return -1;
  return strncmp(command, "QUIT", 4) == 0 ? -1 : 0;
}

/* One command a read: clients here wait for each reply. */
static void serve(int fd, long blocks) {
  char line[1024];
  ssize_t size;
  if (say(fd, "+OK ready\r\n") < 0) return;
  while ((size = recv(fd, line, sizeof line - 1, 0)) > 0) {
    line[size] = '\0';
    if (answer(fd, line, blocks) < 0) return;
  }
}

static int listen_somewhere(void) {
  struct sockaddr_in address;
  socklen_t size = sizeof address;
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  memset(&address, 0, sizeof address);
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) < 0 ||
      listen(fd, 8) < 0 ||
      getsockname(fd, (struct sockaddr *)&address, &size) < 0) {
    perror("server");
    exit(71);
  }
  printf("PORT %d\n", ntohs(address.sin_port));
  fflush(stdout);
  return fd;
}

int main(int count, char **arguments) {
  long mebibytes = count > 1 ? strtol(arguments[1], NULL, 10) : 256;
  long connections = count > 2 ? strtol(arguments[2], NULL, 10) : 1;
  alarm(600); /* never left behind */
  int listener = listen_somewhere();
  for (long i = 0; i < connections; i++) {
    int fd = accept(listener, NULL, NULL);
    if (fd < 0) return 71;
    serve(fd, mebibytes);
    close(fd);
  }
  return 0;
}
