/*
 * lua_delivery.c - see lua_delivery.h.
 */
#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64 /* lseek, fseeko */
#include "lua_delivery.h"

#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "lua_connection.h"
#include "lua_error.h"
#include "lua_options.h"
#include "lua_restrict.h"

/* ------------------------------------------------------------ what is asked */

void pop3_delivery_reset(pop3_delivery *d, pop3_delivery_mode mode,
                         uint64_t limit) {
  pop3_delivery_abandon(d); /* of a call whose arguments were refused */
  memset(d, 0, sizeof *d);
  d->asked = d->mode = mode;
  d->limit = limit;
}

pop3_error pop3_delivery_use_hash(pop3_delivery *d, const char *name,
                                  pop3_failure *failure) {
  if (strlen(name) >= sizeof d->hash)
    return pop3_fail(failure, POP3_E_ARGUMENT, "OpenSSL knows no such digest");
  pop3_error error = pop3_digest_new(name, &d->digest, failure);
  if (error == POP3_E_OK) memcpy(d->hash, name, strlen(name) + 1);
  return error;
}

/* ------------------------------------------------------------ aiming */

/* The path of { path = }: itself, because the table is the caller's, who may
 * change it before the file is opened. [-0, +(0|1), m] */
static bool push_path(lua_State *L, int index) {
  if (!lua_istable(L, index)) return false;
  lua_pushliteral(L, "path");
  lua_rawget(L, index);
  bool string = lua_type(L, -1) == LUA_TSTRING;
  size_t size = string ? compat_rawlen(L, -1) : 0;
  bool whole =
      string && size <= POP3_MOST_OPTION && strlen(lua_tostring(L, -1)) == size;
  if (!whole) lua_pop(L, 1);
  return whole;
}

/* A whole number that can be a descriptor. */
static bool is_descriptor(lua_State *L, int index) {
  lua_Number n = lua_tonumber(L, index);
  if (lua_type(L, index) != LUA_TNUMBER) return false;
  return n >= 0 && n <= 2147483647.0 && n == (lua_Number)(int)n;
}

/* What is opened: a path, a descriptor's number, a Lua file. [-0, +(0|1), m] */
static bool push_file(lua_State *L, int index) {
  if (push_path(L, index)) return true;
  bool open = is_descriptor(L, index) || compat_testfile(L, index) != NULL;
  if (open) lua_pushvalue(L, index);
  return open;
}

bool pop3_delivery_aim(lua_State *L, pop3_delivery *d, int index, int anchors) {
  if (lua_isnil(L, index)) {
    d->mode = POP3_TO_NOWHERE;
    return d->asked == POP3_TO_SINKS;
  }
  bool file = push_file(L, index);
  if (!file) lua_pushvalue(L, index);
  bool taken = file ? !d->streams_only : lua_isfunction(L, -1);
  if (!taken) {
    lua_pop(L, 1);
    return false;
  }
  d->mode = file ? POP3_TO_FILE : POP3_TO_LUA;
  d->aimed = file;
  d->lua_file = lua_isuserdata(L, -1);
  lua_rawseti(L, anchors, POP3_SLOT_SINK);
  return true;
}

const char *pop3_delivery_wanted(const pop3_delivery *d) {
  return d->streams_only ? "function (files would block this host)"
                         : "function, file, descriptor or {path = ...}";
}

/* What Lua has buffered goes first; then the descriptor is ours. */
static int descriptor_of_file(FILE *file) {
  return fflush(file) == 0 ? fileno(file) : -1;
}

/* A Lua file was opened by whoever gave it to the script. */
static pop3_error permit(lua_State *L, pop3_failure *failure) {
  if (lua_type(L, -1) == LUA_TSTRING)
    return pop3_permit(L, POP3_RIGHT_FILES, "a path as sink", failure);
  if (lua_type(L, -1) == LUA_TNUMBER)
    return pop3_permit(L, POP3_RIGHT_FDS, "a descriptor as sink", failure);
  return POP3_E_OK;
}

/* The value "sink" is on the top. [-0, +0, m] */
static pop3_error open_sink(lua_State *L, pop3_connection *u,
                            pop3_failure *failure) {
  pop3_delivery *d = &u->delivery;
  bool threaded = pop3_share_waits_outside(&u->share);
  pop3_error error = permit(L, failure);
  if (error != POP3_E_OK) return error;
  if (lua_type(L, -1) == LUA_TSTRING)
    return pop3_file_open_path(&u->allocator, lua_tostring(L, -1), threaded,
                               &d->file, failure);
  FILE *file = compat_testfile(L, -1);
  int fd = file != NULL ? descriptor_of_file(file) : (int)lua_tonumber(L, -1);
  return pop3_file_use_fd(&u->allocator, fd, threaded, &d->file, failure);
}

pop3_error pop3_delivery_open(lua_State *L, pop3_connection *u, int anchors,
                              pop3_failure *failure) {
  if (!u->delivery.aimed) return POP3_E_OK;
  u->delivery.aimed = false;
  lua_rawgeti(L, anchors, POP3_SLOT_SINK);
  pop3_error error = open_sink(L, u, failure);
  lua_pop(L, 1);
  return error;
}

