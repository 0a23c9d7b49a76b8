"""Sets of images that are copies of each other, in a folder of photographs or a collection."""

from ectype.duplicates.comparing import Copies, FindsCopies
from ectype.duplicates.find import find_duplicates
from ectype.duplicates.marking import MarkedPair, mark_images, marked_pairs
from ectype.duplicates.place import Place, place_of
from ectype.duplicates.records import Contradiction, DuplicateReport, DuplicateSet, FoundPair, HeldImage

__all__ = [
    "Contradiction",
    "Copies",
    "DuplicateReport",
    "DuplicateSet",
    "FindsCopies",
    "FoundPair",
    "HeldImage",
    "MarkedPair",
    "Place",
    "find_duplicates",
    "mark_images",
    "marked_pairs",
    "place_of",
]
