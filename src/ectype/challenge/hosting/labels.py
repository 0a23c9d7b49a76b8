"""Which labels of phase 1 are public."""

from __future__ import annotations

import hashlib

from ectype.evaluation import GroundTruth

_DIGITS, _DRAWS = 16, 2**64


def is_public(query_id: str, share: float, salt: str) -> bool:
    """Whether a query's label is public: by its own id alone, so the other queries do not matter.

    Parameters
    ----------
    query_id : str
    share : float
        Of the queries that are public, from 0 to 1.
    salt : str
        Keeps anyone who doesn't know it from telling.
    """
    drawn = int(hashlib.sha256(f"{salt}:{query_id}".encode()).hexdigest()[:_DIGITS], 16)
    return drawn / _DRAWS < share


def split_labels(truth: GroundTruth, share: float, salt: str) -> tuple[GroundTruth, GroundTruth]:
    """The public and the hidden part of a ground truth."""
    public = frozenset(query for query in truth.queries if is_public(query, share, salt))
    pairs = frozenset(pair for pair in truth.pairs if pair[0] in public)
    return GroundTruth(public, pairs), GroundTruth(truth.queries - public, truth.pairs - pairs)
