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
from conftest import SCRIPT, command, row_lines

OUTPUT = Path("out") / "r.png"


def run_flags(inputs: Path) -> list:
    return ["--content", inputs / "c.png", "--style", inputs / "s.png", "--output", OUTPUT, "--weights", "vgg16",
            "--image_size", "64", "--nsteps", "2"]


def through_bash(line: str, inputs: Path, cwd: Path, env: dict, unset: tuple = ()) -> subprocess.CompletedProcess:
    """Run a line of bash in which `run` is the command line; env and unset change the environment."""
    words = shlex.join(map(str, [sys.executable, SCRIPT, *run_flags(inputs)]))
    kept = {name: value for name, value in os.environ.items() if name not in unset}
    return subprocess.run(["bash", "-c", f"run() {{ {words}; }}\n{line}"], cwd=cwd, env={**kept, **env}, timeout=240,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def outcome(folder: Path) -> tuple:
    """The final image and the log's rows of the run in a folder, and the names of all its files."""
    out = folder / OUTPUT.parent
    names = sorted(str(path.relative_to(out)) for path in out.rglob("*"))
    return (out / "r_c_s_final.png").read_bytes(), row_lines(out / "r_c_s_log.txt"), names


@pytest.fixture(scope="module")
def plain(inputs, tmp_path_factory):
    """The folder and the process of a run in an ordinary environment."""
    folder = tmp_path_factory.mktemp("plain")
    return folder, command(*run_flags(inputs), cwd=folder)


def keras_settings(home: Path, text: str) -> str:
    (home / ".keras").mkdir(parents=True)
    (home / ".keras" / "keras.json").write_text(text)
    (home / "keras.json").write_text(text)  # where KERAS_HOME = home is looked at
    return str(home)


def test_plain_run_is_sober(plain):
    folder, result = plain
    assert (result.returncode, result.stderr) == (0, "")
    out = OUTPUT.parent
    step = r"step {}/2  total \S+{}  content \S+  style \S+  tv \S+\n"
    pace = r"  \S+ s/step  \d:\d\d:\d\d left"
    assert re.fullmatch(r"Starting TensorFlow \.\.\.\n64 x 51 pixels, VGG-16, .*\n" + step.format(1, "")
                        + step.format(2, pace) + rf"Wrote {out}/r_c_s_final\.png; .* log and checkpoints/\n"
                        + rf"Plot the log with: gnuplot -c \S*gnuplot\.plt {out}/r_c_s_log\.txt\n", result.stdout)
    assert "VGG-16" in result.stdout and len(row_lines(folder / out / "r_c_s_log.txt")) == 2
    assert list(folder.iterdir()) == [folder / out]  # and nothing beside its output


def test_keras_settings_and_modules_lying_about(plain, inputs, tmp_path):
    settings = json.dumps({"backend": "jax", "image_data_format": "channels_first", "floatx": "float16", "epsilon": 0.1})
    home = keras_settings(tmp_path / "home", settings)
    work = tmp_path / "work"
    work.mkdir()
    for module in "numpy", "tensorflow", "keras", "PIL", "json":
        (work / f"{module}.py").write_text("raise SystemExit('a module of the working folder was imported')\n")
    result = command(*run_flags(inputs), cwd=work, env={
        "KERAS_BACKEND": "jax", "HOME": home, "KERAS_HOME": home, "PYTHONOPTIMIZE": "2", "PYTHONHASHSEED": "7",
        "TF_USE_LEGACY_KERAS": "1", "LC_ALL": "C", "COLUMNS": "x", "TERM": "dumb",
        "TF_CPP_MIN_LOG_LEVEL": "2"})
    assert (result.returncode, result.stderr) == (0, "")
    assert outcome(work) == outcome(plain[0])
    assert (Path(home) / "keras.json").read_text() == settings


def test_a_reader_that_leaves_no_stdin_and_a_home_that_cannot_be_written(plain, inputs, tmp_path):
    """The pipe closes after the first line; the run must not. What TensorFlow says by default stays hidden, too."""
    (tmp_path / "file").touch()
    result = through_bash("run < /dev/null | head -1; exit ${PIPESTATUS[0]}", inputs, tmp_path,
                          {"KERAS_BACKEND": "theano", "TF_CPP_MIN_LOG_LEVEL": "3", "HOME": str(tmp_path / "file" / "home")},
                          unset=("KERAS_HOME",))
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == "Starting TensorFlow ...\n"
    assert outcome(tmp_path) == outcome(plain[0])


@pytest.mark.skipif(not os.path.exists("/proc/cpuinfo"), reason="Linux tells")
def test_what_the_last_bits_hang_on_is_in_the_header(plain):
    [line] = re.findall("^# Device: (.*)$", (plain[0] / OUTPUT.parent / "r_c_s_log.txt").read_text(), re.MULTILINE)
    models = {line.partition(": ")[2] for line in Path("/proc/cpuinfo").read_text().split("\n") if line.startswith("model name")}
    assert not models or re.search("CPU (.*?), threads: ", line)[1] in models
    assert line.endswith(f"TF_ENABLE_ONEDNN_OPTS: {os.environ.get('TF_ENABLE_ONEDNN_OPTS', '1')}")


def test_a_gpu_is_named_by_its_model(nst, monkeypatch):
    monkeypatch.setattr(nst.tf.config, "list_physical_devices", lambda kind: ["a GPU", "another"])
    monkeypatch.setattr(nst.tf.config.experimental, "get_device_details", lambda gpu: {"device_name": "RTX"} if gpu == "a GPU" else {})
    assert nst.device().startswith("RTX, GPU, CPU ")


@pytest.mark.parametrize("broken", ["[y]", "nix"])
def test_a_temporary_folder_that_cannot_be_used_is_no_damage_of_a_checkpoint(flags, tmp_path, run, monkeypatch, broken):
    """Its name is a pattern to TensorFlow, or there is none at all."""
    assert run(*flags("--nsteps", 1))[0] == 0
    (tmp_path / "[y]").mkdir()
    with monkeypatch.context() as patch:
        patch.setenv("TMPDIR", str(tmp_path / broken))
        patch.setattr("tempfile.tempdir", str(tmp_path / broken))
        assert run(*flags("--nsteps", 2, "--resume"))[::2] == (0, "")
    assert len(row_lines(tmp_path / "out" / "r_c_s_log.txt")) == 2
