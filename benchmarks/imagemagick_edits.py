"""Edits that Ectype does not have, by ImageMagick 6 or later, for unseen_edits.py.

What it does to a whole picture by one option was taken, unless Ectype has it, too (blurs, swirls, waves, noise, oil
paint and the like).
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Callable, Sequence

import numpy as np

from albumentations_edits import Edit, Pixels, fitting

Options = Callable[[np.random.Generator, int, int], str]

SCREENS = ("o8x8", "h6x6a", "c7x7b")
PATTERNS = ("BRICKS", "HEXAGONS", "FISHSCALES", "CROSSHATCH45", "HS_DIAGCROSS")
ALONE: dict[str, Options] = {
    "charcoal": lambda rng, w, h: f"-charcoal {rng.integers(2, 5)}",
    "implode": lambda rng, w, h: f"-implode {rng.choice([-1, 1]) * rng.uniform(0.3, 0.7):.2f}",
    "shade": lambda rng, w, h: f"-shade {rng.integers(360)}x{rng.integers(25, 50)}",
    "polaroid": lambda rng, w, h: f"-background white +polaroid -background gray{rng.integers(100)} -flatten",
    "blue_shift": lambda rng, w, h: f"-blue-shift {rng.uniform(1.2, 2):.2f}",
    "rotational_blur": lambda rng, w, h: f"-rotational-blur {rng.integers(8, 20)}",
    "selective_blur": lambda rng, w, h: f"-selective-blur 0x{rng.integers(2, 5)}+{rng.integers(15, 30)}%",
    "kuwahara": lambda rng, w, h: f"-kuwahara {rng.integers(3, 7)}",
    "median": lambda rng, w, h: "-statistic Median {0}x{0}".format(rng.integers(7, 12)),
    "mode": lambda rng, w, h: "-statistic Mode {0}x{0}".format(rng.integers(5, 10)),
    "local_range": lambda rng, w, h: "-statistic Gradient {0}x{0}".format(rng.integers(3, 7)),
    "edge_in": lambda rng, w, h: f"-morphology EdgeIn Disk:{rng.integers(2, 5)} -normalize",
    "opened": lambda rng, w, h: f"-morphology Open Disk:{rng.integers(4, 8)}",
    "smoothed_shapes": lambda rng, w, h: f"-morphology Smooth Diamond:{rng.integers(3, 7)}",
    "seam_carved": lambda rng, w, h: f"-liquid-rescale {rng.integers(60, 80)}x{rng.integers(75, 100)}%!",
    "arc": lambda rng, w, h: f"-virtual-pixel White -distort Arc {rng.integers(60, 150)}",
    "pulled": lambda rng, w, h: "-distort Shepards '{}'".format(
        " ".join(
            f"{x:.0f},{y:.0f} {x + rng.uniform(-0.15, 0.15) * w:.0f},{y + rng.uniform(-0.15, 0.15) * h:.0f}"
            for x, y in rng.random((5, 2)) * (w, h)
        )
    ),
    "mirrored_tiles": lambda rng, w, h: (
        f"-virtual-pixel Mirror -distort SRT '{rng.uniform(0.35, 0.6):.2f} {rng.integers(-30, 30)}'"
    ),
    "tiles": lambda rng, w, h: "( +clone ) +append ( +clone ) -append -resize 50%",
    "middle_removed": lambda rng, w, h: f"-gravity center -chop {int(w * rng.uniform(0.2, 0.4))}x0",
    "tint": lambda rng, w, h: f"-fill {_colour(rng)} -tint {rng.integers(80, 130)}",
    "colorize": lambda rng, w, h: f"-fill {_colour(rng)} -colorize {rng.integers(40, 75)}%",
    "duotone": lambda rng, w, h: f"-colorspace Gray +level-colors {_colour(rng)},{_colour(rng)}",
    "sigmoidal": lambda rng, w, h: f"-sigmoidal-contrast {rng.integers(8, 16)}x{rng.integers(25, 75)}%",
    "local_threshold": lambda rng, w, h: "-lat {0}x{0}-{1}%".format(rng.integers(15, 40), rng.integers(1, 4)),
    "ordered_dither": lambda rng, w, h: f"-ordered-dither {rng.choice(SCREENS)},{rng.integers(2, 4)}",
    "monochrome": lambda rng, w, h: "-monochrome",
    "cosine_tones": lambda rng, w, h: f"-evaluate Cosine {rng.uniform(1, 2.5):.2f}",
    "cut_levels": lambda rng, w, h: "-contrast-stretch {}%x{}%".format(*rng.integers(10, 35, 2)),
    "cycled_colours": lambda rng, w, h: f"-colors 64 -cycle {rng.integers(8, 40)}",
    "one_inverted": lambda rng, w, h: f"-channel {rng.choice(['R', 'G', 'B'])} -negate +channel",
    "fixed_palette": lambda rng, w, h: "-dither None -remap netscape:",
    "tilt_shift": lambda rng, w, h: (
        f"( +clone -sparse-color Barycentric '0,0 black 0,{h} gray80' -function Polynomial 4,-4,1 ) "
        f"-compose Blur -set option:compose:args {rng.integers(8, 16)} -composite"
    ),
    "pattern_over": lambda rng, w, h: (
        f"( -size {w}x{h} tile:pattern:{rng.choice(PATTERNS)} ) "
        f"-compose {rng.choice(['Multiply', 'Difference'])} -composite"
    ),
    "plasma_over": lambda rng, w, h: (
        f"( -size {w}x{h} plasma:{_colour(rng)}-{_colour(rng)} ) "
        f"-compose {rng.choice(['Overlay', 'HardLight', 'Difference'])} -composite"
    ),
}
WITH_ANOTHER: dict[str, Options] = {
    "faded_into_another": lambda rng, w, h: f"( -size {w}x{h} gradient: ) -composite",
    "another_overlaid": lambda rng, w, h: "-compose Overlay -composite",
    "another_subtracted": lambda rng, w, h: "-compose Difference -composite",
    "hue_of_another": lambda rng, w, h: "-compose Colorize -composite",
    "lightness_shared": lambda rng, w, h: "-compose Lighten -composite",
}
KINDS = ALONE | WITH_ANOTHER


def edit_with(kind: str) -> Edit:
    """One kind, with the program that is installed; earlier than 7, it is called convert."""
    program = shutil.which("magick") or shutil.which("convert")
    if program is None:
        raise SystemExit("ImageMagick is not installed")

    def edit(pixels: Pixels, rng: np.random.Generator, others: Sequence[Pixels]) -> Pixels:
        height, width = pixels.shape[:2]
        pictures = [pixels] if kind in ALONE else [pixels, fitting(pixels, rng, others)]
        options = KINDS[kind](rng, width, height)
        command = [program, "-seed", str(rng.integers(2**31)), "ppm:-", *shlex.split(options), "+repage"]
        done = subprocess.run(
            [*command, "-colorspace", "sRGB", "-type", "TrueColor", "-depth", "8", "ppm:-"],
            input=b"".join(to_ppm(picture) for picture in pictures),
            capture_output=True,
            check=True,
        )
        return from_ppm(done.stdout)

    return edit


def _colour(rng: np.random.Generator) -> str:
    return "#{:02x}{:02x}{:02x}".format(*rng.integers(0, 256, 3))


def to_ppm(pixels: Pixels) -> bytes:
    return b"P6\n%d %d\n255\n" % pixels.shape[1::-1] + np.ascontiguousarray(pixels).tobytes()


def from_ppm(data: bytes) -> Pixels:
    _, size, _, values = data.split(b"\n", 3)
    width, height = map(int, size.split())
    return np.frombuffer(values, np.uint8, width * height * 3).reshape(height, width, 3)
