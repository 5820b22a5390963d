"""Where things are."""

import os

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
BENCH = os.path.join(ROOT, "bench")
CLIENTS = os.path.join(BENCH, "clients")
BUILD = os.path.join(ROOT, "build", "bench")  # programs, results, scratch
CERTIFICATES = os.path.join(BUILD, "certificates")
RESULTS = os.path.join(BUILD, "results.json")  # of every client
PARTIAL = os.path.join(BUILD, "partial.json")  # of some, and of checks
DOCS = os.path.join(ROOT, "docs")


def built(name):
    return os.path.join(BUILD, name)
