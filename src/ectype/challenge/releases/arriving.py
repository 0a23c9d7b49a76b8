"""Images that arrive in a data set: written aside, checked, and only then given their names."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from ectype.challenge.manifest import Manifest, ManifestEntry, read_manifest
from ectype.challenge.releases.shards import Source, check_path, image_blocks, unpack
from ectype.errors import ChallengeError, StorageError
from ectype.storage import storage_error
from ectype.types import OnProgress

WORKING = ".incoming"


class Arrivals:
    """The folder of a data set while images arrive; a context manager that keeps other processes out.

    Everything is written below ``.incoming`` first, which is taken away by `finish`. An image gets its name when its
    bytes have been compared with the manifest, so later an image of the right size counts as whole.

    Parameters
    ----------
    root : Path
        Made if it is not there.

    Raises
    ------
    StorageError
        The folder can't be made or written to, or another process has images arrive there.
    """

    def __init__(self, root: Path) -> None:
        self.root, self.folder = root, root / WORKING
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise storage_error(root, error) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise StorageError(f"{root}: another process is writing there; try again when it is done") from None

    def __enter__(self) -> Arrivals:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if [path.name for path in self.folder.glob("*")] == ["lock"]:
            self.finish()  # nothing has arrived
        os.close(self._lock)

    def begin(self, manifest: Path, sha256: str, target: Path, entries: Sequence[ManifestEntry]) -> None:
        """Make sure that nothing is in the way.

        Parameters
        ----------
        manifest : Path
            The manifest that has arrived, still below the working folder; taken away if it is refused.
        sha256 : str
            Its digest.
        target : Path
            Where it will stand. A manifest that stands there must be this one, or a part of it.
        entries : sequence of ManifestEntry
            Images that arrive, now or later.

        Raises
        ------
        ChallengeError
            The folder is that of another data set, or an image has a path that none may have.
        """
        begun = self.folder / f"begun-{sha256}"
        if begun.exists() or (target.is_file() and digest_of(target) == sha256):
            return
        try:
            for entry in entries:
                check_path(entry)
            if target.is_file() and not _is_part(read_manifest(target), read_manifest(manifest)):
                raise ChallengeError(f"{target}: is the manifest of another data set; choose another folder")
            for entry in entries:
                if (self.root / entry.path).exists() and not self._is_right(entry):
                    raise ChallengeError(f"{self.root / entry.path}: another file is in the way; choose another folder")
        except ChallengeError:
            manifest.unlink()
            raise
        begun.touch()

    def missing(self, entries: Sequence[ManifestEntry], *, check: bool = False) -> bool:
        """Whether one of these images is not there; with `check` each is read and compared with the manifest."""
        return any(not self._has_size(entry) or (check and not self._is_right(entry)) for entry in entries)

    def receive(self, source: Source, entries: Sequence[ManifestEntry], name: str, tick: OnProgress) -> None:
        """Unpack images, check them, and give them their names.

        Parameters
        ----------
        source : Source
            Stands at the first image.
        entries : sequence of ManifestEntry
        name : str
            Of a folder for this delivery, other than that of any other.
        tick : callable
            Called with numbers of bytes.

        Raises
        ------
        ChallengeError
            The source has other images; none of these gets its name.
        StorageError
            The disk refused.
        """
        aside = self.folder / name
        places = {entry.path: aside / f"{number}" for number, entry in enumerate(entries)}
        try:
            shutil.rmtree(aside, ignore_errors=True)
            aside.mkdir()
            for size in unpack(source, entries, lambda entry: places[entry.path]):
                tick(size)
            for folder in {(self.root / path).parent for path in places}:
                folder.mkdir(parents=True, exist_ok=True)
            for path, place in places.items():
                os.replace(place, self.root / path)
            aside.rmdir()
        except OSError as error:
            raise storage_error(self.root, error) from error

    def put(self, arrived: Path, target: Path) -> None:
        """Give a file below the working folder its name."""
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(arrived, target)
        except OSError as error:
            raise storage_error(target, error) from error

    def finish(self) -> None:
        """Take the working folder away."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _has_size(self, entry: ManifestEntry) -> bool:
        try:
            return (self.root / entry.path).stat().st_size == entry.bytes
        except OSError:
            return False

    def _is_right(self, entry: ManifestEntry) -> bool:
        try:
            return all(True for _ in image_blocks(self.root, entry))
        except ChallengeError:
            return False


def digest_of(path: Path) -> str:
    """SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_room(root: Path, needed: int) -> None:
    """Raise `StorageError` unless the disk has this many bytes free."""
    free = shutil.disk_usage(root).free
    if needed > free:
        raise StorageError(f"{root}: {needed:,} bytes are needed and {free:,} are free; free some space")


def _is_part(standing: Manifest, arrived: Manifest) -> bool:
    return set(standing.entries) <= set(arrived.entries)
