"""``ectype calibrate``: fitting scores on queries whose references are known."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import draw_picture
from ectype.cli import main
from ectype.matching import read_calibration
from tiny_onnx import write_tiny_model

Run = Callable[..., tuple[int, str, str]]

COPIES, OTHERS = 64, 16
SIZE = (200, 150)
AIM = ("--copy-precision", 0.8, "--review-precision", 0.6)  # with so few queries no more can be shown


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command in this process: exit code, standard output, standard error."""

    def call(*arguments: object) -> tuple[int, str, str]:
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """References, queries (copies in part and strangers), a truth, a background, and a model."""
    folder = tmp_path_factory.mktemp("drawn")
    for name in ("references", "queries", "background"):
        (folder / name).mkdir()
    rows = [("query_id", "reference_id")]
    for seed in range(COPIES):
        picture = draw_picture(seed, SIZE)
        picture.save(folder / "references" / f"r{seed:03}.png")
        picture.crop((8, 6, 190, 146)).save(folder / "queries" / f"q{seed:03}.png")
        rows.append((f"q{seed:03}", f"r{seed:03}"))
    for seed in range(500, 500 + OTHERS):
        draw_picture(seed, SIZE).save(folder / "queries" / f"q{seed:03}.png")
        rows.append((f"q{seed:03}", ""))
    for seed in range(900, 912):
        draw_picture(seed, SIZE).save(folder / "background" / f"b{seed}.png")
    with open(folder / "truth.csv", "w", newline="") as file:
        csv.writer(file).writerows(rows)
    write_tiny_model(folder / "model")
    return folder


