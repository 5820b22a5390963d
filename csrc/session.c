/*
 * session.c - the engine's outgoing half: admission and encoding of commands.
 * See pop3.h; reply.c reads what comes back. Nothing here allocates, waits or
 * calls back.
 */
#include <stddef.h>
#include <string.h>

#include "session_internal.h"

/* Not memset: a compiler may drop one whose result nobody reads. */
static void wipe(char *octets, size_t size) {
  volatile char *at = octets;
  while (size-- > 0) *at++ = 0;
}

/* ------------------------------------------------------------ life */

#define LIMIT_DEFAULT(name, value, reason) config->name = value;
void pop3_config_init(pop3_config *config) {
  memset(config, 0, sizeof *config);
  POP3_LIMITS(LIMIT_DEFAULT)
}

/* A window of none could never send; more than 64 Ki commands helps nobody. */
static size_t window(const pop3_config *config) {
  if (config->max_inflight < 1) return 1;
  if (config->max_inflight > 65536) return 65536;
  return (size_t)config->max_inflight;
}

/* "+OK" has to fit, and what is longer than 1 MiB is no status line. */
size_t pop3_line_room(const pop3_config *config) {
  if (config->max_line < 16) return 16;
  if (config->max_line > 1048576) return 1048576;
  return (size_t)config->max_line;
}

size_t pop3_session_size(const pop3_config *config) {
  return sizeof(pop3_session) + window(config) * sizeof(pop3_flight) +
         pop3_line_room(config);
}

char *pop3_line_buffer(pop3_session *s) {
  return (char *)(s->ring + window(&s->config));
}

pop3_flight *pop3_flight_front(pop3_session *s) { return &s->ring[s->first]; }

static pop3_flight *push_flight(pop3_session *s) {
  size_t slots = window(&s->config);
  pop3_flight *f = &s->ring[(s->first + s->count) % slots];
  memset(f, 0, sizeof *f);
  s->count++;
  return f;
}

void pop3_flight_pop(pop3_session *s) {
  s->settled = pop3_flight_front(s)->end;
  s->first = (s->first + 1) % window(&s->config);
  s->count--;
  s->reading = READ_STATUS;
}

pop3_session *pop3_session_init(void *memory, const pop3_config *config) {
  pop3_session *s = memory;
  /* The output buffer behind is written before it is read. */
  memset(s, 0, offsetof(pop3_session, output));
  s->line_size = 0;
  s->config = *config;
  push_flight(s)->command = POP3_GREETING;
  return s;
}

pop3_error pop3_session_die(pop3_session *s, pop3_error error) {
  if (s->error == POP3_E_OK) s->error = error;
  return s->error;
}

void pop3_session_poison(pop3_session *s, pop3_error error) {
  pop3_session_die(s, error);
}

pop3_error pop3_session_error(const pop3_session *s) { return s->error; }

bool pop3_session_is_secure(const pop3_session *s) { return s->secure; }

bool pop3_session_is_over(const pop3_session *s) { return s->over; }

void pop3_session_wipe(pop3_session *s) {
  wipe(s->output + s->output_start, s->output_end - s->output_start);
  s->output_start = s->output_end = 0;
}

bool pop3_session_is_leaving(const pop3_session *s) { return s->leaving; }

size_t pop3_session_inflight(const pop3_session *s) { return s->count; }

size_t pop3_session_window(const pop3_session *s) { return window(&s->config); }

bool pop3_session_is_roomy(const pop3_session *s) {
  uint64_t limit = s->config.max_ahead;
  if (s->count > window(&s->config) / 2) return false;
  return s->count == 0 || limit == 0 || s->queued - s->settled <= limit / 2;
}

pop3_command pop3_session_awaited(const pop3_session *s) {
  return s->count > 0 ? (pop3_command)s->ring[s->first].command : POP3_OTHER;
}

void pop3_session_secured(pop3_session *s) {
  s->secure = true;
  s->wall = WALL_NONE;
}

pop3_error pop3_session_eof(pop3_session *s) {
  if (s->over) return POP3_E_OK;
  return pop3_session_die(s, POP3_E_EOF);
}

/* ------------------------------------------------------------ output */

static bool line_pending(const pop3_session *s) {
  return s->part < s->part_count;
}

pop3_span pop3_session_output(const pop3_session *s) {
  pop3_span none = {NULL, 0};
  if (s->error != POP3_E_OK) return none;
  pop3_span copied = {s->output + s->output_start,
                      s->output_end - s->output_start};
  if (copied.size > 0 || !line_pending(s)) return copied;
  return s->parts[s->part];
}

static void next_part(pop3_session *s) {
  while (line_pending(s) && s->parts[s->part].size == 0) s->part++;
}

