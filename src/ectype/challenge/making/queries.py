"""Making queries: a photograph, a few edits drawn by chance, and perhaps an adversarial attack at the end."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from ectype.challenge.making.assignment import QuerySource
from ectype.challenge.making.attack import PSNR, AttackMaker, opened
from ectype.challenge.making.frequencies import ADVERSARIAL_ATTACK, Frequencies
from ectype.challenge.making.pictures import MadeImage, encode, image_pixels, write_image
from ectype.challenge.making.records import AttackRecord, QueryRecord
from ectype.errors import UsageError
from ectype.images import ImageItem
from ectype.transformations import KINDS, Edit, Geometry, Materials, Recipe
from ectype.transformations.chance import seed as draw_seed
from ectype.transformations.chance import uniform, whole
from ectype.transformations.geometry import Homography, Size, corners
from ectype.transformations.kinds import size_of

MOST_EDITS = 4
MOST_MATERIALS = 2000
"""Photographs to paste on and in, at most: each process is told of them with each task."""

_STREAM = 2  # of chance; see `assignment`
_QUALITIES = (60, 95)  # of JPEG


@dataclass(frozen=True, slots=True)
class Drawing:
    """What the queries of a phase are drawn with.

    Attributes
    ----------
    seed : int
    kinds : mapping of str to float
        Weights by kind.
    materials : tuple of ImageItem
        Photographs to paste on and in; drawn pictures are used where there are none.
    attack : callable, or None
        Makes the adversarial attack, where `kinds` have it.

    Raises
    ------
    UsageError
        Attacks are to be drawn, and nothing can make them.
    """

    seed: int
    kinds: Frequencies
    materials: tuple[ImageItem, ...] = ()
    attack: AttackMaker | None = None

    def __post_init__(self) -> None:
        if ADVERSARIAL_ATTACK in self.kinds and self.attack is None:
            raise UsageError(f"{ADVERSARIAL_ATTACK} is among the kinds, but there is nothing to attack with")


@dataclass(frozen=True, slots=True)
class QueryTask:
    """Make some queries: a `Task` for a `Crew`.

    Attributes
    ----------
    folder : Path
    sources : tuple of QuerySource
    items : tuple of ImageItem
        The photograph of each source.
    digests : tuple of str
        SHA-256 of each photograph's file.
    drawing : Drawing
    """

    folder: Path
    sources: tuple[QuerySource, ...]
    items: tuple[ImageItem, ...]
    digests: tuple[str, ...]
    drawing: Drawing

    def work(self) -> list[MadeImage]:
        """One image a source.

        Raises
        ------
        ChallengeError
            A photograph can't be read any more.
        StorageError
            The disk refused.
        """
        materials = Materials([partial(image_pixels, item) for item in self.drawing.materials])
        rows = zip(self.sources, self.items, self.digests, strict=True)
        return [self._make(source, item, digest, materials) for source, item, digest in rows]

    def _make(self, source: QuerySource, item: ImageItem, digest: str, materials: Materials) -> MadeImage:
        rng = np.random.default_rng([self.drawing.seed, _STREAM, source.number])
        pixels = image_pixels(item)
        recipe, attack = draw_edits(rng, size_of(pixels), self.drawing.kinds)
        quality = whole(rng, *_QUALITIES)
        edited = recipe.apply(pixels, materials)
        result = edited.pixels
        if attack is not None and self.drawing.attack is not None:
            result = opened(self.drawing.attack).attack(result, attack.psnr, attack.seed)
        record = QueryRecord(
            query_id=source.id,
            reference_id=source.reference_id,
            photograph=digest,
            recipe=recipe,
            attack=attack,
            quality=quality,
            source_size=size_of(pixels),
            query_size=size_of(result),
            corners=corners_in_query(edited.geometry),
        )
        return write_image(self.folder, source.id, encode(result, quality), record.to_json())


def draw_edits(rng: np.random.Generator, size: Size, kinds: Frequencies) -> tuple[Recipe, AttackRecord | None]:
    """Draw one to four edits of different kinds; an adversarial attack is one of them, and the last.

    Parameters
    ----------
    rng : numpy.random.Generator
    size : (int, int)
        Width and height of the picture.
    kinds : mapping of str to float
        Weights by kind.
    """
    names, weights = list(kinds), np.array(list(kinds.values()), np.float64)
    count = min(whole(rng, 1, MOST_EDITS), len(names))
    drawn = [names[place] for place in rng.choice(len(names), count, replace=False, p=weights / weights.sum())]
    edits = tuple(Edit(name, KINDS[name].sample(rng, size)) for name in drawn if name != ADVERSARIAL_ATTACK)
    attack = AttackRecord(uniform(rng, *PSNR), draw_seed(rng)) if ADVERSARIAL_ATTACK in drawn else None
    return Recipe(edits), attack


def corners_in_query(geometry: Geometry) -> tuple[tuple[float, float], ...] | None:
    """Where the source's corners are in a query; see `QueryRecord`."""
    if not all(isinstance(step, Homography) for step in geometry.steps):
        return None
    found = geometry.to_result(corners(geometry.source_size))
    if not np.isfinite(found).all():
        return None
    return tuple((round(x, 2), round(y, 2)) for x, y in found.tolist())


def kinds_of(record: QueryRecord) -> list[str]:
    """The kinds of a query's edits, an attack among them."""
    attack = [] if record.attack is None else [ADVERSARIAL_ATTACK]
    return [edit.kind for edit in record.recipe.edits] + attack
