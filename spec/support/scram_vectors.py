#!/usr/bin/env python3
"""SCRAM exchanges for spec/csrc/sasl_test.c, by Python's hashlib and hmac.

    python3 spec/support/scram_vectors.py > spec/csrc/scram_vectors.h

There are no published ones for SCRAM-SHA-512, nor for any -PLUS form. What is
written here is the same each time; sasl_vectors_spec.lua compares it with the
file that is in the tree. The two examples of RFC 5802 and RFC 7677 are made as
well and compared, so that the script is no less checked than the C.
"""

import base64
import hashlib
import hmac
import stringprep
import unicodedata

DIGESTS = {"SCRAM-SHA-1": "sha1", "SCRAM-SHA-256": "sha256",
           "SCRAM-SHA-512": "sha512"}

# ---------------------------------------------------------------- SASLprep


def saslprep(text):
    """RFC 4013, for a string that is to be stored; no right-to-left."""
    mapped = "".join(" " if stringprep.in_table_c12(c) else c for c in text
                     if not stringprep.in_table_b1(c))
    return unicodedata.ucd_3_2_0.normalize("NFKC", mapped)


# ------------------------------------------------------------------- SCRAM


def encode_name(name):
    return name.replace("=", "=3D").replace(",", "=2C")


def b64(octets):
    return base64.b64encode(octets).decode()


class Exchange:
    def __init__(self, mechanism, user, password, nonce, more, salt, count,
                 authzid="", binding=None, flag="n"):
        self.mechanism = mechanism
        self.user, self.password, self.authzid = user, password, authzid
        self.nonce, self.binding, self.flag = nonce, binding, flag
        digest = DIGESTS[mechanism.replace("-PLUS", "")]
        header = (f"p={binding[0]}" if binding else flag) + ","
        header += ("a=" + encode_name(authzid) if authzid else "") + ","
        bare = f"n={encode_name(saslprep(user))},r={nonce}"
        self.first = header + bare
        self.server_first = f"r={nonce}{more},s={b64(salt)},i={count}"
        bound = header.encode() + (binding[1] if binding else b"")
        unsigned = f"c={b64(bound)},r={nonce}{more}"
        message = ",".join((bare, self.server_first, unsigned)).encode()

        def mac(key, text):
            return hmac.new(key, text, digest).digest()

        salted = hashlib.pbkdf2_hmac(digest, saslprep(password).encode(), salt,
                                     count)
        client = mac(salted, b"Client Key")
        stored = hashlib.new(digest, client).digest()
        proof = bytes(a ^ b for a, b in zip(client, mac(stored, message)))
        self.final = f"{unsigned},p={b64(proof)}"
        self.server_final = "v=" + b64(mac(mac(salted, b"Server Key"), message))


# --------------------------------------------------------------- the RFCs'

RFC_5802 = Exchange("SCRAM-SHA-1", "user", "pencil", "fyko+d2lbbFgONRv9qkxdawL",
                    "3rfcNHYJY1ZVvWVs7j", base64.b64decode("QSXCR+Q6sek8bf92"),
                    4096)
RFC_7677 = Exchange("SCRAM-SHA-256", "user", "pencil",
                    "rOprNGfwEbeRWgbNEkqO", "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
                    base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ=="), 4096)

assert RFC_5802.final.endswith("p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=")
assert RFC_5802.server_final == "v=rmF9pqV8S7suAoZWja4dJRkFsKQ="
assert RFC_7677.final.endswith("p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
assert RFC_7677.server_final == "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="

# -------------------------------------------------------------------- ours

PEN = ("pencil", "fyko+d2lbbFgONRv9qkxdawL", "3rfcNHYJY1ZVvWVs7j")
EXPORTED = ("tls-exporter", hashlib.sha256(b"exporter").digest())
UNIQUE = ("tls-unique", hashlib.sha256(b"unique").digest()[:12])
END_POINT = ("tls-server-end-point", hashlib.sha512(b"end point").digest())


def exchanges():
    yield RFC_5802
    yield RFC_7677
    for mechanism in DIGESTS:
        salt = hashlib.sha256(mechanism.encode()).digest()
        for binding in (None, EXPORTED, UNIQUE, END_POINT):
            plus = "-PLUS" if binding else ""
            yield Exchange(mechanism + plus, "user", *PEN, salt[:16], 4096,
                           binding=binding)
        # The server is told that it could have offered -PLUS.
        yield Exchange(mechanism, "user", *PEN, salt[:1], 4097, flag="y")
        # Names that would end their fields; a key longer than any block.
        yield Exchange(mechanism + "-PLUS", "us,er=1", "p" * 200, "0nonce",
                       "1", salt * 3, 4100, "ad=min,", EXPORTED)
        yield Exchange(mechanism, "user", "a b,c=d", "0nonce", "!~", salt, 5000,
                       "other")


def prepared():
    # RFC 4013 3: a soft hyphen is nothing, an ordinal is its letter, a Roman
    # number is its letters; then a no-break space, and what composes.
    for password in ("I\u00adX", "\u00aa", "\u2168", "p\u00a0q", "e\u0301\u00e9"):
        yield Exchange("SCRAM-SHA-256", "us\u00e9r", password, "0nonce", "1",
                       b"salt", 4096)


# ------------------------------------------------------------------ output


def literal(text):
    octets = text if isinstance(text, bytes) else text.encode()
    safe = "".join(chr(o) if 32 <= o < 127 and o not in b'"\\?' else f"\\{o:03o}"
                   for o in octets)
    pieces = []
    while safe:
        cut = min(len(safe), 60)
        while "\\" in safe[cut - 3:cut] and cut < len(safe):
            cut -= 1
        pieces.append(f'"{safe[:cut]}"')
        safe = safe[cut:]
    return "\n     ".join(pieces) or '""'


def show(name, all_of_them):
    print(f"static const scram_vector {name}[] = {{")
    for x in all_of_them:
        kind, octets = x.binding or (None, b"")
        fields = [literal(x.mechanism), literal(x.user), literal(x.password),
                  literal(x.authzid), literal(x.nonce),
                  "true" if x.flag == "y" else "false",
                  literal(kind) if kind else "NULL",
                  f"{{{literal(octets)}, {len(octets)}}}",
                  literal(x.first), literal(x.server_first), literal(x.final),
                  literal(x.server_final)]
        print("    {" + ",\n     ".join(fields) + "},")
    print("};\n")


def main():
    print("""\
/*
 * scram_vectors.h - SCRAM exchanges that spec/support/scram_vectors.py made.
 */
#ifndef POP3_SCRAM_VECTORS_H
#define POP3_SCRAM_VECTORS_H

#include "../../csrc/sasl.h"

/* clang-format off */

typedef struct scram_vector {
  const char *mechanism, *user, *password, *authzid, *nonce;
  bool offerable; /* the server could have been bound to */
  const char *binding_type;
  pop3_span binding;
  const char *first, *server_first, *final, *server_final;
} scram_vector;
""")
    show("scram_vectors", exchanges())
    print("/* With characters that SASLprep changes. */")
    show("scram_prepared", prepared())
    print("#endif")


if __name__ == "__main__":
    main()
