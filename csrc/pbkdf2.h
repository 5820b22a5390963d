/*
 * pbkdf2.h - PBKDF2 (RFC 8018 5.2) of one block, which is what SCRAM calls
 * Hi (RFC 5802 2.2), in slices: a host that has a frame to draw, or other
 * connections to serve, can do that in between.
 */
#ifndef POP3_PBKDF2_H
#define POP3_PBKDF2_H

#include "crypto.h"
#include "memory.h"
#include "pop3.h"

#pragma GCC visibility push(hidden)

typedef struct pop3_pbkdf2 pop3_pbkdf2;

/*
 * `digest` is OpenSSL's name; iterations > 0. Password and salt are needed
 * only during the call; the first iteration is done in it.
 * Errors: UNSUPPORTED (no such digest here), MEMORY.
 */
pop3_error pop3_pbkdf2_new(const pop3_allocator *allocator, const char *digest,
                           pop3_span password, pop3_span salt,
                           unsigned iterations, pop3_pbkdf2 **pbkdf2);

/* At most `count` iterations. POP3_E_AGAIN: more are left. MEMORY. */
pop3_error pop3_pbkdf2_work(pop3_pbkdf2 *pbkdf2, unsigned count);

/* The key, as long as the digest; wiped by free. Only when work is done. */
const unsigned char *pop3_pbkdf2_key(const pop3_pbkdf2 *pbkdf2, size_t *size);

/* Wipes all. NULL is allowed. */
void pop3_pbkdf2_free(pop3_pbkdf2 *pbkdf2);

#pragma GCC visibility pop

#endif
