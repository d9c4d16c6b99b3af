"""Nothing is lost: what a run moves before it begins, which checkpoints are taken, and the log of each."""

import itertools
import os
import re
import shutil
import tempfile
import time
from pathlib import Path

import pytest

from conftest import (CADENCE, WATCHED, arguments, assert_same_run, contents, names, row_lines, rows, without)


def moved_to(out: str) -> Path:
    """Where a run says that it has moved an earlier one; the same in its log."""
    [folder] = re.findall(r"^Moved the earlier run to (.*)$", out, re.MULTILINE)
    return Path(folder)


@pytest.fixture(autouse=True)
def a_second_for_each_look_at_the_clock(nst, monkeypatch):
    """The folder of an earlier run is named by the second; no two processes start within one."""
    strftime, seconds = time.strftime, itertools.count(time.time())
    monkeypatch.setattr(nst.time, "strftime", lambda form: strftime(form, time.localtime(next(seconds))))


def files_of(nst, folder: Path, name: str = "r.png"):
    return nst.OutputFiles(arguments(nst, output=str(folder / name), content="c.png", style="s.png"))


def test_a_log_that_is_missing(flags, whole, tmp_path, run):
    """The run continues, under a whole header."""
    log = shutil.copytree(whole, tmp_path / "out") / "r_c_s_log.txt"
    without(log.parent / "checkpoints/r_c_s", 12)
    log.unlink()
    assert run(*flags(*CADENCE, "--nsteps", 12, "--resume"))[::2] == (0, "")
    begin = "# Neural style transfer\n# Resumed at step 8 from .*\n(# .*\n)*# Content SHA-256: "
    assert re.match(begin, log.read_text())
    assert row_lines(log) == row_lines(whole / "r_c_s_log.txt")[8:]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_what_is_kept_of_a_log(nst, tmp_path, end):
    """All but a line that was cut, rows and estimates of later steps, and what follows them.

    Your own remarks stay, also with the line ends of an editor; and a log that ends too early, as after a
    power failure.
    """
    header = ["# Neural style transfer", "# My note", "# Resumed at step 2 from ckpts/ckpt-2", "# Step  "]
    notes = ["# Resumed at step 9: my note", "# step 9: it glows"]
    log, converged = tmp_path / "log.txt", f"L has not converged after 7 products, residual 1.0%{end}"
    kept = "".join(line + end for line in [*header, *notes, "3  7.0"]) + f"# step 3: {converged}"
    for later in f"# step 4: {converged}", f"4  7.0{end}# My note{end}", "4  7.", "":
        log.write_bytes(f"{kept}{later}".encode())
        assert nst.log_up_to(log, 3, 1) == kept
    assert nst.log_up_to(log, 9, 1) == kept
    assert nst.log_up_to(log, 3, 2) == kept.replace(f"3  7.0{end}", "")
    assert nst.log_up_to(log, 2, 1) == kept[:kept.index("3  7.0")]


@pytest.mark.parametrize("flag, value, anew", [("--style_weight", 0.02, True), ("--ckpt_keep_max", 9, False)])
def test_a_resume_with_other_flags_estimates_anew(flags, watched, tmp_path, run, flag, value, anew):
    """At its first step, where the picture may depend on them; else the last estimate is carried on."""
    log = shutil.copytree(watched, tmp_path / "out") / "r_c_s_log.txt"
    without(log.parent / "checkpoints/r_c_s", 8, 12)
    assert run(*flags(*WATCHED, "--nsteps", 5, "--resume", flag, value))[0] == 0
    for column in rows(log)[:, 9:].T:
        assert column[2] == column[3] and (column[3] != column[4]) == anew


