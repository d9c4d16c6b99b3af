"""gnuplot.plt, with every gnuplot at hand: what it draws, what it survives, what it says."""

import math
import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import ROOT

PLOT = ROOT / "gnuplot.plt"
NAN, INF = math.nan, math.inf
CONTENT, STYLE, TV, MIN, MEAN, MAX, PRODUCT, LAMBDA = (
    "#0072B2", "#E69F00", "#009E73", "#56B4E9", "#0072B2", "#D55E00", "#CC79A7", "#0072B2")
TOTAL = "#000000"
HEIGHTS = {8: 700, 10: 1020, 11: 1060}  # of a picture, by the number of fields in the widest row
PLAIN = "2, the bound of plain gradient descent ({} < 2/L)"


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
            f"# Style: 'dir/\"s\".png'{entry}", "# nsteps: 20", *([f"# adam_beta_1: {beta_1}"] if beta_1 else []),
            "# adam_beta_2: 0.999", columns(fields)]


def columns(fields: int) -> str:
    names = ["# Step", "Content Loss", "Style loss", "Total Variation", "Total Loss", "alpha_eff_min", "alpha_eff_mean",
             "alpha_eff_max", "alpha_eff_max*L", "L", "lambda_max(alpha_eff*H)"]
    return "  ".join(names[:fields])


@pytest.fixture
def log(tmp_path):
    def write(rows: list, name: str = "r_log.txt", end: str = "\n", **options) -> Path:
        path = tmp_path / name
        path.write_text("\n".join(header(**options) + rows) + end, encoding="utf-8")
        return path

    return write


class Picture:
    """A picture of a log; panels are counted from 1, x and y from 0 to 1 in a panel."""

    def __init__(self, path: Path):
        with Image.open(path) as image:
            self.pixels = np.asarray(image.convert("RGB"), np.int16)
        self.height, self.width = self.pixels.shape[:2]

    def top(self, p: int) -> int:
        return 60 + 320 * (p - 1) + (40 if p == 3 and self.height == HEIGHTS[11] else 0)

    def panel(self, p: int) -> np.ndarray:
        left, right = round(0.1 * self.width), round(0.96 * self.width)
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

    def draw(rows: list, fields: int = 11, **options) -> Picture:
        log(rows, fields=fields, **options)
        result = gnuplot("r_log.txt")
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
    assert result.returncode != 0 and result.stdout == "" and len(result.stderr) == 1, result
    assert all(word in result.stderr[0] for word in words), result.stderr


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
    ("0.9", 12, 38, (0, 2)), ("0.5", 12, 6, (0, 2)), (None, 12, 38, (0, 2)), ("0.999", 12, 3998, (0, 4)),
    ("0.9", 3e-4, 38, (-4, 2)), ("0.9", 3e5, 38, (0, 6)), ("0.0", 12, 2, (0, 2))])
def test_the_bounds(drawn, beta_1, lambda_max, bound, decades):
    picture = drawn([row(t, lambda_max=lambda_max) for t in range(1, 101)], beta_1=beta_1)
    low, high = decades
    expected = [(math.log10(number) - low) / (high - low) for number in ([bound, 2] if bound > 2 else [2])]
    assert picture.bounds() == pytest.approx(expected, abs=0.015)


def test_a_later_beta_1_is_ignored(drawn):
    picture = drawn([row(t) for t in range(1, 51)] + ["# adam_beta_1: 0.5"] + [row(t) for t in range(51, 101)])
    assert picture.bounds()[0] == pytest.approx(math.log10(38) / 2, abs=0.015)


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
    assert "alpha_eff max * L" in text and PLAIN.format("eta") in text
    assert "lambda" not in text and "Adam" not in text and "38" not in text


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


def test_without_optim_there_are_two_panels(drawn):
    picture = drawn([row(t, 8) for t in range(1, 51)], 8)
    assert all(picture.has(1, colour) for colour in (CONTENT, STYLE, TV, TOTAL))
    assert all(picture.has(2, colour) for colour in (MIN, MEAN, MAX))
    assert not any(picture.has(p, PRODUCT) for p in (1, 2))


def svg_text(path: Path) -> str:
    return " ".join("".join(ElementTree.parse(path).getroot().itertext()).split())


def test_panels_and_keys_are_named(gnuplot, log, tmp_path):
    log([row(t) for t in range(1, 21)])
    assert gnuplot("r_log.txt", "r.svg").stderr == []
    text = svg_text(tmp_path / "r.svg")
    for words in ("r, steps 1 to 20", "total", "content", "style", "TV", "loss (weighted)", "min", "mean", "max", "step",
                  "λmax(αeff H)", "38, the bound of Adam", "αeff,max × L", PLAIN.format("η"), "106", "10-6"):
        assert words in text, words


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


