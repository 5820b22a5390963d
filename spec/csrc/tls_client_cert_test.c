/*
 * tls_client_cert_test.c - the client's certificate from every kind of place,
 * and what is said when it cannot be used; and the secrets that keylog tells.
 */
#define _XOPEN_SOURCE 700

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tls_world.h"

#define PASS "open sesame"

static identity below; /* the intermediate's */

/* Files that the tests make, in the world's folder. */
static char chain_file[300], reversed_file[300], key_file[300], odd_file[300],
    whole_p12[300], bare_p12[300], broken_file[300], keyless_p12[300],
    mute_p12[300], der_file[300], log_file[300];

/* Of files, and of one that is not there. */
static char der_uri[310], chain_uri[310], whole_uri[310], key_uri[310],
    missing[300];

static void write_certificate(FILE *file, const identity *i) {
  must(PEM_write_X509(file, i->certificate) == 1, "a certificate");
}

static void write_key(FILE *file, const identity *i) {
  must(PEM_write_PrivateKey(file, i->key, NULL, NULL, 0, NULL, NULL) == 1,
       "a key");
}

static void write_p12(char path[300], const char *name, const char *pass,
                      EVP_PKEY *key, X509 *own) {
  STACK_OF(X509) *others = sk_X509_new_null();
  FILE *file = create(path, name);
  must(others && sk_X509_push(others, intermediate.certificate) > 0, "a stack");
  PKCS12 *made = PKCS12_create(pass, "joe", key, own, others, 0, 0, 0, 0, 0);
  must(made && i2d_PKCS12_fp(file, made) == 1, "a PKCS#12 file");
  PKCS12_free(made);
  sk_X509_free(others);
  (void)fclose(file);
}

static void name_uris(void) {
  (void)snprintf(der_uri, sizeof der_uri, "file:%s", der_file);
  (void)snprintf(chain_uri, sizeof chain_uri, "file:%s", chain_file);
  (void)snprintf(whole_uri, sizeof whole_uri, "file:%s", whole_p12);
  (void)snprintf(key_uri, sizeof key_uri, "file:%s", key_file);
  (void)snprintf(missing, sizeof missing, "%.250s/missing", folder);
}

static void make_files(void) {
  below = make(&(form){.subject = "below", .issuer = &intermediate});
  FILE *file = create(chain_file, "chain.pem");
  write_certificate(file, &below);
  write_certificate(file, &intermediate);
  write_key(file, &below);
  (void)fclose(file);
  file = create(reversed_file, "reversed.pem");
  write_key(file, &below);
  write_certificate(file, &intermediate);
  write_certificate(file, &below);
  (void)fclose(file);
  file = create(key_file, "key.pem");
  write_key(file, &client);
  (void)fclose(file);
  file = create(odd_file, "neither");
  must(fputs("neither this nor that\n", file) >= 0, "a file");
  (void)fclose(file);
  write_p12(whole_p12, "whole.p12", PASS, below.key, below.certificate);
  write_p12(bare_p12, "bare.p12", "", below.key, below.certificate);
  write_p12(keyless_p12, "keyless.p12", PASS, NULL, NULL);
  write_p12(mute_p12, "mute.p12", NULL, below.key, below.certificate);
  file = create(der_file, "certificate.der");
  must(i2d_X509_fp(file, client.certificate) == 1, "a file");
  (void)fclose(file);
  file = create(broken_file, "broken.pem");
  write_certificate(file, &below);
  must(fputs("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
             file) >= 0,
       "a file");
  write_key(file, &below);
  (void)fclose(file);
  (void)snprintf(log_file, sizeof log_file, "%.250s/keys.log", folder);
  name_uris();
}

static void remove_files(void) {
  char *all[] = {chain_file, reversed_file, key_file,    odd_file,
                 whole_p12,  bare_p12,      keyless_p12, mute_p12,
                 der_file,   log_file,      broken_file};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) (void)unlink(all[i]);
  discard(&below);
}

