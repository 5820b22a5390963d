#!/usr/bin/env python3
"""A name server for specs whose zone example.org is signed (DNSSEC).

    python3 spec/support/dnssec.py RECORD...

RECORD is a TLSA record in hexadecimal. They are what every name below
example.org has, except for

    none.       has none, and that is signed
    bare.       is not signed, though the zone is
    forged.     has other records than those that were signed
    late.       was signed for another time
    broken.     fails
    silent.     is not answered

Names of other zones have them as well, and nobody signed that.

Prints "PORT n" and the zone's key as a trust anchor, and ends when its standard
output's reader does. Needs the openssl command.
"""
import base64
import os
import select
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time

ZONE = ["example", "org"]
TTL = 60
SOA, TLSA, RRSIG, NSEC, DNSKEY, OPT = 6, 52, 46, 47, 48, 41
ECDSA_P256 = 13


def wire(labels):
    return b"".join(bytes([len(label)]) + label.encode("latin-1")
                    for label in labels) + b"\0"


def openssl(*arguments, data=None):
    return subprocess.run(("openssl",) + arguments, input=data, check=True,
                          stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL).stdout


def record(owner, kind, data):
    return wire(owner) + struct.pack("!HHIH", kind, 1, TTL, len(data)) + data


class Key:
    """RFC 4034 2, RFC 6605."""

    def __init__(self, folder):
        self.path = os.path.join(folder, "zone.pem")
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt",
                "ec_paramgen_curve:P-256", "-out", self.path)
        point = openssl("pkey", "-in", self.path, "-pubout", "-outform",
                        "DER")[-64:]
        self.data = struct.pack("!HBB", 257, 3, ECDSA_P256) + point
        total = sum(octet << 8 if i % 2 == 0 else octet
                    for i, octet in enumerate(self.data))
        self.tag = (total + (total >> 16)) & 0xFFFF

    def anchor(self):
        return "%s. DNSKEY 257 3 %d %s" % (
            ".".join(ZONE), ECDSA_P256,
            base64.b64encode(self.data[4:]).decode())

    def sign(self, owner, kind, rows, age=0):
        """The RRSIG (RFC 4034 3) of records that were signed `age` ago."""
        now = int(time.time()) - age
        head = struct.pack("!HBBIIIH", kind, ECDSA_P256, len(owner), TTL,
                           now + 3600, now - 3600, self.tag) + wire(ZONE)
        body = head + b"".join(record(owner, kind, row)
                               for row in sorted(rows))
        der = openssl("dgst", "-sha256", "-sign", self.path, data=body)
        return record(owner, RRSIG, head + self.numbers(der))

    @staticmethod
    def numbers(der):
        """r and s of an ECDSA signature in DER, 32 octets each."""
        out, at = b"", 2
        for _ in range(2):
            size = der[at + 1]
            out += der[at + 2:at + 2 + size].lstrip(b"\0").rjust(32, b"\0")
            at += 2 + size
        return out


class Zone:
    def __init__(self, key, rows):
        self.key, self.rows = key, rows
        self.signatures = {}

    def signed(self, owner, kind, rows, age=0):
        place = (tuple(owner), kind)
        if place not in self.signatures:
            self.signatures[place] = self.key.sign(owner, kind, rows, age)
        return [record(owner, kind, row) for row in rows] + [
            self.signatures[place]]

    def nothing(self, name):
        """The zone's SOA, and an NSEC: at this name is only that."""
        soa = wire(["ns"] + ZONE) * 2 + struct.pack("!IIIII", 1, TTL, TTL, TTL,
                                                    TTL)
        nsec = wire(["\0"] + name) + bytes([0, 6, 0, 0, 0, 0, 0, 3])
        return self.signed(ZONE, SOA, [soa]) + self.signed(name, NSEC, [nsec])

    def answer(self, name, kind):
        """Records of the answer and of the authority section."""
        inside = name[-len(ZONE):] == ZONE
        if inside and name == ZONE and kind == DNSKEY:
            return self.signed(ZONE, DNSKEY, [self.key.data]), []
        if kind != TLSA:
            return [], self.nothing(name) if inside else []
        self.rows.reverse()  # as servers do: the order means nothing
        plain = [record(name, TLSA, row) for row in self.rows]
        if not inside or "bare" in name:
            return plain, []
        if "none" in name:
            return [], self.nothing(name)
        if "late" in name:
            return self.signed(name, TLSA, self.rows, 86400), []
        if "forged" in name:
            return plain + self.signed(name, TLSA, [b"\3\1\1" + b"0" * 32])[-1:], []
        return self.signed(name, TLSA, self.rows), []


def read_question(query):
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1:at + 1 + query[at]].decode("latin-1"))
        at += 1 + query[at]
    kind, = struct.unpack_from("!H", query, at + 1)
    return labels, kind, query[12:at + 5]


def reply_to(query, zone):
    labels, kind, question = read_question(query)
    name = [label.lower() for label in labels]
    if "silent" in name:
        return None
    code = 2 if "broken" in name else 0
    answers, authority = ([], []) if code else zone.answer(name, kind)
    options = b"\0" + struct.pack("!HHIH", OPT, 4096, 0x8000, 0)
    return query[:2] + struct.pack("!HHHHH", 0x8580 | code, 1, len(answers),
                                   len(authority), 1) + question + (
        b"".join(answers + authority)) + options


def serve(zone):
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 0))
    print("PORT", server.getsockname()[1], flush=True)
    print(zone.key.anchor(), flush=True)
    poll = select.poll()
    poll.register(server, select.POLLIN)
    poll.register(sys.stdout, 0)
    while True:
        for fd, _ in poll.poll():
            if fd != server.fileno():
                return
            query, peer = server.recvfrom(4096)
            reply = reply_to(query, zone)
            if reply:
                server.sendto(reply, peer)


def main():
    folder = tempfile.mkdtemp()
    try:
        serve(Zone(Key(folder), [bytes.fromhex(row) for row in sys.argv[1:]]))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


main()
