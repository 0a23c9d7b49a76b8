"""Submissions of the Matching Track, and what both tracks' reports have in common."""

from __future__ import annotations

import json
import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ectype.challenge.manifest import Manifest, ManifestEntry, write_manifest
from ectype.challenge.tracks import MOST_ROWS, track_of
from ectype.challenge.validation import CODES, ValidationReport, validate_submission
from ectype.challenge.validation.problems import LONGEST_LINE, SHOWN_A_CODE
from ectype.cli import main
from ectype.errors import SubmissionError
from ectype.evaluation import read_matches

HEADER = b"query_id,reference_id,score\n"
MANIFEST = Manifest(
    tuple(
        ManifestEntry(role, f"{letter}{number}", f"{folder}/{letter}{number}.jpg", 1, "0" * 64)
        for role, letter, folder in (("query", "Q", "queries"), ("reference", "R", "references"))
        for number in range(3)
    )
)


@pytest.fixture
def check(tmp_path: Path) -> Callable[[bytes], ValidationReport]:
    """Validates a file of this content."""

    def validate(content: bytes) -> ValidationReport:
        (tmp_path / "s.csv").write_bytes(content)
        return validate_submission(tmp_path / "s.csv", MANIFEST)

    return validate


def found(report: ValidationReport) -> list[tuple[str, str]]:
    return [(problem.code, problem.place) for problem in report.problems]


@pytest.mark.parametrize(
    "content",
    [
        HEADER,  # nothing found is an answer, too
        HEADER + b"Q0,R0,0.5\nQ0,R1,-1e-3\nQ1,R0,7\n",
        HEADER + b"Q0,R0,0.5",
        b"\xef\xbb\xbf" + HEADER.replace(b"\n", b"\r\n") + b"Q0, R0 ,0.5\r\n\r\n",
        HEADER + b'"Q0","R0","0.5"\n',
    ],
)
def test_valid_submissions_are_valid(check, content):
    report = check(content)
    assert report.ok
    assert report.problems == ()
    assert report.track == "matching"


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (b"Q9,R0,1\n", [("unknown-query", "line 2")]),
        (b"Q0,R9,1\n", [("unknown-reference", "line 2")]),
        (b"R0,Q0,1\n", [("unknown-query", "line 2"), ("unknown-reference", "line 2")]),
        (b",R0,1\n", [("empty-id", "line 2")]),
        (b"Q0, ,1\n", [("empty-id", "line 2")]),
        (b"Q" * 256 + b",R0,1\n", [("overlong-id", "line 2")]),
        (b"Q0,R0,high\n", [("wrong-score", "line 2")]),
        (b"Q0,R0,\n", [("wrong-score", "line 2")]),
        (b"Q0,R0,1_0\n", [("wrong-score", "line 2")]),
        ("Q0,R0,٣\n".encode(), [("wrong-score", "line 2")]),
        (b"Q0,R0,nan\n", [("non-finite-score", "line 2")]),
        (b"Q0,R0,-inf\n", [("non-finite-score", "line 2")]),
        (b"Q0,R0,1e999\n", [("non-finite-score", "line 2")]),
        (b"Q0,R0,1\n\nQ0,R1,1\nQ0,R0,2\n", [("duplicated-pair", "line 5")]),
        (b"Q0,R0\n", [("malformed-row", "line 2")]),
        (b"Q0,R0,1,\n", [("malformed-row", "line 2")]),
        (b'Q0,"R0,1\nQ1,R1,1\n', [("malformed-row", "line 2")]),
        (b"Q0,R0,1\rQ1,R0,1\n", [("malformed-row", "line 2")]),
        (b"Q0,R0,1\nQ\xff,R0,1\n", [("not-utf8", "line 3")]),
        (b"Q0,R\0,1\n", [("nul-byte", "line 2")]),
        (b"Q0" + b" " * LONGEST_LINE + b",R0,1\nQ0,R0,1\n", [("overlong-line", "line 2")]),
        (HEADER, [("unknown-query", "line 2"), ("unknown-reference", "line 2"), ("wrong-score", "line 2")]),
    ],
)
def test_each_problem_has_its_code_and_place(check, rows, expected):
    assert found(check(HEADER + rows)) == expected


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty-file"),
        (b"Q0,R0,0.5\n", "wrong-header"),
        (b"reference_id,query_id,score\n", "wrong-header"),
        (b"query_id,reference_id\n", "wrong-header"),
        (b"\x89HDF\r\n", "wrong-header"),  # of a file that was cut
    ],
)
def test_files_without_the_header(check, content, code):
    assert [problem[0] for problem in found(check(content))][:1] == [code]


