"""Writing files so that a reader sees the old content or the new, never half of it."""

from __future__ import annotations

import errno
import json
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ectype.errors import StorageError

_REASONS = {
    errno.ENOSPC: "the disk is full; free some space",
    errno.EDQUOT: "the disk quota is used up; free some space",
    errno.EROFS: "the file system is read-only; choose another place",
    errno.EACCES: "no permission to write there; choose another place or change the permission",
    errno.EPERM: "no permission to write there; choose another place or change the permission",
    errno.EFBIG: "the file would become larger than this system allows",
    errno.ENOENT: "its folder does not exist; create it first",
    errno.ENOTDIR: "a part of its path is a file, not a folder",
}


def storage_error(path: str | Path, error: OSError) -> StorageError:
    """An `OSError` of writing, as an error that says what to do."""
    stated = re.search(r"errno = (\d+)", str(error))  # HDF5 gives the number in its message only
    number = error.errno or (int(stated[1]) if stated else 0)
    reason = _REASONS.get(number, error.strerror or str(error))
    return StorageError(f"{path}: can't be written: {reason}")


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Write a file under a temporary name beside it; on success it takes the place of `path` in one step.

    Raises
    ------
    StorageError
        The disk refused. What stood at `path` before still does.
    """
    path = Path(path)
    temporary: Path | None = None
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=path.suffix, dir=path.parent)
        os.close(descriptor)
        temporary = Path(name)
        yield temporary
        _flush_to_disk(temporary)
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
        _flush_to_disk(path.parent)
    except OSError as error:
        raise storage_error(path, error) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def write_json(path: str | Path, content: object) -> None:
    """Write a JSON value as a file.

    Raises
    ------
    StorageError
        The disk refused.
    """
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", "utf-8")


def _umask() -> int:
    current = os.umask(0o022)
    os.umask(current)
    return current


def _flush_to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
