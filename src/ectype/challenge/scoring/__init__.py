"""Scoring: the figures of a submission of either track."""

from ectype.challenge.scoring.score import score_submission, submission_matches

__all__ = ["score_submission", "submission_matches"]
