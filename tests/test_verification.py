"""Local features, and the mapping between two pictures that they agree on."""

from __future__ import annotations

from itertools import permutations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ectype.demo.photographs import packaged_photographs
from ectype.errors import InvalidDataError
from ectype.evidence import Verification
from ectype.images import read_image
from ectype.transformations import Edit, Geometry, Recipe
from ectype.transformations.geometry import corners
from ectype.transformations.spatial import shrunk_onto
from ectype.verification import LocalFeatures, SiftExtractor, Verifier, prepare, verifier

Pixels = NDArray[np.uint8]
PHOTOGRAPHS = {path.stem: path for path in packaged_photographs()}
TELLING = ("astronaut", "chelsea", "coffee")
GREEN = [20, 200, 20]


def photograph(name: str, longest: int | None = None) -> Pixels:
    pixels = read_image(PHOTOGRAPHS[name])
    if longest is None:
        return pixels
    factor = longest / max(pixels.shape)
    return np.asarray(cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC), np.uint8)


def size_of(pixels: Pixels) -> tuple[int, int]:
    return pixels.shape[1], pixels.shape[0]


def verify(query: Pixels, reference: Pixels) -> Verification | None:
    return Verifier(prepare(query, "query")).verify(prepare(reference, "reference"))


# Mirror images and negatives, without looking at the pixels again


SIFT = SiftExtractor(400, 400)


def extract(pixels: Pixels) -> LocalFeatures:
    return SIFT.extract(pixels, size_of(pixels))


