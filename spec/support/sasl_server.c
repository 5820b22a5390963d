/*
 * sasl_server.c - see sasl_server.h: POP3 and TLS, a thread for each
 * connection. Prints "PORT n", then a line for each command that it is sent;
 * ends when its standard input does.
 *
 * NAME [--tls none|starttls|implicit] [--cert PEM --key PEM] [--max-tls 1.2]
 *      [--mechanisms "A B"] [--user U] [--password P] [--iterations N]
 *      [--folder F] [--binding exporter|unique|end-point|none]
 */
#define _GNU_SOURCE
#include "sasl_server.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define LINE 200000 /* a token of 64 KiB in base64, and more */

static settings options = {
    .tls = "none", .user = "joe", .password = "correct-horse"};
static SSL_CTX *context;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

typedef struct peer {
  int socket;
  SSL *ssl; /* NULL: in clear */
  binding bound;
  bool known; /* logged in */
  bool ended;
  size_t start, end;
  char input[LINE];
} peer;

static void die(const char *what) {
  fprintf(stderr, "%s: %s\n", backend_name, what);
  ERR_print_errors_fp(stderr);
  exit(70);
}

/* --- octets ---------------------------------------------------------------- */

static void put(peer *p, const char *octets, size_t size) {
  while (size > 0) {
    long sent = p->ssl ? SSL_write(p->ssl, octets, (int)size)
                       : send(p->socket, octets, size, MSG_NOSIGNAL);
    if (sent <= 0) {
      p->ended = true;
      return;
    }
    octets += sent;
    size -= (size_t)sent;
  }
}

static void say(peer *p, const char *format, ...) {
  static __thread char text[LINE];
  va_list arguments;
  va_start(arguments, format);
  int size = vsnprintf(text, sizeof text - 2, format, arguments);
  va_end(arguments);
  memcpy(text + size, "\r\n", 2);
  put(p, text, (size_t)size + 2);
}

static bool fill(peer *p) {
  memmove(p->input, p->input + p->start, p->end - p->start);
  p->end -= p->start;
  p->start = 0;
  size_t room = sizeof p->input - p->end;
  if (room == 0) return false;
  long got = p->ssl ? SSL_read(p->ssl, p->input + p->end, (int)room)
                    : recv(p->socket, p->input + p->end, room, 0);
  if (got <= 0) return false;
  p->end += (size_t)got;
  return true;
}

/* A line without its end, in the peer's buffer; NULL at the stream's end. */
static char *take_line(peer *p) {
  for (;;) {
    char *at = p->input + p->start;
    char *end = memchr(at, '\n', p->end - p->start);
    if (end) {
      p->start = (size_t)(end + 1 - p->input);
      if (end > at && end[-1] == '\r') end--;
      *end = '\0';
      return at;
    }
    if (p->ended || !fill(p)) {
      p->ended = true;
      return NULL;
    }
  }
}

/* --- TLS ------------------------------------------------------------------- */

static int accept_any(int good, X509_STORE_CTX *store) {
  (void)good, (void)store;
  return 1;
}

static void make_context(void) {
  context = SSL_CTX_new(TLS_server_method());
  if (!context ||
      SSL_CTX_use_certificate_chain_file(context, options.cert) != 1 ||
      SSL_CTX_use_PrivateKey_file(context, options.key, SSL_FILETYPE_PEM) != 1)
    die("certificate and key cannot be used");
  if (options.max_tls)
    (void)SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION);
  (void)SSL_CTX_set_session_id_context(context, (const unsigned char *)"s", 1);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, accept_any);
}

static bool wants(const char *name) {
  return !options.binding || strcmp(options.binding, name) == 0;
}

/* The server's half of what a login is bound to. */
static void bind_to(peer *p) {
  binding *b = &p->bound;
  bool tls13 = SSL_version(p->ssl) == TLS1_3_VERSION;
  X509 *shown = SSL_get0_peer_certificate(p->ssl);
  b->certified = shown != NULL;
  if (tls13 && wants("exporter")) {
    b->type = "tls-exporter";
    b->size = 32;
    if (SSL_export_keying_material(p->ssl, b->octets, 32,
                                   "EXPORTER-Channel-Binding", 24,
                                   (const unsigned char *)"", 0, 1) != 1)
      die("no exporter");
  } else if (!tls13 && wants("unique")) {
    b->type = "tls-unique";
    b->size = SSL_session_reused(p->ssl)
                  ? SSL_get_finished(p->ssl, b->octets, sizeof b->octets)
                  : SSL_get_peer_finished(p->ssl, b->octets, sizeof b->octets);
  } else if (wants("end-point")) { /* our certificates are signed so */
    unsigned size = 0;
    b->type = "tls-server-end-point";
    (void)X509_digest(SSL_get_certificate(p->ssl), EVP_sha256(), b->octets,
                      &size);
    b->size = size;
  }
}

