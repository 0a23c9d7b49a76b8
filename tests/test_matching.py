"""Matching by all evidence: what is found, and what a score depends on."""

from __future__ import annotations

import io
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from conftest import draw_picture
from ectype.collection import Collection
from ectype.demo.photographs import packaged_photographs
from ectype.descriptors import OnnxModel
from ectype.errors import InvalidDataError, ModelMismatchError, UnreadableImageError, UsageError
from ectype.images import ImageItem, ImageLimits, list_images
from ectype.matching import (
    MOST_PAIRS,
    Background,
    Calibration,
    Matcher,
    MatchReport,
    Thresholds,
    compare_images,
    match_images,
)
from ectype.matching.calibration import DESCRIPTOR_TERMS, VERIFIED_TERMS, Logistic
from ectype.testing import ThumbnailModel
from ectype.types import Match

REFERENCES = range(30)
SIZE = (320, 240)


def calibration_of(model: ThumbnailModel, seeds: Sequence[int] = range(900, 910)) -> Calibration:
    """Takes what agrees by many places for a copy, and what is as similar as an unedited copy."""
    background = Background(model.describe([np.asarray(draw_picture(seed)) for seed in seeds]), model.fingerprint)
    weights = dict.fromkeys(VERIFIED_TERMS, 0.0) | {"similarity": 1.0, "view similarity": 1.0, "places": 3.0}
    return replace(
        Calibration.unfitted(background),
        verified=Logistic(tuple(weights.values()), -8),
        by_descriptor=Logistic((1.0,) * len(DESCRIPTOR_TERMS), -1),
        thresholds=Thresholds(0.5, 0.3),
    )


@pytest.fixture
def calibration(model: ThumbnailModel) -> Calibration:
    return calibration_of(model)


def reference(seed: int) -> Image.Image:
    return draw_picture(seed, SIZE)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of pictures "r00" to "r29"; every tenth a JPEG that is larger than verification looks."""
    folder = tmp_path_factory.mktemp("pictures")
    for seed in REFERENCES:
        if seed % 10:
            reference(seed).save(folder / f"r{seed:02}.png")
        else:
            reference(seed).resize((1640, 1230)).save(folder / f"r{seed:02}.jpg", quality=90)
    return folder


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory, pictures: Path) -> Iterator[Collection]:
    """Keeps features, and is only read."""
    with Collection.create(tmp_path_factory.mktemp("kept") / "bank", ThumbnailModel(), keep_features=True) as made:
        made.add(list_images([pictures]), ThumbnailModel())
        yield made


@pytest.fixture
def bank(tmp_path: Path, pictures: Path) -> Path:
    """Files of its own for a test."""
    return Path(shutil.copytree(pictures, tmp_path / "bank"))


@pytest.fixture
def on_files(tmp_path: Path, bank: Path, model: ThumbnailModel) -> Iterator[Collection]:
    """Computes features from the bank's files."""
    with Collection.create(tmp_path / "collection", model) as made:
        made.add(list_images([bank]), model)
        yield made


def as_item(name: str, picture: Image.Image) -> ImageItem:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return ImageItem(name, f"memory:{name}.png", content=file.getvalue())


def pasted(seed: int) -> Image.Image:
    ground = draw_picture(1000 + seed, (480, 360))
    ground.paste(reference(seed).resize((288, 216)), (150, 100))
    return ground


@cache
def queries() -> list[ImageItem]:
    """Of copies, named by their reference and how they were made, and of others."""
    return [
        *(as_item(f"r{seed:02} crop", reference(seed).crop((40, 30, 300, 220))) for seed in (3, 10)),
        *(as_item(f"r{seed:02} mirrored", ImageOps.mirror(reference(seed))) for seed in (2, 20)),
        *(as_item(f"r{seed:02} pasted", pasted(seed)) for seed in (0, 13)),
        *(as_item(f"other {seed}", draw_picture(seed, SIZE)) for seed in range(500, 504)),
    ]


def row(match: Match) -> tuple[Any, ...]:
    """All that is said of a pair, as something that is equal only if every bit is."""
    evidence = match.evidence
    assert evidence is not None
    found = evidence.verification
    return (
        *(match.query_id, match.reference_id, match.score, match.decision, evidence.unverified),
        *(evidence.similarity, evidence.view_similarity, evidence.background),
        None
        if found is None
        else (
            *(found.query_size, found.reference_size, found.agreement, found.spread, found.residual, found.mirrored),
            *(found.matrix.tobytes(), found.query_points.tobytes(), found.reference_points.tobytes()),
            *(found.query_region.tobytes(), found.reference_region.tobytes()),
        ),
    )