def test_every_problem_is_told_at_once(check):
    report = check(b"query,reference,score\nQ9,R0,nan\nQ0,R9,1\n\xff\nQ0,R0\nQ1,R1,1\nQ1,R1,1\n")
    assert [code for code, _ in found(report)] == [
        "wrong-header",
        "unknown-query",
        "non-finite-score",
        "unknown-reference",
        "not-utf8",
        "malformed-row",
        "duplicated-pair",
    ]
    for problem in report.problems:
        assert problem.advice == CODES[problem.code]
        assert problem.message


def test_of_each_code_twenty_are_shown_and_all_are_counted(check):
    report = check(HEADER + b"".join(b"Q0,R0,x\n" for _ in range(50)))
    assert report.counts == {"wrong-score": 50, "duplicated-pair": 49}
    assert [code for code, _ in found(report)].count("wrong-score") == SHOWN_A_CODE
    with pytest.raises(SubmissionError, match="99 problems") as raised:
        report.raise_if_invalid("s.csv")
    assert str(raised.value).count("\n") == 2  # one of each kind


def test_strange_text_is_shown_escaped_and_cut(check):
    message = check(HEADER + b"\x1b[31m" + b"x" * 200 + b",R0,1\n").problems[0].message
    assert "\x1b" not in message
    assert len(message) < 100


def test_rows_beyond_the_limit_are_counted_and_not_kept(tmp_path, monkeypatch):
    monkeypatch.setattr("ectype.challenge.validation.matching_track.MOST_ROWS", 1000)
    with open(tmp_path / "s.csv", "wb") as file:
        file.write(HEADER + b"Q0,R0,x\n" * 1001)
        file.seek(2**29, os.SEEK_CUR)  # a hole: it takes no room on the disk, and must take none in memory
        file.write(b"\n" * 10)
    tracemalloc.start()
    report = validate_submission(tmp_path / "s.csv", None)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert report.counts["too-many-rows"] == 1
    assert report.problems[-1].place == "line 1002"
    assert "11 from here on" in report.problems[-1].message
    assert peak < 2**23


def test_exactly_as_many_rows_as_are_allowed(tmp_path):
    with open(tmp_path / "s.csv", "wb") as file:
        file.write(HEADER)
        file.writelines(b"Q%d,R0,1\n" % number for number in range(MOST_ROWS))
    assert validate_submission(tmp_path / "s.csv", None).ok


def test_a_line_without_end_takes_no_memory(tmp_path):
    with open(tmp_path / "s.csv", "wb") as file:
        file.write(HEADER)
        file.truncate(2**28)
    tracemalloc.start()
    report = validate_submission(tmp_path / "s.csv", None)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert report.counts == {"overlong-line": 1}
    assert peak < 2**24


@given(st.lists(st.binary(max_size=40), max_size=6))
def test_any_bytes_are_judged_and_what_is_valid_can_be_read(tmp_path_factory, lines):
    path = tmp_path_factory.mktemp("any") / "s.csv"
    path.write_bytes(HEADER + b"\n".join(lines))
    if validate_submission(path, None).ok:
        read_matches(path)


def test_the_track_is_told_from_the_content(tmp_path):
    (tmp_path / "s").write_bytes(b"\x89HDF\r\n\x1a\n rest")
    assert track_of(tmp_path / "s") == "descriptor"
    (tmp_path / "s").write_bytes(HEADER)
    assert track_of(tmp_path / "s") == "matching"


def test_what_is_no_file_is_refused(tmp_path):
    with pytest.raises(SubmissionError, match="there is no such file"):
        track_of(tmp_path / "gone.csv")
    with pytest.raises(SubmissionError, match="not an ordinary file"):
        track_of(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SubmissionError, match="not an ordinary file"):
        track_of(tmp_path / "pipe")


def test_the_command_reports_in_json_and_as_a_table(capsys, tmp_path):
    write_manifest(tmp_path / "manifest.csv", MANIFEST.entries)
    (tmp_path / "s.csv").write_bytes(HEADER + b"Q0,R0,1\n")
    arguments = ["challenge", "validate", str(tmp_path / "s.csv"), "--manifest", str(tmp_path / "manifest.csv")]
    assert main([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"ok": True, "track": "matching", "counts": {}, "problems": []}
    assert main(arguments) == 0
    assert "a valid submission of the matching track" in capsys.readouterr().out

    (tmp_path / "s.csv").write_bytes(HEADER + b"Q9,R0,1\n")
    assert main([*arguments, "--json"]) == 3
    report = json.loads(capsys.readouterr().out)
    assert (report["ok"], report["counts"]) == (False, {"unknown-query": 1})
    assert report["problems"] == [
        {
            "code": "unknown-query",
            "place": "line 2",
            "message": "there is no query 'Q9'",
            "advice": CODES["unknown-query"],
        }
    ]
    assert main(arguments) == 3
    assert "there is no query 'Q9'" in capsys.readouterr().out
