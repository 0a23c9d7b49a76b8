from __future__ import annotations

import hashlib
import io
import json
import random
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ectype.challenge.manifest import ManifestEntry, write_manifest
from ectype.challenge.releases import FetchOptions, Manners, Release, fetch, open_place, read_release
from ectype.challenge.releases.listing import LISTING, ReleaseFile, named_by_digest, parse_release
from ectype.challenge.releases.shards import header
from ectype.cli import main
from ectype.errors import ChallengeError, DownloadError, StorageError, UsageError
from release_places import HASTY, Server, files_in, make_data_set, public_files, publish_to, serving

OPTIONS = FetchOptions(manners=HASTY)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return make_data_set(tmp_path / "data")


@pytest.fixture
def server(tmp_path: Path, data: Path) -> Iterator[Server]:
    publish_to(tmp_path / "place", data)
    with serving(tmp_path / "place") as started:
        yield started


def fetch_from(address: str | Path, root: Path, options: FetchOptions = OPTIONS, expect: str | None = None) -> int:
    with open_place(str(address)) as place:
        release = read_release(place, expect, options.manners)
        return fetch(place, release, root, options).fetched


def test_what_is_fetched_is_what_was_published(server: Server, data: Path, tmp_path: Path) -> None:
    files = len(list(server.folder.iterdir())) - 1
    for number, address in enumerate((server.folder, server.address)):
        root = tmp_path / f"root{number}"
        assert fetch_from(address, root) == files
        assert files_in(root) == public_files(data)
        before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
        server.asked.clear()
        assert fetch_from(address, root) == 0
        assert {path: path.stat().st_mtime_ns for path in root.rglob("*") if path != root}.items() <= before.items()
        assert {name for name, _ in server.asked} <= {LISTING}


def test_progress_counts_every_byte_once(server: Server, tmp_path: Path) -> None:
    for _ in range(2):
        with open_place(server.address) as place:
            release, counts = read_release(place), list[int]()
            fetch(place, release, tmp_path / "root", OPTIONS, counts.append)
        assert sum(counts) == release.size


def test_roles_are_fetched_one_by_one(server: Server, data: Path, tmp_path: Path) -> None:
    root, all_files = tmp_path / "root", public_files(data)
    fetch_from(server.address, root, replace(OPTIONS, roles=("query",)))
    assert files_in(root) == {path: all_files[path] for path in all_files if path.startswith(("queries/", "manifest"))}
    server.asked.clear()
    fetch_from(server.address, root)
    assert files_in(root) == all_files
    assert not any(name.startswith("query") for name, _ in server.asked)


@pytest.mark.parametrize("seed", range(4))
def test_a_server_that_drops_connections_is_asked_for_the_rest(
    server: Server, data: Path, tmp_path: Path, seed: int
) -> None:
    rng = random.Random(seed)
    server.drop_after = lambda: rng.randrange(1, 15_000)
    said: list[str] = []
    fetch_from(server.address, tmp_path / "root", FetchOptions(manners=Manners((0.0,) * 50, said.append)))
    assert files_in(tmp_path / "root") == public_files(data)
    shards = [path for path in server.folder.iterdir() if path.suffix == ".tar"]
    listings = sum(name == LISTING for name, _ in server.asked) * (server.folder / LISTING).stat().st_size
    assert server.sent <= sum(path.stat().st_size for path in server.folder.iterdir()) + listings
    assert {name for name, start in server.asked if start} >= {
        path.name for path in shards if path.stat().st_size > 15_000
    }
    assert "trying again in 0 s" in said[0]


def test_a_server_without_ranges_begins_again_with_a_word(server: Server, data: Path, tmp_path: Path) -> None:
    drops = iter([None, None, 9_000, 30_000, 20_000])
    server.ranges, server.drop_after = False, lambda: next(drops, None)
    said: list[str] = []
    fetch_from(server.address, tmp_path / "root", FetchOptions(workers=1, manners=Manners((0.0,) * 5, said.append)))
    assert files_in(tmp_path / "root") == public_files(data)
    assert any("can't go on in the middle; it is fetched anew" in sentence for sentence in said)


def test_a_slow_server_is_waited_for(server: Server, data: Path, tmp_path: Path) -> None:
    server.slow = 0.002
    fetch_from(server.address, tmp_path / "root")
    assert files_in(tmp_path / "root") == public_files(data)