/*
 * Somebody else has written to the stream's descriptor: let the stream know
 * where it is now, as POSIX wants it before the stream is used again. Nothing
 * for what cannot seek.
 */
static void resync(FILE *file) {
  off_t at = lseek(fileno(file), 0, SEEK_CUR);
  if (at >= 0) (void)fseeko(file, at, SEEK_SET);
}

/* The Lua file that was aimed at and is open, or NULL. [-0, +0, m] */
static FILE *aimed_file(lua_State *L, int anchors) {
  lua_rawgeti(L, anchors, POP3_SLOT_SINK);
  FILE *file = compat_testfile(L, -1);
  lua_pop(L, 1);
  return file;
}

bool pop3_delivery_is_lost(lua_State *L, const pop3_delivery *d, int anchors) {
  return d->file != NULL && d->lua_file && aimed_file(L, anchors) == NULL;
}

void pop3_delivery_close(lua_State *L, pop3_delivery *d, int anchors) {
  FILE *file = d->lua_file ? aimed_file(L, anchors) : NULL;
  pop3_file_release(d->file);
  if (file != NULL) resync(file);
  d->file = NULL;
  d->lua_file = d->finishing = false;
  lua_pushnil(L);
  lua_rawseti(L, anchors, POP3_SLOT_SINK);
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
  const char *path = luaL_checklstring(L, 1, &size);
  luaL_argcheck(L, size <= POP3_MOST_OPTION && strlen(path) == size, 1,
                "a path without NUL");
  const char *octets = luaL_checklstring(L, 2, &size);
  pop3_allocator allocator;
  allocator.resize = lua_getallocf(L, &allocator.state);
  pop3_error error = pop3_permit(L, POP3_RIGHT_FILES, "a path", &failure);
  if (error == POP3_E_OK)
    error = pop3_file_open_path(&allocator, path, false, &file, &failure);
  if (error == POP3_E_OK) error = write_whole(file, octets, size, &failure);
  pop3_file_release(file);
  return error == POP3_E_OK ? 0 : pop3_push_error(L, &failure);
}

/* ------------------------------------------------------------ a message */

pop3_error pop3_delivery_start(pop3_delivery *d, uint64_t announced,
                               pop3_failure *failure) {
  if (d->asked == POP3_TO_SINKS) d->mode = POP3_TO_SINKS;
  d->octets = 0;
  d->announced = announced;
  d->eol.held = false;
  if (d->hash[0] == '\0' || d->digest != NULL) return POP3_E_OK;
  return pop3_digest_new(d->hash, &d->digest, failure);
}

static pop3_error exceeds(const pop3_delivery *d, pop3_failure *failure) {
  const char *advice =
      d->mode == POP3_TO_STRING ? "; retr_to takes a message of any size" : "";
  return pop3_fail(
      failure, POP3_E_OCTETS, "%s: the limit is max_octets = %llu%s",
      pop3_error_text(POP3_E_OCTETS), (unsigned long long)d->limit, advice);
}

/* Octets that the receiver gets: into the digest, and into the count. */
static pop3_error account(pop3_delivery *d, pop3_span text,
                          pop3_failure *failure) {
  if (d->digest != NULL && text.size > 0 &&
      pop3_digest_update(d->digest, text.data, text.size) != POP3_E_OK)
    return pop3_fail(failure, POP3_E_MEMORY, NULL);
  d->octets += text.size;
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

/* What the receiver gets of a piece. */
pop3_error pop3_delivery_take(pop3_delivery *d, pop3_pieces *pieces,
                              pop3_failure *failure) {
  pop3_span *text = &pieces->text;
  bool lead = false;
  if (d->lf)
    text->size = pop3_eol_lf(&d->eol, writable(*text), text->size, &lead);
  pieces->lead.data = "\r";
  pieces->lead.size = lead;
  pop3_error error = account(d, pieces->lead, failure);
  return error == POP3_E_OK ? account(d, *text, failure) : error;
}

pop3_error pop3_delivery_take_line(pop3_delivery *d, const pop3_event *event,
                                   pop3_failure *failure) {
  pop3_span eol = {d->lf ? "\n" : "\r\n", d->lf ? 1 : 2};
  pop3_error error = account(d, event->text, failure);
  if (error != POP3_E_OK || !event->last) return error;
  return account(d, eol, failure);
}

bool pop3_delivery_finish_digest(pop3_delivery *d, char hex[POP3_DIGEST_HEX]) {
  size_t length;
  if (d->digest == NULL) return false;
  bool made = pop3_digest_finish(d->digest, hex, &length) == POP3_E_OK;
  pop3_digest_free(d->digest);
  d->digest = NULL;
  return made;
}

void pop3_delivery_abandon(pop3_delivery *d) {
  pop3_file_release(d->file);
  pop3_digest_free(d->digest);
  d->file = NULL;
  d->digest = NULL;
  d->hash[0] = '\0';
  d->writing.lead.size = d->writing.text.size = 0;
  d->finishing = d->aimed = false;
  d->mode = POP3_TO_NOWHERE;
}
