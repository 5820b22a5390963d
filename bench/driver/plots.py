"""One SVG a job: bars for clients, lines for series. No library."""

import math
import os
from xml.sax.saxutils import escape

from .paths import DOCS
from .report import number, short, sorted_rows

FOLDER = os.path.join(DOCS, "plots")
OURS, PEER, LEAST, INK, FAINT = (
    "#0f62ac", "#a9b4c0", "#5d6672", "#1b1f24", "#dfe3e8")
SERIES = {"floor": LEAST, "pop3, lua5.4": OURS, "pop3, luajit": "#c2571a"}

WIDTH, LEFT, RIGHT, TOP, BAR, STEP = 720, 130, 90, 46, 16, 25


class Drawing:
    def __init__(self, height):
        self.height = height
        self.parts = []

    def add(self, element, body=None, **attributes):
        words = " ".join(f'{name.replace("_", "-")}="{value}"'
                         for name, value in attributes.items())
        self.parts.append(f"<{element} {words}/>" if body is None else
                          f"<{element} {words}>{escape(body)}</{element}>")

    def text(self, x, y, body, size=12, anchor="start", fill=INK, **more):
        self.add("text", body, x=f"{x:.1f}", y=f"{y:.1f}", font_size=size,
                 text_anchor=anchor, fill=fill, **more)

    def line(self, x1, y1, x2, y2, stroke=FAINT):
        self.add("line", x1=f"{x1:.1f}", y1=f"{y1:.1f}", x2=f"{x2:.1f}",
                 y2=f"{y2:.1f}", stroke=stroke)

    def save(self, name):
        os.makedirs(FOLDER, exist_ok=True)
        with open(os.path.join(FOLDER, name + ".svg"), "w") as file:
            file.write(
                f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" '
                f'height="{self.height}" viewBox="0 0 {WIDTH} {self.height}" '
                'font-family="system-ui, sans-serif">\n'
                '<rect width="100%" height="100%" fill="#ffffff"/>\n'
                + "\n".join(self.parts) + "\n</svg>\n")


# ------------------------------------------------------------- bars


def ticks(most):
    """Round steps, four to eight of them."""
    power = 10 ** math.floor(math.log10(most / 4))
    step = next(s * power for s in (1, 2, 5, 10) if most / (s * power) <= 8)
    return [i * step for i in range(int(most / step) + 1)]


def color(name):
    if name.startswith("pop3"):
        return OURS
    return LEAST if name == "floor" else PEER


def bars(name, job):
    rows = sorted_rows(job["rows"])
    if not rows:
        return
    bottom = TOP + STEP * len(rows)
    drawing = Drawing(bottom + 48)
    most = max(row["value"] for _, row in rows) or 1
    scale = (WIDTH - LEFT - RIGHT) / most
    drawing.text(12, 24, job["title"], 15, font_weight="600")
    for tick in ticks(most):
        x = LEFT + tick * scale
        drawing.line(x, TOP - 6, x, bottom)
        drawing.text(x, bottom + 16, number(tick), 11, "middle", LEAST)
    for i, (client, row) in enumerate(rows):
        y = TOP + i * STEP
        width = max(row["value"] * scale, 1)
        drawing.text(LEFT - 8, y + 12, client, anchor="end")
        drawing.add("rect", x=LEFT, y=y, width=f"{width:.1f}", height=BAR,
                    fill=color(client))
        drawing.text(LEFT + width + 6, y + 12, number(row["value"]))
    drawing.line(LEFT, TOP - 6, LEFT, bottom, INK)
    what = "elapsed time" if job["wall"] else "CPU time, user and system"
    drawing.text((LEFT + WIDTH - RIGHT) / 2, bottom + 36,
                 f"{what}, {job['unit']} (less is better)", 12, "middle")
    drawing.save(name)


# ------------------------------------------------------------- series

HEIGHT, BOTTOM = 380, 320


def decades(least, most):
    low, high = math.floor(math.log10(least)), math.ceil(math.log10(most))
    return [10.0 ** i for i in range(low, max(high, low + 1) + 1)]


def axis(values, start, end):
    """Values to pixels, both logarithmic."""
    marks = decades(min(values), max(values))
    low, high = math.log10(marks[0]), math.log10(marks[-1])

    def place(value):
        return start + (math.log10(value) - low) / (high - low) * (end - start)
    return marks, place


def lines(name, one):
    every = [p for line in one["lines"].values() for p in line if p[1] > 0]
    if not every:
        return
    drawing = Drawing(HEIGHT)
    points = sorted({x for x, _ in every})
    _, across = axis(points, LEFT, WIDTH - RIGHT - 30)
    marks, down = axis([y for _, y in every], BOTTOM, TOP)
    drawing.text(12, 24, "Cost per unit over " + one["title"], 15,
                 font_weight="600")
    for mark in marks:
        drawing.line(LEFT, down(mark), WIDTH - RIGHT - 30, down(mark))
        drawing.text(LEFT - 8, down(mark) + 4, number(mark), 11, "end", LEAST)
    for x in points:
        drawing.line(across(x), BOTTOM, across(x), BOTTOM + 4, INK)
        drawing.text(across(x), BOTTOM + 18, short(x), 11, "middle", LEAST)
    drawing.line(LEFT, BOTTOM, WIDTH - RIGHT - 30, BOTTOM, INK)
    labels = []
    for client, line in one["lines"].items():
        stroke = SERIES.get(client, PEER)
        places = [(across(x), down(y)) for x, y in line if y > 0]
        if not places:
            continue
        drawing.add("polyline", fill="none", stroke=stroke, stroke_width=2,
                    points=" ".join(f"{x:.1f},{y:.1f}" for x, y in places))
        for x, y in places:
            drawing.add("circle", cx=f"{x:.1f}", cy=f"{y:.1f}", r=3,
                        fill=stroke)
        labels.append([places[-1][0] + 8, places[-1][1] + 4, client, stroke])
    labels.sort(key=lambda label: label[1])
    for i, label in enumerate(labels):  # never one on another
        if i > 0:
            label[1] = max(label[1], labels[i - 1][1] + 14)
        drawing.text(label[0], label[1], label[2], fill=label[3])
    drawing.text((LEFT + WIDTH - RIGHT) / 2, BOTTOM + 42,
                 one["title"] + " (logarithmic)", 12, "middle")
    drawing.text(18, (TOP + BOTTOM) / 2, f"CPU time, {one['unit']}", 12,
                 "middle", transform=f"rotate(-90 18 {(TOP + BOTTOM) / 2})")
    drawing.save(name)


def draw_all(results):
    for name, job in results["jobs"].items():
        if "rows" in job:
            bars(name, job)
        for i, one in enumerate(job.get("series", [])):
            lines(f"{name}-{i + 1}", one)
