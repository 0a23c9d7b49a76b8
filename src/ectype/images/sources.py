"""Where images come from: files, folders, lists, tar shards and standard input."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal

from ectype.errors import DuplicateIdError, InvalidDataError, UnreadableImageError, UsageError
from ectype.images.decoding import check_size, looks_like_image, read_bytes
from ectype.images.limits import DEFAULT_LIMITS, ImageLimits

IMAGE_SUFFIXES = frozenset(
    ".jpg .jpeg .jpe .jfif .mpo .png .apng .webp .gif .bmp .dib .tif .tiff .avif .avifs .heic .heif .hif".split()
)
LIST_SUFFIXES = frozenset({".txt", ".csv", ".jsonl"})
STANDARD_INPUT = "-"

IdRule = Literal["name", "path"]


@dataclass(frozen=True, slots=True)
class ImageItem:
    """One image that has been found but not yet read.

    Attributes
    ----------
    id : str
    location : str
        Where its bytes are: a path, or ``archive.tar::member``.
    metadata : mapping
        What a list says of it besides id and path, as JSON values.
    span : (int, int) or None
        Offset and size of its bytes in the archive, for a member of a tar shard.
    content : bytes or None
        Its bytes, for an image from standard input.
    """

    id: str
    location: str
    metadata: Mapping[str, Any] = field(default_factory=dict)
    span: tuple[int, int] | None = None
    content: bytes | None = field(default=None, repr=False)

    @classmethod
    def at(cls, id: str, location: str) -> ImageItem | None:
        """The image at a location that was stored earlier; None if it is not there any more, or a URL."""
        archive, separator, member = location.partition("::")
        if not separator:
            return cls(id, location) if os.path.isfile(location) else None
        try:
            with tarfile.open(archive, "r:") as opened:
                found = opened.getmember(member)
                return cls(id, location, span=(found.offset_data, found.size))
        except (OSError, KeyError, tarfile.TarError):
            return None

    def read(self, limits: ImageLimits = DEFAULT_LIMITS) -> bytes:
        """The bytes of the image file.

        Raises
        ------
        UnreadableImageError
        """
        if self.content is not None:
            check_size(len(self.content), limits)
            return self.content
        if self.span is None:
            return read_bytes(self.location, limits)
        offset, size = self.span
        check_size(size, limits)
        try:
            with open(self.location.split("::", 1)[0], "rb") as file:
                file.seek(offset)
                data = file.read(size)
        except OSError as error:
            raise UnreadableImageError("damaged", f"the archive can't be read: {error.strerror}") from error
        if len(data) < size:
            raise UnreadableImageError("truncated", "the archive ends before this member does")
        return data


def list_images(
    inputs: Iterable[str | Path], *, ids: IdRule = "name", standard_input: BinaryIO | None = None
) -> list[ImageItem]:
    """Find every image that `inputs` name, in a fixed order, without decoding any.

    Parameters
    ----------
    inputs : iterable of str or Path
        Each is an image file; a folder, searched with all its subfolders; a ``.tar`` archive; a list
        (``.txt``: a path a line, then optionally a tab and an id; ``.csv`` with a header or ``.jsonl``: ``path``,
        optionally ``id``, and anything else as metadata; paths are relative to the list); or ``-`` for standard
        input, which holds either one image or such a ``.txt`` list, relative to the current folder.
    ids : {"name", "path"}
        Without an id in a list, an image's id is its file name without the extension (``name``) or its path below
        the given folder or archive without the extension (``path``).
    standard_input : binary file, optional
        What ``-`` reads; the process's own standard input by default.

    Returns
    -------
    list of ImageItem
        A file that is named twice is returned once.

    Raises
    ------
    UsageError
        An input does not exist, or none was given.
    InvalidDataError
        An input holds no image, or a list or archive can't be read.
    DuplicateIdError
        Two images have one id.
    """
    unique: dict[str, ImageItem] = {}
    given = list(inputs)
    if not given:
        raise UsageError("no images given; name files, folders, .tar archives or lists, or - for standard input")
    for name in given:
        before = len(unique)
        seen_before = False
        for item in _expand(str(name), ids, standard_input):
            known = unique.setdefault(item.id, item)
            if known is not item:
                _refuse_if_different(known, item)
                seen_before = True
        if len(unique) == before and not seen_before:
            raise InvalidDataError(f"no images in {name}; Ectype looks for {', '.join(sorted(IMAGE_SUFFIXES))}")
    return list(unique.values())


def _refuse_if_different(known: ImageItem, item: ImageItem) -> None:
    if known.location != item.location and os.path.realpath(known.location) != os.path.realpath(item.location):
        raise DuplicateIdError(
            f"two images have the id {item.id!r}: {known.location} and {item.location}; "
            "rename one, give ids in a list, or take ids from paths (--ids path)"
        )


def _expand(name: str, ids: IdRule, standard_input: BinaryIO | None) -> Iterator[ImageItem]:
    if name == STANDARD_INPUT:
        yield from _from_standard_input(standard_input or sys.stdin.buffer, ids)
        return
    path = Path(name)
    if not path.exists():
        raise UsageError(f"{name}: there is no such file or folder")
    try:
        if path.is_dir():
            yield from _from_folder(path, ids)
        elif path.suffix.lower() == ".tar":
            yield from _from_tar(path, ids)
        elif path.suffix.lower() in LIST_SUFFIXES:
            yield from _from_list(path.read_bytes(), path.suffix.lower(), path.parent, str(path), ids)
        elif tarfile.is_tarfile(path):
            raise InvalidDataError(
                f"{name}: compressed archives can't be read in place; unpack it to a .tar or a folder"
            )
        else:
            yield _item(path, path.name, ids)
    except PermissionError as error:
        raise InvalidDataError(f"{error.filename or name}: no permission to read it") from error


def _item(path: Path, below: str, ids: IdRule) -> ImageItem:
    return ImageItem(_id_of(below, ids), str(path))


def _id_of(below: str, ids: IdRule) -> str:
    """The id of an image at `below`, its path under the folder, archive or list that was named."""
    pure = Path(below)
    return pure.stem if ids == "name" else pure.with_suffix("").as_posix()


def _from_folder(folder: Path, ids: IdRule) -> Iterator[ImageItem]:
    def refuse(error: OSError) -> None:
        raise InvalidDataError(f"{error.filename}: the folder can't be read: {error.strerror}")

    for parent, folders, files in os.walk(folder, onerror=refuse):
        folders.sort()
        for file in sorted(files):
            path = Path(parent, file)
            if not file.startswith(".") and (path.suffix.lower() in IMAGE_SUFFIXES or _has_signature(path)):
                yield _item(path, os.path.relpath(path, folder), ids)


def _has_signature(path: Path) -> bool:
    """Banks that name files by their digest have no extensions: then the content decides."""
    try:
        with open(path, "rb") as file:
            return path.is_file() and looks_like_image(file.read(32))
    except OSError:
        return False


def _from_tar(path: Path, ids: IdRule) -> Iterator[ImageItem]:
    try:
        with tarfile.open(path, "r:") as archive:
            for member in archive:
                name = member.name
                if member.isfile() and Path(name).suffix.lower() in IMAGE_SUFFIXES:
                    yield ImageItem(_id_of(name, ids), f"{path}::{name}", span=(member.offset_data, member.size))
    except tarfile.TarError as error:
        raise InvalidDataError(f"{path}: not a readable uncompressed tar archive: {error}") from error


def _from_standard_input(stream: BinaryIO, ids: IdRule) -> Iterator[ImageItem]:
    data = stream.read()
    if looks_like_image(data[:32]):
        yield ImageItem("stdin", STANDARD_INPUT, content=data)
    else:
        yield from _from_list(data, ".txt", Path(), "standard input", ids)


def _from_list(data: bytes, suffix: str, folder: Path, name: str, ids: IdRule) -> Iterator[ImageItem]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidDataError(f"{name}: a list must be UTF-8 text; byte {error.start} is not") from error
    for line, row in _rows(text, suffix, name):
        path = row.pop("path", None)
        given = row.pop("id", None)
        if not isinstance(path, str) or not path:
            raise InvalidDataError(f"{name}, line {line}: no path; each entry needs one")
        if given is not None and not isinstance(given, str | int):
            raise InvalidDataError(f"{name}, line {line}: an id is a text, not {given!r}")
        yield ImageItem(str(given) if given not in (None, "") else _id_of(path, ids), str(folder / path), row)


def _rows(text: str, suffix: str, name: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line number and fields of each entry of a list."""
    if suffix == ".csv":
        reader = csv.DictReader(io.StringIO(text))
        if "path" not in (reader.fieldnames or ()):
            raise InvalidDataError(f"{name}: its first line must name the columns, one of them 'path'")
        for row in reader:
            yield reader.line_num, {key: value for key, value in row.items() if key and value not in (None, "")}
        return
    for line, content in enumerate(text.splitlines(), 1):
        if not content.strip():
            continue
        if suffix == ".txt":
            path, _, given = content.partition("\t")
            yield line, {"path": path.strip(), "id": given.strip()}
        else:
            yield line, _json_row(content, f"{name}, line {line}")


def _json_row(content: str, where: str) -> dict[str, Any]:
    try:
        row = json.loads(content)
    except ValueError as error:
        raise InvalidDataError(f"{where}: not JSON: {error}") from error
    if not isinstance(row, dict):
        raise InvalidDataError(f"{where}: each line must be a JSON object")
    return row
