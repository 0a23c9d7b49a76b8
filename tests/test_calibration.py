"""From evidence to a probability and a decision: the parts, the file, and the fit."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ectype.errors import InvalidDataError, ModelMismatchError, StorageError
from ectype.evaluation import GroundTruth
from ectype.evidence import Evidence, Verification
from ectype.matching import Background, Calibration, Targets, Thresholds, bundled_calibration, fit, read_calibration
from ectype.matching.calibration import DESCRIPTOR_TERMS, METHOD, VERIFIED_TERMS, Logistic
from ectype.matching.fitting import lowest_score
from ectype.types import DescriptorSet, Match

FINGERPRINT = "f" * 64
BOX = np.array([(0, 0), (100, 0), (100, 100), (0, 100)], np.float64)


def unit_rows(seed: int, count: int, dimension: int = 16) -> NDArray[np.float32]:
    rows = np.random.default_rng(seed).normal(size=(count, dimension))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def background(count: int = 20) -> Background:
    return Background(unit_rows(0, count), FINGERPRINT)


def calibration(**changes: Any) -> Calibration:
    bare = Calibration.unfitted(background())
    return replace(
        bare,
        **{
            "verified": Logistic((8.0, 9.0, 2.0, 0.25, 4.5, 8.0, -1.0), -6.5),
            "by_descriptor": Logistic((10.0, 15.0), -6.0),
            "thresholds": Thresholds(0.9, 0.4),
            "fitted_on": {"queries": 12, "copies": 6},
            **changes,
        },
    )


def verification(places: int, agreement: float = 0.8, spread: float = 0.5, off: float = 0.2) -> Verification:
    """Of pictures 100 pixels a side: `places` on a circle, each `off` pixels from where it should be."""
    angles = np.linspace(0, 2 * np.pi, places, endpoint=False)
    radius = 100 * np.sqrt(spread / np.pi)
    points = 50 + radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return Verification((100, 100), (100, 100), np.eye(3), points, points + np.array([off, 0]), BOX, BOX, agreement)


def evidence(similarity: float = 0.6, view: float = 0.7, level: float = 0.3, **rest: Any) -> Evidence:
    return Evidence(similarity, view, level, **rest)


# The background


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(3, 60))
def test_a_level_is_the_mean_of_the_three_nearest(seed: int, count: int) -> None:
    rows, (query,) = unit_rows(seed, count), unit_rows(seed + 1, 1)
    expected = np.sort(rows.astype(np.float64) @ query.astype(np.float64))[-3:].mean()
    assert Background(rows, FINGERPRINT).level(query) == pytest.approx(expected, abs=1e-6)
    order = np.random.default_rng(seed).permutation(count)
    assert Background(rows[order], FINGERPRINT).level(query) == Background(rows, FINGERPRINT).level(query)


def test_a_background_needs_three_unit_vectors() -> None:
    with pytest.raises(InvalidDataError, match="at least 3 pictures, not 2"):
        background(2)
    with pytest.raises(InvalidDataError, match="unit length"):
        Background(2 * unit_rows(0, 5), FINGERPRINT)
    described = DescriptorSet(("a", "b", "c"), unit_rows(0, 3), FINGERPRINT)
    assert Background.of(described).fingerprint == FINGERPRINT


# The file


def test_a_calibration_comes_back_as_it_was(tmp_path: Path) -> None:
    written = calibration()
    written.save(tmp_path / "c.npz")
    read = read_calibration(tmp_path / "c.npz")
    assert (read.verified, read.by_descriptor, read.thresholds) == (
        written.verified,
        written.by_descriptor,
        written.thresholds,
    )
    assert (read.fitted_on, read.background.fingerprint) == (written.fitted_on, FINGERPRINT)
    np.testing.assert_allclose(read.background.vectors, written.background.vectors, atol=1e-3)
    read.save(tmp_path / "again.npz")
    assert np.array_equal(read_calibration(tmp_path / "again.npz").background.vectors, read.background.vectors)
    assert {path.name for path in tmp_path.iterdir()} == {"c.npz", "again.npz"}


def test_the_bundled_calibration_belongs_to_the_bundled_model(bundled_model) -> None:
    bundled = bundled_calibration()
    bundled.check_model(bundled_model.fingerprint)
    assert 0 < bundled.thresholds.review < bundled.thresholds.copy < 1
    with pytest.raises(ModelMismatchError, match="another model"):
        bundled.check_model(FINGERPRINT)


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.npz"
    calibration().save(path)
    content = path.read_bytes()
    rng, said = np.random.default_rng(0), []
    for _ in range(60):
        damaged = bytearray(content)
        if rng.random() < 0.5:
            damaged = damaged[: int(rng.integers(len(content)))]
        else:
            damaged[int(rng.integers(len(content)))] ^= int(rng.integers(1, 256))
        path.write_bytes(damaged)
        try:
            read_calibration(path)  # a byte that nothing depends on may have changed
        except InvalidDataError as error:
            said.append(str(error))
    assert len(said) > 30
    assert all(str(path) in message and "ectype calibrate" in message for message in said)


def rewritten(path: Path, vectors: NDArray[Any] | None = None, **changes: Any) -> Path:
    """A calibration whose content was changed; `None` takes a field out."""
    calibration().save(path)
    with np.load(path) as file:
        content, stored = json.loads(file["calibration"].tobytes()), file["background"]
    content = {name: value for name, value in (content | changes).items() if value is not None}
    text = np.frombuffer(json.dumps(content).encode(), np.uint8)
    with open(path, "wb") as opened:
        np.savez(opened, calibration=text, background=stored if vectors is None else vectors)
    return path


@pytest.mark.parametrize(
    "changes",
    [
        {"fingerprint": None},
        {"verified": None},
        {"verified": {"weights": [1, 2], "intercept": 0}},
        {"verified": {"weights": ["a"] * 7, "intercept": 0}},
        {"verified": {"weights": [float("nan")] * 7, "intercept": 0}},
        {"by_descriptor": [1, 2]},
        {"thresholds": {"copy": 0.2, "review": 0.8}},
        {"thresholds": {"copy": 0.9}},
        {"thresholds": {"copy": 0.9, "review": 0.1, "other": 1}},
        {"fitted_on": [1]},
        {"fitted_on": {"queries": "many"}},
        {"vectors": np.zeros((5, 16), np.float16)},
        {"vectors": unit_rows(0, 2)},
        {"vectors": np.zeros(7)},
    ],
)
def test_contents_that_can_not_be_are_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    path = rewritten(tmp_path / "c.npz", **changes)
    with pytest.raises(InvalidDataError) as error:
        read_calibration(path)
    assert str(path) in str(error.value) and "ectype calibrate" in str(error.value)


def test_a_calibration_for_another_way_of_matching_is_refused(tmp_path: Path) -> None:
    path = rewritten(tmp_path / "c.npz", method=METHOD + "x")
    with pytest.raises(InvalidDataError, match=r"another way of matching .* fit it again"):
        read_calibration(path)


@pytest.mark.parametrize("content", ["list", "text", "array", "other arrays", "nothing"])
def test_files_that_are_no_calibration_are_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "c.npz"
    if content == "list":
        np.savez(path, calibration=np.frombuffer(b"[1, 2]", np.uint8), background=unit_rows(0, 5))
    elif content == "other arrays":
        np.savez(path, vectors=unit_rows(0, 5))
    elif content == "array":
        with open(path, "wb") as file:
            np.save(file, unit_rows(0, 5))
    else:
        path.write_text("" if content == "nothing" else "no calibration")
    with pytest.raises(InvalidDataError, match=r"c.npz: .*ectype calibrate"):
        read_calibration(path)


def test_a_disk_that_refuses_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="none"):
        calibration().save(tmp_path / "none" / "c.npz")
    with pytest.raises(StorageError, match=r"c.npz: can't be read"):
        read_calibration(tmp_path / "c.npz")


# Probabilities and decisions


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_more_evidence_is_never_less_probable(data: st.DataObject) -> None:
    """With weights above zero, and below for the residual."""

    def share(low: float = 0.0, high: float = 1.0) -> float:
        return data.draw(st.floats(low, high, allow_nan=False))

    weights = [share(0, 10) for _ in VERIFIED_TERMS]
    fitted = calibration(
        verified=Logistic((*weights[:-1], -weights[-1]), share(-10, 10)),
        by_descriptor=Logistic(tuple(weights[:2]), share(-10, 10)),
    )
    parts = {"places": data.draw(st.integers(3, 40)), "agreement": share(-1), "spread": share(), "off": share(0, 2)}
    values = {"similarity": share(-1), "view": share(-1), "level": share(-1)}
    better = {
        "similarity": values | {"similarity": share(values["similarity"])},
        "view": values | {"view": share(values["view"])},
        "level": values | {"level": share(-1, values["level"])},
    }
    found = verification(**parts)
    for rest in ({}, {"unverified": "moved"}, {"verification": found}):
        least = fitted.probability(evidence(**values, **rest))
        assert 0 <= least <= 1
        for name, improved in better.items():
            assert fitted.probability(evidence(**improved, **rest)) >= least, name
    least = fitted.probability(evidence(**values, verification=found))
    for name, value in {
        "places": data.draw(st.integers(parts["places"], 50)),
        "agreement": share(parts["agreement"]),
        "off": share(0, parts["off"]),
    }.items():
        improved = verification(**(parts | {name: value}))
        assume(abs(improved.spread - found.spread) < 1e-9 or name != "places")
        assert fitted.probability(evidence(**values, verification=improved)) >= least - 1e-12, name


def test_what_could_not_be_verified_is_judged_by_the_descriptor() -> None:
    fitted = calibration()
    moved = evidence(unverified="the file moved")
    assert fitted.probability(moved) == fitted.by_descriptor.probability(np.array([0.3, 0.4]))
    assert fitted.probability(evidence()) == fitted.verified.probability(np.array([0.3, 0.4, 0, 0, 0, 0, 0]))
    assert fitted.probability(evidence(verification=verification(20))) > fitted.probability(evidence())


def test_extreme_evidence_overflows_nothing() -> None:
    sure = calibration(verified=Logistic((1e300,) * len(VERIFIED_TERMS), 0.0))
    assert sure.probability(evidence()) == pytest.approx(1)
    assert sure.probability(evidence(-1, -1, 1)) == pytest.approx(0)


def test_decisions_change_at_the_thresholds() -> None:
    fitted, proven = calibration(), evidence(verification=verification(6))
    for probability, decision in (
        *((1.0, "copy"), (0.9, "copy"), (np.nextafter(0.9, 0), "review")),
        *((0.4, "review"), (np.nextafter(0.4, 0), "different"), (0.0, "different")),
    ):
        assert fitted.decide(probability, proven) == decision
        moved = fitted.decide(probability, evidence(unverified="the file moved"))
        assert moved == ("review" if decision == "copy" else decision)


def test_identical_files_are_copies_whatever_else_is_known() -> None:
    fitted, same = calibration(), evidence(unverified="the file moved", identical=True)
    assert fitted.probability(same) == 1
    assert fitted.decide(1, same) == "copy"


@pytest.mark.parametrize("found", [None, verification(3), verification(5)])
def test_a_copy_is_only_what_enough_places_prove(found: Verification | None) -> None:
    fitted = calibration()
    assert fitted.decide(1.0, evidence(verification=found)) == "review"
    assert fitted.decide(0.3, evidence(verification=found)) == "different"


@pytest.mark.parametrize("wrong", [(0.2, 0.8), (1.1, 0.5), (0.5, -0.1), (float("nan"), 0.1), (0.5, float("nan"))])
def test_thresholds_out_of_order_are_refused(wrong: tuple[float, float]) -> None:
    with pytest.raises(InvalidDataError, match="thresholds must be in order"):
        Thresholds(*wrong)


def test_weights_are_those_of_the_terms() -> None:
    with pytest.raises(InvalidDataError, match="2 weights are wrong"):
        calibration(verified=Logistic((1.0, 2.0), 0.0))
    assert len(DESCRIPTOR_TERMS) == 2
    assert Calibration.unfitted(background()).probability(evidence()) == 0.5


# Thresholds


def wilson(copies: int, pairs: int, z: float = 1.6449) -> float:
    """The lower bound as it is written in textbooks."""
    share = copies / pairs
    centre, margin = share + z * z / (2 * pairs), z * np.sqrt((share * (1 - share) + z * z / (4 * pairs)) / pairs)
    return float((centre - margin) / (1 + z * z / pairs))


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 12), st.booleans()), min_size=1, max_size=80),
    st.sampled_from([0.3, 0.5, 0.8, 0.9]),
)
def test_the_lowest_score_is_that_of_brute_force(pairs: list[tuple[int, bool]], precision: float) -> None:
    scores, right = np.array([score / 12 for score, _ in pairs]), np.array([copy for _, copy in pairs])
    bounds = {score: wilson(right[scores >= score].sum(), (scores >= score).sum()) for score in set(scores.tolist())}
    assume(all(abs(bound - precision) > 1e-9 for bound in bounds.values()))
    reached = [score for score, bound in bounds.items() if bound >= precision]
    if reached:
        assert lowest_score(scores, right, precision) == min(reached)
    else:
        with pytest.raises(InvalidDataError, match=rf"{right.sum()} are copies"):
            lowest_score(scores, right, precision)


def test_268_copies_without_an_error_are_needed_for_99_of_100() -> None:
    assert lowest_score(np.linspace(1, 0.5, 268), np.ones(268, bool), 0.99) == 0.5
    with pytest.raises(InvalidDataError, match="at least 268 without an error"):
        lowest_score(np.linspace(1, 0.5, 267), np.ones(267, bool), 0.99)


@pytest.mark.parametrize("wrong", [(0.5, 0.9), (1.0, 0.9), (0.9, 0.0), (float("nan"), 0.5)])
def test_precisions_that_can_not_be_are_refused(wrong: tuple[float, float]) -> None:
    with pytest.raises(InvalidDataError, match="precisions are between 0 and 1"):
        Targets(*wrong)


# Fitting


def candidates(copies: int, others: int, unreadable: int = 0, seed: int = 0) -> tuple[list[Match], GroundTruth]:
    """Copies that agree at many places, and others that hardly do; of some the reference's file is gone."""
    rng = np.random.default_rng(seed)
    matches = []
    for number in range(copies + others):
        copy = number < copies
        similarity, view = np.sort(rng.normal(0.65 if copy else 0.25, 0.08, 2))
        rest: dict[str, Any] = {}
        if number % (copies // unreadable if unreadable else copies + others + 1) == 1:
            rest = {"unverified": "gone"}
        elif copy or rng.random() < 0.2:
            places = int(rng.integers(10, 60) if copy else rng.integers(4, 7))
            rest = {"verification": verification(places, rng.uniform(0.5, 1) if copy else rng.uniform(-0.2, 0.3))}
        matches.append(Match(f"q{number}", f"r{number}", 0.5, "review", evidence(similarity, view, **rest)))
    queries = frozenset(match.query_id for match in matches)
    return matches, GroundTruth(queries, frozenset((f"q{n}", f"r{n}") for n in range(copies)))


def test_separable_copies_are_told_apart() -> None:
    matches, truth = candidates(320, 640, unreadable=40)
    fitted = fit(matches, truth, background(), 500, Targets())
    thresholds = fitted.calibration.thresholds
    assert 0 <= thresholds.review <= thresholds.copy <= 1
    assert (thresholds.copy_precision, thresholds.review_precision) == (0.99, 0.9)
    assert fitted.calibration.fitted_on == {"queries": 960, "references": 500, "pairs": 960, "copies": 320}
    wrong = 0
    for match in matches:
        probability = fitted.calibration.probability(match.evidence)
        is_copy = (match.query_id, match.reference_id) in truth.pairs
        wrong += (probability >= thresholds.copy) != is_copy
        decision = fitted.calibration.decide(probability, match.evidence)
        assert (decision == "copy") == (probability >= thresholds.copy and match.evidence.unverified is None)
    assert wrong <= 5
    assert fitted.check.expected_calibration_error < 0.02
    assert fitted.check.counts.sum() == len(matches)


def test_the_same_candidates_give_the_same_calibration() -> None:
    matches, truth = candidates(320, 640)
    one, other = (fit(matches, truth, background(), 500, Targets()).calibration for _ in range(2))
    assert (one.verified, one.by_descriptor, one.thresholds) == (other.verified, other.by_descriptor, other.thresholds)
    asked = truth.queries | {"asked for, but unreadable"}
    assert fit(matches, GroundTruth(asked, truth.pairs), background(), 500, Targets()).calibration.fitted_on[
        "queries"
    ] == len(matches)


@pytest.mark.parametrize(("copies", "others"), [(49, 500), (500, 49), (0, 500)])
def test_too_few_to_fit_on_are_refused(copies: int, others: int) -> None:
    matches, truth = candidates(copies, others)
    with pytest.raises(InvalidDataError, match=f"{copies} copies and {others} other pairs .* at least 50 of each"):
        fit(matches, truth, background(), 10, Targets())


def test_labels_that_contradict_the_evidence_reach_no_precision() -> None:
    matches, truth = candidates(300, 300)
    rng = np.random.default_rng(1)
    pairs = frozenset((match.query_id, match.reference_id) for match in matches if rng.random() < 0.5)
    with pytest.raises(
        InvalidDataError, match=r"no score reaches a precision of 0.99 .* the truth lacks, or aim lower"
    ):
        fit(matches, GroundTruth(truth.queries, pairs), background(), 10, Targets())
