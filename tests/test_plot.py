"""gnuplot.plt, with every gnuplot at hand: what it draws, what it survives, what it says."""

import math
import os
import shlex
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
CONTENT, STYLE, TV, MIN, MEAN, MAX, PRODUCT = (
    "#0072B2", "#E69F00", "#009E73", "#56B4E9", "#0072B2", "#D55E00", "#CC79A7")
TOTAL = "#000000"


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


def row(step: int, optim: bool = True, **values) -> str:
    """A row with the four losses and the three alpha_eff decades apart, all of them constant."""
    v = {"content": 3e5, "style": 3e7, "tv": 3e3, "total": 3e9, "min": 3e-10, "mean": 3e-8, "max": 3e-6,
         "product": 20.0, "L": 7e6, **values}
    numbers = list(v.values())[:9 if optim else 7]
    return "  ".join([str(step), *(f"{number:.8e}" for number in numbers)])


def header(content: str = "dir/c.png", style: str = "dir/s.png") -> list:
    entry = "{}, 470415 bytes, SHA-256 " + "23de" * 16 + ", 512 x 384 pixels"
    return ["# Neural style transfer", '# Command: python x.py --content "a b" \\',
            "# Content: " + entry.format(content), "# Style: " + entry.format(style), "# nsteps: 20", columns(True)]


def columns(optim: bool) -> str:
    return ("# Step  Content Loss  Style loss  Total Variation  Total Loss  alpha_eff_min  alpha_eff_mean  alpha_eff_max"
            + "  alpha_eff_max*L  L" * optim)


@pytest.fixture
def log(tmp_path):
    def write(rows: list, name: str = "r_log.txt", end: str = "\n", **names) -> Path:
        path = tmp_path / name
        path.write_text("\n".join(header(**names) + rows) + end, encoding="utf-8")
        return path

    return write


class Picture:
    """A picture of the given number of panels; panels are counted from 1, x and y from 0 to 1 in a panel."""

    def __init__(self, path: Path, panels: int):
        with Image.open(path) as image:
            self.pixels = np.asarray(image.convert("RGB"), np.int16)
        self.panels = panels
        self.height, self.width = self.pixels.shape[:2]

    def panel(self, p: int) -> np.ndarray:
        left, right = round(0.1 * self.width), round(0.96 * self.width)
        each = (self.height - 120 - 40 * (self.panels - 1)) / self.panels
        top = 60 + (p - 1) * (each + 40)
        return self.pixels[round(top) + 2:round(top + each) - 2, left + 2:right - 2]

    def mask(self, p: int, colour: str, tolerance: int = 24) -> np.ndarray:
        rgb = [int(colour[i:i + 2], 16) for i in (1, 3, 5)]
        return np.abs(self.panel(p) - rgb).max(axis=2) <= tolerance

    def has(self, p: int, colour: str) -> bool:
        return self.mask(p, colour).sum() >= 30

    def covered(self, p: int, colour: str) -> np.ndarray:
        """For each column of pixels whether the colour is in there."""
        return self.mask(p, colour).any(axis=0)

    def level(self, p: int, colour: str) -> float:
        """The mean height of a colour, 0 at the bottom of the panel."""
        mask = self.mask(p, colour)
        return 1 - np.nonzero(mask)[0].mean() / mask.shape[0]


@pytest.fixture
def drawn(gnuplot, log, tmp_path):
    """Plot rows as PNG, silently; returns the picture."""

    def draw(rows: list, panels: int = 3, **options) -> Picture:
        log(rows, **options)
        result = gnuplot("r_log.txt")
        assert (result.returncode, result.stdout, result.stderr) == (0, "", [])
        picture = Picture(tmp_path / "r_log.png", panels)
        assert (picture.width, picture.height) == (1000, {2: 700, 3: 990}[panels])
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
                                 (3, 0, 2, {PRODUCT: 20})):
        for colour, value in curves.items():
            assert picture.covered(p, colour).mean() > 0.98, (p, colour)  # a line, not just marks
            assert picture.level(p, colour) == pytest.approx((math.log10(value) - low) / (high - low), abs=0.03)


