"""The gate for whoever changes the hot path: limits in one table.

Not part of the tests: a busy machine must not fail them. Ratios are to the
floor of the same interleaved runs; absolute limits are generous on purpose.
"""

TIMES_FLOOR, VALUE, PEAK = "times_floor", "value", "peak_mib"

# job, field, at most
LIMITS = [
    ("callback", TIMES_FLOOR, 1.7),
    ("string", TIMES_FLOOR, 8.75),
    ("string", PEAK, 2.05 * 256),
    ("tls", TIMES_FLOOR, 1.45),
    ("small", TIMES_FLOOR, 2.0),
    ("small-tls", TIMES_FLOOR, 1.6),
    ("small-each", TIMES_FLOOR, 1.15),
    ("listing", VALUE, 0.13),
    ("listing", PEAK, 24),
    ("listing-tables", VALUE, 0.32),
    ("listing-tables", PEAK, 75),
    ("far", VALUE, 0.13),
    ("far-quit", VALUE, 0.09),
    ("session", TIMES_FLOOR, 1.2),
    ("session-each", TIMES_FLOOR, 1.2),
    ("session-tls", TIMES_FLOOR, 1.2),
    ("session-resumed", TIMES_FLOOR, 1.2),
    ("open-scram", TIMES_FLOOR, 1.3),
    ("boxes", TIMES_FLOOR, 1.35),
]

SLOWEST_TO_MEDIAN = 2  # of the mailboxes
DOTS_TO_CALLBACK = 3   # a mail of nothing but dots, per octet
IDLE_KIB = 64
GROWTH = 1.5           # per unit, from the middle of a series to its end


def jobs():
    names = dict.fromkeys(name for name, _, _ in LIMITS)
    return [*names, "dots", "idle", "linear"]


def judged(row, field):
    if "value" not in row:
        return None, row.get("trouble", "not measured")
    return row.get(field), ""


def table_claims(results):
    for name, field, most in LIMITS:
        job = results["jobs"].get(name, {})
        for client, row in job.get("rows", {}).items():
            if not client.startswith("pop3"):
                continue
            found, why = judged(row, field)
            yield name, client, field, found, most, why


def own_claims(results):
    jobs_ = results["jobs"]
    for client, row in jobs_.get("boxes", {}).get("rows", {}).items():
        if client.startswith("pop3") and "slowest_ms" in row:
            yield ("boxes", client, "slowest / median",
                   row["slowest_ms"] / row["median_ms"], SLOWEST_TO_MEDIAN, "")
    plain = jobs_.get("callback", {}).get("rows", {})
    for client, row in jobs_.get("dots", {}).get("rows", {}).items():
        if client.startswith("pop3") and "value" in plain.get(client, {}) \
                and "value" in row:
            yield ("dots", client, "of callback",
                   row["value"] / plain[client]["value"], DOTS_TO_CALLBACK, "")
    for client, row in jobs_.get("idle", {}).get("idle", {}).items():
        for kind in ("plain", "tls"):
            yield ("idle", client, kind + " KiB", row[kind + "_ours"],
                   IDLE_KIB, "")
    for one in jobs_.get("linear", {}).get("series", []):
        for client, line in one["lines"].items():
            if client.startswith("pop3"):
                middle = line[len(line) // 2][1]
                yield ("linear", client, one["title"], line[-1][1] / middle,
                       GROWTH, "")


def verdict(results, names):
    """Print every claim; 1 when one of them does not hold."""
    failed = 0
    print("| job | client | what | found | at most | |")
    print("|---|---|---|---|---|---|")
    for name, client, field, found, most, why in (
            *table_claims(results), *own_claims(results)):
        if name not in names:
            continue
        good = found is not None and found <= most
        failed += not good
        shown = "–" if found is None else f"{found:.3g}"
        print(f"| {name} | {client} | {field} | {shown} | {most:.4g} | "
              f"{'' if good else 'FAILS ' + why} |")
    print(f"\n{failed} of the limits are broken" if failed
          else "\nevery limit holds")
    return 1 if failed else 0
