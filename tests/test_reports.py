from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from conftest import draw_picture
from ectype.collection import Collection
from ectype.errors import InvalidDataError, StorageError
from ectype.evidence import Decision, Evidence, Verification
from ectype.images import list_images
from ectype.matching import MatchReport
from ectype.reports import Heading, match_to_json, reasons, write_match_report
from ectype.reports.decomposition import Decomposition, decompose
from ectype.reports.drawing import draw_pair, pair_png, write_pair
from ectype.testing import ThumbnailModel
from ectype.types import Match

SIZE = (160, 120)
MIRROR = np.array([[-1.0, 0, 160], [0, 1, 0], [0, 0, 1]])
HALF = np.array([[0.5, 0, 40], [0, 0.5, 30], [0, 0, 1]])


def corners(left: float, top: float, right: float, bottom: float) -> np.ndarray:
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)], np.float64)


def verified(matrix: np.ndarray, places: int = 12) -> Verification:
    """A whole query of 160 x 120 pixels, laid over a reference of the same size."""
    points = np.random.default_rng(3).uniform((0, 0), SIZE, (places, 2))
    whole = corners(0, 0, *SIZE)
    there, region = (rows @ matrix[:2, :2].T + matrix[:2, 2] for rows in (points, whole))
    return Verification(SIZE, SIZE, matrix, points, there, whole, region, 0.831)


def pair(verification: Verification | None, unverified: str | None = None, decision: Decision | None = "copy") -> Match:
    return Match("p000", "p001", 0.973, decision, Evidence(0.712, 0.861, 0.349, verification, unverified))