static bool secure(peer *p) {
  SSL *ssl = SSL_new(context);
  if (!ssl || SSL_set_fd(ssl, p->socket) != 1) die("no TLS");
  if (SSL_accept(ssl) != 1) {
    SSL_free(ssl);
    ERR_clear_error();
    return false;
  }
  p->ssl = ssl;
  p->start = p->end = 0;
  bind_to(p);
  return true;
}

/* --- AUTH ------------------------------------------------------------------ */

static bool allowed(const char *name) {
  size_t size = strlen(name);
  const char *at = options.mechanisms;
  while (at && (at = strcasestr(at, name)) != NULL) {
    bool begins = at == options.mechanisms || at[-1] == ' ';
    if (begins && (at[size] == ' ' || at[size] == '\0')) return true;
    at += size;
  }
  return options.mechanisms == NULL;
}

static void list(peer *p, char *out, size_t room) {
  char all[2048], *rest = NULL;
  pthread_mutex_lock(&lock);
  backend_list(&p->bound, all, sizeof all);
  pthread_mutex_unlock(&lock);
  *out = '\0';
  for (char *name = strtok_r(all, " ", &rest); name;
       name = strtok_r(NULL, " ", &rest)) {
    if (!allowed(name)) continue;
    size_t size = strlen(out);
    (void)snprintf(out + size, room - size, " %s", name);
  }
}

/* Strict enough for a test: OpenSSL's decoder and the padding. */
static bool decode(const char *text, char **octets, size_t *size) {
  size_t length = strlen(text);
  if (length % 4 != 0) return false;
  *octets = malloc(length / 4 * 3 + 1);
  int got = EVP_DecodeBlock((unsigned char *)*octets,
                            (const unsigned char *)text, (int)length);
  if (got < 0) {
    free(*octets);
    return false;
  }
  for (size_t i = length; i > 0 && text[i - 1] == '='; i--) got--;
  *size = (size_t)got;
  return true;
}

static void challenge(peer *p, const char *octets, size_t size) {
  char *text = malloc(size / 3 * 4 + 5);
  int length = EVP_EncodeBlock((unsigned char *)text,
                               (const unsigned char *)octets, (int)size);
  say(p, "+ %.*s", size > 0 ? length : 0, text);
  free(text);
}

/* Steps until it is decided; says what is to be said. */
static outcome converse(peer *p, void *exchange, char *line) {
  for (;;) {
    char *octets, *output = NULL;
    size_t size, output_size = 0;
    if (strcmp(line, "*") == 0) return REFUSED;
    if (!decode(strcmp(line, "=") == 0 ? "" : line, &octets, &size))
      return REFUSED;
    pthread_mutex_lock(&lock);
    outcome state = backend_step(exchange, octets, size, &output, &output_size);
    pthread_mutex_unlock(&lock);
    free(octets);
    bool says = state == MORE || (state == DONE && output_size > 0);
    if (says) challenge(p, output, output_size);
    free(output);
    if (!says) return state;
    line = take_line(p);
    if (!line) return REFUSED;
    printf("ANSWER %zu\n", strlen(line));
    if (state == DONE) return *line == '\0' ? DONE : REFUSED;
  }
}

static void authenticate(peer *p, char *arguments) {
  char *initial = strchr(arguments, ' ');
  char mechanism[64];
  if (initial) *initial++ = '\0';
  (void)snprintf(mechanism, sizeof mechanism, "%s", arguments);
  pthread_mutex_lock(&lock);
  void *exchange =
      allowed(mechanism) ? backend_start(&p->bound, mechanism) : NULL;
  pthread_mutex_unlock(&lock);
  if (!exchange) {
    say(p, "-ERR no such mechanism");
    return;
  }
  char empty[] = "";
  outcome state = converse(p, exchange, initial ? initial : empty);
  pthread_mutex_lock(&lock);
  const char *user = state == DONE ? backend_user(exchange) : NULL;
  if (user) say(p, "+OK welcome %s", user);
  p->known = user != NULL;
  backend_end(exchange);
  pthread_mutex_unlock(&lock);
  if (!user) say(p, "-ERR [AUTH] it did not work");
}