def test_the_line_at_two(drawn):
    panel = drawn([row(t) for t in range(1, 101)]).mask(3, "#000000", 90)
    filled = panel.mean(axis=1)  # of each row of pixels
    assert filled.max() > 0.4  # dashed where the terminal has dashes
    assert 1 - filled.argmax() / len(filled) == pytest.approx(math.log10(2) / 2, abs=0.015)
    assert (filled > 0.05).sum() <= 5


def test_the_curves_differ_by_more_than_their_colour(drawn):
    picture = drawn([row(t) for t in range(1, 101)])
    total, content = (np.bincount(picture.mask(1, colour).sum(axis=0)).argmax() for colour in (TOTAL, CONTENT))
    assert total >= content + 2  # the usual width
    marks = [picture.mask(p, c).sum(axis=0).max() for p, c in ((1, CONTENT), (1, STYLE), (1, TV), (2, MEAN), (2, MIN))]
    assert min(marks) >= 9  # taller than any line


def test_without_optim_there_are_two_panels(drawn):
    picture = drawn([row(t, optim=False) for t in range(1, 51)], panels=2)
    assert all(picture.has(1, colour) for colour in (CONTENT, STYLE, TV, TOTAL))
    assert all(picture.has(2, colour) for colour in (MIN, MEAN, MAX))
    assert not any(picture.has(p, PRODUCT) for p in (1, 2))


def test_panels_and_keys_are_named(gnuplot, log, tmp_path):
    log([row(t) for t in range(1, 21)])
    assert gnuplot("r_log.txt", "r.svg").stderr == []
    text = " ".join("".join(ElementTree.parse(tmp_path / "r.svg").getroot().itertext()).split())
    for words in ("Content c.png, style s.png, steps 1 to 20", "total", "content", "style", "TV", "loss (weighted)",
                  "min", "mean", "max", "step", "2, the bound of plain gradient descent (η < 2/L)", "106", "10-6"):
        assert words in text, words


# -------------------------------------------------------------------------------- odd data

def test_one_row_is_drawn_as_points(drawn):
    picture = drawn([row(1, content=0)])
    for p, colours in ((1, (STYLE, TV, TOTAL)), (2, (MIN, MEAN, MAX)), (3, (PRODUCT,))):
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
    names = ("content", "style", "tv", "total", "min", "mean", "max", "product", "L")
    bad = dict.fromkeys(names, value)
    picture = drawn([row(t, **(bad if t in (1, 4, 7) else {})) for t in range(1, 8)])
    for p, colour in ((1, STYLE), (2, MEAN), (3, PRODUCT)):
        assert picture.has(p, colour) and picture.covered(p, colour)[150:400].mean() > 0.5


def test_nothing_to_show(drawn):
    zero = dict.fromkeys(("content", "style", "tv", "total", "min", "mean", "max", "product"), 0.0)
    picture = drawn([row(1, **zero), row(2, **dict.fromkeys(zero, NAN))])
    assert picture.has(3, "#000000") and picture.has(1, "#000000")  # the line at 2; a remark
    assert not any(picture.has(1, colour) for colour in (CONTENT, STYLE, TV))


def test_gaps_in_the_steps_are_bridged(drawn):
    picture = drawn([row(t) for t in range(10, 1001, 10)])
    assert all(picture.covered(p, colour).mean() > 0.98 for p, colour in ((1, CONTENT), (2, MEAN), (3, PRODUCT)))
    picture = drawn([row(t) for t in (1, 2, 500, 1000)])
    assert all(picture.covered(p, colour).mean() > 0.98 for p, colour in ((1, CONTENT), (2, MEAN), (3, PRODUCT)))


def test_a_resumed_run_with_optim_turned_on_and_off(drawn):
    resumed = "# Resumed at step 40 from '/x y/ckpt-40', 2026-01-01T00:00:00+00:00"
    picture = drawn([row(t, optim=False) for t in range(1, 41)] + [resumed, '# Command: python "x', columns(True)]
                    + [row(t) for t in range(41, 61)] + ["# step 60: L has not converged", resumed, columns(False)]
                    + [row(t, optim=False) for t in range(61, 102)])
    assert picture.covered(1, CONTENT).mean() > 0.98 and picture.covered(2, MIN).mean() > 0.98
    where = np.nonzero(picture.covered(3, PRODUCT))[0] / 856  # of the panel's width
    assert (where.min(), where.max()) == pytest.approx((0.40, 0.59), abs=0.02)


