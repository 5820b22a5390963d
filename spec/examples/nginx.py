#!/usr/bin/env python3
"""Run one nginx in the foreground until standard input ends.

    nginx.py FOLDER CONF WORKERS PORT...

Prints "READY pid" when it has its workers and every port takes connections, or
"FAILED". What nginx
says is in FOLDER/stderr.
"""
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time

START_SECONDS = 20


def die_with_parent():
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)


def is_listening(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", int(port))) == 0


def count_workers(pid):
    with open("/proc/%d/task/%d/children" % (pid, pid)) as children:
        return len(children.read().split())


def wait_until_ready(process, workers, ports):
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        if count_workers(process.pid) >= workers and \
                all(map(is_listening, ports)):
            return True
        time.sleep(0.01)
    return False


def main():
    folder, conf, workers, *ports = sys.argv[1:]
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(1))
    environment = dict(os.environ)
    environment.pop("LD_PRELOAD", None)  # a sanitizer's, meant for the client
    environment["PATH"] += ":/usr/sbin"
    with open(folder + "/stderr", "wb") as errors:
        process = subprocess.Popen(
            ["nginx", "-p", folder, "-c", conf], stderr=errors,
            stdin=subprocess.DEVNULL, env=environment,
            preexec_fn=die_with_parent)
        try:
            ready = wait_until_ready(process, int(workers), ports)
            print("READY %d" % process.pid if ready else "FAILED", flush=True)
            sys.stdin.read()
        finally:
            process.terminate()
            process.wait()


if __name__ == "__main__":
    main()
