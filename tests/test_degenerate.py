"""Pictures that show next to nothing, or nothing but a pattern: none is called a copy of another."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from ectype.collection import Collection
from ectype.demo.photographs import packaged_photographs
from ectype.descriptors import OnnxModel
from ectype.errors import InvalidDataError
from ectype.images import ImageItem, list_images
from ectype.matching import Matcher, compare_images

Rng = np.random.Generator
Pixels = NDArray[np.uint8]

IN_THE_BANK = ("astronaut", "chelsea", "gravel", "page")
A_KIND = 20
_RED_GREEN_BLUE = (np.array([255, 0, 0]), np.array([0, 255, 0]), np.array([0, 0, 255]))


def colour(rng: Rng) -> Pixels:
    return rng.integers(0, 256, 3, np.uint8)


def size(rng: Rng) -> tuple[int, int]:
    return int(rng.integers(40, 260)), int(rng.integers(40, 260))


def painted(rng: Rng, mask: NDArray[np.bool_]) -> Pixels:
    return np.where(mask[..., None], colour(rng), colour(rng)).astype(np.uint8)


def noise(rng: Rng, height: int, width: int) -> Pixels:
    return rng.integers(0, 256, (height, width, 3), np.uint8)


def one_colour(rng: Rng) -> Pixels:
    return np.full((*size(rng), 3), colour(rng), np.uint8)


def two_colours(rng: Rng) -> Pixels:
    height, width = size(rng)
    return painted(rng, np.tile(np.arange(width) < rng.integers(1, width), (height, 1)))


def gradient(rng: Rng) -> Pixels:
    height, width = size(rng)
    y, x = np.mgrid[:height, :width]
    angle = rng.uniform(0, 2 * np.pi)
    along = np.cos(angle) * x + np.sin(angle) * y
    along = ((along - along.min()) / np.ptp(along))[..., None]
    return (colour(rng) * (1 - along) + colour(rng) * along).astype(np.uint8)


def stripes(rng: Rng) -> Pixels:
    height, width = size(rng)
    y, x = np.mgrid[:height, :width]
    angle = rng.uniform(0, 2 * np.pi)
    return painted(rng, (np.cos(angle) * x + np.sin(angle) * y) // rng.integers(2, 30) % 2 == 0)


def checkerboard(rng: Rng) -> Pixels:
    height, width = size(rng)
    y, x = np.mgrid[:height, :width] // rng.integers(2, 40)
    return painted(rng, (x + y) % 2 == 0)


def disc(rng: Rng) -> Pixels:
    height, width = size(rng)
    y, x = np.mgrid[:height, :width]
    return painted(rng, np.hypot(x - rng.integers(width), y - rng.integers(height)) < rng.integers(5, 100))


def white_dot(rng: Rng) -> Pixels:
    height, width = size(rng)
    pixels = np.zeros((height, width, 3), np.uint8)
    y, x, side = rng.integers(height), rng.integers(width), rng.integers(1, 12)
    pixels[y : y + side, x : x + side] = 255
    return pixels


def coarse_noise(rng: Rng) -> Pixels:
    rows, columns, side = rng.integers((2, 2, 20), (6, 6, 50))
    return noise(rng, rows, columns).repeat(side, axis=0).repeat(side, axis=1)


def colour_noise(rng: Rng) -> Pixels:
    return noise(rng, *size(rng))


def grey_noise(rng: Rng) -> Pixels:
    return colour_noise(rng)[..., :1].repeat(3, axis=2)


def primary_noise(rng: Rng) -> Pixels:
    return np.array(_RED_GREEN_BLUE, np.uint8)[rng.integers(0, 3, size(rng))]


def single_pixel(rng: Rng) -> Pixels:
    return noise(rng, 1, 1)


def few_pixels(rng: Rng) -> Pixels:
    return noise(rng, *rng.integers(1, 6, 2))


def one_row(rng: Rng) -> Pixels:
    return noise(rng, 1, int(rng.integers(2, 900)))


def one_column(rng: Rng) -> Pixels:
    return noise(rng, int(rng.integers(2, 900)), 1)


def long_and_low(rng: Rng) -> Pixels:
    return noise(rng, 8, 2000)


def high_and_narrow(rng: Rng) -> Pixels:
    return noise(rng, 2000, 8)


def long_gradient(rng: Rng) -> Pixels:
    return gradient(rng)[: rng.integers(1, 20)].repeat(15, axis=1)


def long_stripes(rng: Rng) -> Pixels:
    return stripes(rng)[: rng.integers(16, 30)].repeat(12, axis=1)


def stranger(rng: Rng) -> Pixels:
    """A tiny photograph of none in the bank."""
    paths = [path for path in packaged_photographs() if path.stem not in (*IN_THE_BANK, "text")]
    picture = Image.open(paths[rng.integers(len(paths))]).convert("RGB")
    return np.asarray(picture.resize(tuple(rng.integers(8, 40, 2).tolist())))


PIXELS: tuple[Callable[[Rng], Pixels], ...] = (
    *(one_colour, two_colours, gradient, stripes, checkerboard, disc, white_dot, coarse_noise, colour_noise),
    *(grey_noise, primary_noise, single_pixel, few_pixels, one_row, one_column, long_and_low, high_and_narrow),
    *(long_gradient, long_stripes, stranger),
)


def transparent(rng: Rng) -> Image.Image:
    """Colours that can't be seen, or only in places."""
    alpha = np.where(rng.random() < 0.5, 0, two_colours(rng)[..., :1])
    return Image.fromarray(np.concatenate([noise(rng, *alpha.shape[:2]), alpha], axis=2).astype(np.uint8), "RGBA")


