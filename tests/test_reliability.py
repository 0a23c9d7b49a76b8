"""Whether probabilities mean what they say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from ectype.errors import EvaluationError, UsageError
from ectype.evaluation import GroundTruth, Reliability, plot_reliability, reliability
from ectype.types import Match


def stated(scores: NDArray[np.float64], right: NDArray[np.bool_]) -> Reliability:
    matches = [Match(f"q{number}", "r", float(score)) for number, score in enumerate(scores)]
    pairs = frozenset((f"q{number}", "r") for number in np.flatnonzero(right))
    return reliability(matches, GroundTruth(frozenset(match.query_id for match in matches), pairs))


def test_calibrated_probabilities_have_no_error() -> None:
    rng = np.random.default_rng(0)
    scores = rng.random(20_000)
    assert stated(scores, rng.random(20_000) < scores).expected_calibration_error < 0.02
    certain = np.repeat([0.0, 1.0], 50)
    assert stated(certain, certain == 1).expected_calibration_error == 0


def test_stated_90_of_100_of_which_half_are_right_is_off_by_4_tenths() -> None:
    found = stated(np.full(200, 0.9), np.arange(200) % 2 == 0)
    assert found.expected_calibration_error == pytest.approx(0.4)
    assert found.counts.sum() == 200 and np.flatnonzero(found.counts).tolist() == [13]
    assert np.isnan(found.observed[0])


def test_each_query_counts_once_by_its_best_pair() -> None:
    matches = [Match("q", "wrong", 0.2), Match("q", "right", 0.9), Match("other query", "right", 1.0)]
    found = reliability(matches, GroundTruth(frozenset({"q"}), frozenset({("q", "right")})))
    assert found.counts.sum() == 1 and found.expected_calibration_error == pytest.approx(0.1)


def test_what_is_no_probability_is_refused() -> None:
    truth = GroundTruth(frozenset({"q"}), frozenset())
    for score in (-0.1, 1.1, float("nan")):
        with pytest.raises(EvaluationError, match="no probabilities"):
            reliability([Match("q", "r", score)], truth)
    with pytest.raises(EvaluationError, match="no matches"):
        reliability([Match("stranger", "r", 0.5)], truth)


def test_the_plot_is_written(tmp_path: Path) -> None:
    found = stated(np.linspace(0, 1, 50), np.arange(50) > 25)
    for suffix, start in (("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")):
        plot_reliability(found, tmp_path / f"plot.{suffix}")
        assert (tmp_path / f"plot.{suffix}").read_bytes().startswith(start)
    with pytest.raises(UsageError):
        plot_reliability(found, tmp_path / "plot.txt")
