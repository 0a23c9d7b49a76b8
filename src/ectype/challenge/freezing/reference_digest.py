"""One digest for the reference vectors of a descriptor submission, however its HDF5 file is laid out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from ectype.challenge.digests import canonical_json
from ectype.errors import SubmissionError

_ROWS = 8192


def reference_digest(path: str | Path) -> str:
    """SHA-256 of the data sets ``reference`` and ``reference_ids``: their shape, type, numbers and ids.

    Chunks, compression, byte order and the kind of strings make no difference.

    Parameters
    ----------
    path : str or Path
        An HDF5 file with ``reference``, numbers of shape (m, d), and ``reference_ids``, m strings.

    Returns
    -------
    str
        64 hexadecimal digits.

    Raises
    ------
    SubmissionError
        The file can't be read, or has no such data sets.
    """
    import h5py

    try:
        with h5py.File(path, "r", locking=False) as file:
            vectors, ids = file["reference"], file["reference_ids"]
            if vectors.ndim != 2 or ids.shape != vectors.shape[:1]:
                raise SubmissionError(
                    f"{path}: reference {vectors.shape} and reference_ids {ids.shape} must be of shapes (m, d) and (m,)"
                )
            digest = hashlib.sha256(_head(vectors).encode())
            for content in chain(_numbers(vectors), _names(ids)):
                digest.update(content)
            return digest.hexdigest()
    except FileNotFoundError:
        raise SubmissionError(f"{path}: there is no such file") from None
    except (OSError, KeyError, AttributeError, TypeError, ValueError, RuntimeError) as error:
        raise SubmissionError(f"{path}: its reference descriptors can't be read: {error}") from error


def _head(vectors: Any) -> str:
    return canonical_json({"type": vectors.dtype.newbyteorder("<").str, "shape": list(vectors.shape)})


def _numbers(vectors: Any) -> Iterator[bytes]:
    for start in range(0, len(vectors), _ROWS):
        block = vectors[start : start + _ROWS]
        yield np.ascontiguousarray(block, block.dtype.newbyteorder("<")).tobytes()


def _names(ids: Any) -> Iterator[bytes]:
    for start in range(0, len(ids), _ROWS):
        for name in ids[start : start + _ROWS]:
            if not isinstance(name, bytes):
                raise TypeError(f"the id {name!r} is no text")
            content = bytes(name)
            yield f"\n{len(content)}:".encode() + content
