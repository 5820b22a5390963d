"""What is measured: a job is a server, a verb with options, and a unit.

Add a row to `table` and every client is asked whether it can do it.
"""

from dataclasses import dataclass, field

MIB = 1 << 20
GB = 1e9


@dataclass
class Job:
    name: str
    title: str
    verb: str
    server: dict = field(default_factory=dict)   # bench/server's options
    options: dict = field(default_factory=dict)  # the client's
    tls: bool = False
    wall: bool = False     # elapsed time counts, not CPU time
    unit: str = "s"        # of the value shown
    count: float = 1       # the value is seconds / count * scale
    scale: float = 1
    per: str = ""          # what system calls are counted by
    calls: int = 1         # how many of those
    octets: int = 0        # what instructions are counted by, 0 for not
    few: dict = None       # the server for counting instructions


def rate(octets):
    return {"unit": "s/GB", "count": octets / GB, "per": "MiB",
            "calls": octets // MIB, "octets": octets}


def each(count, per="message", scale=1e6, unit="µs"):
    return {"unit": f"{unit}/{per}", "count": count, "scale": scale,
            "per": per, "calls": count}


def table(quick):
    large = (32 if quick else 256) * MIB
    small = 2000 if quick else 10000
    listed = 50000 if quick else 500000
    far = 100 if quick else 500
    boxes = 50 if quick else 200
    plain, secure = (300, 100) if quick else (2000, 500)
    one = {"messages": 1, "size": large}
    few = {"messages": 1, "size": 4 * MIB}
    mail = {"messages": small, "size": 4096}
    few_mails = {"messages": 500, "size": 4096}
    distant = {"messages": far, "size": 4096, "rtt": 20}
    account = {"messages": 1, "size": 4096}
    mebibytes = f"{large // MIB} MiB message"
    mails = f"{small:,} messages of 4 KiB"
    string = {"deliver": "string", "pipelined": 1}
    mail_octets = small * 4096
    jobs = [
        Job("callback", f"{mebibytes} to a callback", "fetch", one,
            {"deliver": "callback"}, few=few, **rate(large)),
        Job("string", f"{mebibytes} as one string", "fetch", one,
            {"deliver": "string"}, few=few, **rate(large)),
        Job("lines", f"{mebibytes} as a table of lines", "fetch", one,
            {"deliver": "lines"}, few=few, **rate(large)),
        Job("tls", f"{mebibytes} to a callback, TLS 1.3", "fetch", one,
            {"deliver": "callback"}, tls=True, few=few, **rate(large)),
        Job("dots", "64 MiB of lines \"..\" to a callback", "fetch",
            {"messages": 1, "size": large // 4, "dots": True},
            {"deliver": "callback"}, **rate(large // 4)),
        Job("small", f"{mails}, pipelining allowed", "fetch", mail, string,
            few=few_mails, **each(small)),
        Job("small-tls", f"{mails}, pipelining allowed, TLS", "fetch", mail,
            string, tls=True, **each(small)),
        Job("small-each", f"{mails}, pipelining not allowed", "fetch",
            {**mail, "no-pipelining": True}, {"deliver": "string"},
            **each(small)),
        Job("listing", f"LIST and UIDL of {listed:,}, each item looked at",
            "listing", {"messages": listed, "size": 256}, {"as": "iterate"}),
        Job("listing-tables", f"LIST and UIDL of {listed:,} as tables",
            "listing", {"messages": listed, "size": 256}, {"as": "tables"}),
        Job("far", f"{far} messages at 20 ms round trip", "fetch", distant,
            string, wall=True),
        Job("far-quit", f"{far} messages at 20 ms, QUIT in the last flight",
            "fetch", distant, {**string, "quit": 1}, wall=True),
        Job("session", "connect, login, STAT, QUIT; pipelining allowed",
            "session", account, {"sessions": plain, "pipelined": 1},
            **each(plain, "session")),
        Job("session-each", "connect, login, STAT, QUIT; not allowed",
            "session", {**account, "no-pipelining": True},
            {"sessions": plain}, **each(plain, "session")),
        Job("session-tls", "connect, login, STAT, QUIT; TLS, full handshake",
            "session", account, {"sessions": secure, "pipelined": 1},
            tls=True, **each(secure, "session", 1e3, "ms")),
        Job("session-resumed", "connect, login, STAT, QUIT; TLS resumed",
            "session", account,
            {"sessions": secure, "pipelined": 1, "resume": 1},
            tls=True, **each(secure, "session", 1e3, "ms")),
        Job("open-plain", "open: connect, AUTH PLAIN, STAT, QUIT; TLS resumed",
            "open", {**account, "scram": 4096},
            {"sessions": secure, "pipelined": 1, "resume": 1,
             "auth": "PLAIN"},
            tls=True, **each(secure, "session", 1e3, "ms")),
        Job("open-scram", "open: connect, SCRAM-SHA-256 of 4,096 iterations, "
            "STAT, QUIT; TLS resumed",
            "open", {**account, "scram": 4096},
            {"sessions": secure, "pipelined": 1, "resume": 1,
             "auth": "SCRAM-SHA-256"},
            tls=True, **each(secure, "session", 1e3, "ms")),
        Job("boxes", f"{boxes} mailboxes of 20 messages at 20 ms, one process",
            "boxes", {"messages": 20, "size": 4096, "rtt": 20},
            {"boxes": boxes, "pipelined": 1}, wall=True),
    ]
    for job in jobs:
        if job.name == "small":
            job.octets = mail_octets
        if job.name == "dots":
            job.title = job.title.replace("64", str(large // 4 // MIB))
    return {job.name: job for job in jobs}


def value(job, seconds):
    return seconds / job.count * job.scale
