"""The tables of a collection, and the connection to them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ectype.errors import CollectionError, StorageError

FORMAT = "1"
APPLICATION_ID = 0x45435459  # "ECTY", so that `file` and a stray open know whose it is
BUSY_SECONDS = 60.0

SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
-- AUTOINCREMENT: a row number is never used again, so an index can be brought up to date by replaying changes.
CREATE TABLE images (
    row INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    sha256 BLOB NOT NULL,
    location TEXT NOT NULL,
    metadata TEXT NOT NULL,
    vector BLOB NOT NULL,
    generation INTEGER NOT NULL
);
CREATE INDEX images_by_generation ON images (generation);
CREATE TABLE removals (row INTEGER PRIMARY KEY, generation INTEGER NOT NULL);
CREATE INDEX removals_by_generation ON removals (generation);
"""

_FULL = {sqlite3.SQLITE_FULL: "the disk is full; free some space and run the same command again"}
_REFUSED = {
    sqlite3.SQLITE_READONLY: "it is read-only; change the permission or copy the collection elsewhere",
    sqlite3.SQLITE_CANTOPEN: "it can't be opened; is the folder there, and writable?",
    sqlite3.SQLITE_PERM: "no permission to open it",
    sqlite3.SQLITE_BUSY: f"another process has been writing for {BUSY_SECONDS:.0f} seconds; try again later",
    sqlite3.SQLITE_IOERR: "the disk failed to read or write, or a limit on file sizes was met",
} | _FULL


@contextmanager
def clear_errors(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into `StorageError` (the disk refuses) or `CollectionError` (the content is wrong)."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in _REFUSED:
            raise StorageError(f"{path}: {_REFUSED[code]}; what was stored before is intact ({error})") from error
        raise CollectionError(
            f"{path}: not a sound collection database ({error}); "
            "restore it from a backup, or create a new collection and add the images again"
        ) from error


def connect(path: Path) -> sqlite3.Connection:
    """Open the database of a collection for reading and writing; for reading alone where the folder is read-only."""
    uri = path.absolute().as_uri()
    try:
        return _configure(f"{uri}?mode=rw")
    except sqlite3.OperationalError as error:
        read_only = (error.sqlite_errorcode & 0xFF) in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN)
        log = path.with_name(path.name + "-wal")
        if not read_only or (log.exists() and log.stat().st_size):
            raise
        return _configure(f"{uri}?mode=ro&immutable=1")


def _configure(uri: str) -> sqlite3.Connection:
    connection = sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None)
    try:
        connection.execute("PRAGMA synchronous = FULL")  # what was acknowledged survives a power cut
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection, kind: str = "IMMEDIATE") -> Iterator[None]:
    """Everything inside happens, or nothing does. ``DEFERRED`` gives one consistent view to a reader."""
    connection.execute(f"BEGIN {kind}")
    try:
        yield
    except BaseException:
        if connection.in_transaction:  # a full disk has SQLite roll back by itself
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def create_database(path: Path, meta: dict[str, str]) -> None:
    """Make an empty database at `path`, which must not exist."""
    with sqlite3.connect(path, isolation_level=None) as connection:
        connection.execute("PRAGMA journal_mode = WAL")  # readers go on reading while one process writes
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.executescript(f"BEGIN; {SCHEMA} COMMIT;")
        connection.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
    connection.close()
