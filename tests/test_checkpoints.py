"""Nothing is lost: what a run moves before it begins, which checkpoints are taken, and the log that goes with each."""

import argparse
import itertools
import os
import re
import shutil
import tempfile
import time
from pathlib import Path

import pytest

from conftest import CADENCE, WATCHED, assert_same_run, contents, names, row_lines, rows, without


def moved_to(out: str) -> Path:
    """Where a run says that it has moved an earlier one; the same in its log."""
    [folder] = re.findall(r"^Moved the earlier run to (.*)$", out, re.MULTILINE)
    return Path(folder)


@pytest.fixture(autouse=True)
def a_second_for_each_look_at_the_clock(nst, monkeypatch):
    """The folder of an earlier run is named by the second; no two processes start within one."""
    strftime, began, looks = time.strftime, time.time(), itertools.count()
    monkeypatch.setattr(nst.time, "strftime", lambda form: strftime(form, time.localtime(began + next(looks))))


def files_of(nst, folder: Path):
    return nst.OutputFiles(argparse.Namespace(output=str(folder / "r.png"), content="c.png", style="s.png"))


# The log of a checkpoint


def test_a_missing_log_begins_anew(flags, whole, tmp_path, run):
    folder = shutil.copytree(whole, tmp_path / "out")
    log = folder / "r_c_s_log.txt"
    without(folder / "checkpoints/r_c_s", 12)
    log.unlink()
    status, out, err = run(*flags(*CADENCE, "--nsteps", 12, "--resume"))
    assert (status, err) == (0, "") and "Resuming at step 8" in out
    assert row_lines(log) == row_lines(whole / "r_c_s_log.txt")[8:]
    assert (folder / "r_c_s_final.png").read_bytes() == (whole / "r_c_s_final.png").read_bytes()
    lines = log.read_text().splitlines()
    assert lines[0] == "# Neural style transfer" and any(line.startswith("# Content SHA-256: ") for line in lines)
    assert any(line.startswith("# Resumed at step 8 from ") for line in lines)
    assert names(folder) == names(whole)


@pytest.mark.parametrize("end", [r"\n7  ", r"\n7  \S+  \S\.\S", r"\n# Step", r"Keras"])
def test_a_log_that_ends_too_early(flags, whole, tmp_path, run, end):
    """As after a power failure, or an editor: a cut line goes, all else stays, and the run goes on."""
    folder = shutil.copytree(whole, tmp_path / "out")
    log = folder / "r_c_s_log.txt"
    text = log.read_text()
    without(folder / "checkpoints/r_c_s", 12)
    before = text[:re.search(end, text).end()]
    log.write_text(before)
    assert run(*flags(*CADENCE, "--nsteps", 12, "--resume"))[::2] == (0, "")
    kept = before[:before.rindex("\n") + 1]
    assert log.read_text().startswith(kept + "# Resumed at step 8 from ")
    here = [line for line in kept.splitlines() if not line.startswith("#")]
    assert row_lines(log) == here + row_lines(whole / "r_c_s_log.txt")[8:]
    assert log.read_text().count("\n# Step  ") == 2 - (end in (r"\n# Step", r"Keras"))


def test_what_a_longer_run_keeps_of_the_log(flags, tmp_path, run):
    """All up to the last row, but for that row where it is off the cadence; every remark, your own ones, too."""
    cadence = ["--save_every", 0, "--log_every", 2, "--optim", "--optim_every", 3, "--optim_max_iters", 1]
    log = tmp_path / "out" / "r_c_s_log.txt"
    unconverged = r"^# step (\d+): L has not converged"
    assert run(*flags(*cadence, "--nsteps", 3))[0] == 0
    assert [int(row[0]) for row in rows(log)] == [2, 3] and "# Finished" in log.read_text()
    assert re.findall(unconverged, log.read_text(), re.MULTILINE) == ["1", "3"]
    with open(log, "a") as file:
        file.write("# My note\n")
    before = log.read_text()
    assert run(*flags(*cadence, "--nsteps", 5, "--resume"))[0] == 0
    assert [int(row[0]) for row in rows(log)] == [2, 4, 5]
    kept = "".join(line for line in before.splitlines(keepends=True) if not line.startswith("3  "))
    assert "\n# My note\n" in kept and log.read_text().startswith(kept + "# Resumed at step 3 ")
    found = re.findall(unconverged, log.read_text(), re.MULTILINE)
    assert found == ["1", "3"], "rows 4 and 5 carry the L of step 3"

    # After a kill, remarks of steps past the checkpoint may stand above no row yet; they are made again.
    without(log.parent / "checkpoints/r_c_s", 5, 3)
    assert run(*flags(*cadence, "--nsteps", 5, "--resume"))[0] == 0
    assert sorted(re.findall(unconverged, log.read_text(), re.MULTILINE)) == ["1", "3"]


