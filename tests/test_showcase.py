"""The pictures and runs that the README shows: all there, of the runs it names, with the settings it says."""

import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from conftest import ROOT, arguments, rows

OUTPUT = ROOT / "output_files"
SETTINGS = ("image_size match_colors precision content_weight style_weight style_layer_weights tv_weight "
            "loss_reduction tv_form adam_learning_rate adam_beta_1").split()
SHARES = {last: {"style_layer_weights": [1.0] * 4 + [last]} for last in (0.0, 0.1, 0.3, 1.0)}  # of block5
KEEPER = dict(match_colors=True, adam_learning_rate=0.04, content_weight=1e3, tv_weight=20.0, **SHARES[0.3])
TRY, LARGE = dict(KEEPER, image_size=320, tv_weight=52.0), dict(KEEPER, image_size=1024, tv_weight=5.0)
BOLD = dict(KEEPER, content_weight=1e4, tv_weight=50.0)
PORTRAIT, SMALL = dict(BOLD, **SHARES[0.1]), dict(BOLD, image_size=256, tv_weight=200.0)
MORE = dict(SMALL, content_weight=1e5)
# folder: (its pair of pictures, what is not default)
RUNS = {"c1_s1/run0": ("c1_s1", {}), "rates/0.01": ("c1_s1", {"image_size": 256}),
        "rates/0.1": ("c1_s1", {"image_size": 256, "adam_learning_rate": 0.1}),
        "camera": ("camera_scream", KEEPER), "coffee": ("coffee_scream", KEEPER),
        "rocket": ("rocket_starry_night", KEEPER),
        "cat": ("chelsea_starry_night", KEEPER), "print": ("rocket_starry_night", LARGE),
        "photograph": ("astronaut_s1", PORTRAIT),
        "symptoms/gentler": ("rocket_starry_night", KEEPER),
        "symptoms/more_alpha": ("c3_s2", dict(SMALL, content_weight=1e6)),
        "symptoms/more_alpha_s1": ("c3_s1", MORE), "symptoms/more_alpha_c4_s1": ("c4_s1", MORE),
        "symptoms/more_alpha_c4_s2": ("c4_s2", MORE), "symptoms/broken_face": ("astronaut_s1", KEEPER),
        "symptoms/larger_strokes": ("c1_quarter", SMALL), "symptoms/smaller_strokes": ("c1_four", SMALL),
        **{f"large/{pair}": (pair, BOLD) for pair in ("c1_s1", "c4_s2", "c5_s1")},
        **{f"pairs/c{i}_s{j}": (f"c{i}_s{j}", SMALL) for i in range(1, 6) for j in range(1, 6)},
        **{f"flags/tv_weight_{tau:g}": ("c1_s1", dict(SMALL, tv_weight=tau)) for tau in (2.0, 20000.0)},
        **{f"flags/style_layer_weights_{w:g}": ("c1_s1", dict(SMALL, **SHARES[w])) for w in (0.0, 1.0)}}


def test_commands_of_the_readme(nst):
    """They have the settings of the pictures that it shows."""
    commands = re.findall(r"^\.venv/bin/python neural_style_transfer\.py (--content photo(?:.*\\\n)+.*)$",
                          (ROOT / "README.md").read_text(), re.MULTILINE)
    for command, settings in zip(commands, (TRY, KEEPER, PORTRAIT, LARGE), strict=True):
        args = vars(nst.parse_arguments(command.replace("\\\n", " ").split()))
        assert all(args[name] == {**vars(arguments(nst)), **settings}[name] for name in SETTINGS), command


