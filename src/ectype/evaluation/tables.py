"""Matches and ground truth as CSV files.

Matches: ``query_id,reference_id,score``. Ground truth: ``query_id,reference_id``, with an empty reference for a query
that was copied from none. A header line may be there or not.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ectype.errors import EvaluationError
from ectype.storage import replacing
from ectype.types import Match

_SHOWN = 10


@dataclass(frozen=True, slots=True)
class GroundTruth:
    """What a challenge knows of its queries.

    Attributes
    ----------
    queries : frozenset of str
        Every query that counts, copies and distractors.
    pairs : frozenset of (str, str)
        Query and reference of every copy.

    Raises
    ------
    EvaluationError
        A pair's query is not among the queries.
    """

    queries: frozenset[str]
    pairs: frozenset[tuple[str, str]]

    def __post_init__(self) -> None:
        strangers = {query for query, _ in self.pairs} - self.queries
        if strangers:
            raise EvaluationError(f"ground truth: {sorted(strangers)[:_SHOWN]} have a reference but are no queries")


class _Problems:
    """Gathers what is wrong with a file, to tell it all at once."""

    def __init__(self, path: str | Path) -> None:
        self._path, self._found = path, list[str]()

    def add(self, line: int, problem: str) -> None:
        self._found.append(f"  line {line}: {problem}")

    def raise_if_any(self) -> None:
        if self._found:
            more = [f"  and {len(self._found) - _SHOWN} more"] if len(self._found) > _SHOWN else []
            raise EvaluationError(
                "\n".join([f"{self._path}: {len(self._found)} rows are wrong:", *self._found[:_SHOWN], *more])
            )


def read_ground_truth(path: str | Path) -> GroundTruth:
    """Read a ground truth file.

    Raises
    ------
    EvaluationError
        The file is missing, a row is malformed or there twice, or a query is both a copy and a distractor.
    """
    problems = _Problems(path)
    pairs: dict[tuple[str, str], int] = {}
    copies: dict[str, int] = {}
    distractors: dict[str, int] = {}
    for line, row in _rows(path, ("query_id", "reference_id")):
        if len(row) != 2 or not row[0]:
            problems.add(line, f"must be query_id,reference_id, not {','.join(row)!r}")
            continue
        query, reference = row
        if (query, reference) in pairs:
            problems.add(line, f"the same row as line {pairs[query, reference]}")
        elif query in (copies if not reference else distractors):
            problems.add(line, f"query {query!r} is both a copy and, with an empty reference, a distractor")
        pairs.setdefault((query, reference), line)
        (copies if reference else distractors).setdefault(query, line)
    problems.raise_if_any()
    return GroundTruth(frozenset({*copies, *distractors}), frozenset(pair for pair in pairs if pair[1]))


def write_ground_truth(path: str | Path, truth: GroundTruth) -> None:
    """Write a ground truth file, sorted by query.

    Raises
    ------
    StorageError
        The disk refused.
    """
    distractors = truth.queries - {query for query, _ in truth.pairs}
    rows = sorted([*truth.pairs, *((query, "") for query in distractors)])
    with replacing(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("query_id", "reference_id"))
        writer.writerows(rows)


def read_matches(path: str | Path) -> list[Match]:
    """Read a matches file.

    Raises
    ------
    EvaluationError
        The file is missing, a row is malformed, a score is no finite number, or a pair is there twice.
    """
    problems = _Problems(path)
    matches: list[Match] = []
    lines: dict[tuple[str, str], int] = {}
    for line, row in _rows(path, ("query_id", "reference_id", "score")):
        if len(row) != 3 or not row[0] or not row[1]:
            problems.add(line, f"must be query_id,reference_id,score, not {','.join(row)!r}")
            continue
        query, reference, text = row
        score = _to_number(text)
        if score is None:
            problems.add(line, f"the score {text!r} is no finite number")
            continue
        if (query, reference) in lines:
            problems.add(line, f"the pair {query!r}, {reference!r} is in line {lines[query, reference]} already")
        lines.setdefault((query, reference), line)
        matches.append(Match(query, reference, score))
    problems.raise_if_any()
    return matches


def write_matches(path: str | Path, matches: Iterable[Match]) -> None:
    """Write a matches file; scores keep nine digits, which is all that float32 holds.

    Raises
    ------
    StorageError
        The disk refused.
    """
    with replacing(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("query_id", "reference_id", "score"))
        writer.writerows((match.query_id, match.reference_id, f"{match.score:.9g}") for match in matches)


def _to_number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _rows(path: str | Path, header: tuple[str, ...]) -> Iterator[tuple[int, list[str]]]:
    """Line number and fields of every row but the header and empty lines."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            for row in reader:
                fields = [field.strip() for field in row]
                if any(fields) and tuple(fields) != header:
                    yield reader.line_num, fields
    except FileNotFoundError:
        raise EvaluationError(f"{path}: there is no such file") from None
    except OSError as error:
        raise EvaluationError(f"{path}: can't be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise EvaluationError(f"{path}: not a CSV file in UTF-8: {error}") from error