def test_where_only_the_first_rows_have_values_these_count(drawn):
    picture = drawn([row(t, 11 if t < 4 else 8, product=3e5) for t in range(1, 11)])
    assert picture.has(3, PRODUCT) and picture.has(3, LAMBDA)
    assert picture.level(3, PRODUCT) == pytest.approx(math.log10(3e5) / 6, abs=0.03)


def test_the_losses_are_scaled_by_all_rows(drawn):
    picture = drawn([row(t, **({"style": 3e12} if t == 1 else {})) for t in range(1, 101)])
    assert picture.level(1, CONTENT) == pytest.approx((math.log10(3e5) - 3) / 10, abs=0.03)


# -------------------------------------------------------------------------------- odd data

def test_one_row_is_drawn_as_points(drawn):
    picture = drawn([row(1, content=0)])
    for p, colours in ((1, (STYLE, TV, TOTAL)), (2, (MIN, MEAN, MAX)), (3, (PRODUCT, LAMBDA))):
        for colour in colours:
            where = np.nonzero(picture.covered(p, colour))[0] if colour != TOTAL else np.nonzero(
                picture.mask(p, colour).sum(axis=0) > 4)[0]
            assert 5 <= len(where) <= 40 and abs(where.mean() - 428) < 4, colour
    assert not picture.has(1, CONTENT)


def test_zeros_are_left_out(drawn):
    picture = drawn([row(1, content=0)] + [row(t) for t in range(2, 6)])
    covered = picture.covered(1, CONTENT)
    assert not covered[:150].any() and covered[230:].mean() > 0.98
    assert picture.covered(1, STYLE).mean() > 0.98
    assert picture.level(1, CONTENT) == pytest.approx((math.log10(3e5) - 3) / 7, abs=0.03)  # no decade more


@pytest.mark.parametrize("value", [NAN, INF, -INF, 0.0])
def test_values_a_log_scale_cannot_show(drawn, value):
    names = ("content", "style", "tv", "total", "min", "mean", "max", "product", "L", "lambda_max")
    bad = dict.fromkeys(names, value)
    picture = drawn([row(t, **(bad if t in (1, 4, 7) else {})) for t in range(1, 8)])
    for p, colour in ((1, STYLE), (2, MEAN), (3, PRODUCT), (3, LAMBDA)):
        assert picture.has(p, colour) and picture.covered(p, colour)[150:400].mean() > 0.5


def test_nothing_to_show(drawn):
    zero = dict.fromkeys(("content", "style", "tv", "total", "min", "mean", "max", "product", "lambda_max"), 0.0)
    picture = drawn([row(1, **zero), row(2, **dict.fromkeys(zero, NAN))])
    assert len(picture.bounds()) == 2 and picture.has(1, "#000000")  # a remark
    assert not any(picture.has(1, colour) for colour in (CONTENT, STYLE, TV))


@pytest.mark.parametrize("value", [-30.0, 0.0, NAN])
def test_a_lambda_max_that_is_not_positive_is_left_out(drawn, value):
    picture = drawn([row(t, lambda_max=value if 40 <= t < 61 else 12) for t in range(1, 101)])
    covered = picture.covered(3, LAMBDA)
    assert covered[:325].mean() > 0.98 and covered[530:].mean() > 0.98 and not covered[345:505].any()
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
        where = np.nonzero(picture.covered(3, colour))[0] / 856  # of the panel's width
        assert (where.min(), where.max()) == pytest.approx((start, 0.59), abs=0.02)
    assert len(picture.bounds()) == 2


@pytest.mark.parametrize("fields, colours", [(10, [PRODUCT]), (11, [PRODUCT, LAMBDA])])
def test_one_row_with_optim_among_many(drawn, fields, colours):
    picture = drawn([row(t, fields if t == 250 else 8) for t in range(1, 501)], fields)
    for colour in colours:
        where = np.nonzero(picture.covered(3, colour))[0]
        assert 5 <= len(where) <= 30 and abs(where.mean() - 427) < 4


@pytest.mark.parametrize("cut", [1, 4, 12, 16, 17, 32, 33, 40, 48, 49, 150])
def test_a_cut_last_line_is_left_out(gnuplot, log, cut):
    left = row(10)[:-cut]
    path = log([row(t) for t in range(1, 10)], end="\n" + left)
    whole = len(left.split()) in (8, 10) and len(left.split()[-1]) == 14
    assert title(gnuplot, path) == f"r, steps 1 to {10 if whole else 9}"
    assert whole == (cut in (16, 48))


# ----------------------------------------------------------------------------------- names

ODD_NAMES = ["ä b 'c' \"d\"€.txt", "100%d_%s^{c}@d&e.txt", "-x.txt", "--", "-", "+", "~x.txt", "$rows", "back\\slash.txt",
             "<touch pwned", "|touch pwned", "$(touch pwned)`touch pwned`.txt"]


