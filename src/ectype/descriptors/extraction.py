"""From found images to descriptors, on every core.

Each worker takes a few images from their bytes to their vectors. Decoding and inference both run outside Python's lock,
so with one worker a core no core waits for another, whichever of the two is the slower here.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ectype.descriptors.contract import DescriptorModel
from ectype.descriptors.runtimes import available_cores
from ectype.errors import ModelError, UnreadableImageError
from ectype.images import DEFAULT_LIMITS, ImageItem, ImageLimits, decode_image
from ectype.types import OnProgress, SkippedImage

IMAGES_A_TASK = 64
"""The more, the better are pictures that some of them show inside (`OnnxModel.describe`) inferred together."""
_ITEMS_A_TASK = 8  # where results may be large, such as decoded images
_MOST_PIXEL_BYTES = 64 * 2**20  # that a worker holds before it describes what it has

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, eq=False)
class DescribedImage:
    """An image with its descriptor.

    Attributes
    ----------
    item : ImageItem
    sha256 : bytes
        Digest of the file's bytes.
    vector : ndarray of float32, shape (d,)
        Of unit length.
    """

    item: ImageItem
    sha256: bytes
    vector: NDArray[np.float32]


def describe_images(
    items: Sequence[ImageItem], model: DescriptorModel, limits: ImageLimits
) -> list[DescribedImage | SkippedImage]:
    """Describe a few images, in their order; one that can't be read becomes a row of the skip report."""
    results: list[DescribedImage | SkippedImage] = []
    waiting: list[_Read] = []
    for item in items:
        read = _read(item, model, limits)
        if isinstance(read, _Read):
            waiting.append(read)
        if isinstance(read, SkippedImage) or sum(one.pixels.nbytes for one in waiting) > _MOST_PIXEL_BYTES:
            results += _described(waiting, model)
            waiting = []
        if isinstance(read, SkippedImage):
            results.append(read)
    return results + _described(waiting, model)


@dataclass(frozen=True, slots=True, eq=False)
class _Read:
    item: ImageItem
    sha256: bytes
    pixels: NDArray[np.uint8]


def _read(item: ImageItem, model: DescriptorModel, limits: ImageLimits) -> _Read | SkippedImage:
    try:
        data = item.read(limits)
        pixels = decode_image(data, limits=limits, at_least=model.input_size)
    except UnreadableImageError as error:
        return SkippedImage(item.id, item.location, error.code, str(error))
    return _Read(item, hashlib.sha256(data).digest(), pixels)


def _described(images: Sequence[_Read], model: DescriptorModel) -> list[DescribedImage | SkippedImage]:
    try:
        vectors = model.describe([image.pixels for image in images])
    except ModelError as error:
        if len(images) == 1:
            item = images[0].item
            return [SkippedImage(item.id, item.location, "no-descriptor", str(error))]
        return [result for image in images for result in _described([image], model)]  # to know which
    return [DescribedImage(image.item, image.sha256, row) for image, row in zip(images, vectors, strict=True)]


def describe_items(
    items: Sequence[ImageItem],
    model: DescriptorModel,
    *,
    limits: ImageLimits = DEFAULT_LIMITS,
    workers: int | None = None,
    on_progress: OnProgress | None = None,
) -> Iterator[DescribedImage | SkippedImage]:
    """Describe many images, in their order, with a bounded number of them in memory.

    Parameters
    ----------
    items : sequence of ImageItem
    model : DescriptorModel
    limits : ImageLimits
    workers : int, optional
        Images in work at once; the number of cores by default.
    on_progress : callable, optional

    Yields
    ------
    DescribedImage or SkippedImage
        One for each item.
    """
    return map_groups(
        items, lambda group: describe_images(group, model, limits), workers=workers, on_progress=on_progress
    )


def map_items(items: Sequence[Item], work: Callable[[Item], Result]) -> Iterator[Result]:
    """Do some work on many items, one by one: `map_groups` for work that gains nothing from several at once."""
    return map_groups(items, lambda group: [work(item) for item in group], most=_ITEMS_A_TASK)


def map_groups(
    items: Sequence[Item],
    work: Callable[[Sequence[Item]], list[Result]],
    *,
    most: int = IMAGES_A_TASK,
    workers: int | None = None,
    on_progress: OnProgress | None = None,
) -> Iterator[Result]:
    """Do some work on many items, a few at a time, on every core, and give the results in their order.

    Parameters
    ----------
    items : sequence
        Images, or what images can be made from.
    work : callable
        From a few items to as many results. Called by several threads at once, for a bounded number of items ahead of
        the result that is taken next.
    most : int
        Items in a group.
    workers : int, optional
        Groups in work at once; the number of cores by default.
    on_progress : callable, optional

    Yields
    ------
    Result
        One for each item.
    """
    workers = workers or available_cores()
    size = max(1, min(most, len(items) // workers))
    tasks = (items[start : start + size] for start in range(0, len(items), size))

    with ThreadPoolExecutor(workers, thread_name_prefix="ectype-describe") as pool:
        pending: deque[Future[list[Result]]] = deque()
        try:
            for task in tasks:
                pending.append(pool.submit(work, task))
                if len(pending) >= 4 * workers:
                    yield from _finish(pending.popleft(), on_progress)
            while pending:
                yield from _finish(pending.popleft(), on_progress)
        finally:  # on an error or Ctrl-C: start nothing more
            pool.shutdown(wait=True, cancel_futures=True)


def _finish(future: Future[list[Result]], on_progress: OnProgress | None) -> list[Result]:
    done = future.result()
    if on_progress is not None:
        on_progress(len(done))
    return done
