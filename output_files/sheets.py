#!/usr/bin/env python3
"""Lay out the pictures of several runs in a labelled table, with Pillow.

    python output_files/sheets.py grid       grid.png: contents c1 to c5 by styles s1 to s5
    python output_files/sheets.py stages     stages.png: one run at six of its steps
    python output_files/sheets.py weights    weights.png: alpha, beta and tau at a tenth, once and ten times

The README has the commands that make the runs.
"""

import sys
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

HERE = Path(__file__).resolve().parent
GAP = 6  # pixels between pictures
LABEL = 26  # pixels: height of a label
FONT = ImageFont.load_default(17)


def picture(file: str, side: int) -> Image.Image:
    """RGB, reduced to fit a square of that side; a smaller one stays as it is."""
    with Image.open(HERE / file) as image:
        rgb = image.convert("RGB")
    rgb.thumbnail((side, side), Image.Resampling.LANCZOS)
    return rgb


def write(label: str, width: int) -> Image.Image:
    """A label, centred in a line of that width."""
    line = Image.new("RGB", (width, LABEL), "white")
    ImageDraw.Draw(line).text((width / 2, LABEL / 2), label, "black", FONT, anchor="mm")
    return line


def table(rows: dict, columns: list, side: int) -> Image.Image:
    """rows: label -> files, None for an empty cell; columns: labels; side: of the largest picture."""
    labelled = {label: [file and picture(file, side) for file in files] for label, files in rows.items()}
    heights = [max(cell.height for cell in cells if cell) for cells in labelled.values()]
    sheet = Image.new("RGB", (LABEL + (side + GAP) * len(columns), LABEL + sum(heights) + GAP * len(heights)), "white")
    for j, label in enumerate(columns):
        sheet.paste(write(label, side), (LABEL + j * (side + GAP), 0))
    top = LABEL
    for (label, cells), height in zip(labelled.items(), heights):
        sheet.paste(write(label, height).rotate(90, expand=True), (0, top))
        for j, cell in enumerate(cells):
            if cell:
                sheet.paste(cell, (LABEL + j * (side + GAP) + (side - cell.width) // 2, top + (height - cell.height) // 2))
        top += height + GAP
    return sheet


def grid() -> Image.Image:
    contents, styles = ([f"{kind}{i}" for i in range(1, 6)] for kind in "cs")
    rows = {"styles": [None, *(f"../style_files/{s}.png" for s in styles)]}
    for c in contents:
        rows[c] = [f"../content_files/{c}.png", *(f"grid/{c}_{s}/result_{c}_{s}_final.png" for s in styles)]
    # Brush strokes hardly compress: a palette, chosen for this sheet and dithered, halves the file.
    return table(rows, ["contents", *styles], 256).quantize(256, Image.Quantize.MEDIANCUT)


def stages() -> Image.Image:
    early, run = "stages/result_c1_s1_{:06}.png", "c1_s1/run0/result_c1_s1_{:06}.png"
    upper = table({"": [run.format(0), early.format(10), early.format(50)]}, ["the start", "10 steps", "50 steps"], 256)
    lower = table({"": [run.format(t) for t in (100, 300, 1000)]}, ["100 steps", "300 steps", "1000 steps"], 256)
    sheet = Image.new("RGB", (upper.width, upper.height + lower.height))
    sheet.paste(upper, (0, 0))
    sheet.paste(lower, (0, upper.height))
    return sheet


def weights() -> Image.Image:
    rows = {}
    for symbol, flag, default in (("alpha", "content_weight", 10000), ("beta", "style_weight", 0.01), ("tau", "tv_weight", 300)):
        tenth, tenfold = (f"weights/{flag}_{default * factor:g}" for factor in (0.1, 10))
        rows[symbol] = [f"{folder}/result_c1_s1_final.png" for folder in (tenth, "grid/c1_s1", tenfold)]
    return table(rows, ["a tenth", "default", "ten times"], 256)


SHEETS = {"grid": grid, "stages": stages, "weights": weights}

if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in SHEETS:
        sys.exit(__doc__)
    try:
        SHEETS[sys.argv[1]]().save(HERE / f"{sys.argv[1]}.png", optimize=True)
    except FileNotFoundError as error:
        sys.exit(f"sheets.py: {error.filename} is missing; the README has the command that makes it")
