"""The manifest of a challenge's data: which images there are, and what their files must be.

A CSV file ``role,id,path,bytes,sha256`` with a header line, so that a million rows are read as a stream. Paths are
relative to the manifest's folder, with forward slashes.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Literal, get_args

from ectype.errors import ChallengeError
from ectype.storage import replacing

Role = Literal["reference", "query", "training"]
_HEADER = ("role", "id", "path", "bytes", "sha256")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class ManifestEntry:
    """One image of a challenge.

    Attributes
    ----------
    role : {"reference", "query", "training"}
    id : str
    path : str
        Relative to the manifest's folder, with forward slashes.
    bytes : int
        Size of the file.
    sha256 : str
        Of the file, 64 hexadecimal digits.

    Raises
    ------
    ChallengeError
        An unknown role, an empty id, a path that leaves the folder, a negative size, or no digest.
    """

    role: Role
    id: str
    path: str
    bytes: int
    sha256: str

    def __post_init__(self) -> None:
        if self.role not in get_args(Role):
            raise ChallengeError(f"the role {self.role!r} is none of {', '.join(get_args(Role))}")
        if not self.id:
            raise ChallengeError(f"{self.path}: its id is empty")
        if not is_inside(self.path):
            raise ChallengeError(f"the path {self.path!r} is not one below the manifest's folder")
        if self.bytes < 0:
            raise ChallengeError(f"{self.path}: a file can't have {self.bytes} bytes")
        if not _SHA256.fullmatch(self.sha256):
            raise ChallengeError(f"{self.path}: {self.sha256!r} is no SHA-256 of 64 hexadecimal digits")


@dataclass(frozen=True, eq=False)
class Manifest:
    """The images of a challenge, or of one phase of it.

    Attributes
    ----------
    entries : tuple of ManifestEntry

    Raises
    ------
    ChallengeError
        An id is repeated within its role, or a path within the manifest.
    """

    entries: tuple[ManifestEntry, ...]

    def __post_init__(self) -> None:
        ids = Counter((entry.role, entry.id) for entry in self.entries)
        _refuse_repetitions("id", {f"{role} {name}": count for (role, name), count in ids.items()})
        _refuse_repetitions("path", Counter(entry.path for entry in self.entries))

    @cached_property
    def reference_ids(self) -> tuple[str, ...]:
        """Sorted, as the rows of a descriptor submission are."""
        return self._ids("reference")

    @cached_property
    def query_ids(self) -> tuple[str, ...]:
        """Sorted, as the rows of a descriptor submission are."""
        return self._ids("query")

    def _ids(self, role: Role) -> tuple[str, ...]:
        return tuple(sorted(entry.id for entry in self.entries if entry.role == role))


def _refuse_repetitions(what: str, counts: dict[str, int]) -> None:
    repeated = [name for name, count in counts.items() if count > 1]
    if repeated:
        raise ChallengeError(f"{len(repeated)} of the manifest's {what}s are there more than once: {repeated[0]} …")


def is_inside(path: str) -> bool:
    """Whether a path with forward slashes is a relative one that stays below its folder, on every system."""
    parts = PurePosixPath(path).parts
    return bool(parts) and not path.startswith("/") and ".." not in parts and not any(sign in path for sign in "\\:\0")


def read_manifest(path: str | Path) -> Manifest:
    """Read a manifest.

    Raises
    ------
    ChallengeError
        The file is missing or no manifest; the message names the line.
    """
    return Manifest(tuple(_entries(Path(path))))


def _entries(path: Path) -> Iterator[ManifestEntry]:
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = csv.reader(file, strict=True)
            if tuple(next(rows, ())) != _HEADER:
                raise ChallengeError(f"{path}: no manifest: its first line must be {','.join(_HEADER)}")
            for row in rows:
                yield _entry(row, f"{path}, line {rows.line_num}")
    except FileNotFoundError:
        raise ChallengeError(f"{path}: there is no such file") from None
    except OSError as error:
        raise ChallengeError(f"{path}: can't be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise ChallengeError(f"{path}: not a CSV file in UTF-8: {error}") from error


def _entry(row: list[str], place: str) -> ManifestEntry:
    try:
        role, name, file, size, sha256 = row
        return ManifestEntry(role, name, file, int(size), sha256)  # type: ignore[arg-type]  # checked by itself
    except ValueError:
        raise ChallengeError(f"{place}: must be {','.join(_HEADER)}, not {','.join(row)!r}") from None
    except ChallengeError as error:
        raise ChallengeError(f"{place}: {error}") from None


def write_manifest(path: str | Path, entries: Iterable[ManifestEntry]) -> None:
    """Write a manifest, in the order given.

    Raises
    ------
    StorageError
        The disk refused.
    """
    with replacing(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_HEADER)
        writer.writerows((entry.role, entry.id, entry.path, entry.bytes, entry.sha256) for entry in entries)
