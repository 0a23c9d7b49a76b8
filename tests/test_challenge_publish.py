from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ectype.challenge.manifest import ManifestEntry, read_manifest
from ectype.challenge.releases import (
    Contents,
    FetchOptions,
    fetch,
    open_place,
    plan_release,
    publish,
    read_release,
)
from ectype.challenge.releases.listing import LISTING
from ectype.challenge.releases.shards import bytes_in_tar, header, pack, shard_bytes, split_into_shards
from ectype.cli import main
from ectype.errors import ChallengeError, DownloadError, MissingPackageError, StorageError, UsageError
from release_places import HASTY, SHARD, files_in, make_data_set, public_files, publish_to


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return make_data_set(tmp_path / "data")


def test_a_release_has_images_and_their_manifest_and_never_the_truth(data: Path, tmp_path: Path) -> None:
    release = publish_to(tmp_path / "place", data)
    sent = files_in(tmp_path / "place")
    assert set(sent) == {LISTING, *(file.name for file in release.files)}
    assert sent[LISTING] == release.to_json()
    assert [file.kind for file in release.files if file.kind in ("manifest", "extra")] == ["manifest"]
    for secret in ("ground_truth.csv", "recipes.jsonl"):
        assert not any((data / secret).read_bytes() in content for content in sent.values())


def test_files_that_are_named_are_published_too(data: Path, tmp_path: Path) -> None:
    release = publish_to(tmp_path / "place", data, include=("ground_truth.csv",))
    extra = next(file for file in release.files if file.kind == "extra")
    assert (tmp_path / "place" / extra.name).read_bytes() == (data / "ground_truth.csv").read_bytes()


@pytest.mark.parametrize("content", ["labels", ""])
@pytest.mark.parametrize("path", ["labels/öffentlich (1).csv", "--x", "a" * 200 + ".csv", "a.b c"])
def test_files_of_any_name_can_be_published(data: Path, tmp_path: Path, path: str, content: str) -> None:
    (data / path).parent.mkdir(exist_ok=True)
    (data / path).write_text(content)
    publish_to(tmp_path / "place", data, include=(path,))
    with open_place(str(tmp_path / "place")) as place:
        fetch(place, read_release(place), tmp_path / "root")
    assert (tmp_path / "root" / path).read_text() == content


def test_the_order_of_roles_and_their_repetition_change_nothing(data: Path, tmp_path: Path) -> None:
    roles = ("training", "query", "query", "reference")
    assert publish_to(tmp_path / "one", data, roles=roles) == publish_to(tmp_path / "two", data)


def test_any_tar_unpacks_a_shard(data: Path, tmp_path: Path) -> None:
    publish_to(tmp_path / "place", data)
    for shard in (tmp_path / "place").glob("*.tar"):
        assert shard.stat().st_size <= SHARD
        with tarfile.open(shard) as tar:
            tar.extractall(tmp_path / "unpacked", filter="data")
    images = {path: content for path, content in public_files(data).items() if path.endswith(".jpg")}
    assert files_in(tmp_path / "unpacked") == images


def test_the_same_data_make_the_same_release(data: Path, tmp_path: Path) -> None:
    for path in data.rglob("*"):
        os.utime(path, (1, 1))
    publish_to(tmp_path / "one", data)
    publish_to(tmp_path / "two", make_data_set(tmp_path / "again"))
    assert files_in(tmp_path / "one") == files_in(tmp_path / "two")


def test_shards_are_consecutive_and_of_limited_size(data: Path) -> None:
    entries = read_manifest(data / "manifest.csv").entries
    for size in (2048, 10_000, SHARD, 10**9):
        shards = split_into_shards(entries, size)
        assert [entry for shard in shards for entry in shard] == list(entries)
        assert all(shard_bytes(shard) <= size or len(shard) == 1 for shard in shards)
        for shard in shards:
            assert len(b"".join(pack(data, shard))) == shard_bytes(shard)
    assert split_into_shards([], 10) == []
    assert sum(map(bytes_in_tar, entries)) + 1024 == shard_bytes(entries)


@pytest.mark.parametrize("path", ["a" * 101, "queries/" + "b" * 300 + ".jpg", ".hidden/a.jpg", "queries/\ud800.jpg"])
def test_images_that_no_tar_can_hold_are_refused(path: str) -> None:
    with pytest.raises(ChallengeError, match=r"can't be (put into a tar archive|released)"):
        header(ManifestEntry("query", "a", path, 1, "0" * 64))


