"""gnuplot.plt, with every gnuplot at hand: what it draws, read from its SVG, what it survives and says."""

import html
import itertools
import math
import os
import re
import shutil
import subprocess
import sys
import threading
from collections import defaultdict
from pathlib import Path

import pytest
from PIL import Image
from pytest import approx

from conftest import ROOT

PLOT = ROOT / "gnuplot.plt"
FOUND = shutil.which("gnuplot"), shutil.which("gnuplot", path=Path(sys.executable).parent), "/usr/bin/gnuplot"
GNUPLOTS = {os.path.realpath(path) for path in FOUND if path and os.path.exists(path)}
# Curves are known by panel and colour.
CONTENT, STYLE, TV, TOTAL = (1, "0,114,178"), (1, "230,159,0"), (1, "0,158,115"), (1, "0,0,0")
MIN, MEAN, MAX = (2, "86,180,233"), (2, "0,114,178"), (2, "213,94,0")
PRODUCT, LAMBDA, BOUNDS, GREY = (3, "204,121,167"), (3, "0,114,178"), (3, "0,0,0"), "136,136,136"
COLUMNS = {CONTENT: 1, STYLE: 2, TV: 3, TOTAL: 4, MIN: 5, MEAN: 6, MAX: 7, PRODUCT: 8, LAMBDA: 10}
TYPICAL = (3e5, 3e7, 3e3, 3e9, 3e-10, 3e-8, 3e-6, 200, 7e6, 12)  # of columns 1 to 10, all decades apart
PLACE = r"translate\(([^,]*),([^)]*)\)[^>]*?"  # in an SVG of gnuplot
PATH = r"""stroke-width="([^"]*)"[^>]*>\s*<path stroke='rgb\((.*?)\)'[^>]*\sd='([^']*)'"""
KEY = r"(?s)<title>([^<]*)</title>.*?<pathstroke='rgb\((.*?)\)'"


def row(t: int, values={}, fields: int = 11) -> list:
    """The numbers of step t; `values`, by column, replace typical ones."""
    return [t, *(values.get(k, TYPICAL[k - 1] * (1 + t % 7 / 10)) for k in range(1, fields))]


def carried(t: int, every: int = 10) -> list:
    """A row of --optim_every: L and lambda_max are those of the last estimate."""
    last = t - t % every or 1
    return row(t, {9: 7e6 + last, 10: 12 + last % 9 / 10})


def changed(step: int, old: float, new: float) -> list:
    return [f"# Resumed at step {step} from x", f"# Changed adam_beta_1: {old} in the checkpoint, {new} now",
            "# Changed tv_weight: 300.0 in the checkpoint, 0.7 now"]


@pytest.fixture(params=sorted(GNUPLOTS))
def plot(request, tmp_path):
    """Write rows and remarks as a log, named as the first of the words, and run gnuplot.plt with these."""
    def plot(lines, *words, beta_1="0.9", script=PLOT) -> subprocess.CompletedProcess:
        if lines is not None:
            text = (line if isinstance(line, str) else "  ".join(f"{x:.9g}" for x in line) for line in lines)
            head = f"# Style: 'd/\"s\".png'\n# adam_beta_1: {beta_1}\n# adam_beta_2: 0.999\n"
            (tmp_path / words[0]).write_text(head + "\n".join([*text, ""]), encoding="utf-8")
        result = subprocess.run([request.param, "-c", script, *words], cwd=tmp_path, stdin=subprocess.DEVNULL,
                                capture_output=True, encoding="utf-8", timeout=60)
        # the fontconfig inside the wheel may not know all of the system's configuration
        result.stderr = re.sub("(?m)^(Fontconfig.*)?\n", "", result.stderr)
        return result

    return plot


@pytest.fixture
def drawn(plot, tmp_path):
    def draw(lines, **options) -> Picture:
        result = plot(lines, "r_log.txt", "r.svg", **options)
        assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
        return Picture(tmp_path / "r.svg")

    return draw


