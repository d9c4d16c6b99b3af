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

WIDTHS = [20, 60, 80, 200]


class Screen:
    """A pseudo-terminal in place of stdout, and what stands on it."""

    def __init__(self, columns: int, encoding: str = "utf-8"):
        self.screen = pyte.HistoryScreen(columns, 24, history=100_000)
        self.stream, self.other_end, self.encoding = pyte.ByteStream(self.screen), os.openpty(), encoding
        self.resize(columns)

    def resize(self, columns: int) -> None:
        fcntl.ioctl(self.other_end[0], termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

    @contextlib.contextmanager
    def as_stdout(self, monkeypatch):
        reading = threading.Thread(target=self.read)
        reading.start()
        with open(self.other_end[1], "w", encoding=self.encoding) as stdout, monkeypatch.context() as patch:
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
    def shown(columns, start, nsteps, loss=8e8, pace=0.8, encoding="utf-8", meanwhile=lambda screen, t: None) -> list:
        screen, clock = Screen(columns, encoding), itertools.count(0, pace)
        monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
        with screen.as_stdout(monkeypatch):
            progress = nst.Progress(start, nsteps)
            for t in range(start + 1, nsteps + 1) if nsteps - start <= 300 else [*range(start + 1, start + 10), nsteps]:
                meanwhile(screen, t)
                progress.update(nst.Row(t, dict.fromkeys(nst.COLUMNS, loss), True, []))
            progress.close()
        return screen.lines()
    return shown


@pytest.mark.parametrize("columns", WIDTHS)
@pytest.mark.parametrize("start, nsteps", [(0, 60), (40, 100), (0, 999_999), (400_000, 999_999), (0, 1)])
@pytest.mark.parametrize("loss, pace", [(8e8, 0.8), (3e38, 0.9996), (1e-40, 300)])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_progress_takes_one_line_of_the_screen(shown, columns, start, nsteps, loss, pace, encoding):
    [line] = shown(columns, start, nsteps, loss, pace, encoding)
    whole = rf"step {nsteps}/{nsteps}  total \S+(  \d+\.\d\d s/step  0:00:00 left)?  content \S+  style \S+  tv \S+"
    assert re.fullmatch(whole, line) if columns == 200 else line.startswith(f"step {nsteps}/{nsteps}"[:columns - 1])


@pytest.mark.parametrize("columns", [20, 70])
def test_a_window_that_is_made_narrower(shown, columns):
    """Only what was drawn on the wider one is left as it is."""
    def narrow(screen, t):
        if t == 150:
            screen.resize(columns)
    assert len(shown(200, 0, 300, meanwhile=narrow)) == 1


def test_a_resumed_run_on_a_terminal(flags, tmp_path):
    """The lines of the whole command, with large losses."""
    words = flags("--loss_reduction", "sum", "--save_every", 0, "--ckpt_write_every", 0)
    assert command(*words, "--nsteps", 2).returncode == 0
    screen = pyte.HistoryScreen(80, 24, history=1000)
    with Terminal([*words, "--nsteps", "30", "--resume"], columns=80) as terminal:
        pyte.Stream(screen).feed(terminal.read_until("Wrote .*\n"))
        assert terminal.process.wait(60) == 0
    text = "\n".join(line.rstrip() for line in screen.display)
    assert re.search(r"\.\nstep 30/30  total \d\.\d{3}e\+\d\d  .* s/step  0:00:00 left .*\nWrote ", text), text


# ------------------------------------------------------------------------------- reasons


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS, errno.EACCES, errno.ESTALE])
def test_the_reason_is_in_the_message(nst, number):
    """Of what TensorFlow raises, whose words begin with an operation and a long path, and of Python's own."""
    path = f"/{'a' * 150}/out/checkpoints/ckpt-100_temp/part-00000-of-00001.data-00000-of-00001.tempstate1211367917119068794"
    text = f"{{{{function_node __wrapped__SaveV2_dtypes_3_device_/job:localhost}}}} {path}; {os.strerror(number)} [Op:SaveV2]"
    assert nst.reason(nst.tf.errors.OutOfRangeError(None, None, text)) == os.strerror(number)
    assert nst.reason(OSError(number, os.strerror(number), path)) == os.strerror(number)
