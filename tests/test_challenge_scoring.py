from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from ectype.challenge.manifest import Manifest, ManifestEntry
from ectype.challenge.scoring import score_submission
from ectype.challenge.scoring.range_search import RankedPairs, best_pairs
from ectype.challenge.tracks.descriptor_file import Rows, write_descriptor_track
from ectype.challenge.validation import Inspector
from ectype.cli import main
from ectype.errors import EvaluationError, SubmissionError
from ectype.evaluation import GroundTruth, evaluate, read_matches, write_matches
from ectype.testing.conformance import unit_rows
from ectype.types import Match

GOLDEN = Path(__file__).parent / "golden"
MATCHING = json.loads((GOLDEN / "isc2021.json").read_text())["cases"]
DESCRIPTORS = json.loads((GOLDEN / "isc2021_descriptors.json").read_text())["cases"]
FIGURES = ("micro_average_precision", "recall_at_p90", "threshold_at_p90", "recall_at_rank1", "recall_at_rank10")
Vectors = NDArray[np.float32]


@pytest.fixture(scope="module")
def inspector():
    with Inspector() as opened:
        yield opened


def names(letter: str, count: int) -> list[str]:
    return [f"{letter}{number:02}" for number in range(count)]


def write(path: Path, queries: Vectors, references: Vectors) -> None:
    write_descriptor_track(
        path,
        Rows(names("Q", len(queries)), [queries]),
        Rows(names("R", len(references)), [references]),
        queries.shape[1],
    )


def by_definition(queries: Vectors, references: Vectors, wanted: int) -> list[tuple[float, int, int]]:
    """Every pair, ordered by distance, query and reference; the first of them."""
    pairs = [
        (float(np.square(query.astype(np.float64) - reference.astype(np.float64)).sum()), row, position)
        for row, query in enumerate(queries)
        for position, reference in enumerate(references)
    ]
    return sorted(pairs)[:wanted]


def as_rows(found: RankedPairs) -> list[tuple[float, int, int]]:
    columns = (found.scores.tolist(), found.query_rows.tolist(), found.reference_rows.tolist())
    return [(-score, query, reference) for score, query, reference in zip(*columns, strict=True)]


def in_blocks(vectors: Vectors, size: int) -> list[Vectors]:
    return [vectors[start : start + size] for start in range(0, len(vectors), size)]


# The figures are the challenge's


@pytest.mark.parametrize("case", DESCRIPTORS, ids=range(len(DESCRIPTORS)))
def test_figures_of_vectors_are_those_of_the_official_scorer(case, tmp_path, inspector):
    queries, references = (np.array(case[part], np.float32) for part in ("queries", "references"))
    write(tmp_path / "s.h5", queries, references)
    truth = GroundTruth(frozenset(names("Q", len(queries))), frozenset(map(tuple, case["truth"])))
    found = score_submission(tmp_path / "s.h5", truth, inspector=inspector)
    assert found.matches == case["pairs"]
    for name in FIGURES:
        expected = case[name]
        value = found.to_dict()[name]
        assert value is None if expected is None else value == pytest.approx(expected, abs=1e-6), name


@pytest.mark.parametrize("case", MATCHING[::4], ids=range(0, len(MATCHING), 4))
def test_figures_of_pairs_are_those_of_the_official_scorer(case, tmp_path):
    write_matches(tmp_path / "s.csv", [Match(*row) for row in case["predictions"]])
    truth = GroundTruth(frozenset(case["queries"]), frozenset(map(tuple, case["truth"])))
    found = score_submission(tmp_path / "s.csv", truth).to_dict()
    for name in FIGURES:
        expected = case[name]
        assert found[name] is None if expected is None else found[name] == pytest.approx(expected, abs=1e-7), name


# The search is exact


@st.composite
def searches(draw):
    dimension = draw(st.integers(1, 5))
    numbers = draw(
        st.sampled_from(
            [
                st.integers(-2, 2).map(float),  # many ties
                st.floats(-1, 1, width=32),
                st.floats(999, 1001, width=32),  # products that cancel
                st.floats(-(2.0**49), 2.0**49, width=32),
                st.floats(-(2.0**-70), 2.0**-70, width=32),  # products that vanish
            ]
        )
    )
    rows = [arrays(np.float32, (draw(st.integers(0, 12)), dimension), elements=numbers) for _ in range(2)]
    return (*map(draw, rows), draw(st.integers(0, 40)))


