#!/usr/bin/env python3
"""Is a secret in another process's memory? (T22)

    memory.py [--core] SECRET_FILE COMMAND...

runs COMMAND, waits for it to print a line, stops it there, searches all of
its memory, and lets it end by closing its standard input; or, with --core, has
the kernel write it into a core file, and searches that. It is searched for
every run of twelve octets of the secret, for its base64 at all three alignments,
and for six code points as a library of Unicode's has them. Prints one JSON
object:

    said     the line
    status   the command's exit status
    octets   that were searched
    found    list of [what, mapping]
    lacking  why there is no core file, else absent

The search runs in another process because its patterns would be found in its
own.
"""

import base64
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile

RUN = 12
DEADLINE = 60
PIECE = 1 << 20
OVERLAP = 4096  # more than a secret is long
SHADOW = 1 << 30  # larger mappings are a sanitizer's own, sparse and endless


def forms(secret):
    """What to look for: (octets, length of a run that counts, its name)."""
    yield secret, RUN, "plain"
    for shift in range(3):
        piece = secret[shift:]
        piece = base64.b64encode(piece[:len(piece) // 3 * 3])
        yield piece, RUN * 4 // 3, "base64 at %d" % shift
    try:
        yield secret.decode().encode("utf-32-le"), RUN * 2, "code points"
    except UnicodeDecodeError:
        pass


def common(whole, at, memory, place):
    """How many octets around whole[at] and memory[place] are the same."""
    before = 0
    while (before < min(at, place) and
           whole[at - before - 1] == memory[place - before - 1]):
        before += 1
    after = 0
    while (after < min(len(whole) - at, len(memory) - place) and
           whole[at + after] == memory[place + after]):
        after += 1
    return before + after


def holds(memory, whole, run):
    """A run holds one of the pieces of half its length that `whole` is cut
    into, so only those are looked for."""
    half = run // 2
    for at in range(0, len(whole) - half + 1, half):
        place = memory.find(whole[at:at + half])
        while place >= 0:
            if common(whole, at, memory, place) >= run:
                return True
            place = memory.find(whole[at:at + half], place + 1)
    return False


def mappings(pid):
    with open("/proc/%d/maps" % pid) as file:
        for line in file:
            span, access, _, _, _, *name = line.split(maxsplit=5)
            start, end = (int(edge, 16) for edge in span.split("-"))
            if access.startswith("r") and end - start < SHADOW:
                yield start, end, name[0].strip() if name else "anonymous"


def search(pid, secret):
    searched, found = 0, []
    with open("/proc/%d/mem" % pid, "rb", buffering=0) as memory:
        for start, end, name in mappings(pid):
            if name.startswith("[v"):  # the kernel's: vsyscall, vvar, vdso
                continue
            for octets in pieces(memory, start, end):
                searched += len(octets)
                found += [(what, name) for whole, run, what in forms(secret)
                          if holds(octets, whole, run)]
    return searched, sorted(set(found))


def pieces(memory, start, end):
    """A mapping in pieces that overlap; those that are all zero left out."""
    nothing = bytes(PIECE + OVERLAP)
    for at in range(start, end, PIECE):
        size = min(PIECE + OVERLAP, end - at)
        memory.seek(at)
        try:
            octets = memory.read(size)
        except OSError:  # not backed by anything
            continue
        if octets != nothing[:len(octets)]:
            yield octets


def search_core(folder, secret):
    """What is in the one file of the folder, and how large it is."""
    names = os.listdir(folder)
    if not names:
        return 0, [], "the kernel wrote none"
    size, found = 0, []
    with open(os.path.join(folder, names[0]), "rb") as file:
        while True:
            octets = file.read(PIECE)
            if not octets:
                break
            size += len(octets)
            octets += file.read(OVERLAP)
            file.seek(size)
            found += [(what, "core") for whole, run, what in forms(secret)
                      if holds(octets, whole, run)]
    return size, sorted(set(found)), None


def may_dump():
    """Why the kernel would write no core file into the current folder."""
    with open("/proc/sys/kernel/core_pattern") as file:
        pattern = file.read().strip()
    if pattern.startswith("|") or "/" in pattern:
        return "core files go elsewhere here: " + pattern
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    if most != resource.RLIM_INFINITY:
        return "core files are limited here"
    return None


def allow_core(folder):
    resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY,) * 2)
    os.chdir(folder)


def start(command, **more):
    """A process that has printed its line, which comes, too."""
    process = subprocess.Popen(command, stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, **more)
    signal.signal(signal.SIGALRM, lambda *_: process.kill())
    signal.alarm(DEADLINE)
    return process, process.stdout.readline().decode("latin-1").strip()


def look_inside(secret, command):
    process, said = start(command)
    octets, found = 0, []
    os.kill(process.pid, signal.SIGSTOP)
    _, status = os.waitpid(process.pid, os.WUNTRACED)
    if os.WIFSTOPPED(status):
        octets, found = search(process.pid, secret)
        os.kill(process.pid, signal.SIGCONT)
    process.communicate()
    return {"said": said, "status": process.returncode, "octets": octets,
            "found": found}


def look_at_core(secret, command):
    lacking = may_dump()
    if lacking:
        return {"lacking": lacking}
    folder = tempfile.mkdtemp()
    try:
        process, said = start(command, preexec_fn=lambda: allow_core(folder))
        process.send_signal(signal.SIGABRT)
        process.communicate()
        octets, found, lacking = search_core(folder, secret)
    finally:
        shutil.rmtree(folder)
    return {"said": said, "status": process.returncode, "octets": octets,
            "found": found, "lacking": lacking}


def main(*words):
    look = look_inside
    if words[0] == "--core":
        look, words = look_at_core, words[1:]
    with open(words[0], "rb") as file:
        secret = file.read().strip()
    print(json.dumps(look(secret, words[1:])))


if __name__ == "__main__":
    main(*sys.argv[1:])
