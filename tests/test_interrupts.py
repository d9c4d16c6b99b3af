"""Interrupts, kills, full disks, second runs: nothing lost, nothing unclear."""

import contextlib
import fcntl
import os
import re
import resource
import select
import shlex
import shutil
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from conftest import SCRIPT, row_lines, rows
from soak import soak

ENDLESS = ["--nsteps", "100000", "--save_every", "0", "--ckpt_write_every", "7"]


@contextlib.contextmanager
def started(words, enough=None, **options):
    """A run in the background that has logged five rows, or enough; killed at the end, should it go on."""
    process = subprocess.Popen([sys.executable, str(SCRIPT), *words], text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
    log = Path(words[words.index("--output") + 1]).with_name("r_c_s_log.txt")
    try:
        enough = enough or (lambda: log.exists() and len(row_lines(log)) >= 5)
        wait_for(lambda: process.poll() is not None or enough())
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_for(condition) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def assert_ended_in_good_order(folder: Path, t: int, name: str) -> None:
    """With row, picture and checkpoint of step t, and nothing half written."""
    assert (folder / f"checkpoints/r_c_s/ckpt-{t}.index").is_file() and (folder / "r_c_s_final.png").is_file()
    assert rows(folder / "r_c_s_log.txt")[-1, 0] == t
    assert f"# Interrupted after step {t} ({name})" in (folder / "r_c_s_log.txt").read_text()
    assert not list(folder.glob(".*")) and not list(folder.glob("*.tmp"))


def test_a_signal_ends_the_run_in_good_order(flags, tmp_path):
    """The command that it gives continues it. SIGINT and SIGHUP: see test_on_a_terminal."""
    with started(flags(*ENDLESS)) as process:
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 143
    said = re.fullmatch(r"neural_style_transfer.py: stopped after step (\d+); to continue: (.*)\n", err)
    t, words = int(said[1]), shlex.split(said[2])
    assert words[-1] == "--resume"
    assert_ended_in_good_order(tmp_path / "out", t, "SIGTERM")

    words[words.index("100000")] = str(t + 2)  # the very command, to an end
    result = subprocess.run(words, capture_output=True, text=True)
    assert result.returncode == 0 and f"Resuming at step {t} " in result.stdout and result.stderr == ""
    assert rows(tmp_path / "out/r_c_s_log.txt")[:, 0].tolist() == list(range(1, t + 3))


@pytest.mark.parametrize("sent, status, said", [("SIGHUP SIGHUP SIGTERM", 0, "SIGHUP\n"),
                                                ("SIGTERM SIGINT", 0, "SIGTERM\n"),
                                                ("SIGINT SIGINT", -signal.SIGINT, "")])
def test_the_signals_after_the_first(sent, status, said):
    """A terminal that closes sends several; only a second Ctrl-C kills."""
    code = ("import os, signal, sys, neural_style_transfer as nst; stop = nst.Stop(); stop.listen()\n"
            "for name in sys.argv[1:]: os.kill(os.getpid(), getattr(signal, name))\n"
            "print(stop.signum.name)")
    words = [sys.executable, "-c", code, *sent.split()]
    result = subprocess.run(words, cwd=SCRIPT.parent, capture_output=True, text=True)
    assert (result.returncode, result.stdout) == (status, said), result.stderr


def test_a_signal_before_the_first_step_moves_nothing(flags, tmp_path):
    with started(flags("--nsteps", 9), (tmp_path / "out").exists) as process:
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130 and not list((tmp_path / "out").iterdir())
    assert err == "neural_style_transfer.py: stopped before the first step; nothing was written\n"


@pytest.mark.parametrize("branch", [False, True])
def test_how_to_continue_a_resumed_run(flags, tmp_path, nst, run, monkeypatch, branch):
    """One --resume, and none behind a flag that it would not override."""
    assert run(*flags("--nsteps", 1))[0] == 0
    stop, open_outputs = nst.Stop(), nst.open_outputs

    def signalled(*words):
        stop.signum = signal.SIGTERM
        return open_outputs(*words)

    monkeypatch.setattr(nst, "open_outputs", signalled)
    more = ["--resume_from", tmp_path / "out/checkpoints/r_c_s/ckpt-1"] if branch else ["--resume"]
    words = flags("--nsteps", 9, *more, output=tmp_path / ("branch" if branch else "out") / "r.png")
    status, _, err = run(*words, stop=stop)
    advice = "the same command with --resume in place of --resume_from or --ckpt_in"
    assert status == 143 and err.startswith("neural_style_transfer.py: stopped after step 2; to continue: ")
    assert err.endswith(f"{advice if branch else shlex.join(words)}\n")
    assert len(re.findall(r"--resume\b", err)) == 1


def test_how_to_plot(flags, tmp_path, run, nst, monkeypatch):
    """The line is for a shell: it draws the log. It is said only where the script of gnuplot is."""
    words = flags("--nsteps", 1, output=tmp_path / "my out/r.png")
    [line] = re.findall("^To plot the log: (.*)$", run(*words)[1], re.MULTILINE)
    monkeypatch.setattr(nst, "__file__", shutil.copy(SCRIPT, tmp_path / "alone.py"))
    assert "plot the log" not in run(*words)[1]
    gnuplot = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    subprocess.run(line, shell=True, check=True, env=gnuplot)
    assert (tmp_path / "my out/r_c_s_log.png").stat().st_size > 1000


def test_what_must_have_reached_the_disk(flags, tmp_path, run, nst, monkeypatch):
    """A file before it takes its place, and the log before a checkpoint counts on it."""
    fsync, replace, save, order = os.fsync, os.replace, nst.State.save, []

    def noted_fsync(file):
        descriptor = file if isinstance(file, int) else file.fileno()
        order.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        fsync(file)

    def noted_replace(old, new):
        order.append(f"{old} -> {new}")
        replace(old, new)

    def noted_save(state, *words):
        order.append(f"ckpt-{state.step}")
        save(state, *words)

    monkeypatch.setattr(nst.os, "fsync", noted_fsync)
    monkeypatch.setattr(nst.os, "replace", noted_replace)
    monkeypatch.setattr(nst.State, "save", noted_save)
    assert run(*flags("--nsteps", 2, "--save_every", 1, "--ckpt_write_every", 1))[0] == 0
    for t in 1, 2:
        assert order[order.index(f"ckpt-{t}") - 1] == str(tmp_path / "out/r_c_s_log.txt")
    moves = [i for i, what in enumerate(order) if " -> " in what]
    assert len(moves) >= 6 and all(order[i].startswith(f"{order[i - 1]} -> ") for i in moves)


@pytest.mark.parametrize("how, status, name", [("Ctrl-C", 130, "SIGINT"), ("closed", 129, "SIGHUP")])
def test_on_a_terminal(flags, tmp_path, how, status, name):
    """A line that counts, and a run that ends in good order after Ctrl-C, or when the terminal closes."""
    screen, terminal = os.openpty()

    def read_until(pattern: str) -> str:
        text = ""
        with contextlib.suppress(OSError):  # the process has gone
            while not re.search(pattern, text) and select.select([screen], [], [], 60)[0]:
                text += os.read(screen, 10_000).decode()
        return text

    process = subprocess.Popen(
        [sys.executable, str(SCRIPT), *flags(*ENDLESS)], stdin=terminal, stdout=terminal, stderr=terminal,
        start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
    try:
        os.close(terminal)
        line = read_until(r"\D[3-9]/100000\b.*total")
        assert "1/100000" in line and "total" in line
        if how == "Ctrl-C":
            os.write(screen, b"\3")
            said = read_until("--resume\r?\n")
            assert re.search("(?s)Stopping after this step; Ctrl-C again .*stopped after", said)
        os.close(screen)
        assert process.wait(60) == status
    finally:
        process.kill()
    t = int(rows(tmp_path / "out/r_c_s_log.txt")[-1, 0])
    assert_ended_in_good_order(tmp_path / "out", t, name)


def test_a_second_run_into_the_same_output(flags, tmp_path, run):
    log = tmp_path / "out/r_c_s_log.txt"
    with started(flags(*ENDLESS), preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)) as first:
        first.send_signal(signal.SIGHUP)  # which nohup has had ignored
        status, _, err = run(*flags("--nsteps", 2))
        assert (status, err.count("\n")) == (2, 1) and "another run is writing to" in err
        done = len(row_lines(log))
        wait_for(lambda: len(row_lines(log)) > done + 1)
        assert first.poll() is None
    assert run(*flags("--nsteps", 2))[::2] == (0, "")  # a dead run leaves no lock behind
    assert not list((tmp_path / "out").glob(".*"))


def test_short_soak(tmp_path, monkeypatch):
    """With several threads each, as users have them."""
    monkeypatch.delenv("TF_NUM_INTRAOP_THREADS")
    assert soak(kills=1, seed=5, folder=tmp_path, words=["--nsteps", "8"])["kills"] == 1


@contextlib.contextmanager
def no_file_above(size: int):
    """Writing fails where a file would become larger, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_writing_fails_in_mid_run(flags, tmp_path, run):
    """What was there stays, and the run continues once there is room."""
    words, log = flags("--ckpt_write_every", 1), tmp_path / "out/r_c_s_log.txt"
    assert run(*words, "--nsteps", 2)[0] == 0
    kept = row_lines(log)
    largest = max(path.stat().st_size for path in (tmp_path / "out/checkpoints/r_c_s").iterdir())
    with no_file_above(largest - 1000):
        status, _, err = run(*words, "--nsteps", 9, "--resume")
    said = r"neural_style_transfer.py: error: cannot write '.*ckpt-3': File too large\n"
    assert status == 1 and re.fullmatch(said, err) and row_lines(log)[:2] == kept
    assert re.search(r"\n# Failed, \S+: cannot write '.*ckpt-3': File too large\n$", log.read_text())
    status, out, _ = run(*words, "--nsteps", 4, "--resume")
    assert status == 0 and "Resuming at step 2 " in out and rows(log)[:, 0].tolist() == [1, 2, 3, 4]


def test_a_picture_or_a_row_that_does_not_fit(nst, tmp_path):
    """The old picture stays, and no temporary file; a row that is written in part is no success."""
    log, path = nst.Log(tmp_path / "log.txt", "# header\n"), tmp_path / "r.png"
    path.write_bytes(b"old")
    pixels = nst.np.random.default_rng(1).random((1, 64, 64, 3), nst.np.float32)
    with no_file_above(5000), pytest.raises(nst.RunError, match=r"^cannot write '.*r\.png': File too large$"):
        nst.save_image(path, pixels)
    assert path.read_bytes() == b"old" and len(list(tmp_path.iterdir())) == 2
    with no_file_above(20), pytest.raises(nst.RunError, match=r"^cannot write '.*log\.txt': File too large$"):
        log.write("1  2.0  3.0  4.0  5.0")


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("mount"), reason="only root mounts")
def test_a_full_disk(flags, tmp_path, run):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", disk]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        words = flags("--ckpt_write_every", 1, "--save_every", 1, output=disk / "out/r.png")
        status, _, err = run(*words, "--nsteps", 5)
        assert (status, err.count("\n")) == (1, 1) and "No space left" in err, err
        # Also after "# Failed": the log is still within the page of the disk that it has.
        assert (disk / "out/r_c_s_log.txt").read_text().endswith("\n") and not list(disk.rglob("*.tmp"))
        subprocess.run(["mount", "-o", "remount,size=9m", disk], check=True)
        status, out, err = run(*words, "--nsteps", 6, "--resume")
        assert status == 0 and re.search(r"Resuming at step \d from .*ckpt-\d\.", out), err
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def test_a_loss_that_is_not_finite(flags, tmp_path, run):
    """Of that step only the failure is logged; the checkpoint of the step before stays."""
    words = ["--nsteps", 9, "--content_weight", 1e20, "--adam_learning_rate", 1, "--save_every", 1]
    status, _, err = run(*flags(*words, "--ckpt_write_every", 1, "--loss_reduction", "sum"))
    said = re.fullmatch(r"neural_style_transfer.py: error: step (\d+) is not finite; --resume with a smaller "
                        r".*--content_weight.*\n", err)
    assert status == 1 and said, err
    t, folder = int(said[1]), tmp_path / "out"
    assert 1 < t and row_lines(folder / "r_c_s_log.txt")[-1].split()[0] == str(t - 1)
    log = (folder / "r_c_s_log.txt").read_text()
    assert re.search(rf"\n{t - 1}  .*\n# Failed, \S+: step {t} is not finite; --resume with .*\n$", log)
    assert not (folder / f"r_c_s_{t:06d}.png").exists() and not (folder / "r_c_s_final.png").exists()
    assert not (folder / f"checkpoints/r_c_s/ckpt-{t}.index").exists()
    assert (folder / f"checkpoints/r_c_s/ckpt-{t - 1}.index").exists()


def test_out_of_memory(flags, tmp_path, run, nst, monkeypatch):
    """As TensorFlow says it, on a GPU for example. Nothing is written."""
    def fail(*_):
        raise nst.tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")

    monkeypatch.setattr(nst, "make_step", fail)
    status, _, err = run(*flags("--nsteps", 2))
    said = "out of memory (at --image_size 64); try a smaller --image_size or smaller pictures"
    assert status == 1 and err == f"neural_style_transfer.py: error: {said}\n"
    assert not list((tmp_path / "out").iterdir())