def test_the_settings_of_an_attempt_that_got_nowhere(flags, tmp_path, run):
    """They are not those of the rows that follow: the log does not tell them. A branch's header stays."""
    log = tmp_path / "out" / "r_c_s_log.txt"
    assert run(*flags("--nsteps", 2))[0] == 0
    with open(log, "a") as file:
        file.write("# My note\n")
    before = log.read_text()
    assert run(*flags("--nsteps", 4, "--resume", "--content_weight", 3))[0] == 0
    assert "\n# Changed content_weight: " in log.read_text()
    without(log.parent / "checkpoints/r_c_s", 4)  # as after a kill before it
    assert run(*flags("--nsteps", 3, "--resume"))[::2] == (0, "")
    added = log.read_text().removeprefix(before)
    assert added.startswith("# Resumed at step 2 ") and added.count("# Resumed at step ") == 1 and "# Changed" not in added
    assert rows(log)[:, 0].tolist() == [1, 2, 3]

    words = flags("--nsteps", 4, "--tv_weight", 5, output=tmp_path / "branch" / "r.png")
    checkpoints = log.parent / "checkpoints/r_c_s"
    assert run(*words, "--resume_from", checkpoints / "ckpt-3")[0] == 0
    log = tmp_path / "branch" / "r_c_s_log.txt"
    header = log.read_text().partition("\n# Step ")[0]
    assert re.match("# Neural style transfer\n# Resumed at step 3 from .*\n# Changed tv_weight: ", header)
    without(log.parent / "checkpoints/r_c_s", 4)
    assert run(*words, "--resume")[::2] == (0, "")
    assert log.read_text().startswith(f"{header}\n# Step ") and rows(log)[:, 0].tolist() == [4]


def test_a_log_that_is_deleted_or_replaced_in_mid_run(flags, tmp_path, run, nst, monkeypatch):
    """The run goes on and saves; the resume goes on with the log that is there, if there is one."""
    log, save_image = tmp_path / "out" / "r_c_s_log.txt", nst.save_image

    def disturbed(path, pixels, how):
        save_image(path, pixels)
        if path.name == "r_c_s_000002.png":
            how()

    for how in log.unlink, lambda: (log.rename(log.with_name("copy")), log.write_text("# Note\n")):
        with monkeypatch.context() as patch:
            patch.setattr(nst, "save_image", lambda *args: disturbed(*args, how))
            assert run(*flags("--nsteps", 3, "--save_every", 2, "--ckpt_write_every", 1))[::2] == (0, "")
        assert run(*flags("--nsteps", 4, "--resume"))[::2] == (0, "")
        assert rows(log)[:, 0].tolist() == [4]
    assert log.read_text().startswith("# Note\n# Resumed at step 3 ") and len(row_lines(log.with_name("copy"))) == 3


def test_a_note_below_the_log_stays(flags, tmp_path, run):
    assert run(*flags("--nsteps", 2))[0] == 0
    log = tmp_path / "out" / "r_c_s_log.txt"
    with open(log, "a") as file:
        file.write("# My note\n")
    assert run(*flags("--nsteps", 3, "--resume"))[0] == 0
    assert "\n# My note\n" in log.read_text() and rows(log)[:, 0].tolist() == [1, 2, 3]


