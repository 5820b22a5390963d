#!/usr/bin/env python3
"""Run a program on a terminal of its own and type for it.

    terminal.py STEPS PROGRAM ARGUMENT...

STEPS is a JSON list: {"expect": TEXT} waits until the program has printed
TEXT behind what the last one found, {"find": TEXT} until it has printed it at
all, {"type": TEXT} types (\\u0003 is Ctrl-C),
{"signal": NAME} sends it to the program. Prints a JSON object when the program
has ended: output, status (128 and the signal's number, if one killed it), and
echo: whether the terminal echoed, after each step and at the end.
"""

import json
import os
import pty
import select
import signal
import sys
import termios
import time

SECONDS = 20  # for everything; a program that hangs is killed


class Terminal:
    def __init__(self, words):
        self.end = time.monotonic() + SECONDS
        self.output = b""
        self.seen = 0
        # Our end of the terminal stays open, to look at its flags.
        self.master, self.slave = pty.openpty()
        self.pid = os.fork()
        if self.pid == 0:
            os.environ["TERM"] = "xterm"
            os.login_tty(self.slave)
            os.execvp(words[0], words)
        self.ended = os.pidfd_open(self.pid)

    def read(self):
        """More output; False when the program has ended and all is read."""
        left = max(self.end - time.monotonic(), 0)
        ready = select.select([self.master, self.ended], [], [], left)[0]
        if not ready:
            os.kill(self.pid, signal.SIGKILL)
            raise TimeoutError
        if self.master in ready:
            self.output += os.read(self.master, 65536)
        return self.master in ready

    def expect(self, text):
        while True:
            at = self.output.find(text, self.seen)
            if at >= 0:
                self.seen = at + len(text)
                return
            if not self.read():
                raise EOFError

    def find(self, text):
        while text not in self.output:
            if not self.read():
                raise EOFError

    def wait(self):
        """The exit status."""
        while self.read():
            pass
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return code if code >= 0 else 128 - code

    def echoes(self):
        flags = termios.tcgetattr(self.master)[3]
        return bool(flags & termios.ECHO)

    def step(self, step):
        if "expect" in step:
            self.expect(step["expect"].encode())
        if "find" in step:
            self.find(step["find"].encode())
        if "type" in step:
            os.write(self.master, step["type"].encode())
        if "signal" in step:
            os.kill(self.pid, getattr(signal, step["signal"]))


def main():
    steps = json.loads(sys.argv[1])
    terminal = Terminal(sys.argv[2:])
    report = {"echo": []}
    try:
        for step in steps:
            terminal.step(step)
            report["echo"].append(terminal.echoes())
        report["status"] = terminal.wait()
    except (TimeoutError, EOFError) as error:
        report["failed"] = type(error).__name__
        report["status"] = -1
    report["echo"].append(terminal.echoes())
    report["output"] = terminal.output.decode("utf-8", "replace")
    print(json.dumps(report))


if __name__ == "__main__":
    main()
