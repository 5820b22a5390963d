/*
 * escape.h - text that a server or a certificate chose, made fit for a
 * terminal or a log: what could move a cursor or fake a line becomes \xNN.
 */
#ifndef POP3_ESCAPE_H
#define POP3_ESCAPE_H

#include <stddef.h>

#pragma GCC visibility push(hidden)

/* The longest piece that pop3_escape_next writes, NUL included. */
#define POP3_ESCAPE_ROOM 8

/*
 * Escape the next character of `text` (size > 0) into `out`, NUL-terminated;
 * returns how many octets of `text` it stands for. Printable ASCII and
 * well-formed UTF-8 stay, and so does a tab; C0, DEL, C1, stray octets and
 * what reorders text become \xNN (\r and \n by name).
 */
size_t pop3_escape_next(const char *text, size_t size,
                        char out[POP3_ESCAPE_ROOM]);

/* Escape all of `text` into `out`, cut at `room` (> 0, NUL included).
 * Returns out. */
const char *pop3_escape(const char *text, size_t size, char *out, size_t room);

#pragma GCC visibility pop

#endif
