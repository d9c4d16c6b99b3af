"""What a terminal shows while a run goes on: lines on the screen of an emulator (pyte), of any width.

The line is drawn by Progress in this process, with steps that take no time; whole runs are in test_interrupts.py
and, resumed, at the end. And the reasons in messages.
"""

import contextlib
import errno
import fcntl
import itertools
import os
import re
import struct
import termios
import threading
import time

import pyte
import pytest
from conftest import command
from test_interrupts import Terminal

WIDTHS = [20, 40, 60, 80, 200]


class Screen:
    """A pseudo-terminal in place of stdout, and what stands on it."""

    def __init__(self, columns: int):
        self.screen = pyte.HistoryScreen(columns, 24, history=100_000)
        self.stream, self.other_end = pyte.ByteStream(self.screen), os.openpty()
        self.resize(columns)

    def resize(self, columns: int) -> None:
        fcntl.ioctl(self.other_end[0], termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

    @contextlib.contextmanager
    def as_stdout(self, monkeypatch):
        reading = threading.Thread(target=self.read)
        reading.start()
        with open(self.other_end[1], "w") as stdout, monkeypatch.context() as patch:
            patch.setattr("sys.stdout", stdout)
            yield
        reading.join()
        os.close(self.other_end[0])

    def read(self) -> None:
        with contextlib.suppress(OSError):  # the program's end was closed
            while data := os.read(self.other_end[0], 65536):
                self.stream.feed(data)

    def lines(self) -> list:
        """All that have been begun, the first one first."""
        above = ["".join(line[column].data for column in range(self.screen.columns)) for line in self.screen.history.top]
        lines = [line.rstrip() for line in [*above, *self.screen.display]]
        return lines[:len(above) + self.screen.cursor.y + (self.screen.cursor.x > 0)]


@pytest.fixture
def shown(nst, monkeypatch):
    """The lines on a screen after the steps of a run, each of which takes `pace` seconds and has this loss."""
    def shown(columns, start, nsteps, loss=8e8, pace=0.8, last=None, meanwhile=lambda screen, t: None) -> list:
        screen, clock = Screen(columns), itertools.count(0, pace)
        monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
        with screen.as_stdout(monkeypatch):
            progress = nst.Progress(start, nsteps)
            for t in [*range(start + 1, min(last or nsteps, start + 10)), last or nsteps]:
                meanwhile(screen, t)
                progress.update(nst.Row(t, dict.fromkeys(nst.COLUMNS, loss), True, {}), t == nsteps)
        return screen.lines()
    return shown


@pytest.mark.parametrize("columns", WIDTHS)
@pytest.mark.parametrize("start, nsteps", [(0, 60), (40, 100), (0, 999_999), (400_000, 999_999), (0, 1)])
@pytest.mark.parametrize("loss, pace", [(8e8, 0.8), (3e38, 0.9996), (1e-40, 300)])
def test_progress_takes_one_line_of_the_screen(shown, columns, start, nsteps, loss, pace):
    """The last one stays: a bar, then as many whole fields as fit, those of the plain lines. It counts from step 1."""
    [line] = shown(columns, start, nsteps, loss, pace)
    bar, *fields = line.split("  ")
    assert bar == "#" * (columns // 8) and len(line) < columns
    patterns = [rf"step {nsteps}/{nsteps}", r"total \S+", r"\d+\.\d\d s/step", "0:00:00 left", r"content \S+", r"style \S+", r"tv \S+"]
    if nsteps == 1:
        del patterns[2:4]  # no pace yet
    assert all(re.fullmatch(*pair) for pair in zip(patterns, fields)) and len(fields) <= len(patterns)
    assert len(fields) == len(patterns) if columns == 200 else len(fields) >= (2 if columns >= 60 else columns >= 40)


@pytest.mark.parametrize("start", [0, 40])
def test_the_bar_shows_the_steps_of_the_whole_run(shown, start):
    [line] = shown(80, start, 60, last=45)
    assert line.startswith("#######...  step 45/60  total ")


@pytest.mark.parametrize("columns", [40, 70])
def test_a_window_that_is_made_narrower(shown, columns):
    """Only what was drawn on the wider one is left as it is."""
    def narrow(screen, t):
        if t == 5:
            screen.resize(columns)
    assert len(shown(200, 0, 300, meanwhile=narrow)) == 1


@pytest.mark.parametrize("start, nsteps", [(0, 45), (100, 145)])
def test_the_lines_of_a_pipe(nst, monkeypatch, capsys, start, nsteps):
    """The first two, each twentieth and the last; the pace leaves out the first step, which compiles."""
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    progress = nst.Progress(start, nsteps)
    for t in range(start + 1, nsteps + 1):
        clock[0] += 30 if t == start + 1 else 2
        progress.update(nst.Row(t, dict.fromkeys(nst.COLUMNS, 8e8), True, {}), t == nsteps)
    lines = capsys.readouterr().out.splitlines()
    losses = "content 8.000e+08  style 8.000e+08  tv 8.000e+08"
    assert lines[0] == f"step {start + 1}/{nsteps}  total 8.000e+08  {losses}"
    assert lines[1] == f"step {start + 2}/{nsteps}  total 8.000e+08  2.00 s/step  0:01:26 left  {losses}"
    assert lines[-1] == f"step {nsteps}/{nsteps}  total 8.000e+08  2.00 s/step  0:00:00 left  {losses}"
    every = max(1, nsteps // 20)
    told = {start + 1, start + 2, *(t for t in range(start + 1, nsteps + 1) if t % every == 0), nsteps}
    assert [int(line.split("/")[0][5:]) for line in lines] == sorted(told)


def test_a_resumed_run_on_a_terminal(flags, tmp_path):
    """The lines of the whole command, with large losses."""
    words = flags("--loss_reduction", "sum", "--save_every", 0, "--ckpt_write_every", 0)
    assert command(*words, "--nsteps", 2).returncode == 0
    screen = pyte.HistoryScreen(80, 24, history=1000)
    with Terminal([*words, "--nsteps", "30", "--resume"], columns=80) as terminal:
        pyte.Stream(screen).feed(terminal.read_until("Wrote .*\n"))
        assert terminal.process.wait(60) == 0
    text = "\n".join(line.rstrip() for line in screen.display)
    assert re.search(r"\.\n#{10}  step 30/30  total \d\.\d{3}e\+\d\d  .* s/step  0:00:00 left\nWrote ", text), text


# ------------------------------------------------------------------------------- reasons


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS, errno.EACCES, errno.ESTALE])
def test_the_reason_is_in_the_message(nst, number):
    """Of what TensorFlow raises, whose words begin with an operation and a long path, and of Python's own."""
    path = f"/{'a' * 150}/out/checkpoints/ckpt-100_temp/part-00000-of-00001.data-00000-of-00001.tempstate1211367917119068794"
    text = f"{{{{function_node __wrapped__SaveV2_dtypes_3_device_/job:localhost}}}} {path}; {os.strerror(number)} [Op:SaveV2]"
    assert nst.reason(nst.tf.errors.OutOfRangeError(None, None, text)) == os.strerror(number)
    assert nst.reason(OSError(number, os.strerror(number), path)) == os.strerror(number)
