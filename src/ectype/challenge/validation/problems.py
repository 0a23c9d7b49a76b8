"""What can be wrong with a submission, and the report that says it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ectype.challenge.tracks import MOST_DIMENSIONS, MOST_ROWS, Track
from ectype.errors import SubmissionError

SHOWN_A_CODE = 20
"""Problems of one code that a report holds; all of them are counted."""

LARGEST_NUMBER = 1e15
"""In a vector: squared distances of 256 dimensions stay far inside float32, where the official scorer computes them."""

LONGEST_ID = 255
"""Bytes of an id in UTF-8: as many as a file name may have."""

LONGEST_LINE = 4096
"""Bytes of a CSV line; two ids and a score need far fewer."""

_SHOWN_CHARACTERS = 60

CODES: Mapping[str, str] = {
    # both tracks
    "empty-file": "write the submission again; `ectype challenge example` makes a valid one to compare with",
    "unknown-query": "name queries of this phase only, as its manifest does",
    "unknown-reference": "name references of the manifest only",
    "not-utf8": "write ids and text in UTF-8",
    "empty-id": "give every row its ids",
    "overlong-id": f"write ids as the manifest does; {LONGEST_ID} bytes are the most",
    # Matching Track
    "wrong-header": "begin the file with the line query_id,reference_id,score",
    "malformed-row": "write query_id,reference_id,score: three fields a line, with one line for each row",
    "nul-byte": "write plain text; the file may have been damaged or cut by a crash",
    "overlong-line": f"end each row with a line feed; {LONGEST_LINE} bytes are the most",
    "wrong-score": "write the score as a decimal number, such as 0.25 or -1e-3",
    "non-finite-score": "leave the pair out, or give it a finite score",
    "duplicated-pair": "give each pair once, with one score",
    "too-many-rows": f"keep the {MOST_ROWS:,} rows of the highest scores",
    # Descriptor Track
    "unreadable": "write the file again, and compare the digests of both ends after copying it",
    "hostile-file": "write the file with h5py or `ectype challenge describe`, and nothing but the four data sets",
    "missing-dataset": "store the four data sets query, reference, query_ids and reference_ids at the top of the file",
    "extra-object": "leave it out: the file holds query, reference, query_ids and reference_ids only",
    "link": "store the data set itself in this file, not a link to it",
    "outside-storage": "store the numbers in the data set itself: no virtual or external ones",
    "filtered": "store the data set without compression or other filters",
    "oversized": "write all rows; a data set can't be larger than its file",
    "wrong-type": "store vectors as float32 in little-endian order, and ids as strings",
    "wrong-shape": "store vectors as (rows, dimensions) and ids as (rows,), of as many rows",
    "too-many-dimensions": f"reduce the vectors to {MOST_DIMENSIONS} dimensions or fewer",
    "different-dimensions": "describe queries and references by one model",
    "unsorted-ids": "sort the rows by id, as bytes of UTF-8",
    "repeated-id": "give each image one row",
    "missing-query": "add a row for every query of the manifest",
    "missing-reference": "add a row for every reference of the manifest",
    "non-finite-vector": "replace NaN and infinity; a vector of zeros is allowed",
    "too-large-vector": f"scale the vectors: no number may be beyond ±{LARGEST_NUMBER:g}",
}
"""Every code a problem can have, with what to do about it. Codes do not change; new ones may come."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with a submission.

    Attributes
    ----------
    code : str
        One of `CODES`.
    place : str
        Where: a line, or a data set with its row (counted from 0).
    message : str
        What is wrong.
    advice : str
        What to do.
    """

    code: str
    place: str
    message: str
    advice: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message} ({self.code}): {self.advice}"


@dataclass(frozen=True, slots=True)
class ValidationReport:
    """What was found in a submission.

    Attributes
    ----------
    track : {"matching", "descriptor"}
    problems : tuple of Problem
        At most 20 of each code.
    counts : mapping of str to int
        How many there are of each code.
    """

    track: Track
    problems: tuple[Problem, ...]
    counts: Mapping[str, int]

    @property
    def ok(self) -> bool:
        return not self.problems

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "ok": self.ok,
            "track": self.track,
            "counts": dict(self.counts),
            "problems": [asdict(problem) for problem in self.problems],
        }

    def raise_if_invalid(self, path: str | Path) -> None:
        """Raise `SubmissionError`, with the problems, unless there are none."""
        if not self.ok:
            first_of_each = {problem.code: problem for problem in reversed(self.problems)}
            lines = [f"  {problem} [{self.counts[code]:,}]" for code, problem in reversed(first_of_each.items())]
            total = sum(self.counts.values())
            raise SubmissionError("\n".join([f"{path}: invalid, {total:,} problems; the first of each kind:", *lines]))


class Findings:
    """Gathers problems, in the order in which they are found, and counts those that are too many to keep."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.counts: Counter[str] = Counter()

    def add(self, code: str, place: str, message: str) -> None:
        """Note a problem."""
        if self.counts[code] < SHOWN_A_CODE:
            self.problems.append(Problem(code, place, message, CODES[code]))
        self.counts[code] += 1

    def report(self, track: Track) -> ValidationReport:
        return ValidationReport(track, tuple(self.problems), dict(self.counts))


def shown(text: str) -> str:
    """Text of a stranger, fit to be printed."""
    return repr(text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…")
