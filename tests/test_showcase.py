"""The pictures and runs that the README shows: all there, of the runs it names, with the settings it says."""

import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from conftest import ROOT, rows

README = (ROOT / "README.md").read_text()
OUTPUT = ROOT / "output_files"
PAIRS = [f"c{i}_s{j}" for i in range(1, 6) for j in range(1, 6)]
FLAGS = {"content_weight": (100, 1000, 10000, 100000, 1000000), "style_weight": (0.0001, 0.001, 0.1, 1), "tv_weight": (3, 30, 3000, 30000)}
DEFAULTS = {"content_weight": 10000.0, "style_weight": 0.01, "tv_weight": 300.0, "loss_reduction": "mean", "tv_form": "isotropic",
            "adam_learning_rate": 0.01, "adam_beta_1": 0.9, "log_every": 1}
# folder: (stem of its files, what is not default)
RUNS = {"c1_s1/run0": ("result_c1_s1", {"image_size": 512, "nsteps": 1000, "precision": "float32"}),
        **{f"pairs/{pair}": (f"result_{pair}", {"image_size": 320, "nsteps": 500, "precision": "bfloat16"}) for pair in PAIRS},
        **{f"flags/{flag}_{value}": ("result_c1_s1", {"image_size": 256, "nsteps": 300, "precision": "bfloat16", flag: float(value)})
           for flag, values in FLAGS.items() for value in values},
        **{f"rates/{rate}": ("result_c1_s1", {"image_size": 256, "nsteps": 150, "precision": "float32", "adam_learning_rate": rate})
           for rate in (0.01, 0.1)},
        **{f"large/{pair}": (f"result_{pair}", {"image_size": 512, "nsteps": 500, "precision": "bfloat16"}) for pair in ("c1_s2", "c2_s1")},
        "large/c1_s1_tv30": ("result_c1_s1", {"image_size": 512, "nsteps": 1000, "precision": "bfloat16", "tv_weight": 30.0})}


def test_every_picture_and_heading_that_is_linked_is_there():
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", README)
    assert len(pictures) >= 10
    for name in pictures:
        with Image.open(ROOT / name) as image:
            image.load()
    headings = {re.sub(r"[^a-z0-9 -]", "", line.lstrip("# ").lower()).replace(" ", "-")
                for line in README.splitlines() if line.startswith("#")}
    assert set(re.findall(r"\]\(#([^)]+)\)", README)) <= headings
    for name, heading in re.findall(r"\]\(([\w/]+\.md)(?:#([^)]+))?\)", README):
        assert not heading or f"\n## {heading.capitalize()}" in (ROOT / name).read_text(), name


def test_a_sheet_without_its_runs(tmp_path):
    shutil.copy(OUTPUT / "sheets.py", tmp_path)
    for words, said in ([], "sheets.py pairs"), (["pair"], "sheets.py pairs"), (["flags"], "result_c1_s1_final.png is missing"):
        result = subprocess.run([sys.executable, "sheets.py", *words], cwd=tmp_path, capture_output=True, text=True)
        assert result.returncode == 1 and said in result.stderr and "Traceback" not in result.stderr


@pytest.mark.parametrize("folder", RUNS)
def test_runs_that_are_shown(folder):
    """Each is whole, with the settings that the README says and no others than the defaults."""
    stem, changed = RUNS[folder]
    log = OUTPUT / folder / f"{stem}_log.txt"
    text, numbers = log.read_text(), rows(log)
    assert numbers[:, 0].tolist() == list(range(1, changed["nsteps"] + 1)) and numbers[0, 1] == 0
    np.testing.assert_allclose(numbers[:, 1:4].sum(axis=1), numbers[:, 4], rtol=1e-6)
    for name, value in {**DEFAULTS, **changed}.items():
        assert f"\n# {name}: {value}\n" in text, name
    assert "\n# Weights: vgg16, VGG-16, " in text and "/tmp" not in text and "/work" not in text


def test_adams_bound_in_the_runs_that_show_it():
    """At the default rate the run stays below 38, at ten times that it gets there and its loss jumps."""
    calm, wild = (rows(OUTPUT / "rates" / rate / "result_c1_s1_log.txt") for rate in ("0.01", "0.1"))
    assert calm[10:, 10].max() < 38 < wild[10:, 10].max()
    assert np.sum(np.diff(calm[10:, 4]) > 0) < np.sum(np.diff(wild[10:, 4]) > 0)


def test_which_layers_the_style_term_comes_from(nst):
    """Nearly all of the style term at the start is block4_conv1's, next to none block1_conv1's."""
    phi = nst.vgg_features(nst.find_weights("vgg16"))
    x_c, x_s = (nst.fit("", nst.read_picture("", ROOT / name), 128) for name in ("content_files/c1.png", "style_files/s1.png"))
    phi_c, phi_s = phi(x_c), phi(x_s)
    terms = {layer: np.mean((nst.gram_matrix(phi_c[layer]) - nst.gram_matrix(phi_s[layer])) ** 2) for layer in nst.STYLE_LAYERS}
    share = {layer: term / sum(terms.values()) for layer, term in terms.items()}
    assert share["block4_conv1"] > 0.9 and share["block1_conv1"] < 1e-4 and min(share, key=share.get) == "block1_conv1"
