/*
 * eol.h - what is handed out with eol = "lf": CRLF becomes LF, in place, in
 * spans that may end anywhere.
 *
 * A CR or LF that stands alone is the message's own and stays. Whether a CR at
 * the end of a span does is known only with the next octet, so it is held
 * back; there is no room for it in front of the next span, which may point
 * into a receive buffer. Hence:
 *
 *   bool lead;
 *   size = pop3_eol_lf(&eol, octets, size, &lead);
 *   if (lead) hand out "\r";
 *   hand out octets, size;             (perhaps 0)
 *   ...
 *   if (pop3_eol_end(&eol)) hand out "\r";
 */
#ifndef POP3_EOL_H
#define POP3_EOL_H

#include <stdbool.h>
#include <stddef.h>

#pragma GCC visibility push(hidden)

/* Zero is the beginning of a message. */
typedef struct pop3_eol {
  bool held; /* a CR, of which it is not known what follows */
} pop3_eol;

/* Filter one span; returns how many of its octets are left, at its front.
 * `*lead`: a CR that was held back comes before them. Cannot fail. */
size_t pop3_eol_lf(pop3_eol *eol, char *octets, size_t size, bool *lead);

/* The message is complete: is there a CR to hand out? Ready for the next. */
bool pop3_eol_end(pop3_eol *eol);

#pragma GCC visibility pop

#endif
