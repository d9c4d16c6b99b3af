#!/usr/bin/env python3
"""Kill a run at random moments, resume it each time, and compare the end with an uninterrupted run.

    python tests/soak.py --kills 50

Each round is a run of its own that is killed with SIGKILL until it ends by itself; rounds follow
until there have been enough kills. Then every log row, the pictures and the list of files must be
those of the uninterrupted run, byte for byte. The moments are spread over a whole process, from
its start-up to its last file. Exit status 1 if anything differs.
"""

import argparse
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

from conftest import SCRIPT, picture, row_lines

RUN = ["--weights", "hed", "--image_size", "48", "--nsteps", "30", "--save_every", "5", "--ckpt_write_every", "3",
       "--optim", "--optim_every", "6", "--ckpt_keep_max", "3"]


def start(inputs: Path, output: Path, *more) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, str(SCRIPT), "--content", str(inputs / "c.png"), "--style", str(inputs / "s.png"),
                             "--output", str(output / "r.png"), *RUN, *more],
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
        if set(fields[:-1]) - {10}:  # the very last row may be in the middle of its write
            raise SystemExit(f"{log} has a cut row")


def differences(folder: Path, reference: Path) -> list:
    found = sorted(files(folder) ^ files(reference))
    for path in reference.glob("*.png"):
        if not (folder / path.name).is_file() or (folder / path.name).read_bytes() != path.read_bytes():
            found.append(path.name)
    if row_lines(folder / "r_c_s_log.txt") != row_lines(reference / "r_c_s_log.txt"):
        found.append("log rows")
    return found


def soak(kills: int, seed: int, folder: Path) -> dict:
    """Returns the counts: rounds, kills, kills after the first step, damaged checkpoints passed over."""
    picture(56, 48, seed=1).save(folder / "c.png")
    picture(48, 48, seed=2).save(folder / "s.png")
    reference = folder / "reference"
    began = time.monotonic()
    finish(start(folder, reference))
    length = time.monotonic() - began  # of a whole process, start-up included

    rng = random.Random(seed)
    counts = {"rounds": 0, "kills": 0, "kills after the first step": 0, "damaged checkpoints passed over": 0}
    while counts["kills"] < kills:
        counts["rounds"] += 1
        output = folder / f"round{counts['rounds']}"
        while True:
            process = start(folder, output, "--resume")
            try:
                _, said = process.communicate(timeout=rng.uniform(0.3, 1.05) * length if counts["kills"] < kills else None)
            except subprocess.TimeoutExpired:
                process.kill()
                _, said = process.communicate()
                counts["kills"] += 1
                counts["kills after the first step"] += any(row_lines(log) for log in output.glob("*_log.txt"))
                whole(output)
            counts["damaged checkpoints passed over"] += said.count("passed over")
            if process.returncode == 0:
                break
            if process.returncode > 0:
                raise SystemExit(f"a resumed run ended with status {process.returncode}: {said}")
        stray = [name for name in differences(output, reference) if ".previous" not in name]
        if stray:
            raise SystemExit(f"round {counts['rounds']} (seed {seed}) differs: {stray}")
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        counts = soak(args.kills, args.seed, Path(folder))
    print(", ".join(f"{value} {name}" for name, value in counts.items()),
          f"- no difference from the uninterrupted run ({time.monotonic() - began:.0f} s)")


if __name__ == "__main__":
    main()
