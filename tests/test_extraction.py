from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import h5py
import numpy as np
import pytest

from conftest import draw_picture
from ectype.descriptors import (
    DescribedImage,
    OnnxModel,
    describe_items,
    describe_to_file,
    extraction,
    read_descriptors,
    write_descriptors,
)
from ectype.errors import InvalidDataError, ModelError, StorageError
from ectype.images import ImageLimits, decode_image, list_images
from ectype.testing import ThumbnailModel
from ectype.types import DescriptorSet, SkippedImage

Pictures = Callable[..., Path]


class CountingModel(ThumbnailModel):
    def __init__(self, fail_after: int | None = None) -> None:
        super().__init__()
        self.calls, self._fail_after, self._lock = 0, fail_after, threading.Lock()

    def describe(self, images: Sequence[np.ndarray]) -> np.ndarray:
        with self._lock:
            self.calls += len(images)
            if self._fail_after is not None and self.calls > self._fail_after:
                raise RuntimeError("pulled the plug")
        return super().describe(images)


@pytest.mark.parametrize("workers", [1, 3])
def test_results_come_in_order_with_bad_files_as_rows(folder_of_pictures: Pictures, workers: int) -> None:
    folder = folder_of_pictures(20)
    (folder / "p005.png").write_bytes(b"not a picture")
    (folder / "p013.png").write_bytes(b"")
    results = list(describe_items(list_images([folder]), ThumbnailModel(), workers=workers))
    names = [r.id if isinstance(r, SkippedImage) else r.item.id for r in results]
    assert names == [f"p{number:03}" for number in range(20)]
    assert {r.id: r.code for r in results if isinstance(r, SkippedImage)} == {"p005": "not-an-image", "p013": "empty"}


def test_vectors_are_those_of_the_model(folder_of_pictures: Pictures, bundled_model: OnnxModel) -> None:
    folder = folder_of_pictures(3)
    results = list(describe_items(list_images([folder]), bundled_model))
    expected = bundled_model.describe([np.asarray(draw_picture(number)) for number in range(3)])
    found = np.array([r.vector for r in results if isinstance(r, DescribedImage)])
    assert np.array_equal(found, expected)


def test_limits_hold_in_the_pipeline(folder_of_pictures: Pictures) -> None:
    items = list_images([folder_of_pictures(2)])
    results = list(describe_items(items, ThumbnailModel(), limits=ImageLimits(max_pixels=100)))
    assert [r.code for r in results if isinstance(r, SkippedImage)] == ["too-many-pixels"] * 2


def test_a_descriptor_that_can_not_be_used_is_a_row_too(folder_of_pictures: Pictures) -> None:
    class Broken(ThumbnailModel):
        def describe(self, images: Sequence[np.ndarray]) -> np.ndarray:
            raise ModelError("gave a descriptor that is not finite")

    (result,) = describe_items(list_images([folder_of_pictures(1)]), Broken())
    assert isinstance(result, SkippedImage)
    assert result.code == "no-descriptor"


