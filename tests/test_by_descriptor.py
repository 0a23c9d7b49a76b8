from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ectype.collection import Collection
from ectype.errors import ModelMismatchError, UsageError
from ectype.images import list_images
from ectype.matching import MatchReport, match_by_descriptor
from ectype.reports import Annotation, Heading, write_match_report
from ectype.testing import ThumbnailModel

Pictures = Callable[..., Path]


@pytest.fixture
def collection(tmp_path: Path, folder_of_pictures: Pictures, model: ThumbnailModel) -> Iterator[Collection]:
    with Collection.create(tmp_path / "collection", model) as made:
        made.add(list_images([folder_of_pictures(30, "references")]), model)
        yield made


def test_copies_are_found_and_the_best_come_first(collection, folder_of_pictures, model) -> None:
    items = list_images([folder_of_pictures(5, "queries", first=10)])
    report = match_by_descriptor(collection, items, model, limit=3)
    first = {}
    for match in report.matches:
        first.setdefault(match.query_id, match)
    assert {query: match.reference_id for query, match in first.items()} == {item.id: item.id for item in items}
    assert all(match.score == pytest.approx(1, abs=1e-3) for match in first.values())
    scores = [match.score for match in report.matches]
    assert scores == sorted(scores, reverse=True)
    assert len(scores) == 15


def test_limits_are_kept(collection, folder_of_pictures, model) -> None:
    items = list_images([folder_of_pictures(8, "queries")])
    assert len(match_by_descriptor(collection, items, model).matches) == 80
    assert len(match_by_descriptor(collection, items, model, limit=1000).matches) == 80
    assert len(match_by_descriptor(collection, items, model, limit=2).matches) == 16
    report = match_by_descriptor(collection, items, model, limit=2, total=5)
    everything = match_by_descriptor(collection, items, model, limit=2).matches
    assert report.matches == everything[:5]


def test_no_query_depends_on_the_others(collection, folder_of_pictures, model) -> None:
    items = list_images([folder_of_pictures(12, "queries", first=25)])

    def rows(report: MatchReport) -> set[tuple[str, str, float]]:
        return {(m.query_id, m.reference_id, m.score) for m in report.matches}

    whole = rows(match_by_descriptor(collection, items, model))
    assert rows(match_by_descriptor(collection, items[::-1], model)) == whole
    assert set().union(*(rows(match_by_descriptor(collection, [item], model)) for item in items)) == whole


def test_scores_do_not_depend_on_other_references(tmp_path, collection, folder_of_pictures, model) -> None:
    items = list_images([folder_of_pictures(6, "queries")])

    def scores() -> dict[tuple[str, str], float]:
        report = match_by_descriptor(collection, items, model, limit=30, total=1000)
        return {(m.query_id, m.reference_id): m.score for m in report.matches}

    before = scores()
    collection.remove([f"p{number:03}" for number in range(10, 30)])
    after = scores()
    assert len(after) == 60
    assert after.items() <= before.items()


def test_queries_that_can_not_be_read_are_reported(collection, folder_of_pictures, model) -> None:
    folder = folder_of_pictures(2, "queries")
    (folder / "bad.jpg").write_bytes(b"")
    report = match_by_descriptor(collection, list_images([folder]), model)
    assert [row.id for row in report.skipped] == ["bad"]
    assert set(report.queries) == {"p000", "p001"}


def test_an_empty_collection_matches_nothing(tmp_path, folder_of_pictures, model) -> None:
    with Collection.create(tmp_path / "empty", model) as empty:
        assert match_by_descriptor(empty, list_images([folder_of_pictures(2)]), model).matches == ()


def test_another_model_is_refused(collection, folder_of_pictures) -> None:
    with pytest.raises(ModelMismatchError, match=r"described by thumbnail .* not by other"):
        match_by_descriptor(collection, list_images([folder_of_pictures(1)]), ThumbnailModel("other"))


@pytest.mark.parametrize("wrong", [{"limit": 0}, {"total": 0}, {"total": 500_001}])
def test_limits_that_can_not_be_are_refused(collection, folder_of_pictures, model, wrong) -> None:
    with pytest.raises(UsageError):
        match_by_descriptor(collection, list_images([folder_of_pictures(1)]), model, **wrong)


def test_the_page_shows_both_pictures_and_escapes_names(tmp_path, collection, folder_of_pictures, model) -> None:
    folder = folder_of_pictures(2, "queries")
    (folder / "p001.png").rename(folder / "<script>alert(1)<.png")
    (folder / "bad.jpg").write_bytes(b"")
    report = match_by_descriptor(collection, list_images([folder]), model)
    best = report.matches[0]
    notes = {(best.query_id, best.reference_id): Annotation(True, "grey & tilted")}
    write_match_report(tmp_path / "report.html", report, Heading("A title", {"pairs": "20"}), notes)
    page = (tmp_path / "report.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 4
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page
    assert "grey &amp; tilted" in page
    assert "the file has no bytes" in page


def test_the_page_says_when_a_reference_has_moved(tmp_path, collection, folder_of_pictures, model) -> None:
    report = match_by_descriptor(collection, list_images([folder_of_pictures(1, "queries")]), model, limit=1)
    (tmp_path / "references" / "p000.png").unlink()
    write_match_report(tmp_path / "report.html", report, Heading("A title", {}))
    assert "no longer where it was" in (tmp_path / "report.html").read_text()
