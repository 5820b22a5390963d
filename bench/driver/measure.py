"""One run of one client."""

import json
import os
import re
import subprocess
import tempfile

from .paths import CERTIFICATES, ROOT, built
from .server import cores

TIME_LIMIT = 120  # seconds; a run beyond it is killed
CANNOT = 77
START = ["start", "scratch=" + built(""), "modules=" +
         built("npm/node_modules")]


class Cannot(Exception):
    """The client says that it cannot do this job."""


class Failed(Exception):
    """It tried, and did not do it."""


def words(job, facts, scratch, out=None):
    """What a client is told: everything, whether it uses it or not."""
    told = {"port": facts["tls_port"] if job.tls else facts["port"],
            "messages": facts["messages"], "reply": facts["retr"],
            "list": facts["list"], "uidl": facts["uidl"],
            "scratch": scratch, "modules": built("npm/node_modules"),
            **job.options}
    if job.tls:
        told["ca"] = os.path.join(CERTIFICATES, "root.pem")
    if out:
        told["out"] = out
    return [job.verb] + [f"{name}={value}" for name, value in told.items()]


def run(client, arguments, before=(), limit=TIME_LIMIT):
    """What it took, what it said on stdout and on stderr."""
    with tempfile.TemporaryDirectory(dir=built("")) as folder:
        report = os.path.join(folder, "usage")
        command = [built("measure"), report, str(limit), *before,
                   *client.command, *arguments]

        def settle():
            if cores()[1]:
                os.sched_setaffinity(0, cores()[1])

        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, env={**os.environ, **client.environment},
            preexec_fn=settle, check=True, text=True, errors="replace")
        with open(report) as file:
            usage = json.load(file)
    if usage["status"] == CANNOT:
        raise Cannot(last_line(done.stderr))
    if usage["status"] == 128 + 9:
        raise Failed(f"not done after {limit} s")
    if usage["status"] != 0:
        raise Failed(f"status {usage['status']}: {complaint(done.stderr)}")
    usage["cpu"] = usage["user"] + usage["system"]
    return usage, done.stdout, done.stderr


def complaint(text):
    """The line that says what is wrong, wherever a language puts it."""
    lines = text.replace(ROOT + os.sep, "").strip().splitlines()
    for line in lines:
        if "rror" in line or "fail" in line or line.startswith("lua"):
            return line[:200]
    return last_line(text)


def last_line(text):
    lines = text.strip().splitlines()
    return lines[-1][:200] if lines else ""


def told(stdout):
    """The JSON that a client of ours prints; programs print nothing."""
    try:
        return json.loads(last_line(stdout))
    except ValueError:
        return {}


# ------------------------------------------------------------- counting


def system_calls(client, arguments):
    with tempfile.NamedTemporaryFile(dir=built("")) as file:
        run(client, arguments, ("strace", "-c", "-f", "-o", file.name))
        for line in file.read().decode(errors="replace").splitlines():
            if line.rstrip().endswith("total"):
                return total_calls(line)
    return 0


def total_calls(line):
    """`100.00 0.004 12 345 6 total`: usecs/call and errors may be missing."""
    numbers = line.split()[:-1]
    return int(numbers[3] if len(numbers) > 3 else numbers[2])


def instructions(client, arguments):
    """Of user mode, by perf where the machine counts, else by callgrind."""
    if perf_counts():
        _, _, err = run(client, arguments, (
            "perf", "stat", "-x,", "-e", "instructions:u"))
        return int(re.search(r"^(\d+),", err, re.M).group(1))
    if not client.traceable:
        raise Cannot("valgrind cannot run it")
    _, _, err = run(client, arguments, (
        "valgrind", "--tool=callgrind", "--trace-children=yes",
        "--callgrind-out-file=/dev/null"), limit=300)
    return sum(map(int, re.findall(r"Collected : (\d+)", err)))


_perf = None


def perf_counts():
    global _perf
    if _perf is None:
        try:
            done = subprocess.run(
                ("perf", "stat", "-x,", "-e", "instructions:u", "true"),
                stderr=subprocess.PIPE, text=True, check=False)
            _perf = re.search(r"^\d+,", done.stderr, re.M) is not None
        except OSError:
            _perf = False
    return _perf
