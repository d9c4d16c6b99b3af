"""What the tests share: small pictures, the command as a user runs it, and the script as a module.

The pictures are 64 to 96 pixels wide and the runs a few steps long. `run` runs the command in this process
with a toy network: a test of files needs no other. `command`, a process of its own, has the real one.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = ROOT / "neural_style_transfer.py"
sys.path[:0] = [str(ROOT), str(ROOT / "tests/tools")]
# A shell ignores SIGINT in the background, and nohup SIGHUP; children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
# Workers share the cores: with all of them for each, TensorFlow's threads would wait for one another.
WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 1))
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(max(1, os.cpu_count() // WORKERS)))


def command(*words, cwd=None, env=None, timeout=240, **options) -> subprocess.CompletedProcess:
    """Run the script in a process of its own; stdout and stderr come back as text."""
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options}
    return subprocess.run([sys.executable, str(SCRIPT), *map(str, words)], cwd=cwd, timeout=timeout,
                          env={**os.environ, **(env or {})}, **options)


def picture(width: int, height: int, seed: int) -> Image.Image:
    """A smooth picture with edges and some grain: something for every layer to see."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (5, 6, 3), np.uint8))
    coarse = coarse.resize((width, height), Image.Resampling.BICUBIC)
    pixels = np.asarray(coarse, np.int16) + rng.integers(-12, 13, (height, width, 3))
    pixels[height // 3: height // 2, width // 4: width // 2] //= 2
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


@pytest.fixture(scope="session")
def inputs(tmp_path_factory) -> Path:
    """A folder with c.png (80 x 64) and s.png (64 x 72)."""
    folder = tmp_path_factory.mktemp("inputs")
    picture(80, 64, seed=1).save(folder / "c.png")
    picture(64, 72, seed=2).save(folder / "s.png")
    return folder


def run_flags(inputs: Path, output, *more) -> list:
    return ["--content", str(inputs / "c.png"), "--style", str(inputs / "s.png"), "--output", str(output),
            "--weights", "vgg16", "--image_size", "64", *map(str, more)]


@pytest.fixture
def flags(inputs, tmp_path):
    """The flags of a small run into tmp_path/out/r.png; further ones are appended."""
    return lambda *more, output=tmp_path / "out" / "r.png": run_flags(inputs, output, *more)


@pytest.fixture(scope="session")
def nst():
    """The script as a module, with TensorFlow imported."""
    import neural_style_transfer

    neural_style_transfer.start_tensorflow()
    return neural_style_transfer


@pytest.fixture(scope="session")
def phi(nst):
    """VGG-16's features in float32, made once: TensorFlow never frees them (60 MB)."""
    return nst.vgg_features(nst.find_weights("vgg16"))


@pytest.fixture(scope="session")
def toy(nst):
    """In place of vgg_features where a test is about files: six small layers, which are compiled at once."""
    rng, tf, layers = np.random.default_rng(4), nst.tf, nst.STYLE_LAYERS + nst.CONTENT_LAYERS
    kernels = [rng.standard_normal((3, 3, channels, 8)) / 4 for channels in (3, 8, 8, 8, 8, 8)]

    def make(weights, precision="float32"):
        def phi(x):
            maps, features = tf.cast(255 * (x - 0.5), precision), {}
            for layer, kernel in zip(layers, kernels):
                maps = features[layer] = tf.nn.relu(tf.nn.conv2d(maps, tf.cast(kernel, precision), 2, "SAME"))
            return features

        return phi

    return make


@pytest.fixture(scope="session")
def main(nst, toy):
    """Run the command line in this process, with the toy network or another; returns its status."""
    def main(*words, stop=None, network=toy):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(nst, "vgg_features", network)
            return nst.main([str(word) for word in words], stop)

    return main


@pytest.fixture
def run(main, capfd):
    """The same, but returns (status, stdout, stderr)."""
    return lambda *words, **more: (main(*words, **more), *capfd.readouterr())


def arguments(nst, **changed):
    """The defaults, but for these."""
    args = nst.parse_arguments(["--content", "c", "--style", "s", "--output", "o"])
    vars(args).update(changed)
    return args


def set_up(nst, phi, x_c, x_s, **changed) -> SimpleNamespace:
    """What a run with these changes is made of, without its files; rows(n) makes n steps."""
    args = arguments(nst, **changed)
    state, objective = nst.State(x_c, args), nst.make_objective(phi, x_c, x_s, args)
    step = nst.make_step(objective, state.x, state.optimizer)
    estimate = nst.make_estimate(objective, state, args) if args.optim else None
    return SimpleNamespace(objective=objective, state=state, estimate=estimate,
                           rows=lambda n: nst.optimise(step, state, estimate, 0, n))


COLUMN_LINE = ("# Step  Content Loss  Style loss  Total Variation  Total Loss  "
               "alpha_eff_min  alpha_eff_mean  alpha_eff_max")
OPTIM_COLUMNS = "  alpha_eff_max*L  L  lambda_max(alpha_eff*H)"

CADENCE = ["--save_every", 4, "--ckpt_write_every", 4]
# L is estimated at steps 1, 3, 6 ...: a resume at 4 or 8 has to carry the last one on.
# Three products are too few for a good one, but enough to see whether it repeats.
WATCHED = [*CADENCE, "--optim", "--optim_every", 3, "--optim_max_iters", 3,
           "--style_layer_weights", 1, 2, 0.5, 0, 3]


def uninterrupted(inputs: Path, out: Path, main, *words) -> Path:
    assert main(*run_flags(inputs, out / "r.png", "--nsteps", 12, *words)) == 0
    return out


@pytest.fixture(scope="session")
def whole(inputs, tmp_path_factory, main):
    """The folder of an uninterrupted run of 12 steps."""
    return uninterrupted(inputs, tmp_path_factory.mktemp("whole"), main, *CADENCE)


@pytest.fixture(scope="session")
def watched(inputs, tmp_path_factory, main):
    """The same with --optim."""
    return uninterrupted(inputs, tmp_path_factory.mktemp("watched"), main, *WATCHED)


def assert_same_run(folder: Path, whole: Path) -> None:
    """Same log rows and the same final image, byte for byte."""
    assert row_lines(folder / "r_c_s_log.txt") == row_lines(whole / "r_c_s_log.txt")
    assert (folder / "r_c_s_final.png").read_bytes() == (whole / "r_c_s_final.png").read_bytes()


def rows(log: Path) -> np.ndarray:
    """The numbers of a log, one row a step."""
    return np.array([line.split() for line in row_lines(log)], np.float64)


def row_lines(log: Path) -> list:
    text = log.read_bytes().decode(errors="replace")  # file names may hold any bytes
    return [line for line in text.split("\n") if line and not line.startswith("#")]


def names(folder: Path) -> list:
    """Of the files in a folder, at any depth."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def contents(folder: Path) -> dict:
    return {name: (folder / name).read_bytes() for name in names(folder)}


def without(folder: Path, *steps: int) -> None:
    """Remove the checkpoints of these steps from a folder."""
    for t in steps:
        for part in folder.glob(f"ckpt-{t}.*"):
            part.unlink()
