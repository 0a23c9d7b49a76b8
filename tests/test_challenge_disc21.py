from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from ectype.challenge.making.disc21 import disc21_manifest, read_disc21, write_disc21_manifest
from ectype.challenge.making.disc21_names import find_places
from ectype.challenge.manifest import read_manifest
from ectype.errors import ChallengeError, EvaluationError


def write(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(path.encode())


def ids(items: object) -> list[str]:
    return [item.id for item in items]


@pytest.fixture
def official(tmp_path: Path) -> Path:
    """As the data set is handed out now, shortened."""
    write(tmp_path, *(f"references_{part}/R00000{number}.jpg" for part, number in ((0, 1), (0, 0), (1, 2), (1, 3))))
    write(tmp_path, "train_0/T000000.jpg", "train_1/T000001.jpg")
    write(tmp_path, "dev_queries_50k_0/Q00000.jpg", "dev_queries_50k_0/Q00001.jpg", "dev_queries_50k_0/Q00002.jpg")
    write(tmp_path, "test_queries_50k_0/Q50000.jpg", "test_queries_50k_0/Q50001.jpg")
    write(tmp_path, "references_0/.DS_Store", "references_0/readme.txt", "disc21_yfcc_attributions.csv")
    (tmp_path / "dev_queries_groundtruth.csv").write_text("Q00000,R000002\nQ00002,\n")
    (tmp_path / "test_queries_groundtruth.csv").write_text("query_id,reference_id\nQ50001,R000000\n")
    return tmp_path


def test_the_official_layout_is_read_as_it_is(official: Path) -> None:
    data = read_disc21(official)
    assert ids(data.references) == ["R000000", "R000001", "R000002", "R000003"]
    assert ids(data.queries) == ["Q00000", "Q00001", "Q00002"]
    assert ids(data.training) == ["T000000", "T000001"]
    assert len(data) == 9 and data.unlisted == 0
    assert data.references[2].read() == b"references_1/R000002.jpg"
    assert data.truth.pairs == {("Q00000", "R000002")}
    assert data.truth.queries == {"Q00000", "Q00002"}  # the labels of the others are not given


def test_the_second_phase_has_its_own_queries_and_labels_and_no_training_images(official: Path) -> None:
    data = read_disc21(official, phase=2)
    assert ids(data.queries) == ["Q50000", "Q50001"] and data.training == ()
    assert data.truth.pairs == {("Q50001", "R000000")}
    assert data.truth.queries == {"Q50000", "Q50001"}  # no distractor is named, so all others are distractors
    (official / "test_queries_groundtruth.csv").unlink()
    (official / "ground_truth.csv").write_text("Q00000,R000002\n")
    assert read_disc21(official, phase=2).truth is None


def test_the_layout_of_the_challenge_s_own_scripts_is_read(tmp_path: Path) -> None:
    write(tmp_path, *(f"images/references/R00000{number}.jpg" for number in range(4)))
    write(tmp_path, *(f"images/queries/Q0000{number}.jpg" for number in range(4)), "images/train/T000000.jpg")
    lists = tmp_path / "list_files"
    lists.mkdir()
    (lists / "references").write_text("R000003\nR000001\n\n")
    (lists / "dev_queries").write_text("\ufeffQ00000\r\nQ00001.jpg\r\nQ00002\r\n")
    (lists / "dev_queries_25k").write_text("Q00001\n")
    (lists / "subset_1_queries").write_text("Q99999\n")
    (lists / "public_ground_truth.csv").write_text("query_id,reference_id\nQ00001,R000003\nQ00002,\n")
    data = read_disc21(tmp_path)
    assert ids(data.references) == ["R000001", "R000003"]
    assert ids(data.queries) == ["Q00000", "Q00001", "Q00002"]
    assert ids(data.training) == ["T000000"]
    assert data.unlisted == 3
    assert data.truth.queries == {"Q00001", "Q00002"}


@pytest.mark.parametrize(
    ("path", "role", "phase"),
    [
        ("references", "reference", None),
        ("refs", "reference", None),
        ("Reference.part07", "reference", None),
        ("references-part-3", "reference", None),
        ("train_1M_0", "training", None),
        ("training", "training", None),
        ("dev_queries_50k_0", "query", 1),
        ("queries_test", "query", 2),
        ("final_queries", "query", 2),
        ("phase2/queries", "query", 2),
        ("query_3", "query", None),
    ],
)
def test_names_of_folders_are_understood(tmp_path: Path, path: str, role: str, phase: int | None) -> None:
    (tmp_path / path).mkdir(parents=True)
    (place,) = find_places(tmp_path)
    assert (place.path, place.content, place.role, place.phase) == (tmp_path / path, "images", role, phase)


@pytest.mark.parametrize(
    "path", ["preferences", "references_old", "other/deep/down/below/references", ".references", "subset_1_queries"]
)
def test_other_names_are_not(tmp_path: Path, path: str) -> None:
    (tmp_path / path).mkdir(parents=True)
    assert find_places(tmp_path) == []


def test_a_manifest_has_the_size_and_digest_of_every_image(official: Path) -> None:
    ticks: list[int] = []
    path = write_disc21_manifest(read_disc21(official), ticks.append)
    manifest = read_manifest(path)
    assert path == official / "manifest.csv" and sum(ticks) == 9
    assert manifest.entries == disc21_manifest(read_disc21(official)).entries
    assert [entry.role for entry in manifest.entries] == ["reference"] * 4 + ["query"] * 3 + ["training"] * 2
    for entry in manifest.entries:
        assert (entry.bytes, entry.sha256) == (len(entry.path), hashlib.sha256(entry.path.encode()).hexdigest())
    assert write_disc21_manifest(read_disc21(official, phase=2)).name == "manifest-phase2.csv"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "list_files/references",
            "R000000\nR7\nR8\nR9\nR10\n",
            r"references: lists reference images that have no file here, 4 in all: R10, R7, R8 …; complete the folder",
        ),
        ("list_files/dev_queries.txt", "Q7\n", r"dev_queries\.txt: lists query images that have no file here, 1 in"),
        ("dev_queries_groundtruth.csv", "Q7,R000000\n", "labels queries that have no file here, 1 in all: Q7;"),
        ("dev_queries_groundtruth.csv", "Q00000,R7\n", "names references that have no file here, 1 in all: R7;"),
        ("references_1/R000000.png", "", "the id R000000 is there twice: .*; remove one"),
    ],
)
def test_what_does_not_fit_is_told(official: Path, name: str, content: str, message: str) -> None:
    write(official, name)
    (official / name).write_text(content)
    with pytest.raises(ChallengeError, match=message):
        read_disc21(official)