@given(searches(), st.integers(1, 12), st.integers(1, 12), st.sampled_from([1, 5, 2**18]))
def test_the_best_pairs_are_those_of_the_definition_whatever_the_blocks(search, size, queries_a_block, piece):
    queries, references, wanted = search
    with patch("ectype.challenge.scoring.range_search._PAIRS_A_PIECE", piece):
        found = best_pairs(queries, in_blocks(references, size), wanted, queries_a_block=queries_a_block)
    assert as_rows(found) == by_definition(queries, references, wanted)


@pytest.mark.parametrize("crowd", [0.0, 2.0], ids=["float64", "float32"])
@pytest.mark.parametrize(("length", "offset"), [(1e-3, 0), (1e-3, 1), (1e-3, 1000), (1e-22, 0)])
def test_no_pair_is_lost_to_rounding(crowd, length, offset):
    # All distances are nearly the same, so that most pairs lie within the rounding of a product from the bound.
    rng = np.random.default_rng(2)
    queries, references = (unit_rows(rng, count, 48) * length + offset for count in (40, 400))
    queries, references = queries.astype(np.float32), references.astype(np.float32)
    with (
        patch("ectype.challenge.scoring.range_search._PAIRS_A_PIECE", 50),
        patch("ectype.challenge.scoring.range_search._CROWD", crowd),
    ):
        found = best_pairs(queries, in_blocks(references, 16), 300, queries_a_block=8)
    every = best_pairs(queries, [references], queries.shape[0] * references.shape[0])
    assert as_rows(found) == as_rows(every)[:300]


def test_nothing_changes_with_the_size_of_blocks():
    rng = np.random.default_rng(1)
    queries, references = (rng.normal(size=(count, 64)).astype(np.float32) for count in (300, 2500))
    expected = as_rows(best_pairs(queries, [references], 3000))
    for size, queries_a_block in ((100, 7), (999, 300), (2500, 64)):
        found = best_pairs(queries, in_blocks(references, size), 3000, queries_a_block=queries_a_block)
        assert as_rows(found) == expected  # to the last bit


def test_of_ties_at_the_cut_the_first_rows_are_kept():
    found = best_pairs(np.zeros((4, 3), np.float32), [np.ones((5, 3), np.float32)], 7)
    assert as_rows(found) == [(3.0, 0, 0), (3.0, 0, 1), (3.0, 0, 2), (3.0, 0, 3), (3.0, 0, 4), (3.0, 1, 0), (3.0, 1, 1)]