@pytest.mark.parametrize("most", [1, 64 * 2**20])
def test_of_images_that_are_described_together_each_has_its_own_result(
    folder_of_pictures: Pictures, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    class Picky(CountingModel):
        def describe(self, images: Sequence[np.ndarray]) -> np.ndarray:
            if any(image.shape[0] == 77 for image in images):
                raise ModelError("not of 77 rows")
            return super().describe(images)

    folder = folder_of_pictures(14)
    draw_picture(1, (90, 77)).save(folder / "0003x.png")
    (folder / "0005x.png").write_bytes(b"no picture")
    monkeypatch.setattr(extraction, "_MOST_PIXEL_BYTES", most)
    items = list_images(folder)
    results = list(describe_items(items, Picky(), workers=1))
    assert [result.item.id if isinstance(result, DescribedImage) else result.id for result in results] == [
        item.id for item in items
    ]
    skipped = {result.id: result.code for result in results if isinstance(result, SkippedImage)}
    assert skipped == {"0003x": "no-descriptor", "0005x": "not-an-image"}
    for result in results:
        if isinstance(result, DescribedImage):
            expected = ThumbnailModel().describe([decode_image(result.item.read())])[0]
            assert np.array_equal(result.vector, expected)


def test_progress_counts_every_image(folder_of_pictures: Pictures) -> None:
    counts: list[int] = []
    items = list_images([folder_of_pictures(11)])
    list(describe_items(items, ThumbnailModel(), on_progress=counts.append))
    assert sum(counts) == 11


def test_an_error_stops_the_run_at_once(folder_of_pictures: Pictures) -> None:
    model = CountingModel(fail_after=3)
    items = 40 * list_images([folder_of_pictures(40)])
    with pytest.raises(RuntimeError, match="plug"):
        list(describe_items(items, model, workers=2))
    ahead = 4 * 2 * extraction.IMAGES_A_TASK
    assert model.calls <= ahead < len(items), "more was begun than the groups that are in work ahead of the first"


def test_a_broken_run_goes_on_where_it_was(folder_of_pictures: Pictures, tmp_path: Path) -> None:
    items = list_images([folder_of_pictures(12)])
    output = tmp_path / "vectors.h5"
    with pytest.raises(RuntimeError, match="plug"):
        describe_to_file(items, CountingModel(fail_after=9), output, shard_size=4)
    assert not output.exists()
    again = CountingModel()
    assert describe_to_file(items, again, output, shard_size=4) == []
    assert again.calls == 4
    assert not (tmp_path / "vectors.h5.parts").exists()
    uninterrupted = ThumbnailModel().describe([np.asarray(draw_picture(number)) for number in range(12)])
    assert np.array_equal(read_descriptors(output).vectors, uninterrupted)


def test_a_changed_file_is_described_again(folder_of_pictures: Pictures, tmp_path: Path) -> None:
    folder = folder_of_pictures(8)
    output = tmp_path / "vectors.h5"
    with pytest.raises(RuntimeError, match="plug"):
        describe_to_file(list_images([folder]), CountingModel(fail_after=5), output, shard_size=4)
    draw_picture(99).save(folder / "p001.png")
    again = CountingModel()
    describe_to_file(list_images([folder]), again, output, shard_size=4)
    assert again.calls == 8
    expected = ThumbnailModel().describe([np.asarray(draw_picture(99))])[0]
    assert np.array_equal(read_descriptors(output).vectors[1], expected)


def test_the_file_has_the_form_of_the_challenge(folder_of_pictures: Pictures, tmp_path: Path) -> None:
    folder = folder_of_pictures(2)
    draw_picture(5).save(folder / "straße.png")
    (folder / "x.jpg").write_bytes(b"no")
    skipped = describe_to_file(list_images([folder]), ThumbnailModel(), tmp_path / "v.h5")
    assert [row.id for row in skipped] == ["x"]
    with h5py.File(tmp_path / "v.h5") as file:
        assert set(file) == {"vectors", "image_names"}
        assert file["vectors"].dtype == np.float32
        assert file["vectors"].shape == (3, 193)
        assert [name.decode() for name in file["image_names"][:]] == ["p000", "p001", "straße"]


def test_only_bad_files_give_an_empty_file(folder_of_pictures: Pictures, tmp_path: Path) -> None:
    folder = folder_of_pictures(0)
    (folder / "x.jpg").write_bytes(b"no")
    describe_to_file(list_images([folder]), ThumbnailModel(), tmp_path / "v.h5")
    assert len(read_descriptors(tmp_path / "v.h5")) == 0


def test_descriptors_come_back_as_they_were_written(tmp_path: Path) -> None:
    vectors = ThumbnailModel().describe([np.asarray(draw_picture(number)) for number in range(3)])
    write_descriptors(tmp_path / "v.h5", DescriptorSet(("a", "b", "ü"), vectors, "f"))
    read = read_descriptors(tmp_path / "v.h5")
    assert (read.ids, read.fingerprint) == (("a", "b", "ü"), "f")
    assert np.array_equal(read.vectors, vectors)


def test_files_that_hold_no_descriptors_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidDataError, match="no such file"):
        read_descriptors(tmp_path / "gone.h5")
    (tmp_path / "x.h5").write_bytes(b"x" * 100)
    with pytest.raises(InvalidDataError, match="not a file of descriptors"):
        read_descriptors(tmp_path / "x.h5")
    with h5py.File(tmp_path / "y.h5", "w") as file:
        file["vectors"] = np.zeros((2, 3), np.float32)
    with pytest.raises(InvalidDataError, match="not a file of descriptors"):
        read_descriptors(tmp_path / "y.h5")
    with h5py.File(tmp_path / "y.h5", "a") as file:
        file["image_names"] = np.array([b"a", b"b"])
    with pytest.raises(InvalidDataError, match="unit length"):
        read_descriptors(tmp_path / "y.h5")


def test_a_folder_that_is_not_there_is_named(folder_of_pictures: Pictures, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="its folder does not exist"):
        describe_to_file(list_images([folder_of_pictures(1)]), ThumbnailModel(), tmp_path / "no" / "v.h5")


@pytest.mark.parametrize(
    ("ids", "vectors", "message"),
    [
        (("a",), np.zeros((1, 3), np.float32), "unit length"),
        (("a",), np.full((1, 3), np.nan, np.float32), "unit length"),
        (("a", "b"), np.eye(1, 3, dtype=np.float32), "2 ids for 1"),
        (("a", "a"), np.eye(2, 3, dtype=np.float32), "repeated"),
        (("a",), np.eye(1, 3), "float32"),
        (("a",), np.eye(1, 4097, dtype=np.float32), "4097 dimensions; 1 to 4096 are allowed"),
    ],
)
def test_descriptor_sets_are_checked_when_they_are_made(ids, vectors, message) -> None:
    with pytest.raises(InvalidDataError, match=message):
        DescriptorSet(ids, vectors, "f")
