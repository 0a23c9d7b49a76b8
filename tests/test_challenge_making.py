from __future__ import annotations

import csv
import hashlib
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ectype.challenge.making import (
    ADVERSARIAL_ATTACK,
    DataSetPlan,
    MakeReport,
    bundled_attack,
    find_photographs,
    make_dataset,
    read_records,
    steps_of,
)
from ectype.challenge.making.disc21 import disc21_manifest, read_disc21
from ectype.challenge.making.pictures import encode, image_pixels
from ectype.challenge.manifest import read_manifest
from ectype.errors import ChallengeError, MissingPackageError, UsageError
from ectype.evaluation import read_ground_truth
from ectype.images import read_image
from ectype.transformations import Materials
from making_ground import PLAN, contents, draw_photographs, inverting

LISTS = {"manifest.csv", "manifest-phase2.csv", "made.json", "recipes.jsonl", "ground_truth.csv"}


def make(folder: Path, root: Path, plan: DataSetPlan = PLAN, **options: object) -> MakeReport:
    return make_dataset(root, find_photographs([folder]), plan, **{"jobs": 1, **options})


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_photographs(tmp_path_factory.mktemp("photographs"), range(24))


@pytest.fixture(scope="module")
def made(photographs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("made") / "data"
    ticks: list[int] = []
    report = make(photographs, root, on_progress=ticks.append)
    assert sum(ticks) == steps_of(PLAN)
    assert (report.references, report.training, report.skipped, report.repeated) == (9, 4, (), 0)
    assert [(phase.queries, phase.copies) for phase in report.phases] == [(10, 6), (8, 5)]
    return root


def test_a_data_set_has_its_images_in_folders_and_manifests_that_are_true(made: Path) -> None:
    first, second = read_manifest(made / "manifest.csv"), read_manifest(made / "manifest-phase2.csv")
    assert len(first.reference_ids) == 9 and len(first.query_ids) == 10 and len(first.entries) == 23
    assert second.reference_ids == first.reference_ids and len(second.query_ids) == 8 and len(second.entries) == 17
    assert not {*first.query_ids} & {*second.query_ids}
    for entry in (*first.entries, *second.entries):
        content = (made / entry.path).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (entry.bytes, entry.sha256)
    listed = {entry.path for entry in (*first.entries, *second.entries)}
    assert {*contents(made)} == listed | LISTS | {"phase2/recipes.jsonl", "phase2/ground_truth.csv"}


def test_a_data_set_is_read_as_disc21_is(made: Path) -> None:
    for phase, truth, name in ((1, "ground_truth.csv", "manifest.csv"), (2, "phase2/ground_truth.csv", None)):
        data = read_disc21(made, phase=phase)
        expected = read_ground_truth(made / truth)
        assert (data.truth.queries, data.truth.pairs) == (expected.queries, expected.pairs)
        assert disc21_manifest(data).entries == read_manifest(made / (name or "manifest-phase2.csv")).entries


@pytest.mark.parametrize("below", ["", "phase2/"])
def test_every_query_can_be_made_again_from_its_record(photographs: Path, made: Path, below: str) -> None:
    items = {hashlib.sha256(item.read()).hexdigest(): item for item in find_photographs([photographs])}
    training = [read_image(path) for path in sorted((made / "training").iterdir())]
    materials = Materials([lambda picture=picture: picture for picture in training])
    for record in read_records(made / f"{below}recipes.jsonl"):
        pixels = image_pixels(items[record.photograph])
        if record.reference_id:
            assert np.array_equal(pixels, read_image(made / "references" / f"{record.reference_id}.jpg"))
        edited = record.recipe.apply(pixels, materials)
        assert encode(edited.pixels, record.quality) == (made / f"{below}queries/{record.query_id}.jpg").read_bytes()
        assert (record.source_size, record.query_size) == (edited.geometry.source_size, edited.geometry.result_size)
        assert 1 <= len(record.recipe.edits) <= 4
        width, height = record.source_size
        expected = edited.geometry.to_result([(0, 0), (width, 0), (width, height), (0, height)])
        assert np.allclose(record.corners, expected, atol=0.01)


def test_recipes_and_ground_truth_say_the_same_and_distractors_have_sources_of_their_own(made: Path) -> None:
    sources: dict[str, set[str]] = {"copies": set(), "distractors": set()}
    for below in ("", "phase2/"):
        records = list(read_records(made / f"{below}recipes.jsonl"))
        with open(made / f"{below}ground_truth.csv", newline="") as file:
            rows = [tuple(row) for row in csv.reader(file)]
        assert rows == [("query_id", "reference_id"), *((row.query_id, row.reference_id) for row in records)]
        for record in records:
            sources["copies" if record.reference_id else "distractors"].add(record.photograph)
    assert len(sources["distractors"]) == 7 and len(sources["copies"]) == 9
    assert not sources["distractors"] & sources["copies"]


def test_kinds_held_back_are_in_phase_2_alone(made: Path) -> None:
    kinds = [
        {edit.kind for record in read_records(made / f"{below}recipes.jsonl") for edit in record.recipe.edits}
        for below in ("", "phase2/")
    ]
    assert not kinds[0] & {"rotate", "pad_square"}
    assert kinds[1] & {"rotate", "pad_square"}


def test_the_same_arguments_give_the_same_bytes_with_any_number_of_processes(
    photographs: Path, made: Path, tmp_path: Path
) -> None:
    make(photographs, tmp_path / "two", jobs=2)
    one, two = contents(made), contents(tmp_path / "two")
    assert one == two
    elsewhere = draw_photographs(tmp_path / "elsewhere", range(24))
    make(elsewhere, tmp_path / "three")
    assert {name: digest for name, digest in contents(tmp_path / "three").items() if name != "made.json"} == {
        name: digest for name, digest in one.items() if name != "made.json"
    }
    make(photographs, tmp_path / "other", replace(PLAN, seed=2022))
    other = contents(tmp_path / "other")
    assert other["ground_truth.csv"] != one["ground_truth.csv"]
    assert other["references/R000000.jpg"] != one["references/R000000.jpg"]


def test_a_data_set_that_is_whole_is_left_alone_and_reported_again(photographs: Path, made: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in made.rglob("*")}
    report = make(photographs, made)
    assert [(phase.queries, phase.copies) for phase in report.phases] == [(10, 6), (8, 5)]
    assert {path: path.stat().st_mtime_ns for path in made.rglob("*")} == before


def test_other_arguments_are_refused_for_a_data_set_that_is_whole(photographs: Path, made: Path) -> None:
    with pytest.raises(ChallengeError, match=r"was made with other arguments \(copies, seed\)"):
        make(photographs, made, replace(PLAN, seed=1, copies=0.7))


def test_other_arguments_are_refused_for_a_data_set_that_was_begun(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(count: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make(photographs, tmp_path / "data", on_progress=stop)
    draw_photographs(photographs.parent / "more", [77])
    with pytest.raises(ChallengeError, match=r"was begun with other arguments \(photographs\)"):
        make_dataset(tmp_path / "data", find_photographs([photographs, photographs.parent / "more"]), PLAN, jobs=1)
    monkeypatch.setattr("ectype.__version__", "0.0.0")
    with pytest.raises(ChallengeError, match="version of Ectype"):
        make(photographs, tmp_path / "data")
    assert not (tmp_path / "data" / "manifest.csv").exists()


def test_a_folder_that_holds_other_files_is_refused_and_left_as_it_is(photographs: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match="holds other files; choose a new folder"):
        make(photographs, tmp_path)
    assert contents(tmp_path).keys() == {"thesis.txt"} and not (tmp_path / ".making").exists()


@pytest.mark.parametrize("content", ["nothing", "[]", "{}", '{"arguments": {}, "report": {"references": 1}}'])
def test_a_damaged_memory_of_what_was_made_is_told(photographs: Path, made: Path, tmp_path: Path, content: str) -> None:
    shutil.copytree(made, tmp_path / "data")
    (tmp_path / "data" / "made.json").write_text(content)
    with pytest.raises(
        ChallengeError, match=r"made\.json: can't be read: .*; make the data set again, in a new folder"
    ):
        make(photographs, tmp_path / "data")


@pytest.mark.parametrize("content", ["nothing", "[1]", '[{"id": 1}]'])
def test_a_damaged_memory_of_a_shard_is_told(photographs: Path, tmp_path: Path, content: str) -> None:
    def stop(count: int) -> None:
        if len(list((tmp_path / "data").rglob("*.jpg"))) > 9:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make(photographs, tmp_path / "data", on_progress=stop)
    (tmp_path / "data" / ".making" / "references-000000000.json").write_text(content)
    with pytest.raises(ChallengeError, match=r"references-000000000\.json: can't be read"):
        make(photographs, tmp_path / "data")


def test_photographs_that_cannot_be_read_or_repeat_are_replaced(photographs: Path, tmp_path: Path) -> None:
    folder = tmp_path / "photographs"
    draw_photographs(folder, range(20))
    for number in range(20):  # so that some are met before there are enough
        (folder / f"again{number}.png").write_bytes((folder / "p003.png").read_bytes())
        (folder / f"broken{number}.jpg").write_bytes(b"\xff\xd8\xff\xe0 no more")
    report = make(folder, tmp_path / "data")
    assert report.repeated > 0 and report.skipped
    assert {row.id[:6] for row in report.skipped} == {"broken"} and {row.code for row in report.skipped} == {
        "truncated"
    }
    images = [path.read_bytes() for part in ("references", "training") for path in (tmp_path / "data" / part).iterdir()]
    assert len({*images}) == len(images) == 13
    assert make(folder, tmp_path / "data") == report


def test_too_few_photographs_are_counted_by_what_they_are_needed_for(photographs: Path, tmp_path: Path) -> None:
    needed = (
        "20 are needed, 9 for references, 4 for training, 4 for distractors of phase 1, 3 for distractors of phase 2"
    )
    few = draw_photographs(tmp_path / "few", range(19))
    with pytest.raises(ChallengeError, match=f"^19 photographs are too few: {needed}"):
        make(few, tmp_path / "data")
    assert not (tmp_path / "data").exists()
    (few / "empty.jpg").write_bytes(b"")
    (few / "again.png").write_bytes((few / "p000.png").read_bytes())
    with pytest.raises(ChallengeError, match=f"21 photographs, 1 of them repeated and 1 unreadable, are too.*{needed}"):
        make(few, tmp_path / "data")


def test_a_photograph_that_goes_while_the_data_set_is_made_is_named(tmp_path: Path) -> None:
    folder = draw_photographs(tmp_path / "photographs", range(20))

    def remove(count: int) -> None:
        if len(seen) == 20:
            (folder / "p007.png").unlink(missing_ok=True)
        seen.append(count)

    seen: list[int] = []
    with pytest.raises(ChallengeError, match=r"p007\.png: could be read at first, and now can't"):
        make(folder, tmp_path / "data", on_progress=remove)


def test_adversarial_attacks_are_left_out_where_nothing_can_attack(photographs: Path, tmp_path: Path) -> None:
    plan = replace(PLAN, kinds={**PLAN.kinds, ADVERSARIAL_ATTACK: 1000})
    report = make(photographs, tmp_path / "without", plan)
    assert report.left_out == (ADVERSARIAL_ATTACK,)
    assert all(record.attack is None for record in read_records(tmp_path / "without" / "recipes.jsonl"))
    with pytest.raises(UsageError, match="can't be held back"):
        make(photographs, tmp_path / "held", replace(plan, held_back=(ADVERSARIAL_ATTACK,)))
    with pytest.raises(UsageError, match="no kind of edit is left to draw"):
        make(photographs, tmp_path / "nothing", replace(PLAN, kinds={ADVERSARIAL_ATTACK: 1}, held_back=()))


def test_adversarial_attacks_come_last_and_are_recorded(photographs: Path, tmp_path: Path) -> None:
    plan = replace(PLAN, kinds={"hflip": 1, "brightness": 1, ADVERSARIAL_ATTACK: 1}, held_back=())
    report = make(photographs, tmp_path / "with", plan, attack=inverting)
    assert report.left_out == () and report.phases[0].kinds[ADVERSARIAL_ATTACK] > 0
    for record in read_records(tmp_path / "with" / "recipes.jsonl"):
        if record.attack is not None and record.reference_id:
            pixels = read_image(tmp_path / "with" / "references" / f"{record.reference_id}.jpg")
            expected = encode(255 - record.recipe.apply(pixels).pixels, record.quality)
            assert (tmp_path / "with" / "queries" / f"{record.query_id}.jpg").read_bytes() == expected
    with pytest.raises(ChallengeError, match=r"other arguments \(attack, kinds\)"):
        make(photographs, tmp_path / "with", plan)


def test_the_bundled_attack_says_which_package_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}", name="torch")

    monkeypatch.setattr("ectype.challenge.making.attack.import_module", absent)
    with pytest.raises(MissingPackageError, match=r"the package torch: pip install 'ectype\[training\]'"):
        bundled_attack()


def test_references_are_no_larger_than_1024_pixels_and_carry_nothing_of_their_files(tmp_path: Path) -> None:
    folder = tmp_path / "photographs"
    folder.mkdir()
    for number in range(4):
        exif = Image.Exif()
        exif[0x010E] = "a secret description"
        noise = np.random.default_rng(number).integers(0, 256, (30, 40, 3), dtype=np.uint8)
        Image.fromarray(noise).resize((1500, 600)).save(folder / f"{number}.jpg", exif=exif)
    make(folder, tmp_path / "data", DataSetPlan(3, 1, 0, 1, 0.0, {"hflip": 1}))
    for path in (tmp_path / "data" / "references").iterdir():
        with Image.open(path) as image:
            assert image.size == (1024, 410) and not image.getexif()
        assert b"secret" not in path.read_bytes()


@pytest.mark.parametrize(("copies", "distractors"), [(0.0, 6), (1.0, 0)])
def test_all_queries_may_be_copies_or_distractors_with_no_training_images(
    photographs: Path, tmp_path: Path, copies: float, distractors: int
) -> None:
    make(photographs, tmp_path / "data", DataSetPlan(3, 6, 0, 1, copies, {"overlay_onto_image": 1}))
    truth = read_ground_truth(tmp_path / "data" / "ground_truth.csv")
    assert len(truth.queries) - len(truth.pairs) == distractors
    assert not any((tmp_path / "data" / "training").iterdir())


def test_photographs_may_have_one_name_in_several_folders(
    folder_of_pictures: Callable[..., Path], tmp_path: Path
) -> None:
    first, second = folder_of_pictures(2, "first"), folder_of_pictures(2, "second", first=0)
    assert len(find_photographs([first, second, first])) == 4
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="no photographs found"):
        find_photographs([tmp_path / "empty"])


def test_jobs_must_be_at_least_one(photographs: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="jobs must be 1 or more, not 0"):
        make(photographs, tmp_path / "data", jobs=0)
