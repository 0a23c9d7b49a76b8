"""Descriptor Track files: ``query`` and ``reference`` float32 (n, d), with ``query_ids`` and ``reference_ids``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ectype.challenge.tracks.content import MOST_DIMENSIONS
from ectype.descriptors.files import PatientFile
from ectype.errors import SubmissionError
from ectype.storage import replacing

Part = Literal["query", "reference"]
PARTS: tuple[Part, ...] = ("query", "reference")
ROWS_A_BLOCK = 8192


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """The rows of one half of a submission, queries or references.

    Attributes
    ----------
    ids : sequence of str
        Sorted, without repetition.
    blocks : iterable of ndarray of float32, shape (any, d)
        Their vectors, in the same order.

    Raises
    ------
    SubmissionError
        The ids are not sorted, or one is there twice.
    """

    ids: Sequence[str]
    blocks: Iterable[NDArray[np.float32]]

    def __post_init__(self) -> None:
        for before, after in zip(self.ids, self.ids[1:], strict=False):
            if before >= after:
                raise SubmissionError(f"rows must be sorted by id, each there once: {after!r} stands after {before!r}")


def write_descriptor_track(path: str | Path, queries: Rows, references: Rows, dimension: int) -> None:
    """Write a Descriptor Track submission, which replaces an older file only when it is complete.

    Parameters
    ----------
    path : str or Path
    queries, references : Rows
    dimension : int
        Of all vectors, at most 256.

    Raises
    ------
    SubmissionError
        There are too many dimensions, or not as many vectors as ids.
    StorageError
        The disk refused.
    """
    import h5py

    if not 1 <= dimension <= MOST_DIMENSIONS:
        raise SubmissionError(f"the track takes vectors of 1 to {MOST_DIMENSIONS} dimensions, not {dimension}")
    with replacing(path) as temporary, PatientFile(temporary, "w+b") as disk:
        with h5py.File(disk, "w") as file:
            for part, rows in zip(PARTS, (queries, references), strict=True):
                names = [name.encode() for name in rows.ids]
                file.create_dataset(f"{part}_ids", data=np.array(names, np.bytes_) if names else np.empty(0, "S1"))
                vectors = file.create_dataset(part, (len(names), dimension), np.float32)
                for start, block in _placed(rows, part):
                    vectors[start : start + len(block)] = block
                    if disk.error is not None:
                        break
        if disk.error is not None:
            raise disk.error


def _placed(rows: Rows, part: Part) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Each block with the number of its first row."""
    start = 0
    for block in rows.blocks:
        yield start, block
        start += len(block)
    if start != len(rows.ids):
        raise SubmissionError(f"{len(rows.ids):,} {part} ids were given for {start:,} vectors")


class DescriptorFile:
    """A Descriptor Track submission that was validated, opened for reading.

    Parameters
    ----------
    path : str or Path

    Raises
    ------
    SubmissionError
        It is no such file.
    """

    def __init__(self, path: str | Path) -> None:
        import h5py

        self._path = path
        try:
            self._file = h5py.File(path, "r", locking=False)
        except OSError as error:
            raise SubmissionError(f"{path}: can't be read as HDF5 ({error}); validate it") from error

    def __enter__(self) -> DescriptorFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    @property
    def dimension(self) -> int:
        """Of its vectors."""
        return int(self._file["query"].shape[1])

    def ids(self, part: Part) -> list[str]:
        """The ids of all rows, in their order."""
        return [name.decode() for name in self._read(f"{part}_ids", slice(None))]

    def blocks(self, part: Part) -> Iterator[NDArray[np.float32]]:
        """The vectors of all rows, in their order, 8,192 at a time."""
        for start in range(0, len(self._file[part]), ROWS_A_BLOCK):
            yield self._read(part, slice(start, start + ROWS_A_BLOCK))

    def _read(self, name: str, rows: slice) -> NDArray[Any]:
        try:
            found: NDArray[Any] = self._file[name][rows]
        except (OSError, KeyError) as error:
            raise SubmissionError(f"{self._path}: {name} can't be read ({error}); validate it") from error
        return found