def rows(*reports: MatchReport) -> set[tuple[Any, ...]]:
    return {row(match) for report in reports for match in report.matches}


def test_copies_are_found_and_others_are_not(collection, model, calibration) -> None:
    report = Matcher(collection, model, calibration).match(queries())
    copies = {match.query_id: match for match in report.matches if match.decision == "copy"}
    assert {name: match.reference_id for name, match in copies.items()} == {
        item.id: item.id[:3] for item in queries() if item.id.startswith("r")
    }
    for name, match in copies.items():
        assert match.evidence.verification.mirrored == ("mirrored" in name)
        assert match.evidence.unverified is None
        assert match.evidence.view_similarity >= match.evidence.similarity
    scores = [match.score for match in report.matches]
    assert scores == sorted(scores, reverse=True) and 0 <= scores[-1] <= scores[0] <= 1
    assert report.queries.keys() == {item.id for item in queries()}
    assert report.references.keys() == {match.reference_id for match in report.matches}
    assert report.skipped == ()


def test_no_pair_is_called_a_copy_without_proof(collection, model, calibration) -> None:
    """However probable it is, unless nothing could be looked for."""
    sure = replace(calibration, verified=Logistic((0.0,) * len(VERIFIED_TERMS), 9))
    matches = Matcher(collection, model, sure).match(queries()).matches
    assert all(match.score > 0.99 for match in matches)
    proven = [match for match in matches if match.evidence.verification and match.evidence.verification.places >= 6]
    assert [match for match in matches if match.decision == "copy"] == proven
    assert 0 < len(proven) < len(matches)


# What a score depends on


def test_no_query_depends_on_the_others(collection, model, calibration) -> None:
    items, matcher = queries(), Matcher(collection, model, calibration)
    whole = matcher.match(items)
    assert [row(match) for match in matcher.match(items[::-1]).matches] == [row(match) for match in whole.matches]
    assert rows(matcher.match(items[:3]), matcher.match(items[3:])) == rows(whole)
    assert rows(*(Matcher(collection, model, calibration).match([item]) for item in items)) == rows(whole)


def test_no_query_depends_on_the_block_it_is_in(collection, model, calibration, monkeypatch) -> None:
    whole = Matcher(collection, model, calibration).match(queries())
    monkeypatch.setattr("ectype.matching.matcher._PAIRS_A_BLOCK", 40)
    assert [row(match) for match in Matcher(collection, model, calibration).match(queries()).matches] == [
        row(match) for match in whole.matches
    ]


def test_no_score_depends_on_how_references_were_added(tmp_path, pictures, collection, model, calibration) -> None:
    whole = rows(Matcher(collection, model, calibration).match(queries()))
    items = list_images([pictures])
    order = np.random.default_rng(1).permutation(len(items))
    ways = {"backwards": [items[::-1]], "chunks": [[items[i] for i in part] for part in np.array_split(order, 4)]}
    for name, parts in ways.items():
        with Collection.create(tmp_path / name, model, keep_features=True) as other:
            for part in parts:
                other.add(part, model)
            assert rows(Matcher(other, model, calibration).match(queries())) == whole, name


def test_no_score_depends_on_other_references(on_files, model, calibration) -> None:
    def everything() -> set[tuple[Any, ...]]:
        return rows(matcher.match(queries(), limit=30, total=MOST_PAIRS))

    matcher = Matcher(on_files, model, calibration)
    before = everything()
    on_files.remove([f"r{seed:02}" for seed in range(11, 30)])
    after = everything()
    assert len(before) == 300 and len(after) == 110
    assert after < before


def test_kept_features_give_the_scores_that_computed_ones_give(bank, collection, on_files, model, calibration) -> None:
    computed, kept = (Matcher(one, model, calibration).match(queries()) for one in (on_files, collection))
    assert [row(match) for match in kept.matches] == [row(match) for match in computed.matches]
    assert all(match.evidence.unverified is None for match in computed.matches)


# Files that are not what they were


