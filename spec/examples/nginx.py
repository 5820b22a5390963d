#!/usr/bin/env python3
"""Run one nginx in the foreground until standard input ends.

    nginx.py FOLDER CONF WORKERS

Each 127.0.0.1:PORT of FOLDER/CONF becomes a port that is free. Prints
"READY pid PORT=port ..." when nginx has its workers, or "FAILED". What nginx
says is in FOLDER/stderr.
"""
import ctypes
import os
import re
import signal
import socket
import subprocess
import sys
import time

START_SECONDS = 20


def die_with_parent():
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)


def bind_ports(path):
    """Sockets by the port that the configuration has for them. nginx inherits
    them, so that nobody can take a port before it does."""
    with open(path) as file:
        text = file.read()
    sockets = {}
    for port in re.findall(r"127\.0\.0\.1:(\d+)", text):
        if port not in sockets:
            sockets[port] = socket.create_server(("127.0.0.1", 0), backlog=511)
    with open(path, "w") as file:
        file.write(re.sub(r"127\.0\.0\.1:(\d+)", lambda found: "127.0.0.1:%d"
                          % sockets[found[1]].getsockname()[1], text))
    return sockets


def count_workers(pid):
    with open("/proc/%d/task/%d/children" % (pid, pid)) as children:
        return len(children.read().split())


def wait_until_ready(process, workers):
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        if count_workers(process.pid) >= workers:
            return True
        time.sleep(0.01)
    return False


def start(folder, conf, sockets, errors):
    environment = dict(os.environ)
    environment.pop("LD_PRELOAD", None)  # a sanitizer's, meant for the client
    environment["PATH"] += ":/usr/sbin"
    fds = [each.fileno() for each in sockets.values()]
    environment["NGINX"] = "".join("%d;" % fd for fd in fds)
    return subprocess.Popen(
        ["nginx", "-p", folder, "-c", conf], stderr=errors, pass_fds=fds,
        stdin=subprocess.DEVNULL, env=environment, preexec_fn=die_with_parent)


def main():
    folder, conf, workers = sys.argv[1:]
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(1))
    sockets = bind_ports(folder + "/" + conf)
    ports = ["%s=%d" % (name, each.getsockname()[1])
             for name, each in sockets.items()]
    with open(folder + "/stderr", "wb") as errors:
        process = start(folder, conf, sockets, errors)
        for each in sockets.values():
            each.close()
        try:
            ready = wait_until_ready(process, int(workers))
            print("READY", process.pid, *ports, flush=True) if ready \
                else print("FAILED", flush=True)
            sys.stdin.read()
        finally:
            process.terminate()
            process.wait()


if __name__ == "__main__":
    main()
