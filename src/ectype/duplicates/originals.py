"""Which image of a set the others were probably made from."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from ectype.duplicates.records import HeldImage


def by_originality(members: Sequence[HeldImage]) -> list[HeldImage]:
    """Images of one set, the probable original first.

    Copies are rarely enlarged, and each compression loses something: so first come most pixels, then most bytes a
    pixel, then the file that was written first. Images whose file is not there come last.
    """
    return sorted(members, key=_order)


def _order(image: HeldImage) -> tuple[int, int, float, str]:
    return -image.pixels, -(image.bytes or 0), _age(image), image.id


def _age(image: HeldImage) -> float:
    return float("inf") if image.modified is None else image.modified // 1  # copies of a moment ago tell nothing


def why_original(ordered: Sequence[HeldImage]) -> str:
    """Why the first of `by_originality` comes before the second, in words."""
    first, second = ordered[:2]
    if not first.pixels:
        return "first by name: no file of the set is there any more"
    if not second.pixels:
        return "the only one whose file is there"
    if first.pixels != second.pixels:
        return f"most pixels: {_size(first)}, the next has {_size(second)}"
    if first.bytes != second.bytes:
        return f"most bytes, of those with most pixels: {first.bytes:,}, the next has {second.bytes:,}"
    if _age(first) != _age(second):
        return f"the oldest file, of those with most pixels and bytes: {_date(first)}, the next is of {_date(second)}"
    return "first by name: others are equal in pixels, bytes and date"


def _size(image: HeldImage) -> str:
    return f"{image.width} × {image.height}"


def _date(image: HeldImage) -> str:
    return datetime.fromtimestamp(image.modified or 0, UTC).isoformat(" ", timespec="seconds").removesuffix("+00:00")
