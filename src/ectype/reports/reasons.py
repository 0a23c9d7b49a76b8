"""A pair's evidence in sentences."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ectype.evidence import Evidence, Points, Verification
from ectype.reports.decomposition import Decomposition, decompose
from ectype.types import Match

_WHOLE = 0.995
_LEAST_TURN = 1.0  # degrees; less is within the mapping's own error, as are the next two
_LEAST_SCALING = 1.03
_LEAST_STRETCH = 1.05


def reasons(match: Match) -> tuple[str, ...]:
    """Say why a pair has its score, in sentences without a full stop.

    Parameters
    ----------
    match : Match

    Returns
    -------
    tuple of str
        Empty for the descriptor alone, which leaves no evidence.
    """
    return () if match.evidence is None else tuple(_sentences(match.evidence))


def _sentences(evidence: Evidence) -> Iterator[str]:
    if evidence.identical:
        yield "the two files have the same bytes"
    if evidence.verification is not None:
        yield from _of_verification(evidence.verification)
    elif evidence.unverified is not None:
        yield f"unverified: {evidence.unverified}"
    else:
        yield "no mapping of one picture onto the other was found"
    yield (
        f"descriptors: {evidence.similarity:.2f} for the whole images, {evidence.view_similarity:.2f} for the best "
        f"view; unrelated pictures reach {evidence.background:.2f} with this query"
    )


def _of_verification(found: Verification) -> Iterator[str]:
    steps = decompose(np.asarray(np.linalg.inv(found.matrix[:2, :2]), np.float64))  # what became of the reference
    shown = _share(found.reference_region, found.reference_size)
    filled = _share(found.query_region, found.query_size)
    yield f"{found.places} places agree on one mapping, over {_percent(found.spread)} of the part it covers"
    part = "all of the reference" if shown >= _WHOLE else f"{_percent(shown)} of the reference"
    yield ", ".join([f"the query shows {part}", *_changes(steps)])
    yield f"that part fills {'the whole query' if filled >= _WHOLE else f'{_percent(filled)} of the query'}"
    yield f"laid over each other, {_percent(found.agreement)} of the two agree in their pixels"


def _changes(steps: Decomposition) -> Iterator[str]:
    if steps.mirrored:
        yield "mirrored"
    if steps.stretch >= _LEAST_STRETCH:
        yield f"stretched by {_percent(steps.stretch - 1)} {_along(steps.direction)}"
    degrees = round(abs(steps.turn))
    if degrees == 180:
        yield "turned upside down"
    elif abs(steps.turn) >= _LEAST_TURN:
        yield f"turned by {degrees}° {'clockwise' if steps.turn > 0 else 'counterclockwise'}"
    if steps.scale >= _LEAST_SCALING:
        yield f"at {steps.scale:.2g} times its size"
    elif steps.scale <= 1 / _LEAST_SCALING:
        yield f"at {steps.scale:.2g} of its size"
    else:
        yield "at its own size"


def _along(direction: float) -> str:
    """A direction in words; within 20 degrees of the sides it counts as theirs."""
    if abs(direction - 90) < 20:
        return "in height"
    return "in width" if abs(direction - 90) > 70 else "aslant"


def _share(region: Points, size: tuple[int, int]) -> float:
    x, y = region.T
    area = abs(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y)) / 2
    return float(area / (size[0] * size[1]))


def _percent(share: float) -> str:
    return "less than 1%" if share < 0.01 else f"{share:.0%}"