def changed(file: Path) -> None:
    draw_picture(777, SIZE).save(file)


def truncated(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:200])


def replaced_by_a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (Path.unlink, "is no longer at .*r01.png"),
        (changed, "r01.png has changed since it was added"),
        (truncated, "r01.png has changed since it was added"),
        (replaced_by_a_folder, "r01.png"),
    ],
)
def test_a_match_stands_on_the_descriptor_where_the_file_is_gone(
    bank, on_files, model, calibration, harm: Callable[[Path], None], reason: str
) -> None:
    items = [as_item("query", reference(1))]
    before = Matcher(on_files, model, calibration).match(items)
    harm(bank / "r01.png")
    after = Matcher(on_files, model, calibration).match(items)
    (match,) = [match for match in after.matches if match.reference_id == "r01"]
    assert match.evidence.verification is None
    assert match.evidence.similarity == pytest.approx(1, abs=1e-3)
    assert match.score == calibration.probability(match.evidence)
    assert re.search(reason, match.evidence.unverified)
    assert {one for one in rows(before) if one[1] != "r01"} == {one for one in rows(after) if one[1] != "r01"}


def test_a_reference_beyond_the_limits_is_not_verified(on_files, model, calibration) -> None:
    limits = ImageLimits(max_pixels=320 * 240)
    report = Matcher(on_files, model, calibration, limits).match([as_item("query", reference(10))])
    (match,) = [match for match in report.matches if match.reference_id == "r10"]
    assert match.evidence.verification is None
    assert "can't be read" in match.evidence.unverified and "1640 x 1230" in match.evidence.unverified


# What can't be matched


def test_blank_and_unreadable_queries_are_reported(collection, model, calibration) -> None:
    blank = as_item("white", Image.new("RGB", SIZE, "white"))
    speck = Image.new("RGB", SIZE, "white")
    speck.putpixel((3, 3), (0, 0, 0))
    bad = ImageItem("bad", "memory:bad", content=b"no picture")
    report = Matcher(collection, model, calibration).match([blank, bad, as_item("speck", speck), *queries()[:2]])
    assert [(row.id, row.code) for row in report.skipped] == [
        ("white", "blank"),
        ("bad", "not-an-image"),
        ("speck", "blank"),
    ]
    assert report.queries.keys() == {item.id for item in queries()[:2]}
    assert rows(report) == rows(Matcher(collection, model, calibration).match(queries()[:2]))


def test_progress_counts_every_query_once(collection, model, calibration) -> None:
    items = [ImageItem("bad", "memory:bad", content=b""), *queries()]
    steps: list[int] = []
    Matcher(collection, model, calibration).match(items, on_progress=steps.append)
    assert sum(steps) == len(items)


def test_limits_are_kept(collection, model, calibration) -> None:
    matcher = Matcher(collection, model, calibration)
    assert len(matcher.match(queries()).matches) == 100
    two = matcher.match(queries(), limit=2)
    assert len(two.matches) == 20
    five = matcher.match(queries(), limit=2, total=5)
    assert [row(match) for match in five.matches] == [row(match) for match in two.matches[:5]]
    assert len(matcher.match(queries()[:1], limit=1000, total=MOST_PAIRS).matches) == 30


@pytest.mark.parametrize("wrong", [{"limit": 0}, {"total": 0}, {"total": MOST_PAIRS + 1}])
def test_limits_that_can_not_be_are_refused(collection, model, calibration, wrong) -> None:
    with pytest.raises(UsageError):
        Matcher(collection, model, calibration).match(queries(), **wrong)


def test_nothing_is_found_in_an_empty_collection_or_for_no_queries(tmp_path, collection, model, calibration) -> None:
    with Collection.create(tmp_path / "empty", model) as empty:
        report = Matcher(empty, model, calibration).match(queries())
    assert report.matches == () and len(report.queries) == len(queries())
    report = Matcher(collection, model, calibration).match([])
    assert (report.matches, report.queries, report.skipped) == ((), {}, ())


# Whose calibration


def test_another_models_calibration_is_refused(collection, model) -> None:
    with pytest.raises(ModelMismatchError, match=r"another model .*ectype calibrate"):
        Matcher(collection, model, calibration_of(ThumbnailModel("other")))


