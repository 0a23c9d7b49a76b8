"""Queries made from photographs, with their ground truth: to fit a calibration on, or to measure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ectype.descriptors.runtimes import available_cores
from ectype.errors import InvalidDataError, UsageError
from ectype.evaluation import GroundTruth, write_ground_truth
from ectype.images import ImageItem, decode_image
from ectype.transformations import KINDS, Edit, Materials, Recipe, sample_recipe
from ectype.transformations.mixtures import MIXTURES
from ectype.transformations.wild import WILD
from ectype_training.photographs import readable

_QUALITIES = (60, 96)  # of JPEG
MOST_EDITS = 3
"""With more, so many copies show hardly anything that a calibration expects that of other queries, too."""
_KINDS = tuple(name for name in KINDS if name not in WILD.kinds | MIXTURES.kinds)
"""Random masks and filters leave less of a picture than what people do to it, and promise too much of weak evidence."""
FRAMES = 12
_FRAME = "overlay_onto_screenshot"
_FRAMED_REFERENCES, _FRAMED_DISTRACTORS = 25, 14  # one in so many lies in a frame that others have, too


def make_queries(
    items: Sequence[ImageItem], queries: int, folder: Path, most_edits: int = MOST_EDITS, seed: int = 2021
) -> None:
    """Write ``references/``, ``queries/``, ``ground_truth.csv`` and ``edits.json`` into a new folder.

    Three fifths of the photographs are references. Half of the queries are copies of some of them, half are made of the
    other photographs; each has one to `most_edits` edits of any kind but random ones. Some references and some
    distractors are screenshots of the same few apps: what they share is no copy.

    Parameters
    ----------
    items : sequence of ImageItem
        Those that can't be read are left out.
    queries : int
    folder : Path
    most_edits : int
    seed : int

    Raises
    ------
    UsageError
        The folder holds files.
    InvalidDataError
        There are too few photographs, or edits.
    """
    if folder.exists() and any(folder.iterdir()):
        raise UsageError(f"{folder}: holds files; choose a new folder")
    if most_edits < 1:
        raise InvalidDataError(f"queries have at least one edit each, not at most {most_edits}")
    items = readable(items)
    order = np.random.default_rng(seed).permutation(len(items)).tolist()
    bank, others = order[: 3 * len(items) // 5], order[3 * len(items) // 5 :]
    half = queries // 2
    if queries < 2 or half > min(len(bank), len(others)):
        raise InvalidDataError(f"{len(items)} photographs are too few for {queries} queries, half of them distractors")
    for name in ("references", "queries"):
        (folder / name).mkdir(parents=True)
    maker = _Maker(items, most_edits, seed, Materials([partial(_pixels, items[number]) for number in others]))
    sources = [*bank[:half], *others[:half]]
    with ThreadPoolExecutor(available_cores()) as pool:
        list(
            pool.map(lambda number: _write(folder / "references" / f"R{number:06}.jpg", maker.reference(number)), bank)
        )
        kinds = list(
            pool.map(
                lambda place: maker.query(sources[place], place < half, folder / "queries" / f"Q{place:05}.jpg"),
                range(len(sources)),
            )
        )
    names = [f"Q{place:05}" for place in range(len(sources))]
    pairs = frozenset((name, f"R{number:06}") for name, number in zip(names, sources[:half], strict=False))
    write_ground_truth(folder / "ground_truth.csv", GroundTruth(frozenset(names), pairs))
    (folder / "edits.json").write_text(json.dumps(dict(zip(names, kinds, strict=True)), indent=0))


@dataclass(frozen=True, slots=True, eq=False)
class _Maker:
    """Makes the pictures, each the same whatever was made before."""

    items: Sequence[ImageItem]
    most_edits: int
    seed: int
    materials: Materials

    def reference(self, number: int) -> NDArray[np.uint8]:
        pixels = _pixels(self.items[number])
        return self._framed(pixels, number) if number % _FRAMED_REFERENCES == 0 else pixels

    def query(self, number: int, is_copy: bool, path: Path) -> list[str]:
        """Write a query, and return its kinds of edits."""
        pixels = self.reference(number) if is_copy else _pixels(self.items[number])
        rng = np.random.default_rng((self.seed, number))
        recipe = sample_recipe(
            rng, (pixels.shape[1], pixels.shape[0]), _KINDS, length=int(rng.integers(1, self.most_edits + 1))
        )
        edited, kinds = recipe.apply(pixels, self.materials).pixels, [edit.kind for edit in recipe.edits]
        if not is_copy and number % _FRAMED_DISTRACTORS == 0:
            edited, kinds = self._framed(edited, number), [*kinds, _FRAME]
        _write(path, edited, int(rng.integers(*_QUALITIES)))
        return kinds

    def _framed(self, pixels: NDArray[np.uint8], number: int) -> NDArray[np.uint8]:
        size = (pixels.shape[1], pixels.shape[0])
        parameters = KINDS[_FRAME].sample(np.random.default_rng((self.seed, number % FRAMES)), size)
        return Recipe((Edit(_FRAME, parameters),)).apply(pixels, self.materials).pixels


def _pixels(item: ImageItem) -> NDArray[np.uint8]:
    return decode_image(item.read())


def _write(path: Path, pixels: NDArray[np.uint8], quality: int = 90) -> None:
    _, content = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    path.write_bytes(content.tobytes())
