"""What a kind of edit is, and the register of all of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ectype.errors import InvalidDataError
from ectype.transformations.geometry import Geometry, Homography, Size
from ectype.transformations.materials import Materials

Pixels = NDArray[np.uint8]
"""RGB, (h, w, 3)."""

Parameters = Mapping[str, Any]
"""JSON values that say all there is to say about one edit."""

Sampler = Callable[[np.random.Generator, Size], dict[str, Any]]


@dataclass(frozen=True, slots=True, eq=False)
class Transformed:
    """An edited picture, and where its places come from."""

    pixels: Pixels
    geometry: Geometry

    def then(self, following: Transformed) -> Transformed:
        """What an edit of these pixels gave, with its geometry from before both."""
        return Transformed(following.pixels, self.geometry.then(following.geometry))


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """One kind of edit.

    Attributes
    ----------
    name, family : str
    sample : callable
        Draws parameters for a picture of a size: ``sample(rng, (width, height))``.
    edit : callable
        The edit itself: takes pixels, the parameters by name, and ``materials`` if it names them.
    """

    name: str
    family: str
    sample: Sampler
    edit: Callable[..., Pixels | Transformed]

    def apply(self, pixels: Pixels, parameters: Parameters, materials: Materials) -> Transformed:
        """Edit a picture; the same pixels, parameters and materials give the same bytes.

        Raises
        ------
        InvalidDataError
            The parameters are not those of this kind.
        """
        accepted = inspect.signature(self.edit).parameters
        wanted = set(accepted) - {"pixels", "materials"}
        if wanted != set(parameters):
            raise InvalidDataError(f"{self.name}: takes the parameters {sorted(wanted)}, not {sorted(parameters)}")
        more = {"materials": materials} if "materials" in accepted else {}
        try:
            result = self.edit(pixels, **parameters, **more)
        except (TypeError, ValueError, KeyError) as error:
            raise InvalidDataError(f"{self.name}: the parameters {dict(parameters)} can't be used: {error}") from error
        if isinstance(result, Transformed):
            return result
        return resized(pixels, result)


def rounded(values: NDArray[np.floating]) -> Pixels:
    """Pixels of the nearest levels; what is too dark or too light becomes black or white."""
    return np.asarray(np.clip(np.rint(values), 0, 255), np.uint8)


def resized(before: Pixels, after: Pixels) -> Transformed:
    """A picture that was at most stretched."""
    source, result = size_of(before), size_of(after)
    if source == result:
        return Transformed(after, Geometry.unchanged(source))
    matrix = np.diag([result[0] / source[0], result[1] / source[1], 1.0])
    return Transformed(after, Geometry(source, result, (Homography(matrix),)))


def size_of(pixels: Pixels) -> Size:
    """Width and height."""
    return pixels.shape[1], pixels.shape[0]


class Family:
    """Gathers the kinds of one family, in the order they are written down."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.kinds: dict[str, Kind] = {}

    def kind(self, sample: Sampler) -> Callable[[Callable[..., Pixels | Transformed]], Kind]:
        """Decorate an edit; its function's name becomes the kind's."""

        def register(edit: Callable[..., Pixels | Transformed]) -> Kind:
            made = Kind(edit.__name__, self.name, sample, edit)
            self.kinds[made.name] = made
            return made

        return register
