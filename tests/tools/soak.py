#!/usr/bin/env python3
"""Try in earnest whether runs repeat bit for bit: killed at random moments, and beside other work.

    python tests/tools/soak.py --kills 50
    python tests/tools/soak.py --repeat 100

--kills: each round is a run of its own that is killed with SIGKILL until it ends by itself; rounds follow
until there have been enough kills. Then every log row, the pictures and the list of files must be
those of the uninterrupted run, byte for byte. The moments are spread over a whole process, from
its start-up to its last file. Each kill may leave one checkpoint behind that is half written or half removed.

--repeat: one step at 512 pixels, and one estimate of the curvature cut short after a few products, from the
same state again and again, while other processes come and go on the same cores. Threads then finish in ever
new orders; every result must be the first one, bit for bit.

Exit status 1 if anything differs.
"""

import argparse
import contextlib
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parent.parent)]
from benchmark import Run, nst  # noqa: E402
from conftest import SCRIPT, picture, row_lines  # noqa: E402

RUN = ["--weights", "vgg16", "--image_size", "48", "--nsteps", "30", "--save_every", "5",
       "--ckpt_write_every", "3", "--ckpt_keep_max", "3"]
OPTIM = ["--optim", "--optim_every", "6", "--optim_max_iters", "3"]


def start(inputs: Path, output: Path, *more) -> subprocess.Popen:
    files = ["--content", inputs / "c.png", "--style", inputs / "s.png", "--output", output / "r.png"]
    return subprocess.Popen([sys.executable, str(SCRIPT), *map(str, files), *RUN, *more],
                            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen) -> str:
    """Wait for a run that must succeed; returns what it said on stderr."""
    _, said = process.communicate()
    if process.returncode:
        raise SystemExit(f"a run ended with status {process.returncode}: {said}")
    return said


def files(folder: Path) -> set:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def whole(folder: Path) -> None:
    """At any moment, no picture and no row of the log may be half written."""
    for path in folder.glob("*.png"):
        with Image.open(path) as image:
            image.load()
    for log in folder.glob("*_log.txt"):
        fields = [len(line.split()) for line in row_lines(log)]
        if len(set(fields[:-1])) > 1:  # the very last row may be in the middle of its write
            raise SystemExit(f"{log} has a cut row")


def differences(folder: Path, reference: Path) -> list:
    found = sorted(files(folder) ^ files(reference))
    for path in reference.glob("*.png"):
        if not (folder / path.name).is_file() or (folder / path.name).read_bytes() != path.read_bytes():
            found.append(path.name)
    if row_lines(folder / "r_c_s_log.txt") != row_lines(reference / "r_c_s_log.txt"):
        found.append("log rows")
    return found


def soak(kills: int, seed: int, folder: Path, words: list = OPTIM) -> dict:
    """Returns the counts: rounds, kills, kills after the first step, damaged checkpoints, what kills left."""
    picture(56, 48, seed=1).save(folder / "c.png")
    picture(48, 48, seed=2).save(folder / "s.png")
    reference = folder / "reference"
    began = time.monotonic()
    finish(start(folder, reference, *words))
    length = time.monotonic() - began  # of a whole process, start-up included

    rng = random.Random(seed)
    counts = {"rounds": 0, "kills": 0, "kills after the first step": 0, "damaged checkpoints passed over": 0,
              "left behind by kills": 0}
    while counts["kills"] < kills:
        counts["rounds"] += 1
        output, killed = folder / f"round{counts['rounds']}", 0
        while True:
            process = start(folder, output, "--resume", *words)
            try:
                timeout = rng.uniform(0.3, 1.05) * length if counts["kills"] < kills else None
                _, said = process.communicate(timeout=timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                _, said = process.communicate()
                counts["kills"] += 1
                killed += 1
                begun = any(row_lines(log) for log in output.glob("*_log.txt"))
                counts["kills after the first step"] += begun
                whole(output)
            counts["damaged checkpoints passed over"] += said.count("passed over")
            if process.returncode == 0:
                break
            if process.returncode > 0:
                raise SystemExit(f"a resumed run ended with status {process.returncode}: {said}")
        # A kill leaves at most one checkpoint half written or half removed, or a run that has not begun.
        left = {name for name in files(output) if "/" in name} - files(reference)
        left = {re.sub(r"(checkpoints/\w+/ckpt-\d+|earlier-\d+-\d+).*", r"\1", name) for name in left}
        counts["left behind by kills"] += len(left)
        stray = [name for name in differences(output, reference) if not name.startswith(tuple(left))]
        if stray or len(left) > killed:
            raise SystemExit(f"round {counts['rounds']} (seed {seed}) differs: {stray or left}")
    return counts


BUSY = """
import time
while True:
    end = time.monotonic() + 0.05
    while time.monotonic() < end:
        pass
    time.sleep(0.02)
"""


@contextlib.contextmanager
def busy_processes():
    """As many as there are cores, each at work most of the time."""
    processes = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(os.cpu_count())]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def repeat(times: int, size: int = 512) -> int:
    """How many different results there were of a step and of an estimate of L, at most."""
    run = Run(size, "--optim", "--optim_max_iters", "2")
    state, estimate = run.state, nst.make_estimate(run.objective, run.state, run.args)
    variables = [state.x, *state.optimizer.variables, state.curvature, state.eigenvectors]
    start = [variable.numpy() for variable in variables]
    steps, estimates = set(), set()
    with busy_processes():
        for _ in range(times):
            for variable, value in zip(variables, start):
                variable.assign(value)
            estimate(1, state.x, np.ones(state.x.shape, np.float32))
            estimates.add(state.curvature.numpy().tobytes() + state.eigenvectors.numpy().tobytes())
            steps.add(run.step().numpy().tobytes() + state.x.numpy().tobytes())
    return max(len(steps), len(estimates))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1, help="of --kills")
    parser.add_argument("--repeat", type=int, help="instead of --kills")
    args = parser.parse_args()
    began = time.monotonic()
    if args.repeat:
        results = repeat(args.repeat)
        print(f"{args.repeat} times the same step and estimate of L: {results} result{'s' * (results > 1)} "
              f"({time.monotonic() - began:.0f} s)")
        raise SystemExit(results != 1)
    with tempfile.TemporaryDirectory() as folder:
        counts = soak(args.kills, args.seed, Path(folder))
    print(", ".join(f"{value} {name}" for name, value in counts.items()),
          f"- no difference from the uninterrupted run ({time.monotonic() - began:.0f} s)")


if __name__ == "__main__":
    main()