/* What `options` say of our certificate; NULL: nothing. */
static void choose(const char *certfile, const char *keyfile,
                   const char *keypass) {
  options.certfile = certfile;
  options.keyfile = keyfile;
  options.keypass = keypass;
}

/* --- what is shown ------------------------------------------------------- */

/* By `options`, a server gets this certificate and so many others: those that
 * are with it, else what OpenSSL makes of our own trust, here the root. */
static void expect_shown(const identity *who, int others, const char *name) {
  pair p;
  server s = {.identity = &leaf, .demand_client = true};
  bool good =
      said(try_out(&p, &s, "pop.example.org"), POP3_E_OK, "") && answers(&p);
  const X509 *seen = good ? SSL_get0_peer_certificate(p.server) : NULL;
  good = seen && X509_cmp(seen, who->certificate) == 0 &&
         sk_X509_num(SSL_get_peer_cert_chain(p.server)) == others && !p.dirty;
  check(good, name);
  stop(&p);
  use_defaults();
}

static void test_places(void) {
  static const struct {
    const char *certfile, *keyfile, *keypass;
    const identity *shown;
    const char *name;
  } rows[] = {
      {chain_file, NULL, NULL, &below,
       "a PEM file with certificate, chain and key"},
      {reversed_file, NULL, NULL, &below, "a PEM file in the wrong order"},
      {client_file, key_file, NULL, &client, "two PEM files"},
      {client_file, sealed_file, PASS, &client, "an encrypted key"},
      {whole_p12, NULL, PASS, &below, "a PKCS#12 file, whatever its name"},
      {bare_p12, NULL, NULL, &below, "a PKCS#12 file with an empty passphrase"},
      {mute_p12, NULL, NULL, &below, "a PKCS#12 file without a passphrase"},
      {der_uri, key_file, NULL, &client, "a URI of a certificate in DER"},
      {chain_uri, NULL, NULL, &below, "a URI of a PEM file"},
      {whole_uri, NULL, PASS, &below, "a URI of a PKCS#12 file"},
      {client_file, key_uri, NULL, &client,
       "a path for the one, a URI for the other"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    choose(rows[i].certfile, rows[i].keyfile, rows[i].keypass);
    expect_shown(rows[i].shown, 1, rows[i].name);
  }
  pair p;
  choose(keyless_p12, reversed_file, PASS);
  check(said(attach(&p, "pop.example.org", false), POP3_E_TLS_CONFIG,
             "does not belong"),
        "a PKCS#12 file with a CA's certificate only");
  use_defaults();
}

/* --- what is refused ----------------------------------------------------- */

/* Its text names the place, and never the passphrase. */
static void expect_refusal(const char *place, const char *phrase,
                           const char *name) {
  pop3_tls_context *context = NULL;
  pop3_error error = pop3_tls_context_new(&options, &context, &failure);
  bool mute = !options.keypass || !strstr(failure.text, options.keypass);
  bool clean = ERR_peek_error() == 0;
  if (!mute) printf("# the passphrase is in \"%s\"\n", failure.text);
  check(said(error, POP3_E_TLS_CONFIG, phrase) && strstr(failure.text, place) &&
            mute && clean && !context,
        name);
  pop3_tls_context_release(context);
  use_defaults();
}

/* What is named is the last of both places. */
typedef struct refusal {
  const char *certfile, *keyfile, *keypass, *phrase, *name;
} refusal;

static void refuse_all(const refusal *rows, size_t count) {
  for (size_t i = 0; i < count; i++) {
    const refusal *r = &rows[i];
    choose(r->certfile, r->keyfile, r->keypass);
    expect_refusal(r->keyfile ? r->keyfile : r->certfile, r->phrase, r->name);
  }
}

#define REFUSE(rows) refuse_all(rows, sizeof rows / sizeof rows[0])

static void test_refusals(void) {
  static const refusal rows[] = {
      {missing, NULL, NULL, "certfile = ", "a file that is not there"},
      {client_file, missing, NULL,
       "keyfile = ", "a key's file that is not there"},
      {folder, NULL, NULL, "directory", "a folder"},
      {"/dev/zero", NULL, NULL, "too large", "a file without end"},
      {"/dev/null", NULL, NULL, "no certificate", "an empty file"},
      {odd_file, NULL, NULL, "PEM or PKCS#12", "a file of something else"},
      {broken_file, NULL, NULL, "cannot be used",
       "a broken certificate in its chain"},
      {key_file, NULL, NULL, "no certificate", "a key without a certificate"},
      {root_file, NULL, NULL, "no private key", "a certificate without a key"},
      {keyless_p12, NULL, PASS, "no private key",
       "a PKCS#12 file without a key"},
      {client_file, root_file, NULL, "no private key",
       "a keyfile without a key"},
  };
  REFUSE(rows);
  choose(root_file, key_file, NULL);
  expect_refusal(root_file, "does not belong", "a key of somebody else");
}

static void test_passphrases(void) {
  static char long_pass[3000];
  static const refusal rows[] = {
      {whole_p12, NULL, NULL, "needs keypass", "PKCS#12 without keypass"},
      {whole_p12, NULL, "guess", "not opened by this keypass",
       "PKCS#12, wrong keypass"},
      {client_file, sealed_file, NULL, "needs keypass",
       "an encrypted key without keypass"},
      {client_file, sealed_file, "guess", "not opened by this keypass",
       "a key, wrong keypass"},
      {whole_uri, NULL, NULL, "needs keypass", "a URI without keypass"},
      {whole_uri, NULL, "guess", "not opened by this keypass",
       "a URI, wrong keypass"},
      {whole_p12, NULL, long_pass, "keypass",
       "a passphrase longer than OpenSSL takes"},
  };
  memset(long_pass, 'x', sizeof long_pass - 1);
  REFUSE(rows);
}

static void test_uris(void) {
  static const refusal rows[] = {
      {"nosuch:object=joe", NULL, NULL, "knows no \"nosuch:\"",
       "an unknown scheme"},
      {"file:/nonexistent/client.pem", NULL, NULL, "No such file",
       "a URI of a file that is not there"},
      {"C:\\mail\\joe.p12", NULL, NULL,
       "No such file or directory): it should be a file",
       "a drive is no scheme"},
      {"./odd:name.pem", NULL, NULL, "No such file",
       "a colon behind a slash neither"},
  };
  REFUSE(rows);
  pop3_tls_context *context = NULL;
  choose(client_file, "nosuch:key?pin-value=271828", NULL);
  check(said(pop3_tls_context_new(&options, &context, &failure),
             POP3_E_TLS_CONFIG, "keyfile = \"nosuch:key\"") &&
            !strstr(failure.text, "271828"),
        "a PIN in a URI is not shown");
  use_defaults();
}

/* Somebody with a terminal is not asked there. */
static void test_no_terminal(void) {
  int terminal = posix_openpt(O_RDWR | O_NOCTTY);
  must(terminal >= 0 && grantpt(terminal) == 0 && unlockpt(terminal) == 0,
       "a terminal");
  int other = open(ptsname(terminal), O_RDWR | O_NOCTTY | O_NONBLOCK);
  must(other >= 0, "its other end");
  int saved[3];
  for (int fd = 0; fd < 3; fd++) saved[fd] = dup(fd);
  (void)fflush(stdout);
  for (int fd = 0; fd < 3; fd++) (void)dup2(other, fd);
  pop3_tls_context *context = NULL;
  options.certfile = whole_p12;
  pop3_error first = pop3_tls_context_new(&options, &context, &failure);
  options.certfile = client_file;
  options.keyfile = sealed_file;
  pop3_error second = pop3_tls_context_new(&options, &context, &failure);
  for (int fd = 0; fd < 3; fd++) (void)dup2(saved[fd], fd), close(saved[fd]);
  (void)fcntl(terminal, F_SETFL, O_NONBLOCK);
  char said_there[64];
  ssize_t got = read(terminal, said_there, sizeof said_there);
  check(first == POP3_E_TLS_CONFIG && second == POP3_E_TLS_CONFIG && got <= 0,
        "nobody is asked on a terminal");
  (void)close(other), (void)close(terminal);
  use_defaults();
}

/* --- sessions ------------------------------------------------------------ */

/* The export of a connection by `options`. */
static void obtain(pair *p, server *s, char octets[8192]) {
  must(try_out(p, s, "pop.example.org") == POP3_E_OK && answers(p) &&
           pop3_tls_session_export(p->client, octets, 8192, &given_size) ==
               POP3_E_OK,
       "a session");
}

/* Is the session that is given resumed by `options`? */
static bool resumes(pair *p) {
  pop3_tls_info info = {0};
  listen_again(p);
  bool good = said(attach(p, "pop.example.org", false), POP3_E_OK, "") &&
              said(shake(p), POP3_E_OK, "");
  if (good) pop3_tls_describe(p->client, &info);
  return info.resumed;
}

/* The same certificate is the same from everywhere, another one is another. */
static void test_binding(void) {
  pair p;
  server s = {.identity = &leaf, .max = TLS1_2_VERSION};
  char octets[8192];
  options.certfile = whole_p12;
  options.keypass = PASS;
  obtain(&p, &s, octets);
  given = octets;
  check(resumes(&p), "a session goes on with the same PKCS#12 file");
  options.certfile = chain_uri;
  check(resumes(&p), "... with its certificate from elsewhere");
  options.certfile = client_file;
  check(!resumes(&p), "a session is bound to the certificate, not to its file");
  options.certfile = NULL;
  check(!resumes(&p), "... and to there being one");
  options.certfile = whole_p12;
  options.keylog = log_file;
  check(!resumes(&p), "a session is bound to keylog");
  given = NULL;
  stop(&p);
  use_defaults();
}

/* --- keylog -------------------------------------------------------------- */

static size_t read_log(char *text, size_t room) {
  FILE *file = fopen(log_file, "r");
  size_t size = file ? fread(text, 1, room - 1, file) : 0;
  if (file) (void)fclose(file);
  text[size] = '\0';
  return size;
}

static int count(const char *text, const char *label) {
  int found = 0;
  for (; (text = strstr(text, label)) != NULL; text++) found++;
  return found;
}

/* Label, 64 hexadecimal digits, some more of them. */
static bool is_well_formed(char *text) {
  for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
    char label[64], random[200], secret[200], rest[2];
    if (sscanf(line, "%63[A-Z0-9_] %199[0-9a-f] %199[0-9a-f]%1s", label, random,
               secret, rest) != 3)
      return false;
    if (strlen(random) != 64 || strlen(secret) < 64) return false;
  }
  return true;
}

