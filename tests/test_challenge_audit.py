"""An honest entry passes an audit; each way of looking beyond a pair is caught by the probe that is made for it."""

from __future__ import annotations

import html
import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ectype.challenge.auditing.audit import audit_entry, number_of_runs
from ectype.challenge.auditing.comparing import compare
from ectype.challenge.auditing.page import write_audit_page
from ectype.challenge.auditing.probes import AuditSettings, Probe, partial_probes, whole
from ectype.challenge.auditing.report import AuditReport, ProbeResult
from ectype.challenge.running.conditions import Conditions
from ectype.challenge.running.staging import Images
from ectype.cli import main
from ectype.errors import SubmissionError, UsageError
from entries.making import ISOLATED, make_entry, make_images

QUERIES = tuple(f"q{number}" for number in range(6))
REFERENCES = tuple(f"r{number}" for number in range(8))
FULL = whole("all", QUERIES, REFERENCES)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("audit")


@pytest.fixture(scope="module")
def images(place: Path) -> Images:
    return make_images(place)


def audit(place: Path, images: Images, name: str, subsets: int = 0, singles: int = 0, chunks: int = 0) -> AuditReport:
    entry = make_entry(place, name)
    conditions = Conditions(entry.limits, network=not ISOLATED)
    how_far = AuditSettings(subsets=subsets, singles=singles, chunks=chunks)
    runs: list[int] = []
    report = audit_entry(entry, images, conditions, how_far, place, on_progress=runs.append)
    assert sum(runs) == number_of_runs(images, how_far, with_submission=False)
    assert not list(place.glob(".ectype-run-*"))
    return report


def test_an_honest_entry_passes(place: Path, images: Images, capsys: pytest.CaptureFixture[str]) -> None:
    entry = make_entry(place, "average_hash")
    before = {path: path.stat().st_mtime_ns for path in (*images.queries.values(), *images.references.values())}
    arguments = [str(entry.folder), "--queries", str(place / "queries"), "--references", str(place / "references")]
    arguments += [] if ISOLATED else ["--allow-network"]
    assert main(["challenge", "run", *arguments, "-o", str(place / "submission.csv")]) == 0
    counts = ["--subsets", "1", "--singles", "1", "--chunks", "2", "--submission", str(place / "submission.csv")]
    assert main(["challenge", "audit", *arguments, *counts, "-o", str(place / "honest.json")]) == 0
    assert "no breach found in these 7 probes" in capsys.readouterr().out
    report = json.loads((place / "honest.json").read_text())
    assert report["verdict"] == "no breach found" and report["breaking_probes"] == []
    probes = [(result["probe"], result["queries"], result["references"]) for result in report["results"]]
    assert probes[:3] == [("names", 24, 30), ("repeat", 24, 30), ("order", 24, 30)]
    assert 6 <= probes[3][1] <= 12
    assert probes[4:] == [("single", 1, 30), ("chunk", 24, 15), ("chunk", 24, 15)]
    assert all(result["compared"] > 0 and not result["findings"] for result in report["results"])
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_normalising_over_other_queries_is_caught_by_subsets_and_singles(place: Path, images: Images) -> None:
    report = audit(place, images, "other_queries", subsets=1, singles=1)
    assert report.verdict == "breach of independence"
    assert report.breaking_probes == ("single", "subset")
    shown = next(result for result in report.results if result.probe.kind == "single").findings[0]
    assert report.sentence.startswith(
        f"breach of independence: the score of {shown.query}, {shown.reference} was {shown.score_among_all:.3g} "
        f"among 24 queries and {shown.score_in_probe:.3g} alone"
    )


def test_normalising_over_other_references_is_caught_by_chunks(place: Path, images: Images) -> None:
    report = audit(place, images, "other_references", singles=1, chunks=2)
    assert report.breaking_probes == ("chunk",)
    assert "among 30 references" in report.sentence and "among 15 of them" in report.sentence


def test_looking_at_file_order_is_caught_by_order(place: Path, images: Images) -> None:
    report = audit(place, images, "file_order")
    assert report.breaking_probes == ("order", "names")
    assert "in another order" in report.sentence


def test_looking_at_file_names_is_caught_by_names_and_order(place: Path, images: Images) -> None:
    assert audit(place, images, "file_names").breaking_probes == ("order", "names")


