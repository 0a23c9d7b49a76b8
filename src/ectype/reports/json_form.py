"""A pair and its evidence as JSON values."""

from __future__ import annotations

from typing import Any

from ectype.evidence import Evidence, Points, Verification
from ectype.types import Match

_MEASURED = ("places", "spread", "residual", "agreement", "mirrored", "matrix", "query_region", "reference_region")


def match_to_json(match: Match) -> dict[str, Any]:
    """Give a pair as JSON values.

    Parameters
    ----------
    match : Match

    Returns
    -------
    dict
        ``query_id``, ``reference_id``, ``score``; ``decision`` and ``evidence`` if there are any. Of the evidence, what
        verification measures is null where no mapping was found. ``matrix`` takes query pixels to reference pixels,
        and regions are lists of corners ``[x, y]`` in pixels, rounded to tenths.
    """
    form: dict[str, Any] = {"query_id": match.query_id, "reference_id": match.reference_id, "score": match.score}
    if match.decision is not None:
        form["decision"] = match.decision
    if match.evidence is not None:
        form["evidence"] = _evidence(match.evidence)
    return form


def _evidence(evidence: Evidence) -> dict[str, Any]:
    return {
        "similarity": evidence.similarity,
        "view_similarity": evidence.view_similarity,
        "background": evidence.background,
        **_verification(evidence.verification),
        "unverified": evidence.unverified,
        "identical": evidence.identical,
    }


def _verification(found: Verification | None) -> dict[str, Any]:
    if found is None:
        return dict.fromkeys(_MEASURED)
    return {
        "places": found.places,
        "spread": found.spread,
        "residual": found.residual,
        "agreement": found.agreement,
        "mirrored": found.mirrored,
        "matrix": found.matrix.tolist(),
        "query_region": _corners(found.query_region),
        "reference_region": _corners(found.reference_region),
    }


def _corners(region: Points) -> list[list[float]]:
    return [[round(x, 1), round(y, 1)] for x, y in region.tolist()]