static void test_keylog(void) {
  static char text[65536];
  pair p;
  struct stat status;
  server s = {.identity = &leaf, .max = TLS1_2_VERSION};
  (void)unlink(log_file);
  (void)umask(0);
  options.keylog = log_file;
  must(try_out(&p, &s, "pop.example.org") == POP3_E_OK, "a session");
  unsigned char master[48];
  char hex[97];
  must(SSL_SESSION_get_master_key(SSL_get_session(p.server), master, 48) == 48,
       "a secret");
  for (int i = 0; i < 48; i++)
    (void)snprintf(hex + 2 * i, 3, "%02x", master[i]);
  size_t size = read_log(text, sizeof text);
  check(size > 0 && count(text, "CLIENT_RANDOM ") == 1 && strstr(text, hex),
        "TLS 1.2: the secret of the server's side is in the log");
  check(stat(log_file, &status) == 0 && (status.st_mode & 0777) == 0600,
        "the log is for its owner alone, whatever the umask");
  (void)umask(022);
  stop(&p);
  s.max = TLS1_3_VERSION;
  must(try_out(&p, &s, "pop.example.org") == POP3_E_OK && answers(&p), "one");
  (void)read_log(text, sizeof text);
  check(count(text, "CLIENT_RANDOM ") == 1 &&
            count(text, "CLIENT_HANDSHAKE_TRAFFIC_SECRET ") == 1 &&
            count(text, "SERVER_HANDSHAKE_TRAFFIC_SECRET ") == 1 &&
            count(text, "CLIENT_TRAFFIC_SECRET_0 ") == 1 &&
            count(text, "SERVER_TRAFFIC_SECRET_0 ") == 1,
        "TLS 1.3: its secrets are appended");
  check(is_well_formed(text), "every line has its form");
  stop(&p);
  use_defaults();
}

