from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from ectype.collection import Collection
from ectype.descriptors import ModelStore, OnnxModel, load_model
from ectype.testing import ThumbnailModel
from stored_pictures import MODEL, add
from tiny_onnx import write_tiny_model


def draw_picture(seed: int, size: tuple[int, int] = (160, 120)) -> Image.Image:
    """A picture of coloured shapes that differs from those of other seeds."""
    rng = random.Random(seed)

    def colour() -> tuple[int, int, int]:
        return rng.randrange(256), rng.randrange(256), rng.randrange(256)

    image = Image.new("RGB", size, colour())
    draw = ImageDraw.Draw(image)
    for _ in range(12):
        left, right = sorted(rng.randrange(size[0] + 1) for _ in range(2))
        top, bottom = sorted(rng.randrange(size[1] + 1) for _ in range(2))
        rng.choice((draw.ellipse, draw.rectangle))((left, top, right, bottom), fill=colour())
    return image


@pytest.fixture
def current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to be in, so that paths can be relative."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def folder_of_pictures(tmp_path: Path) -> Callable[..., Path]:
    """Writes pictures 0 to n - 1 as ``<name>/p000.png``, …"""

    def make(count: int, name: str = "pictures", first: int = 0) -> Path:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        for number in range(first, first + count):
            draw_picture(number).save(folder / f"p{number:03}.png")
        return folder

    return make


@pytest.fixture(scope="session")
def bundled_model() -> OnnxModel:
    return load_model()


@pytest.fixture
def model() -> ThumbnailModel:
    return ThumbnailModel()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "collection"


@pytest.fixture
def collection(folder: Path) -> Iterator[Collection]:
    """Empty."""
    with Collection.create(folder, MODEL) as made:
        yield made


@pytest.fixture
def filled(collection: Collection) -> Collection:
    """Holds pictures "0" to "29", with an index on disk that is neither of the first nor of the newest images."""
    add(collection, range(10))
    add(collection, range(10, 20))
    collection.remove(["3", "14"])
    collection.rebuild()
    add(collection, [3, 14, *range(20, 30)])
    collection.remove(["5", "25"])
    add(collection, [5, 25])
    return collection


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelStore:
    """The user's store, which is not there yet."""
    monkeypatch.setenv("ECTYPE_MODELS", str(tmp_path / "store"))
    return ModelStore()


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A small model of 512 dimensions, its card beside it."""
    return write_tiny_model(tmp_path / "files")