class Picture:
    """The texts of an SVG, its panels' labels, and the lines and marks in there, in units of the log."""

    def __init__(self, path: Path):
        svg = path.read_text(encoding="utf-8")
        texts = [(float(x), float(y), anchor, html.unescape(re.sub("<.*?>", "", text)).strip())
                 for x, y, anchor, text in re.findall(PLACE + r'anchor="(\w+)">\s*<text>(.*?)</text>', svg)]
        self.text, self.height = [text for *_, text in texts], int(re.search('height="(.*?)"', svg)[1])
        self.keys = dict(re.findall(KEY, svg.replace(" ", "")))
        step = straight([(x, float(text)) for x, y, anchor, text in texts
                         if anchor == "middle" and y > self.height - 60 and re.fullmatch(r"[\d.]+", text)])
        self.labels, self.lines, self.marks = {}, defaultdict(list), defaultdict(list)
        for p, top in enumerate((60, 380, 740)[:self.height // 340], 1):
            ticks = [(y - 4.23, float(text.replace("×10", "e"))) for x, y, anchor, text in texts
                     if anchor == "end" and top - 9 < y < top + 280]
            self.labels[p] = [value for _, value in ticks]
            assert len(set(self.labels[p])) == len(ticks)  # gnuplot 6 has labels within a decade, too
            exponent = straight([(y, math.log10(value)) for y, value in ticks if value > 0])
            for x, y, colour in re.findall(PLACE + r"color='rgb\((.*?)\)'", svg):
                if top - 1 < float(y) < top + 261:
                    mark = step(float(x)), 10 ** exponent(float(y))
                    self.marks[p, colour.replace(" ", "")].append(mark)
            for width, colour, d in re.findall(PATH, svg):
                points = re.findall(r"([ML])([-\d.]+),([-\d.]+)", d)
                for (_, *a), (kind, *b) in itertools.pairwise(points):
                    (x, y), (x2, y2) = map(float, a), map(float, b)
                    if kind == "L" and top - 1 < min(y, y2) and max(y, y2) < top + 261:
                        piece = step(x), 10 ** exponent(y), step(x2), 10 ** exponent(y2), float(width)
                        self.lines[p, colour.replace(" ", "")].append(piece)

    def at(self, key: tuple, t: float) -> list:
        """The values of the lines that lie over a step, the largest first, each once."""
        values = sorted((v + (w - v) * (t - a) / (b - a) for a, v, b, w, _ in self.lines[key]
                         if a - 0.01 <= t <= b + 0.01 and b - a > 0.01), reverse=True)
        return [v for before, v in itertools.pairwise([math.inf, *values]) if v < 0.99 * before]


def straight(points: list):
    """The straight line through the first and the last of the points."""
    (x, v), *_, (y, w) = points
    return lambda pixel: v + (w - v) * (pixel - x) / (y - x)


def test_every_column_is_drawn(drawn):
    """Losses and rates as lines; curvature in steps, with marks where an estimate was made."""
    picture = drawn(map(carried, range(1, 61)))
    for key, k in COLUMNS.items():
        shift, marked = (0.5, [1, 10, 20, 30, 40, 50, 60]) if key[0] == 3 else (0, [*range(1, 61, 4)])
        assert all(picture.at(key, t + shift) == [approx(carried(t)[k], 0.02)] for t in range(1, 60))
        assert picture.marks[key] == [approx((t, carried(t)[k]), 0.02) for t in marked]
        assert {width for *_, width in picture.lines[key]} == {5 if key in (TOTAL, LAMBDA) else 2.5}
    assert not any(picture.lines[p, GREY] for p in (1, 2, 3))
    keys = "content", "style", "TV", "total", "min", "mean", "gnuplot_plot_1b", "αeff,max×L", "λmax(αeffH)"
    assert [picture.keys[key] for key in keys] == [colour for _, colour in COLUMNS]
    assert {"r_log.txt, steps 1 to 60", "loss (weighted)", "max αeff", "step", "38",
            "2, that of plain gradient descent (η < 2/L)",
            "2 (1 + β1) / (1 - β1), Adam's bound if β1t < 0.04"} <= set(picture.text)
    assert picture.text.count("30") == 1  # only the lowest panel has its steps numbered


def test_without_optim_there_are_two_panels(drawn):
    picture = drawn(row(t, {5: 2e-8, 6: 3e-8, 7: 4e-8}, fields=8) for t in range(1, 61))
    assert picture.height == 700 and {"step", "30"} <= set(picture.text) and "bound" not in str(picture.text)


@pytest.mark.parametrize("beta_1, first, bound", [(0.9, 31, 38), (0.5, 5, 6), (0.999, 999, 3998)])
def test_the_bound_of_adam_begins_where_it_speaks(drawn, beta_1, first, bound):
    """Where beta_1^t is below 0.04. The bound of plain gradient descent is drawn everywhere."""
    picture = drawn(map(row, range(1, 401)), beta_1=beta_1)
    for t in (1.5, 4.5, 5.5, 30.5, 31.5, 399.5):
        assert picture.at(BOUNDS, t) == approx([bound, 2] if first < t else [2], 0.02), t
    assert (str(bound) in picture.text) == (first < 400)  # the number beside it
    assert max(picture.labels[3]) == 1000  # what is not drawn sets no scale


def test_resumes(drawn):
    """Each stretch has its own columns and bound of Adam. Grey lines stand where something was changed."""
    r = [row(t, fields=8) if 60 < t < 81 else carried(t) for t in range(1, 401)]
    picture = drawn([*r[:60], *changed(60, 0.9, 0.5), *r[60:80], *changed(80, 0.5, 0.3),  # came to nothing
                     "# Resumed at step 80 from x", *r[80:100], *changed(100, 0.5, 0.99), *r[100:]])
    for t, bounds in {30: [2], 59: [38, 2], 61: [6, 2], 99: [6, 2], 320: [2], 321.5: [398, 2]}.items():
        assert picture.at(BOUNDS, t) == approx(bounds, 0.02), t
    assert all({round(t, 1) for t, *_ in picture.lines[p, GREY]} == {60.5, 100.5} for p in (1, 2, 3))
    assert {"step (settings were changed at the grey lines)", "398"} <= set(picture.text)
    assert [bool(picture.at(LAMBDA, t)) for t in (59.5, 61.5, 79.5, 81.5)] == [True, False, False, True]
    assert [round(t) for t, _ in picture.marks[LAMBDA]][:10] == [1, 10, 20, 30, 40, 50, 60, 81, 90, 100]
    picture = drawn([*r[:50], *changed(50, 0.9, 0.5), "# Resumed at step 70 from y", *r[70:]])  # none logged
    assert picture.at(BOUNDS, 320) == approx([6, 2], 0.02)
    assert {round(t, 1) for t, *_ in picture.lines[1, GREY]} == {50.5}
    picture = drawn(["# Resumed at step 0 from x", *r], beta_1=0.5)
    assert picture.at(BOUNDS, 320) == approx([6, 2], 0.02) and not picture.lines[1, GREY]
    picture = drawn([*changed(100, 0.9, 0.5), "# adam_beta_1: 0.5", *r[100:]], beta_1=0.5)  # a branch
    assert picture.at(BOUNDS, 102) == approx([6, 2], 0.02) and not picture.lines[1, GREY]
    assert {"step", "r_log.txt, steps 101 to 400"} <= set(picture.text)


def test_a_real_log(drawn, flags, run, tmp_path):
    """So that the plot reads what the script writes where a resume changes beta_1; curvature is made up."""
    assert all(run(*flags("--nsteps", *more))[0] == 0 for more in ([3], [5, "--resume", "--adam_beta_1", .1]))
    log = (tmp_path / "out" / "r_c_s_log.txt").read_text().splitlines()
    picture = drawn(line if line[0] == "#" else line + "  200  7e6  12" for line in log)
    assert {round(t, 1) for t, *_ in picture.lines[1, GREY]} == {3.5}
    assert [round(t) for t, _ in picture.marks[MEAN]] == [1, 2, 3, 4, 5]
    assert [picture.at(BOUNDS, t) for t in (2.5, 4.5)] == [approx([2], 0.02), approx([22 / 9, 2], 0.02)]


@pytest.mark.parametrize("steps, every, marked", [
    (range(2, 42), 1, range(2, 42)), (range(2, 43), 1, range(2, 43, 2)), (range(2, 92), 1, range(2, 92, 3)),
    (range(10, 101, 10), 25, (10, 30, 50, 80, 100))])  # --log_every 10: the first rows with a new estimate
def test_up_to_forty_marks(drawn, steps, every, marked):
    picture = drawn(carried(t, every) for t in steps)
    assert all([round(t) for t, _ in picture.marks[key]] == [*marked] for key in (PRODUCT, LAMBDA))


def test_the_first_four_rows_run_out_of_the_frame(drawn):
    """Of rates and curvature, so that the others can be told apart. In a log of four rows all count."""
    def draw(last: int, *steps, outliers=dict.fromkeys((5, 6, 7, 8, 10), 1e12)) -> Picture:
        return drawn(row(t, outliers if t in steps else {}) for t in range(1, last + 1))

    picture, plain = draw(40, 1, 2, 3, 4), draw(40)
    assert picture.labels == plain.labels
    for key in (MAX, LAMBDA):  # not cut short
        assert max(value for _, value, *_ in picture.lines[key]) == approx(max(plain.labels[key[0]]), 0.02)
    assert all(max(draw(*rows).labels[p]) > 1e8 for rows in ((40, 5), (4, 1)) for p in (2, 3))
    assert max(draw(40, 1, outliers={2: 1e15}).labels[1]) > 1e12


def test_what_a_logarithm_cannot_show_is_left_out(drawn, tmp_path):
    """A loss of 0, as in row 1, and a negative lambda_max. One row is drawn as points."""
    picture = drawn(row(t, {1: 0} if t < 11 else {10: -30} if 20 < t < 31 else {}) for t in range(1, 41))
    assert picture.labels == drawn(map(row, range(1, 41))).labels
    assert [bool(picture.at(CONTENT, t)) for t in (9.5, 11.5)] == [False, True] and picture.at(STYLE, 1)
    assert [bool(picture.at(LAMBDA, t)) for t in (19.5, 21.5, 29.5, 31.5)] == [True, False, False, True]
    picture = drawn([row(2, {1: 0})])
    assert all(picture.marks[key] == [approx((2, row(2)[k]), 0.02)] * (k > 1) for key, k in COLUMNS.items())
    (tmp_path / "linear.plt").write_bytes(re.sub(rb"set logscale y  # remove .*\n", b"", PLOT.read_bytes()))
    linear = drawn(map(row, range(1, 41)), script=tmp_path / "linear.plt")
    assert 0 in linear.labels[1] and 0 not in picture.labels[1] and min(linear.labels[2]) > 0  # losses alone


def test_remarks_blank_lines_and_a_cut_row_change_nothing(drawn, plot, tmp_path):
    """Nor does a missing header. The log is read once, as it may grow; so it may be a pipe."""
    rows, log, svg = [*map(row, range(1, 61))], tmp_path / "r_log.txt", tmp_path / "r.svg"
    remarks = itertools.cycle(["#", "# one", "#one", "", " \t", '# "', "# it's", "# adam_beta_1: 0.5 ?",
                               "", "", "# Changed adam_beta_1: to", "# " + "a word " * 99, "# " + "1 " * 11])
    drawn(rows)
    plain = svg.read_bytes()
    drawn([*(line for numbers in rows for line in (numbers, next(remarks))), "61 3e5 3e7 3e3 3e9 3e-9 3"])
    assert svg.read_bytes() == plain
    text = "\n".join(line for line in log.read_text().split("\n") if line[:1] != "#")
    log.unlink()
    os.mkfifo(log)
    threading.Thread(target=log.write_text, args=[text], daemon=True).start()
    assert plot(None, log.name, "r.svg").stderr == "" and svg.read_bytes() == plain


@pytest.mark.parametrize("name", [
    "ä b 'c' \"d\"€.txt", "100%d_%s^{c}@d&e.txt", "-x.txt", "back\\slash.txt", "+", "++", "~", "-", "$x.txt",
    "x$(touch pwned)`touch pwned`.txt", "<touch pwned; echo 1.txt", "|touch pwned.txt"])
def test_odd_names(plot, tmp_path, name):
    result, picture = plot([row(1), row(2)], name, name + ".svg"), Picture(tmp_path / (name + ".svg"))
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert f"{name}, steps 1 to 2" in picture.text and picture.at(STYLE, 2) == [approx(row(2)[2], 0.02)]
    assert {path.name for path in tmp_path.iterdir()} == {name, name + ".svg"}


@pytest.mark.parametrize("name, picture", [("sub/a.txt", "sub/a.png"), ("b", "b.png"), ("-", "-.png")])
def test_without_a_name_the_picture_is_a_png_next_to_the_log(plot, tmp_path, name, picture):
    (tmp_path / "sub").mkdir()
    assert plot(map(row, range(1, 61)), name).stderr == ""
    with Image.open(tmp_path / picture) as image:
        assert (image.format, image.size) == ("PNG", (1000, 1060))
        colours = {re.sub("[( )]", "", str(rgb)): n for n, rgb in image.convert("RGB").getcolors(1 << 24)}
    assert all(colours[colour] > 300 for _, colour in COLUMNS)


def test_pdf(plot, tmp_path):
    """Where this gnuplot can."""
    result, pdf = plot([row(1)], "r_log.txt", "r.pdf"), tmp_path / "r.pdf"
    drawn = result.stderr == "" and pdf.read_bytes().startswith(b"%PDF")
    assert drawn or "cannot draw r.pdf; usage: " in result.stderr


def test_dumb(plot, tmp_path):
    """Lines of different characters, and a title that is cut to one line."""
    name = "ä" * 60 + "_log.txt"
    result = plot(map(row, range(100001, 100061)), name, "dumb")
    lines = [line.rstrip() for line in result.stdout.replace("\f", "").split("\n")]
    assert result.stderr == "" and max(map(len, lines)) <= 80 and [*tmp_path.iterdir()] == [tmp_path / name]
    assert f"{'ä' * 38}_log.txt, steps 100001 to 100060" in map(str.strip, lines)
    keys = [line.strip()[0] for line in lines if line.endswith(("H)", "× L", "β_1^t < 0.04", "2/L)"))]
    assert len(set(keys)) == len(keys) == 4 and not any(map(str.isdigit, keys))  # none on an axis


@pytest.mark.parametrize("lines, words, expected", [
    (None, [], "usage: gnuplot -c gnuplot.plt LOG"), (None, ["r_log.txt"], "Cannot find or open file"),
    ([], ["r_log.txt"], "no rows in r_log.txt"), ([row(1)], ["r_log.txt", "gif"], "cannot draw gif; usage")])
def test_errors(plot, tmp_path, lines, words, expected):
    result = plot(lines, *words)
    assert result.returncode != 0 and result.stdout == "" and expected in result.stderr
    assert result.stderr.count("\n") < 3 and len([*tmp_path.iterdir()]) == (lines is not None)
