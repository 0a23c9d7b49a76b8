"""Verification: which part of a query shows which part of a reference, by local features."""

from ectype.verification.features import LocalFeatures, SiftExtractor
from ectype.verification.verify import Prepared, Role, prepare, verify

__all__ = ["LocalFeatures", "Prepared", "Role", "SiftExtractor", "prepare", "verify"]
