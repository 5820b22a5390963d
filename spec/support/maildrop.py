"""Just enough of RFC 1939 for the step {mailbox: MAILBOX} of scripted.py."""
import hashlib
import re

from streams import as_list, octets, text


class Mailbox:
    """Serves a list of messages."""

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
