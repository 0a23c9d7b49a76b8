from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ectype.challenge.manifest import read_manifest
from ectype.challenge.releases import (
    Contents,
    FetchOptions,
    Key,
    fetch,
    open_place,
    plan_release,
    plan_seal,
    publish,
    read_key,
    read_release,
    seal,
    unseal,
    unsealing,
)
from ectype.challenge.releases.listing import LISTING, parse_release
from ectype.challenge.releases.stream import CHUNK, PieceNumber, SealedStream, plain_size, seal_piece, sealed_size
from ectype.cli import main
from ectype.errors import ChallengeError, MissingPackageError, StorageError, UsageError
from release_places import files_in, make_data_set, public_files, publish_to

QUERIES = Contents(roles=("query",))
WHOLE = CHUNK + 16  # a sealed chunk
HEAD = 48


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Queries of some mebibytes, so that there are several pieces of several chunks."""
    return make_data_set(tmp_path_factory.mktemp("data") / "data", largest=2_000_000, query=30, reference=3)


@pytest.fixture(scope="module")
def sealed(data: Path) -> Path:
    seal(plan_seal(data, QUERIES), data.parent / "sealed", data.parent / "key", piece_size=2 * CHUNK)
    return data.parent / "sealed"


@pytest.fixture
def key(sealed: Path) -> Key:
    return read_key(sealed.parent / "key")


@pytest.fixture(autouse=True)
def several_deliveries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unsealing, "DELIVERY_BYTES", 500_000)


def opened(data: Path) -> dict[str, bytes]:
    return {path: content for path, content in public_files(data).items() if not path.startswith("references")}


def test_what_was_sealed_comes_out_again(data: Path, sealed: Path, key: Key, tmp_path: Path) -> None:
    assert len(list(sealed.glob("*.bin"))) > 2
    counts: list[int] = []
    report = unseal(sealed, key, tmp_path / "root", on_progress=counts.append)
    assert (report.images, report.written) == (30, 30)
    assert 0 < sum(counts) <= parse_release((sealed / LISTING).read_bytes(), "").size
    assert files_in(tmp_path / "root") == opened(data)
    assert unseal(sealed, key, tmp_path / "root").written == 0


def test_the_way_of_a_sealed_release(data: Path, sealed: Path, key: Key, tmp_path: Path) -> None:
    """Published, fetched and opened into the folder of what was fetched before."""
    publish_to(tmp_path / "phase1", data, roles=("reference",))
    for source, place, root in (
        (None, tmp_path / "phase1", tmp_path / "root"),
        (sealed, tmp_path / "place", tmp_path / "fetched"),
    ):
        with open_place(str(place)) as there:
            if source is not None:
                assert publish(plan_release(source), there).release.is_sealed
                assert publish(plan_release(source), there).sent == 0
            fetch(there, read_release(there), root)
            assert fetch(there, read_release(there), root).fetched == 0
    assert files_in(tmp_path / "fetched") == files_in(sealed)
    unseal(tmp_path / "fetched", key, tmp_path / "root")
    assert files_in(tmp_path / "root") == public_files(data)


def test_damage_to_what_was_opened_is_mended(data: Path, sealed: Path, key: Key, tmp_path: Path) -> None:
    root = tmp_path / "root"
    unseal(sealed, key, root)
    victim = max((root / "queries").iterdir(), key=lambda path: path.stat().st_size)
    victim.write_bytes(bytes(victim.stat().st_size))
    assert unseal(sealed, key, root).written == 0
    assert unseal(sealed, key, root, check=True).written > 0
    assert files_in(root) == opened(data)


def test_a_sealed_release_shows_its_size_and_nothing_else(data: Path, sealed: Path) -> None:
    files = files_in(sealed)
    assert set(files) == {LISTING, *(file.name for file in parse_release(files[LISTING], "").files)}
    everything = b"".join(files.values())
    for entry in read_manifest(data / "manifest.csv").entries:
        assert entry.id.encode() not in everything and entry.sha256.encode() not in everything
        assert len(content := (data / entry.path).read_bytes()) < 100 or content[:100] not in everything
    sizes = [len(files[file.name]) for file in parse_release(files[LISTING], "").files]
    assert len(set(sizes[:-1])) == 1 and sizes[-1] <= sizes[0]


def test_two_seals_of_the_same_have_nothing_in_common(data: Path, sealed: Path, tmp_path: Path) -> None:
    seal(plan_seal(data, QUERIES), tmp_path / "again", tmp_path / "key", piece_size=2 * CHUNK)
    for one, other in zip(sorted(sealed.glob("*.bin")), sorted((tmp_path / "again").glob("*.bin")), strict=True):
        first, second = one.read_bytes(), other.read_bytes()
        assert len(first) == len(second) and first[:16] == second[:16]
        assert not any(a == b for a, b in zip(_chunks(first), _chunks(second), strict=True))


def _chunks(piece: bytes) -> list[bytes]:
    return [piece[start : start + WHOLE] for start in range(HEAD, len(piece), WHOLE)]


# The cipher alone.


def seal_bytes(plain: bytes, key: Key, number: PieceNumber) -> bytes:
    return b"".join(seal_piece((plain[i : i + CHUNK] for i in range(0, len(plain), CHUNK)), key, number))


def open_pieces(folder: Path, pieces: list[bytes], key: Key, start: int = 0) -> bytes:
    paths = [folder / f"{number}" for number in range(len(pieces))]
    for path, piece in zip(paths, pieces, strict=True):
        path.write_bytes(piece)
    stream = SealedStream(paths, key)
    with stream.reader(start) as reader:
        return reader.read(stream.size)


KEY = Key(bytes(range(32)))
PLAIN = [os.urandom(3 * CHUNK + 5), os.urandom(2 * CHUNK), os.urandom(100)]


@pytest.fixture(scope="module")
def pieces() -> list[bytes]:
    return [seal_bytes(plain, KEY, PieceNumber(index, 3)) for index, plain in enumerate(PLAIN)]


@pytest.mark.parametrize("size", [1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 1])
def test_every_size_comes_out_again(size: int, tmp_path: Path) -> None:
    plain = os.urandom(size)
    piece = seal_bytes(plain, KEY, PieceNumber(0, 1))
    assert len(piece) == sealed_size(size) and plain_size(len(piece)) == size
    assert open_pieces(tmp_path, [piece], KEY) == plain


@given(st.data())
@settings(max_examples=30, deadline=None)
def test_reading_can_begin_anywhere(
    pieces: list[bytes], tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    plain = b"".join(PLAIN)
    start = data.draw(st.integers(0, len(plain)))
    assert open_pieces(tmp_path_factory.mktemp("pieces"), pieces, KEY, start) == plain[start:]


@st.composite
def manipulations(draw: st.DrawFn) -> tuple[str, int, int, int]:
    kind = draw(st.sampled_from(("flip", "cut", "drop", "repeat", "swap", "append", "foreign", "salt", "magic")))
    return kind, draw(st.integers(0, 3)), draw(st.integers(0, 3)), draw(st.integers(0, 2**40))


@given(manipulations())
@settings(max_examples=120, deadline=None)
def test_every_manipulation_of_chunks_is_noticed(
    pieces: list[bytes], tmp_path_factory: pytest.TempPathFactory, manipulation: tuple[str, int, int, int]
) -> None:
    kind, first, second, number = manipulation
    head, chunks = pieces[0][:HEAD], _chunks(pieces[0])
    if kind == "flip":
        piece = bytearray(pieces[0])
        piece[number % len(piece)] ^= 1 << (first + second)
        changed = bytes(piece)
    elif kind == "cut":  # at a chunk's end or anywhere
        changed = pieces[0][: HEAD + first * WHOLE] if second else pieces[0][: number % len(pieces[0])]
    elif kind == "drop":
        changed = head + b"".join(chunks[:first] + chunks[first + 1 :])
    elif kind == "repeat":
        changed = head + b"".join(chunks[: first + 1] + chunks[first:])
    elif kind == "swap":
        chunks[first], chunks[second] = chunks[second], chunks[first]
        changed = head + b"".join(chunks)
    elif kind == "append":
        changed = pieces[0] + bytes(1 + number % WHOLE)
    elif kind == "foreign":  # of another piece
        chunks[first] = _chunks(pieces[1])[second % 2]
        changed = head + b"".join(chunks)
    elif kind == "salt":
        changed = pieces[1][:HEAD] + b"".join(chunks)
    else:
        changed = b"E" + pieces[0][1:]
    if changed == pieces[0]:
        return
    with pytest.raises(ChallengeError, match=r"damaged, or not what was sealed, at byte|no sealed file has"):
        open_pieces(tmp_path_factory.mktemp("pieces"), [changed, *pieces[1:]], KEY)


@given(st.permutations([0, 1, 2]), st.integers(1, 3))
@settings(deadline=None)
def test_pieces_that_change_places_or_are_left_out_are_noticed(
    pieces: list[bytes], tmp_path_factory: pytest.TempPathFactory, order: list[int], count: int
) -> None:
    order = order[:count]
    if order == [0, 1, 2]:
        return
    with pytest.raises(ChallengeError, match=r"damaged, or not what was sealed"):
        open_pieces(tmp_path_factory.mktemp("pieces"), [pieces[number] for number in order], KEY)


def test_another_key_opens_nothing(pieces: list[bytes], tmp_path: Path) -> None:
    with pytest.raises(ChallengeError, match=r"damaged, or not what was sealed"):
        open_pieces(tmp_path, pieces, Key.new())


# Keys and files.


def test_a_key_is_for_its_owner_alone_and_never_overwritten(data: Path, sealed: Path, tmp_path: Path) -> None:
    path = sealed.parent / "key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    content = path.read_bytes()
    with pytest.raises(UsageError, match=r"key: is there already, and a secret is never overwritten"):
        seal(plan_seal(data, QUERIES), tmp_path / "out", path)
    assert path.read_bytes() == content and not (tmp_path / "out").exists()
    assert read_key(path).secret.hex() not in repr(read_key(path))


def test_a_wrong_key_is_told_from_a_damaged_file(sealed: Path, key: Key, tmp_path: Path) -> None:
    with pytest.raises(ChallengeError, match=r"the key is that of another release; nothing is wrong with the files"):
        unseal(sealed, Key.new(), tmp_path / "root")
    values = json.loads((sealed.parent / "key").read_text())
    bad = tmp_path / "bad"
    bad.write_text(
        json.dumps(values | {"secret": values["secret"][:-1] + ("0" if values["secret"][-1] != "0" else "1")})
    )
    with pytest.raises(ChallengeError, match=r"bad: the key file is damaged"):
        read_key(bad)
    for content in ("", "[]", "{}", json.dumps(values | {"secret": "00"}), json.dumps(values | {"format": "other"})):
        bad.write_text(content)
        with pytest.raises(ChallengeError, match=r"bad: no file of the form ectype-key-1, or a damaged one"):
            read_key(bad)
    with pytest.raises(ChallengeError, match=r"nothing: can't be read: No such file"):
        read_key(tmp_path / "nothing")


def test_a_damaged_piece_opens_no_image_of_its_own(data: Path, sealed: Path, key: Key, tmp_path: Path) -> None:
    copy, root = tmp_path / "copy", tmp_path / "root"
    copy.mkdir()
    for name, content in files_in(sealed).items():
        (copy / name).write_bytes(content)
    victim = sorted(copy.glob("*.bin"))[-1]
    right = victim.read_bytes()
    victim.write_bytes(right[:-1] + bytes([right[-1] ^ 1]))
    with pytest.raises(ChallengeError, match=rf"{victim.name}: damaged.* fetch the release again with --check"):
        unseal(copy, key, root)
    assert not (root / "manifest.csv").exists()
    standing = {path: content for path, content in files_in(root).items() if not path.startswith(".incoming")}
    assert standing.items() < opened(data).items()
    with open_place(str(sealed)) as place:
        assert fetch(place, read_release(place), copy).fetched == 0
        assert fetch(place, read_release(place), copy, FetchOptions(check=True)).fetched == 1
    unseal(copy, key, root)
    assert files_in(root) == opened(data)
    victim.write_bytes(right[:-1])
    with pytest.raises(ChallengeError, match=r"is missing or not whole; fetch the release again"):
        unseal(copy, key, root)
    (copy / LISTING).write_text("{}")
    with (
        open_place(str(sealed)) as place,
        pytest.raises(ChallengeError, match=r"holds another release; choose another"),
    ):
        fetch(place, read_release(place), copy)


def test_what_is_no_sealed_release(data: Path, key: Key, tmp_path: Path) -> None:
    with pytest.raises(ChallengeError, match=r"no whole release: it has no release\.json; fetch it to the end first"):
        unseal(tmp_path, key, tmp_path / "root")
    publish_to(tmp_path / "open", data)
    with pytest.raises(ChallengeError, match=r"the release is not sealed; there is nothing to open"):
        unseal(tmp_path / "open", key, tmp_path / "root")


def test_a_sealed_release_that_is_damaged_is_not_published(sealed: Path, tmp_path: Path) -> None:
    for name, content in files_in(sealed).items():
        (tmp_path / name).write_bytes(content if name == LISTING else content[:-1] + b"?")
    with open_place(str(tmp_path / "place")) as place, pytest.raises(ChallengeError, match=r"is damaged.*seal again"):
        publish(plan_release(tmp_path), place)
    with pytest.raises(UsageError, match=r"is a sealed release, which is published as it is"):
        plan_release(tmp_path, QUERIES)


def test_what_can_not_be_sealed_says_why(data: Path, sealed: Path, tmp_path: Path) -> None:
    plan = plan_seal(data, QUERIES)
    with pytest.raises(UsageError, match=r"sealed: is there already; choose another folder"):
        seal(plan, sealed, tmp_path / "key")
    with pytest.raises(UsageError, match=r"the key must not lie in the folder that is handed out"):
        seal(plan, tmp_path / "out", tmp_path / "out" / "key")
    with pytest.raises(StorageError, match=r"its folder does not exist; create it first"):
        seal(plan, tmp_path / "out", tmp_path / "nowhere" / "key")
    with pytest.raises(UsageError, match=r"holds a manifest and images; publish other files by themselves"):
        plan_seal(data, Contents(include=("ground_truth.csv",)))


def test_an_image_that_is_not_the_manifests_is_not_sealed(tmp_path: Path) -> None:
    data = make_data_set(tmp_path / "data")
    (data / "queries" / "q00001.jpg").write_bytes(b"another")
    with pytest.raises(ChallengeError, match=r"q00001\.jpg: not the file that the manifest lists"):
        seal(plan_seal(data, QUERIES), tmp_path / "out", tmp_path / "key")
    assert {path.name for path in tmp_path.iterdir()} == {"data"}


def test_sealing_needs_a_package(
    data: Path, sealed: Path, key: Key, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers.aead", None)
    message = r"sealed releases need the package cryptography: pip install 'ectype\[releases\]'"
    with pytest.raises(MissingPackageError, match=message):
        seal(plan_seal(data, QUERIES), tmp_path / "out", tmp_path / "key")
    with pytest.raises(MissingPackageError, match=message):
        unseal(sealed, key, tmp_path / "root")
    assert not list(tmp_path.iterdir())


def test_the_commands(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def run(*arguments: object) -> dict[str, object]:
        assert main(["challenge", *map(str, arguments), "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    truth, salt = data / "ground_truth.csv", tmp_path / "salt"
    commitment = run("commit", truth, salt)["commitment"]
    sealed, place, key = tmp_path / "sealed", tmp_path / "place", tmp_path / "key"
    made = run("seal", data, sealed, key, "--commitment", commitment)
    assert made["images"] == 30
    assert run("publish", sealed, place)["sha256"] == made["sha256"]
    fetched = run("fetch", place, tmp_path / "fetched", "--expect", made["sha256"])
    assert fetched["sealed"] and fetched["truth_commitment"] == commitment
    assert run("unseal", tmp_path / "fetched", key, tmp_path / "root") == {"images": 30, "written": 30}
    assert run("reveal", place, truth, salt)["verified"]
    other = tmp_path / "other.csv"
    other.write_text("query_id,reference_id\nq00000,r00002\nq00001,\n")
    assert main(["challenge", "reveal", str(place), str(other), str(salt)]) == 3
    assert "is not the ground truth that was committed to before the challenge" in capsys.readouterr().err
