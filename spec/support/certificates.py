#!/usr/bin/env python3
"""Certificates for the specs, good and bad, made anew when they grow old.

    python3 spec/support/certificates.py FOLDER

leaves FOLDER/NAME.pem (a chain as a server sends it), FOLDER/NAME.pin and .tlsa
(pins and TLSA records of its certificates, a line each), FOLDER/key.pem (the
key of every server certificate but those of KEYS), FOLDER/root.pem (the one
that the specs trust), FOLDER/crl-NAME.pem and ocsp-NAME.der (what an authority
says of certificates). Needs Python's standard library and the openssl command,
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


def enumerated(value):
    return tlv(0x0A, bytes([value]))


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


def service(name):
    raw = name if isinstance(name, bytes) else name.encode("ascii")
    return tlv(0xA0, oid("1.3.6.1.5.5.7.8.7"), tlv(0xA0, tlv(0x16, raw)))


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
        self.point = self.public[-65:]  # of P-256

    def sign(self, body, digest):
        return openssl("dgst", "-" + digest, "-sign", self.path, data=body)


EC = ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
RSA_1024 = ("-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024")

ECDSA = {"sha256": "1.2.840.10045.4.3.2", "sha1": "1.2.840.10045.4.1"}
SERVER_AUTH = "1.3.6.1.5.5.7.3.1"
CLIENT_AUTH = "1.3.6.1.5.5.7.3.2"
OCSP_SIGNING = "1.3.6.1.5.5.7.3.9"

# ----------------------------------------------------------- certificates


class Certificate:
    """One certificate, signed by `issuer` (itself when there is none)."""

    serial = 1000

    def __init__(self, name, key, issuer=None, names=(), ca=False,
                 path_length=None, usage=SERVER_AUTH, digest="sha256",
                 start=NOW - DAY, end=NOW + 30 * DAY, must_staple=False):
        issuer = issuer or self
        self.name, self.key, self.issuer = name, key, issuer
        self.must_staple = must_staple
        Certificate.serial += 1
        self.serial = Certificate.serial
        algorithm = sequence(oid(ECDSA[digest]))
        body = sequence(
            tlv(0xA0, integer(2)), integer(self.serial), algorithm,
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
        if self.must_staple:  # RFC 7633
            yield extension("1.3.6.1.5.5.7.1.24", sequence(integer(5)))

    def pin(self):
        return "sha256//" + base64.b64encode(
            hashlib.sha256(self.key.public).digest()).decode()

    def tlsa(self):
        """All that TLSA records (RFC 6698) can say of it."""
        for usage in range(4):
            for selector, what in enumerate((self.der, self.key.public)):
                for kind, said in enumerate((
                        what, hashlib.sha256(what).digest(),
                        hashlib.sha512(what).digest())):
                    yield "%d %d %d %s" % (usage, selector, kind, said.hex())


def pem(what, der):
    return ("-----BEGIN %s-----\n" % what).encode() + (
        base64.encodebytes(der)) + ("-----END %s-----\n" % what).encode()


# ------------------------------------------------- what an authority takes back


def revocation_list(issuer, revoked=(), key=None, start=NOW - DAY,
                    end=NOW + 30 * DAY):
    """RFC 5280 5.1."""
    algorithm = sequence(oid(ECDSA["sha256"]))
    entries = [sequence(integer(one.serial), when(start)) for one in revoked]
    body = sequence(
        integer(1), algorithm, distinguished(issuer.name), when(start),
        when(end), *([sequence(*entries)] if entries else []))
    return sequence(body, algorithm,
                    bits((key or issuer.key).sign(body, "sha256")))


GOOD = tlv(0x80)
UNKNOWN = tlv(0x82)
REVOKED = tlv(0xA1, when(NOW - DAY), tlv(0xA0, enumerated(1)))


def ocsp_response(about, status=GOOD, signer=None, start=NOW - DAY / 24,
                  end=NOW + 30 * DAY):
    """RFC 6960 4.2.1; a signer that is not the issuer is sent along."""
    issuer = about.issuer
    signer = signer or issuer
    algorithm = sequence(oid(ECDSA["sha256"]))
    certificate = sequence(
        sequence(oid("1.3.14.3.2.26"), tlv(0x05)),
        octets(hashlib.sha1(distinguished(issuer.name)).digest()),
        octets(hashlib.sha1(issuer.key.point).digest()),
        integer(about.serial))
    body = sequence(
        tlv(0xA2, octets(hashlib.sha1(signer.key.point).digest())),
        when(NOW), sequence(sequence(certificate, status, when(start),
                                     tlv(0xA0, when(end)))))
    basic = sequence(body, algorithm, bits(signer.key.sign(body, "sha256")),
                     tlv(0xA0, sequence(signer.der)))
    return sequence(enumerated(0), tlv(0xA0, sequence(
        oid("1.3.6.1.5.5.7.48.1.1"), octets(basic))))


def make(folder):
    def keep(name, body):
        with open(os.path.join(folder, name), "wb") as file:
            file.write(body)

    def write(name, *chain):
        keep(name + ".pem",
             b"".join(pem("CERTIFICATE", one.der) for one in chain))
        keep(name + ".pin", "".join(
            one.pin() + "\n" for one in chain).encode())
        keep(name + ".tlsa", "".join(
            "%d %s\n" % (depth, record) for depth, one in enumerate(chain)
            for record in one.tlsa()).encode())

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
    leaf("localhost", dns("localhost"))
    leaf("service", dns("pop.example.net"), service("_pop3s.Example.org"))
    leaf("service-nul", service(b"_pop3s.example.org\0.net"))
    leaf("service-wildcard", service("_pop3s.*.org"), service("*.example.org"))
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

    revoked = leaf("revoked", dns(NAME))
    promising = leaf("must-staple", dns(NAME), must_staple=True)
    make_answers(keep, good, revoked, promising, other_key)

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


def make_answers(keep, good, revoked, promising, other_key):
    middle, past = good.issuer, {"start": NOW - 9 * DAY, "end": NOW - 8 * DAY}
    root = middle.issuer

    def responder(issuer, key=other_key, **more):
        return Certificate("Responder", key, issuer, **more)

    for name, *response in (
            ("good", good), ("revoked", revoked, REVOKED),
            ("must-staple", promising), ("unknown", good, UNKNOWN),
            ("delegated", good, GOOD, responder(middle, usage=OCSP_SIGNING)),
            ("usurped", good, GOOD, responder(middle)),
            ("forged", good, GOOD, responder(None, usage=OCSP_SIGNING)),
            ("foreign", good, GOOD, responder(root, usage=OCSP_SIGNING)),
            ("self", good, GOOD, good), ("another", revoked)):
        keep("ocsp-%s.der" % name, ocsp_response(*response))
    keep("ocsp-old.der", ocsp_response(good, **past))
    keep("ocsp-early.der", ocsp_response(good, start=NOW + 5 * DAY))
    keep("ocsp-garbage.der", ocsp_response(good)[:-20])
    keep("ocsp-later.der", sequence(enumerated(3)))

    def lists(name, *bodies):
        keep("crl-%s.pem" % name,
             b"".join(pem("X509 CRL", body) for body in bodies))

    lists("good", revocation_list(middle, [revoked]))
    lists("old", revocation_list(middle, [revoked], **past))
    lists("forged", revocation_list(middle, [], other_key))
    lists("root", revocation_list(root))
    lists("middle", revocation_list(middle), revocation_list(root, [middle]))


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