@pytest.mark.parametrize("name", ODD_NAMES)
@pytest.mark.skipif(os.name == "nt", reason="Windows forbids most of these names")
def test_odd_names(gnuplot, log, tmp_path, name):
    log([row(1), row(2)], name)
    result = gnuplot(name)
    picture = tmp_path / (name.removesuffix(".txt") + ".png")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", [])
    assert Picture(picture).has(1, STYLE)
    assert gnuplot(name, name + ".svg").stderr == []
    shown = name.rpartition("\\")[2]  # a path may be one of Windows
    texts = ["".join(element.itertext()) for element in ElementTree.parse(tmp_path / (name + ".svg")).iter()]
    assert f"{shown}, steps 1 to 2" in [text.strip() for text in texts]
    assert {path.name for path in tmp_path.iterdir()} == {name, picture.name, name + ".svg"}


@pytest.mark.parametrize("name, shown", [
    ("result_c1_s1_log.txt", "result_c1_s1"), ("sub/result_c1_s1_log.txt", "result_c1_s1"), ("x.txt", "x.txt"),
    ("r_log.txt.bak", "r_log.txt.bak"), ("_log.txt", "_log.txt"), ("log.txt", "log.txt"), ("a_log.txt_log.txt", "a_log.txt"),
    ("ä" * 40 + "_log.txt", "ä" * 40), ("a" * 20 + "b" * 30 + "_log.txt", "a" * 20 + "..." + "b" * 17)])
def test_the_log_names_the_title(gnuplot, log, tmp_path, name, shown):
    (tmp_path / "sub").mkdir()
    log([row(7)], name)
    assert title(gnuplot, Path(name)) == f"{shown}, step 7"


def test_a_log_without_a_header(gnuplot, tmp_path):
    (tmp_path / "x.txt").write_text(row(3) + "\n" + row(4) + "\n")
    assert title(gnuplot, Path("x.txt")) == "x.txt, steps 3 to 4"


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
        refused(result, "cannot write .pdf", "pdfcairo", ".png .svg")
        assert not (tmp_path / "r.pdf").exists()


@pytest.mark.parametrize("fields", [8, 10, 11])
def test_dumb(gnuplot, log, tmp_path, fields):
    log([row(t, fields, lambda_max=t) for t in range(1, 31)], fields=fields)
    result = gnuplot("r_log.txt", "dumb")
    assert (result.returncode, result.stderr) == (0, [])
    assert max(map(len, result.stdout.splitlines())) <= 80
    for words in ("r, steps 1 to 30", "total", "content", "TV", "mean", "1e10", "alpha_eff", "step"):
        assert words in result.stdout
    lines = {line[13:].strip() for line in result.stdout.splitlines()}  # each key begins with its line
    for least, words in ((10, "alpha_eff max * L"), (10, PLAIN.format("eta")), (11, "lambda_max(alpha_eff * H)"),
                         (11, "38, the bound of Adam")):
        assert sum(line.endswith(words) for line in lines) == (fields >= least), words
    marks = [line[0] for line in lines if line.endswith(("max * L", "2/L)", " H)", "Adam"))]
    assert len(marks) == len(set(marks)) == {8: 0, 10: 2, 11: 4}[fields]  # lines of different characters
    assert [path.name for path in tmp_path.iterdir()] == ["r_log.txt"]


# ----------------------------------------------------------------------------------- errors

def test_usage(gnuplot):
    refused(gnuplot(), "usage: gnuplot -c gnuplot.plt LOG")
    refused(gnuplot("a", "b.png", "c"), "usage:")


@pytest.mark.parametrize("name", ["r.gif", "r", "png", "r.png.bak", "dumb.txt"])
def test_unknown_kind_of_picture(gnuplot, log, tmp_path, name):
    log([row(1)])
    refused(gnuplot("r_log.txt", name), name, ".png, .svg or .pdf")
    assert [path.name for path in tmp_path.iterdir()] == ["r_log.txt"]


@pytest.mark.parametrize("picture", [(), ("dumb",)])
def test_no_log_no_picture(gnuplot, tmp_path, picture):
    refused(gnuplot("missing.txt", *picture), "missing.txt", "Cannot find or open file")
    (tmp_path / "empty.txt").touch()
    refused(gnuplot("empty.txt", *picture), "no valid points")
    assert [path.name for path in tmp_path.iterdir()] == ["empty.txt"]


@pytest.mark.parametrize("lines", [header(), header()[:3], ["# C"], [row(1)[:-3]], ["junk", "1 2 3"]])
def test_a_log_without_rows(gnuplot, tmp_path, lines):
    (tmp_path / "r.txt").write_text("\n".join(lines))
    refused(gnuplot("r.txt"), "no rows", "r.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["r.txt"]
