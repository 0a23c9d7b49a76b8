"""What the tests of making data sets share: a few drawn photographs, and a small plan for them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from conftest import draw_picture
from ectype.challenge.making import DataSetPlan

QUICK = {"crop": 3, "hflip": 1, "brightness": 2, "overlay_onto_image": 2, "rotate": 1, "pad_square": 1}
PLAN = DataSetPlan(9, 10, 4, 2021, 0.6, QUICK, ("rotate", "pad_square"), 8)
"""Nine references, as eleven copies need a source twice; 20 photographs in all."""


def draw_photographs(folder: Path, numbers: Iterable[int], size: tuple[int, int] = (64, 48)) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        draw_picture(number, size).save(folder / f"p{number:03}.png")
    return folder


def contents(root: Path) -> dict[str, str]:
    """Every file below a folder, hidden ones too, with a digest of its bytes."""
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file()
    }


class Inverting:
    """Stands for an adversarial attack: turns every pixel into its opposite."""

    fingerprint = "inverting"

    def attack(self, pixels: np.ndarray, psnr: float, seed: int) -> np.ndarray:
        assert 20 <= psnr <= 40
        return 255 - pixels


def inverting() -> Inverting:
    return Inverting()
