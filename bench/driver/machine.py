"""What the figures were measured on."""

import os
import platform

from .clients import CLIENTS_TABLE, present, told_version


def processor():
    with open("/proc/cpuinfo") as file:
        for line in file:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def system():
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        return platform.system()


def describe():
    return {
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release().split("-")[0],
        "system": system(),
        "versions": {client.name: told_version(client)
                     for client in CLIENTS_TABLE if present(client)},
    }
