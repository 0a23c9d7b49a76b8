"""From a photograph to an image of a data set: one size, one encoding, nothing but pixels."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ectype.errors import ChallengeError, UnreadableImageError
from ectype.images import ImageItem, decode_image
from ectype.storage import storage_error
from ectype.transformations.kinds import Pixels
from ectype.transformations.recipe import LONGEST_SIDE

_QUALITY = 90  # of references and training images, as JPEG


@dataclass(frozen=True, slots=True)
class MadeImage:
    """An image that lies in the data set.

    Attributes
    ----------
    id : str
    bytes : int
    sha256 : str
    record : str
        How it was made, as a line of ``recipes.jsonl``; empty for one that is not edited.
    """

    id: str
    bytes: int
    sha256: str
    record: str = ""


@dataclass(frozen=True, slots=True)
class PhotographTask:
    """Write some photographs as references or training images: a `Task` for a `Crew`."""

    folder: Path
    ids: tuple[str, ...]
    items: tuple[ImageItem, ...]

    def work(self) -> list[MadeImage]:
        """One image an item.

        Raises
        ------
        ChallengeError
            A photograph can't be read any more.
        StorageError
            The disk refused.
        """
        return [
            write_image(self.folder, name, image_file(item)) for name, item in zip(self.ids, self.items, strict=True)
        ]


def image_file(item: ImageItem) -> bytes:
    """A photograph as a JPEG file of at most 1024 pixels a side, with nothing of its metadata.

    Raises
    ------
    ChallengeError
        It can't be read any more.
    """
    import cv2

    try:
        pixels = decode_image(item.read(), at_least=LONGEST_SIDE)
    except UnreadableImageError as error:
        raise ChallengeError(
            f"{item.location}: could be read at first, and now can't: {error}; put it back as it was and run the same "
            "command again, or make the data set without it, in a new folder"
        ) from error
    height, width = pixels.shape[:2]
    scale = LONGEST_SIDE / max(height, width)
    if scale < 1:
        size = max(1, round(width * scale)), max(1, round(height * scale))
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    return encode(pixels, _QUALITY)


def image_pixels(item: ImageItem) -> Pixels:
    """The pixels of `image_file`, so that a copy is made of what its reference shows."""
    return decode_image(image_file(item))


def encode(pixels: Pixels, quality: int) -> bytes:
    """RGB pixels (h, w, 3) as a JPEG file."""
    import cv2

    _, content = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return bytes(content.tobytes())


def write_image(folder: Path, name: str, content: bytes, record: str = "") -> MadeImage:
    """Write an image file.

    Raises
    ------
    StorageError
        The disk refused.
    """
    path = folder / f"{name}.jpg"
    try:
        path.write_bytes(content)
    except OSError as error:
        raise storage_error(path, error) from error
    return MadeImage(name, len(content), hashlib.sha256(content).hexdigest(), record)
