"""Opening a challenge: everything it needs is checked, and its settings and data are recorded by digest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Set
from pathlib import Path
from typing import TypeVar

from ectype.challenge.digests import sha256_of_file
from ectype.challenge.hosting.events import Opened
from ectype.challenge.hosting.labels import split_labels
from ectype.challenge.hosting.ledger import LEDGER_FILE, Clock, Ledger, read_clock
from ectype.challenge.hosting.settings import SETTINGS_FILE, Settings, SettingsFile, as_utc_text, problem_list
from ectype.challenge.manifest import Manifest, read_manifest
from ectype.errors import ChallengeError, InvalidDataError
from ectype.evaluation import GroundTruth, read_ground_truth, write_ground_truth

PUBLIC_LABELS_FILE = "public_ground_truth.csv"
_DATA_SETTINGS = ("phase1.manifest", "phase1.ground_truth", "phase2.manifest", "phase2.ground_truth")

Content = TypeVar("Content")


def open_challenge(folder: Path, clock: Clock = read_clock, *, time_given: bool = False) -> str:
    """Check a challenge's settings and data, record both, and write the public labels of phase 1.

    From here on, neither settings nor data may change.

    Parameters
    ----------
    folder : Path
        With ``challenge.toml``.
    clock : callable
        Gives the time, with a time zone.
    time_given : bool
        Whether the host gave that time, as in a rehearsal.

    Returns
    -------
    str
        Digest of the ledger's head, to be published: see `ectype.challenge.hosting.verifying`.

    Raises
    ------
    ChallengeError
        Something is wrong with settings or data, and the message tells everything; or the challenge was opened before.
    StorageError
        The disk refuses.
    """
    file = SettingsFile(folder)
    data = _Data(folder, file)
    problems = [*file.problems, *data.problems]
    if problems:
        raise ChallengeError(problem_list(folder / SETTINGS_FILE, problems))
    settings = file.settings()
    with Ledger(folder / LEDGER_FILE, clock, time_given=time_given) as ledger, ledger.writing() as writing:
        if writing.entries:
            opened = as_utc_text(writing.entries[0].time)
            raise ChallengeError(f"{folder}: was opened already, at {opened}")
        if writing.now >= settings.phase1.closes:
            raise ChallengeError(
                f"{folder / SETTINGS_FILE}: phase1.closes: {as_utc_text(settings.phase1.closes)} has passed, so nobody "
                "could submit; set a later time"
            )
        public, _ = split_labels(data.truths[1], settings.public_share, settings.salt)
        write_ground_truth(folder / PUBLIC_LABELS_FILE, public)
        values = settings.values()
        digests = {name: sha256_of_file(folder / str(values[name])) for name in _DATA_SETTINGS}
        writing.append(Opened(settings.to_dict(), digests))
        return writing.head


def changes_since(opened: Opened, folder: Path, settings: Settings) -> list[str]:
    """What has changed in settings and data since the opening: a sentence each."""
    now, then = settings.to_dict(), opened.settings
    changes = [
        f"{name}: was {then.get(name, 'left open')}, and is {now.get(name, 'left open')}"
        for name in sorted(now.keys() | then.keys())
        if now.get(name) != then.get(name)
    ]
    for name in _DATA_SETTINGS:
        file = folder / str(settings.values()[name])
        try:
            if sha256_of_file(file) != opened.files.get(name):
                changes.append(f"{name}: {file} has other content")
        except ChallengeError as error:
            changes.append(f"{name}: {error}")
    return changes


class _Data:
    """The data of both phases as far as they can be read, and everything that is wrong with them."""

    def __init__(self, folder: Path, file: SettingsFile) -> None:
        self._folder, self._file = folder, file
        self.problems: list[str] = []
        self.truths: dict[int, GroundTruth] = {}
        manifests: dict[int, Manifest] = {}
        for number in (1, 2):
            manifest = self._read(f"phase{number}.manifest", read_manifest)
            truth = self._read(f"phase{number}.ground_truth", read_ground_truth)
            if manifest is not None:
                manifests[number] = manifest
            if truth is not None:
                self.truths[number] = truth
            if manifest is not None and truth is not None:
                self.problems += [f"phase{number}.ground_truth: {problem}" for problem in _misfits(manifest, truth)]
        if len(manifests) == 2:
            self.problems += [f"phase2.manifest: {problem}" for problem in _repetitions(manifests[1], manifests[2])]
        if 1 in self.truths and not file.problems:
            self.problems += _empty_parts(self.truths[1], file.settings())

    def _read(self, setting: str, read: Callable[[Path], Content]) -> Content | None:
        name = self._file.file_named(setting)
        if name is None:
            return None  # which is among the problems of the settings
        try:
            return read(self._folder / name)
        except InvalidDataError as error:
            self.problems.append(f"{setting}: {error}")
            return None


def _misfits(manifest: Manifest, truth: GroundTruth) -> Iterator[str]:
    queries, references = set(manifest.query_ids), set(manifest.reference_ids)
    yield from _some("queries that the manifest lacks", truth.queries - queries)
    yield from _some("references that the manifest lacks", {reference for _, reference in truth.pairs} - references)
    yield from _some("no line for queries of the manifest", queries - truth.queries)
    if not truth.pairs:
        yield "holds no copies, so there is nothing to find"


def _repetitions(first: Manifest, second: Manifest) -> Iterator[str]:
    """In phase 2 the references are the same, and the queries are new."""
    yield from _some(
        "must have phase 1's references; these differ", set(first.reference_ids) ^ set(second.reference_ids)
    )
    seen = {entry.sha256 for entry in first.entries if entry.role == "query"}
    yield from _some(
        "must have new queries; these were queries of phase 1",
        {entry.id for entry in second.entries if entry.role == "query" and entry.sha256 in seen},
    )


def _empty_parts(truth: GroundTruth, settings: Settings) -> list[str]:
    parts = zip(("public", "hidden"), split_labels(truth, settings.public_share, settings.salt), strict=True)
    return [f"phase1.public_share: leaves no copies among the {name} labels" for name, part in parts if not part.pairs]


def _some(what: str, ids: Set[str]) -> Iterator[str]:
    if ids:
        shown = ", ".join(sorted(ids)[:5]) + (" …" if len(ids) > 5 else "")
        yield f"{what}: {len(ids)} ({shown})"