def test_a_fresh_start_moves_what_an_earlier_run_left(flags, tmp_path, run):
    """All of it and nothing else, twice; from there it continues exactly, in the same folder."""
    folder = tmp_path / "out"
    assert run(*flags("--nsteps", 2, "--save_every", 1))[0] == 0
    (folder / "r_c_s_log.svg").write_text("a plot of the log")
    first, others = contents(folder), {}
    for name in "r_c_log.txt", "r_c_s.png", "s.png", "xr_c_s_log.txt", "deep/r_c_s_final.png":
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(others.setdefault(name, name.encode()))

    status, out, err = run(*flags("--nsteps", 3))
    earlier = moved_to(out)
    assert (status, err) == (0, "") and contents(earlier) == first
    assert f"# Moved the earlier run to {earlier}\n" in (folder / "r_c_s_log.txt").read_text()
    assert len(rows(folder / "r_c_s_log.txt")) == 3 and not (folder / "r_c_s_000002.png").exists()

    status, out, err = run(*flags("--nsteps", 3, "--ckpt_in", earlier / "checkpoints/r_c_s"))
    assert (status, err) == (0, "") and "Resuming at step 2" in out
    assert "checkpoints/r_c_s/ckpt-2.index" in names(folder), "for --resume, from the first moment"
    assert contents(earlier) == first and len(rows(moved_to(out) / "r_c_s_log.txt")) == 3
    assert row_lines(folder / "r_c_s_log.txt") == row_lines(moved_to(out) / "r_c_s_log.txt")[2:]
    assert (folder / "r_c_s_final.png").read_bytes() == (moved_to(out) / "r_c_s_final.png").read_bytes()
    assert {name: data for name, data in contents(folder).items() if name in others} == others


def test_a_start_that_gets_nowhere_continues_where_it_stopped(flags, tmp_path, run, nst, monkeypatch):
    """It has a checkpoint from its first moment; the run before it is where it said."""
    words, folder = ["--nsteps", 2, "--tv_weight", 5], tmp_path / "out"
    assert run(*flags(*words, output=tmp_path / "whole/r.png"))[0] == 0
    assert run(*flags("--nsteps", 2))[0] == 0
    first = contents(folder)

    def fail(*_):
        raise nst.RunError("cannot continue")

    with monkeypatch.context() as patch:
        patch.setattr(nst, "record", fail)
        status, out, err = run(*flags(*words))
        assert status == 1 and contents(moved_to(out)) == first
        assert run(*flags(*words, "--resume"))[0] == 1
    status, out, err = run(*flags(*words, "--resume"))
    assert (status, err) == (0, "") and "Resuming at step 0" in out and "Moved" not in out
    assert_same_run(folder, tmp_path / "whole")
    assert len(list(folder.glob("earlier-*"))) == 1


def test_starts_within_a_second(nst, tmp_path, monkeypatch):
    """Each finds a name of its own; the names of outputs are no patterns."""
    files, clock = files_of(nst, tmp_path, "r[1]+.png"), iter([0, 0, 1, 1, 1, 2])
    monkeypatch.setattr(nst.time, "strftime", lambda form: f"earlier-{next(clock)}")
    for i in range(3):
        files.log.write_text(str(i))
        files.checkpoints.mkdir(parents=True)
        assert nst.move_earlier(files) and not files.log.exists() and not files.checkpoints.exists()
        assert nst.move_earlier(files) == []
    assert [(tmp_path / f"earlier-{i}/r[1]+_c_s_log.txt").read_text() for i in range(3)] == ["0", "1", "2"]


def everything(folder: Path) -> list:
    """What is in the files of a folder, whether moved or not."""
    return sorted((re.sub(r"^earlier-\d+-\d+/", "", name), data) for name, data in contents(folder).items())


@pytest.mark.parametrize("nth", [0, 1, 6])
def test_an_end_in_the_middle_of_the_move(whole, tmp_path, nst, monkeypatch, nth):
    """Killed, or not allowed to: each file is in one of two places, and the next start moves the rest."""
    folder = shutil.copytree(whole, tmp_path / "out")
    before, moves, files = everything(folder), [], files_of(nst, folder)

    def move(old, new):
        moves.append(old)
        if len(moves) > nth:
            raise OSError(30, "Read-only file system", str(old))
        os.replace(old, new)

    with monkeypatch.context() as patch:
        patch.setattr(nst.shutil, "move", move)
        with pytest.raises(OSError):
            nst.move_earlier(files)
    assert everything(folder) == before and len(moves) == nth + 1
    assert nth == 0 or not nst.find_checkpoints("--resume", files.checkpoints), "no --resume of half a run"
    nst.move_earlier(files)
    assert everything(folder) == before and all(name.startswith("earlier-") for name in names(folder))


