"""Photographs packed small, in shards: what training reads fastest, and what fits through a narrow line."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from ectype.descriptors.runtimes import available_cores
from ectype.errors import InvalidDataError, UnreadableImageError, UsageError
from ectype.images import ImageItem, decode_image
from ectype.storage import replacing
from ectype_training.photographs import tell_left_out

MIB = 1 << 20
_BLOCK = 512  # bytes; a tar file is made of such
_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class Packing:
    """How photographs are packed.

    Attributes
    ----------
    longest : int
        Pixels of the longer side, at most; smaller photographs keep their size.
    smallest : int
        Photographs with a shorter side below this are left out.
    quality : int
        Of WebP, 1 to 100.
    shard_mib : float
        A shard is not larger than this, in MiB.
    """

    longest: int = 240
    smallest: int = 64
    quality: int = 90
    shard_mib: float = 60

    def __post_init__(self) -> None:
        if not 1 <= self.quality <= 100:
            raise UsageError(f"quality is 1 to 100, not {self.quality}")
        if self.smallest < 1 or self.longest < self.smallest:
            raise UsageError(f"sides from {self.smallest} to {self.longest} pixels are no range")
        if not self.shard_mib > 0:
            raise UsageError(f"shards need a size above 0 MiB, not {self.shard_mib}")


def pack(items: Sequence[ImageItem], folder: Path, packing: Packing) -> list[Path]:
    """Write photographs as ``shard-000.tar``, …; each is whole or not there.

    Parameters
    ----------
    items : sequence of ImageItem
    folder : Path
        Made if it is not there; one that has shards is refused.
    packing : Packing

    Returns
    -------
    list of Path

    Raises
    ------
    UsageError
        The folder has shards.
    InvalidDataError
        Nothing could be packed.
    StorageError
        The disk refused.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.glob("shard-*.tar")):
        raise UsageError(f"{folder}: has shards; remove them, or choose another folder")
    shards = []
    files = _files(items, packing)
    pending = next(files, None)
    if pending is None:
        raise InvalidDataError("none of the photographs can be read or is large enough, so there is nothing to pack")
    for number in count():
        if pending is None:
            break
        path = folder / f"shard-{number:03}.tar"
        room = packing.shard_mib * MIB - 2 * _BLOCK  # the end of an archive
        with replacing(path) as temporary, tarfile.open(temporary, "w", format=tarfile.PAX_FORMAT) as archive:
            first = True
            while pending is not None and (first or _size_in_archive(pending[1]) <= room):
                name, content = pending
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
                room -= _size_in_archive(content)
                first = False
                pending = next(files, None)
        shards.append(path)
        print(f"{path}: {path.stat().st_size / MIB:.1f} MiB", flush=True)
    return shards


def _files(items: Sequence[ImageItem], packing: Packing) -> Iterator[tuple[str, bytes]]:
    with ThreadPoolExecutor(available_cores()) as pool:
        for begin in range(0, len(items), _AT_ONCE):
            part = items[begin : begin + _AT_ONCE]
            small: Iterable[bytes | None] = pool.map(lambda item: _shrunk(item, packing), part)
            for item, content in zip(part, small, strict=True):
                if content is not None:
                    yield f"{item.id}.webp", content


def _shrunk(item: ImageItem, packing: Packing) -> bytes | None:
    import cv2

    try:
        pixels = decode_image(item.read())
    except UnreadableImageError as error:
        tell_left_out(item.location, error)
        return None
    if min(pixels.shape[:2]) < packing.smallest:
        return None
    scale = packing.longest / max(pixels.shape[:2])
    if scale < 1:
        height, width = (max(1, round(side * scale)) for side in pixels.shape[:2])
        pixels = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
    _, content = cv2.imencode(".webp", pixels[..., ::-1], [cv2.IMWRITE_WEBP_QUALITY, packing.quality])
    return content.tobytes()


def _size_in_archive(content: bytes) -> int:
    """With its header, which a long name may take three blocks more for."""
    return 4 * _BLOCK + -(-len(content) // _BLOCK) * _BLOCK
