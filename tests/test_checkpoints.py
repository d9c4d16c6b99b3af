"""Nothing is lost: whose checkpoints are moved, which are taken, and the log that goes with each."""

import json
import re
import shutil

import pytest

from conftest import CADENCE, contents, names, row_lines, rows


def without(folder, *steps) -> None:
    """Remove the checkpoints of these steps."""
    for t in steps:
        for part in folder.glob(f"ckpt-{t}.*"):
            part.unlink()


def fail(nst, *_):
    raise nst.RunError("cannot write")


# The log of a checkpoint


@pytest.mark.parametrize("change", ["edited", "shorter", "missing"])
def test_a_log_that_is_not_the_checkpoints_begins_anew(flags, whole, tmp_path, run, change):
    """Under its own header; what was there is kept beside it."""
    folder = shutil.copytree(whole[0], tmp_path / "out")
    log, previous = folder / "r_c_s_log.txt", folder / "r_c_s_log.txt.previous"
    without(folder / "checkpoints", 12)
    text = log.read_text()
    changed = {"edited": re.sub(r"^2  \S", "2  7", text, flags=re.MULTILINE),
               "shorter": text[:text.index("\n7  ")], "missing": None}[change]
    log.unlink()
    if changed:
        log.write_text(changed)
    status, out, err = run(*flags(*CADENCE, "--nsteps", 12, "--resume"))
    assert status == 0 and "ckpt-8 at step 8" in out
    assert err == f"neural_style_transfer.py: warning: {str(log)!r} is missing or was changed since; a new log begins\n"
    assert row_lines(log) == row_lines(whole[0] / "r_c_s_log.txt")[8:]
    assert (folder / "r_c_s_final.png").read_bytes() == (whole[0] / "r_c_s_final.png").read_bytes()
    lines = log.read_text().splitlines()
    assert lines[0] == "# Neural style transfer" and any(line.startswith("# Content SHA-256: ") for line in lines)
    assert any(line.startswith("# Resumed at step 8 from ") for line in lines)
    assert ("r_c_s_log.txt.previous" in out) == previous.exists() == (changed is not None)
    assert changed is None or previous.read_text() == changed


def test_what_a_longer_run_keeps_of_the_log(flags, tmp_path, run):
    """All up to a last row off the cadence, and not that row; every remark on an L that goes on."""
    cadence = ["--save_every", 0, "--log_every", 2, "--optim", "--optim_every", 3, "--optim_max_iters", 1]
    log = tmp_path / "out" / "r_c_s_log.txt"
    unconverged = r"^# step (\d+): L has not converged"
    assert run(*flags(*cadence, "--nsteps", 3))[0] == 0
    assert [int(row[0]) for row in rows(log)] == [2, 3] and "# Finished" in log.read_text()
    assert re.findall(unconverged, log.read_text(), re.MULTILINE) == ["1", "3"]
    before = log.read_text()
    assert run(*flags(*cadence, "--nsteps", 5, "--resume"))[0] == 0
    assert [int(row[0]) for row in rows(log)] == [2, 4, 5]
    assert log.read_text().startswith(before[:before.index("\n2  ") + 5])
    found = re.findall(unconverged, log.read_text(), re.MULTILINE)
    assert set(found) == {"1", "3"}, "rows 4 and 5 carry the L of step 3"
    assert log.read_text().count("# Finished") == 1, "not in the middle of a log"


def test_a_log_that_is_deleted_or_edited_in_mid_run(flags, tmp_path, run, nst, monkeypatch):
    """The run goes on and saves; the log that an editor put there is not taken for its own at the resume."""
    log, save_image = tmp_path / "out" / "r_c_s_log.txt", nst.save_image

    def disturbed(path, pixels, how):
        save_image(path, pixels)
        if path.name == "r_c_s_000002.png":
            how()

    for how in log.unlink, lambda: (log.rename(log.with_name("copy")), log.write_text("# Note\n")):
        with monkeypatch.context() as patch:
            patch.setattr(nst, "save_image", lambda *args: disturbed(*args, how))
            assert run(*flags("--nsteps", 3, "--save_every", 2, "--ckpt_write_every", 1))[::2] == (0, "")
        status, out, err = run(*flags("--nsteps", 4, "--resume"))
        assert status == 0 and err.endswith("a new log begins\n") and "ckpt-3 at step 3" in out
        assert rows(log)[:, 0].tolist() == [4]
    assert log.with_name("r_c_s_log.txt.previous").read_text() == "# Note\n"


