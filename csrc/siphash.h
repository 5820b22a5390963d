/*
 * siphash.h - SipHash-2-4 (Aumasson, Bernstein): a hash that somebody who does
 * not know the key cannot steer. For tables whose keys a server chooses.
 */
#ifndef POP3_SIPHASH_H
#define POP3_SIPHASH_H

#include <stdint.h>

#include "pop3.h"

#pragma GCC visibility push(hidden)

uint64_t pop3_siphash(pop3_span text, const uint64_t key[2]);

#pragma GCC visibility pop

#endif
