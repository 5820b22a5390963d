#!/usr/bin/env python3
"""A well-behaved POP3 server over a folder of mails, or a sample mailbox.

    python3 spec/support/mailbox.py [--folder DIR] [OPTION...]

Prints "PORT plain=N tls=N ca=FILE" when it listens: a port with STLS, one
with implicit TLS, and the certificate to trust. It serves any number of
connections at once, deletes at QUIT only, and ends when its standard input or
its parent does, or the reader of its standard output. Python's standard
library and the openssl command are all that it needs.

Mails are octets as they go over the wire, before dot-stuffing; a CRLF is
added at the end where one is missing.
"""

import argparse
import base64
import ctypes
import hashlib
import os
import random
import select
import shutil
import signal
import socket
import ssl
import stat
import subprocess
import sys
import tempfile
import threading
import time

MAX_COMMAND = 8192  # octets of one command line; tokens may be long
CHUNK = 65536       # octets written at once where no rate is asked for
SLICE_SECONDS = 0.02  # how often a slow server writes

# ------------------------------------------------------------ the sample mails


def header(number, subject, *more):
    lines = ["From: Ada <ada@example.org>", "To: Otto <otto@example.org>",
             "Subject: " + subject,
             "Date: Mon, 02 Jan 2023 10:%02d:00 +0000" % (number % 60),
             "Message-ID: <%d@example.org>" % number, *more, "", ""]
    return "\r\n".join(lines).encode()


def attachment(number, size):
    """Random octets, the same ones each time, as a MIME part."""
    octets = random.Random(number).randbytes(size)
    code = base64.encodebytes(octets).replace(b"\n", b"\r\n")
    return (header(number, "An attachment of %d octets" % size,
                   "MIME-Version: 1.0",
                   "Content-Type: multipart/mixed; boundary=edge")
            + b"--edge\r\nContent-Type: text/plain\r\n\r\nSee below.\r\n"
            b"--edge\r\nContent-Type: application/octet-stream\r\n"
            b"Content-Transfer-Encoding: base64\r\n\r\n"
            + code + b"--edge--\r\n")


def awkward_mails():
    """One mail of each kind that has broken a POP3 client."""
    every = bytes(octet for octet in range(256) if octet not in b"\r\n")
    bodies = [
        ("One dot", b".\r\n"),
        ("Dots", b".\r\n..\r\n...\r\n" + b"." * 3000 + b"\r\n.x\r\n..x\r\n"),
        ("Dots and bare line ends", b"a\n.\nb\r.\rc\n..\n\r\n.\n\r\n"),
        ("Every octet", every + b"\r\n" + every[::-1] + b"\r\n"),
        ("NUL", b"a\0b\r\n\0\r\n\0\0\0"),
        ("A line of 10,000 octets", b"x" * 10000 + b"\r\nshort\r\n"),
        ("8-bit lines of 10,000 octets", b"\xff\xfe.\xe2\x82\xac" * 1428
         + b"\r\n" + b"." + b"\xc3\xa9" * 5000 + b"\r\n"),
        ("From at the start", b"From here on\r\nFrom: me\r\n>From\r\n"),
        ("No line end at the end", b"the last line ends with the mail"),
        ("A dot without line end", b"text\r\n."),
        ("CR at the end", b"text\r"),
        ("CR CR LF", b"a\r\r\nb\r\r\r\n\r\r\n"),
        ("Empty lines", b"\r\n" * 50),
        ("Looks like replies", b"+OK\r\n-ERR\r\n+ \r\n.\r\n+OK again\r\n"),
    ]
    mails = [b"", b"\r\n", b".", b"header: only\r\n"]
    for number, (subject, body) in enumerate(bodies, 1):
        mails.append(header(number, subject) + body)
    mails.append(b"\x1b]0;title\x07: \x1b[31mescapes\x1b[0m\r\n\r\n\r\n")
    mails.append(attachment(90, 100))
    for number in range(91, 96):
        mails.append(attachment(number, 120000 + number))
    return mails


