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
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from conftest import SCRIPT, assert_same_run, command, row_lines, rows
from soak import soak

ENDLESS = ["--nsteps", "100000", "--save_every", "0", "--ckpt_write_every", "7"]


def started(words, rows_wanted=5, **options) -> subprocess.Popen:
    """A run in the background that has logged a few rows."""
    process = subprocess.Popen([sys.executable, str(SCRIPT), *words], text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
    log = Path(words[words.index("--output") + 1]).with_name("r_c_s_log.txt")
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if log.exists() and len(row_lines(log)) >= rows_wanted:
            return process
        time.sleep(0.02)
    process.kill()
    raise AssertionError(process.communicate())


@pytest.mark.parametrize("signum, status", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_run_in_good_order(flags, tmp_path, run, signum, status):
    """SIGHUP, too: see test_a_terminal_that_closes."""
    optim = ["--optim", "--optim_every", 3, "--optim_max_iters", 3] * (signum == signal.SIGINT)
    process = started(flags(*ENDLESS, *optim))
    process.send_signal(signum)
    _, err = process.communicate(timeout=60)
    assert process.returncode == status
    assert err.count("\n") == 1, err
    said = re.fullmatch(r"neural_style_transfer.py: stopped after step (\d+); to continue: (.*)\n", err)
    t, words = int(said.group(1)), shlex.split(said.group(2))
    assert words[-1] == "--resume"
    folder = tmp_path / "out"
    assert (folder / "checkpoints/r_c_s" / f"ckpt-{t}.index").is_file()
    assert rows(folder / "r_c_s_log.txt")[-1, 0] == t
    assert f"# Interrupted after step {t} ({signum.name})" in (folder / "r_c_s_log.txt").read_text()
    assert not list(folder.glob(".*")) and (folder / "r_c_s_final.png").is_file()

    if signum != signal.SIGINT:  # what follows is the same for both
        return
    words[words.index("100000")] = str(t + 2)  # the very command, to an end
    result = subprocess.run(words, capture_output=True, text=True)
    assert result.returncode == 0 and f"Resuming at step {t} " in result.stdout and result.stderr == ""
    whole = flags("--nsteps", t + 2, "--save_every", 0, "--ckpt_write_every", 7, *optim, output=tmp_path / "whole" / "r.png")
    assert run(*whole)[0] == 0
    assert_same_run(folder, tmp_path / "whole")


@pytest.mark.parametrize("sent, status, said", [("SIGHUP SIGHUP SIGTERM", 0, "SIGHUP\n"), ("SIGTERM SIGINT", 0, "SIGTERM\n"),
                                                ("SIGINT SIGINT", -signal.SIGINT, "")])
def test_the_signals_after_the_first(sent, status, said):
    """A terminal that closes sends several; only a second Ctrl-C kills."""
    code = ("import os, signal, sys, neural_style_transfer as nst; stop = nst.Stop(); stop.listen()\n"
            "for name in sys.argv[1:]: os.kill(os.getpid(), getattr(signal, name))\n"
            "print(stop.signum.name)")
    result = subprocess.run([sys.executable, "-c", code, *sent.split()], cwd=SCRIPT.parent, capture_output=True, text=True)
    assert (result.returncode, result.stdout) == (status, said), result.stderr


def test_a_signal_before_the_first_step_moves_nothing(flags, tmp_path):
    process = subprocess.Popen([sys.executable, str(SCRIPT), *flags(*ENDLESS)], stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "out").exists():
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130 and not list((tmp_path / "out").iterdir())
    assert err == "neural_style_transfer.py: stopped before the first step; nothing was written\n"


@pytest.mark.parametrize("branch", [False, True])
def test_how_to_go_on_from_a_resumed_run(flags, tmp_path, nst, run, capfd, monkeypatch, branch):
    """One --resume, and none behind a flag that it would not override."""
    assert run(*flags("--nsteps", 1))[0] == 0
    stop, open_outputs = nst.Stop(), nst.open_outputs

    def signalled(*words):
        stop.signum = signal.SIGTERM
        return open_outputs(*words)

    monkeypatch.setattr(nst, "open_outputs", signalled)
    more = ["--resume_from", tmp_path / "out" / "checkpoints" / "r_c_s" / "ckpt-1"] if branch else ["--resume"]
    words = flags("--nsteps", 9, *more, output=tmp_path / ("branch" if branch else "out") / "r.png")
    assert nst.main(words, stop) == 143
    err = capfd.readouterr().err
    advice = "the same with --resume in place of --resume_from or --ckpt_in" if branch else f"{shlex.join(words)}"
    assert err.startswith("neural_style_transfer.py: stopped after step 2; to continue: ")
    assert err.endswith(f"{advice}\n") and err.count("--resume ") + err.count("--resume\n") == 1


def test_how_to_plot_is_said_where_the_script_of_gnuplot_is(flags, tmp_path, run, nst, monkeypatch):
    """The line is for a shell: it draws the log."""
    monkeypatch.setattr(nst, "__file__", shutil.copy(SCRIPT, tmp_path / "alone.py"))
    monkeypatch.chdir(tmp_path)
    words = flags("--nsteps", 1, "--save_every", 0, output=tmp_path / "my out" / "r.png")
    for there in False, True:
        if there:
            shutil.copy(SCRIPT.with_name("gnuplot.plt"), tmp_path)
        status, out, _ = run(*words)
        found = re.findall("^Plot the log with: (.*)$", out, re.MULTILINE)
        assert status == 0 and len(found) == there
    gnuplot = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    subprocess.run(found[0], shell=True, cwd=tmp_path, check=True, env=gnuplot)
    assert (tmp_path / "my out" / "r_c_s_log.png").stat().st_size > 1000


def test_what_must_have_reached_the_disk(flags, tmp_path, run, nst, monkeypatch):
    """A file before it takes its place, and the log before a checkpoint counts on it."""
    synced, order = os.fsync, []

    def fsync(file):
        order.append(os.readlink(f"/proc/self/fd/{file if isinstance(file, int) else file.fileno()}"))
        synced(file)

    replace, save = os.replace, nst.State.save
    monkeypatch.setattr(nst.os, "fsync", fsync)
    monkeypatch.setattr(nst.os, "replace", lambda old, new: (order.append(f"{old} -> {new}"), replace(old, new)))
    monkeypatch.setattr(nst.State, "save", lambda state, folder, keep: (order.append(f"ckpt-{state.step}"), save(state, folder, keep)))
    assert run(*flags("--nsteps", 2, "--save_every", 1, "--ckpt_write_every", 1))[0] == 0
    log = str(tmp_path / "out" / "r_c_s_log.txt")
    for t in 1, 2:
        assert order[order.index(f"ckpt-{t}") - 1] == log
    moves = [i for i, what in enumerate(order) if " -> " in what]
    assert len(moves) >= 6 and all(order[i].startswith(f"{order[i - 1]} -> ") for i in moves)


class Terminal:
    """The command on a terminal of its own; killed when that is left, should it still run."""

    def __init__(self, words: list, columns: int = 80):
        self.screen, terminal = os.openpty()
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, str(SCRIPT), *words], stdin=terminal, stdout=terminal, stderr=terminal,
            start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(terminal)

    def read_until(self, pattern: str) -> str:
        """What has come since the last call, up to the pattern or the end."""
        text, deadline = "", time.monotonic() + 60
        with contextlib.suppress(OSError):  # the process has gone
            while not re.search(pattern, text) and time.monotonic() < deadline:
                if select.select([self.screen], [], [], 1)[0]:
                    text += os.read(self.screen, 10_000).decode()
        return text

    def ctrl_c(self) -> None:
        os.write(self.screen, b"\3")

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.screen)


