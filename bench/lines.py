"""lines.lua with Python's poplib. Usage: python3 lines.py PORT"""

import poplib
import sys
import time


def peak():
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1])


conn = poplib.POP3("127.0.0.1", int(sys.argv[1]))
before = time.process_time()
_, lines, octets = conn.retr(1)
seconds = time.process_time() - before
conn.quit()
print(f"{seconds:.3f} {peak()} {len(lines)} {octets}")
