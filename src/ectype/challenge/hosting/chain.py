"""The chain of the ledger: each row's digest covers the one before it, so that no row can be changed alone.

Whoever can write the file can still write a whole new chain. That shows against a digest that was published before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from ectype.challenge.digests import canonical_json, sha256_of_text
from ectype.challenge.hosting.events import Entry, decode_event, encode_event, kind_of
from ectype.errors import ChallengeError

START = sha256_of_text("ectype challenge ledger 1")
"""What the first row's digest covers in place of a former one."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table of events, as it is stored."""

    number: int
    time: str
    time_given: int
    kind: str
    content: str
    digest: str


def row_of(entry: Entry, previous: str) -> Row:
    """The row for an entry after the row whose digest is `previous`."""
    time = entry.time.isoformat(timespec="microseconds")
    given, kind, content = int(entry.time_given), kind_of(entry.event), encode_event(entry.event)
    return Row(entry.number, time, given, kind, content, _digest(previous, (entry.number, time, given, kind, content)))


def _digest(previous: str, values: Sequence[str | int]) -> str:
    return sha256_of_text(previous + canonical_json(list(values)))


def entries_of(rows: Sequence[Row]) -> list[Entry]:
    """The entries in a whole ledger.

    Raises
    ------
    ChallengeError
        A row does not fit the ones before it; the first such row is named.
    """
    entries: list[Entry] = []
    previous = START
    for expected, row in enumerate(rows, 1):
        if row.number != expected:
            raise _broken(row, f"row {expected} is missing")
        if row.digest != _digest(previous, (row.number, row.time, row.time_given, row.kind, row.content)):
            raise _broken(row, "its digest does not follow from its content and the row before it")
        try:
            time = datetime.fromisoformat(row.time)
            entry = Entry(row.number, time, bool(row.time_given), decode_event(row.kind, row.content))
        except (ValueError, ChallengeError) as error:
            raise _broken(row, str(error)) from error
        if entries and entry.time < entries[-1].time:
            raise _broken(row, "it is earlier than the row before it")
        entries.append(entry)
        previous = row.digest
    return entries


def _broken(row: Row, why: str) -> ChallengeError:
    return ChallengeError(f"row {row.number} of the ledger does not fit: {why}; it was tampered with, or damaged")
