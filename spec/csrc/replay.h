/*
 * replay.h - a conversation with the engine as a list of steps, played under
 * any cutting of the server's octets, with everything that the engine did as
 * text. Two cuttings of one conversation must give the same text: that is the
 * oracle of the wire transcripts and of the fuzz target.
 *
 * The log, one line each, octets escaped (\r \n \\ \xNN):
 *
 *   ok COMMAND line       a status line that starts with '+'
 *   err COMMAND line      any other
 *   line text             a complete line of a listing or message
 *   data text             all DATA of a message, joined
 *   end N                 the terminator; N octets as poplib counts
 *   part text             a line that never ended (before eof or an error)
 *   challenge text        a SASL challenge, base64
 *   secure                the handshake is due
 *   refused NAME          what pop3_session_command and its kin answered
 *   error NAME [line]     the sticky error (and GOODBYE's line)
 *   eof ok                the stream ended where it may
 *   !! text               the engine broke a rule of pop3.h
 *
 * A line or message that breaks a limit is not logged: how much of it had
 * been handed out depends on the cutting, and nobody may use it. For the same
 * reason `secure` is not logged when octets behind STLS's +OK follow.
 */
#ifndef POP3_SPEC_REPLAY_H
#define POP3_SPEC_REPLAY_H

#include <stdbool.h>
#include <stddef.h>

#include "pop3.h"

typedef enum step_kind {
  STEP_SERVER,  /* octets arrive */
  STEP_COMMAND, /* a command of the table, sent at once */
  STEP_LINES,   /* the same, a message as LINE events */
  STEP_QUEUE,   /* a command that stays in the output buffer */
  STEP_HAND,    /* a line by hand, a status line answers */
  STEP_LONG,    /* a line by hand, a listing or message answers */
  STEP_ANSWER,  /* the answer to a challenge */
  STEP_SEND,    /* hand what is queued to the transport */
  STEP_SECURED, /* the handshake succeeded */
  STEP_EOF      /* the transport ended */
} step_kind;

typedef struct step {
  step_kind kind;
  const char *text;
  size_t size;
} step;

/* Where the server's octets are cut, counted over the whole conversation, and
 * how messages are asked for: neither may change the log. */
typedef struct cutting {
  size_t at[2];      /* cut here, 0 for not at all */
  size_t every;      /* pieces of this size, 0 for as large as may be */
  unsigned scramble; /* seed of pieces of 1 to 16 octets, 0 for none */
  bool in_place;     /* every command with POP3_IN_PLACE */
} cutting;

/* Text that grows; `octets` is NULL or ends with a NUL not counted. */
typedef struct record {
  char *octets;
  size_t size;
  size_t room;
} record;

void record_add(record *log, const char *octets, size_t size);
void record_print(record *log, const char *format, ...);
void record_escape(record *log, const char *octets, size_t size);
void record_free(record *log);

/* Play `count` steps, append to `log`. */
void replay(const pop3_config *config, const step *steps, size_t count,
            cutting how, record *log);

/* The name of an error as the log has it: the identifier, lower case. */
const char *error_word(pop3_error error);

#endif