@pytest.mark.parametrize("changed", [[], ["--style_weight", 0.02], ["--ckpt_keep_max", 9]])
def test_a_resume_with_other_flags_estimates_anew(flags, watched, tmp_path, run, changed):
    """At its first step; with nothing changed the last estimate is carried on."""
    log = shutil.copytree(watched[0], tmp_path / "out") / "r_c_s_log.txt"
    without(log.parent / "checkpoints/r_c_s", 8, 12)
    assert run(*flags(*WATCHED, "--nsteps", 5, "--resume", *changed))[0] == 0
    L, lambda_max = rows(log)[:, 9:].T
    anew = bool(changed) and "--ckpt_keep_max" not in changed
    assert L[2] == L[3] and (L[3] != L[4]) == anew
    assert lambda_max[2] == lambda_max[3] and (lambda_max[3] != lambda_max[4]) == anew


# What is moved


@pytest.fixture(scope="module")
def ours(whole, tmp_path_factory):
    """The checkpoints of steps 4 and 8."""
    folder = shutil.copytree(whole / "checkpoints/r_c_s", tmp_path_factory.mktemp("ours") / "checkpoints/r_c_s")
    without(folder, 0, 12)
    return folder


def test_a_fresh_start_moves_what_an_earlier_run_left(flags, tmp_path, run):
    """All of it and nothing else, twice; from there it goes on exactly, in the same folder."""
    folder = tmp_path / "out"
    assert run(*flags("--nsteps", 2, "--save_every", 1))[0] == 0
    first, others = contents(folder), {}
    for name in "r_c_log.txt", "r_c_s.png", "s.png", "deep/r_c_s_final.png":
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(others.setdefault(name, name.encode()))
    (folder / "r_c_s_log.svg").write_text("a plot of the log")
    first["r_c_s_log.svg"] = b"a plot of the log"

    status, out, err = run(*flags("--nsteps", 3))
    assert (status, err) == (0, "")
    earlier = moved_to(out)
    assert earlier.parent == folder and re.fullmatch(r"earlier-\d{8}-\d{6}", earlier.name)
    assert contents(earlier) == first
    assert f"# Moved the earlier run to {earlier}\n" in (folder / "r_c_s_log.txt").read_text()
    assert len(rows(folder / "r_c_s_log.txt")) == 3 and not (folder / "r_c_s_000002.png").exists()
    assert {name: data for name, data in contents(folder).items() if name in others} == others

    status, out, err = run(*flags("--nsteps", 3, "--ckpt_in", earlier / "checkpoints/r_c_s"))
    assert (status, err) == (0, "") and "Resuming at step 2" in out
    assert contents(earlier) == first and len(rows(moved_to(out) / "r_c_s_log.txt")) == 3
    assert row_lines(folder / "r_c_s_log.txt") == row_lines(moved_to(out) / "r_c_s_log.txt")[2:]
    assert (folder / "r_c_s_final.png").read_bytes() == (moved_to(out) / "r_c_s_final.png").read_bytes()
    assert {name: data for name, data in contents(folder).items() if name in others} == others


def test_a_start_that_gets_nowhere_goes_on_where_it_stopped(flags, tmp_path, run, nst, monkeypatch):
    """It has a checkpoint from its first moment; the run before it is where it said."""
    words, folder = ["--nsteps", 2, "--tv_weight", 5], tmp_path / "out"
    assert run(*flags(*words, output=tmp_path / "whole" / "r.png"))[0] == 0
    assert run(*flags("--nsteps", 2))[0] == 0
    first = contents(folder)
    with monkeypatch.context() as patch:
        patch.setattr(nst, "transfer", lambda *_: (_ for _ in ()).throw(nst.RunError("cannot go on")))
        status, out, err = run(*flags(*words))
        assert status == 1 and contents(moved_to(out)) == first
        assert run(*flags(*words, "--resume"))[0] == 1
    status, out, err = run(*flags(*words, "--resume"))
    assert (status, err) == (0, "") and "Resuming at step 0" in out and "Moved" not in out
    assert_same_run(folder, tmp_path / "whole")
    assert len([path for path in folder.iterdir() if path.name.startswith("earlier-")]) == 1