@pytest.mark.parametrize("name", ["", "/thesis_model.pt"])
def test_what_no_run_has_put_there_is_moved_whole(flags, tmp_path, run, name):
    """Any program of TensorFlow writes into checkpoints/, with a list by which its manager removes files."""
    path = Path(f"{tmp_path}/out/checkpoints/r_c_s{name}")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"years of work")
    before = contents(tmp_path / "out")
    words = ["--ckpt_write_every", 1, "--ckpt_keep_max", 1, "--resume"]
    status, out, err = run(*flags("--nsteps", 2, *words))
    assert (status, err) == (0, "") and contents(moved_to(out)) == before


def test_inputs_are_never_changed(inputs, tmp_path, run):
    """Also where they lie among the outputs, or these are links to them."""
    folder = tmp_path / "out"
    (folder / "checkpoints/r_c_s").mkdir(parents=True)
    content = shutil.copy(inputs / "c.png", folder / "checkpoints/r_c_s/c.png")
    style = shutil.copy(inputs / "s.png", folder / "s.png")
    os.link(style, folder / "s_c_s_final.png")
    for name in "s_c_s_log.txt", "s_c_s_000001.png":
        (folder / name).symlink_to(style)
    before = sorted(contents(folder).values())
    (folder / "s_c_s_style.png.tmp").symlink_to(style)  # at the places of temporary files, too
    (folder / "s_c_s_log.txt.tmp").hardlink_to(content)
    words = ["--content", content, "--style", style, "--output", style, "--weights", "vgg16"]
    assert run(*words, "--image_size", 64, "--nsteps", 1, "--save_every", 1)[0] == 0
    after = list(contents(folder).values())
    assert all(after.count(data) >= before.count(data) for data in before)
    for path, name in (content, "c.png"), (style, "s.png"):
        assert Path(path).read_bytes() == (inputs / name).read_bytes()


def test_a_run_continues_beside_what_is_not_its_own(flags, whole, tmp_path, run):
    folder = shutil.copytree(whole / "checkpoints/r_c_s", tmp_path / "out/checkpoints/r_c_s")
    mine = ["thesis_model.pt", "ckpt-best.index", "my ckpt-1.data-00000-of-00001"]
    for name in mine:
        (folder / name).write_bytes(b"years of work")
    assert run(*flags(*CADENCE, "--nsteps", 13, "--ckpt_keep_max", 1, "--resume"))[0] == 0
    assert set(names(folder)) == {*mine, "checkpoint", "ckpt-13.index", "ckpt-13.data-00000-of-00001"}


def test_outputs_in_one_folder(flags, tmp_path, run, nst):
    """In turn, each stopped and resumed: each as if it had a folder of its own."""
    def make(name, folder, *words):
        nst.keras.utils.clear_session(free_memory=False)  # its Adam is the first one, as in a process
        return run(*flags(*outputs[name], *words, "--save_every", 1, output=folder / f"{name}.png"))

    outputs, shared = {"a": ["--tv_weight", 3], "a_c_s": ["--style_weight", 1]}, tmp_path / "shared"
    for nsteps in 1, 3:
        for name in outputs:
            status, out, err = make(name, shared, "--nsteps", nsteps, "--resume")
            assert (status, err) == (0, "") and "Moved" not in out
            assert ("starting fresh" if nsteps == 1 else "Resuming at step 1 ") in out
    for name in outputs:
        assert make(name, tmp_path / name, "--nsteps", 1)[0] == 0
        assert make(name, tmp_path / name, "--nsteps", 3, "--resume")[0] == 0
        assert row_lines(shared / f"{name}_c_s_log.txt") == row_lines(tmp_path / name / f"{name}_c_s_log.txt")
        own = {path: data for path, data in contents(tmp_path / name).items()
               if re.search(r"\.png$|/ckpt-\d\.", path)}
        assert len(own) == 12 and own.items() <= contents(shared).items()  # 3 checkpoints, of two parts each


