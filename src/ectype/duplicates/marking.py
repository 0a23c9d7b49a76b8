"""People's decisions on pairs of images."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from ectype.duplicates.place import Place
from ectype.duplicates.records import HeldImage, Verdict, in_order
from ectype.duplicates.store import Store
from ectype.errors import UsageError


@dataclass(frozen=True, slots=True)
class MarkedPair:
    """A decision, with the images that it is about.

    Attributes
    ----------
    first_ids, second_ids : tuple of str
        Images with the one content and with the other; none if the last search did not find any.
    first, second : str
        The contents.
    verdict : {"same", "different"}
    made : str
        When, as ISO 8601.
    """

    first_ids: tuple[str, ...]
    second_ids: tuple[str, ...]
    first: str
    second: str
    verdict: Verdict
    made: str


def mark_images(place: Place, names: Sequence[str], verdict: Verdict | None) -> int:
    """Decide that images are copies of each other, or that they are not; every pair of them is marked.

    Parameters
    ----------
    place : Place
    names : sequence of str
        Two or more: ids, paths of files, or SHA-256 digests.
    verdict : {"same", "different"} or None
        None takes an earlier decision back.

    Returns
    -------
    int
        How many pairs were marked.

    Raises
    ------
    UsageError
        A name is unknown, there are fewer than two, or equal files are to be different; nothing is marked.
    CollectionError, StorageError
        What is remembered belongs to another holding or is damaged, or the disk refuses.
    """
    if len(set(names)) < 2:
        raise UsageError("name two images or more to decide on")
    with Store(place.database, place.owner()) as store:
        contents = _contents_of(names, store.images(), place)
        pairs = set()
        for (name, content), (other_name, other) in combinations(contents.items(), 2):
            if content != other:
                pairs.add(in_order(content, other))
            elif verdict == "different":
                raise UsageError(f"{name} and {other_name} are equal byte for byte, so they can't be different images")
        store.mark(sorted(pairs), verdict)
    return len(pairs)


def _contents_of(names: Sequence[str], images: Mapping[str, HeldImage], place: Place) -> dict[str, str]:
    by_location = {image.location: image.sha256 for image in images.values()}
    digests = {image.sha256 for image in images.values()}
    contents, unknown = {}, []
    for name in names:
        if name in images:
            contents[name] = images[name].sha256
        elif (found := by_location.get(name) or by_location.get(os.path.realpath(name))) is not None:
            contents[name] = found
        elif name.lower() in digests:
            contents[name] = name.lower()
        else:
            unknown.append(name)
    if unknown:
        raise UsageError(
            f"{place.folder}: no image is known as {', '.join(unknown)}, so nothing was marked; give ids as "
            "`ectype duplicates` shows them, or paths, and run that first if the images are new"
        )
    return contents


def marked_pairs(place: Place) -> list[MarkedPair]:
    """All decisions, from the oldest to the newest.

    Raises
    ------
    UsageError
        Nothing is remembered of this place.
    CollectionError, StorageError
        What is remembered belongs to another holding or is damaged, or the disk refuses.
    """
    with Store(place.database, place.owner()) as store:
        ids: dict[str, list[str]] = {}
        for image in store.images().values():
            ids.setdefault(image.sha256, []).append(image.id)
        return [
            MarkedPair(
                tuple(ids.get(mark.first, ())),
                tuple(ids.get(mark.second, ())),
                mark.first,
                mark.second,
                mark.verdict,
                mark.made,
            )
            for mark in store.marks()
        ]
