"""Descriptors as HDF5 files: ``vectors`` float32 (n, d) and ``image_names`` bytes (n,)."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ectype.errors import InvalidDataError
from ectype.storage import replacing
from ectype.types import DescriptorSet

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


def write_descriptors(path: str | Path, descriptors: DescriptorSet) -> None:
    """Write descriptors to an HDF5 file, which replaces an older one only when it is complete.

    Raises
    ------
    StorageError
        The disk refused.
    """
    count, dimension = descriptors.vectors.shape
    write_blocks(path, descriptors.ids, [descriptors.vectors], (count, dimension), descriptors.fingerprint)


def write_blocks(
    path: str | Path,
    ids: Sequence[str],
    blocks: Iterable[NDArray[np.float32]],
    shape: tuple[int, int],
    fingerprint: str,
) -> None:
    """Like `write_descriptors`, for vectors that come in blocks of rows and never lie in memory whole."""
    import h5py

    names = np.array([name.encode() for name in ids], dtype=np.bytes_) if ids else np.empty(0, "S1")
    with replacing(path) as temporary, PatientFile(temporary, "w+b") as disk:
        with h5py.File(disk, "w") as file:
            file.attrs["fingerprint"] = fingerprint
            file.create_dataset("image_names", data=names)
            vectors = file.create_dataset("vectors", shape, np.float32)
            start = 0
            for block in blocks:
                vectors[start : start + len(block)] = block
                start += len(block)
                if disk.error is not None:
                    break
        if disk.error is not None:
            raise disk.error


class PatientFile(io.FileIO):
    """A file that takes whatever is written to it, and keeps the error if the disk refuses.

    HDF5 does not recover from a write that fails: it can't even close the file, and says so again and again.
    """

    error: OSError | None = None

    def write(self, content: ReadableBuffer, /) -> int:
        rest = memoryview(content).cast("B")
        size = len(rest)
        while self.error is None and len(rest):
            try:
                rest = rest[super().write(rest) :]
            except OSError as error:
                self.error = error
        return size

    def truncate(self, size: int | None = None, /) -> int:
        try:
            return super().truncate(size)
        except OSError as error:
            self.error = self.error or error
            return size or 0


def read_descriptors(path: str | Path) -> DescriptorSet:
    """Read the descriptors that `write_descriptors` wrote.

    Raises
    ------
    InvalidDataError
        The file is missing, no HDF5 file, or lacks a data set.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            names, vectors = file["image_names"][:], file["vectors"][:]
            fingerprint = str(file.attrs.get("fingerprint", ""))
    except FileNotFoundError:
        raise InvalidDataError(f"{path}: there is no such file") from None
    except (OSError, KeyError, AttributeError, TypeError) as error:
        raise InvalidDataError(f"{path}: not a file of descriptors: {error}") from error
    try:
        return DescriptorSet(tuple(name.decode() for name in names), vectors, fingerprint)
    except (InvalidDataError, UnicodeDecodeError, AttributeError) as error:
        raise InvalidDataError(f"{path}: {error}") from error
