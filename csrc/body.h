/*
 * body.h - the framing of one multi-line reply (RFC 1939 3): line ends,
 * stuffed dots and the terminator, in pieces of any size. Internal to the
 * engine; session.c adds limits and events.
 *
 * Strict framing ends a line at CRLF only, so that a bare-LF "." inside a
 * mail cannot end the reply and hand the rest of the mail to the parser as
 * replies. Lenient framing also takes a bare LF; listings, which no sender of
 * a mail can write into, are always read that way.
 */
#ifndef POP3_BODY_H
#define POP3_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pop3.h"
#include "scan.h"

#pragma GCC visibility push(hidden)

typedef enum pop3_body_state {
  POP3_BODY_START,  /* at the beginning of a line */
  POP3_BODY_TEXT,   /* inside a line */
  POP3_BODY_CR,     /* the octet before was a CR */
  POP3_BODY_DOT,    /* a line began with a dot: stuffed, or the terminator */
  POP3_BODY_DOT_CR, /* ... and a CR followed */
  POP3_BODY_END     /* the terminator was read */
} pop3_body_state;

typedef struct pop3_body {
  pop3_body_state state;
  bool lenient;
  bool in_place;   /* the owner sets it: close up data inside the input */
  bool part;       /* a part of the current line was handed out */
  uint64_t octets; /* handed out, line ends included: poplib's count */
  const pop3_scan *scan;
} pop3_body;

/* A piece of a body: `text` points into the input or to static memory. */
typedef struct pop3_piece {
  pop3_span text;
  bool first;        /* begins its line */
  bool last;         /* ends its line (lines only) */
  unsigned line_end; /* octets of the line end (lines only) */
} pop3_piece;

void pop3_body_init(pop3_body *body, bool lenient);

/* Begin in the middle of a line, so that no dot is special (a challenge). */
void pop3_body_init_line(pop3_body *body);

/*
 * Consume input up to one piece: true and a piece, or false when the input is
 * used up or the body is at its end (body->state). The first hands out spans
 * with line ends, as large as the input allows; the second lines or parts of
 * lines without. One body is read by one of them.
 *
 * Data `in_place`: the input has to be writable, and one span is everything up
 * to the end of the input or the terminator. Octets move only over removed
 * dots, and none that is not consumed with them. (A CR that ended an input
 * behind a dot comes as a span of its own: it is no longer at hand.)
 */
bool pop3_body_data(pop3_body *body, pop3_span *input, pop3_piece *piece);
bool pop3_body_line(pop3_body *body, pop3_span *input, pop3_piece *piece);

#pragma GCC visibility pop

#endif
