#!/usr/bin/env python3
"""A server that does exactly what a script tells it, for the specs.

Usage: scripted.py SCRIPT.json      ("-" reads standard input)

It prints "PORT n PID p", plays the script, prints one JSON report and exits.
It shares no code with the client that it tests. It ends by itself when its
reader goes away, or after `deadline` seconds. SIGUSR1 is the last call: who has
connected by then is served, for at most `grace` seconds. SIGTERM makes it
report at once.

JSON strings are octets here: both the script and the report are Latin-1, each
character U+0000 to U+00FF is one octet (json.lua passes octets unchanged).

The script is an object:

  connections  list of connections, each a list of steps; the n-th accepted
               connection plays the n-th list, later ones the last list
  accepts      how many connections are played (default: as many as there are
               lists); 0 is "until a signal comes or the reader goes away"
  accept       false: listen, but never accept
  host         address to listen on (default 127.0.0.1; "::1"), or a path that
               begins with "/": a Unix socket
  port         port to listen on (default 0: any)
  backlog      of listen(2) (default 128)
  deadline     seconds until everything ends (default 60)
  grace        seconds that are left after the last call (default 10)
  keep         octets of each connection that are recorded (default 1 MiB)
  record       connections that are reported in full (default 5000)
  settle       false: do not wait between the pieces of split, drip and chop
  buffer       octets of the kernel's receive buffer of each connection

A step is a string or an object with one verb and its options:

  "S: text"            send text and CRLF (no CRLF if it ends in LF already)
  "C: text"            expect the line "text"
  {send: octets}       exactly these octets in one segment, with
      times: n             n times in a row, without holding them all
      split: [i, j, ...]   cut after i and j octets: a segment each
      drip: true           a segment for every octet
  {raw: octets}        beneath TLS (as send where there is none)
  {chop: n}            from now on every segment has n octets, of the
                       handshake, too; 0 ends that
  {expect: line}       read a line, which must be this one and end in CRLF
  {expect: true}       any line
  {match: regex}       a line that the regular expression matches entirely
  {read: n}            read n octets
  {eof: true}          read until the client ends the stream
  {unread: n}          wait until n octets are there, and do not read them
  {arrived: true}      wait until all that was sent is in the client's kernel
  {tls: OPTIONS}       handshake now, as server: implicit TLS as the first
                       step, or behind the reply to STLS ("starttls" is the
                       same). OPTIONS: cert, key (PEM files), min_version,
                       max_version ("1.2"), ciphers, alpn (list), ca (demand a
                       client certificate of this CA), tickets (of TLS 1.3, how
                       many), names (the only ones that it answers to by SNI;
                       a client that asks for none of them gets `other`, a
                       certificate and key of that file, or else an alert).
                       Handshakes with equal OPTIONS know each other's
                       sessions; forget: true knows none. staple: a file with
                       an OCSP response (DER), which is sent to who asks
  {tunnel: true}       what is in this stream, under TLS as it may be, is from now
                       on a stream of its own: a proxy's client has reached its
                       server
  {auto: RULES}        a table of replies: a list of [regex, reply]. Each line
                       is answered by the first regex that matches it
                       entirely, without regard to case; a reply is octets or a
                       list of steps. No match: `default`, or "-ERR unknown".
                       Lasts until QUIT was answered or the client leaves.
  {queue: REPLIES}     a list of [word, reply]. A line is answered by the first
                       of them that is for its first word; it and those before
                       it are used up. "-ERR not now" if there is none. With
                       hang_up: true, ends there, and behind the last reply.
  {mailbox: MAILBOX}   a small POP3 server. MAILBOX: messages (list of octets,
                       or [octets, times]), uids, user, password (default:
                       any), capa (list of lines), greeting, stls (OPTIONS as
                       of tls), sizes (list: what LIST says instead of the
                       truth), answers (RULES as of auto, which come before the
                       mailbox's own; a step {own: true} in them is the
                       mailbox's own reply), burst: true (answers are held back
                       while lines wait that are read already, and leave as one
                       segment), open: true (nobody needs to log in)
  {scram: OPTIONS}     read "AUTH SCRAM-... INITIAL" and do the server's side of
                       it, well or with a fault; see scram.py
  {stall: true}        neither read nor write until the client is gone
  {delay: seconds}     only where a timeout is what is tested
  {shutdown: true}     end our direction (close_notify first, under TLS)
  {shutdown: "abrupt"} the same without close_notify
  {close: true}        close_notify under TLS, then close
  {close: "abrupt"}    close without close_notify
  {reset: true}        close so that the client gets ECONNRESET

A list that does not close ends like {shutdown: true}, {eof: true}.
`split`, `drip` and `chop` set TCP_NODELAY and let the client take each piece
before the next one goes (the kernel tells its receive queue); after a quarter
of a second without that, the next piece goes anyway.

The report:

  accepted     number of connections that were played
  failed       number of connections with `errors`
  cut          "SIGTERM" or "deadline" where one of them ended it
  connections  list, in the order of the accepts:
    peer       the client's address
    clear      octets received outside TLS, in a tunnel outside the tunnel's
    secure     octets received inside TLS
    received   both together
    commands   received, as lines without their ends
    extra      octets that no step consumed
    total      number of octets received, also those beyond `keep`
    sent       number of octets sent (below TLS)
    waiting    the most lines that were there, unanswered, at a time
    errors     what did not go as the script says
    ended      "eof" (the client ended the stream), "reset" (it reset it),
               "closed" (we closed first), "tls" (see tls_error) or "running"
    tls        {version, cipher, alpn, servername, close_notify, resumed}
    tls_error  text of OpenSSL's error
"""
import fcntl
import hashlib
import json
import os
import re
import select
import signal
import socket
import ssl
import stapling
import struct
import sys
import termios
import threading
import time

