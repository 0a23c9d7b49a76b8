"""A challenge of edits that Ectype does not have, for accuracy.py and matching.py to measure what generalises.

    pip install albumentations==2.0.8    (or install ImageMagick, or G'MIC)
    python benchmarks/unseen_edits.py --edits albumentations --references DIR... --others DIR... --out FOLDER

The kinds are those of albumentations_edits.py, imagemagick_edits.py or gmic_edits.py. No training may draw them. Each
query has one or two, after a light crop or a mirroring. The photographs of --others are distractors, edited likewise,
and what edits paste in.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

import albumentations_edits
import gmic_edits
import imagemagick_edits
from ectype import GroundTruth, list_images, write_ground_truth
from ectype.images import ImageItem, decode_image

Pixels = NDArray[np.uint8]
EDITS = {"albumentations": albumentations_edits, "imagemagick": imagemagick_edits, "gmic": gmic_edits}
LONGEST = 512
PASTED = 40  # photographs of --others that edits paste in


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--edits", choices=EDITS, default="albumentations", help="whose (default: albumentations)")
    parser.add_argument("--references", nargs="+", required=True, metavar="DIR")
    parser.add_argument("--others", nargs="+", required=True, metavar="DIR", help="photographs not in --references")
    parser.add_argument("--copies", type=int, default=24, help="of each kind (default: 24)")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    options = parser.parse_args()

    kinds = list(EDITS[options.edits].KINDS)
    edits = {name: EDITS[options.edits].edit_with(name) for name in kinds}
    references, others = list_images(options.references), list_images(options.others)
    for folder in ("references", "queries"):
        (options.out / folder).mkdir(parents=True)
    for number, item in enumerate(references):
        _write(options.out / "references" / f"r{number:05d}.jpg", _small(item), 95)
    pasted = [_small(item) for item in others[:: max(1, len(others) // PASTED)]]
    rng = np.random.default_rng(2026)
    asked = [(name, int(rng.integers(len(references)))) for name in kinds for _ in range(options.copies)]
    asked += [(kinds[int(rng.integers(len(kinds)))], -1 - number) for number in range(len(others))]
    chains: dict[str, list[str]] = {}
    pairs: set[tuple[str, str]] = set()
    for number, (name, photograph) in enumerate(asked):
        pixels = _small(references[photograph] if photograph >= 0 else others[-1 - photograph])
        chain = [name, kinds[int(rng.integers(len(kinds)))]][: int(rng.integers(1, 3))]
        pixels = _lightly(pixels, rng)
        for kind in chain:
            pixels = edits[kind](pixels, rng, pasted)
        query = f"q{number:05d}"
        _write(options.out / "queries" / f"{query}.jpg", pixels, int(rng.integers(60, 96)))
        chains[query] = chain
        if photograph >= 0:
            pairs.add((query, f"r{photograph:05d}"))
        print(f"\r{number + 1} of {len(asked)} queries", end="", flush=True)
    write_ground_truth(options.out / "ground_truth.csv", GroundTruth(frozenset(chains), frozenset(pairs)))
    (options.out / "edits.json").write_text(json.dumps(chains), "utf-8")
    counts = f"{len(references)} references, {options.copies * len(kinds)} copies, {len(others)} distractors"
    print(f"\n{options.out}: {counts}")


def _small(item: ImageItem) -> Pixels:
    pixels = decode_image(item.read())
    factor = LONGEST / max(pixels.shape[:2])
    if factor >= 1:
        return pixels
    return np.asarray(cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA))


def _lightly(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    if rng.random() < 0.5:
        sides = np.array(pixels.shape[:2])
        kept = (sides * rng.uniform(0.7, 0.95, 2)).astype(int)
        top, left = (rng.random(2) * (sides - kept)).astype(int)
        pixels = pixels[top : top + kept[0], left : left + kept[1]]
    return np.ascontiguousarray(pixels[:, ::-1] if rng.random() < 0.3 else pixels)


def _write(path: Path, pixels: Pixels, quality: int) -> None:
    Image.fromarray(pixels).save(path, quality=quality)


if __name__ == "__main__":
    main()
