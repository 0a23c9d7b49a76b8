"""Reading photographs: those that can't be read are left out, each with a word, and don't stop the others' work."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from ectype.descriptors.extraction import map_items
from ectype.descriptors.preprocessing import square
from ectype.errors import UnreadableImageError
from ectype.images import ImageItem, decode_image

_AT_ONCE = 32


def decoded(items: Sequence[ImageItem]) -> Iterator[NDArray[np.uint8]]:
    """The pictures of photographs, in their order; each that can't be read is named on the standard error."""
    for item, result in zip(items, map_items(items, _decode), strict=True):
        if isinstance(result, UnreadableImageError):
            tell_left_out(item.location, result)
        else:
            yield result


def squares(items: Sequence[ImageItem], size: int) -> Iterator[NDArray[np.uint8]]:
    """Readable photographs, stretched to squares, in their order and some at a time: (n, size, size, 3)."""
    for part in np.array_split(np.arange(len(items)), max(1, len(items) // _AT_ONCE)):
        yield np.stack([square(decode_image(items[number].read()), size) for number in part])


def readable(items: Sequence[ImageItem]) -> list[ImageItem]:
    """The photographs that can be decoded, in their order; each other one is named on the standard error."""
    kept = []
    for item, error in zip(items, map_items(items, _decoding_error), strict=True):
        if error is None:
            kept.append(item)
        else:
            tell_left_out(item.location, error)
    return kept


def tell_left_out(location: str, reason: object) -> None:
    """Name a photograph that is left out, and say why."""
    print(f"left out: {location}: {reason}", file=sys.stderr, flush=True)


def _decode(item: ImageItem) -> NDArray[np.uint8] | UnreadableImageError:
    try:
        return decode_image(item.read())
    except UnreadableImageError as error:
        return error


def _decoding_error(item: ImageItem) -> UnreadableImageError | None:
    result = _decode(item)
    return result if isinstance(result, UnreadableImageError) else None
