"""What the tests of hosted challenges share: a small challenge, submissions of any quality, and a clock to be set."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import h5py
import numpy as np

from ectype.challenge.hosting.host import Host
from ectype.challenge.hosting.opening import open_challenge
from ectype.challenge.hosting.refereeing import register_team
from ectype.challenge.manifest import ManifestEntry, write_manifest
from ectype.evaluation import GroundTruth, write_ground_truth

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
START = datetime(2021, 6, 1, tzinfo=UTC)
"""A day before phase 1 opens."""
PHASE1 = START + DAY
FREEZING = PHASE1 + 10 * DAY
DEADLINE = FREEZING + 2 * DAY
PHASE2 = datetime(2021, 10, 26, tzinfo=UTC)
OVER = PHASE2 + 2 * DAY

REFERENCES = [f"R{number:02}" for number in range(10)]
QUERIES = {1: [f"Q{number:02}" for number in range(20)], 2: [f"P{number:02}" for number in range(20)]}

SETTINGS = """\
name = "Small challenge"
tracks = ["matching", "descriptor"]
prizes = 2

[phase1]
opens = 2021-06-02T00:00:00Z
closes = 2021-06-12T00:00:00Z
manifest = "data/manifest.csv"
ground_truth = "data/ground_truth.csv"
submissions = 6
submissions_a_day = 2
salt = "salt"

[freeze]
deadline = 2021-06-14T00:00:00Z

[phase2]
opens = 2021-10-26T00:00:00Z
manifest = "data/manifest-phase2.csv"
ground_truth = "data/phase2/ground_truth.csv"
"""


class SetClock:
    """Tells the time it was set to."""

    def __init__(self, now: datetime = START) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


def truth_of(phase: int) -> GroundTruth:
    """Every second query is a copy."""
    queries = QUERIES[phase]
    pairs = frozenset(zip(queries[::2], REFERENCES, strict=True))
    return GroundTruth(frozenset(queries), pairs)


def write_data(folder: Path) -> None:
    """A data set of manifests and ground truths; nobody looks at its pictures."""
    (folder / "phase2").mkdir(parents=True)
    for phase, manifest, below in ((1, "manifest.csv", ""), (2, "manifest-phase2.csv", "phase2/")):
        names = [("reference", name, "references/") for name in REFERENCES]
        names += [("query", name, f"{below}queries/") for name in QUERIES[phase]]
        entries = [ManifestEntry(role, name, f"{place}{name}.jpg", 1, _sha256(name)) for role, name, place in names]
        write_manifest(folder / manifest, entries)
        write_ground_truth(folder / f"{below}ground_truth.csv", truth_of(phase))


def _sha256(name: str) -> str:
    return name.encode().hex().rjust(64, "0")


def made(folder: Path) -> Path:
    """A challenge that can be opened."""
    write_data(folder / "data")
    (folder / "challenge.toml").write_text(SETTINGS)
    return folder


def opened(folder: Path, clock: SetClock, teams: tuple[str, ...] = ("red", "blue")) -> Host:
    """An open challenge with teams, at the beginning of phase 1."""
    open_challenge(made(folder), clock)
    host = Host(folder, clock)
    for team in teams:
        register_team(host, team, eligible=True)
    clock.now = PHASE1
    return host


def write_matching(path: Path, phase: int = 1, right: int = 10, seed: int = 0) -> Path:
    """A matching submission that finds the first `right` copies; seeds make its scores and bytes differ."""
    rng = random.Random(seed)
    pairs = sorted(truth_of(phase).pairs)
    rows = [(*pair, 2 + rng.random()) for pair in pairs[:right]]
    rows += [(query, REFERENCES[-1], 1 + rng.random()) for query in QUERIES[phase][1::2]]
    rows += [(*pair, rng.random()) for pair in pairs[right:]]
    lines = [f"{query},{reference},{score:.6f}" for query, reference, score in rows]
    path.write_text("\n".join(["query_id,reference_id,score", *lines]) + "\n")
    return path


def write_descriptors(path: Path, phase: int = 1, seed: int = 0, references: int = 0, **options: object) -> Path:
    """A descriptor submission; seeds decide the vectors of queries and references. Options are h5py's."""
    vectors = np.random.default_rng(references).normal(size=(len(REFERENCES), 4)).astype(np.float32)
    queries = np.random.default_rng(100 + seed).normal(size=(len(QUERIES[phase]), 4)).astype(np.float32)
    with h5py.File(path, "w") as file:
        for part, names, rows in (("query", QUERIES[phase], queries), ("reference", REFERENCES, vectors)):
            file.create_dataset(part, data=rows, **options)
            file.create_dataset(f"{part}_ids", data=np.array([name.encode() for name in names]))
    return path
