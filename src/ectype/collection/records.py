"""The values that pass between a collection and its database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Reference:
    """An image of a collection.

    Attributes
    ----------
    row : int
        Its number, never used twice.
    id : str
    sha256 : str
        Of the file's bytes, in hexadecimal.
    location : str
        Path or URL.
    metadata : mapping
        JSON values.
    """

    row: int
    id: str
    sha256: str
    location: str
    metadata: Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class NewImage:
    """An image to be stored.

    Attributes
    ----------
    id : str
    sha256 : bytes
        Of the file's bytes.
    location : str
    metadata : mapping
        JSON values.
    vector : ndarray of float32, shape (d,)
        Of unit length.
    features : bytes or None
        What verification needs, packed, for a collection that keeps it.
    """

    id: str
    sha256: bytes
    location: str
    metadata: Mapping[str, Any]
    vector: NDArray[np.float32]
    features: bytes | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Insertion:
    """What became of images that were to be stored.

    Attributes
    ----------
    added, replaced : int
    kept : mapping of str to Reference
        By id, what was stored before and stays: it has the same content, or was not to be replaced.
    """

    added: int
    replaced: int
    kept: Mapping[str, Reference]


@dataclass(frozen=True, slots=True, eq=False)
class Changes:
    """What happened since some generation: rows that are gone, and rows that came and are still there.

    Attributes
    ----------
    generation : int
        The newest.
    removed : ndarray of int64, shape (r,)
    added : ndarray of int64, shape (n,)
        In the order in which they came.
    vectors : ndarray of float16, shape (n, d)
        Of the added rows.
    """

    generation: int
    removed: NDArray[np.int64]
    added: NDArray[np.int64]
    vectors: NDArray[np.float16]


@dataclass(frozen=True, slots=True)
class Stamp:
    """What the database says of the index on disk: the generation it holds, its number of images, its CRC-32."""

    generation: int
    images: int
    checksum: int
