"""What is found in files, folders, lists and standard input."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
from pathlib import Path

import pytest

from ectype.errors import DuplicateIdError, InvalidDataError, UnreadableImageError, UsageError
from ectype.images import IMAGE_SUFFIXES, ImageItem, list_images
from listed_files import OTHER_PNG, PNG, code_of, ids_of, locations_of, put, put_tar

pytestmark = pytest.mark.usefixtures("current_folder")


# Files and folders


def test_a_file_is_an_image_whatever_its_name_and_content():
    put({"a.jpg": PNG, "b": b"", "c.dat": b"nothing"})
    assert list_images(["a.jpg", Path("b"), "c.dat"]) == [
        ImageItem("a", "a.jpg"),
        ImageItem("b", "b"),
        ImageItem("c", "c.dat"),
    ]


@pytest.mark.parametrize("one", ["a.png", Path("a.png")])
def test_a_single_input_needs_no_list_around_it(one):
    put({"a.png": PNG})
    assert list_images(one) == [ImageItem("a", "a.png")]


def test_a_folder_is_searched_with_its_subfolders_in_a_fixed_order():
    names = ["b.png", "a.jpg", "z/1.webp", "y/2.HEIC", "y/deep/er/3.tif", "y/0.gif"]
    put({f"folder/{name}": PNG for name in names})
    assert locations_of("folder") == [
        f"folder/{name}" for name in ("a.jpg", "b.png", "y/0.gif", "y/2.HEIC", "y/deep/er/3.tif", "z/1.webp")
    ]
    assert ids_of("folder", ids="path") == ["a", "b", "y/0", "y/2", "y/deep/er/3", "z/1"]
    assert ids_of(".", ids="path")[0] == "folder/a"


def test_what_is_hidden_is_left_out():
    put({f"folder/{name}": PNG for name in ("a.png", ".b.png", "._a.png", ".thumbnails/c.png", "sub/.d.png")})
    assert ids_of("folder") == ["a"]
    assert ids_of("folder/.thumbnails", "folder/.b.png") == ["c", ".b"]


def test_without_an_extension_the_content_decides():
    put(
        {
            "folder/0a1b2c": PNG,
            "folder/photo.bak": PNG,
            "folder/README": "text",
            "folder/notes.txt": "a.png\n",
            "folder/empty": b"",
            "folder/BM": "BM is how this text begins",
            "folder/broken.png": "text",
        }
    )
    assert ids_of("folder") == ["0a1b2c", "broken", "photo"]


@pytest.mark.parametrize("suffix", sorted(IMAGE_SUFFIXES))
def test_every_extension_is_found_in_capitals_too(suffix):
    put({f"folder/a{suffix}": b"", f"folder/b{suffix.upper()}": b""})
    assert ids_of("folder") == ["a", "b"]


def test_links_to_folders_are_followed_once():
    put({"folder/a/1.png": PNG, "elsewhere/2.png": PNG})
    Path("folder/a/up").symlink_to("..")
    Path("folder/a/itself").symlink_to("itself")
    Path("folder/b").symlink_to("../elsewhere")
    Path("folder/c").symlink_to("../elsewhere")
    assert locations_of("folder") == ["folder/a/1.png", "folder/b/2.png"]


def test_links_that_lead_nowhere_are_found_and_reported_when_read():
    put({"folder/a.png": PNG})
    Path("folder/b.png").symlink_to("gone")
    Path("folder/c").symlink_to("gone")
    assert ids_of("folder") == ["a", "b"]
    with pytest.raises(UnreadableImageError, match="no such file"):
        list_images(["folder"])[1].read()


def test_a_pipe_in_a_folder_is_never_waited_for():
    put({"folder/a.png": PNG})
    os.mkfifo("folder/b.png")
    os.mkfifo("folder/c")
    items = list_images(["folder"])
    assert [item.id for item in items] == ["a", "b"]
    with pytest.raises(UnreadableImageError, match="pipe"):
        items[1].read()


@pytest.mark.parametrize(
    "name", ["two words", "Grüße 写真 📷", "new\nline", "a::b", "x.tar::y", "quote'\"", "%41", "-"]
)
def test_odd_names_are_found_and_read(name):
    put({f"{name}/{name}.png": PNG})
    put_tar("pack.tar", {f"{name}.png": PNG})
    for source, location in ((f"./{name}", f"{name}/{name}.png"), ("pack.tar", f"pack.tar::{name}.png")):
        (item,) = list_images([source])
        assert (item.id, item.location) == (name, location)
        assert item.read() == PNG
        assert ImageItem.at(item.id, item.location) == item


def test_names_that_are_not_utf_8_are_found_and_read_under_printable_ids():
    folder = os.fsencode("folder")
    os.mkdir(folder)
    for name in (b"caf\xe9.png", b"caf\xea.png"):
        with open(os.path.join(folder, name), "wb") as file:
            file.write(PNG)
    put_tar("pack.tar", {"caf\udce9.png": PNG}, format=tarfile.GNU_FORMAT)
    items = list_images(["folder"])
    assert [item.id for item in items] == [r"caf\udce9", r"caf\udcea"]
    for item in (*items, *list_images(["pack.tar"])):
        assert item.read() == PNG
        (item.id + item.location).encode()


# Lists

LISTS: dict[str, tuple[str, list[tuple[str, str, dict]]]] = {
    "plain.txt": ("a.png\n\nsub/b.png\n", [("a", "a.png", {}), ("b", "sub/b.png", {})]),
    "ids.txt": ("a.png\tfirst\nsub/b.png\t\n", [("first", "a.png", {}), ("b", "sub/b.png", {})]),
    "windows.txt": ("\ufeffa.png\r\nsub/b.png \r\n", [("a", "a.png", {}), ("b", "sub/b.png", {})]),
    "odd.txt": ("a\u2028\x0c\x85b.png\n", [("a\u2028\x0c\x85b", "a\u2028\x0c\x85b.png", {})]),
    "absolute.txt": ("/pictures/a.png\n", [("a", "/pictures/a.png", {})]),
    "table.csv": (
        'path,id,label\na.png,first,"x, y"\n\nsub/b.png,,\n',
        [("first", "a.png", {"label": "x, y"}), ("b", "sub/b.png", {})],
    ),
    "bom.csv": ("\ufeffpath\r\na.png\r\n", [("a", "a.png", {})]),
    "lines.csv": ('id,path\n1,"new\nline.png"\n', [("1", "new\nline.png", {})]),
    "rows.jsonl": (
        '{"path": "a.png", "id": 7, "tags": ["x", null]}\n\n{"path": "sub/b.png", "id": null}\n',
        [("7", "a.png", {"tags": ["x", None]}), ("b", "sub/b.png", {})],
    ),
    "bom.JSONL": ('\ufeff{"path": "a.png"}', [("a", "a.png", {})]),
}


@pytest.mark.parametrize("name", LISTS)
def test_a_list_gives_ids_paths_beside_it_and_metadata(name):
    text, expected = LISTS[name]
    put({f"lists/{name}": text})
    assert list_images([f"lists/{name}"]) == [
        ImageItem(item_id, str(Path("lists", path)), metadata) for item_id, path, metadata in expected
    ]


def test_paths_in_a_list_become_ids_on_demand():
    put({"list.txt": "sub/a.png\n./b.tar.png\nc\n"})
    assert ids_of("list.txt", ids="path") == ["sub/a", "b.tar", "c"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"a.png\n\tid\n", "line 2: no path"),
        ("a.txt", b"a.png\n.\n", "line 2: no path"),
        ("a.txt", b"a.png\n\n\na\0b\n", "line 4: no path"),
        ("a.txt", b"\xff\xfea\0.\0p\0n\0g\0", "must be UTF-8"),
        ("a.csv", b"a.png,1\n", "columns.*'path'"),
        ("a.csv", b"path;id\na.png;1\n", "separated by commas"),
        ("a.csv", b"path,id\na.png,1\n,2\n", "line 3: no path"),
        ("a.csv", b"path\na.png\nb,c.png\n", "line 3: more cells"),
        ("a.csv", b"path\n" + b"x" * 200_000, "line 2: not CSV"),
        ("a.csv", b'path\n"a.png\nb.png\n', "line 3: not CSV"),
        ("a.jsonl", b'{"path": "a"}\n{"path": \n', "line 2: not JSON"),
        ("a.jsonl", b'{"path": "a"}\n"a.png"\n', "line 2: .* JSON object"),
        ("a.jsonl", b"[" * 100_000, "line 1: not JSON"),
        ("a.jsonl", b'{"id": "a"}\n', "line 1: no path"),
        ("a.jsonl", b'{"path": 5}\n', "line 1: no path"),
        ("a.jsonl", b'{"path": "\\ud800.png"}\n', "line 1: no path"),
        ("a.jsonl", b'{"path": "a.png", "id": [1]}\n', r"line 1: an id is a text, not \[1\]"),
        ("a.jsonl", b'{"path": "a.png", "id": true}\n', "line 1: an id is a text, not True"),
        ("a.jsonl", b'{"path": "a.png", "score": NaN}\n', "line 1: a number that is not finite"),
        ("a.jsonl", b'{"path": "a.png", "tag": "\\ud800"}\n', "line 1: .* not Unicode"),
        ("a.txt", b"", "no images in a.txt"),
        ("a.csv", b"", "columns"),
        ("a.csv", b"path\n", "no images in a.csv"),
        ("a.jsonl", b"\n", "no images in a.jsonl"),
    ],
)
def test_a_wrong_list_is_refused_with_the_line(name, content, message):
    put({name: content})
    with pytest.raises(InvalidDataError, match=message) as caught:
        list_images([name])
    assert name in str(caught.value)


def test_a_missing_image_in_a_list_is_only_met_when_it_is_read():
    put({"list.txt": "gone.png\n"})
    (item,) = list_images(["list.txt"])
    with pytest.raises(UnreadableImageError) as caught:
        item.read()
    assert caught.value.code == "missing"


# Standard input


def test_standard_input_is_an_image():
    (item,) = list_images(["-"], standard_input=io.BytesIO(PNG))
    assert (item.id, item.location, item.read()) == ("stdin", "-", PNG)


def test_standard_input_is_a_list_relative_to_the_current_folder():
    put({"sub/a.png": PNG})
    listed = io.BytesIO(b"sub/a.png\tfirst\nsub/gone.png\n")
    found = list_images(["-"], standard_input=listed)
    assert found == [ImageItem("first", "sub/a.png"), ImageItem("gone", "sub/gone.png")]
    assert found[0].read() == PNG


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "no images in -"), (b"\xff\xfe\xfd", "standard input: a list must be UTF-8"), (b"\tid", "line 1: no path")],
)
def test_standard_input_that_is_neither_is_refused(content, message):
    with pytest.raises(InvalidDataError, match=message):
        list_images(["-"], standard_input=io.BytesIO(content))


def test_a_closed_standard_input_is_a_wrong_use(monkeypatch):
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(UsageError, match="no standard input"):
        list_images(["-"])


# Ids


def test_a_file_that_is_named_twice_is_returned_once():
    put({"folder/a.png": PNG, "list.txt": "folder/a.png\n./folder/../folder/a.png\n"})
    Path("link").symlink_to("folder")
    put_tar("pack.tar", {"b.png": PNG})
    inputs = ["folder/a.png", "folder", "list.txt", "./folder", "link/a.png", "pack.tar", "pack.tar"]
    assert locations_of(*inputs) == ["folder/a.png", "pack.tar::b.png"]
    assert ids_of("folder", "folder") == ["a"]


@pytest.mark.parametrize(
    ("inputs", "both"),
    [
        (["one", "two"], ("one/a.png", "two/a.jpg")),
        (["one/a.png", "two/a.jpg"], ("one/a.png", "two/a.jpg")),
        (["one", "pack.tar"], ("one/a.png", "pack.tar::x/a.png")),
        (["pack.tar", "pack2.tar"], ("pack.tar::x/a.png", "pack2.tar::y/a.png")),
        (["list.txt"], ("one/a.png", "two/a.jpg")),
    ],
)
def test_two_files_with_one_id_are_refused_with_both_names(inputs, both):
    put({"one/a.png": PNG, "two/a.jpg": PNG, "list.txt": "one/a.png\tsame\ntwo/a.jpg\tsame\n"})
    put_tar("pack.tar", {"x/a.png": PNG})
    put_tar("pack2.tar", {"y/a.png": PNG})
    with pytest.raises(DuplicateIdError, match="--ids path") as caught:
        list_images(inputs)
    assert all(name in str(caught.value) for name in both)


def test_ids_from_paths_keep_names_apart_that_are_equal():
    put({"folder/one/a.png": PNG, "folder/two/a.png": PNG})
    assert ids_of("folder", ids="path") == ["one/a", "two/a"]


# Wrong inputs


def test_no_input_is_a_wrong_use():
    with pytest.raises(UsageError, match="no images given"):
        list_images([])


@pytest.mark.parametrize("name", ["gone.png", "gone/", "file.png/below.png", "link.png", ""])
def test_a_missing_input_is_a_wrong_use(name):
    put({"file.png": PNG})
    Path("link.png").symlink_to("gone")
    with pytest.raises(UsageError, match="there is no such file or folder"):
        list_images(["file.png", name])


@pytest.mark.parametrize(("name", "reason"), [("loop.png", "symbolic links"), ("x" * 300, "too long")])
def test_an_input_that_the_system_refuses_is_reported_with_the_reason(name, reason):
    Path("loop.png").symlink_to("loop.png")
    with pytest.raises(InvalidDataError, match=rf"can't be read: .*{reason}"):
        list_images([name])


def test_a_folder_without_images_is_refused():
    put({"folder/notes.txt": "text", "folder/sub/.hidden.png": PNG})
    with pytest.raises(InvalidDataError, match=r"no images in folder; Ectype looks for .*\.png"):
        list_images(["folder"])


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="no file is forbidden to the superuser")
def test_what_is_not_permitted_is_never_left_out_in_silence():
    put({"folder/a.png": PNG, "folder/digest": PNG, "folder/sub/b.png": PNG})
    Path("folder/digest").chmod(0)
    assert code_of(list_images(["folder"])[1]) == "not-permitted"
    Path("folder/sub").chmod(0)
    try:
        with pytest.raises(InvalidDataError, match="sub: it can't be read"):
            list_images(["folder"])
    finally:
        Path("folder/sub").chmod(0o700)


# Places that were stored earlier


def test_an_image_is_found_again_at_its_place_as_long_as_it_is_there():
    put({"a.png": PNG, "folder/x": ""})
    put_tar("pack.tar", {"sub/b.png": OTHER_PNG})
    first, second = ImageItem.at("1", "a.png"), ImageItem.at("2", "pack.tar::sub/b.png")
    assert first is not None and second is not None
    assert (first.id, first.read(), second.id, second.read()) == ("1", PNG, "2", OTHER_PNG)
    for gone in (
        "gone.png",
        "folder",
        "pack.tar::gone.png",
        "gone.tar::b.png",
        "a.png::b",
        "https://example.org/a",
        "",
    ):
        assert ImageItem.at("x", gone) is None, gone
    os.truncate("pack.tar", 600)
    shutil.copy("pack.tar", "cut.tar")
    assert ImageItem.at("x", "cut.tar::sub/b.png") is None
