/*
 * tls_keylog.c - see tls_internal.h: the secrets of each connection in a file,
 * for those who look at their own octets (Wireshark, tshark). A line for each,
 * in NSS's format (RFC 9850): label, client's random, secret, in hex.
 *
 * Only the option does it. The variable SSLKEYLOGFILE, which others follow,
 * would let anybody who sets an environment read a mailbox.
 */
#define _GNU_SOURCE
#include <openssl/crypto.h>
#include <openssl/ssl.h>
#include <string.h>

#include "platform.h"
#include "tls_internal.h"

/* The longest label, a random and a secret of 64 octets, both in hex. */
#define MAX_LINE 512

/* One write for each line: those of other processes that append to the file
 * come before or after it, never inside. errno's value. */
static int append(int fd, const char *line, size_t size) {
  char text[MAX_LINE];
  size_t written = 0;
  if (size >= sizeof text) return EMSGSIZE;
  memcpy(text, line, size);
  text[size++] = '\n';
  int system = pop3_os_write(fd, false, text, size, &written);
  pop3_wipe(text, sizeof text);
  if (system == 0 && written != size) return ENOSPC;
  return system;
}

/* OpenSSL does not want to know how it went: the handshake asks later. */
static void write_line(const SSL *ssl, const char *line) {
  pop3_tls *tls = SSL_get_app_data(ssl);
  if (!tls || tls->unlogged != 0) return;
  tls->unlogged = append(tls->context->keylog, line, strlen(line));
}

pop3_error pop3_tls_open_keylog(pop3_tls_context *context, const char *path,
                                pop3_failure *failure) {
  if (!path) return POP3_E_OK;
  context->keylog = pop3_os_append(path);
  if (context->keylog < 0)
    return pop3_fail(failure, POP3_E_TLS_CONFIG,
                     "keylog = \"%s\" cannot be written (%s): it should be a "
                     "file of this user's, or not be there yet",
                     path, pop3_os_text(errno));
  SSL_CTX_set_keylog_callback(context->ssl, write_line);
  return POP3_E_OK;
}

void pop3_tls_close_keylog(pop3_tls_context *context) {
  if (context->keylog >= 0) (void)pop3_os_close(context->keylog);
  context->keylog = -1;
}

pop3_error pop3_tls_check_keylog(const pop3_tls *tls, pop3_failure *failure) {
  if (tls->unlogged == 0) return POP3_E_OK;
  return pop3_fail(failure, POP3_E_TLS_CONFIG,
                   "the file of keylog cannot be written (%s): make room, or "
                   "leave the option out",
                   pop3_os_text(tls->unlogged));
}
