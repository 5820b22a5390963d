"""Who is measured. A client is a command that understands

    COMMAND VERB key=value...

and ends with status 77 when it cannot do the job; see bench/README.md.
"""

import os
import shutil
import subprocess
from dataclasses import dataclass, field

from .paths import CLIENTS, ROOT, built


@dataclass
class Client:
    name: str
    command: list
    form: str = "crlf"   # how delivered octets look: verify.py
    ours: bool = False
    needs: str = ""      # a program, or a file
    version: tuple = ()  # a command that prints it
    environment: dict = field(default_factory=dict)
    traceable: bool = True  # valgrind can run it


def script(name):
    return os.path.join(CLIENTS, name)


def ours(lua):
    return Client(
        f"pop3, {lua}", [lua, script("pop3.lua")], ours=True, needs=lua,
        version=(lua, "-v"), environment={
            "LUA_PATH": os.path.join(ROOT, "lua", "?.lua") + ";;",
            "LUA_CPATH": os.path.join(ROOT, "build", lua, "?.so") + ";;"})


PYTHON = "/usr/bin/python3"

FLOOR = Client("floor", [built("floor")], form="none", needs=built("floor"))

CLIENTS_TABLE = [
    FLOOR,
    ours("lua5.4"),
    ours("luajit"),
    Client("libcurl", [built("libcurl")], needs=built("libcurl"),
           version=("curl-config", "--version")),
    Client("curl", [script("curl.sh")], needs="curl",
           version=("curl", "--version")),
    Client("mpop", [script("mpop.sh")], form="mbox", needs="mpop",
           version=("mpop", "--version")),
    Client("fetchmail", [script("fetchmail.sh")], form="bsmtp",
           needs="fetchmail", version=("fetchmail", "--version")),
    Client("getmail6", [script("getmail.sh")], form="mbox", needs="getmail",
           version=("getmail", "--version")),
    Client("poplib", [PYTHON, script("python.py")], needs=PYTHON,
           version=(PYTHON, "--version")),
    Client("Net::POP3", ["perl", script("net-pop3.pl")], form="either",
           needs="perl",
           version=("perl", "-MNet::POP3", "-e",
                    "print qq(Net::POP3 $Net::POP3::VERSION, Perl $^V)")),
    Client("net-pop", ["ruby", script("net-pop.rb")], needs="ruby",
           version=("ruby", "-rnet/pop", "-e",
                    "puts %(net-pop #{Net::POP3::VERSION}, "
                    "Ruby #{RUBY_VERSION})")),
    Client("node-pop3", ["node", script("node-pop3.js")],
           needs=built("npm/node_modules/node-pop3"), traceable=False,
           version=("node", "-p",
                    "'node-pop3 ' + JSON.parse(require('fs').readFileSync("
                    f"'{built('npm/node_modules/node-pop3/package.json')}'"
                    ")).version + ', Node ' + process.version")),
]


def present(client):
    if client.needs.startswith("/"):
        return os.path.exists(client.needs)
    return shutil.which(client.needs) is not None


def told_version(client):
    if not client.version:
        return ""
    answer = subprocess.run(client.version, stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            timeout=30, check=False, text=True,
                            errors="replace").stdout
    lines = [line.strip() for line in answer.splitlines()
             if any(digit in line for digit in "0123456789")]
    line = lines[0].split(" -- ")[0].split(" (")[0] if lines else ""
    return line.removeprefix("This is ").split("  ")[0].split("+")[0]
