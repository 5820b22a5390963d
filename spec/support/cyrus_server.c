/*
 * cyrus_server.c - see sasl_server.h: Cyrus SASL's mechanisms. Its users are
 * in FOLDER/sasldb2, which saslpasswd2 made.
 */
#include <sasl/sasl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sasl_server.h"

#define REALM "spec"

const char backend_name[] = "cyrus";

static const settings *options;
static char database[4096];

typedef struct exchange {
  sasl_conn_t *session;
  sasl_channel_binding_t bound;
  bool begun;
  char mechanism[64];
  char user[256];
} exchange;

static int option(void *ctx, const char *plugin, const char *name,
                  const char **value, unsigned *size) {
  const struct {
    const char *name, *value;
  } known[] = {{"auxprop_plugin", "sasldb"},
               {"pwcheck_method", "auxprop"},
               {"sasldb_path", database},
               {"scram_iteration_counter", options->iterations},
               {"log_level", "0"}};
  (void)ctx, (void)plugin;
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    if (strcmp(name, known[i].name) != 0 || !known[i].value) continue;
    *value = known[i].value;
    if (size) *size = (unsigned)strlen(*value);
    return SASL_OK;
  }
  return SASL_FAIL;
}

static int log_line(void *ctx, int level, const char *text) {
  (void)ctx, (void)level;
  printf("LOG %s\n", text);
  return SASL_OK;
}

typedef int (*callback)(void);

static sasl_callback_t callbacks[] = {
    {SASL_CB_GETOPT, (callback)(void (*)(void))option, NULL},
    {SASL_CB_LOG, (callback)(void (*)(void))log_line, NULL},
    {SASL_CB_LIST_END, NULL, NULL}};

bool backend_begin(const settings *s) {
  options = s;
  (void)snprintf(database, sizeof database, "%s/sasldb2", s->folder);
  return sasl_server_init(callbacks, "spec") == SASL_OK;
}

static exchange *make(const binding *bound) {
  exchange *x = calloc(1, sizeof *x);
  if (sasl_server_new("pop", "localhost", REALM, NULL, NULL, NULL, 0,
                      &x->session) != SASL_OK) {
    free(x);
    return NULL;
  }
  if (!bound->type) return x;
  x->bound =
      (sasl_channel_binding_t){bound->type, 0, bound->size, bound->octets};
  (void)sasl_setprop(x->session, SASL_CHANNEL_BINDING, &x->bound);
  return x;
}

void backend_list(const binding *bound, char *out, size_t room) {
  const char *names = "";
  exchange *x = make(bound);
  if (x) (void)sasl_listmech(x->session, NULL, "", " ", "", &names, NULL, NULL);
  (void)snprintf(out, room, "%s", names);
  if (x) backend_end(x);
}

void *backend_start(const binding *bound, const char *mechanism) {
  char all[2048], *rest = NULL;
  backend_list(bound, all, sizeof all);
  for (char *name = strtok_r(all, " ", &rest); name;
       name = strtok_r(NULL, " ", &rest)) {
    if (strcmp(name, mechanism) != 0) continue;
    exchange *x = make(bound);
    if (x) (void)snprintf(x->mechanism, sizeof x->mechanism, "%s", mechanism);
    return x;
  }
  return NULL;
}

outcome backend_step(void *argument, const char *input, size_t size,
                     char **output, size_t *output_size) {
  exchange *x = argument;
  const char *made = NULL;
  unsigned made_size = 0;
  int state;
  if (!x->begun) {
    x->begun = true;
    state = sasl_server_start(x->session, x->mechanism, size > 0 ? input : NULL,
                              (unsigned)size, &made, &made_size);
  } else
    state =
        sasl_server_step(x->session, input, (unsigned)size, &made, &made_size);
  if (made && made_size > 0) {
    *output = malloc(made_size);
    memcpy(*output, made, made_size);
    *output_size = made_size;
  }
  if (state == SASL_CONTINUE) return MORE;
  if (state != SASL_OK)
    printf("REFUSED %s\n", sasl_errstring(state, NULL, NULL));
  return state == SASL_OK ? DONE : REFUSED;
}

const char *backend_user(void *argument) {
  exchange *x = argument;
  const void *name = NULL;
  if (sasl_getprop(x->session, SASL_USERNAME, &name) != SASL_OK) return NULL;
  (void)snprintf(x->user, sizeof x->user, "%s", (const char *)name);
  return x->user;
}

void backend_end(void *argument) {
  exchange *x = argument;
  sasl_dispose(&x->session);
  free(x);
}
