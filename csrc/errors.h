/*
 * errors.h - every way in which this library fails, one row each.
 *
 * A row is (identifier, kind, name, protocol, text):
 *   kind      what the caller can do about it: proto, auth, closed, limit,
 *             tls, timeout, io, resolve, policy, state, aborted, argument,
 *             memory.
 *   name      the error's own name inside its kind, lower case.
 *   protocol  1 where Python's poplib raises error_proto.
 *   text      what is said when the place that failed has nothing more exact
 *             to say (the server's own line, a limit's value, errno's text).
 *
 * A new error is a new row here and a line in docs/errors.md; every binding
 * is generated from this table.
 */
#ifndef POP3_ERRORS_H
#define POP3_ERRORS_H

#pragma GCC visibility push(hidden)

#define POP3_ERRORS(X)                                                       \
  X(OK, "", "", 0, "success")                                                \
  X(AGAIN, "state", "again", 0, "pipeline window or output buffer is full")  \
  /* the server said so */                                                   \
  X(REFUSED, "proto", "refused", 1, "the server refused")                    \
  X(DENIED, "auth", "refused", 1, "the server refused the login")            \
  X(UNPROVEN, "auth", "unproven", 0,                                         \
    "the server did not prove that it knows the password")                   \
  X(WEAK_ITERATIONS, "auth", "iterations", 0,                                \
    "the server stores the password with too few iterations")                \
  X(MALFORMED, "proto", "malformed", 1, "malformed reply")                   \
  X(UNSOLICITED, "proto", "unsolicited", 1,                                  \
    "the server sent a reply that nobody asked for")                         \
  X(UNSUPPORTED, "proto", "unsupported", 1, "not supported by server")       \
  /* the stream ended */                                                     \
  X(EOF, "closed", "eof", 1, "-ERR EOF")                                     \
  X(GOODBYE, "closed", "goodbye", 1, "the server said goodbye")              \
  /* limits; the option of the same name raises each */                      \
  X(LINE, "limit", "line", 1, "line too long")                               \
  X(ITEM, "limit", "item", 0, "a listing's line is too long")                \
  X(ITEMS, "limit", "items", 0, "too many lines in a listing")               \
  X(OCTETS, "limit", "octets", 0, "the message is too large")                \
  X(CAPABILITIES, "limit", "capabilities", 0, "too many capabilities")       \
  X(CHALLENGE, "limit", "challenge", 0, "the SASL challenge is too long")    \
  X(ROUNDS, "limit", "rounds", 0, "too many SASL challenges")                \
  X(ITERATIONS, "limit", "iterations", 0, "too many iterations for a login") \
  /* TLS */                                                                  \
  X(INJECTION, "tls", "injection", 1,                                        \
    "octets followed the server's reply to STLS before the handshake")       \
  X(INSECURE, "tls", "insecure", 0, "refused to send a secret without TLS")  \
  X(HANDSHAKE, "tls", "handshake", 0, "TLS handshake failed")                \
  X(CERTIFICATE, "tls", "certificate", 0,                                    \
    "the server's certificate cannot be trusted")                            \
  X(HOSTNAME, "tls", "hostname", 0,                                          \
    "the server's certificate is for another host")                          \
  X(PIN, "tls", "pin", 0, "the server's key is not pinned")                  \
  X(DANE, "tls", "dane", 0,                                                  \
    "the server's certificate is not what the DNS says")                     \
  X(REVOKED, "tls", "revoked", 0, "the server's certificate was revoked")    \
  X(OCSP, "tls", "ocsp", 0,                                                  \
    "what the server's CA says of its certificate cannot be used")           \
  X(ALPN, "tls", "alpn", 0, "the server chose another protocol than pop3")   \
  X(TRUNCATED, "tls", "truncated", 0,                                        \
    "the TLS stream ended without close_notify")                             \
  X(TLS_DATA, "tls", "protocol", 0, "TLS protocol error")                    \
  X(TLS_CONFIG, "tls", "config", 0, "TLS options cannot be used")            \
  /* deadlines */                                                            \
  X(IDLE, "timeout", "idle", 0, "timed out")                                 \
  X(CONNECT, "timeout", "connect", 0, "timed out")                           \
  X(TOTAL, "timeout", "total", 0, "timed out")                               \
  /* the network */                                                          \
  X(IO, "io", "io", 0, "input/output error")                                 \
  X(NOT_FOUND, "resolve", "not_found", 0, "host name not found")             \
  X(TRY_AGAIN, "resolve", "again", 0, "name resolution failed for now")      \
  X(RESOLVE, "resolve", "failed", 0, "name resolution failed")               \
  X(DNSSEC, "resolve", "dnssec", 0, "what the DNS says is not proved")       \
  /* a proxy */                                                              \
  X(PROXY, "proto", "proxy", 0, "the proxy's reply makes no sense")          \
  X(PROXY_DENIED, "auth", "proxy", 0, "the proxy refused the login")         \
  X(PROXY_REFUSED, "io", "proxy", 0, "the proxy could not connect")          \
  /* the host's policy */                                                    \
  X(RESTRICTED, "policy", "restricted", 0,                                   \
    "the host's policy does not allow it")                                   \
  /* use */                                                                  \
  X(CLOSED, "state", "closed", 0, "the connection is closed")                \
  X(BUSY, "state", "busy", 0, "another call is still running")               \
  X(STATE, "state", "order", 0, "not possible in this state")                \
  X(SECURED, "state", "secured", 1, "-ERR TLS session already established")  \
  X(MISPLACED, "state", "misplaced", 0, "the host does not allow this here") \
  X(ARGUMENT, "argument", "argument", 0, "argument out of range")            \
  X(CONTROL, "argument", "control", 0,                                       \
    "contains CR, LF or NUL, which would end or inject a command")           \
  X(NOT_NUMBER, "argument", "number", 0,                                     \
    "a message number is printable and without blanks")                      \
  X(ABORTED, "aborted", "aborted", 0, "the receiver wanted no more")         \
  X(MEMORY, "memory", "memory", 0, "not enough memory")

#define POP3_ERROR_ID(id, kind, name, protocol, text) POP3_E_##id,
typedef enum pop3_error {
  POP3_ERRORS(POP3_ERROR_ID) POP3_ERROR_COUNT
} pop3_error;
#undef POP3_ERROR_ID

/* What a row says; static memory, never NULL, valid for any value. */
const char *pop3_error_kind(pop3_error error);
const char *pop3_error_name(pop3_error error);
const char *pop3_error_text(pop3_error error);
int pop3_error_is_protocol(pop3_error error);

#pragma GCC visibility pop

#endif