def test_tries_are_limited_and_the_error_says_how_to_go_on(server: Server, data: Path, tmp_path: Path) -> None:
    server.status = lambda name: 503 if name.startswith("query") else None
    waited: list[float] = []
    options = FetchOptions(workers=1, manners=Manners((1.0, 2.0, 4.0), sleep=waited.append))
    with pytest.raises(DownloadError, match=r"answers 503 .* 4 tries in a row .* run the same command again"):
        fetch_from(server.address, tmp_path / "root", options)
    assert waited == [1.0, 2.0, 4.0]
    assert not list((tmp_path / "root").glob("queries/*")) and not (tmp_path / "root" / "manifest.csv").exists()
    server.status = lambda name: None
    server.asked.clear()
    fetch_from(server.address, tmp_path / "root")
    assert files_in(tmp_path / "root") == public_files(data)
    assert not any(name.startswith("reference") for name, _ in server.asked)


@pytest.mark.parametrize(
    ("status", "tries"), [(404, 1), (403, 1), (500, 4), (429, 4)], ids=["missing", "forbidden", "broken", "busy"]
)
def test_only_what_may_pass_is_tried_again(server: Server, tmp_path: Path, status: int, tries: int) -> None:
    server.status = lambda name: status
    with pytest.raises(DownloadError, match=f"answers {status}"):
        fetch_from(server.address, tmp_path / "root")
    assert len(server.asked) == tries


def test_nobody_at_the_address(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=r"refused; 4 tries in a row"):
        fetch_from("http://127.0.0.1:9/release", tmp_path / "root")
    with pytest.raises(DownloadError, match=r"release\.json: can't be read: No such file"):
        fetch_from(tmp_path / "nothing", tmp_path / "root")


@pytest.mark.parametrize("change", ["other bytes", "longer", "shorter"])
def test_a_file_that_has_changed_never_gets_its_name(server: Server, data: Path, tmp_path: Path, change: str) -> None:
    shard = next(path for path in server.folder.iterdir() if path.name.startswith("query-00000"))
    right = shard.read_bytes()
    shard.write_bytes({"other bytes": bytes(len(right)), "longer": right + b"!", "shorter": right[:-1]}[change])
    with pytest.raises(DownloadError, match=r"is not the file that the release lists|broke off after"):
        fetch_from(server.address, tmp_path / "root")
    assert not list((tmp_path / "root").glob("queries/*"))
    shard.write_bytes(right)
    fetch_from(server.address, tmp_path / "root")
    assert files_in(tmp_path / "root") == public_files(data)


