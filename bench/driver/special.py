"""Jobs of another shape than a table of clients."""

import os
import statistics
import subprocess
import tempfile

from . import measure
from .clients import FLOOR
from .frames import frames
from .jobs import MIB, Job, table
from .measure import Cannot, Failed
from .paths import BENCH, CERTIFICATES, ROOT, built
from .rows import say
from .server import LoadServer

# ------------------------------------------------------------- engine


def engine(quick, _clients, _started):
    """The engine alone, beside memchr: its own program, its own table."""
    done = subprocess.run((built("engine"), "32" if quick else "256"),
                          stdout=subprocess.PIPE, text=True, check=True)
    return {"title": "the engine alone, beside memchr over the same octets",
            "text": done.stdout}


def filter_alone(quick, _clients, _started):
    """The TLS filter alone, beside its cipher; and handshakes."""
    done = subprocess.run((built("tls"), "32" if quick else "256"),
                          stdout=subprocess.PIPE, text=True, check=True)
    return {"title": "the TLS filter alone, beside its cipher; handshakes",
            "text": done.stdout}


# ------------------------------------------------------------- idle


def idle(_quick, clients, _started):
    rows = {}
    with LoadServer({"messages": 1}) as server:
        for client in clients:
            if not client.ours:
                continue
            done = subprocess.run(
                (client.command[0], os.path.join(BENCH, "idle.lua"),
                 str(server.facts["port"]), str(server.facts["tls_port"]),
                 os.path.join(CERTIFICATES, "root.pem")),
                env={**os.environ, **client.environment}, cwd=ROOT,
                stdout=subprocess.PIPE, text=True, check=True)
            rows[client.name] = measure.told(done.stdout)
    return {"title": "what an idle connection holds, KiB each", "idle": rows}


# ------------------------------------------------------------- hosts

HOSTS = ["blocking", "poll", "cqueues", "luv", "copas", "luasocket", "task"]
HOST_JOBS = ["callback", "tls", "small", "small-each", "session"]


def host_row(job, facts, clients, scratch):
    """Hosts that are there, turn by turn; medians of CPU seconds."""
    runs = {}
    for turn in range(7):
        for client in clients:
            for host in HOSTS:
                job.options["host"] = host
                key = client.name, host
                if turn > 0 and key not in runs:
                    continue
                try:
                    used = measure.run(client, measure.words(
                        job, facts, scratch))[0]
                except (Cannot, Failed):
                    continue
                if turn > 0 or key not in runs:
                    runs.setdefault(key, []).append(used["cpu"])
    return {key: statistics.median(found) for key, found in runs.items()}


def hosts(quick, clients, _started):
    """The same work in every host, beside the blocking one."""
    clients = [c for c in clients if c.ours]
    lines = ["| job | " + " | ".join(HOSTS) + " |",
             "|---|" + "---|" * len(HOSTS)]
    for name in HOST_JOBS:
        job = table(quick)[name]
        with LoadServer(job.server, digest=False) as server, \
                tempfile.TemporaryDirectory(dir=built("")) as scratch:
            found = host_row(job, server.facts, clients, scratch)
        for client in clients:
            base = found[client.name, "blocking"]
            cells = [f"{found[client.name, host] / base:.2f}"
                     if (client.name, host) in found else "–"
                     for host in HOSTS]
            lines.append(f"| {name}, {client.name[6:]} | "
                         + " | ".join(cells) + " |")
            say(lines[-1])
    return {"title": "CPU time in each host, × the blocking one",
            "text": "\n".join(lines)}


# ------------------------------------------------------------- linearity

SIZES = [1024, 16384, 262144, 4 * MIB, 64 * MIB, 2048 * MIB]
COUNTS = [1, 10, 100, 1000, 10000, 100000, 1000000]


def seconds(client, job, server, started, rounds, scratch, runs=3):
    job.options["rounds"] = rounds
    taken = [measure.run(client, measure.words(
        job, server.facts, scratch))[0]["cpu"] for _ in range(runs)]
    return max(statistics.median(taken) - started[client.name]["cpu"], 0)


def series(title, unit, points, clients, started):
    """points: (x, server, options, rounds, units); the rounds keep a point
    long enough to be measured."""
    lines = {client.name: [] for client in clients}
    for x, server_options, options, rounds, units in points:
        job = Job("", "", "fetch", server_options, options)
        with LoadServer(server_options, digest=False) as server, \
                tempfile.TemporaryDirectory(dir=built("")) as scratch:
            for client in clients:
                try:
                    spent = seconds(client, job, server, started, rounds,
                                    scratch)
                except (Cannot, Failed) as why:
                    say(f"  {client.name}: {why}")
                    continue
                lines[client.name].append([x, spent / units])
    return {"title": title, "unit": unit,
            "lines": {name: line for name, line in lines.items() if line}}


def linear(quick, clients, started):
    clients = [c for c in clients if c.ours or c.name == FLOOR.name]
    enough, many = (64 * MIB, 20000) if quick else (512 * MIB, 200000)
    sizes, counts = [], []
    for size in SIZES[:-1] if quick else SIZES:
        rounds = max(1, min(enough // size, many))
        sizes.append((size, {"messages": 1, "size": size},
                      {"deliver": "callback", "pipelined": 1}, rounds,
                      rounds * size / 1e9))
    for count in COUNTS[:-1] if quick else COUNTS:
        rounds = max(1, many // 4 // count if count < 100 else many // count)
        counts.append((count, {"messages": count, "size": 256},
                       {"deliver": "string", "pipelined": 1}, rounds,
                       rounds * count / 1e6))
    return {
        "title": "linearity",
        "series": [
            series("octets of a message", "s/GB", sizes, clients, started),
            series("messages of 256 octets", "µs/message", counts, clients,
                   started),
        ],
    }


JOBS = {"linear": linear, "idle": idle, "hosts": hosts, "frames": frames,
        "engine": engine, "filter": filter_alone}
