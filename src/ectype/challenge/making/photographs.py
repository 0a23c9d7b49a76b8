"""Photographs to make a data set of: found, and looked at once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ectype.errors import UnreadableImageError, UsageError
from ectype.images import ImageItem, decode_image
from ectype.images.sources import expand

_GLANCE = 64  # pixels; a JPEG is decoded no larger, which shows as well whether it can be read


@dataclass(frozen=True, slots=True)
class Glance:
    """What one look at a photograph has shown.

    Attributes
    ----------
    sha256 : str
        Of its file; empty if it can't be read.
    code, reason : str
        Why it can't be read, as in `ectype.types.SkippedImage`; empty if it can.
    """

    sha256: str
    code: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class GlanceTask:
    """Look at some photographs: a `Task` for a `Crew`."""

    items: tuple[ImageItem, ...]

    def work(self) -> list[Glance]:
        """One glance an item."""
        return [_glance(item) for item in self.items]


def _glance(item: ImageItem) -> Glance:
    try:
        data = item.read()
        decode_image(data, at_least=_GLANCE)
    except UnreadableImageError as error:
        return Glance("", error.code, str(error))
    return Glance(hashlib.sha256(data).hexdigest())


def find_photographs(inputs: Iterable[str | Path]) -> list[ImageItem]:
    """Find photographs as `ectype.images.list_images` does, but let file names repeat: they get new ids anyway.

    Parameters
    ----------
    inputs : iterable of str or Path
        Files, folders, ``.tar`` archives, lists, or ``-`` for standard input.

    Returns
    -------
    list of ImageItem
        In a fixed order; a file that is named twice is there once.

    Raises
    ------
    UsageError
        An input does not exist, or there are no photographs.
    InvalidDataError
        A folder, list or archive can't be read.
    """
    found: dict[str, ImageItem] = {}
    for name in inputs:
        for item in expand(str(name), "path", None):
            found.setdefault(item.location, item)
    if not found:
        raise UsageError("no photographs found; name files, folders, .tar archives or lists")
    return list(found.values())
