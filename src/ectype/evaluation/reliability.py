"""Whether probabilities mean what they say: of the pairs given 0.8, eight in ten should be copies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ectype.errors import EvaluationError
from ectype.evaluation.plot import check_plot_suffix
from ectype.evaluation.tables import GroundTruth
from ectype.storage import replacing
from ectype.types import Match

BINS = 15


@dataclass(frozen=True, slots=True, eq=False)
class Reliability:
    """Stated and observed probabilities, in bins of equal width.

    Attributes
    ----------
    stated, observed : ndarray of float64, shape (15,)
        Mean probability and share of copies of the pairs in each bin; nan for an empty one.
    counts : ndarray of int64, shape (15,)
    """

    stated: NDArray[np.float64]
    observed: NDArray[np.float64]
    counts: NDArray[np.int64]

    @property
    def expected_calibration_error(self) -> float:
        """Mean distance between stated and observed, weighted by the bins' pairs (Naeini et al., AAAI 2015)."""
        filled = self.counts > 0
        distances = np.abs(self.stated[filled] - self.observed[filled])
        return float((distances * self.counts[filled]).sum() / self.counts.sum())


def reliability(matches: Sequence[Match], truth: GroundTruth) -> Reliability:
    """Compare the scores of each query's best pair with a ground truth.

    The other pairs of a query are nearly all surely different; with them, any method would look well calibrated.

    Parameters
    ----------
    matches : sequence of Match
        With probabilities for scores.
    truth : GroundTruth

    Raises
    ------
    EvaluationError
        There are no matches of the truth's queries, or a score is no probability.
    """
    best: dict[str, Match] = {}
    for match in matches:
        if match.query_id in truth.queries:
            known = best.get(match.query_id)
            if known is None or match.score > known.score:
                best[match.query_id] = match
    if not best:
        raise EvaluationError("there are no matches of the ground truth's queries")
    scores = np.array([match.score for match in best.values()])
    right = np.array([(match.query_id, match.reference_id) in truth.pairs for match in best.values()])
    if not ((scores >= 0) & (scores <= 1)).all():
        raise EvaluationError("scores outside 0 to 1 are no probabilities; descriptors alone give none")
    bins = np.minimum((scores * BINS).astype(int), BINS - 1)
    counts = np.bincount(bins, minlength=BINS)
    with np.errstate(invalid="ignore"):
        stated, observed = (np.bincount(bins, values, BINS) / counts for values in (scores, right))
    return Reliability(stated, observed, counts)


def plot_reliability(found: Reliability, path: str | Path) -> None:
    """Draw stated against observed probability, with how many pairs stand behind each point.

    Parameters
    ----------
    found : Reliability
    path : str or Path
        The extension decides the format: ``.png``, ``.svg`` or ``.pdf``.
    """
    suffix = check_plot_suffix(path)
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.4, 6.0), layout="constrained")
    curve, bars = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    curve.plot((0, 1), (0, 1), color="0.6", linewidth=0.8, linestyle="--")
    filled = found.counts > 0
    curve.plot(found.stated[filled], found.observed[filled], "o-", color="#1f5fa8", linewidth=1.6)
    curve.set(ylabel="share of copies", ylim=(0, 1.02), xlim=(0, 1))
    curve.set_title(f"expected calibration error {found.expected_calibration_error:.4f}")
    bars.bar((np.arange(BINS) + 0.5) / BINS, found.counts, width=0.9 / BINS, color="#1f5fa8")
    bars.set(xlabel="probability stated for a query's best pair", ylabel="queries", yscale="log")
    for axes in (curve, bars):
        axes.grid(alpha=0.3)
    with replacing(path) as temporary:
        figure.savefig(temporary, format=suffix[1:], dpi=150)
