"""Opening a sealed release with its key."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any, get_args

from ectype.challenge.manifest import ManifestEntry, Role, read_manifest
from ectype.challenge.releases.arriving import Arrivals, check_room
from ectype.challenge.releases.listing import LISTING, Release, is_place_in_root, parse_release
from ectype.challenge.releases.parallel import in_parallel
from ectype.challenge.releases.secrets import Key
from ectype.challenge.releases.shards import bytes_in_tar, split_into_shards
from ectype.challenge.releases.stream import SealedReader, SealedStream
from ectype.errors import ChallengeError
from ectype.storage import replacing
from ectype.types import OnProgress

DELIVERY_BYTES = 64 << 20
"""Of images that are unpacked by one thread, and then get their names together."""

_MOST_BYTES_OF_A_LINE = 4096


@dataclass(frozen=True, slots=True)
class UnsealReport:
    """What was opened.

    Attributes
    ----------
    images : int
        Images of the release that are there now.
    written : int
        How many were written; the others were there already, or came with their neighbours.
    """

    images: int
    written: int


@dataclass(frozen=True, slots=True, eq=False)
class _Delivery:
    start: int
    entries: tuple[ManifestEntry, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Head:
    path: str
    roles: tuple[Role, ...]
    manifest: bytes
    end: int


def read_sealed(folder: str | Path) -> Release:
    """Read what a folder with a sealed release lists, and see that it is whole.

    Raises
    ------
    ChallengeError
        The folder has no sealed release, or a part of one.
    """
    folder = Path(folder)
    try:
        release = parse_release((folder / LISTING).read_bytes(), str(folder / LISTING))
    except OSError:
        raise ChallengeError(f"{folder}: no whole release: it has no {LISTING}; fetch it to the end first") from None
    if not release.is_sealed:
        raise ChallengeError(f"{folder}: the release is not sealed; there is nothing to open")
    for file in release.files:
        path = folder / file.name
        if not path.is_file() or path.stat().st_size != file.bytes:
            raise ChallengeError(f"{path}: is missing or not whole; fetch the release again")
    return release


def unseal(
    folder: str | Path,
    key: Key,
    root: str | Path,
    *,
    check: bool = False,
    workers: int = 4,
    on_progress: OnProgress | None = None,
) -> UnsealReport:
    """Open a sealed release into the layout of a data set.

    Every image is checked against the manifest. Repeating the call goes on where an earlier one was killed; the
    manifest is written last.

    Parameters
    ----------
    folder : path
        The sealed release, as it was fetched.
    key : Key
        What the host has published.
    root : path
        The folder of the data set: a new one, or that of an earlier phase.
    check : bool
        Read every image that is there already, and write those again that are damaged.
    workers : int
        Threads.
    on_progress : callable, optional
        Called with numbers of bytes; their sum is a little less than the size of the release.

    Raises
    ------
    ChallengeError
        The key belongs to another release, a file is damaged or was changed, or `root` is another data set's folder.
    StorageError
        The disk refused, or has too little room.
    MissingPackageError
        cryptography is not installed.
    """
    folder, root = Path(folder), Path(root)
    release = read_sealed(folder)
    if key.commitment != release.key_commitment:
        raise ChallengeError(f"{folder}: the key is that of another release; nothing is wrong with the files")
    stream = SealedStream([folder / file.name for file in release.files], key)
    head = _read_head(stream)
    with Arrivals(root) as arrivals:
        manifest = arrivals.folder / "manifest.csv"
        with replacing(manifest) as temporary:
            temporary.write_bytes(head.manifest)
        entries = [entry for entry in read_manifest(manifest).entries if entry.role in head.roles]
        if head.end + sum(map(bytes_in_tar, entries)) != stream.size:
            raise ChallengeError(f"{folder}: the sealed release does not end where its manifest says")
        arrivals.begin(manifest, hashlib.sha256(head.manifest).hexdigest(), root / head.path, entries)
        deliveries = _deliveries(entries, head.end)
        incomplete = in_parallel(
            lambda delivery, _: arrivals.missing(delivery.entries, check=check), deliveries, workers
        )
        needed = [delivery for delivery, lacks in zip(deliveries, incomplete, strict=True) if lacks]
        check_room(root, sum(entry.bytes for delivery in needed for entry in delivery.entries))
        in_parallel(partial(_receive, stream, arrivals), needed, workers, on_progress)
        arrivals.put(manifest, root / head.path)
        arrivals.finish()
    return UnsealReport(len(entries), sum(len(delivery.entries) for delivery in needed))


def _receive(stream: SealedStream, arrivals: Arrivals, delivery: _Delivery, tick: OnProgress) -> None:
    with stream.reader(delivery.start) as source:
        arrivals.receive(source, delivery.entries, f"images-{delivery.start}", tick)


def _deliveries(entries: Sequence[ManifestEntry], start: int) -> list[_Delivery]:
    groups = split_into_shards(entries, DELIVERY_BYTES)
    starts = accumulate((sum(map(bytes_in_tar, group)) for group in groups), initial=start)
    return [_Delivery(first, group) for first, group in zip(starts, groups, strict=False)]


def _read_head(stream: SealedStream) -> _Head:
    with stream.reader(0) as reader:
        line = _first_line(reader)
        try:
            value: Any = json.loads(line)
            path, roles, size, sha256 = (value[key] for key in ("manifest", "roles", "bytes", "sha256"))
            if not is_place_in_root(path) or not set(roles) <= set(get_args(Role)) or type(size) is not int:
                raise ValueError
        except (ValueError, KeyError, TypeError, AttributeError):
            raise ChallengeError("the sealed release begins with something else than its manifest") from None
    with stream.reader(len(line)) as reader:
        content = reader.read(size)
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ChallengeError("the sealed release has another manifest than it says")
    return _Head(path, tuple(roles), content, len(line) + size)


def _first_line(reader: SealedReader) -> bytes:
    line, newline, _ = reader.read(_MOST_BYTES_OF_A_LINE).partition(b"\n")
    return line + newline
