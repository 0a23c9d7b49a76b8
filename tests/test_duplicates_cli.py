"""The command ``ectype duplicates``."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from ectype.cli import duplicates as command
from ectype.cli import main
from ectype.collection import Collection
from ectype.demo import packaged_photographs
from ectype.duplicates import DuplicateReport, find_duplicates, place_of
from ectype.images import list_images
from test_duplicates import MODEL, FakeFinder, photos, user_data, write

__all__ = ["photos", "user_data"]  # fixtures

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command in this process: exit code, standard output, standard error."""

    def search(place, model, **options) -> DuplicateReport:
        return find_duplicates(place, model or MODEL, finder=FakeFinder, **options)

    def call(*arguments: object) -> tuple[int, str, str]:
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    monkeypatch.setattr(command, "find_duplicates", search)
    return call


def test_the_main_job(run: Run, photos: Path) -> None:
    code, out, _ = run("duplicates", photos)
    assert code == 0
    for words in (
        "2 of 2 sets",
        "a0.png",
        "below/a2.png",
        "8 × 8",
        "why it is the original",
        "1 of 1 pairs to look at",
    ):
        assert words in out
    assert str(place_of(photos).state) in out  # it says where it remembers
    assert run("duplicates", "find", photos)[:2] == (0, out.replace("newly compared    7", "newly compared    0"))


def test_json_says_everything(run: Run, photos: Path) -> None:
    (photos / "empty.jpg").touch()
    code, out, _ = run("duplicates", photos, "--json")
    assert code == 1
    printed = json.loads(out)
    assert set(printed) == {"images", "compared", "state", "sets", "review", "contradictions", "skipped"}
    first = printed["sets"][0]
    assert set(first) == {"id", "original", "why", "members", "pairs"}
    assert set(first["members"][0]) == {"id", "location", "width", "height", "bytes", "sha256"}
    assert first["original"] == first["members"][0]["id"]
    assert {name for pair in first["pairs"] for name in pair["ids"]} == {"a0.png", "a1.png", "below/a2.png"}
    assert all(0.9 < pair["score"] <= 1 and pair["source"] == "matcher" for pair in first["pairs"])
    assert printed["review"][0]["ids"] == ["c0.png", "c3.png"]
    assert [row["code"] for row in printed["skipped"]] == ["empty"]
    run("duplicates", "mark", photos, "different", "a0.png", "a1.png")
    (found,) = json.loads(run("duplicates", photos, "--json")[1])["contradictions"]
    assert sorted(found["chains"][0]) == ["a0.png", "a1.png", "below/a2.png"]
    code, out, _ = run("duplicates", photos)
    assert "contradictions, in no set" in out


def test_sets_in_every_format(run: Run, photos: Path, tmp_path: Path) -> None:
    outputs = [tmp_path / f"sets.{suffix}" for suffix in ("csv", "json", "html")]
    code, out, _ = run("duplicates", photos, *(part for path in outputs for part in ("-o", path)), "--json")
    assert code == 0
    assert json.loads(out) == json.loads(outputs[1].read_text())
    with open(outputs[0], newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["set"] for row in rows] == ["1"] * 3 + ["2"] * 2
    assert [row["role"] for row in rows] == ["original", "copy", "copy", "original", "copy"]
    assert {row["id"] for row in rows[:3]} == {"a0.png", "a1.png", "below/a2.png"}
    assert [bool(row["why"]) for row in rows] == [True, False, False, True, False]
    page = outputs[2].read_text()
    assert page.count("data:image/") == 7  # the sets, and the pair to look at
    assert page.count('class="original"') == 2
    for words in ("a0.png", "suggested original", "Pairs to look at", "No image was changed"):
        assert words in page


