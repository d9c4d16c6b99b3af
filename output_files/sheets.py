#!/usr/bin/env python3
"""Lay out the pictures of several runs in a labelled table, with Pillow; make the inputs of some of them.

    python output_files/sheets.py pairs      pairs.jpg: contents c1 to c5 by styles s1 to s5
    python output_files/sheets.py stages     stages.jpg: one run at six of its steps
    python output_files/sheets.py flags      flags.jpg: one flag a row, three values each
    python output_files/sheets.py symptoms   symptoms.jpg: what helps, before and after
    python output_files/sheets.py inputs     what the symptoms are made of, in symptoms/

The README.md beside this file has the commands that make the runs.
"""

import sys
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps

HERE = Path(__file__).resolve().parent
GAP = 6  # pixels between pictures
LABEL = 26  # pixels: height of a label
FONT = ImageFont.load_default(17)
CONTENTS = {"c1": "lighthouse", "c2": "still life", "c3": "lake", "c4": "street", "c5": "tiger"}
STYLES = {"s1": "swirls", "s2": "stained glass", "s3": "waves", "s4": "dots", "s5": "cut paper"}
FLAGS = {"tv_weight": ("2", "200", "20000"), "style_layer_weights": ("1 1 1 1 0", "1 1 1 1 0.3", "1 1 1 1 1")}

# With the default alpha the scene of these pairs is lost: how many times as much they have, and their runs.
MORE_ALPHA = {"c3_s1": (" (x 10)", "symptoms/more_alpha_s1"), "c3_s2": (" (x 100)", "symptoms/more_alpha"),
              "c4_s1": (" (x 10)", "symptoms/more_alpha_c4_s1"),
              "c4_s2": (" (x 10)", "symptoms/more_alpha_c4_s2")}


def picture(file: str | tuple, side: int) -> Image.Image:
    """RGB, reduced to fit a square of that side; a smaller one stays as it is.

    (file, x, y, size): its square with that upper left corner and size, enlarged to that side.
    """
    name, *detail = (file,) if isinstance(file, str) else file
    with Image.open(HERE / name) as image:
        rgb = image.convert("RGB")
    if detail:
        x, y, size = detail
        return rgb.resize((side, side), Image.Resampling.LANCZOS, (x, y, x + size, y + size))
    rgb.thumbnail((side, side), Image.Resampling.LANCZOS)
    return rgb


def write(label: str, width: int) -> Image.Image:
    """A label, centred in a line of that width."""
    line = Image.new("RGB", (width, LABEL), "white")
    ImageDraw.Draw(line).text((width / 2, LABEL / 2), label, "black", FONT, anchor="mm")
    return line


def table(rows: dict, side: int) -> Image.Image:
    """rows: label -> {label of the picture: see picture(), None for none}; side: of the largest picture."""
    rows = {label: [(above, file and picture(file, side)) for above, file in cells.items()]
            for label, cells in rows.items()}
    heights = [LABEL + max(cell.height for _, cell in cells if cell) + GAP for cells in rows.values()]
    columns = max(map(len, rows.values()))
    sheet = Image.new("RGB", (LABEL + (side + GAP) * columns, sum(heights)), "white")
    top = 0
    for (label, cells), height in zip(rows.items(), heights):
        sheet.paste(write(label, height).rotate(90, expand=True), (0, top))
        for j, (above, cell) in enumerate(cells):
            if cell:
                left = LABEL + j * (side + GAP)
                sheet.paste(write(above, side), (left, top))
                room = height - LABEL - GAP - cell.height
                sheet.paste(cell, (left + (side - cell.width) // 2, top + LABEL + room // 2))
        top += height
    return sheet


def pairs() -> Image.Image:
    rows = {"": {" ": None, **{f"{s}: {name}": f"../style_files/{s}.png" for s, name in STYLES.items()}}}
    for c, content in CONTENTS.items():
        rows[c] = {f"{c}: {content}": f"../content_files/{c}.png"}
        for s, style in STYLES.items():
            times, run = MORE_ALPHA.get(f"{c}_{s}", ("", f"pairs/{c}_{s}"))
            rows[c][f"{content}, {style}{times}"] = f"{run}/result_{c}_{s}_final.png"
    return table(rows, 256)


def stages() -> Image.Image:
    run, early = "c1_s1/run0/result_c1_s1_{:06}.png", "c1_s1/stages/result_c1_s1_{:06}.png"
    first = {"the start": run.format(0), "10 steps": early.format(10), "50 steps": early.format(50)}
    return table({"": first, " ": {f"{t} steps": run.format(t) for t in (100, 300, 1000)}}, 320)


def flags() -> Image.Image:
    rows = {}
    for flag, values in FLAGS.items():
        runs = {value: f"flags/{flag}_{value.split()[-1]}" for value in values}
        runs[values[1]] = "pairs/c1_s1"  # the value of the pairs
        rows[f"--{flag}"] = {value: f"{run}/result_c1_s1_final.png" for value, run in runs.items()}
    return table(rows, 256)


def symptoms() -> Image.Image:
    """Before and after, side by side, by the rows of the table in the README of the repository."""
    face, tower = (70, 0, 256), (384, 0, 128)  # details
    swirls = "pairs/c1_s1/result_c1_s1_final.png"
    return table({
        "": {"1: before": swirls, "1: more large forms": "flags/style_layer_weights_1/result_c1_s1_final.png",
             "2: before": "pairs/c3_s2/result_c3_s2_final.png",
             "2: --content_weight 1000000": "symptoms/more_alpha/result_c3_s2_final.png"},
        " ": {"3: before": ("symptoms/broken_face/result_astronaut_s1_final.png", *face),
              "3: a portrait": ("photograph/result_astronaut_s1_final.png", *face),
              "4: before": ("rocket/result_rocket_starry_night_final.png", *tower),
              "4: 40 gentler steps": ("symptoms/gentler/result_rocket_starry_night_final.png", *tower)},
        "  ": {"5: before": swirls, "5: a part": "symptoms/larger_strokes/result_c1_quarter_final.png",
               "6: before": swirls, "6: four copies": "symptoms/smaller_strokes/result_c1_four_final.png"},
    }, 256)


def inputs() -> None:
    """A quarter of a style, four of it side by side."""
    s1 = Image.open(HERE.parent / "style_files/s1.png").convert("RGB")
    four = Image.new("RGB", (2 * s1.width, 2 * s1.height))
    for i, j in (0, 0), (0, 1), (1, 0), (1, 1):  # mirrored, so that no edge shows
        tile = ImageOps.mirror(s1) if i else s1
        four.paste(ImageOps.flip(tile) if j else tile, (i * s1.width, j * s1.height))
    pictures = {"four": four, "quarter": s1.crop((0, 0, s1.width // 2, s1.height // 2))}
    (HERE / "symptoms").mkdir(exist_ok=True)
    for name, image in pictures.items():
        image.save(HERE / "symptoms" / f"{name}.png")


SHEETS = {"pairs": pairs, "stages": stages, "flags": flags, "symptoms": symptoms}

if __name__ == "__main__":
    match sys.argv[1:]:
        case ["inputs"]:
            inputs()
        case [sheet] if sheet in SHEETS:
            try:
                SHEETS[sheet]().save(HERE / f"{sheet}.jpg", quality=88, subsampling=0, optimize=True)
            except FileNotFoundError as error:
                sys.exit(f"sheets.py: {error.filename} is missing; output_files/README.md has its command")
        case _:
            sys.exit(__doc__)
