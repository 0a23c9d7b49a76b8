"""What image files say of themselves: content, size and time. They are read, and never written."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from ectype.descriptors.runtimes import available_cores
from ectype.duplicates.records import HeldImage
from ectype.errors import UnreadableImageError
from ectype.images import ImageItem, ImageLimits, decode_image, jpeg
from ectype.types import SkippedImage

_TURNED = frozenset({5, 6, 7, 8})
"""EXIF orientations that exchange width and height."""


def look_at(
    items: Sequence[ImageItem], known: Callable[[str], HeldImage | None], limits: ImageLimits
) -> Iterator[HeldImage | SkippedImage]:
    """Read images, in their order.

    Parameters
    ----------
    items : sequence of ImageItem
    known : callable
        Gives what was read of an image before, by id. That is given again if size and times of the file are the same:
        such a file is taken for unchanged, and not opened.
    limits : ImageLimits
    """
    with ThreadPoolExecutor(available_cores(), thread_name_prefix="ectype-look") as pool:
        yield from pool.map(lambda item: _look_at(item, known(item.id), limits), items)


def _look_at(item: ImageItem, known: HeldImage | None, limits: ImageLimits) -> HeldImage | SkippedImage:
    try:
        found = os.stat(item.file or item.location)
        version = f"{found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}"
        if known is not None and known.version == version and known.location == item.location:
            return known
        data = item.read(limits)
        width, height = _displayed_size(data, limits)
    except UnreadableImageError as error:
        return SkippedImage(item.id, item.location, error.code, str(error))
    except OSError:
        return SkippedImage(item.id, item.location, "missing", "there is no such file")
    digest = hashlib.sha256(data).hexdigest()
    return HeldImage(item.id, item.location, digest, width, height, len(data), found.st_mtime, version)


def _displayed_size(data: bytes, limits: ImageLimits) -> tuple[int, int]:
    """Width and height; from the header where that is quick, else by decoding."""
    if data.startswith(jpeg.SIGNATURE) and (header := jpeg.read_header(data)) is not None:
        turned = header.orientation in _TURNED
        return (header.height, header.width) if turned else (header.width, header.height)
    height, width, _ = decode_image(data, limits=limits).shape
    return width, height
