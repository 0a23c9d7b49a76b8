"""A process that writes submissions is killed at random moments; the file is always a whole one, the old or the new."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from itertools import count
from pathlib import Path

import pytest

from ectype.challenge.manifest import Manifest, ManifestEntry
from ectype.challenge.tracks import Track
from ectype.challenge.tracks.example import write_example

KILLS = 40
MANIFEST = Manifest(
    tuple(
        ManifestEntry(role, f"{letter}{number:03}", f"{role}/{number}.jpg", 1, "0" * 64)
        for role, letter, total in (("query", "Q", 50), ("reference", "R", 300))
        for number in range(total)
    )
)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def kill_writers(path: Path, track: Track) -> int:
    """How many writers were killed amid their work; raises if one left something that is no whole submission."""
    whole = set()
    for seed in (0, 1):
        write_example(path, MANIFEST, track, seed=seed)
        whole.add(digest(path))
    rng, amid = random.Random(track), 0
    for _ in range(KILLS):
        child = os.fork()
        if not child:
            for seed in count():
                write_example(path, MANIFEST, track, seed=seed % 2)
        time.sleep(rng.uniform(0.001, 0.03))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        if digest(path) not in whole:
            raise SystemExit("a submission was left half-written")
        for rest in path.parent.glob(f".{path.name}.*"):
            amid += 1
            rest.unlink()
    return amid


@pytest.mark.parametrize("track", ["matching", "descriptor"])
def test_a_submission_is_replaced_whole_or_not_at_all(track, tmp_path):
    done = subprocess.run(
        [sys.executable, __file__, str(tmp_path / "submission"), track], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > KILLS // 4


if __name__ == "__main__":
    print(kill_writers(Path(sys.argv[1]), sys.argv[2]))  # noqa: T201
