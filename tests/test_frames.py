from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ectype.demo import packaged_photographs
from ectype.descriptors import OnnxModel, load_model
from ectype.descriptors.frames import framed_picture
from ectype.images import read_image
from tiny_onnx import write_tiny_model

Pixels = NDArray[np.uint8]
COLOURS = st.tuples(*[st.integers(0, 255)] * 3)
MARGINS = st.tuples(*[st.integers(30, 160)] * 4)


@pytest.fixture(scope="module")
def photographs() -> Sequence[Pixels]:
    """Those whose own edges are not of one colour."""
    pictures = [read_image(path) for path in packaged_photographs()]
    return [
        picture for picture in pictures if framed_picture(picture) is None and _edges(picture).std(axis=0).min() > 30
    ]


def _edges(picture: Pixels) -> Pixels:
    return np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])


def _framed(picture: Pixels, margins: tuple[int, int, int, int], colour: tuple[int, int, int]) -> Pixels:
    top, bottom, left, right = margins
    return np.asarray(cv2.copyMakeBorder(picture, top, bottom, left, right, cv2.BORDER_CONSTANT, value=colour))


@settings(max_examples=60)
@given(st.integers(0, 1000), MARGINS, COLOURS)
def test_a_picture_is_cut_out_of_its_frame(
    photographs: Sequence[Pixels], which: int, margins: tuple[int, int, int, int], colour: tuple[int, int, int]
) -> None:
    picture = cv2.resize(photographs[which % len(photographs)], (320, 240), interpolation=cv2.INTER_AREA)
    alike = np.abs(picture.astype(int) - colour).max(axis=2) <= 12
    if max(band.mean() for band in (alike[:12], alike[-12:], alike[:, :12], alike[:, -12:])) > 0.05:
        reject()  # an edge of it is of the frame's colour
    if alike.mean() > 0.05:
        reject()  # parts of it are
    whole = _framed(picture, margins, colour)
    found = framed_picture(whole)
    assert found is not None
    step = max(whole.shape) / 96 + 1
    assert np.abs(np.subtract(found.shape[:2], picture.shape[:2])).max() <= 2 * step


def test_photographs_without_a_frame_are_left_whole(photographs: Sequence[Pixels]) -> None:
    assert len(photographs) >= 5
    assert all(framed_picture(picture[20:-20, 20:-20]) is None for picture in photographs)


def test_captions_icons_and_lines_are_frame(photographs: Sequence[Pixels]) -> None:
    page = np.full((640, 360, 3), 250, np.uint8)
    for row in range(40, 640, 40):
        cv2.putText(page, "as seen on a page", (20, row), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (20, 20, 20), 2)
    page[100:124, 20:44] = (200, 30, 30)
    assert framed_picture(page) is None
    picture = cv2.resize(photographs[0], (300, 200), interpolation=cv2.INTER_AREA)
    page[260:460, 30:330] = picture
    found = framed_picture(page)
    assert found is not None
    assert np.abs(np.subtract(found.shape[:2], (200, 300))).max() <= 16


def test_what_is_no_rectangle_is_left_whole() -> None:
    page = np.full((300, 300, 3), 255, np.uint8)
    cv2.circle(page, (150, 150), 90, (30, 90, 160), -1)
    assert framed_picture(page) is None


@given(st.integers(1, 300), st.integers(1, 300), st.integers(0, 2**32 - 1))
def test_any_picture_has_an_answer_that_lies_in_it(height: int, width: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    whole = np.full((height, width, 3), rng.integers(0, 256, 3), np.uint8)
    top, left = int(rng.integers(height)), int(rng.integers(width))
    whole[top:, left:] = rng.integers(0, 256, whole[top:, left:].shape, np.uint8)
    found = framed_picture(whole)
    assert found is None or (np.shares_memory(found, whole) and min(found.shape[:2]) >= 24 and found.size <= whole.size)


def _tiny(folder: Path, share: float) -> OnnxModel:
    file = write_tiny_model(folder)
    card = load_model(file).card
    return OnnxModel(file, replace(card, framed_share=share), "onnxruntime")


def test_a_descriptor_is_mixed_with_that_of_the_picture_in_the_frame(
    photographs: Sequence[Pixels], tmp_path: Path
) -> None:
    plain = photographs[0]
    framed = _framed(cv2.resize(plain, (320, 240), interpolation=cv2.INTER_AREA), (60, 60, 60, 60), (90, 10, 200))
    inside = framed_picture(framed)
    assert inside is not None
    without, half, alone = (_tiny(tmp_path, share) for share in (0.0, 0.5, 1.0))
    whole, picture = without.describe([framed, inside])
    np.testing.assert_allclose(
        half.describe([framed])[0], (whole + picture) / np.linalg.norm(whole + picture), atol=1e-5
    )
    np.testing.assert_allclose(alone.describe([framed])[0], picture, atol=1e-5)
    images = [plain, framed, plain[::-1], framed[::-1]]
    together = half.describe(images)
    assert np.array_equal(together, np.concatenate([half.describe([image]) for image in images]))
    assert np.array_equal(together[::2], without.describe(images[::2]))
