"""Searching for duplicates where something is wrong: images, folders, disks, and what is remembered."""

from __future__ import annotations

import io
import os
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ectype.collection import Collection
from ectype.duplicates import Copies, find_duplicates, mark_images, marked_pairs, place_of
from ectype.errors import CollectionError, InvalidDataError, ModelError, ModelMismatchError, StorageError, UsageError
from ectype.images import ImageItem, list_images
from ectype.testing import ThumbnailModel
from ectype.types import SkippedImage
from test_duplicates import ALL, MODEL, FakeFinder, find, photos, picture, sets_of, user_data, write

__all__ = ["photos", "user_data"]  # fixtures


def test_marking_what_is_unknown_or_equal_marks_nothing(photos: Path, tmp_path: Path) -> None:
    place = place_of(photos)
    with pytest.raises(UsageError, match="nothing is remembered here; look for duplicates first"):
        mark_images(place, ["a0.png", "a1.png"], "same")
    assert not place.state.exists()
    find(photos)
    with pytest.raises(UsageError, match=r"no image is known as nobody, x\.png, so nothing was marked"):
        mark_images(place, ["a0.png", "nobody", "a1.png", "x.png"], "same")
    with pytest.raises(UsageError, match="equal byte for byte"):
        mark_images(place, ["a0.png", "b0.png", "b0.bmp"], "different")
    with pytest.raises(UsageError, match="two images or more"):
        mark_images(place, ["a0.png", "a0.png"], "same")
    with pytest.raises(InvalidDataError, match="not 'perhaps'"):
        mark_images(place, ["a0.png", "a1.png"], "perhaps")
    assert marked_pairs(place) == []
    assert sets_of(find(photos)) == ALL


def test_images_that_cannot_be_read_are_skipped_and_tried_again(photos: Path) -> None:
    (photos / "empty.jpg").touch()
    (photos / "text.png").write_text("no picture")
    (photos / "half.jpg").write_bytes(jpeg(0)[:700])
    for _ in range(2):
        report = find(photos)
        assert {row.id for row in report.skipped} == {"empty.jpg", "text.png", "half.jpg"}
        assert sets_of(report) == ALL
    (photos / "half.jpg").write_bytes(jpeg(0))
    assert {row.id for row in find(photos).skipped} == {"empty.jpg", "text.png"}


def jpeg(seed: int) -> bytes:
    file = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.fromarray(pixels).save(file, "jpeg", exif=turned)
    return file.getvalue()


def test_sizes_are_those_that_a_viewer_shows(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).write_bytes(jpeg(0))
    (found,) = find(tmp_path, tmp_path / ".state").sets
    assert [(image.width, image.height, image.bytes) for image in found.members] == [(40, 60, len(jpeg(0)))] * 2


def test_an_empty_folder_is_an_error_and_nothing_is_forgotten(photos: Path, tmp_path: Path) -> None:
    find(photos)
    photos.rename(tmp_path / "unplugged")
    photos.mkdir()
    with pytest.raises(InvalidDataError, match=r"no images in .*nothing that was remembered of it is forgotten"):
        find(photos)
    photos.rmdir()
    with pytest.raises(UsageError, match="there is no such folder"):
        find(photos)
    (tmp_path / "unplugged").rename(photos)
    assert find(photos).compared == 0
    with pytest.raises(UsageError, match="there is no such folder"):
        find(photos / "a0.png")


def test_a_state_of_another_folder_is_refused_or_taken_over(photos: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    find(photos, state)
    mark_images(place_of(photos, state), ["c0.png", "c3.png"], "same")
    shutil.move(photos, tmp_path / "moved")
    moved = tmp_path / "moved"
    for look in (find, lambda folder, state: mark_images(place_of(folder, state), ["c0.png", "c3.png"], None)):
        with pytest.raises(CollectionError, match=r"belongs to the folder .*photos, not to the folder .*moved"):
            look(moved, state)
    report = find(moved, state, moved=True)
    assert report.compared == 0
    assert sets_of(report) == ALL | {frozenset({"c0.png", "c3.png"})}
    assert find(moved, state).compared == 0


def test_a_state_of_another_model_is_refused(photos: Path, tmp_path: Path) -> None:
    find(photos)
    with pytest.raises(ModelMismatchError, match=r"described by thumbnail, not by other; .*decisions are kept"):
        find(photos, model=ThumbnailModel("other"))
    assert find(photos).compared == 0
    with Collection.create(tmp_path / "bank", MODEL) as bank:
        bank.add(list_images([photos / "a0.png"]), MODEL)
    with pytest.raises(ModelMismatchError, match="create a new collection"):
        find(tmp_path / "bank", model=ThumbnailModel("other"))


def test_a_state_folder_with_other_files_is_refused(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(CollectionError, match="holds other files"):
        find(photos, tmp_path / "mine")
    assert [entry.name for entry in (tmp_path / "mine").iterdir()] == ["letter.txt"]
    with pytest.raises(StorageError, match="can't be written"):
        find(photos, tmp_path / "mine" / "letter.txt" / "state")
    with pytest.raises(CollectionError, match="holds other files"):
        find(photos, photos)


@pytest.fixture
def database(photos: Path) -> Path:
    find(photos)
    return place_of(photos).database


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda path: path.write_bytes(b"no database at all" * 100), "not a sound database of duplicates"),
        (lambda path: execute(path, "DROP TABLE compared"), "not a sound database of duplicates"),
        (lambda path: execute(path, "PRAGMA application_id = 7"), "belongs to another program"),
        (lambda path: execute(path, "UPDATE meta SET value = '99' WHERE key = 'format'"), "has format '99'"),
    ],
)
def test_a_damaged_database_is_a_clear_error(
    photos: Path, database: Path, damage: Callable[[Path], None], words: str
) -> None:
    damage(database)
    with pytest.raises(CollectionError, match=words):
        find(photos)


