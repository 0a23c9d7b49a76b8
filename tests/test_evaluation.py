from __future__ import annotations

import json
import math
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ectype.errors import EvaluationError
from ectype.evaluation import (
    GroundTruth,
    evaluate,
    plot_precision_recall,
    read_ground_truth,
    read_matches,
    write_ground_truth,
    write_matches,
)
from ectype.types import Match

GOLDEN = json.loads((Path(__file__).parent / "golden" / "isc2021.json").read_text())["cases"]
FIGURES = ("micro_average_precision", "recall_at_p90", "threshold_at_p90", "recall_at_rank1", "recall_at_rank10")


@pytest.mark.parametrize("case", GOLDEN, ids=range(len(GOLDEN)))
def test_figures_are_those_of_the_challenge(case):
    truth = GroundTruth(frozenset(case["queries"]), frozenset(map(tuple, case["truth"])))
    found = evaluate([Match(*row) for row in case["predictions"]], truth).to_dict()
    for name in FIGURES:
        expected = case[name]
        assert found[name] is None if expected is None else found[name] == pytest.approx(expected, abs=1e-9), name


ids = st.integers(0, 6).map("{}".format)
scores = st.one_of(st.sampled_from([0.0, 0.5, 1.0]), st.floats(-10, 10))


@st.composite
def problems(draw):
    pairs = draw(st.sets(st.tuples(ids, ids), min_size=1, max_size=8))
    queries = {query for query, _ in pairs} | draw(st.sets(ids))
    found = draw(st.dictionaries(st.tuples(ids, ids), scores, max_size=25))
    return [Match(*pair, score) for pair, score in found.items()], GroundTruth(frozenset(queries), frozenset(pairs))


@given(problems(), st.randoms(use_true_random=False))
def test_order_of_rows_is_nothing(problem, rng: random.Random):
    matches, truth = problem
    shuffled = rng.sample(matches, len(matches))
    assert evaluate(shuffled, truth).to_dict() == evaluate(matches, truth).to_dict()


@given(problems())
def test_area_is_the_mean_precision_at_the_true_pairs(problem):
    matches, truth = problem
    counted = [match for match in matches if match.query_id in truth.queries]

    def is_true(match: Match) -> bool:
        return (match.query_id, match.reference_id) in truth.pairs

    total = 0.0
    for match in filter(is_true, counted):
        # Worst case: all false pairs of the same score stand before it; of the true ones, any order has the same sum.
        true_above = sum(m.score > match.score for m in counted if is_true(m))
        false_before = sum(m.score >= match.score for m in counted if not is_true(m))
        tied = [m for m in counted if is_true(m) and m.score == match.score]
        place = true_above + tied.index(match) + 1
        total += place / (place + false_before)
    assert evaluate(matches, truth).micro_average_precision == pytest.approx(total / len(truth.pairs), abs=1e-12)


@given(problems(), st.floats(0.1, 10), st.floats(-5, 5))
def test_only_the_order_of_scores_counts(problem, factor, offset):
    matches, truth = problem
    rounded = [Match(m.query_id, m.reference_id, round(m.score, 3)) for m in matches]
    moved = [Match(m.query_id, m.reference_id, m.score * factor + offset) for m in rounded]
    if len({m.score for m in moved}) == len({m.score for m in rounded}):
        before, after = evaluate(rounded, truth), evaluate(moved, truth)
        assert after.micro_average_precision == before.micro_average_precision
        assert after.recall_at_p90 == before.recall_at_p90


@given(problems())
def test_figures_stay_in_their_ranges(problem):
    result = evaluate(*problem)
    assert 0 <= result.micro_average_precision <= 1
    assert result.recall_at_rank1 <= result.recall_at_rank10 <= 1
    assert (np.diff(result.recalls) >= 0).all()
    assert result.matches + result.dropped == len(problem[0])


def test_no_matches_score_zero():
    result = evaluate([], GroundTruth(frozenset("a"), frozenset([("a", "r")])))
    assert result.micro_average_precision == 0
    assert result.recall_at_p90 is None
    assert result.recall_at_rank10 == 0


TRUTH = GroundTruth(frozenset({"a", "b", "d"}), frozenset([("a", "r1"), ("b", "r2")]))


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_scores_that_are_no_numbers_are_refused(score):
    with pytest.raises(EvaluationError, match="score"):
        evaluate([Match("a", "r1", score)], TRUTH)


