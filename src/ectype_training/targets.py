"""What a strong model says of the unedited photographs: the student's targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from ectype.descriptors.extraction import map_items
from ectype.descriptors.preprocessing import square
from ectype.descriptors.runtimes import open_runtime
from ectype.errors import InvalidDataError, UnreadableImageError
from ectype.images import ImageItem, decode_image
from ectype.storage import check_folder_of, replacing
from ectype_training.photographs import tell_left_out


def describe_with_teacher(teacher: Path, size: int, items: Sequence[ImageItem], out: Path) -> None:
    """Write a teacher's descriptors of unedited photographs as an ``.npz`` of ``ids`` and ``vectors``.

    Those that can't be read are left out with a word, and their ids kept as ``unreadable``.

    Parameters
    ----------
    teacher : Path
        Any ONNX file that takes uint8 images (n, size, size, 3). It is used here only, and never shipped.
    size : int
    items : sequence of ImageItem
    out : Path

    Raises
    ------
    InvalidDataError
        No photograph can be read.
    """
    check_folder_of(out)
    runtime = open_runtime(teacher, np.zeros((1, size, size, 3), np.uint8))

    def describe(item: ImageItem) -> NDArray[np.float32] | UnreadableImageError:
        try:
            return runtime.run(square(decode_image(item.read()), size)[None])[0][0]
        except UnreadableImageError as error:
            return error

    rows, ids, unreadable = [], [], []
    for number, (item, row) in enumerate(zip(items, map_items(items, describe), strict=True), 1):
        if isinstance(row, UnreadableImageError):
            tell_left_out(item.location, row)
            unreadable.append(item.id)
        else:
            rows.append(row)
            ids.append(item.id)
        if number % 2000 == 0 or number == len(items):
            print(f"{number} of {len(items)} described", flush=True)
    if not rows:
        raise InvalidDataError("none of the photographs can be read, so there is nothing to describe")
    with replacing(out) as temporary:
        np.savez(temporary, ids=np.array(ids), vectors=np.stack(rows), unreadable=np.array(unreadable, np.str_))


@dataclass(frozen=True, slots=True, eq=False)
class Targets:
    """What a teacher says of photographs.

    Attributes
    ----------
    items : list of ImageItem
        The photographs, without those that the teacher could not read.
    rows : ndarray of float32, shape (len(items), dimension)
        Unit rows, in the order of `items`.
    """

    items: list[ImageItem]
    rows: NDArray[np.float32]


def read_targets(path: Path, items: Sequence[ImageItem], dimension: int) -> Targets:
    """The teacher's descriptors of photographs, reduced to their first principal components.

    Parameters
    ----------
    path : Path
    items : sequence of ImageItem
    dimension : int

    Raises
    ------
    InvalidDataError
        The file can't be read, or lacks photographs, or has too few dimensions.
    """
    file = _read(path)
    unreadable = set(file["unreadable"].tolist())
    kept = [item for item in items if item.id not in unreadable]
    row_of = {name: row for row, name in enumerate(file["ids"].tolist())}
    vectors = file["vectors"]
    missing = [item.id for item in kept if item.id not in row_of]
    if missing:
        raise InvalidDataError(
            f"{path}: no target for {len(missing)} of {len(items)} photographs, {missing[0]!r} first; "
            "make the targets from the same folders and archives"
        )
    if vectors.shape[1] < dimension:
        raise InvalidDataError(f"{path}: targets of {vectors.shape[1]} dimensions can't teach {dimension}")
    return Targets(kept, reduced(vectors[[row_of[item.id] for item in kept]], dimension))


def _read(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {"unreadable": np.array([], np.str_), **file}
    except (OSError, ValueError, BadZipFile) as error:
        raise InvalidDataError(f"{path}: not a file of targets: {error}") from error
    if not {"ids", "vectors"} <= arrays.keys():
        raise InvalidDataError(f"{path}: not a file of targets: it lacks ids or vectors")
    return arrays


def reduced(vectors: NDArray[np.float32], dimension: int) -> NDArray[np.float32]:
    """The first principal components of unit rows, again of unit length."""
    rows = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    centred = rows - rows.mean(axis=0)
    _, axes = np.linalg.eigh(centred.T @ centred)
    kept = centred @ axes[:, ::-1][:, :dimension]
    return (kept / np.linalg.norm(kept, axis=1, keepdims=True)).astype(np.float32)


def turned(targets: NDArray[np.float32], towards: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Turn all targets together to where a model already points (orthogonal Procrustes); distances stay as they are.

    Parameters
    ----------
    targets : ndarray of float32, shape (m, d)
    towards : ndarray of float32, shape (n, d)
        The model's descriptors of the photographs `rows`.
    rows : ndarray of int64, shape (n,)
    """
    left, _, right = np.linalg.svd(targets[rows].T @ towards)
    return (targets @ (left @ right)).astype(np.float32)
