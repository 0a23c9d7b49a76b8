"""Starts one command in its sandbox: ``python -P -m ectype.challenge.running.launcher SETTINGS STATUS``.

SETTINGS is the JSON form of `Settings`. STATUS is a file descriptor: what could not be done is written to it as
``sandbox: …`` or ``command: …``; nothing is written if the command was started. The exit code is the command's, or 128
and the number of the signal that ended it.

Three processes. This one stays outside and waits. Its child, the guardian, is process 1 of the new PID namespace (or,
without namespaces, a child subreaper), so every process of the entry, orphans included, remains below it, and none
outlives it. The guardian's child becomes the command. Namespaces are entered here, in a fresh process with one thread,
since neither works after a fork of a process with several. Only the standard library is imported.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType

from ectype.challenge.running import namespaces
from ectype.challenge.running.processes import kill_descendants

_FAILED, _SIGNALLED = 125, 128


@dataclass(frozen=True, slots=True)
class Settings:
    """What to start, and how.

    Attributes
    ----------
    command : list of str
    folder : str
        Where the command is started, as it is seen in the sandbox.
    environment : dict
        Every variable that the command gets.
    parent : int
        Process id of the host's program, without which nothing is started.
    root : str or None
        An empty folder to build the file system in; None to run without namespaces.
    mounts : list of Mount
    shared_memory : int
        Most bytes of files in /dev/shm.
    file_size : int
        Most bytes that a file may reach.
    """

    command: list[str]
    folder: str
    environment: dict[str, str]
    parent: int
    root: str | None
    mounts: list[namespaces.Mount]
    shared_memory: int
    file_size: int

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Settings:
        """The settings that `to_json` wrote."""
        values = json.loads(text)
        return cls(**values | {"mounts": [namespaces.Mount(**mount) for mount in values["mounts"]]})


def main() -> int:
    """Start the command and wait for its end."""
    settings, status = Settings.from_json(sys.argv[1]), int(sys.argv[2])
    os.set_inheritable(status, False)
    namespaces.signal_on_death_of_parent(signal.SIGTERM)
    if os.getppid() != settings.parent:  # it died before
        return _FAILED
    namespaces.adopt_orphans()  # of a guardian that was killed
    Path("/proc/self/oom_score_adj").write_text("1000")  # if memory runs out, the entry goes first, not the host
    try:
        if settings.root is not None:
            namespaces.enter()
        guardian = os.fork()
    except OSError as error:
        return _fail(status, "sandbox", error)
    if guardian == 0:
        os._exit(_guard(settings, status))

    def pass_on(number: int, frame: FrameType | None) -> None:
        os.kill(guardian, number)

    signal.signal(signal.SIGTERM, pass_on)
    return _exit_code(os.waitpid(guardian, 0)[1])


def _guard(settings: Settings, status: int) -> int:
    def end_everything(number: int, frame: FrameType | None) -> None:
        kill_descendants(os.getpid())
        os._exit(_SIGNALLED + number)

    signal.signal(signal.SIGTERM, end_everything)
    try:
        namespaces.signal_on_death_of_parent(signal.SIGTERM)
        if settings.root is None:
            namespaces.adopt_orphans()
        else:
            namespaces.build_root(settings.root, settings.mounts, settings.shared_memory)
            namespaces.start_loopback()
        entry = os.fork()
    except OSError as error:
        return _fail(status, "sandbox", error)
    if entry == 0:
        os._exit(_become_command(settings, status))
    while True:  # reaping orphans, too
        process, state = os.wait()
        if process == entry:
            break
    kill_descendants(os.getpid())
    return _exit_code(state)


def _become_command(settings: Settings, status: int) -> int:
    try:
        os.chdir(settings.folder)
        resource.setrlimit(resource.RLIMIT_FSIZE, (settings.file_size, settings.file_size))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if settings.root is not None:
            namespaces.drop_privileges()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGPIPE, signal.SIGXFSZ):  # Python changes some of them
            signal.signal(number, signal.SIG_DFL)
    except OSError as error:
        return _fail(status, "sandbox", error)
    try:
        os.execvpe(settings.command[0], settings.command, settings.environment)  # noqa: S606  # what the host asked for
    except OSError as error:
        return _fail(status, "command", error)


def _fail(status: int, what: str, error: OSError) -> int:
    place = f"{error.filename}: " if error.filename else ""
    os.write(status, f"{what}: {place}{error.strerror}".encode())
    return _FAILED


def _exit_code(state: int) -> int:
    return _SIGNALLED + os.WTERMSIG(state) if os.WIFSIGNALED(state) else os.WEXITSTATUS(state)


if __name__ == "__main__":
    sys.exit(main())
