"""Indexes: a contract, and exact search behind it."""

from ectype.indexes.contract import Index
from ectype.indexes.exact import ExactIndex
from ectype.indexes.faiss import FaissIndex

__all__ = ["ExactIndex", "FaissIndex", "Index"]
