"""The table of the ledger, and the connection to it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ectype.collection.schema import clear_errors as clear_errors_of_collections
from ectype.collection.schema import connect_or_create
from ectype.errors import ChallengeError, CollectionError

APPLICATION_ID = 0x4543544C  # "ECTL"

# The third trigger is for INSERT OR REPLACE, which deletes without firing the second.
_SCHEMA = (
    """CREATE TABLE events (
    number INTEGER PRIMARY KEY,
    time TEXT NOT NULL,
    time_given INTEGER NOT NULL CHECK (time_given IN (0, 1)),
    kind TEXT NOT NULL,
    content TEXT NOT NULL,
    digest TEXT NOT NULL
) STRICT""",
    """CREATE TRIGGER events_never_change BEFORE UPDATE ON events
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END""",
    """CREATE TRIGGER events_never_vanish BEFORE DELETE ON events
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END""",
    """CREATE TRIGGER events_come_last BEFORE INSERT ON events
WHEN NEW.number IS NOT (SELECT coalesce(max(number), 0) + 1 FROM events)
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END""",
)


@contextmanager
def clear_errors(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into Ectype's."""
    try:
        with clear_errors_of_collections(path):
            yield
    except CollectionError as error:
        raise unsound(path, str(error.__cause__ or error)) from error.__cause__


def unsound(path: Path, reason: str) -> ChallengeError:
    """The error for a database that is damaged, or another program's."""
    return ChallengeError(f"{path}: not a sound ledger ({reason}); restore it from a backup")


def connect(path: Path) -> sqlite3.Connection:
    """Open the ledger; one that is missing, or whose making was cut short, is made."""
    return connect_or_create(path, APPLICATION_ID, _SCHEMA, unsound)
