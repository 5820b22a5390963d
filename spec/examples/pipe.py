#!/usr/bin/env python3
"""What ssh -W is to the transport example: a connection as input and output.

    pipe.py HOST PORT
"""
import socket
import sys
import threading


def copy(receive, send, end):
    while octets := receive():
        send(octets)
    end()


def write(octets):
    sys.stdout.buffer.write(octets)
    sys.stdout.buffer.flush()


def end_writing(peer):
    try:
        peer.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # it ended first


def main():
    peer = socket.create_connection((sys.argv[1], int(sys.argv[2])))
    threading.Thread(daemon=True, target=copy, args=(
        lambda: sys.stdin.buffer.raw.read(65536), peer.sendall,
        lambda: end_writing(peer))).start()
    copy(lambda: peer.recv(65536), write, peer.close)


if __name__ == "__main__":
    main()
