"""The ledger of a challenge: everything that happened, append-only, in SQLite."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import astuple
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from ectype.challenge.hosting.chain import START, Row, entries_of, row_of
from ectype.challenge.hosting.events import Entry, Event
from ectype.challenge.hosting.ledger_schema import clear_errors, connect
from ectype.collection.schema import transaction
from ectype.errors import ChallengeError

LEDGER_FILE = "ledger.sqlite"

Clock = Callable[[], datetime]
"""Gives the time, with a time zone."""


def read_clock() -> datetime:
    """The time of this machine, in UTC."""
    return datetime.now(UTC)


def clock_at(now: datetime | None) -> Clock:
    """A clock that tells one given time, or, without one, the time of this machine."""
    return read_clock if now is None else lambda: now


class Writing:
    """A transaction in which nobody else can write: what is read in it still holds when it is recorded.

    Attributes
    ----------
    now : datetime
        The time of everything that is recorded in it.
    entries : list of Entry
        Everything recorded so far, this transaction's included.
    head : str
        Digest of the last row.
    """

    def __init__(self, now: datetime, rows: list[Row], insert: Callable[[Row], None], time_given: bool) -> None:
        self.now = now
        self.entries = entries_of(rows)
        self.head = rows[-1].digest if rows else START
        self._insert, self._time_given = insert, time_given

    def append(self, event: Event) -> Entry:
        """Record an event."""
        entry = Entry(len(self.entries) + 1, self.now, self._time_given, event)
        row = row_of(entry, self.head)
        self._insert(row)
        self.head = row.digest
        self.entries.append(entry)
        return entry


class Ledger:
    """The events of one challenge, each chained to the one before it.

    Parameters
    ----------
    path : Path
        Of the database; made if it is missing.
    clock : callable
        Gives the time, with a time zone.
    time_given : bool
        Whether the clock tells a time that the host gave; every event then says so.

    Raises
    ------
    ChallengeError
        It belongs to another program, or is damaged.
    StorageError
        The disk refuses.
    """

    def __init__(self, path: Path, clock: Clock = read_clock, *, time_given: bool = False) -> None:
        self._path, self._clock, self._time_given = path, clock, time_given
        with clear_errors(path):
            self._connection = connect(path)

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def now(self) -> datetime:
        """The clock's time, in UTC."""
        return self._clock().astimezone(UTC)

    def rows(self) -> list[Row]:
        """The rows as they are stored, whether or not they fit each other."""
        with clear_errors(self._path):
            found = self._connection.execute(
                "SELECT number, time, time_given, kind, content, digest FROM events ORDER BY number"
            )
            return [Row(*row) for row in found]

    def entries(self) -> list[Entry]:
        """Everything that happened, in order.

        Raises
        ------
        ChallengeError
            The ledger was tampered with; the first row that does not fit is named.
        """
        return entries_of(self.rows())

    @contextmanager
    def writing(self) -> Iterator[Writing]:
        """Read and record in one transaction, at one time; it happens whole, or not at all.

        Raises
        ------
        ChallengeError
            The clock tells an earlier time than the last event has, or the ledger was tampered with.
        StorageError
            The disk refuses.
        """
        with clear_errors(self._path), transaction(self._connection):
            # Only now is the clock read: nobody else can record anything between this time and what follows.
            writing = Writing(self.now(), self.rows(), self._insert, self._time_given)
            if writing.entries and writing.now < (last := writing.entries[-1].time):
                raise ChallengeError(
                    f"{self._path}: the clock says {writing.now.isoformat()}, but the last event was recorded at "
                    f"{last.isoformat()}; set the clock right, nothing can be recorded before that"
                )
            yield writing

    def _insert(self, row: Row) -> None:
        self._connection.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)", astuple(row))
