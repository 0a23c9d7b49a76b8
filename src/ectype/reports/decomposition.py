"""What a mapping does to a picture, in the terms in which people describe it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ectype.errors import InvalidDataError

_SMALLEST = 1e-9  # a picture a billion times narrower than long has no decomposition that means anything


@dataclass(frozen=True, slots=True)
class Decomposition:
    """An affine mapping's linear part, as four steps: mirrored, stretched in one direction, scaled, and turned.

    Attributes
    ----------
    mirrored : bool
        Left and right were exchanged, before anything else.
    stretch : float
        How many times longer it became in one direction than across it, from 1 on; the area stays.
    direction : float
        That direction, in degrees from 0 (its width) to 180, clockwise as displayed; 90 is its height.
    scale : float
        How many times larger both sides became.
    turn : float
        In degrees from -180 to 180, clockwise as displayed.
    """

    mirrored: bool
    stretch: float
    direction: float
    scale: float
    turn: float

    def recompose(self) -> NDArray[np.float64]:
        """The linear part, shape (2, 2)."""
        mirror = np.diag([-1.0 if self.mirrored else 1.0, 1.0])
        along = _turning(self.direction)
        longer = np.sqrt(self.stretch)
        stretched = along @ np.diag([longer, 1 / longer]) @ along.T
        return np.asarray(self.scale * _turning(self.turn) @ stretched @ mirror)


def decompose(linear: NDArray[np.float64]) -> Decomposition:
    """Take the linear part of an affine mapping apart, by its polar decomposition.

    Parameters
    ----------
    linear : ndarray of float64, shape (2, 2)

    Raises
    ------
    InvalidDataError
        It makes a line or a point of every picture.
    """
    u, widths, vt = np.linalg.svd(linear)
    if not widths[1] > _SMALLEST * widths[0]:
        raise InvalidDataError(
            f"the mapping {linear.tolist()} makes a line of every picture; a mapping between pictures can be inverted"
        )
    mirrored = bool(np.linalg.det(u) * np.linalg.det(vt) < 0)
    if mirrored:
        vt = vt @ np.diag([-1.0, 1.0])  # the mirror comes first, so it stands at the right
    turning = u @ vt
    return Decomposition(
        mirrored,
        stretch=float(widths[0] / widths[1]),
        direction=float(np.degrees(np.arctan2(vt[0, 1], vt[0, 0])) % 180),
        scale=float(np.prod(np.sqrt(widths))),
        turn=float(np.degrees(np.arctan2(turning[1, 0], turning[0, 0]))),
    )


def _turning(degrees: float) -> NDArray[np.float64]:
    """Clockwise as displayed, since y points down."""
    angle = np.deg2rad(degrees)
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