static void test_keylog_resumed(int version) {
  static char text[65536];
  pair p;
  char octets[8192], name[64];
  server s = {.identity = &leaf, .max = version};
  options.keylog = log_file;
  obtain(&p, &s, octets);
  (void)unlink(log_file);
  given = octets;
  bool good = resumes(&p);
  (void)read_log(text, sizeof text);
  const char *label =
      version == TLS1_2_VERSION ? "CLIENT_RANDOM " : "CLIENT_TRAFFIC_SECRET_0 ";
  (void)snprintf(name, sizeof name, "a resumed session is logged, version %x",
                 (unsigned)version);
  check(good && count(text, label) == 1, name);
  options.keylog = NULL;
  check(!resumes(&p), "... and goes on with no log nowhere");
  given = NULL;
  stop(&p);
  use_defaults();
}

static void test_keylog_refusals(void) {
  char link_file[300], fifo[300], nowhere[300];
  (void)snprintf(link_file, sizeof link_file, "%.250s/link", folder);
  (void)snprintf(fifo, sizeof fifo, "%.250s/fifo", folder);
  (void)snprintf(nowhere, sizeof nowhere, "%.250s/missing/keys", folder);
  must(symlink(log_file, link_file) == 0 && mkfifo(fifo, 0600) == 0, "files");
  const struct {
    const char *log, *phrase, *name;
  } rows[] = {
      {link_file, "keylog", "a log that is a link"},
      {fifo, "keylog", "a log that is a pipe"},
      {folder, "directory", "a log that is a folder"},
      {nowhere, "No such file", "a log in a folder that is not there"},
      {"/dev/null", "keylog", "a log that is a device"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    options.keylog = rows[i].log;
    expect_refusal(rows[i].log, rows[i].phrase, rows[i].name);
  }
  (void)unlink(link_file), (void)unlink(fifo);
}

/* A disk that is full, or so. */
static void test_keylog_lost(void) {
  pair p;
  server s = {.identity = &leaf};
  options.keylog = log_file;
  serve(&p, &s);
  must(attach(&p, "pop.example.org", false) == POP3_E_OK, "a filter");
  int full = open("/dev/full", O_WRONLY);
  must(full >= 0 && dup2(full, p.client->context->keylog) >= 0, "a full disk");
  check(
      said(shake(&p), POP3_E_TLS_CONFIG, "keylog cannot be written (No space"),
      "a log that cannot be written ends the handshake");
  (void)close(full);
  stop(&p);
  use_defaults();
}

static void test_environment(void) {
  pair p;
  struct stat status;
  (void)unlink(log_file);
  must(setenv("SSLKEYLOGFILE", log_file, 1) == 0, "an environment");
  must(
      try_out(&p, &(server){.identity = &leaf}, "pop.example.org") == POP3_E_OK,
      "a session");
  check(stat(log_file, &status) != 0, "SSLKEYLOGFILE does nothing");
  (void)unsetenv("SSLKEYLOGFILE");
  stop(&p);
}

int main(void) {
  make_world();
  make_files();
  use_defaults();
  test_places();
  test_refusals();
  test_passphrases();
  test_uris();
  test_no_terminal();
  test_binding();
  test_keylog();
  test_keylog_resumed(TLS1_2_VERSION);
  test_keylog_resumed(TLS1_3_VERSION);
  test_keylog_refusals();
  test_keylog_lost();
  test_environment();
  remove_files();
  end_world();
  return failures > 0;
}
