"""What is remembered of duplicates: files that were read, comparisons, and decisions of people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import get_args

from ectype.collection.schema import transaction
from ectype.duplicates import schema
from ectype.duplicates.records import ContentPair, HeldImage, Mark, Verdict
from ectype.errors import CollectionError, InvalidDataError, UsageError

_IMAGE = "id, location, sha256, width, height, bytes, modified, version"


class Store:
    """The database of duplicates of one holding. One transaction a call: it happened whole, or not at all.

    Parameters
    ----------
    path : Path
        Of the database.
    owner : str
        Says whose duplicates these are.
    create : bool
        Whether it is made if it is not there.
    take_over : bool
        Whether another owner's is taken over.

    Raises
    ------
    UsageError
        It is not there, and is not to be made.
    CollectionError
        It belongs to another owner or program, is damaged, or of another format.
    StorageError
        The disk refuses.
    """

    def __init__(self, path: Path, owner: str, *, create: bool = False, take_over: bool = False) -> None:
        self._path = path
        if not create and not path.is_file():
            raise UsageError(
                f"{path.parent}: nothing is remembered here; look for duplicates first (`ectype duplicates DIR`), or "
                "name the folder that was used for that with --state"
            )
        with schema.clear_errors(path):
            self._connection = schema.connect(path)
        try:
            self._check_format()
            self._check_owner(owner, take_over)
        except BaseException:
            self.close()
            raise

    def _check_format(self) -> None:
        found = self._meta("format")
        if found != schema.FORMAT:
            raise CollectionError(
                f"{self._path}: has format {found!r}, this version of Ectype reads {schema.FORMAT}; "
                "use the version that made it"
            )

    def _check_owner(self, owner: str, take_over: bool) -> None:
        with self._transaction():
            found = self._meta("owner")
            if found is not None and found != owner and not take_over:
                raise CollectionError(
                    f"{self._path}: belongs to {found}, not to {owner}; name another folder with --state, or, if that "
                    "was moved or copied to this place, have it taken over with --moved"
                )
            if found != owner:
                self._set_meta("owner", owner)

    def _meta(self, key: str) -> str | None:
        with schema.clear_errors(self._path):
            row = self._connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return str(row[0]) if row else None

    def _set_meta(self, key: str, value: str) -> None:
        self._connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with schema.clear_errors(self._path), transaction(self._connection):
            yield

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def images(self) -> dict[str, HeldImage]:
        """The images that were there when they were last looked at, by id."""
        with schema.clear_errors(self._path):
            rows = self._connection.execute(f"SELECT {_IMAGE} FROM images ORDER BY id").fetchall()
        return {row[0]: HeldImage(*row) for row in rows}

    def remember(self, images: Sequence[HeldImage]) -> None:
        """Store what was read of images; each takes the place of one with its id."""
        with self._transaction():
            self._connection.executemany(
                f"INSERT OR REPLACE INTO images ({_IMAGE}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (one.id, one.location, one.sha256, one.width, one.height, one.bytes, one.modified, one.version)
                    for one in images
                ],
            )

    def keep_only(self, ids: Iterable[str]) -> None:
        """Forget all other images, and comparisons of contents that no image has any more.

        Such a content is compared again when it comes back: with what came while it was away, it never was. People's
        decisions stay.
        """
        kept = set(ids)
        with self._transaction():
            known = [row[0] for row in self._connection.execute("SELECT id FROM images")]
            gone = [(name,) for name in known if name not in kept]
            self._connection.executemany("DELETE FROM images WHERE id = ?", gone)
            there = "(SELECT sha256 FROM images)"
            self._connection.execute(f"DELETE FROM compared WHERE sha256 NOT IN {there}")
            self._connection.execute(f"DELETE FROM pairs WHERE first NOT IN {there} OR second NOT IN {there}")

    def begin(self, method: str) -> None:
        """Compare by a method from now on; comparisons by another one are forgotten, since scores differ."""
        with self._transaction():
            if self._meta("method") != method:
                self._connection.execute("DELETE FROM compared")
                self._connection.execute("DELETE FROM pairs")
                self._set_meta("method", method)

    def compared(self) -> set[str]:
        """Contents that need no more comparing with each other."""
        with schema.clear_errors(self._path):
            return {row[0] for row in self._connection.execute("SELECT sha256 FROM compared")}

    def record(self, compared: Iterable[str], pairs: Iterable[ContentPair]) -> None:
        """Store that contents were compared with all others, and what was found; of two scores of a pair the higher."""
        with self._transaction():
            self._connection.executemany(
                "INSERT INTO pairs VALUES (?, ?, ?, ?) ON CONFLICT (first, second) DO UPDATE "
                "SET score = excluded.score, decision = excluded.decision WHERE excluded.score > score",
                [(pair.first, pair.second, pair.score, pair.decision) for pair in pairs],
            )
            self._connection.executemany(
                "INSERT OR IGNORE INTO compared VALUES (?)", [(content,) for content in compared]
            )

    def pairs(self) -> list[ContentPair]:
        with schema.clear_errors(self._path):
            rows = self._connection.execute("SELECT first, second, score, decision FROM pairs").fetchall()
        return [ContentPair(*row) for row in rows]

    def mark(self, pairs: Iterable[tuple[str, str]], verdict: Verdict | None) -> None:
        """Store a person's decision on pairs of contents, in order; it replaces an earlier one. None takes it back."""
        if verdict is not None and verdict not in get_args(Verdict):
            raise InvalidDataError(f"two images are marked {' or '.join(get_args(Verdict))}, not {verdict!r}")
        with self._transaction():
            self._connection.executemany("DELETE FROM marks WHERE first = ? AND second = ?", pairs := list(pairs))
            if verdict is not None:
                now = datetime.now(UTC).isoformat(timespec="seconds")
                marks = [Mark(first, second, verdict, now) for first, second in pairs]
                self._connection.executemany(
                    "INSERT INTO marks VALUES (?, ?, ?, ?)", [(*mark.key, mark.verdict, mark.made) for mark in marks]
                )

    def marks(self) -> list[Mark]:
        """People's decisions, also on contents that are not there."""
        with schema.clear_errors(self._path):
            rows = self._connection.execute("SELECT first, second, verdict, made FROM marks ORDER BY made").fetchall()
        return [Mark(*row) for row in rows]
