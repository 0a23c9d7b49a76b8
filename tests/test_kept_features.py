"""Collections that keep what verification needs of their images, and the bytes that they keep."""

from __future__ import annotations

import io
import json
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import draw_picture
from ectype.cli import main
from ectype.collection import Collection
from ectype.collection.prepared_codec import pack, unpack
from ectype.collection.records import NewImage
from ectype.collection.store import Store
from ectype.descriptors import OnnxModel, describe_images
from ectype.errors import CollectionError, InvalidDataError, StorageError, UsageError
from ectype.images import DEFAULT_LIMITS, ImageItem, decode_image, displayed_size, read_bytes
from ectype.verification import SIDE, LocalFeatures, Prepared, Verifier, prepare
from ectype.verification.agreement import Thumbnail
from kill_driver import Driver, keep_adding
from stored_pictures import MODEL, assert_holds, descriptor, execute, picture_bytes, picture_item, small_batches

TEN = {str(seed): seed for seed in range(10)}


@pytest.fixture
def keeping(folder: Path) -> Iterator[Collection]:
    """Keeps local features, and holds pictures "0" to "9"."""
    with Collection.create(folder, MODEL, keep_features=True) as made:
        made.add([picture_item(name, seed) for name, seed in TEN.items()], MODEL)
        yield made


def drawn(seed: int, size: tuple[int, int] = (640, 480), suffix: str = "png") -> ImageItem:
    file = io.BytesIO()
    draw_picture(seed, size).save(file, suffix)
    return ImageItem(f"d{seed}", f"memory:d{seed}.{suffix}", content=file.getvalue())


def prepared_from(item: ImageItem) -> Prepared:
    data = item.read()
    pixels = decode_image(data, at_least=SIDE)
    return prepare(pixels, "reference", displayed_size(data, pixels))


def assert_same(one: Prepared, other: Prepared) -> None:
    """But for the rounding of places."""
    assert one.features.size == other.features.size == one.thumbnail.size == other.thumbnail.size
    assert one.features.places.shape == other.features.places.shape
    assert np.array_equal(one.features.descriptors, other.features.descriptors)
    assert np.array_equal(one.thumbnail.pixels, other.thumbnail.pixels)
    off = np.abs(one.features.places.astype(np.float64) - other.features.places)
    longest = max(one.features.size)
    assert (off[:, :2] <= longest * 1e-5).all()
    assert (off[:, 2] <= one.features.places[:, 2] / 2000 + longest * 1e-7).all()
    assert (np.minimum(off[:, 3], 2 * np.pi - off[:, 3]) <= 5e-5).all()


# The bytes


@st.composite
def prepared_pictures(draw: st.DrawFn) -> Prepared:
    width, height = draw(st.integers(1, 40_000)), draw(st.integers(1, 40_000))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    count = draw(st.sampled_from([0, 1, 2, 50, 400]))
    shares = rng.choice([0, 1, 0.5, *rng.random(20)], (count, 4))
    longest = max(width, height)
    places = shares * (width, height, longest, 2 * np.pi) + (0, 0, longest / 500, 0)
    descriptors = rng.integers(0, 256, (count, 128), dtype=np.uint8)
    small = rng.integers(0, 256, rng.integers(1, 97, 2), dtype=np.uint8)
    size = width, height
    return Prepared(LocalFeatures(size, places.astype(np.float32), descriptors), Thumbnail(size, small))


@given(prepared_pictures())
def test_a_prepared_picture_comes_back(prepared: Prepared) -> None:
    content = pack(prepared)
    assert_same(prepared, unpack(content))
    assert pack(unpack(content)) == content  # rounded once, and not again


@given(prepared_pictures(), st.data())
def test_no_byte_can_change_unnoticed(prepared: Prepared, data: st.DataObject) -> None:
    content = bytearray(pack(prepared))
    position = data.draw(st.integers(0, len(content) - 1))
    content[position] ^= data.draw(st.integers(1, 255))
    with pytest.raises(InvalidDataError, match="their checksum is another"):
        unpack(bytes(content))
    with pytest.raises(InvalidDataError):
        unpack(bytes(content[:position]))


