"""What there is to compare: the images of a collection, or the photographs of a folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

from ectype.collection import Collection, Reference
from ectype.collection.adding import refuse_repeated_ids
from ectype.descriptors import DescriptorModel
from ectype.duplicates.files import look_at
from ectype.duplicates.place import printable
from ectype.duplicates.records import HeldImage, Holding
from ectype.duplicates.store import Store
from ectype.errors import InvalidDataError
from ectype.images import ImageItem, ImageLimits
from ectype.images.sources import expand
from ectype.types import OnProgress, SkippedImage

IMAGES_A_TRANSACTION = 256

Progress = Callable[[str, int], AbstractContextManager[OnProgress]]
"""Shows how far a part of the work has come: is given its name and the number of images."""


def hold_collection(collection: Collection, store: Store, limits: ImageLimits, progress: Progress) -> Holding:
    """Look at a collection's images. One whose file is not there any more can be found, but finds nothing itself."""
    references = {reference.id: reference for reference in collection}
    found: dict[str, ImageItem] = {}
    skipped = []
    for reference in references.values():
        item = ImageItem.at(reference.id, reference.location)
        if item is None:
            skipped.append(_not_there(reference))
        else:
            found[reference.id] = item
    images = {name: HeldImage(name, one.location, one.sha256) for name, one in references.items()}
    queries: dict[str, ImageItem] = {}
    for result in _read(list(found.values()), store, limits, progress):
        reference = references[result.id]
        if isinstance(result, SkippedImage):
            skipped.append(result)
        elif result.sha256 != reference.sha256:
            skipped.append(_changed(reference))
        else:
            images[result.id] = result
            queries.setdefault(result.sha256, found[result.id])
    store.remember([image for image in images.values() if image.version is None])
    store.keep_only(images)
    contents = {name: reference.sha256 for name, reference in references.items()}
    return Holding(tuple(images.values()), contents, queries, tuple(skipped))


def _not_there(reference: Reference) -> SkippedImage:
    reason = "its file is no longer there, so it was not compared with the others, only they with it"
    return SkippedImage(reference.id, reference.location, "missing", reason)


def _changed(reference: Reference) -> SkippedImage:
    reason = (
        "the file has changed since it was added, so it was not compared with the others, only they with it; add it "
        "again with `ectype collection add --replace`"
    )
    return SkippedImage(reference.id, reference.location, "changed", reason)


def list_photographs(folder: Path) -> list[ImageItem]:
    """Every image below a folder, under its path from there; a link to one of them is left out, being no copy.

    The ids of `list_images` lack the extension, so it refuses a picture that lies beside its copy in another format.

    Raises
    ------
    InvalidDataError
        There is none, or a folder can't be read.
    """
    found = {item.file or item.location: item for item in expand(str(folder), "path", None)}
    if not found:
        raise InvalidDataError(f"no images in {folder}; nothing that was remembered of it is forgotten")
    links = {path for path in found if os.path.islink(path)}
    files = {os.path.realpath(path) for path in found if path not in links} if links else set()
    items = [
        replace(item, id=printable(os.path.relpath(path, folder)))
        for path, item in found.items()
        if path not in links or os.path.realpath(path) not in files
    ]
    refuse_repeated_ids(items)
    return items


def hold_photographs(
    photographs: Sequence[ImageItem],
    collection: Collection,
    store: Store,
    model: DescriptorModel,
    limits: ImageLimits,
    progress: Progress,
) -> Holding:
    """Look at photographs from `list_photographs` and bring the collection that is kept for them up to date.

    The collection has each content once, under its digest, so that a renamed file needs no work, and many equal files
    do not hide others.
    """
    items = {item.id: item for item in photographs}
    images, skipped = [], []
    for result in _read(photographs, store, limits, progress):
        if isinstance(result, SkippedImage):
            skipped.append(result)
        else:
            images.append(result)
    owners: dict[str, list[HeldImage]] = {}
    for image in images:
        owners.setdefault(image.sha256, []).append(image)
    outdated = [one.id for one in collection if not _is_current(one, owners.get(one.id, []))]
    if outdated:
        collection.remove(outdated)
    kept = {reference.id for reference in collection}
    new = [replace(items[some[0].id], id=content) for content, some in owners.items() if content not in kept]
    if new:
        with progress("describing", len(new)) as on_progress:
            report = collection.add(new, model, limits=limits, on_progress=on_progress)
        for row in report.skipped:
            skipped += [replace(row, id=one.id, location=one.location) for one in owners.pop(row.id)]
    held = tuple(image for some in owners.values() for image in some)
    store.keep_only(image.id for image in held)
    queries = {content: replace(items[some[0].id], id=content) for content, some in owners.items()}
    return Holding(held, {content: content for content in owners}, queries, tuple(skipped))


def _is_current(reference: Reference, owners: Sequence[HeldImage]) -> bool:
    """Whether a photograph is still where it was described."""
    return reference.sha256 == reference.id and reference.location in {image.location for image in owners}


def _read(
    items: Sequence[ImageItem], store: Store, limits: ImageLimits, progress: Progress
) -> Iterator[HeldImage | SkippedImage]:
    """Read images, and remember what was read, a transaction every 256."""
    known = store.images()
    with progress("reading", len(items)) as on_progress:
        for start in range(0, len(items), IMAGES_A_TRANSACTION):
            results = list(look_at(items[start : start + IMAGES_A_TRANSACTION], known.get, limits))
            store.remember([one for one in results if isinstance(one, HeldImage) and one is not known.get(one.id)])
            on_progress(len(results))
            yield from results