def test_starts_within_a_second(nst, tmp_path):
    """Each finds a name of its own."""
    files = files_of(nst, tmp_path)
    for i in range(4):
        files.log.write_text(f"# {i}")
        files.checkpoints.mkdir(parents=True)
        (files.checkpoints / f"ckpt-{i}.index").touch()
        assert nst.move_earlier(files) and not files.log.exists() and not files.checkpoints.exists()
        assert nst.move_earlier(files) == []
    assert sorted(path.read_text() for path in tmp_path.glob("earlier-*/r_c_s_log.txt")) == [f"# {i}" for i in range(4)]
    assert all((path.parent / "checkpoints/r_c_s" / f"ckpt-{path.read_text()[2:]}.index").exists()
               for path in tmp_path.glob("earlier-*/r_c_s_log.txt"))


def everything(folder: Path) -> list:
    """What is in the files of a folder, whether moved or not."""
    return sorted((re.sub(r"^earlier-\d+-\d+/", "", name), data) for name, data in contents(folder).items())


@pytest.mark.parametrize("nth", range(7))
@pytest.mark.parametrize("end", [KeyboardInterrupt, OSError])
def test_an_end_in_the_middle_of_the_move(flags, whole, tmp_path, run, nst, monkeypatch, nth, end):
    """Killed, or not allowed to: each file is in one of two places, and the next start moves the rest."""
    folder = shutil.copytree(whole, tmp_path / "out")
    before, moves = everything(folder), []

    def move(old, new):
        moves.append(old)
        if len(moves) > nth:
            raise end(30, "Read-only file system", str(old)) if end is OSError else end
        os.replace(old, new)

    files = files_of(nst, folder)
    with monkeypatch.context() as patch:
        patch.setattr(nst.shutil, "move", move)
        with pytest.raises(end):
            nst.move_earlier(files)
    assert everything(folder) == before and len(moves) == nth + 1
    assert nth == 0 or not nst.find_checkpoints(files.checkpoints), "so --resume does not go on with half a run"
    nst.move_earlier(files)
    assert everything(folder) == before and all(name.startswith("earlier-") for name in names(folder))


def test_a_move_that_is_refused(flags, whole, tmp_path, run, nst, monkeypatch):
    folder = shutil.copytree(whole, tmp_path / "out")
    before = contents(folder)

    def refuse(path, *_, **__):
        raise OSError(30, "Read-only file system", str(path))

    for module, name in (nst.shutil, "move"), (nst.Path, "mkdir"):
        with monkeypatch.context() as patch:
            patch.setattr(nst, "claimed", lambda folder: nst.contextlib.nullcontext())
            patch.setattr(module, name, refuse)
            status, _, err = run(*flags("--nsteps", 1))
        assert status == 1 and re.fullmatch(r"neural_style_transfer.py: error: .*Read-only file system: '.*'\n", err)
        assert contents(folder) == before


@pytest.mark.parametrize("what", ["thesis", "thesis and ours", "TensorFlow's", "file", "cut"])
def test_what_no_run_has_put_there_is_moved_whole(flags, ours, tmp_path, run, nst, what):
    """Any program of TensorFlow writes ckpt-1, with a list by which the manager would remove them."""
    folder = tmp_path / "out"
    checkpoints = folder / "checkpoints/r_c_s"
    checkpoints.parent.mkdir(parents=True)
    if "ours" in what:
        shutil.copytree(ours, checkpoints)
    if "thesis" in what:
        checkpoints.mkdir(exist_ok=True)
        (checkpoints / "thesis_model.pt").write_bytes(b"years of work")
    if what == "TensorFlow's":
        model = nst.tf.train.Checkpoint(weights=nst.tf.Variable([1.0]))
        nst.tf.train.CheckpointManager(model, str(checkpoints), 3, checkpoint_name="ckpt").save()
    if what == "file":
        checkpoints.write_bytes(b"a file")
    if what == "cut":  # by a kill in the first checkpoint
        (checkpoints / "ckpt-0_temp").mkdir(parents=True)
        (checkpoints / "ckpt-0_temp" / "part-00000-of-00001.data-00000-of-00001").write_bytes(b"half")
    before = contents(folder)
    for words in (["--resume"], []) if what in ("thesis", "file", "cut") else ([],):
        status, out, err = run(*flags("--nsteps", 2, "--ckpt_write_every", 1, "--ckpt_keep_max", 1, *words))
        assert (status, err) == (0, "")
        assert contents(moved_to(out)) == before
        shutil.rmtree(folder)
        checkpoints.parent.mkdir(parents=True)
        checkpoints.write_bytes(b"a file") if what == "file" else shutil.copytree(ours, checkpoints)
        before = contents(folder)


