/*
 * session_internal.h - what the two halves of the engine share: session.c
 * (commands out) and reply.c (events in). See pop3.h for the whole.
 */
#ifndef POP3_SESSION_INTERNAL_H
#define POP3_SESSION_INTERNAL_H

#include "body.h"
#include "pop3.h"

#pragma GCC visibility push(hidden)

/*
 * Octets of commands that are copied until the transport takes them: a whole
 * window of RETR leaves in one write. Longer lines are borrowed and leave
 * piece by piece.
 */
#define OUTPUT_SIZE 8192

/* Flags of a command that say how its message is delivered. */
#define DELIVERY (POP3_AS_LINES | POP3_IN_PLACE | POP3_UNLIMITED)

/* Of a flight: AUTH without an initial response, which cannot have succeeded
 * before anything was answered. Beside the row's flags. */
#define FLIGHT_BARE (1 << 7)

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

/* A command whose reply is not complete. Small: there may be hundreds. */
typedef struct pop3_flight {
  uint64_t end; /* value of `queued` when its last octet is sent */
  uint32_t tag;
  uint8_t command;  /* pop3_command */
  uint8_t reply;    /* pop3_reply */
  uint8_t flags;    /* the row's */
  uint8_t delivery; /* DELIVERY, as the caller asked */
} pop3_flight;

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
  uint64_t queued;  /* octets ever queued and sent: a reply whose command is */
  uint64_t sent;    /* not out yet answers nobody */
  uint64_t settled; /* `end` of the last command that was answered */
  size_t first;     /* ring of `count` flights */
  size_t count;

  size_t output_start;
  size_t output_end;
  pop3_span parts[LINE_PARTS]; /* a line too long to copy, borrowed */
  size_t part;
  size_t part_count;

  char output[OUTPUT_SIZE];
  size_t line_size;   /* of `line`, behind the ring: a status line so far */
  pop3_flight ring[]; /* max_inflight, then max_line octets */
};

/* Room for a status line, behind the ring. */
size_t pop3_line_room(const pop3_config *config);
char *pop3_line_buffer(pop3_session *session);

/* The command whose reply is read; count is not 0. */
pop3_flight *pop3_flight_front(pop3_session *session);
void pop3_flight_pop(pop3_session *session);

/* Sticky: the first error stays. */
pop3_error pop3_session_die(pop3_session *session, pop3_error error);

#pragma GCC visibility pop

#endif
