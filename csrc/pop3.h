/*
 * pop3.h - the POP3 engine: commands out, events in (RFC 1939, 2449, 2595,
 * 5034, 6856).
 *
 * The engine knows the wire and nothing else. It opens no socket, reads no
 * clock, allocates nothing and calls nobody back. A program
 *
 *   1. gives it one block of memory (pop3_session_size, pop3_session_init),
 *   2. hands it commands (pop3_session_command),
 *   3. transmits what it wants transmitted (pop3_session_output) and says how
 *      much left (pop3_session_sent),
 *   4. hands it what arrived and takes events out, one a call
 *      (pop3_session_feed), until it asks for more input.
 *
 * Steps 2 to 4 may be interleaved in any way. Several commands may be in
 * flight; their replies come in the order of the commands, each event carries
 * the tag of the command it belongs to. One thread at a time may use a
 * session.
 *
 * Errors are sticky: POP3 has no framing to find back into, so after the
 * first error from pop3_session_feed, pop3_session_eof or a violated limit
 * every call but pop3_session_error returns that error. A refusal by the
 * server ("-ERR ...") is not such an error: it is an event with `ok` false.
 *
 * Every function that can fail returns a pop3_error, POP3_E_OK for success,
 * and writes no out-parameter otherwise.
 */
#ifndef POP3_H
#define POP3_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "commands.h"
#include "errors.h"

/* A Lua module shows one name to the process that loads it, not these. */
#pragma GCC visibility push(hidden)

