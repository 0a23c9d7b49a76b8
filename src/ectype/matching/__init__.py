"""Matching: queries against a collection, and the choice of the pairs to report."""

from ectype.matching.matcher import MatchReport, match_descriptors, match_images
from ectype.matching.selection import MOST_PAIRS, PAIRS_A_QUERY, default_total, select_best

__all__ = [
    "MOST_PAIRS",
    "PAIRS_A_QUERY",
    "MatchReport",
    "default_total",
    "match_descriptors",
    "match_images",
    "select_best",
]
