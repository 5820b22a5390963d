#!/usr/bin/env python3
"""Sessions for the differential spec: what a server says, what a caller calls.

Usage: generate.py SEED COUNT > sessions.json

Session i of a seed is always the same, whatever COUNT is. A session is

  {seed: "SEED:i",
   greeting: octets,                  what the server says first
   calls: [[method, argument, ...]],  what both clients call, in this order
   replies: [[word, octets], ...],    the server's answer to each line, by its
                                      first word (queue, in scripted.py)
   cut: true}                         the server hangs up behind the last reply

A call whose reply is longer than poplib thinks (or shorter) puts poplib out of
step: it might wait for ever for what it will not get. Such a session is cut
one reply later.

An argument is an octet string (UTF-8) or a number below 2**53. All octets are
Latin-1 characters, as in spec/support/scripted.py.
"""
import json
import random
import sys

LIMIT = 2048  # a status line's octets, with its end

GREETINGS = [
    "+OK ready", "+OK", "+", "+ ready", "+OKAY", "+ok dovecot",
    "+OK <1896.697170952@dbc.mtview.ca.us>",
    "+OK POP3 server <1.2@host> ready",
    "+OK <a@b> and <c@d>", "+OK <a@b>c@d>", "+OK <<a@b>", "+OK <a@b@c>",
    "+OK <nothing>", "+OK <>", "+OK <a@>", "+OK <@b>", "+OK < a@b>",
    "+OK <a\xe9@b>", "+OK <a@b", "+OK a@b>", "+OK" + "<a@b>", "+ <a@b>",
    "+OK [SYS/TEMP] later", "+OK \x1b[31mred", "+OK \xe9\xff 8 bit",
    "-ERR no", "-ERR [SYS/PERM] go away", "-", "220 smtp.example ESMTP",
    "HTTP/1.1 400 Bad Request", "", " +OK", "\x16\x03\x01\x02",
    "+OK \0 NUL", "+OK a\rb", "\r+OK",
]
STATUSES = [
    "+OK", "+OK done", "+", "+ ok", "+OK  two  blanks ", "+OKAY", "+ok",
    "+OK \xc3\xa4 \xff", "+OK a\rb", "+OK \0", "+OK\r", "+OK .", "+.",
]
REFUSALS = [
    "-ERR", "-ERR no such message", "-", "-ERR [IN-USE] locked",
    "-ERR [SYS/TEMP] try later", "-ERR [AUTH] wrong", "-err lower", "-ERR \xff",
    "hello", "", " +OK", ".", "*OK", "ERR", "250 fine", "\r", "\r+OK", "\0",
]
STATS = [
    "+OK 2 320", "+OK 0 0", "+OK 2 320 more", "+OK  2   320", "+OK 2\t320",
    "+OK 00012 007", "+OK 4294967296 18446744073709551616",
    "+OK 9223372036854775807 9223372036854775808", "+OK -1 -320", "+OK +2 +3",
    "+OK 2", "+OK", "+OK two 320", "+OK 2 3.5", "+OK 2 1e9", "+OK 1_0 20",
    "+OK 2 0x10", "+OK 2 ,320", "+OK 2 320\r", "+OK \xb2 320", "+ 2 320",
    "+OK 2\x0b320", "+OK 2\x0c320", "+OK - 320", "+OK 2 320 \xff",
]
ITEMS = [
    "1 120", "2 200", "1", "", " ", "1 120 extra", "2 a-uid", "3 " + "u" * 70,
    "4 " + "u" * 71, "00012 1", "-1 -1", "18446744073709551616 1", "1 \xe9\xff",
    "two 1", "1 a\rb", "\t1 120", "1 a\0b", "+OK", "-ERR", "1 ..",
]
CAPABILITIES = [
    "TOP", "UIDL", "USER", "PIPELINING", "STLS", "SASL PLAIN LOGIN", "UTF8",
    "IMPLEMENTATION Scripted POP3 server", "EXPIRE NEVER", "LOGIN-DELAY 900",
    "RESP-CODES", "AUTH-RESP-CODE", "X-ODD  two   blanks ", "LANG",
    "EXPIRE 7 USER", "SASL SCRAM-SHA-256", "top", "sasl cram-md5", "Stls",
    "", " ", "\t", " TOP", "X-8BIT \xe9", "\xff", "TOP\tx", ".TOP", "..TOP",
    "X \0 y", "X a\rb",
]
TEXTS = [
    "Subject: hello", "", "text", " leading", "trailing ", "a\rb", "\r", "\0",
    "8-bit \xe9\xff\x80", "+OK", "-ERR no", "a.b", "tab\there", "QUIT",
    "x" * 998, "x" * 2046, "x" * 2047, "x" * 2048, "x" * 2049, "x" * 5000,
]
DOTS = [".", "..", "...", ".foo", "..foo", ".\r", ". ", ".\0", ".\xff"]
NAMES = ["user", "a@b.example", "two words", "", "J\xc3\xbcrgen", "x" * 300,
         "a\tb", "\x01", "%s", "<a@b>"]
