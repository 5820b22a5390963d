/*
 * session.c - the engine: admission and encoding of commands, and the reading
 * of replies. See pop3.h. Nothing here allocates, waits or calls back.
 */
#include <string.h>

#include "body.h"
#include "pop3.h"

/*
 * Octets of commands that are copied and may be in flight: 64 of the longest
 * RETR. Longer lines are borrowed and leave piece by piece.
 */
#define OUTPUT_SIZE 2048

/* What a flight keeps of pop3_session_command's flags. */
#define DELIVERY (POP3_AS_LINES | POP3_IN_PLACE)

/* AUTH's and the others' longest form: name, blank, two arguments, CRLF. */
#define LINE_PARTS 6

typedef enum reading {
  READ_STATUS,
  READ_LISTING,
  READ_MESSAGE,
  READ_CHALLENGE
} reading;

/* STLS is a wall between two streams (RFC 2595 4). */
typedef enum wall {
  WALL_NONE,
  WALL_REPLIED,   /* STLS was answered; nothing may follow in clear */
  WALL_ACCEPTED,  /* ... with +OK: the handshake is due */
  WALL_HANDSHAKE, /* and was announced */
} wall;

typedef struct flight {
  pop3_command command;
  pop3_reply reply;
  unsigned flags;    /* the row's */
  unsigned delivery; /* POP3_AS_LINES, POP3_IN_PLACE */
  uint32_t tag;
  uint64_t end; /* value of `queued` when its last octet is sent */
} flight;

struct pop3_session {
  pop3_config config;
  pop3_error error;
  bool greeted;
  bool secure;
  bool over;    /* QUIT was answered */
  bool leaving; /* QUIT was queued */
  wall wall;

  reading reading;
  pop3_body body;
  uint64_t lines;    /* of this listing */
  uint64_t line_raw; /* octets of the current listing line or challenge */
  uint64_t rounds;   /* challenges of this AUTH */
  bool challenged;   /* a challenge waits for pop3_session_answer */

  uint32_t next_tag;
  uint64_t queued; /* octets ever queued and sent: a reply whose command is */
  uint64_t sent;   /* not out yet answers nobody */
  size_t first;    /* ring of `count` flights */
  size_t count;

  size_t output_start;
  size_t output_end;
  pop3_span parts[LINE_PARTS]; /* a line too long to copy, borrowed */
  size_t part;
  size_t part_count;

  char output[OUTPUT_SIZE];
  size_t line_size; /* of `line`, behind the ring: a status line so far */
  flight ring[];    /* max_inflight, then max_line octets */
};

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
static size_t line_room(const pop3_config *config) {
  if (config->max_line < 16) return 16;
  if (config->max_line > 1048576) return 1048576;
  return (size_t)config->max_line;
}

size_t pop3_session_size(const pop3_config *config) {
  return sizeof(pop3_session) + window(config) * sizeof(flight) +
         line_room(config);
}

static char *line_buffer(pop3_session *s) {
  return (char *)(s->ring + window(&s->config));
}

static flight *front(pop3_session *s) { return &s->ring[s->first]; }

static flight *push_flight(pop3_session *s) {
  size_t slots = window(&s->config);
  flight *f = &s->ring[(s->first + s->count) % slots];
  memset(f, 0, sizeof *f);
  s->count++;
  return f;
}

static void pop_flight(pop3_session *s) {
  s->first = (s->first + 1) % window(&s->config);
  s->count--;
  s->reading = READ_STATUS;
}

pop3_session *pop3_session_init(void *memory, const pop3_config *config) {
  pop3_session *s = memory;
  memset(s, 0, sizeof *s);
  s->config = *config;
  push_flight(s)->command = POP3_GREETING;
  return s;
}

static pop3_error die(pop3_session *s, pop3_error error) {
  if (s->error == POP3_E_OK) s->error = error;
  return s->error;
}

void pop3_session_poison(pop3_session *s, pop3_error error) { die(s, error); }

pop3_error pop3_session_error(const pop3_session *s) { return s->error; }

bool pop3_session_is_secure(const pop3_session *s) { return s->secure; }

bool pop3_session_is_over(const pop3_session *s) { return s->over; }

size_t pop3_session_inflight(const pop3_session *s) { return s->count; }

void pop3_session_secured(pop3_session *s) {
  s->secure = true;
  s->wall = WALL_NONE;
}

pop3_error pop3_session_eof(pop3_session *s) {
  if (s->over) return POP3_E_OK;
  return die(s, POP3_E_EOF);
}

/* ------------------------------------------------------------ output */

