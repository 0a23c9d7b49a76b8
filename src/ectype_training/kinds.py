"""How well each kind of edit is seen through, on photographs that were not trained on."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ectype import GroundTruth, Match, evaluate
from ectype.descriptors import DescriptorModel
from ectype.descriptors.extraction import map_groups
from ectype.errors import InvalidDataError
from ectype.images import ImageItem, decode_image
from ectype.transformations import KINDS, Materials, sample_recipe
from ectype_training.photographs import readable

_BEST = 10
FEWEST_PHOTOGRAPHS = 20

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class KindResult:
    """What was measured for one kind of edit."""

    kind: str
    micro_average_precision: float
    recall_at_p90: float
    recall_at_rank1: float


def measure_kinds(
    model: DescriptorModel, items: Sequence[ImageItem], kinds: Sequence[str], copies: int = 100, seed: int = 2021
) -> list[KindResult]:
    """Edit photographs with one kind at a time, and look for them.

    Two thirds of the photographs are references. For each kind, `copies` of them and as many of the others are edited
    with it alone: the one are to be found, the other are distractors, edited likewise.

    Parameters
    ----------
    model : DescriptorModel
    items : sequence of ImageItem
        Photographs that the model was not trained on, at least 20; those that can't be read are left out.
    kinds : sequence of str
        ``unedited`` is allowed, too.
    copies : int
        At most; fewer where there are fewer photographs.
    seed : int

    Raises
    ------
    InvalidDataError
        There are too few photographs, or a kind is unknown.
    """
    items = readable(items)
    if len(items) < FEWEST_PHOTOGRAPHS:
        raise InvalidDataError(
            f"{len(items)} photographs are too few to measure on; at least {FEWEST_PHOTOGRAPHS} are needed"
        )
    for kind in kinds:
        if kind != "unedited" and kind not in KINDS:
            raise InvalidDataError(f"there is no kind of edit named {kind!r}; there are {', '.join(KINDS)}")
    order = np.random.default_rng(seed).permutation(len(items))
    bank = [items[number] for number in order[: 2 * len(items) // 3]]
    others = [items[number] for number in order[2 * len(items) // 3 :]]
    copies = min(copies, len(others), len(bank))
    materials = Materials([partial(_pixels, item) for item in others])
    references = _describe(model, [partial(_pixels, item) for item in bank])
    results = []
    for kind in kinds:
        queries = [
            partial(_edited, item, kind, (seed, zlib.crc32(kind.encode()), number), materials)
            for number, item in enumerate([*bank[:copies], *others[:copies]])
        ]
        results.append(_score(kind, _describe(model, queries) @ references.T, copies))
    return results


def _describe(model: DescriptorModel, pictures: Sequence[Callable[[], Pixels]]) -> NDArray[np.float32]:
    return np.stack(list(map_groups(pictures, lambda group: list(model.describe([picture() for picture in group])))))


def _edited(item: ImageItem, kind: str, seed: tuple[int, ...], materials: Materials) -> Pixels:
    pixels = _pixels(item)
    if kind == "unedited":
        return pixels
    recipe = sample_recipe(np.random.default_rng(seed), (pixels.shape[1], pixels.shape[0]), [kind], 1)
    return recipe.apply(pixels, materials).pixels


def _pixels(item: ImageItem) -> Pixels:
    return decode_image(item.read())


def _score(kind: str, scores: NDArray[np.float32], copies: int) -> KindResult:
    truth = GroundTruth(
        frozenset(map(str, range(len(scores)))), frozenset((str(number), str(number)) for number in range(copies))
    )
    matches = [
        Match(str(query), str(reference), float(row[reference]))
        for query, row in enumerate(scores)
        for reference in np.argsort(row)[::-1][:_BEST]
    ]
    result = evaluate(matches, truth)
    return KindResult(
        kind,
        round(result.micro_average_precision, 4),
        round(result.recall_at_p90 or 0.0, 4),
        round(result.recall_at_rank1, 4),
    )