def test_inputs_are_never_changed(inputs, tmp_path, run):
    """Also where they lie among the outputs, or these are links to them."""
    folder = tmp_path / "out"
    (folder / "checkpoints/r_c_s").mkdir(parents=True)
    content = shutil.copy(inputs / "c.png", folder / "checkpoints/r_c_s" / "c.png")
    style = shutil.copy(inputs / "s.png", folder / "s.png")
    os.link(style, folder / "s_c_s_final.png")
    for name in "s_c_s_log.txt", "s_c_s_000001.png":
        (folder / name).symlink_to(style)
    before = sorted(contents(folder).values())
    assert run("--content", content, "--style", style, "--output", style, "--weights", "vgg16", "--image_size", 64,
               "--nsteps", 1, "--save_every", 1)[0] == 0
    after = list(contents(folder).values())
    assert all(after.count(data) >= before.count(data) for data in before)
    assert Path(style).read_bytes() == (inputs / "s.png").read_bytes()


def test_a_run_goes_on_beside_what_is_not_its_own(flags, ours, tmp_path, run):
    folder = tmp_path / "out"
    shutil.copytree(ours, folder / "checkpoints/r_c_s")
    for name in "thesis_model.pt", "ckpt-best.index", "my ckpt-1.data-00000-of-00001":
        (folder / "checkpoints/r_c_s" / name).write_bytes(b"years of work")
    mine = set(names(folder / "checkpoints/r_c_s"))
    assert run(*flags(*CADENCE, "--nsteps", 9, "--ckpt_keep_max", 1, "--resume"))[0] == 0
    assert set(names(folder / "checkpoints/r_c_s")) == {name for name in mine if not re.search(r"^ckpt-\d", name)} | {
        "ckpt-9.index", "ckpt-9.data-00000-of-00001"}


# Several outputs in one folder


def own_files(folder: Path, base: str) -> dict:
    """Of one output, by what is in them; of its log, the rows."""
    found = {name: data for name, data in contents(folder).items()
             if re.match(rf"{base}_(style|final|\d+)\.|checkpoints/{base}/ckpt-", name)}
    return {**found, "rows": row_lines(folder / f"{base}_log.txt")}