def test_on_a_terminal(flags, tmp_path):
    """A progress bar that counts, and a run that ends in good order after Ctrl-C."""
    with Terminal(flags(*ENDLESS)) as terminal:
        line = terminal.read_until(r"\D[3-9]/100000\b.*total")
        assert "1/100000" in line and "total" in line and "s/step" in line
        terminal.ctrl_c()
        said = terminal.read_until("--resume\r?\n")
        assert terminal.process.wait(60) == 130
    end = re.search(r"Stopping after this step; Ctrl-C again stops at once\.(?s:.*)stopped after step (\d+); to cont", said)
    assert end, said
    step = int(end[1])
    assert (tmp_path / "out" / "checkpoints/r_c_s" / f"ckpt-{step}.index").is_file()
    assert (tmp_path / "out" / "r_c_s_final.png").is_file()


def test_a_second_ctrl_c_kills_at_once(flags, tmp_path):
    """In the middle of a row that takes several seconds."""
    with Terminal(flags(*ENDLESS, "--image_size", 128, "--optim", "--optim_tol", 1e-5)) as terminal:
        terminal.read_until(r"\b1/100000")
        terminal.ctrl_c()
        assert "Stopping after this step" in terminal.read_until("Stopping after this step")
        terminal.ctrl_c()
        assert terminal.process.wait(60) == -signal.SIGINT and "stopped after" not in terminal.read_until("stopped after")
    assert [path.name for path in (tmp_path / "out" / "checkpoints/r_c_s").glob("*.index")] == ["ckpt-0.index"], "not in good order"


def test_a_terminal_that_closes(flags, tmp_path):
    with Terminal(flags(*ENDLESS)) as terminal:
        terminal.read_until(r"\D[3-9]/100000\b")
        os.close(terminal.screen)
        assert terminal.process.wait(60) == 129
        terminal.screen = os.open(os.devnull, os.O_RDONLY)
    t = int(rows(tmp_path / "out" / "r_c_s_log.txt")[-1, 0])
    assert f"# Interrupted after step {t} (SIGHUP)" in (tmp_path / "out" / "r_c_s_log.txt").read_text()
    assert (tmp_path / "out" / "checkpoints/r_c_s" / f"ckpt-{t}.index").is_file() and (tmp_path / "out" / "r_c_s_final.png").is_file()


