"""Edited photographs without end, the same for the same seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import IterableDataset, get_worker_info

from ectype.descriptors.preprocessing import square
from ectype.images import ImageItem, decode_image
from ectype.transformations import KINDS, Materials, sample_recipe

OFTEN = ("crop", "overlay_onto_image", "overlay_onto_screenshot", "collage", "rotate", "perspective", "overlay_image")
"""Kinds that are drawn three times as often as others: they move most, and need most practice."""

UNEDITED = 0.1
"""Share of the photographs that are shown as they are."""

MOST_EDITS = 4


class EditedPhotographs(IterableDataset[tuple[NDArray[np.uint8], int]]):
    """Yields squares (size, size, 3) of edited photographs, each with the photograph's number.

    Parameters
    ----------
    items : sequence of ImageItem
    size : int
    start : int
        The first sample; sample n is the same in every run.
    leave_out : sequence of str
        Kinds of edits that are never drawn.
    """

    def __init__(self, items: Sequence[ImageItem], size: int, start: int = 0, leave_out: Sequence[str] = ()) -> None:
        self._items, self._size, self._start = items, size, start
        self._kinds = [name for name in (*KINDS, *OFTEN, *OFTEN) if name not in leave_out]
        self._materials = Materials([partial(_pixels, item) for item in items])

    def __iter__(self) -> Iterator[tuple[NDArray[np.uint8], int]]:
        worker = get_worker_info()
        number, step = (0, 1) if worker is None else (worker.id, worker.num_workers)
        sample = self._start + number
        while True:
            yield self.draw(sample)
            sample += step

    def draw(self, sample: int) -> tuple[NDArray[np.uint8], int]:
        """The picture and the photograph's number of one sample."""
        rng = np.random.default_rng((2021, sample))
        number = int(rng.integers(len(self._items)))
        pixels = _pixels(self._items[number])
        if rng.random() >= UNEDITED:
            length = int(rng.integers(1, MOST_EDITS + 1))
            recipe = sample_recipe(rng, (pixels.shape[1], pixels.shape[0]), self._kinds, length)
            pixels = recipe.apply(pixels, self._materials).pixels
        return square(pixels, self._size), number


def _pixels(item: ImageItem) -> NDArray[np.uint8]:
    return decode_image(item.read())
