"""What is to be published of a data set, or of a sealed release, before anything is sent."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import get_args

from ectype.challenge.manifest import Role
from ectype.challenge.releases.contents import Contents, manifest_bytes
from ectype.challenge.releases.listing import LISTING, Kind, Release, parse_release
from ectype.challenge.releases.places import BLOCK
from ectype.challenge.releases.shards import SHARD_BYTES, pack, shard_bytes, split_into_shards
from ectype.errors import ChallengeError, UsageError


@dataclass(frozen=True, slots=True, eq=False)
class PlannedFile:
    """A file to be published, whose digest is not known yet."""

    stem: str
    suffix: str
    kind: Kind
    size: int
    blocks: Callable[[], Iterator[bytes]]
    path: str = ""
    images: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What is to be published.

    Attributes
    ----------
    root : Path
        Where it is taken from.
    files : tuple of PlannedFile
    truth_commitment, key_commitment : str or None
    sealed : Release or None
        The listing of a sealed release, which is published as it is.
    """

    root: Path
    files: tuple[PlannedFile, ...]
    truth_commitment: str | None = None
    key_commitment: str | None = None
    sealed: Release | None = None

    @property
    def size(self) -> int:
        """Bytes of all files together; each is read to be checked, and again to be sent."""
        return sum(file.size for file in self.files)


def plan_release(root: str | Path, contents: Contents | None = None, shard_size: int = SHARD_BYTES) -> Plan:
    """Decide what is to be published of a data set, or of a sealed release.

    Parameters
    ----------
    root : path
        The folder of a data set, or one that `seal` has written, which is published as it is.
    contents : Contents, optional
        By default all images of ``manifest.csv``.
    shard_size : int
        Most bytes of a tar shard.

    Raises
    ------
    ChallengeError
        There is no manifest, or a file can't be released.
    UsageError
        `contents` is given for a sealed release, or includes an image or the manifest.
    """
    root = Path(root)
    if (root / LISTING).exists():
        if contents is not None and contents != Contents():
            raise UsageError(f"{root}: is a sealed release, which is published as it is; leave the other options out")
        return _plan_of_sealed(root)
    contents = contents or Contents()
    manifest = contents.read_manifest(root)
    contents.check_included(manifest)
    entries = [entry for entry in manifest.entries if entry.role in contents.roles]
    listed = manifest_bytes(root / contents.manifest, entries, manifest)
    files = [_in_memory("manifest", contents.manifest, listed)]
    for role in get_args(Role):
        of_role = [entry for entry in entries if entry.role == role]
        for number, shard in enumerate(split_into_shards(of_role, shard_size)):
            blocks = partial(pack, root, shard)
            stem = f"{role}-{number:05}"
            files.append(PlannedFile(stem, ".tar", role, shard_bytes(shard), blocks, images=len(shard)))
    for path in contents.include:
        files.append(_on_disk("extra", root, path))
    return Plan(root, tuple(files), contents.truth_commitment)


def _plan_of_sealed(root: Path) -> Plan:
    release = parse_release((root / LISTING).read_bytes(), str(root / LISTING))
    if not release.is_sealed:
        raise UsageError(f"{root}: is a release, but not a sealed one; publish its data set")
    files = tuple(
        PlannedFile(file.name.split(".")[0], ".bin", "sealed", file.bytes, partial(_blocks, root / file.name))
        for file in release.files
    )
    return Plan(root, files, release.truth_commitment, release.key_commitment, release)


def _in_memory(kind: Kind, path: str, content: bytes) -> PlannedFile:
    return PlannedFile(*_stem_and_suffix(path), kind, len(content), lambda: iter((content,)), path)


def _on_disk(kind: Kind, root: Path, path: str) -> PlannedFile:
    try:
        size = (root / path).stat().st_size
    except OSError as error:
        raise ChallengeError(f"{root / path}: can't be read: {error.strerror}") from error
    return PlannedFile(*_stem_and_suffix(path), kind, size, partial(_blocks, root / path), path)


def _stem_and_suffix(path: str) -> tuple[str, str]:
    """For the name at a place: signs that every server and shell takes."""
    pure = PurePosixPath(path)
    suffix = pure.suffix if re.fullmatch(r"\.[A-Za-z0-9]{1,10}", pure.suffix) else ""
    return re.sub("[^A-Za-z0-9]+", "-", path.removesuffix(suffix))[:100].strip("-") or "file", suffix


def _blocks(path: Path) -> Iterator[bytes]:
    try:
        with open(path, "rb") as file:
            while block := file.read(BLOCK):
                yield block
    except OSError as error:
        raise ChallengeError(f"{path}: can't be read: {error.strerror}") from error
