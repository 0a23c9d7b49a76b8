"""The images of a run: found under their ids, and laid out in a folder of their own.

An entry is given such a folder, never the one in which the host's data lie: no ground truth is beside it, links and
subfolders are resolved, and the names are the ones that are meant to be seen.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ectype.challenge.manifest import Role, read_manifest
from ectype.errors import ChallengeError, InvalidDataError
from ectype.images import list_images
from ectype.storage import storage_error


@dataclass(frozen=True, slots=True, eq=False)
class Images:
    """The images of a run, as files by their ids.

    Attributes
    ----------
    queries, references : mapping of str to Path

    Raises
    ------
    ChallengeError
        There are no queries or no references.
    """

    queries: Mapping[str, Path]
    references: Mapping[str, Path]

    def __post_init__(self) -> None:
        if not self.queries or not self.references:
            raise ChallengeError("a run needs at least one query and one reference")


def find_images(source: str | Path, role: Role) -> dict[str, Path]:
    """The images of a folder, or those that have a role in a manifest.

    Parameters
    ----------
    source : str or Path
        A folder, whose images have their file names without extension for ids; or a manifest, a ``.csv`` file.
    role : {"reference", "query", "training"}

    Raises
    ------
    UsageError
        There is no such file or folder.
    InvalidDataError
        It holds no images, one that is no file of its own, or two with one id; or it is no manifest, or names a file
        that is missing.
    """
    source = Path(source)
    if source.suffix.lower() == ".csv":
        found = {entry.id: source.parent / entry.path for entry in read_manifest(source).entries if entry.role == role}
    else:
        found = {item.id: Path(item.file or item.location) for item in list_images([source])}
    for path in found.values():
        if not path.is_file() or path.suffix.lower() == ".tar":
            raise InvalidDataError(f"{path}: this is no image file; entries are given folders of image files")
    return found


def lay_out(files: Mapping[str, Path], folder: Path, *, copy: bool = False) -> None:
    """Make a folder of files under given names.

    Parameters
    ----------
    files : mapping of str to Path
        By the names they are to have there.
    folder : Path
        Is made.
    copy : bool
        Copy them all. Otherwise they are hard links, which take no space and are the files themselves, so that no one
        may write to them; only what can't be linked (another file system, another owner) is copied.

    Raises
    ------
    StorageError
        The disk refused.
    """
    try:
        folder.mkdir()
        for name, path in files.items():
            source, target = os.path.realpath(path), folder / name
            if copy or not _linked(source, target):
                shutil.copy2(source, target)
    except OSError as error:
        raise storage_error(folder, error) from error


def _linked(source: str, target: Path) -> bool:
    try:
        os.link(source, target)
    except OSError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class FileState:
    """What changes with any change of a file: the kernel alone sets the time of change."""

    inode: int
    size: int
    changed_ns: int


def state_of(folder: Path) -> dict[Path, FileState]:
    """The state of every file and folder below a folder, and of itself.

    Raises
    ------
    ChallengeError
        A part of it can't be read.
    """

    def refuse(error: OSError) -> None:
        raise ChallengeError(f"{error.filename}: can't be read: {error.strerror}") from error

    states: dict[Path, FileState] = {}
    for parent, _, files in os.walk(folder, onerror=refuse):
        for path in (Path(parent), *(Path(parent, name) for name in files)):
            found = path.lstat()
            states[path] = FileState(found.st_ino, found.st_size, found.st_ctime_ns)
    return states
