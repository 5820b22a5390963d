/*
 * crypto.h - the few primitives that POP3's logins need, all OpenSSL's.
 */
#ifndef POP3_CRYPTO_H
#define POP3_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>

#include "errors.h"
#include "failure.h"

#pragma GCC visibility push(hidden)

/* RFC 1939 7: the lower-case hex MD5 of timestamp and secret, 32 characters
 * and a NUL. POP3_E_UNSUPPORTED where MD5 is barred (FIPS). */
pop3_error pop3_apop_digest(const char *timestamp, size_t timestamp_size,
                            const char *secret, size_t secret_size,
                            char digest[33]);

/* Octets that nobody can foretell; false when there are none. */
bool pop3_random(void *octets, size_t size);
/*
 * A digest of what passes by, in pieces: new, update as often as you like,
 * finish once, free. It is OpenSSL's own object under another name.
 */
typedef struct evp_md_ctx_st pop3_digest;

#define POP3_DIGEST_HEX 129 /* the longest are 64 octets, and a NUL */

/* `name` is OpenSSL's ("sha256", "SHA2-256", "blake2s256", ...), in any case.
 * Errors: ARGUMENT (no such digest here, or one without a length of its own,
 * as SHAKE), MEMORY; each with a text. */
pop3_error pop3_digest_new(const char *name, pop3_digest **digest,
                           pop3_failure *failure);

/* MEMORY: OpenSSL could not; the digest is of no use any more. */
pop3_error pop3_digest_update(pop3_digest *digest, const void *octets,
                              size_t size);

/* Lower-case hex and a NUL; `*length` without the NUL. Errors as update. */
pop3_error pop3_digest_finish(pop3_digest *digest, char hex[POP3_DIGEST_HEX],
                              size_t *length);

/* At any moment; NULL is allowed. */
void pop3_digest_free(pop3_digest *digest);

/* Octets of the longest digest, SHA-512's. */
#define POP3_HASH_MAX 64

/* Does OpenSSL offer this digest here? MD5 is barred in FIPS. */
bool pop3_hash_is_known(const char *name);

/* The digest of `octets`, and their HMAC (RFC 2104). UNSUPPORTED: none of that
 * name here; MEMORY. */
pop3_error pop3_hash(const char *name, const void *octets, size_t size,
                     unsigned char hash[POP3_HASH_MAX], size_t *length);
pop3_error pop3_hmac(const char *name, const void *key, size_t key_size,
                     const void *octets, size_t size,
                     unsigned char hash[POP3_HASH_MAX], size_t *length);

/* Lower-case hex of `size` octets, and a NUL. */
void pop3_hex(const void *octets, size_t size, char *out);

/* Constant-time comparison of `size` octets. */
bool pop3_equal(const void *a, const void *b, size_t size);

/* Octets of base64 for `size` octets, NUL included. */
#define POP3_BASE64_SIZE(size) (((size) + 2) / 3 * 4 + 1)

/* Encode into `out`, which has POP3_BASE64_SIZE(size); returns the length
 * without the NUL. No line breaks. */
size_t pop3_base64_encode(const void *octets, size_t size, char *out);

/* Strict decode (alphabet, padding, length a multiple of 4); *got octets
 * are written to `out`, which has room for size / 4 * 3. MALFORMED. */
pop3_error pop3_base64_decode(const char *text, size_t size, void *out,
                              size_t *got);

#pragma GCC visibility pop

#endif
