"""The search index on disk: a cache of the store, stamped with its generation, that can be deleted at any time.

Row numbers and vectors lie in two NumPy files that are memory-mapped: a collection of a million images opens at once.
``index.json`` names them and is replaced last; whatever is missing, damaged or of another model counts as no snapshot.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ectype.storage import replacing

_POINTER = "index.json"


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """Rows (n,) and vectors (n, d) of a collection as they were at a generation."""

    generation: int
    rows: NDArray[np.int64]
    vectors: NDArray[np.float16]
    checksum: int

    def is_intact(self) -> bool:
        """Whether the content is what was written; reads all of it."""
        return _checksum(self.rows, self.vectors) == self.checksum


def read_snapshot(folder: Path, fingerprint: str, dimension: int) -> Snapshot | None:
    """Open the snapshot in a folder; None if there is no usable one."""
    try:
        stated = json.loads((folder / _POINTER).read_text("utf-8"))
        if stated["fingerprint"] != fingerprint:
            return None
        rows = np.load(folder / stated["rows"], mmap_mode="r", allow_pickle=False)
        vectors = np.load(folder / stated["vectors"], mmap_mode="r", allow_pickle=False)
        snapshot = Snapshot(int(stated["generation"]), rows, vectors, int(stated["checksum"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    sound = rows.dtype == np.int64 and vectors.dtype == np.float16 and vectors.shape == (len(rows), dimension)
    return snapshot if sound else None


def write_snapshot(
    folder: Path, fingerprint: str, generation: int, rows: NDArray[np.int64], vectors: NDArray[np.float16]
) -> None:
    """Write a snapshot and delete those before it.

    Raises
    ------
    StorageError
        The disk refused; the former snapshot is still there.
    """
    folder.mkdir(exist_ok=True)
    names = {"rows": f"rows-{generation}.npy", "vectors": f"vectors-{generation}.npy"}
    for key, array in (("rows", rows), ("vectors", vectors)):
        with replacing(folder / names[key]) as temporary, open(temporary, "wb") as file:
            np.save(file, array, allow_pickle=False)
    stated = {"generation": generation, "fingerprint": fingerprint, "checksum": _checksum(rows, vectors)} | names
    with replacing(folder / _POINTER) as temporary:
        temporary.write_text(json.dumps(stated), "utf-8")
    for entry in folder.iterdir():
        if entry.name not in (_POINTER, *names.values()):
            entry.unlink(missing_ok=True)


def _checksum(rows: NDArray[np.int64], vectors: NDArray[np.float16]) -> int:
    return zlib.crc32(np.ascontiguousarray(vectors).data, zlib.crc32(np.ascontiguousarray(rows).data))