import scram

SETTLE_SECONDS = 0.25
NETLINK_SOCK_DIAG = 4  # <linux/netlink.h>
SOCK_DIAG_BY_FAMILY = 20  # <linux/sock_diag.h>
POLLRDHUP = getattr(select, "POLLRDHUP", 0x2000)


class Ended(Exception):
    """The connection is over; the argument says how."""


def octets(text):
    return text.encode("latin-1")


def text(data):
    return data.decode("latin-1")


def as_list(value):
    """Lua's empty table arrives as an empty object."""
    return [] if value == {} else value


CONTEXTS = {}
CONTEXTS_LOCK = threading.Lock()


def tls_context(options):
    if options.get("forget"):
        return new_tls_context(options)
    key = json.dumps(options, sort_keys=True)
    with CONTEXTS_LOCK:
        if key not in CONTEXTS:
            CONTEXTS[key] = new_tls_context(options)
        return CONTEXTS[key]


def judge_name(options):
    """What is done about the name that a client asks for, or its lack."""
    def judge(tls, name, _):
        if name is not None:
            tls.facts["servername"] = name
        if name in options.get("names", [name]):
            return None
        if "other" not in options:
            return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        tls.context = tls_context({"cert": options["other"],
                                   "key": options.get("key")})
        return None
    return judge


def new_tls_context(options):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if "ciphers" in options:
        context.set_ciphers(options["ciphers"])
    if "cert" in options:
        context.load_cert_chain(options["cert"], options.get("key"))
    for key, field in (("min_version", "minimum_version"),
                       ("max_version", "maximum_version")):
        if key in options:
            name = "TLSv" + options[key].replace(".", "_").replace("1_0", "1")
            setattr(context, field, getattr(ssl.TLSVersion, name))
    if "alpn" in options:
        context.set_alpn_protocols(as_list(options["alpn"]))
    if "ca" in options:
        context.load_verify_locations(options["ca"])
        context.verify_mode = ssl.CERT_REQUIRED
    if "tickets" in options:
        context.num_tickets = int(options["tickets"])
    context.sni_callback = judge_name(options)
    if "staple" in options:
        with open(options["staple"], "rb") as file:
            stapling.staple(context, file.read())
    return context


def ask_kernel(family, local, remote):
    """Octets in the receive queue of a socket of this host: sock_diag(7)."""
    ids = struct.pack("!HH16s16s", local[1], remote[1],
                      socket.inet_pton(family, local[0]),
                      socket.inet_pton(family, remote[0]))
    body = struct.pack("=BBBBI", family, socket.IPPROTO_TCP, 0, 0, 0xffffffff)
    body += ids + struct.pack("=III", 0, 0xffffffff, 0xffffffff)
    head = struct.pack("=IHHII", 16 + len(body), SOCK_DIAG_BY_FAMILY, 1, 0, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW,
                       NETLINK_SOCK_DIAG) as netlink:
        netlink.send(head + body)
        answer = netlink.recv(4096)
    if struct.unpack_from("=H", answer, 4)[0] != SOCK_DIAG_BY_FAMILY:
        code = -struct.unpack_from("=i", answer, 16)[0]
        raise OSError(code, os.strerror(code))
    return struct.unpack_from("=I", answer, 72)[0]


