"""gnuplot.plt, with every gnuplot at hand: what it draws, what it survives, what it says."""

import itertools
import math
import os
import re
import shutil
import subprocess
import sys
import threading
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import ROOT

PLOT = ROOT / "gnuplot.plt"
CONTENT, STYLE, TV, MIN, MEAN, MAX, PRODUCT, LAMBDA = (
    "#0072B2", "#E69F00", "#009E73", "#56B4E9", "#0072B2", "#D55E00", "#CC79A7", "#0072B2")
TOTAL = "#000000"
HEIGHTS = {8: 700, 10: 1060, 11: 1060}  # of a picture, by the number of fields in the widest row
ADAM, PLAIN = "38, the bound of Adam", "2, the bound of plain gradient descent (η < 2/L)"


def gnuplots() -> list:
    """The gnuplot of the wheel, next to this Python, and those of the system; each once."""
    found = [Path(sys.executable).with_name("gnuplot"), shutil.which("gnuplot"), "/usr/bin/gnuplot"]
    return list(dict.fromkeys(str(Path(path).resolve()) for path in found if path and Path(path).exists()))


@pytest.fixture(params=gnuplots(), ids=lambda path: path.strip("/").replace("/", "."))
def gnuplot(request, tmp_path):
    """Run gnuplot.plt in tmp_path; the result's stderr is the list of its lines."""

    def run(*words, script=PLOT) -> subprocess.CompletedProcess:
        result = subprocess.run([request.param, "-c", str(script), *map(str, words)], cwd=tmp_path, timeout=60,
                                stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8")
        # the fontconfig inside the wheel may not know all of the system's configuration
        result.stderr = [line for line in result.stderr.splitlines() if line and not line.startswith("Fontconfig")]
        return result

    version = subprocess.run([request.param, "-e", "print GPVAL_TERMINALS"], capture_output=True, text=True)
    run.terminals = version.stderr.split()
    return run


def row(step: int, fields: int = 11, **values) -> str:
    """A row with the four losses and the three alpha_eff decades apart, all of them constant."""
    v = {"content": 3e5, "style": 3e7, "tv": 3e3, "total": 3e9, "min": 3e-10, "mean": 3e-8, "max": 3e-6,
         "product": 20.0, "L": 7e6, "lambda_max": 12.0, **values}
    numbers = list(v.values())[:fields - 1]
    return "  ".join([str(step), *(f"{number:.8e}" for number in numbers)])


def header(beta_1: str = "0.9", fields: int = 11) -> list:
    entry = ", 470415 bytes, SHA-256 " + "23de" * 16 + ", 512 x 384 pixels"
    return ["# Neural style transfer", '# Command: python x.py --content "a b" \\', "# Content: dir/c.png" + entry,
            f"# Style: 'dir/\"s\".png'{entry}", "# nsteps: 20", f"# adam_beta_1: {beta_1}",
            "# adam_beta_2: 0.999", columns(fields)]


def columns(fields: int) -> str:
    names = ["# Step", "Content Loss", "Style loss", "Total Variation", "Total Loss", "alpha_eff_min", "alpha_eff_mean",
             "alpha_eff_max", "alpha_eff_max*L", "L", "lambda_max(alpha_eff*H)"]
    return "  ".join(names[:fields])


@pytest.fixture
def log(tmp_path):
    def write(rows: list, name: str = "r_log.txt", **options) -> Path:
        path = tmp_path / name
        path.write_text("\n".join([*header(**options), *rows, ""]), encoding="utf-8")
        return path

    return write


class Picture:
    """A picture of a log; panels are counted from 1, x and y from 0 to 1 in a panel."""

    def __init__(self, path: Path):
        with Image.open(path) as image:
            self.pixels = np.asarray(image.convert("RGB"), np.int16)
        self.height, self.width = self.pixels.shape[:2]

    def top(self, p: int) -> int:
        return (60, 380, 740)[p - 1]

    def panel(self, p: int) -> np.ndarray:
        left, right = round(0.12 * self.width), round(0.96 * self.width)
        return self.pixels[self.top(p) + 2:self.top(p) + 258, left + 2:right - 2]

    def above(self, p: int) -> np.ndarray:
        """What is above a panel, up to the one before it."""
        return self.pixels[self.top(p - 1) + 270 if p > 1 else 0:self.top(p) - 2]

    def mask(self, p: int, colour: str, tolerance: int = 24) -> np.ndarray:
        rgb = [int(colour[i:i + 2], 16) for i in (1, 3, 5)]
        return np.abs(self.panel(p) - rgb).max(axis=2) <= tolerance

    def has(self, p: int, colour: str) -> bool:
        return self.mask(p, colour).sum() >= 30

    def covered(self, p: int, colour: str) -> np.ndarray:
        """For each column of pixels whether the colour is in there."""
        return self.mask(p, colour).any(axis=0)

    def level(self, p: int, colour: str) -> float:
        """The median height of a colour, 0 at the bottom of the panel."""
        mask = self.mask(p, colour)
        return 1 - np.median(np.nonzero(mask)[0]) / mask.shape[0]

    def bounds(self) -> list:
        """The heights of the lines across panel 3, from the highest on."""
        filled = self.mask(3, "#000000", 90).mean(axis=1) > 0.4  # dashed where the terminal has dashes
        edges = np.flatnonzero(np.diff(filled.astype(int), prepend=0, append=0))
        assert all(end - start <= 5 for start, end in zip(edges[::2], edges[1::2])), edges
        return list(1 - (edges[::2] + edges[1::2] - 1) / 2 / len(filled))


@pytest.fixture
def drawn(gnuplot, log, tmp_path):
    """Plot rows as PNG, silently; returns the picture."""

    def draw(rows: list, fields: int = 11, script: Path = PLOT, **options) -> Picture:
        log(rows, fields=fields, **options)
        result = gnuplot("r_log.txt", script=script)
        assert (result.returncode, result.stdout, result.stderr) == (0, "", [])
        picture = Picture(tmp_path / "r_log.png")
        assert (picture.width, picture.height) == (1000, HEIGHTS[fields])
        return picture

    return draw


def title(gnuplot, log: Path) -> str:
    """The title, from the plot as text."""
    result = gnuplot(log, "dumb")
    assert (result.returncode, result.stderr) == (0, [])
    return next(line.strip() for line in result.stdout.splitlines() if line.strip("\f "))


def refused(result: subprocess.CompletedProcess, *words: str) -> None:
    assert result.returncode != 0 and result.stdout == "" and len(result.stderr) in (1, 2), result
    assert all(word in " ".join(result.stderr) for word in words), result.stderr


# ---------------------------------------------------------------------------------- curves

def test_every_curve_is_drawn_at_its_height(drawn):
    picture = drawn([row(t) for t in range(1, 101)])
    for p, low, high, curves in ((1, 3, 10, {CONTENT: 3e5, STYLE: 3e7, TV: 3e3, TOTAL: 3e9}),
                                 (2, -10, -5, {MIN: 3e-10, MEAN: 3e-8, MAX: 3e-6}),
                                 (3, 0, 2, {PRODUCT: 20, LAMBDA: 12})):
        for colour, value in curves.items():
            assert picture.covered(p, colour).mean() > 0.98, (p, colour)  # a line, not just marks
            assert picture.level(p, colour) == pytest.approx((math.log10(value) - low) / (high - low), abs=0.03)


@pytest.mark.parametrize("beta_1, lambda_max, bound, decades", [
    ("0.9", 12, 38, (0, 2)), ("0.5", 12, 6, (0, 2)), ("0.999", 12, 3998, (0, 4)),
    ("0.9", 3e-4, 38, (-4, 2)), ("0.9", 3e5, 38, (0, 6)), ("0.0", 12, 2, (0, 2))])
def test_the_bounds(drawn, beta_1, lambda_max, bound, decades):
    picture = drawn([row(t, lambda_max=lambda_max) for t in range(1, 101)], beta_1=beta_1)
    low, high = decades
    expected = [(math.log10(number) - low) / (high - low) for number in ([bound, 2] if bound > 2 else [2])]
    assert picture.bounds() == pytest.approx(expected, abs=0.015)


def test_a_beta_1_that_a_resume_changed_counts(drawn):
    changed = ["# Changed adam_beta_1: 0.9 in the checkpoint, 0.5 now"]
    picture = drawn([row(t) for t in range(1, 51)] + changed + [row(t) for t in range(51, 101)])
    assert picture.bounds()[0] == pytest.approx(math.log10(6) / 2, abs=0.015)


@pytest.mark.parametrize("product, decades", [(20, (0, 2)), (0.03, (-2, 1)), (3e4, (0, 5))])
def test_a_log_of_ten_fields(drawn, gnuplot, product, decades):
    """An older log: alpha_eff_max*L and the line at 2."""
    picture = drawn([row(t, 10, product=product) for t in range(1, 101)], 10)
    low, high = decades
    assert picture.bounds() == pytest.approx([(math.log10(2) - low) / (high - low)], abs=0.015)
    assert picture.covered(3, PRODUCT).mean() > 0.98 and not picture.has(3, LAMBDA)
    assert picture.level(3, PRODUCT) == pytest.approx((math.log10(product) - low) / (high - low), abs=0.03)
    text = gnuplot("r_log.txt", "dumb").stdout
    assert "α_{eff,max} × L" in text and PLAIN in text
    assert "λ" not in text and "Adam" not in text and "38" not in text


def test_the_curves_differ_by_more_than_their_colour(drawn):
    picture = drawn([row(t) for t in range(1, 101)])
    total, content = (np.bincount(picture.mask(1, colour).sum(axis=0)).argmax() for colour in (TOTAL, CONTENT))
    assert total >= content + 2  # the usual width
    marks = [picture.mask(p, c).sum(axis=0).max() for p, c in (
        (1, CONTENT), (1, STYLE), (1, TV), (2, MEAN), (2, MIN), (3, PRODUCT), (3, LAMBDA))]
    assert min(marks) >= 9  # taller than any line
    widths = [np.bincount(picture.mask(3, colour).sum(axis=0)).argmax() for colour in (LAMBDA, PRODUCT)]
    assert widths[0] >= widths[1] + 2
    adam, plain = (picture.mask(3, "#000000", 90)[round(256 * (1 - y)) - 5:round(256 * (1 - y)) + 5].sum(axis=0).max()
                   for y in picture.bounds())
    assert adam >= 6 > plain  # the bound of Adam has marks


@pytest.mark.parametrize("fields, colour", [(10, PRODUCT), (11, PRODUCT), (11, LAMBDA)])
def test_estimates_are_drawn_as_steps(drawn, fields, colour):
    """The value of a row holds up to the next one, where a line would rise all the way."""
    values = [{"product": value, "lambda_max": value / 2} for value in (3, 3, 3, 3, 3e3, 3e5)]
    picture = drawn([row(t, fields, **v) for t, v in zip((1, 2, 3, 4, 50, 101), values)], fields)
    mask = picture.mask(3, colour)
    height, width = mask.shape

    def at(x: float) -> float:
        """The mean height near x, in decades."""
        rows = np.nonzero(mask[:, round((x - 0.01) * width):round((x + 0.01) * width)])[0]
        return 6 * (1 - rows.mean() / height)

    shift = math.log10(2) if colour == LAMBDA else 0
    for x, value in ((0.2, 3), (0.45, 3), (0.6, 3e3), (0.95, 3e3)):
        assert at(x) == pytest.approx(math.log10(value) - shift, abs=0.1)
    assert picture.covered(3, colour)[35:].mean() > 0.98


@pytest.mark.parametrize("fields", [10, 11])
@pytest.mark.parametrize("every, last", [(10, 101), (1, 31), (1, 1001), (10, 2001)])
def test_marks_stand_where_an_estimate_was_made(drawn, fields, every, last):
    """On all of them up to 40. The rows between carry L and lambda_max on, and alpha_eff_max changes in each."""
    estimated = [t if t % every == 0 else t - t % every or 1 for t in range(1, last + 1)]
    rows = [row(t, fields, product=20 + 1e-6 * t, L=7e6 + e * (fields < 11), lambda_max=12 + 1e-6 * e)
            for t, e in enumerate(estimated, 1)]
    rows.insert(14, "# step 15: a remark of eleven words is neither row nor estimate: 1 2")
    picture, steps = drawn(rows, fields), sorted(set(estimated))
    for colour in (PRODUCT, LAMBDA)[:fields - 9]:
        tall = (picture.mask(3, colour).sum(axis=0) >= 9).astype(int)  # where marks are, not the line alone
        edges = np.flatnonzero(np.diff(tall, prepend=0, append=0)).reshape(-1, 2)
        assert 20 < len(edges) <= 40 or len(edges) == len(steps)
        assert (np.diff(edges) < 18).all()  # no two of them touch
        expected = [(t - 1) / (last - 1) * 840 - 2 for t in steps[::-(-len(steps) // len(edges))]]
        assert edges.mean(axis=1)[1:-1] == pytest.approx(expected[1:-1], abs=2)  # the frame cuts the outer ones


def test_losses_on_a_linear_scale(drawn, tmp_path):
    """By the one line that says so."""
    rows = [row(t, total=4e9, style=2e9) for t in range(1, 101)]
    script = PLOT.read_text(encoding="utf-8")
    line = "set logscale y  # remove this line for losses on a linear scale\n"
    assert script.count(line) == 1
    linear = tmp_path / "linear.plt"
    linear.write_text(script.replace(line, ""), encoding="utf-8")
    log, picture = drawn(rows), drawn(rows, script=linear)
    total, style, content = (picture.level(1, colour) for colour in (TOTAL, STYLE, CONTENT))
    assert total > 0.8 and style == pytest.approx(total / 2, abs=0.02) and content < 0.03
    assert log.level(1, CONTENT) == pytest.approx(math.log10(3e5 / 1e3) / 7, abs=0.03)
    assert all(np.array_equal(picture.panel(p), log.panel(p)) for p in (2, 3))


def test_no_two_heights_have_the_same_label(gnuplot, log, tmp_path):
    """Within a decade gnuplot 6 labels 2 x 10^-8, 3 x 10^-8, ..., too."""
    log([row(t, content=2e5, style=3e5, tv=4e5, total=9e5, min=2e-8, mean=3e-8, max=4e-8) for t in range(1, 10)])
    assert gnuplot("r_log.txt", "r.svg").stderr == []
    words = svg_text(tmp_path / "r.svg").split()
    labels = [word for word in words if re.fullmatch(r"\d0{5}|\d×10-?\d", word)]
    assert len(set(labels)) == len(labels) and {"100000", "1×106", "1×10-8", "1×10-7"} <= set(labels)


def test_without_optim_there_are_two_panels(drawn, gnuplot, tmp_path):
    picture = drawn([row(t, 8) for t in range(1, 51)], 8)
    assert all(picture.has(1, colour) for colour in (CONTENT, STYLE, TV, TOTAL))
    assert all(picture.has(2, colour) for colour in (MIN, MEAN, MAX))
    assert not any(picture.has(p, PRODUCT) for p in (1, 2))
    assert gnuplot("r_log.txt", "r.svg").stderr == []
    text = svg_text(tmp_path / "r.svg")
    assert "step" in text.split() and "bound" not in text and "curvature" not in text


def svg_text(path: Path) -> str:
    return " ".join("".join(ElementTree.parse(path).getroot().itertext()).split())


def test_panels_and_keys_are_named(gnuplot, log, tmp_path):
    log([row(t) for t in range(1, 21)])
    assert gnuplot("r_log.txt", "r.svg").stderr == []
    text = svg_text(tmp_path / "r.svg")
    for words in ("r_log.txt, steps 1 to 20", "total", "content", "style", "TV", "loss (weighted)", "min", "mean",
                  "max αeff", "λmax(αeff H)", ADAM, "αeff,max × L", PLAIN, "1×106", "1×10-6", "100"):
        assert words in text, words
    words = text.split()
    assert "step" in words and "38" in words  # the number beside the bound
    assert words.count("18") == 1  # only the lowest panel has its steps numbered
    assert "stroke-dasharray" in (tmp_path / "r.svg").read_text(encoding="utf-8")


# --------------------------------------------------------------------------------- scaling

OUTLIERS = dict.fromkeys(("min", "mean", "max", "product", "lambda_max"), 1e12)


@pytest.mark.parametrize("value", [1e12, 1e-30])
def test_the_first_four_rows_run_out_of_the_frame(drawn, value):
    outliers = dict.fromkeys(OUTLIERS, value)
    plain = drawn([row(t) for t in range(1, 101)])
    picture = drawn([row(t, **(outliers if t < 5 else {})) for t in range(1, 101)])
    for p, colours in ((2, (MIN, MEAN, MAX)), (3, (PRODUCT, LAMBDA))):
        for colour in colours:
            assert picture.level(p, colour) == pytest.approx(plain.level(p, colour), abs=0.03)
        assert (picture.mask(p, colours[0])[:2] if value > 1 else picture.mask(p, colours[0])[-2:]).any()  # not cut short
    assert picture.bounds() == plain.bounds()
    assert all(np.array_equal(picture.above(p), plain.above(p)) for p in (1, 2, 3))


def test_the_fifth_row_counts(drawn):
    picture = drawn([row(t, **(OUTLIERS if t == 5 else {})) for t in range(1, 101)])
    assert picture.level(2, MIN) == pytest.approx((math.log10(3e-10) + 10) / 23, abs=0.05)
    assert picture.bounds() == pytest.approx([math.log10(38) / 13, math.log10(2) / 13], abs=0.015)


def test_of_four_rows_all_count(drawn):
    picture = drawn([row(t, **(OUTLIERS if t == 1 else {})) for t in range(1, 5)])
    assert picture.bounds() == pytest.approx([math.log10(38) / 13, math.log10(2) / 13], abs=0.015)


def test_the_losses_are_scaled_by_all_rows(drawn):
    picture = drawn([row(t, **({"style": 3e12} if t == 1 else {})) for t in range(1, 101)])
    assert picture.level(1, CONTENT) == pytest.approx((math.log10(3e5) - 3) / 10, abs=0.03)


# -------------------------------------------------------------------------------- odd data

REMARKS = ["#", "# one", "#one", "# one two", "", " \t", '# "', "# it's", "# adam_beta_1:", "# Changed adam_beta_1: to",
           "", "", "# " + "a word " * 2000, "# " + "x" * 900, "# 1 2 3 4 5 6 7 8 9 10 11 12",
           "# lambda_max(alpha_eff*H): 8.2 at step 150, at most 8.4 at step 131; Adam's bound is 38"]


def test_remarks_and_blank_lines_change_nothing(drawn):
    rows = [row(t, product=20 + t, L=7e6 + t) for t in range(1, 61)]
    plain = drawn(rows)
    remarks = itertools.cycle(REMARKS)
    picture = drawn([*REMARKS, *(line for r in rows for line in (r, next(remarks))), *REMARKS, row(99)[:70]])
    assert np.array_equal(picture.pixels, plain.pixels)


def test_a_log_without_its_header(gnuplot, drawn, tmp_path):
    """It is drawn as with the default of --adam_beta_1."""
    rows = [row(t) for t in range(1, 61)]
    picture = drawn(rows)
    (tmp_path / "r_log.txt").write_text("\n".join(rows))
    assert gnuplot("r_log.txt").stderr == []
    assert np.array_equal(Picture(tmp_path / "r_log.png").pixels, picture.pixels)


LOSSES, RATES, CURVATURE = (dict.fromkeys(names, 0) for names in (
    ("content", "style", "tv", "total"), ("min", "mean", "max"), ("product", "L", "lambda_max")))


@pytest.mark.parametrize("fields, values", [
    (8, LOSSES), (8, {**LOSSES, "style": 3e7, "total": 3e7}), (8, {**LOSSES, "style": 1e5, "total": 1e5}),
    (11, {**LOSSES, **dict.fromkeys(RATES, 1e5)}), (8, {**LOSSES, **RATES}), (10, CURVATURE),
    (11, dict.fromkeys(CURVATURE, 2)), (11, {**LOSSES, **RATES, **CURVATURE})])
@pytest.mark.parametrize("steps", [1, 30])
def test_panels_of_zeros_or_of_one_value(drawn, fields, values, steps):
    picture = drawn([row(t, fields, **values) for t in range(1, steps + 1)], fields, beta_1="0.0")
    for p, name, colour in ((1, "style", STYLE), (2, "min", MIN)):
        assert picture.has(p, colour) == (values.get(name, 1) > 0)
    assert fields == 8 or len(picture.bounds()) == 1


def test_one_row_is_drawn_as_points(drawn):
    picture = drawn([row(1, content=0)])
    for p, colours in ((1, (STYLE, TV, TOTAL)), (2, (MIN, MEAN, MAX)), (3, (PRODUCT, LAMBDA))):
        for colour in colours:
            where = np.nonzero(picture.covered(p, colour))[0] if colour != TOTAL else np.nonzero(
                picture.mask(p, colour).sum(axis=0) > 4)[0]
            assert 5 <= len(where) <= 40 and abs(where.mean() - 418) < 4, colour
    assert not picture.has(1, CONTENT)


def test_zeros_are_left_out(drawn):
    picture = drawn([row(1, content=0)] + [row(t) for t in range(2, 6)])
    covered = picture.covered(1, CONTENT)
    assert not covered[:150].any() and covered[230:].mean() > 0.98
    assert picture.covered(1, STYLE).mean() > 0.98
    assert picture.level(1, CONTENT) == pytest.approx((math.log10(3e5) - 3) / 7, abs=0.03)  # no decade more


def test_a_negative_lambda_max_is_left_out(drawn):
    picture = drawn([row(t, lambda_max=-30 if 40 <= t < 61 else 12) for t in range(1, 101)])
    covered = picture.covered(3, LAMBDA)
    assert covered[:318].mean() > 0.98 and covered[515:].mean() > 0.98 and not covered[335:498].any()
    assert picture.covered(3, PRODUCT).mean() > 0.98
    assert picture.bounds()[1] == pytest.approx(math.log10(2) / 2, abs=0.015)  # no decade more


def test_gaps_in_the_steps_are_bridged(drawn):
    picture = drawn([row(t) for t in range(10, 1001, 10)])
    assert all(picture.covered(p, colour).mean() > 0.98 for p, colour in ((1, CONTENT), (2, MEAN), (3, PRODUCT)))
    picture = drawn([row(t) for t in (1, 2, 500, 1000)])
    assert all(picture.covered(p, colour).mean() > 0.98 for p, colour in ((1, CONTENT), (2, MEAN), (3, PRODUCT)))


def test_a_resumed_run_with_optim_turned_on_and_off(drawn):
    resumed = "# Resumed at step 40 from '/x y/ckpt-40', 2026-01-01T00:00:00+00:00"
    picture = drawn([row(t, 8) for t in range(1, 41)] + [resumed, '# Command: python "x', columns(10)]
                    + [row(t, 10) for t in range(41, 51)] + [resumed, columns(11)] + [row(t) for t in range(51, 61)]
                    + ["# step 60: L has not converged", resumed, columns(8)] + [row(t, 8) for t in range(61, 102)])
    assert picture.covered(1, CONTENT).mean() > 0.98 and picture.covered(2, MIN).mean() > 0.98
    for colour, start in ((PRODUCT, 0.40), (LAMBDA, 0.50)):
        where = np.nonzero(picture.covered(3, colour))[0] / 836  # of the panel's width
        assert (where.min(), where.max()) == pytest.approx((start, 0.59), abs=0.02)
    assert len(picture.bounds()) == 2


def test_steps_without_curvature_leave_a_gap(drawn):
    picture = drawn([row(t, 8 if 41 <= t <= 60 else 11) for t in range(1, 102)])
    for colour in (PRODUCT, LAMBDA):
        covered = picture.covered(3, colour)
        assert covered[:322].mean() > 0.98 and covered[510:].mean() > 0.98 and not covered[340:492].any()


def test_a_log_that_grows_meanwhile(gnuplot, log, tmp_path):
    """Not the moment counts here but that every one of them is fine."""
    path, drawn = log([row(1)]), threading.Event()

    def grow() -> None:
        for t in itertools.takewhile(lambda t: not drawn.is_set(), itertools.count(2)):
            with open(path, "ab", buffering=0) as file:
                file.write(f"{row(t)}\n".encode())
            drawn.wait(0.0005)

    writer = threading.Thread(target=grow)
    writer.start()
    try:
        results = [gnuplot("r_log.txt", f"{i}.png") for i in range(8)]
    finally:
        drawn.set()
        writer.join()
    assert [(result.returncode, result.stderr) for result in results] == [(0, [])] * 8
    assert all(Picture(tmp_path / f"{i}.png").has(3, LAMBDA) for i in range(8))


# ----------------------------------------------------------------------------------- names

ODD_NAMES = ["ä b 'c' \"d\"€.txt", "100%d_%s^{c}@d&e.txt", "-x.txt", "back\\slash.txt",
             "x$(touch pwned)`touch pwned`.txt", "<touch pwned; echo 1.txt", "|touch pwned.txt", "$data.txt", "-"]


@pytest.mark.parametrize("name", ODD_NAMES)
@pytest.mark.skipif(os.name == "nt", reason="Windows forbids most of these names")
def test_odd_names(gnuplot, log, tmp_path, name):
    log([row(1), row(2)], name)
    result = gnuplot(name)
    picture = tmp_path / (name.removesuffix(".txt") + ".png")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", [])
    assert Picture(picture).has(1, STYLE)
    assert gnuplot(name, name + ".svg").stderr == []
    texts = ["".join(element.itertext()) for element in ElementTree.parse(tmp_path / (name + ".svg")).iter()]
    assert f"{name}, steps 1 to 2" in [text.strip() for text in texts]
    assert {path.name for path in tmp_path.iterdir()} == {name, picture.name, name + ".svg"}


@pytest.mark.parametrize("name, shown", [
    ("r_log.txt", "r_log.txt"), ("sub/r_log.txt", "sub/r_log.txt"),
    ("sub/" + "ä" * 60 + "_log.txt", "ä" * 38 + "_log.txt")])
def test_the_log_names_the_title(gnuplot, log, tmp_path, name, shown):
    """By no more of its path than a line of 80 characters holds."""
    (tmp_path / "sub").mkdir()
    log([row(123456), row(123457)], name)
    assert title(gnuplot, Path(name)) == f"{shown}, steps 123456 to 123457"


# --------------------------------------------------------------------------------- pictures

def test_without_a_name_the_picture_is_put_next_to_the_log(gnuplot, log, tmp_path):
    (tmp_path / "sub").mkdir()
    for name, picture in (("sub/a.txt", "sub/a.png"), ("sub/b.log", "sub/b.log.png")):
        log([row(1)], name)
        assert gnuplot(name).returncode == 0 and (tmp_path / picture).is_file()


def test_pdf(gnuplot, log, tmp_path):
    log([row(t) for t in range(1, 10)])
    result = gnuplot("r_log.txt", "r.pdf")
    if "pdfcairo" in gnuplot.terminals:
        assert (result.returncode, result.stderr) == (0, [])
        assert (tmp_path / "r.pdf").read_bytes().startswith(b"%PDF")
    else:
        refused(result, "cannot draw r.pdf", ".pdf, if gnuplot has pdfcairo", ".png", ".svg")
        assert not (tmp_path / "r.pdf").exists()


@pytest.mark.parametrize("fields", [8, 10, 11])
def test_dumb(gnuplot, log, tmp_path, fields):
    log([row(t, fields, lambda_max=t) for t in range(1, 31)], fields=fields)
    result = gnuplot("r_log.txt", "dumb")
    assert (result.returncode, result.stderr) == (0, [])
    assert max(map(len, result.stdout.splitlines())) <= 80
    for words in ("r_log.txt, steps 1 to 30", "total", "content", "TV", "max α_{eff}", "mean", "1e+10", "step"):
        assert words in result.stdout
    lines = {line.strip() for line in result.stdout.splitlines()}  # each key begins with its line
    keys = {"α_{eff,max} × L": 10, PLAIN: 10, "λ_{max}(α_{eff} H)": 11, ADAM: 11}
    for words, least in keys.items():
        assert sum(line.endswith(words) for line in lines) == (fields >= least), words
    assert not any(line[0].isdigit() for line in lines if line.endswith(("TV", "min", *keys)))  # none on an axis
    marks = [line[0] for line in lines if line.endswith(tuple(keys))]
    assert len(marks) == len(set(marks)) == {8: 0, 10: 2, 11: 4}[fields]  # lines of different characters
    assert [path.name for path in tmp_path.iterdir()] == ["r_log.txt"]


# ----------------------------------------------------------------------------------- errors

def test_usage(gnuplot):
    refused(gnuplot(), "usage: gnuplot -c gnuplot.plt LOG")


@pytest.mark.parametrize("name", ["r.gif", "r", "png", "r.png.bak", "dumb.txt"])
def test_unknown_kind_of_picture(gnuplot, log, tmp_path, name):
    log([row(1)])
    refused(gnuplot("r_log.txt", name), f"cannot draw {name};", "usage:", ".png | .svg | .pdf")
    assert [path.name for path in tmp_path.iterdir()] == ["r_log.txt"]


@pytest.mark.parametrize("picture", [(), ("dumb",)])
def test_no_log_no_picture(gnuplot, tmp_path, picture):
    refused(gnuplot("missing.txt", *picture), "Cannot find or open file", "no rows in missing.txt")
    (tmp_path / "empty.txt").touch()
    refused(gnuplot("empty.txt", *picture), "no rows in empty.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["empty.txt"]


def test_a_log_without_rows(gnuplot, tmp_path):
    (tmp_path / "r.txt").write_text("\n".join([*header(), ""]))
    refused(gnuplot("r.txt"), "no rows in r.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["r.txt"]