void pop3_session_sent(pop3_session *s, size_t size) {
  s->sent += size;
  if (s->output_end > s->output_start) {
    wipe(s->output + s->output_start, size);
    s->output_start += size;
    if (s->output_start == s->output_end) s->output_start = s->output_end = 0;
    return;
  }
  s->parts[s->part].data += size;
  s->parts[s->part].size -= size;
  next_part(s);
}

size_t pop3_session_pending(const pop3_session *s) {
  return (size_t)(s->queued - s->sent);
}

static size_t total_size(const pop3_span *parts, size_t count) {
  size_t total = 0;
  for (size_t i = 0; i < count; i++) total += parts[i].size;
  return total;
}

static void copy_line(pop3_session *s, const pop3_span *parts, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (parts[i].size == 0) continue;
    memcpy(s->output + s->output_end, parts[i].data, parts[i].size);
    s->output_end += parts[i].size;
  }
}

static void borrow_line(pop3_session *s, const pop3_span *parts, size_t count) {
  memcpy(s->parts, parts, count * sizeof *parts);
  s->part = 0;
  s->part_count = count;
  next_part(s);
}

/* Every octet that leaves passes here, behind admit and pop3_check_octets. */
static void queue_line(pop3_session *s, const pop3_span *parts, size_t count) {
  size_t total = total_size(parts, count);
  if (total <= OUTPUT_SIZE - s->output_end) {
    copy_line(s, parts, count);
  } else {
    borrow_line(s, parts, count);
  }
  s->queued += total;
}

/* ------------------------------------------------------------ admission */

/* A line may be queued behind what waits, or alone if it is a long one. */
static bool has_room(pop3_session *s, size_t total) {
  if (line_pending(s)) return false;
  if (s->output_start > 0 && total > OUTPUT_SIZE - s->output_end) {
    size_t left = s->output_end - s->output_start;
    memmove(s->output, s->output + s->output_start, left);
    wipe(s->output + left, s->output_start);
    s->output_start = 0;
    s->output_end = left;
  }
  return total <= OUTPUT_SIZE - s->output_end || s->output_end == 0;
}

static bool barrier_pending(pop3_session *s, unsigned flags) {
  if (s->count == 0) return false;
  return (flags & POP3_F_ALONE) || (pop3_flight_front(s)->flags & POP3_F_ALONE);
}

/* A server that does not read while it writes keeps what we send in the
 * kernels' buffers; one command may always go. */
static bool exceeds_ahead(const pop3_session *s, size_t total) {
  uint64_t limit = s->config.max_ahead;
  return s->count > 0 && limit > 0 && s->queued - s->settled + total > limit;
}

/* All that can refuse a command, but for its octets. */
static pop3_error admit(pop3_session *s, unsigned flags, size_t total) {
  if (s->error != POP3_E_OK) return s->error;
  if (s->count == 0 && s->line_size > 0)
    return pop3_session_die(s, POP3_E_GOODBYE);
  if (!s->greeted || s->leaving || s->wall >= WALL_ACCEPTED)
    return POP3_E_STATE;
  if (s->config.require_tls && !s->secure && !(flags & POP3_F_CLEAR))
    return POP3_E_INSECURE;
  if (barrier_pending(s, flags)) return POP3_E_AGAIN;
  if (s->count >= window(&s->config)) return POP3_E_AGAIN;
  if (exceeds_ahead(s, total)) return POP3_E_AGAIN;
  return has_room(s, total) ? POP3_E_OK : POP3_E_AGAIN;
}

/* The one place that refuses what would end a line (CVE-2025-15367). */
pop3_error pop3_check_octets(pop3_span octets, bool token) {
  if (token && octets.size == 0) return POP3_E_NOT_NUMBER;
  for (size_t i = 0; i < octets.size; i++) {
    unsigned char c = (unsigned char)octets.data[i];
    if (c == '\r' || c == '\n' || c == '\0') return POP3_E_CONTROL;
    if (token && (c <= ' ' || c > '~')) return POP3_E_NOT_NUMBER;
  }
  return POP3_E_OK;
}

typedef struct arity {
  size_t least;
  size_t most;
  bool token;
} arity;

static const arity arities[] = {
    [POP3_ARG_NONE] = {0, 0, false},    [POP3_ARG_TEXT] = {1, 1, false},
    [POP3_ARG_TEXT2] = {2, 2, false},   [POP3_ARG_TOKEN] = {1, 1, true},
    [POP3_ARG_TOKEN2] = {2, 2, true},   [POP3_ARG_OPT] = {0, 1, true},
    [POP3_ARG_OPTTEXT] = {0, 2, false},
};