BAD_NAMES = ["user\r\nDELE 1", "a\nb", "a\rb", "a\0b", "\r\n", "\n"]
TOKENS = [1, 2, 0, 7, 42, 65536, 2147483648, 4294967296, 9007199254740991,
          "1", "007", "-1", "foo", "18446744073709551616", "1e3", "0x10", "*",
          "1.5", "9" * 60]


def line_end(rng):
    return rng.choice(["\r\n"] * 9 + ["\n"])


def ended(rng, line):
    """poplib takes a CR in front of a line off if the line ends in LF: what
    it reads then is a line that nobody sent, and is not compared."""
    return line + ("\r\n" if line.startswith("\r") else line_end(rng))


def padded(rng, start):
    """A status line whose length is about the limit, end included."""
    end = line_end(rng)
    size = LIMIT + rng.randint(-3, 3) - len(end)
    return start + "x" * (size - len(start)) + end


def pick(rng, odd, usual, unusual):
    return rng.choice(unusual if rng.random() < odd else usual)


def refusal(rng):
    if rng.random() < 0.05:
        return padded(rng, "-ERR ")
    return ended(rng, rng.choice(REFUSALS))


def success(rng, statuses=STATUSES):
    if rng.random() < 0.05:
        return padded(rng, "+OK ")
    return ended(rng, rng.choice(statuses))


def short(rng):
    return refusal(rng) if rng.random() < 0.25 else success(rng)


def stat(rng):
    return refusal(rng) if rng.random() < 0.15 else success(rng, STATS)


def body(rng, lines, bare, stuff=True):
    """Lines and the terminator. The last line ends in CRLF: behind a bare LF
    a strict client would wait for another terminator, for ever."""
    out = []
    for line in lines:
        stuffed = "." + line if stuff and line.startswith(".") else line
        out.append(stuffed + ("\n" if rng.random() < bare else "\r\n"))
    if out:
        out[-1] = out[-1].rstrip("\r\n") + "\r\n"
    return "".join(out) + ".\r\n"


def listing(rng, items=ITEMS):
    if rng.random() < 0.15:
        return refusal(rng)
    lines = [rng.choice(items) for _ in range(rng.randint(0, 6))]
    if rng.random() < 0.05:
        lines.append("5 " + "u" * (LIMIT + rng.randint(-6, 6)))
    bare = rng.choice([0, 0, 0, 0.3])
    return success(rng) + body(rng, lines, bare)


def message(rng):
    if rng.random() < 0.15:
        return refusal(rng)
    pool = TEXTS[:-5] + DOTS if rng.random() < 0.8 else TEXTS + DOTS
    lines = [rng.choice(pool) for _ in range(rng.randint(0, 8))]
    stuff = rng.random() < 0.85
    return success(rng) + body(rng, lines, rng.choice([0, 0, 0, 0.2]), stuff)


def capa(rng):
    return listing(rng, rng.choice([CAPABILITIES, CAPABILITIES[:16]]))


def capa_for_stls(rng):
    names = [c for c in CAPABILITIES[:16] if c != "STLS"]
    if rng.random() < 0.6:
        names.append("STLS" if rng.random() < 0.8 else "stls")
    return "+OK\r\n" + "".join(n + "\r\n" for n in names) + ".\r\n"


def stls(rng):
    """Never a plain acceptance: handshakes are not what is compared here."""
    if rng.random() < 0.3:
        return "+OK begin\r\n+OK injected\r\n"
    return refusal(rng)


def name(rng):
    return pick(rng, 0.08, NAMES, BAD_NAMES)


def token(rng):
    return pick(rng, 0.04, TOKENS, BAD_NAMES)


