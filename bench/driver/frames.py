"""How long the steps of a task take: a distribution, not a sum."""

import os
import subprocess

from . import measure
from .jobs import MIB
from .paths import BENCH, CERTIFICATES, ROOT
from .server import LoadServer


def runs(quick):
    """(job of frames.lua, by TLS, the server's options)"""
    large = {"messages": 1, "size": (16 if quick else 64) * MIB}
    small = {"messages": 1000 if quick else 10000, "size": 4096}
    listed = {"messages": 50000 if quick else 500000, "size": 256}
    rows = [(job, tls, large) for job in ("sink", "iterator", "string", "lines")
            for tls in (False, True)]
    rows += [("small", tls, small) for tls in (False, True)]
    one = {"messages": 1, "size": 256}
    derived = {**one, "scram": 600000}
    return rows + [("listing", False, listed), ("handshake", True, one),
                   ("scram", False, derived), ("scram", True, derived)]


def steps(client, job, tls, server):
    authority = [os.path.join(CERTIFICATES, "root.pem")] if tls else []
    port = server.facts["tls_port" if tls else "port"]
    done = subprocess.run(
        (client.command[0], os.path.join(BENCH, "frames.lua"), job, str(port),
         *authority),
        env={**os.environ, **client.environment}, cwd=ROOT,
        stdout=subprocess.PIPE, text=True, check=True)
    return measure.told(done.stdout)


def cells(found):
    kinds = [found[kind] for kind in ("wall", "cpu")]
    return [f"{found['steps']:,}"] + [
        " / ".join(f"{times[part] / 1000:.2f}" for times in kinds)
        for part in ("p50", "p99", "p999", "max")]


def frames(quick, clients, _started):
    lines = ["| steps of 64 KiB and 1 ms: elapsed / CPU, ms | | steps | p50 | "
             "p99 | p99.9 | longest |", "|---|---|---|---|---|---|---|"]
    for job, tls, options in runs(quick):
        with LoadServer(options, digest=False) as server:
            for client in clients:
                if not client.ours:
                    continue
                found = steps(client, job, tls, server)
                name = job + (", TLS" if tls else "")
                lines.append(" | ".join([f"| {name} | {client.name}",
                                         *cells(found)]) + " |")
    return {"title": "steps of a task", "text": "\n".join(lines)}
