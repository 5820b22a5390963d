#!/usr/bin/env python3
"""A Dovecot of our own, for specs: own configuration, ports and folders.

Started by dovecot.lua, with options in JSON as its argument, which writes one
JSON request a line to standard input and reads one JSON answer a line from standard output. The first answer comes
unasked when the server listens: ports, password, CA file. When standard input
ends, however that came about, Dovecot is stopped and its folder is removed.

Options:
    "sasl": true         every mechanism that it has, instead of PLAIN and APOP:
                         EXTERNAL for who shows a certificate of our CA (client
                         .pem and .key are joe's), OAUTHBEARER and XOAUTH2 by
                         introspection at an endpoint of ours, which knows
                         tokens such as "token-of-joe"
    "mechanisms": WORDS  these instead
    "cert", "key": FILE  shown in place of its own certificate
    "only_tls": true     disable_plaintext_auth, and an address that is not the
                         client's: the same one counts as secure

Requests:
    {"op": "deliver", "user": U, "mails": "HEX;HEX;"}  fill a new mailbox
    {"op": "awkward", "user": U, "count": N}           the same, generated
    {"op": "kick", "user": U}                          end U's sessions
    {"op": "poplib", "user": U, "numbers": [N, ...]}   what Python retrieves
    {"op": "log"}                                      what Dovecot logged
    {"op": "login", "number": N}                       by what it went, when it
                                                       is in the log
"""

import http.server
import json
import os
import poplib
import pwd
import random
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

PASSWORD = "correct-horse"
START_SECONDS = 20
ATTEMPTS = 5

CONFIGURATION = """
base_dir = {root}/run
state_dir = {root}/state
log_path = /dev/stderr
protocols = pop3
listen = 127.0.0.1

default_internal_user = {internal}
default_internal_group = {internal_group}
default_login_user = {login}
{rootless}
first_valid_uid = 1
first_valid_gid = 1
mail_uid = {mail_uid}
mail_gid = {mail_gid}
mail_home = {root}/users/%u
mail_location = maildir:~/Maildir
mailbox_list_index = no

ssl = yes
ssl_cert = <{root}/server.pem
ssl_key = <{root}/server.key
disable_plaintext_auth = {only_tls}
auth_mechanisms = {mechanisms}
auth_failure_delay = 0
{others}
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={mail_uid} gid={mail_gid} home={root}/users/%u
}}

pop3_uidl_format = %f
# Several sessions of one user would wait for each other's lock.
pop3_lock_session = no

service pop3-login {{
  inet_listener pop3 {{
    address = {address}
    port = {plain}
  }}
  inet_listener pop3s {{
    address = {address}
    port = {implicit}
    ssl = yes
  }}
  # One process serves all connections; a fork for each costs time.
  service_count = 0
  process_limit = 2
}}
service pop3 {{
  service_count = 0
  process_limit = 40
  process_min_avail = 1
}}
# No growing delay after wrong passwords.
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  unix_listener stats-writer {{
    mode = 0666
  }}
}}
"""

MECHANISMS = ("plain login apop cram-md5 digest-md5 scram-sha-1 scram-sha-256 "
              "anonymous external oauthbearer xoauth2")

# Users by certificate and by token, before those with a password.
OTHERS = """
auth_anonymous_username = nobody
ssl_ca = <{root}/ca.pem
ssl_verify_client_cert = yes
ssl_require_crl = no
# Who shows certificates cannot resume: "session id context uninitialized".
ssl_options = no_ticket
auth_ssl_username_from_cert = yes
passdb {{
  driver = static
  mechanisms = external
  args = nopassword=y
}}
passdb {{
  driver = oauth2
  mechanisms = oauthbearer xoauth2
  args = {root}/oauth2.conf
}}
"""

OAUTH2 = """
introspection_mode = post
introspection_url = http://127.0.0.1:{port}/introspect
username_attribute = username
active_attribute = active
active_value = true
"""

# Without root there is nothing to change to, and no chroot.
ROOTLESS = """
service anvil {
  chroot =
}
service pop3-login {
  chroot =
}
"""


def run(*command, folder):
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    if done.returncode:
        raise RuntimeError(f"{command[0]}: {done.stdout.decode()}")


