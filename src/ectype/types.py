"""The values that pass between the layers: frozen, checked once, at construction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ectype.errors import InvalidDataError
from ectype.evidence import Decision, Evidence

OnProgress = Callable[[int], None]
"""Called with how much was done since the last call: images, or bytes where it says so."""

MAX_DIMENSION = 4096
"""Largest descriptor: more than any model in use gives, little enough that blocks of rows fit into memory.

The challenge's Descriptor Track allows 256, which the bundled model keeps to.
"""

UNIT_TOLERANCE = 1e-3
"""How far a row's length may be from 1 (float16 storage rounds by up to 5e-4)."""


def check_vectors(vectors: NDArray[np.float32], dimension: int | None = None) -> None:
    """Raise unless `vectors` is a float32 (n, d) array of finite unit rows.

    Parameters
    ----------
    vectors : ndarray of float32, shape (n, d)
    dimension : int, optional
        The only d that is accepted; any from 1 to 4096 without it.

    Raises
    ------
    InvalidDataError
        Wrong type, shape or dimension; a row that is not finite or not of unit length.
    """
    if not isinstance(vectors, np.ndarray) or vectors.dtype != np.float32 or vectors.ndim != 2:
        found = f"{vectors.dtype} {vectors.shape}" if isinstance(vectors, np.ndarray) else type(vectors).__name__
        raise InvalidDataError(f"descriptors must be a float32 array of shape (n, d), not {found}")
    columns = vectors.shape[1]
    if dimension is not None and columns != dimension:
        raise InvalidDataError(f"descriptors have {columns} dimensions where {dimension} are expected")
    if not 1 <= columns <= MAX_DIMENSION:
        raise InvalidDataError(f"descriptors have {columns} dimensions; 1 to {MAX_DIMENSION} are allowed")
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    wrong = np.flatnonzero(~(np.abs(lengths - 1) <= UNIT_TOLERANCE))
    if wrong.size:
        raise InvalidDataError(
            f"{wrong.size} descriptors are not finite vectors of unit length; "
            f"the first is row {wrong[0]}, of length {lengths[wrong[0]]:.4g}"
        )


@dataclass(frozen=True, slots=True)
class SkippedImage:
    """An image that could not be used: a row of the skip report.

    Attributes
    ----------
    id : str
    location : str
        Path, or ``archive.tar::member``.
    code : str
        Stable word for the reason; see `ectype.errors.UnreadableImageError`.
    reason : str
        The reason in a sentence.
    """

    id: str
    location: str
    code: str
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class DescriptorSet:
    """Descriptors of some images, all from one model.

    Attributes
    ----------
    ids : tuple of str
        One per row, without repetition.
    vectors : ndarray of float32, shape (n, d), d at most 4096
        Unit rows.
    fingerprint : str
        Of the model that made them; see `ectype.descriptors.DescriptorModel`.

    Raises
    ------
    InvalidDataError
        Rows and ids differ in number, an id is repeated, or rows are not finite unit vectors.
    """

    ids: tuple[str, ...]
    vectors: NDArray[np.float32]
    fingerprint: str

    def __post_init__(self) -> None:
        check_vectors(self.vectors)
        if len(self.ids) != len(self.vectors):
            raise InvalidDataError(f"{len(self.ids)} ids for {len(self.vectors)} descriptors")
        if len(set(self.ids)) != len(self.ids):
            raise InvalidDataError("an id is repeated in a descriptor set; every image needs one of its own")

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True, eq=False)
class Neighbours:
    """Pairs found by a search, as three columns of one length.

    Attributes
    ----------
    query_rows : ndarray of int64, shape (m,)
        Row of the query in the searched batch.
    reference_rows : ndarray of int64, shape (m,)
        Row number of the reference, as it was added.
    scores : ndarray of float32, shape (m,)
        Inner products; higher is closer.
    """

    query_rows: NDArray[np.int64]
    reference_rows: NDArray[np.int64]
    scores: NDArray[np.float32]

    def __post_init__(self) -> None:
        if not len(self.query_rows) == len(self.reference_rows) == len(self.scores):
            raise InvalidDataError("neighbours need three columns of one length")

    def __len__(self) -> int:
        return len(self.scores)


@dataclass(frozen=True, slots=True)
class Match:
    """A query and the reference it may have been copied from.

    Attributes
    ----------
    query_id, reference_id : str
    score : float
        Higher is closer: the probability of a copy, from 0 to 1. For the descriptor alone: the inner product of unit
        vectors, in [-1, 1].
    decision : {"copy", "review", "different"} or None
        None for the descriptor alone, which has no thresholds.
    evidence : Evidence or None
    """

    query_id: str
    reference_id: str
    score: float
    decision: Decision | None = None
    evidence: Evidence | None = None
