#!/usr/bin/env python3
"""Run one program under conditions that a spec cannot make in its own process.

    child.py REQUEST.json

Prints one JSON object: how the program ended (`status`, negative for a
signal), what it wrote (`out`, `err`), how long it ran (`seconds`) and how long
after the signal (`after`, if one was asked for).

The request:
    argv      the program and its arguments
    env       variables to add
    nofile    limit of open descriptors
    signal    number of a signal to send when the program has written a line
              that is READY and then sleeps in the kernel
    deadline  seconds before it is killed, whatever it does
"""

import json
import os
import resource
import select
import subprocess
import sys
import time


def limit(nofile):
    def apply():
        # Never above the hard limit, which only root may raise.
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        if hard != resource.RLIM_INFINITY:
            nofile_now = min(nofile, hard)
        else:
            nofile_now = nofile
        resource.setrlimit(resource.RLIMIT_NOFILE, (nofile_now, hard))
    return apply if nofile else None


def is_asleep(pid):
    with open(f"/proc/{pid}/stat") as stat:
        return stat.read().rpartition(")")[2].split()[0] == "S"


class Child:
    def __init__(self, request):
        self.deadline = time.monotonic() + request.get("deadline", 30)
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            request["argv"], env=dict(os.environ, **request.get("env", {})),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, preexec_fn=limit(request.get("nofile")))
        self.written = {self.process.stdout: b"", self.process.stderr: b""}
        self.open = list(self.written)
        self.signalled = None

    def read(self):
        """Take what arrived; False when there is no time left."""
        left = self.deadline - time.monotonic()
        ready = select.select(self.open, [], [], max(0, left))[0]
        for stream in ready:
            octets = os.read(stream.fileno(), 65536)
            self.written[stream] += octets
            if not octets:
                self.open.remove(stream)
        return bool(ready)

    def is_ready(self):
        return b"READY\n" in self.written[self.process.stdout]

    def interrupt(self, number):
        while self.open and not self.is_ready():
            if not self.read():
                return
        while self.process.poll() is None and not is_asleep(self.process.pid):
            if time.monotonic() > self.deadline:
                return
            os.sched_yield()
        self.signalled = time.monotonic()
        self.process.send_signal(number)

    def finish(self):
        while self.open and self.read():
            pass
        if self.open:
            self.process.kill()
            self.written[self.process.stderr] += b"\nkilled at the deadline\n"
        status = self.process.wait()
        ended = time.monotonic()
        out, err = (each.decode("latin-1") for each in self.written.values())
        result = {"status": status, "out": out, "err": err,
                  "seconds": ended - self.started}
        if self.signalled:
            result["after"] = ended - self.signalled
        return result


def main():
    with open(sys.argv[1], encoding="latin-1") as file:
        request = json.load(file)
    child = Child(request)
    if "signal" in request:
        child.interrupt(request["signal"])
    print(json.dumps(child.finish()))


if __name__ == "__main__":
    main()