def read_table(family, local, remote):
    """The same from /proc, for kernels without sock_diag; far slower."""
    name = "tcp6" if family == socket.AF_INET6 else "tcp"
    with open("/proc/net/" + name, encoding="ascii") as table:
        rows = [row.split() for row in table.read().splitlines()[1:]]
    ports = ["%04X" % local[1], "%04X" % remote[1]]
    for row in rows:
        if [row[1][-4:], row[2][-4:]] == ports:
            return int(row[4].split(":")[1], 16)
    return 0


def unread_octets(sock):
    """What the other end has received but not read; 0 if it is gone."""
    try:
        ends = sock.family, sock.getpeername(), sock.getsockname()
    except OSError:
        return 0
    for ask in (ask_kernel, read_table):
        try:
            return ask(*ends)
        except OSError:
            continue
    return 0


class Stream:
    """One accepted socket, in clear or under TLS through memory BIOs."""

    def __init__(self, sock, script, record):
        self.sock = sock
        self.record = record
        self.keep = int(script.get("keep", 1 << 20))
        self.settling = script.get("settle", True)
        self.chop = 0
        self.tls = None
        self.buffer = b""

    # what arrives

    def more(self):
        """Some octets of the application, b"" at the end of the stream."""
        data = self.decrypt() if self.tls else self.from_socket()
        kept = self.record["secure" if self.tls else "clear"]
        kept += data[:max(0, self.keep - len(kept))]
        self.record["total"] += len(data)
        self.buffer += data
        return data

    def from_socket(self):
        try:
            return self.sock.recv(65536)
        except OSError as error:
            raise Ended("reset") from error

    def decrypt(self):
        while True:
            try:
                return self.tls.read(65536)
            except ssl.SSLWantReadError:
                self.flush()
                data = self.from_socket()
                if data:
                    self.incoming.write(data)
                else:
                    self.incoming.write_eof()
            except ssl.SSLZeroReturnError:
                self.record["tls"]["close_notify"] = True
                return b""
            except ssl.SSLEOFError:
                return b""
            except ssl.SSLError as error:
                self.flush()
                self.record["tls_error"] = str(error)
                raise Ended("tls") from error

    def line(self):
        """The next line with its end; less than that at the end."""
        while b"\n" not in self.buffer:
            if not self.more():
                break
        lines = self.buffer.count(b"\n")
        self.record["waiting"] = max(self.record["waiting"], lines)
        size = self.buffer.find(b"\n") + 1 or len(self.buffer)
        return self.take(size)

    def take(self, size):
        while len(self.buffer) < size and self.more():
            pass
        taken, self.buffer = self.buffer[:size], self.buffer[size:]
        return taken

    def until_eof(self):
        while self.more():
            pass

    # what leaves

    def send(self, data):
        if self.tls:
            self.tls.write(data)
            self.flush()
        else:
            self.transmit(data)

    def flush(self):
        data = self.outgoing.read()
        if data:
            self.transmit(data)

    def transmit(self, data):
        size = self.chop or len(data) or 1
        for start in range(0, len(data), size):
            self.segment(data[start:start + size])
            if self.chop:
                self.settle()

    def segment(self, data):
        try:
            self.sock.sendall(data)
        except OSError as error:
            raise Ended("reset") from error
        self.record["sent"] += len(data)

    def settle(self):
        """Wait until the client has taken what was sent."""
        end = time.monotonic() + SETTLE_SECONDS
        while self.settling and time.monotonic() < end:
            if not unread_octets(self.sock):
                return
            os.sched_yield()

    # TLS

    def handshake(self, options):
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        facts = self.record["tls"] = {"close_notify": False}
        tls = tls_context(options).wrap_bio(self.incoming, self.outgoing,
                                            server_side=True)
        tls.facts = facts
        self.incoming.write(self.buffer)
        taken, self.buffer = len(self.buffer), b""
        if taken:  # they were a ClientHello, not POP3
            del self.record["clear"][-taken:]
        self.negotiate(tls)
        self.tls = tls
        facts["version"], facts["cipher"] = tls.version(), tls.cipher()[0]
        facts["resumed"] = tls.session_reused
        if tls.selected_alpn_protocol():
            facts["alpn"] = tls.selected_alpn_protocol()

    def negotiate(self, tls):
        while True:
            try:
                tls.do_handshake()
                return self.flush()
            except ssl.SSLWantReadError:
                self.flush()
                data = self.from_socket()
                if data:
                    self.incoming.write(data)
                else:
                    self.incoming.write_eof()
            except ssl.SSLError as error:
                self.record["tls_error"] = str(error)
                self.flush()
                raise Ended("tls") from error

    # the end

    def say_goodbye(self):
        """close_notify, where there is TLS."""
        if not self.tls:
            return
        try:
            self.tls.unwrap()
        except ssl.SSLError:
            pass  # it wants the client's close_notify, which need not come
        self.flush()

    def shutdown(self):
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError as error:
            raise Ended("reset") from error

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                             struct.pack("ii", 1, 0))
        self.sock.close()


