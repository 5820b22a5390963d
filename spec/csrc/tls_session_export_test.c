/*
 * tls_session_export_test.c - sessions that are taken out of a connection: to
 * what each is bound, and that none is taken in that was changed (R20).
 */
#define _POSIX_C_SOURCE 200809L

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tls_session_world.h"
#include "tls_world.h"

/* Of the format that tls_session.c describes. */
#define AT_SESSION 48
#define SEAL 32

/* --- what there is to trust ---------------------------------------------- */

static char both_file[300], capath[300], hashed_file[300];

/* Both roots in a file, and one in a directory. */
static void make_trust(void) {
  FILE *file = create(both_file, "both.pem");
  must(PEM_write_X509(file, root.certificate) == 1 &&
           PEM_write_X509(file, stranger.certificate) == 1,
       "a file");
  (void)fclose(file);
  (void)snprintf(capath, sizeof capath, "%.250s/ca", folder);
  must(mkdir(capath, 0700) == 0, "a directory");
  create_hashed(hashed_file, "ca/");
}

static void remove_trust(void) {
  (void)unlink(both_file), (void)unlink(hashed_file);
  (void)rmdir(capath);
}

/* --- one way out, one way in --------------------------------------------- */

/* Set the seal right after a change. */
static void reseal(char *octets, size_t size) {
  unsigned char *at = (unsigned char *)octets;
  must(EVP_Digest(at, size - SEAL, at + size - SEAL, NULL, EVP_sha256(),
                  NULL) == 1,
       "a digest");
}

/* The session of a connection by a context of `options`; what is set of
 * `peer` later has to fit. */
static void obtain(pair *p, server *s, const struct way *way, char octets[8192],
                   pop3_tls_peer *peer) {
  pop3_tls_context *context = make_context();
  serve_way(p, s, way);
  must(is_full(p, context, peer) &&
           export(p, octets, &peer->session_size) == POP3_E_OK,
       "an export");
  peer->session = octets;
  pop3_tls_context_release(context);
}

static bool imports(pair *p, const pop3_tls_peer *peer, bool wanted) {
  pop3_tls_context *context = make_context();
  bool good = wanted ? resumes(p, context, peer) : is_full(p, context, peer);
  pop3_tls_context_release(context);
  return good;
}

static void test_export(const struct way *way) {
  pair p;
  server s = {.identity = &leaf};
  char octets[8192], again[8192];
  size_t size = 0, needed = 0;
  pop3_tls_peer peer = base;
  pop3_tls_context *context = make_context();
  serve_way(&p, &s, way);
  must(is_full(&p, context, &base), "a session");
  int before = count_kept(context);
  bool good =
      pop3_tls_session_export(p.client, NULL, 0, &needed) == POP3_E_OK &&
      count_kept(context) == before &&
      pop3_tls_session_export(p.client, octets, needed - 1, &size) ==
          POP3_E_ARGUMENT &&
      export(&p, octets, &size) == POP3_E_OK && size == needed &&
      pop3_tls_session_check(octets, size, &failure) == POP3_E_OK;
  if (way->version == TLS1_3_VERSION) before--;
  claim(good && count_kept(context) == before, way->label,
        "what is used once leaves the store when it is exported");
  claim(export(&p, again, &needed) == POP3_E_OK && needed == size &&
            memcmp(octets, again, size) == 0,
        way->label, "a second export is the same");
  peer.session = octets;
  peer.session_size = size;
  claim(imports(&p, &peer, true), way->label,
        "an export is resumed by a context of the same options");
  stop(&p);
  pop3_tls_context_release(context);
}

/* A context of these options does not offer a session of the defaults. */
static void refuse_import(pair *p, const pop3_tls_peer *peer, const char *label,
                          const char *what) {
  claim(imports(p, peer, false), label, what);
  use_defaults();
}

