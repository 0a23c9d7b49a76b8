"""From images to rows of a collection, and the errors on the way."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ectype.collection.prepared_codec import pack
from ectype.collection.records import NewImage, Reference
from ectype.descriptors import DescribedImage, DescriptorModel, describe_images
from ectype.errors import DuplicateIdError, UnreadableImageError
from ectype.images import ImageItem, ImageLimits, decode_image, displayed_size
from ectype.types import SkippedImage
from ectype.verification import SIDE, prepare


def make_rows(
    items: Sequence[ImageItem], model: DescriptorModel, limits: ImageLimits, *, keep_features: bool
) -> list[NewImage | SkippedImage]:
    """Make of a few images what is stored of each; one that can't be read becomes a row of the skip report.

    A URL that a list gives of an image takes the place of its path.
    """
    if keep_features:  # which take far longer than descriptors
        return [_with_features(item, model, limits) for item in items]
    described = describe_images(items, model, limits)
    return [
        result if isinstance(result, SkippedImage) else _row(item, result, None)
        for item, result in zip(items, described, strict=True)
    ]


def _with_features(item: ImageItem, model: DescriptorModel, limits: ImageLimits) -> NewImage | SkippedImage:
    try:
        read_once = replace(item, content=item.read(limits))
        (described,) = describe_images([read_once], model, limits)
        if isinstance(described, SkippedImage):
            return described
        return _row(item, described, _features(read_once, limits))
    except UnreadableImageError as error:
        return SkippedImage(item.id, item.location, error.code, str(error))


def _row(item: ImageItem, described: DescribedImage, features: bytes | None) -> NewImage:
    metadata = dict(item.metadata)
    location = str(metadata.pop("url", None) or _absolute(item))
    return NewImage(item.id, described.sha256, location, metadata, described.vector, features)


def _features(item: ImageItem, limits: ImageLimits) -> bytes:
    data = item.read(limits)
    pixels = decode_image(data, limits=limits, at_least=SIDE)
    return pack(prepare(pixels, "reference", displayed_size(data, pixels)))


def _absolute(item: ImageItem) -> str:
    if item.content is not None:
        return item.location
    if item.span is not None:  # the name of an archive's member must stay as it is
        return os.path.join(os.getcwd(), item.location)
    return os.path.abspath(item.location)


def refuse_repeated_ids(items: Sequence[ImageItem]) -> None:
    """Raise `DuplicateIdError` if two of the images have one id."""
    first: dict[str, ImageItem] = {}
    for item in items:
        if first.setdefault(item.id, item) is not item:
            raise DuplicateIdError(
                f"two images have the id {item.id!r}: {first[item.id].location} and {item.location}; "
                "every image needs an id of its own"
            )


def conflict_message(folder: Path, changed: Sequence[tuple[ImageItem, Reference]]) -> str:
    """For images whose ids are taken, with the owners of these."""
    shown = [f"  {item.id!r}: {item.location} and, in the collection, {owner.location}" for item, owner in changed[:10]]
    if len(changed) > 10:
        shown.append(f"  and {len(changed) - 10} more")
    return (
        f"{folder}: nothing was added, since {len(changed)} ids are taken by images with other content:\n"
        + "\n".join(shown)
        + "\nrename the files, give ids in a list, or exchange the stored images with --replace"
    )


def taken_meanwhile(item: ImageItem, owner: Reference) -> SkippedImage:
    """The row of the skip report for an image whose id another process has taken since this one looked."""
    reason = f"another process has added {owner.location} with this id meanwhile; give this one another"
    return SkippedImage(item.id, item.location, "duplicate-id", reason)
