"""Checking a Matching Track submission: a CSV file of any size, read once as a stream.

Each row is one line. Quotes around a field are understood, line ends within them are not.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ectype.challenge.manifest import Manifest
from ectype.challenge.tracks import MOST_ROWS
from ectype.challenge.validation.problems import LONGEST_ID, LONGEST_LINE, Findings, shown
from ectype.errors import SubmissionError

_HEADER = ["query_id", "reference_id", "score"]
_BYTES_A_BLOCK = 2**20


def check_matching(path: str | Path, manifest: Manifest | None) -> Findings:
    """Find everything that is wrong with a Matching Track submission.

    Memory is bounded whatever the file holds: 500,000 lines are looked at, and those after them counted.

    Parameters
    ----------
    path : str or Path
    manifest : Manifest or None
        The ids there are; without it any will do.

    Raises
    ------
    SubmissionError
        The disk refuses.
    """
    findings = Findings()
    try:
        with open(path, "rb") as file:
            _RowCheck(findings, manifest).check(file)
    except OSError as error:
        raise SubmissionError(f"{path}: can't be read ({error.strerror}); check the disk and permissions") from error
    return findings


class _RowCheck:
    def __init__(self, findings: Findings, manifest: Manifest | None) -> None:
        self._findings = findings
        self._queries = None if manifest is None else frozenset(manifest.query_ids)
        self._references = None if manifest is None else frozenset(manifest.reference_ids)
        self._lines: dict[tuple[str, str], int] = {}  # of each pair

    def check(self, file: BinaryIO) -> None:
        lines = _lines(file)
        _, header = next(lines, (1, b""))
        if not header:
            self._findings.add("empty-file", "line 1", "there is nothing in the file")
            return
        text = header.decode("utf-8-sig", errors="replace")
        if _fields(text) != _HEADER:
            self._findings.add("wrong-header", "line 1", f"is not the header but {shown(text.strip())}")
        for number, line in lines:
            if number > MOST_ROWS + 1:
                left = 1 + _count_lines(file)
                message = f"more than {MOST_ROWS:,} lines after the header: {left:,} from here on were not looked at"
                self._findings.add("too-many-rows", f"line {number}", message)
                return
            self._check_line(number, line)

    def _check_line(self, number: int, line: bytes) -> None:
        place = f"line {number}"
        if len(line) > LONGEST_LINE:
            self._findings.add("overlong-line", place, f"longer than {LONGEST_LINE} bytes")
            return
        if b"\0" in line:
            self._findings.add("nul-byte", place, "holds a byte of zero")
            return
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError as error:
            self._findings.add("not-utf8", place, f"not UTF-8 from byte {error.start} on")
            return
        fields = _fields(text)
        if fields is not None:
            self._check_row(number, *fields)
        elif text.strip():  # an empty line is none
            self._findings.add("malformed-row", place, f"must be {','.join(_HEADER)}, not {shown(text.strip())}")

    def _check_row(self, number: int, query: str, reference: str, score: str) -> None:
        place = f"line {number}"
        self._check_id("query", place, query, self._queries)
        self._check_id("reference", place, reference, self._references)
        value = _number(score)
        if value is None:
            self._findings.add("wrong-score", place, f"the score {shown(score)} is no number")
        elif not math.isfinite(value):
            self._findings.add("non-finite-score", place, f"the score is {value}")
        earlier = self._lines.setdefault((query, reference), number)
        if earlier != number:
            pair = f"{shown(query)}, {shown(reference)}"
            self._findings.add("duplicated-pair", place, f"the pair {pair} is in line {earlier} already")

    def _check_id(self, kind: str, place: str, name: str, known: frozenset[str] | None) -> None:
        if not name:
            self._findings.add("empty-id", place, f"the {kind}'s id is empty")
        elif len(name.encode()) > LONGEST_ID:
            self._findings.add("overlong-id", place, f"the {kind}'s id is longer than {LONGEST_ID} bytes")
        elif known is not None and name not in known:
            self._findings.add(f"unknown-{kind}", place, f"there is no {kind} {shown(name)}")


def _lines(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Number and content of each line; of one that is too long only the beginning, still too long."""
    number = 0
    while line := file.readline(LONGEST_LINE + 1):
        number += 1
        rest = line
        while rest and not rest.endswith(b"\n"):
            rest = file.readline(_BYTES_A_BLOCK)
        yield number, line


def _count_lines(file: BinaryIO) -> int:
    count = 0
    last = b"\n"
    while block := file.read(_BYTES_A_BLOCK):
        count += block.count(b"\n")
        last = block
    return count + (not last.endswith(b"\n"))


def _fields(text: str) -> list[str] | None:
    """The three fields of a line; None if there are others, or they can't be told apart."""
    text = text.rstrip("\r\n")
    if "\r" in text:
        return None
    if '"' not in text:
        fields = text.split(",")
    else:
        try:
            fields = next(csv.reader([text], strict=True))
        except csv.Error:
            return None
    return [field.strip() for field in fields] if len(fields) == len(_HEADER) else None


def _number(text: str) -> float | None:
    """As `float` reads it, but for digits of other scripts and underscores."""
    if not text.isascii() or "_" in text:
        return None
    try:
        return float(text)
    except ValueError:
        return None