static pop3_error check_arguments(const pop3_command_row *row,
                                  const pop3_span *arguments, size_t count) {
  const arity *wanted = &arities[row->arguments];
  if (count < wanted->least || count > wanted->most) return POP3_E_ARGUMENT;
  for (size_t i = 0; i < count; i++) {
    pop3_error error = pop3_check_octets(arguments[i], wanted->token);
    if (error != POP3_E_OK) return error;
  }
  return POP3_E_OK;
}

static pop3_span text(const char *string) {
  pop3_span span = {string, strlen(string)};
  return span;
}

/* Name, arguments and line end as parts. */
static size_t assemble(const pop3_command_row *row, const pop3_span *arguments,
                       size_t count, pop3_span parts[LINE_PARTS]) {
  size_t used = 0;
  parts[used++] = text(row->name);
  for (size_t i = 0; i < count; i++) {
    parts[used++] = text(" ");
    parts[used++] = arguments[i];
  }
  parts[used++] = text("\r\n");
  return used;
}

/* What the reply will look like, now that the arguments are known. */
static pop3_reply resolve_reply(pop3_reply reply, size_t count) {
  if (reply == POP3_REPLY_ASKED)
    return count > 0 ? POP3_REPLY_SHORT : POP3_REPLY_LONG;
  if (reply == POP3_REPLY_SASL && count == 0) return POP3_REPLY_LONG;
  return reply;
}

static void enlist(pop3_session *s, pop3_command command, pop3_reply reply,
                   unsigned delivery, uint32_t *tag) {
  pop3_flight *f = push_flight(s);
  f->command = (uint8_t)command;
  f->flags = (uint8_t)pop3_command_get(command)->flags;
  f->reply = (uint8_t)reply;
  f->delivery = (uint8_t)delivery;
  f->tag = ++s->next_tag;
  f->end = s->queued;
  s->leaving = s->leaving || (f->flags & POP3_F_LAST);
  s->wall = WALL_NONE;
  if (tag != NULL) *tag = f->tag;
}

pop3_error pop3_session_command(pop3_session *s, pop3_command command,
                                const pop3_span *arguments, size_t count,
                                unsigned flags, uint32_t *tag) {
  const pop3_command_row *row = pop3_command_get(command);
  if (command >= POP3_COMMAND_COUNT) return POP3_E_ARGUMENT;
  pop3_error error = check_arguments(row, arguments, count);
  if (error != POP3_E_OK) return error;
  pop3_span parts[LINE_PARTS];
  size_t used = assemble(row, arguments, count, parts);
  error = admit(s, row->flags, total_size(parts, used));
  if (error != POP3_E_OK) return error;
  queue_line(s, parts, used);
  enlist(s, command, resolve_reply(row->reply, count), flags & DELIVERY, tag);
  if (row->reply == POP3_REPLY_SASL && count == 1)
    pop3_flight_front(s)->flags |= FLIGHT_BARE; /* it is alone */
  return POP3_E_OK;
}

/* By hand, the caller says whether more than a status line follows. */
static pop3_reply reply_by_hand(const pop3_command_row *row, unsigned flags) {
  if (!(flags & POP3_AS_LONG)) return POP3_REPLY_SHORT;
  if (row->reply == POP3_REPLY_MESSAGE || row->reply == POP3_REPLY_CAPS)
    return row->reply;
  return POP3_REPLY_LONG;
}

pop3_error pop3_session_line(pop3_session *s, pop3_span line, unsigned flags,
                             uint32_t *tag) {
  pop3_command command = pop3_command_find(line.data, line.size);
  const pop3_command_row *row = pop3_command_get(command);
  pop3_error error = pop3_check_octets(line, false);
  if (error != POP3_E_OK) return error;
  if (line.size == 0 || (unsigned char)line.data[0] <= ' ')
    return POP3_E_ARGUMENT; /* a server that skips blanks sees another word */
  if (row->flags & POP3_F_ALONE) return POP3_E_STATE;
  pop3_span parts[2] = {line, text("\r\n")};
  error = admit(s, row->flags, total_size(parts, 2));
  if (error != POP3_E_OK) return error;
  queue_line(s, parts, 2);
  enlist(s, command, reply_by_hand(row, flags), flags & DELIVERY, tag);
  return POP3_E_OK;
}

pop3_error pop3_session_answer(pop3_session *s, pop3_span base64) {
  if (s->error != POP3_E_OK) return s->error;
  if (!s->challenged) return POP3_E_STATE;
  pop3_error error = pop3_check_octets(base64, false);
  if (error != POP3_E_OK) return error;
  pop3_span parts[2] = {base64, text("\r\n")};
  if (!has_room(s, total_size(parts, 2))) return POP3_E_AGAIN;
  queue_line(s, parts, 2);
  pop3_flight_front(s)->end = s->queued;
  s->challenged = false;
  return POP3_E_OK;
}
