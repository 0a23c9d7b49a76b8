"""What a descriptor model is, whoever wrote it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray


@runtime_checkable
class DescriptorModel(Protocol):
    """Turns images into vectors that are close where one image was copied from the other.

    Attributes
    ----------
    name : str
        For people.
    fingerprint : str
        Digest of everything that decides a vector: weights and preprocessing. Vectors compare only where it is equal.
    dimension : int
        Of a vector; at most `ectype.types.MAX_DIMENSION`.
    input_size : int
        Pixels a side that the model can use: larger pictures may be scaled down to it while they are decoded.
    """

    @property
    def name(self) -> str: ...

    @property
    def fingerprint(self) -> str: ...

    @property
    def dimension(self) -> int: ...

    @property
    def input_size(self) -> int: ...

    def describe(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Describe images, each on its own: no vector may depend on the other images of the call.

        Must be safe to call from several threads at once.

        Parameters
        ----------
        images : sequence of ndarray of uint8, shape (h, w, 3)
            RGB as displayed, of any size.

        Returns
        -------
        ndarray of float32, shape (n, dimension)
            Unit rows.
        """
        ...


@runtime_checkable
class StorableModel(Protocol):
    """A model that a collection can keep beside its vectors, so that it can still be queried years later."""

    def save(self, folder: Path) -> None:
        """Write the model's files into an existing folder, where `ectype.descriptors.load_model` finds them."""
        ...
