#!/usr/bin/env python3
"""Certificates for the specs, good and bad, made anew when they grow old.

    python3 spec/support/certificates.py FOLDER

leaves FOLDER/NAME.pem (a chain as a server sends it), FOLDER/key.pem (the key
of every server certificate but those of KEYS), FOLDER/root.pem (the one that
the specs trust). Needs Python's standard library and the openssl command,
which makes keys and signatures; the certificates are written here, because no
tool makes all of the bad ones.
"""

import base64
import datetime
import hashlib
import ipaddress
import os
import shutil
import subprocess
import sys
import tempfile
import time

NAME = "mail.example.org"
PROVIDERS = ("pop.gmail.com", "outlook.office365.com", "pop.mail.yahoo.com",
             "pop.aol.com", "pop.fastmail.com", "pop.gmx.net", "pop3.web.de",
             "pop.zoho.com", NAME, "exchange.example.org")
MAX_AGE = 3 * 86400  # the certificates are valid for thirty days
DAY = datetime.timedelta(days=1)
NOW = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)

# ------------------------------------------------------------------- DER


def tlv(tag, *parts):
    body = b"".join(parts)
    size = len(body)
    if size < 128:
        return bytes([tag, size]) + body
    digits = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 128 | len(digits)]) + digits + body


def sequence(*parts):
    return tlv(0x30, *parts)


def octets(body):
    return tlv(0x04, body)


