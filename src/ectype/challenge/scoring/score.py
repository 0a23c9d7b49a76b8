"""Scoring a submission of either track: the same code for the host and for teams.

Matching Track: the pairs as they are submitted. Descriptor Track: all pairs of queries and references, ranked by minus
their squared L2 distance and cut at ten times the number of queries; see `ectype.challenge.scoring.range_search`. Both
are then judged by `ectype.evaluation`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ectype.challenge.manifest import Manifest
from ectype.challenge.scoring.range_search import best_pairs
from ectype.challenge.tracks.descriptor_file import DescriptorFile
from ectype.challenge.validation import Inspector, validate_submission
from ectype.errors import SubmissionError
from ectype.evaluation import Evaluation, GroundTruth, evaluate, read_matches
from ectype.types import Match, OnProgress

PAIRS_A_QUERY = 10
"""Of the Descriptor Track: as many pairs are kept, over all queries."""


def score_submission(
    path: str | Path,
    truth: GroundTruth,
    manifest: Manifest | None = None,
    *,
    inspector: Inspector | None = None,
    on_progress: OnProgress | None = None,
) -> Evaluation:
    """Validate a submission and score it against a ground truth.

    Parameters
    ----------
    path : str or Path
    truth : GroundTruth
        May be of a part of the queries: pairs of the others are dropped, after the cut.
    manifest : Manifest, optional
        With it the ids are checked, too.
    inspector : Inspector, optional
        As for `ectype.challenge.validation.validate_submission`.
    on_progress : callable, optional
        Called for descriptors, with the hundredths of the work that are finished since the last call.

    Raises
    ------
    SubmissionError
        The submission is invalid, or not of the ground truth's images.
    EvaluationError
        The ground truth has no copies.
    """
    return evaluate(submission_matches(path, truth, manifest, inspector=inspector, on_progress=on_progress), truth)


def submission_matches(
    path: str | Path,
    truth: GroundTruth,
    manifest: Manifest | None = None,
    *,
    inspector: Inspector | None = None,
    on_progress: OnProgress | None = None,
) -> list[Match]:
    """Validate a submission; the pairs that are scored, of all its queries.

    Parameters, and what is raised but `EvaluationError`, are those of `score_submission`.
    """
    report = validate_submission(path, manifest, inspector)
    report.raise_if_invalid(path)
    return read_matches(path) if report.track == "matching" else _descriptor_matches(path, truth, on_progress)


def _descriptor_matches(path: str | Path, truth: GroundTruth, on_progress: OnProgress | None) -> list[Match]:
    with DescriptorFile(path) as file:
        query_ids, reference_ids = file.ids("query"), file.ids("reference")
        _refuse_missing(path, "queries", truth.queries.difference(query_ids))
        _refuse_missing(path, "references", {pair[1] for pair in truth.pairs}.difference(reference_ids))
        found = best_pairs(
            np.concatenate([np.empty((0, file.dimension), np.float32), *file.blocks("query")]),
            file.blocks("reference"),
            PAIRS_A_QUERY * len(query_ids),
            on_progress=None if on_progress is None else _Hundredths(len(reference_ids), on_progress),
        )
    columns = (found.query_rows.tolist(), found.reference_rows.tolist(), found.scores.tolist())
    return [Match(query_ids[query], reference_ids[row], score) for query, row, score in zip(*columns, strict=True)]


def _refuse_missing(path: str | Path, what: str, missing: set[str] | frozenset[str]) -> None:
    if missing:
        raise SubmissionError(
            f"{path}: {len(missing):,} {what} of the ground truth have no row, such as {min(missing)!r}; add them, or "
            "score with the ground truth of the images that were submitted"
        )


class _Hundredths:
    """Turns counts of a total into hundredths of it."""

    def __init__(self, total: int, on_progress: OnProgress) -> None:
        self._total, self._done, self._on_progress = total, 0, on_progress

    def __call__(self, count: int) -> None:
        before = 100 * self._done // self._total
        self._done += count
        if finished := 100 * self._done // self._total - before:
            self._on_progress(finished)
