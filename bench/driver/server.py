"""The load server as a context: `with LoadServer(options) as server`."""

import json
import os
import subprocess

from .paths import CERTIFICATES, built


def cores():
    """One for the server, the others for clients; None where there is one."""
    there = sorted(os.sched_getaffinity(0))
    if len(there) < 2:
        return None, None
    return {there[-1]}, set(there[:-1])


class LoadServer:
    def __init__(self, options, digest=True):
        self.command = [
            built("server"),
            "--cert", os.path.join(CERTIFICATES, "ip.pem"),
            "--key", os.path.join(CERTIFICATES, "key.pem")]
        if not digest:
            self.command.append("--no-digest")
        for name, value in options.items():
            self.command.append("--" + name)
            if value is not True:
                self.command.append(str(value))

    def __enter__(self):
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True)
        if cores()[0]:
            os.sched_setaffinity(self.process.pid, cores()[0])
        self.facts = json.loads(self.process.stdout.readline())
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.stdout.read()
        self.process.wait()

    def counted(self):
        """Since the last time: connections, commands, in_flight."""
        self.process.stdin.write("?\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())
