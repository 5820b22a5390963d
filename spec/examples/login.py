#!/usr/bin/env python3
"""A mail program for specs: Python's poplib.

    login.py PORT < [["user", "password"], ...]

Tries the logins on one connection, one after the other, until one is good, and
prints as JSON what the server said to each, the first message as Latin-1, and
how it ended if not with a goodbye.
"""
import json
import poplib
import sys


def log_in(peer, logins, answers):
    for user, password in logins:
        try:
            peer.user(user)
            answers.append(peer.pass_(password).decode())
            return True
        except poplib.error_proto as refusal:
            answers.append(refusal.args[0].decode())
    return False


def main():
    sys.stdout.reconfigure(encoding="latin-1")
    logins = json.load(sys.stdin)
    peer = poplib.POP3("127.0.0.1", int(sys.argv[1]), timeout=30)
    result = {"answers": []}
    try:
        if log_in(peer, logins, result["answers"]):
            octets = b"\r\n".join(peer.retr(1)[1]) + b"\r\n"
            result["message"] = octets.decode("latin-1")
            result["goodbye"] = peer.quit().decode()
        else:
            peer.capa()
    except (poplib.error_proto, OSError) as end:
        result["end"] = str(end)
    print(json.dumps(result, ensure_ascii=False))


if __name__ == "__main__":
    main()
