from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ectype.challenge.manifest import Manifest, ManifestEntry, write_manifest
from ectype.challenge.scoring.range_search import best_pairs
from ectype.challenge.tracks.describing import background_for, describe_track, folding_for
from ectype.challenge.tracks.descriptor_file import DescriptorFile, Rows, write_descriptor_track
from ectype.challenge.tracks.example import write_example
from ectype.challenge.tracks.folding import Folding
from ectype.challenge.tracks.matching_fast import match_by_normalised_descriptor
from ectype.challenge.validation import validate_submission
from ectype.cli import main
from ectype.cli.output import progress
from ectype.collection import Collection
from ectype.descriptors import write_descriptors
from ectype.errors import CollectionError, InvalidDataError, ModelMismatchError, SubmissionError
from ectype.evaluation import read_matches
from ectype.images import list_images
from ectype.matching import CALIBRATION_FILE, Background, Calibration
from ectype.testing import ThumbnailModel
from ectype.testing.conformance import unit_rows
from ectype.types import DescriptorSet

FINGERPRINT = "f" * 64


def background(seed: int, dimension: int, count: int = 40) -> Background:
    return Background(unit_rows(np.random.default_rng(seed), count, dimension), FINGERPRINT)


# Folding


@given(st.integers(0, 2**32 - 1), st.integers(2, 12))
def test_folded_distances_rank_as_normalised_inner_products(seed, dimension):
    rng = np.random.default_rng(seed)
    queries, references = unit_rows(rng, 5, dimension), unit_rows(rng, 7, dimension)
    folding = Folding.of(background(seed, dimension))
    levels = np.array([folding.background.level(query) for query in queries])
    expected = 2 * (queries.astype(np.float64) @ references.T.astype(np.float64) - levels[:, None]) - 4
    folded, others = folding.queries(queries).astype(np.float64), folding.references(references).astype(np.float64)
    scores = -np.square(folded[:, None] - others[None]).sum(axis=2)
    np.testing.assert_allclose(scores, expected, atol=2e-6)
    # Hence one order, wherever rounding to float32 leaves one.
    flat, wanted = scores.ravel(), expected.ravel()
    clearly = wanted[:, None] - wanted[None] > 1e-5
    assert (flat[:, None] > flat[None])[clearly].all()


def test_the_search_finds_the_normalised_order():
    rng = np.random.default_rng(3)
    queries, references = unit_rows(rng, 6, 8), unit_rows(rng, 9, 8)
    folding = Folding.of(background(3, 8))
    found = best_pairs(folding.queries(queries), [folding.references(references)], 54)
    levels = np.array([folding.background.level(query) for query in queries])
    normalised = (queries @ references.T - levels[:, None])[found.query_rows, found.reference_rows]
    assert (np.diff(normalised) < 1e-6).all()


@pytest.mark.parametrize("most", [64, 65])
def test_a_vector_depends_on_its_own_picture_alone_to_the_last_bit(most):
    vectors = unit_rows(np.random.default_rng(0), 300, 64)
    folding = Folding.of(background(0, 64, count=80), most=most)
    for fold in (folding.queries, folding.references):
        together = fold(vectors)
        one_by_one = np.concatenate([fold(vectors[row : row + 1]) for row in range(len(vectors))])
        np.testing.assert_array_equal(one_by_one, together)
        assert fold(vectors[:0]).shape == (0, most)


def test_what_fits_is_kept_whole_and_what_does_not_is_projected_onto_the_background():
    assert Folding.of(background(0, 12), most=13).components is None
    assert Folding.of(background(0, 12), most=13).dimension == 13
    flat = unit_rows(np.random.default_rng(1), 50, 12)
    flat[:, 5] *= 0.01  # a direction that hardly matters
    flat /= np.linalg.norm(flat, axis=1, keepdims=True)
    folding = Folding.of(Background(flat, FINGERPRINT), most=12)
    assert folding.dimension == 12
    vectors = folding.references(flat)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(vectors @ vectors.T, flat @ flat.T, atol=1e-3)


def test_a_background_that_is_too_small_to_tell_is_refused():
    with pytest.raises(InvalidDataError, match="a background of 5 pictures is too small"):
        Folding.of(background(0, 12, count=5), most=8)
    assert Folding.of(background(0, 12, count=5)).dimension == 13


