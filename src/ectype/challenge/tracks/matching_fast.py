"""Submissions of the Matching Track by the descriptor alone, with normalised scores."""

from __future__ import annotations

import dataclasses

from ectype.challenge.tracks.content import MOST_ROWS
from ectype.collection import Collection
from ectype.matching import PAIRS_A_QUERY, Background, default_total, match_descriptors
from ectype.types import DescriptorSet, Match

_QUERIES_AT_ONCE = MOST_ROWS // PAIRS_A_QUERY  # of which no pair is cut before it is normalised


def match_by_normalised_descriptor(
    collection: Collection, queries: DescriptorSet, background: Background | None, *, total: int | None = None
) -> list[Match]:
    """The best pairs over all queries, by inner product less the query's level of similarity to a background.

    Parameters
    ----------
    collection : Collection
    queries : DescriptorSet
    background : Background or None
        Of the same model; without it scores are the inner products.
    total : int, optional
        Pairs in all; ten times the queries by default, and never more than 500,000.

    Returns
    -------
    list of Match
        From the highest score to the lowest.

    Raises
    ------
    ModelMismatchError
        The queries were described by another model.
    """
    found: list[Match] = []
    for start in range(0, len(queries), _QUERIES_AT_ONCE):
        part = slice(start, start + _QUERIES_AT_ONCE)
        batch = DescriptorSet(queries.ids[part], queries.vectors[part], queries.fingerprint)
        pairs = match_descriptors(collection, batch, limit=PAIRS_A_QUERY, total=MOST_ROWS).matches
        if background is None:
            found += pairs
        else:
            levels = dict(zip(batch.ids, map(background.level, batch.vectors), strict=True))
            found += [dataclasses.replace(pair, score=pair.score - levels[pair.query_id]) for pair in pairs]
    found.sort(key=lambda match: (-match.score, match.query_id, match.reference_id))
    return found[: default_total(len(queries)) if total is None else total]
