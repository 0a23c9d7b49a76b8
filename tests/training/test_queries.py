from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ectype.errors import InvalidDataError, UsageError
from ectype.evaluation import read_ground_truth
from ectype.images import ImageItem, list_images, read_image
from ectype.transformations import KINDS, Recipe
from ectype_training.commands import run
from ectype_training.queries import make_queries

Draw = Callable[..., list[ImageItem]]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_half_of_the_queries_are_copies_of_references(drawn: Draw, tmp_path: Path) -> None:
    make_queries(drawn(30), 20, tmp_path / "made", most_edits=2)
    references = {item.id for item in list_images([tmp_path / "made" / "references"])}
    queries = {item.id for item in list_images([tmp_path / "made" / "queries"])}
    truth = read_ground_truth(tmp_path / "made" / "ground_truth.csv")
    assert (len(references), len(queries)) == (18, 20)
    assert truth.queries == queries
    assert len(truth.pairs) == 10 and {reference for _, reference in truth.pairs} <= references
    assert len({reference for _, reference in truth.pairs}) == 10
    edits = json.loads((tmp_path / "made" / "edits.json").read_text())
    assert edits.keys() == queries
    for kinds in edits.values():
        assert 1 <= len(kinds) <= 2 + 1 and all(KINDS[kind].family != "wild" for kind in kinds)
    for path in (tmp_path / "made").glob("*/*.jpg"):
        assert read_image(path).size > 0


def test_no_distractor_is_made_of_a_reference(drawn: Draw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unedited, each query is one of the photographs, and only copies are among the references."""
    monkeypatch.setattr("ectype_training.queries.sample_recipe", lambda *_, **__: Recipe(()))
    make_queries(drawn(30), 20, tmp_path / "made")
    made = {
        name: {p.stem: read_image(p) for p in (tmp_path / "made" / name).iterdir()}
        for name in ("references", "queries")
    }
    truth = dict(read_ground_truth(tmp_path / "made" / "ground_truth.csv").pairs)
    for query, pixels in made["queries"].items():
        same = [
            name
            for name, other in made["references"].items()
            if other.shape == pixels.shape and abs(other.astype(float) - pixels).mean() < 12
        ]
        assert same == ([truth[query]] if query in truth else []), query


def test_the_same_seed_gives_the_same_bytes(drawn: Draw, tmp_path: Path) -> None:
    items = drawn(20)
    for name, seed in (("one", 5), ("again", 5), ("other", 6)):
        make_queries(items, 10, tmp_path / name, seed=seed)
    assert contents(tmp_path / "one") == contents(tmp_path / "again")
    assert contents(tmp_path / "one") != contents(tmp_path / "other")


def test_a_folder_that_holds_files_is_refused(drawn: Draw, tmp_path: Path) -> None:
    items = drawn(10)
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"made: holds files; choose a new folder"):
        make_queries(items, 4, tmp_path / "made")
    assert contents(tmp_path / "made") == {"mine.txt": b"mine"}


@pytest.mark.parametrize(("photographs", "queries"), [(4, 6), (10, 10), (10, 1)])
def test_too_few_photographs_are_refused(drawn: Draw, tmp_path: Path, photographs: int, queries: int) -> None:
    with pytest.raises(InvalidDataError, match=f"{photographs} photographs are too few for {queries} queries"):
        make_queries(drawn(photographs), queries, tmp_path / "made")
    assert not (tmp_path / "made").exists()


def test_queries_have_edits(drawn: Draw, tmp_path: Path) -> None:
    with pytest.raises(InvalidDataError, match="at least one edit each, not at most 0"):
        make_queries(drawn(10), 4, tmp_path / "made", most_edits=0)
    assert not (tmp_path / "made").exists()


def test_the_command_makes_them(drawn: Draw, tmp_path: Path) -> None:
    drawn(20)
    words = ["queries", "--images", tmp_path / "drawn", "--count", 8, "--out", tmp_path / "made"]
    assert run(list(map(str, words))) == 0
    with open(tmp_path / "made" / "ground_truth.csv", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["query_id", "reference_id"]
    assert [query for query, _ in rows[1:]] == [f"Q{number:05}" for number in range(8)]
    assert run(list(map(str, words))) != 0
