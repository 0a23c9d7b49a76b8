"""A chain of edits that is recorded as JSON, and can be applied again to the same bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ectype.errors import InvalidDataError
from ectype.transformations.air_gap import AIR_GAP
from ectype.transformations.compositions import COMPOSITIONS
from ectype.transformations.filters import FILTERS
from ectype.transformations.geometry import Geometry
from ectype.transformations.kinds import Kind, Pixels, Transformed, size_of
from ectype.transformations.materials import Materials
from ectype.transformations.mixtures import MIXTURES
from ectype.transformations.noise import NOISE
from ectype.transformations.overlays import OVERLAYS
from ectype.transformations.spatial import SPATIAL
from ectype.transformations.tone import TONE
from ectype.transformations.warps import WARPS
from ectype.transformations.wild import WILD

FAMILIES = (SPATIAL, WARPS, TONE, FILTERS, NOISE, OVERLAYS, COMPOSITIONS, AIR_GAP, WILD, MIXTURES)
KINDS: Mapping[str, Kind] = {name: kind for family in FAMILIES for name, kind in family.kinds.items()}
"""Every kind of edit, by name."""

LONGEST_SIDE = 1024
"""A chain never makes a picture longer than this, or than it was."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One edit: its kind, by name, and its parameters as JSON values."""

    kind: str
    parameters: Mapping[str, Any]

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InvalidDataError(f"there is no kind of edit named {self.kind!r}; there are {', '.join(KINDS)}")


@dataclass(frozen=True, slots=True)
class Recipe:
    """A chain of edits, from first to last."""

    edits: tuple[Edit, ...]

    def apply(self, pixels: Pixels, materials: Materials | None = None) -> Transformed:
        """Edit a picture.

        Parameters
        ----------
        pixels : ndarray of uint8, shape (h, w, 3)
        materials : Materials, optional
            Drawn pictures by default; those it was first applied with give the same bytes again.

        Raises
        ------
        InvalidDataError
            An edit's parameters are not those of its kind.
        """
        materials = materials or Materials()
        longest = max(LONGEST_SIDE, *size_of(pixels))
        done = Transformed(pixels, Geometry.unchanged(size_of(pixels)))
        for edit in self.edits:
            done = done.then(KINDS[edit.kind].apply(done.pixels, edit.parameters, materials))
            if max(size_of(done.pixels)) > longest:
                done = done.then(KINDS["clip_image_size"].apply(done.pixels, {"longest": longest}, materials))
        return done

    def to_json(self) -> str:
        """As a JSON list of ``{"kind": …, "parameters": …}``."""
        return json.dumps([{"kind": edit.kind, "parameters": dict(edit.parameters)} for edit in self.edits])

    @classmethod
    def from_json(cls, text: str) -> Recipe:
        """Read what `to_json` wrote.

        Raises
        ------
        InvalidDataError
            It is no recipe.
        """
        try:
            return cls(tuple(Edit(row["kind"], row["parameters"]) for row in json.loads(text)))
        except (ValueError, TypeError, KeyError) as error:
            raise InvalidDataError(f"not a recipe of edits: {error}") from error


def sample_recipe(
    rng: np.random.Generator, size: tuple[int, int], kinds: Sequence[str] = tuple(KINDS), length: int = 3
) -> Recipe:
    """Draw a chain of different kinds.

    Parameters
    ----------
    rng : numpy.random.Generator
    size : (int, int)
        Width and height of the picture.
    kinds : sequence of str
        To draw from; a name that is there twice is drawn twice as often.
    length : int
        Edits, at most.
    """
    names = list(dict.fromkeys(kinds[int(index)] for index in rng.integers(0, len(kinds), length)))
    return Recipe(tuple(Edit(name, KINDS[name].sample(rng, size)) for name in names))