static void test_bound_options(const struct way *way) {
  pair p;
  server s = {.identity = &leaf};
  char octets[8192];
  pop3_tls_peer peer = base;
  obtain(&p, &s, way, octets, &peer);
  options.verify = false;
  refuse_import(&p, &peer, way->label, "bound to verify");
  options.check_hostname = false;
  refuse_import(&p, &peer, way->label, "bound to check_hostname");
  options.cafile = both_file;
  refuse_import(&p, &peer, way->label, "bound to what cafile holds");
  options.capath = capath;
  refuse_import(&p, &peer, way->label, "bound to capath");
  options.servername = "pop.example.org";
  refuse_import(&p, &peer, way->label, "bound to servername");
  options.certfile = client_file;
  refuse_import(&p, &peer, way->label, "bound to the client certificate");
  options.min_version = "1.1";
  refuse_import(&p, &peer, way->label, "bound to min_version");
  options.max_version = way->version == TLS1_3_VERSION ? "1.3" : "1.2";
  refuse_import(&p, &peer, way->label, "bound to max_version");
  options.ciphers = "ECDHE+AESGCM";
  refuse_import(&p, &peer, way->label, "bound to ciphers");
  options.ciphersuites = "TLS_AES_256_GCM_SHA384";
  refuse_import(&p, &peer, way->label, "bound to ciphersuites");
  options.groups = "P-256";
  refuse_import(&p, &peer, way->label, "bound to groups");
  options.security_level = 1;
  refuse_import(&p, &peer, way->label, "bound to security_level");
  options.alpn = false;
  refuse_import(&p, &peer, way->label, "bound to alpn");
  options.resume = false;
  claim(imports(&p, &peer, true), way->label, "not bound to resume");
  use_defaults();
  stop(&p);
}

static void test_bound_peer(const struct way *way) {
  static const struct {
    const char *what, *host;
    unsigned port;
    pop3_tls_door door;
  } rows[] = {
      {"bound to the host", "a.wild.example.org", 995, POP3_TLS_AT_ONCE},
      {"bound to the port", HOST, 1995, POP3_TLS_AT_ONCE},
      {"bound to the door", HOST, 995, POP3_TLS_AFTER_STLS},
  };
  pair p;
  server s = {.identity = &leaf};
  char octets[8192];
  pop3_tls_peer peer = base;
  obtain(&p, &s, way, octets, &peer);
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    pop3_tls_peer other = peer;
    other.host = rows[i].host;
    other.host_size = strlen(rows[i].host);
    other.port = rows[i].port;
    other.door = rows[i].door;
    claim(imports(&p, &other, false), way->label, rows[i].what);
  }
  claim(imports(&p, &peer, true), way->label, "good for its own peer");
  stop(&p);
}

/* A directory counts by the time of its last change. */
static void test_bound_directory(void) {
  pair p;
  server s = {.identity = &leaf};
  char octets[8192];
  pop3_tls_peer peer = base;
  const struct timespec times[2] = {{1000000000, 0}, {1000000000, 0}};
  options.cafile = NULL;
  options.capath = capath;
  obtain(&p, &s, &ways[0], octets, &peer);
  check(imports(&p, &peer, true), "good for the same directory");
  must(utimensat(AT_FDCWD, capath, times, 0) == 0, "a time");
  check(imports(&p, &peer, false), "bound to a directory's state");
  stop(&p);
  use_defaults();
}

static bool is_refused(pop3_tls_context *context, const char *octets,
                       size_t size) {
  pop3_tls *tls = NULL;
  pop3_tls_peer peer = base;
  peer.session = octets;
  peer.session_size = size;
  return pop3_tls_new(context, &peer, &tls, &failure) == POP3_E_TLS_CONFIG &&
         !tls && strstr(failure.text, "session_export") &&
         ERR_peek_error() == 0;
}

static void test_malformed(void) {
  pair p;
  server s = {.identity = &leaf};
  char octets[8192];
  pop3_tls_peer peer = base;
  pop3_tls_context *context = make_context();
  obtain(&p, &s, &ways[0], octets, &peer);
  size_t size = peer.session_size;
  bool good = true;
  for (size_t i = 0; good && i < size; i++) {
    octets[i] ^= 4;
    good = is_refused(context, octets, size);
    octets[i] ^= 4;
  }
  check(good, "an export with any octet changed is refused");
  for (size_t i = 0; good && i < size; i++)
    good = is_refused(context, octets, i);
  check(good, "an export that was cut anywhere is refused");
  char saved[8192];
  memcpy(saved, octets, size);
  octets[7] = 9;
  reseal(octets, size);
  check(imports(&p, &peer, false), "one of another format is not offered");
  memcpy(octets, saved, size);
  memset(octets + AT_SESSION, 0x30, 64);
  reseal(octets, size);
  check(imports(&p, &peer, false), "one that OpenSSL cannot read, neither");
  memcpy(octets, saved, size);
  check(imports(&p, &peer, true), "one that was left alone is");
  stop(&p);
  pop3_tls_context_release(context);
}

int main(void) {
  make_world();
  make_trust();
  use_defaults();
  for (size_t i = 0; i < WAYS; i++) {
    test_export(&ways[i]);
    test_bound_options(&ways[i]);
    test_bound_peer(&ways[i]);
  }
  test_bound_directory();
  test_malformed();
  remove_trust();
  end_world();
  return failures > 0;
}
