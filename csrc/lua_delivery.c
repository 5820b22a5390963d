/*
 * lua_delivery.c - see lua_delivery.h.
 */
#include "lua_delivery.h"

#include <stdio.h>
#include <string.h>

#include "lua_connection.h"
#include "lua_error.h"

/* ------------------------------------------------------------ what is asked */

void pop3_delivery_reset(pop3_delivery *d, pop3_delivery_mode mode,
                         uint64_t limit) {
  memset(d, 0, sizeof *d);
  d->asked = d->mode = mode;
  d->limit = limit;
}

pop3_error pop3_delivery_use_hash(pop3_delivery *d, const char *name,
                                  pop3_failure *failure) {
  if (strlen(name) >= sizeof d->hash)
    return pop3_fail(failure, POP3_E_ARGUMENT, "OpenSSL knows no such digest");
  pop3_error error = pop3_digest_new(name, &d->digest);
  if (error != POP3_E_OK)
    return pop3_fail(failure, error, "OpenSSL knows no digest \"%s\"", name);
  memcpy(d->hash, name, strlen(name) + 1);
  return POP3_E_OK;
}

/* ------------------------------------------------------------ aiming */

static bool is_path(lua_State *L, int index) {
  if (!lua_istable(L, index)) return false;
  lua_pushliteral(L, "path");
  lua_rawget(L, index);
  bool string = lua_type(L, -1) == LUA_TSTRING;
  size_t size = string ? compat_rawlen(L, -1) : 0;
  bool whole = string && strlen(lua_tostring(L, -1)) == size;
  lua_pop(L, 1);
  return whole;
}

/* A whole number that can be a descriptor. */
static bool is_descriptor(lua_State *L, int index) {
  lua_Number n = lua_tonumber(L, index);
  if (lua_type(L, index) != LUA_TNUMBER) return false;
  return n >= 0 && n <= 2147483647.0 && n == (lua_Number)(int)n;
}

bool pop3_delivery_aim(lua_State *L, pop3_delivery *d, int index, int anchors) {
  if (lua_isnil(L, index)) {
    d->mode = POP3_TO_NOWHERE;
    return d->asked == POP3_TO_SINKS;
  }
  bool file = is_descriptor(L, index) || is_path(L, index) ||
              compat_testfile(L, index) != NULL;
  if (!file && lua_type(L, index) != LUA_TFUNCTION) return false;
  d->mode = file ? POP3_TO_FILE : POP3_TO_LUA;
  d->aimed = file;
  lua_pushvalue(L, index);
  lua_setfield(L, anchors, "sink");
  return true;
}

/* What Lua has buffered goes first; then the descriptor is ours. */
static int descriptor_of_file(FILE *file) {
  return fflush(file) == 0 ? fileno(file) : -1;
}

/* The value "sink" is on the top. [-0, +0, m] */
static pop3_error open_sink(lua_State *L, pop3_connection *u,
                            pop3_failure *failure) {
  pop3_delivery *d = &u->delivery;
  bool threaded = u->waits_outside;
  if (lua_istable(L, -1)) {
    lua_pushliteral(L, "path");
    lua_rawget(L, -2);
    pop3_error error =
        pop3_file_open_path(lua_tostring(L, -1), threaded, &d->file, failure);
    lua_pop(L, 1);
    return error;
  }
  FILE *file = compat_testfile(L, -1);
  int fd = file != NULL ? descriptor_of_file(file) : (int)lua_tonumber(L, -1);
  return pop3_file_use_fd(fd, threaded, &d->file, failure);
}

pop3_error pop3_delivery_open(lua_State *L, pop3_connection *u, int anchors,
                              pop3_failure *failure) {
  if (!u->delivery.aimed) return POP3_E_OK;
  u->delivery.aimed = false;
  lua_getfield(L, anchors, "sink");
  pop3_error error = open_sink(L, u, failure);
  lua_pop(L, 1);
  return error;
}

