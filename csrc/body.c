/*
 * body.c - see body.h.
 *
 * Fast because nothing looks at single octets: for data, scan.h finds an LF
 * with a dot behind it (twice as fast as memchr finds every LF of mail-like
 * lines); for lines, memchr finds each LF (13 GB/s, where a switch per octet
 * reaches 0.9). Only the octets beside it are examined. Text is never copied,
 * and moved only where the caller allowed it.
 */
#include "body.h"

#include <string.h>

void pop3_body_init(pop3_body *body, bool lenient) {
  memset(body, 0, sizeof *body);
  body->lenient = lenient;
  body->scan = pop3_scan_best();
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

/* ------------------------------------------------------------ data */

/*
 * Strict framing met a bare LF with a dot behind it: which is the next LF that
 * has its CR? A mail may be full of the others, too many for a find each.
 */
static const char *find_past_bare(const pop3_scan *scan, const char *at,
                                  const char *end) {
  for (; end - at > POP3_SCAN_BLOCK; at += POP3_SCAN_BLOCK) {
    for (uint64_t map = scan->map(at); map != 0; map &= map - 1) {
      const char *lf = at + __builtin_ctzll(map);
      if (lf[-1] == '\r') return lf;
    }
  }
  while ((at = scan->find(at, end)) < end && at[-1] != '\r') at++;
  return at;
}

/* The end of the longest run of `text` that needs no dot looked at. */
static const char *run_end(pop3_body *body, const char *text, const char *end) {
  const char *lf = body->scan->find(text, end);
  if (lf < end && !ends_line(body, text, lf, body->state))
    lf = find_past_bare(body->scan, lf + 1, end);
  if (lf < end) {
    body->state = POP3_BODY_START;
    return lf + 1;
  }
  body->state = end[-1] == '\r' ? POP3_BODY_CR : POP3_BODY_TEXT;
  return end;
}

static size_t take_run(pop3_body *body, pop3_span *input) {
  const char *text = input->data;
  size_t size = (size_t)(run_end(body, text, text + input->size) - text);
  skip(input, size);
  return size;
}

/*
 * In place, a run moves down by as many octets as dots were removed before it.
 * From WIDE octets on it may be copied WIDE at a time, octets behind its end
 * included: none that is written over is still to be read.
 */
enum {
  WIDE = 16,
  SHORT = 4 * WIDE, /* for longer runs, memmove is worth its call */
  AHEAD = POP3_SCAN_BLOCK + 2 * WIDE /* what move_runs may read of a block */
};

static char *move_wide(char *to, const char *from, size_t size) {
  if (__builtin_expect(size > SHORT, 0)) { /* keeps the loop in line */
    memmove(to, from, size);
    return to + size;
  }
  for (size_t at = 0; at < size; at += WIDE) {
    char octets[WIDE];
    memcpy(octets, from + at, WIDE);
    memcpy(to + at, octets, WIDE);
  }
  return to + size;
}

/* Does the terminator begin at `dot`? For octets far from the input's end. */
static bool ends_body(const char *dot, bool lenient) {
  if (dot[1] > '\r') return false;
  return dot[1] == '\n' ? lenient : dot[1] == '\r' && dot[2] == '\n';
}

/*
 * Move runs down to `to` while they are followed by a stuffed dot, which is
 * dropped: many dots for one call of the scan, where take_run needs one for
 * each. Stops short of the terminator and of the input's end.
 */
static char *move_runs(const pop3_body *body, char *to, pop3_span *input) {
  const pop3_scan *scan = body->scan;
  const bool lenient = body->lenient; /* the compiler fears `to` points here */
  const char *end = input->data + input->size;
  const char *run = input->data;
  bool over = false;
  for (const char *at = run; !over && end - at >= AHEAD;
       at += POP3_SCAN_BLOCK) {
    for (uint64_t map = scan->map(at); map != 0; map &= map - 1) {
      const char *dot = at + __builtin_ctzll(map) + 1;
      if (!(lenient | (dot[-2] == '\r'))) continue; /* one jump, not two */
      over = ends_body(dot, lenient);
      if (over) break;
      to = move_wide(to, run, (size_t)(dot - run));
      run = dot + 1;
    }
  }
  skip(input, (size_t)(run - input->data));
  return to;
}

/*
 * Behind a line end: is a stuffed dot there and text behind it? The terminator
 * is left for the next call, which has nothing else to hand out then.
 */
static bool drop_dot(pop3_body *body, pop3_span *input) {
  pop3_span before = *input;
  if (body->state != POP3_BODY_START) return false;
  read_dot(body, input);
  if (needs_input(body, input)) {
    if (body->state == POP3_BODY_END) {
      body->state = POP3_BODY_START;
      *input = before;
    }
    return false;
  }
  input->data = before.data + 1; /* a CR that read_dot looked at is text */
  input->size = before.size - 1;
  body->state = POP3_BODY_TEXT;
  return true;
}

/*
 * POP3_IN_PLACE is the caller's promise that the input may be written to; a
 * cast that says so would hide from the compiler all the others that do not.
 */
static char *writable(const char *octets) {
  union {
    const char *given;
    char *meant;
  } same = {octets};
  return same.meant;
}

/* Take all the runs that there are and close them up. */
static size_t take_runs(pop3_body *body, pop3_span *input) {
  char *text = writable(input->data);
  char *to = text;
  do {
    if (input->data - to >= WIDE) to = move_runs(body, to, input);
    const char *run = input->data;
    size_t size = take_run(body, input);
    if (run != to) memmove(to, run, size);
    to += size;
  } while (drop_dot(body, input));
  return (size_t)(to - text);
}

bool pop3_body_data(pop3_body *body, pop3_span *input, pop3_piece *piece) {
  read_dot(body, input);
  if (needs_input(body, input)) return false;
  if (body->state == POP3_BODY_DOT_CR) {
    body->state = POP3_BODY_CR; /* not a terminator: the CR is text */
    return hand_out_cr(body, piece);
  }
  const char *text = input->data;
  size_t size = body->in_place ? take_runs(body, input) : take_run(body, input);
  return hand_out(body, piece, text, size, 0, false);
}

/* ------------------------------------------------------------ lines */

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
