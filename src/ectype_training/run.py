"""The folder of a training run: what it was asked, its checkpoint, its log and its curves."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch

from ectype.errors import InvalidDataError, StorageError, UsageError
from ectype.storage import replacing, storage_error, write_json

PLACES = "places.npz"
_IDENTITY, _CHECKPOINT, _LOG, _CURVES = "run.json", "checkpoint.pt", "log.csv", "curves.png"


@dataclass(frozen=True, slots=True)
class Progress:
    """A line of the log; losses are means over the steps since the line before."""

    step: int
    samples: int
    seconds: float
    rate: float
    contrast: float
    distance: float
    places: float


class Run:
    """A folder that a training run can be killed in and resumed from.

    Parameters
    ----------
    folder : Path
        Made if it is not there.
    identity : mapping
        What decides the run's outcome, as JSON values: a folder that was begun with anything else is refused.

    Raises
    ------
    UsageError
        The folder has a run of another identity, or other files and no run.
    StorageError
        The disk refused.
    """

    def __init__(self, folder: Path, identity: Mapping[str, Any]) -> None:
        self._folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            names = {entry.name for entry in folder.iterdir()}
        except OSError as error:
            raise storage_error(folder, error) from error
        if _IDENTITY in names:
            self._refuse_other(identity)
        elif names:
            raise UsageError(f"{folder}: holds other files and no training run; choose an empty folder")
        else:
            write_json(folder / _IDENTITY, identity)

    def _refuse_other(self, identity: Mapping[str, Any]) -> None:
        path = self._folder / _IDENTITY
        try:
            begun = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise InvalidDataError(f"{path}: can't be read: {error}; begin in another folder") from error
        asked = json.loads(json.dumps(identity))
        changed = [name for name in sorted({*begun, *asked}) if begun.get(name) != asked.get(name)]
        if changed:
            words = "; ".join(f"{name} was {begun.get(name)!r}, now {asked.get(name)!r}" for name in changed)
            raise UsageError(
                f"{self._folder}: this run was begun with another configuration ({words}); "
                "resume it with the one it had, or begin in another folder"
            )

    def load(self) -> dict[str, Any] | None:
        """The last checkpoint, or None before the first.

        Raises
        ------
        InvalidDataError
            The file is damaged.
        """
        return load_checkpoint(self._folder) if (self._folder / _CHECKPOINT).exists() else None

    def save(self, state: Mapping[str, Any]) -> None:
        """Replace the checkpoint, in one step."""
        with replacing(self._folder / _CHECKPOINT) as temporary:
            torch.save(dict(state), temporary)

    def log(self) -> list[Progress]:
        """What was logged, to the last checkpoint or later."""
        path = self._folder / _LOG
        if not path.exists():
            return []
        with open(path, newline="", encoding="utf-8") as file:
            return [_progress(path, row) for row in csv.DictReader(file)]

    def write_log(self, rows: list[Progress]) -> None:
        """Replace the log and draw it."""
        names = [entry.name for entry in fields(Progress)]
        with replacing(self._folder / _LOG) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            writer.writerows(asdict(row) for row in rows)
        if len(rows) > 1:
            _draw(rows, self._folder / _CURVES)


def load_checkpoint(folder: Path) -> dict[str, Any]:
    """Read the checkpoint of a run's folder.

    Raises
    ------
    InvalidDataError
        There is none, or it is damaged.
    """
    path = folder / _CHECKPOINT
    if not path.exists():
        raise InvalidDataError(f"{folder}: no checkpoint of a training run is there")
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # zip, unpickling or key errors, by how it is damaged
        raise InvalidDataError(f"{path}: not a readable checkpoint: {error}") from error
    return state


@contextmanager
def of_this_version(folder: Path) -> Iterator[None]:
    """While what a checkpoint holds is put into a student or an optimiser.

    Raises
    ------
    InvalidDataError
        It doesn't fit: another version of Ectype wrote it.
    """
    try:
        yield
    except (KeyError, RuntimeError, ValueError) as error:
        raise InvalidDataError(
            f"{folder}: the checkpoint is of another version of Ectype; go on with that or in another folder: {error}"
        ) from error


def read_identity(folder: Path) -> dict[str, Any]:
    """What a run was begun with.

    Raises
    ------
    InvalidDataError
        The folder has no run.
    """
    try:
        identity: dict[str, Any] = json.loads((folder / _IDENTITY).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidDataError(f"{folder}: no training run is there: {error}") from error
    return identity


def _progress(path: Path, row: Mapping[str, str]) -> Progress:
    try:
        return Progress(
            int(row["step"]), int(row["samples"]), *(float(row[entry.name]) for entry in fields(Progress)[2:])
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidDataError(f"{path}: not a log of a training run: {row}") from error


def _draw(rows: list[Progress], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 8.2), layout="constrained")
    plots = figure.subplots(4, 1, sharex=True)
    samples = [row.samples for row in rows]
    for axes, name, label in zip(
        plots,
        ("contrast", "distance", "places", "rate"),
        ("contrast (nats)", "1 - cosine", "places (nats)", "learning rate"),
        strict=True,
    ):
        axes.plot(samples, [getattr(row, name) for row in rows], color="#1f5fa8", linewidth=1.4)
        axes.set_ylabel(label)
        axes.grid(alpha=0.3)
    plots[-1].set_xlabel("edited photographs seen")
    plots[0].set_title(f"step {rows[-1].step:,}, {rows[-1].seconds / 60:.0f} minutes")
    try:
        with replacing(path) as temporary:
            figure.savefig(temporary, format="png", dpi=110)
    except OSError as error:
        raise StorageError(f"{path}: {error}") from error
