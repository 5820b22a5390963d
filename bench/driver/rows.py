"""A job measured: every client verified once, then timed turn by turn."""

import os
import statistics
import sys
import tempfile

from . import measure, verify
from .clients import FLOOR
from .jobs import value
from .measure import Cannot, Failed
from .paths import built
from .server import LoadServer

SLOW = 3  # seconds of a run, beyond which two runs are enough
SESSIONS = ("session", "open")  # whose round trips are of interest
KEPT = ("cpu", "wall", "peak_kib")


def say(text):
    print(text, file=sys.stderr, flush=True)


class Row:
    """One client in one job."""

    def __init__(self, client):
        self.client = client
        self.runs = []
        self.told = []
        self.trouble = self.in_flight = self.verified = self.turns = None
        self.counts = {}

    def wants_run(self, number):
        if self.trouble:
            return False
        return number < 2 or self.runs[0]["wall"] < SLOW

    def summary(self, job, started):
        if self.trouble:
            return {"trouble": self.trouble}
        seconds = [run["wall" if job.wall else "cpu"] for run in self.runs]
        spent = started["wall" if job.wall else "cpu"]
        net = [max(one - spent, 0) for one in seconds]
        row = {
            "value": value(job, statistics.median(net)),
            "least": value(job, min(net)),
            "runs": [value(job, one) for one in net],
            "wall": statistics.median(run["wall"] for run in self.runs),
            "cpu": statistics.median(run["cpu"] for run in self.runs),
            "peak_mib": statistics.median(
                run["peak_kib"] for run in self.runs) / 1024,
            "start_cpu": started["cpu"],
            "in_flight": self.in_flight,
            "turns": self.turns if job.verb in SESSIONS else None,
            "verified": self.verified,
            **self.counts,
        }
        for name in ("median_ms", "slowest_ms"):
            values = [told[name] for told in self.told if name in told]
            if values:
                row[name] = statistics.median(values)
        return row


# ------------------------------------------------------------- verifying


def check_told(job, told, facts):
    """What a client counted by itself must be what there is."""
    if job.verb == "listing" and "items" in told:
        expected = facts["messages"], facts["delivered"]
        if (told["items"], int(told["octets"])) != expected:
            raise Failed(f"listed {told}, not {expected}")
    if job.verb == "fetch" and "octets" in told:
        if int(told["octets"]) != facts["delivered"]:
            raise Failed(f"{told['octets']:.0f} octets, "
                         f"not {facts['delivered']}")


def verify_once(job, row, facts, scratch):
    out = None
    if job.verb == "fetch" and row.client.form != "none":
        out = os.path.join(scratch, "delivered")
    try:
        arguments = measure.words(job, facts, scratch, out)
        _, stdout, _ = measure.run(row.client, arguments)
        check_told(job, measure.told(stdout), facts)
        if out and not verify.same(out, row.client.form, facts):
            raise Failed("delivers other octets")
        row.verified = True
    except (Cannot, Failed) as why:
        row.trouble = ("cannot: " if isinstance(why, Cannot) else
                       "fails: ") + str(why)
    finally:
        if out and os.path.exists(out):
            os.unlink(out)


# ------------------------------------------------------------- timing


def time_once(job, row, server, scratch):
    server.counted()
    try:
        usage, stdout, _ = measure.run(
            row.client, measure.words(job, server.facts, scratch))
        told = measure.told(stdout)
        check_told(job, told, server.facts)
    except (Cannot, Failed) as why:
        row.trouble = f"fails: {why}"
        return
    row.runs.append({name: usage[name] for name in KEPT})
    row.told.append(told)
    seen = server.counted()
    row.in_flight = max(row.in_flight or 0, seen["in_flight"])
    row.turns = seen["turns"] / seen["connections"]


def counted(count, row, job, server, scratch, before):
    """What the job needs beyond a start; None when it cannot be counted."""
    if row.trouble or before is None:
        return None
    try:
        n = count(row.client, measure.words(job, server.facts, scratch))
    except (Cannot, Failed, OSError):
        return None
    return max(n - before, 0)


def count_all(job, rows, started):
    """System calls and instructions, in runs of their own: on a smaller
    mailbox where there is one, because both are slow."""
    options = job.few or job.server
    octets = options["messages"] * options["size"]
    share = octets / (job.server["messages"] * job.server["size"])
    with LoadServer(options) as server, \
            tempfile.TemporaryDirectory(dir=built("")) as scratch:
        for row in rows:
            cost = started[row.client.name]
            calls = counted(measure.system_calls, row, job, server, scratch,
                            cost.get("calls")) if job.per else None
            if calls is not None:
                row.counts["calls"] = calls / (job.calls * share)
            n = counted(measure.instructions, row, job, server, scratch,
                        cost.get("instructions")) if job.few else None
            if n is not None:
                row.counts["instructions"] = n / octets


def start_costs(clients, runs, counts):
    """What each client costs before it does anything, by name."""
    taken = {client.name: [] for client in clients}
    started = {}
    for _ in range(runs):
        for client in clients:
            taken[client.name].append(
                measure.run(client, measure.START)[0])
    for client in clients:
        started[client.name] = cost = {
            name: statistics.median(run[name] for run in taken[client.name])
            for name in KEPT}
        if counts:
            count_start(client, cost)
    return started


def count_start(client, cost):
    try:
        cost["calls"] = measure.system_calls(client, measure.START)
        cost["instructions"] = measure.instructions(client, measure.START)
    except (Cannot, Failed, OSError):
        pass


def measure_job(job, clients, started, runs, counts):
    """{client: summary}; the floor comes first."""
    rows = [Row(client) for client in clients]
    with tempfile.TemporaryDirectory(dir=built("")) as scratch, \
            LoadServer(job.server) as server:
        for row in rows:
            verify_once(job, row, server.facts, scratch)
        for number in range(runs):
            for row in rows:
                if row.wants_run(number):
                    time_once(job, row, server, scratch)
    if counts and (job.per or job.few):
        count_all(job, rows, started)
    summaries = {row.client.name: row.summary(
        job, started[row.client.name]) for row in rows}
    add_ratios(summaries)
    return summaries


def add_ratios(summaries):
    floor = summaries.get(FLOOR.name, {}).get("value")
    for row in summaries.values():
        if floor and "value" in row:
            row["times_floor"] = row["value"] / floor
