#!/usr/bin/env python3
"""Is a secret in another process's memory? (T22)

    memory.py SECRET_FILE COMMAND...

runs COMMAND, waits for it to print a line, stops it there, searches all of
its memory, and lets it end by closing its standard input. It is searched for
every run of twelve octets of the secret and for its base64 at all three
alignments. Prints one JSON object:

    said     the line
    status   the command's exit status
    octets   that were searched
    found    list of [what, mapping]

The search runs in another process because its patterns would be found in its
own.
"""

import base64
import json
import os
import signal
import subprocess
import sys

RUN = 12
DEADLINE = 60


def runs(octets, size):
    return {octets[i:i + size] for i in range(len(octets) - size + 1)}


def patterns(secret):
    """What to look for: (octets, what they are)."""
    for run in runs(secret, RUN):
        yield run, "plain"
    for shift in range(3):
        piece = secret[shift:]
        piece = piece[:len(piece) // 3 * 3]
        for run in runs(base64.b64encode(piece), RUN * 4 // 3):
            yield run, "base64 at %d" % shift


def mappings(pid):
    with open("/proc/%d/maps" % pid) as file:
        for line in file:
            span, access, _, _, _, *name = line.split(maxsplit=5)
            if access.startswith("r") and "[vvar]" not in name:
                start, end = (int(edge, 16) for edge in span.split("-"))
                yield start, end, name[0].strip() if name else "anonymous"


def search(pid, secret):
    wanted = list(patterns(secret))
    searched, found = 0, []
    with open("/proc/%d/mem" % pid, "rb", buffering=0) as memory:
        for start, end, name in mappings(pid):
            if name in ("[vsyscall]", "[vvar]", "[vvar_vclock]"):
                continue
            memory.seek(start)
            try:
                octets = read_all(memory, end - start)
            except OSError:
                continue
            searched += len(octets)
            found += sorted({(what, name) for octets_of, what in wanted
                             if octets_of in octets})
    return searched, found


def read_all(file, size):
    parts = []
    while size > 0:
        part = file.read(min(size, 1 << 24))
        if not part:
            break
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def main(path, *command):
    with open(path, "rb") as file:
        secret = file.read().strip()
    process = subprocess.Popen(command, stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE)
    signal.signal(signal.SIGALRM, lambda *_: process.kill())
    signal.alarm(DEADLINE)
    said = process.stdout.readline().decode("latin-1").strip()
    octets, found = 0, []
    os.kill(process.pid, signal.SIGSTOP)
    _, status = os.waitpid(process.pid, os.WUNTRACED)
    if os.WIFSTOPPED(status):
        octets, found = search(process.pid, secret)
        os.kill(process.pid, signal.SIGCONT)
    process.communicate()
    print(json.dumps({"said": said, "status": process.returncode,
                      "octets": octets, "found": found}))


if __name__ == "__main__":
    main(*sys.argv[1:])
