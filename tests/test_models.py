"""`ectype models`: the commands, names wherever a file is, and descriptors larger than the challenge's."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from conftest import draw_picture
from ectype.cli import main
from ectype.collection import Collection
from ectype.descriptors import ModelStore, load_model, read_descriptors
from ectype.descriptors.model import digest_of
from ectype.indexes import ExactIndex, FaissIndex

Pictures = Callable[..., Path]


@pytest.fixture
def run(store: ModelStore, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs the command in this process: exit code, standard output, standard error."""

    def call(*arguments: object) -> tuple[int, str, str]:
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def test_the_life_of_a_model(run, store: ModelStore, tiny: Path, folder_of_pictures: Pictures, tmp_path: Path) -> None:
    code, out, _ = run("models", "add", tiny, "--json")
    assert (code, json.loads(out)["change"]) == (0, "added")
    assert "unchanged" in run("models", "add", tiny)[1]
    rows = json.loads(run("models", "list", "--json")[1])["models"]
    assert [(row["name"], row["dimension"], row["default"]) for row in rows] == [
        ("ectype-lite0", 256, True),
        ("tiny", 512, False),
    ]
    assert rows[1]["bytes"] == tiny.stat().st_size
    assert rows[1]["fingerprint"] == load_model(tiny).fingerprint
    _, table, _ = run("models", "list")
    for words in ("tiny", "16 px", "512", rows[1]["fingerprint"][:12], "0.0 MB", "default"):
        assert words in table
    shown = json.loads(run("models", "info", "tiny", "--json")[1])
    assert shown["file"] == str(store.folder / "tiny" / "model.onnx")
    assert (shown["sound"], shown["licence"], shown["sha256"]) == (True, "CC0-1.0", digest_of(tiny))
    assert json.loads(run("models", "info", tiny, "--json")[1])["file"] == str(tiny)
    told = run("models", "info", "ectype-lite0")[1]
    assert "Apache-2.0" in told
    assert all(line == line.rstrip() for line in told.splitlines())  # the long description pads no other line

    # A collection keeps the model when it is gone from the store.
    pictures = folder_of_pictures(5)
    assert run("collection", "create", tmp_path / "bank", "--model", "tiny")[0] == 0
    assert run("collection", "add", tmp_path / "bank", pictures, "--model", "tiny")[0] == 0
    assert run("describe", pictures, "-o", tmp_path / "q.h5", "--model", "tiny")[0] == 0
    assert run("models", "remove", "tiny")[:2] == (0, "model tiny: removed\n")
    code, _, err = run("match", tmp_path / "bank", pictures)
    assert code == 3 and "no calibration for its model, tiny" in err and "--fast" in err
    for queries in (pictures, tmp_path / "q.h5"):
        code, out, _ = run("match", tmp_path / "bank", queries, "--fast", "--limit", 1, "--json")
        assert code == 0
        matches = json.loads(out)["matches"]
        assert len(matches) == 5
        for match in matches:
            assert match["query_id"] == match["reference_id"]
            assert match["score"] == pytest.approx(1, abs=1e-3)
    assert run("collection", "check", tmp_path / "bank")[0] == 0


def test_a_damaged_model_is_named_and_can_be_taken_away(run, store: ModelStore, tiny: Path) -> None:
    store.add(tiny)
    (store.folder / "tiny" / "model.json").write_text("{")
    code, out, _ = run("models", "list", "--json")
    assert code == 1
    assert [row["name"] for row in json.loads(out)["models"]] == ["ectype-lite0"]
    assert "`ectype models remove tiny` takes" in json.loads(out)["damaged"][0]
    assert "damaged model" in run("models", "list")[1]
    assert run("models", "info", "tiny")[0] == 3
    assert run("models", "remove", "tiny")[0] == 0


def test_a_damaged_file_is_shown_as_such(run, store: ModelStore, tiny: Path) -> None:
    store.add(tiny)
    with open(store.find("tiny").file, "ab") as file:
        file.write(b"more")
    code, out, _ = run("models", "info", "tiny", "--json")
    assert (code, json.loads(out)["sound"]) == (3, False)
    assert "damaged, or another" in run("models", "info", "tiny")[1]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("add", "nothing"), 3, "no published model of this name; there are sscd_disc_mixup"),
        (("add", "{tiny}", "--file", "{tiny}"), 2, "--file is for published models (sscd_disc_mixup)"),
        (("add", "{tiny}", "--card", "{gone}"), 3, "needs its card"),
        (("add", "{torch}"), 2, "`ectype models add sscd_disc_mixup --file"),
        (("add", "sscd_disc_mixup", "--card", "{tiny}"), 2, "leave out --card"),
        (("add", "sscd_disc_mixup", "--file", "{gone}"), 3, "gone: there is no such file"),
        (("add", "sscd_disc_mixup", "--file", "{tiny}"), 3, "but sscd_disc_mixup has 98,791,638"),
        (("info", "nothing"), 3, "no model of this name; there are ectype-lite0 (`ectype models list`)"),
        (("info", "{torch}"), 3, "m.torchscript.json: a model file needs its card"),
        (("remove", "nothing"), 3, "there is no model 'nothing'; there are none"),
        (("remove", "ectype-lite0"), 2, "only models that were added can be removed"),
    ],
)
def test_exit_codes(run, tmp_path: Path, tiny: Path, arguments, code: int, words: str) -> None:
    torch_file = tmp_path / "m.torchscript.pt"
    torch_file.touch()
    places = {"tiny": tiny, "gone": tmp_path / "gone", "torch": torch_file}
    found, out, err = run("models", *(argument.format(**places) for argument in arguments))
    assert found == code, err
    assert words in err + out


def test_names_are_taken_wherever_a_file_is(run, tmp_path: Path, folder_of_pictures: Pictures) -> None:
    for command in (
        ("collection", "create", tmp_path / "c"),
        ("describe", folder_of_pictures(1), "-o", tmp_path / "o"),
    ):
        code, _, err = run(*command, "--model", "nothing")
        assert code == 3
        assert "no model of this name; there are ectype-lite0" in err


# More dimensions than the challenge allows


def test_collections_of_512_dimensions(tmp_path: Path, tiny: Path) -> None:
    rng = np.random.default_rng(0)
    model = load_model(tiny)
    vectors = model.describe([np.asarray(draw_picture(seed)) for seed in range(40)])
    assert vectors.shape == (40, 512)
    queries = vectors[::3] + rng.normal(0, 0.01, (14, 512)).astype(np.float32)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    exact, index = ExactIndex(512), FaissIndex(512)
    for made in (exact, index):
        made.add(np.arange(40), vectors.astype(np.float16).astype(np.float32))
    assert index.search(queries, 5).reference_rows.tolist() == exact.search(queries, 5).reference_rows.tolist()
    with Collection.create(tmp_path / "bank", model) as bank:
        assert bank.meta["dimension"] == "512"
        bank.rebuild()
        assert bank.problems() == []


def test_a_file_of_512_dimensions(run, tmp_path: Path, tiny: Path, folder_of_pictures: Pictures) -> None:
    assert run("describe", folder_of_pictures(3), "-o", tmp_path / "v.h5", "--model", tiny)[0] == 0
    assert read_descriptors(tmp_path / "v.h5").vectors.shape == (3, 512)