def palette(rng: Rng) -> Image.Image:
    return Image.fromarray(gradient(rng)).quantize(int(rng.integers(2, 9)))


def black_and_white(rng: Rng) -> Image.Image:
    return Image.fromarray(checkerboard(rng)).convert("1")


def half_transparent_palette(rng: Rng) -> Image.Image:
    made = Image.fromarray(stripes(rng)).quantize(2)
    made.info["transparency"] = 0
    return made


def sixteen_bits(rng: Rng) -> Image.Image:
    return Image.fromarray(gradient(rng)[..., 0].astype(np.uint16) * 257)


OTHERS: tuple[Callable[[Rng], Image.Image], ...] = (
    transparent,
    palette,
    black_and_white,
    half_transparent_palette,
    sixteen_bits,
)
KINDS = {kind.__name__: kind for kind in (*PIXELS, *OTHERS)}
UNFIT = ("stranger", "checkerboard", "black_and_white")
"""As references: any checkerboard is a part of any other, scaled and with other colours."""


def made(kind: str, number: int, *, reference: bool = False) -> ImageItem:
    """The `number`-th picture of a kind; as a reference it is another than as a query."""
    picture = KINDS[kind](np.random.default_rng([list(KINDS).index(kind), number, int(reference)]))
    file = io.BytesIO()
    (picture if isinstance(picture, Image.Image) else Image.fromarray(picture)).save(file, "PNG")
    name = f"{kind} {number}"
    return ImageItem(name, f"memory:{name}.png", content=file.getvalue())


@pytest.fixture(scope="module")
def matcher(tmp_path_factory: pytest.TempPathFactory, bundled_model: OnnxModel) -> Iterator[Matcher]:
    photographs = [item for item in list_images(packaged_photographs()) if item.id in IN_THE_BANK]
    degenerate = [made(kind, 0, reference=True) for kind in KINDS if kind not in UNFIT]
    folder = tmp_path_factory.mktemp("degenerate") / "bank"
    with Collection.create(folder, bundled_model, keep_features=True) as collection:
        report = collection.add([*photographs, *degenerate], bundled_model)
        assert report.added == len(photographs) + len(degenerate)
        yield Matcher(collection, bundled_model)


@pytest.mark.parametrize("kind", KINDS)
def test_no_degenerate_picture_is_called_a_copy(matcher: Matcher, kind: str) -> None:
    items = [made(kind, number) for number in range(A_KIND)]
    report = matcher.match(items, limit=5)
    assert {row.code for row in report.skipped} <= {"blank"}
    assert len(report.queries) + len(report.skipped) == A_KIND
    assert all(0 <= match.score <= 1 for match in report.matches)
    assert [(match.query_id, match.reference_id) for match in report.matches if match.decision == "copy"] == []


def test_pictures_of_one_colour_are_blank(matcher: Matcher) -> None:
    items = [made(kind, number) for kind in ("one_colour", "single_pixel") for number in range(A_KIND)]
    report = matcher.match(items)
    assert report.matches == ()
    assert {row.code for row in report.skipped} == {"blank"} and len(report.skipped) == len(items)


@pytest.mark.parametrize("kind", KINDS)
def test_no_two_degenerate_pictures_are_copies_of_each_other(bundled_model: OnnxModel, kind: str) -> None:
    kinds = list(KINDS)
    for number, step in enumerate((0, 5)):  # of its own kind, and of another
        against = kinds[(kinds.index(kind) + step) % len(kinds)]
        if against in UNFIT and kind in UNFIT:
            continue
        query, other = made(kind, number), made(against, number, reference=True)
        try:
            match = compare_images(query, other, bundled_model)
        except InvalidDataError as error:
            if "it shows nothing" not in str(error):
                raise
        else:
            assert match.decision != "copy", (query.id, other.id)
