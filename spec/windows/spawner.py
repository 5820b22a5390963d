#!/usr/bin/env python3
"""Run commands for shell.exe, which is under wine and cannot: by /bin/sh, with
the outputs sent back in frames.

    spawner.py COMMAND...     sets POP3_SPAWNER, runs COMMAND, ends with it

From the client: the size of the command in four octets, the command, and 'p'
if its input is a pipe; then the same of each piece of that, whose end has the
size 0. To it: 'o' or 'e', a
size in four octets, octets of standard output or error; at the end 'x' and the
exit status. A client that leaves takes the pipes with it.
"""

import os
import select
import socket
import struct
import subprocess
import sys
import threading


def read_exactly(peer, size):
    octets = b""
    while len(octets) < size:
        piece = peer.recv(size - len(octets))
        if not piece:
            raise EOFError
        octets += piece
    return octets


def take_input(peer, stream):
    """One piece of the command's input; False if the client left."""
    try:
        octets = read_exactly(peer, *struct.unpack("!I", read_exactly(peer, 4)))
    except EOFError:
        return False
    try:
        stream.write(octets)
        if not octets:
            stream.close()
    except (OSError, ValueError):
        pass  # the command does not want it
    return True


def relay(peer, process):
    """Until both pipes have ended; False if the client left before."""
    kinds = {process.stdout: b"o", process.stderr: b"e"}
    while kinds:
        for ready in select.select([*kinds, peer], [], [])[0]:
            if ready is peer:
                if not (process.stdin and take_input(peer, process.stdin)):
                    return False
                continue
            octets = os.read(ready.fileno(), 65536)
            if octets:
                peer.sendall(kinds[ready] + struct.pack("!I", len(octets))
                             + octets)
            else:
                del kinds[ready]
    return True


def serve(peer):
    with peer:
        size, = struct.unpack("!I", read_exactly(peer, 4))
        command = read_exactly(peer, size)
        piped = read_exactly(peer, 1) == b"p"
        process = subprocess.Popen(
            [b"/bin/sh", b"-c", command], bufsize=0,
            stdin=subprocess.PIPE if piped else subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            stayed = relay(peer, process)
        except OSError:
            stayed = False
        process.stdout.close()
        process.stderr.close()
        status = process.wait()
        if stayed:
            status = status if status >= 0 else 128 - status
            peer.sendall(b"x" + struct.pack("!I", status))


def listen(listener):
    while True:
        peer, _ = listener.accept()
        threading.Thread(target=serve, args=(peer,), daemon=True).start()


def main():
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    port = listener.getsockname()[1]
    threading.Thread(target=listen, args=(listener,), daemon=True).start()
    environment = dict(os.environ, POP3_SPAWNER=str(port))
    sys.exit(subprocess.call(sys.argv[1:], env=environment))


if __name__ == "__main__":
    main()