def integer(value):
    return tlv(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def bits(body, unused=0):
    return tlv(0x03, bytes([unused]), body)


def oid(text):
    first, second, *rest = (int(part) for part in text.split("."))
    out = [first * 40 + second]
    for part in rest:
        digits = [part & 127]
        while part > 127:
            part >>= 7
            digits.append(part & 127 | 128)
        out += reversed(digits)
    return tlv(0x06, bytes(out))


def when(moment):
    return tlv(0x18, moment.strftime("%Y%m%d%H%M%SZ").encode())


def distinguished(common_name):
    text = tlv(0x0C, common_name.encode())
    return sequence(tlv(0x31, sequence(oid("2.5.4.3"), text)))


def extension(number, body, critical=False):
    flag = tlv(0x01, b"\xff") if critical else b""
    return sequence(oid(number), flag, octets(body))


# A subjectAltName's entries.


def dns(name):
    raw = name if isinstance(name, bytes) else name.encode("ascii")
    return tlv(0x82, raw)


def email(address):
    return tlv(0x81, address.encode("ascii"))


def ip(address):
    return tlv(0x87, ipaddress.ip_address(address).packed)


# ------------------------------------------------------------------ keys


def openssl(*arguments, data=None):
    return subprocess.run(
        ("openssl",) + arguments, input=data, check=True,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout


class Key:
    def __init__(self, folder, name, *algorithm):
        self.path = os.path.join(folder, name + ".pem")
        openssl("genpkey", "-out", self.path, *algorithm)
        self.public = openssl("pkey", "-in", self.path, "-pubout", "-outform",
                              "DER")
        self.identifier = hashlib.sha1(self.public).digest()

    def sign(self, body, digest):
        return openssl("dgst", "-" + digest, "-sign", self.path, data=body)


EC = ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
RSA_1024 = ("-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024")

ECDSA = {"sha256": "1.2.840.10045.4.3.2", "sha1": "1.2.840.10045.4.1"}
SERVER_AUTH = "1.3.6.1.5.5.7.3.1"
CLIENT_AUTH = "1.3.6.1.5.5.7.3.2"

# ----------------------------------------------------------- certificates


class Certificate:
    """One certificate, signed by `issuer` (itself when there is none)."""

    serial = 1000

    def __init__(self, name, key, issuer=None, names=(), ca=False,
                 path_length=None, usage=SERVER_AUTH, digest="sha256",
                 start=NOW - DAY, end=NOW + 30 * DAY):
        issuer = issuer or self
        self.name, self.key = name, key
        Certificate.serial += 1
        algorithm = sequence(oid(ECDSA[digest]))
        body = sequence(
            tlv(0xA0, integer(2)), integer(Certificate.serial), algorithm,
            distinguished(issuer.name), sequence(when(start), when(end)),
            distinguished(name), key.public,
            tlv(0xA3, sequence(*self.extensions(
                issuer, names, ca, path_length, usage))))
        self.der = sequence(body, algorithm,
                            bits(issuer.key.sign(body, digest)))

    def extensions(self, issuer, names, ca, path_length, usage):
        claim = tlv(0x01, b"\xff") if ca else b""
        if path_length is not None:
            claim += integer(path_length)
        yield extension("2.5.29.19", sequence(claim), True)
        if ca:  # keyCertSign and cRLSign, else digitalSignature
            yield extension("2.5.29.15", bits(b"\x06", 1), True)
        else:
            yield extension("2.5.29.15", bits(b"\x80", 7), True)
            yield extension("2.5.29.37", sequence(oid(usage)))
        yield extension("2.5.29.14", octets(self.key.identifier))
        yield extension("2.5.29.35", sequence(
            tlv(0x80, issuer.key.identifier)))
        if names:
            yield extension("2.5.29.17", sequence(*names))

    def pem(self):
        return (b"-----BEGIN CERTIFICATE-----\n" +
                base64.encodebytes(self.der) +
                b"-----END CERTIFICATE-----\n")


def make(folder):
    def write(name, *chain):
        with open(os.path.join(folder, name + ".pem"), "wb") as file:
            file.write(b"".join(one.pem() for one in chain))

    key = Key(folder, "key", *EC)
    root_key = Key(folder, "root-key", *EC)
    middle_key = Key(folder, "middle-key", *EC)
    other_key = Key(folder, "other-key", *EC)
    weak_key = Key(folder, "weak-key", *RSA_1024)

    past = {"start": NOW - 20 * DAY, "end": NOW - 10 * DAY}
    root = Certificate("Spec root", root_key, ca=True)
    middle = Certificate("Spec intermediate", middle_key, root, ca=True)
    write("root", root)

    def leaf(name, *names, subject="spec leaf", issuer=middle, **more):
        one = Certificate(subject, more.pop("key", key), issuer, names, **more)
        write(name, one, issuer)
        return one

    good = leaf("exact", dns(NAME))
    leaf("mismatch", dns("pop.example.net"))
    leaf("parent", dns("example.org"))
    leaf("subdomain", dns("deep." + NAME))
    leaf("wildcard", dns("*.example.org"))
    leaf("partial-wildcard", dns("m*.example.org"))
    leaf("inner-wildcard", dns("mail.*.org"))
    leaf("public-wildcard", dns("*.org"))
    leaf("star", dns("*"))
    leaf("cn-only", subject=NAME)
    leaf("cn-and-ip", ip("192.0.2.7"), subject=NAME)
    leaf("cn-and-email", email("postmaster@example.org"), subject=NAME)
    leaf("ip", ip("127.0.0.1"), ip("::1"))
    leaf("ip-as-name", dns("127.0.0.1"), dns("::1"), subject="127.0.0.1")
    leaf("other-ip", ip("192.0.2.7"))
    leaf("nul", dns(NAME.encode() + b"\0.evil.example"))
    leaf("control", dns(b"evil\x1b[31m\r\n.example"))
    leaf("idna", dns("xn--mnchen-3ya.example.org"))
    leaf("expired", dns(NAME), **past)
    leaf("not-yet", dns(NAME), start=NOW + 5 * DAY)
    leaf("client-only", dns(NAME), usage=CLIENT_AUTH)
    leaf("weak-key-leaf", dns(NAME), key=weak_key)
    leaf("sha1", dns(NAME), digest="sha1")
    crowd = [dns("h%04d.x" % n) for n in range(9999)]
    leaf("crowd", *crowd, dns(NAME))
    leaf("crowd-without", *crowd, dns("h9999.x"))

    write("missing-intermediate", good)
    write("reversed", good, root, middle)
    write("self-signed", Certificate("Self", key, names=[dns(NAME)]))
    # Where names are asked for: one for all of PROVIDERS, and what Google's
    # servers show to whom does not ask.
    leaf("providers", *map(dns, PROVIDERS))
    write("no-name", Certificate("invalid2.invalid", key,
                                 names=[dns("invalid2.invalid")]))
    # For a server that wants to know the client.
    write("client", Certificate("client", key, middle, usage=CLIENT_AUTH),
          middle)

    foreign = Certificate("Foreign root", other_key, ca=True)
    leaf("unknown-root", dns(NAME), issuer=foreign)

    old = Certificate("Old intermediate", other_key, root, ca=True, **past)
    leaf("expired-intermediate", dns(NAME), issuer=old)
    old_root = Certificate("Old root", other_key, ca=True, **past)
    write("old-root", old_root)
    leaf("expired-root", dns(NAME), issuer=old_root)

    simple = Certificate("No authority", other_key, middle, [dns("no.example")])
    write("non-ca", Certificate("spec leaf", key, simple, [dns(NAME)]), simple,
          middle)
    last = Certificate("Last authority", middle_key, root, ca=True,
                       path_length=0)
    beyond = Certificate("One too many", other_key, last, ca=True)
    write("path-length", Certificate("spec leaf", key, beyond, [dns(NAME)]),
          beyond, last)


# ------------------------------------------------------------------ cache


def stamp():
    with open(__file__, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def is_fresh(folder):
    path = os.path.join(folder, "stamp")
    try:
        if not 0 <= time.time() - os.stat(path).st_mtime < MAX_AGE:
            return False
        with open(path) as file:
            return file.read() == stamp()
    except OSError:
        return False


def main(folder):
    """Two runs at once must not see half a folder: make aside, then rename."""
    if is_fresh(folder):
        return
    parent = os.path.dirname(os.path.abspath(folder))
    os.makedirs(parent, exist_ok=True)
    aside = tempfile.mkdtemp(dir=parent)
    fresh, stale = os.path.join(aside, "new"), os.path.join(aside, "old")
    os.mkdir(fresh)
    try:
        make(fresh)
        with open(os.path.join(fresh, "stamp"), "w") as file:
            file.write(stamp())
        if os.path.isdir(folder) and not is_fresh(folder):
            os.rename(folder, stale)
        os.rename(fresh, folder)
    except OSError:
        if not is_fresh(folder):  # somebody else was faster
            raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1])
