"""Where duplicates are looked for, and where what is remembered of them lies."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ectype.collection import Collection
from ectype.collection.folder import DATABASE as COLLECTION_DATABASE
from ectype.errors import CollectionError, StorageError, UsageError
from ectype.storage import storage_error

DATABASE, COLLECTION = "duplicates.sqlite", "collection"
_OURS = {DATABASE, COLLECTION, DATABASE + "-wal", DATABASE + "-shm", DATABASE + "-journal"}


@dataclass(frozen=True, slots=True)
class Place:
    """A holding's folder, and that of what is remembered of it.

    Attributes
    ----------
    folder, state : Path
        Absolute.
    is_collection : bool
        Else it is a folder of photographs.
    """

    folder: Path
    state: Path
    is_collection: bool

    @property
    def database(self) -> Path:
        return self.state / DATABASE

    @property
    def collection(self) -> Path:
        """The collection that is searched: the holding itself, or one that is kept for the photographs."""
        return self.folder if self.is_collection else self.state / COLLECTION

    def owner(self) -> str:
        """What tells this holding from others: a collection may be moved, a folder of photographs is where it is.

        Raises
        ------
        CollectionError, StorageError
            The collection can't be read.
        """
        if not self.is_collection:
            return f"the folder {printable(self.folder)}"
        with Collection(self.folder) as opened:
            return f"the collection made at {opened.meta.get('created')}"

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Be the one process that looks for duplicates here; the folder of the state is made.

        Raises
        ------
        CollectionError
            That folder holds other files.
        StorageError
            The disk refuses, or another process is at work.
        """
        try:
            self.state.mkdir(parents=True, exist_ok=True)
            if not os.access(self.state, os.W_OK):
                raise StorageError(f"{self.state}: no permission to write there; name another folder with --state")
            folder = os.open(self.state, os.O_RDONLY)
        except OSError as error:
            raise storage_error(self.state, error) from error
        try:
            _lock(folder, self.state)
            beside_a_collection = self.is_collection and self.state == self.folder
            if not beside_a_collection and set(os.listdir(folder)) - _OURS:
                raise CollectionError(f"{self.state}: holds other files; what is remembered needs a folder of its own")
            yield
        finally:
            os.close(folder)


def place_of(folder: str | Path, state: str | Path | None = None) -> Place:
    """Find out what a folder is.

    Parameters
    ----------
    folder : str or Path
        Of photographs, or a collection.
    state : str or Path, optional
        By default the collection itself; for photographs a folder in the user's data folder, so that nothing is
        written among them.

    Raises
    ------
    UsageError
        There is no such folder.
    StorageError
        It can't be looked into, or the user has no home.
    """
    path = Path(os.path.realpath(folder))
    try:
        if not path.is_dir():
            raise UsageError(f"{folder}: there is no such folder; name one with photographs, or a collection")
        is_collection = (path / COLLECTION_DATABASE).is_file()
    except OSError as error:
        raise StorageError(f"{folder}: can't be read ({error.strerror}); change the permission") from error
    if state is not None:
        return Place(path, Path(os.path.realpath(state)), is_collection)
    return Place(path, path if is_collection else _usual_state(path), is_collection)


def printable(path: str | Path) -> str:
    """A path that can be stored and printed: bytes in it that are not UTF-8 become escapes."""
    return str(path).encode("utf-8", "backslashreplace").decode()


def _usual_state(folder: Path) -> Path:
    data = Path(os.environ.get("XDG_DATA_HOME", ""))
    if not data.is_absolute():  # the XDG specification has such a value ignored
        try:
            data = Path.home() / ".local" / "share"
        except RuntimeError as error:
            raise StorageError(f"what is remembered has no place: {error} Name a folder with --state") from error
    return data / "ectype" / "duplicates" / hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]


def _lock(descriptor: int, folder: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise StorageError(
            f"{folder}: another process is looking for these duplicates; try again when it is done"
        ) from None
