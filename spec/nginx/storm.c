/*
 * storm.c - a TLS server that greets and then sends records without text: the
 * client has to read them all, and there is no end to them.
 *
 *   storm KIND CERTIFICATE KEY
 *
 *   keys    KeyUpdate after KeyUpdate (TLS 1.3)
 *   hello   HelloRequest after HelloRequest (TLS 1.2)
 *   chain   a certificate chain of 100 KiB, drawn out
 *
 * Prints "PORT n"; serves one client after the other, until its standard
 * output's reader is gone.
 */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CHAIN = 60 }; /* certificates behind the leaf: some 100 KiB */

static void must(int done, const char *what) {
  if (done) return;
  fprintf(stderr, "storm: %s\n", what);
  exit(70);
}

static SSL_CTX *make_context(const char *kind, const char *certificate,
                             const char *key) {
  SSL_CTX *context = SSL_CTX_new(TLS_server_method());
  int version = strcmp(kind, "hello") == 0 ? TLS1_2_VERSION : TLS1_3_VERSION;
  SSL_CTX_set_min_proto_version(context, version);
  SSL_CTX_set_max_proto_version(context, version);
  must(SSL_CTX_use_certificate_chain_file(context, certificate) == 1 &&
           SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) == 1,
       "certificate and key");
  X509 *leaf = SSL_CTX_get0_certificate(context);
  for (int i = 0; strcmp(kind, "chain") == 0 && i < CHAIN; i++)
    SSL_CTX_add1_chain_cert(context, leaf);
  return context;
}

static int strike(SSL *ssl) {
  if (SSL_version(ssl) == TLS1_3_VERSION)
    return SSL_key_update(ssl, SSL_KEY_UPDATE_NOT_REQUESTED) == 1 &&
           SSL_do_handshake(ssl) == 1;
  return SSL_renegotiate(ssl) == 1 && SSL_do_handshake(ssl) == 1;
}

static void serve(SSL_CTX *context, int fd, int storms) {
  SSL *ssl = SSL_new(context);
  SSL_set_fd(ssl, fd);
  int going = SSL_accept(ssl) == 1 && SSL_write(ssl, "+OK ready\r\n", 11) > 0;
  while (going && storms) going = strike(ssl);
  SSL_free(ssl);
  close(fd);
}

int main(int argc, char **argv) {
  must(argc == 4, "usage: storm KIND CERTIFICATE KEY");
  SSL_CTX *context = make_context(argv[1], argv[2], argv[3]);
  struct sockaddr_in address = {.sin_family = AF_INET,
                                .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t size = sizeof address;
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  must(bind(listener, (struct sockaddr *)&address, size) == 0 &&
           listen(listener, 16) == 0 &&
           getsockname(listener, (struct sockaddr *)&address, &size) == 0,
       "a port");
  signal(SIGPIPE, SIG_IGN);
  printf("PORT %d\n", ntohs(address.sin_port));
  fflush(stdout);
  struct pollfd polled[2] = {{listener, POLLIN, 0}, {1, 0, 0}};
  while (poll(polled, 2, -1) > 0 && polled[1].revents == 0)
    serve(context, accept(listener, NULL, NULL), strcmp(argv[1], "chain") != 0);
  return 0;
}