def test_a_second_run_into_the_same_output(flags, tmp_path, run):
    first = started(flags(*ENDLESS), preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    try:
        first.send_signal(signal.SIGHUP)  # which nohup has had ignored
        status, _, err = run(*flags("--nsteps", 2))
        assert status == 2 and err.count("\n") == 1 and "another run is writing to" in err
        done = len(row_lines(tmp_path / "out" / "r_c_s_log.txt"))
        time.sleep(1)
        assert first.poll() is None and len(row_lines(tmp_path / "out" / "r_c_s_log.txt")) > done
    finally:
        first.kill()
        first.communicate()
    assert run(*flags("--nsteps", 2))[::2] == (0, "")  # a dead run leaves no lock behind
    assert not list((tmp_path / "out").glob(".*"))


def test_short_soak(tmp_path, monkeypatch):
    """With several threads each, as users have them."""
    monkeypatch.delenv("TF_NUM_INTRAOP_THREADS")
    counts = soak(kills=2, seed=5, folder=tmp_path)
    assert counts["kills"] == 2


def limited(limit, size):
    return lambda: resource.setrlimit(limit, (size, size))


def test_writing_fails_in_mid_run(flags, tmp_path, run):
    """A limit on the size of files stands in for a full disk: checkpoints of a larger image do not fit."""
    small = flags("--nsteps", 2, "--ckpt_write_every", 1)
    assert run(*small)[0] == 0
    folder = tmp_path / "out"
    size = max(path.stat().st_size for path in (folder / "checkpoints/r_c_s").iterdir())
    before = row_lines(folder / "r_c_s_log.txt")
    result = command(*small, "--nsteps", "9", "--resume", preexec_fn=limited(resource.RLIMIT_FSIZE, size - 1000))
    assert result.returncode == 1
    said = r"neural_style_transfer.py: error: cannot write the checkpoint '.*ckpt-3': File too large\n"
    assert re.fullmatch(said, result.stderr), result.stderr
    assert row_lines(folder / "r_c_s_log.txt")[:2] == before
    status, out, _ = run(*small, "--nsteps", "4", "--resume")
    assert status == 0 and "Resuming at step 2 " in out
    assert not list((folder / "checkpoints/r_c_s").glob("*temp*")), "what was half written has been written over"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0 or not shutil.which("mount"), reason="only root mounts")
@pytest.mark.parametrize("size, what", [("300k", "checkpoint"), ("40k", "(picture|log|png)")])
def test_a_full_disk(flags, tmp_path, run, size, what):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        result = command(*flags("--nsteps", 5, "--ckpt_write_every", 1, "--save_every", 1, output=disk / "out" / "r.png"))
        assert result.returncode == 1
        assert result.stderr.count("\n") == 1 and "No space left" in result.stderr, result.stderr
        log = disk / "out" / "r_c_s_log.txt"
        assert not log.exists() or log.read_text() == "" or log.read_text().endswith("\n")
        assert not list(disk.rglob("*.tmp"))
        if size == "300k":
            subprocess.run(["mount", "-o", "remount,size=9m", disk], check=True)
            status, out, err = run(*flags("--nsteps", 6, "--ckpt_write_every", 1, "--resume", output=disk / "out" / "r.png"))
            assert status == 0 and re.search(r"Resuming at step \d from .*ckpt-\d\.", out), err
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def test_a_loss_that_is_not_finite(flags, tmp_path):
    result = command(*flags("--nsteps", 9, "--content_weight", 1e20, "--save_every", 1, "--ckpt_write_every", 1))
    assert result.returncode == 1
    assert re.fullmatch(r"neural_style_transfer.py: error: step (\d+) is not finite: .*--content_weight.*"
                        r"give a smaller one, and --resume goes on from the last checkpoint\n", result.stderr), result.stderr
    t = int(re.search(r"step (\d+)", result.stderr).group(1))
    folder = tmp_path / "out"
    assert 1 < t and rows(folder / "r_c_s_log.txt")[-1, 0] == t - 1
    assert not (folder / f"r_c_s_{t:06d}.png").exists() and not (folder / "r_c_s_final.png").exists()
    assert not (folder / "checkpoints/r_c_s" / f"ckpt-{t}.index").exists()
    assert (folder / "checkpoints/r_c_s" / f"ckpt-{t - 1}.index").exists()


def test_out_of_memory(flags, tmp_path):
    result = command(*flags("--nsteps", 2, "--image_size", 4096), preexec_fn=limited(resource.RLIMIT_AS, 7 << 30))
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith(
        "neural_style_transfer.py: error: out of memory (") and "; try a smaller --image_size" in result.stderr, result.stderr
    assert "Traceback" not in result.stderr
