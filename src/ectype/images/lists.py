"""Lists of images: a path and perhaps an id in each row, and in CSV and JSON lines anything else."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ectype.errors import InvalidDataError

LIST_SUFFIXES = frozenset({".txt", ".csv", ".jsonl"})


class ListedImage(NamedTuple):
    """A row of a list: a path as written, an id if there is one, and what else the row says."""

    path: str
    id: str | None
    metadata: dict[str, Any]


def read_list(data: bytes, suffix: str, name: str) -> Iterator[ListedImage]:
    """Read a list; `suffix` is its form, one of `LIST_SUFFIXES`, and `name` stands in errors.

    Raises
    ------
    InvalidDataError
        Not UTF-8, not of its form, or a row without a usable path.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidDataError(f"{name}: a list must be UTF-8 text; byte {error.start} is not") from error
    for line, row in _READERS[suffix](text, name):
        path, given = row.pop("path", None), row.pop("id", None)
        if not isinstance(path, str) or not _can_be_a_file(path):
            raise InvalidDataError(f"{name}, line {line}: no path to a file; each entry needs one")
        if given is not None and type(given) not in (str, int):
            raise InvalidDataError(f"{name}, line {line}: an id is a text, not {given!r}")
        if not _can_be_stored(row):
            raise InvalidDataError(f"{name}, line {line}: a number that is not finite, or a text that is not Unicode")
        yield ListedImage(path, None if given in (None, "") else str(given), row)


def _can_be_a_file(path: str) -> bool:
    try:
        return b"\0" not in os.fsencode(path) and Path(path).name not in ("", "..")
    except UnicodeEncodeError:
        return False


def _can_be_stored(metadata: dict[str, Any]) -> bool:
    try:
        json.dumps(metadata, ensure_ascii=False, allow_nan=False).encode()
    except ValueError:
        return False
    return True


_Rows = Iterator[tuple[int, dict[str, Any]]]  # with line numbers


def _read_txt(text: str, name: str) -> _Rows:
    for line, content in _lines(text):
        path, _, given = content.partition("\t")
        yield line, {"path": path.strip(), "id": given.strip()}


def _read_csv(text: str, name: str) -> _Rows:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        if "path" not in (reader.fieldnames or ()):
            raise InvalidDataError(
                f"{name}: its first line must name the columns, separated by commas, one of them 'path'"
            )
        for row in reader:
            if None in row:
                raise InvalidDataError(
                    f"{name}, line {reader.line_num}: more cells than columns; a comma in a cell needs quotes around it"
                )
            yield reader.line_num, {key: value for key, value in row.items() if key and value not in (None, "")}
    except csv.Error as error:
        raise InvalidDataError(f"{name}, line {reader.reader.line_num}: not CSV: {error}") from error


def _read_jsonl(text: str, name: str) -> _Rows:
    for line, content in _lines(text):
        try:
            row = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise InvalidDataError(f"{name}, line {line}: not JSON: {error}") from error
        if not isinstance(row, dict):
            raise InvalidDataError(f"{name}, line {line}: each line must be a JSON object")
        yield line, row


_READERS = {".txt": _read_txt, ".csv": _read_csv, ".jsonl": _read_jsonl}


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines that are not blank, with their numbers; str.splitlines would break paths at rare characters too."""
    for number, line in enumerate(io.StringIO(text, newline=None), 1):
        if line.strip():
            yield number, line.rstrip("\n")
