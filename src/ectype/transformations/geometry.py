"""Where the places of an edited picture come from.

Coordinates are continuous pixels: a picture of width w and height h spans [0, w] x [0, h], x to the right, y down, and
the centre of the first pixel is (0.5, 0.5).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Size = tuple[int, int]
"""Width and height, in pixels."""

Points = NDArray[np.float64]
"""(n, 2): x and y."""


class Step(Protocol):
    """One mapping between the picture before and after an edit."""

    def to_result(self, points: Points) -> Points: ...

    def to_source(self, points: Points) -> Points: ...


@dataclass(frozen=True, slots=True, eq=False)
class Homography:
    """A projective mapping: `matrix` (3, 3) takes homogeneous source coordinates to the result's."""

    matrix: NDArray[np.float64]

    def to_result(self, points: Points) -> Points:
        return _project(self.matrix, points)

    def to_source(self, points: Points) -> Points:
        return _project(np.linalg.inv(self.matrix).astype(np.float64), points)


@dataclass(frozen=True, slots=True, eq=False)
class Warp:
    """A smooth mapping between two pictures of one size, given where each node of a grid comes from.

    Attributes
    ----------
    size : (int, int)
        Width and height of both pictures.
    origins : ndarray of float64, shape (rows, columns, 2)
        Source coordinates of the result's grid nodes, which are spread evenly from corner to corner.
    """

    size: Size
    origins: NDArray[np.float64]

    def to_source(self, points: Points) -> Points:
        rows, columns = self.origins.shape[:2]
        place = points / self.size * (columns - 1, rows - 1)
        corner = np.clip(np.floor(place), 0, (columns - 2, rows - 2)).astype(int)
        x, y = (place - corner).T[..., None]
        column, row = corner.T
        upper = self.origins[row, column] * (1 - x) + self.origins[row, column + 1] * x
        lower = self.origins[row + 1, column] * (1 - x) + self.origins[row + 1, column + 1] * x
        return np.asarray(upper * (1 - y) + lower * y)

    def to_result(self, points: Points) -> Points:
        """By Newton's method from the nearest node of the grid; right where the grid does not fold."""
        rows, columns = self.origins.shape[:2]
        distances = np.linalg.norm(self.origins.reshape(-1, 1, 2) - points, axis=2)
        row, column = np.divmod(distances.argmin(axis=0), columns)
        result = np.stack([column / (columns - 1), row / (rows - 1)], axis=1) * self.size
        for _ in range(12):
            here = self.to_source(result)
            slopes = np.stack([(self.to_source(result + step) - here) / 0.01 for step in 0.01 * np.eye(2)], axis=2)
            result += np.linalg.solve(slopes + 1e-9 * np.eye(2), (points - here)[..., None])[..., 0]
        return result


@dataclass(frozen=True, slots=True, eq=False)
class Geometry:
    """The way from a source picture to an edited one, over any number of edits.

    Attributes
    ----------
    source_size, result_size : (int, int)
    steps : tuple of Step
        From the source to the result.
    """

    source_size: Size
    result_size: Size
    steps: tuple[Step, ...] = ()

    @classmethod
    def unchanged(cls, size: Size) -> Geometry:
        """Of an edit that moves nothing."""
        return cls(size, size)

    def then(self, following: Geometry) -> Geometry:
        """This geometry, and after it another."""
        return Geometry(self.source_size, following.result_size, self.steps + following.steps)

    def to_result(self, points: Points | Iterable[tuple[float, float]]) -> Points:
        """Where source points (n, 2) are in the result; they may lie outside of it."""
        moved: Points = np.array(points, np.float64)
        for step in self.steps:
            moved = step.to_result(moved)
        return moved

    def to_source(self, points: Points | Iterable[tuple[float, float]]) -> Points:
        """Where result points (n, 2) come from; those from outside the source are no part of it."""
        moved = np.array(points, np.float64)
        for step in reversed(self.steps):
            moved = step.to_source(moved)
        return moved


def _project(matrix: NDArray[np.float64], points: Points) -> Points:
    moved = points @ matrix[:, :2].T + matrix[:, 2]
    with np.errstate(divide="ignore", invalid="ignore"):  # points on the horizon have no place
        return np.asarray(moved[:, :2] / moved[:, 2:])


def scaling(x: float, y: float) -> NDArray[np.float64]:
    """The matrix that multiplies coordinates."""
    return np.diag([x, y, 1.0])


def shift(x: float, y: float) -> NDArray[np.float64]:
    """The matrix that adds to coordinates."""
    matrix = np.eye(3)
    matrix[:2, 2] = x, y
    return matrix


def turn(degrees: float) -> NDArray[np.float64]:
    """The matrix that turns about the origin, clockwise as displayed."""
    angle = np.deg2rad(degrees)
    matrix = np.eye(3)
    matrix[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return matrix


def between(source: Points, result: Points) -> NDArray[np.float64]:
    """The homography that takes four source points (4, 2) to four result points."""
    rows = []
    for (x, y), (u, v) in zip(source, result, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
    solution = np.linalg.solve(np.array(rows, np.float64), np.array(result, np.float64).ravel())
    return np.append(solution, 1.0).reshape(3, 3)


def corners(size: Size) -> Points:
    """The four corners of a picture, clockwise from the upper left."""
    width, height = size
    return np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float64)