#ifdef __cplusplus
extern "C" {
#endif

/* Well-known ports (RFC 1939, RFC 8314). */
#define POP3_PORT 110
#define POP3_SSL_PORT 995

/*
 * Limits against a server that never stops, one row each: (name, default,
 * reason). All are octets or counts, line ends included; 0 means no limit, but
 * for the two that are room: max_line is 16 to 1 MiB, max_inflight 1 to 65,536.
 */
#define POP3_LIMITS(X)                                                        \
  X(max_line, 2048, "poplib's own limit of a status line; RFC 2449 says 512") \
  X(max_item, 65536, "a line of a listing: UIDs of 8 KiB have been seen")     \
  X(max_items, 5000000, "ten times the largest mailbox that we measure")      \
  X(max_capabilities, 1000, "real servers announce fewer than 30")            \
  X(max_octets, 1073741824, "one message that is kept in memory")             \
  X(max_challenge, 65536, "a base64 SASL challenge; Kerberos needs 16 KiB")   \
  X(max_rounds, 32, "SCRAM takes 3, GSSAPI 4")                                \
  X(max_inflight, 512, "commands whose replies are outstanding")              \
  X(max_ahead, 16384, "octets of commands that are not answered yet")

typedef struct pop3_config {
#define POP3_LIMIT_FIELD(name, value, reason) uint64_t name;
  POP3_LIMITS(POP3_LIMIT_FIELD)
#undef POP3_LIMIT_FIELD
  bool require_tls; /* only CAPA, STLS and QUIT may leave in clear */
  bool lenient;     /* a bare LF ends a message line, too (broken servers) */
} pop3_config;

/* The defaults of POP3_LIMITS, TLS not required, strict framing. */
void pop3_config_init(pop3_config *config);

/* Octets that somebody else owns. `data` may be NULL where `size` is 0. */
typedef struct pop3_span {
  const char *data;
  size_t size;
} pop3_span;

typedef enum pop3_event_type {
  POP3_EVENT_NONE,      /* all input is consumed: read more */
  POP3_EVENT_STATUS,    /* a status line: the greeting or a reply's first */
  POP3_EVENT_LINE,      /* a line of a listing or message, or a part of one */
  POP3_EVENT_DATA,      /* a piece of a message, line ends included */
  POP3_EVENT_END,       /* the terminator: listing or message is complete */
  POP3_EVENT_CHALLENGE, /* a SASL challenge, or a part of one, base64 */
  POP3_EVENT_SECURE     /* STLS was accepted: start the handshake */
} pop3_event_type;

/*
 * `text` points into the caller's input or into the session and lives until
 * the next call with either. It holds no line end (except DATA), no
 * terminator and no stuffed dot. A line that straddles two inputs comes as
 * several events; `last` marks its final part.
 */
typedef struct pop3_event {
  pop3_event_type type;
  pop3_command command; /* what it answers */
  uint32_t tag;         /* as pop3_session_command gave it; greeting: 0 */
  bool ok;              /* STATUS: the line starts with '+' */
  bool more;            /* STATUS: lines or data follow, up to END */
  bool last;            /* LINE, CHALLENGE: this part ends its line */
  bool first;           /* LINE, CHALLENGE: this part begins its line */
  unsigned line_end;    /* octets of the line end consumed, 0 to 2 */
  pop3_span text;
  uint64_t octets; /* END: of the body, as poplib counts: line ends
                      included, removed dots and the terminator not */
} pop3_event;

typedef struct pop3_session pop3_session;

/* Octets of one session under `config`; a few KiB. Align it as malloc does. */
size_t pop3_session_size(const pop3_config *config);

/*
 * Make a session in `memory`, which the caller owns and may free at any time:
 * there is nothing to release.
 */
pop3_session *pop3_session_init(void *memory, const pop3_config *config);

/* Overwrite commands that were queued and never left: they may hold secrets.
 * What left was overwritten then. For a session that has ended. */
void pop3_session_wipe(pop3_session *session);

enum {
  POP3_AS_LINES = 1 << 0,  /* deliver a message as LINE events, not DATA */
  POP3_AS_LONG = 1 << 1,   /* by hand: a listing follows the status line */
  POP3_UNLIMITED = 1 << 3, /* a message: the caller counts, not max_octets */

  /*
   * A message's octets may be closed up inside the caller's own input, which
   * has to be writable until the message's END: one DATA event for each input,
   * instead of one for each stuffed dot. What was consumed is then no longer
   * what arrived; what was not is untouched. (Only a CR that an input ended
   * with, behind a dot, comes as an event of its own.) Ignored with
   * POP3_AS_LINES.
   */
  POP3_IN_PLACE = 1 << 2
};

/*
 * May these octets be an argument? The one rule, applied to every command:
 * CONTROL for CR, LF and NUL; NOT_NUMBER for a token (a message number) that
 * is empty, has a blank or is not printable ASCII.
 */
pop3_error pop3_check_octets(pop3_span octets, bool token);

/*
 * Queue a command of POP3_COMMANDS. `arguments` are borrowed until the command
 * has been transmitted (pop3_session_pending is 0) when they are longer than
 * the output buffer, else copied. `tag` may be NULL.
 *
 * Errors: POP3_E_AGAIN (window or buffer full, or a barrier pending: deal with
 * replies first), CONTROL (CR, LF, NUL in an argument), NOT_NUMBER,
 * ARGUMENT (wrong count), INSECURE (TLS is required and not there), STATE
 * (before the greeting, or after QUIT), or the sticky error. Nothing was
 * queued then.
 */
pop3_error pop3_session_command(pop3_session *session, pop3_command command,
                                const pop3_span *arguments, size_t count,
                                unsigned flags, uint32_t *tag);

/*
 * Queue a line by hand, without its line end. Its first word is looked up in
 * POP3_COMMANDS: a row's effects, secrecy and reply apply, except that
 * POP3_AS_LONG decides whether a listing follows. STLS and AUTH change what
 * the stream is and are refused (POP3_E_STATE); so is a line that begins with
 * a blank (POP3_E_ARGUMENT): servers differ about its first word.
 */
pop3_error pop3_session_line(pop3_session *session, pop3_span line,
                             unsigned flags, uint32_t *tag);

/*
 * Answer a SASL challenge with base64 octets (RFC 5034 4), or cancel with
 * "*". Only while an AUTH waits for it; errors as pop3_session_command.
 */
pop3_error pop3_session_answer(pop3_session *session, pop3_span base64);

/* What to transmit next, empty when there is nothing. Owned by the session. */
pop3_span pop3_session_output(const pop3_session *session);

/* `size` octets of pop3_session_output were handed to the transport; the
 * session wipes its copy of them. */
void pop3_session_sent(pop3_session *session, size_t size);

/* Octets queued and not yet sent; 0 when the transport has everything. */
size_t pop3_session_pending(const pop3_session *session);

/* Commands sent or queued whose replies are not complete, and the one whose
 * reply comes next: POP3_OTHER when there is none. */
size_t pop3_session_inflight(const pop3_session *session);
pop3_command pop3_session_awaited(const pop3_session *session);

/* How many may be in flight: max_inflight, within its bounds. */
size_t pop3_session_window(const pop3_session *session);

/* Is half of that free, and half of max_ahead? A window that is refilled for
 * each answer leaves in pieces of one command. */
bool pop3_session_is_roomy(const pop3_session *session);

/*
 * Consume input until one event is ready. Advances *octets and lowers *size by
 * what was consumed; POP3_EVENT_NONE means all of it. After POP3_EVENT_SECURE
 * nothing is consumed: octets that are left are POP3_E_INJECTION.
 *
 * Errors: LINE, ITEM, ITEMS, OCTETS, CAPABILITIES, CHALLENGE, ROUNDS,
 * UNSOLICITED, GOODBYE (a line that starts with '-' while nothing is in
 * flight), INJECTION; all sticky. For GOODBYE `event->text` is the line.
 */
pop3_error pop3_session_feed(pop3_session *session, const char **octets,
                             size_t *size, pop3_event *event);

/* The transport ended. POP3_E_OK only when QUIT was answered before. */
pop3_error pop3_session_eof(pop3_session *session);

/* The handshake after POP3_EVENT_SECURE, or before the greeting, succeeded. */
void pop3_session_secured(pop3_session *session);

/* Somebody else's failure (a transport's, a deadline) ends this session. */
void pop3_session_poison(pop3_session *session, pop3_error error);

/* The sticky error, or POP3_E_OK. */
pop3_error pop3_session_error(const pop3_session *session);

/* Has the stream been secured? Was QUIT queued? Was it answered? */
bool pop3_session_is_secure(const pop3_session *session);
bool pop3_session_is_leaving(const pop3_session *session);
bool pop3_session_is_over(const pop3_session *session);

/*
 * The response code of a status line, without brackets (RFC 2449 8), such as
 * "IN-USE" of "-ERR [IN-USE] ...", or an empty span. Points into `line`.
 */
pop3_span pop3_response_code(pop3_span line);

#ifdef __cplusplus
}
#endif

#pragma GCC visibility pop

#endif