/* Write all of it, and make it durable; for hosts that wait. */
static pop3_error write_whole(pop3_file *file, const char *octets, size_t size,
                              pop3_failure *failure) {
  while (size > 0) {
    size_t written = 0;
    pop3_error error = pop3_file_write(file, octets, size, &written, failure);
    if (error != POP3_E_OK) return error;
    octets += written;
    size -= written;
  }
  return pop3_file_finish(file, failure);
}

int pop3_lua_save(lua_State *L) {
  pop3_file *file = NULL;
  pop3_failure failure;
  size_t size;
  const char *path = luaL_checkstring(L, 1);
  const char *octets = luaL_checklstring(L, 2, &size);
  pop3_error error = pop3_file_open_path(path, false, &file, &failure);
  if (error == POP3_E_OK) error = write_whole(file, octets, size, &failure);
  pop3_file_abandon(file);
  return error == POP3_E_OK ? 0 : pop3_push_error(L, &failure);
}

/* ------------------------------------------------------------ a message */

pop3_error pop3_delivery_start(pop3_delivery *d, uint64_t announced,
                               pop3_failure *failure) {
  pop3_error error = POP3_E_OK;
  if (d->asked == POP3_TO_SINKS) d->mode = POP3_TO_SINKS;
  d->octets = 0;
  d->announced = announced;
  memset(&d->eol, 0, sizeof d->eol);
  if (d->hash[0] != '\0' && d->digest == NULL)
    error = pop3_digest_new(d->hash, &d->digest);
  return error == POP3_E_OK ? error : pop3_fail(failure, error, NULL);
}

static pop3_error exceeds(const pop3_delivery *d, pop3_failure *failure) {
  const char *advice =
      d->mode == POP3_TO_STRING ? "; retr_to takes a message of any size" : "";
  return pop3_fail(
      failure, POP3_E_OCTETS, "%s: the limit is max_octets = %llu%s",
      pop3_error_text(POP3_E_OCTETS), (unsigned long long)d->limit, advice);
}

static pop3_error count(pop3_delivery *d, size_t octets,
                        pop3_failure *failure) {
  d->octets += octets;
  if (d->limit > 0 && d->octets > d->limit) return exceeds(d, failure);
  return POP3_E_OK;
}

/* The receive buffer is ours to write; an event's span only points into it. */
static char *writable(pop3_span text) {
  union {
    const char *from;
    char *to;
  } pointer = {text.data};
  return pointer.to;
}

pop3_error pop3_delivery_take(pop3_delivery *d, pop3_span *text,
                              pop3_failure *failure) {
  if (d->lf) text->size = pop3_eol_lf(&d->eol, writable(*text), text->size);
  if (d->digest != NULL) pop3_digest_update(d->digest, text->data, text->size);
  return count(d, text->size, failure);
}

pop3_error pop3_delivery_take_line(pop3_delivery *d, const pop3_event *event,
                                   pop3_failure *failure) {
  const char *eol = d->lf ? "\n" : "\r\n";
  size_t eol_size = event->last ? strlen(eol) : 0;
  if (d->digest != NULL) {
    pop3_digest_update(d->digest, event->text.data, event->text.size);
    pop3_digest_update(d->digest, eol, eol_size);
  }
  return count(d, event->text.size + eol_size, failure);
}

bool pop3_delivery_finish_digest(pop3_delivery *d, char *hex) {
  if (d->digest == NULL) return false;
  pop3_digest_finish(d->digest, hex);
  pop3_digest_free(d->digest);
  d->digest = NULL;
  return true;
}

void pop3_delivery_abandon(pop3_delivery *d) {
  pop3_file_abandon(d->file);
  pop3_digest_free(d->digest);
  d->file = NULL;
  d->digest = NULL;
  d->hash[0] = '\0';
  d->writing.size = 0;
  d->finishing = d->aimed = false;
  d->mode = POP3_TO_NOWHERE;
}