# method: (its arguments, the replies that it needs, by command)
METHODS = {
    "user": ([name], {"USER": short}),
    "pass_": ([name], {"PASS": short}),
    "rpop": ([name], {"RPOP": short}),
    "apop": ([name, name], {"APOP": short}),
    "stat": ([], {"STAT": stat}),
    "list": ([], {"LIST": listing}),
    "list ": ([token], {"LIST": short}),
    "retr": ([token], {"RETR": message}),
    "top": ([token, token], {"TOP": message}),
    "dele": ([token], {"DELE": short}),
    "noop": ([], {"NOOP": short}),
    "rset": ([], {"RSET": short}),
    "uidl": ([], {"UIDL": listing}),
    "uidl ": ([token], {"UIDL": short}),
    "capa": ([], {"CAPA": capa}),
    "utf8": ([], {"UTF8": short}),
    "stls": ([], {"CAPA": capa_for_stls, "STLS": stls}),
    "quit": ([], {"QUIT": short}),
    "getwelcome": ([], {}),
    "close": ([], {}),
}
# Not everything as often as a mailbox is read.
WEIGHTS = {"retr": 5, "top": 2, "list": 3, "uidl": 3, "stat": 3, "capa": 3,
           "apop": 2, "close": 0, "quit": 0.4, "stls": 0.7}


def greeting(rng):
    if rng.random() < 0.04:
        return padded(rng, rng.choice(["+OK ", "-ERR "]))
    good = [g for g in GREETINGS if g.startswith("+OK")]
    return ended(rng, pick(rng, 0.15, good, GREETINGS))


def call(rng, method):
    arguments, _ = METHODS[method]
    return [method.strip()] + [make(rng) for make in arguments]


def plan(rng):
    names = list(METHODS)
    weights = [WEIGHTS.get(n, 1) for n in names]
    methods = rng.choices(names, weights, k=rng.randint(1, 8))
    if rng.random() < 0.5:
        methods.append(rng.choice(["quit", "quit", "close"]))
    return methods


def unasked(rng):
    return rng.choice(["+OK unasked\r\n", "-ERR Disconnected\r\n", "\r\n",
                       "junk", "+OK\r\n.\r\n", ".\r\n"])


def cut_behind(session, count):
    session["replies"] = session["replies"][:count]
    session["cut"] = True


def spoil(rng, session):
    """End the stream early, or say what nobody asked for."""
    kind = rng.random()
    replies = session["replies"]
    last = rng.randrange(len(replies)) if replies else 0
    if kind < 0.15 and replies:
        word, reply = replies[last]
        cut_behind(session, last + 1)
        replies[last] = session["replies"][last] = \
            [word, reply[:rng.randrange(len(reply))]]
    elif kind < 0.18:
        session["greeting"] = \
            session["greeting"][:rng.randrange(len(session["greeting"]))]
        cut_behind(session, 0)
    elif kind < 0.21 and replies:
        replies[last][1] += unasked(rng)
        cut_behind(session, last + 2)
    elif kind < 0.22:
        session["greeting"] += unasked(rng)
        cut_behind(session, 1)


def out_of_step(call, reply):
    """How many more replies poplib can be given; None for any number."""
    bad = any(c in str(a) for a in call[1:] for c in "\r\n\0")
    if bad or "injected" in reply:
        return 0
    lines = reply.split("\n")
    if any(len(line) >= LIMIT for line in lines):
        return 1
    if call[0] in ("retr", "top"):
        if any(line.rstrip("\r") == "." for line in lines[:-2]):
            return 1
    return None


def generate(seed):
    rng = random.Random(seed)
    session = {"seed": seed, "greeting": greeting(rng), "calls": [],
               "replies": []}
    left = None
    for method in plan(rng):
        made = call(rng, method)
        session["calls"].append(made)
        for word, make in METHODS[method][1].items():
            reply = make(rng)
            if left != 0:
                session["replies"].append([word, reply])
            left = out_of_step(made, reply) if left is None else \
                max(0, left - 1)
    spoil(rng, session)
    if left is not None:
        session["cut"] = True
    return session


def main(seed, count):
    sessions = [generate("%s:%d" % (seed, i)) for i in range(int(count))]
    said = json.dumps(sessions, ensure_ascii=False).encode("latin-1")
    sys.stdout.buffer.write(said)


if __name__ == "__main__":
    main(*sys.argv[1:])