def sample_mails(count):
    """The awkward ones first, then ordinary ones up to `count`."""
    mails = awkward_mails()
    for number in range(len(mails) + 1, count + 1):
        source = random.Random(number)
        lines = ["word " * source.randrange(15)
                 for _ in range(source.randrange(1, 200))]
        mails.append(header(number, "Mail %d" % number)
                     + "\r\n".join(lines).encode() + b"\r\n")
    return mails[:count]


# ------------------------------------------------------------------ the mailbox


class Mail:
    def __init__(self, octets, path=None):
        if not octets.endswith(b"\r\n"):
            octets += b"\r\n"
        self.octets = octets
        self.path = path
        self.uid = hashlib.sha256(octets).hexdigest()[:32]


class Mailbox:
    """What all connections share."""

    def __init__(self, mails):
        self.mails = mails
        self.lock = threading.Lock()
        used = {}
        for mail in mails:  # equal mails are still two mails
            used[mail.uid] = used.get(mail.uid, 0) + 1
            if used[mail.uid] > 1:
                mail.uid += "-%d" % used[mail.uid]

    def list(self):
        with self.lock:
            return list(self.mails)

    def remove(self, mails):
        with self.lock:
            for mail in mails:
                if mail in self.mails:
                    self.mails.remove(mail)
                    if mail.path:
                        os.remove(mail.path)


def load_folder(folder):
    mails = []
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        if os.path.isfile(path):
            with open(path, "rb") as file:
                mails.append(Mail(file.read(), path))
    return mails


def save_folder(folder, mails):
    os.makedirs(folder, exist_ok=True)
    for number, mail in enumerate(mails, 1):
        with open(os.path.join(folder, "%05d" % number), "wb") as file:
            file.write(mail.octets)


# ----------------------------------------------------------------- certificates

AUTHORITY = """
[req]
distinguished_name = none
[none]
[authority]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign
subjectKeyIdentifier = hash
[leaf]
subjectAltName = {names}
extendedKeyUsage = serverAuth
[ca]
default_ca = here
[here]
database = {folder}/index
new_certs_dir = {folder}
serial = {folder}/serial
default_md = sha256
policy = any
[any]
commonName = optional
"""


def make_certificates(folder, names, expired):
    """folder/ca.pem, folder/server.pem and folder/server.key."""

    def path(name):
        return os.path.join(folder, name)

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], check=True,
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                       stderr=subprocess.PIPE)

    day = 86400
    start, end = (-20 * day, -10 * day) if expired else (-day, 30 * day)
    form = "%Y%m%d%H%M%SZ"
    now = time.time()
    with open(path("conf"), "w") as file:
        file.write(AUTHORITY.format(folder=folder, names=names))
    with open(path("index"), "w"):
        pass
    with open(path("serial"), "w") as file:
        file.write("1000\n")
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
           "-config", path("conf")]
    openssl("req", "-x509", *key, "-subj", "/CN=Sample mailbox authority",
            "-extensions", "authority", "-days", "40",
            "-keyout", path("ca.key"), "-out", path("ca.pem"))
    openssl("req", *key, "-subj", "/CN=Sample mailbox",
            "-keyout", path("server.key"), "-out", path("server.csr"))
    openssl("ca", "-batch", "-notext", "-config", path("conf"),
            "-cert", path("ca.pem"), "-keyfile", path("ca.key"),
            "-extensions", "leaf", "-in", path("server.csr"),
            "-startdate", time.strftime(form, time.gmtime(now + start)),
            "-enddate", time.strftime(form, time.gmtime(now + end)),
            "-out", path("server.pem"))


def make_context(folder):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(os.path.join(folder, "server.pem"),
                            os.path.join(folder, "server.key"))
    context.set_alpn_protocols(["pop3"])
    return context


# --------------------------------------------------------------- one connection


class Ended(Exception):
    """The client went away, or said goodbye."""


class Refused(Exception):
    """What -ERR says."""


