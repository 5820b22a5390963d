/* posix.c - see posix.h. */
#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64

#include "posix.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <lua.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

typedef struct constant {
  const char *name;
  int value;
} constant;

#define CONSTANT(name) \
  { #name, name }

/* nil, text, errno, as luaposix; the path, if there is one, in front. */
static int fail(lua_State *L, const char *path) {
  int error = errno;
  lua_pushnil(L);
  if (path != NULL) lua_pushfstring(L, "%s: %s", path, strerror(error));
  else lua_pushstring(L, strerror(error));
  lua_pushinteger(L, error);
  return 3;
}

static int answer(lua_State *L, long result, const char *path) {
  if (result < 0) return fail(L, path);
  lua_pushinteger(L, (lua_Integer)result);
  return 1;
}

static int check_int(lua_State *L, int index) {
  return (int)luaL_checkinteger(L, index);
}

/* --- errno, fcntl, unistd ------------------------------------------------- */

static int text_of_errno(lua_State *L) {
  lua_pushstring(L, strerror((int)luaL_optinteger(L, 1, errno)));
  return 1;
}

static int open_file(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  mode_t mode = (mode_t)luaL_optinteger(L, 3, 0777);
  return answer(L, open(path, check_int(L, 2), mode), path);
}

static int close_file(lua_State *L) {
  return answer(L, close(check_int(L, 1)), NULL);
}

static int sync_file(lua_State *L) {
  return answer(L, fsync(check_int(L, 1)), NULL);
}

/* fcntl(fd, F_SETLK, { l_type = ... }): only this, and of the whole file. */
static int lock_file(lua_State *L) {
  struct flock lock;
  memset(&lock, 0, sizeof lock);
  luaL_argcheck(L, luaL_checkinteger(L, 2) == F_SETLK, 2, "F_SETLK expected");
  luaL_checktype(L, 3, LUA_TTABLE);
  lua_getfield(L, 3, "l_type");
  lock.l_type = (short)luaL_checkinteger(L, -1);
  return answer(L, fcntl(check_int(L, 1), F_SETLK, &lock), NULL);
}

static int name_terminal(lua_State *L) {
  const char *name = ttyname(check_int(L, 1));
  if (name == NULL) return fail(L, NULL);
  lua_pushstring(L, name);
  return 1;
}

static int drain_terminal(lua_State *L) {
  return answer(L, tcdrain(check_int(L, 1)), NULL);
}

static int write_file(lua_State *L) {
  size_t size;
  const char *octets = luaL_checklstring(L, 2, &size);
  return answer(L, write(check_int(L, 1), octets, size), NULL);
}

static int read_file(lua_State *L) {
  char octets[4096];
  lua_Integer most = luaL_checkinteger(L, 2);
  size_t size = most > 0 && most < 4096 ? (size_t)most : sizeof octets;
  ssize_t got = read(check_int(L, 1), octets, size);
  if (got < 0) return fail(L, NULL);
  lua_pushlstring(L, octets, (size_t)got);
  return 1;
}

static int link_file(lua_State *L) {
  return answer(L, link(luaL_checkstring(L, 1), luaL_checkstring(L, 2)), NULL);
}

static int unlink_file(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  return answer(L, unlink(path), path);
}

static int is_terminal(lua_State *L) {
  return answer(L, isatty(check_int(L, 1)) ? 1 : -1, NULL);
}

static int get_process(lua_State *L) { return answer(L, getpid(), NULL); }

static int get_user(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)geteuid());
  return 1;
}

/* --- sys.stat, dirent ----------------------------------------------------- */

static void set_integer(lua_State *L, const char *key, lua_Integer value) {
  lua_pushinteger(L, value);
  lua_setfield(L, -2, key);
}

static int push_status(lua_State *L, int result, const struct stat *status) {
  if (result < 0) return fail(L, lua_tostring(L, 1));
  lua_newtable(L);
  set_integer(L, "st_mode", (lua_Integer)status->st_mode);
  set_integer(L, "st_uid", (lua_Integer)status->st_uid);
  set_integer(L, "st_size", (lua_Integer)status->st_size);
  return 1;
}

static int get_status(lua_State *L) {
  struct stat status;
  return push_status(L, stat(luaL_checkstring(L, 1), &status), &status);
}

static int get_link_status(lua_State *L) {
  struct stat status;
  return push_status(L, lstat(luaL_checkstring(L, 1), &status), &status);
}

static int is_folder(lua_State *L) {
  lua_pushinteger(L, S_ISDIR((mode_t)luaL_checkinteger(L, 1)) != 0);
  return 1;
}

