"""Full disks, read-only folders, users who interrupt: what was stored stays, and the error is clear."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ectype.collection import Collection, schema
from ectype.collection.store import Store
from ectype.descriptors import describe_to_file, read_descriptors, shards, write_descriptors
from ectype.errors import StorageError, UsageError
from ectype.images import list_images
from ectype.storage import replacing, write_json
from ectype.types import DescriptorSet
from kill_driver import DESCRIBED, Driver, describe, keep_adding
from stored_pictures import MODEL, assert_holds, descriptor, picture_item, small_batches

EIGHT = {str(seed): seed for seed in range(8)}
FORTY = {str(seed): seed for seed in range(40)}


@pytest.fixture(scope="module")
def driver() -> Iterator[Driver]:
    with Driver() as started:
        yield started


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that any user can reach, other than pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="ectype-disks-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def folder(place: Path) -> Path:
    """A collection of the pictures "0" to "7"."""
    with Collection.create(place / "collection", MODEL):
        keep_adding(str(place / "collection"), 0, 8, 8)
    return place / "collection"


def assert_whole_batches(folder: Path) -> None:
    """What was stored before is there, and of what came then all or nothing of each batch of four."""
    with Collection(folder) as collection:
        assert collection.problems() == []
        count = len(collection)
        assert count in range(8, 41, 4)
        assert_holds(collection, {str(seed): seed for seed in range(count)})


def assert_clear(error: str | Exception, place: Path, *words: str) -> None:
    """An error, or the end of a job's traceback, is a `StorageError` that says where, what was wrong and what to do."""
    text = str(error)
    if isinstance(error, str):
        last = error.strip().splitlines()[-1]
        assert last.startswith("ectype.errors.StorageError: "), error
        text = last.removeprefix("ectype.errors.StorageError: ")
    assert text.startswith(str(place)), text
    for word in words:
        assert re.search(word, text), text


# Full


LIMITS = (2_000, 20_000, 33_000, 50_000, 80_000, 150_000, 1_000_000)


@pytest.mark.parametrize("limit", LIMITS)
def test_a_limit_on_file_sizes_ends_an_add_between_two_batches(driver: Driver, folder: Path, limit: int) -> None:
    error = driver.run("with_limit", limit, "keep_adding", str(folder), 0, 40, 40).error
    if limit < LIMITS[-1]:
        assert_clear(error, folder, "files may not become so large", "run the same command again", "is intact")
    assert_whole_batches(folder)
    keep_adding(str(folder), 0, 40, 40)
    with Collection(folder) as collection:
        assert_holds(collection, FORTY)


@pytest.mark.parametrize("limit", [100, 2_000, 4_000, 8_000, 12_000, 20_000])
def test_a_limit_on_file_sizes_ends_describing_and_finished_parts_are_kept(
    driver: Driver, place: Path, limit: int, capfd: pytest.CaptureFixture[str]
) -> None:
    output = place / "o.h5"
    vectors = np.array([descriptor(0)])
    write_descriptors(output, DescriptorSet(("older",), vectors, "f"))
    error = driver.run("with_limit", limit, "describe", str(output)).error
    assert_clear(error, place, "would become larger than is allowed here; raise the limit")
    assert capfd.readouterr().err == ""
    assert read_descriptors(output).ids == ("older",)
    describe(str(output))
    assert read_descriptors(output).ids == tuple(item.id for item in DESCRIBED)
    assert [entry.name for entry in place.iterdir()] == ["o.h5"]


def test_a_full_database_keeps_what_it_has(folder: Path) -> None:
    with Collection(folder) as collection:
        pages = collection._store._connection.execute("PRAGMA page_count").fetchone()[0]
        for more in range(6):
            collection._store._connection.execute(f"PRAGMA max_page_count = {pages + more}")
            with pytest.raises(StorageError) as error:
                collection.add([picture_item(str(seed), seed) for seed in range(200)], MODEL)
            assert_clear(error.value, folder, "the disk is full; free some space and run the same command again")
            assert_holds(collection, EIGHT)
        assert collection.remove(["0"]) == ["0"]
        assert collection.problems() == []