def test_looking_at_file_times_is_caught_by_names_alone(place: Path, images: Images) -> None:
    report = audit(place, images, "file_times")
    assert report.breaking_probes == ("names",)
    assert "in the submission, under the true ones" in report.sentence


def test_scores_by_chance_are_caught_by_repeat(place: Path, images: Images) -> None:
    report = audit(place, images, "not_deterministic")
    assert report.verdict == "not deterministic" and report.breaking_probes[0] == "repeat"
    assert "in a second one with the very same files" in report.sentence


def test_an_entry_that_works_on_many_queries_only_is_caught_by_singles(place: Path, images: Images) -> None:
    report = audit(place, images, "whole_sets_only", singles=1)
    assert report.breaking_probes == ("single",)
    assert "it fails alone" in report.sentence and "too few queries" in report.sentence


def test_an_entry_that_says_nothing_of_few_queries_is_told_by_missing_pairs(place: Path, images: Images) -> None:
    report = audit(place, images, "silent_on_few", singles=1)
    assert report.verdict == "missing pairs" and report.breaking_probes == ()
    assert "but not alone, which no limit on pairs explains" in report.sentence


def test_keeping_state_in_the_code_is_noticed_in_the_first_run_without_the_sandbox(place: Path, images: Images) -> None:
    entry = make_entry(place, "keeps_state")  # in the sandbox nothing is kept, so that there is nothing to be found
    with pytest.raises(SubmissionError, match="it changed files in"):
        audit_entry(entry, images, Conditions(entry.limits, network=True), AuditSettings(), place)


def test_the_command_says_breach_by_its_code_and_shows_the_pair_on_a_page(
    place: Path, images: Images, capsys: pytest.CaptureFixture[str]
) -> None:
    entry = make_entry(place, "other_queries")
    arguments = ["challenge", "audit", str(entry.folder), "--queries", str(place / "queries"), "--seed", "7"]
    arguments += ["--references", str(place / "references"), "--subsets", "0", "--singles", "1", "--chunks", "0"]
    arguments += [] if ISOLATED else ["--allow-network"]
    assert main([*arguments, "-o", str(place / "audit.html"), "--json"]) == 3
    report = json.loads(capsys.readouterr().out)
    finding = next(result for result in report["results"] if result["probe"] == "single")["findings"][0]
    assert finding["sentence"] in report["sentence"] and report["settings"]["seed"] == 7
    page = (place / "audit.html").read_text()
    assert finding["sentence"] in page and "breach of independence" in page
    assert page.count("data:image/jpeg") >= 2 and "data:image/png" in page
    assert "http" not in page.replace("http-equiv", "")
    assert main([*arguments, "--chunks", "1"]) == 2
    assert "one chunk holds all references" in capsys.readouterr().err
    assert main([*arguments, "-o", str(place / "audit.pdf")]) == 2
    assert "audits are written as .json, .html" in capsys.readouterr().err
    (place / "other.csv").write_text("x,R00001,0.5\n")
    assert main([*arguments, "--submission", str(place / "other.csv")]) == 3
    assert "the pair x, R00001 is none of the given images" in capsys.readouterr().err


def test_a_page_is_written_for_images_that_have_gone(tmp_path: Path) -> None:
    probe = Probe("single", 1, ("q0",), REFERENCES)
    compared = compare({("q0", "r1"): 0.5, ("q0", "r2"): 0.4}, {("q0", "r1"): 0.7}, probe, 1e-6)
    results = (ProbeResult(FULL, probe, compared), ProbeResult(FULL, probe, None, failure="it <failed>"))
    report = AuditReport("entry", AuditSettings(), 6, 8, 2, True, results)
    gone = Images(dict.fromkeys(QUERIES, tmp_path / "gone"), dict.fromkeys(REFERENCES, tmp_path / "gone"))
    write_audit_page(tmp_path / "page.html", report, gone)
    page = html.unescape((tmp_path / "page.html").read_text())
    assert "the score of q0, r1 was 0.5 among 6 queries and 0.7 alone" in page
    assert "the query can't be shown" in page and "it failed: it <failed>" in page
    write_audit_page(tmp_path / "page.html", replace(report, results=()), gone)


tables = st.fixed_dictionaries(
    {
        (query, reference): st.integers(-20, 20).map(lambda number: number / 10)
        for query in QUERIES
        for reference in REFERENCES
    }
)
parts = st.tuples(
    st.sets(st.sampled_from(QUERIES), min_size=1).map(sorted),
    st.sets(st.sampled_from(REFERENCES), min_size=1).map(sorted),
)


