"""The store of models: files and cards by name, safe against kills, full disks and each other."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ectype.descriptors import ModelStore, list_models, load_model, model_store, read_card
from ectype.descriptors.model import digest_of
from ectype.errors import ModelError, StorageError, UsageError
from tiny_onnx import write_tiny_model


def changed_card(file: Path, **changes: object) -> Path:
    """Another card of a model file."""
    other = file.with_name("other.json")
    other.write_text(json.dumps(json.loads(file.with_suffix(".json").read_text()) | changes))
    return other


def content(store: ModelStore) -> dict[str, bytes]:
    """Everything in the store but its lock."""
    files = (path for path in store.folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(store.folder)): path.read_bytes() for path in files}


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