def near(some: LocalFeatures, others: LocalFeatures) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How far each of `some` is from that of `others` which is most like it: in pixels, and in unit descriptors."""
    one, other = (found.descriptors.astype(np.float64) for found in (some, others))
    one, other = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (one, other))
    best = (one @ other.T).argmax(axis=1)
    places = np.linalg.norm(some.places[:, :2] - others.places[best, :2], axis=1)
    return places, np.linalg.norm(one - other[best], axis=1)


@pytest.mark.parametrize("name", TELLING)
def test_mirrored_features_are_those_of_the_mirror_image(name: str) -> None:
    pixels = photograph(name)
    found = extract(np.ascontiguousarray(pixels[:, ::-1]))
    places, descriptors = near(extract(pixels).mirrored(), found)
    assert np.median(places) < 2 and np.median(descriptors) < 0.1
    assert np.mean((places < 3) & (descriptors < 0.35)) > 0.8


@pytest.mark.parametrize("name", TELLING)
def test_inverted_features_are_those_of_the_negative(name: str) -> None:
    pixels = photograph(name)
    places, descriptors = near(extract(pixels).inverted(), extract(255 - pixels))
    assert np.median(places) < 2 and np.median(descriptors) < 0.1
    assert np.mean((places < 3) & (descriptors < 0.35)) > 0.8


def test_directions_turn_with_mirror_and_negative() -> None:
    pixels = photograph("astronaut")
    features = extract(pixels)
    for changed, found in (
        (features.mirrored(), extract(np.ascontiguousarray(pixels[:, ::-1]))),
        (features.inverted(), extract(255 - pixels)),
    ):
        away = np.linalg.norm(changed.places[:, None, :2] - found.places[None, :, :2], axis=2)
        turned = np.abs(np.angle(np.exp(1j * (changed.places[:, None, 3] - found.places[None, :, 3]))))
        assert np.mean(((away < 2) & (turned < 0.1)).any(axis=1)) > 0.8


def test_twice_mirrored_or_inverted_is_as_before() -> None:
    features = extract(photograph("coffee"))
    for twice in (features.mirrored().mirrored(), features.inverted().inverted()):
        assert np.array_equal(twice.descriptors, features.descriptors)
        np.testing.assert_allclose(twice.places[:, :3], features.places[:, :3], atol=1e-3)
        np.testing.assert_allclose(np.exp(1j * twice.places[:, 3]), np.exp(1j * features.places[:, 3]), atol=1e-5)


# The mapping


def clipped(polygon: NDArray[np.float64], size: tuple[int, int], side: int = 500) -> NDArray[np.bool_]:
    """The part of a convex polygon that is inside a picture, as a mask of about `side` pixels."""
    scale = side / max(size)
    mask = np.zeros((max(1, round(size[1] * scale)), max(1, round(size[0] * scale))), np.uint8)
    cv2.fillConvexPoly(mask, np.rint(polygon * scale * 16).astype(np.int32), 1, shift=4)
    return mask > 0


def overlap(found: NDArray[np.float64], true: NDArray[np.float64], size: tuple[int, int]) -> float:
    """Intersection over union."""
    here, there = clipped(found, size), clipped(true, size)
    return float((here & there).sum() / max(1, (here | there).sum()))


def assert_found(query: Pixels, reference: Pixels, geometry: Geometry) -> Verification:
    """That the mapping is that of the geometry, which goes from the reference to the query."""
    found = verify(query, reference)
    assert found is not None
    here, there = size_of(query), size_of(reference)
    assert (found.query_size, found.reference_size) == (here, there)
    places = np.stack(np.meshgrid(*(np.linspace(0, side, 25) for side in here)), axis=-1).reshape(-1, 2)
    origins = geometry.to_source(places)
    shown = ((origins >= 0) & (origins <= there)).all(axis=1)
    mapped = places[shown] @ found.matrix[:2, :2].T + found.matrix[:2, 2]
    assert np.median(np.linalg.norm(mapped - origins[shown], axis=1)) < 0.015 * max(there)
    assert found.residual < 0.015
    assert overlap(found.query_region, geometry.to_result(corners(there)), here) > 0.8
    assert overlap(found.reference_region, geometry.to_source(corners(here)), there) > 0.8
    for region, size in ((found.query_region, here), (found.reference_region, there)):
        assert (region >= 0).all() and (region <= size).all()
    assert 0 < found.spread <= 1
    assert found.agreement > 0.4
    return found


def assert_places(found: Verification, geometry: Geometry, share: float = 0.015) -> None:
    """That the agreeing places of the query are mapped to where they come from."""
    mapped = found.query_points @ found.matrix[:2, :2].T + found.matrix[:2, 2]
    distances = np.linalg.norm(mapped - geometry.to_source(found.query_points), axis=1)
    assert np.median(distances) < share * max(found.reference_size)


CROP = Edit("crop", {"left": 0.2, "top": 0.1, "width": 0.6, "height": 0.7})
MIRROR = Edit("hflip", {})
CORNERS = [[0.03, 0.02], [-0.03, 0.04], [0.02, -0.03], [-0.02, -0.02]]
EDITS = {
    "crop": [CROP],
    "rotate": [Edit("rotate", {"degrees": 100.0, "whole": False, "fill": GREEN})],
    "crop and rotate": [CROP, Edit("rotate", {"degrees": 25.0, "whole": True, "fill": GREEN})],
    "quarter turn": [Edit("quarter_turn", {"turns": 1})],
    "scale": [Edit("scale", {"factor": 0.4})],
    "wider": [Edit("change_aspect_ratio", {"ratio": 1.4})],
    "narrower": [Edit("change_aspect_ratio", {"ratio": 0.7})],
    "hflip": [MIRROR],
    "vflip": [Edit("vflip", {})],
    "mirrored crop": [CROP, MIRROR],
    "perspective": [Edit("perspective", {"moves": CORNERS, "fill": GREEN})],
    "frame": [Edit("pad", {"across": 0.2, "along": 0.3, "fill": GREEN})],
}


@pytest.mark.parametrize("name", TELLING)
@pytest.mark.parametrize("edits", EDITS.values(), ids=EDITS)
def test_the_mapping_is_that_of_the_edits(name: str, edits: list[Edit]) -> None:
    reference = photograph(name)
    made = Recipe(tuple(edits)).apply(reference)
    found = assert_found(made.pixels, reference, made.geometry)
    assert found.mirrored == (sum(edit.kind in ("hflip", "vflip") for edit in edits) % 2 == 1)


@pytest.mark.parametrize("name", TELLING)
def test_a_picture_pasted_onto_another_is_found(name: str) -> None:
    reference, ground = photograph(name), photograph("hubble_deep_field")
    made = shrunk_onto(ground, reference, 0.3, 0.2, 0.5)
    found = assert_found(made.pixels, reference, made.geometry)
    assert not found.mirrored
    mirrored = shrunk_onto(ground, np.ascontiguousarray(reference[:, ::-1]), 0.1, 0.3, 0.6)
    geometry = Recipe((MIRROR,)).apply(reference).geometry.then(mirrored.geometry)
    assert assert_found(mirrored.pixels, reference, geometry).mirrored


@pytest.mark.parametrize("name", TELLING)
def test_negatives_are_found(name: str) -> None:
    reference = photograph(name)
    made = Recipe((CROP,)).apply(reference)
    found = verify(255 - made.pixels, reference)
    assert found is not None and found.places > 20
    assert_places(found, made.geometry)
    assert found.agreement > 0.5


def shares(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low, high, allow_nan=False)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    st.sampled_from(TELLING),
    shares(0.6, 1),
    shares(0.6, 1),
    shares(0, 1),
    shares(0, 1),
    shares(-180, 180),
    shares(0.5, 1),
    st.booleans(),
)
def test_any_crop_turned_scaled_and_mirrored_is_found(
    name: str, width: float, height: float, x: float, y: float, degrees: float, factor: float, is_mirrored: bool
) -> None:
    reference = photograph(name)
    edits = [
        Edit("crop", {"left": x * (1 - width), "top": y * (1 - height), "width": width, "height": height}),
        Edit("rotate", {"degrees": degrees, "whole": True, "fill": GREEN}),
        Edit("scale", {"factor": factor}),
        *([MIRROR] if is_mirrored else []),
    ]
    made = Recipe(tuple(edits)).apply(reference)
    found = verify(made.pixels, reference)
    assert found is not None and found.mirrored == is_mirrored
    assert_places(found, made.geometry)


@pytest.mark.parametrize("edits", [[CROP], [MIRROR], [Edit("scale", {"factor": 0.3})]])
def test_coordinates_are_those_of_the_full_picture(edits: list[Edit]) -> None:
    """Although features are looked for in one that is scaled down."""
    reference = photograph("astronaut", 1500)
    made = Recipe(tuple(edits)).apply(reference)
    found = assert_found(made.pixels, reference, made.geometry)
    assert found.reference_points.max() > 1000
    assert_places(found, made.geometry, 0.002)


def test_two_sizes_of_one_picture_are_laid_over_each_other() -> None:
    small, large = photograph("coffee", 350), photograph("coffee", 1500)
    for query, reference in permutations((small, large)):
        found = verify(query, reference)
        assert found is not None
        expected = np.diag([*(np.array(size_of(reference)) / size_of(query)), 1])
        np.testing.assert_allclose(found.matrix, expected, atol=0.005 * max(size_of(reference)))
        assert found.agreement > 0.9


@pytest.mark.parametrize("size", [(225, 231), (384, 175), (164, 328), (399, 400), (400, 300)])
@pytest.mark.parametrize("name", TELLING)
def test_an_unedited_copy_is_found_whole(name: str, size: tuple[int, int]) -> None:
    """Its mapping is the identity but for the last bits, and the sides of both pictures coincide but for these."""
    pixels = np.asarray(cv2.resize(photograph(name), size, interpolation=cv2.INTER_AREA), np.uint8)
    found = verify(pixels, pixels)
    assert found is not None
    np.testing.assert_allclose(found.query_region, corners(size), atol=1e-6)
    np.testing.assert_allclose(found.reference_region, corners(size), atol=1e-6)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 1e-14, 1e-12, 1e-9, 1e-7, 1e-4, 1e-2, 1.0]))
def test_regions_are_the_intersection_of_both_pictures(seed: int, noise: float) -> None:
    """Also where sides all but coincide."""
    rng = np.random.default_rng(seed)
    width, height = (int(side) for side in rng.integers(20, 2000, 2))
    matrix = np.eye(3)
    matrix[:2, :2] += rng.normal(0, noise / 100, (2, 2))
    matrix[:2, 2] = rng.normal(0, noise * 10, 2)
    regions = verifier._regions(matrix, (width, height), (width, height))
    assert regions is not None
    true = (corners((width, height)) - matrix[:2, 2]) @ np.linalg.inv(matrix[:2, :2]).T
    assert overlap(regions[0], true, (width, height)) > 0.98


# What is no copy


def test_unrelated_photographs_have_nothing_in_common() -> None:
    names = [*TELLING, "brick", "camera", "coins", "grass", "rocket"]
    references = {name: prepare(photograph(name), "reference") for name in names}
    for name in names:
        query = Verifier(prepare(photograph(name), "query"))
        for other, reference in references.items():
            found = query.verify(reference) if other != name else None
            assert found is None or (found.places < 10 and found.agreement < 0.5), (name, other)


def test_the_same_twice() -> None:
    query, reference = Recipe((CROP, MIRROR)).apply(photograph("chelsea")).pixels, photograph("chelsea")
    one, other = (verify(query, reference) for _ in range(2))
    assert one is not None and other is not None
    for name in ("matrix", "query_points", "reference_points", "query_region", "reference_region"):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name
    assert one.agreement == other.agreement


NOTHING: dict[str, Pixels] = {
    "one pixel": np.full((1, 1, 3), 9, np.uint8),
    "one row": np.random.default_rng(0).integers(0, 256, (1, 900, 3), np.uint8),
    "one column": np.random.default_rng(0).integers(0, 256, (900, 1, 3), np.uint8),
    "tiny": np.random.default_rng(0).integers(0, 256, (15, 15, 3), np.uint8),
    "blank": np.full((300, 200, 3), 128, np.uint8),
    "black": np.zeros((300, 200, 3), np.uint8),
    "extremely long": np.random.default_rng(0).integers(0, 256, (8, 30_000, 3), np.uint8),
    "long enough to vanish": np.random.default_rng(0).integers(0, 256, (60, 30_000, 3), np.uint8),
}


@pytest.mark.parametrize("pixels", NOTHING.values(), ids=NOTHING)
def test_pictures_without_features(pixels: Pixels) -> None:
    for role in ("query", "reference"):
        features = prepare(pixels, role).features
        assert len(features) == 0
        assert features.size == size_of(pixels)
        assert len(features.mirrored()) == len(features.inverted()) == 0
    assert verify(pixels, pixels) is None
    assert verify(pixels, photograph("chelsea")) is None
    assert verify(photograph("chelsea"), pixels) is None


@pytest.mark.parametrize(
    ("places", "descriptors"),
    [
        (np.zeros((2, 4), np.float64), np.zeros((2, 128), np.uint8)),
        (np.zeros((2, 3), np.float32), np.zeros((2, 128), np.uint8)),
        (np.zeros((2, 4), np.float32), np.zeros((2, 128), np.float32)),
        (np.zeros((2, 4), np.float32), np.zeros((3, 128), np.uint8)),
        (np.zeros((2, 4), np.float32), np.zeros((2, 64), np.uint8)),
    ],
)
def test_features_of_wrong_types_or_shapes_are_refused(places, descriptors) -> None:
    with pytest.raises(InvalidDataError, match="of local features must be"):
        LocalFeatures((10, 10), places, descriptors)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"matrix": np.eye(2)}, "a mapping is"),
        ({"matrix": np.full((3, 3), np.nan)}, "a mapping is"),
        ({"query_points": np.zeros((2, 2)), "reference_points": np.zeros((2, 2))}, "three at least"),
        ({"query_points": np.zeros((4, 2))}, "come in pairs"),
        ({"query_region": np.zeros((2, 2))}, "query_region must be a polygon"),
        ({"reference_region": np.zeros((4, 3))}, "reference_region must be a polygon"),
    ],
)
def test_verifications_that_can_not_be_are_refused(changed: dict[str, NDArray[np.float64]], message: str) -> None:
    arrays = {
        "matrix": np.eye(3),
        "query_points": np.zeros((3, 2)),
        "reference_points": np.zeros((3, 2)),
        "query_region": np.zeros((4, 2)),
        "reference_region": np.zeros((4, 2)),
    }
    with pytest.raises(InvalidDataError, match=message):
        Verification((10, 10), (10, 10), **(arrays | changed), agreement=0.0)