def test_publishing_again_sends_nothing(data: Path, tmp_path: Path) -> None:
    plan = plan_release(data, shard_size=SHARD)
    for expected in (len(plan.files), 0):
        counts: list[int] = []
        with open_place(str(tmp_path / "place")) as place:
            assert publish(plan, place, on_progress=counts.append).sent == expected
        assert sum(counts) == 2 * plan.size
    before = files_in(tmp_path / "place")
    missing = next((tmp_path / "place").glob("query*"))
    missing.write_bytes(b"half")
    with open_place(str(tmp_path / "place")) as place:
        assert publish(plan, place).sent == 1
    assert files_in(tmp_path / "place") == before


def test_without_the_list_there_is_no_release(data: Path, tmp_path: Path) -> None:
    publish_to(tmp_path / "place", data)
    (tmp_path / "place" / LISTING).unlink()
    with open_place(str(tmp_path / "place")) as place, pytest.raises(DownloadError, match=r"release\.json"):
        read_release(place)


def test_another_release_is_replaced_on_request_alone(data: Path, tmp_path: Path) -> None:
    publish_to(tmp_path / "place", data)
    before = files_in(tmp_path / "place")
    other = plan_release(make_data_set(tmp_path / "other", seed=2))
    with open_place(str(tmp_path / "place")) as place:
        with pytest.raises(ChallengeError, match=r"holds another release.*--replace"):
            publish(other, place)
        assert files_in(tmp_path / "place") == before
        release = publish(other, place, replace=True).release
        assert read_release(place) == release
    assert files_in(tmp_path / "place").items() >= {n: c for n, c in before.items() if n != LISTING}.items()


@pytest.mark.parametrize("change", ["other bytes", "longer", "shorter", "gone"])
def test_an_image_that_is_not_the_manifests_is_never_published(data: Path, tmp_path: Path, change: str) -> None:
    victim = max((data / "queries").iterdir(), key=lambda path: path.stat().st_size)
    content = victim.read_bytes()
    victim.unlink()
    if change != "gone":
        victim.write_bytes(
            {"other bytes": bytes(len(content)), "longer": content + b"!", "shorter": content[1:]}[change]
        )
    with pytest.raises(ChallengeError, match=rf"{victim.name}: (not the file that the manifest lists|can't be read)"):
        publish_to(tmp_path / "place", data)
    assert not (tmp_path / "place").exists()


def test_a_file_that_changes_while_it_is_sent_is_not_published(data: Path, tmp_path: Path) -> None:
    plan = plan_release(data, Contents(include=("recipes.jsonl",)))

    def change(count: int) -> None:
        counts.append(count)
        if sum(counts) == plan.size:  # everything has been looked at
            (data / "recipes.jsonl").write_text("[]\n")

    counts: list[int] = []
    with (
        open_place(str(tmp_path / "place")) as place,
        pytest.raises(ChallengeError, match=r"recipes\.jsonl: has changed"),
    ):
        publish(plan, place, workers=1, on_progress=change)
    assert not any(path.name.startswith((".", "recipes", LISTING)) for path in (tmp_path / "place").iterdir())


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        ({"roles": ()}, "the roles"),
        ({"roles": ("queries",)}, "the roles"),
        ({"manifest": "../manifest.csv"}, "must be a path below"),
        ({"include": ("/etc/passwd",)}, "must be a path below"),
        ({"truth_commitment": "0" * 63}, "is no commitment; `ectype challenge commit` makes one"),
        ({"include": (".git/config",)}, "must be a path below"),
    ],
)
def test_contents_that_make_no_sense(contents: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Contents(**contents)


def test_what_can_not_be_published_says_why(data: Path, tmp_path: Path) -> None:
    with pytest.raises(ChallengeError, match=r"nothing\.csv: there is no such file"):
        plan_release(data, Contents("nothing.csv"))
    with pytest.raises(ChallengeError, match=r"nothing\.csv: can't be read: No such file"):
        plan_release(data, Contents(include=("nothing.csv",)))
    with pytest.raises(ChallengeError, match=r"lists no image with the role training"):
        plan_release(make_data_set(tmp_path / "small", query=2), Contents(roles=("training",)))
    publish_to(tmp_path / "place", data)
    with pytest.raises(UsageError, match=r"is a release, but not a sealed one; publish its data set"):
        plan_release(tmp_path / "place")
    for path in ("manifest.csv", "queries/q00001.jpg"):
        with pytest.raises(UsageError, match=r"is the manifest or an image of it"):
            plan_release(data, Contents(include=(path,)))
    with (
        open_place(f"{data}/../data") as place,
        pytest.raises(UsageError, match=r"is the folder that is to be published"),
    ):
        publish(plan_release(data), place)
    with open_place("http://127.0.0.1:9/x") as place, pytest.raises(UsageError, match=r"can only be read; publish to"):
        publish(plan_release(data), place)
    (tmp_path / "file").touch()
    with open_place(str(tmp_path / "file" / "place")) as place, pytest.raises(StorageError, match=r"is a file, not a"):
        publish(plan_release(data), place)


def test_a_manifest_of_some_roles_shows_no_others(data: Path, tmp_path: Path) -> None:
    publish_to(tmp_path / "part", data, roles=("reference", "training"))
    assert not any(b"q00001" in content for content in files_in(tmp_path / "part").values())
    root = tmp_path / "root"
    publish_to(tmp_path / "place", data)
    for address in ("part", "place"):  # a manifest may grow
        with open_place(str(tmp_path / address)) as place:
            fetch(place, read_release(place), root)
    assert files_in(root) == public_files(data)


# A bucket, on this machine.


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_PROFILE", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY", "all_proxy"):
            patch.delenv(name, raising=False)
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "key")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_CONFIG_FILE", os.devnull)
        with open_place("s3://releases/any") as place:
            place._files.mkdir("releases")
        yield "s3://releases"
    server.stop()