def make_certificates(root):
    """A CA and a certificate for localhost, by the openssl command."""
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    run("openssl", "req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem",
        "-days", "30", "-subj", "/CN=Spec CA",
        "-addext", "basicConstraints=critical,CA:TRUE",
        "-addext", "keyUsage=critical,keyCertSign", folder=root)
    run("openssl", "req", *key, "-keyout", "server.key", "-out", "server.csr",
        "-subj", "/CN=server", folder=root)
    with open(f"{root}/server.ext", "w") as out:
        out.write("subjectAltName=DNS:localhost,IP:127.0.0.1\n"
                  "extendedKeyUsage=serverAuth\n")
    run("openssl", "x509", "-req", "-in", "server.csr", "-CA", "ca.pem",
        "-CAkey", "ca.key", "-CAcreateserial", "-days", "30",
        "-extfile", "server.ext", "-out", "server.pem", folder=root)


def make_client_certificate(root, user):
    run("openssl", "req", "-newkey", "ec", "-pkeyopt",
        "ec_paramgen_curve:P-256", "-nodes", "-keyout", "client.key", "-out",
        "client.csr", "-subj", f"/CN={user}", folder=root)
    with open(f"{root}/client.ext", "w") as out:
        out.write("extendedKeyUsage=clientAuth\n")
    run("openssl", "x509", "-req", "-in", "client.csr", "-CA", "ca.pem",
        "-CAkey", "ca.key", "-CAcreateserial", "-days", "30",
        "-extfile", "client.ext", "-out", "client.pem", folder=root)


class Introspection(http.server.BaseHTTPRequestHandler):
    """RFC 7662: whose is a token?"""

    def do_POST(self):
        size = int(self.headers.get("Content-Length", 0))
        form = urllib.parse.parse_qs(self.rfile.read(size).decode())
        token = form.get("token", [""])[0]
        answer = {"active": token.startswith("token-of-")}
        if answer["active"]:
            answer["username"] = token[len("token-of-"):].split(".")[0]
        octets = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(octets)))
        self.end_headers()
        self.wfile.write(octets)

    def log_message(self, *_):
        pass


def start_introspection():
    """Its port; it ends with this process."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Introspection)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def find_dovecot():
    path = os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin"
    found = shutil.which("dovecot", path=path)
    if not found:
        raise RuntimeError("dovecot is not installed (dovecot-pop3d)")
    return found


class Accounts:
    """Who runs what: Debian's accounts under root, ourselves otherwise."""

    def __init__(self):
        self.is_root = os.geteuid() == 0
        me = pwd.getpwuid(os.geteuid())
        mail = pwd.getpwnam("nobody") if self.is_root else me
        self.internal = "dovecot" if self.is_root else me.pw_name
        self.login = "dovenull" if self.is_root else me.pw_name
        self.group = self.internal
        if not self.is_root:
            import grp
            self.group = grp.getgrgid(me.pw_gid).gr_name
        self.uid, self.gid = mail.pw_uid, mail.pw_gid


