"""Edits that Ectype does not have, by G'MIC 2.9 or later, for unseen_edits.py.

What its command line has for whole pictures was looked at, under artistic, degradations, warpings and frames, and
what Ectype has, too, and what leaves nothing of a picture to be recognised, was left out. How strong each is was chosen
by eye on one photograph.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from albumentations_edits import Edit, Pixels
from imagemagick_edits import from_ppm, to_ppm

KINDS: dict[str, Callable[[np.random.Generator], str]] = {
    "cartoon": lambda rng: f"cartoon 3,{rng.integers(100, 200)},20,0.25,1.5,{rng.integers(6, 12)},20",
    "color_ellipses": lambda rng: f"color_ellipses {rng.integers(300, 900)},8,0.1",
    "cracks": lambda rng: f"cracks {rng.integers(15, 45)}",
    "cubism": lambda rng: f"cubism {rng.integers(120, 300)}",
    "draw_whirl": lambda rng: f"draw_whirl {rng.integers(40, 80)}",
    "drawing": lambda rng: f"drawing {rng.integers(150, 250)}",
    "ellipsionism": lambda rng: f"ellipsionism {rng.integers(14, 26)},10,0.5,0.7,3",
    "fire_edges": lambda rng: f"fire_edges 0.7,0.25,0.5,{rng.integers(20, 30)}",
    "flower": lambda rng: f"flower {rng.integers(8, 18)},{rng.integers(4, 8)}",
    "frame_cube": lambda rng: f"frame_cube {rng.uniform(0.5, 1.2):.2f}",
    "frame_painting": lambda rng: f"frame_painting {rng.integers(6, 14)}%",
    "gradient_norm": lambda rng: "gradient_norm sqrt n 0,255",
    "hearts": lambda rng: f"hearts {rng.integers(8, 14)}",
    "imagegrid_hexagonal": lambda rng: f"imagegrid_hexagonal {rng.integers(16, 32)}",
    "imagegrid_triangular": lambda rng: f"imagegrid_triangular {rng.integers(9, 16)}",
    "isophotes": lambda rng: f"isophotes {rng.integers(5, 9)}",
    "light_patch": lambda rng: f"light_patch {rng.integers(3, 6)},{rng.integers(10, 24)}",
    "light_relief": lambda rng: f"light_relief {rng.uniform(0.2, 0.4):.2f},{rng.uniform(0.5, 0.8):.2f}",
    "linify": lambda rng: f"linify {rng.integers(30, 50)}",
    "old_photo": lambda rng: "old_photo",
    "pencilbw": lambda rng: f"pencilbw {rng.uniform(0.2, 0.5):.2f},{rng.integers(40, 80)}",
    "polygonize": lambda rng: f"polygonize {rng.integers(200, 400)},10,{rng.integers(6, 11)}",
    "poster_edges": lambda rng: f"poster_edges {rng.integers(10, 30)},{rng.integers(30, 60)},2",
    "raindrops": lambda rng: f"raindrops {rng.integers(80, 160)},0.1",
    "ripple": lambda rng: f"ripple {rng.integers(10, 24)}",
    "rotate_tiles": lambda rng: f"rotate_tiles {rng.integers(4, 9)},{rng.integers(5, 15)}",
    "segment_watershed": lambda rng: f"segment_watershed {rng.integers(2, 4)}",
    "shade_stripes": lambda rng: f"shade_stripes {rng.integers(20, 60)},{rng.integers(2)}",
    "shift_tiles": lambda rng: f"shift_tiles {rng.integers(4, 8)}",
    "sponge": lambda rng: f"sponge {rng.integers(11, 17)}",
    "stained_glass": lambda rng: f"stained_glass {rng.integers(15, 30)},{rng.uniform(0.08, 0.15):.2f}",
    "stencilbw": lambda rng: f"stencilbw {rng.integers(12, 20)},{rng.integers(6, 12)}",
    "taquin": lambda rng: f"taquin {rng.integers(2, 4)},{rng.integers(2, 4)}",
    "tetris": lambda rng: f"tetris {rng.integers(8, 13)}",
    "topographic_map": lambda rng: f"topographic_map {rng.integers(7, 12)}",
    "twirl": lambda rng: f"twirl {rng.choice([-1, 1]) * rng.uniform(0.2, 0.4):.2f}",
    "warhol": lambda rng: f"warhol {rng.integers(2, 4)},{rng.integers(2, 4)}",
    "watermark_visible": lambda rng: f"watermark_visible ARCHIVE,{rng.uniform(0.6, 0.95):.2f},{rng.integers(50, 90)}",
    "weave": lambda rng: f"weave {rng.integers(5, 9)}",
    "whirls": lambda rng: f"whirls {rng.integers(4, 9)}",
}


def edit_with(kind: str) -> Edit:
    """One kind, with the program that is installed."""
    program = shutil.which("gmic")
    if program is None:
        raise SystemExit("G'MIC is not installed")

    def edit(pixels: Pixels, rng: np.random.Generator, others: Sequence[Pixels]) -> Pixels:
        with TemporaryDirectory() as folder:
            source, result = Path(folder, "source.ppm"), Path(folder, "result.ppm")
            source.write_bytes(to_ppm(pixels))
            options = f"srand {rng.integers(2**31)} {KINDS[kind](rng)} to_rgb c 0,255 round"
            subprocess.run([program, "-v", "-", source, *options.split(), "o[0]", result], check=True)
            return from_ppm(result.read_bytes())

    return edit
