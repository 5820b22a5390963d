#!/usr/bin/env python3
"""A name server for specs whose zones example.org and localhost are signed
(DNSSEC).

    python3 spec/support/dnssec.py "NAME TYPE DATA"...

    * TLSA HEX                       of every name that has no other
    NAME TLSA HEX                    of it, and of _PORT._tcp.NAME
    NAME SRV PRIORITY WEIGHT PORT TARGET
    NAME CNAME TARGET
    NAME A ADDRESS, NAME AAAA ADDRESS

A target may have octets as \\032; "." is the root. Names with such a label are
special:

    none        there is nothing but aliases, and that is signed
    missing     there is no such name, and that is signed
    bare        is not signed, though the zone is
    forged      has other records than those that were signed
    late        was signed for another time
    broken      fails
    silent      is not answered

Names of other zones have what they have as well, and nobody signed that.

Prints "PORT n", the zones' keys as trust anchors and an empty line, and ends
when its standard output's reader does. Needs the openssl command.
"""
import base64
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time

import dns

ZONES = [["example", "org"], ["localhost"]]
TTL = 60
A, CNAME, SOA, AAAA, SRV, OPT, RRSIG, NSEC, DNSKEY, TLSA = (
    1, 5, 6, 28, 33, 41, 46, 47, 48, 52)
KINDS = {"A": A, "AAAA": AAAA, "CNAME": CNAME, "SRV": SRV, "TLSA": TLSA}
ECDSA_P256 = 13
NO_SUCH_NAME = 3


def split(name):
    """A name in text to its labels."""
    return [re.sub(r"\\(\d{3})", lambda found: chr(int(found[1])), label)
            for label in name.rstrip(".").split(".") if label]


def zone_of(name):
    for zone in ZONES:
        if name[-len(zone):] == zone:
            return zone
    return None


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

    def anchor(self, zone):
        return "%s. DNSKEY 257 3 %d %s" % (
            ".".join(zone), ECDSA_P256,
            base64.b64encode(self.data[4:]).decode())

    def sign(self, owner, kind, rows, age=0):
        """The RRSIG (RFC 4034 3) of records that were signed `age` ago."""
        now = int(time.time()) - age
        head = struct.pack("!HBBIIIH", kind, ECDSA_P256, len(owner), TTL,
                           now + 3600, now - 3600, self.tag)
        head += wire(zone_of(owner))
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


def read_data(kind, words):
    if kind == TLSA:
        return bytes.fromhex(words[0])
    if kind == CNAME:
        return wire(split(words[0]))
    if kind in (A, AAAA):
        family = socket.AF_INET if kind == A else socket.AF_INET6
        return socket.inet_pton(family, words[0])
    numbers = [int(word) for word in words[:3]]
    return struct.pack("!HHH", *numbers) + wire(split(words[3]))


class Zones:
    def __init__(self, key, texts):
        self.key = key
        self.records, self.signatures = {}, {}
        for text in texts:
            name, kind, *words = text.split(" ")
            kind = KINDS[kind]
            self.records.setdefault((tuple(split(name.lower())), kind),
                                    []).append(read_data(kind, words))

    def find(self, name, kind):
        """What there is, as a type and its records' data."""
        if (tuple(name), CNAME) in self.records:
            return CNAME, self.records[tuple(name), CNAME]
        if "none" in name:
            return kind, []
        if kind != TLSA:
            return kind, self.records.get((tuple(name), kind), [])
        for owner in tuple(name), tuple(name[2:]), ("*",):
            if (owner, TLSA) in self.records:
                return kind, self.records[owner, TLSA]
        return kind, []

    def signed(self, owner, kind, rows, age=0):
        place = (tuple(owner), kind)
        if place not in self.signatures:
            self.signatures[place] = self.key.sign(owner, kind, rows, age)
        return [record(owner, kind, row) for row in rows] + [
            self.signatures[place]]

    def nothing(self, name):
        """The zone's SOA, and an NSEC: at this name is only that."""
        nsec = wire(["\0"] + name) + bytes([0, 6, 0, 0, 0, 0, 0, 3])
        return self.authority(name) + self.signed(name, NSEC, [nsec])

    def nowhere(self, name):
        """... and NSECs around the label "missing" and around "*"."""
        zone = zone_of(name)
        types = bytes([0, 6, 0, 0, 0, 0, 0, 3])
        return (self.authority(name)
                + self.signed(zone, NSEC, [wire(["+"] + zone) + types])
                + self.signed(["missinf"] + zone, NSEC,
                              [wire(["missinh"] + zone) + types]))

    def authority(self, name):
        zone = zone_of(name)
        soa = wire(["ns"] + zone) * 2 + struct.pack("!IIIII", 1, TTL, TTL, TTL,
                                                    TTL)
        return self.signed(zone, SOA, [soa])

    def answer(self, name, kind):
        """A code, and records of the answer and of the authority section."""
        inside = zone_of(name) is not None
        if name in ZONES and kind == DNSKEY:
            return 0, self.signed(name, DNSKEY, [self.key.data]), []
        if inside and "missing" in name:
            return NO_SUCH_NAME, [], self.nowhere(name)
        kind, rows = self.find(name, kind)
        if not rows:
            return 0, [], self.nothing(name) if inside else []
        rows.reverse()  # as servers do: the order means nothing
        plain = [record(name, kind, row) for row in rows]
        if not inside or "bare" in name:
            return 0, plain, []
        if "late" in name:
            return 0, self.signed(name, kind, rows, 86400), []
        if "forged" in name:
            other = [rows[0][:-2] + b"0\0"]
            return 0, plain + self.signed(name, kind, other)[-1:], []
        return 0, self.signed(name, kind, rows), []


def read_question(query):
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1:at + 1 + query[at]].decode("latin-1"))
        at += 1 + query[at]
    kind, = struct.unpack_from("!H", query, at + 1)
    return labels, kind, query[12:at + 5]


def reply_to(query, zones):
    labels, kind, question = read_question(query)
    name = [label.lower() for label in labels]
    if "silent" in name:
        return None
    code, answers, authority = (2, [], []) if "broken" in name else (
        zones.answer(name, kind))
    options = b"\0" + struct.pack("!HHIH", OPT, 4096, 0x8000, 0)
    return query[:2] + struct.pack("!HHHHH", 0x8580 | code, 1, len(answers),
                                   len(authority), 1) + question + (
        b"".join(answers + authority)) + options


def announce(zones):
    for zone in ZONES:
        print(zones.key.anchor(zone))
    print(flush=True)


def serve(zones):
    dns.serve(lambda query: reply_to(query, zones), lambda: announce(zones))


def main():
    folder = tempfile.mkdtemp()
    try:
        serve(Zones(Key(folder), sys.argv[1:]))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


main()
