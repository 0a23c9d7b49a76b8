"""Leaving out photographs that can't be read, each with a word, so that one of them doesn't stop the others' work."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from ectype.descriptors.runtimes import available_cores
from ectype.errors import UnreadableImageError
from ectype.images import ImageItem, decode_image


def readable(items: Sequence[ImageItem]) -> list[ImageItem]:
    """The photographs that can be decoded, in their order; each other one is named on the standard error."""
    with ThreadPoolExecutor(available_cores()) as pool:
        errors = list(pool.map(_decoding_error, items))
    for item, error in zip(items, errors, strict=True):
        if error is not None:
            tell_left_out(item, error)
    return [item for item, error in zip(items, errors, strict=True) if error is None]


def tell_left_out(item: ImageItem, error: UnreadableImageError) -> None:
    """Name a photograph that is left out, and say why."""
    print(f"left out: {item.location}: {error}", file=sys.stderr, flush=True)


def _decoding_error(item: ImageItem) -> UnreadableImageError | None:
    try:
        decode_image(item.read())
    except UnreadableImageError as error:
        return error
    return None
