"""Fitting a calibration on queries whose references are known."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ectype.errors import InvalidDataError
from ectype.evaluation import GroundTruth, Reliability, reliability
from ectype.evidence import Evidence
from ectype.matching.background import Background
from ectype.matching.calibration import (
    COPY_PRECISION,
    DESCRIPTOR_TERMS,
    REVIEW_PRECISION,
    Calibration,
    Logistic,
    Thresholds,
    terms,
)
from ectype.types import Match

FEWEST_COPIES = 50
_SHRINKAGE = 1e-3  # of weights, for data that a line separates
_STEPS = 100
_ENOUGH = 1e-9
_CONFIDENCE = 1.6449  # standard deviations: a one-sided bound at 95%
_SUREST = 0.5  # no pair that is rather different than a copy is called one, however few such pairs there are


@dataclass(frozen=True, slots=True)
class Targets:
    """Precisions that decisions must reach: of all pairs called copies, and of these and those to be reviewed."""

    copy: float = COPY_PRECISION
    review: float = REVIEW_PRECISION

    def __post_init__(self) -> None:
        if not 0 < self.review <= self.copy < 1:
            raise InvalidDataError(
                f"precisions are between 0 and 1, that of copies not below that of reviews: not {self.copy} and "
                f"{self.review}"
            )


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """A calibration, and how it does on queries that it was not fitted on.

    Attributes
    ----------
    calibration : Calibration
        Fitted on all queries.
    check : Reliability
        Of one half of the queries, with a calibration that was fitted on the other half, and the other way round.
    """

    calibration: Calibration
    check: Reliability


def fit(matches: Sequence[Match], truth: GroundTruth, background: Background, references: int, targets: Targets) -> Fit:
    """Fit a calibration.

    Parameters
    ----------
    matches : sequence of Match
        With evidence: every candidate of every query, as `Matcher.match` gives them whatever its calibration.
    truth : GroundTruth
    background : Background
    references : int
        How many were searched.
    targets : Targets

    Raises
    ------
    InvalidDataError
        There are too few copies or others to tell them apart, or no threshold reaches a target.
    """
    known = [match for match in matches if match.query_id in truth.queries and match.evidence is not None]
    right = np.array([(match.query_id, match.reference_id) in truth.pairs for match in known], bool)
    if right.sum() < FEWEST_COPIES or (~right).sum() < FEWEST_COPIES:
        raise InvalidDataError(
            f"{right.sum()} copies and {(~right).sum()} other pairs among the candidates are too few to fit on; "
            f"at least {FEWEST_COPIES} of each are needed"
        )
    counts = {
        "queries": len({match.query_id for match in known}),
        "references": references,
        "pairs": len(known),
        "copies": int(right.sum()),
    }
    bare = replace(Calibration.unfitted(background), fitted_on=counts)
    half = np.array([zlib.crc32(match.query_id.encode()) % 2 for match in known], bool)
    checked = [
        scored for side in (half, ~half) for scored in _rescored(_fitted(bare, known, right, side), known, ~side)
    ]
    calibration = _fitted(bare, known, right, np.ones(len(known), bool))
    scores = np.array([match.score for match in _rescored(calibration, known, np.ones(len(known), bool))])
    copy = max(_SUREST, lowest_score(scores, right, targets.copy))
    thresholds = Thresholds(copy, min(copy, lowest_score(scores, right, targets.review)), targets.copy, targets.review)
    return Fit(replace(calibration, thresholds=thresholds), reliability(checked, truth))


def _fitted(
    bare: Calibration, matches: Sequence[Match], right: NDArray[np.bool_], chosen: NDArray[np.bool_]
) -> Calibration:
    """With both models, on the chosen pairs; that of the descriptor alone learns from verified pairs, too."""
    rows = [(_evidence(match), bool(copy)) for match, copy, use in zip(matches, right, chosen, strict=True) if use]
    verified = [(terms(evidence), copy) for evidence, copy in rows if evidence.unverified is None]
    alone = [(terms(evidence)[: len(DESCRIPTOR_TERMS)], copy) for evidence, copy in rows]
    return replace(bare, verified=_regression(verified), by_descriptor=_regression(alone))


def _rescored(calibration: Calibration, matches: Sequence[Match], chosen: NDArray[np.bool_]) -> list[Match]:
    return [
        replace(match, score=calibration.probability(_evidence(match)))
        for match, use in zip(matches, chosen, strict=True)
        if use
    ]


def _evidence(match: Match) -> Evidence:
    if match.evidence is None:
        raise InvalidDataError(f"the match of {match.query_id!r} and {match.reference_id!r} has no evidence to fit on")
    return match.evidence


def _regression(rows: Sequence[tuple[NDArray[np.float64], bool]]) -> Logistic:
    """Logistic regression by Newton's method, with a little shrinkage so that it has an end."""
    if not rows or len({copy for _, copy in rows}) < 2:
        raise InvalidDataError(
            "a calibration needs copies and others whose files can be read; there are none of one kind"
        )
    values = np.array([row for row, _ in rows])
    right = np.array([copy for _, copy in rows], np.float64)
    spread = values.std(axis=0) + 1e-9
    padded = np.column_stack([values / spread, np.ones(len(values))])
    shrinkage = np.diag([_SHRINKAGE * len(rows) ** 0.5] * values.shape[1] + [1e-9])
    weights = np.zeros(padded.shape[1])
    for _ in range(_STEPS):
        stated = 1 / (1 + np.exp(-np.clip(padded @ weights, -40, 40)))
        slope = padded.T @ (stated - right) + shrinkage @ weights
        curvature = padded.T @ (padded * (stated * (1 - stated))[:, None]) + shrinkage
        step = np.linalg.solve(curvature, slope)
        weights -= step * min(1.0, 5.0 / max(np.abs(step).max(), 1e-12))
        if np.abs(step).max() < _ENOUGH:
            break
    return Logistic(tuple((weights[:-1] / spread).tolist()), float(weights[-1]))


def lowest_score(scores: NDArray[np.float64], right: NDArray[np.bool_], precision: float) -> float:
    """The smallest score from which on the pairs' precision, at its lower 95% confidence bound, reaches a target.

    The bound is Wilson's (1927), one-sided.

    Parameters
    ----------
    scores : ndarray of float64, shape (n,)
    right : ndarray of bool, shape (n,)
    precision : float

    Raises
    ------
    InvalidDataError
        No score reaches it.
    """
    order = np.argsort(-scores, kind="stable")
    ranked, copies = scores[order], np.cumsum(right[order])
    counts = np.arange(1, len(scores) + 1)
    share, z = copies / counts, _CONFIDENCE
    spread = z * np.sqrt(share * (1 - share) / counts + (z / (2 * counts)) ** 2)
    bound = (share + z**2 / (2 * counts) - spread) / (1 + z**2 / counts)
    last_of_a_score = np.append(ranked[1:] != ranked[:-1], True)
    reached = np.flatnonzero((bound >= precision) & last_of_a_score)
    if not reached.size:
        needed = int(np.ceil(z**2 * precision / (1 - precision)))
        raise InvalidDataError(
            f"no score reaches a precision of {precision} with confidence: of the pairs {copies[-1]} are copies, "
            f"and at least {needed} without an error between them are needed; give more queries, look for pairs that "
            "the truth lacks, or aim lower"
        )
    return float(ranked[reached[-1]])
