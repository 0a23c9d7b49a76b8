"""Where images come from: files, folders, lists, tar shards and standard input."""

from __future__ import annotations

import os
import re
import stat
import sys
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, Literal

from ectype.errors import DuplicateIdError, InvalidDataError, UsageError
from ectype.images.files import check_size, looks_like_image, read_bytes
from ectype.images.limits import DEFAULT_LIMITS, ImageLimits
from ectype.images.lists import LIST_SUFFIXES, read_list

IMAGE_SUFFIXES = frozenset(
    ".jpg .jpeg .jpe .jfif .mpo .png .apng .webp .gif .bmp .dib .tif .tiff .avif .avifs .heic .heif .hif".split()
)
STANDARD_INPUT = "-"

IdRule = Literal["name", "path"]

_PACKED_SUFFIXES = frozenset(".tgz .tbz2 .txz .gz .bz2 .xz .zst .zip .7z .rar".split())
_TAR_MEMBER = re.compile(r"(.+?\.tar)::(.+)", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class ImageItem:
    """One image that has been found but not yet read.

    Attributes
    ----------
    id : str
    location : str
        Where its bytes are: a path, or ``archive.tar::member``. What is not UTF-8 in a file name is written as an
        escape such as ``\\udce9``.
    metadata : mapping
        What a list says of it besides id and path, as JSON values.
    span : (int, int) or None
        Offset and size of its bytes in the archive, for a member of a tar shard.
    content : bytes or None
        Its bytes, for an image from standard input.
    file : str or None
        The file to open, where that is not `location`: the archive, or a name that is not UTF-8.
    """

    id: str
    location: str
    metadata: Mapping[str, Any] = field(default_factory=dict)
    span: tuple[int, int] | None = None
    content: bytes | None = field(default=None, repr=False)
    file: str | None = None

    @classmethod
    def at(cls, id: str, location: str) -> ImageItem | None:
        """The image at a location that was stored earlier; None if it is not there any more, or a URL."""
        if os.path.isfile(location):
            return cls(id, location)
        if (member := _TAR_MEMBER.fullmatch(location)) is None:
            return None
        archive, name = member.groups()
        try:
            found = os.stat(archive)
            span = _spans_in_tar(archive, (found.st_mtime_ns, found.st_size)).get(name)
        except (OSError, ValueError, InvalidDataError):
            return None
        return None if span is None else cls(id, location, span=span, file=archive)

    def read(self, limits: ImageLimits = DEFAULT_LIMITS) -> bytes:
        """The bytes of the image file.

        Raises
        ------
        UnreadableImageError
        """
        if self.content is not None:
            check_size(len(self.content), limits)
            return self.content
        return read_bytes(self.file or self.location, limits, self.span)


def list_images(
    inputs: Iterable[str | Path], *, ids: IdRule = "name", standard_input: BinaryIO | None = None
) -> list[ImageItem]:
    """Find every image that `inputs` name, in a fixed order, without decoding any.

    Parameters
    ----------
    inputs : iterable of str or Path
        Each is an image file; a folder, searched with all its subfolders, linked ones too, for files that have the
        extension or the first bytes of an image and are not hidden; a ``.tar`` archive, searched likewise; a list
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
        A file that is named twice with one id is returned once.

    Raises
    ------
    UsageError
        An input does not exist, or none was given.
    InvalidDataError
        An input holds no image, or a folder, list or archive can't be read.
    DuplicateIdError
        Two images have one id.
    """
    unique: dict[str, ImageItem] = {}
    given = [inputs] if isinstance(inputs, str | Path) else list(inputs)
    if not given:
        raise UsageError("no images given; name files, folders, .tar archives or lists, or - for standard input")
    for name in given:
        is_empty = True
        for item in expand(str(name), ids, standard_input):
            is_empty = False
            known = unique.setdefault(item.id, item)
            if known is not item:
                _refuse_if_different(known, item)
        if is_empty:
            raise InvalidDataError(
                f"no images in {_printable(str(name))}; "
                f"Ectype looks for {', '.join(sorted(IMAGE_SUFFIXES))} and for the first bytes of such files"
            )
    return list(unique.values())


def _refuse_if_different(known: ImageItem, item: ImageItem) -> None:
    if known.location != item.location and os.path.realpath(known.location) != os.path.realpath(item.location):
        raise DuplicateIdError(
            f"two images have the id {item.id!r}: {known.location} and {item.location}; "
            "rename one, give ids in a list, or take ids from paths (--ids path)"
        )


def expand(name: str, ids: IdRule, standard_input: BinaryIO | None) -> Iterator[ImageItem]:
    """Find every image that one input of `list_images` names; ids may repeat."""
    if name == STANDARD_INPUT:
        yield from _from_standard_input(standard_input or getattr(sys.stdin, "buffer", None), ids)
        return
    try:
        yield from _from_path(name, ids)
    except OSError as error:
        where = _printable(str(error.filename or name))
        if isinstance(error, FileNotFoundError | NotADirectoryError):
            raise UsageError(f"{where}: there is no such file or folder") from None
        raise InvalidDataError(f"{where}: it can't be read: {error.strerror}") from error


def _from_path(name: str, ids: IdRule) -> Iterator[ImageItem]:
    found = os.stat(name)  # not of the Path, which takes "" for the current folder
    path, shown = Path(name), _printable(name)
    suffix = path.suffix.lower()
    if stat.S_ISDIR(found.st_mode):
        yield from _from_folder(path, ids)
    elif suffix == ".tar":
        for member, span in _spans_in_tar(str(path), (found.st_mtime_ns, found.st_size)).items():
            yield ImageItem(_id_of(member, ids), f"{shown}::{member}", span=span, file=str(path))
    elif suffix in LIST_SUFFIXES:
        yield from _from_list(path.read_bytes(), suffix, path.parent, shown, ids)
    elif suffix in _PACKED_SUFFIXES:
        raise InvalidDataError(f"{shown}: compressed archives can't be read in place; unpack it to a .tar or a folder")
    else:
        yield _item(path, path.name, ids)


def _item(path: Path, below: str, ids: IdRule) -> ImageItem:
    location = _printable(str(path))
    return ImageItem(_id_of(below, ids), location, file=None if location == str(path) else str(path))


def _id_of(below: str, ids: IdRule) -> str:
    """The id of an image at `below`, its path under the folder, archive or list that was named."""
    pure = Path(_printable(below))
    return pure.stem if ids == "name" else (pure.parent / pure.stem).as_posix()


def _printable(name: str) -> str:
    """A file name that can be stored and printed: bytes in it that are not UTF-8 become escapes."""
    return name.encode("utf-8", "backslashreplace").decode()


def _from_folder(folder: Path, ids: IdRule) -> Iterator[ImageItem]:
    def refuse(error: OSError) -> None:
        raise error

    visited = set()
    for parent, folders, files in os.walk(folder, onerror=refuse, followlinks=True):
        real = os.path.realpath(parent)
        if real in visited:  # through a link, perhaps to a folder above
            folders.clear()
            continue
        visited.add(real)
        folders[:] = sorted(name for name in folders if not _is_hidden(name))
        for file in sorted(name for name in files if not _is_hidden(name)):
            path = Path(parent, file)
            if path.suffix.lower() in IMAGE_SUFFIXES or _has_signature(path):
                yield _item(path, os.path.relpath(path, folder), ids)


def _is_hidden(name: str) -> bool:
    return name.startswith(".")


def _has_signature(path: Path) -> bool:
    """Banks that name files by their digest have no extensions: then the content decides."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # opening a pipe would wait for ever
            return False
        with open(path, "rb") as file:
            return looks_like_image(file.read(32))
    except PermissionError:  # it may be one, so it must not be left out in silence: reading it will say why
        return True
    except OSError:
        return False


@lru_cache(maxsize=1)
def _spans_in_tar(archive: str, version: tuple[int, int]) -> dict[str, tuple[int, int]]:
    """Offset and size of each image in an uncompressed tar; `version` tells when the cached answer is outdated.

    Of members with one name the last counts, as it does for tar.
    """
    spans: dict[str, tuple[int, int]] = {}
    try:
        with open(archive, "rb") as file, tarfile.open(fileobj=file, mode="r:") as opened:
            members = {_printable(member.name): member for member in opened}
            file.seek(opened.offset)
            if file.read(tarfile.BLOCKSIZE).strip(b"\0"):  # tarfile stops there without a word
                raise tarfile.ReadError(f"damaged at byte {opened.offset}, so what comes after can't be found")
            for name, member in members.items():
                if member.islnk():  # a second name for the bytes of another member
                    member = members.get(_printable(member.linkname), member)
                if not member.isreg() or _is_hidden(os.path.basename(name)):
                    continue
                file.seek(member.offset_data)
                if Path(name).suffix.lower() in IMAGE_SUFFIXES or looks_like_image(file.read(32)):
                    spans[name] = member.offset_data, member.size
    except (tarfile.TarError, ValueError, OverflowError) as error:  # all of which tarfile raises for damaged archives
        raise InvalidDataError(f"{_printable(archive)}: not a readable uncompressed tar archive: {error}") from error
    return spans


def _from_standard_input(stream: BinaryIO | None, ids: IdRule) -> Iterator[ImageItem]:
    if stream is None:
        raise UsageError("there is no standard input to read images from")
    data = stream.read()
    if looks_like_image(data[:32]):
        yield ImageItem("stdin", STANDARD_INPUT, content=data)
    else:
        yield from _from_list(data, ".txt", Path(), "standard input", ids)


def _from_list(data: bytes, suffix: str, folder: Path, name: str, ids: IdRule) -> Iterator[ImageItem]:
    for row in read_list(data, suffix, name):
        item = _item(folder / row.path, row.path, ids)
        yield replace(item, id=_printable(row.id) if row.id else item.id, metadata=row.metadata)
