"""Micro-average precision and recall at precision 90, as the Image Similarity Challenge defines them.

All pairs of all queries are ranked in one list by score. Ties are ordered worst case, false before true, so that equal
scores gain nothing. The area under the precision-recall curve is summed with right-hand rectangles: each true pair adds
the precision at its place in the list. (Papakipos et al., "Results and findings of the 2021 Image Similarity
Challenge", 2022; reference implementation: facebookresearch/isc2021.)
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ectype.errors import EvaluationError
from ectype.evaluation.tables import GroundTruth
from ectype.types import Match

TARGET_PRECISION = 0.9


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """How well matches find the copies of a ground truth.

    Attributes
    ----------
    micro_average_precision : float
        In [0, 1].
    recall_at_p90, threshold_at_p90 : float or None
        The highest recall at a precision of at least 0.9, and the score it is reached at; None if it never is.
    recall_at_rank1, recall_at_rank10 : float
        Share of the true pairs that are among the first 1 or 10 of their query; a tie counts against them.
    queries, copies : int
        Queries of the ground truth, and true pairs.
    matches, dropped : int
        Pairs that were scored, and pairs that were not since their query isn't in the ground truth.
    precisions, recalls, scores : ndarray of float64, shape (matches,)
        The curve: after each pair of the ranked list.
    """

    micro_average_precision: float
    recall_at_p90: float | None
    threshold_at_p90: float | None
    recall_at_rank1: float
    recall_at_rank10: float
    queries: int
    copies: int
    matches: int
    dropped: int
    precisions: NDArray[np.float64] = field(repr=False)
    recalls: NDArray[np.float64] = field(repr=False)
    scores: NDArray[np.float64] = field(repr=False)

    def to_dict(self) -> dict[str, float | int | None]:
        """The figures without the curve, under the names that ``ectype evaluate --json`` prints."""
        names = ("micro_average_precision", "recall_at_p90", "threshold_at_p90", "recall_at_rank1", "recall_at_rank10")
        counts = ("queries", "copies", "matches", "dropped")
        return {name: getattr(self, name) for name in names + counts}


def evaluate(
    matches: Sequence[Match],
    truth: GroundTruth,
    *,
    known_queries: Collection[str] | None = None,
    known_references: Collection[str] | None = None,
) -> Evaluation:
    """Score matches against a ground truth.

    Parameters
    ----------
    matches : sequence of Match
        In any order. Those of queries outside the ground truth are dropped.
    truth : GroundTruth
    known_queries, known_references : collection of str, optional
        Every id there is; matches with others are refused.

    Raises
    ------
    EvaluationError
        A score is not finite, a pair is there twice, an id is unknown, or the ground truth has no copies.
    """
    if not truth.pairs:
        raise EvaluationError("the ground truth has no copies, so there is nothing to find and nothing to score")
    _refuse_bad_matches(matches, known_queries, known_references)
    counted = [match for match in matches if match.query_id in truth.queries]
    scores = np.array([match.score for match in counted], np.float64)
    correct = np.array([(match.query_id, match.reference_id) in truth.pairs for match in counted], np.bool_)

    order = np.lexsort((correct, -scores))
    scores, correct = scores[order], correct[order]
    found = np.cumsum(correct)
    precisions = found / np.arange(1, len(found) + 1)
    recalls = found / len(truth.pairs)
    recall, threshold = _operating_point(precisions, recalls, scores)
    ranks = _ranks(counted, truth)
    return Evaluation(
        micro_average_precision=float((precisions * correct).sum() / len(truth.pairs)),
        recall_at_p90=recall,
        threshold_at_p90=threshold,
        recall_at_rank1=float((ranks < 1).mean()),
        recall_at_rank10=float((ranks < 10).mean()),
        queries=len(truth.queries),
        copies=len(truth.pairs),
        matches=len(counted),
        dropped=len(matches) - len(counted),
        precisions=precisions,
        recalls=recalls,
        scores=scores,
    )


def _refuse_bad_matches(
    matches: Sequence[Match], known_queries: Collection[str] | None, known_references: Collection[str] | None
) -> None:
    for match in matches:
        if not math.isfinite(match.score):
            raise EvaluationError(f"the score of {match.query_id!r}, {match.reference_id!r} is {match.score}")
    twice = [pair for pair, count in Counter((m.query_id, m.reference_id) for m in matches).items() if count > 1]
    if twice:
        raise EvaluationError(f"{len(twice)} pairs are there more than once, the first of them {twice[0]}")
    for kind, known, ids in (
        ("query", known_queries, {match.query_id for match in matches}),
        ("reference", known_references, {match.reference_id for match in matches}),
    ):
        if known is not None and (unknown := sorted(ids - set(known))):
            raise EvaluationError(f"{len(unknown)} {kind} ids are unknown, such as {', '.join(unknown[:10])}")


def _operating_point(
    precisions: NDArray[np.float64], recalls: NDArray[np.float64], scores: NDArray[np.float64]
) -> tuple[float | None, float | None]:
    reached = np.flatnonzero(precisions >= TARGET_PRECISION)
    if not reached.size:
        return None, None
    best = reached[np.argmax(recalls[reached])]
    return float(recalls[best]), float(scores[best])


def _ranks(matches: Sequence[Match], truth: GroundTruth) -> NDArray[np.float64]:
    """For each true pair: how many pairs of its query score at least as high; infinity if it was not found."""
    scores_of: dict[str, list[float]] = defaultdict(list)
    for match in matches:
        scores_of[match.query_id].append(match.score)
    rank_of = {
        (match.query_id, match.reference_id): sum(score >= match.score for score in scores_of[match.query_id]) - 1
        for match in matches
        if (match.query_id, match.reference_id) in truth.pairs
    }
    return np.array([rank_of.get(pair, math.inf) for pair in truth.pairs])