class Connection:
    def __init__(self, server, stream, secure, number):
        self.server = server
        self.options = server.options
        self.stream = stream
        self.secure = secure
        self.number = number
        self.buffer = b""
        self.user = None
        self.mails = None  # the snapshot, once logged in
        self.deleted = set()
        self.last = 0
        self.stamp = "<%d.%d@mailbox.example>" % (os.getpid(), number)

    # -- octets

    def line(self):
        while b"\n" not in self.buffer:
            if len(self.buffer) > MAX_COMMAND:
                raise Ended
            octets = self.stream.recv(CHUNK)
            if not octets:
                raise Ended
            self.buffer += octets
            self.delay()
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line.rstrip(b"\r").decode("utf-8", "surrogateescape")

    def delay(self):
        """All was answered, and more has come: that takes a round trip."""
        if self.options.delay:
            self.server.note(self.number, "ROUND", ())
            time.sleep(self.options.delay)

    def send(self, text):
        self.stream.sendall(text.encode("utf-8", "surrogateescape") + b"\r\n")

    def send_lines(self, first, lines):
        self.send("\r\n".join([first, *lines, "."]))

    def send_body(self, first, octets):
        """A message, stuffed, at the speed and up to the cut asked for."""
        body = octets.replace(b"\r\n.", b"\r\n..")
        if body.startswith(b"."):
            body = b"." + body
        out = first.encode() + b"\r\n" + body + b".\r\n"
        if self.options.cut is not None and self.options.cut < len(out):
            self.stream.sendall(out[:self.options.cut])
            raise Ended
        if not self.options.rate:
            self.stream.sendall(out)
            return
        size = max(1, int(self.options.rate * SLICE_SECONDS))
        for start in range(0, len(out), size):
            self.stream.sendall(out[start:start + size])
            time.sleep(SLICE_SECONDS)

    # -- commands: each returns what +OK says, or None if it answered itself

    def present(self, text):
        """The mail of a number in a command."""
        if not text.isascii() or not text.isdigit():
            raise Refused("not a message number")
        number = int(text)
        if not 1 <= number <= len(self.mails):
            raise Refused("no such message, only %d here" % len(self.mails))
        if number in self.deleted:
            raise Refused("message %d is deleted" % number)
        return number, self.mails[number - 1]

    def each(self):
        for number, mail in enumerate(self.mails, 1):
            if number not in self.deleted:
                yield number, mail

    def login(self, user, good):
        self.user = None
        if user != self.options.user or not good:
            raise Refused("[AUTH] wrong user or password")
        self.mails = self.server.mailbox.list()
        return "%d messages" % len(self.mails)

    def do_capa(self):
        words = ["TOP", "UIDL", "PIPELINING", "RESP-CODES", "AUTH-RESP-CODE",
                 "EXPIRE NEVER", "LANG", "UTF8",
                 "IMPLEMENTATION sample-mailbox"]
        if self.secure or not self.options.no_clear_login:
            words.insert(1, "USER")
        if not self.secure and not self.options.no_stls:
            words.append("STLS")
        self.send_lines("+OK", [word for word in words
                                if word not in self.options.without])

    def do_stls(self):
        if self.secure or self.options.no_stls:
            raise Refused("no STLS here")
        self.send("+OK begin")
        self.buffer = b""  # never believe what came in clear
        self.start_tls()
        self.user = None

    def start_tls(self):
        self.stream = self.server.context.wrap_socket(self.stream,
                                                      server_side=True)
        self.secure = True

    def do_user(self, *words):
        if self.options.no_clear_login and not self.secure:
            raise Refused("[SYS/PERM] not without TLS")
        self.user = " ".join(words)
        return "password, please"

    def do_pass(self, *words):
        if self.user is None:
            raise Refused("USER first")
        return self.login(self.user, " ".join(words) == self.options.password)

    def do_apop(self, user, digest):
        secret = (self.stamp + self.options.password).encode()
        return self.login(user, hashlib.md5(secret).hexdigest() == digest)

    def do_stat(self):
        mails = [mail for _, mail in self.each()]
        return "%d %d" % (len(mails), sum(len(m.octets) for m in mails))

    def do_list(self, which=None):
        return self.listing(which, lambda mail: len(mail.octets))

    def do_uidl(self, which=None):
        return self.listing(which, lambda mail: mail.uid)

    def listing(self, which, value):
        if which is not None:
            number, mail = self.present(which)
            return "%d %s" % (number, value(mail))
        self.send_lines("+OK", ["%d %s" % (number, value(mail))
                                for number, mail in self.each()])

    def do_retr(self, which):
        number, mail = self.present(which)
        self.last = max(self.last, number)
        self.send_body("+OK %d octets" % len(mail.octets), mail.octets)

    def do_top(self, which, count):
        _, mail = self.present(which)
        head, edge, body = mail.octets.partition(b"\r\n\r\n")
        lines = [line + b"\r\n" for line in body.split(b"\r\n")[:-1]]
        self.send_body("+OK", head + edge + b"".join(lines[:int(count)]))

    def do_dele(self, which):
        number, _ = self.present(which)
        self.deleted.add(number)
        return "message %d will be deleted" % number

    def do_rset(self):
        self.deleted.clear()
        self.last = 0
        return ""

    def do_last(self):
        return str(self.last)

    def do_noop(self):
        return ""

    def do_utf8(self):
        return "UTF8 it is"

    def do_lang(self, tag=None):
        if tag is None:
            self.send_lines("+OK", ["en English", "de Deutsch"])
            return None
        if tag.lower() not in ("en", "de", "*"):
            raise Refused("[SYS/PERM] no such language")
        return tag if tag != "*" else "en"

    def do_quit(self):
        if self.mails is not None:
            self.server.mailbox.remove(
                [self.mails[number - 1] for number in self.deleted])
        self.send("+OK goodbye")
        raise Ended

    ALWAYS = {"CAPA": do_capa, "QUIT": do_quit, "LANG": do_lang}
    BEFORE = {"STLS": do_stls, "USER": do_user, "PASS": do_pass,
              "APOP": do_apop, "UTF8": do_utf8, **ALWAYS}
    AFTER = {"STAT": do_stat, "LIST": do_list, "UIDL": do_uidl,
             "RETR": do_retr, "TOP": do_top, "DELE": do_dele,
             "RSET": do_rset, "LAST": do_last, "NOOP": do_noop, **ALWAYS}

    def answer(self, line):
        word, *arguments = line.split(" ")
        word = word.upper()
        self.server.note(self.number, word, arguments)
        if self.options.hang == word:
            self.wait_for_end()
        commands = self.BEFORE if self.mails is None else self.AFTER
        try:
            if word not in commands or word in self.options.without:
                raise Refused("not now, or no such command")
            try:
                text = commands[word](self, *arguments)
            except (TypeError, ValueError):
                raise Refused("wrong arguments") from None
            if text is not None:
                self.send(("+OK " + text).rstrip())
        except Refused as reason:
            self.send("-ERR %s" % reason)

    def wait_for_end(self):
        """Say nothing more; the client has to give up."""
        while self.stream.recv(CHUNK):
            pass
        raise Ended

    def serve(self):
        if self.options.hang == "CONNECT":
            self.wait_for_end()
        if self.secure:
            self.start_tls()
        self.send("+OK sample mailbox ready %s" % self.stamp)
        if self.options.hang == "GREETING":
            self.wait_for_end()
        while True:
            self.answer(self.line())

    def run(self):
        try:
            self.serve()
        except (Ended, OSError):  # an ssl.SSLError is an OSError
            pass
        finally:
            self.server.note(self.number, "END", ())
            self.end()

    def end(self):
        try:
            if isinstance(self.stream, ssl.SSLSocket):
                self.stream.settimeout(1)
                self.stream.unwrap()
        except (OSError, ValueError):
            pass
        self.stream.close()