class Dovecot:
    def __init__(self, options):
        self.options = options
        self.root = tempfile.mkdtemp(prefix="poplib-dovecot-")
        os.chmod(self.root, 0o755)
        for name in ("run", "state", "users", "delivered"):
            os.mkdir(f"{self.root}/{name}")
        self.accounts = Accounts()
        self.process = None
        self.log = b""

    def start(self):
        make_certificates(self.root)
        for option, name in (("cert", "server.pem"), ("key", "server.key")):
            if option in self.options:
                shutil.copyfile(self.options[option], f"{self.root}/{name}")
        if self.options.get("sasl"):
            self.prepare_others()
        for _ in range(ATTEMPTS):
            self.plain, self.implicit = free_ports(2)
            self.configure()
            if self.launch():
                return
        raise RuntimeError("dovecot does not start:\n" + self.log.decode())

    def prepare_others(self):
        make_client_certificate(self.root, "joe")
        with open(f"{self.root}/oauth2.conf", "w") as out:
            out.write(OAUTH2.format(port=start_introspection()))

    def address(self):
        return "127.0.0.2" if self.options.get("only_tls") else "127.0.0.1"

    def mechanisms(self):
        usual = MECHANISMS if self.options.get("sasl") else "plain apop"
        return self.options.get("mechanisms", usual)

    def configure(self):
        who = self.accounts
        others = OTHERS if self.options.get("sasl") else ""
        with open(f"{self.root}/dovecot.conf", "w") as out:
            out.write(CONFIGURATION.format(
                root=self.root, internal=who.internal, login=who.login,
                internal_group=who.group,
                rootless="" if who.is_root else ROOTLESS,
                mail_uid=who.uid, mail_gid=who.gid,
                plain=self.plain, implicit=self.implicit,
                mechanisms=self.mechanisms(),
                only_tls="yes" if self.options.get("only_tls") else "no",
                address=self.address(),
                others=others.format(root=self.root),
                password=PASSWORD))

    def launch(self):
        # A sanitizer that was preloaded for the client is not for Dovecot.
        environment = dict(os.environ)
        environment.pop("LD_PRELOAD", None)
        self.process = subprocess.Popen(
            [find_dovecot(), "-F", "-c", f"{self.root}/dovecot.conf"],
            env=environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, start_new_session=True)
        os.set_blocking(self.process.stderr.fileno(), False)
        deadline = time.monotonic() + START_SECONDS
        while b"starting up for" not in self.log:
            if not self.read_log(deadline - time.monotonic()):
                self.kill()
                return False
        return True

    def read_log(self, seconds):
        """One piece of the log; False at its end or after `seconds`."""
        stream = self.process.stderr
        if not select.select([stream], [], [], max(0, seconds))[0]:
            return False
        octets = stream.read()
        self.log += octets or b""
        return bool(octets)

    def drain_log(self):
        while self.read_log(0):
            pass

    def login(self, number):
        """The mechanism of the N-th login; the log comes a little later."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            found = re.findall(rb"Login: .*method=([^,]+)", self.log)
            if len(found) >= number:
                return {"method": found[number - 1].decode()}
            if not self.read_log(deadline - time.monotonic()):
                raise RuntimeError("nobody logged in")

    def deliver(self, user, mails):
        """Mail N of `user` is also kept, as delivered, in delivered/USER/N."""
        maildir = f"{self.root}/users/{user}/Maildir"
        kept = f"{self.root}/delivered/{user}"
        for folder in ("cur", "new", "tmp"):
            os.makedirs(f"{maildir}/{folder}")
        os.mkdir(kept)
        for number, mail in enumerate(mails, 1):
            with open(f"{kept}/{number}", "wb") as out:
                out.write(mail)
            with open(f"{maildir}/new/{uid_of(number)}", "wb") as out:
                out.write(mail)
        for folder, _, names in os.walk(f"{self.root}/users/{user}"):
            for name in [folder] + [f"{folder}/{each}" for each in names]:
                os.chown(name, self.accounts.uid, self.accounts.gid)
        return {"folder": kept, "count": len(mails)}

    def kick(self, user):
        """Returns when the goodbye has reached a client's socket."""
        before = self.ended_clients()
        run("doveadm", "-c", f"{self.root}/dovecot.conf", "kick", user,
            folder=self.root)
        deadline = time.monotonic() + START_SECONDS
        while self.ended_clients() <= before:
            if time.monotonic() > deadline:
                raise RuntimeError("no session ended")
            os.sched_yield()
        return {}

    def ended_clients(self):
        """Sockets connected to our plain port whose server has closed."""
        close_wait, remote = "08", ":%04X" % self.plain
        with open("/proc/net/tcp", encoding="ascii") as table:
            rows = [row.split() for row in table][1:]
        return sum(row[2].endswith(remote) and row[3] == close_wait
                   for row in rows)

    def retrieve_with_poplib(self, user, numbers):
        """{N: [status line, lines, octets]} with octets in hexadecimal."""
        poplib._MAXLINE = 1 << 20  # its limit of 2048 loses real mail
        peer = poplib.POP3("127.0.0.1", self.plain, timeout=30)
        peer.user(user)
        peer.pass_(PASSWORD)
        found = {}
        for number in numbers:
            status, lines, octets = peer.retr(number)
            found[str(number)] = {
                "status": status.decode(), "octets": octets,
                "hex": b"".join(line + b"\r\n" for line in lines).hex()}
        peer.quit()
        return found

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, 9)
                self.process.wait()

    def stop(self):
        self.kill()
        shutil.rmtree(self.root, ignore_errors=True)


