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
import json
import os
import re
import select
import signal
import socket
import struct
import sys
import termios
import threading
import time

import scram
from maildrop import Mailbox
from streams import Ended, Stream, Within, as_list, octets, text

POLLRDHUP = getattr(select, "POLLRDHUP", 0x2000)


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
