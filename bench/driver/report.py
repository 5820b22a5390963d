"""Results as Markdown: a table a job, and the measured part of the docs."""

import os

from .paths import DOCS

PAGE = os.path.join(DOCS, "performance.md")
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


def number(value, digits=3):
    """Three significant digits, without an exponent."""
    if value is None:
        return ""
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    text = f"{value:.{digits}g}"
    if "e" in text:
        text = f"{value:.6f}".rstrip("0")
    return text


def sorted_rows(rows):
    measured = [(name, row) for name, row in rows.items() if "value" in row]
    return sorted(measured, key=lambda pair: pair[1]["value"])


def columns(job):
    """(heading, function of a row), those that some row has."""
    what = "wall" if job["wall"] else "CPU"
    found = [
        (f"{what}, {job['unit']}", lambda row: number(row["value"])),
        ("least", lambda row: number(row["least"])),
        ("× floor", lambda row: number(row.get("times_floor"))),
        ("wall s", lambda row: number(row["wall"])),
        ("peak MiB", lambda row: f"{row['peak_mib']:.0f}"),
        ("in flight", lambda row: number(row.get("in_flight"))),
        ("round trips", lambda row: number(row.get("turns"))),
        (f"calls/{job['per']}", lambda row: number(row.get("calls"))),
        ("instructions/octet", lambda row: number(row.get("instructions"))),
        ("slowest ms", lambda row: number(row.get("slowest_ms"))),
        ("median ms", lambda row: number(row.get("median_ms"))),
    ]
    rows = [row for _, row in sorted_rows(job["rows"])]
    return [(head, cell) for head, cell in found
            if any(cell(row) for row in rows)]


def clients_table(job):
    heads = columns(job)
    out = ["| client | " + " | ".join(head for head, _ in heads) + " |",
           "|---|" + "---|" * len(heads)]
    for name, row in sorted_rows(job["rows"]):
        cells = [cell(row) for _, cell in heads]
        if not row.get("verified"):
            name += " (not verified)"
        out.append(f"| {name} | " + " | ".join(cells) + " |")
    return out


def left_out(job):
    """Those that tried and failed; who cannot do a job is not named."""
    return [f"{name} {row['trouble']}" for name, row in job["rows"].items()
            if row.get("trouble", "").startswith("fails")]


def idle_table(job):
    out = ["| client | plain, ours | resident | TLS, ours | resident |",
           "|---|---|---|---|---|"]
    for name, row in job["idle"].items():
        cells = [number(row[kind]) for kind in (
            "plain_ours", "plain_resident", "tls_ours", "tls_resident")]
        out.append(f"| {name} | " + " | ".join(cells) + " |")
    return out


def short(x):
    for size, unit in ((1 << 30, " GiB"), (1 << 20, " MiB"), (1 << 10, " KiB")):
        if x >= size and x % size == 0:
            return f"{x // size}{unit}"
    return f"{x:,}"


def series_table(one):
    points = sorted({x for line in one["lines"].values() for x, _ in line})
    out = [f"| {one['title']}, {one['unit']} | "
           + " | ".join(map(short, points)) + " |",
           "|---|" + "---|" * len(points)]
    for name, line in one["lines"].items():
        values = dict(line)
        out.append(f"| {name} | " + " | ".join(
            number(values.get(x)) for x in points) + " |")
    return out + [""]


def body(job):
    if "rows" in job:
        return clients_table(job) + [""] + [
            f"Not in the table: {reason}." for reason in left_out(job)]
    if "idle" in job:
        return idle_table(job)
    if "series" in job:
        return sum(map(series_table, job["series"]), [])
    return job["text"].rstrip().split("\n")


def title(name, job):
    quick = " (quick)" if job["quick"] else ""
    return f"**{name}**: {job['title']}{quick}"


def table(name, job):
    return "\n".join([title(name, job), "", *body(job), ""])


# ------------------------------------------------------------- the page


def machine_lines(results):
    machine = results["machine"]
    yield (f"Measured {results['date']} on {machine['cores']} cores of "
           f"{machine['processor']}, {machine['system']}, Linux "
           f"{machine['kernel']}.")
    versions = [f"{name}: {text}" for name, text in
                machine["versions"].items() if text]
    yield "Versions: " + "; ".join(versions) + "."


def best_peer(rows):
    for name, row in sorted_rows(rows):
        if name != "floor" and not name.startswith("pop3"):
            return f"{number(row['value'])} {name}"
    return "–"


def cell(rows, name):
    row = rows.get(name, {})
    return number(row["value"]) if "value" in row else "–"


def overview(jobs):
    yield ("| job | | floor | Lua 5.4 | × floor | LuaJIT | best peer | "
           "poplib |")
    yield "|---|---|---|---|---|---|---|---|"
    for name, job in jobs.items():
        if "rows" not in job:
            continue
        rows = job["rows"]
        times = rows.get("pop3, lua5.4", {}).get("times_floor")
        yield (f"| {name} | {job['unit']} | {cell(rows, 'floor')} | "
               f"{cell(rows, 'pop3, lua5.4')} | "
               f"{number(times) if times else '–'} | "
               f"{cell(rows, 'pop3, luajit')} | {best_peer(rows)} | "
               f"{cell(rows, 'poplib')} |")


def pictures(name, job):
    if "rows" in job:
        return [name]
    if "series" in job:
        return [f"{name}-{i + 1}" for i in range(len(job["series"]))]
    return []


def measured(results):
    jobs = results["jobs"]
    lines = [BEGIN, "", *machine_lines(results), "", *overview(jobs), ""]
    for name, job in jobs.items():
        lines += [title(name, job), ""]
        for picture in pictures(name, job):
            path = os.path.join(DOCS, "plots", picture + ".svg")
            if os.path.exists(path):
                lines += [f"![{name}](plots/{picture}.svg)", ""]
        lines += [*body(job), ""]
    return "\n".join(collapse(lines)) + END


def collapse(lines):
    """Never two empty lines together."""
    out = []
    for line in lines:
        if line or (out and out[-1]):
            out.append(line)
    return out


def write(results):
    with open(PAGE) as file:
        text = file.read()
    if BEGIN not in text:
        text = text.rstrip() + f"\n\n{BEGIN}\n{END}\n"
    before, rest = text.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    with open(PAGE, "w") as file:
        file.write(before + measured(results) + after)
    print(f"wrote {os.path.relpath(PAGE)}")