def test_more_pairs_than_a_piece_that_all_tie():
    queries, references = np.ones((600, 2), np.float32), np.ones((900, 2), np.float32)
    found = best_pairs(queries, in_blocks(references, 400), 1000)
    assert as_rows(found) == [(0.0, row // 900, row % 900) for row in range(1000)]


# What is scored


def unit_circle(count: int) -> Vectors:
    angles = np.linspace(0, 2 * np.pi, count, endpoint=False)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def test_ten_pairs_a_query_are_kept_over_all_queries(tmp_path, inspector):
    # Query 0 is near to 30 references, the other two to none: all of the 30 pairs that are kept may be one query's.
    queries = np.array([[0, 0], [100, 0], [0, 100]], np.float32)
    references = unit_circle(40)
    write(tmp_path / "s.h5", queries, references)
    truth = GroundTruth(frozenset(names("Q", 3)), frozenset([("Q01", "R00")]))
    found = score_submission(tmp_path / "s.h5", truth, inspector=inspector)
    assert (found.matches, found.dropped) == (30, 0)
    assert found.recall_at_rank1 == 0


def test_a_truth_of_some_queries_drops_the_pairs_of_the_others_after_the_cut(tmp_path, inspector):
    vectors = unit_circle(30)
    write(tmp_path / "s.h5", vectors[:6], vectors)
    truth = GroundTruth(frozenset({"Q00", "Q01"}), frozenset([("Q00", "R00")]))
    found = score_submission(tmp_path / "s.h5", truth, inspector=inspector)
    assert found.matches + found.dropped == 60
    assert found.micro_average_precision == 0.5  # the worst of two pairs of distance 0, the other of a distractor


def test_pairs_of_a_csv_are_scored_as_evaluate_scores_them(tmp_path):
    write_matches(tmp_path / "s.csv", [Match("a", "r", 0.5), Match("b", "r", 0.4), Match("x", "r", 0.3)])
    truth = GroundTruth(frozenset("ab"), frozenset([("b", "r")]))
    expected = evaluate(read_matches(tmp_path / "s.csv"), truth)
    assert score_submission(tmp_path / "s.csv", truth).to_dict() == expected.to_dict()


def test_progress_comes_in_hundredths(tmp_path, inspector):
    vectors = unit_circle(50)
    write(tmp_path / "s.h5", vectors[:9], vectors)
    counts: list[int] = []
    truth = GroundTruth(frozenset(["Q00"]), frozenset([("Q00", "R00")]))
    score_submission(tmp_path / "s.h5", truth, inspector=inspector, on_progress=counts.append)
    assert sum(counts) == 100


@pytest.mark.parametrize(
    ("queries", "pairs", "message"),
    [
        (("Q00", "Q77"), [("Q00", "R00")], "1 queries of the ground truth have no row, such as 'Q77'"),
        (("Q00",), [("Q00", "R98"), ("Q00", "R99")], "2 references of the ground truth have no row, such as 'R98'"),
    ],
)
def test_the_truth_of_other_images_is_refused(tmp_path, inspector, queries: Sequence[str], pairs, message):
    write(tmp_path / "s.h5", unit_circle(3), unit_circle(5))
    with pytest.raises(SubmissionError, match=message):
        score_submission(tmp_path / "s.h5", GroundTruth(frozenset(queries), frozenset(pairs)), inspector=inspector)


def test_a_truth_without_copies_is_refused(tmp_path):
    write_matches(tmp_path / "s.csv", [])
    with pytest.raises(EvaluationError, match="no copies"):
        score_submission(tmp_path / "s.csv", GroundTruth(frozenset("a"), frozenset()))


def test_an_invalid_submission_gets_no_score(tmp_path):
    (tmp_path / "s.csv").write_text("query_id,reference_id,score\na,r,0.5\na,r,high\n")
    truth = GroundTruth(frozenset("a"), frozenset([("a", "r")]))
    with pytest.raises(SubmissionError, match=r"invalid, 2 problems") as raised:
        score_submission(tmp_path / "s.csv", truth)
    assert "duplicated-pair" in str(raised.value)
    assert "wrong-score" in str(raised.value)


def test_with_a_manifest_ids_are_checked(tmp_path):
    write_matches(tmp_path / "s.csv", [Match("a", "r", 0.5)])
    truth = GroundTruth(frozenset("a"), frozenset([("a", "r")]))
    manifest = Manifest((ManifestEntry("query", "a", "queries/a.jpg", 1, "0" * 64),))
    assert score_submission(tmp_path / "s.csv", truth).micro_average_precision == 1
    with pytest.raises(SubmissionError, match="unknown-reference"):
        score_submission(tmp_path / "s.csv", truth, manifest)


# The command


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def call(*arguments: object) -> tuple[int, str, str]:
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def test_score_prints_the_keys_of_evaluate_for_either_track(run, tmp_path):
    vectors = unit_circle(12)
    write(tmp_path / "s.h5", vectors[:3], vectors)
    write_matches(tmp_path / "s.csv", [Match("Q00", "R00", 1.0)])
    (tmp_path / "truth.csv").write_text("query_id,reference_id\nQ00,R00\nQ01,\n")
    _, evaluated, _ = run("evaluate", tmp_path / "s.csv", tmp_path / "truth.csv", "--json")
    for name in ("s.h5", "s.csv"):
        code, out, _ = run(
            "challenge", "score", tmp_path / name, tmp_path / "truth.csv", "--json", "--plot", tmp_path / f"{name}.svg"
        )
        assert code == 0
        assert list(json.loads(out)) == list(json.loads(evaluated))
        assert (tmp_path / f"{name}.svg").stat().st_size > 1000
    code, out, _ = run("challenge", "score", tmp_path / "s.csv", tmp_path / "truth.csv")
    assert code == 0
    assert "micro-average precision    1.0000" in out


def test_score_of_an_invalid_submission_says_what_is_wrong(run, tmp_path):
    (tmp_path / "s.csv").write_text("nothing of the kind\n")
    (tmp_path / "truth.csv").write_text("Q00,R00\n")
    code, out, err = run("challenge", "score", tmp_path / "s.csv", tmp_path / "truth.csv", "--json")
    assert (code, out) == (3, "")
    assert "wrong-header" in err