/* Not memset: a compiler may drop one whose result nobody reads. */
static void wipe(char *octets, size_t size) {
  volatile char *at = octets;
  while (size-- > 0) *at++ = 0;
}

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
  return (flags & POP3_F_ALONE) || (front(s)->flags & POP3_F_ALONE);
}

/* All that can refuse a command, but for its octets. */
static pop3_error admit(pop3_session *s, unsigned flags, size_t total) {
  if (s->error != POP3_E_OK) return s->error;
  if (s->count == 0 && s->line_size > 0) return die(s, POP3_E_GOODBYE);
  if (!s->greeted || s->leaving || s->wall >= WALL_ACCEPTED)
    return POP3_E_STATE;
  if (s->config.require_tls && !s->secure && !(flags & POP3_F_CLEAR))
    return POP3_E_INSECURE;
  if (barrier_pending(s, flags)) return POP3_E_AGAIN;
  if (s->count >= window(&s->config)) return POP3_E_AGAIN;
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
  flight *f = push_flight(s);
  f->command = command;
  f->flags = pop3_command_get(command)->flags;
  f->reply = reply;
  f->delivery = delivery;
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
  front(s)->end = s->queued;
  s->challenged = false;
  return POP3_E_OK;
}

/* ------------------------------------------------------------ input */

/* A limit of 0 is none. */
static bool exceeds(uint64_t value, uint64_t limit) {
  return limit > 0 && value > limit;
}

/* What follows a successful status line, and how much it may be. */
typedef struct framing {
  reading reading;
  bool more;
} framing;

static const framing framings[] = {
    [POP3_REPLY_SHORT] = {READ_STATUS, false},
    [POP3_REPLY_LONG] = {READ_LISTING, true},
    [POP3_REPLY_ASKED] = {READ_STATUS, false}, /* resolved when queued */
    [POP3_REPLY_MESSAGE] = {READ_MESSAGE, true},
    [POP3_REPLY_CAPS] = {READ_LISTING, true},
    [POP3_REPLY_SASL] = {READ_STATUS, false},
    [POP3_REPLY_TLS] = {READ_STATUS, false},
};

static pop3_event *begin_event(pop3_session *s, pop3_event *event,
                               pop3_event_type type) {
  event->type = type;
  event->command = front(s)->command;
  event->tag = front(s)->tag;
  return event;
}

static bool begins_with_ok(pop3_span line) {
  if (line.size < 3 || line.data[0] != '+') return false;
  return (line.data[1] == 'O' || line.data[1] == 'o') &&
         (line.data[2] == 'K' || line.data[2] == 'k');
}

static void start_body(pop3_session *s, const framing *next) {
  bool lenient = next->reading != READ_MESSAGE || s->config.lenient;
  pop3_body_init(&s->body, lenient);
  s->body.in_place = (front(s)->delivery & POP3_IN_PLACE) != 0;
  s->reading = next->reading;
  s->lines = 0;
  s->line_raw = 0;
}

/* A challenge that came as a short line: "+" or "+ text". */
static void finish_challenge(pop3_session *s, pop3_event *event,
                             pop3_span line) {
  size_t skip = line.size > 1 && line.data[1] == ' ' ? 2 : 1;
  begin_event(s, event, POP3_EVENT_CHALLENGE);
  event->first = event->last = true;
  event->text.data = line.data + skip;
  event->text.size = line.size - skip;
  s->challenged = true;
}

static pop3_error count_round(pop3_session *s) {
  return exceeds(++s->rounds, s->config.max_rounds) ? POP3_E_ROUNDS : POP3_E_OK;
}

/* A whole status line answers the command in front. */
static pop3_error take_status(pop3_session *s, pop3_span line,
                              pop3_event *event) {
  flight *f = front(s);
  bool ok = line.size > 0 && line.data[0] == '+';
  if (f->reply == POP3_REPLY_SASL && ok && !begins_with_ok(line)) {
    finish_challenge(s, event, line);
    return count_round(s);
  }
  const framing *next = &framings[f->reply];
  begin_event(s, event, POP3_EVENT_STATUS);
  event->text = line;
  event->ok = ok;
  event->more = ok && next->more;
  if (f->command == POP3_GREETING) s->greeted = ok;
  if (f->reply == POP3_REPLY_TLS) s->wall = ok ? WALL_ACCEPTED : WALL_REPLIED;
  if (f->flags & POP3_F_LAST) s->over = true;
  s->rounds = 0;
  if (event->more) {
    start_body(s, next);
  } else {
    pop_flight(s);
  }
  return POP3_E_OK;
}

