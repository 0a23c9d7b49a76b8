"""The search index on disk: a cache of the store that can be deleted at any time.

Row numbers and vectors lie in two NumPy files that are memory-mapped. The database says of which generation they are
and what their checksum is, so whatever is missing, damaged, outdated or another collection's counts as no snapshot.
"""

from __future__ import annotations

import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ectype.collection.records import Stamp
from ectype.storage import replacing, storage_error


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """Rows (n,) and vectors (n, d) of a collection as they were at a generation."""

    rows: NDArray[np.int64]
    vectors: NDArray[np.float16]


def has_snapshot(folder: Path, stamp: Stamp) -> bool:
    """Whether there are files of this snapshot; what they hold is not looked at."""
    return all(path.exists() for path in _paths(folder, stamp.generation))


def read_snapshot(folder: Path, stamp: Stamp, dimension: int) -> Snapshot | None:
    """Open the snapshot that was stamped, and read it once to compare its checksum; None if it is not sound."""
    try:
        rows, vectors = (np.lib.format.open_memmap(path, mode="r") for path in _paths(folder, stamp.generation))
    except Exception:  # NumPy has many ways to fail on a damaged header
        return None
    as_stated = rows.shape == (stamp.images,) and vectors.shape == (stamp.images, dimension)
    if not as_stated or rows.dtype != np.int64 or vectors.dtype != np.float16:
        return None
    return Snapshot(rows, vectors) if _checksum(rows, vectors) == stamp.checksum else None


def write_snapshot(folder: Path, generation: int, rows: NDArray[np.int64], vectors: NDArray[np.float16]) -> Stamp:
    """Write a snapshot, which counts once its stamp is in the database.

    Raises
    ------
    StorageError
        The disk refused; the former snapshot is still there.
    """
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise storage_error(folder, error) from error
    arrays: tuple[NDArray[np.generic], ...] = (rows, vectors)
    for path, array in zip(_paths(folder, generation), arrays, strict=True):
        with replacing(path) as temporary, open(temporary, "wb") as file:
            np.save(file, array, allow_pickle=False)
    return Stamp(generation, len(rows), _checksum(rows, vectors))


def delete_all_but(folder: Path, stamp: Stamp | None) -> None:
    """Delete older snapshots and what killed processes left of theirs, as far as the system lets us."""
    kept = _paths(folder, stamp.generation) if stamp is not None else ()
    with suppress(OSError):
        for entry in list(folder.iterdir()):
            if entry not in kept:
                entry.unlink(missing_ok=True)


def _paths(folder: Path, generation: int) -> tuple[Path, Path]:
    return folder / f"rows-{generation}.npy", folder / f"vectors-{generation}.npy"


def _checksum(rows: NDArray[np.int64], vectors: NDArray[np.float16]) -> int:
    return zlib.crc32(np.ascontiguousarray(vectors).data, zlib.crc32(np.ascontiguousarray(rows).data))