static int is_regular(lua_State *L) {
  lua_pushinteger(L, S_ISREG((mode_t)luaL_checkinteger(L, 1)) != 0);
  return 1;
}

static int make_folder(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  return answer(L, mkdir(path, (mode_t)luaL_optinteger(L, 2, 0777)), path);
}

/* Whatever is raised meanwhile (for a lack of memory) leaves the folder open,
 * until the program ends. */
static int list_folder(lua_State *L) {
  const char *path = luaL_optstring(L, 1, ".");
  const struct dirent *entry;
  int count = 0;
  DIR *folder = opendir(path);
  if (folder == NULL) return fail(L, path);
  lua_newtable(L);
  while ((entry = readdir(folder)) != NULL) {
    lua_pushstring(L, entry->d_name);
    lua_rawseti(L, -2, ++count);
  }
  (void)closedir(folder);
  return 1;
}

/* --- time ----------------------------------------------------------------- */

static int get_clock(lua_State *L) {
  struct timespec t;
  if (clock_gettime((clockid_t)check_int(L, 1), &t) != 0) return fail(L, NULL);
  lua_newtable(L);
  set_integer(L, "tv_sec", (lua_Integer)t.tv_sec);
  set_integer(L, "tv_nsec", (lua_Integer)t.tv_nsec);
  return 1;
}

static int get_time_of_day(lua_State *L) {
  struct timeval t;
  if (gettimeofday(&t, NULL) != 0) return fail(L, NULL);
  lua_newtable(L);
  set_integer(L, "tv_sec", (lua_Integer)t.tv_sec);
  set_integer(L, "tv_usec", (lua_Integer)t.tv_usec);
  return 1;
}

/* --- termio --------------------------------------------------------------- */

static int get_terminal(lua_State *L) {
  struct termios t;
  if (tcgetattr(check_int(L, 1), &t) != 0) return fail(L, NULL);
  lua_newtable(L);
  set_integer(L, "lflag", (lua_Integer)t.c_lflag);
  lua_pushlstring(L, (const char *)&t, sizeof t); /* all the rest */
  lua_setfield(L, -2, "rest");
  return 1;
}

static int set_terminal(lua_State *L) {
  struct termios t;
  size_t size;
  luaL_checktype(L, 3, LUA_TTABLE);
  lua_getfield(L, 3, "rest");
  const char *rest = luaL_checklstring(L, -1, &size);
  luaL_argcheck(L, size == sizeof t, 3, "not what tcgetattr gave");
  memcpy(&t, rest, sizeof t);
  lua_getfield(L, 3, "lflag");
  t.c_lflag = (tcflag_t)luaL_checkinteger(L, -1);
  return answer(L, tcsetattr(check_int(L, 1), check_int(L, 2), &t), NULL);
}

/* --- signal --------------------------------------------------------------- */

#define HANDLERS "posix.signal.handlers" /* number -> function */

static lua_State *interrupted;
static volatile sig_atomic_t arrived; /* the last signal that did */

/* At the interpreter's next instruction, outside of any C function. */
static void call_handler(lua_State *L, lua_Debug *unused) {
  (void)unused;
  int number = arrived;
  lua_sethook(L, NULL, 0, 0);
  lua_getfield(L, LUA_REGISTRYINDEX, HANDLERS);
  lua_rawgeti(L, -1, number);
  lua_pushinteger(L, number);
  if (lua_pcall(L, 1, 0, 0) != 0) lua_pop(L, 1); /* luaposix keeps it, too */
  lua_pop(L, 1);
}

static void note_signal(int number) {
  arrived = number;
  lua_sethook(interrupted, call_handler,
              LUA_MASKCALL | LUA_MASKRET | LUA_MASKCOUNT, 1);
}

/* signal(number, function | SIG_IGN | SIG_DFL) */
static int set_signal(lua_State *L) {
  struct sigaction action;
  int number = check_int(L, 1);
  memset(&action, 0, sizeof action);
  (void)sigemptyset(&action.sa_mask);
  action.sa_handler = SIG_DFL;
  if (lua_isfunction(L, 2)) {
    action.sa_handler = note_signal;
    lua_getfield(L, LUA_REGISTRYINDEX, HANDLERS);
    lua_pushvalue(L, 2);
    lua_rawseti(L, -2, number);
    interrupted = L;
  } else if (check_int(L, 2) == 1) {
    action.sa_handler = SIG_IGN;
  }
  return answer(L, sigaction(number, &action, NULL), NULL);
}

