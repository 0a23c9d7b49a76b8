"""Sending a release to a place: images as tar shards, ``release.json`` last."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from ectype.challenge.releases.downloading import read_release
from ectype.challenge.releases.listing import LISTING, Release, ReleaseFile, named_by_digest
from ectype.challenge.releases.parallel import in_parallel
from ectype.challenge.releases.places import Place
from ectype.challenge.releases.planning import Plan, PlannedFile
from ectype.errors import ChallengeError, UsageError
from ectype.types import OnProgress


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
        The place can only be read, or is the folder of the data set itself.
    """
    if place.is_folder(plan.root):
        raise UsageError(f"{place.address}: is the folder that is to be published; choose another place")
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
