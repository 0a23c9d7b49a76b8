"""The truth of a collection: what SQLite holds."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ectype.collection import schema
from ectype.collection.prepared_codec import unpack
from ectype.collection.records import Changes, Insertion, NewImage, Reference, Stamp
from ectype.errors import CollectionError, InvalidDataError, UsageError
from ectype.types import check_vectors
from ectype.verification import Prepared

_VARIABLES = 500  # SQLite's oldest limit on parameters of one statement is 999
_ROWS_A_BLOCK = 65536
_COLUMNS = "row, id, sha256, location, metadata"
_FEATURES = "SELECT images.row, id, CAST(content AS BLOB) FROM images LEFT JOIN features USING (row)"


class Store:
    """The database of one collection. One transaction a call: it happened whole, or not at all.

    Parameters
    ----------
    path : Path
        Of an existing database.

    Raises
    ------
    CollectionError
        It is no collection's database, or of another format.
    StorageError
        The disk refuses.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connect()
        try:
            with self._working():
                meta = dict(self._connection.execute("SELECT key, value FROM meta"))
            if meta.get("format") != schema.FORMAT:
                raise CollectionError(
                    f"{path}: has format {meta.get('format')!r}, this version of Ectype reads {schema.FORMAT}; "
                    "use the version that made it"
                )
            numbers = str(meta.get("dimension")).isdecimal() and str(meta.pop("generation", None)).isdecimal()
            meta.setdefault("features", schema.COMPUTED)
            features = meta["features"] in (schema.KEPT, schema.COMPUTED)
            if not numbers or not features or not {"fingerprint", "model"} <= set(meta):
                raise schema.unsound(path, "its table meta lacks an entry, or has a wrong one")
        except BaseException:
            self.close()
            raise
        self.meta: Mapping[str, str] = meta
        self.dimension = int(meta["dimension"])
        self.keeps_features: bool = meta["features"] == schema.KEPT

    def _connect(self) -> None:
        state = schema.file_state(self._path)
        with schema.clear_errors(self._path):
            self._connection, unchanging = schema.connect(self._path)
        self._state = state if unchanging else None  # to be compared before each use

    def close(self) -> None:
        self._connection.close()

    @contextmanager
    def _working(self) -> Iterator[None]:
        """For everything that is done with the connection."""
        if self._state not in (None, schema.file_state(self._path)) and not self._connection.in_transaction:
            self.close()  # another user has written
            self._connect()
        with schema.clear_errors(self._path):
            yield

    @contextmanager
    def transaction(self, kind: str = "IMMEDIATE") -> Iterator[None]:
        """Make the calls inside one transaction, during which no other process writes."""
        with self._working(), schema.transaction(self._connection, kind):
            yield

    def generation(self) -> int:
        """Grows by one with every transaction that changes the images."""
        with self._working():
            return int(self._connection.execute("SELECT value FROM meta WHERE key = 'generation'").fetchone()[0])

    def _next_generation(self) -> int:
        new = self.generation() + 1
        self._connection.execute("UPDATE meta SET value = ? WHERE key = 'generation'", (str(new),))
        return new

    def __len__(self) -> int:
        return self._count("images")

    def insert(self, images: Sequence[NewImage], *, replace: bool = False) -> Insertion:
        """Store images in one transaction.

        Parameters
        ----------
        images : sequence of NewImage
            No two of one id.
        replace : bool
            Whether an image takes the place of one with its id and other content.

        Raises
        ------
        InvalidDataError
            A vector or metadata can't be stored; no image was.
        UsageError
            Images come without local features where these are kept, or with them where not.
        """
        if not images:
            return Insertion(0, 0, {})
        if any((image.features is not None) != self.keeps_features for image in images):
            wanted = "with" if self.keeps_features else "without"
            raise UsageError(f"{self._path}: its images are stored {wanted} their local features; give them so")
        vectors = np.stack([image.vector for image in images])
        check_vectors(vectors, self.dimension)
        rows = [
            (image.id, image.sha256, image.location, _to_json(image), vector.tobytes())
            for image, vector in zip(images, vectors.astype("<f2"), strict=True)
        ]
        with self.transaction():
            known = self.by_id(image.id for image in images)
            kept = {
                name: known[name]
                for name, digest, *_ in rows
                if name in known and (not replace or known[name].sha256 == digest.hex())
            }
            new = [row for row in rows if row[0] not in kept]
            outdated = [known[name].row for name, *_ in new if name in known]
            if new:
                generation = self._next_generation()
                self._delete(outdated, generation)
                self._connection.executemany(
                    "INSERT INTO images (id, sha256, location, metadata, vector, generation) VALUES (?, ?, ?, ?, ?, ?)",
                    ((*row, generation) for row in new),
                )
                if self.keeps_features:
                    self._insert_features(image for image in images if image.id not in kept)
        return Insertion(len(new) - len(outdated), len(outdated), kept)

    def _insert_features(self, images: Iterable[NewImage]) -> None:
        self._connection.executemany(
            "INSERT INTO features SELECT row, ? FROM images WHERE id = ?",
            ((image.features, image.id) for image in images),
        )

    def remove(self, ids: Iterable[str]) -> list[str]:
        """Remove images in one transaction; returns the ids that were there."""
        wanted = list(dict.fromkeys(ids))
        with self.transaction():
            found = self.by_id(wanted)
            if found:
                self._delete([reference.row for reference in found.values()], self._next_generation())
        return [name for name in wanted if name in found]

    def _delete(self, rows: Sequence[int], generation: int) -> None:
        self._connection.executemany("DELETE FROM images WHERE row = ?", ((row,) for row in rows))
        if self.keeps_features:
            self._connection.executemany("DELETE FROM features WHERE row = ?", ((row,) for row in rows))
        self._connection.executemany("INSERT INTO removals VALUES (?, ?)", ((row, generation) for row in rows))

    def by_id(self, ids: Iterable[str]) -> dict[str, Reference]:
        """The images with these ids, by id; unknown ids are left out."""
        return {reference.id: reference for reference in self._select("id", list(ids))}

    def by_row(self, rows: Iterable[int]) -> dict[int, Reference]:
        """The images with these row numbers, by row; unknown ones are left out."""
        return {reference.row: reference for reference in self._select("row", [int(row) for row in rows])}

    def _select(self, column: str, values: Sequence[str] | Sequence[int]) -> Iterator[Reference]:
        return map(self._to_reference, self._where_in(f"SELECT {_COLUMNS} FROM images WHERE {column}", values))

    def _where_in(self, query: str, values: Sequence[str] | Sequence[int]) -> Iterator[tuple[Any, ...]]:
        """What a query that ends with the name of a column finds where this has one of the values."""
        with self._working():
            for start in range(0, len(values), _VARIABLES):
                part = values[start : start + _VARIABLES]
                yield from self._connection.execute(f"{query} IN ({','.join('?' * len(part))})", part)

    def vectors(self, rows: Iterable[int]) -> dict[int, NDArray[np.float32]]:
        """The descriptors of the images with these row numbers, by row; unknown ones are left out."""
        found = dict(self._where_in("SELECT row, vector FROM images WHERE row", [int(row) for row in rows]))
        vectors = self._decode(list(found.values())).astype(np.float32)
        if not np.isfinite(vectors).all():
            raise schema.unsound(self._path, "a vector is not finite")
        return dict(zip(found, vectors, strict=True))

    def features(self, rows: Iterable[int]) -> dict[int, Prepared]:
        """What is kept of the images with these row numbers, by row; unknown ones are left out."""
        if not self.keeps_features:
            return {}
        found = {}
        for row, name, content in self._where_in(f"{_FEATURES} WHERE images.row", [int(row) for row in rows]):
            try:
                found[row] = _unpack(name, content)
            except CollectionError as error:
                raise CollectionError(f"{self._path}: {error}") from error
        return found

    def __iter__(self) -> Iterator[Reference]:
        """All images, in the order they were added."""
        with self._working():
            yield from map(self._to_reference, self._connection.execute(f"SELECT {_COLUMNS} FROM images ORDER BY row"))

    def _to_reference(self, row: tuple[int, str, bytes, str, str]) -> Reference:
        number, name, sha256, location, metadata = row
        try:
            return Reference(number, name, sha256.hex(), location, json.loads(metadata))
        except (ValueError, TypeError, AttributeError) as error:
            raise schema.unsound(self._path, f"image {name!r} has a wrong digest or wrong metadata") from error

    def changes_since(self, generation: int) -> Changes:
        """What changed after a generation, as one consistent view; from the beginning with generation 0."""
        with self.transaction("DEFERRED"):
            removed = self._connection.execute(
                "SELECT row FROM removals WHERE generation > ?", (generation,)
            ).fetchall()
            count = self._count("images", generation)
            rows, vectors = np.empty(count, np.int64), np.empty((count, self.dimension), np.float16)
            cursor = self._connection.execute(
                # In the order of the index on generations: only what changed is read. It is the order of rows, too.
                "SELECT row, vector FROM images WHERE generation > ? ORDER BY generation, row",
                (generation,),
            )
            for start in range(0, count, _ROWS_A_BLOCK):
                end = min(start + _ROWS_A_BLOCK, count)
                block = cursor.fetchmany(end - start)
                if len(block) < end - start:
                    raise schema.unsound(self._path, "its index counts more images than there are")
                rows[start:end] = [row for row, _ in block]
                vectors[start:end] = self._decode([vector for _, vector in block])
            if not np.isfinite(vectors).all():
                raise schema.unsound(self._path, "a vector is not finite")
            return Changes(self.generation(), np.array(removed, np.int64).reshape(-1), rows, vectors)

    def count_since(self, generation: int) -> int:
        """How many rows came or went after a generation."""
        with self.transaction("DEFERRED"):
            return self._count("images", generation) + self._count("removals", generation)

    def _count(self, table: str, generation: int = 0) -> int:
        with self._working():
            query = f"SELECT count(*) FROM {table} WHERE generation > ?"
            return int(self._connection.execute(query, (generation,)).fetchone()[0])

    def _decode(self, vectors: Sequence[bytes]) -> NDArray[np.float16]:
        size = 2 * self.dimension
        if not all(isinstance(vector, bytes) and len(vector) == size for vector in vectors):
            raise schema.unsound(self._path, "a vector has a wrong size")
        return np.frombuffer(b"".join(vectors), "<f2").reshape(len(vectors), self.dimension)

    def stamp(self) -> Stamp | None:
        """Of the index that was last written for this database."""
        with self._working():
            row = self._connection.execute("SELECT generation, images, checksum FROM snapshot").fetchone()
            return Stamp(*row) if row else None

    def set_stamp(self, stamp: Stamp) -> None:
        with self.transaction():
            self._connection.execute("DELETE FROM snapshot")
            self._connection.execute(
                "INSERT INTO snapshot VALUES (?, ?, ?)", (stamp.generation, stamp.images, stamp.checksum)
            )

    def problems(self) -> list[str]:
        """Everything that is wrong with the database, in sentences; empty if it is sound."""
        try:
            with self.transaction("DEFERRED"):
                found = [
                    f"SQLite: {line}" for (line,) in self._connection.execute("PRAGMA integrity_check") if line != "ok"
                ]
                return found or [*self._wrong_images(), *self._wrong_features()]
        except CollectionError as error:  # so damaged that SQLite gave up
            return [str(error)]

    def _wrong_images(self) -> list[str]:
        sized = 2 * self.dimension
        found = [
            f"image {name!r} {sentence}"
            for sentence, condition in (
                ("has a vector of a wrong size", f"typeof(vector) != 'blob' OR length(vector) != {sized}"),
                ("has a digest of a wrong size", "typeof(sha256) != 'blob' OR length(sha256) != 32"),
                ("has metadata that are no JSON", "NOT json_valid(metadata)"),
                ("is of a time that the collection never had", f"generation NOT BETWEEN 1 AND {self.generation()}"),
                ("has the number of an image that was removed", "row IN (SELECT row FROM removals)"),
            )
            for (name,) in self._connection.execute(f"SELECT id FROM images WHERE {condition}")
        ]
        cursor = self._connection.execute(
            f"SELECT id, vector FROM images WHERE typeof(vector) = 'blob' AND length(vector) = {sized}"
        )
        while block := list(islice(cursor, _ROWS_A_BLOCK)):
            with np.errstate(invalid="ignore"):  # for vectors that are not finite
                lengths = np.linalg.norm(self._decode([vector for _, vector in block]).astype(np.float32), axis=1)
            found += [
                f"image {block[position][0]!r} has a vector of length {lengths[position]:.4g}, not 1"
                for position in np.flatnonzero(~(np.abs(lengths - 1) < 5e-3))
            ]
        return found

    def _wrong_features(self) -> Iterator[str]:
        if not self.keeps_features:
            return
        for _, name, content in self._connection.execute(_FEATURES):
            try:
                _unpack(name, content)
            except CollectionError as error:
                yield str(error)
        for (row,) in self._connection.execute("SELECT row FROM features WHERE row NOT IN (SELECT row FROM images)"):
            yield f"local features are kept of number {row}, which no image has"


def _unpack(name: str, content: bytes | None) -> Prepared:
    """What is kept of an image, whose name is for the error."""
    advice = "remove the image and add it again"
    if content is None:
        raise CollectionError(f"image {name!r} has no local features; {advice}")
    try:
        return unpack(content)
    except InvalidDataError as error:
        raise CollectionError(f"image {name!r} has damaged local features ({error}); {advice}") from error


def _to_json(image: NewImage) -> str:
    try:
        return json.dumps(dict(image.metadata), ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InvalidDataError(f"image {image.id!r}: its metadata can't be stored as JSON: {error}") from error
