#!/usr/bin/env python3
"""Run a program and write the most memory that it held at once, octets.

    peak.py FILE PROGRAM ARGUMENT...
"""

import os
import resource
import sys

path, *words = sys.argv[1:]
pid = os.fork()
if pid == 0:
    os.execvp(words[0], words)
status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
with open(path, "w") as file:
    file.write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
                   * 1024))
sys.exit(status if status >= 0 else 128 - status)