class Within:
    """A stream as the socket of another one."""

    def __init__(self, outer):
        self.outer = outer

    def recv(self, size):
        if not self.outer.buffer and not self.outer.more():
            return b""
        taken = self.outer.buffer[:size]
        self.outer.buffer = self.outer.buffer[size:]
        return taken

    def sendall(self, data):
        self.outer.send(data)

    def shutdown(self, _):
        self.outer.say_goodbye()
        self.outer.shutdown()


class Mailbox:
    """Just enough of RFC 1939 to serve a list of messages."""

    def __init__(self, player, options):
        self.player = player
        self.stream = player.stream
        self.options = options
        self.messages = [octets(m) if isinstance(m, str)
                         else octets(m[0]) * int(m[1])
                         for m in as_list(options["messages"])]
        self.sizes = as_list(options.get("sizes", []))
        self.held = []
        given = as_list(options.get("uids", []))
        self.uids = [given[i] if i < len(given) else
                     hashlib.md5(m).hexdigest() + str(i)
                     for i, m in enumerate(self.messages)]
        self.deleted = set()
        self.user = None
        self.open = bool(options.get("open"))

    def serve(self):
        self.say(self.options.get("greeting", "+OK ready"))
        while True:
            if b"\n" not in self.stream.buffer:
                self.release()
            line = self.stream.line()
            if not line.endswith(b"\n"):
                return
            self.line = text(line).rstrip("\r\n")
            if not self.overridden():
                self.answer()
            if self.line.upper() == "QUIT":
                return self.release()

    def overridden(self):
        """By the script's answers, which are steps or octets."""
        for pattern, reply in as_list(self.options.get("answers", [])):
            if not re.fullmatch(pattern, self.line, re.IGNORECASE):
                continue
            for step in [reply] if isinstance(reply, str) else reply:
                if isinstance(step, str) and step[:3] not in ("S: ", "C: "):
                    self.send(octets(step))
                elif isinstance(step, dict) and "own" in step:
                    self.answer()
                else:
                    self.release()
                    self.player.step(step)
            return True
        return False

    def answer(self):
        word, *arguments = self.line.split(" ")
        command = getattr(self, "do_" + word.lower(), None)
        try:
            if command is None:
                raise ValueError("unknown command")
            command(*arguments)
        except (ValueError, TypeError) as error:
            self.say("-ERR %s" % error)

    def say(self, line):
        self.send(octets(line) + b"\r\n")

    def send(self, data):
        if self.options.get("burst"):
            self.held.append(data)
        else:
            self.stream.send(data)

    def release(self):
        if self.held:
            self.stream.send(b"".join(self.held))
        self.held = []

    def listing(self, status, lines):
        self.say("\r\n".join([status, *lines, "."]))

    def number(self, argument):
        if not self.open:
            raise ValueError("log in first")
        number = int(argument)
        exists = 1 <= number <= len(self.messages)
        if not exists or number in self.deleted:
            raise ValueError("no such message")
        return number

    def present(self):
        return [n for n in range(1, len(self.messages) + 1)
                if n not in self.deleted]

    def do_capa(self):
        lines = list(as_list(self.options.get("capa", ["TOP", "UIDL", "USER"])))
        if "stls" in self.options and not self.stream.tls:
            lines.append("STLS")
        self.listing("+OK", lines)

    def do_stls(self):
        if "stls" not in self.options or self.stream.tls:
            raise ValueError("no TLS here")
        self.say("+OK begin")
        self.release()
        self.stream.handshake(self.options["stls"])

    def do_user(self, name):
        self.user = name
        self.say("+OK")

    def do_pass(self, *words):
        given = self.user, " ".join(words)
        wanted = (self.options.get("user", given[0]),
                  self.options.get("password", given[1]))
        if given != wanted:
            raise ValueError("[AUTH] wrong user or password")
        self.open = True
        self.say("+OK logged in")

    def do_stat(self):
        sizes = [len(self.messages[n - 1]) for n in self.present()]
        self.say("+OK %d %d" % (len(sizes), sum(sizes)))

    def row(self, values, argument):
        rows = ["%d %s" % (n, values[n - 1]) for n in self.present()]
        if argument:
            n = self.number(argument[0])
            return self.say("+OK %d %s" % (n, values[n - 1]))
        return self.listing("+OK", rows)

    def do_list(self, *argument):
        sizes = [self.sizes[i] if i < len(self.sizes) else len(m)
                 for i, m in enumerate(self.messages)]
        self.row(sizes, argument)

    def do_uidl(self, *argument):
        self.row(self.uids, argument)

    def message(self, data):
        stuffed = re.sub(rb"(^|\r\n)\.", rb"\1..", data)
        end = b"" if data.endswith(b"\r\n") or not data else b"\r\n"
        self.send(b"+OK message follows\r\n" + stuffed + end + b".\r\n")

    def do_retr(self, argument):
        self.message(self.messages[self.number(argument) - 1])

    def do_top(self, argument, count):
        data = self.messages[self.number(argument) - 1]
        head, blank, body = data.partition(b"\r\n\r\n")
        lines = body.splitlines(keepends=True)[:int(count)]
        self.message(head + blank + b"".join(lines))

    def do_dele(self, argument):
        self.deleted.add(self.number(argument))
        self.say("+OK marked")

    def do_rset(self):
        self.deleted.clear()
        self.say("+OK")

    def do_noop(self):
        self.say("+OK")

    def do_quit(self):
        self.say("+OK bye")