def test_through_a_bucket_and_back(bucket: str, data: Path, tmp_path: Path) -> None:
    plan = plan_release(data, shard_size=SHARD)
    with open_place(f"{bucket}/phase1/") as place:
        assert publish(plan, place).sent == len(plan.files)
        assert publish(plan, place).sent == 0
        release = read_release(place)
        root = tmp_path / "root"
        shard = next(file for file in release.files if file.kind == "query")
        (root / ".incoming").mkdir(parents=True)
        half = b"".join(place.read(shard.name).blocks)[: shard.bytes // 2]
        (root / ".incoming" / f"{shard.name}.part").write_bytes(half)
        assert fetch(place, release, root, FetchOptions(manners=HASTY)).fetched == len(plan.files)
        assert b"".join(place.read(shard.name, shard.bytes - 5).blocks) == b"".join(place.read(shard.name).blocks)[-5:]
    assert files_in(root) == public_files(data)
    assert not [thread for thread in threading.enumerate() if thread.name in ("ectype-bucket", "fsspecIO")]


def test_a_large_file_goes_to_a_bucket_in_parts(bucket: str) -> None:
    content = bytes(range(256)) * 4096
    with open_place(f"{bucket}/large") as place:
        place.write("file", (content for _ in range(40)))
        assert place.size("file") == 40 << 20
        assert b"".join(place.read("file", (16 << 20) - 1).blocks) == content[-1:] + content * 24
        place.write("empty", [])
        assert place.size("empty") == 0


def test_what_breaks_off_never_appears_in_a_bucket(bucket: str) -> None:
    def broken() -> Iterator[bytes]:
        yield bytes(20 << 20)
        raise ChallengeError("the disk is on fire")

    with open_place(f"{bucket}/broken") as place:
        with pytest.raises(ChallengeError, match="on fire"):
            place.write("file", broken())
        assert place.size("file") is None
        with pytest.raises(DownloadError, match=r"s3://releases/broken/file: there is no such file"):
            place.read("file")


def test_a_bucket_that_is_not_there(bucket: str, data: Path) -> None:
    with open_place("s3://nobodys/release") as place, pytest.raises(StorageError, match=r"AWS_ACCESS_KEY_ID"):
        publish(plan_release(data), place)


def test_a_bucket_needs_a_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(MissingPackageError, match=r"needs the package s3fs: pip install 'ectype\[releases\]'"):
        open_place("s3://bucket/prefix")


@pytest.mark.parametrize("address", ["gs://bucket", "file:///tmp", "s3://", "http://", "://"])
def test_addresses_of_other_kinds(address: str) -> None:
    with pytest.raises(UsageError, match=r"a place is a folder, https://…, http://… or s3://bucket/prefix"):
        open_place(address)


def test_nothing_heavy_is_imported_before_it_is_needed() -> None:
    code = (
        "import sys, ectype.challenge.releases; print({'fsspec', 's3fs', 'cryptography', 'aiohttp'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


def test_the_command(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["challenge", "publish", str(data), str(tmp_path / "place"), "--json"]
    for sent in (4, 0):
        assert main(arguments) == 0
        report = json.loads(capsys.readouterr().out)
        assert (report["files"], report["sent"]) == (4, sent)
    assert main([*arguments, "--role", "query"]) == 3
    assert "holds another release" in capsys.readouterr().err
    assert main([*arguments, "--include", "../secret"]) == 2
