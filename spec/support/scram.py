"""SCRAM's server side (RFC 5802, RFC 7677), honest or with one fault, for
scripted.py's step {scram: OPTIONS}. Shares no code with the client.

OPTIONS: password (octets), iterations (default 4096), salt (octets), digest ("sha256"),
and `fault`, one of

  signature     the proof that the server knows the password is wrong
  no-signature  there is none: +OK instead
  cut-signature it is shorter
  early         the server's final message comes in place of its first
  early-ok      +OK in place of its first message
  nonce         the nonce does not begin with the client's
  nonce-same    the server adds nothing to the client's nonce
  mandatory     a mandatory extension that nobody knows (m=)
  error         "e=other-error" after the client's proof
  hang-up       the connection ends in the middle
or `first`, the server's first message as a pattern: %(nonce)s, %(salt)s and
%(iterations)s are filled in.
"""

import base64
import hashlib
import hmac
import os


class Refused(Exception):
    """The argument is the line to say."""


def encode(octets):
    return base64.b64encode(octets).decode("ascii")


def attributes(message):
    return dict(each.split("=", 1) for each in message.split(",")
                if "=" in each)


class Exchange:
    def __init__(self, stream, options):
        self.stream = stream
        self.options = options
        self.digest = options.get("digest", "sha256")
        self.fault = options.get("fault")
        self.iterations = options.get("iterations", 4096)
        self.salt = options.get("salt", "salt of this user").encode("latin-1")
        self.password = options["password"].encode("latin-1")

    def say(self, line):
        self.stream.send(line.encode("latin-1") + b"\r\n")

    def challenge(self, message):
        self.say("+ " + encode(message.encode("utf-8")))

    def hear(self):
        line = self.stream.line()
        if not line.endswith(b"\r\n"):
            raise Refused(None)
        if line == b"*\r\n":
            raise Refused("-ERR cancelled")
        return base64.b64decode(line[:-2], validate=True).decode("utf-8")

    def mac(self, key, octets):
        return hmac.new(key, octets, self.digest).digest()

    def run(self, initial):
        """The exchange behind "AUTH SCRAM-...", with its initial response."""
        first = base64.b64decode(initial, validate=True).decode("utf-8")
        gs2 = ",".join(first.split(",", 2)[:2]) + ","
        bare = first[len(gs2):]
        if self.fault == "early":
            return self.finish(b"\0" * hashlib.new(self.digest).digest_size)
        if self.fault == "early-ok":
            return self.say("+OK in")
        server_first, nonce = self.first(attributes(bare)["r"])
        self.challenge(server_first)
        if self.fault == "hang-up":
            return None
        final = self.hear()
        proven = attributes(final)
        if proven["r"] != nonce or base64.b64decode(proven["c"]).decode() != gs2:
            raise Refused("-ERR [AUTH] somebody else")
        self.check(",".join([bare, server_first, final.rsplit(",p=", 1)[0]]),
                   base64.b64decode(proven["p"], validate=True))
        return None

    def first(self, client_nonce):
        nonce = client_nonce + encode(os.urandom(12))
        if self.fault == "nonce":
            nonce = encode(os.urandom(36))
        if self.fault == "nonce-same":
            nonce = client_nonce
        shape = self.options.get(
            "first", "r=%(nonce)s,s=%(salt)s,i=%(iterations)s")
        if self.fault == "mandatory":
            shape = "m=unknown," + shape
        return shape % {"nonce": nonce, "salt": encode(self.salt),
                        "iterations": self.iterations}, nonce

    def check(self, message, proof):
        salted = hashlib.pbkdf2_hmac(self.digest, self.password, self.salt,
                                     int(self.iterations))
        key = self.mac(salted, b"Client Key")
        stored = hashlib.new(self.digest, key).digest()
        signature = self.mac(stored, message.encode("utf-8"))
        good = bytes(a ^ b for a, b in zip(proof, signature)) == key
        if self.fault == "error":
            self.challenge("e=other-error")
            self.hear()
            raise Refused("-ERR [AUTH] no")
        if not good:
            raise Refused("-ERR [AUTH] no")
        if self.fault == "no-signature":
            return self.say("+OK in")
        server_key = self.mac(salted, b"Server Key")
        return self.finish(self.mac(server_key, message.encode("utf-8")))

    def finish(self, signature):
        if self.fault == "signature":
            signature = signature[:-1] + bytes([signature[-1] ^ 1])
        if self.fault == "cut-signature":
            signature = signature[:-1]
        self.challenge("v=" + encode(signature))
        if self.hear() != "":
            raise Refused("-ERR an empty line was expected")
        self.say("+OK in")
        return None


def serve(stream, line, options):
    """`line` is the AUTH command."""
    try:
        Exchange(stream, options).run(line.split(" ")[2])
    except Refused as refusal:
        if refusal.args[0]:
            stream.send(refusal.args[0].encode("latin-1") + b"\r\n")
