"""What an entry is: a folder of code with ``entry.toml``, which says how it is started and what it may use.

::

    command = ["python", "match.py", "{queries}", "{references}", "{output}"]

    [limits]            # each may be left out
    seconds = 172800
    memory_mib = 16384
    processes = 256
    file_mib = 16384
    output_mib = 100
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from ectype.errors import ChallengeError

ENTRY_FILE = "entry.toml"
PLACEHOLDERS = ("{queries}", "{references}", "{output}")


@dataclass(frozen=True, slots=True)
class Limits:
    """What an entry may use in one run.

    Attributes
    ----------
    seconds : int
        Of wall clock; by default 48 hours, the length of phase 2.
    memory_mib : int
        Of main memory, all processes together, where shared pages count once; and the same again in /dev/shm.
    processes : int
        At one time; threads are not counted.
    file_mib : int
        Size that any file may reach which it writes.
    output_mib : int
        Size of the submission.

    Raises
    ------
    ChallengeError
        A limit is no whole number above 0.
    """

    seconds: int = 172_800
    memory_mib: int = 16_384
    processes: int = 256
    file_mib: int = 16_384
    output_mib: int = 100

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if type(value) is not int or value < 1:
                raise ChallengeError(f"the limit {name} must be a whole number above 0, not {value!r}")

    @classmethod
    def names(cls) -> tuple[str, ...]:
        return tuple(field.name for field in fields(cls))


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry that can be run.

    Attributes
    ----------
    folder : Path
        Its code, absolute.
    command : tuple of str
        Program and arguments. In each, ``{queries}`` and ``{references}`` stand for folders of images, ``{output}``
        for the submission that is to be written.
    limits : Limits

    Raises
    ------
    ChallengeError
        No command, or a placeholder is missing.
    """

    folder: Path
    command: tuple[str, ...]
    limits: Limits = Limits()

    def __post_init__(self) -> None:
        if not self.command or not all(isinstance(part, str) and part and "\0" not in part for part in self.command):
            raise ChallengeError(f"the command must be a list of texts, none of them empty, not {self.command!r}")
        missing = [placeholder for placeholder in PLACEHOLDERS if not any(placeholder in part for part in self.command)]
        if missing:
            raise ChallengeError(f"the command must name {', '.join(PLACEHOLDERS)}; {', '.join(missing)} is missing")

    def command_for(self, queries: str, references: str, output: str) -> list[str]:
        """The command with paths in place of the placeholders."""
        paths = dict(zip(PLACEHOLDERS, (queries, references, output), strict=True))
        return [_filled(part, paths) for part in self.command]


def _filled(part: str, paths: dict[str, str]) -> str:
    for placeholder, path in paths.items():
        part = part.replace(placeholder, path)
    return part


def read_entry(folder: str | Path) -> Entry:
    """Read an entry's ``entry.toml``.

    Raises
    ------
    ChallengeError
        The file is missing, no TOML, or says something that no entry can mean.
    """
    path = Path(folder, ENTRY_FILE)
    try:
        with open(path, "rb") as file:
            content = tomllib.load(file)
    except (FileNotFoundError, NotADirectoryError):
        raise ChallengeError(
            f"{path}: there is no such file; an entry is a folder of code with {ENTRY_FILE}, which holds its command: "
            f'command = ["python", "match.py", {", ".join(map(_quoted, PLACEHOLDERS))}]'
        ) from None
    except OSError as error:
        raise ChallengeError(f"{path}: can't be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ChallengeError(f"{path}: not a TOML file: {error}") from error
    try:
        _refuse_unknown(content, ("command", "limits"))
        command, limits = content.get("command"), content.get("limits", {})
        if not isinstance(command, list) or not isinstance(limits, dict):
            raise ChallengeError("it needs a command, which is a list of texts, and limits only as a table [limits]")
        _refuse_unknown(limits, Limits.names())
        return Entry(path.parent.absolute(), tuple(command), Limits(**limits))
    except ChallengeError as error:
        raise ChallengeError(f"{path}: {error}") from None


def _quoted(text: str) -> str:
    return f'"{text}"'


def _refuse_unknown(content: dict[str, Any], known: Sequence[str]) -> None:
    strangers = content.keys() - set(known)
    if strangers:
        raise ChallengeError(f"{min(strangers)} is unknown; known are {', '.join(known)}")
