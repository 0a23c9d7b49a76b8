from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ectype.images import ImageItem, list_images
from ectype.transformations.materials import drawn_picture
from ectype_training.config import Config
from ectype_training.onnx_export import Identity, export
from ectype_training.student import Student

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


@pytest.fixture(scope="session")
def export_student() -> Callable[[Path, Sequence[np.ndarray], int], Path]:
    """Exports a student of random weights, with normalisations that have seen some pictures."""

    def write(folder: Path, pictures: Sequence[np.ndarray], dimension: int) -> Path:
        torch.manual_seed(0)
        student = Student(dimension).train()
        with torch.no_grad():
            for _ in range(60):
                student(torch.from_numpy(np.stack(pictures)))
        identity = Identity("student", "1", "Apache-2.0", "made by a test")
        export(student.eval(), identity, np.stack(pictures), folder)
        return folder / "model.onnx"

    return write


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
