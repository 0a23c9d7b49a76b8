"""The tables of what is remembered of duplicates, and the connection to them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ectype.collection.schema import clear_errors as clear_errors_of_collections
from ectype.collection.schema import connect_or_create
from ectype.errors import CollectionError

FORMAT = "1"
APPLICATION_ID = 0x45435444  # "ECTD"

_SCHEMA = f"""
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
INSERT INTO meta VALUES ('format', '{FORMAT}')"""


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
    return connect_or_create(path, APPLICATION_ID, _SCHEMA.split(";"), unsound)