def test_a_note_below_the_log_stays(flags, tmp_path, run):
    assert run(*flags("--nsteps", 2))[0] == 0
    log = tmp_path / "out" / "r_c_s_log.txt"
    with open(log, "a") as file:
        file.write("# My note\n")
    assert run(*flags("--nsteps", 3, "--resume"))[0] == 0
    assert "\n# My note\n" in log.read_text() and rows(log)[:, 0].tolist() == [1, 2, 3]


def test_the_verdict_knows_the_whole_run(flags, tmp_path, run):
    """Also what was estimated before a resume, but nothing that has not converged."""
    words = ["--optim", "--optim_every", 6, "--adam_beta_1", 0, "--adam_learning_rate", 0.1]
    verdict = re.compile(r"^# lambda_max\S*: .*", re.MULTILINE)
    assert run(*flags(*words, "--nsteps", 13, output=tmp_path / "whole" / "r.png"))[0] == 0
    whole = verdict.findall((tmp_path / "whole" / "r_c_s_log.txt").read_text())
    assert len(whole) == 1 and "reached at step 12" in whole[0]
    for nsteps in 12, 13:
        assert run(*flags(*words, "--nsteps", nsteps, "--resume"))[0] == 0
    assert verdict.findall((tmp_path / "out" / "r_c_s_log.txt").read_text())[-1] == whole[0]
    assert run(*flags("--optim", "--optim_max_iters", 1, "--nsteps", 12, output=tmp_path / "one" / "r.png"))[0] == 0
    assert "too few estimates" in verdict.findall((tmp_path / "one" / "r_c_s_log.txt").read_text())[0]


@pytest.mark.parametrize("changed", [[], ["--optim_every", 10], ["--style_weight", 0.02], ["--adam_learning_rate", 0.02]])
def test_a_resume_with_other_flags_estimates_anew(flags, tmp_path, run, changed):
    """At its first step; with nothing changed the last estimate is carried on."""
    log, cadence = tmp_path / "out" / "r_c_s_log.txt", ["--optim", "--optim_every", 5, "--optim_max_iters", 2]
    assert run(*flags(*cadence, "--nsteps", 6))[0] == 0
    assert run(*flags(*cadence, "--nsteps", 8, "--resume", *changed))[0] == 0
    L, lambda_max = rows(log)[:, 9:].T
    assert L[4] == L[5] and L[6] == L[7] and (L[5] != L[6]) == bool(changed)
    assert (lambda_max[5] != lambda_max[6]) == bool(changed)


# Whose checkpoints are moved


def test_a_start_that_gets_nowhere_does_not_cost_the_run_before(flags, tmp_path, run, nst, monkeypatch):
    """A run; a fresh start that is stopped before its first step; --resume; a fresh start that ends."""
    assert run(*flags("--nsteps", 2))[0] == 0
    folder = tmp_path / "out"
    earlier = contents(folder / "checkpoints")
    with monkeypatch.context() as patch:
        patch.setattr(nst, "save_image", lambda *_: fail(nst))
        assert run(*flags("--nsteps", 3))[0] == 1
        assert contents(folder / "checkpoints.previous") == earlier
        (folder / "checkpoints" / "ckpt-1_temp").mkdir(parents=True, exist_ok=True)  # or killed in its first checkpoint
        for resume in "--resume", "--optim":  # the second is a fresh start like the first
            status, out, err = run(*flags("--nsteps", 3, resume))
            assert status == 1 and contents(folder / "checkpoints.previous") == earlier
            if resume == "--resume":
                said = r"No checkpoint in \S*checkpoints\b.* fresh(.*\n)*.*checkpoints\.previous.*ckpt-2\b"
                assert re.search(said, out + err)
    status, out, err = run(*flags("--nsteps", 1, "--resume"))
    assert status == 0 and contents(folder / "checkpoints.previous") == earlier
    assert "checkpoints/ckpt-1.index" in names(folder)
    assert run(*flags("--nsteps", 1))[0] == 0, "which is a run with checkpoints: one generation is kept"
    assert (folder / "checkpoints.previous" / "ckpt-1.index").is_file()


@pytest.fixture(scope="module")
def ours(whole, tmp_path_factory):
    """The checkpoints of steps 4 and 8."""
    folder = shutil.copytree(whole[0] / "checkpoints", tmp_path_factory.mktemp("ours") / "checkpoints")
    without(folder, 12)
    return folder