/* --- the modules ---------------------------------------------------------- */

static const luaL_Reg errno_functions[] = {{"errno", text_of_errno},
                                           {NULL, NULL}};
static const constant errno_constants[] = {CONSTANT(EINTR),
                                           CONSTANT(ENOENT),
                                           CONSTANT(EOPNOTSUPP),
                                           CONSTANT(EPERM),
                                           {NULL, 0}};

static const luaL_Reg fcntl_functions[] = {
    {"open", open_file}, {"fcntl", lock_file}, {NULL, NULL}};
static const constant fcntl_constants[] = {
    CONSTANT(O_APPEND), CONSTANT(O_CLOEXEC),
    CONSTANT(O_CREAT),  CONSTANT(O_EXCL),
    CONSTANT(O_NOCTTY), CONSTANT(O_RDONLY),
    CONSTANT(O_RDWR),   CONSTANT(O_WRONLY),
    CONSTANT(F_SETLK),  CONSTANT(F_WRLCK),
    {NULL, 0}};

static const luaL_Reg unistd_functions[] = {{"close", close_file},
                                            {"fsync", sync_file},
                                            {"write", write_file},
                                            {"read", read_file},
                                            {"link", link_file},
                                            {"unlink", unlink_file},
                                            {"isatty", is_terminal},
                                            {"getpid", get_process},
                                            {"geteuid", get_user},
                                            {"ttyname", name_terminal},
                                            {NULL, NULL}};

static const luaL_Reg stat_functions[] = {
    {"stat", get_status},   {"lstat", get_link_status}, {"mkdir", make_folder},
    {"S_ISDIR", is_folder}, {"S_ISREG", is_regular},    {NULL, NULL}};

static const luaL_Reg dirent_functions[] = {{"dir", list_folder}, {NULL, NULL}};

static const luaL_Reg time_functions[] = {{"clock_gettime", get_clock},
                                          {NULL, NULL}};
static const constant time_constants[] = {CONSTANT(CLOCK_MONOTONIC), {NULL, 0}};

static const luaL_Reg systime_functions[] = {{"gettimeofday", get_time_of_day},
                                             {NULL, NULL}};

static const luaL_Reg termio_functions[] = {{"tcgetattr", get_terminal},
                                            {"tcsetattr", set_terminal},
                                            {"tcdrain", drain_terminal},
                                            {NULL, NULL}};
static const constant termio_constants[] = {
    CONSTANT(ECHO), CONSTANT(ECHONL), CONSTANT(TCSAFLUSH), {NULL, 0}};

static const luaL_Reg signal_functions[] = {{"signal", set_signal},
                                            {NULL, NULL}};
static const constant signal_constants[] = {
    CONSTANT(SIGINT),  CONSTANT(SIGTERM), CONSTANT(SIGHUP), CONSTANT(SIGPIPE),
    CONSTANT(SIGXFSZ), {"SIG_IGN", 1},    {"SIG_DFL", 0},   {NULL, 0}};

static const constant no_constants[] = {{NULL, 0}};

static const struct {
  const char *name;
  const luaL_Reg *functions;
  const constant *constants;
} modules[] = {
    {"posix.errno", errno_functions, errno_constants},
    {"posix.fcntl", fcntl_functions, fcntl_constants},
    {"posix.unistd", unistd_functions, no_constants},
    {"posix.sys.stat", stat_functions, no_constants},
    {"posix.dirent", dirent_functions, no_constants},
    {"posix.time", time_functions, time_constants},
    {"posix.sys.time", systime_functions, no_constants},
    {"posix.termio", termio_functions, termio_constants},
    {"posix.signal", signal_functions, signal_constants},
};

/* The loader of row `upvalue`. */
static int load(lua_State *L) {
  lua_Integer row = lua_tointeger(L, lua_upvalueindex(1));
  lua_newtable(L);
  luaL_setfuncs(L, modules[row].functions, 0);
  for (const constant *c = modules[row].constants; c->name != NULL; c++)
    set_integer(L, c->name, c->value);
  return 1;
}

void pop3_preload_posix(lua_State *L) {
  lua_newtable(L);
  lua_setfield(L, LUA_REGISTRYINDEX, HANDLERS);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  for (size_t i = 0; i < sizeof modules / sizeof *modules; i++) {
    lua_pushinteger(L, (lua_Integer)i);
    lua_pushcclosure(L, load, 1);
    lua_setfield(L, -2, modules[i].name);
  }
  lua_pop(L, 1);
}
