"""Sets of copies as mathematics: what must hold for any pairs and any decisions."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ectype.duplicates.grouping import Component, group
from ectype.duplicates.originals import by_originality, why_original
from ectype.duplicates.records import ContentPair, DuplicateSet, HeldImage, Mark, in_order
from ectype.duplicates.summary import Summary
from ectype.errors import InvalidDataError

CONTENTS = "abcdefgh"
some_pairs = st.lists(st.sampled_from(list(itertools.combinations(CONTENTS, 2))), max_size=12, unique=True)
pairs_of_copies = some_pairs.map(lambda found: [ContentPair(*pair, 0.99, "copy") for pair in found])
some_marks = some_pairs.flatmap(
    lambda found: st.tuples(*(st.sampled_from(["same", "different"]) for _ in found)).map(
        lambda verdicts: [Mark(*pair, verdict) for pair, verdict in zip(found, verdicts, strict=True)]
    )
)


def joined(pairs: list[ContentPair], marks: list[Mark]) -> dict[str, set[str]]:
    """What is reachable from each content, by the definition."""
    verdicts = {mark.key: mark.verdict for mark in marks}
    linked = {pair.key for pair in pairs} | {key for key in verdicts if verdicts[key] == "same"}
    linked -= {key for key in verdicts if verdicts[key] == "different"}
    reach = {one: {one} | {other for other in CONTENTS if in_order(one, other) in linked} for one in CONTENTS}
    for _ in CONTENTS:  # no way is longer
        reach = {one: set().union(*(reach[other] for other in reach[one])) for one in CONTENTS}
    return reach


def members(components: list[Component]) -> set[frozenset[str]]:
    return {component.contents for component in components}


@given(pairs_of_copies, some_marks)
def test_components_are_what_links_join_and_a_partition(pairs: list[ContentPair], marks: list[Mark]) -> None:
    found = group(CONTENTS, pairs, marks)
    assert sorted(content for component in found for content in component.contents) == sorted(CONTENTS)
    reach = joined(pairs, marks)
    assert members(found) == {frozenset(others) for others in reach.values()}


@given(pairs_of_copies, some_marks)
def test_a_different_is_honoured_or_reported(pairs: list[ContentPair], marks: list[Mark]) -> None:
    for component in group(CONTENTS, pairs, marks):
        apart = {m.key for m in marks if m.verdict == "different" and {m.first, m.second} <= component.contents}
        assert {(chain[0], chain[-1]) for chain in component.chains} == apart
        links = {pair.key for pair in pairs} | {mark.key for mark in marks if mark.verdict == "same"}
        links -= {mark.key for mark in marks if mark.verdict == "different"}
        for chain in component.chains:
            assert len(chain) > 2
            assert all(in_order(*step) in links for step in itertools.pairwise(chain))


@given(pairs_of_copies, some_marks, st.randoms())
def test_the_order_of_arrival_changes_nothing(
    pairs: list[ContentPair], marks: list[Mark], shuffle: random.Random
) -> None:
    contents, others, decisions = list(CONTENTS), list(pairs), list(marks)
    for some in (contents, others, decisions):
        shuffle.shuffle(some)
    assert group(contents, others, decisions) == group(CONTENTS, pairs, marks)


def copies(*keys: str) -> list[ContentPair]:
    return [ContentPair(key[0], key[1], 0.9, "copy") for key in keys]


def test_a_different_cuts_the_direct_link_alone() -> None:
    apart = [Mark("a", "b", "different")]
    assert members(group("ab", copies("ab"), apart)) == {frozenset("a"), frozenset("b")}
    (component,) = group("abc", copies("ab", "bc", "ac"), apart)
    assert component.chains == (("a", "c", "b"),)
    assert members(group("abc", copies("ab", "ac"), [*apart, Mark("b", "c", "same")])) == {frozenset("abc")}
    assert members(group("abc", copies("ab", "ac"), apart)) == {frozenset("ac"), frozenset("b")}


def test_a_review_links_nothing_and_a_same_needs_no_pair() -> None:
    review = ContentPair("a", "b", 0.7, "review")
    assert members(group("ab", [review], [])) == {frozenset("a"), frozenset("b")}
    assert members(group("ab", [review], [Mark("a", "b", "same")])) == {frozenset("ab")}
    assert members(group("ab", [], [Mark("a", "b", "same"), Mark("a", "x", "same")])) == {frozenset("ab")}


def test_a_pair_has_its_contents_in_order() -> None:
    with pytest.raises(InvalidDataError, match="in order"):
        Mark("b", "a", "same")
    with pytest.raises(InvalidDataError, match="in order"):
        ContentPair("a", "a", 1.0, "copy")


def image(id: str, content: str = "", **facts: object) -> HeldImage:
    known = {"width": 40, "height": 30, "bytes": 1000, "modified": 10.0} | facts
    return HeldImage(id, f"/photos/{id}", content or id, **known)


def test_the_original_has_most_pixels_then_bytes_then_age_then_its_name() -> None:
    large, dense = image("z", width=80), image("y", bytes=1001)
    old, plain, gone = (
        image("x", modified=9.0),
        image("a"),
        image("0", width=None, height=None, bytes=None, modified=None),
    )
    ordered = [large, dense, old, plain, image("b"), gone]
    for some in itertools.permutations(ordered):
        assert by_originality(some) == ordered
    reasons = [why_original(ordered[start:]) for start in range(5)]
    for reason, words in zip(
        reasons,
        (
            "most pixels: 80 × 30",
            "most bytes, of those",
            "the oldest file",
            "first by name: others",
            "whose file is there",
        ),
        strict=True,
    ):
        assert words in reason
    assert "no file" in why_original([gone, gone])


def test_equal_files_are_a_set_without_any_comparison() -> None:
    (found,) = Summary([image("b", "x"), image("a", "x"), image("c", "y")], [], []).sets()
    assert [one.id for one in found.members] == ["a", "b"]
    assert [(pair.first_id, pair.second_id, pair.score, pair.source) for pair in found.pairs] == [
        ("a", "b", 1.0, "bytes")
    ]


def test_pairs_to_look_at_are_those_that_nothing_decides() -> None:
    images = [image(name) for name in "abcd"]
    pairs = [*copies("ab", "bc"), ContentPair("a", "c", 0.7, "review"), ContentPair("c", "d", 0.6, "review")]
    summary = Summary(images, [*pairs, ContentPair("a", "zz", 0.6, "review")], [])
    assert [(pair.first_id, pair.second_id) for pair in summary.review()] == [("c", "d")]
    for verdict in ("same", "different"):
        assert Summary(images, pairs, [Mark("c", "d", verdict)]).review() == ()


@given(pairs_of_copies, some_marks)
def test_no_set_has_images_that_a_person_told_apart(pairs: list[ContentPair], marks: list[Mark]) -> None:
    summary = Summary([image(name) for name in CONTENTS], pairs, marks)
    sets, contradictions = summary.sets(), summary.contradictions()
    names = [one.id for found in (*sets, *contradictions) for one in found.members]
    assert len(names) == len(set(names))
    for found in sets:
        inside = {one.id for one in found.members}
        assert not any(m.verdict == "different" and {m.first, m.second} <= inside for m in marks)
        assert {name for pair in found.pairs for name in (pair.first_id, pair.second_id)} == inside


def test_a_set_needs_two_images() -> None:
    with pytest.raises(InvalidDataError, match="two images"):
        DuplicateSet((image("a"),), "alone", ())
