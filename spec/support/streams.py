"""Streams of the scripted server: a socket in clear or under TLS, whose octets
are recorded and may leave in small segments, or a tunnel in another stream.
scripted.py tells what a script may ask of them.
"""
import json
import os
import socket
import ssl
import struct
import threading
import time

import stapling

SETTLE_SECONDS = 0.25
NETLINK_SOCK_DIAG = 4  # <linux/netlink.h>
SOCK_DIAG_BY_FAMILY = 20  # <linux/sock_diag.h>


class Ended(Exception):
    """The connection is over; the argument says how."""


def octets(text):
    return text.encode("latin-1")


def text(data):
    return data.decode("latin-1")


def as_list(value):
    """Lua's empty table arrives as an empty object."""
    return [] if value == {} else value


# TLS

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
                self.feed_tls()
            except ssl.SSLZeroReturnError:
                self.record["tls"]["close_notify"] = True
                return b""
            except ssl.SSLEOFError:
                return b""
            except ssl.SSLError as error:
                self.flush()
                self.record["tls_error"] = str(error)
                raise Ended("tls") from error

    def feed_tls(self):
        """It needs what the client says next, once that has heard us."""
        self.flush()
        data = self.from_socket()
        if data:
            self.incoming.write(data)
        else:
            self.incoming.write_eof()

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
                self.feed_tls()
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
