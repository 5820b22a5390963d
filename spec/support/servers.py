#!/usr/bin/env python3
"""Scripted servers by the dozen, for specs that cannot start processes, or
would start too many: one process, a control connection for each server.

It prints "PORT n" and ends with its parent, or when its reader goes away. Who
connects to that port sends a script (see scripted.py) as one line of JSON and
is told "PORT n"; the line "report" or "cut" is answered by the report, as
SIGUSR1 and SIGTERM are by scripted.py. A server ends with its connection, or
at the line "stop", and then the connection ends when its port is closed.
"""
import json
import os
import select
import socket
import sys
import threading
import time

import scripted
from streams import octets


class Hosted(scripted.Server):
    """A scripted server that ends alone, not with the process."""

    def watch(self):
        while not self.ending.wait(max(0, self.end - time.monotonic())):
            if time.monotonic() >= self.end:
                self.cut_short("deadline")

    def start(self):
        self.accepting = threading.Thread(target=self.accept_all, daemon=True)
        self.accepting.start()
        threading.Thread(target=self.watch, daemon=True).start()

    def stop(self):
        self.last_call()
        self.cut_short("stopped")
        while self.accepting.is_alive():
            self.hang_up()
            self.accepting.join(0.01)


def serve(control):
    lines = control.makefile("r", encoding="latin-1", newline="\n")
    server = Hosted(json.loads(lines.readline()))

    def say(line):
        control.sendall(octets(line) + b"\n")

    server.start()
    try:
        say("PORT %d" % server.port)
        for line in lines:
            if line == "stop\n":
                break
            if line == "cut\n":
                server.cut_short("SIGTERM")
            else:
                server.last_call()
            server.ending.wait()
            say(json.dumps(server.report(), ensure_ascii=False))
    except OSError:
        pass  # it went away
    finally:
        server.stop()
        control.close()


def accept(listener):
    while True:
        control, _ = listener.accept()
        threading.Thread(target=serve, args=(control,), daemon=True).start()


def main():
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    scripted.say("PORT %d" % listener.getsockname()[1])
    threading.Thread(target=accept, args=(listener,), daemon=True).start()
    parent = os.getppid()
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    while os.getppid() == parent:
        if any(event & select.POLLERR for _, event in poll.poll(500)):
            return


if __name__ == "__main__":
    main()
    os._exit(0)