def test_outputs_in_one_folder(flags, tmp_path, run, nst):
    """In turn, each stopped and resumed, one of them started by --resume: each as if it had a folder of its own."""
    def make(name, folder, *words):
        nst.keras.utils.clear_session(free_memory=False)  # as in a process of its own: no Adam is the second one
        return run(*flags(*outputs[name], *words, "--save_every", 1, output=folder / f"{name}.png"))

    outputs = {"a": ["--tv_weight", 3], "b": ["--tv_weight", 3e5], "a_c_s": ["--style_weight", 1]}
    shared = tmp_path / "shared"
    for nsteps in 1, 3:
        for name in outputs:
            status, out, err = make(name, shared, "--nsteps", nsteps, *["--resume"] * (nsteps == 3 or name == "b"))
            assert (status, err) == (0, "") and "Moved" not in out
            assert ("Resuming at step 1 " in out) == (nsteps == 3) and ("starting fresh" in out) == (nsteps == 1 and name == "b")
    for name in outputs:
        assert make(name, tmp_path / name, "--nsteps", 1)[0] == 0
        assert make(name, tmp_path / name, "--nsteps", 3, "--resume")[0] == 0
        assert own_files(shared, f"{name}_c_s") == own_files(tmp_path / name, f"{name}_c_s")
        assert len(own_files(shared, f"{name}_c_s")) == 13  # 6 pictures, 3 checkpoints of two parts, the rows
    before = contents(shared)

    # A branch from one into another, which is a fresh start of that other one alone.
    status, out, err = run(*flags(*outputs["b"], "--nsteps", 4, "--ckpt_in", shared / "checkpoints/b_c_s", output=shared / "a.png"))
    assert (status, err) == (0, "") and "Resuming at step 3 " in out
    earlier = moved_to(out)
    after = contents(shared)
    mine = {name for name in before if re.match(r"a_c_s_(?!c_s)|checkpoints/a_c_s/", name)}
    assert {name: after[name] for name in before if name not in mine} == {name: before[name] for name in before if name not in mine}
    assert contents(earlier) == {name: before[name] for name in mine}
    # And in there the one that was moved goes on.
    status, out, err = run(*flags(*outputs["a"], "--nsteps", 4, "--resume", output=earlier / "a.png"))
    assert (status, err) == (0, "") and "Resuming at step 3 " in out and rows(earlier / "a_c_s_log.txt")[:, 0].tolist() == [1, 2, 3, 4]


def test_a_folder_of_several_outputs_is_not_guessed_at(flags, ours, tmp_path, run):
    """--ckpt_in takes the folder of one output, or one that holds a single one."""
    several = tmp_path / "several"
    shutil.copytree(ours, several / "b_c_s")
    (several / "nothing").mkdir()
    words = flags(*CADENCE, "--nsteps", 9, "--ckpt_in", several)
    assert run(*words)[0] == 0
    shutil.copytree(ours, several / "a_c_s")
    status, _, err = run(*words)
    assert status == 2 and err.endswith(f"holds checkpoints of several outputs; give {several}/a_c_s, {several}/b_c_s\n")


def test_a_sweep_that_is_started_twice(inputs, tmp_path, run):
    """As the loops of the README: what is finished is passed over, what is not goes on, and each is its own."""
    def sweep(nsteps) -> list:
        said = []
        for c in "c", "s":
            for s in "s", "c":
                status, out, err = run("--content", inputs / f"{c}.png", "--style", inputs / f"{s}.png", "--weights", "vgg16",
                                       "--image_size", 32, "--output", tmp_path / "r.png", "--nsteps", nsteps, "--resume")
                assert (status, err) == (0, "")
                said.append(re.search("starting fresh|Resuming|Nothing left", out)[0])
        return said
    assert sweep(1) == ["starting fresh"] * 4
    for part in (tmp_path / "checkpoints" / "r_s_s").glob("ckpt-1.*"):
        part.unlink()
    before = contents(tmp_path)
    assert sweep(1) == ["Resuming"] * 4  # as is said before it shows that nothing is left
    after = contents(tmp_path)
    assert set(after) >= set(before) and not any("earlier" in name for name in after)
    assert all(after[name] == data for name, data in before.items() if "r_s_s" not in name)