def test_checkpoints_on_another_disk(flags, tmp_path, run):
    """A link to a folder, as for a larger disk, stays; what an earlier run has put there is moved."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else tmp_path) as name:
        disk, link = Path(name), tmp_path / "out/checkpoints"
        link.parent.mkdir()
        link.symlink_to(disk)
        assert run(*flags("--nsteps", 1))[0] == 0
        first = contents(disk / "r_c_s")
        assert {"ckpt-0.index", "ckpt-1.index"} < set(first)
        status, out, _ = run(*flags("--nsteps", 2))
        assert status == 0 and link.is_symlink() and "ckpt-2.index" in names(disk / "r_c_s")
        assert contents(moved_to(out) / "checkpoints/r_c_s") == first
        link.unlink()
        link.symlink_to(tmp_path / "unmounted")
        before = contents(tmp_path / "out")
        status, _, err = run(*flags("--nsteps", 3, "--resume"))
        assert status == 2 and "/checkpoints': No such file" in err and contents(tmp_path / "out") == before


def test_only_whole_checkpoints_are_taken(flags, whole, tmp_path, run, nst):
    """With Adam's state, description and estimates; a rate that is given at the resume is used."""
    folder = shutil.copytree(whole, tmp_path / "out") / "checkpoints/r_c_s"
    state = nst.State(nst.np.zeros((1, 51, 64, 3), nst.np.float32), arguments(nst))
    state.checkpoint.restore(str(folder / "ckpt-12"))
    parts = dict(image=state.x, optimizer=state.optimizer, about=state.about, curvature=state.curvature,
                 eigenvectors=state.eigenvectors)
    for t, lacking in enumerate(["nothing", "optimizer", "about", "curvature", "eigenvectors"], 13):
        some = nst.tf.train.Checkpoint(**{name: part for name, part in parts.items() if name != lacking})
        some.save_counter.assign(t)
        some.write(str(folder / f"ckpt-{t}"))
    words = ["--resume", "--adam_learning_rate", 0.02, "--ckpt_keep_max", 0]
    status, out, err = run(*flags(*CADENCE, "--nsteps", 13, *words))
    assert status == 0 and f"Resuming at step 12 from {folder}/ckpt-13" in out
    assert re.findall(r"passed over.*ckpt-(\d+)'", err) == ["17", "16", "15", "14"]
    assert err.count("\n") == 5 and "adam_learning_rate: 0.01 in the checkpoint, 0.02 now" in err
    alpha_eff = rows(tmp_path / "out/r_c_s_log.txt")[:, 6]
    assert alpha_eff[12] > 1.5 * alpha_eff[11]


def test_another_version_is_told(flags, whole, tmp_path, run, nst, monkeypatch):
    """One line for each; the log has them, too."""
    shutil.copytree(whole, tmp_path / "out")
    monkeypatch.setattr(nst, "__file__", __file__)
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "7")
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    for package in nst.keras, nst.Image, nst.np:
        monkeypatch.setattr(package, "__version__", "9.9.9")
    status, _, err = run(*flags(*CADENCE, "--nsteps", 13, "--resume"))
    said = re.findall(r"warning: ((.+?): .+ in the checkpoint, .+ now)\n", err)
    assert status == 0 and err.count("\n") == 5
    assert [what for _, what in said] == ["Script SHA-256", "Keras", "NumPy", "Pillow", "Device"]
    assert "threads: 7, TF_ENABLE_ONEDNN_OPTS: 0 now\n" in err
    log = (tmp_path / "out/r_c_s_log.txt").read_text()
    assert all(f"# Changed {line}\n" in log for line, _ in said)