class Player:
    """Plays the steps of one connection."""

    def __init__(self, stream, record, ending):
        self.stream = stream
        self.record = record
        self.ending = ending

    def play(self, steps):
        for step in as_list(steps):
            self.step(step)

    def step(self, step):
        if isinstance(step, str):
            step = self.shorthand(step)
        for verb in step:
            if hasattr(self, "do_" + verb):
                return getattr(self, "do_" + verb)(step[verb], step)
        raise ValueError("no such step: %r" % (step,))

    @staticmethod
    def shorthand(step):
        if step.startswith("S: "):
            return {"send": step[3:] + ("" if step[-1] == "\n" else "\r\n")}
        if step.startswith("C: "):
            return {"expect": step[3:]}
        raise ValueError("a step starts with 'S: ' or 'C: ': %r" % step)

    def fail(self, what):
        self.record["errors"].append(what)
        raise Ended("closed")

    def do_send(self, data, step):
        data = octets(data)
        cuts = list(as_list(step.get("split", [])))
        if step.get("drip"):
            cuts = range(1, len(data))
        edges = [0, *(int(cut) for cut in cuts), len(data)]
        pieces = [data[a:b] for a, b in zip(edges, edges[1:]) if a < b]
        for _ in range(int(step.get("times", 1))):
            for index, piece in enumerate(pieces):
                self.stream.send(piece)
                if index + 1 < len(pieces):
                    self.stream.settle()

    def do_raw(self, data, _):
        self.stream.transmit(octets(data))

    def do_chop(self, size, _):
        self.stream.chop = int(size)

    def expected_line(self, what):
        line = self.stream.line()
        if not line:
            self.fail("expected %s, got the end of the stream" % what)
        if not line.endswith(b"\r\n"):
            self.fail("expected %s and CRLF, got %r" % (what, text(line)))
        return text(line[:-2])

    def do_expect(self, wanted, _):
        line = self.expected_line("a line" if wanted is True else repr(wanted))
        if wanted is not True and line != wanted:
            self.fail("expected %r, got %r" % (wanted, line))

    def do_match(self, pattern, _):
        line = self.expected_line("/%s/" % pattern)
        if not re.fullmatch(pattern, line):
            self.fail("expected /%s/, got %r" % (pattern, line))

    def do_read(self, size, _):
        data = self.stream.take(int(size))
        if len(data) < size:
            self.fail("expected %d octets, got %r" % (size, text(data)))

    def do_eof(self, _, __):
        self.stream.until_eof()
        raise Ended("eof")

    def kernel_has(self, request):
        return struct.unpack("i", fcntl.ioctl(self.stream.sock, request,
                                              b"\0" * 4))[0]

    def await_kernel(self, ready):
        while not ready():
            if self.ending.is_set():
                raise Ended("running")
            os.sched_yield()

    def do_unread(self, size, _):
        self.await_kernel(lambda: self.kernel_has(termios.FIONREAD) >= size)

    def do_arrived(self, _, __):
        self.await_kernel(lambda: self.kernel_has(termios.TIOCOUTQ) == 0)

    def do_tls(self, options, _):
        self.stream.handshake(options)

    do_starttls = do_tls

    def do_tunnel(self, _, __):
        self.stream = Stream(Within(self.stream), {"settle": False},
                             self.record)

    def do_auto(self, rules, step):
        while True:
            line = self.stream.line()
            if not line.endswith(b"\n"):
                return
            line = text(line).rstrip("\r\n")
            self.answer(line, rules, step.get("default"))
            if line.upper() == "QUIT":
                return

    def answer(self, line, rules, default):
        if default is None:
            default = "+OK bye\r\n" if line.upper() == "QUIT" \
                else "-ERR unknown command\r\n"
        reply = default
        for pattern, candidate in as_list(rules):
            if re.fullmatch(pattern, line, re.IGNORECASE):
                reply = candidate
                break
        self.reply(reply)

    def reply(self, reply):
        if isinstance(reply, str):
            self.stream.send(octets(reply))
        else:
            self.play(reply)

    def do_queue(self, replies, step):
        left = list(as_list(replies))
        while left or not step.get("hang_up"):
            line = self.stream.line()
            if not line.endswith(b"\n"):
                return
            word = text(line).split()[:1]
            at = [i for i, (name, _) in enumerate(left) if [name] == word]
            if not at and step.get("hang_up"):
                return
            self.reply(left[at[0]][1] if at else "-ERR not now\r\n")
            if at:
                del left[:at[0] + 1]

    def do_mailbox(self, options, _):
        Mailbox(self, options).serve()

    def do_scram(self, options, _):
        scram.serve(self.stream, self.expected_line("AUTH"), options)

    def do_stall(self, _, __):
        poll = select.poll()
        poll.register(self.stream.sock, POLLRDHUP)
        poll.poll()
        self.stream.until_eof()
        raise Ended("eof")

    def do_delay(self, seconds, _):
        self.ending.wait(seconds)

    def do_shutdown(self, how, _):
        if how != "abrupt":
            self.stream.say_goodbye()
        self.stream.shutdown()

    def do_close(self, how, _):
        if how != "abrupt":
            self.stream.say_goodbye()
        raise Ended("closed")

    def do_reset(self, _, __):
        self.stream.reset()
        raise Ended("closed")