/* --- the other commands ---------------------------------------------------- */

static void tell_capabilities(peer *p) {
  char names[2048];
  list(p, names, sizeof names);
  say(p, "+OK");
  say(p, "RESP-CODES");
  say(p, "AUTH-RESP-CODE");
  say(p, "PIPELINING");
  say(p, "IMPLEMENTATION %s", backend_name);
  if (*names) say(p, "SASL%s", names);
  if (!p->ssl && strcmp(options.tls, "starttls") == 0) say(p, "STLS");
  say(p, ".");
}

static void start_tls(peer *p) {
  if (p->ssl || strcmp(options.tls, "starttls") != 0) {
    say(p, "-ERR not here");
    return;
  }
  say(p, "+OK begin");
  if (!secure(p)) p->ended = true;
}

static void obey(peer *p, char *line) {
  char *arguments = strchr(line, ' ');
  if (arguments) *arguments++ = '\0';
  printf("COMMAND %s %.*s\n", line,
         arguments ? (int)strcspn(arguments, " ") : 0,
         arguments ? arguments : "");
  if (strcasecmp(line, "CAPA") == 0) tell_capabilities(p);
  else if (strcasecmp(line, "STLS") == 0) start_tls(p);
  else if (strcasecmp(line, "AUTH") == 0 && arguments && !p->known)
    authenticate(p, arguments);
  else if (strcasecmp(line, "QUIT") == 0) say(p, "+OK bye"), p->ended = true;
  else if (strcasecmp(line, "NOOP") == 0 && p->known) say(p, "+OK");
  else if (strcasecmp(line, "STAT") == 0 && p->known) say(p, "+OK 0 0");
  else say(p, "-ERR not here");
}

static void *serve(void *argument) {
  peer *p = argument;
  char *line;
  bool good = strcmp(options.tls, "implicit") != 0 || secure(p);
  if (good) say(p, "+OK %s is ready", backend_name);
  while (good && !p->ended && (line = take_line(p)) != NULL) obey(p, line);
  if (p->ssl) (void)SSL_shutdown(p->ssl);
  SSL_free(p->ssl);
  close(p->socket);
  free(p);
  return NULL;
}

/* --- the program ----------------------------------------------------------- */

static void read_options(int count, char **words) {
  const struct {
    const char *name;
    const char **value;
  } known[] = {{"--tls", &options.tls},
               {"--cert", &options.cert},
               {"--key", &options.key},
               {"--max-tls", &options.max_tls},
               {"--mechanisms", &options.mechanisms},
               {"--user", &options.user},
               {"--password", &options.password},
               {"--iterations", &options.iterations},
               {"--folder", &options.folder},
               {"--binding", &options.binding}};
  for (int i = 1; i < count; i += 2) {
    size_t k = 0;
    while (k < sizeof known / sizeof *known &&
           strcmp(words[i], known[k].name) != 0)
      k++;
    if (k == sizeof known / sizeof *known || i + 1 == count) die(words[i]);
    *known[k].value = words[i + 1];
  }
}

static int listen_somewhere(void) {
  struct sockaddr_in address = {.sin_family = AF_INET};
  socklen_t size = sizeof address;
  int one = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (one < 0 || bind(one, (struct sockaddr *)&address, size) != 0 ||
      listen(one, 64) != 0 ||
      getsockname(one, (struct sockaddr *)&address, &size) != 0)
    die("cannot listen");
  printf("PORT %d\n", ntohs(address.sin_port));
  return one;
}

static void *accept_all(void *argument) {
  int listening = *(int *)argument;
  for (;;) {
    pthread_t thread;
    peer *p = calloc(1, sizeof *p);
    p->socket = accept(listening, NULL, NULL);
    if (p->socket < 0 || pthread_create(&thread, NULL, serve, p) != 0)
      die("cannot serve");
    pthread_detach(thread);
  }
  return NULL;
}

int main(int count, char **words) {
  pthread_t thread;
  char ignored[256];
  (void)signal(SIGPIPE, SIG_IGN);
  setvbuf(stdout, NULL, _IOLBF, 0);
  read_options(count, words);
  if (strcmp(options.tls, "none") != 0) make_context();
  if (!backend_begin(&options)) die("the library does not start");
  int listening = listen_somewhere();
  if (pthread_create(&thread, NULL, accept_all, &listening) != 0)
    die("no thread");
  while (read(STDIN_FILENO, ignored, sizeof ignored) > 0) continue;
  _exit(0); /* threads may be anywhere */
}
