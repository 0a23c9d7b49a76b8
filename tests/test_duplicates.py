"""Searching a folder or a collection for duplicates: again, after changes, with decisions, and when it goes wrong."""

from __future__ import annotations

import io
import shutil
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ectype.collection import Collection
from ectype.descriptors import DescribedImage, DescriptorModel, describe_items
from ectype.duplicates import Copies, DuplicateReport, FoundPair, find_duplicates, mark_images, marked_pairs, place_of
from ectype.duplicates.comparing import MatcherOfCopies
from ectype.images import ImageItem, ImageLimits, list_images
from ectype.matching import MatchReport
from ectype.testing import ThumbnailModel
from ectype.types import Match
from kill_driver import IN_MEMORY

MODEL = ThumbnailModel()
CHANGES = (0, 3, 5, 90)
"""How far the pixels of the variants of a picture are from it; the last is a pair to look at."""


@cache
def picture(family: int, variant: int) -> bytes:
    """A PNG file of 8 x 8 pixels. Families have nothing in common; variants are copies of each other."""
    pixels = np.random.default_rng(family).integers(0, 256, (8, 8, 3))
    change = CHANGES[variant]
    pixels += np.random.default_rng(1000 * family + variant).integers(-change, change + 1, pixels.shape)
    file = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(file, "png")
    return file.getvalue()


class FakeFinder:
    """`FindsCopies` by the descriptor alone; looks at all that the collection holds."""

    method = "thumbnails"
    queries: list[str]
    """Locations of what was compared, by all of them."""

    def __init__(self, collection: Collection, model: DescriptorModel, limits: ImageLimits) -> None:
        self._collection, self._model = collection, model

    def copies_of(self, items: Sequence[ImageItem]) -> Copies:
        described = [one for one in describe_items(items, self._model) if isinstance(one, DescribedImage)]
        FakeFinder.queries += [one.item.location for one in described]
        vectors = np.array([one.vector for one in described], np.float32).reshape(-1, self._model.dimension)
        found = self._collection.search(vectors, len(self._collection))
        names = self._collection.references(found.reference_rows)
        matches = []
        for row, reference, score in zip(found.query_rows, found.reference_rows, found.scores, strict=True):
            query, name = described[row].item.id, names[int(reference)].id
            if query != name and score > 0.75:
                matches.append(Match(query, name, float(min(score, 1)), "copy" if score > 0.985 else "review"))
        return Copies(tuple(matches))