def best(table: dict, a_query: int, total: int) -> dict:
    """What an honest entry keeps: the best pairs of each query, and of these the best of all."""
    kept = []
    for query in {query for query, _ in table}:
        mine = sorted((pair for pair in table if pair[0] == query), key=lambda pair: -table[pair])
        kept += mine[:a_query]
    return {pair: table[pair] for pair in sorted(kept, key=lambda pair: -table[pair])[:total]}


@given(tables, parts, st.integers(1, 8), st.tuples(st.integers(1, 48), st.integers(1, 48)))
def test_limits_on_pairs_are_never_a_finding(table, part, a_query: int, totals: tuple[int, int]) -> None:
    queries, references = part
    total, total_of_part = totals
    probe = Probe("subset", 1, tuple(queries), tuple(references))
    inside = {pair: score for pair, score in table.items() if pair[0] in queries and pair[1] in references}
    found = compare(best(table, a_query, total), best(inside, a_query, total_of_part), probe, 1e-6)
    assert (found.changed, found.missing, found.findings) == (0, 0, ())


@given(tables, st.sampled_from(QUERIES), st.sampled_from(REFERENCES), st.floats(1e-5, 10))
def test_any_change_above_the_tolerance_is_a_finding_and_none_below(table, query, reference, change: float) -> None:
    pair = query, reference
    probe = whole("order", QUERIES, REFERENCES)
    size = max(abs(table[pair]), 1.0)
    found = compare(table, table | {pair: table[pair] + change * size}, probe, 1e-6)
    assert [(one.what, one.query, one.reference) for one in found.findings] == [("changed", *pair)]
    same = {pair: score * (1 + 1e-8) for pair, score in table.items()}
    assert compare(table, same, probe, 1e-6).findings == ()


@given(tables, st.sampled_from(QUERIES), st.sampled_from(REFERENCES))
def test_a_pair_that_nothing_worse_explains_is_missing(table, query, reference) -> None:
    pair = query, reference
    table = table | {pair: 5.0}
    without = {other: score for other, score in table.items() if other != pair}
    probe = whole("order", QUERIES, REFERENCES)
    for one, other, scores in ((table, without, (5.0, None)), (without, table, (None, 5.0))):
        found = compare(one, other, probe, 1e-6)
        assert [(one.score_among_all, one.score_in_probe) for one in found.findings] == [scores]


@given(st.integers(0, 3), st.integers(0, 9), st.sampled_from([0, 2, 3, 20]), st.integers())
@settings(max_examples=50)
def test_probes_are_drawn_by_the_seed_alone(subsets: int, singles: int, chunks: int, seed: int) -> None:
    how_far = AuditSettings(seed, subsets, singles, chunks)
    probes = partial_probes(FULL, QUERIES[2:4], how_far)
    assert probes == partial_probes(FULL, QUERIES[2:4], how_far)
    drawn = [probe.queries[0] for probe in probes if probe.kind == "single"]
    assert len(drawn) == len(set(drawn)) == min(singles, len(QUERIES))
    assert set(drawn[:2]) <= set(QUERIES[2:4])  # the ones with pairs come first
    parts = [probe.references for probe in probes if probe.kind == "chunk"]
    assert not parts or sorted(name for part in parts for name in part) == list(REFERENCES)
    assert all(set(probe.queries) <= set(QUERIES) for probe in probes)


def test_drawn_names_say_nothing_and_differ_from_run_to_run() -> None:
    files = [(name, Path(f"{name}.png")) for name in QUERIES]
    first = FULL.drawn_names(files, 0)
    assert first == FULL.drawn_names(files, 0) == whole("repeat", QUERIES, REFERENCES).drawn_names(files, 0)
    other = whole("order", QUERIES, REFERENCES).drawn_names(files, 0)
    assert set(first) == set(other) == set(QUERIES)
    assert not set(first.values()) & set(other.values())
    assert all(len(name) == 16 and name.endswith(".png") for name in first.values())
    assert sorted(first, key=first.get) != sorted(other, key=other.get)


@pytest.mark.parametrize(
    ("values", "complaint"),
    [({"subsets": -1}, "fewer than 0"), ({"chunks": 1}, "one chunk"), ({"tolerance": 1.0}, "tolerance must be")],
)
def test_settings_that_no_audit_can_have_are_refused(values: dict, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        AuditSettings(**values)