class Server:
    def __init__(self, script):
        self.script = script
        self.lists = as_list(script.get("connections", []))
        self.accepts = int(script.get("accepts", len(self.lists)))
        self.accepted = 0
        self.failed = 0
        self.cut = None
        self.records = []
        self.sockets = set()
        self.lock = threading.Lock()
        self.ending = threading.Event()
        self.bell, self.ring = os.pipe()
        self.end = time.monotonic() + float(script.get("deadline", 60))
        host = script.get("host", "127.0.0.1")
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        if host.startswith("/"):
            family = socket.AF_UNIX
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if "buffer" in script:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF,
                                   int(script["buffer"]))
        self.local = family == socket.AF_UNIX
        self.socket.bind(host if self.local
                         else (host, int(script.get("port", 0))))
        self.socket.listen(int(script.get("backlog", 128)))
        self.port = 0 if self.local else self.socket.getsockname()[1]

    def accept_all(self):
        threads = set()
        while self.wanted() and self.somebody_is_there():
            threads = {t for t in threads if t.is_alive()}
            threads.add(self.accept_one())
        self.socket.close()
        for thread in threads:
            thread.join()
        self.ending.set()

    def wanted(self):
        return not self.accepts or self.accepted < self.accepts

    def somebody_is_there(self):
        """Wait for a client, and after the last call for none."""
        poll = select.poll()
        poll.register(self.bell, select.POLLIN)
        if self.script.get("accept", True):
            poll.register(self.socket, select.POLLIN)
        ready = [descriptor for descriptor, _ in poll.poll()]
        return self.socket.fileno() in ready

    def last_call(self):
        grace = float(self.script.get("grace", 10))
        self.end = min(self.end, time.monotonic() + grace)
        os.write(self.ring, b"!")

    def accept_one(self):
        sock, peer = self.socket.accept()
        if not self.local:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        steps = self.lists[min(self.accepted, len(self.lists) - 1)]
        record = {"clear": bytearray(), "secure": bytearray(), "total": 0,
                  "sent": 0, "errors": [], "ended": "running", "extra": b"",
                  "waiting": 0, "peer": peer[0] if peer else ""}
        with self.lock:
            self.accepted += 1
            if len(self.records) < int(self.script.get("record", 5000)):
                self.records.append(record)
            self.sockets.add(sock)
        thread = threading.Thread(target=self.run, args=(sock, steps, record),
                                  daemon=True)
        thread.start()
        return thread

    def run(self, sock, steps, record):
        try:
            stream = Stream(sock, self.script, record)
            record["ended"] = self.play(stream, steps, record)
            record["extra"] = stream.buffer
        except Exception as error:  # a broken script must be seen
            record["errors"].append("%s: %s" % (type(error).__name__, error))
        finally:
            with self.lock:
                self.sockets.discard(sock)
                self.failed += bool(record["errors"])
            sock.close()

    def hang_up(self):
        """End every connection, whatever its script does."""
        with self.lock:
            for sock in self.sockets:
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass  # it ended by itself

    def play(self, stream, steps, record):
        player = Player(stream, record, self.ending)
        try:
            player.play(steps)
            player.do_shutdown(True, None)
            player.do_eof(True, None)
        except Ended as end:
            return end.args[0]

    def watch(self):
        """End when the reader is gone, or at the deadline."""
        parent = os.getppid()
        poll = select.poll()
        poll.register(sys.stdout.fileno(), 0)
        while time.monotonic() < self.end:
            left = min(0.5, max(0, self.end - time.monotonic()))
            gone = [e for _, e in poll.poll(left * 1000) if e & select.POLLERR]
            if gone or os.getppid() != parent:
                os._exit(3)
        self.cut_short("deadline")

    def cut_short(self, why):
        self.cut = why
        self.ending.set()

    def report(self):
        with self.lock:
            whole = {"accepted": self.accepted, "failed": self.failed,
                     "connections": [describe(r) for r in self.records]}
            if self.cut:
                whole["cut"] = self.cut
        return whole