def with_checksum(content: bytes) -> bytes:
    return content + struct.pack("<I", zlib.crc32(content))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cut short"),
        (bytes(16), "cut short"),
        (bytes(30), "their checksum is another"),
        (with_checksum(bytes([9]) + bytes(30)), "of version 9, where this version of Ectype reads 1"),
        (with_checksum(bytes([1]) + bytes(30)), "not compressed as they should be"),
        (with_checksum(struct.pack("<BIIHBB", 1, 9, 9, 0, 2, 2) + zlib.compress(bytes(5))), "of another length"),
        (with_checksum(struct.pack("<BIIHBB", 1, 9, 9, 0, 2, 2) + zlib.compress(bytes(3))), "of another length"),
        (with_checksum(struct.pack("<BIIHBB", 1, 9, 9, 0, 2, 2) + zlib.compress(bytes(4)) + b"0"), "of another length"),
        (with_checksum(struct.pack("<BIIHBB", 1, 9, 9, 0, 2, 2) + zlib.compress(bytes(10**7))), "of another length"),
    ],
)
def test_bytes_that_are_no_prepared_picture_are_refused(content: bytes, message: str) -> None:
    with pytest.raises(InvalidDataError, match=message):
        unpack(content)


def test_matches_are_verified_with_what_is_kept_as_with_the_pictures() -> None:
    picture = draw_picture(3, (640, 480))
    reference = prepare(np.asarray(picture), "reference")
    query = prepare(np.asarray(picture.rotate(15).crop((60, 60, 500, 420))), "query")
    verifier = Verifier(query)
    with_pictures, with_kept = verifier.verify(reference), verifier.verify(unpack(pack(reference)))
    assert with_pictures is not None and with_kept is not None
    assert with_kept.places == with_pictures.places
    assert with_kept.agreement == pytest.approx(with_pictures.agreement, abs=1e-3)


# The option


def test_features_are_kept_where_that_is_chosen(keeping: Collection) -> None:
    assert keeping.keeps_features
    assert keeping.meta["features"] == "kept"
    assert keeping.problems() == []
    assert_holds(keeping, TEN)


def test_features_are_not_kept_otherwise(folder: Path) -> None:
    with Collection.create(folder, MODEL) as collection:
        collection.add([picture_item("0", 0)], MODEL)
        assert not collection.keeps_features
        assert collection.meta["features"] == "computed"
        assert collection.features([1]) == {}
        tables = collection._store._connection.execute("SELECT name FROM sqlite_master WHERE name = 'features'")
        assert tables.fetchall() == []


@pytest.mark.parametrize("read_only", [False, True])
def test_a_collection_without_the_entry_keeps_none(folder: Path, read_only: bool) -> None:
    with Collection.create(folder, MODEL) as collection:
        collection.add([picture_item("0", 0)], MODEL)
    execute(folder, "DELETE FROM meta WHERE key = 'features'")
    if read_only:
        (folder / "collection.sqlite").chmod(0o444)
        folder.chmod(0o555)
    with Collection(folder) as collection:
        assert (collection.keeps_features, collection.meta["features"]) == (False, "computed")
        assert collection.problems() == []
        assert_holds(collection, {"0": 0})
        if not read_only:
            collection.add([picture_item("1", 1)], MODEL)
            collection.add([picture_item("0", 2)], MODEL, replace=True)
            assert collection.remove(["1"]) == ["1"]
            assert_holds(collection, {"0": 2})
    folder.chmod(0o755)


def test_an_entry_that_is_none_is_refused(folder: Path) -> None:
    Collection.create(folder, MODEL).close()
    execute(folder, "UPDATE meta SET value = 'perhaps' WHERE key = 'features'")
    with pytest.raises(CollectionError, match="table meta lacks an entry, or has a wrong one"):
        Collection(folder)


