#!/usr/bin/env python3
"""Measure: started by scripts/bench, which builds what this needs."""

import argparse
import datetime
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from driver import check, jobs, machine, plots, report, special  # noqa: E402
from driver.clients import CLIENTS_TABLE, present  # noqa: E402
from driver.paths import PARTIAL, RESULTS  # noqa: E402
from driver.rows import measure_job, say, start_costs  # noqa: E402


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/bench")
    parser.add_argument("jobs", nargs="*", metavar="JOB")
    parser.add_argument("--quick", action="store_true",
                        help="smaller sizes, two runs")
    parser.add_argument("--runs", type=int, help="of each client (5)")
    parser.add_argument("--only", metavar="CLIENT,...",
                        help="these, and the floor; `ours` for this module")
    parser.add_argument("--no-counts", action="store_true",
                        help="no system calls, no instructions")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--check", action="store_true",
                        help="this module against the limits")
    parser.add_argument("--report", action="store_true",
                        help="docs/performance.md and plots from the results")
    return parser.parse_args()


def chosen_clients(only):
    def wanted(client):
        return (only is None or client.name == "floor" or
                client.name in only or (client.ours and "ours" in only))
    return [client for client in CLIENTS_TABLE
            if wanted(client) and present(client)]


def chosen_jobs(names, table):
    known = [*table, *special.JOBS]
    for name in names:
        if name not in known:
            sys.exit(f"scripts/bench: there is no job {name}: "
                     + " ".join(known))
    return names or known


def in_order(found, table):
    """As the jobs are listed, whenever they were measured."""
    return {name: found[name] for name in [*table, *special.JOBS]
            if name in found}


def load(path):
    try:
        with open(path) as file:
            return json.load(file)
    except (OSError, ValueError):
        return {"jobs": {}}


def save(results, path):
    aside = path + ".new"
    with open(aside, "w") as file:
        json.dump(results, file, indent=1)
    os.replace(aside, path)


def measure_all(options, names, table, clients):
    runs = options.runs or (2 if options.quick else 5)
    counts = not options.no_counts
    path = PARTIAL if options.only else RESULTS
    results = load(path)
    results["machine"] = machine.describe()
    results["date"] = datetime.date.today().isoformat()
    say("what a process costs")
    started = start_costs(clients, max(runs, 5), counts)
    for name in names:
        say(name)
        if name in special.JOBS:
            found = special.JOBS[name](options.quick, clients, started)
        else:
            job = table[name]
            found = {"title": job.title, "unit": job.unit, "per": job.per,
                     "wall": job.wall, "runs": runs,
                     "rows": measure_job(job, clients, started, runs, counts)}
        results["jobs"][name] = {**found, "quick": options.quick}
        save(results, path)
        print(report.table(name, results["jobs"][name]), flush=True)
    return results


def main():
    options = arguments()
    table = jobs.table(options.quick)
    if options.list:
        print("jobs:    " + " ".join([*table, *special.JOBS]))
        print("clients: " + ", ".join(c.name for c in CLIENTS_TABLE))
        return 0
    if options.report:
        results = load(RESULTS)
        results["jobs"] = in_order(results["jobs"], table)
        plots.draw_all(results)
        report.write(results)
        return 0
    if options.check:
        options.only, options.no_counts = "ours", True
        options.jobs = options.jobs or check.jobs()
    names = chosen_jobs(options.jobs, table)
    only = options.only and options.only.split(",")
    results = measure_all(options, names, table, chosen_clients(only))
    return check.verdict(results, names) if options.check else 0


if __name__ == "__main__":
    sys.exit(main())
