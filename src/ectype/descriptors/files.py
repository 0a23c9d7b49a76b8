"""Descriptors as HDF5 files: ``vectors`` float32 (n, d) and ``image_names`` bytes (n,)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ectype.errors import InvalidDataError
from ectype.storage import replacing
from ectype.types import DescriptorSet


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
    with replacing(path) as temporary, h5py.File(temporary, "w") as file:
        file.attrs["fingerprint"] = fingerprint
        file.create_dataset("image_names", data=names)
        vectors = file.create_dataset("vectors", shape, np.float32)
        start = 0
        for block in blocks:
            vectors[start : start + len(block)] = block
            start += len(block)


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
