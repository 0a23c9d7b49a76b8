from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ectype.descriptors import OnnxModel, load_model
from ectype.descriptors.insets import inset_of
from ectype.errors import ModelError
from tiny_onnx import write_tiny_model

SIDE = 25
PICTURE = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)

Likelihoods = NDArray[np.float32]


def _places(left: float, top: float, right: float, bottom: float) -> Likelihoods:
    """How much of each place a rectangle covers, whose ends are in places."""
    ends = np.arange(SIDE)
    across = np.clip(np.minimum(ends + 1, right) - np.maximum(ends, left), 0, 1)
    down = np.clip(np.minimum(ends + 1, bottom) - np.maximum(ends, top), 0, 1)
    return np.asarray(np.outer(down, across), np.float32)


def _square(side: float, sure: float = 1.0) -> Likelihoods:
    return np.float32(sure) * _places(3, 4, 3 + side, 4 + side)


@given(st.floats(0, 12), st.floats(0, 12), st.floats(8, 13), st.floats(8, 13))
def test_an_inset_is_cut_out_to_the_pixel(left: float, top: float, across: float, down: float) -> None:
    found = inset_of(PICTURE, _places(left, top, left + across, top + down))
    assert found is not None
    height, width = PICTURE.shape[:2]
    assert np.shares_memory(found.pixels, PICTURE)
    offset = found.pixels.__array_interface__["data"][0] - PICTURE.__array_interface__["data"][0]
    row, column = divmod(offset // 3, width)
    expected = np.array([top * height, left * width, down * height, across * width]) / SIDE
    assert np.abs(np.array([row, column, *found.pixels.shape[:2]]) - expected).max() <= 1.01


@pytest.mark.parametrize(
    "likelihoods",
    [
        np.zeros((SIDE, SIDE), np.float32),
        np.full((SIDE, SIDE), 0.49, np.float32),
        np.full((SIDE, SIDE), np.nan, np.float32),
        np.ones((SIDE, SIDE), np.float32),  # it fills the picture
        _square(4),
        _square(15, sure=0.5),
        np.maximum(_places(10, 0, 15, 25), _places(0, 10, 25, 15)),  # no rectangle
    ],
)
def test_what_is_unlikely_or_small_or_no_rectangle_is_no_inset(likelihoods: Likelihoods) -> None:
    assert inset_of(PICTURE, likelihoods) is None


def test_too_few_pixels_show_nothing() -> None:
    assert inset_of(PICTURE[:40, :40], _square(12)) is None
    assert inset_of(PICTURE[:60, :60], _square(12)) is not None


def test_the_larger_of_two_is_cut_out() -> None:
    found = inset_of(PICTURE, np.maximum(_places(1, 1, 8, 8), _places(10, 1, 22, 20)))
    assert found is not None
    assert found.pixels.shape == ((20 * 12) - 12, 12 * 16, 3)


def test_an_inset_weighs_as_much_as_it_covers_and_as_is_certain() -> None:
    def share(places: Likelihoods) -> float:
        found = inset_of(PICTURE, places)
        return 0.0 if found is None else found.share

    by_size = [share(_square(side)) for side in (5, 10, 15, 20)]
    assert by_size == pytest.approx([0.2 + 25 / 625, 0.2 + 100 / 625, 0.2 + 225 / 625, 0.7])
    by_certainty = [share(_square(15, sure)) for sure in np.arange(0.5, 1.0, 0.005)]
    assert by_certainty[0] == 0
    assert by_certainty[-1] == pytest.approx(by_size[2], abs=0.001)
    assert min(part for part in by_certainty if part) < 0.13
    assert all(0 <= more - less < 0.05 for less, more in pairwise(part for part in by_certainty if part))


@given(st.integers(0, 2**32 - 1), st.floats(0, 1), st.integers(1, 40), st.integers(1, 60), st.integers(1, 60))
def test_any_likelihoods_have_an_answer_that_lies_in_the_picture(
    seed: int, least: float, side: int, height: int, width: int
) -> None:
    rng = np.random.default_rng(seed)
    picture = rng.integers(0, 256, (height, width, 3), np.uint8)
    found = inset_of(picture, rng.uniform(least, 1, (side, side)).astype(np.float32))
    assert found is None or (
        np.shares_memory(found.pixels, picture) and min(found.pixels.shape[:2]) >= 24 and 0.1 <= found.share <= 0.7
    )


def _with_red(seed: int) -> NDArray[np.uint8]:
    """A picture, and inside of it one with more red."""
    picture = np.random.default_rng(seed).integers(0, 256, (160, 160, 3), np.uint8)
    picture[..., 0] = 128
    picture[40:120, 30:130, 0] = 192
    return picture


def _mean_outside(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    outside = np.ones(picture.shape[:2], bool)
    outside[40:120, 30:130] = False
    return np.asarray(np.rint(picture[outside].mean(axis=0)), np.uint8)


def test_what_lies_around_an_inset_has_its_own_mean_colour_in_its_place() -> None:
    picture = _with_red(3)
    picture[:40] //= 3
    found = inset_of(picture, _places(30 * 25 / 160, 40 * 25 / 160, 130 * 25 / 160, 120 * 25 / 160))
    assert found is not None and found.around is not None
    expected = picture.copy()
    expected[40:120, 30:130] = _mean_outside(picture)
    assert np.array_equal(found.around, expected)


@pytest.mark.parametrize("runtime", ["openvino", "onnxruntime"])
def test_a_descriptor_is_mixed_with_that_of_the_inset(
    tmp_path: Path, runtime: Literal["openvino", "onnxruntime"]
) -> None:
    file = write_tiny_model(tmp_path, insets=True)
    card = load_model(file).card
    finding, without = (OnnxModel(file, replace(card, insets=insets), runtime) for insets in (True, False))
    picture = _with_red(0)
    around = picture.copy()
    around[40:120, 30:130] = _mean_outside(picture)
    whole, inside, rest = without.describe([picture, np.ascontiguousarray(picture[40:120, 30:130]), around])
    share = 0.2 + 80 * 100 / 160**2
    expected = (1 - share) * (2 / 3 * whole + 1 / 3 * rest) + share * inside
    np.testing.assert_allclose(finding.describe([picture])[0], expected / np.linalg.norm(expected), atol=1e-5)

    plain = np.random.default_rng(9).integers(0, 129, (160, 160, 3), np.uint8)
    images = [plain, *(_with_red(seed) for seed in range(6)), plain[::-1]]
    together = finding.describe(images)
    assert np.array_equal(together, np.concatenate([finding.describe([image]) for image in images]))
    assert np.array_equal(together[[0, -1]], without.describe([images[0], images[-1]]))


def test_a_picture_that_is_looked_into_is_decoded_at_twice_the_size(tmp_path: Path) -> None:
    file = write_tiny_model(tmp_path, insets=True)
    card = load_model(file).card
    sizes = [
        OnnxModel(file, replace(card, framed_share=share, insets=insets)).input_size
        for share, insets in ((0.0, False), (0.5, False), (0.0, True))
    ]
    assert sizes == [16, 32, 32]


def test_a_plain_frame_goes_before_an_inset(tmp_path: Path) -> None:
    file = write_tiny_model(tmp_path, insets=True)
    card = load_model(file).card
    page = np.full((240, 240, 3), 20, np.uint8)
    page[40:200, 40:200] = _with_red(1)
    both, framed = (OnnxModel(file, replace(card, framed_share=0.6, insets=insets)) for insets in (True, False))
    assert np.array_equal(both.describe([page]), framed.describe([page]))


def test_a_card_that_promises_insets_the_file_does_not_find_is_refused(tmp_path: Path) -> None:
    file = write_tiny_model(tmp_path)
    with pytest.raises(ModelError, match=r"likelihoods of insets \(1, k, k\)"):
        OnnxModel(file, replace(load_model(file).card, insets=True))
