"""Getting a release from a place, into the layout of a data set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

from ectype.challenge.manifest import ManifestEntry, Role, read_manifest
from ectype.challenge.releases.arriving import Arrivals, check_room, digest_of
from ectype.challenge.releases.downloading import Download, Manners
from ectype.challenge.releases.listing import LISTING, Release, ReleaseFile
from ectype.challenge.releases.parallel import in_parallel
from ectype.challenge.releases.places import Place
from ectype.challenge.releases.shards import read_end, shard_bytes
from ectype.errors import ChallengeError, UsageError
from ectype.storage import flush_to_disk, replacing
from ectype.types import OnProgress

_MOST_BYTES_OF_A_MANIFEST = 2 << 30


@dataclass(frozen=True, slots=True)
class FetchOptions:
    """How a release is fetched.

    Attributes
    ----------
    roles : tuple of {"reference", "query", "training"}
        Images of these roles alone. Of a sealed release everything is fetched.
    check : bool
        Read every image that is there already, and fetch those again that are damaged.
    workers : int
        Files fetched at once.
    manners : Manners
    """

    roles: tuple[Role, ...] = get_args(Role)
    check: bool = False
    workers: int = 4
    manners: Manners = field(default_factory=Manners)


@dataclass(frozen=True, slots=True)
class FetchReport:
    """What was fetched.

    Attributes
    ----------
    fetched : int
        Files that came; the others were there already.
    images : int
        Images of the release that are there now; 0 for a sealed one.
    """

    fetched: int
    images: int


@dataclass(frozen=True, slots=True, eq=False)
class _Shard:
    file: ReleaseFile
    entries: tuple[ManifestEntry, ...]


def fetch(
    place: Place,
    release: Release,
    root: str | Path,
    options: FetchOptions | None = None,
    on_progress: OnProgress | None = None,
) -> FetchReport:
    """Get a release: images into the layout of a data set, or the pieces of a sealed release as they are.

    What is there already is not fetched again, so repeating the call goes on where an earlier one ended, in the
    middle of a file if the server allows it. The manifest, or the ``release.json`` of a sealed release, is written
    last.

    Parameters
    ----------
    place : Place
    release : Release
        What `ectype.challenge.releases.read_release` found there.
    root : path
        The folder; made if it is not there.
    options : FetchOptions, optional
    on_progress : callable, optional
        Called with numbers of bytes; their sum is `release.size`.

    Raises
    ------
    ChallengeError
        The release is not what it says, or `root` is the folder of another data set.
    DownloadError
        A file can't be read, or is another one than the release lists.
    StorageError
        The disk refused, or has too little room.
    UsageError
        The release has no images with these roles.
    """
    root, options = Path(root), options or FetchOptions()
    with Arrivals(root) as arrivals:
        transfer = _Transfer(place, release, arrivals, options)
        report = transfer.sealed(on_progress) if release.is_sealed else transfer.open(on_progress)
        arrivals.finish()
    return report


class _Transfer:
    def __init__(self, place: Place, release: Release, arrivals: Arrivals, options: FetchOptions) -> None:
        self._place, self._release, self._arrivals, self._options = place, release, arrivals, options
        self._root = arrivals.root

    def sealed(self, on_progress: OnProgress | None) -> FetchReport:
        listing = self._root / LISTING
        content = self._release.to_json()
        if listing.exists() and listing.read_bytes() != content:
            raise ChallengeError(f"{self._root}: holds another release; choose another folder")
        # A piece got its name, which has a digest in it, after it had been checked.
        trusts = not self._options.check
        needed = [file for file in self._release.files if not _stands(file, self._root / file.name, trusts=trusts)]
        check_room(self._root, sum(file.bytes for file in needed))
        self._skip(self._release.size - sum(file.bytes for file in needed), on_progress)
        in_parallel(self._piece, needed, self._options.workers, on_progress)
        if not listing.exists():
            with replacing(listing) as temporary:
                temporary.write_bytes(content)
        return FetchReport(len(needed), 0)

    def _piece(self, file: ReleaseFile, tick: OnProgress) -> None:
        path = self._download(file, tick)
        flush_to_disk(path)
        self._arrivals.put(path, self._root / file.name)

    def open(self, on_progress: OnProgress | None) -> FetchReport:
        manifest, target = self._manifest(on_progress), self._root / self._release.manifest.path
        shards = self._shards(manifest)
        wanted = [shard for shard in shards if shard.file.kind in self._options.roles]
        if not wanted:
            raise UsageError(f"{self._place.address}: has no images with the role {' or '.join(self._options.roles)}")
        entries = [entry for shard in shards for entry in shard.entries]
        self._arrivals.begin(manifest, self._release.manifest.sha256, target, entries)
        extras = [file for file in self._release.files if file.kind == "extra" and self._is_missing(file)]
        incomplete = in_parallel(self._is_incomplete, wanted, self._options.workers)
        needed = [shard for shard, lacks in zip(wanted, incomplete, strict=True) if lacks]
        files = [*extras, *(shard.file for shard in needed)]
        check_room(self._root, sum(file.bytes for file in files) + self._size_of_largest(needed))
        self._skip(self._release.size - self._release.manifest.bytes - sum(file.bytes for file in files), on_progress)
        in_parallel(self._extra, extras, self._options.workers, on_progress)
        in_parallel(self._shard, needed, self._options.workers, on_progress)
        if manifest != target:
            self._arrivals.put(manifest, target)
        return FetchReport(len(files) + (manifest != target), sum(shard.file.images for shard in wanted))

    def _manifest(self, on_progress: OnProgress | None) -> Path:
        file = self._release.manifest
        if file.bytes > _MOST_BYTES_OF_A_MANIFEST:
            raise ChallengeError(f"{file.name}: a manifest of {file.bytes:,} bytes is too large to be read")
        if _stands(file, self._root / file.path):
            self._skip(file.bytes, on_progress)
            return self._root / file.path
        return self._download(file, on_progress or (lambda count: None))

    def _shards(self, manifest: Path) -> list[_Shard]:
        entries = read_manifest(manifest).entries
        left = {role: iter([entry for entry in entries if entry.role == role]) for role in get_args(Role)}
        shards = [_shard(file, left[file.kind]) for file in self._release.files if file.kind in left]
        if any(next(rest, None) for rest in left.values()):
            raise ChallengeError(f"{self._release.manifest.name}: lists images that are in no shard of the release")
        taken = {entry.path for entry in entries}
        for file in self._release.files:
            if file.path in taken:
                raise ChallengeError(f"{file.name}: the release puts it where an image belongs: {file.path}")
        return shards

    def _is_missing(self, file: ReleaseFile) -> bool:
        path = self._root / file.path
        if path.exists() and not _stands(file, path):
            raise ChallengeError(f"{path}: is there with another content than in the release; move it away")
        return not path.exists()

    def _is_incomplete(self, shard: _Shard, tick: OnProgress) -> bool:
        return self._arrivals.missing(shard.entries, check=self._options.check)

    def _extra(self, file: ReleaseFile, tick: OnProgress) -> None:
        self._arrivals.put(self._download(file, tick), self._root / file.path)

    def _shard(self, shard: _Shard, tick: OnProgress) -> None:
        path = self._download(shard.file, tick)
        with open(path, "rb") as source:
            self._arrivals.receive(source, shard.entries, f"{shard.file.name}.images", lambda size: tick(0))
            read_end(source)
        path.unlink()

    def _download(self, file: ReleaseFile, tick: OnProgress) -> Path:
        path = self._arrivals.folder / file.name
        if _stands(file, path):
            tick(file.bytes)
        else:
            Download(self._place, file, path, tick, self._options.manners).run()
        return path

    def _size_of_largest(self, shards: Sequence[_Shard]) -> int:
        return sum(sorted(shard.file.bytes for shard in shards)[-self._options.workers :])

    @staticmethod
    def _skip(size: int, on_progress: OnProgress | None) -> None:
        if on_progress is not None and size:
            on_progress(size)


def _stands(file: ReleaseFile, path: Path, *, trusts: bool = False) -> bool:
    if not path.is_file() or path.stat().st_size != file.bytes:
        return False
    return trusts or digest_of(path) == file.sha256


def _shard(file: ReleaseFile, entries: Iterator[ManifestEntry]) -> _Shard:
    shard = _Shard(file, tuple(entry for _, entry in zip(range(file.images), entries, strict=False)))
    if len(shard.entries) != file.images or shard_bytes(shard.entries) != file.bytes:
        raise ChallengeError(f"{file.name}: the shard can't have the images that the manifest has for it")
    return shard