static pop3_span chomp(pop3_span line, unsigned *line_end) {
  line.size--;
  *line_end = 1;
  if (line.size > 0 && line.data[line.size - 1] == '\r') {
    line.size--;
    *line_end = 2;
  } else if (line.size > 0 && line.data[0] == '\r') {
    line.data++; /* LF CR for CRLF: poplib has met such servers */
    line.size--;
  }
  return line;
}

/* One status line, whole in the input or assembled; false: needs more. */
static bool take_line(pop3_session *s, pop3_span *input, pop3_span *line,
                      pop3_error *error) {
  size_t room = line_room(&s->config) - s->line_size;
  size_t look = input->size < room ? input->size : room;
  const char *lf = memchr(input->data, '\n', look);
  size_t size = lf != NULL ? (size_t)(lf - input->data) + 1 : look;
  *error = lf == NULL && input->size >= room ? POP3_E_LINE : POP3_E_OK;
  if (*error != POP3_E_OK) return false;
  line->data = input->data;
  line->size = size;
  input->data += size;
  input->size -= size;
  if (lf != NULL && s->line_size == 0) return true; /* in one piece */
  memcpy(line_buffer(s) + s->line_size, line->data, size);
  s->line_size += size;
  line->data = line_buffer(s);
  line->size = s->line_size;
  if (lf != NULL) s->line_size = 0;
  return lf != NULL;
}

/* Nobody asked: a goodbye, or a server out of step (RFC 1939 has no others). */
static pop3_error read_uninvited(pop3_session *s, pop3_span *input,
                                 pop3_event *event) {
  pop3_span line;
  pop3_error error;
  if (s->wall != WALL_NONE) return POP3_E_INJECTION;
  if (s->line_size == 0 && input->data[0] != '-') return POP3_E_UNSOLICITED;
  if (!take_line(s, input, &line, &error)) return error;
  event->text = chomp(line, &event->line_end);
  return POP3_E_GOODBYE;
}

/*
 * "+ " begins a challenge, which may be longer than any status line and is
 * handed out in parts. Two octets decide, and they may come apart.
 */
static bool begins_challenge(pop3_session *s, pop3_span *input) {
  char *line = line_buffer(s);
  while (s->line_size < 2 && input->size > 0) {
    if (input->data[0] == '\n') return false; /* a line already */
    line[s->line_size++] = input->data[0];
    input->data++;
    input->size--;
  }
  return s->line_size == 2 && line[0] == '+' && line[1] == ' ';
}

static pop3_error read_status(pop3_session *s, pop3_span *input,
                              pop3_event *event) {
  pop3_span line;
  pop3_error error;
  if (s->count == 0) return read_uninvited(s, input, event);
  if (front(s)->end > s->sent || s->challenged) return POP3_E_UNSOLICITED;
  if (front(s)->reply == POP3_REPLY_SASL && s->line_size < 2) {
    if (begins_challenge(s, input)) {
      s->line_size = 0;
      s->line_raw = 0;
      s->reading = READ_CHALLENGE;
      pop3_body_init_line(&s->body);
      return count_round(s);
    }
    if (input->size == 0) return POP3_E_OK;
  }
  if (!take_line(s, input, &line, &error)) return error;
  line = chomp(line, &event->line_end);
  return take_status(s, line, event);
}

static void line_event(pop3_session *s, pop3_event *event,
                       const pop3_piece *piece, pop3_event_type type) {
  begin_event(s, event, type);
  event->text = piece->text;
  event->first = piece->first;
  event->last = piece->last;
  event->line_end = piece->line_end;
}

/* Octets of the current line so far, its end included. */
static uint64_t grow_line(pop3_session *s, const pop3_piece *piece) {
  if (piece->first) s->line_raw = 0;
  s->line_raw += piece->text.size + piece->line_end;
  return s->line_raw;
}

static pop3_error read_challenge(pop3_session *s, pop3_span *input,
                                 pop3_event *event) {
  pop3_piece piece;
  if (!pop3_body_line(&s->body, input, &piece)) return POP3_E_OK;
  if (exceeds(grow_line(s, &piece), s->config.max_challenge))
    return POP3_E_CHALLENGE;
  line_event(s, event, &piece, POP3_EVENT_CHALLENGE);
  if (piece.last) {
    s->challenged = true;
    s->reading = READ_STATUS;
  }
  return POP3_E_OK;
}

static void end_event(pop3_session *s, pop3_event *event) {
  begin_event(s, event, POP3_EVENT_END)->octets = s->body.octets;
  pop_flight(s);
}

