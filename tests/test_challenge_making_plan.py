from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ectype.challenge.making import (
    ADVERSARIAL_ATTACK,
    FINAL_TEST_SET,
    DataSetPlan,
    QueryRecord,
    read_kinds,
    read_records,
)
from ectype.challenge.making.assignment import assign, reference_id
from ectype.challenge.making.crew import crew
from ectype.challenge.making.queries import Drawing, corners_in_query, draw_edits
from ectype.challenge.making.records import AttackRecord
from ectype.errors import ChallengeError, UsageError
from ectype.transformations import KINDS, Edit, Recipe
from ectype.transformations.materials import drawn_picture

plans = st.builds(
    DataSetPlan,
    references=st.integers(1, 40),
    queries=st.integers(1, 60),
    training=st.integers(0, 10),
    seed=st.integers(0, 2**200),
    copies=st.floats(0, 1),
    phase2_queries=st.integers(0, 40),
)


@given(plans)
def test_every_photograph_plays_one_part_and_copies_are_of_references(plan: DataSetPlan) -> None:
    parts = assign(plan)
    places = [*parts.references, *parts.training, *(place for others in parts.distractors for place in others)]
    assert sorted(places) == list(range(plan.photographs))
    queries = [query for phase in parts.queries for query in phase]
    assert [query.number for query in queries] == list(range(plan.queries + plan.phase2_queries))
    assert len({query.id for query in queries}) == len(queries)
    for phase, others, expected in zip(parts.queries, parts.distractors, plan.phases, strict=True):
        copies = [query for query in phase if query.reference_id]
        assert (len(phase), len(copies)) == (expected.queries, expected.copies)
        assert all(query.reference_id == reference_id(query.photograph) for query in copies)
        assert sorted(query.photograph for query in phase if not query.reference_id) == list(others)
    uses = Counter(query.reference_id for query in queries if query.reference_id)
    assert not uses or max(uses.values()) == -(-uses.total() // plan.references)


@given(st.integers(0, 2**64))
def test_ids_do_not_tell_copies_from_distractors(seed: int) -> None:
    queries = assign(DataSetPlan(2000, 2000, 0, seed)).queries[0]
    first = sum(1 for query in queries[:1000] if query.reference_id)
    assert abs(first - 500) < 120  # seven standard deviations
    copies = np.array([(query.number, query.photograph) for query in queries if query.reference_id])
    assert abs(np.corrcoef(copies.T)[0, 1]) < 0.25


def test_edits_are_drawn_as_often_as_their_weights_say() -> None:
    kinds = {"crop": 6.0, "hflip": 3.0, "vflip": 1.0, ADVERSARIAL_ATTACK: 2.0}
    first: Counter[str] = Counter()
    lengths: Counter[int] = Counter()
    for number in range(4000):
        recipe, attack = draw_edits(np.random.default_rng(number), (40, 30), kinds)
        names = [edit.kind for edit in recipe.edits] + [ADVERSARIAL_ATTACK] * (attack is not None)
        assert len({*names}) == len(names)
        assert attack is None or 20 <= attack.psnr <= 40
        lengths[len(names)] += 1
        if len(names) == 1:
            first[names[0]] += 1
    assert all(abs(lengths[count] - 1000) < 200 for count in (1, 2, 3, 4))
    for name, weight in kinds.items():
        assert abs(first[name] / first.total() - weight / 12) < 0.1


def test_the_default_frequencies_are_those_of_the_final_test_set() -> None:
    assert len(FINAL_TEST_SET) == 28 and sum(FINAL_TEST_SET.values()) == 23073
    assert {*FINAL_TEST_SET} - {*KINDS} == {ADVERSARIAL_ATTACK}
    assert (FINAL_TEST_SET["convert_color"], FINAL_TEST_SET["rotate"]) == (1871, 417)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"references": 0}, "references must be 1 or more, not 0"),
        ({"queries": 0}, "queries must be 1 or more, not 0"),
        ({"training": -1}, "training must be 0 or more, not -1"),
        ({"phase2_queries": -1}, "phase2 queries must be 0 or more"),
        ({"seed": -1}, "seed must be 0 or more"),
        ({"copies": 1.5}, "share of copies must be from 0 to 1, not 1.5"),
        ({"copies": float("nan")}, "share of copies must be from 0 to 1, not nan"),
        ({"kinds": {"cropp": 1}}, "no kind of edit named 'cropp'; there are crop, "),
        ({"kinds": {"crop": -1}}, "the weight of crop must be a number from 0 on, not -1"),
        ({"kinds": {"crop": float("inf")}}, "the weight of crop must be a number from 0 on, not inf"),
        ({"kinds": {"crop": "often"}}, "the weight of crop must be a number from 0 on, not 'often'"),
        ({"kinds": {"crop": True}}, "the weight of crop must be a number from 0 on, not True"),
        ({"kinds": {"crop": 0}}, "no kind of edit is left to draw"),
        ({"held_back": ("wave",), "phase2_queries": 1}, "wave can't be held back: it is not among the kinds"),
        ({"held_back": ("crop",)}, "phase 2, but it has no queries"),
        (
            {"kinds": {"crop": 1}, "held_back": ("crop",), "phase2_queries": 1},
            "every kind is held back for phase 2, so phase 1 has none",
        ),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        DataSetPlan(**{"references": 1, "queries": 1, "training": 0, "seed": 0, **arguments})


