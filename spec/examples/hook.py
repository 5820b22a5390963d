#!/usr/bin/env python3
"""An HTTP endpoint that takes mails, for specs.

    hook.py STATUSES...

The n-th mail that it gets to know, by X-UID, is answered by the n-th word: a
list as "500,close,200", one for each POST of it, the last one for all others;
"close" hangs up instead. Prints "PORT n", and for each POST a line of JSON:
uid, status, body (Latin-1), whether it was complete, other headers. Ends when
its reader does, or after a while.
"""
import json
import os
import select
import socketserver
import sys
import threading
from http.server import BaseHTTPRequestHandler


DEADLINE_MS = 20000


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def read_chunks(self):
        body = b""
        while size := int(self.rfile.readline() or b"-1", 16):
            if size < 0:
                return body, False
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body, True

    def do_POST(self):
        body, complete = self.read_chunks()
        uid = self.headers["X-UID"]
        statuses = self.server.next_status(uid)
        print(json.dumps({
            "uid": uid, "status": statuses, "complete": complete,
            "body": body.decode("latin-1"), "path": self.path,
            "type": self.headers["Content-Type"]}, ensure_ascii=False),
            flush=True)
        if statuses != "close" and complete:
            self.send_response(int(statuses))
            self.send_header("Content-Length", "0")
            self.end_headers()
        self.close_connection = True

    def log_message(self, *_):
        pass


class Endpoint(socketserver.ThreadingMixIn, socketserver.TCPServer):
    daemon_threads = True

    def __init__(self, statuses):
        super().__init__(("127.0.0.1", 0), Handler)
        self.plans = [plan.split(",") for plan in statuses]
        self.known = {}
        self.lock = threading.Lock()

    def next_status(self, uid):
        with self.lock:
            if uid not in self.known:
                self.known[uid] = self.plans[min(len(self.known),
                                                 len(self.plans) - 1)]
            plan = self.known[uid]
            return plan.pop(0) if len(plan) > 1 else plan[0]


def main():
    sys.stdout.reconfigure(encoding="latin-1")
    endpoint = Endpoint(sys.argv[1:])
    print("PORT %d" % endpoint.server_address[1], flush=True)
    threading.Thread(target=endpoint.serve_forever, daemon=True).start()
    reader = select.poll()
    reader.register(1, 0)  # POLLERR is always reported
    reader.poll(DEADLINE_MS)
    os._exit(0)


if __name__ == "__main__":
    main()
