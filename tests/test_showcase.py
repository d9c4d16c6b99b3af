"""The pictures and runs that the README shows: all there, of the runs it names, with the settings it says."""

import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from conftest import ROOT, rows

OUTPUT = ROOT / "output_files"
PAIRS = [f"c{i}_s{j}" for i in range(1, 6) for j in range(1, 6)]
DEFAULTS = {"image_size": 512, "match_colors": False, "precision": "float32",
            "content_weight": 10000.0, "style_weight": 0.01, "tv_weight": 300.0, "loss_reduction": "mean", "tv_form": "isotropic",
            "adam_learning_rate": 0.01, "adam_beta_1": 0.9}
SMALL = {"image_size": 256, "adam_learning_rate": 0.04, "tv_weight": 1200.0}
FLAGS = {"content_weight": (100, 1000000), "style_weight": (0.0001, 1), "tv_weight": (12, 120000)}
SYMPTOMS = (("less_alpha", "c2_s4", {"content_weight": 1000.0}), ("more_alpha", "c5_s2", {"content_weight": 100000.0}),
            ("grey_before", "c1_grey", {}), ("grey_more_beta", "c1_grey", {"style_weight": 0.1}), ("speckled", "c1_s1", {"tv_weight": 300.0}),
            ("larger_strokes", "c1_quarter", {}), ("smaller_strokes", "c1_four", {}), ("matched", "c4_s3", {"match_colors": True}))
# folder: (stem of its files, how many steps, what is not default)
RUNS = {"c1_s1/run0": ("result_c1_s1", 1000, {}),
        **{f"large/{pair}": (f"result_{pair}", 300, {"adam_learning_rate": 0.04, "tv_weight": 30.0})
           for pair in ("c1_s1", "c4_s2", "c5_s1")},
        **{f"pairs/{pair}": (f"result_{pair}", 150, SMALL) for pair in PAIRS},
        **{f"flags/{flag}_{value}": ("result_c1_s1", 150, {**SMALL, flag: float(value)})
           for flag, values in FLAGS.items() for value in values},
        **{f"symptoms/{name}": (f"result_{pair}", 150, {**SMALL, **changed}) for name, pair, changed in SYMPTOMS},
        **{f"rates/{rate}": ("result_c1_s1", 150, {"image_size": 256, "adam_learning_rate": rate}) for rate in (0.01, 0.1)}}


def headings(readme):
    """Of a Markdown file, as GitHub makes addresses of them."""
    titles = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```", "", readme.read_text(), flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
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


def test_a_sheet_without_its_runs(tmp_path):
    shutil.copy(OUTPUT / "sheets.py", tmp_path)
    for words, said in ([], "sheets.py pairs"), (["pair"], "sheets.py pairs"), (["symptoms"], "result_c4_s3_final.png is missing"):
        result = subprocess.run([sys.executable, "sheets.py", *words], cwd=tmp_path, capture_output=True, text=True)
        assert result.returncode == 1 and said in result.stderr and "Traceback" not in result.stderr


@pytest.mark.parametrize("folder", RUNS)
def test_runs_that_are_shown(nst, folder):
    """Each is whole, with the settings that the README says and no others than the defaults."""
    stem, nsteps, changed = RUNS[folder]
    log = OUTPUT / folder / f"{stem}_log.txt"
    text, numbers = log.read_text(), rows(log)
    assert numbers[:, 0].tolist() == list(range(1, nsteps + 1)) and numbers[0, 1] == 0
    np.testing.assert_allclose(numbers[:, 1:4].sum(axis=1), numbers[:, 4], rtol=1e-6)
    for name, value in {**DEFAULTS, **changed}.items():
        assert f"\n# {name}: {value}\n" in text, name
    assert f"\n# Weights SHA-256: {nst.VGG16_SHA256}\n" in text and "/tmp" not in text and "/work" not in text


def test_all_runs_are_of_one_script():
    """And the README beside them says which one, and at which commit it was."""
    logs = [(OUTPUT / folder / f"{stem}_log.txt").read_text() for folder, (stem, *_) in RUNS.items()]
    of = {re.search(r"^# Script SHA-256: (\w{64})$", log, re.MULTILINE)[1] for log in logs}
    assert len(of) == 1
    assert re.search(rf"`{of.pop()}`.*`[0-9a-f]{{7}}`", (OUTPUT / "README.md").read_text(), re.DOTALL)


def test_adams_bound_in_the_runs_that_show_it():
    """At the default rate the run stays below 38, at ten times that it gets there and its loss jumps."""
    calm, wild = (rows(OUTPUT / "rates" / rate / "result_c1_s1_log.txt") for rate in ("0.01", "0.1"))
    assert calm[10:, 10].max() < 38 < wild[10:, 10].max()
    assert np.sum(np.diff(calm[10:, 4]) > 0) < np.sum(np.diff(wild[10:, 4]) > 0)


def test_which_layers_the_style_term_comes_from(nst, phi):
    """Nearly all of the style term at the start is block4_conv1's, next to none block1_conv1's."""
    x_c, x_s = (nst.fit("", nst.read_picture("", ROOT / name), 128) for name in ("content_files/c1.png", "style_files/s1.png"))
    phi_c, phi_s = phi(x_c), phi(x_s)
    terms = {layer: np.mean((nst.gram_matrix(phi_c[layer]) - nst.gram_matrix(phi_s[layer])) ** 2) for layer in nst.STYLE_LAYERS}
    share = {layer: term / sum(terms.values()) for layer, term in terms.items()}
    assert share["block4_conv1"] > 0.9 and share["block1_conv1"] < 1e-4 and min(share, key=share.get) == "block1_conv1"
