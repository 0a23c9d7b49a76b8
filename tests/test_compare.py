from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from conftest import draw_picture
from ectype.cli import main
from ectype.matching import Background, Calibration, Thresholds
from ectype.matching.calibration import VERIFIED_TERMS, Logistic

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def calibration(tmp_path_factory, bundled_model) -> Path:
    """Takes pairs whose pixels agree for copies."""
    vectors = bundled_model.describe([np.asarray(draw_picture(seed)) for seed in range(50, 56)])
    unfitted = Calibration.unfitted(Background(vectors, bundled_model.fingerprint))
    path = tmp_path_factory.mktemp("calibration") / "calibration.npz"
    weights = tuple(20.0 if name == "agreement" else 0.0 for name in VERIFIED_TERMS)
    replace(unfitted, verified=Logistic(weights, -14), thresholds=Thresholds(0.9, 0.5)).save(path)
    return path


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], calibration: Path) -> Run:
    """Runs ``ectype compare`` in this process: exit code, standard output, standard error."""

    def call(*arguments: object) -> tuple[int, str, str]:
        code = main(["compare", "--calibration", str(calibration), *map(str, arguments)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture
def copy(tmp_path: Path) -> tuple[Path, Path]:
    """A mirrored part of a picture, and the picture."""
    picture = draw_picture(3, (640, 480))
    query, reference = tmp_path / "query.png", tmp_path / "reference.png"
    picture.save(reference)
    ImageOps.mirror(picture.crop((160, 0, 640, 480))).save(query)
    return query, reference


def test_a_copy_is_found_out_and_explained(run: Run, copy) -> None:
    code, out, _ = run(*copy)
    assert code == 0
    assert "copy" in out
    assert "places agree on one mapping" in out
    assert "the query shows 75% of the reference, mirrored, at its own size" in out


def test_json_is_all_that_is_printed(run: Run, copy) -> None:
    code, out, _ = run(*copy, "--json")
    assert code == 0
    form = json.loads(out)
    assert (form["query"], form["reference"]) == tuple(map(str, copy))
    assert form["decision"] == "copy" and form["score"] > 0.9
    assert form["evidence"]["mirrored"] is True
    np.testing.assert_allclose(form["evidence"]["matrix"][0], [-1, 0, 640], atol=2)


def test_the_drawing_is_written(run: Run, copy, tmp_path: Path) -> None:
    code, out, _ = run(*copy, "--draw", tmp_path / "pair.png")
    assert code == 0
    assert "pair.png" in out
    with Image.open(tmp_path / "pair.png") as drawing:
        assert drawing.format == "PNG" and drawing.width > 3 * 420


def test_other_pictures_are_different(run: Run, copy, tmp_path: Path) -> None:
    draw_picture(8, (640, 480)).save(tmp_path / "other.png")
    code, out, _ = run(tmp_path / "other.png", copy[1], "--json")
    assert code == 0
    assert json.loads(out)["decision"] == "different"


def test_two_files_of_one_name_can_be_compared(run: Run, copy, tmp_path: Path) -> None:
    (tmp_path / "bank").mkdir()
    same = tmp_path / "bank" / "query.png"
    copy[1].rename(same)
    assert run(copy[0], same)[0] == 0


def test_wrong_usage_is_told_before_the_work(run: Run, copy, tmp_path: Path) -> None:
    code, _, err = run(*copy, "--draw", tmp_path / "pair.jpg")
    assert (code, "written as .png" in err) == (2, True)
    code, _, err = run(copy[0], tmp_path / "none.png")
    assert (code, "none.png: there is no such file" in err) == (2, True)
    code, _, err = run(copy[0], tmp_path)
    assert (code, "holds 2 images" in err) == (2, True)


def test_unreadable_images_are_named(run: Run, copy, tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"")
    for pair in ((tmp_path / "bad.jpg", copy[1]), (copy[0], tmp_path / "bad.jpg")):
        code, out, err = run(*pair, "--json")
        assert (code, out) == (3, "")
        assert "bad.jpg: the file has no bytes" in err
    code, _, err = run(*copy, "--max-pixels", 1000)
    assert (code, "query.png: 480 x 480 pixels are more than the limit" in err) == (3, True)


def test_a_drawing_that_can_not_be_written_is_told_before_the_work(run: Run, copy, tmp_path: Path) -> None:
    code, _, err = run(*copy, "--draw", tmp_path / "none" / "pair.png")
    assert (code, "its folder does not exist" in err) == (3, True)