# Files


def test_a_descriptor_file_comes_back_as_it_was_written(tmp_path):
    vectors = np.random.default_rng(0).normal(size=(20_000, 3)).astype(np.float32)
    ids = [f"é{row:05}" for row in range(len(vectors))]
    blocks = (vectors[start : start + 7000] for start in range(0, len(vectors), 7000))
    write_descriptor_track(tmp_path / "s.h5", Rows(["q"], [vectors[:1]]), Rows(ids, blocks), 3)
    with DescriptorFile(tmp_path / "s.h5") as file:
        assert file.dimension == 3
        assert file.ids("query") == ["q"]
        assert file.ids("reference") == ids
        np.testing.assert_array_equal(np.concatenate(list(file.blocks("reference"))), vectors)
    assert validate_submission(tmp_path / "s.h5", None).ok


def test_a_file_without_rows_is_written(tmp_path):
    write_descriptor_track(tmp_path / "s.h5", Rows([], []), Rows([], []), 3)
    assert validate_submission(tmp_path / "s.h5", Manifest(())).ok


def test_rows_that_make_no_submission_are_refused_and_the_older_file_stays(tmp_path):
    path = tmp_path / "s.h5"
    path.write_text("older")
    some = np.ones((2, 3), np.float32)
    with pytest.raises(SubmissionError, match="'a' stands after 'b'"):
        Rows(["b", "a"], [some])
    with pytest.raises(SubmissionError, match="each there once"):
        Rows(["a", "a"], [some])
    with pytest.raises(SubmissionError, match="3 query ids were given for 2 vectors"):
        write_descriptor_track(path, Rows(["a", "b", "c"], [some]), Rows(["r"], [some[:1]]), 3)
    with pytest.raises(SubmissionError, match="1 to 256 dimensions, not 300"):
        write_descriptor_track(path, Rows([], []), Rows([], []), 300)
    assert path.read_text() == "older"
    assert [file.name for file in tmp_path.iterdir()] == ["s.h5"]


def test_what_is_no_descriptor_file_is_refused(tmp_path):
    (tmp_path / "s.h5").write_text("no")
    with pytest.raises(SubmissionError, match="can't be read as HDF5"):
        DescriptorFile(tmp_path / "s.h5")


# Examples


@pytest.fixture
def manifest() -> Manifest:
    return Manifest(
        tuple(
            ManifestEntry(role, f"{letter}{number:02}", f"{role}/{number}.jpg", 1, "0" * 64)
            for role, letter, count in (("query", "Q", 4), ("reference", "R", 25), ("training", "T", 3))
            for number in range(count)
        )
    )


@pytest.mark.parametrize("track", ["matching", "descriptor"])
def test_examples_are_valid_and_seeded(track, tmp_path, manifest):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        write_example(tmp_path / name, manifest, track, seed=seed, dimension=5)
        report = validate_submission(tmp_path / name, manifest)
        assert report.ok, report.problems
        assert report.track == track
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes() != (tmp_path / "c").read_bytes()


def test_an_example_with_many_queries_stays_within_the_limit(tmp_path, manifest, monkeypatch):
    monkeypatch.setattr("ectype.challenge.tracks.example.MOST_ROWS", 30)
    write_example(tmp_path / "s.csv", manifest, "matching")
    assert len(read_matches(tmp_path / "s.csv")) == 28


# From a collection


@pytest.fixture
def collection(tmp_path: Path, folder_of_pictures: Callable[..., Path], model: ThumbnailModel) -> Path:
    """Eight pictures with a calibration whose background are twenty others."""
    folder = tmp_path / "collection"
    with Collection.create(folder, model) as made:
        made.add(list_images([folder_of_pictures(8, "references")]), model)
    pictures = list_images([folder_of_pictures(20, "background", first=100)])
    with Collection.create(tmp_path / "bank", model) as bank:
        bank.add(pictures, model)
        vectors = np.stack(list(bank.vectors(one.row for one in bank).values()))
    Calibration.unfitted(Background(vectors, model.fingerprint)).save(folder / CALIBRATION_FILE)
    return folder


