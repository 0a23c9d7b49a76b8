"""The tables of a collection, and the connection to them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from ectype.errors import CollectionError, EctypeError, InvalidDataError, StorageError, UsageError

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
-- Which index files are this database's own; at most one row.
CREATE TABLE snapshot (generation INTEGER NOT NULL, images INTEGER NOT NULL, checksum INTEGER NOT NULL);
"""
KEPT, COMPUTED = "kept", "computed"
"""What becomes of the images' local features: the entry "features" of the table meta. Where it is missing, computed."""
FEATURES_SCHEMA = "CREATE TABLE features (row INTEGER PRIMARY KEY, content BLOB NOT NULL);"
"""Where they are kept, there is one of these for each of the images."""

_BUSY = f"another process has been writing for {BUSY_SECONDS:.0f} seconds; try again when it is done"
_REFUSED = {
    sqlite3.SQLITE_FULL: "the disk is full; free some space and run the same command again",
    sqlite3.SQLITE_READONLY: "it is read-only; change the permission, or copy the collection elsewhere",
    sqlite3.SQLITE_CANTOPEN: "it can't be opened; check that the folder is there and that you may read and write in it",
    sqlite3.SQLITE_PERM: "no permission to open it; change the permission, or copy the collection elsewhere",
    sqlite3.SQLITE_BUSY: _BUSY,
    sqlite3.SQLITE_PROTOCOL: _BUSY,
    sqlite3.SQLITE_IOERR: "the disk failed or is full, or files may not become so large; mend that and run the same "
    "command again",
}


@contextmanager
def clear_errors(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into Ectype's: the disk refuses, the content is wrong, or the call is."""
    try:
        yield
    except UnicodeEncodeError as error:
        raise InvalidDataError(
            f"{path}: {error.object!r} can't be stored, since it is no valid Unicode; rename the file"
        ) from error
    except sqlite3.ProgrammingError as error:
        raise UsageError(
            f"{path}: {error}; a collection is used by the thread that opened it, until it is closed"
        ) from error
    except (sqlite3.Error, UnicodeDecodeError) as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in _REFUSED:
            raise StorageError(f"{path}: {_REFUSED[code]}; what was stored before is intact ({error})") from error
        raise unsound(path, str(error)) from error


def unsound(path: Path, reason: str) -> CollectionError:
    """The error for a database that is damaged, or no collection's."""
    return CollectionError(
        f"{path}: not a sound collection database ({reason}); "
        "restore it from a backup, or create a new collection and add the images again"
    )


def connect(path: Path) -> tuple[sqlite3.Connection, bool]:
    """Open the database of a collection.

    Returns
    -------
    Connection
        For reading and writing; for reading alone without the permission to write.
    bool
        Whether SQLite takes the file for one that never changes: it does where it can't lock, in a folder that is
        read-only and in which no one was writing. `file_state` tells whether that still holds.
    """
    uri = path.absolute().as_uri()
    try:
        return _configure(f"{uri}?mode=rw"), False
    except sqlite3.OperationalError as error:
        read_only = (error.sqlite_errorcode & 0xFF) in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN)
        if not read_only or file_state(path)[1] is not None:
            raise
        return _configure(f"{uri}?mode=ro&immutable=1"), True


def file_state(path: Path) -> tuple[object, object]:
    """Sizes and times of change of a database and of its log of changes; None for one that is empty or missing."""
    return _size_and_time(path), _size_and_time(path.with_name(path.name + "-wal"))


def _size_and_time(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_size, found.st_mtime_ns) if found.st_size else None


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
    """Everything inside happens, or nothing does. ``DEFERRED`` gives one consistent view to a reader.

    Inside another transaction, it is a part of that one.
    """
    if connection.in_transaction:
        yield
        return
    try:
        connection.execute(f"BEGIN {kind}")
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a full disk has SQLite roll back by itself
            connection.execute("ROLLBACK")
        raise


def create_database(path: Path, meta: dict[str, str]) -> None:
    """Make an empty database at `path`, which must not exist."""
    with clear_errors(path), closing(sqlite3.connect(path, isolation_level=None)) as connection:
        features = FEATURES_SCHEMA if meta["features"] == KEPT else ""
        connection.executescript(f"BEGIN; PRAGMA application_id = {APPLICATION_ID}; {SCHEMA} {features}")
        connection.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
        connection.execute("COMMIT")
        # Readers go on reading while one process writes. Last, so that nothing is left in the log when this closes.
        connection.execute("PRAGMA journal_mode = WAL")


def connect_or_create(
    path: Path, application_id: int, statements: Iterable[str], unsound: Callable[[Path, str], EctypeError]
) -> sqlite3.Connection:
    """Open a database that is kept beside collections; one that is missing, or whose making was cut short, is made.

    Parameters
    ----------
    path : Path
    application_id : int
        Of the program that it belongs to.
    statements : iterable of str
        SQL that makes its tables, one statement each.
    unsound : callable
        Gives the error to raise for a database of another program, from its path and the reason.
    """
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
    try:
        connection.execute("PRAGMA synchronous = FULL")  # what was acknowledged survives a power cut
        if _number_of_tables(connection) == 0:
            connection.execute("PRAGMA journal_mode = WAL")
            with transaction(connection):
                if _number_of_tables(connection) == 0:  # else another process was quicker
                    for statement in (f"PRAGMA application_id = {application_id}", *statements):
                        connection.execute(statement)
        (found,) = connection.execute("PRAGMA application_id").fetchone()
        if found != application_id:
            raise unsound(path, "it belongs to another program")
    except BaseException:
        connection.close()
        raise
    return connection


def _number_of_tables(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])
