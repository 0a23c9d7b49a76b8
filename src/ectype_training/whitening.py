"""Spreading a trained student's descriptors, so that scores of unlike pictures fall and compare between queries."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from ectype.errors import InvalidDataError, ModelError
from ectype.images import ImageItem
from ectype_training.photographs import decoded
from ectype_training.student import Student, StudentModel

PHOTOGRAPHS = 4096
"""At most so many are looked at."""


def whiten(student: Student, items: Sequence[ImageItem], size: int, strength: float) -> None:
    """Fold a whitening of descriptors into the student's last layer (after Jegou and Chum, ECCV 2012).

    It is symmetric and leaves the origin where it is: directions stay near what they were, and no layer is added.

    Parameters
    ----------
    student : Student
    items : sequence of ImageItem
        Photographs to fit it on: those of the training. Those that can't be read are left out.
    size : int
        Pixels a side at which the student is used.
    strength : float
        0 leaves descriptors as they are, 1 spreads them evenly over all directions.

    Raises
    ------
    InvalidDataError
        There are fewer photographs than dimensions, or the strength is out of range.
    ModelError
        The student has a background, which was described without whitening.
    """
    if student.background is not None:
        raise ModelError("a student with a background can't be whitened; whiten it first, then give it the background")
    dimension = student.project.out_features
    if not 0 <= strength <= 1:
        raise InvalidDataError(f"the strength of whitening is from 0 to 1, not {strength}")
    model = StudentModel(student, size)
    rows = [model.describe([picture])[0] for picture in decoded(items[:: max(1, len(items) // PHOTOGRAPHS)])]
    if len(rows) < dimension:
        raise InvalidDataError(f"{len(rows)} photographs are too few to whiten {dimension} dimensions")
    matrix = torch.from_numpy(whitening_of(np.stack(rows), strength))
    with torch.no_grad():
        student.project.weight.copy_(matrix @ student.project.weight)
        student.project.bias.copy_(matrix @ student.project.bias)


def whitening_of(rows: NDArray[np.float32], strength: float) -> NDArray[np.float32]:
    """The symmetric matrix (d, d) that evens out the second moments of unit rows (n, d), to a strength."""
    moments = rows.T.astype(np.float64) @ rows / len(rows)
    values, axes = np.linalg.eigh(moments)
    values = np.maximum(values / values[-1], 1e-6)
    return ((axes * values ** (-strength / 2)) @ axes.T).astype(np.float32)
