"""One run of a command in a sandbox, watched: it ends by itself, or when it goes over a limit.

Time and memory are looked at ten times a second. Memory is that of all processes together, what they share counted
once, since a limit on address space (RLIMIT_AS) would count what accelerators' libraries only reserve. The size of
files is limited by the kernel (RLIMIT_FSIZE).
"""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ectype.challenge.running.conditions import (
    OUTPUT_FOLDER,
    ROOM_FOLDERS,
    SUBMISSION,
    Conditions,
    Inputs,
    settings_for,
)
from ectype.challenge.running.entry import Entry, Limits
from ectype.challenge.running.launcher import Settings
from ectype.challenge.running.namespaces import SYSTEM_FOLDERS
from ectype.challenge.running.processes import descendants, kill_descendants, memory_of
from ectype.challenge.running.staging import FileState, state_of
from ectype.errors import ChallengeError, SubmissionError
from ectype.storage import storage_error

STANDARD_OUTPUT, STANDARD_ERROR = "stdout.txt", "stderr.txt"

_MIB = 2**20
_SECONDS_BETWEEN_LOOKS = 0.1
_SECONDS_BETWEEN_FIRST_LOOKS = 0.01  # in the first second, so that what a short run needs is seen, too
_SECONDS_TO_END = 10
_TAIL_BYTES = 2_000
_LAUNCHER = "ectype.challenge.running.launcher"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run left behind.

    Attributes
    ----------
    output : Path
        The submission, a file within the room of the run.
    seconds : float
        Of wall clock, the start of the sandbox included.
    peak_memory : int
        Bytes, of all processes together; as seen ten times a second.
    """

    output: Path
    seconds: float
    peak_memory: int


def run_in_sandbox(entry: Entry, inputs: Inputs, conditions: Conditions, room: Path) -> Outcome:
    """Run an entry once.

    Parameters
    ----------
    entry : Entry
    inputs : Inputs
    conditions : Conditions
    room : Path
        Is made. The run keeps all it writes in there: its output, ``stdout.txt`` and ``stderr.txt``.

    Raises
    ------
    ChallengeError
        The kernel refuses the sandbox.
    SubmissionError
        The command can't be started, fails, goes over a limit, changes what it may not, or writes no output; the
        message ends with what it printed last.
    StorageError
        The disk refused.
    """
    output = room / OUTPUT_FOLDER / SUBMISSION
    may_not_change = (entry.folder, inputs.queries, inputs.references) if conditions.network else ()
    before = {folder: state_of(folder) for folder in may_not_change}
    start = time.monotonic()
    complaint, peak = _execute(entry, inputs, conditions, room)
    seconds = time.monotonic() - start
    complaint = complaint or _complaint_about_changes(before) or _complaint_about_output(output, conditions.limits)
    if complaint is not None:
        raise SubmissionError(f"{entry.folder}: {complaint}{_last_words(room)}")
    return Outcome(output, seconds, peak)


def _execute(entry: Entry, inputs: Inputs, conditions: Conditions, room: Path) -> tuple[str | None, int]:
    """Run the command to its end; says what is wrong with how it ended, and the most memory that was seen."""
    try:
        room.mkdir()
        for name in ROOM_FOLDERS:
            (room / name).mkdir()
        with open(room / "status.txt", "w+b") as status:
            process = _start(settings_for(entry, inputs, conditions, room), room, status.fileno())
            try:
                complaint, peak = _watch(process, conditions.limits)
            finally:
                _end(process)
            status.seek(0)
            _check_start(status.read().decode(), entry)
    except OSError as error:
        raise storage_error(room, error) from error
    if complaint is None and process.returncode != 0:
        complaint = f"it failed with exit code {process.returncode}"
    return complaint, peak


def _start(settings: Settings, room: Path, status: int) -> subprocess.Popen[bytes]:
    with open(room / STANDARD_OUTPUT, "wb") as output, open(room / STANDARD_ERROR, "wb") as errors:
        return subprocess.Popen(  # noqa: S603  # the command is the launcher's
            [sys.executable, "-P", "-m", _LAUNCHER, settings.to_json(), str(status)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            pass_fds=(status,),
            start_new_session=True,
        )


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()  # the launcher has its guardian end everything
    try:
        process.wait(_SECONDS_TO_END)
    except subprocess.TimeoutExpired:
        kill_descendants(process.pid)
        process.kill()
        process.wait()


def _watch(process: subprocess.Popen[bytes], limits: Limits) -> tuple[str | None, int]:
    """Wait for the end, or for what goes over a limit; says what that was, and the most memory that was seen."""
    start, peak = time.monotonic(), 0
    while True:
        young = time.monotonic() - start < 1
        with suppress(subprocess.TimeoutExpired):
            process.wait(_SECONDS_BETWEEN_FIRST_LOOKS if young else _SECONDS_BETWEEN_LOOKS)
            return None, peak
        of_the_entry = descendants(process.pid)[1:]  # the first is the guardian
        memory = memory_of(of_the_entry)
        peak = max(peak, memory)
        if time.monotonic() - start > limits.seconds:
            return f"it was not done after {limits.seconds:,} seconds, which is its limit", peak
        if memory > limits.memory_mib * _MIB:
            used = f"{memory / _MIB:,.0f} MiB of memory"
            return f"it used {used}; its limit is {limits.memory_mib:,} MiB", peak
        if len(of_the_entry) > limits.processes:
            return f"it had {len(of_the_entry)} processes; its limit is {limits.processes}", peak


def _check_start(status: str, entry: Entry) -> None:
    what, _, reason = status.partition(": ")
    if what == "sandbox":
        raise ChallengeError(
            f"this machine does not let an entry be cut off from the network and the host's files ({reason}). It needs "
            "Linux 5.12 or later and user namespaces: look at sysctl user.max_user_namespaces and "
            "kernel.apparmor_restrict_unprivileged_userns, and in a container at its options seccomp=unconfined and "
            "systempaths=unconfined. Or, if you trust the entry, run it without them by --allow-network, which is "
            "recorded"
        )
    if what == "command":
        raise SubmissionError(
            f"{entry.folder}: its command {entry.command[0]!r} can't be started: {reason}. In the sandbox there are "
            f"the programs below {', '.join(SYSTEM_FOLDERS)} and those of the Python that runs Ectype; name the folder "
            "of any other environment by --readable"
        )


def _complaint_about_changes(before: Mapping[Path, Mapping[Path, FileState]]) -> str | None:
    for folder, states in before.items():
        if state_of(folder) != states:
            return f"it changed files in {folder}, where it may only read"
    return None


def _complaint_about_output(output: Path, limits: Limits) -> str | None:
    try:
        found = output.lstat()
    except FileNotFoundError:
        return "it ended without an error, but wrote no submission to {output}"
    if not stat.S_ISREG(found.st_mode):  # a link could lead to any file of the host
        return "what it wrote to {output} is no file"
    if found.st_size > limits.output_mib * _MIB:
        return f"its submission has {found.st_size:,} bytes; its limit is {limits.output_mib:,} MiB"
    return None


def _last_words(room: Path) -> str:
    """The end of what a run printed, for an error message."""
    words = ""
    for name in (STANDARD_OUTPUT, STANDARD_ERROR):
        with open(room / name, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL_BYTES))
            end = file.read().decode("utf-8", "backslashreplace").strip()
        if end:
            words += f"\n--- the end of its {name}:\n{end}"
    return words