def test_what_was_left_of_another_file_is_thrown_away(server: Server, data: Path, tmp_path: Path) -> None:
    shards = [path for path in server.folder.iterdir() if path.suffix == ".tar"]
    incoming = tmp_path / "root" / ".incoming"
    incoming.mkdir(parents=True)
    for number, shard in enumerate(shards):  # some too long
        (incoming / f"{shard.name}.part").write_bytes(bytes(shard.stat().st_size // 2 * (number % 4)))
    fetch_from(server.address, tmp_path / "root")
    assert files_in(tmp_path / "root") == public_files(data)


def test_the_announced_digest_is_required(server: Server, data: Path, tmp_path: Path) -> None:
    right = hashlib.sha256((server.folder / LISTING).read_bytes()).hexdigest()
    with pytest.raises(DownloadError, match=f"has the SHA-256 {right}, not {'0' * 64}; ask the host"):
        fetch_from(server.address, tmp_path / "root", expect="0" * 64)
    fetch_from(server.address, tmp_path / "root", expect=right.upper())


def test_check_mends_what_was_damaged_since(server: Server, data: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    fetch_from(server.address, root)
    victim = max((root / "queries").iterdir(), key=lambda path: path.stat().st_size)
    victim.write_bytes(bytes(victim.stat().st_size))
    assert fetch_from(server.address, root) == 0
    assert fetch_from(server.address, root, replace(OPTIONS, check=True)) == 1
    assert files_in(root) == public_files(data)


def test_files_that_were_there_before_are_used_or_left_alone(server: Server, data: Path, tmp_path: Path) -> None:
    root, victim = tmp_path / "root", "queries/q00003.jpg"
    (root / "queries").mkdir(parents=True)
    (root / victim).write_bytes((data / victim).read_bytes()[:-1] + b"?")
    with pytest.raises(ChallengeError, match=r"another file is in the way"):
        fetch_from(server.address, root)
    (root / victim).write_bytes((data / victim).read_bytes())
    fetch_from(server.address, root)
    assert files_in(root) == public_files(data)
    other = make_data_set(tmp_path / "other", seed=2)
    publish_to(tmp_path / "other-place", other)
    with pytest.raises(ChallengeError, match=r"manifest\.csv: is the manifest of another data set; choose another"):
        fetch_from(tmp_path / "other-place", root)
    assert files_in(root) == public_files(data)


def test_a_file_of_the_users_own_is_never_overwritten(data: Path, tmp_path: Path) -> None:
    publish_to(tmp_path / "place", data, include=("ground_truth.csv",))
    root = tmp_path / "root"
    root.mkdir()
    (root / "ground_truth.csv").write_text("mine")
    with pytest.raises(ChallengeError, match=r"ground_truth\.csv: is there with another content"):
        fetch_from(tmp_path / "place", root)
    assert (root / "ground_truth.csv").read_text() == "mine"


def test_a_full_disk_is_noticed_before_anything_is_fetched(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda root: type("Usage", (), {"free": 1000}))
    with pytest.raises(StorageError, match=r"bytes are needed and 1,000 are free"):
        fetch_from(server.address, tmp_path / "root")
    assert not any(name.endswith(".tar") for name, _ in server.asked)


def test_two_fetches_into_one_folder_keep_apart(server: Server, tmp_path: Path) -> None:
    from ectype.challenge.releases.arriving import Arrivals

    with Arrivals(tmp_path / "root"), pytest.raises(StorageError, match=r"another process is writing there"):
        fetch_from(server.address, tmp_path / "root")


# Releases that somebody made to do harm.


def hostile_release(place: Path, shard: bytes, entries: list[ManifestEntry], images: int = 1) -> None:
    """A release whose digests are right, whatever its shard has in it."""
    place.mkdir(exist_ok=True)
    write_manifest(place / "m", entries)
    files = []
    for kind, suffix, path, content in (
        ("manifest", ".csv", "manifest.csv", (place / "m").read_bytes()),
        ("query", ".tar", "", shard),
    ):
        sha256 = hashlib.sha256(content).hexdigest()
        name = named_by_digest(kind, sha256, suffix)
        (place / name).write_bytes(content)
        files.append(ReleaseFile(name, kind, len(content), sha256, path, images if kind == "query" else 0))
    (place / LISTING).write_bytes(Release(tuple(files)).to_json())


def tar_with(member: tarfile.TarInfo, content: bytes = b"") -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    return file.getvalue()


def entry(path: str = "queries/a.jpg", content: bytes = b"abc") -> ManifestEntry:
    return ManifestEntry("query", "a", path, len(content), hashlib.sha256(content).hexdigest())


def member(name: str, type: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = type, target
    return made


@pytest.mark.parametrize(
    "shard",
    [
        tar_with(member("../../escaped.jpg"), b"abc"),
        tar_with(member("/tmp/escaped.jpg"), b"abc"),  # noqa: S108
        tar_with(member("queries/a.jpg", tarfile.SYMTYPE, "/etc/passwd")),
        tar_with(member("queries/a.jpg", tarfile.LNKTYPE, "manifest.csv")),
        tar_with(member("queries/a.jpg", tarfile.FIFOTYPE)),
        tar_with(member("queries/a.jpg"), b"abd"),
        tar_with(member("queries/a.jpg"), b"abcd"),
        b"",
        b"garbage" * 1000,
    ],
)
def test_a_shard_with_anything_else_than_its_images_is_refused(tmp_path: Path, shard: bytes) -> None:
    shard = shard[:2048].ljust(2048, b"\0")  # what one image of three bytes takes up
    hostile_release(tmp_path / "place", shard, [entry()])
    with pytest.raises(ChallengeError, match=r"queries/a\.jpg: the release has"):
        fetch_from(tmp_path / "place", tmp_path / "root")
    assert {path.name for path in tmp_path.iterdir()} == {"place", "root"}
    assert not (tmp_path / "root" / "queries").exists() or not list((tmp_path / "root" / "queries").iterdir())


def test_shards_of_another_size_than_their_images_are_refused_before_they_are_fetched(tmp_path: Path) -> None:
    hostile_release(tmp_path / "place", b"x" * 4096, [entry()])
    with pytest.raises(ChallengeError, match=r"can't have the images that the manifest has for it"):
        fetch_from(tmp_path / "place", tmp_path / "root")


@pytest.mark.parametrize("path", [".incoming/lock", "queries/.hidden.jpg", "queries//a.jpg"])
def test_images_in_places_that_are_not_theirs_are_refused(tmp_path: Path, path: str) -> None:
    hostile_release(tmp_path / "place", bytes(2048), [entry(path)])
    with pytest.raises(ChallengeError, match=r"can't be released"):
        fetch_from(tmp_path / "place", tmp_path / "root")


def test_an_image_in_the_place_of_the_manifest_is_refused(tmp_path: Path) -> None:
    hostile_release(tmp_path / "place", header(entry("manifest.csv")) + bytes(1536), [entry("manifest.csv")])
    with pytest.raises(ChallengeError, match=r"puts it where an image belongs: manifest\.csv"):
        fetch_from(tmp_path / "place", tmp_path / "root")


def test_images_in_no_shard_are_refused(tmp_path: Path) -> None:
    more = ManifestEntry("query", "b", "queries/b.jpg", 0, hashlib.sha256().hexdigest())
    hostile_release(tmp_path / "place", bytes(2048), [entry(), more])
    with pytest.raises(ChallengeError, match=r"lists images that are in no shard"):
        fetch_from(tmp_path / "place", tmp_path / "root")
    hostile_release(tmp_path / "place", bytes(2048), [entry()], images=10**18)
    with pytest.raises(ChallengeError, match=r"can't have the images"):
        fetch_from(tmp_path / "place", tmp_path / "root")


def test_a_role_that_the_release_lacks(tmp_path: Path) -> None:
    publish_to(tmp_path / "place", make_data_set(tmp_path / "data", query=2))
    with pytest.raises(UsageError, match=r"has no images with the role training"):
        fetch_from(tmp_path / "place", tmp_path / "root", replace(OPTIONS, roles=("training",)))


def listing(**changes: object) -> bytes:
    file = {"name": "m.csv", "kind": "manifest", "bytes": 1, "sha256": "0" * 64, "path": "manifest.csv", "images": 0}
    values = {"format": "ectype-release-1", "truth_commitment": None, "key_commitment": None, "files": [file]}
    for name, value in changes.items():
        (values if name in values else file)[name] = value
    return (json.dumps(values, indent=1) + "\n").encode()


def test_the_listing_that_the_others_are_changed_from_is_valid() -> None:
    assert parse_release(listing(), "here").size == 1


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"\xff",
        b"[" * 100_000,
        listing(format="ectype-release-9"),
        listing(name="../m.csv"),
        listing(name="a/b.csv"),
        listing(name=LISTING),
        listing(name=".m.csv"),
        listing(name=7),
        listing(path="../../manifest.csv"),
        listing(path="/manifest.csv"),
        listing(path=".incoming/lock"),
        listing(path=""),
        listing(path=["a"]),
        listing(path="a\ud800.csv"),
        listing(path="a\n.csv"),
        listing(bytes=7).replace(b": 7,", b": " + b"7" * 5000 + b","),
        listing(kind="link"),
        listing(kind="query"),
        listing(kind=["query"]),
        listing(bytes=-1),
        listing(bytes=1.5),
        listing(bytes=True),
        listing(sha256="0" * 63),
        listing(images="many"),
        listing(files=[]),
        listing(files=[{}]),
        listing(files=None),
        listing(truth_commitment="salt"),
        listing(key_commitment="0" * 64),
        listing()[:-2],
        listing() + b" ",
    ],
)
def test_listings_that_describe_no_release_are_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "place").mkdir()
    (tmp_path / "place" / LISTING).write_bytes(content)
    with pytest.raises(ChallengeError, match=r"release\.json: "):
        fetch_from(tmp_path / "place", tmp_path / "root")
    assert not (tmp_path / "root").exists()


def test_the_command(server: Server, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["challenge", "fetch", server.address, str(tmp_path / "root"), "--json"]
    assert main(arguments) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["images"], report["sealed"]) == (18, False)
    assert report["sha256"] == hashlib.sha256((server.folder / LISTING).read_bytes()).hexdigest()
    assert main([*arguments, "--expect", "0" * 64]) == 3
    assert main(["challenge", "fetch", "ftp://somewhere", str(tmp_path / "root")]) == 2
    assert "a place is a folder, https://…, http://… or s3://bucket/prefix" in capsys.readouterr().err