static pop3_error check_listing(pop3_session *s, const pop3_piece *piece) {
  const pop3_config *c = &s->config;
  uint64_t size = grow_line(s, piece);
  s->lines += piece->first;
  /* The count first: a line's first octet decides it, however it is cut. */
  if (front(s)->reply == POP3_REPLY_CAPS) {
    if (exceeds(s->lines, c->max_capabilities)) return POP3_E_CAPABILITIES;
    return size > line_room(c) ? POP3_E_LINE : POP3_E_OK;
  }
  if (exceeds(s->lines, c->max_items)) return POP3_E_ITEMS;
  return exceeds(size, c->max_item) ? POP3_E_ITEM : POP3_E_OK;
}

static pop3_error read_listing(pop3_session *s, pop3_span *input,
                               pop3_event *event) {
  pop3_piece piece;
  if (!pop3_body_line(&s->body, input, &piece)) {
    if (s->body.state == POP3_BODY_END) end_event(s, event);
    return POP3_E_OK;
  }
  pop3_error error = check_listing(s, &piece);
  if (error == POP3_E_OK) line_event(s, event, &piece, POP3_EVENT_LINE);
  return error;
}

static pop3_error read_message(pop3_session *s, pop3_span *input,
                               pop3_event *event) {
  pop3_piece piece;
  bool as_lines = (front(s)->delivery & POP3_AS_LINES) != 0;
  bool got = as_lines ? pop3_body_line(&s->body, input, &piece)
                      : pop3_body_data(&s->body, input, &piece);
  if (exceeds(s->body.octets, s->config.max_octets)) return POP3_E_OCTETS;
  if (got) {
    line_event(s, event, &piece, as_lines ? POP3_EVENT_LINE : POP3_EVENT_DATA);
  } else if (s->body.state == POP3_BODY_END) {
    end_event(s, event);
  }
  return POP3_E_OK;
}

typedef pop3_error (*reader)(pop3_session *, pop3_span *, pop3_event *);

static const reader readers[] = {
    [READ_STATUS] = read_status,
    [READ_LISTING] = read_listing,
    [READ_MESSAGE] = read_message,
    [READ_CHALLENGE] = read_challenge,
};

/* Behind STLS's +OK: nothing may be there, then the handshake is due. */
static pop3_error read_wall(pop3_session *s, const pop3_span *input,
                            pop3_event *event) {
  if (input->size > 0) return POP3_E_INJECTION;
  if (s->wall == WALL_ACCEPTED) event->type = POP3_EVENT_SECURE;
  if (s->wall == WALL_ACCEPTED) event->command = POP3_STLS;
  s->wall = WALL_HANDSHAKE;
  return POP3_E_OK;
}

static pop3_error read_event(pop3_session *s, pop3_span *input,
                             pop3_event *event) {
  if (s->wall >= WALL_ACCEPTED) return read_wall(s, input, event);
  while (input->size > 0 && event->type == POP3_EVENT_NONE) {
    if (s->over) { /* whatever follows QUIT's reply concerns nobody */
      input->size = 0;
      break;
    }
    pop3_error error = readers[s->reading](s, input, event);
    if (error != POP3_E_OK) return die(s, error);
  }
  return POP3_E_OK;
}

pop3_error pop3_session_feed(pop3_session *s, const char **octets, size_t *size,
                             pop3_event *event) {
  if (s->error != POP3_E_OK) return s->error;
  memset(event, 0, sizeof *event);
  pop3_span input = {*octets, *size};
  pop3_error error = read_event(s, &input, event);
  *octets += *size - input.size;
  *size = input.size;
  return error == POP3_E_OK ? error : die(s, error);
}

/* ------------------------------------------------------------ codes */

/* Printable and no blank (RFC 2449 9: resp-level). */
static bool is_code(const char *text, size_t size) {
  for (size_t i = 0; i < size; i++) {
    if (text[i] <= ' ' || text[i] > '~') return false;
  }
  return size > 0;
}

pop3_span pop3_response_code(pop3_span line) {
  pop3_span none = {NULL, 0};
  const char *open = memchr(line.data, ' ', line.size);
  if (line.size == 0 || line.data[0] != '-' || open == NULL) return none;
  const char *end = line.data + line.size;
  if (end - open < 3 || open[1] != '[') return none;
  open += 2;
  const char *close = memchr(open, ']', (size_t)(end - open));
  if (close == NULL || !is_code(open, (size_t)(close - open))) return none;
  pop3_span code = {open, (size_t)(close - open)};
  return code;
}
