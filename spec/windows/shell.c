/*
 * shell.c - the shell of specs under wine (COMSPEC): it lets spawner.py, which
 * runs outside of wine, run the command, because specs speak to /bin/sh and
 * start programs that are not for Windows.
 *
 *   shell.exe /c COMMAND       POP3_SPAWNER is spawner.py's port
 *
 * What the command writes comes in frames (kind, size, octets; see spawner.py)
 * and goes to our own outputs. When nobody reads those any more, we end, and so
 * does the command.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <winsock2.h>
#include <ws2tcpip.h>
/* behind winsock2.h */
#include <windows.h>

enum { CANNOT = 126, PATIENCE = 20 /* milliseconds */ };

static void must(bool holds, const char *what) {
  if (holds) return;
  fprintf(stderr, "shell: %s\n", what);
  exit(CANNOT);
}

static SOCKET reach_spawner(void) {
  WSADATA ignored;
  struct sockaddr_in address = {.sin_family = AF_INET};
  const char *port = getenv("POP3_SPAWNER");
  must(port != NULL, "POP3_SPAWNER is not set");
  must(WSAStartup(MAKEWORD(2, 2), &ignored) == 0, "no Winsock");
  address.sin_port = htons((u_short)atoi(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  SOCKET s = socket(AF_INET, SOCK_STREAM, 0);
  must(connect(s, (struct sockaddr *)&address, sizeof address) == 0,
       "no spawner");
  return s;
}

static void give(SOCKET s, const char *octets, size_t size) {
  while (size > 0) {
    int sent = send(s, octets, (int)size, 0);
    must(sent > 0, "the spawner is gone");
    octets += sent;
    size -= (size_t)sent;
  }
}

/* Our input, in pieces behind their sizes, its end as one of nothing. */
static DWORD WINAPI give_input(LPVOID spawner) {
  static char octets[4096];
  SOCKET *s = spawner;
  HANDLE input = GetStdHandle(STD_INPUT_HANDLE);
  DWORD got = 0;
  do {
    if (!ReadFile(input, octets, sizeof octets, &got, NULL)) got = 0;
    uint32_t size = htonl(got);
    give(*s, (const char *)&size, sizeof size);
    give(*s, octets, got);
  } while (got > 0);
  return 0;
}

/* A pipe that is closed on the other side refuses even nothing. */
static bool is_read(HANDLE output) {
  DWORD written;
  if (GetFileType(output) != FILE_TYPE_PIPE) return true;
  return WriteFile(output, "", 0, &written, NULL) != 0;
}

static void wait_for_octets(SOCKET s) {
  WSAPOLLFD ready = {s, POLLIN, 0};
  while (WSAPoll(&ready, 1, PATIENCE) == 0)
    if (!is_read(GetStdHandle(STD_OUTPUT_HANDLE))) exit(CANNOT);
}

static void take(SOCKET s, char *octets, size_t size) {
  while (size > 0) {
    wait_for_octets(s);
    int got = recv(s, octets, (int)size, 0);
    must(got > 0, "the spawner is gone");
    octets += got;
    size -= (size_t)got;
  }
}

static void put(HANDLE output, const char *octets, size_t size) {
  DWORD written;
  while (size > 0) {
    if (!WriteFile(output, octets, (DWORD)size, &written, NULL)) exit(CANNOT);
    octets += written;
    size -= written;
  }
}

/* What follows " /c ", as it was written. */
static const char *find_command(void) {
  const char *found = strstr(GetCommandLineA(), "/c ");
  must(found != NULL, "there is no command");
  return found + 3;
}

int main(void) {
  static char octets[65536];
  const char *command = find_command();
  SOCKET s = reach_spawner();
  uint32_t size = htonl((uint32_t)strlen(command));
  give(s, (const char *)&size, sizeof size);
  give(s, command, strlen(command));
  bool piped = GetFileType(GetStdHandle(STD_INPUT_HANDLE)) == FILE_TYPE_PIPE;
  give(s, piped ? "p" : "-", 1);
  if (piped) (void)CreateThread(NULL, 0, give_input, &s, 0, NULL);
  for (;;) {
    unsigned char head[5];
    take(s, (char *)head, sizeof head);
    memcpy(&size, head + 1, sizeof size);
    size = ntohl(size);
    if (head[0] == 'x') return (int)size;
    must(size <= sizeof octets, "a frame is too large");
    take(s, octets, size);
    put(GetStdHandle(head[0] == 'e' ? STD_ERROR_HANDLE : STD_OUTPUT_HANDLE),
        octets, size);
  }
}