@pytest.fixture(autouse=True)
def user_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    FakeFinder.queries = []
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Three copies of one picture, two of another, a pair to look at, and a picture alone."""
    folder = tmp_path / "photos"
    write(folder, {"a0.png": (0, 0), "a1.png": (0, 1), "below/a2.png": (0, 2), "b0.png": (1, 0), "b0.bmp": (1, 0)})
    write(folder, {"c0.png": (2, 0), "c3.png": (2, 3), "d0.png": (3, 0)})
    return folder


def write(folder: Path, files: Mapping[str, tuple[int, int]]) -> None:
    for name, which in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(picture(*which))


def find(folder: Path, state: Path | None = None, **options: object) -> DuplicateReport:
    return find_duplicates(place_of(folder, state), options.pop("model", MODEL), finder=FakeFinder, **options)


def sets_of(report: DuplicateReport) -> set[frozenset[str]]:
    return {frozenset(image.id for image in one.members) for one in report.sets}


ALL = {frozenset({"a0.png", "a1.png", "below/a2.png"}), frozenset({"b0.png", "b0.bmp"})}


def test_copies_in_a_folder_of_photographs(photos: Path, user_data: Path) -> None:
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in photos.rglob("*") if path.is_file()}
    report = find(photos)
    assert sets_of(report) == ALL
    assert [(pair.first_id, pair.second_id) for pair in report.review] == [("c0.png", "c3.png")]
    assert (report.images, report.compared, report.skipped, report.contradictions) == (8, 7, (), ())
    after = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in photos.rglob("*") if path.is_file()}
    assert after == before  # and no file is new
    assert report.state.parent == user_data / "ectype" / "duplicates"
    assert {entry.name for entry in report.state.iterdir()} == {"collection", "duplicates.sqlite"}


def test_copies_in_a_collection(photos: Path, tmp_path: Path, user_data: Path) -> None:
    with Collection.create(tmp_path / "bank", MODEL) as bank:
        (photos / "b0.bmp").rename(photos / "b1.png")
        bank.add(list_images([photos]), MODEL)
    report = find(tmp_path / "bank")
    assert sets_of(report) == {frozenset({"a0", "a1", "a2"}), frozenset({"b0", "b1"})}
    assert report.state == tmp_path / "bank"
    assert not user_data.exists()
    assert find(tmp_path / "bank").compared == 0
    with Collection(tmp_path / "bank") as bank:
        assert bank.problems() == []
        bank.remove(["a2"])
    assert sets_of(find(tmp_path / "bank")) == {frozenset({"a0", "a1"}), frozenset({"b0", "b1"})}
    shutil.move(tmp_path / "bank", tmp_path / "elsewhere")
    assert find(tmp_path / "elsewhere").compared == 0


def test_references_whose_files_are_gone_or_changed_are_found_and_reported(photos: Path, tmp_path: Path) -> None:
    with Collection.create(tmp_path / "bank", MODEL) as bank:
        (photos / "b0.bmp").unlink()
        bank.add(list_images([photos]), MODEL)
    (photos / "a1.png").unlink()
    write(photos, {"below/a2.png": (9, 0)})
    report = find(tmp_path / "bank", tmp_path / "state")
    assert sets_of(report) == {frozenset({"a0", "a1", "a2"})}
    assert {(row.id, row.code) for row in report.skipped} == {("a1", "missing"), ("a2", "changed")}
    assert report.sets[0].original.id == "a0"
    assert "only one whose file is there" in report.sets[0].why
    assert {entry.name for entry in (tmp_path / "state").iterdir()} == {"duplicates.sqlite"}


def test_only_what_is_new_is_looked_at(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find(photos)
    opened: list[str] = []
    read = ImageItem.read
    monkeypatch.setattr(ImageItem, "read", lambda item, *limits: opened.append(item.location) or read(item, *limits))
    FakeFinder.queries.clear()
    again = find(photos)
    assert (sets_of(again), again.compared, FakeFinder.queries, opened) == (ALL, 0, [], [])
    write(photos, {"new.png": (3, 1)})
    more = find(photos)
    assert sets_of(more) == ALL | {frozenset({"d0.png", "new.png"})}
    assert (more.compared, set(opened)) == (1, {str(photos / "new.png")})
    assert FakeFinder.queries == [str(photos / "new.png")]


def test_images_that_went_away_leave_their_sets_and_may_come_back(photos: Path) -> None:
    find(photos)
    (photos / "a1.png").unlink()
    (photos / "b0.bmp").unlink()
    assert sets_of(find(photos)) == {frozenset({"a0.png", "below/a2.png"})}
    write(photos, {"late.png": (0, 0)})
    write(photos, {"a1.png": (0, 1), "later.png": (3, 2)})
    (photos / "d0.png").unlink()
    assert sets_of(find(photos)) == {frozenset({"a0.png", "late.png", "a1.png", "below/a2.png"})}
    write(photos, {"d0.png": (3, 0)})  # was never compared with what came while it was away
    assert frozenset({"d0.png", "later.png"}) in sets_of(find(photos))


def test_renamed_files_and_changed_ones(photos: Path) -> None:
    find(photos)
    (photos / "a0.png").rename(photos / "renamed.png")
    report = find(photos)
    assert frozenset({"renamed.png", "a1.png", "below/a2.png"}) in sets_of(report)
    assert report.compared == 0
    write(photos, {"renamed.png": (3, 1)})
    assert sets_of(find(photos)) >= {frozenset({"d0.png", "renamed.png"}), frozenset({"a1.png", "below/a2.png"})}


def ids_of(pairs: Sequence[FoundPair]) -> set[tuple[str, str]]:
    return {(pair.first_id, pair.second_id) for pair in pairs}


folders = st.dictionaries(
    st.sampled_from([f"{number}.png" for number in range(7)]),
    st.tuples(st.integers(0, 2), st.integers(0, 3)),
    min_size=1,
)


@settings(max_examples=25, deadline=None)
@given(st.lists(folders, min_size=2, max_size=4))
def test_step_by_step_is_as_from_scratch(steps: list[dict[str, tuple[int, int]]]) -> None:
    with tempfile.TemporaryDirectory(prefix="ectype-duplicates-", dir=IN_MEMORY) as root:
        folder = Path(root, "photos")
        for files in steps:
            for path in folder.glob("*"):
                path.unlink()
            write(folder, files)
            step_by_step = find(folder, Path(root, "state"))
        at_once = find(folder, Path(root, "another"))
        for report in (step_by_step, at_once):
            assert report.images == len(files)
        assert [(one.members, one.why) for one in step_by_step.sets] == [(one.members, one.why) for one in at_once.sets]
        assert ids_of(step_by_step.review) == ids_of(at_once.review)


def test_decisions_stay(photos: Path) -> None:
    place = place_of(photos)
    find(photos)
    assert mark_images(place, ["c0.png", str(photos / "c3.png")], "same") == 1
    assert mark_images(place, ["a0.png", "a1.png", "below/a2.png"], "different") == 3
    expected = {frozenset({"b0.png", "b0.bmp"}), frozenset({"c0.png", "c3.png"})}
    report = find(photos)
    assert (sets_of(report), report.review) == (expected, ())
    (photos / "c0.png").unlink()
    (photos / "a0.png").unlink()
    find(photos)
    write(photos, {"other.png": (2, 0), "below/another.png": (0, 0)})  # the same contents under other names
    assert sets_of(find(photos)) == {frozenset({"b0.png", "b0.bmp"}), frozenset({"other.png", "c3.png"})}
    shutil.rmtree(place.collection)  # the part that can be made again
    assert sets_of(find(photos)) == {frozenset({"b0.png", "b0.bmp"}), frozenset({"other.png", "c3.png"})}
    (same,) = [one for one in marked_pairs(place) if one.verdict == "same"]
    assert {same.first_ids, same.second_ids} == {("other.png",), ("c3.png",)}
    assert mark_images(place, ["other.png", "c3.png"], None) == 1
    assert len(find(photos).review) == 1
    assert len(marked_pairs(place)) == 3


def test_a_contradiction_is_reported_and_is_no_set(photos: Path) -> None:
    find(photos)
    mark_images(place_of(photos), ["a0.png", "a1.png"], "different")
    report = find(photos)
    assert sets_of(report) == {frozenset({"b0.png", "b0.bmp"})}
    (found,) = report.contradictions
    assert {image.id for image in found.members} == {"a0.png", "a1.png", "below/a2.png"}
    (chain,) = found.chains
    assert {chain[0], chain[-1]} == {"a0.png", "a1.png"}
    assert chain[1] == "below/a2.png"
    mark_images(place_of(photos), ["a0.png", "below/a2.png"], "different")
    report = find(photos)
    assert (report.contradictions, frozenset({"a1.png", "below/a2.png"}) in sets_of(report)) == ((), True)


class OtherMethod(FakeFinder):
    method = "another way of scoring"

    def copies_of(self, items: Sequence[ImageItem]) -> Copies:
        super().copies_of(items)
        return Copies(())


def test_scores_of_two_methods_are_not_mixed(photos: Path) -> None:
    find(photos)
    mark_images(place_of(photos), ["c0.png", "c3.png"], "same")
    other = find_duplicates(place_of(photos), MODEL, finder=OtherMethod)
    assert other.compared == 7
    assert sets_of(other) == {frozenset({"b0.png", "b0.bmp"}), frozenset({"c0.png", "c3.png"})}


def test_a_link_is_no_copy_of_its_file(photos: Path, tmp_path: Path) -> None:
    (photos / "link.png").symlink_to(photos / "d0.png")
    (photos / "zone").symlink_to(photos / "below")
    write(tmp_path, {"outside.png": (3, 1)})
    (photos / "outside.png").symlink_to(tmp_path / "outside.png")
    assert sets_of(find(photos)) == ALL | {frozenset({"d0.png", "outside.png"})}


class CountingMatcher:
    """A matcher of queries that are numbers: each is a copy of all smaller numbers. It gives what it is asked for."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, int]] = []

    def match(self, items: Sequence[ImageItem], *, limit: int, total: int | None) -> MatchReport:
        self.calls.append((len(items), limit))
        matches = []
        for item in items:
            found = [Match(item.id, str(n), 0.9, "copy" if n <= int(item.id) else "different") for n in range(5000)]
            matches += found[:limit]
        assert total is not None
        assert len(matches) <= total
        return MatchReport(tuple(matches), {item.id: item for item in items}, {}, ())


def test_an_image_with_many_copies_has_all_of_them_found() -> None:
    matcher = CountingMatcher()
    found = MatcherOfCopies(matcher, 5000, "m").copies_of([ImageItem(str(n), "") for n in (3, 50, 700, 4999)])
    counts = Counter(match.query_id for match in found.matches)
    assert counts == {"3": 3, "50": 50, "700": 700, "4999": 4999}
    assert matcher.calls == [(4, 20), (3, 200), (2, 2000), (1, 5000)]