def test_a_collection_without_calibration_says_how_to_fit_one(collection, model) -> None:
    with pytest.raises(ModelMismatchError, match=r"no calibration for its model, thumbnail .* `ectype calibrate"):
        match_images(collection, queries(), model)


def test_the_collections_own_calibration_is_used(tmp_path, pictures, model, calibration) -> None:
    with Collection.create(tmp_path / "own", model, keep_features=True) as own:
        own.add(list_images([pictures])[:8], model)
        calibration.save(own.folder / "calibration.npz")
        written = match_images(own, queries(), model)
        given = Matcher(own, model, calibration).match(queries())
    scores = [match.score for match in written.matches]
    np.testing.assert_allclose(scores, [match.score for match in given.matches], atol=1e-3)
    assert [match.decision for match in written.matches] == [match.decision for match in given.matches]


def test_another_model_is_refused(collection, calibration) -> None:
    with pytest.raises(ModelMismatchError, match="not by other"):
        Matcher(collection, ThumbnailModel("other"), calibration)


def test_references_in_the_background_are_refused_by_name(collection, model) -> None:
    with pytest.raises(InvalidDataError, match=r"2 references are also in the background set .*'r07', 'r22'"):
        Matcher(collection, model, calibration_of(model, [901, 902, 7, 903, 22]))


# With the bundled model and its calibration


def shown(item: ImageItem) -> Image.Image:
    return Image.open(io.BytesIO(item.content or Path(item.location).read_bytes())).convert("RGB")


def test_photographs_are_found_by_the_bundled_model(tmp_path, bundled_model: OnnxModel) -> None:
    photographs = {item.id: item for item in list_images(packaged_photographs())}
    known = [photographs[name] for name in ("astronaut", "chelsea", "coffee", "motorcycle_left", "rocket", "coins")]
    others = [photographs[name] for name in ("ihc", "cell", "moon", "brick")]
    asked: list[tuple[str, ImageItem]] = []
    for item in known:
        picture = shown(item)
        width, height = picture.size
        crop = picture.crop((width // 4, height // 5, width, height * 9 // 10))
        ground = shown(photographs["hubble_deep_field"]).resize((800, 700))
        ground.paste(picture.resize((440, 440 * height // width)), (180, 150))
        made = {"crop": crop, "mirrored": ImageOps.mirror(crop), "pasted": ground}
        asked += [(item.id, as_item(f"{item.id} {edit}", copy)) for edit, copy in made.items()]
    with Collection.create(tmp_path / "photographs", bundled_model) as collection:
        collection.add(known, bundled_model)
        report = match_images(collection, [*(item for _, item in asked), *others], bundled_model)
        assert rows(match_images(collection, [asked[4][1], asked[1][1]], bundled_model)) < rows(report)
    assert {(match.query_id, match.reference_id) for match in report.matches if match.decision == "copy"} == {
        (item.id, name) for name, item in asked
    }
    scores = {(match.query_id, match.reference_id): match for match in report.matches}
    for name, item in asked[:2]:
        alone = compare_images(item, photographs[name], bundled_model)
        assert alone.decision == scores[item.id, name].decision
        assert alone.score == pytest.approx(scores[item.id, name].score, abs=1e-3)
        assert alone.evidence.similarity == pytest.approx(scores[item.id, name].evidence.similarity, abs=1e-3)


def test_two_pictures_are_compared_without_a_collection(model, calibration) -> None:
    original, copy = as_item("original", reference(1)), as_item("copy", ImageOps.mirror(reference(1)))
    assert row(compare_images(copy, original, model, calibration=calibration))[:2] == ("copy", "original")
    assert compare_images(copy, original, model, calibration=calibration).decision == "copy"
    other = compare_images(as_item("other", reference(2)), original, model, calibration=calibration)
    assert other.decision != "copy"


def test_what_can_not_be_compared_is_refused(model, calibration) -> None:
    picture, blank = as_item("picture", reference(1)), as_item("blank", Image.new("RGB", SIZE))
    with pytest.raises(InvalidDataError, match=r"memory:blank.png: it shows nothing"):
        compare_images(blank, picture, model, calibration=calibration)
    with pytest.raises(UnreadableImageError):
        compare_images(picture, ImageItem("bad", "memory:bad", content=b"bad"), model, calibration=calibration)
    with pytest.raises(ModelMismatchError):
        compare_images(picture, picture, model)
