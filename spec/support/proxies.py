#!/usr/bin/env python3
"""A proxy that nobody here wrote, on a port of its own, for the specs.

Usage: proxies.py socks5|http|tls FOLDER [--login USER:PASSWORD]
                  [--certificate FILE --key FILE --to PORT]

socks5 is microsocks, http is tinyproxy; tls is stunnel in front of the proxy
at PORT. FOLDER is for what they write. It prints "PORT n" once the proxy takes
connections, and ends, with the proxy, when its reader goes away.
"""
import argparse
import os
import select
import shutil
import socket
import subprocess
import sys

PROGRAMS = {"socks5": "microsocks", "http": "tinyproxy", "tls": "stunnel4"}

TINYPROXY = """Port {port}
Listen 127.0.0.1
Timeout 60
MaxClients 20
LogFile "{folder}/log"
LogLevel Info
Allow 127.0.0.1
{login}
"""

STUNNEL = """foreground = yes
pid =
output = {folder}/log
[proxy]
accept = 127.0.0.1:{port}
connect = 127.0.0.1:{to}
cert = {certificate}
key = {key}
"""


def socks5(path, port, args):
    command = [path, "-i", "127.0.0.1", "-p", str(port)]
    if args.login:
        user, password = args.login.split(":", 1)
        command += ["-u", user, "-P", password]
    return command


def write(args, text):
    path = os.path.join(args.folder, "configuration")
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
    return path


def http(path, port, args):
    login = ""
    if args.login:
        login = "BasicAuth " + args.login.replace(":", " ", 1)
    text = TINYPROXY.format(port=port, folder=args.folder, login=login)
    return [path, "-d", "-c", write(args, text)]


def tls(path, port, args):
    return [path, write(args, STUNNEL.format(port=port, **vars(args)))]


COMMANDS = {"socks5": socks5, "http": http, "tls": tls}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def is_up(port, process):
    """Wait until it takes a connection; false if it ended instead."""
    while process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return True
        except OSError:
            select.select([], [], [], 0.02)
    return False


def start(path, args):
    """Somebody else may have taken the port meanwhile: another one, then."""
    for _ in range(5):
        port = free_port()
        process = subprocess.Popen(COMMANDS[args.kind](path, port, args),
                                   stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        if is_up(port, process):
            return port, process
    sys.exit("it does not start")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=sorted(PROGRAMS))
    parser.add_argument("folder")
    for name in ("--login", "--certificate", "--key", "--to"):
        parser.add_argument(name)
    args = parser.parse_args()
    path = shutil.which(PROGRAMS[args.kind], path="/usr/bin:/usr/sbin")
    if not path:
        print("there is no " + PROGRAMS[args.kind], flush=True)
        return
    port, process = start(path, args)
    try:
        print("PORT %d" % port, flush=True)
        poll = select.poll()
        poll.register(sys.stdout.fileno(), 0)
        while process.poll() is None and not poll.poll(500):
            pass
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    main()
