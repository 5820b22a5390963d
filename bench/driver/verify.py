"""Are the delivered octets those that the server sent?

A verifying run writes them to a file; programs add their own wrapping, which
is taken off here. Expected are all messages in their order, by SHA-256.
"""

import hashlib

CHUNK = 1 << 20


def plain(file):
    return iter(lambda: file.read(CHUNK), b"")


# Headers that a mail program adds to what it fetched.
ADDED = (b"Received:", b"Return-Path:", b"Delivered-To:", b"X-getmail-",
         b"Status:", b"X-Status:")


def without_added(lines):
    headers, skip = True, False
    for line in lines:
        if line is None:  # a new message
            headers = True
            continue
        if headers:
            if line in (b"\n", b"\r\n"):
                headers = False
            elif line[:1] not in b" \t":
                skip = line.startswith(ADDED)
            if headers and skip:
                continue
        yield line


def mbox_lines(file):
    """Messages are separated by a blank line and one that starts "From "."""
    blank = None
    for line in file:
        if line.startswith(b"From "):
            blank = None
            yield None
            continue
        if blank is not None:
            yield blank
            blank = None
        if line == b"\n":
            blank = line
            continue
        yield line


def bsmtp_lines(file):
    inside = False
    for line in file:
        line = line.replace(b"\r\n", b"\n")
        if not inside:
            if line == b"DATA\n":
                inside = True
                yield None
            continue
        if line == b".\n":
            inside = False
            continue
        yield line[1:] if line.startswith(b"..") else line


FORMS = {
    "crlf": (["crlf"], plain),
    "either": (["crlf", "lf"], plain),
    "mbox": (["lf"], lambda file: without_added(mbox_lines(file))),
    "bsmtp": (["lf"], lambda file: without_added(bsmtp_lines(file))),
}


def same(path, form, facts):
    accepted, read = FORMS[form]
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for chunk in read(file):
            digest.update(chunk)
    return digest.hexdigest() in [facts[name] for name in accepted]