def test_a_pair_that_is_there_twice_is_refused():
    with pytest.raises(EvaluationError, match="more than once"):
        evaluate([Match("a", "r1", 1.0), Match("a", "r1", 0.5)], TRUTH)


def test_unknown_ids_are_refused_where_the_known_ones_are_given():
    matches = [Match("a", "r9", 1.0)]
    assert evaluate(matches, TRUTH).matches == 1
    with pytest.raises(EvaluationError, match="1 reference ids are unknown, such as r9"):
        evaluate(matches, TRUTH, known_references={"r1", "r2"})
    with pytest.raises(EvaluationError, match="query ids are unknown"):
        evaluate(matches, TRUTH, known_queries={"b"})


def test_a_truth_without_copies_is_refused():
    with pytest.raises(EvaluationError, match="no copies"):
        evaluate([], GroundTruth(frozenset("a"), frozenset()))
    with pytest.raises(EvaluationError, match="no queries"):
        GroundTruth(frozenset(), frozenset([("a", "r")]))


def test_files_come_back_as_they_were_written(tmp_path):
    matches = [Match("a,b", 'r"1', 0.123456789), Match("ü", "r2", -1e-9), Match(" c", "r3", float(np.float32(0.1)))]
    write_matches(tmp_path / "m.csv", matches)
    read = read_matches(tmp_path / "m.csv")
    assert [(m.query_id, m.reference_id) for m in read] == [("a,b", 'r"1'), ("ü", "r2"), ("c", "r3")]
    assert [np.float32(m.score) for m in read] == [np.float32(m.score) for m in matches]


def test_a_ground_truth_comes_back_as_it_was_written(tmp_path):
    truth = GroundTruth(frozenset(["a,b", "ü", "none"]), frozenset([("a,b", 'r"1'), ("a,b", "r2"), ("ü", "r2")]))
    write_ground_truth(tmp_path / "truth.csv", truth)
    assert read_ground_truth(tmp_path / "truth.csv") == truth


def test_ground_truth_with_and_without_a_header(tmp_path):
    path = tmp_path / "truth.csv"
    for header in ("", "query_id,reference_id\n", "\ufeffquery_id,reference_id\r\n"):
        path.write_text(header + "a,r1\nd,\n\n", encoding="utf-8")
        truth = read_ground_truth(path)
        assert truth.queries == {"a", "d"}
        assert truth.pairs == {("a", "r1")}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,r1\na,r1\n", "line 2: the same row as line 1"),
        ("a,\na,\n", "line 2: the same row as line 1"),
        ("a,r1\na,\n", "both a copy and"),
        ("a,\na,r1\n", "both a copy and"),
        ("a\n", "must be query_id,reference_id"),
        (",r1\n", "must be query_id,reference_id"),
        ("a,r1,0.5\n", "must be query_id,reference_id"),
        ("a,r1\na,r1\nb\n", "2 rows are wrong"),
    ],
)
def test_bad_ground_truth_is_refused_with_its_lines(tmp_path, content, message):
    (tmp_path / "t.csv").write_text(content)
    with pytest.raises(EvaluationError, match=message):
        read_ground_truth(tmp_path / "t.csv")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,r1,nan\n", "'nan' is no finite number"),
        ("a,r1,inf\n", "no finite number"),
        ("a,r1,high\n", "no finite number"),
        ("a,r1,0.5\na,r1,0.6\n", "line 2: the pair 'a', 'r1' is in line 1"),
        ("a,,0.5\n", "must be query_id,reference_id,score"),
        ("a,r1\n", "must be query_id,reference_id,score"),
        ("x\n" * 30, "and 20 more"),
        ("\xff\xfe", "UTF-8"),
    ],
)
def test_bad_matches_are_refused_with_their_lines(tmp_path, content, message):
    (tmp_path / "m.csv").write_bytes(content.encode("latin-1"))
    with pytest.raises(EvaluationError, match=message):
        read_matches(tmp_path / "m.csv")


def test_missing_files_are_named(tmp_path):
    with pytest.raises(EvaluationError, match=r"gone\.csv: there is no such file"):
        read_matches(tmp_path / "gone.csv")


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_the_curve_is_drawn(tmp_path, suffix):
    result = evaluate([Match("a", "r1", 0.9), Match("d", "r1", 0.8), Match("b", "r2", 0.7)], TRUTH)
    plot_precision_recall(result, tmp_path / f"curve{suffix}")
    assert (tmp_path / f"curve{suffix}").stat().st_size > 1000
