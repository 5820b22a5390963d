#!/usr/bin/env python3
"""HTTP requests at the same time, for specs: reads a list from standard input
as JSON, [{"port": N, "path": P, "headers": {...}}, ...], and prints the list of
answers: status, headers (lower case), whether the body is complete, its size,
and the body itself as Latin-1, of large ones the first MiB. With "slow", it is
read in small pieces from a small buffer of the kernel; with "most": N, no more
of it than that.
"""
import http.client
import json
import socket
import sys
from concurrent.futures import ThreadPoolExecutor


KEPT = 1 << 20


def read(answer, piece, most):
    body, size = b"", 0
    try:
        while size < most and (octets := answer.read(piece)):
            size += len(octets)
            body += octets[:KEPT - len(body)]
    except http.client.IncompleteRead as cut:
        return body + cut.partial, size + len(cut.partial), False
    return body, size, True


def ask(request):
    connection = http.client.HTTPConnection("127.0.0.1", request["port"],
                                            timeout=60)
    connection.connect()
    if request.get("slow"):
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    # Lua's empty table arrives as an empty list.
    connection.request("GET", request["path"],
                       headers=dict(request.get("headers") or {}))
    answer = connection.getresponse()
    piece = 4096 if request.get("slow") or "most" in request else KEPT
    body, size, complete = read(answer, piece, request.get("most", 1 << 40))
    connection.close()
    headers = {name.lower(): value for name, value in answer.getheaders()}
    return {"status": answer.status, "headers": headers, "complete": complete,
            "body": body.decode("latin-1"), "size": size}


def main():
    sys.stdout.reconfigure(encoding="latin-1")
    requests = json.load(sys.stdin)
    with ThreadPoolExecutor(len(requests)) as pool:
        print(json.dumps(list(pool.map(ask, requests)), ensure_ascii=False))


if __name__ == "__main__":
    main()
