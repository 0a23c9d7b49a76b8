"""Looks into HDF5 files by a process of its own, whose end is a finding and not ours."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, cast

from ectype.challenge.manifest import Manifest
from ectype.challenge.validation.problems import Findings

MEMORY = 4 * 2**30
SECONDS = 120.0
_BYTES_A_SECOND = 5e6  # of the slowest disk; larger files get more time
_ENVIRONMENT = {
    "HDF5_PLUGIN_PRELOAD": "::",  # the library loads no plugin that a file may ask for
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}


class Inspector:
    """Checks Descriptor Track submissions, any number of them, in a process that is started anew when one kills it.

    Parameters
    ----------
    seconds : float
        Time a file, and as much more as reading it from a slow disk would take.
    memory : int
        Bytes the process may have.
    """

    def __init__(self, seconds: float = SECONDS, memory: int = MEMORY) -> None:
        self._seconds, self._memory = seconds, memory
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Inspector:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def inspect(self, path: str | Path, manifest: Manifest | None) -> Findings:
        """Find everything that is wrong with a Descriptor Track submission.

        Parameters
        ----------
        path : str or Path
        manifest : Manifest or None
            The ids there must be; without it any will do.
        """
        request = {
            "path": os.fspath(Path(path).absolute()),
            "query": None if manifest is None else manifest.query_ids,
            "reference": None if manifest is None else manifest.reference_ids,
        }
        seconds = self._seconds + Path(path).stat().st_size / _BYTES_A_SECOND
        answer = self._ask(json.dumps(request).encode() + b"\n", seconds)
        findings = Findings()
        if isinstance(answer, str):
            findings.add("hostile-file", "the file", answer)
            return findings
        content = json.loads(answer)
        for code, place, message in content["problems"]:
            findings.add(code, place, message)
        findings.counts = Counter(content["counts"])
        return findings

    def _ask(self, request: bytes, seconds: float) -> bytes | str:
        """The answer to a request, or in words why there is none."""
        if self._process is None:
            self._process = _start(self._memory)
        requests, answers = cast(IO[bytes], self._process.stdin), cast(IO[bytes], self._process.stdout)
        answer = b""
        with suppress(BrokenPipeError):
            requests.write(request)
            requests.flush()
            if not _comes(answers, seconds):
                self.close()
                return f"could not be read within {seconds:.0f} seconds"
            answer = answers.readline()
        if answer.endswith(b"\n"):
            return answer
        self.close()
        return "made the HDF5 library crash"


def _comes(answers: IO[bytes], seconds: float) -> bool:
    """Whether there is something to read in time, be it the end."""
    poll = select.poll()
    poll.register(answers, select.POLLIN)
    return bool(poll.poll(1000 * seconds))


def _start(memory: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603  nothing of it comes from outside
        # -P: modules are not taken from the folder we happen to be in, which may be a stranger's
        [sys.executable, "-P", "-m", "ectype.challenge.validation.worker", str(memory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | _ENVIRONMENT,
    )
