/*
 * tls_session.c - see tls.h and tls_internal.h: sessions kept, offered again,
 * and handed out.
 *
 * OpenSSL's own cache is off: it knows a session by an ID, not by a peer. Here
 * each is kept with what it is bound to, as a copy of its own, so that no two
 * connections share one. An export is
 *
 *   7 octets  "POP3TLS"
 *   1         format: 1
 *   32        what it is bound to
 *   8         until when its verification holds, seconds, big-endian
 *   ...       i2d_SSL_SESSION
 *   32        SHA-256 of all before, against damage
 *
 * Kept as octets, too, sessions would need a tenth of the memory; but to read
 * the certificate in them again is half of what a resumed handshake costs.
 */
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <string.h>
#include <time.h>

#include "tls_internal.h"

#define MAGIC "POP3TLS"
#define FORMAT 1

enum {
  AT_FORMAT = sizeof MAGIC - 1,
  AT_BOUND = AT_FORMAT + 1,
  AT_UNTIL = AT_BOUND + POP3_TLS_BOUND,
  AT_SESSION = AT_UNTIL + 8,
  SEAL_SIZE = 32, /* SHA-256 */
  OVERHEAD = AT_SESSION + SEAL_SIZE
};

/* The octets of a session with tickets and certificates of the largest size
 * that somebody has seen in mail are a tenth of this. */
#define MAX_SEALED (128 * 1024)

/* After so many seconds the chain is verified anew, however often a session
 * was renewed by resuming it: a CA may lose its trust. */
#define VERIFIED_FOR (24L * 60 * 60)

/* Tickets of TLS 1.3 that are kept of one peer: servers give two, and four
 * connections at a time are what a mailbox is fetched with. */
#define TICKETS 4

static int64_t now(void) { return (int64_t)time(NULL); }

bool pop3_tls_may_resume(const pop3_tls_context *context) {
  return (context->verify && context->check_hostname) ||
         context->checks.key_only;
}

/* --- octets -------------------------------------------------------------- */

static void write_number(unsigned char out[8], int64_t number) {
  uint64_t n = (uint64_t)number;
  for (int i = 7; i >= 0; i--, n >>= 8) out[i] = (unsigned char)(n & 0xff);
}

static int64_t read_number(const unsigned char in[8]) {
  uint64_t n = 0;
  for (int i = 0; i < 8; i++) n = n << 8 | in[i];
  return (int64_t)n;
}

static bool digest(const unsigned char *octets, size_t size,
                   unsigned char out[SEAL_SIZE]) {
  return EVP_Digest(octets, size, out, NULL, EVP_sha256(), NULL) == 1;
}

static size_t sealed_size(const SSL_SESSION *session) {
  int size = session ? i2d_SSL_SESSION(session, NULL) : 0;
  return size > 0 && size < MAX_SEALED - OVERHEAD ? (size_t)size + OVERHEAD : 0;
}

/* Who sees a ticket of TLS 1.3 twice knows that both connections are one
 * client's (RFC 8446 C.4). Before, a session is good for many. */
static bool is_used_once(const SSL_SESSION *session) {
  return SSL_SESSION_get_protocol_version(session) >= TLS1_3_VERSION;
}

/* Into `out`, which has sealed_size. false: a lack of memory. */
static bool seal(const pop3_tls *tls, const SSL_SESSION *session,
                 unsigned char *out, size_t size) {
  unsigned char *at = out + AT_SESSION;
  memcpy(out, MAGIC, AT_FORMAT);
  out[AT_FORMAT] = FORMAT;
  memcpy(out + AT_BOUND, tls->bound, POP3_TLS_BOUND);
  write_number(out + AT_UNTIL, tls->until);
  return i2d_SSL_SESSION(session, &at) == (int)(size - OVERHEAD) &&
         digest(out, size - SEAL_SIZE, out + size - SEAL_SIZE);
}

/* Does the server still know it? It says for how long in TLS 1.3; before, the
 * hint of a ticket may be 0: unknown. From version 3.1 on OpenSSL reads a finer
 * clock than time(), which ticks some milliseconds behind: a session may be
 * younger than now by a second. */
