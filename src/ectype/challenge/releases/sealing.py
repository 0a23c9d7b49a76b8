"""Sealing: what must not be seen before the opening, encrypted, to be downloaded days ahead.

The manifest and the images, as one tar archive without gaps, make one row of bytes that is cut into pieces of equal
size. So a sealed release shows how many bytes it holds, and nothing of the number, the names or the sizes of images.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

from ectype.challenge.manifest import ManifestEntry, Role
from ectype.challenge.releases.contents import Contents
from ectype.challenge.releases.listing import LISTING, Release, ReleaseFile, named_by_digest
from ectype.challenge.releases.secrets import Key, check_is_free, write_key
from ectype.challenge.releases.shards import bytes_in_tar, pack_images
from ectype.challenge.releases.stream import CHUNK, PieceNumber, seal_piece
from ectype.errors import UsageError
from ectype.storage import flush_to_disk, storage_error
from ectype.types import OnProgress

PIECE_BYTES = 256 << 20
"""Of a sealed file, before encryption; a multiple of a chunk."""


@dataclass(frozen=True, slots=True, eq=False)
class SealPlan:
    """What is to be sealed.

    Attributes
    ----------
    root : Path
        The data set.
    contents : Contents
    entries : tuple of ManifestEntry
        The images.
    head : bytes
        What stands before the images: a line that says what follows, and the whole manifest.
    """

    root: Path
    contents: Contents
    entries: tuple[ManifestEntry, ...]
    head: bytes

    @property
    def size(self) -> int:
        """Bytes before encryption."""
        return len(self.head) + sum(map(bytes_in_tar, self.entries))


@dataclass(frozen=True, slots=True)
class SealReport:
    """What was sealed.

    Attributes
    ----------
    release : Release
    images : int
    """

    release: Release
    images: int


def plan_seal(root: str | Path, contents: Contents) -> SealPlan:
    """Decide what is to be sealed: images of some roles, and the whole manifest.

    Raises
    ------
    ChallengeError
        There is no manifest, or it lists no image of the roles.
    UsageError
        `contents` names other files, which can't be sealed.
    """
    root = Path(root)
    if contents.include:
        raise UsageError("a sealed release holds a manifest and images; publish other files by themselves")
    entries = tuple(entry for entry in contents.read_manifest(root).entries if entry.role in contents.roles)
    manifest = (root / contents.manifest).read_bytes()
    return SealPlan(root, contents, entries, head_of(contents.manifest, contents.roles, manifest) + manifest)


def seal(
    plan: SealPlan,
    out: str | Path,
    key_file: str | Path,
    *,
    piece_size: int = PIECE_BYTES,
    on_progress: OnProgress | None = None,
) -> SealReport:
    """Encrypt what was planned, under a new key.

    The folder of the release appears whole; before that, the key file is written, which its owner alone may read.

    Parameters
    ----------
    plan : SealPlan
    out : path
        The folder of the release, which must not be there. It is to be published as it is.
    key_file : path
        Where the key is written, outside of `out`; kept secret until the opening.
    piece_size : int
        Bytes of a piece before encryption; a multiple of 1,048,576.
    on_progress : callable, optional
        Called with numbers of bytes; their sum is a little more than `plan.size`.

    Raises
    ------
    ChallengeError
        An image is not what the manifest says.
    UsageError
        `out` or the key file is there already, or the key would lie in `out`.
    StorageError
        The disk refused.
    MissingPackageError
        cryptography is not installed.
    """
    out, key_file = Path(out), Path(key_file)
    if os.path.lexists(out):
        raise UsageError(f"{out}: is there already; choose another folder for the sealed release")
    if out.absolute() in key_file.absolute().parents:
        raise UsageError(f"{key_file}: the key must not lie in the folder that is handed out")
    check_is_free(key_file)
    key = Key.new()
    aside = out.with_name(f".{out.name}.sealing")
    try:
        shutil.rmtree(aside, ignore_errors=True)  # of a call that was killed
        aside.mkdir(parents=True)
        pieces = tuple(_pieces(plan, key, aside, piece_size, on_progress))
        release = Release(pieces, plan.contents.truth_commitment, key.commitment)
        (aside / LISTING).write_bytes(release.to_json())
        flush_to_disk(aside / LISTING)
        write_key(key_file, key)
        os.replace(aside, out)
        flush_to_disk(out.parent)
    except OSError as error:
        raise storage_error(out, error) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return SealReport(release, len(plan.entries))


def head_of(path: str, roles: tuple[Role, ...], manifest: bytes) -> bytes:
    """The line that stands first in what is sealed."""
    value = {"manifest": path, "roles": roles, "bytes": len(manifest), "sha256": hashlib.sha256(manifest).hexdigest()}
    return json.dumps(value, ensure_ascii=False).encode() + b"\n"


def _pieces(
    plan: SealPlan, key: Key, folder: Path, piece_size: int, on_progress: OnProgress | None
) -> Iterator[ReleaseFile]:
    count = -(-plan.size // piece_size)
    chunks = _chunks(chain((plan.head,), pack_images(plan.root, plan.entries)))
    for index in range(count):
        temporary = folder / "piece"
        digest, size = hashlib.sha256(), 0
        of_piece = islice(chunks, piece_size // CHUNK)
        with open(temporary, "wb") as file:
            for block in seal_piece(of_piece, key, PieceNumber(index, count)):
                digest.update(block)
                file.write(block)
                size += len(block)
                if on_progress is not None:
                    on_progress(len(block))
        name = named_by_digest(f"sealed-{index:05}", digest.hexdigest(), ".bin")
        flush_to_disk(temporary)
        os.replace(temporary, folder / name)
        yield ReleaseFile(name, "sealed", size, digest.hexdigest())


def _chunks(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes, `CHUNK` at a time."""
    held = bytearray()
    for block in blocks:
        held += block
        while len(held) >= CHUNK:
            with memoryview(held) as view:
                chunk = bytes(view[:CHUNK])
            yield chunk
            del held[:CHUNK]
    if held:
        yield bytes(held)
