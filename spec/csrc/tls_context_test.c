/*
 * tls_context_test.c - what a TLS context is made of: options that are refused
 * or used, the system's trust, our own certificate (R14).
 */
#define _POSIX_C_SOURCE 200809L

#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "platform.h"
#include "tls_trial.h"
#include "tls_world.h"

/* --- options ------------------------------------------------------------- */

static void test_options(void) {
  char missing[300];
  (void)snprintf(missing, sizeof missing, "%s/missing", folder);
  options.cafile = missing;
  expect_config("No such file", "cafile that does not exist");
  options.cafile = "/dev/null";
  expect_config("cafile", "cafile without certificates");
  options.capath = missing;
  expect_config("capath", "capath that does not exist");
  options.capath = folder;
  expect_config("openssl rehash", "capath that is not hashed");
  options.certfile = missing;
  expect_config("certfile", "certfile that does not exist");
  options.certfile = root_file;
  options.keyfile = client_file;
  expect_config("does not belong", "a key of somebody else");
  options.keyfile = client_file;
  expect_config("needs certfile", "a key alone");
  options.min_version = "1.4";
  expect_config("\"1.4\"", "a version that does not exist");
  options.min_version = "";
  expect_config("min_version", "a version without a name");
  options.min_version = "1.3";
  options.max_version = "1.2";
  expect_config("below", "versions the wrong way round");
  options.ciphers = "NONSENSE";
  expect_config("ciphers", "ciphers that do not exist");
  options.ciphers = "DEFAULT:@SECLEVEL=0";
  expect_config("security_level", "a level that hides in ciphers");
  options.ciphersuites = "NONSENSE";
  expect_config("ciphersuites", "ciphersuites that do not exist");
  options.groups = "NONSENSE";
  expect_config("groups", "groups that do not exist");
  options.security_level = 6;
  expect_config("security_level", "a level that does not exist");
  options.groups = "P-384";
  options.ciphersuites = "TLS_AES_128_GCM_SHA256";
  pair p;
  pop3_tls_info info = {0};
  server s = {.identity = &leaf};
  must(try_out(&p, &s, HOST) == POP3_E_OK, "a session");
  pop3_tls_describe(p.client, &info);
  check(strcmp(info.cipher, "TLS_AES_128_GCM_SHA256") == 0 &&
            strcmp(info.group, "secp384r1") == 0,
        "ciphersuites and groups are used");
  stop(&p);
  use_defaults();
}

static void test_system_trust(void) {
  server s = {.identity = &leaf};
  char hashed[300], list[300];
  must(setenv("SSL_CERT_DIR", folder, 1) == 0 &&
           setenv("SSL_CERT_FILE", "/dev/null", 1) == 0,
       "an environment");
  options.cafile = NULL;
  expect_config("ca-certificates", "a system without CA certificates");
  must(setenv("SSL_CERT_FILE", root_file, 1) == 0, "an environment");
  options.cafile = NULL;
  expect(&s, HOST, POP3_E_OK, "",
         "the system's bundle, where no directory is hashed");
  must(setenv("SSL_CERT_FILE", "/dev/null", 1) == 0, "an environment");
  create_hashed(hashed, "");
  options.cafile = NULL;
  expect(&s, HOST, POP3_E_OK, "", "the system's directory");
  (void)snprintf(list, sizeof list, "/nonexistent%c%.250s",
                 POP3_OS_LIST_SEPARATOR, folder);
  must(setenv("SSL_CERT_DIR", list, 1) == 0, "an environment");
  options.cafile = NULL;
  expect(&s, HOST, POP3_E_OK, "", "the second of the system's directories");
  options.cafile = NULL;
  options.capath = folder;
  expect(&s, HOST, POP3_E_OK, "", "capath");
  options.cafile = NULL;
  options.verify = false;
  expect(&s, HOST, POP3_E_OK, "", "no trust, none needed");
  (void)unlink(hashed);
  (void)unsetenv("SSL_CERT_DIR"), (void)unsetenv("SSL_CERT_FILE");
}

static void test_contexts(void) {
  pop3_tls_context *context = NULL;
  pair p;
  server s = {.identity = &leaf};
  must(pop3_tls_context_new(&options, &context, &failure) == POP3_E_OK,
       "a context");
  check(pop3_tls_context_retain(context) == context && context->references == 2,
        "a context is counted");
  pop3_tls_context_release(context);
  serve(&p, &s);
  must(filter(context, HOST, sizeof HOST - 1, false, &p.client) == POP3_E_OK,
       "a filter");
  pop3_tls_context_release(context);
  check(shake(&p) == POP3_E_OK, "a filter keeps its context");
  stop(&p);
  pop3_tls_context_release(NULL);
  pop3_tls_free(NULL);
  check(pop3_tls_check_library(&failure) == POP3_E_OK,
        "the library is the one that this was built for");
}

/* --- client certificates ------------------------------------------------- */

static pop3_error first_read(pair *p) {
  char octets[64];
  size_t got;
  drain(p);
  pop3_error error =
      pop3_tls_read(p->client, octets, sizeof octets, &got, &failure);
  return error;
}

static void test_client_certificates(void) {
  pair p;
  server s = {.identity = &leaf, .demand_client = true};
  check(try_out(&p, &s, HOST) == POP3_E_OK &&
            said(first_read(&p), POP3_E_HANDSHAKE, "certfile"),
        "TLS 1.3: a client certificate is demanded and there is none");
  stop(&p);
  s.max = TLS1_2_VERSION;
  expect(&s, HOST, POP3_E_HANDSHAKE, "certfile",
         "TLS 1.2: a client certificate is demanded and there is none");
  options.certfile = client_file;
  check(
      try_out(&p, &s, HOST) == POP3_E_OK && SSL_get0_peer_certificate(p.server),
      "a client certificate is shown");
  stop(&p);
  options.keyfile = sealed_file;
  options.keypass = "open sesame";
  check(
      try_out(&p, &s, HOST) == POP3_E_OK && SSL_get0_peer_certificate(p.server),
      "a key with a passphrase");
  stop(&p);
  options.keypass = "wrong";
  check(said(attach(&p, HOST, false), POP3_E_TLS_CONFIG, sealed_file) &&
            !strstr(failure.text, "wrong"),
        "a wrong passphrase is told without showing it");
  options.keypass = NULL;
  check(said(attach(&p, HOST, false), POP3_E_TLS_CONFIG, "needs keypass"),
        "a missing passphrase is told, not asked for");
  use_defaults();
}

int main(void) {
  make_world();
  use_defaults();
  test_options();
  test_system_trust();
  test_contexts();
  test_client_certificates();
  end_world();
  return failures > 0;
}
