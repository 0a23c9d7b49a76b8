"""An open challenge, as its host holds it: settings, data, ledger and submitted files in one folder."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

from ectype.challenge.hosting.ledger import LEDGER_FILE, Clock, Ledger, read_clock
from ectype.challenge.hosting.opening import changes_since
from ectype.challenge.hosting.settings import PhaseNumber, Settings, SettingsFile, problem_list
from ectype.challenge.hosting.standing import Standing, standing_of
from ectype.challenge.manifest import Manifest, read_manifest
from ectype.errors import ChallengeError
from ectype.evaluation import GroundTruth, read_ground_truth


class Host:
    """The folder of an open challenge.

    Parameters
    ----------
    folder : Path
        With ``challenge.toml`` and ``ledger.sqlite``.
    clock : callable
        Gives the time, with a time zone.
    time_given : bool
        Whether the host gave that time, as in a rehearsal; whatever is recorded says so.

    Raises
    ------
    ChallengeError
        The challenge is not open; settings or data are not those of the opening, and the message tells all changes; or
        the ledger is damaged.
    """

    def __init__(self, folder: Path, clock: Clock = read_clock, *, time_given: bool = False) -> None:
        self.folder = folder
        self.settings: Settings = SettingsFile(folder).settings()
        if not (folder / LEDGER_FILE).is_file():
            raise _not_open(folder)
        self.ledger = Ledger(folder / LEDGER_FILE, clock, time_given=time_given)
        try:
            self._check_unchanged()
        except BaseException:
            self.close()
            raise

    def _check_unchanged(self) -> None:
        opened = self.standing().opened
        if opened is None:
            raise _not_open(self.folder)
        changes = changes_since(opened, self.folder, self.settings)
        if changes:
            place = f"{self.folder}: settings and data must stay as they were at the opening; put back what was changed"
            raise ChallengeError(problem_list(place, changes))

    def close(self) -> None:
        self.ledger.close()

    def __enter__(self) -> Host:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def standing(self) -> Standing:
        """How the challenge stands now."""
        return standing_of(self.ledger.entries())

    def manifest(self, phase: PhaseNumber) -> Manifest:
        return read_manifest(self.folder / self.settings.phase(phase).manifest)

    def truth(self, phase: PhaseNumber) -> GroundTruth:
        return read_ground_truth(self.folder / self.settings.phase(phase).ground_truth)


def submission_file(folder: Path, sha256: str) -> Path:
    """Where a challenge's folder keeps a submitted file."""
    return folder / "submissions" / sha256


def freeze_file(folder: Path, digest: str) -> Path:
    """Where a challenge's folder keeps a recorded freeze."""
    return folder / "freezes" / f"{digest}.json"


def _not_open(folder: Path) -> ChallengeError:
    return ChallengeError(f"{folder}: the challenge is not open yet; `ectype challenge open {folder}` opens it")