def test_a_run_whose_folder_was_used_by_another(flags, ours, tmp_path, run):
    """Which moved its checkpoints, but not its log, and was killed in its first checkpoint: both are kept."""
    folder = tmp_path / "out"
    shutil.copytree(ours, folder / "checkpoints.previous")
    (folder / "checkpoints").mkdir()
    for name in "ckpt-2.index", "ckpt-2.data-00000-of-00001", ".DS_Store":
        (folder / "checkpoints" / name).touch()
    (folder / "r_c_s_log.txt").write_text("# of an earlier run\n")
    earlier = contents(folder / "checkpoints.previous")
    status, out, err = run(*flags("--nsteps", 1))
    assert (status, err) == (0, "") and contents(folder / "checkpoints.previous") == earlier
    assert re.search(r"^Kept \S*checkpoints\.previous; \S*checkpoints is written over\.$", out, re.MULTILINE)
    assert (folder / "r_c_s_log.txt.previous").read_text() == "# of an earlier run\n"
    (folder / "checkpoints" / "ckpt-1.index").write_bytes((ours / "ckpt-4.index").read_bytes()[:20])  # damaged, but ours
    (folder / "checkpoints" / "ckpt-3.index").symlink_to("nowhere")
    status, _, err = run(*flags("--nsteps", 1, "--resume"))
    assert status == 2 and err.count("passed over") == 3 and "none of the 3 checkpoints" in err
    (folder / "checkpoints" / "ckpt-3.index").unlink()
    (folder / "checkpoints" / "ckpt-1.data-00000-of-00001").unlink()
    assert run(*flags("--nsteps", 2))[0] == 0 and contents(folder / "checkpoints.previous") == earlier
    assert run(*flags("--nsteps", 1))[0] == 0 and {".DS_Store", "ckpt-2.index"} <= set(names(folder / "checkpoints.previous"))


@pytest.mark.parametrize("in_checkpoints, in_previous, words", [
    ("thesis", "", []), ("thesis", "", ["--resume"]), ("file", "", []), ("", "thesis", []), ("ours", "thesis", []),
    ("ours", "file", []), ("thesis and ours", "", []), ("thesis", "ours", []), ("thesis and ours", "", ["--resume_from", "checkpoints/ckpt-4"]),
    ("TensorFlow's", "", []), ("ours", "TensorFlow's", [])])
def test_what_no_run_has_put_there_is_left_alone(flags, ours, tmp_path, run, nst, in_checkpoints, in_previous, words):
    """Neither moved nor deleted: one line, status 2, nothing changed. Any program of TensorFlow writes checkpoints/ckpt-1."""
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "r_c_s_log.txt").write_text("# of an earlier run\n")
    for name, what in ("checkpoints", in_checkpoints), ("checkpoints.previous", in_previous):
        if "ours" in what:
            shutil.copytree(ours, folder / name)
        if "thesis" in what:
            (folder / name).mkdir(exist_ok=True)
            (folder / name / "thesis_model.pt").write_bytes(b"years of work")
        if what == "TensorFlow's":
            model = nst.tf.train.Checkpoint(weights=nst.tf.Variable([1.0]))
            nst.tf.train.CheckpointManager(model, str(folder / name), 3, checkpoint_name="ckpt").save()
        if what == "file":
            (folder / name).write_bytes(b"a file")
    before = contents(folder)
    words = [folder / word if "/" in word else word for word in words]
    status, _, err = run(*flags("--nsteps", 9, *words))
    assert (status, err.count("\n")) == (2, 1) and "checkpoints" in err and contents(folder) == before


def test_a_run_goes_on_beside_what_is_not_its_own(flags, ours, tmp_path, run):
    folder = tmp_path / "out"
    shutil.copytree(ours, folder / "checkpoints")
    for name in "thesis_model.pt", "ckpt-best.index", "my ckpt-1.data-00000-of-00001":
        (folder / "checkpoints" / name).write_bytes(b"years of work")
    mine = set(names(folder / "checkpoints"))
    assert run(*flags(*CADENCE, "--nsteps", 9, "--ckpt_keep_max", 1, "--resume"))[0] == 0
    assert set(names(folder / "checkpoints")) == {name for name in mine if not re.search(r"^ckpt-\d", name)} | {
        "ckpt-9.index", "ckpt-9.data-00000-of-00001"}