def execute(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path)
    connection.execute(statement)
    connection.commit()
    connection.close()


def test_two_searches_at_once_are_refused(photos: Path) -> None:
    place = place_of(photos)
    with place.alone(), pytest.raises(StorageError, match="another process is looking for these duplicates"):
        find(photos)
    assert sets_of(find(photos)) == ALL


def test_names_that_are_no_unicode(photos: Path) -> None:
    name = os.fsencode(photos) + b"/caf\xe9.png"
    with open(name, "wb") as file:
        file.write(picture(3, 1))
    report = find(photos)
    assert frozenset({"d0.png", "caf\\udce9.png"}) in sets_of(report)
    mark_images(place_of(photos), ["d0.png", "caf\\udce9.png"], "different")
    assert sets_of(find(photos)) == ALL


def test_a_folder_whose_name_is_no_unicode(photos: Path, tmp_path: Path) -> None:
    os.rename(photos, os.fsencode(tmp_path) + b"/caf\xe9")
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    assert sets_of(find(folder)) == ALL
    assert find(folder).compared == 0


def test_an_empty_folder_leaves_nothing_behind(tmp_path: Path, user_data: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidDataError, match="no images in"):
        find(tmp_path / "empty")
    assert not user_data.exists()


def test_without_a_home_a_state_must_be_named(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(StorageError, match="Name a folder with --state"):
        find(photos)
    assert sets_of(find(photos, tmp_path / "state")) == ALL


def test_a_folder_that_may_not_be_written_needs_another_state(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Collection.create(tmp_path / "bank", MODEL) as bank:
        bank.add(list_images([photos / "a0.png"]), MODEL)
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path / "bank")
    with pytest.raises(StorageError, match="name another folder with --state"):
        find(tmp_path / "bank")
    assert find(tmp_path / "bank", tmp_path / "state").images == 1


class MoodyModel(ThumbnailModel):
    """Gives no descriptor of one picture, at times."""

    fails = False

    def describe(self, images: Sequence[np.ndarray]) -> np.ndarray:
        for image in images:
            if self.fails and np.array_equal(image, np.asarray(Image.open(io.BytesIO(picture(3, 0))))):
                raise ModelError("no descriptor today")
        return super().describe(images)


def test_what_could_not_be_described_for_a_while_is_compared_with_what_came_meanwhile(photos: Path) -> None:
    model = MoodyModel()
    find(photos, model=model)
    (photos / "d0.png").rename(photos / "d.png")  # has to be described again
    write(photos, {"new.png": (3, 1)})
    model.fails = True
    report = find(photos, model=model)
    assert [(row.id, row.code) for row in report.skipped] == [("d.png", "no-descriptor")]
    assert sets_of(report) == ALL
    model.fails = False
    assert sets_of(find(photos, model=model)) == ALL | {frozenset({"d.png", "new.png"})}


class PassesOver(FakeFinder):
    """Can't compare one of the images."""

    def copies_of(self, items: Sequence[ImageItem]) -> Copies:
        found = super().copies_of([item for item in items if not item.location.endswith("d0.png")])
        rows = [SkippedImage(one.id, one.location, "blank", "") for one in items if one.location.endswith("d0.png")]
        return Copies(found.matches, tuple(rows))


def test_what_could_not_be_compared_is_reported_and_tried_again(photos: Path) -> None:
    for compared in (6, 0):
        report = find_duplicates(place_of(photos), MODEL, finder=PassesOver)
        assert (report.compared, [row.id for row in report.skipped]) == (compared, ["d0.png"])
    assert find(photos).compared == 1