# ------------------------------------------------------------------- the server


class Server:
    def __init__(self, options, mailbox, context):
        self.options = options
        self.mailbox = mailbox
        self.context = context
        self.count = 0
        self.lock = threading.Lock()
        self.log = None
        if options.log:
            self.log = open(options.log, "a", errors="backslashreplace")

    def note(self, number, word, arguments):
        """The log never shows a secret."""
        if not self.log:
            return
        if word in ("PASS", "APOP"):
            arguments = ("***",)
        with self.lock:
            self.log.write(" ".join([str(number), word, *arguments]) + "\n")
            self.log.flush()

    def listen(self, secure):
        """The port; a thread accepts there."""
        listener = socket.create_server((self.options.host, 0), backlog=512)
        threading.Thread(target=self.accept, args=(listener, secure),
                         daemon=True).start()
        return listener.getsockname()[1]

    def accept(self, listener, secure):
        while True:
            stream, _ = listener.accept()
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                self.count += 1
                number = self.count
            connection = Connection(self, stream, secure, number)
            threading.Thread(target=connection.run, daemon=True).start()


def end_with_parent():
    pr_set_pdeathsig = 1
    parent = os.getppid()
    try:
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)
    except (AttributeError, OSError):
        return  # not Linux: the pipes still tell
    if os.getppid() != parent or parent == 1:
        sys.exit(0)