def describe(record):
    """A record as JSON can have it."""
    said = dict(record)
    both = bytes(record["clear"] + record["secure"])
    lines = both.split(b"\n")
    if not lines[-1]:
        lines.pop()
    said["commands"] = [text(l[:-1] if l.endswith(b"\r") else l)
                        for l in lines]
    said["received"] = text(both)
    for key in ("clear", "secure", "extra"):
        said[key] = text(bytes(record[key]))
    return said


def say(line):
    left = octets(line) + b"\n"
    try:
        while left:  # a signal may cut a write short
            left = left[os.write(sys.stdout.fileno(), left):]
    except BrokenPipeError:
        os._exit(3)  # nobody wants it any more


def main(path):
    if path == "-":
        source = sys.stdin.buffer.read()
    else:
        with open(path, "rb") as file:
            source = file.read()
    server = Server(json.loads(text(source)))
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, lambda *_: server.cut_short("SIGTERM"))
    signal.signal(signal.SIGUSR1, lambda *_: server.last_call())
    say("PORT %d PID %d" % (server.port, os.getpid()))
    for task in (server.accept_all, server.watch):
        threading.Thread(target=task, daemon=True).start()
    server.ending.wait()
    say(json.dumps(server.report(), ensure_ascii=False))
    os._exit(1 if server.cut == "deadline" else 0)


if __name__ == "__main__":
    main(sys.argv[1])
