/*
 * reply.c - the engine's incoming half: status lines, listings, messages and
 * challenges as events. See pop3.h; session.c sends. Nothing here allocates,
 * waits or calls back.
 */
#include <string.h>

#include "session_internal.h"

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
  event->command = (pop3_command)pop3_flight_front(s)->command;
  event->tag = pop3_flight_front(s)->tag;
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
  s->body.in_place = (pop3_flight_front(s)->delivery & POP3_IN_PLACE) != 0;
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

/* "+OK" where nothing but a challenge can be: old Exchange servers write so. It
 * is an empty one, whatever follows. */
static bool is_go_ahead(const pop3_session *s, const pop3_flight *f) {
  return (f->flags & FLIGHT_BARE) && s->rounds == 0;
}

static pop3_error count_round(pop3_session *s) {
  return exceeds(++s->rounds, s->config.max_rounds) ? POP3_E_ROUNDS : POP3_E_OK;
}

/* A whole status line answers the command in front. */
static pop3_error take_status(pop3_session *s, pop3_span line,
                              pop3_event *event) {
  pop3_flight *f = pop3_flight_front(s);
  bool ok = line.size > 0 && line.data[0] == '+';
  bool challenge = f->reply == POP3_REPLY_SASL && ok;
  if (challenge && begins_with_ok(line)) {
    challenge = is_go_ahead(s, f);
    if (challenge) line.size = 1;
  }
  if (challenge) {
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
    pop3_flight_pop(s);
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
  size_t room = pop3_line_room(&s->config) - s->line_size;
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
  memcpy(pop3_line_buffer(s) + s->line_size, line->data, size);
  s->line_size += size;
  line->data = pop3_line_buffer(s);
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
  char *line = pop3_line_buffer(s);
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
  bool asked = s->count > 0 && pop3_flight_front(s)->end <= s->sent;
  if (!asked) return read_uninvited(s, input, event);
  if (s->challenged) return POP3_E_UNSOLICITED;
  if (pop3_flight_front(s)->reply == POP3_REPLY_SASL && s->line_size < 2) {
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
  pop3_flight_pop(s);
}

static pop3_error check_listing(pop3_session *s, const pop3_piece *piece) {
  const pop3_config *c = &s->config;
  uint64_t size = grow_line(s, piece);
  s->lines += piece->first;
  /* The count first: a line's first octet decides it, however it is cut. */
  if (pop3_flight_front(s)->reply == POP3_REPLY_CAPS) {
    if (exceeds(s->lines, c->max_capabilities)) return POP3_E_CAPABILITIES;
    return size > pop3_line_room(c) ? POP3_E_LINE : POP3_E_OK;
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
  bool as_lines = (pop3_flight_front(s)->delivery & POP3_AS_LINES) != 0;
  bool got = as_lines ? pop3_body_line(&s->body, input, &piece)
                      : pop3_body_data(&s->body, input, &piece);
  bool limited = (pop3_flight_front(s)->delivery & POP3_UNLIMITED) == 0;
  if (limited && exceeds(s->body.octets, s->config.max_octets))
    return POP3_E_OCTETS;
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
    if (error != POP3_E_OK) return pop3_session_die(s, error);
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
  return error == POP3_E_OK ? error : pop3_session_die(s, error);
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