static bool is_fresh(const SSL_SESSION *session) {
  int64_t age = now() - pop3_tls_session_time(session);
  unsigned long hint = SSL_SESSION_get_ticket_lifetime_hint(session);
  return age >= -1 && age < SSL_SESSION_get_timeout(session) &&
         (hint == 0 || age < (int64_t)hint);
}

/* The session in it, if it is bound to this connection. */
static SSL_SESSION *open_sealed(const pop3_tls *tls,
                                const unsigned char *sealed, size_t size) {
  const unsigned char *at = sealed + AT_SESSION;
  if (sealed[AT_FORMAT] != FORMAT ||
      memcmp(sealed + AT_BOUND, tls->bound, POP3_TLS_BOUND) != 0)
    return NULL;
  return d2i_SSL_SESSION(NULL, &at, (long)(size - OVERHEAD));
}

pop3_error pop3_tls_session_check(const char *octets, size_t size,
                                  pop3_failure *failure) {
  const unsigned char *sealed = (const unsigned char *)octets;
  unsigned char right[SEAL_SIZE];
  if (size <= OVERHEAD || size > MAX_SEALED ||
      memcmp(sealed, MAGIC, AT_FORMAT) != 0)
    return pop3_fail(failure, POP3_E_TLS_CONFIG,
                     "session is not what session_export gives");
  bool digested = digest(sealed, size - SEAL_SIZE, right);
  ERR_clear_error();
  if (!digested) return pop3_fail(failure, POP3_E_MEMORY, NULL);
  if (memcmp(sealed + size - SEAL_SIZE, right, SEAL_SIZE) == 0)
    return POP3_E_OK;
  return pop3_fail(failure, POP3_E_TLS_CONFIG,
                   "session was damaged since session_export gave it: drop it "
                   "and connect without");
}

/* --- the store ----------------------------------------------------------- */

/* OpenSSL wipes its secrets. */
static void wipe(pop3_tls_kept *kept) {
  SSL_SESSION_free(kept->session);
  memset(kept, 0, sizeof *kept);
}

void pop3_tls_free_sessions(pop3_tls_context *context) {
  for (size_t i = 0; i < POP3_TLS_KEPT; i++) wipe(&context->kept[i]);
}

static bool is_for(const pop3_tls_kept *kept,
                   const unsigned char bound[POP3_TLS_BOUND]) {
  return kept->session && memcmp(kept->bound, bound, POP3_TLS_BOUND) == 0;
}

/* Where one more of this peer goes: instead of the peer's oldest when it has
 * as many as it may, else instead of the one that was not used for longest;
 * a free place was never used. */
static pop3_tls_kept *place(pop3_tls_context *context,
                            const unsigned char bound[POP3_TLS_BOUND],
                            int limit) {
  pop3_tls_kept *own = NULL, *any = &context->kept[0];
  int count = 0;
  for (size_t i = 0; i < POP3_TLS_KEPT; i++) {
    pop3_tls_kept *k = &context->kept[i];
    if (k->used < any->used) any = k;
    if (!is_for(k, bound)) continue;
    if (!own || k->used < own->used) own = k;
    count++;
  }
  return count < limit ? any : own;
}

/* Takes what is in `fresh`; leaves in it what had to go. */
static void put(pop3_tls_context *context, pop3_tls_kept *fresh) {
  int limit = is_used_once(fresh->session) ? TICKETS : 1;
  if (CRYPTO_THREAD_write_lock(context->lock) != 1) return;
  pop3_tls_kept *at = place(context, fresh->bound, limit);
  pop3_tls_kept gone = *at;
  fresh->used = ++context->clock;
  *at = *fresh;
  *fresh = gone;
  (void)CRYPTO_THREAD_unlock(context->lock);
}

