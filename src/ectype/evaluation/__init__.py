"""Evaluation: the challenge's measures, on files or in memory. Needs no model."""

from ectype.evaluation.metrics import Evaluation, evaluate
from ectype.evaluation.plot import plot_precision_recall
from ectype.evaluation.tables import GroundTruth, read_ground_truth, read_matches, write_matches

__all__ = [
    "Evaluation",
    "GroundTruth",
    "evaluate",
    "plot_precision_recall",
    "read_ground_truth",
    "read_matches",
    "write_matches",
]
