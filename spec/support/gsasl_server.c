/* gsasl_server.c - see sasl_server.h: GNU SASL's mechanisms. */
#include <gsasl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sasl_server.h"

const char backend_name[] = "gsasl";

static Gsasl *library;
static const settings *options;

typedef struct exchange {
  Gsasl_session *session;
  const binding *bound;
  char user[256];
} exchange;

static bool same(const char *a, const char *b) {
  return a && b && strcmp(a, b) == 0;
}

static int verdict(bool good) {
  return good ? GSASL_OK : GSASL_AUTHENTICATION_ERROR;
}

static int set_binding(Gsasl_session *session, Gsasl_property property,
                       const char *type) {
  const binding *b = ((exchange *)gsasl_session_hook_get(session))->bound;
  char *coded = NULL;
  size_t size = 0;
  if (!same(b->type, type)) return GSASL_NO_CALLBACK;
  if (gsasl_base64_to((const char *)b->octets, b->size, &coded, &size))
    return GSASL_MALLOC_ERROR;
  (void)gsasl_property_set_raw(session, property, coded, size);
  gsasl_free(coded);
  return GSASL_OK;
}

static int set_password(Gsasl_session *session) {
  if (!same(gsasl_property_fast(session, GSASL_AUTHID), options->user))
    return GSASL_AUTHENTICATION_ERROR;
  return gsasl_property_set(session, GSASL_PASSWORD, options->password);
}

static int set_iterations(Gsasl_session *session) {
  if (!options->iterations) return GSASL_NO_CALLBACK;
  return gsasl_property_set(session, GSASL_SCRAM_ITER, options->iterations);
}

static int answer(Gsasl *ctx, Gsasl_session *session, Gsasl_property property) {
  const exchange *x = gsasl_session_hook_get(session);
  (void)ctx;
  switch (property) {
    case GSASL_PASSWORD:
      return set_password(session);
    case GSASL_SCRAM_ITER:
      return set_iterations(session);
    case GSASL_CB_TLS_UNIQUE:
      return set_binding(session, property, "tls-unique");
    case GSASL_CB_TLS_EXPORTER:
      return set_binding(session, property, "tls-exporter");
    case GSASL_VALIDATE_SIMPLE:
      return verdict(
          same(gsasl_property_fast(session, GSASL_AUTHID), options->user) &&
          same(gsasl_property_fast(session, GSASL_PASSWORD),
               options->password));
    case GSASL_VALIDATE_EXTERNAL:
      return verdict(x->bound->certified);
    case GSASL_VALIDATE_ANONYMOUS:
      return GSASL_OK;
    default:
      return GSASL_NO_CALLBACK;
  }
}

bool backend_begin(const settings *s) {
  options = s;
  if (gsasl_init(&library) != GSASL_OK) return false;
  gsasl_callback_set(library, answer);
  return true;
}

static bool ends_with(const char *text, const char *tail) {
  size_t size = strlen(text), length = strlen(tail);
  return size >= length && strcmp(text + size - length, tail) == 0;
}

/* Those that this program answers for. */
static const char *const offered[] = {"SCRAM-SHA-256-PLUS",
                                      "SCRAM-SHA-256",
                                      "SCRAM-SHA-1-PLUS",
                                      "SCRAM-SHA-1",
                                      "CRAM-MD5",
                                      "PLAIN",
                                      "LOGIN",
                                      "EXTERNAL",
                                      "ANONYMOUS"};

static bool suits(const binding *bound, const char *name) {
  bool bindable =
      same(bound->type, "tls-unique") || same(bound->type, "tls-exporter");
  if (ends_with(name, "-PLUS") && !bindable) return false;
  if (strcmp(name, "EXTERNAL") == 0 && !bound->certified) return false;
  return gsasl_server_support_p(library, name);
}

void backend_list(const binding *bound, char *out, size_t room) {
  *out = '\0';
  for (size_t i = 0; i < sizeof offered / sizeof *offered; i++) {
    size_t size = strlen(out);
    if (suits(bound, offered[i]))
      (void)snprintf(out + size, room - size, "%s ", offered[i]);
  }
}

void *backend_start(const binding *bound, const char *mechanism) {
  exchange *x = calloc(1, sizeof *x);
  char name[64];
  size_t i = 0;
  for (; mechanism[i] && i < sizeof name - 1; i++)
    name[i] =
        (char)(mechanism[i] >= 'a' && mechanism[i] <= 'z' ? mechanism[i] - 32
                                                          : mechanism[i]);
  name[i] = '\0';
  x->bound = bound;
  if (!suits(bound, name) ||
      gsasl_server_start(library, name, &x->session) != GSASL_OK) {
    free(x);
    return NULL;
  }
  gsasl_session_hook_set(x->session, x);
  return x;
}

outcome backend_step(void *argument, const char *input, size_t size,
                     char **output, size_t *output_size) {
  exchange *x = argument;
  char *made = NULL;
  int state = gsasl_step(x->session, input, size, &made, output_size);
  if (made) {
    *output = malloc(*output_size + 1);
    memcpy(*output, made, *output_size);
    gsasl_free(made);
  }
  if (state == GSASL_NEEDS_MORE) return MORE;
  if (state != GSASL_OK) printf("REFUSED %s\n", gsasl_strerror_name(state));
  return state == GSASL_OK ? DONE : REFUSED;
}

const char *backend_user(void *argument) {
  exchange *x = argument;
  const char *zid = gsasl_property_fast(x->session, GSASL_AUTHZID);
  const char *id = gsasl_property_fast(x->session, GSASL_AUTHID);
  const char *trace = gsasl_property_fast(x->session, GSASL_ANONYMOUS_TOKEN);
  (void)snprintf(x->user, sizeof x->user, "%s as %s",
                 id      ? id
                 : trace ? trace
                         : "nobody",
                 zid && *zid ? zid : "self");
  return x->user;
}

void backend_end(void *argument) {
  exchange *x = argument;
  gsasl_finish(x->session);
  free(x);
}
