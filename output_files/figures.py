#!/usr/bin/env python3
"""Print what the README beside this file says of the logs here: its sentences with their figures.

    .venv/bin/python output_files/figures.py

A test sees that they stand there. When runs have been made anew, copy them from here.
"""

import math
import re
from pathlib import Path
from typing import Iterator

import numpy

HERE = Path(__file__).resolve().parent
RUNS = ("c1_s1/run0", "camera", "cat", "coffee", "photograph", "print", "rocket", "large/*", "pairs/*",
        "flags/*", "symptoms/*", "rates/*")
STYLE, TOTAL, ALPHA_EFF_MAX, ALPHA_EFF_MAX_L, LAMBDA_MAX = 2, 4, 7, 8, 10  # columns; 0 is the step
BOUND = 38  # of lambda_max, at beta_1 = 0.9
EVERY = 10  # --optim_every of the runs in rates/


def rises(rows: numpy.ndarray) -> numpy.ndarray:
    """By which part of it the total loss of each row is above the one before; 0 for row 1."""
    total = rows[:, TOTAL]
    return numpy.append(0, total[1:] / total[:-1] - 1)


def overstated(rows: numpy.ndarray, rate: float, beta_2: float, epsilon: float) -> float:
    """By which part alpha_eff_max is logged too large, at most: Keras adds epsilon to sqrt(v)."""
    sqrt_v_hat = rate / rows[:, ALPHA_EFF_MAX] - epsilon
    real = rate / (sqrt_v_hat + epsilon / numpy.sqrt(1 - beta_2 ** rows[:, 0]))
    return max(rows[:, ALPHA_EFF_MAX] / real - 1)


def loss(value: float) -> str:
    """Such as 5.3e7."""
    return f"{value:.1e}".replace("e+0", "e")


def of_all_runs() -> Iterator[str]:
    """What has to stand in the README beside this file, of all logs."""
    runs = [(dict(re.findall(r"^# (\w+): (.*)", path.read_text(), re.MULTILINE)), numpy.loadtxt(path))
            for run in RUNS for path in sorted(HERE.glob(f"{run}/*_log.txt"))]
    jumps = [rises(rows)[10:].max() for settings, rows in runs if settings["adam_learning_rate"] == "0.04"]
    calm = sum(jump < 0.1 for jump in jumps)
    yield (f"Of the {len(jumps)} runs here at rate 0.04, {calm} have no row after row 10 with a total loss "
           f"10% or more above the row before. The largest rise is {max(jumps):.0%}.")
    adam = "adam_learning_rate", "adam_beta_2", "adam_epsilon"
    most = max(overstated(rows, *(float(settings[name]) for name in adam)) for settings, rows in runs)
    yield f"In no log here is alpha_eff_max off by more than {math.ceil(1e4 * most) / 100:g}%."
    starts = [(re.search(r"--style \w+_files/", settings["Command"]), rows[0, STYLE])
              for settings, rows in runs if settings["style_layer_weights"] != "None"]
    ours, paintings = ([start for own, start in starts if bool(own) == which] for which in (True, False))
    yield (f"In row 1 of the logs here with shares it is {loss(min(paintings))} to {loss(max(paintings))} "
           f"for paintings and {loss(min(ours))} to {loss(max(ours))} for our own styles.")


def of_two_rates() -> Iterator[str]:
    """The same, of the runs in rates/."""
    slow, fast = (numpy.loadtxt(HERE / "rates" / rate / "result_c1_s1_log.txt") for rate in ("0.01", "0.1"))
    t, total, lambda_max, rise = fast[:, 0], fast[:, TOTAL], fast[:, LAMBDA_MAX], rises(fast)
    estimated = (t == 1) | (t % EVERY == 0)
    least = min(rows[estimated, ALPHA_EFF_MAX_L].min() for rows in (slow, fast))
    yield (f"alpha_eff_max \\* L was {math.floor(least)} or more in all rows with an estimate of the two "
           f"runs below, and the loss of one of them rose in {sum(rises(slow) > 0) or 'none'} of its rows.")

    times = [rows[row, ALPHA_EFF_MAX_L] / rows[row, LAMBDA_MAX] for rows in (slow, fast)
             for row in numpy.flatnonzero(estimated & (t >= 10))]
    yield (f"In such rows of these two runs it was {min(times):.0f} to {max(times):.0f} times as large "
           "from row 10 on.")

    first = numpy.flatnonzero((rise > 0) & (t > 10))[0]
    calm = numpy.flatnonzero(rise[:first] > 0)[-1] + 1
    most = [0, 0, 0]  # the largest rise between two estimates, by how many of them reach the bound
    for row in numpy.flatnonzero(estimated)[1:-1]:
        reached = sum(lambda_max[[row, row + EVERY]] >= BOUND)
        most[reached] = max(most[reached], rise[row + 1:row + EVERY + 1].max())
    yield (f"no row from {calm + 1} to {first} rose. Later single rows rose by up to {most[0]:.0%} between two "
           f"estimates below {BOUND}, by up to {most[2]:.0%} between two above it, and by up to {most[1]:.0%} "
           "between one above and one below.")

    yield (f"In row 1, which the bound is not for, it is {slow[0, LAMBDA_MAX]:.0f} at rate 0.01 and "
           f"{fast[0, LAMBDA_MAX]:.0f} at rate 0.1.")
    yield (f"At rate 0.01 the estimates rise from {slow[9, LAMBDA_MAX]:.1f} in row 10 to "
           f"{slow[-1, LAMBDA_MAX]:.1f} in row {len(slow)}, and the total loss falls to "
           f"{loss(slow[-1, TOTAL])}.")
    at = numpy.flatnonzero(estimated & (lambda_max >= BOUND) & (t > 1))[0]
    yield (f"At rate 0.1 they are {lambda_max[at - EVERY]:.1f} in row {at + 1 - EVERY} and "
           f"{lambda_max[at]:.1f}, above {BOUND}, in row {at + 1}.")
    top = first + total[first:].argmax()
    yield (f"From row {first + 1} on, {sum(rise[first:] > 0)} of {len(t) - first} rows have a larger total "
           f"loss than the row before, one of them by {max(rise[first:]):.0%}.")
    yield (f"The total loss is {loss(total[first - 1])} in row {first}, {loss(total[top])} in row {top + 1} and "
           f"{loss(total[-1])} in the last one.")
    late, ratio = lambda_max[at:], total / slow[:, TOTAL]
    yield (f"From row {at + 1} on the estimates lie between {math.floor(late.min())} and "
           f"{math.ceil(late.max())}.")
    ahead = numpy.flatnonzero(ratio[1:] >= 1)[0] + 1  # in rows 2 to this one
    yield (f"The total loss is lower than at rate 0.01 in rows 2 to {ahead}, by "
           f"{1 - numpy.median(ratio[1:ahead]):.0%} in the median, and in {sum(ratio[ahead:] < 1)} of the last "
           f"{len(t) - ahead}. The least one is {loss(total.min())}, in row {total.argmin() + 1}.")


if __name__ == "__main__":
    for words in [*of_all_runs(), *of_two_rates()]:
        print(words)
