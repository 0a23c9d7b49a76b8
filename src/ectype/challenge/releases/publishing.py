"""Sending a release to a place: images as tar shards, ``release.json`` last."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ectype.challenge.releases.contents import Contents, manifest_bytes
from ectype.challenge.releases.downloading import read_release
from ectype.challenge.releases.listing import (
    LISTING,
    Kind,
    Release,
    ReleaseFile,
    named_by_digest,
    parse_release,
)
from ectype.challenge.releases.parallel import OnProgress, in_parallel
from ectype.challenge.releases.places import BLOCK, Place
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
    files : tuple of PlannedFile
    truth_commitment, key_commitment : str or None
    sealed : Release or None
        The listing of a sealed release, which is published as it is.
    """

    files: tuple[PlannedFile, ...]
    truth_commitment: str | None = None
    key_commitment: str | None = None
    sealed: Release | None = None

    @property
    def size(self) -> int:
        """Bytes of all files together; each is read to be checked, and again to be sent."""
        return sum(file.size for file in self.files)


@dataclass(frozen=True, slots=True)
class PublishReport:
    """What was published.

    Attributes
    ----------
    release : Release
    sent : int
        Files that were sent; the others were there already.
    """

    release: Release
    sent: int


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
        `contents` is given for a sealed release.
    """
    root = Path(root)
    if (root / LISTING).exists():
        if contents is not None and contents != Contents():
            raise UsageError(f"{root}: is a sealed release, which is published as it is; leave the other options out")
        return _plan_of_sealed(root)
    contents = contents or Contents()
    manifest = contents.read_manifest(root)
    entries = [entry for entry in manifest.entries if entry.role in contents.roles]
    listed = manifest_bytes(root / contents.manifest, entries, manifest)
    files = [_in_memory("manifest", contents.manifest, listed)]
    for role in contents.roles:
        of_role = [entry for entry in entries if entry.role == role]
        for number, shard in enumerate(split_into_shards(of_role, shard_size)):
            blocks = partial(pack, root, shard)
            stem = f"{role}-{number:05}"
            files.append(PlannedFile(stem, ".tar", role, shard_bytes(shard), blocks, images=len(shard)))
    for path in contents.include:
        files.append(_on_disk("extra", root, path))
    return Plan(tuple(files), contents.truth_commitment)


def publish(
    plan: Plan, place: Place, *, replace: bool = False, workers: int = 4, on_progress: OnProgress | None = None
) -> PublishReport:
    """Send what was planned to a place. What is there already is not sent again; ``release.json`` is written last.

    Parameters
    ----------
    plan : Plan
    place : Place
    replace : bool
        Put this release in the place of another one.
    workers : int
        Files sent at once.
    on_progress : callable, optional
        Called with numbers of bytes; their sum is twice `plan.size`.

    Raises
    ------
    ChallengeError
        A file is not what the manifest says, changes meanwhile, or the place holds another release.
    StorageError
        The place refuses. Repeating the call goes on.
    UsageError
        The place can only be read.
    """
    there = read_release(place) if place.size(LISTING) is not None else None
    files = tuple(in_parallel(_listed, plan.files, workers, on_progress))
    release = Release(files, plan.truth_commitment, plan.key_commitment)
    if plan.sealed not in (None, release):
        raise ChallengeError("the sealed release is damaged: its files are not those it lists; seal again")
    if there is not None and there != release and not replace:
        raise ChallengeError(
            f"{place.address}: holds another release, of SHA-256 {there.sha256}; choose another place, "
            "or put this one in its place with --replace"
        )
    send = partial(_send, place)
    sent = sum(in_parallel(send, list(zip(plan.files, files, strict=True)), workers, on_progress))
    if there != release:
        place.write(LISTING, [release.to_json()])
    return PublishReport(release, sent)


def _plan_of_sealed(root: Path) -> Plan:
    release = parse_release((root / LISTING).read_bytes(), str(root / LISTING))
    if not release.is_sealed:
        raise UsageError(f"{root}: is a release, but not a sealed one; publish its data set")
    files = tuple(
        PlannedFile(file.name.split(".")[0], ".bin", "sealed", file.bytes, partial(_blocks, root / file.name))
        for file in release.files
    )
    return Plan(files, release.truth_commitment, release.key_commitment, release)


def _in_memory(kind: Kind, path: str, content: bytes) -> PlannedFile:
    return PlannedFile(Path(path).stem, Path(path).suffix, kind, len(content), lambda: iter((content,)), path)


def _on_disk(kind: Kind, root: Path, path: str) -> PlannedFile:
    try:
        size = (root / path).stat().st_size
    except OSError as error:
        raise ChallengeError(f"{root / path}: can't be read: {error.strerror}") from error
    return PlannedFile(Path(path).stem, Path(path).suffix, kind, size, partial(_blocks, root / path), path)


def _blocks(path: Path) -> Iterator[bytes]:
    try:
        with open(path, "rb") as file:
            while block := file.read(BLOCK):
                yield block
    except OSError as error:
        raise ChallengeError(f"{path}: can't be read: {error.strerror}") from error


def _listed(planned: PlannedFile, tick: OnProgress) -> ReleaseFile:
    digest, size = hashlib.sha256(), 0
    for block in planned.blocks():
        digest.update(block)
        size += len(block)
        tick(len(block))
    sha256 = digest.hexdigest()
    name = named_by_digest(planned.stem, sha256, planned.suffix)
    return ReleaseFile(name, planned.kind, size, sha256, planned.path, planned.images)


def _send(place: Place, item: tuple[PlannedFile, ReleaseFile], tick: OnProgress) -> bool:
    planned, file = item
    if place.size(file.name) == file.bytes:
        tick(file.bytes)
        return False
    place.write(file.name, _unchanged(planned, file, tick))
    return True


def _unchanged(planned: PlannedFile, file: ReleaseFile, tick: OnProgress) -> Iterator[bytes]:
    digest = hashlib.sha256()
    for block in planned.blocks():
        digest.update(block)
        tick(len(block))
        yield block
    if digest.hexdigest() != file.sha256:
        raise ChallengeError(f"{file.path or file.name}: has changed while it was sent; run the same command again")