def test_names_are_no_markup_in_the_page(run: Run, photos: Path, tmp_path: Path) -> None:
    write(photos, {"<script>alert(1)<!--.png": (3, 1)})
    assert run("duplicates", photos, "-o", tmp_path / "sets.html")[0] == 0
    page = (tmp_path / "sets.html").read_text()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_deciding(run: Run, photos: Path, tmp_path: Path) -> None:
    assert run("duplicates", photos)[0] == 0
    assert run("duplicates", "marks", photos)[:2] == (0, f"{photos}: nothing was marked\n")
    code, out, _ = run("duplicates", "mark", photos, "same", "c0.png", photos / "c3.png", "--json")
    assert (code, json.loads(out)["pairs"]) == (0, 1)
    assert len(json.loads(run("duplicates", photos, "--json")[1])["sets"]) == 3
    code, out, _ = run("duplicates", "marks", photos, "--json")
    (mark,) = json.loads(out)
    assert (mark["verdict"], {*mark["first_ids"], *mark["second_ids"]}) == ("same", {"c0.png", "c3.png"})
    assert "c3.png" in run("duplicates", "marks", photos)[1]
    assert run("duplicates", "mark", photos, "undecided", "c0.png", "c3.png")[0] == 0
    assert json.loads(run("duplicates", "marks", photos, "--json")[1]) == []


def test_a_collection_and_a_state_of_ones_own(run: Run, photos: Path, tmp_path: Path) -> None:
    (photos / "b0.bmp").unlink()
    with Collection.create(tmp_path / "bank", MODEL) as bank:
        bank.add(list_images([photos]), MODEL)
    code, out, _ = run("duplicates", tmp_path / "bank", "--state", tmp_path / "state", "--json")
    assert code == 0
    assert json.loads(out)["state"] == str(tmp_path / "state")
    assert not (tmp_path / "bank" / "duplicates.sqlite").exists()
    assert json.loads(out)["sets"][0]["members"][0]["id"] in {"a0", "a1", "a2"}


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((), 2, "Usage: ectype duplicates"),
        (("{gone}",), 2, "there is no such folder"),
        (("{file}",), 2, "is a file"),
        (("{empty}",), 3, "no images in"),
        (("{photos}", "-o", "sets.xlsx"), 2, "sets are written as .csv, .json, .html"),
        (("{photos}", "-o", "{gone}/sets.csv"), 3, "its folder does not exist"),
        (("{photos}", "--state", "{photos}"), 3, "holds other files"),
        (("{photos}", "--model", "{gone}"), 3, "there is no such model file"),
        (("mark", "{photos}", "same", "a0.png", "a1.png"), 2, "look for duplicates first"),
        (("mark", "{photos}", "perhaps", "a0.png", "a1.png"), 2, "perhaps"),
        (("mark", "{photos}", "same"), 2, "Missing argument"),
        (("marks", "{photos}"), 2, "look for duplicates first"),
        (("marks", "{gone}"), 2, "there is no such folder"),
    ],
)
def test_exit_codes(run: Run, photos: Path, tmp_path: Path, arguments, code, words) -> None:
    (tmp_path / "empty").mkdir()
    places = {
        "gone": tmp_path / "gone",
        "empty": tmp_path / "empty",
        "photos": photos,
        "file": photos / "a0.png",
    }
    found, out, err = run("duplicates", *(argument.format(**places) for argument in arguments))
    assert found == code, err
    assert words in err + out
    assert "Traceback" not in err


def test_edited_copies_of_photographs_are_found_with_the_bundled_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "photographs"
    folder.mkdir()
    chosen = [path for path in packaged_photographs() if path.stem in ("astronaut", "chelsea", "coffee")]
    for path in chosen:
        with Image.open(path) as opened:
            image = opened.convert("RGB")
        width, height = image.size
        image.save(folder / f"{path.stem}.png")
        image.resize((width // 2, height // 2)).save(folder / f"{path.stem}.jpg", quality=60)
        image.crop((width // 6, height // 6, width, height)).save(folder / f"{path.stem}-part.webp", quality=80)
    assert main(["duplicates", str(folder), "--json"]) == 0
    sets = json.loads(capsys.readouterr().out)["sets"]
    found = [[one["id"] for one in found["members"]] for found in sets]
    assert found == [[f"{path.stem}.png", f"{path.stem}-part.webp", f"{path.stem}.jpg"] for path in sorted(chosen)]
