"""Models by name: the store, the commands, and descriptors larger than the challenge's."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest

from conftest import draw_picture
from ectype.cli import main
from ectype.collection import Collection
from ectype.descriptors import ModelStore, list_models, load_model, model_store, read_card, read_descriptors
from ectype.descriptors.download import download
from ectype.descriptors.model import digest_of
from ectype.descriptors.published import PUBLISHED, SSCD_DISC_MIXUP, add_published, check_published
from ectype.errors import DownloadError, MissingPackageError, ModelError, StorageError, UsageError
from ectype.indexes import ExactIndex, FaissIndex
from tiny_onnx import write_tiny_model

Pictures = Callable[..., Path]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelStore:
    """The user's store, which is not there yet."""
    monkeypatch.setenv("ECTYPE_MODELS", str(tmp_path / "store"))
    return ModelStore()


@pytest.fixture
def run(store: ModelStore, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs the command in this process: exit code, standard output, standard error."""

    def call(*arguments: object) -> tuple[int, str, str]:
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return write_tiny_model(tmp_path / "files")


def changed_card(file: Path, **changes: object) -> Path:
    """Another card of a model file."""
    other = file.with_name("other.json")
    other.write_text(json.dumps(json.loads(file.with_suffix(".json").read_text()) | changes))
    return other


def content(store: ModelStore) -> dict[str, bytes]:
    """Everything in the store but its lock."""
    files = (path for path in store.folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(store.folder)): path.read_bytes() for path in files}


# The store


def test_a_stored_model_is_found_by_its_name(store: ModelStore, tiny: Path) -> None:
    addition = store.add(tiny)
    assert addition.change == "added"
    assert content(store) == {
        "tiny/model.onnx": tiny.read_bytes(),
        "tiny/model.json": read_card(tiny.with_suffix(".json")).to_json().encode(),
    }
    assert load_model("tiny").fingerprint == load_model(tiny).fingerprint
    assert load_model("ectype-lite0").fingerprint == load_model().fingerprint
    assert [model.name for model in list_models()] == ["ectype-lite0", "tiny"]
    assert [model.bundled for model in list_models()] == [True, False]
    with pytest.raises(ModelError, match=r"no model of this name; there are ectype-lite0, tiny"):
        load_model("large")


def test_a_path_that_exists_wins(store: ModelStore, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store.add(tiny)
    monkeypatch.chdir(tiny.parent)
    shutil.copytree(store.folder / "tiny", "tiny")
    changed_card(Path("tiny/model.onnx"), input_size=16, resize="centre").rename("tiny/model.json")
    assert load_model("tiny").card.resize == "centre"
    assert load_model("tiny", store=store).card.resize == "centre"
    shutil.rmtree("tiny")
    assert load_model("tiny").card.resize == "square"


def test_stores_can_be_given(store: ModelStore, tiny: Path, tmp_path: Path) -> None:
    other = ModelStore(tmp_path / "elsewhere")
    other.add(tiny)
    assert (store.names(), other.names()) == ([], ["tiny"])
    assert load_model("tiny", store=other).name == "tiny"
    assert not store.folder.exists()


def test_adding_again_changes_nothing(store: ModelStore, tiny: Path) -> None:
    store.add(tiny)
    before = store.find("tiny").file.stat()
    assert store.add(tiny).change == "unchanged"
    assert store.find("tiny").file.stat() == before
    store.find("tiny").file.write_bytes(b"damaged")
    assert store.add(tiny).change == "replaced"
    assert store.find("tiny").is_sound()


def test_a_name_that_is_taken_is_given_up_only_when_asked(store: ModelStore, tiny: Path, tmp_path: Path) -> None:
    store.add(tiny)
    before = content(store)
    other = write_tiny_model(tmp_path / "others", seed=1)
    with pytest.raises(ModelError, match=r"there is another model 'tiny'.*--replace"):
        store.add(other)
    assert content(store) == before
    assert store.add(other, replace=True).change == "replaced"
    assert content(store) != before
    assert load_model("tiny").fingerprint == load_model(other).fingerprint


def test_removing(store: ModelStore, tiny: Path) -> None:
    store.add(tiny)
    store.remove("tiny")
    assert content(store) == {}
    with pytest.raises(ModelError, match=r"no model 'tiny'; there are none"):
        store.remove("tiny")
    with pytest.raises(UsageError, match="comes with Ectype"):
        store.remove("ectype-lite0")


@pytest.mark.parametrize("name", ["../up", "", ".hidden", "a/b", "a b", "ß", "x" * 101, "a\0b"])
def test_names_that_are_no_folder_names_are_refused(store: ModelStore, tiny: Path, name: str) -> None:
    with pytest.raises(ModelError, match=r"other\.json: the name .* can't be a folder's"):
        store.add(tiny, changed_card(tiny, name=name))
    with pytest.raises(ModelError, match=r"no such model file|can't be read"):
        load_model(name or "none")
    assert not store.folder.exists()


def test_the_bundled_name_is_taken(store: ModelStore, tiny: Path) -> None:
    with pytest.raises(ModelError, match="the name of the model that comes with Ectype"):
        store.add(tiny, changed_card(tiny, name="ectype-lite0"))


def test_files_that_do_not_fit_are_refused(store: ModelStore, tiny: Path) -> None:
    with pytest.raises(ModelError, match=r"gone\.onnx: there is no such model file"):
        store.add(tiny.with_name("gone.onnx"))
    with pytest.raises(ModelError, match=r"gone\.json: a model file needs its card"):
        store.add(tiny, tiny.with_name("gone.json"))
    with pytest.raises(ModelError, match=r"tiny\.onnx: its sha256 is .*the card is another's"):
        store.add(tiny, changed_card(tiny, sha256="0" * 64))
    with pytest.raises(ModelError, match=r"gives \(1, 512\) where its card promises \(1, 500\)"):
        store.add(tiny, changed_card(tiny, dimension=500))
    text = tiny.with_name("text.onnx")
    text.write_text("nothing of the kind")
    with pytest.raises(ModelError, match=r"text\.onnx"):
        store.add(text, changed_card(tiny, sha256=digest_of(text)))
    assert not store.folder.exists()


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


def test_one_process_at_a_time_changes_the_store(store: ModelStore, tiny: Path) -> None:
    store.folder.mkdir()
    with open(store.folder / ".lock", "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(StorageError, match="another process is changing the models; try again"):
            store.add(tiny)
    store.add(tiny)


def test_a_place_that_can_not_be_written_is_named(tmp_path: Path, tiny: Path) -> None:
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(StorageError, match=rf"^{place}: .*(Not a directory|choose another place)"):
            ModelStore(place).add(tiny)
    with pytest.raises(StorageError, match=r"^/proc/models: can't be written: its folder does not exist|permission"):
        ModelStore("/proc/models").add(tiny)


def test_a_full_disk_loses_nothing(
    store: ModelStore, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.add(tiny)
    before = content(store)

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    other = write_tiny_model(tmp_path / "others", seed=1)
    for name in ("copyfile", "rename"):
        with monkeypatch.context() as patches:
            patches.setattr(shutil if name == "copyfile" else os, name, refuse)
            with pytest.raises(StorageError, match=rf"^{store.folder}: can't be written: the disk is full"):
                store.add(other, replace=True)
        assert content(store) == before
    calls = []

    def refuse_the_second(old: Path, new: Path, rename: Callable[..., None] = os.rename) -> None:
        calls.append(new)
        if len(calls) == 2:
            refuse()
        rename(old, new)

    monkeypatch.setattr(model_store.os, "rename", refuse_the_second)
    with pytest.raises(StorageError, match="the disk is full"):
        store.add(other, replace=True)
    assert content(store) == before


def test_the_place_of_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECTYPE_MODELS", "/somewhere")
    assert ModelStore().folder == Path("/somewhere")
    monkeypatch.delenv("ECTYPE_MODELS")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert ModelStore().folder == tmp_path / "ectype" / "models"
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for unusable in ("relative", ""):
        monkeypatch.setenv("XDG_DATA_HOME", unusable)
        assert ModelStore().folder == tmp_path / "home" / ".local/share/ectype/models"


KILLED_AT_EVERY_STEP = """
import os, shutil, signal, sys
from pathlib import Path
from ectype.descriptors import ModelStore, read_card

job, folder, old, new = sys.argv[1], *map(Path, sys.argv[2:])
EVENTS = {"open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "shutil.rmtree"}

def put(store, source, name="tiny", **options):
    with store.receiving(name, **options) as place:
        shutil.copyfile(source, place / "model.onnx")
        shutil.copyfile(source.with_suffix(".json"), place / "model.json")

def work(store):
    if job == "remove":
        store.remove("tiny")
    else:
        put(store, new, replace=job == "replace")

def killed(number, store):
    child = os.fork()
    if child == 0:
        seen = 0
        def count(event, arguments):
            nonlocal seen
            if event in EVENTS:
                seen += 1
                if seen == number:
                    os.kill(os.getpid(), signal.SIGKILL)
        sys.addaudithook(count)
        work(store)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL

def state(store):
    if "tiny" not in store.names():
        return "none"
    model = store.find("tiny")
    assert model.is_sound()
    return "old" if model.card == read_card(old.with_suffix(".json")) else "new"

number, before, after = 0, {"add": "none"}.get(job, "old"), {"remove": "none"}.get(job, "new")
while True:
    number += 1
    store = ModelStore(folder / str(number))
    if job != "add":
        put(store, old)
    if not killed(number, store):
        assert state(store) == after
        break
    found = state(store)
    assert found in (before, after), found
    put(store, old, "another")  # the next who writes tidies up
    assert state(store) == found
    left = {path.name for path in store.folder.iterdir()}
    assert left == {".lock", "another"} | ({"tiny"} if found != "none" else set()), left
print(number - 1, "kills")
"""


@pytest.mark.parametrize("job", ["add", "replace", "remove"])
def test_a_kill_leaves_the_store_as_before_or_after(tmp_path: Path, tiny: Path, job: str) -> None:
    new = write_tiny_model(tmp_path / "others", seed=1)
    (tmp_path / "killed").mkdir()
    command = [sys.executable, "-c", KILLED_AT_EVERY_STEP, job, tmp_path / "killed", tiny, new]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[0]) >= 8


# The commands


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
    assert "Apache-2.0" in run("models", "info", "ectype-lite0")[1]

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


# Downloads


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serves a folder on this machine; gives its address."""

    class Silent(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Silent, directory=str(folder))) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_downloads_are_whole_or_errors(tmp_path: Path) -> None:
    data = np.random.default_rng(0).bytes(3_000_000)
    (tmp_path / "data").write_bytes(data)
    steps: list[int] = []
    with served(tmp_path) as address:
        download(f"{address}/data", tmp_path / "got", len(data), steps.append)
        assert (tmp_path / "got").read_bytes() == data
        assert sum(steps) == len(data) and len(steps) > 1
        with pytest.raises(DownloadError, match="should have 4,000,000 bytes, but it ended after 3,000,000"):
            download(f"{address}/data", tmp_path / "got", 4_000_000)
        with pytest.raises(DownloadError, match="should have 2,000,000 bytes, but there are more"):
            download(f"{address}/data", tmp_path / "got", 2_000_000)
        assert (tmp_path / "got").stat().st_size <= 2_000_000
        with pytest.raises(DownloadError, match="gone: can't be downloaded: File not found"):
            download(f"{address}/gone", tmp_path / "got", 1)
    with pytest.raises(DownloadError, match=r"can't be downloaded: .*refused"):
        download(f"{address}/data", tmp_path / "got", 1)


def test_a_file_is_the_published_one_or_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"abc")
    published = replace(SSCD_DISC_MIXUP, size=3, sha256=digest_of(file))
    check_published(file, published)
    with pytest.raises(ModelError, match=r"file: its sha256 is .*get it from https://"):
        check_published(file, replace(published, sha256="0" * 64))
    with pytest.raises(ModelError, match=r"file: has 3 bytes, but sscd_disc_mixup has 98,791,638; get it from"):
        check_published(file, SSCD_DISC_MIXUP)


def test_without_pytorch_it_is_said_what_to_install(
    store: ModelStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'ectype\[training\]'"):
        add_published(SSCD_DISC_MIXUP, store)
    assert not store.folder.exists()


def test_published_models_can_be_described() -> None:
    for name, published in PUBLISHED.items():
        card = published.card_for("0" * 64)
        assert card.name == name
        assert published.url in card.description and published.sha256 in card.description
        assert published.url.startswith("https://")
