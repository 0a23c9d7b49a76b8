"""Queries made from photographs, with their ground truth: to fit a calibration on, or to measure."""

from __future__ import annotations

import csv
import json
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ectype.descriptors.runtimes import available_cores
from ectype.errors import InvalidDataError, UsageError
from ectype.images import ImageItem, decode_image
from ectype.transformations import Materials, sample_recipe

_QUALITIES = (60, 96)  # of JPEG
MOST_EDITS = 4


def make_queries(items: Sequence[ImageItem], queries: int, folder: Path, seed: int = 2021) -> None:
    """Write ``references/``, ``queries/``, ``ground_truth.csv`` and ``edits.json`` into a new folder.

    Three fifths of the photographs are references. Half of the queries are copies of some of them, half are made of the
    other photographs; each has one to four edits of any kind.

    Parameters
    ----------
    items : sequence of ImageItem
    queries : int
    folder : Path
    seed : int

    Raises
    ------
    UsageError
        The folder holds files.
    InvalidDataError
        There are too few photographs.
    """
    if folder.exists() and any(folder.iterdir()):
        raise UsageError(f"{folder}: holds files; choose a new folder")
    order = np.random.default_rng(seed).permutation(len(items)).tolist()
    bank, others = order[: 3 * len(items) // 5], order[3 * len(items) // 5 :]
    half = queries // 2
    if queries < 2 or half > min(len(bank), len(others)):
        raise InvalidDataError(f"{len(items)} photographs are too few for {queries} queries, half of them distractors")
    for name in ("references", "queries"):
        (folder / name).mkdir(parents=True)
    materials = Materials([partial(_pixels, items[number]) for number in others])
    sources = [*bank[:half], *others[:half]]
    rows = []
    with ThreadPoolExecutor(available_cores()) as pool:
        list(
            pool.map(
                lambda number: _write(folder / "references" / f"R{number:06}.jpg", _pixels(items[number]), 90), bank
            )
        )
        made = pool.map(
            lambda task: _make(items[task[1]], folder / "queries" / f"Q{task[0]:05}.jpg", (seed, task[0]), materials),
            enumerate(sources),
        )
        for place, (number, kinds) in enumerate(zip(sources, made, strict=True)):
            rows.append((f"Q{place:05}", f"R{number:06}" if place < half else "", kinds))
    with open(folder / "ground_truth.csv", "w", newline="") as file:
        csv.writer(file).writerows([("query_id", "reference_id"), *(row[:2] for row in rows)])
    (folder / "edits.json").write_text(json.dumps({query: kinds for query, _, kinds in rows}, indent=0))


def _make(item: ImageItem, path: Path, seed: tuple[int, int], materials: Materials) -> list[str]:
    pixels = _pixels(item)
    rng = np.random.default_rng((*seed, zlib.crc32(item.id.encode())))
    recipe = sample_recipe(rng, (pixels.shape[1], pixels.shape[0]), length=int(rng.integers(1, MOST_EDITS + 1)))
    _write(path, recipe.apply(pixels, materials).pixels, int(rng.integers(*_QUALITIES)))
    return [edit.kind for edit in recipe.edits]


def _pixels(item: ImageItem) -> NDArray[np.uint8]:
    return decode_image(item.read())


def _write(path: Path, pixels: NDArray[np.uint8], quality: int = 90) -> None:
    _, content = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    path.write_bytes(content.tobytes())