def headings(readme):
    """Of a Markdown file, as GitHub makes addresses of them."""
    text = re.sub(r"^```.*?^```", "", readme.read_text(), flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("name", ["README.md", "output_files/README.md", "tests/README.md"])
def test_every_picture_file_and_heading_that_is_linked_is_there(name):
    readme = ROOT / name
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", readme.read_text())
    assert len(pictures) >= {"README.md": 7, "output_files/README.md": 3, "tests/README.md": 0}[name]
    for picture in pictures:
        with Image.open(readme.parent / picture) as image:
            image.load()
    for file, heading in re.findall(r"\]\((?!http)([^)#]*)(?:#([^)]+))?\)", readme.read_text()):
        linked = readme.parent / file if file else readme
        assert linked.is_file() and (not heading or heading in headings(linked)), (file, heading)


@pytest.mark.parametrize("folder", RUNS)
def test_runs_that_are_shown(nst, folder):
    """Each is whole, with the settings that the README says and no others than the defaults."""
    pair, changed = RUNS[folder]
    log = OUTPUT / folder / f"result_{pair}_log.txt"
    text, numbers = log.read_text(), rows(log)
    nsteps = {"c1_s1/run0": 1000, "symptoms/gentler": 190}.get(folder, 150)
    assert numbers[:, 0].tolist() == list(range(1, nsteps + 1)) and numbers[0, 1] == 0
    np.testing.assert_allclose(numbers[:, 1:4].sum(axis=1), numbers[:, 4], rtol=1e-6)
    for name, value in {**vars(arguments(nst)), **changed}.items():
        assert name not in SETTINGS or f"\n# {name}: {value}\n" in text, name
    assert f"\n# Weights SHA-256: {nst.VGG16_SHA256}\n" in text and "/tmp" not in text and "/work" not in text


def test_all_runs_are_of_one_script():
    """The README beside them says of which, and of which commit it is."""
    logs = [(OUTPUT / folder / f"result_{pair}_log.txt").read_text() for folder, (pair, _) in RUNS.items()]
    sha256, = {re.search(r"^# Script SHA-256: (\w{64})$", log, re.MULTILINE)[1] for log in logs}
    assert re.search(rf"`{sha256}`[^`]*`[0-9a-f]{{7}}`", (OUTPUT / "README.md").read_text())


def test_figures_of_the_logs():
    """What the README says of the logs is what figures.py computes from them."""
    printed = subprocess.check_output([sys.executable, OUTPUT / "figures.py"], text=True)
    page = " ".join((OUTPUT / "README.md").read_text().split())
    missing = [words for words in printed.splitlines() if words not in page]
    assert printed and not missing, "\n".join(["output_files/README.md has to say now:", *missing])


def test_loading_a_log_in_python(tmp_path, monkeypatch):
    """The README's lines run as they stand there, and load any log."""
    monkeypatch.chdir(ROOT)
    block, = re.findall(r"```python\n([^`]*def load.*?)```", (OUTPUT / "README.md").read_text(), re.DOTALL)
    exec(block, page := {})
    assert page["columns"]["t"][page["columns"]["estimated"]].tolist() == [1, *range(10, 151, 10)]
    plain, watched = "{}  1  2  3  4  5  6  7\n", "{}  1  2  3  4  5  6  7  8  {}  {}\n"
    eight, nan = "# a title\n" + plain.format(1) + plain.format(2), np.nan
    eleven = "".join(watched.format(*row) for row in [(1, 5, 2), (2, 5, 2), (3, 5, 3), (4, 6, 3)])
    remark = "# step {}: {} has not converged after 3 products\n"
    mixed = (eight + "# Resumed at step 2 from \xe9\n" + remark.format(3, "L") + watched.format(3, 6, 3)
             + watched.format(4, 6, 3) + "# Resumed at step 4 from b\n# Changed tv_weight: 1.0 ..., 2.0 now\n"
             + remark.format(5, "lambda_max(alpha_eff*H)") + watched.format(5, 5, 3) + "\n# step 5: mine\n"
             + plain.format(6) + watched.format(7, 5, 3) + watched.format(8, 1, 1)[:-2])  # cut
    logs = [("# a title\n", [], [], []), (eight, [nan, nan], [], []), (eleven, [5, 5, 5, 6], [1, 3, 4], []),
            (mixed, [nan, nan, 6, 6, 5, nan, 5], [3, 5, 7], [(3, "L"), (5, "lambda_max(alpha_eff*H)")])]
    for log, L, estimated, not_converged in logs:
        (tmp_path / "log.txt").write_bytes(log.encode("latin-1"))  # a file's name may hold any bytes
        columns, remarks = page["load"](tmp_path / "log.txt")
        np.testing.assert_array_equal(columns["L"], L)
        names = "content style tv total alpha_eff_min alpha_eff_mean alpha_eff_max".split()
        assert all((columns[name] == k).all() for k, name in enumerate(names, 1))
        assert columns["t"][columns["estimated"]].tolist() == estimated and remarks == not_converged


def test_which_layers_the_style_term_comes_from(nst, phi):
    """Nearly all of the style term at the start is block4_conv1's, next to none block1_conv1's."""
    phi_c, phi_s = (phi(nst.fit("", nst.read_picture("", ROOT / name), 128))
                    for name in ("content_files/c1.png", "style_files/s1.png"))
    terms = [np.mean((nst.gram_matrix(phi_c[layer]) - nst.gram_matrix(phi_s[layer])) ** 2)
             for layer in nst.STYLE_LAYERS]
    shares = np.array(terms) / sum(terms)
    assert shares[3] > 0.9 and shares[0] < 1e-4 and np.argmin(shares) == 0
