"""What is reported of a data set that was made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ectype.types import SkippedImage


@dataclass(frozen=True, slots=True)
class PhaseReport:
    """The queries of one phase.

    Attributes
    ----------
    queries, copies : int
    kinds : mapping of str to int
        How many queries have an edit of each kind.
    """

    queries: int
    copies: int
    kinds: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class MakeReport:
    """What is reported of a data set that was made.

    Attributes
    ----------
    references, training : int
    phases : tuple of PhaseReport
    left_out : tuple of str
        Kinds whose share was spread over the others: adversarial attacks where nothing was given that can attack.
    repeated : int
        Photographs with the bytes of another one, which were passed over.
    skipped : tuple of SkippedImage
        Photographs that can't be read, which were replaced by others.
    """

    references: int
    training: int
    phases: tuple[PhaseReport, ...]
    left_out: tuple[str, ...]
    repeated: int
    skipped: tuple[SkippedImage, ...]

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self) | {"skipped": [asdict(row) for row in self.skipped]}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> MakeReport:
        """Read what `to_dict` made."""
        return cls(
            references=content["references"],
            training=content["training"],
            phases=tuple(PhaseReport(**phase) for phase in content["phases"]),
            left_out=tuple(content["left_out"]),
            repeated=content["repeated"],
            skipped=tuple(SkippedImage(**row) for row in content["skipped"]),
        )