def pixels(seed: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    return np.asarray(draw_picture(seed, size))


def turned(degrees: float, scale: float = 1.0) -> np.ndarray:
    """Clockwise, about the centre of the picture."""
    angle = np.deg2rad(degrees)
    matrix = np.eye(3)
    matrix[:2, :2] = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix[:2, 2] = np.array(SIZE) / 2 - matrix[:2, :2] @ np.array(SIZE) / 2
    return matrix


@given(
    st.booleans(),
    st.floats(1.001, 4),
    st.floats(0, 179.9),
    st.floats(0.05, 20),
    st.floats(-179.9, 179.9),
)
def test_steps_are_recovered_from_what_they_make(mirrored, stretch, direction, scale, turn) -> None:
    steps = Decomposition(mirrored, stretch, direction, scale, turn)
    found = decompose(steps.recompose())
    np.testing.assert_allclose(found.recompose(), steps.recompose(), atol=1e-9 * scale)
    assert found.mirrored == mirrored
    assert (found.stretch, found.scale) == pytest.approx((stretch, scale))
    assert found.turn == pytest.approx(turn, abs=1e-6)
    assert abs((found.direction - direction + 90) % 180 - 90) < 1e-3


@given(st.lists(st.floats(-10, 10), min_size=4, max_size=4))
def test_a_decomposition_recomposes(numbers) -> None:
    linear = np.array(numbers).reshape(2, 2)
    try:
        steps = decompose(linear)
    except InvalidDataError:
        widths = np.linalg.svd(linear, compute_uv=False)
        assert widths[1] <= 1e-9 * widths[0]
    else:
        np.testing.assert_allclose(steps.recompose(), linear, atol=1e-8 * np.abs(linear).max())
        assert steps.scale > 0 and steps.stretch >= 1 and 0 <= steps.direction <= 180


def test_a_mapping_onto_a_line_is_refused() -> None:
    with pytest.raises(InvalidDataError, match="makes a line of every picture"):
        decompose(np.array([[1.0, 2.0], [2.0, 4.0]]))


def test_the_reasons_of_a_verified_pair() -> None:
    assert reasons(pair(verified(HALF))) == (
        "12 places agree on one mapping, over 57% of the part it covers",
        "the query shows 25% of the reference, at 2 times its size",
        "that part fills the whole query",
        "laid over each other, 83% of the two agree in their pixels",
        "descriptors: 0.71 for the whole images, 0.86 for the best view; unrelated pictures reach 0.35 with this query",
    )


@pytest.mark.parametrize(
    ("matrix", "changes"),
    [
        (np.eye(3), "at its own size"),
        (MIRROR, "mirrored, at its own size"),
        (turned(90), "turned by 90° counterclockwise, at its own size"),
        (turned(-30), "turned by 30° clockwise, at its own size"),
        (turned(180), "turned upside down, at its own size"),
        (turned(0.4), "at its own size"),
        (turned(-90, 1 / 0.6), "turned by 90° clockwise, at 0.6 of its size"),
        (turned(-10) @ MIRROR, "mirrored, turned by 10° counterclockwise, at its own size"),
        (np.diag([1, 0.5, 1]), "stretched by 100% in height, at 1.4 times its size"),
        (np.diag([1 / 1.3, 1, 1]), "stretched by 30% in width, at 1.1 times its size"),
    ],
)
def test_what_became_of_the_reference_is_said_in_words(matrix, changes) -> None:
    sentence = reasons(pair(verified(matrix)))[1]
    assert sentence.split("of the reference, ")[1] == changes


def test_a_pair_without_a_mapping_says_why() -> None:
    assert reasons(pair(None))[0] == "no mapping of one picture onto the other was found"
    assert reasons(pair(None, "the file has changed"))[0] == "unverified: the file has changed"
    assert reasons(Match("a", "b", 0.5)) == ()


def test_the_json_form_of_a_pair() -> None:
    form = json.loads(json.dumps(match_to_json(pair(verified(HALF)))))
    evidence = form.pop("evidence")
    points = verified(HALF).query_points
    assert form == {"query_id": "p000", "reference_id": "p001", "score": 0.973, "decision": "copy"}
    assert evidence == {
        "similarity": 0.712,
        "view_similarity": 0.861,
        "background": 0.349,
        "places": 12,
        "spread": pytest.approx(cv2.contourArea(cv2.convexHull(points.astype(np.float32))) / (160 * 120)),
        "residual": pytest.approx(0, abs=1e-9),
        "agreement": 0.831,
        "mirrored": False,
        "matrix": HALF.tolist(),
        "query_region": [[0, 0], [160, 0], [160, 120], [0, 120]],
        "reference_region": [[40, 30], [120, 30], [120, 90], [40, 90]],
        "unverified": None,
        "identical": False,
    }


def test_the_json_form_leaves_out_what_is_not_there() -> None:
    assert match_to_json(Match("a", "b", 0.5)) == {"query_id": "a", "reference_id": "b", "score": 0.5}
    evidence = match_to_json(pair(None, "moved"))["evidence"]
    assert evidence["unverified"] == "moved"
    assert evidence["matrix"] is None and evidence["places"] is None


def overlay_of(sheet: np.ndarray) -> np.ndarray:
    """The third picture, 560 x 420 pixels, of a drawing of three pictures in these proportions."""
    left = 24 + 2 * (560 + 28)
    return sheet[40 : 40 + 420, left : left + 560]


def test_a_query_that_fits_can_not_be_told_from_the_reference_it_lies_on() -> None:
    reference = pixels(5)
    overlays = {}
    for name, query in (("copy", reference[:, ::-1]), ("other", pixels(6))):
        sheet = draw_pair(query, reference, pair(verified(MIRROR)), words=False)
        assert sheet.dtype == np.uint8 and sheet.shape == (40 + 420 + 24, 24 + 3 * 560 + 2 * 28 + 24, 3)
        overlays[name] = overlay_of(sheet).astype(int)
    expected = np.asarray(Image.fromarray(reference).resize((560, 420), Image.Resampling.BICUBIC)).astype(int)
    inside = np.s_[20:-20, 20:-20]
    wrong = {name: np.abs(overlay - expected)[inside].max(axis=2) > 24 for name, overlay in overlays.items()}
    assert wrong["copy"].mean() < 0.06  # the squares' edges
    assert wrong["other"].mean() > 0.25


def test_what_the_query_does_not_show_is_dimmed() -> None:
    white = np.full((120, 160, 3), 255, np.uint8)
    match = pair(verified(HALF))
    for picture in (draw_pair(white, white, match, words=False), draw_pair(white[::2, ::2], white, match, words=False)):
        reference = picture[40:460, 24 + 560 + 28 :][:, :560]
        assert reference[10, 10].max() < 128  # the regions are at the quarter, whatever the scale of the pixels given
        np.testing.assert_array_equal(overlay_of(picture)[10, 10], reference[10, 10])
        assert overlay_of(picture)[150:270, 180:300].min() >= 250


@pytest.mark.parametrize("size", [(16, 12), (3, 900), (900, 3), (1, 1)])
def test_pictures_of_any_size_are_drawn(size) -> None:
    whole = corners(0, 0, *size)
    found = Verification(size, size, np.eye(3), whole, whole, whole, whole, 1.0)
    assert draw_pair(pixels(1, size), pixels(2, size), pair(found)).shape[1] >= 640
    assert draw_pair(pixels(1, size), pixels(2, size), pair(None)).ndim == 3


def test_a_hundred_thousand_places_are_thinned() -> None:
    draw_pair(pixels(1), pixels(1), pair(verified(np.eye(3), places=100_000)))


def test_another_picture_than_the_verified_one_is_refused() -> None:
    with pytest.raises(InvalidDataError, match=r"the reference is not the picture of 160 x 120 pixels"):
        draw_pair(pixels(1), pixels(1, (120, 160)), pair(verified(np.eye(3))))


def test_the_words_are_beneath_and_nothing_else_needs_them() -> None:
    match = pair(verified(np.eye(3)))
    without, with_words = (draw_pair(pixels(1), pixels(1), match, words=words) for words in (False, True))
    np.testing.assert_array_equal(with_words[: len(without), : without.shape[1]], without)
    assert len(with_words) > len(without) + 150
    plain = draw_pair(pixels(1), pixels(2), Match("a", "b", 0.4))
    assert plain.shape[1] < without.shape[1]  # two pictures, not three


def test_drawings_are_written_whole(tmp_path: Path) -> None:
    match = pair(verified(MIRROR))
    write_pair(tmp_path / "pair.png", pixels(1), pixels(2), match)
    content = (tmp_path / "pair.png").read_bytes()
    assert content == pair_png(pixels(1), pixels(2), match)
    with Image.open(io.BytesIO(content)) as image:
        assert image.format == "PNG"
    with pytest.raises(StorageError, match="its folder does not exist"):
        write_pair(tmp_path / "none" / "pair.png", pixels(1), pixels(2), match)
    assert [file.name for file in tmp_path.iterdir()] == ["pair.png"]


@pytest.fixture
def page(tmp_path: Path, folder_of_pictures: Callable[..., Path]) -> Callable[..., str]:
    """Writes the page of one pair and returns it; the pictures are in ``pictures``."""
    folder = folder_of_pictures(2)

    def make(match: Match) -> str:
        with Collection.create(tmp_path / "bank", ThumbnailModel()) as bank:
            bank.add(list_images([folder / "p001.png"]), ThumbnailModel())
            references = {reference.id: reference for reference in bank}
        if match.evidence is not None and match.evidence.unverified is not None:
            (folder / "p001.png").unlink()
        queries = {item.id: item for item in list_images([folder / "p000.png"])}
        report = MatchReport((match,), queries, references, ())
        write_match_report(tmp_path / "page.html", report, Heading("Matches", {}))
        return (tmp_path / "page.html").read_text("utf-8")

    return make


def test_the_page_shows_the_evidence(page) -> None:
    text = page(pair(verified(HALF)))
    assert '<span class="badge copy">copy</span>' in text
    assert "the query shows 25% of the reference" in text
    assert '<polygon points="250.0,250.0 750.0,250.0 750.0,750.0 250.0,750.0"/>' in text
    (drawing,) = re.findall(r"data:image/webp;base64,([^\"]+)", text)
    assert len(drawing) < 4 / 3 * 40_000
    assert "probability that the query was copied" in text
    assert "inner product" not in text


def test_the_page_of_the_descriptor_alone_shows_none(page) -> None:
    text = page(Match("p000", "p001", 0.41))
    assert "<details>" not in text and "<polygon" not in text and 'class="badge' not in text
    assert "inner product" in text
    assert "probability" not in text


def test_the_page_of_a_reference_that_moved_says_so(page) -> None:
    text = page(pair(None, "its file is no longer at <there>", "review"))
    assert "unverified: its file is no longer at &lt;there&gt;" in text
    assert "the reference is no longer where it was" in text
    assert "<details>" not in text
    assert '<span class="badge review">review</span>' in text


def test_no_outline_is_drawn_on_a_picture_that_has_changed(page, tmp_path) -> None:
    draw_picture(9, (60, 160)).save(tmp_path / "pictures" / "p000.png")
    text = page(pair(verified(HALF)))
    assert "<polygon" not in text and "<details>" not in text
    assert "12 places agree" in text
