"""How similar a query is to pictures that have nothing to do with it.

Some pictures are near to many others: text, faces, empty skies. The mean similarity of a query to its nearest pictures
of a background set says what a similarity of this query is worth (as SSCD's authors normalise scores, CVPR 2022; the
descriptor track's winner subtracts neighbours likewise, Yokoo, 2021). It is the query's own: no other query and no
reference has a part in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ectype.collection import Collection
from ectype.descriptors import DescribedImage
from ectype.errors import InvalidDataError
from ectype.indexes.scoring import exact_scores
from ectype.types import DescriptorSet, check_vectors

NEAREST = 3
_LOOKED_AT = 16  # a matrix product's last bits may change the order of those that are as near
SAME_PICTURE = 0.98
"""Inner product from which a background picture counts as a copy of a reference or query."""


@dataclass(frozen=True, slots=True, eq=False)
class Background:
    """Descriptors of pictures that are neither references nor queries nor copies of them.

    Attributes
    ----------
    vectors : ndarray of float32, shape (n, d)
        Unit rows, at least three.
    fingerprint : str
        Of the model that made them.

    Raises
    ------
    InvalidDataError
        There are too few vectors, or they are none.
    """

    vectors: NDArray[np.float32]
    fingerprint: str

    def __post_init__(self) -> None:
        check_vectors(self.vectors)
        if len(self.vectors) < NEAREST:
            raise InvalidDataError(f"a background needs at least {NEAREST} pictures, not {len(self.vectors)}")

    @classmethod
    def of(cls, descriptors: DescriptorSet) -> Background:
        """From descriptors that were written before."""
        return cls(descriptors.vectors, descriptors.fingerprint)

    @classmethod
    def of_images(cls, images: Sequence[DescribedImage], fingerprint: str) -> Background:
        """From images that were just described by the model of this fingerprint."""
        return cls(np.array([image.vector for image in images], np.float32), fingerprint)

    def level(self, vector: NDArray[np.float32]) -> float:
        """Mean similarity of a query's descriptor (d,) to its three nearest background pictures."""
        about = self.vectors @ vector
        nearest = np.argpartition(about, -min(_LOOKED_AT, len(about)))[-_LOOKED_AT:]
        exact = exact_scores(vector[None], self.vectors, np.zeros(len(nearest), np.int64), nearest)
        return float(np.sort(exact)[-NEAREST:].mean(dtype=np.float64))

    def refuse_overlap(self, collection: Collection) -> None:
        """Raise `InvalidDataError` if a reference is one of the background's pictures.

        Its copies would count as similar to unrelated pictures, and be missed.
        """
        if not len(collection):
            return
        nearest = collection.search(self.vectors, 1)
        same = np.flatnonzero(nearest.scores >= SAME_PICTURE)
        if same.size:
            rows = sorted({int(row) for row in nearest.reference_rows[same]})
            named = collection.references(rows[:3])
            raise InvalidDataError(
                f"{collection.folder}: {len(rows)} references are also in the background set that scores are compared "
                f"with ({', '.join(repr(reference.id) for reference in named.values())} …), so their copies would be "
                "missed; fit a calibration with other background pictures (`ectype calibrate --background IMAGES`), or "
                "match by the descriptor alone (--fast)"
            )