@pytest.fixture
def bank(run: Run, drawn: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "bank"
    model = drawn / "model" / "tiny.onnx"
    assert run("collection", "create", folder, "--model", model, "--keep-features")[0] == 0
    assert run("collection", "add", folder, drawn / "references")[0] == 0
    return folder


@pytest.fixture
def calibrate(run: Run, drawn: Path, bank: Path) -> Run:
    """Runs ``ectype calibrate`` on the bank, with the drawn queries and truth unless others are given."""

    def call(*arguments: object, background: object = "background", **named: object) -> tuple[int, str, str]:
        words: list[object] = []
        for name, value in ({"queries": "queries", "truth": "truth.csv", "background": background} | named).items():
            if value is not None:
                words += [f"--{name}", drawn / str(value)]
        return run("calibrate", bank, *words, *arguments)

    return call


def test_a_calibration_is_fitted_and_used_by_the_next_match(run: Run, calibrate: Run, bank: Path, drawn: Path) -> None:
    code, out, err = run("match", bank, drawn / "queries")
    assert (code, "no calibration for its model" in err) == (3, True)
    assert "--background" in err

    code, out, _ = calibrate(*AIM, "--json", "--plot", bank.parent / "plot.png")
    assert code == 0
    said = json.loads(out)
    assert said.keys() == {
        *("calibration", "queries", "references", "pairs", "copies"),
        *("copy_threshold", "review_threshold", "expected_calibration_error", "skipped"),
    }
    assert said["calibration"] == str(bank / "calibration.npz")
    assert (said["queries"], said["references"], said["copies"], said["skipped"]) == (80, 64, 64, [])
    assert said["pairs"] == 80 * 20
    assert 0 <= said["review_threshold"] <= said["copy_threshold"] <= 1
    assert said["expected_calibration_error"] < 0.2
    assert (bank.parent / "plot.png").read_bytes().startswith(b"\x89PNG")
    written = read_calibration(bank / "calibration.npz")
    assert written.fitted_on == {name: said[name] for name in ("queries", "references", "pairs", "copies")}
    assert (written.thresholds.copy_precision, written.thresholds.review_precision) == (0.8, 0.6)

    code, out, _ = run("match", bank, drawn / "queries", "--limit", 1, "--json")
    assert code == 0
    found = json.loads(out)["matches"]
    right = [match for match in found if match["query_id"][1:] == match["reference_id"][1:]]
    copies = [match for match in found if match["decision"] == "copy"]
    assert len(found) == 80 and len(right) == 64
    assert len(copies) > 30
    assert sum(match in right for match in copies) >= 0.8 * len(copies)

    code, out, _ = calibrate(*AIM, "--json", background=None)  # the background is that of the calibration in use
    assert (code, json.loads(out)) == (0, said)


def test_another_file_is_written_instead(calibrate: Run, bank: Path, tmp_path: Path, drawn: Path, run: Run) -> None:
    code, out, _ = calibrate(*AIM, "-o", tmp_path / "c.npz")
    assert code == 0
    assert f"{tmp_path / 'c.npz'}" in out and "copy_threshold" in out
    assert not (bank / "calibration.npz").exists()
    read_calibration(tmp_path / "c.npz")
    assert run("match", bank, drawn / "queries")[0] == 3


def test_a_background_may_be_described_before(
    calibrate: Run, run: Run, drawn: Path, bank: Path, tmp_path: Path
) -> None:
    vectors, other = tmp_path / "b.h5", tmp_path / "other.h5"
    model = drawn / "model" / "tiny.onnx"
    assert run("describe", drawn / "background", "-o", vectors, "--model", model)[0] == 0
    assert calibrate(*AIM, background=vectors)[0] == 0
    assert run("describe", drawn / "background", "-o", other, "--model", write_tiny_model(tmp_path, seed=1))[0] == 0
    code, _, err = calibrate(*AIM, background=other)
    assert (code, "another model" in err) == (3, True)


def test_queries_that_can_not_be_read_are_reported(calibrate: Run, drawn: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"")
    code, out, _ = calibrate(*AIM, "--queries", tmp_path / "bad.jpg", "--json")
    assert code == 1
    said = json.loads(out)
    assert [row["id"] for row in said["skipped"]] == ["bad"]
    assert said["queries"] == 80


def test_errors_say_what_is_wrong_and_write_nothing(calibrate: Run, bank: Path, drawn: Path, tmp_path: Path) -> None:
    (tmp_path / "few.csv").write_text("q001,r001\nq002,r002\nq500,\n")
    (tmp_path / "broken.csv").write_text("q001\n")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "bad.jpg").write_bytes(b"")
    for given, expected, reason in (
        ({"truth": tmp_path / "none.csv"}, 2, "none.csv"),
        ({"truth": tmp_path / "broken.csv"}, 3, "line 1: must be query_id,reference_id"),
        ({"truth": tmp_path / "few.csv"}, 3, "2 copies and 58 other pairs among the candidates are too few"),
        ({"background": None}, 3, "--background IMAGES"),
        ({"background": tmp_path / "bad"}, 3, "none of the background images can be read"),
        ({"background": "references"}, 3, "64 references are also in the background set"),
    ):
        code, out, err = calibrate(*AIM, **given)
        assert (code, out) == (expected, ""), (given, err)
        assert reason in err, given
    assert not (bank / "calibration.npz").exists()


def test_what_can_be_told_before_the_work_is(calibrate: Run, bank: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("ectype.cli.calibrate.Matcher", None)
    for options, expected, reason in (
        (("-o", tmp_path / "none" / "c.npz"), 3, "its folder does not exist"),
        (("--plot", tmp_path / "none" / "p.png"), 3, "its folder does not exist"),
        (("--plot", tmp_path / "plot.gif"), 2, "plot.gif"),
        (("--copy-precision", 0.5), 3, "precisions are between 0 and 1"),
        (("--copy-precision", 1), 3, "precisions are between 0 and 1"),
    ):
        code, out, err = calibrate(*options)
        assert (code, out) == (expected, ""), (options, err)
        assert reason in err, options
    assert not (bank / "calibration.npz").exists()


def test_a_precision_that_can_not_be_shown_is_told(calibrate: Run) -> None:
    code, _, err = calibrate()
    assert code == 3
    assert "no score reaches a precision of 0.99" in err and "aim lower" in err
