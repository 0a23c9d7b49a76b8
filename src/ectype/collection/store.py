"""The truth of a collection: what SQLite holds."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ectype.collection import schema
from ectype.errors import CollectionError

_VARIABLES = 500  # SQLite's oldest limit on parameters of one statement is 999
_ROWS_A_BLOCK = 65536


@dataclass(frozen=True, slots=True)
class Reference:
    """An image of a collection.

    Attributes
    ----------
    row : int
        Its number, never used twice.
    id : str
    sha256 : str
        Of the file's bytes, in hexadecimal.
    location : str
        Path or URL.
    metadata : mapping
        JSON values.
    """

    row: int
    id: str
    sha256: str
    location: str
    metadata: Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class NewImage:
    """An image to be stored; `vector` is float32 (d,), of unit length."""

    id: str
    sha256: bytes
    location: str
    metadata: Mapping[str, Any]
    vector: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Changes:
    """What happened since some generation: rows that are gone, and rows that came and are still there.

    Attributes
    ----------
    generation : int
        The newest.
    removed : ndarray of int64, shape (r,)
    added : ndarray of int64, shape (n,)
    vectors : ndarray of float16, shape (n, d)
        Of the added rows.
    """

    generation: int
    removed: NDArray[np.int64]
    added: NDArray[np.int64]
    vectors: NDArray[np.float16]


class Store:
    """The database of one collection. One transaction a call: it happened whole, or not at all.

    Parameters
    ----------
    path : Path
        Of an existing database.

    Raises
    ------
    CollectionError
        It is no collection's database, or of a newer format.
    StorageError
        The disk refuses.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with schema.clear_errors(path):
            self._connection = schema.connect(path)
            try:
                meta = dict(self._connection.execute("SELECT key, value FROM meta"))
            except BaseException:
                self._connection.close()
                raise
        if meta.get("format") != schema.FORMAT:
            self.close()
            raise CollectionError(
                f"{path}: has format {meta.get('format')!r}, this version of Ectype reads {schema.FORMAT}; "
                "use the version that made it"
            )
        self.meta: Mapping[str, str] = meta
        self.dimension = int(meta["dimension"])

    def close(self) -> None:
        self._connection.close()

    def generation(self) -> int:
        """Grows by one with every transaction that changes the images."""
        with schema.clear_errors(self._path):
            return self._generation()

    def _generation(self) -> int:
        return int(self._connection.execute("SELECT value FROM meta WHERE key = 'generation'").fetchone()[0])

    def _next_generation(self) -> int:
        new = self._generation() + 1
        self._connection.execute("UPDATE meta SET value = ? WHERE key = 'generation'", (str(new),))
        return new

    def __len__(self) -> int:
        with schema.clear_errors(self._path):
            return int(self._connection.execute("SELECT count(*) FROM images").fetchone()[0])

    def insert(self, images: Sequence[NewImage], *, replace: bool = False) -> dict[str, Reference]:
        """Store images in one transaction.

        Parameters
        ----------
        images : sequence of NewImage
        replace : bool
            Whether an image takes the place of one with its id.

        Returns
        -------
        dict of str to Reference
            The images that were not stored since another has their id, with that other.
        """
        with schema.clear_errors(self._path), schema.transaction(self._connection):
            taken = {known.id: known for known in self._select_by_id([image.id for image in images])}
            new = [image for image in images if replace or image.id not in taken]
            if new:
                generation = self._next_generation()
                self._delete([taken[image.id].row for image in new if image.id in taken], generation)
                self._connection.executemany(
                    "INSERT INTO images (id, sha256, location, metadata, vector, generation) VALUES (?, ?, ?, ?, ?, ?)",
                    (_to_row(image, generation) for image in new),
                )
        return {} if replace else taken

    def remove(self, ids: Iterable[str]) -> list[str]:
        """Remove images in one transaction; returns the ids that were there."""
        with schema.clear_errors(self._path), schema.transaction(self._connection):
            found = self._select_by_id(list(dict.fromkeys(ids)))
            if found:
                self._delete([reference.row for reference in found], self._next_generation())
        return [reference.id for reference in found]

    def _delete(self, rows: Sequence[int], generation: int) -> None:
        self._connection.executemany("DELETE FROM images WHERE row = ?", ((row,) for row in rows))
        self._connection.executemany("INSERT INTO removals VALUES (?, ?)", ((row, generation) for row in rows))

    def by_id(self, ids: Iterable[str]) -> dict[str, Reference]:
        """The images with these ids, by id; unknown ids are left out."""
        with schema.clear_errors(self._path):
            return {reference.id: reference for reference in self._select_by_id(list(ids))}

    def by_row(self, rows: Iterable[int]) -> dict[int, Reference]:
        """The images with these row numbers, by row; unknown ones are left out."""
        with schema.clear_errors(self._path):
            return {reference.row: reference for reference in self._select("row", list(rows))}

    def __iter__(self) -> Iterator[Reference]:
        """All images, in the order they were added."""
        with schema.clear_errors(self._path):
            yield from map(
                _to_reference,
                self._connection.execute("SELECT row, id, sha256, location, metadata FROM images ORDER BY row"),
            )

    def _select_by_id(self, ids: Sequence[str]) -> list[Reference]:
        return self._select("id", ids)

    def _select(self, column: str, values: Sequence[str] | Sequence[int]) -> list[Reference]:
        found: list[Reference] = []
        for start in range(0, len(values), _VARIABLES):
            part = values[start : start + _VARIABLES]
            marks = ",".join("?" * len(part))
            found += map(
                _to_reference,
                self._connection.execute(
                    f"SELECT row, id, sha256, location, metadata FROM images WHERE {column} IN ({marks})", part
                ),
            )
        return found

    def changes_since(self, generation: int) -> Changes:
        """What changed after a generation, as one consistent view; from the beginning with generation 0."""
        with schema.clear_errors(self._path), schema.transaction(self._connection, "DEFERRED"):
            removed = [
                row
                for (row,) in self._connection.execute("SELECT row FROM removals WHERE generation > ?", (generation,))
            ]
            cursor = self._connection.execute(
                "SELECT row, vector FROM images WHERE generation > ? ORDER BY row", (generation,)
            )
            rows: list[NDArray[np.int64]] = [np.empty(0, np.int64)]
            vectors: list[NDArray[np.float16]] = [np.empty((0, self.dimension), np.float16)]
            while block := list(islice(cursor, _ROWS_A_BLOCK)):
                rows.append(np.fromiter((row for row, _ in block), np.int64, len(block)))
                vectors.append(self._decode(b"".join(vector for _, vector in block), len(block)))
            return Changes(
                self._generation(), np.array(removed, np.int64), np.concatenate(rows), np.concatenate(vectors)
            )

    def count_since(self, generation: int) -> int:
        """How many rows came or went after a generation."""
        with schema.clear_errors(self._path):
            return sum(
                int(
                    self._connection.execute(
                        f"SELECT count(*) FROM {table} WHERE generation > ?", (generation,)
                    ).fetchone()[0]
                )
                for table in ("images", "removals")
            )

    def _decode(self, content: bytes, count: int) -> NDArray[np.float16]:
        if len(content) != count * self.dimension * 2:
            raise CollectionError(f"{self._path}: a vector has a wrong size; run `ectype collection check`")
        return np.frombuffer(content, "<f2").reshape(count, self.dimension)

    def problems(self) -> list[str]:
        """Everything that is wrong with the database, in sentences; empty if it is sound."""
        with schema.clear_errors(self._path):
            found = [
                f"SQLite: {line}" for (line,) in self._connection.execute("PRAGMA integrity_check") if line != "ok"
            ]
            newest = self._generation()
            sized = 2 * self.dimension
            for sentence, condition in (
                ("has a vector of a wrong size", f"length(vector) != {sized}"),
                ("has a digest of a wrong size", "length(sha256) != 32"),
                ("has metadata that are no JSON", "NOT json_valid(metadata)"),
                ("is newer than the collection", f"generation > {newest}"),
                ("is listed as removed", "row IN (SELECT row FROM removals)"),
            ):
                for (name,) in self._connection.execute(f"SELECT id FROM images WHERE {condition}"):
                    found.append(f"image {name!r} {sentence}")
            if not any("wrong size" in problem for problem in found):
                found += self._vector_problems()
        return found

    def _vector_problems(self) -> list[str]:
        found = []
        cursor = self._connection.execute("SELECT id, vector FROM images")
        while block := list(islice(cursor, _ROWS_A_BLOCK)):
            vectors = self._decode(b"".join(vector for _, vector in block), len(block)).astype(np.float32)
            lengths = np.linalg.norm(vectors, axis=1)
            for position in np.flatnonzero(~(np.abs(lengths - 1) < 5e-3)):
                found.append(f"image {block[position][0]!r} has a vector of length {lengths[position]:.4g}, not 1")
        return found


def _to_row(image: NewImage, generation: int) -> tuple[str, bytes, str, str, bytes, int]:
    metadata = json.dumps(dict(image.metadata), ensure_ascii=False)
    return image.id, image.sha256, image.location, metadata, image.vector.astype("<f2").tobytes(), generation


def _to_reference(row: tuple[int, str, bytes, str, str]) -> Reference:
    number, name, sha256, location, metadata = row
    return Reference(number, name, sha256.hex(), location, json.loads(metadata))
