"""What a model sees through that it never practised: short runs, each without one kind of edit."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ectype.errors import UsageError
from ectype.images import ImageItem
from ectype.storage import replacing, write_json
from ectype_training.config import Config
from ectype_training.kinds import KindResult, measure_kinds
from ectype_training.student import StudentModel
from ectype_training.train import train

FULL = "full"


@dataclass(frozen=True, slots=True)
class Ablation:
    """One kind of edit, by the run that practised it and by the run that did not."""

    practised: KindResult
    left_out: KindResult


def ablate(
    config: Config,
    items: Sequence[ImageItem],
    targets: Path | None,
    held_out: Sequence[ImageItem],
    kinds: Sequence[str],
    folder: Path,
) -> list[Ablation]:
    """Train once with every kind, then once without each of some, and measure these on other photographs.

    Every run has a folder of its own and is resumed; ``ablation.json`` and ``ablation.png`` are written at the end.

    Parameters
    ----------
    config : Config
    items : sequence of ImageItem
        To train on.
    targets : Path or None
    held_out : sequence of ImageItem
        To measure on.
    kinds : sequence of str
        To leave out in turn.
    folder : Path

    Raises
    ------
    UsageError
        No kind, or one that the configuration leaves out anyway.
    """
    if not kinds or set(kinds) & set(config.leave_out):
        raise UsageError("name kinds of edits to leave out, none of which the configuration leaves out anyway")
    known = {result.kind: result for result in _run(config, items, targets, held_out, kinds, folder / FULL)}
    rows = []
    for kind in kinds:
        without = replace(config, leave_out=(*config.leave_out, kind))
        rows.append(Ablation(known[kind], _run(without, items, targets, held_out, [kind], folder / kind)[0]))
        print(
            f"{kind}: µAP {rows[-1].practised.micro_average_precision:.3f} practised, "
            f"{rows[-1].left_out.micro_average_precision:.3f} left out",
            flush=True,
        )
    write_json(folder / "ablation.json", [asdict(row) for row in rows])
    _draw(rows, folder / "ablation.png")
    return rows


def _run(
    config: Config,
    items: Sequence[ImageItem],
    targets: Path | None,
    held_out: Sequence[ImageItem],
    kinds: Sequence[str],
    folder: Path,
) -> list[KindResult]:
    print(f"{folder}: {'without ' + ', '.join(config.leave_out) if config.leave_out else 'every kind'}", flush=True)
    student = train(config, items, targets, folder)
    results = measure_kinds(StudentModel(student, config.size), held_out, kinds)
    (folder / "kinds.json").write_text(json.dumps([asdict(result) for result in results]), "utf-8")
    return results


def _draw(rows: Sequence[Ablation], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 1.2 + 0.5 * len(rows)), layout="constrained")
    axes = figure.add_subplot()
    for offset, label, colour in ((-0.18, "practised", "#1f5fa8"), (0.18, "left out", "#c0392b")):
        results = [row.practised if label == "practised" else row.left_out for row in rows]
        places = [number + offset for number in range(len(rows))]
        axes.barh(places, [result.micro_average_precision for result in results], 0.34, label=label, color=colour)
    axes.set_yticks(range(len(rows)), [row.practised.kind for row in rows])
    axes.invert_yaxis()
    axes.set(xlim=(0, 1), xlabel="micro-average precision on photographs that were not trained on")
    axes.legend(loc="lower right")
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)
