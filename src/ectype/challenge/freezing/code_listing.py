"""The files of an entry's code: those of a git working tree, or of any other folder."""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ectype.challenge.digests import canonical_json, sha256_of_file, sha256_of_text
from ectype.errors import ChallengeError, UsageError


@dataclass(frozen=True, slots=True)
class FrozenFile:
    """A file of an entry.

    Attributes
    ----------
    name : str
        Below its folder, with forward slashes.
    sha256 : str
    executable : bool
        Whether its owner may execute it.
    """

    name: str
    sha256: str
    executable: bool = False


@dataclass(frozen=True, slots=True)
class Code:
    """The code of an entry.

    Attributes
    ----------
    files : tuple of FrozenFile
        Sorted by name.
    tree : str or None
        The hash of the git tree; None for a folder that is no git working tree.
    """

    files: tuple[FrozenFile, ...]
    tree: str | None

    @property
    def digest(self) -> str:
        """Of all names, contents and permissions to execute."""
        return sha256_of_text(canonical_json([[one.name, one.sha256, one.executable] for one in self.files]))


def list_code(folder: Path) -> Code:
    """The files of a folder of code.

    Where the folder has a ``.git``, files that git ignores are left out; else every file counts.

    Raises
    ------
    UsageError
        There is no such folder, or git is needed and not installed.
    ChallengeError
        The folder is empty or can't be read; it holds a symbolic link, another special file, or a name that is no
        Unicode; git refuses.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: is no folder of code")
    tree = _git(folder, "rev-parse", "HEAD^{tree}").decode().strip() if _is_git(folder) else None
    names = sorted(_names(folder))
    if not names:
        raise ChallengeError(f"{folder}: holds no code")
    return Code(tuple(_frozen_file(folder, name) for name in names), tree)


def uncommitted(folder: Path) -> list[str]:
    """Files of a git working tree that differ from the last commit, by name; none where there is no git.

    Contents are compared here, not by ``git status``: that would run filters which the repository configures.
    """
    if not _is_git(folder):
        return []
    committed = {}
    for line in _git(folder, "ls-tree", "-r", "-z", "HEAD").split(b"\0")[:-1]:
        about, name = line.split(b"\t", 1)
        mode, _, blob = about.decode().split()
        committed[_as_text(name, folder)] = (mode == "100755", blob)
    algorithm = "sha1" if all(len(blob) == 40 for _, blob in committed.values()) else "sha256"
    found = {name: (_is_executable(folder / name), _git_blob(folder / name, algorithm)) for name in _names(folder)}
    return sorted(name for name in committed.keys() | found.keys() if committed.get(name) != found.get(name))


def _is_git(folder: Path) -> bool:
    return (folder / ".git").exists()


def _names(folder: Path) -> Iterator[str]:
    if not _is_git(folder):
        yield from _walk(folder, "")
        return
    listed = _git(folder, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for name in {_as_text(name, folder) for name in listed.split(b"\0")[:-1]}:
        if os.path.lexists(folder / name):  # else it was deleted
            _check_kind(folder / name)
            yield name


def _walk(folder: Path, prefix: str) -> Iterator[str]:
    try:
        with os.scandir(os.fsencode(folder)) as entries:
            for entry in entries:
                name = prefix + _as_text(entry.name, folder)
                path = folder / os.fsdecode(entry.name)
                if entry.is_dir(follow_symlinks=False):
                    yield from _walk(path, f"{name}/")
                else:
                    _check_kind(path)
                    yield name
    except OSError as error:
        raise ChallengeError(f"{folder}: can't be read: {error.strerror}") from error


def _check_kind(path: Path) -> None:
    if not stat.S_ISREG(path.lstat().st_mode):
        raise ChallengeError(
            f"{path}: is a link, a repository of its own or a special file, which a digest can't hold; "
            "put the file itself in its place"
        )


def _as_text(name: bytes, folder: Path) -> str:
    try:
        return name.decode()
    except UnicodeDecodeError:
        raise ChallengeError(f"{folder}: the name {name!r} is no Unicode; rename the file") from None


def _frozen_file(folder: Path, name: str) -> FrozenFile:
    return FrozenFile(name, sha256_of_file(folder / name), _is_executable(folder / name))


def _is_executable(path: Path) -> bool:
    return bool(path.stat().st_mode & stat.S_IXUSR)


def _git_blob(path: Path, algorithm: str) -> str:
    """The name that git gives to a file's content."""
    digest = hashlib.new(algorithm, f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _git(folder: Path, *arguments: str) -> bytes:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    # A monitor of the file system is a program that the repository names: it must not be run. And what counts must not
    # depend on what this user has git ignore.
    command = ["git", "-c", "core.fsmonitor=false", "-c", f"core.excludesFile={os.devnull}", *arguments]
    try:
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False)  # noqa: S603
    except FileNotFoundError:
        raise UsageError(
            f"{folder}: is a git repository, and git is not installed; install it, or use a copy without .git"
        ) from None
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip().splitlines()
        raise ChallengeError(f"{folder}: git {arguments[0]} failed: {reason[0] if reason else done.returncode}")
    return done.stdout
