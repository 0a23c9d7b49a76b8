"""How each query was made: the lines of ``recipes.jsonl``, which the host keeps."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ectype.errors import ChallengeError, InvalidDataError
from ectype.transformations import Recipe
from ectype.transformations.geometry import Size


@dataclass(frozen=True, slots=True)
class AttackRecord:
    """An adversarial attack, the last step before encoding.

    Attributes
    ----------
    psnr : float
        In dB.
    seed : int
    """

    psnr: float
    seed: int


@dataclass(frozen=True, slots=True)
class QueryRecord:
    """How a query was made.

    Attributes
    ----------
    query_id, reference_id : str
        The latter is empty for a distractor.
    photograph : str
        SHA-256 of the file of the photograph it was made of.
    recipe : Recipe
        Its edits. They start from the pixels of the reference's file, for a distractor from its photograph made into
        such a file; pictures to paste on or in are the training images, in their order.
    attack : AttackRecord or None
    quality : int
        Of the JPEG file.
    source_size, query_size : (int, int)
        Width and height before and after the edits.
    corners : tuple of (float, float), or None
        Where the source's four corners are in the query, clockwise from the upper left, in pixels; outside of it where
        they are cut away. None where an edit bends the picture, so that four corners don't tell.
    """

    query_id: str
    reference_id: str
    photograph: str
    recipe: Recipe
    attack: AttackRecord | None
    quality: int
    source_size: Size
    query_size: Size
    corners: tuple[tuple[float, float], ...] | None

    def to_json(self) -> str:
        """As one line of JSON."""
        return json.dumps(
            {
                "query_id": self.query_id,
                "reference_id": self.reference_id,
                "photograph": self.photograph,
                "edits": json.loads(self.recipe.to_json()),
                "attack": None if self.attack is None else {"psnr": self.attack.psnr, "seed": self.attack.seed},
                "quality": self.quality,
                "source_size": self.source_size,
                "query_size": self.query_size,
                "corners": self.corners,
            }
        )

    @classmethod
    def from_json(cls, line: str) -> QueryRecord:
        """Read what `to_json` wrote.

        Raises
        ------
        ChallengeError
            It is no such record.
        """
        try:
            row = json.loads(line)
            attack, corners = row["attack"], row["corners"]
            return cls(
                query_id=row["query_id"],
                reference_id=row["reference_id"],
                photograph=row["photograph"],
                recipe=Recipe.from_json(json.dumps(row["edits"])),
                attack=None if attack is None else AttackRecord(attack["psnr"], attack["seed"]),
                quality=row["quality"],
                source_size=_pair(row["source_size"]),
                query_size=_pair(row["query_size"]),
                corners=None if corners is None else tuple(map(_pair, corners)),
            )
        except (ValueError, TypeError, KeyError, InvalidDataError) as error:
            raise ChallengeError(f"not a record of how a query was made: {error}") from error


def read_records(path: str | Path) -> Iterator[QueryRecord]:
    """Read a ``recipes.jsonl``, line by line.

    Raises
    ------
    ChallengeError
        The file can't be read, or a line is no record; the message names it.
    """
    try:
        with open(path, encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                try:
                    yield QueryRecord.from_json(line)
                except ChallengeError as error:
                    raise ChallengeError(f"{path}, line {number}: {error}") from None
    except OSError as error:
        raise ChallengeError(f"{path}: can't be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ChallengeError(f"{path}: not a text file in UTF-8: {error}") from error


def _pair(values: list[int]) -> tuple[int, int]:
    first, second = values
    return first, second
