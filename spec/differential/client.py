#!/usr/bin/env python3
"""Runs the sessions of generate.py through Python's poplib.

Usage: client.py sessions.json PORT > results.json

A result per session, in their order: {seed, outcomes}, the first outcome is
the constructor's. An outcome is

  {ok: VALUE}                  the call returned
  {error: CLASS, text: TEXT}   it raised; CLASS is "proto" for error_proto,
                               "socket" for what the transport raises, else the
                               name of Python's exception

VALUE is a status line, {resp, lines, octets}, {count, octets} as decimal
strings, {capa: {name: [argument]}} or true for nothing. Behind an end of
stream or a line too long there is nothing to compare: the session ends.
"""
import json
import poplib
import sys

TIMEOUT = 20
LAST_WORDS = ("-ERR EOF", "line too long")


def text(value):
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def argument(value):
    if isinstance(value, str):
        return value.encode("latin-1").decode("utf-8")
    return value


def value_of(method, got):
    if got is None:
        return True
    if method == "stat":
        return {"count": str(got[0]), "octets": str(got[1])}
    if method == "capa":
        return {"capa": got}
    if isinstance(got, tuple):
        return {"resp": text(got[0]), "lines": [text(line) for line in got[1]],
                "octets": got[2]}
    return text(got)


def attempt(method, function, *arguments):
    try:
        return {"ok": value_of(method, function(*arguments))}
    except poplib.error_proto as error:
        return {"error": "proto", "text": text(error.args[0])}
    except OSError as error:
        return {"error": "socket", "text": type(error).__name__}
    except Exception as error:
        return {"error": type(error).__name__, "text": text(error)}


def run(session, port):
    connection = []

    def connect():
        connection.append(poplib.POP3("127.0.0.1", port, TIMEOUT))
        return connection[0].getwelcome()

    outcomes = [attempt("connect", connect)]
    for method, *arguments in session["calls"]:
        last = outcomes[-1].get("text")
        if not connection or last in LAST_WORDS:
            break
        outcomes.append(attempt(method, getattr(connection[0], method),
                                *map(argument, arguments)))
    if connection:
        attempt("close", connection[0].close)
    return {"seed": session["seed"], "outcomes": outcomes}


def main(path, port):
    with open(path, encoding="latin-1") as file:
        sessions = json.load(file)
    results = [run(session, int(port)) for session in sessions]
    said = json.dumps(results, ensure_ascii=False).encode("latin-1")
    sys.stdout.buffer.write(said)


if __name__ == "__main__":
    main(*sys.argv[1:])