def test_the_order_in_which_kinds_are_named_does_not_matter() -> None:
    one, other = ({"crop": 1, "hflip": 2}, {"hflip": 2, "crop": 1, "vflip": 0})
    assert [*DataSetPlan(1, 1, 0, 0, kinds=one).kinds.items()] == [*DataSetPlan(1, 1, 0, 0, kinds=other).kinds.items()]


def test_drawings_need_something_to_attack_with() -> None:
    with pytest.raises(UsageError, match="nothing to attack with"):
        Drawing(1, {ADVERSARIAL_ATTACK: 1})


def test_kinds_are_read_from_toml_and_json(tmp_path: Path) -> None:
    (tmp_path / "kinds.toml").write_text("crop = 2\nhflip = 0.5\nvflip = 0\n")
    (tmp_path / "kinds.json").write_text('{"hflip": 0.5, "crop": 2}')
    assert read_kinds(tmp_path / "kinds.toml") == read_kinds(tmp_path / "kinds.json") == {"crop": 2, "hflip": 0.5}


@pytest.mark.parametrize(
    ("name", "content", "error", "message"),
    [
        ("kinds.yaml", b"crop: 2", UsageError, "are read from .toml and .json files"),
        ("kinds.toml", b"crop = ", ChallengeError, r"kinds\.toml: can't be understood"),
        ("kinds.toml", b"\xff", ChallengeError, "can't be understood"),
        ("kinds.json", b"[1]", ChallengeError, "must be an object of kinds with their weights"),
        ("kinds.json", b"[" * 100_000, ChallengeError, "can't be understood"),
        ("kinds.json", b'{"cropp": 1}', ChallengeError, r"kinds\.json: there is no kind of edit named 'cropp'"),
        ("kinds.toml", b"[crop]\nweight = 2", ChallengeError, "the weight of crop must be a number"),
        ("absent.toml", None, ChallengeError, "can't be read"),
    ],
)
def test_files_that_are_no_kinds_are_refused(
    tmp_path: Path, name: str, content: bytes | None, error: type[Exception], message: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(error, match=message):
        read_kinds(tmp_path / name)


def record(**changes: object) -> QueryRecord:
    recipe = Recipe((Edit("hflip", {}),))
    values = {
        "query_id": "Q1",
        "reference_id": "",
        "photograph": "0" * 64,
        "recipe": recipe,
        "attack": AttackRecord(31.5, 7),
        "quality": 80,
        "source_size": (4, 3),
        "query_size": (4, 3),
        "corners": ((0.0, 0.5), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)),
    }
    return QueryRecord(**{**values, **changes})


@pytest.mark.parametrize("changes", [{}, {"attack": None, "corners": None, "reference_id": "R1"}])
def test_records_come_back_as_they_were_written(tmp_path: Path, changes: dict[str, object]) -> None:
    (tmp_path / "recipes.jsonl").write_text(record(**changes).to_json() + "\n")
    assert list(read_records(tmp_path / "recipes.jsonl")) == [record(**changes)]


@pytest.mark.parametrize(
    "line", ["{}", "nothing", "[]", json.dumps({**json.loads(record().to_json()), "edits": [{"kind": "cropp"}]})]
)
def test_lines_that_are_no_records_are_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "recipes.jsonl").write_text(f"{record().to_json()}\n{line}\n")
    with pytest.raises(ChallengeError, match=r"recipes\.jsonl, line 2: not a record of how a query was made"):
        list(read_records(tmp_path / "recipes.jsonl"))
    with pytest.raises(ChallengeError, match="can't be read"):
        list(read_records(tmp_path / "absent.jsonl"))


def test_corners_are_not_told_of_a_picture_that_was_bent() -> None:
    picture = drawn_picture(1, (40, 30))
    for name, told in (("hflip", True), ("swirl", False)):
        parameters = KINDS[name].sample(np.random.default_rng(0), (40, 30))
        assert (corners_in_query(Recipe((Edit(name, parameters),)).apply(picture).geometry) is not None) == told


class Ending:
    """A task whose process ends as if memory had run out."""

    def work(self) -> None:
        import os

        os._exit(9)


def test_a_process_that_is_ended_from_outside_is_reported() -> None:
    with crew(2) as team, pytest.raises(ChallengeError, match=r"ended from outside.*fewer processes"):
        list(team.results([Ending()]))