def test_checkpoints_on_another_disk(flags, tmp_path, run):
    """A link to a folder, as for a larger disk, stays; what an earlier run has put there is moved."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else tmp_path) as disk:
        on_a_disk(flags, tmp_path, run, Path(disk))


def on_a_disk(flags, tmp_path, run, disk):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "checkpoints").symlink_to(disk)
    assert run(*flags("--nsteps", 1))[0] == 0
    first = contents(disk / "r_c_s")
    assert sorted(first) == sorted(["checkpoint", *(f"ckpt-{t}.{part}" for t in (0, 1) for part in ("data-00000-of-00001", "index"))])
    status, out, _ = run(*flags("--nsteps", 2))
    assert status == 0 and (tmp_path / "out" / "checkpoints").is_symlink() and "ckpt-2.index" in names(disk / "r_c_s")
    assert contents(moved_to(out) / "checkpoints" / "r_c_s") == first


# Which checkpoints are taken


def test_only_whole_checkpoints_are_taken(flags, tmp_path, run, nst):
    """Image, description, both moments and the step; and a rate given at the resume is the one that is used."""
    assert run(*flags("--nsteps", 2, "--ckpt_write_every", 1))[0] == 0
    folder = tmp_path / "out" / "checkpoints/r_c_s"
    reader, value = nst.tf.train.load_checkpoint(str(folder / "ckpt-2")), "/.ATTRIBUTES/VARIABLE_VALUE"
    kept = {name.removesuffix(value): reader.get_tensor(name) for name in reader.get_variable_to_shape_map()
            if name.endswith(value)}

    def write(t: int, drop: str = "", iterations: int = 0) -> None:
        """ckpt-t like ckpt-2, without the variables whose name matches `drop`."""
        root = nst.tf.Module()
        for name, value in kept.items():
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
           8: dict(drop="image", iterations=6), 9: dict(drop="about")}
    for t, options in bad.items():
        write(t, **options)
    for t in bad:
        status, _, err = run(*flags("--nsteps", 20, "--resume_from", folder / f"ckpt-{t}"))
        assert (status, err.count("\n")) == (2, 1) and f"ckpt-{t}'" in err, (t, err)
    status, out, err = run(*flags("--nsteps", 4, "--resume", "--adam_learning_rate", 0.02, "--ckpt_keep_max", 0))
    assert status == 0 and "Resuming at step 3 " in out
    assert re.findall(r"passed over.*ckpt-(\d+)'", err) == [str(t) for t in sorted(bad, reverse=True)]
    assert err.count("\n") == len(bad) + 2 and "adam_learning_rate: 0.01 in the checkpoint, 0.02 now" in err
    assert "ckpt_keep_max: 5 in the checkpoint, 0 now" in err
    alpha_eff = rows(tmp_path / "out" / "r_c_s_log.txt")[:, 6]
    assert alpha_eff[-1] > 1.5 * alpha_eff[1]


def test_another_version_is_told(flags, whole, tmp_path, run, nst, monkeypatch):
    """One line for each; the log has them, too."""
    shutil.copytree(whole, tmp_path / "out")
    without(tmp_path / "out" / "checkpoints/r_c_s", 12)
    (tmp_path / "other.py").write_text("another script")
    monkeypatch.setattr(nst, "__file__", str(tmp_path / "other.py"))
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "7")
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    for package in nst.keras, nst.Image, nst.np:
        monkeypatch.setattr(package, "__version__", "9.9.9")
    status, _, err = run(*flags(*CADENCE, "--nsteps", 12, "--resume"))
    said = re.findall(r"^neural_style_transfer\.py: warning: ((.+?): (.+) in the checkpoint, (.+) now)\n", err, re.MULTILINE)
    assert status == 0 and len(said) == err.count("\n")
    assert {what for _, what, _, _ in said} == {"Keras", "Pillow", "NumPy", "Script SHA-256", "Device"}
    assert all(before != now for _, _, before, now in said)
    assert re.search(r"Device: .*, threads: \d+, .* now\n", err) and "threads: 7, TF_ENABLE_ONEDNN_OPTS: 0 now\n" in err
    log = (tmp_path / "out" / "r_c_s_log.txt").read_text()
    assert all(f"# Changed {line}\n" in log for line, *_ in said)


def test_out_of_memory_is_no_damage_of_a_checkpoint(flags, tmp_path, run, nst, monkeypatch):
    assert run(*flags("--nsteps", 1))[0] == 0
    before = contents(tmp_path / "out")

    def restore(*_):
        raise MemoryError("of 9 GB")

    monkeypatch.setattr(nst.tf.train.Checkpoint, "restore", restore)
    status, _, err = run(*flags("--nsteps", 2, "--resume"))
    assert (status, err.count("\n")) == (1, 1) and "error: out of memory (of 9 GB)" in err
    assert contents(tmp_path / "out") == before