static void store(pop3_tls *tls, const SSL_SESSION *session) {
  pop3_tls_kept fresh = {0};
  if (!tls->context->resume || tls->until <= now()) return;
  fresh.session = SSL_SESSION_dup(session);
  fresh.until = tls->until;
  memcpy(fresh.bound, tls->bound, POP3_TLS_BOUND);
  if (fresh.session) put(tls->context, &fresh);
  wipe(&fresh);
}

static pop3_tls_kept *newest(pop3_tls_context *context,
                             const unsigned char bound[POP3_TLS_BOUND]) {
  pop3_tls_kept *found = NULL;
  for (size_t i = 0; i < POP3_TLS_KEPT; i++) {
    pop3_tls_kept *k = &context->kept[i];
    if (is_for(k, bound) && (!found || k->used > found->used)) found = k;
  }
  return found;
}

/* What is used once leaves the store, else this is a copy. */
static pop3_tls_kept take(pop3_tls *tls) {
  pop3_tls_context *context = tls->context;
  pop3_tls_kept taken = {0};
  if (CRYPTO_THREAD_write_lock(context->lock) != 1) return taken;
  pop3_tls_kept *found = newest(context, tls->bound);
  if (found) {
    found->used = ++context->clock;
    taken = *found;
    if (is_used_once(found->session)) memset(found, 0, sizeof *found);
    else taken.session = SSL_SESSION_dup(found->session);
  }
  (void)CRYPTO_THREAD_unlock(context->lock);
  return taken;
}

static bool is_same(const SSL_SESSION *a, const SSL_SESSION *b) {
  unsigned size_a, size_b;
  const unsigned char *id_a = SSL_SESSION_get_id(a, &size_a);
  const unsigned char *id_b = SSL_SESSION_get_id(b, &size_b);
  return size_a == size_b && memcmp(id_a, id_b, size_a) == 0;
}

/* Drop those of this peer, or just the one that is the same as `session`. */
static void drop(pop3_tls *tls, const SSL_SESSION *session) {
  pop3_tls_context *context = tls->context;
  if (CRYPTO_THREAD_write_lock(context->lock) != 1) return;
  for (size_t i = 0; i < POP3_TLS_KEPT; i++) {
    pop3_tls_kept *k = &context->kept[i];
    if (!is_for(k, tls->bound)) continue;
    if (!session || is_same(k->session, session)) wipe(k);
  }
  (void)CRYPTO_THREAD_unlock(context->lock);
}

void pop3_tls_forget_sessions(pop3_tls *tls) {
  if (pop3_tls_may_resume(tls->context)) drop(tls, NULL);
}

/* --- offering ------------------------------------------------------------ */

static bool offer(pop3_tls *tls, SSL_SESSION *session, int64_t until) {
  if (!session || until <= now() || !is_fresh(session)) return false;
  tls->offered = SSL_set_session(tls->ssl, session) == 1;
  tls->until = until;
  return tls->offered;
}

static void offer_kept(pop3_tls *tls) {
  pop3_tls_kept kept = take(tls);
  if (kept.session && !offer(tls, kept.session, kept.until))
    pop3_tls_forget_sessions(tls); /* the newest is too old already */
  wipe(&kept);
}

static void offer_given(pop3_tls *tls, const pop3_tls_peer *peer) {
  const unsigned char *sealed = (const unsigned char *)peer->session;
  SSL_SESSION *session = open_sealed(tls, sealed, peer->session_size);
  (void)offer(tls, session, read_number(sealed + AT_UNTIL));
  SSL_SESSION_free(session);
}

pop3_error pop3_tls_offer_session(pop3_tls *tls, const pop3_tls_peer *peer,
                                  pop3_failure *failure) {
  pop3_error error = POP3_E_OK;
  if (peer->session)
    error = pop3_tls_session_check(peer->session, peer->session_size, failure);
  if (error != POP3_E_OK || !pop3_tls_may_resume(tls->context)) return error;
  /* as its context, OpenSSL compares the binding once more */
  if (!pop3_tls_bind(tls, peer) ||
      SSL_set_session_id_context(tls->ssl, tls->bound, POP3_TLS_BOUND) != 1)
    return pop3_fail(failure, POP3_E_MEMORY, NULL);
  if (peer->session) offer_given(tls, peer);
  if (!tls->offered && tls->context->resume) offer_kept(tls);
  ERR_clear_error();
  return POP3_E_OK;
}

