"""The reference collection: a folder on disk, with SQLite as the truth and a search index as a cache."""

from ectype.collection.collection import AddReport, Collection
from ectype.collection.records import Reference

__all__ = ["AddReport", "Collection", "Reference"]
