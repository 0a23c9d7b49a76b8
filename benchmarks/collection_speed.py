"""Storing, opening and searching a collection of made-up vectors.

python benchmarks/collection_speed.py [--images 200000]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ectype import Collection
from ectype.collection.folder import DATABASE
from ectype.collection.records import NewImage
from ectype.collection.store import Store
from ectype.testing import ThumbnailModel
from ectype.testing.conformance import unit_rows

_BATCH = 256


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=200_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "collection"
        model = ThumbnailModel()
        Collection.create(folder, model).close()
        vectors = unit_rows(np.random.default_rng(0), options.images, model.dimension)
        fill(folder, vectors)
        took("first search without an index on disk", search, folder, vectors[:1])
        with Collection(folder) as collection:
            took("rebuild", collection.rebuild)
            took("check", collection.problems)
        took("open", lambda: Collection(folder).close())
        took("first search with the index on disk", search, folder, vectors[:1])
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        print(f"{size / options.images:.0f} bytes an image on disk, at {model.dimension} dimensions")


def fill(folder: Path, vectors: np.ndarray) -> None:
    """Store the vectors, 256 a transaction; prints what a transaction takes at the beginning and at the end."""
    store = Store(folder / DATABASE)
    times = []
    for first in range(0, len(vectors), _BATCH):
        batch = [
            NewImage(f"image-{number:08}", bytes(32), f"image-{number:08}.jpg", {}, vectors[number])
            for number in range(first, min(first + _BATCH, len(vectors)))
        ]
        start = time.perf_counter()
        store.insert(batch)
        times.append(time.perf_counter() - start)
    store.close()
    few = max(1, len(times) // 10)
    for name, part in (("first", times[:few]), ("last", times[-few:])):
        print(f"{'store ' + str(_BATCH) + ', median of the ' + name + ' tenth':48} {np.median(part) * 1e3:8.1f} ms")


def search(folder: Path, queries: np.ndarray) -> None:
    with Collection(folder) as collection:
        collection.search(queries, 10)


def took(what: str, work: Callable[..., object], *arguments: object) -> None:
    start = time.perf_counter()
    work(*arguments)
    print(f"{what:48} {(time.perf_counter() - start) * 1e3:8.1f} ms", flush=True)


if __name__ == "__main__":
    main()
