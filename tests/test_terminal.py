"""What a terminal and a pipe show while a run goes on, with made-up steps; and the reasons in messages."""

import errno
import io
import os
import re
import time

import pytest


class Screen(io.StringIO):
    """A terminal in place of stdout: what is written, with the columns that it had then."""

    columns, shown = 80, ()

    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        return 1

    def write(self, text: str) -> int:
        self.shown = (*self.shown, (self.columns, text))
        return len(text)


@pytest.fixture
def progress(nst, monkeypatch):
    """Show the steps of a run, each of which takes `pace` seconds and has this loss."""
    def progress(start, nsteps, loss=8e8, pace=2.0, screen=None, before=lambda t: None):
        clock = [0.0]
        monkeypatch.setattr(time, "monotonic", lambda: clock[0])
        if screen:
            monkeypatch.setattr("sys.stdout", screen)
            monkeypatch.setattr(os, "get_terminal_size", lambda _: os.terminal_size((screen.columns, 24)))
        shown = nst.Progress(start, nsteps)
        for t in [*range(start + 1, min(nsteps, start + 50)), nsteps]:
            before(t)
            clock[0] += 30.0 if t == start + 1 else pace
            shown.update(nst.Row(t, dict.fromkeys(nst.COLUMNS, loss), True, {}), t == nsteps)

    return progress


@pytest.mark.parametrize("columns, loss, pace, start, nsteps", [
    (80, 3e38, 0.9996, 40, 80), (200, 1e-40, 300.0, 400_000, 999_999)])
def test_progress_takes_one_line_of_the_screen(progress, columns, loss, pace, start, nsteps):
    """Each is written over by the next, also in a window that was made narrower, where it is cut."""
    screen = Screen()

    def resize(t):
        screen.columns = 40 if t == start + 3 else columns

    progress(start, nsteps, loss, pace, screen=screen, before=resize)
    lines = [(width, text) for width, text in screen.shown if text]
    assert {width for width, _ in lines} == {40, columns}
    assert all(text[0] == "\r" and "\n" not in text and len(text) == width for width, text in lines)
    pattern = rf"step {nsteps}/{nsteps}  total \S+  \d+\.\d\d s/step  0:00:00 left"
    assert re.fullmatch(pattern, lines[-1][1].strip())


@pytest.mark.parametrize("start, nsteps", [(0, 45), (100, 145)])
def test_the_lines_of_a_pipe(progress, capsys, start, nsteps):
    """The first two, each twentieth and the last; the pace leaves out the first step, which compiles."""
    progress(start, nsteps)
    lines = capsys.readouterr().out.splitlines()
    losses = "content 8.000e+08  style 8.000e+08  tv 8.000e+08"
    assert lines[0] == f"step {start + 1}/{nsteps}  total 8.000e+08  {losses}"
    assert lines[1] == f"step {start + 2}/{nsteps}  total 8.000e+08  2.00 s/step  0:01:26 left  {losses}"
    assert lines[-1] == f"step {nsteps}/{nsteps}  total 8.000e+08  2.00 s/step  0:00:00 left  {losses}"
    every = max(1, nsteps // 20)
    told = {start + 1, start + 2, *(t for t in range(start + 1, nsteps + 1) if t % every == 0), nsteps}
    assert [int(line.split("/")[0][5:]) for line in lines] == sorted(told)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES])
def test_the_reason_is_in_the_message(nst, number):
    """Of what TensorFlow raises, whose words begin with an operation and a long path, and of Python's own."""
    path = f"/{'a' * 200}/out/checkpoints/ckpt-100_temp/part-00000-of-00001.data-00000-of-00001"
    text = f"{{{{function_node __wrapped__SaveV2_device}}}} {path}; {os.strerror(number)} [Op:SaveV2]"
    assert nst.reason(nst.tf.errors.OutOfRangeError(None, None, text)) == os.strerror(number)
    assert nst.reason(OSError(number, os.strerror(number), path)) == os.strerror(number)