def test_the_command_makes_such_a_collection(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["collection", "create", str(folder), "--keep-features", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["features"] == "kept"
    with Collection(folder) as collection:
        assert collection.keeps_features


# What is kept


@pytest.mark.parametrize("suffix", ["png", "jpeg"])
def test_features_are_those_of_the_picture_in_full_size(folder: Path, bundled_model: OnnxModel, suffix: str) -> None:
    """And vectors are the same to the last bit as without them, though JPEGs are scaled down for these."""
    items = [drawn(seed, (1200, 900), suffix) for seed in range(6)]
    with Collection.create(folder, bundled_model, keep_features=True) as keeping:
        assert keeping.add(items, bundled_model).added == 6
        rows = {reference.id: reference.row for reference in keeping}
        kept, vectors = keeping.features(rows.values()), keeping.vectors(rows.values())
    for item in items:
        assert len(kept[rows[item.id]].features) > 0
        assert kept[rows[item.id]].features.places[:, 0].max() > 600  # of a picture 1200 wide, whatever was decoded
        assert_same(prepared_from(item), kept[rows[item.id]])
        (described,) = describe_images([item], bundled_model, DEFAULT_LIMITS)
        assert np.array_equal(vectors[rows[item.id]], described.vector.astype(np.float16).astype(np.float32))


def test_the_location_is_that_of_the_file(keeping: Collection, tmp_path: Path) -> None:
    """Though its content is at hand, as that of standard input is."""
    (tmp_path / "p.png").write_bytes(picture_bytes(50))
    keeping.add([ImageItem("p", str(tmp_path / "p.png"), {"seed": 50})], MODEL)
    assert next(reference.location for reference in keeping if reference.id == "p") == str(tmp_path / "p.png")


def test_a_file_is_read_once(keeping: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the digest, the vector and the features are of the same bytes, whoever writes to the file."""
    (tmp_path / "p.png").write_bytes(picture_bytes(50))
    reads: list[str] = []

    def counting(file: str, *arguments: object) -> bytes:
        reads.append(file)
        return read_bytes(file, *arguments)

    monkeypatch.setattr("ectype.images.sources.read_bytes", counting)
    keeping.add([ImageItem("p", str(tmp_path / "p.png"))], MODEL)
    assert reads == [str(tmp_path / "p.png")]


def test_what_can_not_be_read_is_reported_and_the_rest_is_stored(keeping: Collection, tmp_path: Path) -> None:
    items = [
        ImageItem("gone", str(tmp_path / "gone.png")),
        ImageItem("damaged", "memory", content=picture_bytes(1)[:60]),
        ImageItem("text", "memory", content=b"no image"),
        picture_item("10", 10),
    ]
    report = keeping.add(items, MODEL)
    assert report.added == 1
    assert [(row.id, row.code) for row in report.skipped] == [
        ("gone", "missing"),
        ("damaged", "truncated"),
        ("text", "not-an-image"),
    ]
    assert_holds(keeping, TEN | {"10": 10})


def test_features_come_and_go_with_their_images(keeping: Collection) -> None:
    rows = {reference.id: reference.row for reference in keeping}
    keeping.remove(["3", "4"])
    keeping.add([picture_item("5", 55), picture_item("6", 6)], MODEL, replace=True)
    keeping.add([picture_item("3", 33)], MODEL)
    assert keeping.features([rows["3"], rows["4"], rows["5"], 10**6]) == {}
    assert keeping.features([rows["6"]]).keys() == {rows["6"]}
    assert keeping.problems() == []
    expected = TEN | {"3": 33, "5": 55}
    del expected["4"]
    assert_holds(keeping, expected)


def test_a_picture_too_small_for_features_has_none(keeping: Collection) -> None:
    assert all(len(prepared.features) == 0 for prepared in keeping.features(range(1, 11)).values())


@pytest.mark.parametrize("keep_features", [False, True])
def test_images_are_not_stored_without_or_with_features_where_that_is_wrong(folder: Path, keep_features: bool) -> None:
    Collection.create(folder, MODEL, keep_features=keep_features).close()
    store = Store(folder / "collection.sqlite")
    features = None if keep_features else b"features"
    with pytest.raises(UsageError, match=f"are stored {'with' if keep_features else 'without'} their local features"):
        store.insert([NewImage("a", bytes(32), "", {}, descriptor(0), features)])
    assert len(store) == 0
    store.close()


def test_a_writer_that_comes_second_keeps_no_features_of_what_the_first_added(
    keeping: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert = Store.insert

    def after_another(store: Store, images: list[NewImage], **options: bool) -> object:
        monkeypatch.setattr(Store, "insert", insert)
        with Collection(keeping.folder) as other:
            other.add([picture_item("new", 60), picture_item("same", 61)], MODEL)
        return store.insert(images, **options)

    monkeypatch.setattr(Store, "insert", after_another)
    report = keeping.add([picture_item("new", 70), picture_item("same", 61), picture_item("last", 72)], MODEL)
    assert (report.added, report.unchanged, len(report.skipped)) == (1, 1, 1)
    assert keeping.problems() == []
    assert_holds(keeping, TEN | {"new": 60, "same": 61, "last": 72})


# Damage


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        ("DELETE FROM features WHERE row = 5", "image '4' has no local features; remove the image and add it again"),
        (
            "UPDATE features SET content = 'text' WHERE row = 5",
            "image '4' has damaged local features (cut short); remove the image and add it again",
        ),
        (
            "UPDATE features SET content = substr(content, 1, 40) || x'00' WHERE row = 5",
            "image '4' has damaged local features (",
        ),
        (
            "UPDATE features SET content = CAST(content || x'00' AS BLOB) WHERE row = 5",
            "image '4' has damaged local features (their checksum is another); remove the image and add it again",
        ),
    ],
)
def test_features_that_are_missing_or_damaged_are_named_and_can_be_mended(
    keeping: Collection, statement: str, sentence: str
) -> None:
    execute(keeping.folder, statement)
    (problem,) = keeping.problems()
    assert problem.startswith(sentence)
    with pytest.raises(CollectionError, match=r"image '4' has .*local features") as error:
        keeping.features(range(1, 11))
    assert str(error.value).startswith(str(keeping.folder))
    assert len(keeping.features([1, 2, 3])) == 3
    keeping.remove(["4"])
    keeping.add([picture_item("4", 4)], MODEL)
    assert keeping.problems() == []
    assert_holds(keeping, TEN)


def test_features_of_no_image_are_named(keeping: Collection) -> None:
    execute(keeping.folder, "INSERT INTO features SELECT 777, content FROM features WHERE row = 1")
    assert keeping.problems() == ["local features are kept of number 777, which no image has"]
    assert 777 not in keeping.features([1, 777])


def test_a_missing_table_is_a_clear_error(keeping: Collection) -> None:
    execute(keeping.folder, "DROP TABLE features")
    assert "no such table: features" in keeping.problems()[0]
    for use in (lambda: keeping.features([1]), lambda: keeping.add([picture_item("n", 50)], MODEL)):
        with pytest.raises(CollectionError, match=r"not a sound collection database .*restore it from a backup"):
            use()
    assert len(keeping) == 10


# Disks


@pytest.mark.parametrize("limit", [20_000, 33_000, 50_000, 80_000, 1_000_000])
def test_a_limit_on_file_sizes_ends_an_add_between_two_batches(keeping: Collection, limit: int) -> None:
    keeping.close()
    with Driver() as driver:
        error = driver.run("with_limit", limit, "keep_adding", str(keeping.folder), 0, 40, 40).error
    assert ("ectype.errors.StorageError" in error) == (limit < 1_000_000)
    with Collection(keeping.folder) as collection:
        assert collection.problems() == []
        assert_holds(collection, {str(seed): seed for seed in range(len(collection))})
    keep_adding(str(keeping.folder), 0, 40, 40)
    with Collection(keeping.folder) as collection:
        assert_holds(collection, {str(seed): seed for seed in range(40)})


def test_a_full_database_keeps_what_it_has(keeping: Collection) -> None:
    connection = keeping._store._connection
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    for more in range(8):
        connection.execute(f"PRAGMA max_page_count = {pages + more}")
        with pytest.raises(StorageError, match="the disk is full; free some space"), small_batches():
            keeping.add([drawn(seed) for seed in range(4)], MODEL)
        assert_holds(keeping, TEN)
    assert keeping.problems() == []


def test_a_read_only_collection_gives_its_features(keeping: Collection) -> None:
    keeping.close()
    before = (keeping.folder / "collection.sqlite").read_bytes()
    with Driver() as driver:
        for path in (keeping.folder / "collection.sqlite", keeping.folder):
            path.chmod(path.stat().st_mode & ~0o222)
        try:
            with Collection(keeping.folder) as reader:
                assert_holds(reader, TEN)
            assert driver.run("as_nobody", "keep_adding", str(keeping.folder), 10, 1, 1).error
        finally:
            keeping.folder.chmod(0o755)
    assert (keeping.folder / "collection.sqlite").read_bytes() == before


def test_what_was_kept_can_be_used_like_what_was_computed() -> None:
    back = unpack(pack(prepared_from(drawn(2))))
    for array in (back.features.places, back.features.descriptors, back.thumbnail.pixels):
        assert array.flags.writeable
