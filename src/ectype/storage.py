"""Writing files so that a reader sees the old content or the new, never half of it."""

from __future__ import annotations

import errno
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ectype.errors import StorageError

_REASONS = {
    errno.ENOSPC: "the disk is full; free some space",
    errno.EDQUOT: "the disk quota is used up; free some space",
    errno.EROFS: "the file system is read-only; choose another place",
    errno.EACCES: "no permission to write there; choose another place or change the permission",
    errno.EPERM: "no permission to write there; choose another place or change the permission",
    errno.EFBIG: "the file would become larger than is allowed here; raise the limit, or choose another place",
    errno.ENOENT: "its folder does not exist; create it first",
    errno.ENOTDIR: "a part of its path is a file, not a folder; choose another place",
    errno.EEXIST: "a file of this name is there; choose another name",
    errno.EISDIR: "a folder of this name is there; choose another name",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
}


def storage_error(path: str | Path, error: OSError) -> StorageError:
    """An `OSError` of writing, as an error that says what to do."""
    other = f"{error.strerror or error}; see to the disk and run the same command again"
    return StorageError(f"{path}: can't be written: {_REASONS.get(error.errno or 0, other)}")


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Write a file under a temporary name beside it; on success it takes the place of `path` in one step.

    Raises
    ------
    StorageError
        The disk refused. What stood at `path` before still does.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}{path.suffix}")
    try:
        yield temporary
        flush_to_disk(temporary)
        os.replace(temporary, path)
        flush_to_disk(path.parent)
    except OSError as error:
        raise storage_error(path, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def check_folder_of(path: str | Path) -> None:
    """Raise `StorageError` unless the folder of a file that is to be written is there and writable."""
    folder = Path(path).absolute().parent
    if not folder.is_dir():
        raise storage_error(path, FileNotFoundError(errno.ENOENT, ""))
    if not os.access(folder, os.W_OK):
        raise storage_error(path, PermissionError(errno.EACCES, ""))


def write_json(path: str | Path, content: object) -> None:
    """Write a JSON value as a file.

    Raises
    ------
    StorageError
        The disk refused.
    """
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", "utf-8")


def flush_to_disk(path: Path) -> None:
    """Have a file, or the names in a folder, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