def test_a_disk_that_is_full_when_the_index_is_written_loses_no_image(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with Collection(folder) as collection:
        collection.rebuild()
        before = sorted((folder / "index").iterdir())
        with monkeypatch.context() as patches:
            patches.setattr(np, "save", refuse)
            with pytest.raises(StorageError) as error, small_batches():
                collection.add([picture_item(str(seed), seed) for seed in range(8, 40)], MODEL)
            assert_clear(error.value, folder / "index", "the disk is full; free some space")
        assert sorted((folder / "index").iterdir()) == before
        assert collection.problems() == []
        assert_holds(collection, FORTY)


@contextmanager
def small_disk(place: Path, size: int) -> Iterator[Path]:
    """A file system of some kilobytes, where this process may mount one."""
    place.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", f"size={size}k", "ectype-test", str(place)]
    if os.getuid() or not shutil.which("mount") or subprocess.run(mounting, capture_output=True).returncode:
        pytest.skip("only the super-user can mount a small disk")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.mark.parametrize("size", [4, 16, 48, 64, 100, 148, 260, 340, 348, 356, 364, 500])
def test_a_full_disk_loses_nothing(place: Path, size: int) -> None:
    with small_disk(place / "disk", size) as disk:
        folder = disk / "collection"
        errors = []
        for write in (
            lambda: Collection.create(folder, MODEL).close(),
            lambda: keep_adding(str(folder), 0, 40, 40),
            lambda: describe(str(disk / "o.h5")),
        ):
            try:
                write()
            except StorageError as error:
                errors.append(error)
                break
        for error in errors:
            assert_clear(error, disk, "the disk is full|the disk failed", "free some space|run the same command again")
        assert errors or size > 356
        subprocess.run(["mount", "-o", "remount,size=4m", str(disk)], check=True)
        if (folder / "collection.sqlite").exists():
            with Collection(folder) as collection:
                assert collection.problems() == []
                assert_holds(collection, {str(seed): seed for seed in range(len(collection))})
                assert len(collection) % 4 == 0
        else:
            Collection.create(folder, MODEL).close()
        keep_adding(str(folder), 0, 40, 40)
        with Collection(folder) as collection:
            assert_holds(collection, FORTY)
        describe(str(disk / "o.h5"))
        assert len(read_descriptors(disk / "o.h5")) == len(DESCRIBED)


# Read-only


@contextmanager
def without_permission(folder: Path) -> Iterator[None]:
    """Nobody may write in a folder but the super-user; and jobs are done as nobody."""
    paths = [folder, *folder.rglob("*")]
    modes = [path.stat().st_mode for path in paths]
    for path in paths:
        path.chmod(0o555 if path.is_dir() else 0o444)
    yield
    for path, mode in zip(paths, modes, strict=True):
        if path.exists():
            path.chmod(mode)


def test_a_read_only_collection_is_searched_but_not_changed(driver: Driver, folder: Path) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with without_permission(folder):
        searched = driver.run("as_nobody", "read_slowly", str(folder), list(range(8)), 8)
        assert searched.error == ""
        assert searched.reports[-1][2] == list(EIGHT)
        adding = driver.run("as_nobody", "keep_adding", str(folder), 0, 10, 10)
        assert_clear(adding.error, folder, "it is read-only; change the permission, or copy the collection elsewhere")
        describing = driver.run("as_nobody", "describe", str(folder / "o.h5"))
        assert_clear(describing.error, folder, "no permission to write there; choose another place or change")
        creating = driver.run("as_nobody", "grow", str(folder / "other"))
        assert_clear(creating.error, folder, "no permission to write there; choose another place or change")
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_a_reader_without_permission_sees_what_the_owner_adds(driver: Driver, folder: Path) -> None:
    """Whether the owner begins before or after; and what a killed owner left in the log."""
    if os.getuid():
        pytest.skip("only the super-user can act as two users")
    with Driver() as owner:
        driver.start("as_nobody", "read_slowly", str(folder), [0, 39], 40)
        driver.wait_for_report()
        assert owner.run("keep_adding", str(folder), 8, 32, 4).error == ""
        seen = driver.finish()
        assert seen.error == ""
        assert seen.reports[-1][2:] == [["0", "39"], pytest.approx([1, 1], abs=1e-3)]

        killed = owner.run("keep_adding", str(folder), 40, 4000, 4, after=0.5)
        assert killed.killed
        count = 40 + 4 * len(killed.reports)
        after_it = driver.run("as_nobody", "read_slowly", str(folder), [0, 39, count - 1], count)
        assert after_it.error == ""
        assert after_it.reports[-1][2] == ["0", "39", str(count - 1)]


def test_a_folder_that_may_not_be_entered_is_named(driver: Driver, place: Path, folder: Path) -> None:
    place.chmod(0o600)
    error = driver.run("as_nobody", "keep_adding", str(folder), 0, 1, 1).error
    place.chmod(0o755)
    assert_clear(error, folder, "can't be read .*change the permission")
    (folder / "collection.sqlite").chmod(0o200)
    error = driver.run("as_nobody", "keep_adding", str(folder), 0, 1, 1).error
    assert_clear(error, folder, "can't be opened; check that .* you may read")


# Interrupted and locked


def test_ctrl_c_keeps_the_batches_before(driver: Driver, folder: Path) -> None:
    driver.start("add_slowly", str(folder), 8, 1000, watch=True)
    _, process = driver.next_line()
    reports = [driver.wait_for_report() for _ in range(3)]
    os.kill(process, signal.SIGINT)
    outcome = driver.finish()
    assert "KeyboardInterrupt" in outcome.error
    stored = {name: seed for _, images in [*reports, *outcome.reports] for name, seed in images.items()}
    with Collection(folder) as collection:
        assert collection.problems() == []
        present = {reference.id: reference.metadata["seed"] for reference in collection}
        assert present.items() >= (EIGHT | stored).items()
        assert len(present) % 4 == 0 and len(present) < 1008
        assert_holds(collection, present)


def test_an_interruption_anywhere_leaves_a_collection_that_works_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Collection(folder) as collection:
        for moment in ("_next_generation", "_delete", "generation", "by_id"):
            original = getattr(Store, moment)

            def interrupt(*arguments: Any, original: Callable[..., Any] = original) -> None:
                original(*arguments)
                raise KeyboardInterrupt

            with monkeypatch.context() as patches:
                patches.setattr(Store, moment, interrupt)
                with pytest.raises(KeyboardInterrupt):
                    collection.add([picture_item("new", 50)], MODEL)
            assert_holds(collection, EIGHT)
        collection.add([picture_item("new", 50)], MODEL)
        assert_holds(collection, EIGHT | {"new": 50})


def test_a_locked_collection_can_be_read_and_says_who_is_in_the_way(
    driver: Driver, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "BUSY_SECONDS", 0.1)
    driver.start("lock", str(folder))
    _, process = driver.next_line()
    driver.wait_for_report()
    with Collection(folder) as collection:
        for write in (
            lambda: collection.add([picture_item("new", 50)], MODEL),
            lambda: collection.remove(["1"]),
            collection.rebuild,
        ):
            with pytest.raises(StorageError) as error:
                write()
            assert_clear(error.value, folder, "another process has been writing for 60 seconds; try again when it is")
        assert_holds(collection, EIGHT)
        os.kill(process, signal.SIGKILL)
        assert driver.finish().killed
        collection.add([picture_item("new", 50)], MODEL)
        assert_holds(collection, EIGHT | {"new": 50})


# Single files


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("gone/x.json", "its folder does not exist; create it first"),
        ("file/x.json", "a part of its path is a file, not a folder; choose another place"),
        ("folder", "a folder of this name is there; choose another name"),
        ("x" * 250, "the name is too long; choose a shorter one"),
    ],
)
def test_a_file_that_can_not_be_written_is_a_clear_error(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    for write in (
        lambda: write_json(tmp_path / name, {}),
        lambda: describe_to_file(DESCRIBED[:1], MODEL, tmp_path / name),
        lambda: write_descriptors(tmp_path / name, DescriptorSet(("a",), descriptor(0)[None], "f")),
    ):
        with pytest.raises(StorageError) as error:
            write()
        assert_clear(error.value, tmp_path, words)
    assert {entry.name for entry in tmp_path.iterdir()} <= {"folder", "file", "folder.parts"}


def test_a_file_is_replaced_in_one_step_or_not_at_all(tmp_path: Path) -> None:
    write_json(tmp_path / "x.json", {"ü": 1})
    with suppress(ZeroDivisionError), replacing(tmp_path / "x.json") as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    assert json.loads((tmp_path / "x.json").read_text("utf-8")) == {"ü": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.json"]


def test_new_files_have_the_permissions_that_the_user_wants(tmp_path: Path) -> None:
    before = os.umask(0o027)
    write_json(tmp_path / "x.json", {})
    write_descriptors(tmp_path / "x.h5", DescriptorSet(("a",), descriptor(0)[None], "f"))
    os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o640}


@pytest.mark.parametrize("damage", [b"", b"PK", None], ids=["empty", "header", "bit"])
def test_a_damaged_part_of_a_description_is_made_again(
    tmp_path: Path, damage: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "o.h5"
    with monkeypatch.context() as patches:
        patches.setattr(shards, "_merge", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            describe(str(output))
    part = sorted((tmp_path / "o.h5.parts").iterdir())[2]
    content = bytearray(part.read_bytes())
    content[len(content) // 2] ^= 1
    part.write_bytes(content if damage is None else damage)
    describe(str(output))
    assert np.array_equal(read_descriptors(output).vectors[:, 0], [descriptor(300 + n)[0] for n in range(22)])


def test_a_picture_whose_permission_was_mended_is_looked_at_again(
    tmp_path: Path, folder_of_pictures: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = folder_of_pictures(8)
    monkeypatch.setattr(shards, "_merge", lambda *_: 1 / 0)

    def parts() -> int:
        with pytest.raises(ZeroDivisionError):
            describe_to_file(list_images([folder]), MODEL, tmp_path / "o.h5", shard_size=4)
        return len(list((tmp_path / "o.h5.parts").iterdir()))

    assert [parts(), parts()] == [2, 2]
    (folder / "p001.png").chmod(0o600)
    assert parts() == 3


def test_a_shard_has_at_least_one_image(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="at least one image, not 0"):
        describe_to_file(DESCRIBED, MODEL, tmp_path / "o.h5", shard_size=0)
