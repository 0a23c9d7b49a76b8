"""Edited photographs without end, the same for the same seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import count
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, default_collate, get_worker_info

from ectype.descriptors.preprocessing import square
from ectype.errors import InvalidDataError, UnreadableImageError
from ectype.images import ImageItem, decode_image
from ectype.transformations import KINDS, Materials, sample_recipe
from ectype.transformations.geometry import Geometry
from ectype.transformations.kinds import Transformed, size_of
from ectype_training.config import Config
from ectype_training.efficientnet_lite import STRIDE
from ectype_training.photographs import tell_left_out

MOST_PRESENT = 8
"""Other photographs in one picture that are remembered."""

MOST_UNREADABLE = 100
"""So many unreadable photographs in a row end a run; single ones are left out with a word."""


class Sample(NamedTuple):
    """One row of a `Batch`."""

    views: NDArray[np.uint8]
    number: int
    present: NDArray[np.int64]
    unedited: bool
    sources: NDArray[np.float32]


class Batch(NamedTuple):
    """Some photographs, edited.

    Attributes
    ----------
    views : Tensor of uint8, shape (n, v, size, size, 3)
        One edit of each photograph, or two for the objective ``contrast``.
    numbers : Tensor of int64, shape (n,)
        The photographs'.
    present : Tensor of int64, shape (n, 8)
        Numbers of other photographs that edits brought into a view, then -1.
    unedited : Tensor of bool, shape (n,)
        Which are shown as they are, in every view.
    sources : Tensor of float32, shape (n, v, side, side, 2)
        Where the middles of so many places a side come from: x and y, in parts of the unedited photograph's sides;
        -1 for places that show nothing of it.
    """

    views: Tensor
    numbers: Tensor
    present: Tensor
    unedited: Tensor
    sources: Tensor


class EditedPhotographs(IterableDataset[Batch]):
    """Yields batches without end; batch n is the same in every run.

    Parameters
    ----------
    items : sequence of ImageItem
    config : Config
    start : int
        The first batch.
    """

    def __init__(self, items: Sequence[ImageItem], config: Config, start: int = 0) -> None:
        self._items, self._config, self._start = items, config, start
        self._views = 2 if config.objective == "contrast" else 1
        self._kinds = [name for name in (*KINDS, *config.often, *config.often) if name not in config.leave_out]
        self._brought: list[int] = []
        self._unreadable: set[int] = set()
        self._materials = Materials([partial(self._bring, number) for number in range(len(items))])

    def __iter__(self) -> Iterator[Batch]:
        worker = get_worker_info()
        number, step = (0, 1) if worker is None else (worker.id, worker.num_workers)
        for batch in count(self._start + number, step):
            first = batch * self._config.batch
            rows = zip(*(self.draw(sample) for sample in range(first, first + self._config.batch)), strict=True)
            yield Batch(*(default_collate(row) for row in rows))

    def draw(self, sample: int) -> Sample:
        """One sample, by its number."""
        rng = np.random.default_rng((self._config.seed, sample))
        number, pixels = self._readable(int(rng.integers(len(self._items))))
        self._brought.clear()
        views, lengths, sources = zip(*(self._view(pixels, rng) for _ in range(self._views)), strict=True)
        present = np.full(MOST_PRESENT, -1, np.int64)
        others = [other for other in dict.fromkeys(self._brought) if other != number][:MOST_PRESENT]
        present[: len(others)] = others
        return Sample(np.stack(views), number, present, not any(lengths), np.stack(sources))

    def _view(
        self, pixels: NDArray[np.uint8], rng: np.random.Generator
    ) -> tuple[NDArray[np.uint8], int, NDArray[np.float32]]:
        """A picture of a photograph, how many edits it has, and where its places come from."""
        done, length = Transformed(pixels, Geometry.unchanged(size_of(pixels))), 0
        if self._kinds and rng.random() >= self._config.unedited:
            length = int(rng.integers(1, self._config.most_edits + 1))
            recipe = sample_recipe(rng, (pixels.shape[1], pixels.shape[0]), self._kinds, length)
            done = recipe.apply(pixels, self._materials)
        sources = sources_of(done.geometry, -(-self._config.size // STRIDE))
        return square(done.pixels, self._config.size), length, sources

    def _readable(self, number: int) -> tuple[int, NDArray[np.uint8]]:
        """A photograph, or the first after it that can be read."""
        for tried in range(min(MOST_UNREADABLE, len(self._items))):
            place = (number + tried) % len(self._items)
            try:
                return place, decode_image(self._items[place].read())
            except UnreadableImageError as error:
                if place not in self._unreadable:
                    tell_left_out(self._items[place].location, error)
                    self._unreadable.add(place)
        raise InvalidDataError(
            f"{self._items[number].location} and the {tried} photographs after it can't be read; see to the images"
        )

    def _bring(self, number: int) -> NDArray[np.uint8]:
        number, pixels = self._readable(number)
        self._brought.append(number)
        return pixels


def sources_of(geometry: Geometry, side: int) -> NDArray[np.float32]:
    """Where the middles of so many places a side come from, as `Batch` has it: (side, side, 2)."""
    middles = (np.arange(side) + 0.5) / side
    points = np.stack(np.meshgrid(middles, middles), axis=2).reshape(-1, 2)
    with np.errstate(invalid="ignore"):
        sources = geometry.to_source(points * geometry.result_size) / geometry.source_size
    inside = ((sources >= 0) & (sources <= 1)).all(axis=1, keepdims=True)
    return np.where(inside, sources, -1).reshape(side, side, 2).astype(np.float32)


def load(data: EditedPhotographs, workers: int) -> DataLoader[Batch]:
    """Have batches made by so many processes; by this one with 0.

    The processes are started afresh: one forked from a process with threads may inherit locks that nobody opens.
    """
    if workers == 0:
        return DataLoader(data, batch_size=None)
    return DataLoader(data, batch_size=None, num_workers=workers, prefetch_factor=6, multiprocessing_context="spawn")
