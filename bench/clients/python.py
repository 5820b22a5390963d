"""Python's poplib as a client of the benchmark; see bench/README.md."""

import json
import poplib
import ssl
import sys
import threading
import time

VERB = sys.argv[1]
OPTIONS = dict(word.split("=", 1) for word in sys.argv[2:])
poplib._MAXLINE = 1 << 20


def number(name, otherwise=0):
    return int(OPTIONS.get(name, otherwise))


def connect(context=None):
    if "ca" not in OPTIONS:
        return poplib.POP3("127.0.0.1", number("port"))
    context = context or ssl.create_default_context(cafile=OPTIONS["ca"])
    return poplib.POP3_SSL("127.0.0.1", number("port"), context=context)


def login(conn):
    conn.user("u")
    conn.pass_("p")
    return conn


def fetch():
    out = open(OPTIONS["out"], "wb") if "out" in OPTIONS else None
    string = OPTIONS["deliver"] == "string"
    octets = 0
    conn = login(connect())
    for which in range(1, number("messages", 1) + 1):
        lines = conn.retr(which)[1]
        if string:
            text = b"\r\n".join(lines) + b"\r\n"
            octets += len(text)
        else:
            octets += sum(map(len, lines)) + 2 * len(lines) if out else 0
        if out:
            out.write(text if string else b"\r\n".join(lines) + b"\r\n")
    conn.quit()
    return {"octets": octets} if string else {}


def listing():
    conn = login(connect())
    sizes, uids = conn.list()[1], conn.uidl()[1]
    octets = 0
    if OPTIONS["as"] == "iterate":
        for line, other in zip(sizes, uids):
            which, size = line.split()
            octets += int(size)
            which, uid = other.split()
    conn.quit()
    return {"items": len(sizes), "octets": octets} if octets else {}


def session():
    if "ca" in OPTIONS and OPTIONS.get("resume") == "1":
        sys.exit(77)  # poplib has no way to give a session
    context = None
    if "ca" in OPTIONS:
        context = ssl.create_default_context(cafile=OPTIONS["ca"])
    for _ in range(number("sessions")):
        conn = login(connect(context))
        conn.stat()
        conn.quit()
    return {}


def box(times, begin):
    conn = login(connect())
    for which in range(1, conn.stat()[0] + 1):
        conn.retr(which)
    conn.quit()
    times.append(time.monotonic() - begin)


def boxes():
    times, begin = [], time.monotonic()
    threads = [threading.Thread(target=box, args=(times, begin))
               for _ in range(number("boxes"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    times.sort()
    return {"median_ms": times[len(times) // 2] * 1000,
            "slowest_ms": times[-1] * 1000}


def start():
    return {}


VERBS = {"start": start, "fetch": fetch, "listing": listing,
         "session": session, "boxes": boxes}
if (VERB not in VERBS or OPTIONS.get("deliver") == "callback" or
        "quit" in OPTIONS):
    sys.exit(77)
print(json.dumps(VERBS[VERB]()))
