"""What tests/bench/run says: figures of rounds, their ratios to the peers, aims, the table and the curves."""

import html
import math
import re
import statistics

from lines import row

SIDES = {"troupe": "Troupe", "otp": "OTP", "caf": "CAF", "zmq": "libzmq", "socket": "socket"}


def short(number):
    for unit, size in (("M", 1e6), ("k", 1e4)):
        if abs(number) >= size:
            return f"{number / (1e3 if unit == 'k' else size):.3g} {unit}"
    return f"{number:.3g}" if abs(number) < 1000 else f"{number:.0f}"


def spread(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values), "values": values}


def judged(one, rounds):
    """The figures of one row: rounds is a list of {side: value}."""
    sides = {side: spread([each[side] for each in rounds if side in each]) for side in SIDES
             if any(side in each for each in rounds)}
    out = {"metric": one.metric, "title": one.title, "unit": one.unit, "better": one.better, "sides": sides, "aims": []}

    def quotients(side, better):
        pairs = [(each["troupe"], each[side]) for each in rounds if each.get("troupe") and each.get(side)]
        if not pairs:
            return None
        return spread([mine / theirs if better == "more" else theirs / mine for mine, theirs in pairs])
    out["times_otp"] = quotients("otp", one.better) if one.beside_peers else None
    out["times_caf"] = quotients("caf", one.better) if one.beside_peers else None
    out["of_floor"] = quotients("zmq", "more")
    aims = []
    for name, times, found in (("OTP", one.otp, out["times_otp"]), ("CAF", one.caf, out["times_caf"])):
        if times:
            aims.append((name, f"≥ {times:g}× {name}", found, "at least", times))
    for name, aim, found in (("libzmq", one.floor, out["of_floor"]), ("", one.value, sides.get("troupe"))):
        if aim:
            sign = "≥" if aim[0] == "at least" else "≤"
            text = f"{sign} {aim[1]:g}× {name}" if name else f"{sign} {aim[1]:g} {one.unit}".strip()
            aims.append((name, text, found, *aim))
    for name, text, found, direction, wanted in aims:
        holds = None
        if found:
            holds = found["median"] >= wanted if direction == "at least" else found["median"] <= wanted
        out["aims"].append({"of": name, "text": text, "holds": holds})
    verdicts = [aim["holds"] for aim in out["aims"]]
    out["verdict"] = ("" if not verdicts else "falls short" if False in verdicts else
                      "not measured" if None in verdicts else "holds")
    return out


WORDS = {1: "one", 2: "two", 3: "three", 4: "four"}


def over_first(one, first, rounds_first, workers, rounds):
    """How much faster the line is with so many workers than with `first`: rounds of both, as for `judged`."""
    over = f"{WORDS.get(workers, workers)} over {WORDS.get(first, first)}"
    ratios = [{side: more[side] / less[side] for side in more if less.get(side)}
              for less, more in zip(rounds_first, rounds)]
    aim = ("at least", one.two) if one.two and (first, workers) == (1, 2) else None
    return judged(row(f"{one.metric}_{over.replace(' ', '_')}", f"{one.title}, {over}", "", value=aim,
                      beside_peers=False), ratios)


def table(results):
    head = ["line", "unit", *SIDES.values(), "× OTP", "× CAF", "of libzmq", "aim", ""]
    cells = []
    for one in results:
        def figure(found):
            if not found:
                return ""
            median = short(found["median"])
            if len(found["values"]) == 1:
                return median
            return f"{median} ({short(found['min'])}…{short(found['max'])})"
        cells.append([one["title"], one["unit"], *(figure(one["sides"].get(side)) for side in SIDES),
                      figure(one["times_otp"]), figure(one["times_caf"]), figure(one["of_floor"]),
                      ", ".join(aim["text"] for aim in one["aims"]), one["verdict"]])
    return aligned([head, *cells])


def aligned(cells):
    """A table, its head first, as a page shows it."""
    widths = [max(map(len, column)) for column in zip(*cells)]
    lines = ["| " + " | ".join(text.ljust(width) for text, width in zip(line, widths)) + " |" for line in cells]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


COLOURS = ["#1b6ca8", "#c0392b", "#2e8b57", "#8e44ad", "#d68910", "#16a085"]


def svg(results):
    """The curves of the growth lines, one picture: time of an operation against size, both on logarithmic scales."""
    curves = {}
    for one in results:
        operation, at, size = one["metric"].rpartition("_at_")
        if at and one["sides"].get("troupe"):
            label = re.sub(r", [\d,]+$", "", one["title"])
            curves.setdefault((operation, label), []).append((int(size), one["sides"]["troupe"]))
    wide, high, left, top = 640, 380, 70, 20
    sizes = [size for points in curves.values() for size, _ in points]
    costs = [found[key] for points in curves.values() for _, found in points for key in ("min", "max")]
    if not sizes:
        return None
    low_x, high_x = math.floor(math.log10(min(sizes))), math.ceil(math.log10(max(sizes)))
    low_y, high_y = math.floor(math.log10(min(costs))), math.ceil(math.log10(max(costs)))

    def x(size):
        return left + (math.log10(size) - low_x) / max(1, high_x - low_x) * wide

    def y(cost):
        return top + (high_y - math.log10(cost)) / max(1, high_y - low_y) * high
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + wide + 20}" height="{high + 90 + 18 * len(curves)}"'
           ' font-family="sans-serif" font-size="12">', '<rect width="100%" height="100%" fill="white"/>']
    for power in range(low_x, high_x + 1):
        out.append(f'<path d="M{x(10**power):.1f} {top}v{high}" stroke="#ddd"/>'
                   f'<text x="{x(10**power):.1f}" y="{top + high + 16}" text-anchor="middle">{10**power:,}</text>')
    for power in range(low_y, high_y + 1):
        out.append(f'<path d="M{left} {y(10**power):.1f}h{wide}" stroke="#ddd"/>'
                   f'<text x="{left - 6}" y="{y(10**power) + 4:.1f}" text-anchor="end">{10**power:,} ns</text>')
    for index, ((_, label), points) in enumerate(curves.items()):
        colour = COLOURS[index % len(COLOURS)]
        line = " ".join(f"{x(size):.1f},{y(found['median']):.1f}" for size, found in points)
        out.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for size, found in points:
            out.append(f'<path d="M{x(size):.1f} {y(found["min"]):.1f}V{y(found["max"]):.1f}" stroke="{colour}"/>'
                       f'<circle cx="{x(size):.1f}" cy="{y(found["median"]):.1f}" r="3" fill="{colour}"/>')
        beside = top + high + 44 + 18 * index
        out.append(f'<rect x="{left}" y="{beside - 9}" width="14" height="10" fill="{colour}"/>'
                   f'<text x="{left + 20}" y="{beside}">{html.escape(label)}</text>')
    return "\n".join([*out, "</svg>", ""])