def test_one_row_with_optim_among_many(drawn):
    rows = [row(t, optim=t == 250) for t in range(1, 501)]
    where = np.nonzero(drawn(rows).covered(3, PRODUCT))[0]
    assert 5 <= len(where) <= 30 and abs(where.mean() - 427) < 4


@pytest.mark.parametrize("cut", [1, 4, 12, 17, 40, 150])
def test_a_cut_last_line_is_left_out(gnuplot, log, cut):
    path = log([row(t) for t in range(1, 10)], end="\n" + row(10)[:-cut])
    assert title(gnuplot, path) in ("Content c.png, style s.png, steps 1 to 9",) + (
        ("Content c.png, style s.png, steps 1 to 10",) if len(row(10)[:-cut].split()) == 8 else ())


# ----------------------------------------------------------------------------------- names

ODD_NAMES = ["ä b 'c' \"d\"€.txt", "100%d_%s^{c}@d&e.txt", "-x.txt", "--", "-", "+", "~x.txt", "$rows", "back\\slash.txt",
             "<touch pwned", "|touch pwned", "$(touch pwned)`touch pwned`.txt"]


@pytest.mark.parametrize("name", ODD_NAMES)
@pytest.mark.skipif(os.name == "nt", reason="Windows forbids most of these names")
def test_odd_names(gnuplot, log, tmp_path, name):
    quoted = shlex.quote(f"some dir/{name}")
    log([row(1), row(2)], name, content=quoted)
    result = gnuplot(name)
    picture = tmp_path / (name.removesuffix(".txt") + ".png")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", [])
    assert Picture(picture, 3).has(1, STYLE)
    assert gnuplot(name, name + ".svg").stderr == []
    shown = name.rpartition("\\")[2]  # a path may be one of Windows
    texts = ["".join(element.itertext()) for element in ElementTree.parse(tmp_path / (name + ".svg")).iter()]
    assert f"Content {shown}, style s.png, steps 1 to 2" in [text.strip() for text in texts]
    assert {path.name for path in tmp_path.iterdir()} == {name, picture.name, name + ".svg"}


@pytest.mark.parametrize("entry, shown", [
    ("c.png", "c.png"), ("/a/b/c.png", "c.png"), ("'/a b/c, 12 d.png'", "c, 12 d.png"),
    (shlex.quote("it's 'x'.png"), "it's 'x'.png"), (shlex.quote("a/'"), "'"), ("'C:\\new\\table\\c.png'", "c.png"),
    ("$'dir/\\xff\\x0a.png'", "\\xff\\x0a.png"), ("x" * 90 + ".png", "xxxxxxxxxx...xxx.png")])
def test_the_name_of_the_content(gnuplot, log, entry, shown):
    assert title(gnuplot, log([row(7)], content=entry)) == f"Content {shown}, style s.png, step 7"


def test_without_a_header_the_log_is_named(gnuplot, tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "x.txt").write_text(row(3) + "\n" + row(4) + "\n")
    assert title(gnuplot, Path("sub/x.txt")) == "x.txt, steps 3 to 4"


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


@pytest.mark.parametrize("optim", [False, True])
def test_dumb(gnuplot, log, tmp_path, optim):
    log([row(t, optim=optim) for t in range(1, 31)])
    result = gnuplot("r_log.txt", "dumb")
    assert (result.returncode, result.stderr) == (0, [])
    assert max(map(len, result.stdout.splitlines())) <= 80
    for words in ("Content c.png, style s.png, steps 1 to 30", "total", "content", "TV", "mean", "1e10", "alpha_eff", "step"):
        assert words in result.stdout
    assert ("2, the bound of plain gradient descent (eta < 2/L)" in result.stdout) == optim
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
