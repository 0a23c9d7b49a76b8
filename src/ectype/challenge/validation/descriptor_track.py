"""Checking a Descriptor Track submission: an HDF5 file that anybody may have made.

The HDF5 library was not written for hostile files and may crash; so this runs in a process of its own (see
`ectype.challenge.validation.inspector`). Sizes that the file declares are compared with its own before anything is
read, and rows are read by blocks.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ectype.challenge.tracks import MOST_DIMENSIONS
from ectype.challenge.tracks.descriptor_file import PARTS, Part
from ectype.challenge.validation.ids import IdCheck
from ectype.challenge.validation.problems import LARGEST_NUMBER, LONGEST_ID, Findings, shown

_BYTES_A_BLOCK = 2**24
_POINTER = 16  # bytes of a string of variable length in its data set; the string itself lies elsewhere
_NAMES = tuple(name for part in PARTS for name in (part, f"{part}_ids"))


@dataclass(frozen=True, slots=True)
class ExpectedIds:
    """The ids that the rows must have, sorted; None where any will do."""

    query: tuple[str, ...] | None
    reference: tuple[str, ...] | None


def check_descriptors(path: str, expected: ExpectedIds) -> Findings:
    """Find everything that is wrong with a Descriptor Track submission.

    Parameters
    ----------
    path : str
    expected : ExpectedIds
    """
    import h5py

    findings = Findings()
    try:
        with h5py.File(path, "r", locking=False) as file:
            _FileCheck(findings, file, os.path.getsize(path)).check(expected)
    except MemoryError:
        findings.add("hostile-file", "the file", "wants more memory than any honest file")
    except Exception as error:  # h5py turns the library's errors into many kinds
        findings.add("unreadable", "the file", f"is truncated, damaged or no HDF5 ({shown(str(error))})")
    return findings


class _FileCheck:
    def __init__(self, findings: Findings, file: Any, size: int) -> None:
        self._findings, self._file, self._size = findings, file, size

    def check(self, expected: ExpectedIds) -> None:
        sound = self._sound_datasets()
        for part, ids in zip(PARTS, (expected.query, expected.reference), strict=True):
            vectors, names = sound.get(part), sound.get(f"{part}_ids")
            if names is not None:
                check = IdCheck(self._findings, part, ids)
                for row, name in self._names(names, f"{part}_ids"):
                    check.see(row, name)
                check.finish()
            if vectors is not None:
                self._check_numbers(part, vectors)
            if vectors is not None and names is not None and len(vectors) != len(names):
                message = f"{len(vectors):,} vectors and {len(names):,} ids"
                self._findings.add("wrong-shape", f"{part}, {part}_ids", message)
        widths = {part: sound[part].shape[1] for part in PARTS if part in sound}
        if len(set(widths.values())) > 1:
            message = f"vectors of {widths['query']} and of {widths['reference']} dimensions"
            self._findings.add("different-dimensions", "query, reference", message)

    def _sound_datasets(self) -> dict[str, Any]:
        """Those of the four data sets that can be read without harm."""
        import h5py

        found = {}
        there = set(self._file)  # `name in file` would follow links
        for name in sorted(there.difference(_NAMES)):
            self._findings.add("extra-object", shown(name), "is none of the four data sets")
        for name in _NAMES:
            if name not in there:
                self._findings.add("missing-dataset", name, "is not in the file")
            elif not isinstance(self._file.get(name, getlink=True), h5py.HardLink):
                self._findings.add("link", name, "is a link to somewhere else")
            elif self._file.get(name, getclass=True) is not h5py.Dataset:
                self._findings.add("missing-dataset", name, "is no data set")
            elif self._is_sound(name, self._file[name]):
                found[name] = self._file[name]
        return found

    def _is_sound(self, name: str, dataset: Any) -> bool:
        import h5py

        is_ids = name.endswith("_ids")
        text = h5py.check_string_dtype(dataset.dtype)
        if dataset.is_virtual or dataset.external:
            self._findings.add("outside-storage", name, "is virtual, or lies in other files")
        elif dataset.id.get_create_plist().get_nfilters():
            self._findings.add("filtered", name, "is stored through filters")
        elif dataset.shape is None or dataset.ndim != (1 if is_ids else 2):
            self._findings.add("wrong-shape", name, f"has the shape {shown(str(dataset.shape))}")
        elif (text is None) if is_ids else (dataset.dtype != np.dtype("<f4")):
            self._findings.add("wrong-type", name, f"has the type {shown(str(dataset.dtype))}")
        elif is_ids and text.length is not None and text.length > 4 * LONGEST_ID:
            self._findings.add("wrong-type", name, f"has strings of {text.length:,} bytes; {LONGEST_ID} are the most")
        elif not is_ids and not 1 <= dataset.shape[1] <= MOST_DIMENSIONS:
            self._findings.add("too-many-dimensions", name, f"{dataset.shape[1]:,} dimensions; 1 to 256 are allowed")
        else:
            return self._is_all_there(name, dataset, _POINTER if is_ids and text.length is None else None)
        return False

    def _is_all_there(self, name: str, dataset: Any, item: int | None) -> bool:
        declared = dataset.size * (item or dataset.dtype.itemsize)
        stored = dataset.id.get_storage_size()
        if declared <= stored <= self._size:
            return True
        message = f"declares {declared:,} bytes, and {min(stored, self._size):,} can be there"
        self._findings.add("oversized", name, message)
        return False

    def _names(self, dataset: Any, place: str) -> Iterator[tuple[int, str]]:
        rows = max(1, _BYTES_A_BLOCK // LONGEST_ID)
        for start in range(0, len(dataset), rows):
            for row, name in enumerate(dataset[start : start + rows], start):
                try:
                    yield row, bytes(name).decode("utf-8")
                except UnicodeDecodeError:
                    self._findings.add("not-utf8", f"{place}, row {row}", "the id is not UTF-8")

    def _check_numbers(self, part: Part, dataset: Any) -> None:
        rows = max(1, _BYTES_A_BLOCK // (4 * dataset.shape[1]))
        for start in range(0, len(dataset), rows):
            block = dataset[start : start + rows]
            largest = np.abs(block).max(axis=1)  # NaN where there is one
            for row in np.flatnonzero(~np.isfinite(largest)):
                self._findings.add("non-finite-vector", f"{part}, row {start + row}", "holds NaN or infinity")
            for row in np.flatnonzero(np.isfinite(largest) & (largest > LARGEST_NUMBER)):
                self._findings.add("too-large-vector", f"{part}, row {start + row}", f"holds ±{largest[row]:g}")
