from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ectype.images import ImageItem, list_images
from ectype.transformations.materials import drawn_picture
from ectype_training.config import Config

SHORT = Config(steps=2, objective="contrast", start="random", size=48, dimension=16, batch=4, warm_up=1, workers=0)


@pytest.fixture
def short() -> Config:
    """A run of two steps on small pictures."""
    return SHORT


@pytest.fixture
def drawn(tmp_path: Path) -> Callable[..., list[ImageItem]]:
    """Draws scenes, numbered from `first`, as files of a folder."""

    def draw(count: int, first: int = 0, name: str = "drawn") -> list[ImageItem]:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        for number in range(first, first + count):
            Image.fromarray(drawn_picture(number, (96, 72))).save(folder / f"{number:04}.png")
        return list_images([folder], ids="path")

    return draw


@pytest.fixture
def targets(tmp_path: Path) -> Callable[..., Path]:
    """Writes made-up descriptors of some images as a teacher's."""

    def write(items: list[ImageItem], dimension: int = 24) -> Path:
        rng = np.random.default_rng(1)
        path = tmp_path / "targets.npz"
        vectors = rng.normal(size=(len(items), dimension)).astype(np.float32)
        np.savez(path, ids=np.array([item.id for item in items]), vectors=vectors)
        return path

    return write
