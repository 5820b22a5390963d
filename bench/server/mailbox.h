/*
 * mailbox.h - what the load server serves, as the octets that go out.
 *
 * Everything is made once, at the start. A reply is one or more spans of
 * memory that lives as long as the process; those of neighbouring messages
 * lie side by side, so that a batch of RETR becomes one large write.
 */
#ifndef BENCH_MAILBOX_H
#define BENCH_MAILBOX_H

#include <stdbool.h>
#include <stddef.h>

typedef struct span {
  const char *octets;
  size_t size;
} span;

/* A message on the wire: head, `repeat` times the block, tail. */
typedef struct image {
  span head, block, tail;
  long repeat;
  size_t listed; /* what LIST says: octets without stuffed dots */
} image;

typedef struct mailbox {
  long messages;
  size_t size; /* of each message as it is sent: the dots stuffed */
  bool dots;   /* every line is ".." */
  image *images;
  span list, uidl; /* the whole replies */
  size_t listed;   /* the octets of all messages, as STAT tells */
} mailbox;

/* messages, size and dots are set; fills in the rest. */
void mailbox_make(mailbox *box);

/* The UID of a message (16 characters and a NUL). */
void mailbox_uid(long number, char uid[17]);

/* Digests of all messages in their order as a client should deliver them:
   with CRLF and with LF. Hexadecimal, SHA-256. */
void mailbox_digests(const mailbox *box, char crlf[65], char lf[65]);

#endif
