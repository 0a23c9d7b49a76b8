"""Where releases lie: a folder, a web address, a bucket."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from ectype.errors import DownloadError, UsageError
from ectype.storage import replacing, storage_error

BLOCK = 1 << 20


class ConnectionLostError(DownloadError):
    """A place did not answer, or stopped in the middle of it; another try may help."""


@dataclass(frozen=True, slots=True, eq=False)
class Stream:
    """A file of a place, from some byte on.

    Attributes
    ----------
    start : int
        The byte it begins at: the one asked for, or 0 if the place can't begin in the middle.
    blocks : generator of bytes
        To be closed. Raises `ConnectionLostError` where it breaks off.
    """

    start: int
    blocks: Generator[bytes, None, None]


class Place(ABC):
    """Where a release lies. A context manager; closing it ends its connections."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._open = ExitStack()

    def __enter__(self) -> Place:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def is_folder(self, folder: Path) -> bool:
        """Whether this place is that folder of this machine."""
        return False

    @abstractmethod
    def read(self, name: str, start: int = 0) -> Stream:
        """Begin to read a file at a byte of it.

        Raises
        ------
        ConnectionLostError
            No answer.
        DownloadError
            There is no such file, or it may not be read.
        """

    @abstractmethod
    def size(self, name: str) -> int | None:
        """Bytes of a file, None if there is no such file.

        Raises
        ------
        UsageError
            The place can only be read.
        StorageError
            It refuses.
        """

    @abstractmethod
    def write(self, name: str, blocks: Iterable[bytes]) -> None:
        """Write a file that appears whole, or, if `blocks` raises, not at all.

        Raises
        ------
        UsageError
            The place can only be read.
        StorageError
            It refuses.
        """


class FolderPlace(Place):
    """A folder, which is made when the first file is written."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self._folder = Path(address)

    def is_folder(self, folder: Path) -> bool:
        return self._folder.resolve() == folder.resolve()

    def read(self, name: str, start: int = 0) -> Stream:
        try:
            (self._folder / name).stat()
        except OSError as error:
            raise DownloadError(f"{self._folder / name}: can't be read: {error.strerror}") from None
        return Stream(start, self._blocks(self._folder / name, start))

    @staticmethod
    def _blocks(path: Path, start: int) -> Generator[bytes, None, None]:
        try:
            with open(path, "rb", buffering=0) as file:
                file.seek(start)
                while block := file.read(BLOCK):
                    yield block
        except OSError as error:
            raise DownloadError(f"{path}: can't be read: {error.strerror}") from error

    def size(self, name: str) -> int | None:
        try:
            return (self._folder / name).stat().st_size
        except FileNotFoundError:
            return None
        except OSError as error:
            raise storage_error(self._folder / name, error) from error

    def write(self, name: str, blocks: Iterable[bytes]) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for left_by_a_kill in self._folder.glob(f".{name}.*"):
                left_by_a_kill.unlink()
        except OSError as error:
            raise storage_error(self._folder, error) from error
        with replacing(self._folder / name) as temporary, open(temporary, "wb") as file:
            file.writelines(blocks)


def open_place(address: str) -> Place:
    """The place that an address means.

    Parameters
    ----------
    address : str
        A folder, ``https://…``, ``http://…`` or ``s3://bucket/prefix``.

    Raises
    ------
    UsageError
        An address of another kind.
    MissingPackageError
        A bucket needs packages that are not installed.
    """
    scheme, separator, rest = address.partition("://")
    if not separator:
        return FolderPlace(address)
    if scheme in ("http", "https") and rest:
        from ectype.challenge.releases.web import WebPlace

        return WebPlace(address)
    if scheme == "s3" and rest.strip("/"):
        from ectype.challenge.releases.bucket import BucketPlace

        return BucketPlace(address)
    raise UsageError(f"{address}: a place is a folder, https://…, http://… or s3://bucket/prefix")
