#!/usr/bin/env python3
"""The figures of docs/benchmarks.json as a picture (SVG), for docs/performance.md:

    roofline.py benchmarks.json OUT.svg

Above: the roofline [Williams, Waterman, Patterson 2009] of the first model, both axes logarithmic.  Along: multiply-adds for each byte of weights
that is read; up: multiply-adds per second.  The slope is the measured read bandwidth, the level the measured peak of the widest integer unit.
Below: the time of one token for every model and number of threads.  The upper bar is what reading the weights takes at the measured bandwidth, by
stage; under it what sinter and llama.cpp take.
"""
import json
import math
import sys

WIDTH, LEFT, RIGHT = 960, 70, 30
COLOUR = {"sinter": "#b5422c", "llama.cpp": "#4a6fa5", "roof": "#333"}
PART_COLOURS = ["#7fb285", "#c9d787", "#e8b04b", "#d98c5f", "#9d8ec7"]


class Svg:
    def __init__(self):
        self.out = []

    def text(self, x, y, s, size=13, anchor="start", colour="#222", weight="normal"):
        s = s.replace("&", "&amp;").replace("<", "&lt;")
        self.out.append('<text x="%.1f" y="%.1f" font-size="%d" text-anchor="%s" fill="%s" font-weight="%s">%s</text>' % (
            x, y, size, anchor, colour, weight, s))

    def rect(self, x, y, w, h, fill, title=""):
        title = title.replace("&", "&amp;").replace("<", "&lt;")
        self.out.append('<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"><title>%s</title></rect>' % (x, y, max(w, 0.3), h, fill, title))

    def line(self, points, colour, width=1.0, dash=""):
        self.out.append('<polyline points="%s" fill="none" stroke="%s" stroke-width="%.1f"%s/>' % (
            " ".join("%.1f,%.1f" % p for p in points), colour, width, ' stroke-dasharray="%s"' % dash if dash else ""))

    def dot(self, x, y, colour, filled):
        self.out.append('<circle cx="%.1f" cy="%.1f" r="5" fill="%s" stroke="%s" stroke-width="2"/>' % (x, y, colour if filled else "#fff", colour))

    def done(self, height):
        return ('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif">\n<rect width="%d" height="%d" fill="#fff"/>\n'
                % (WIDTH, height, WIDTH, height) + "\n".join(self.out) + "\n</svg>\n")


def row_of(model, what, threads):
    return next(r for r in model["rows"] if r["what"] == what and r["threads"] == threads)


def roofline(svg, model, top, height):
    """Decode and prefill of both programs, one roof for each number of threads."""
    right, bottom = WIDTH - RIGHT, top + height
    threads = sorted({r["threads"] for r in model["rows"]})
    n_prompt = 512
    points, roofs = [], []
    for n in threads:
        decode, prefill = row_of(model, "decode", n), row_of(model, "prefill", n)
        roofs.append((n, 1e6 * decode["bandwidth_mb_s"], 1e9 * prefill.get("mac8_per_ns", 0), prefill.get("unit", "")))
        for row, per_byte in ((decode, decode["macs_per_token"] / decode["bytes_per_token"]),
                              (prefill, n_prompt * prefill["macs_per_token"] / decode["bytes_per_token"])):
            for who, key in (("sinter", "sinter"), ("llama.cpp", "llama")):
                points.append((per_byte, row[key]["median"] * row["macs_per_token"], who, n, row["what"]))
    x0, x1 = 0.3, 10 ** math.ceil(math.log10(3 * max(p[0] for p in points)))
    most = max([p[1] for p in points] + [r[2] for r in roofs])
    y0, y1 = 10 ** math.floor(math.log10(min(p[1] for p in points) / 2)), 10 ** math.ceil(math.log10(most))

    def px(x):
        return LEFT + (right - LEFT) * math.log(x / x0) / math.log(x1 / x0)

    def py(y):
        return bottom - height * math.log(y / y0) / math.log(y1 / y0)

    svg.text(LEFT, top - 30, "%s: one token of decoding, 512 of a prompt, and what the machine gives" % model["title"], 15, weight="bold")
    k = math.floor(math.log10(y0))
    while 10 ** k <= y1:
        svg.line([(LEFT, py(10 ** k)), (right, py(10 ** k))], "#ddd")
        svg.text(LEFT - 8, py(10 ** k) + 4, "%g T/s" % 10.0 ** (k - 12), 11, "end")
        k += 1
    k = 0
    while 10 ** k <= x1:
        svg.line([(px(10 ** k), top), (px(10 ** k), bottom)], "#ddd")
        svg.text(px(10 ** k), bottom + 16, "%d" % 10 ** k, 11, "middle")
        k += 1
    svg.text((LEFT + right) / 2, bottom + 34, "multiply-adds for each byte of weights that is read", 12, "middle")
    for i, (n, bandwidth, peak, unit) in enumerate(roofs):
        dash = "" if i == len(roofs) - 1 else "6 4"
        corner = peak / bandwidth if peak else x1
        svg.line([(px(x0), py(max(bandwidth * x0, y0))), (px(min(corner, x1)), py(bandwidth * min(corner, x1))),
                  (px(x1), py(peak or bandwidth * x1))], COLOUR["roof"], 1.8, dash)
        if peak:
            svg.text(right - 4, py(peak) + (14 if i == 0 and len(roofs) > 1 else -6), "%s: %.2f T/s %s" % (count(n), 1e-12 * peak, unit), 11, "end")
        at = math.sqrt(max(x0, y0 / bandwidth) * corner)
        svg.text(px(at) + (10 if i else -10), py(bandwidth * at) + (18 if i == 0 and len(roofs) > 1 else -8),
                 "%s: %.1f GB/s" % (count(n), 1e-9 * bandwidth), 11, "start" if i == 0 and len(roofs) > 1 else "end")
    for x, y, who, n, what in points:
        svg.dot(px(x), py(y), COLOUR[who], n == threads[-1])
    for i, (who, filled, label) in enumerate(
            [(w, n == threads[-1], "%s, %s" % (w, count(n))) for w in ("sinter", "llama.cpp") for n in threads]):
        svg.dot(LEFT + 20, top + 16 + 18 * i, COLOUR[who], filled)
        svg.text(LEFT + 32, top + 20 + 18 * i, label, 12)


