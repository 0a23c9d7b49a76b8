"""Tar shards whose bytes follow from the manifest alone.

A shard holds images in the order of the manifest, each with a ustar header that has nothing but the path and the size
in it. So a shard can be made again at any time, has no need of a listing of its own, and is unpacked by comparing its
headers with those that must be there: links, devices, paths that leave the folder and sizes that lie are all the same
case, a header that differs. Any ``tar`` unpacks a shard as well.
"""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from ectype.challenge.manifest import ManifestEntry
from ectype.challenge.releases.listing import is_place_in_root
from ectype.errors import ChallengeError
from ectype.storage import storage_error

SHARD_BYTES = 256 << 20
"""Minutes of downloading for most people, and few enough files for a million images."""

_BLOCK = 1 << 20
_END = bytes(1024)  # two empty records end an archive


class Source(Protocol):
    """What is read from front to end."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; none at the end."""
        ...


def header(entry: ManifestEntry) -> bytes:
    """The 512 bytes before an image.

    Raises
    ------
    ChallengeError
        The path is longer than the format allows, is kept for Ectype's own use, or the file is larger than 8 GiB.
    """
    check_path(entry)
    member = tarfile.TarInfo(entry.path)
    member.size = entry.bytes
    try:
        return member.tobuf(tarfile.USTAR_FORMAT, "utf-8", "strict")
    except ValueError as error:  # what can't be encoded is one, too
        raise ChallengeError(
            f"{entry.path}: can't be put into a tar archive: {error}; give it a shorter path"
        ) from None


def check_path(entry: ManifestEntry) -> None:
    """Raise `ChallengeError` if an image may not stand at its path; see `is_place_in_root`."""
    if not is_place_in_root(entry.path):
        raise ChallengeError(
            f"{entry.path!r}: can't be released; no part of a path may be empty, begin with a dot, "
            "or have signs that can't be printed"
        )


def bytes_in_tar(entry: ManifestEntry) -> int:
    """What an image takes up, with its header and filled up to whole records."""
    return 512 + entry.bytes + _filling(entry)


def shard_bytes(entries: Iterable[ManifestEntry]) -> int:
    """Size of the shard of these images."""
    return sum(map(bytes_in_tar, entries)) + len(_END)


def split_into_shards(entries: Sequence[ManifestEntry], size: int = SHARD_BYTES) -> list[tuple[ManifestEntry, ...]]:
    """Divide images into consecutive shards of at most `size` bytes; a larger image has a shard of its own."""
    shards: list[list[ManifestEntry]] = []
    left = 0
    for entry in entries:
        needed = bytes_in_tar(entry)
        if not shards or needed > left:
            shards.append([])
            left = size - len(_END)
        shards[-1].append(entry)
        left -= needed
    return [tuple(shard) for shard in shards]


def pack(root: Path, entries: Iterable[ManifestEntry]) -> Iterator[bytes]:
    """The bytes of a shard, block by block; raises as `pack_images`."""
    yield from pack_images(root, entries)
    yield _END


def pack_images(root: Path, entries: Iterable[ManifestEntry]) -> Iterator[bytes]:
    """The bytes of a shard without its end, block by block.

    Raises
    ------
    ChallengeError
        An image is missing, can't be read, or is not what the manifest says.
    """
    for entry in entries:
        yield header(entry)
        yield from image_blocks(root, entry)
        yield bytes(_filling(entry))


def image_blocks(root: Path, entry: ManifestEntry) -> Iterator[bytes]:
    """The bytes of an image, block by block; an image that is not what the manifest says ends with an error."""
    digest, left = hashlib.sha256(), entry.bytes
    try:
        with open(root / entry.path, "rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
                left -= len(block)
                if left < 0:
                    break
                yield block
    except OSError as error:
        raise ChallengeError(f"{root / entry.path}: can't be read: {error.strerror}") from error
    if left or digest.hexdigest() != entry.sha256:
        raise ChallengeError(
            f"{root / entry.path}: not the file that the manifest lists; make the manifest again, or put the file back"
        )


def unpack(source: Source, entries: Iterable[ManifestEntry], target: Callable[[ManifestEntry], Path]) -> Iterator[int]:
    """Write the images that a source has in front, each checked against the manifest; yields the bytes of each.

    Parameters
    ----------
    source : Source
        Read as far as the images go.
    entries : iterable of ManifestEntry
        The images that must be there, in this order.
    target : callable
        Where each image is to be written; the folder must be there.

    Raises
    ------
    ChallengeError
        Something else is there.
    StorageError
        The disk refused.
    """
    for entry in entries:
        if _read_exactly(source, 512) != header(entry):
            raise ChallengeError(f"{entry.path}: the release has something else where the manifest has this image")
        path = target(entry)
        try:
            with open(path, "xb") as file:
                digest = _copy(source, file.write, entry.bytes)
        except OSError as error:
            raise storage_error(path, error) from error
        if digest != entry.sha256 or any(_read_exactly(source, _filling(entry))):
            raise ChallengeError(f"{entry.path}: the release has another image than the manifest lists")
        yield bytes_in_tar(entry)


def read_end(source: Source) -> None:
    """Raise `ChallengeError` unless the archive ends here, and the source with it."""
    if source.read(len(_END) + 1) != _END:
        raise ChallengeError("the release has more images in a shard than the manifest")


def _filling(entry: ManifestEntry) -> int:
    return -entry.bytes % 512


def _copy(source: Source, write: Callable[[bytes], object], size: int) -> str:
    digest = hashlib.sha256()
    while size:
        block = _read_exactly(source, min(size, _BLOCK))
        digest.update(block)
        write(block)
        size -= len(block)
    return digest.hexdigest()


def _read_exactly(source: Source, size: int) -> bytes:
    block = source.read(size)
    if len(block) != size:
        raise ChallengeError("a shard of the release ends too early")
    return block
