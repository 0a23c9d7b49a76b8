from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from conftest import draw_picture
from ectype.cli import main
from ectype.descriptors import write_descriptors
from ectype.types import DescriptorSet
from stored_pictures import flip_last_byte

Pictures = Callable[..., Path]
INSTALLED = str(Path(sys.executable).with_name("ectype"))  # the environment need not be active


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs the command in this process: exit code, standard output, standard error."""

    def call(*arguments: object) -> tuple[int, str, str]:
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture
def collection(run, tmp_path: Path, folder_of_pictures: Pictures) -> Path:
    folder = tmp_path / "collection"
    assert run("collection", "create", folder)[0] == 0
    assert run("collection", "add", folder, folder_of_pictures(6, "references"))[0] == 0
    return folder


def test_the_main_job(run, tmp_path, collection, folder_of_pictures) -> None:
    queries = folder_of_pictures(3, "queries", first=2)
    draw_picture(77).save(queries / "stranger.png")
    code, out, _ = run("match", collection, queries, "-o", tmp_path / "m.csv", "--fast")
    assert code == 0
    assert "m.csv" in out
    with open(tmp_path / "m.csv", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["query_id", "reference_id", "score"]
    assert [row[0] for row in rows[1:4]] == [row[1] for row in rows[1:4]]
    (tmp_path / "truth.csv").write_text("query_id,reference_id\np002,p002\np003,p003\np004,p004\nstranger,\n")
    code, out, _ = run("evaluate", tmp_path / "m.csv", tmp_path / "truth.csv", "--json", "--plot", tmp_path / "c.png")
    assert code == 0
    assert json.loads(out) == {
        "micro_average_precision": 1.0,
        "recall_at_p90": 1.0,
        "threshold_at_p90": pytest.approx(1, abs=1e-3),
        "recall_at_rank1": 1.0,
        "recall_at_rank10": 1.0,
        "queries": 4,
        "copies": 3,
        "matches": 24,
        "dropped": 0,
    }
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")
    code, out, _ = run("evaluate", tmp_path / "m.csv", tmp_path / "truth.csv")
    assert "micro-average precision    1.0000" in out


def test_matches_in_every_format(run, tmp_path, collection, folder_of_pictures) -> None:
    queries = folder_of_pictures(2, "queries")
    outputs = [tmp_path / f"m.{suffix}" for suffix in ("csv", "json", "html")]
    arguments = [part for path in outputs for part in ("-o", path)]
    code, out, _ = run("match", collection, queries, *arguments, "--limit", 2, "--total", 3, "--json")
    assert code == 0
    printed = json.loads(out)
    assert printed == json.loads(outputs[1].read_text())
    assert len(printed["matches"]) == 3
    assert set(printed["matches"][0]) == {
        "query_id",
        "reference_id",
        "score",
        "decision",
        "evidence",
        "query_location",
        "reference_location",
    }
    assert len(outputs[0].read_text().splitlines()) == 4
    assert outputs[2].read_text().count("data:image/jpeg") == 4


def test_descriptors_match_as_their_images_do(run, tmp_path, collection, folder_of_pictures) -> None:
    queries = folder_of_pictures(2, "queries")
    assert run("describe", queries, "-o", tmp_path / "q.h5")[0] == 0
    by_images, by_descriptors = (
        json.loads(run("match", collection, source, "--fast", "--json")[1])["matches"]
        for source in (queries, tmp_path / "q.h5")
    )
    for one, other in zip(by_images, by_descriptors, strict=True):
        assert one | {"query_location": ""} == other
    write_descriptors(tmp_path / "q.h5", DescriptorSet(("a",), np.eye(1, 256, dtype=np.float32), "another"))
    code, _, err = run("match", collection, tmp_path / "q.h5")
    assert code == 3
    assert "described by another model" in err


def test_matches_are_printed_without_an_output(run, collection, folder_of_pictures) -> None:
    code, out, _ = run("match", collection, folder_of_pictures(1, "queries"))
    assert code == 0
    assert "p000" in out
    assert "1.0000" in out or "0.99" in out


def test_an_unknown_extension_is_wrong_usage_before_any_work(run, collection, folder_of_pictures) -> None:
    code, _, err = run("match", collection, folder_of_pictures(1, "queries"), "-o", "m.xlsx")
    assert code == 2
    assert "m.xlsx: matches are written as .csv, .json, .html" in err


def test_descriptors_are_written(run, tmp_path, folder_of_pictures) -> None:
    code, out, _ = run("describe", folder_of_pictures(3), "-o", tmp_path / "v.h5", "--json")
    assert code == 0
    assert json.loads(out)["described"] == 3
    with h5py.File(tmp_path / "v.h5") as file:
        assert file["vectors"].dtype == np.float32
        assert file["vectors"].shape == (3, 256)
        assert np.allclose(np.linalg.norm(file["vectors"][:], axis=1), 1, atol=1e-5)
        assert file["image_names"][:].tolist() == [b"p000", b"p001", b"p002"]


def test_skipped_files_are_listed_with_reasons_and_give_exit_code_1(run, collection, folder_of_pictures) -> None:
    folder = folder_of_pictures(1, "more", first=50)
    (folder / "empty.jpg").touch()
    (folder / "text.png").write_text("hello")
    code, out, _ = run("collection", "add", collection, folder)
    assert code == 1
    for words in ("empty.jpg", "the file has no bytes", "text.png", "not-an-image"):
        assert words in out
    code, out, _ = run("collection", "add", collection, folder, "--json")
    assert code == 1
    printed = json.loads(out)
    assert (printed["added"], printed["unchanged"], printed["images"]) == (0, 1, 7)
    assert {row["code"] for row in printed["skipped"]} == {"empty", "not-an-image"}


def test_adding_again_changes_nothing(run, tmp_path, collection) -> None:
    code, out, _ = run("collection", "add", collection, tmp_path / "references", "--json")
    assert code == 0
    assert json.loads(out) == {"added": 0, "unchanged": 6, "replaced": 0, "images": 6, "skipped": []}


def test_an_id_that_is_taken_is_an_error_that_names_both(run, tmp_path, collection, folder_of_pictures) -> None:
    other = folder_of_pictures(0, "other")
    draw_picture(99).save(other / "p001.png")
    code, _, err = run("collection", "add", collection, other)
    assert code == 3
    assert str(other / "p001.png") in err
    assert str(tmp_path / "references" / "p001.png") in err
    code, out, _ = run("collection", "add", collection, other, "--replace", "--json")
    assert (code, json.loads(out)["replaced"]) == (0, 1)
    both = run("describe", other, tmp_path / "references", "-o", tmp_path / "v.h5")
    assert both[0] == 3
    assert "two images have the id 'p001'" in both[2]


def test_removing(run, tmp_path, collection) -> None:
    code, out, _ = run("collection", "remove", collection, "p000", tmp_path / "references" / "p001.png", "--json")
    assert (code, json.loads(out)) == (0, {"removed": 2, "images": 4, "unknown": []})
    code, out, _ = run("collection", "remove", collection, "p000", "p002")
    assert code == 1
    assert "p000" in out
    assert (tmp_path / "references" / "p001.png").exists()


def test_listing(run, collection) -> None:
    code, out, _ = run("collection", "list", collection)
    assert code == 0
    assert out.splitlines()[0].split("\t")[0] == "p000"
    code, out, _ = run("collection", "list", collection, "--json")
    first = json.loads(out)[0]
    assert first["id"] == "p000"
    assert len(first["sha256"]) == 64


def test_metadata_and_urls_of_a_list_are_kept(run, tmp_path, collection) -> None:
    draw_picture(60).save(tmp_path / "x.png")
    entry = {"path": "x.png", "id": "sunset", "url": "https://example.org/x", "licence": {"name": "CC0"}}
    (tmp_path / "more.jsonl").write_text(json.dumps(entry))
    assert run("collection", "add", collection, tmp_path / "more.jsonl")[0] == 0
    listed = json.loads(run("collection", "list", collection, "--json")[1])[-1]
    assert (listed["id"], listed["location"]) == ("sunset", "https://example.org/x")
    assert listed["metadata"] == {"licence": {"name": "CC0"}}


def test_info_and_check_and_rebuild(run, collection) -> None:
    code, out, _ = run("collection", "info", collection, "--json")
    assert code == 0
    assert json.loads(out)["images"] == 6
    assert "ectype-lite0" in run("collection", "info", collection)[1]
    assert run("collection", "check", collection)[:2] == (0, f"{collection}: sound, 6 images\n")
    assert run("collection", "rebuild", collection)[0] == 0
    (vectors,) = (collection / "index").glob("vectors-*.npy")
    flip_last_byte(vectors)
    code, out, _ = run("collection", "check", collection, "--json")
    assert code == 3
    assert "rebuild" in json.loads(out)["problems"][0]
    assert run("collection", "rebuild", collection)[0] == 0
    assert run("collection", "check", collection)[0] == 0


def test_images_from_tar_lists_and_standard_input(run, tmp_path, collection, monkeypatch, folder_of_pictures) -> None:
    folder = folder_of_pictures(3, "more", first=20)
    with tarfile.open(tmp_path / "shard.tar", "w") as archive:
        archive.add(folder / "p020.png", "inside/p020.png")
    (tmp_path / "list.txt").write_text("more/p021.png\tgiven\n")
    code, out, _ = run("collection", "add", collection, tmp_path / "shard.tar", tmp_path / "list.txt", "--json")
    assert (code, json.loads(out)["added"]) == (0, 2)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO((folder / "p020.png").read_bytes())))
    code, out, _ = run("match", collection, "-", "--limit", 1, "--json")
    assert (code, json.loads(out)["matches"][0]["reference_id"]) == (0, "p020")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((), 2, "Usage: ectype"),
        (("frobnicate",), 2, "No such command"),
        (("match",), 2, "Missing argument"),
        (("match", "{gone}", "{pictures}"), 2, "there is no such collection"),
        (("match", "{empty}", "{pictures}"), 3, "not a collection"),
        (("match", "{collection}", "{gone}"), 2, "there is no such file or folder"),
        (("match", "{collection}", "{empty}"), 3, "no images in"),
        (("match", "{collection}", "{pictures}", "-o", "{gone}/m.csv"), 3, "its folder does not exist"),
        (("match", "{collection}", "{pictures}", "--limit", "0"), 2, "--limit"),
        (("match", "{collection}", "{pictures}", "--total", "500001"), 2, "--total"),
        (("match", "{collection}", "{pictures}", "--model", "{gone}"), 3, "there is no such model file"),
        (("collection", "create", "{collection}"), 3, "is a collection already"),
        (("collection", "create", "{pictures}"), 3, "holds other files"),
        (("collection", "add", "{collection}"), 2, "Missing argument"),
        (("collection", "check", "{gone}"), 2, "there is no such collection"),
        (("describe", "{pictures}", "-o", "{gone}/v.h5"), 3, "its folder does not exist"),
        (("evaluate", "{gone}", "{gone}"), 2, "does not exist"),
        (("demo", "--images", "{empty}", "--out", "{gone}"), 3, "no images in"),
    ],
)
def test_exit_codes(run, tmp_path, collection, folder_of_pictures, arguments, code, words) -> None:
    (tmp_path / "empty").mkdir()
    places = {
        "gone": tmp_path / "gone",
        "empty": tmp_path / "empty",
        "collection": collection,
        "pictures": folder_of_pictures(1, "some"),
    }
    found, out, err = run(*(argument.format(**places) for argument in arguments))
    assert found == code, err
    assert words in err + out
    assert "Traceback" not in err


def test_bad_tables_are_invalid_data(run, tmp_path) -> None:
    (tmp_path / "m.csv").write_text("a,b,nan\n")
    (tmp_path / "t.csv").write_text("a,b\n")
    code, out, err = run("evaluate", tmp_path / "m.csv", tmp_path / "t.csv", "--json")
    assert (code, out) == (3, "")
    assert "line 1: the score 'nan'" in err


def test_known_ids_can_be_given(run, tmp_path) -> None:
    (tmp_path / "m.csv").write_text("a,b,1\n")
    (tmp_path / "t.csv").write_text("a,b\n")
    (tmp_path / "ids.txt").write_text("c\n")
    code, _, err = run("evaluate", tmp_path / "m.csv", tmp_path / "t.csv", "--references", tmp_path / "ids.txt")
    assert code == 3
    assert "reference ids are unknown, such as b" in err


def test_the_demonstration_on_a_folder(run, tmp_path, folder_of_pictures) -> None:
    out = tmp_path / "demo"
    pictures = folder_of_pictures(8)
    code, printed, _ = run("demo", "--images", pictures, "--out", out, "--json")
    assert code == 0
    assert 0 <= json.loads(printed)["micro_average_precision"] <= 1
    assert sum(edit["copies"] for edit in json.loads(printed)["by_edit"].values()) == 84
    for name in ("report.html", "matches.csv", "ground_truth.csv", "curve.png"):
        assert (out / name).stat().st_size > 100
    code, printed, _ = run("demo", "--images", pictures, "--out", out)
    assert code == 0
    assert "found at rank 1" in printed
    code, _, err = run("demo", "--images", pictures, "--out", pictures)
    assert code == 3
    assert "holds other files" in err


def test_the_installed_command_and_the_module_are_the_same() -> None:
    for command in ([INSTALLED], [sys.executable, "-m", "ectype"]):
        done = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
        assert done.stdout.startswith("ectype, version")


def test_json_is_all_that_is_on_standard_output(tmp_path, folder_of_pictures) -> None:
    command = [INSTALLED, "describe", str(folder_of_pictures(2)), "-o", str(tmp_path / "v.h5"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["described"] == 2
    assert done.stderr == ""