def count(n):
    return "%d thread%s" % (n, "" if n == 1 else "s")


def token_bars(svg, models, top):
    """Returns where it ends.  Bars are relative to llama.cpp's time, so that small and large models fit one picture."""
    label, bar = 270, 13
    span = WIDTH - RIGHT - label - 130
    y = top
    svg.text(LEFT, y, "One token: reading its weights at the measured bandwidth, sinter, llama.cpp (full width: llama.cpp's time)", 15, weight="bold")
    y += 22
    x = LEFT
    for i, part in enumerate(next(r["parts"] for r in models[0]["rows"] if r["what"] == "decode")):
        svg.rect(x, y - 10, 12, 12, PART_COLOURS[i])
        svg.text(x + 17, y, part, 12)
        x += 60 + 8 * len(part)
    y += 16
    for model in models:
        for row in (r for r in model["rows"] if r["what"] == "decode"):
            slowest = max(1e3 / row["llama"]["median"], 1e3 / row["sinter"]["median"])
            svg.text(label - 10, y + 2 * bar, "%s, %s" % (model["title"], count(row["threads"])), 12, "end")
            at = label
            for i, (part, n) in enumerate(row["parts"].items()):
                ms = 1e-3 * n / row["bandwidth_mb_s"]
                svg.rect(at, y, span * ms / slowest, bar - 1, PART_COLOURS[i], "%s: %.2f ms" % (part, ms))
                at += span * ms / slowest
            svg.text(at + 6, y + 10, "%.2f ms, the floor" % (1e-3 * row["bytes_per_token"] / row["bandwidth_mb_s"]), 11)
            for who, key, k in (("sinter", "sinter", 1), ("llama.cpp", "llama", 2)):
                ms = 1e3 / row[key]["median"]
                svg.rect(label, y + k * bar, span * ms / slowest, bar - 1, COLOUR[who], "%s: %.2f ms" % (who, ms))
                svg.text(label + span * ms / slowest + 6, y + k * bar + 10, "%.2f ms, %s" % (ms, who), 11)
            y += 3 * bar + 12
    return y


def picture(result):
    models = [m for m in result["models"] if "rows" in m]
    if not models:
        raise SystemExit("roofline: nothing was measured")
    svg = Svg()
    roofline(svg, models[0], 60, 300)
    end = token_bars(svg, models, 440)
    svg.text(LEFT, end + 14, "%s. %s." % (result["date"], result["machine"]), 11, colour="#666")
    return svg.done(end + 30)


def main():
    if len(sys.argv) != 3:
        print("usage: roofline.py benchmarks.json OUT.svg", file=sys.stderr)
        return 2
    with open(sys.argv[1]) as f:
        result = json.load(f)
    text = picture(result)
    with open(sys.argv[2], "w") as f:
        f.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
