"""The tables of what is remembered of duplicates, and the connection to them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ectype.collection.schema import BUSY_SECONDS, transaction
from ectype.collection.schema import clear_errors as clear_errors_of_collections
from ectype.errors import CollectionError

FORMAT = "1"
APPLICATION_ID = 0x45435444  # "ECTD"

_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
-- What was there when it was last looked at. Saves reading files again that have not changed.
CREATE TABLE images (
    id TEXT PRIMARY KEY,
    location TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    width INTEGER,
    height INTEGER,
    bytes INTEGER,
    modified REAL,
    version TEXT
) WITHOUT ROWID;
CREATE INDEX images_by_content ON images (sha256);
-- Contents that were compared with all others that were there.
CREATE TABLE compared (sha256 TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE pairs (
    first TEXT NOT NULL,
    second TEXT NOT NULL,
    score REAL NOT NULL,
    decision TEXT NOT NULL CHECK (decision IN ('copy', 'review')),
    PRIMARY KEY (first, second),
    CHECK (first < second)
) WITHOUT ROWID;
CREATE INDEX pairs_by_second ON pairs (second);
-- What people decided. Nothing deletes it but a person.
CREATE TABLE marks (
    first TEXT NOT NULL,
    second TEXT NOT NULL,
    verdict TEXT NOT NULL CHECK (verdict IN ('same', 'different')),
    made TEXT NOT NULL,
    PRIMARY KEY (first, second),
    CHECK (first < second)
) WITHOUT ROWID;
"""


@contextmanager
def clear_errors(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into Ectype's."""
    try:
        with clear_errors_of_collections(path):
            yield
    except CollectionError as error:
        if error.__cause__ is None:
            raise
        raise unsound(path, str(error.__cause__)) from error.__cause__


def unsound(path: Path, reason: str) -> CollectionError:
    """The error for a database that is damaged, or another program's."""
    return CollectionError(
        f"{path}: not a sound database of duplicates ({reason}); restore it from a backup, or move it away and have "
        "all images compared again (decisions in it will be missing)"
    )


def connect(path: Path) -> sqlite3.Connection:
    """Open the database; one that is missing, or whose making was cut short, is made."""
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
    try:
        connection.execute("PRAGMA synchronous = FULL")  # what was acknowledged survives a power cut
        if _number_of_tables(connection) == 0:
            connection.execute("PRAGMA journal_mode = WAL")
            with transaction(connection):
                if _number_of_tables(connection) == 0:  # else another process was quicker
                    for statement in (f"PRAGMA application_id = {APPLICATION_ID};" + _SCHEMA).split(";"):
                        connection.execute(statement)
                    connection.execute("INSERT INTO meta VALUES ('format', ?)", (FORMAT,))
        (found,) = connection.execute("PRAGMA application_id").fetchone()
        if found != APPLICATION_ID:
            raise unsound(path, "it belongs to another program")
    except BaseException:
        connection.close()
        raise
    return connection


def _number_of_tables(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])