def catch_signals():
    """A descriptor that is readable once a signal came: it ends us as the
    pipes do, and never in the middle of the clean-up."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    return reader


def wait_for_the_end(signals):
    """Until a signal, or the other end of standard input or output closes."""

    def is_pipe(fd):
        try:
            mode = os.fstat(fd).st_mode
        except OSError:
            return False
        return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(fd)

    poll = select.poll()
    poll.register(signals, select.POLLIN)
    if is_pipe(0):
        poll.register(0, select.POLLIN)
    if is_pipe(1):
        poll.register(1, 0)  # POLLERR and POLLHUP always are reported
    while True:
        for fd, events in poll.poll():
            if fd != 0 or not os.read(0, CHUNK):
                return


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--folder", help="serve the files of this folder")
    parser.add_argument("--sample", type=int, default=40, metavar="N",
                        help="without a folder: N generated mails")
    parser.add_argument("--save", metavar="DIR",
                        help="write the served mails here first")
    parser.add_argument("--certificates", metavar="DIR",
                        help="leave the certificates here")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--names", default="DNS:localhost,IP:127.0.0.1",
                        help="the certificate's names, as openssl has them")
    parser.add_argument("--expired", action="store_true",
                        help="the certificate has expired")
    parser.add_argument("--user", default="otto")
    parser.add_argument("--password", default="correct horse")
    parser.add_argument("--hang", metavar="COMMAND", type=str.upper,
                        help="fall silent at this command, or at connect, "
                        "or after the greeting")
    parser.add_argument("--rate", type=int, default=0, metavar="OCTETS",
                        help="send messages at so many octets per second")
    parser.add_argument("--cut", type=int, metavar="OCTETS",
                        help="end the connection inside each longer message")
    parser.add_argument("--no-stls", action="store_true")
    parser.add_argument("--no-clear-login", action="store_true")
    parser.add_argument("--without", metavar="WORD", action="append",
                        default=[], type=str.upper,
                        help="do not offer this capability and command")
    parser.add_argument("--delay", type=float, default=0, metavar="SECONDS",
                        help="a round trip: wait so long whenever commands "
                        "come after all was answered; the log says ROUND")
    parser.add_argument("--log", metavar="FILE",
                        help="write each command here")
    return parser.parse_args()


def run(options, folder, signals):
    make_certificates(folder, options.names, options.expired)
    if options.folder:
        mails = load_folder(options.folder)
    else:
        mails = [Mail(octets) for octets in sample_mails(options.sample)]
    if options.save:
        save_folder(options.save, mails)
    server = Server(options, Mailbox(mails), make_context(folder))
    print("PORT plain=%d tls=%d ca=%s" % (
        server.listen(False), server.listen(True),
        os.path.join(folder, "ca.pem")), flush=True)
    wait_for_the_end(signals)


def main():
    options = arguments()
    signals = catch_signals()
    end_with_parent()
    if options.certificates:
        os.makedirs(options.certificates, exist_ok=True)
        run(options, os.path.abspath(options.certificates), signals)
        return
    folder = tempfile.mkdtemp(prefix="mailbox-")
    try:
        run(options, folder, signals)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
