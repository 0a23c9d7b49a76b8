"""Evaluation: the challenge's measures, on files or in memory. Needs no model."""

from ectype.evaluation.metrics import Evaluation, evaluate
from ectype.evaluation.plot import plot_precision_recall
from ectype.evaluation.reliability import Reliability, plot_reliability, reliability
from ectype.evaluation.tables import GroundTruth, read_ground_truth, read_matches, write_ground_truth, write_matches

__all__ = [
    "Evaluation",
    "GroundTruth",
    "Reliability",
    "evaluate",
    "plot_precision_recall",
    "plot_reliability",
    "read_ground_truth",
    "read_matches",
    "reliability",
    "write_ground_truth",
    "write_matches",
]
