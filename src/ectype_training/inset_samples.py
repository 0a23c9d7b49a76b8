"""Pictures that have a picture inside, and such that have none, with where it lies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from torch.utils.data import IterableDataset, get_worker_info

from ectype.descriptors.preprocessing import square
from ectype.images import ImageItem, decode_image
from ectype.transformations import KINDS, Materials, sample_recipe
from ectype.transformations.geometry import Geometry
from ectype.transformations.kinds import Pixels, Transformed, size_of
from ectype.transformations.noise import coded
from ectype.transformations.spatial import shrunk_onto
from ectype_training.dataset import sources_of

_TONES = [name for name, kind in KINDS.items() if kind.family in ("tone", "filters", "noise", "overlays")]
_MOVES = ["hflip", "vflip", "crop", "rotate", "change_aspect_ratio", "perspective"]
_WITHOUT = [name for name, kind in KINDS.items() if kind.family not in ("compositions", "air_gap")]
"""Kinds after which a photograph is still no picture inside another."""

_INSETS, _PAIRS = 0.58, 0.05  # of the samples: a picture inside another, and two beside each other
_POINTS = 4  # a side of each place, by which its covered part is counted
_FILLS = 0.93  # of the picture; an inset that covers more is the picture


class InsetSample(NamedTuple):
    """A picture, and where another lies in it.

    Attributes
    ----------
    picture : ndarray of uint8, shape (size, size, 3)
    covered : ndarray of float32, shape (places, places)
        How much of each place belongs to the inset, 0 to 1; all 0 without any.
    """

    picture: NDArray[np.uint8]
    covered: NDArray[np.float32]


class InsetSamples(IterableDataset[InsetSample]):
    """Yields samples in the order of their numbers; each is the same in every run.

    Parameters
    ----------
    items : sequence of ImageItem
        Photographs that can be decoded.
    size : int
        Pixels a side of the pictures.
    places : int
        A side.
    count, seed : int
    """

    def __init__(self, items: Sequence[ImageItem], size: int, places: int, count: int, seed: int) -> None:
        self._items, self._size, self._places, self._count, self._seed = items, size, places, count, seed
        self._materials = Materials([partial(self._photograph, number) for number in range(len(items))])

    def __iter__(self) -> Iterator[InsetSample]:
        worker = get_worker_info()
        first, step = (0, 1) if worker is None else (worker.id, worker.num_workers)
        return (self.draw(number) for number in range(first, self._count, step))

    def draw(self, number: int) -> InsetSample:
        """One sample, by its number."""
        rng = np.random.default_rng((self._seed, number))
        kind = rng.random()
        picture = self._any(rng)
        inset = kind < _INSETS
        if inset:
            shown = self._inset(rng, self._edited(rng, picture, _TONES, int(rng.random() < 0.35)).pixels)
        elif kind < _INSETS + _PAIRS:
            other = cv2.resize(self._any(rng), size_of(picture), interpolation=cv2.INTER_AREA)
            pair = np.concatenate((picture, other), axis=int(rng.integers(2)))
            shown = Transformed(pair, Geometry.unchanged(size_of(pair)))
        else:
            shown = self._edited(rng, picture, _WITHOUT, int(rng.integers(3)))
        shown = shown.then(self._edited(rng, shown.pixels, _TONES, int(rng.choice(3, p=(0.45, 0.4, 0.15)))))
        if rng.random() < 0.35:
            shown = shown.then(self._edited(rng, shown.pixels, _MOVES, 1))
        pixels = coded(shown.pixels, "JPEG", int(rng.integers(20, 95))) if rng.random() < 0.5 else shown.pixels
        covered = _covered(shown.geometry, self._places) if inset else np.zeros([self._places] * 2, np.float32)
        return InsetSample(square(pixels, self._size), covered if covered.mean() <= _FILLS else 0 * covered)

    def _photograph(self, number: int) -> Pixels:
        return decode_image(self._items[number].read())

    def _any(self, rng: np.random.Generator) -> Pixels:
        return self._photograph(int(rng.integers(len(self._items))))

    def _edited(self, rng: np.random.Generator, pixels: Pixels, kinds: Sequence[str], length: int) -> Transformed:
        if not length:
            return Transformed(pixels, Geometry.unchanged(size_of(pixels)))
        return sample_recipe(rng, size_of(pixels), kinds, length).apply(pixels, self._materials)

    def _inset(self, rng: np.random.Generator, picture: Pixels) -> Transformed:
        """A picture pasted onto another, or onto a plain ground; the geometry is the pasted one's."""
        width = int(rng.integers(220, 420))
        height = round(width * np.exp(rng.uniform(-0.5, 0.5)))
        if rng.random() < 0.15:
            ground = np.full((height, width, 3), rng.integers(0, 256, 3), np.uint8)
        else:
            under = self._edited(rng, self._any(rng), _TONES, int(rng.random() < 0.35)).pixels
            ground = np.asarray(cv2.resize(under, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
        shape = picture.shape[1] / picture.shape[0] * np.exp(rng.normal(0, 0.25))
        across = np.sqrt(rng.uniform(0.04, 0.75) * width * height * shape)
        size = int(np.clip(across, 24, 0.97 * width)), int(np.clip(across / shape, 24, 0.97 * height))
        pasted = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
        if rng.random() < 0.15:
            edge = max(1, int(rng.uniform(0.01, 0.05) * min(size)))
            colour = rng.integers(0, 256, 3) if rng.random() < 0.5 else np.repeat(255 * rng.integers(2), 3)
            cv2.rectangle(pasted, (0, 0), (size[0] - 1, size[1] - 1), colour.tolist(), 2 * edge)
        left, top = (
            float(rng.choice((0.0, 1.0)) if rng.random() < 0.1 else rng.random()) * (1 - part / whole)
            for part, whole in zip(size, (width, height), strict=True)
        )
        opacity = 1.0 if rng.random() < 0.5 else rng.uniform(0.5, 1)
        return shrunk_onto(ground, pasted, left, top, size[0] / width, opacity)


def _covered(geometry: Geometry, places: int) -> NDArray[np.float32]:
    """How much of each place of the result shows something of the source."""
    inside = sources_of(geometry, places * _POINTS)[..., 0] >= 0
    return inside.reshape(places, _POINTS, places, _POINTS).mean(axis=(1, 3), dtype=np.float32)
