"""The pictures and runs that the README shows: all there, of the runs it names, and laid out anew."""

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
PAIRS = [(f"c{i}", f"s{j}") for i in range(1, 6) for j in range(1, 6)]
WEIGHTS = ["content_weight_1000", "content_weight_100000", "style_weight_0.001", "style_weight_0.1", "tv_weight_30", "tv_weight_3000"]


def test_every_picture_and_heading_that_is_linked_is_there():
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", README)
    assert len(pictures) >= 8
    for name in pictures:
        with Image.open(ROOT / name) as image:
            image.load()
    headings = {re.sub(r"[^a-z0-9 -]", "", line.lstrip("# ").lower()).replace(" ", "-")
                for line in README.splitlines() if line.startswith("#")}
    assert set(re.findall(r"\]\(#([^)]+)\)", README)) <= headings


@pytest.mark.parametrize("name, side", [("grid", None), ("stages", 256), ("weights", 256)])
def test_sheets_are_those_of_the_runs(name, side, tmp_path):
    """The script makes the committed sheet from the committed runs (up to the font that labels it)."""
    for folder in "content_files", "style_files", "output_files":
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("checkpoints"))
    sheet = tmp_path / "output_files" / f"{name}.png"
    sheet.unlink()
    result = subprocess.run([sys.executable, "output_files/sheets.py", name], cwd=tmp_path, capture_output=True, text=True)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    with Image.open(sheet) as made, Image.open(OUTPUT / sheet.name) as committed:
        made, committed = (np.asarray(image.convert("RGB"), int) for image in (made, committed))
    assert made.shape == committed.shape
    assert np.mean(np.abs(made - committed).max(axis=2) > 24) < 0.03


def test_grid_is_small_enough_for_a_page():
    assert (OUTPUT / "grid.png").stat().st_size < 3e6


def test_a_sheet_without_its_runs(tmp_path):
    shutil.copy(OUTPUT / "sheets.py", tmp_path)
    for words, said in ([], "sheets.py grid"), (["weight"], "sheets.py grid"), (["weights"], "content_weight_1000/result_c1_s1_final.png is missing"):
        result = subprocess.run([sys.executable, "sheets.py", *words], cwd=tmp_path, capture_output=True, text=True)
        assert result.returncode == 1 and said in result.stderr and "Traceback" not in result.stderr


@pytest.mark.parametrize("folder, stem, size, nsteps", [
    ("c1_s1/run0", "result_c1_s1", 512, 1000), ("stages", "result_c1_s1", 512, 50),
    *((f"grid/{c}_{s}", f"result_{c}_{s}", 256, 300) for c, s in PAIRS),
    *((f"weights/{name}", "result_c1_s1", 256, 300) for name in WEIGHTS)])
def test_runs_that_are_shown(folder, stem, size, nsteps):
    """Each is whole, with the settings that the README says and no others than the defaults."""
    log = (OUTPUT / folder / f"{stem}_log.txt")
    text, numbers = log.read_text(), rows(log)
    assert numbers[:, 0].tolist() == list(range(1, nsteps + 1)) and numbers[0, 1] == 0
    np.testing.assert_allclose(numbers[:, 1:4].sum(axis=1), numbers[:, 4], rtol=1e-6)
    changed = {"image_size": size, "nsteps": nsteps, "precision": "float32" if size == 512 else "bfloat16"}
    if folder.startswith("weights/"):
        name, _, value = folder.removeprefix("weights/").rpartition("_")
        changed[name] = float(value)
    defaults = {"image_size": 512, "content_weight": 10000.0, "style_weight": 0.01, "tv_weight": 300.0, "loss_reduction": "mean",
                "tv_form": "isotropic", "adam_learning_rate": 0.01, "log_every": 1}
    for name, value in {**defaults, **changed}.items():
        assert f"\n# {name}: {value}\n" in text
    if folder != "stages":
        with Image.open(OUTPUT / folder / f"{stem}_final.png") as image:
            assert max(image.size) == size


def test_the_run_of_50_steps_is_the_start_of_the_run_of_1000():
    stages, run0 = (rows(OUTPUT / folder / "result_c1_s1_log.txt") for folder in ("stages", "c1_s1/run0"))
    np.testing.assert_array_equal(stages, run0[:50])


def test_what_the_readme_says_of_the_layers(nst):
    """Nearly all of the style term at the start is block4_conv1's, next to none block1_conv1's."""
    phi = nst.vgg_features(nst.find_weights("vgg16"))
    x_c, x_s = (nst.to_array(nst.resize(nst.read_picture("", ROOT / name).image, 128)) for name in ("content_files/c1.png", "style_files/s1.png"))
    phi_c, phi_s = phi(x_c), phi(x_s)
    terms = {layer: np.mean((nst.gram_matrix(phi_c[layer]) - nst.gram_matrix(phi_s[layer])) ** 2) for layer in nst.STYLE_LAYERS}
    share = {layer: term / sum(terms.values()) for layer, term in terms.items()}
    assert share["block4_conv1"] > 0.9 and share["block1_conv1"] < 1e-4 and min(share, key=share.get) == "block1_conv1"
