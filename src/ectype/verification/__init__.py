"""Verification: which part of a query shows which part of a reference, by local features."""

from ectype.verification.agreement import Thumbnail
from ectype.verification.features import LocalFeatures, SiftExtractor
from ectype.verification.verifier import SIDE, Prepared, Role, Verifier, prepare

__all__ = ["SIDE", "LocalFeatures", "Prepared", "Role", "SiftExtractor", "Thumbnail", "Verifier", "prepare"]
