"""Matching: queries against a collection, by all evidence or by the descriptor alone, and the choice of the pairs."""

from ectype.matching.background import Background
from ectype.matching.by_descriptor import match_by_descriptor, match_descriptors
from ectype.matching.calibration import (
    CALIBRATION_FILE,
    COPY_PRECISION,
    REVIEW_PRECISION,
    Calibration,
    Thresholds,
    bundled_calibration,
    read_calibration,
)
from ectype.matching.comparing import compare_images
from ectype.matching.finding import find_calibration
from ectype.matching.fitting import Fit, Targets, fit
from ectype.matching.matcher import CANDIDATES, Matcher, match_images
from ectype.matching.report import MatchReport
from ectype.matching.selection import MOST_PAIRS, PAIRS_A_QUERY, default_total, select_best

__all__ = [
    "CALIBRATION_FILE",
    "CANDIDATES",
    "COPY_PRECISION",
    "MOST_PAIRS",
    "PAIRS_A_QUERY",
    "REVIEW_PRECISION",
    "Background",
    "Calibration",
    "Fit",
    "MatchReport",
    "Matcher",
    "Targets",
    "Thresholds",
    "bundled_calibration",
    "compare_images",
    "default_total",
    "find_calibration",
    "fit",
    "match_by_descriptor",
    "match_descriptors",
    "match_images",
    "read_calibration",
    "select_best",
]