def test_what_can_not_be_read_is_told(official: Path, tmp_path: Path) -> None:
    with pytest.raises(ChallengeError, match="absent: there is no such folder"):
        read_disc21(tmp_path / "absent")
    (official / "dev_queries_groundtruth.csv").write_text("Q00000;R000002\n")
    with pytest.raises(EvaluationError, match="line 1: must be query_id,reference_id"):
        read_disc21(official)
    (official / "references").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(ChallengeError, match="references: a list of ids must be UTF-8 text"):
        read_disc21(official)


def test_folders_without_images_are_told(tmp_path: Path) -> None:
    with pytest.raises(ChallengeError, match=r"no reference images of phase 1; .*such as references/, so unpack"):
        read_disc21(tmp_path)
    write(tmp_path, "references/R0.jpg", "references_0.zip")
    with pytest.raises(ChallengeError, match=r"no query images of phase 2; .*such as queries/, so unpack"):
        read_disc21(tmp_path, phase=2)
    write(tmp_path, "queries/Q0.jpg")
    data = read_disc21(tmp_path)
    assert (data.training, data.truth) == ((), None)
    (tmp_path / "references" / "R0.jpg").unlink()
    with pytest.raises(ChallengeError, match=r"R0\.jpg: there is no such file"):
        disc21_manifest(data)