/* --- collecting ---------------------------------------------------------- */

/* When the first certificate of the chain ends, or what else was looked at; a
 * day from now at the latest. */
static int64_t verified_until(const pop3_tls *tls) {
  const STACK_OF(X509) *chain = SSL_get0_verified_chain(tls->ssl);
  int64_t left = VERIFIED_FOR;
  for (int i = 0; i < sk_X509_num(chain); i++) {
    int days = 0, seconds = 0;
    if (ASN1_TIME_diff(&days, &seconds, NULL,
                       X509_get0_notAfter(sk_X509_value(chain, i))) != 1)
      return 0;
    int64_t rest = (int64_t)days * (24 * 60 * 60) + seconds;
    if (rest < left) left = rest;
  }
  if (sk_X509_num(chain) <= 0 && !tls->context->checks.key_only) return 0;
  return pop3_checks_until(tls, now() + left);
}

void pop3_tls_keep_session(pop3_tls *tls) {
  const SSL_SESSION *session = SSL_get0_session(tls->ssl);
  if (!pop3_tls_may_resume(tls->context)) return;
  bool resumed = SSL_session_reused(tls->ssl) == 1;
  if (!resumed) tls->until = verified_until(tls);
  /* in TLS 1.3 it is used up, or none yet */
  if (SSL_version(tls->ssl) >= TLS1_3_VERSION) return;
  tls->exportable = session && SSL_SESSION_is_resumable(session);
  if (tls->exportable && !resumed) store(tls, session);
}

/* OpenSSL has a new session. Before the peer was checked it is left where it
 * is: pop3_tls_keep_session finds it there. */
static int collect(SSL *ssl, SSL_SESSION *session) {
  pop3_tls *tls = SSL_get_app_data(ssl);
  if (!tls || !tls->secure) return 0;
  (void)ERR_set_mark(); /* somebody reads meanwhile, and asks for its error */
  tls->exportable = true;
  store(tls, session);
  (void)ERR_pop_to_mark();
  return 0; /* we hold no reference */
}

void pop3_tls_collect_sessions(pop3_tls_context *context) {
  SSL_CTX *ssl = context->ssl;
  long mode = SSL_SESS_CACHE_OFF;
  if (pop3_tls_may_resume(context))
    mode = SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL;
  else (void)SSL_CTX_set_options(ssl, SSL_OP_NO_TICKET);
  (void)SSL_CTX_set_session_cache_mode(ssl, mode);
  SSL_CTX_sess_set_new_cb(ssl, collect);
}

/* Octets of the session in its exported form; 0: there is none now. */
static size_t exportable_size(const pop3_tls *tls, const SSL_SESSION *session) {
  bool allowed = tls->secure && tls->dead == POP3_E_OK && tls->until > now();
  return allowed && tls->exportable ? sealed_size(session) : 0;
}

static pop3_error export_session(pop3_tls *tls, const SSL_SESSION *session,
                                 char *octets, size_t size) {
  if (!seal(tls, session, (unsigned char *)octets, size)) return POP3_E_MEMORY;
  if (is_used_once(session)) drop(tls, session);
  return POP3_E_OK;
}

pop3_error pop3_tls_session_export(pop3_tls *tls, char *octets, size_t room,
                                   size_t *size) {
  const SSL_SESSION *session = SSL_get0_session(tls->ssl);
  size_t needed = exportable_size(tls, session);
  pop3_error error = needed > 0 ? POP3_E_OK : POP3_E_AGAIN;
  if (needed > 0 && octets)
    error = room < needed ? POP3_E_ARGUMENT
                          : export_session(tls, session, octets, needed);
  ERR_clear_error();
  if (error == POP3_E_OK) *size = needed;
  return error;
}
