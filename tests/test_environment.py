"""What surrounds the command changes nothing: Keras' settings, the home folder, Python's flags, the streams.

Each run takes two steps in a process of its own; all must give the bytes and the log rows of the plain one.
"""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import SCRIPT, assert_same_run, command, names, row_lines, run_flags

SMALL = Path("out") / "r.png", "--nsteps", 2
ONEDNN = os.environ.get("TF_ENABLE_ONEDNN_OPTS", "1")  # before another test sets it to the script's default


@pytest.fixture(scope="module")
def plain(inputs, tmp_path_factory):
    """The folder and the process of a run in an ordinary environment."""
    folder = tmp_path_factory.mktemp("plain")
    return folder, command(*run_flags(inputs, *SMALL), cwd=folder)


def test_plain_run_is_sober(plain):
    folder, result = plain
    assert (result.returncode, result.stderr) == (0, "")
    step = r"step {}/2  total \S+{}  content \S+  style \S+  tv \S+\n"
    pace = r"  \S+ s/step  \d:\d\d:\d\d left"
    assert re.fullmatch(r"Starting TensorFlow \.\.\.\n64 x 51 pixels, weights: vgg16, .*\n"
                        + step.format(1, "") + step.format(2, pace)
                        + r"Wrote out/r_c_s_final\.png; .* log and checkpoints/\n"
                        + r"To plot the log: gnuplot -c \S*gnuplot\.plt out/r_c_s_log\.txt\n",
                        result.stdout)
    assert len(row_lines(folder / "out/r_c_s_log.txt")) == 2
    assert list(folder.iterdir()) == [folder / "out"]  # and nothing beside its output


def test_keras_settings_and_modules_lying_about(plain, inputs, tmp_path):
    settings = json.dumps({"backend": "jax", "image_data_format": "channels_first", "floatx": "float16"})
    for folder in "home/.keras", "work":
        (tmp_path / folder).mkdir(parents=True)
    for name in ".keras/keras.json", "keras.json":  # the second one is looked at where KERAS_HOME is home
        (tmp_path / "home" / name).write_text(settings)
    for module in "numpy", "tensorflow", "keras", "PIL", "json":
        (tmp_path / f"work/{module}.py").write_text("raise SystemExit('a module lying about was imported')\n")
    result = command(*run_flags(inputs, *SMALL), cwd=tmp_path / "work", env={
        "KERAS_BACKEND": "jax", "HOME": str(tmp_path / "home"), "KERAS_HOME": str(tmp_path / "home"),
        "PYTHONOPTIMIZE": "2", "PYTHONHASHSEED": "7", "TF_USE_LEGACY_KERAS": "1", "LC_ALL": "C",
        "COLUMNS": "x", "TERM": "dumb", "TF_CPP_MIN_LOG_LEVEL": "2"})
    assert (result.returncode, result.stderr) == (0, "")
    assert_same_run(tmp_path / "work/out", plain[0] / "out")
    assert names(tmp_path / "work/out") == names(plain[0] / "out")
    assert (tmp_path / "home/keras.json").read_text() == settings


def test_a_reader_that_leaves_no_stdin_and_a_home_that_cannot_be_written(plain, inputs, tmp_path):
    """The pipe closes after the first line; the run must not. TensorFlow's chatter stays hidden, too."""
    (tmp_path / "file").touch()
    run = shlex.join(map(str, [sys.executable, SCRIPT, *run_flags(inputs, *SMALL)]))
    words = ["bash", "-c", f"{run} < /dev/null | head -1; exit ${{PIPESTATUS[0]}}"]
    env = {**os.environ, "HOME": str(tmp_path / "file/home")}
    result = subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert (result.returncode, result.stdout, result.stderr) == (0, "Starting TensorFlow ...\n", "")
    assert_same_run(tmp_path / "out", plain[0] / "out")


def test_what_the_last_bits_depend_on(plain, nst, monkeypatch):
    """The header of the log has it: the models of processor and GPUs, and the settings."""
    cpuinfo = Path("/proc/cpuinfo")  # of Linux
    text = cpuinfo.read_text() if cpuinfo.exists() else ""
    models = re.findall("^model name.*?: (.*)$", text, re.MULTILINE)
    cpu = rf"CPU ({'|'.join(map(re.escape, models)) or '.*'}), threads: \d+, TF_ENABLE_ONEDNN_OPTS: "
    assert re.search(f"\n# Device: {cpu}{ONEDNN}\n", (plain[0] / "out/r_c_s_log.txt").read_text())
    monkeypatch.setattr(nst.tf.config, "list_physical_devices", lambda kind: ["a GPU", "another"])
    monkeypatch.setattr(nst.tf.config.experimental, "get_device_details",
                        lambda gpu: {"device_name": "RTX"} if gpu == "a GPU" else {})
    assert re.match(f"RTX, GPU, {cpu}", nst.device())