@pytest.mark.parametrize("broken", ["replace", "listdir", "rmtree"])
def test_files_that_cannot_be_moved_or_listed(flags, ours, tmp_path, run, nst, monkeypatch, broken):
    """As on a file system that has gone read-only: one line, status 1, and all is still there."""
    folder = tmp_path / "out"
    for name in "checkpoints", "checkpoints.previous":
        shutil.copytree(ours, folder / name)
    (folder / "r_c_s_log.txt").write_text("# of an earlier run\n")
    before = contents(folder)

    def refuse(path, *_, **__):
        raise PermissionError(13, "Permission denied", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(nst.shutil if broken == "rmtree" else nst.os, broken, refuse)
        status, _, err = run(*flags("--nsteps", 1))
    assert status in (1, 2) and err.count("\n") == 1 and "Permission denied" in err
    assert sum(data in before.values() for data in contents(folder).values()) == len(before)


# Which checkpoints are taken


def test_only_whole_checkpoints_are_taken(flags, tmp_path, run, nst):
    """Image, description, both moments and the step; and a rate given at the resume is the one that is used."""
    assert run(*flags("--nsteps", 2, "--ckpt_write_every", 1))[0] == 0
    folder = tmp_path / "out" / "checkpoints"
    reader, value = nst.tf.train.load_checkpoint(str(folder / "ckpt-2")), "/.ATTRIBUTES/VARIABLE_VALUE"
    kept = {name.removesuffix(value): reader.get_tensor(name) for name in reader.get_variable_to_shape_map()
            if name.endswith(value)}
    about = json.loads(kept["about"])

    def write(t: int, drop: str = "", iterations: int = 0, **changed) -> None:
        """ckpt-t like ckpt-2, without the variables whose name matches `drop`."""
        root = nst.tf.Module()
        for name, value in kept.items():
            if name == "about":
                value = json.dumps({**about, "step": t, **changed})
            if name == "optimizer/_iterations":
                value += iterations
            if not re.fullmatch(drop, name):
                *parents, leaf = name.split("/")
                node = root
                for parent in parents:
                    if not hasattr(node, parent):
                        setattr(node, parent, nst.tf.Module())
                    node = getattr(node, parent)
                setattr(node, leaf, nst.tf.Variable(value))
        nst.tf.train.Checkpoint(root).write(str(folder / f"ckpt-{t}"))

    write(3, iterations=1)  # nothing is wrong with it
    bad = {4: dict(drop="optimizer/.*"), 5: dict(drop="optimizer/_variables/3", iterations=3),
           6: dict(drop="optimizer/_variables/2", iterations=4), 7: dict(drop="optimizer/_iterations"),
           8: dict(drop="image", iterations=6), 9: dict(drop="about"), 10: dict(run=None, iterations=8),
           11: dict(iterations=2)}
    for t, options in bad.items():
        write(t, **options)
    for t in bad:
        status, _, err = run(*flags("--nsteps", 20, "--resume_from", folder / f"ckpt-{t}"))
        assert (status, err.count("\n")) == (2, 1) and f"ckpt-{t}'" in err, (t, err)
    status, out, err = run(*flags("--nsteps", 4, "--resume", "--adam_learning_rate", 0.02, "--ckpt_keep_max", 0))
    assert status == 0 and "ckpt-3 at step 3" in out
    assert re.findall(r"passed over.*ckpt-(\d+)'", err) == [str(t) for t in sorted(bad, reverse=True)]
    assert err.count("\n") == len(bad) + 1 and "adam_learning_rate: 0.01 in the checkpoint, 0.02 now" in err
    alpha_eff = rows(tmp_path / "out" / "r_c_s_log.txt")[:, 6]
    assert alpha_eff[-1] > 1.5 * alpha_eff[1]


@pytest.mark.parametrize("what", ["Keras", "Pillow", "NumPy", "Script SHA-256"])
def test_another_version_is_told(flags, whole, tmp_path, run, nst, monkeypatch, what):
    shutil.copytree(whole[0], tmp_path / "out")
    without(tmp_path / "out" / "checkpoints", 12)
    if what == "Script SHA-256":
        (tmp_path / "other.py").write_text("another script")
        monkeypatch.setattr(nst, "__file__", str(tmp_path / "other.py"))
    else:
        monkeypatch.setattr({"Keras": nst.keras, "Pillow": nst.Image, "NumPy": nst.np}[what], "__version__", "9.9.9")
    status, _, err = run(*flags(*CADENCE, "--nsteps", 12, "--resume"))
    said = re.fullmatch(rf"neural_style_transfer\.py: warning: ({what}: (\S+) in the checkpoint, (\S+) now)\n", err)
    assert status == 0 and said and said[2] != said[3]
    assert f"# Changed {said[1]}\n" in (tmp_path / "out" / "r_c_s_log.txt").read_text()
