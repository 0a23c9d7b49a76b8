"""Score normalisation folded into descriptors, so that a scorer that knows squared L2 only applies it.

The inner product of a query with a reference, less the query's own level of similarity to a background (see
`ectype.matching.background`), ranks pairs over all queries better than the inner product alone. For unit vectors q and
r, a level b ≥ -1 and one more dimension,

    -|[q, √(2(b + 1))] - [r, 0]|²  =  2 (q·r - b) - 4,

so the order is the same. (The descriptor track's winners folded theirs in likewise: Yokoo, "Contrastive learning with
large memory bank and negative embedding subtraction for accurate copy detection", 2021.) Level and projection are fixed
by the background alone: no other query and no reference has a part in a vector.

The dimension counts. Where a model uses all 256 that the track allows, its vectors are first projected onto the 255
principal components of the background, and brought back to unit length.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ectype.challenge.tracks.content import MOST_DIMENSIONS
from ectype.errors import InvalidDataError, SubmissionError
from ectype.matching import Background


@dataclass(frozen=True, slots=True, eq=False)
class Folding:
    """Turns unit vectors of a model into those of a Descriptor Track submission with normalised scores.

    Attributes
    ----------
    background : Background
        Of the model that made the vectors.
    components : ndarray of float64, shape (d, k), or None
        Orthonormal columns that vectors are projected onto; None keeps all dimensions.
    """

    background: Background
    components: NDArray[np.float64] | None

    @classmethod
    def of(cls, background: Background, most: int = MOST_DIMENSIONS) -> Folding:
        """That of a background, with at most `most` dimensions in all.

        Raises
        ------
        InvalidDataError
            Dimensions must be left out, and the background is too small to tell which.
        """
        count, dimension = background.vectors.shape
        wanted = most - 1
        if dimension <= wanted:
            return cls(background, None)
        if count < wanted:
            raise InvalidDataError(
                f"the vectors' {dimension} dimensions must become {wanted}, and a background of {count} pictures is "
                f"too small to tell which matter: fit a calibration with at least {wanted} background pictures "
                "(`ectype calibrate`), or keep scores as they are (--no-normalisation)"
            )
        vectors = background.vectors.astype(np.float64)
        _, directions = np.linalg.eigh(vectors.T @ vectors)  # from the least to the greatest share
        return cls(background, np.ascontiguousarray(directions[:, -wanted:]))

    @property
    def dimension(self) -> int:
        """Of the folded vectors."""
        kept = self.background.vectors if self.components is None else self.components
        return int(kept.shape[1]) + 1

    def queries(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Fold queries: float32 (n, d) to float32 (n, `dimension`)."""
        levels = np.array([self.background.level(vector) for vector in vectors], np.float64).reshape(len(vectors))
        return self._fold(vectors, np.sqrt(2 * np.maximum(levels + 1, 0)))

    def references(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Fold references: float32 (n, d) to float32 (n, `dimension`)."""
        return self._fold(vectors, np.zeros(len(vectors)))

    def _fold(self, vectors: NDArray[np.float32], last: NDArray[np.float64]) -> NDArray[np.float32]:
        kept = vectors.astype(np.float64)
        if self.components is not None:  # one by one: the last bits of a product of all change with their number
            projected = [self.components.T @ vector for vector in kept]
            kept = np.array(projected, np.float64).reshape(len(projected), self.dimension - 1)
        return np.column_stack([unit_rows(kept), last]).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Unfolded:
    """Leaves unit vectors of `dimension` numbers as they are.

    Raises
    ------
    SubmissionError
        There are more than the track takes.
    """

    dimension: int

    def __post_init__(self) -> None:
        if self.dimension > MOST_DIMENSIONS:
            raise SubmissionError(
                f"the model gives {self.dimension} dimensions, and the track takes {MOST_DIMENSIONS}; normalisation "
                "reduces them: leave out --no-normalisation"
            )

    def queries(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Unit rows, float32 (n, d)."""
        return unit_rows(vectors).astype(np.float32)

    references = queries


def unit_rows(vectors: NDArray[np.floating]) -> NDArray[np.float64]:
    """Rows of length 1, whatever rounding has done to them: under squared L2 lengths count."""
    wide = vectors.astype(np.float64)
    lengths = np.linalg.norm(wide, axis=1, keepdims=True)
    return np.asarray(wide / np.maximum(lengths, np.finfo(np.float32).tiny), np.float64)
