"""What an entry sees while it runs.

With namespaces: a file system of its own, which holds the folders of the system, the environment of the Python that
runs Ectype, the entry's code and its images, all to be read alone; a home, ``/tmp``, ``/dev/shm`` and the folder of its
output, all new; no process but its own, and no network. Without them: the machine as its user sees it; images are
copied for it, and whether it changed them or its code is checked afterwards.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

import ectype
from ectype.challenge.running.entry import Entry, Limits
from ectype.challenge.running.launcher import Settings
from ectype.challenge.running.namespaces import SYSTEM_FOLDERS, Mount
from ectype.errors import ChallengeError, UsageError

OUTPUT_FOLDER, SUBMISSION = "output", "submission.csv"
ROOM_FOLDERS = ("root", "home", "tmp", OUTPUT_FOLDER)
"""What a run finds in its room."""

TAKEN_OVER = ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS")
"""Variables of the host's environment that an entry gets, where they are set."""

_MIB = 2**20
_PLACE = Path("/entry")
_TEMPORARY = Path("/tmp")  # noqa: S108  # the sandbox has one of its own
_TAKEN_PLACES = ("/", "/dev", "/proc", str(_PLACE), str(_TEMPORARY))


@dataclass(frozen=True, slots=True)
class Conditions:
    """Under what conditions an entry runs.

    Attributes
    ----------
    limits : Limits
    network : bool
        Run without namespaces: the network, and all that the user may read, is open to the entry.
    readable : tuple of Path
        Folders the entry may read besides the system's, such as an environment of its own.

    Raises
    ------
    UsageError
        A readable folder is none, or has a place that the sandbox needs.
    ChallengeError
        This is not Linux.
    """

    limits: Limits
    network: bool = False
    readable: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        if sys.platform != "linux":
            raise ChallengeError("entries are run by means of the Linux kernel; run them there")
        for path in self.readable:
            if not path.is_dir() or os.path.abspath(path) in _TAKEN_PLACES:
                raise UsageError(f"{path}: it can't be made readable: no folder, or one that the sandbox replaces")


@dataclass(frozen=True, slots=True)
class Inputs:
    """Folders of images, as they lie on the host."""

    queries: Path
    references: Path


def settings_for(entry: Entry, inputs: Inputs, conditions: Conditions, room: Path) -> Settings:
    """What the launcher has to do for a run.

    Parameters
    ----------
    entry : Entry
    inputs : Inputs
    conditions : Conditions
    room : Path
        With the folders `ROOM_FOLDERS`, all of them empty.
    """
    if conditions.network:
        home, temporary = room / "home", room / "tmp"
        code, queries, references, output = entry.folder, inputs.queries, inputs.references, room / OUTPUT_FOLDER
        mounts = []
    else:
        home, temporary = _PLACE / "home", _TEMPORARY
        code, queries, references, output = (_PLACE / name for name in ("code", "queries", "references", OUTPUT_FOLDER))
        mounts = [
            Mount(str(room / "tmp"), str(temporary), writable=True),
            Mount(str(room / "home"), str(home), writable=True),
            Mount(str(room / OUTPUT_FOLDER), str(output), writable=True),
            Mount(str(entry.folder), str(code)),
            Mount(str(inputs.queries), str(queries)),
            Mount(str(inputs.references), str(references)),
            *(Mount(folder, folder) for folder in _readable_folders(conditions.readable)),
        ]
    environment = {
        "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
        "HOME": str(home),
        "TMPDIR": str(temporary),
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    return Settings(
        command=entry.command_for(str(queries), str(references), str(output / SUBMISSION)),
        folder=str(code),
        environment=environment | {name: os.environ[name] for name in TAKEN_OVER if name in os.environ},
        parent=os.getpid(),
        root=None if conditions.network else str(room / "root"),
        mounts=mounts,
        shared_memory=conditions.limits.memory_mib * _MIB,
        file_size=conditions.limits.file_mib * _MIB,
    )


def _readable_folders(wanted: tuple[Path, ...]) -> list[str]:
    """Those folders, and what ``python`` and ``ectype`` need, but for what is visible anyway."""
    python = (Path(sys.prefix), Path(sys.base_prefix), Path(ectype.__file__).parents[1])
    both = {os.path.abspath(path) for path in (*wanted, *python)} | {os.path.realpath(path) for path in python}
    chosen: list[str] = []
    for folder in sorted(both):
        if not any(f"{folder}/".startswith(f"{above}/") for above in (*SYSTEM_FOLDERS, *chosen)):
            chosen.append(folder)
    return chosen