def queries_of(model: ThumbnailModel, collection: Path) -> DescriptorSet:
    """Three of the references as queries, out of order, and one that is none."""
    with Collection(collection) as opened:
        rows = {one.id: one.row for one in opened}
        vectors = opened.vectors(rows.values())
    chosen = ("p005", "p001", "p003")
    stranger = unit_rows(np.random.default_rng(0), 1, model.dimension)
    found = np.concatenate([[vectors[rows[name]] for name in chosen], stranger]).astype(np.float32)
    return DescriptorSet((*chosen, "a"), found, model.fingerprint)


@pytest.mark.parametrize("normalise", [True, False])
def test_a_collection_becomes_a_descriptor_submission(tmp_path, collection, model, normalise):
    queries = queries_of(model, collection)
    with Collection(collection) as opened:
        folding = folding_for(opened, normalise=normalise)
        describe_track(tmp_path / "s.h5", queries, opened, folding)
    assert folding.dimension == model.dimension + normalise
    assert validate_submission(tmp_path / "s.h5", None).ok
    with DescriptorFile(tmp_path / "s.h5") as file:
        assert file.ids("query") == ["a", "p001", "p003", "p005"]
        assert file.ids("reference") == [f"p{number:03}" for number in range(8)]
        described, references = (np.concatenate(list(file.blocks(part))) for part in ("query", "reference"))
    lengths = np.linalg.norm(references, axis=1)
    np.testing.assert_allclose(lengths, 1, atol=1e-6)
    np.testing.assert_array_equal(np.argmax(described[1:] @ references.T, axis=1), [1, 3, 5])
    if normalise:
        assert not references[:, -1].any()


def test_fast_scores_are_those_that_the_folded_distances_rank_by(tmp_path, collection, model):
    queries = queries_of(model, collection)
    with Collection(collection) as opened:
        describe_track(tmp_path / "s.h5", queries, opened, folding_for(opened))
        matches = match_by_normalised_descriptor(opened, queries, background_for(opened), total=32)
        raw = match_by_normalised_descriptor(opened, queries, None)
    assert [match.score for match in matches] == sorted((match.score for match in matches), reverse=True)
    assert max(match.score for match in raw) == pytest.approx(1, abs=1e-3)
    with DescriptorFile(tmp_path / "s.h5") as file:
        query_ids, reference_ids = file.ids("query"), file.ids("reference")
        found = best_pairs(np.concatenate(list(file.blocks("query"))), file.blocks("reference"), 32)
    folded = {
        (query_ids[query], reference_ids[reference]): score / 2 + 2
        for query, reference, score in zip(found.query_rows, found.reference_rows, found.scores, strict=True)
    }
    assert len(folded) == len(matches) == 32
    for match in matches:
        assert folded[match.query_id, match.reference_id] == pytest.approx(match.score, abs=2e-3)  # 16-bit storage


def test_models_that_differ_or_have_no_background_are_refused(tmp_path, collection, model):
    queries = queries_of(model, collection)
    stranger = DescriptorSet(queries.ids, queries.vectors, FINGERPRINT)
    with Collection(collection) as opened, pytest.raises(ModelMismatchError, match="another model"):
        describe_track(tmp_path / "s.h5", stranger, opened, folding_for(opened))
    assert not (tmp_path / "s.h5").exists()
    with pytest.raises(ModelMismatchError, match="--no-normalisation"):
        folding_for(queries)
    wide = DescriptorSet(("a",), unit_rows(np.random.default_rng(0), 1, 300), FINGERPRINT)
    with pytest.raises(SubmissionError, match="300 dimensions, and the track takes 256"):
        folding_for(wide, normalise=False)


def test_references_that_vanish_meanwhile_are_told(tmp_path, collection, model, monkeypatch):
    queries = queries_of(model, collection)
    monkeypatch.setattr(Collection, "vectors", lambda self, rows: {})
    with Collection(collection) as opened, pytest.raises(CollectionError, match="removed while they were read"):
        describe_track(tmp_path / "s.h5", queries, opened, folding_for(opened, normalise=False))