def uid_of(number):
    return f"{1600000000 + number}.M{number:04d}.spec"


HEADER = (b"From: a@example.org\nTo: b@example.org\n"
          b"Subject: message %d\nMessage-Id: <%d@example.org>\n")


def awkward_bodies(random_source):
    """One generator of a body for each kind of trouble, in turn."""
    def words(count):
        return b" ".join(random_source.choice((b"pop", b"three", b".", b"..",
                                               b"mail", b"\xc3\xa9"))
                         for _ in range(count))

    return [
        lambda: b"\n" + words(9) + b"\n",
        lambda: b"\n.\n..\n...\n.dot\n.. two\n.\r\n. \n",
        lambda: b"\n" + bytes(range(0x80, 0x100)) + b"\n",
        lambda: b"\n" + b"x" * 10000 + b"\n." + b"y" * 9999 + b"\n",
        lambda: b"",
        lambda: b"\n",
        lambda: b"\nno final newline",
        lambda: b"\nends in a dot line\n.",
        lambda: b"X-Long: " + b"h" * 5000 + b"\n folded " + b"f" * 3000
                + b"\n\nbody\n",
        lambda: b"\n" + b"\n" * 200,
        lambda: b"\n\r\r\rbare\rCR\r\n\rmore\n",
        lambda: b"\n" + b"\n".join(words(random_source.randrange(1, 30))
                                   for _ in range(60)) + b"\n",
        lambda: b"\nescapes \x1b[31m \x07 \x7f tab\there\n+OK\n-ERR no\n",
        lambda: b"\n" + b".\n" * 500,
        lambda: b"\n" + b"z" * random_source.randrange(4090, 4100) + b"\n.\n",
        lambda: b"\nstored with CRLF\r\n.\r\n..\r\n\r\nand LF\n",
        lambda: b"\nNUL \0 and \0\0\n\0\n",
        lambda: b"\n" + random_source.randbytes(3000).replace(b"\0", b"0")
                + b"\n",
    ]


def awkward_mails(count):
    bodies = awkward_bodies(random.Random(1939))
    return [HEADER % (n, n) + bodies[n % len(bodies)]()
            for n in range(1, count + 1)]


def answer(server, request):
    operation = request["op"]
    if operation == "deliver":
        mails = [bytes.fromhex(each)
                 for each in request["mails"].split(";")[:-1]]
        return server.deliver(request["user"], mails)
    if operation == "awkward":
        return server.deliver(request["user"],
                              awkward_mails(request["count"]))
    if operation == "kick":
        return server.kick(request["user"])
    if operation == "poplib":
        return server.retrieve_with_poplib(request["user"],
                                           request["numbers"])
    if operation == "login":
        return server.login(int(request["number"]))
    if operation == "log":
        server.drain_log()
        return {"log": server.log.decode("latin-1")}
    raise ValueError(operation)


def say(value):
    print(json.dumps(value), flush=True)


def serve(server):
    try:
        server.start()
    except Exception as failure:
        say({"error": str(failure)})
        return
    say({"host": server.address(), "plain": server.plain, "implicit": server.implicit,
         "password": PASSWORD, "cafile": f"{server.root}/ca.pem",
         "certfile": f"{server.root}/client.pem",
         "keyfile": f"{server.root}/client.key",
         "version": server.log.decode().split("Dovecot ")[1].split(" ")[0]})
    for line in sys.stdin:
        request = json.loads(line)
        server.drain_log()
        try:
            say(answer(server, request))
        except Exception as failure:
            say({"error": f"{type(failure).__name__}: {failure}"})


def main():
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))
    server = Dovecot(json.loads(sys.argv[1]) if sys.argv[1:] else {})
    try:
        serve(server)
    finally:
        server.stop()


if __name__ == "__main__":
    main()
