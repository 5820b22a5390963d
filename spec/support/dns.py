#!/usr/bin/env python3
"""A name server for specs: good.* and mail.* are 127.0.0.1, missing.* does
not exist, broken.* fails, and it is silent about everything else.

Prints "PORT n" and ends when its standard output's reader does.
"""
import select
import socket
import struct
import sys

ANSWERS = {b"good": 0, b"mail": 0, b"missing": 3, b"broken": 2}  # RCODEs


def answer(query):
    label = query[13:13 + query[12]]
    if label not in ANSWERS:
        return None
    code = ANSWERS[label]
    end = query.index(b"\0", 12) + 5
    is_address = query[end - 4:end - 2] == b"\0\1"
    count = 1 if code == 0 and is_address else 0
    head = query[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, count, 0, 0)
    record = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 60, 4) + b"\x7f\0\0\1"
    return head + query[12:end] + record * count


def serve(reply_to, announce=lambda: None):
    """Answer queries by UDP, until the reader goes; None is no answer. What
    `announce` prints comes behind the port."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 0))
    print("PORT", server.getsockname()[1], flush=True)
    announce()
    poll = select.poll()
    poll.register(server, select.POLLIN)
    poll.register(sys.stdout, 0)
    while True:
        for fd, _ in poll.poll():
            if fd != server.fileno():
                return
            query, peer = server.recvfrom(4096)
            reply = reply_to(query)
            if reply:
                server.sendto(reply, peer)


if __name__ == "__main__":
    serve(answer)
