"""Submissions of the Descriptor Track: HDF5 files that anybody may have made."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from ectype.challenge.manifest import Manifest, ManifestEntry
from ectype.challenge.validation import CODES, Inspector, ValidationReport, validate_submission

QUERIES, REFERENCES = ("Q0", "Q1", "Q2"), ("R0", "R1", "R2", "R3", "é")
MANIFEST = Manifest(
    tuple(
        ManifestEntry(role, name, f"{role}/{name}.jpg", 1, "0" * 64)
        for role, ids in (("query", QUERIES), ("reference", REFERENCES))
        for name in ids
    )
)
Change = Callable[[h5py.File], None]


@pytest.fixture(scope="module")
def inspector() -> Iterator[Inspector]:
    with Inspector(seconds=20) as opened:
        yield opened


@pytest.fixture
def check(tmp_path: Path, inspector: Inspector) -> Callable[[Change], ValidationReport]:
    """Validates a valid file that was changed."""

    def validate(change: Change) -> ValidationReport:
        write_valid(tmp_path / "s.h5")
        with h5py.File(tmp_path / "s.h5", "a") as file:
            change(file)
        return validate_submission(tmp_path / "s.h5", MANIFEST, inspector)

    return validate


def write_valid(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["query"] = np.ones((len(QUERIES), 4), np.float32)
        file["reference"] = np.zeros((len(REFERENCES), 4), np.float32)
        file["query_ids"] = np.array(QUERIES, np.bytes_)
        file["reference_ids"] = np.array([name.encode() for name in REFERENCES])


def replaced(name: str, value: Any, **options: Any) -> Change:
    def change(file: h5py.File) -> None:
        del file[name]
        file.create_dataset(name, data=value, **options)

    return change


def with_number(row: int, value: float) -> Change:
    def change(file: h5py.File) -> None:
        file["reference"][row, 1] = value

    return change


def moved_into_group(file: h5py.File) -> None:
    file.move("query", "group/query")


def as_group(file: h5py.File) -> None:
    del file["query"]
    file.create_group("query")


def as_soft_link(file: h5py.File) -> None:
    file.move("query", "real")
    file["query"] = h5py.SoftLink("/real")


def as_external_link(file: h5py.File) -> None:
    del file["query"]
    file["query"] = h5py.ExternalLink("/etc/passwd", "/query")


def as_virtual(file: h5py.File) -> None:
    del file["query"]
    layout = h5py.VirtualLayout((3, 4), np.float32)
    layout[:] = h5py.VirtualSource("elsewhere.h5", "query", (3, 4))
    file.create_virtual_dataset("query", layout)


def as_external(file: h5py.File) -> None:
    del file["query"]
    file.create_dataset("query", (3, 4), np.float32, external=[("/etc/passwd", 0, 48)])


def with_undeclared_rows(file: h5py.File) -> None:
    del file["query"]
    file.create_dataset("query", (2**40, 4), np.float32, chunks=(1024, 4))


def with_null_space(file: h5py.File) -> None:
    del file["query"]
    file.create_dataset("query", data=h5py.Empty(np.float32))


def nothing(file: h5py.File) -> None:
    pass


def with_attributes(file: h5py.File) -> None:
    file.attrs["model"] = "mine"


@pytest.mark.parametrize(
    "change",
    [
        nothing,
        with_attributes,
        replaced("query_ids", list(QUERIES)),  # strings of variable length
        replaced("query", np.ones((3, 4), np.float32), chunks=(2, 4)),
        with_number(0, -1e15),
    ],
)
def test_valid_files_are_valid(check, change):
    report = check(change)
    assert report.ok, report.problems
    assert report.track == "descriptor"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda file: file.pop("query_ids"), [("missing-dataset", "query_ids")]),
        (as_group, [("missing-dataset", "query")]),
        (moved_into_group, [("extra-object", "'group'"), ("missing-dataset", "query")]),
        (lambda file: file.create_dataset("notes", data=1), [("extra-object", "'notes'")]),
        (lambda file: file.create_group("more"), [("extra-object", "'more'")]),
        (as_soft_link, [("extra-object", "'real'"), ("link", "query")]),
        (as_external_link, [("link", "query")]),
        (as_virtual, [("outside-storage", "query")]),
        (as_external, [("outside-storage", "query")]),
        (replaced("query", np.ones((3, 4), np.float32), compression="gzip"), [("filtered", "query")]),
        (replaced("query", np.ones((3, 4), np.float32), fletcher32=True), [("filtered", "query")]),
        (replaced("query_ids", np.array(QUERIES, "S"), compression="lzf"), [("filtered", "query_ids")]),
        (with_undeclared_rows, [("oversized", "query")]),
        (with_null_space, [("wrong-shape", "query")]),
        (replaced("query", np.ones((3, 4))), [("wrong-type", "query")]),
        (replaced("query", np.ones((3, 4), np.float16)), [("wrong-type", "query")]),
        (replaced("query", np.ones((3, 4), ">f4")), [("wrong-type", "query")]),
        (replaced("query_ids", np.arange(3)), [("wrong-type", "query_ids")]),
        (replaced("query_ids", np.array(QUERIES, "S5000")), [("wrong-type", "query_ids")]),
        (replaced("query", np.ones(12, np.float32)), [("wrong-shape", "query")]),
        (replaced("query_ids", np.array([QUERIES], "S")), [("wrong-shape", "query_ids")]),
        (replaced("query", np.ones((2, 4), np.float32)), [("wrong-shape", "query, query_ids")]),
        (
            replaced("query", np.ones((3, 257), np.float32)),
            [("too-many-dimensions", "query")],
        ),
        (replaced("query", np.ones((3, 0), np.float32)), [("too-many-dimensions", "query")]),
        (replaced("query", np.ones((3, 5), np.float32)), [("different-dimensions", "query, reference")]),
        (replaced("query_ids", ["Q1", "Q0", "Q2"]), [("unsorted-ids", "query_ids, row 1")]),
        (
            replaced("query_ids", ["Q0", "Q1", "Q1"]),
            [("repeated-id", "query_ids, row 2"), ("missing-query", "query_ids")],
        ),
        (
            replaced("query_ids", ["Q0", "Q1", "Q9"]),
            [("unknown-query", "query_ids, row 2"), ("missing-query", "query_ids")],
        ),
        (
            replaced("reference_ids", ["", "R0", "R1", "R2", "é"]),
            [("empty-id", "reference_ids, row 0"), ("missing-reference", "reference_ids")],
        ),
        (
            replaced("query_ids", ["Q0", "Q1", "Q2" + "x" * 300]),
            [("overlong-id", "query_ids, row 2"), ("missing-query", "query_ids")],
        ),
        (
            replaced("query_ids", np.array([b"Q0", b"Q1", b"\xff"])),
            [("not-utf8", "query_ids, row 2"), ("missing-query", "query_ids")],
        ),
        (with_number(3, np.nan), [("non-finite-vector", "reference, row 3")]),
        (with_number(0, -np.inf), [("non-finite-vector", "reference, row 0")]),
        (with_number(4, -2e15), [("too-large-vector", "reference, row 4")]),
    ],
)
def test_each_problem_has_its_code_and_place(check, change, expected):
    report = check(change)
    assert [(problem.code, problem.place) for problem in report.problems] == expected
    assert all(problem.advice == CODES[problem.code] for problem in report.problems)


def test_every_problem_is_told_at_once(check):
    def change(file: h5py.File) -> None:
        replaced("query_ids", ["Q2", "Q1", "Q9"])(file)
        with_number(1, np.nan)(file)
        file["extra"] = 1

    assert set(check(change).counts) == {
        "extra-object",
        "unsorted-ids",
        "unknown-query",
        "missing-query",
        "non-finite-vector",
    }


def test_without_a_manifest_any_ids_will_do(tmp_path, inspector):
    write_valid(tmp_path / "s.h5")
    other = Manifest((ManifestEntry("query", "x", "x.jpg", 1, "0" * 64),))
    assert validate_submission(tmp_path / "s.h5", None, inspector).ok
    assert validate_submission(tmp_path / "s.h5", other, inspector).counts == {
        "unknown-query": 3,
        "missing-query": 1,
        "unknown-reference": 5,
    }


@pytest.mark.parametrize("share", [0.01, 0.3, 0.7, 0.99])
def test_truncated_files_are_told(tmp_path, inspector, share):
    write_valid(tmp_path / "whole.h5")
    data = (tmp_path / "whole.h5").read_bytes()
    (tmp_path / "s.h5").write_bytes(data[: int(len(data) * share)])
    assert set(validate_submission(tmp_path / "s.h5", MANIFEST, inspector).counts) == {"unreadable"}


def test_a_folder_full_of_a_strangers_modules_is_not_imported_from(tmp_path, monkeypatch):
    write_valid(tmp_path / "s.h5")
    (tmp_path / "h5py.py").write_text("raise SystemExit('taken over')")
    monkeypatch.chdir(tmp_path)
    assert validate_submission("s.h5", MANIFEST).ok


def test_a_process_that_dies_is_a_finding_and_the_next_file_has_a_new_one(tmp_path):
    write_valid(tmp_path / "s.h5")
    with Inspector() as inspector:
        assert validate_submission(tmp_path / "s.h5", MANIFEST, inspector).ok
        os.kill(inspector._process.pid, signal.SIGSEGV)
        report = validate_submission(tmp_path / "s.h5", MANIFEST, inspector)
        assert report.counts == {"hostile-file": 1}
        assert "crash" in report.problems[0].message
        assert validate_submission(tmp_path / "s.h5", MANIFEST, inspector).ok


def test_a_file_that_takes_too_long_is_a_finding(tmp_path):
    write_valid(tmp_path / "s.h5")
    with Inspector(seconds=0) as inspector:
        report = validate_submission(tmp_path / "s.h5", MANIFEST, inspector)
    assert report.counts == {"hostile-file": 1}
    assert "within 0 seconds" in report.problems[0].message


def test_a_file_that_wants_too_much_memory_is_a_finding(tmp_path):
    write_valid(tmp_path / "s.h5")
    with h5py.File(tmp_path / "s.h5", "a") as file:
        del file["query_ids"]
        file["query_ids"] = ["x" * 2**22] * 100  # strings of variable length, of 400 MB in all
    with Inspector(memory=2**29) as inspector:
        report = validate_submission(tmp_path / "s.h5", None, inspector)
    assert report.counts in ({"hostile-file": 1}, {"unreadable": 1})  # whoever notices first