# The commands


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def call(*arguments: object) -> tuple[int, str, str]:
        code = main(["challenge", *(str(argument) for argument in arguments)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def test_commands_make_what_validates(run, tmp_path, folder_of_pictures, capsys):
    references, queries = folder_of_pictures(5, "references"), folder_of_pictures(2, "queries", first=2)
    folder, listed = tmp_path / "collection", tmp_path / "manifest.csv"
    assert main(["collection", "create", str(folder)]) == main(["collection", "add", str(folder), str(references)]) == 0
    for name, images in (("r.h5", references), ("q.h5", queries)):
        assert main(["describe", str(images), "-o", str(tmp_path / name)]) == 0
    write_manifest(
        listed,
        [
            ManifestEntry(role, file.stem, f"{role}/{file.name}", 1, "0" * 64)
            for role, images in (("reference", references), ("query", queries))
            for file in sorted(images.iterdir())
        ],
    )
    (tmp_path / "truth.csv").write_text("p002,p002\np003,p003\n")
    capsys.readouterr()
    made = {
        "collection.h5": ("describe", folder, queries),
        "raw.h5": ("describe", folder, tmp_path / "q.h5", "--no-normalisation"),
        "files.h5": ("describe", tmp_path / "r.h5", tmp_path / "q.h5"),
        "fast.csv": ("match", folder, queries, "--fast"),
        "raw.csv": ("match", folder, tmp_path / "q.h5", "--no-normalisation", "--total", 3),
        "full.csv": ("match", folder, queries),
        "example.h5": ("example", listed, "--track", "descriptor", "--dimension", 7),
        "example.csv": ("example", listed),
    }
    for name, command in made.items():
        code, out, err = run(*command, "-o", tmp_path / name, "--json")
        assert code == 0, err
        assert json.loads(out)["queries"] == 2
        code, out, _ = run("validate", tmp_path / name, "--manifest", listed)
        assert code == 0, out
        if not name.startswith("example"):
            _, out, _ = run("score", tmp_path / name, tmp_path / "truth.csv", "--manifest", listed, "--json")
            assert json.loads(out)["recall_at_rank1"] == 1, name
    with h5py.File(tmp_path / "collection.h5") as file:
        assert file["query"].shape == (2, 256)


def test_commands_say_what_is_wrong_with_the_call(run, tmp_path, folder_of_pictures):
    folder = tmp_path / "collection"
    Collection.create(folder).close()
    pictures = folder_of_pictures(1)
    code, _, err = run("match", folder, pictures, "-o", tmp_path / "s.csv", "--no-normalisation")
    assert (code, "is for --fast" in err) == (2, True)
    (tmp_path / "r.h5").write_bytes(b"")
    code, _, err = run("describe", tmp_path / "r.h5", pictures, "-o", tmp_path / "s.h5")
    assert (code, "give one .h5 file of queries, too" in err) == (2, True)
    code, _, err = run("describe", folder, pictures, "-o", tmp_path / "gone" / "s.h5")
    assert (code, "its folder does not exist" in err) == (3, True)


def test_queries_that_cannot_be_read_are_reported(run, tmp_path, folder_of_pictures):
    folder = tmp_path / "collection"
    Collection.create(folder).close()
    pictures = folder_of_pictures(2)
    (pictures / "broken.png").write_bytes(b"no picture")
    code, out, _ = run("match", folder, pictures, "-o", tmp_path / "s.csv", "--fast", "--json")
    assert code == 1
    assert [row["id"] for row in json.loads(out)["skipped"]] == ["broken"]


def test_descriptors_of_another_model_are_refused(run, tmp_path, model):
    folder = tmp_path / "collection"
    Collection.create(folder).close()
    vectors = unit_rows(np.random.default_rng(0), 2, model.dimension)
    write_descriptors(tmp_path / "q.h5", DescriptorSet(("a", "b"), vectors, model.fingerprint))
    for command, output in (("describe", "s.h5"), ("match", "s.csv")):
        code, _, err = run(command, folder, tmp_path / "q.h5", "-o", tmp_path / output)
        assert (code, "another model" in err) == (3, True)


def test_progress_that_has_not_begun_after_a_while_is_no_error(capsys, monkeypatch):
    monkeypatch.setattr("ectype.cli.output._SECONDS_BETWEEN_LINES", 0)
    with progress("matching", 3) as on_progress:
        on_progress(0)
        on_progress(1)
    assert capsys.readouterr().err.startswith("matching: 1 of 3")
