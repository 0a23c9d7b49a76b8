"""Tar shards: their members, whole and damaged."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from ectype.errors import InvalidDataError
from ectype.images import ImageItem, ImageLimits, list_images
from listed_files import OTHER_PNG, PNG, code_of, ids_of, put, put_tar

pytestmark = pytest.mark.usefixtures("current_folder")


def test_members_of_a_tar_are_found_and_read_byte_for_byte():
    contents = {"b/1.png": PNG, "b/2.jpg": OTHER_PNG, "c" * 150 + "/é.gif": b"x" * 513, "digest": PNG}
    others = {"b/1.json": b"{}", "._1.png": PNG, "b/.hidden.png": PNG, "empty.txt": b""}
    for number, form in enumerate((tarfile.PAX_FORMAT, tarfile.GNU_FORMAT)):
        name = f"{number}.TAR"
        put_tar(name, contents | others, format=form)
        items = list_images([name])
        assert [item.location for item in items] == [f"{name}::{member}" for member in contents]
        assert [item.read() for item in items] == list(contents.values())
        assert [ImageItem.at(item.id, item.location) for item in items] == items
        assert ids_of(name, ids="path")[:2] == ["b/1", "b/2"]


def test_a_later_member_of_the_same_name_replaces_the_earlier_as_tar_does():
    with tarfile.open("pack.tar", "w") as archive:
        for content in (PNG, OTHER_PNG):
            entry = tarfile.TarInfo("a.png")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    (item,) = list_images(["pack.tar"])
    assert item.read() == OTHER_PNG


def test_hard_links_in_a_tar_are_images_too_and_other_members_are_not():
    put({"a.png": PNG})
    os.link("a.png", "b.png")
    os.symlink("a.png", "c.png")
    os.mkdir("d.png")
    with tarfile.open("pack.tar", "w") as archive:
        for name in ("a.png", "b.png", "c.png", "d.png"):
            archive.add(name)
    items = list_images(["pack.tar"])
    assert [(item.id, item.read()) for item in items] == [("a", PNG), ("b", PNG)]


def test_a_tar_that_changes_is_read_anew():
    put_tar("pack.tar", {"a.png": PNG})
    assert ids_of("pack.tar") == ["a"]
    put_tar("pack.tar", {"b.png": PNG, "c.png": OTHER_PNG * 100})
    assert ids_of("pack.tar") == ["b", "c"]


def claim_size(data: bytes, header: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    """Give the member whose header begins there a size that no file can have, a type, and a sum that fits."""
    block = bytearray(data[header : header + 512])
    block[124:136] = b"\x80" + b"\x7f" * 11
    block[156:157] = kind
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return data[:header] + bytes(block) + data[header + 512 :]


def damaged_tar(change: Callable[[bytes], bytes]) -> str:
    put_tar("pack.tar", {"a.png": b"x" * 1000, "b.png": b"x" * 1000})
    Path("pack.tar").write_bytes(change(Path("pack.tar").read_bytes()))
    return "pack.tar"


@pytest.mark.parametrize(
    "change",
    [
        lambda data: b"",
        lambda data: b"text " * 1000,
        lambda data: data[:300],
        lambda data: data[:1000],
        lambda data: data[:1700],
        lambda data: data[:2500],
        lambda data: data[:1536] + b"\xff" * 512 + data[2048:],
        lambda data: claim_size(data, 0),
        lambda data: claim_size(data, 1536, tarfile.XHDTYPE),
    ],
    ids="empty,text,in a header,in data,in the next header,in the last data,header,size,size of a header".split(","),
)
def test_a_damaged_tar_is_refused_and_never_taken_for_a_shorter_one(change):
    with pytest.raises(InvalidDataError, match=r"pack\.tar: not a readable uncompressed tar"):
        list_images([damaged_tar(change)])


def test_a_tar_without_its_end_marks_is_read():
    assert ids_of(damaged_tar(lambda data: data[:3072])) == ["a", "b"]


def test_a_tar_that_is_cut_or_lost_after_listing_is_reported_member_by_member():
    put_tar("pack.tar", {"a.png": PNG})
    (item,) = list_images(["pack.tar"])
    os.truncate("pack.tar", 520)
    assert code_of(item) == "truncated"
    os.remove("pack.tar")
    assert code_of(item) == "missing"


def test_members_keep_to_the_limits():
    put_tar("pack.tar", {"a.png": PNG, "b.png": b""})
    first, second = list_images(["pack.tar"])
    assert first.read(ImageLimits(max_bytes=len(PNG))) == PNG
    assert code_of(first, ImageLimits(max_bytes=len(PNG) - 1)) == "too-many-bytes"
    assert code_of(second) == "empty"


@pytest.mark.parametrize("name", ["pack.tar.gz", "pack.tgz", "pack.tar.xz", "pack.zip"])
def test_packed_archives_are_refused_with_advice(name):
    put({name: b"whatever it holds"})
    with pytest.raises(InvalidDataError, match=r"unpack it to a \.tar or a folder"):
        list_images([name])
